/** Which candidates a request suits at all, before any is called: window, tools, images, money. Pure; each skip has a reason. */

import type { FailureKind } from "../../providers/failure.ts";
import { isPaid, largestWindow, type ModelFacts } from "../../providers/model-facts.ts";
import { isUnpaid } from "../../providers/registry.ts";
import type { Price } from "../models/prices.ts";
import type { Target } from "./router.ts";

/** What a request asks of a model; each is found out only when a candidate makes it matter. */
export interface Needs {
  /** How many tokens, answer included, when they are more than fit into the window: an estimate that errs on the small side. */
  beyond(window: number): number | undefined;
  hasTools(): boolean;
  hasImages(): boolean;
}

export interface Purse {
  /** False: nothing that costs money is called. */
  allowPaid: boolean;
  /** Why paid models may not be called now, although they are allowed, and when they may again (ms since 1970), if ever. */
  spent?: { reason: string; backAt?: number };
  /** What the config says of a target's price, which comes before any list; undefined where it says nothing. */
  configured?(target: Target): Price | undefined;
  /** The agent's own login is a key whose tokens are billed. */
  isLoginBilled?: boolean;
  /** Why whoever asks may not be served by this one; undefined where he may. */
  forbids?(target: Target): string | undefined;
}

export interface Skip {
  target: Target;
  reason: string;
  /** What a request is told when nobody was asked. */
  kind: FailureKind;
  backAt?: number;
  /** It is a budget of the user's own that shuts it. */
  isBudget?: true;
}

export interface Screened {
  asked: Target[];
  skipped: Skip[];
}

/** Undefined where nothing is known of the model. */
export type Facts = (target: Target) => ModelFacts | undefined;

/**
 * A list of models can be wrong or old, so it decides only while it leaves somebody to ask: where it would leave nobody, the
 * largest window is asked after all, and the upstream's own word counts. Money and leave are no such matters.
 */
export function screen(targets: readonly Target[], needs: Needs, factsOf: Facts, purse: Purse): Screened {
  const skipped: Skip[] = [];
  const unsuited: Skip[] = [];
  const asked: Target[] = [];
  for (const target of targets) {
    const facts = factsOf(target);
    const refusal = forbid(target, facts, purse);
    if (refusal !== undefined) skipped.push(refusal);
    else {
      const reason = facts === undefined ? undefined : findMisfit(facts, needs);
      if (reason === undefined) asked.push(target);
      else unsuited.push({ target, ...reason });
    }
  }
  if (asked.length > 0 || unsuited.length === 0) return { asked, skipped: [...skipped, ...unsuited] };
  const widest = unsuited.reduce((best, skip) => (windowOf(skip, factsOf) > windowOf(best, factsOf) ? skip : best));
  return { asked: [widest.target], skipped: [...skipped, ...unsuited.filter((skip) => skip !== widest)] };
}

function windowOf({ target }: Skip, factsOf: Facts): number {
  return largestWindow(factsOf(target)) ?? 0;
}

function findMisfit(facts: ModelFacts, needs: Needs): Pick<Skip, "reason" | "kind"> | undefined {
  // The cheap questions first.
  if (facts.tools === false && needs.hasTools()) return { reason: "it takes no tools", kind: "unsupported" };
  if (facts.image === false && needs.hasImages()) return { reason: "it sees no images", kind: "unsupported" };
  const window = largestWindow(facts);
  const tokens = window === undefined ? undefined : needs.beyond(window);
  if (tokens === undefined) return undefined;
  const reason = `about ${tokens} tokens do not fit into its window of ${window}`;
  return { reason, kind: "context-overflow" };
}

/** Why it may not be asked, however well it suits. */
export function forbid(target: Target, facts: ModelFacts | undefined, purse: Purse): Skip | undefined {
  const reason = purse.forbids?.(target);
  if (reason !== undefined) return { target, reason, kind: "permission" };
  return refuseMoney(target, facts, purse);
}

/** An unknown price is not zero, except where nobody is paid: on this machine, or under a name that says free. */
function refuseMoney(target: Target, facts: ModelFacts | undefined, purse: Purse): Skip | undefined {
  if (purse.allowPaid && purse.spent === undefined) return undefined;
  const isCosting = costs(target, facts, purse);
  if (isCosting === false) return undefined;
  const price = isCosting === undefined ? "its price is unknown" : "it costs money";
  if (!purse.allowPaid) return { target, reason: `${price}, and budgets.allow_paid is off`, kind: "billing" };
  const { spent } = purse;
  if (spent === undefined) return undefined;
  const { reason, backAt } = spent;
  const back = backAt === undefined ? {} : { backAt };
  return { target, reason: `${price}, and ${reason}`, kind: "billing", isBudget: true, ...back };
}

/** By the token; undefined where nobody says. */
function costs(target: Target, facts: ModelFacts | undefined, purse: Purse): boolean | undefined {
  const { provider, model, credential } = target;
  // The agent's own login is a plan; where it is a key, its tokens are billed and count like any others.
  if (credential === "client" && purse.isLoginBilled !== true) return false;
  const said = purse.configured?.(target);
  if (said !== undefined) return said.kind === "list" && (said.rates.input > 0 || said.rates.output > 0);
  return isUnpaid(provider) ? false : isPaid(model, facts);
}
