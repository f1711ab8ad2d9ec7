/** What each tier would be answered by at this moment. Pure; asks nobody. */

import type { z } from "zod";
import { renderModelReference } from "../../providers/model-reference.ts";
import { asIso } from "../explain/clock.ts";
import type { LaunchToken } from "../launch-token.ts";
import { ownNames, type TierName } from "../model-tiers.ts";
import type { tierReport } from "./admin-schemas.ts";
import { candidateOf } from "./cascade.ts";
import type { Health } from "./health.ts";
import { planRoute, type Routing, type Target } from "./router.ts";
import { type Facts, type Needs, type Purse, screen } from "./screen.ts";

export type TierReport = z.infer<typeof tierReport>;

export type TierCandidate = TierReport["candidates"][number];

export interface TierDeps {
  routing: Routing;
  health: Pick<Health, "refusal">;
  factsOf: Facts;
  purse: Purse;
}

/** An agent's request, as far as that is known before it is made. */
const toolsAlone: Needs = { beyond: () => undefined, hasTools: () => true, hasImages: () => false };

/** The three tiers, then the letters of launches. @param only these tiers; left out, all */
export function reportTiers(deps: TierDeps, only?: readonly string[]): TierReport[] {
  const { routing } = deps;
  const isWanted = (tier: string) => only === undefined || only.includes(tier);
  const tiers = (Object.entries(ownNames) as [string, TierName][])
    .filter(([, tier]) => isWanted(tier))
    .map(([name, tier]) => report(tier, "tier", plan(name, undefined, routing), deps));
  const letters = Object.keys(routing.tierLetters)
    .filter(isWanted)
    .map((letter) => report(letter, "letter", plan("clutch-big", letter, routing), deps));
  return [...tiers, ...letters];
}

function plan(model: string, letter: string | undefined, routing: Routing): Target[] {
  const launch = letter === undefined ? undefined : (launchOf(letter) as LaunchToken);
  const facts = {
    hasTools: true,
    hasImage: false,
    webSearch: undefined,
    tokens: 0,
    exceeds: () => false,
    thinks: undefined,
    call: undefined,
    callAtNoCost: undefined,
  };
  return planRoute({ protocol: "chat", model, launch, keepsOwnLogin: false, agent: undefined, facts }, routing).targets;
}

function launchOf(tier: string) {
  return { code: `cip${tier}`, agent: "c", mode: "i", route: "p", tier, launchId: "0" };
}

function report(tier: string, kind: TierReport["kind"], targets: readonly Target[], deps: TierDeps): TierReport {
  const { skipped } = screen(targets, toolsAlone, deps.factsOf, deps.purse);
  const candidates = targets.map((target): TierCandidate => {
    const named = { target: nameOf(target) };
    const { provider, credential } = target;
    if (credential === "ours" && provider.keys.length === 0 && provider.keySource !== undefined) {
      return { ...named, state: "unsuited", reason: `no key: ${provider.keySource}`, back_at: null };
    }
    const skip = skipped.find((one) => one.target === target);
    if (skip !== undefined) {
      const state = skip.backAt === undefined ? "unsuited" : "closed";
      return { ...named, state, reason: skip.reason, back_at: asIso(skip.backAt) };
    }
    const refusal = findRefusal(target, deps.health);
    if (refusal === undefined) return { ...named, state: "ready", reason: null, back_at: null };
    return { ...named, state: "closed", reason: refusal.reason, back_at: asIso(Math.round(refusal.backAt)) };
  });
  return {
    tier,
    kind,
    first: candidates[0]?.target ?? null,
    serves: candidates.find(({ state }) => state === "ready")?.target ?? null,
    candidates,
  };
}

/** Of several keys, the one that is back first; undefined when one is there now. */
function findRefusal(target: Target, health: TierDeps["health"]) {
  const { keys } = target.provider;
  const keyed = keys.length === 0 ? [target] : keys.map((key) => ({ ...target, key }));
  const refusals = keyed.map((one) => health.refusal(candidateOf(one)));
  if (refusals.includes(undefined)) return undefined;
  return refusals.flatMap((refusal) => refusal ?? []).toSorted((one, other) => one.backAt - other.backAt)[0];
}

function nameOf({ provider, model }: Target): string {
  return renderModelReference({ provider: provider.id, model });
}
