/**
 * `/ready`: whether a request that came now would be answered as it should, and if not, why. The ledger is read, the models
 * of the tiers are looked up as for a request, and their providers' addresses are called on, each at most twice a minute.
 */

import type { z } from "zod";
import type { Fetch } from "../../providers/upstream.ts";
import { asIso } from "../explain/clock.ts";
import type { readyReport } from "./admin-schemas.ts";
import type { Target } from "./router.ts";
import type { TierReport } from "./tier-status.ts";

/** A list of prices that is older is taken for wrong (ms). */
export const oldPricesMs = 30 * 86_400_000;

/** How long the word on an address holds (ms). */
const reachMs = 30_000;

/** How long an address may take to answer (ms). */
const reachLimitMs = 3_000;

/** Longer than this, and answers stand still (ms). */
const slowLoopMs = 1_000;

export type ReadyReport = z.infer<typeof readyReport>;

/** Something that is done again and again in the background. */
export interface Loop {
  name: string;
  /** When it last came round (ms since 1970). */
  lastAt: number;
  everyMs: number;
}

export interface ReadyDeps {
  /** Milliseconds since 1970. */
  now(): number;
  fetch: Fetch;
  isDraining(): boolean;
  ledger(): { waiting: number; lost: number; isFailing: boolean };
  /** @throws when it cannot be read */
  readDatabase(): void;
  /** When the list that has this provider's prices was last taken to be true (ms since 1970); undefined where none has. */
  pricesAt(provider: string): number | undefined;
  tiers(): TierReport[];
  /** Whom each tier may ask. */
  targetsOf(tier: TierReport): readonly Target[];
  loops(): readonly Loop[];
}

interface Reach {
  at: number;
  /** Undefined where it answered, whatever it did. */
  error: string | undefined;
}

export class Readiness {
  readonly #deps: ReadyDeps;
  readonly #reach = new Map<string, Promise<Reach>>();

  constructor(deps: ReadyDeps) {
    this.#deps = deps;
  }

  async report(): Promise<ReadyReport & { reasons: string[] }> {
    const { isDraining, tiers, targetsOf } = this.#deps;
    const plans = tiers()
      .filter(({ kind }) => kind === "tier")
      .map((tier) => ({ tier, targets: targetsOf(tier) }));
    const targets = plans.flatMap((plan) => plan.targets);
    const [upstreams, loops] = await Promise.all([this.#checkUpstreams(plans), this.#checkLoops()]);
    const database = this.#checkDatabase();
    const prices = this.#checkPrices(targets);
    const reasons = [
      ...(isDraining() ? ["the gateway is shutting down"] : []),
      ...[database, prices, upstreams, loops].flatMap((check) => check.reasons),
    ];
    const checks = { database: database.told, prices: prices.told, upstreams: upstreams.told, loops: loops.told };
    return { status: reasons.length === 0 ? "ready" : "not ready", reasons, checks };
  }

  #checkDatabase() {
    const { waiting, lost, isFailing } = this.#deps.ledger();
    const reasons: string[] = [];
    if (isFailing) reasons.push(`database: the ledger cannot be written, ${waiting} rows wait`);
    try {
      this.#deps.readDatabase();
    } catch (cause) {
      reasons.push(`database: it cannot be read (${cause instanceof Error ? cause.message : String(cause)})`);
    }
    return { reasons, told: { ok: reasons.length === 0, waiting_rows: waiting, lost_rows: lost } };
  }

  /** What nobody is paid for has no price that could be old. */
  #checkPrices(targets: readonly Target[]) {
    const { pricesAt, now } = this.#deps;
    const paid = targets.filter(
      ({ provider, credential }) => credential === "ours" && provider.keySource !== undefined,
    );
    const known = [...new Set(paid.map(({ provider }) => provider.id))].flatMap((id) => {
      const at = pricesAt(id);
      return at === undefined ? [] : [{ id, at }];
    });
    const old = known.filter(({ at }) => now() - at > oldPricesMs);
    const reasons = old.map(({ id, at }) => {
      const days = Math.floor((now() - at) / 86_400_000);
      return `prices: those of ${id} are ${days} days old, since no newer list could be fetched`;
    });
    const oldest = known.length === 0 ? undefined : Math.min(...known.map(({ at }) => at));
    return { reasons, told: { ok: old.length === 0, oldest_at: asIso(oldest) } };
  }

  async #checkUpstreams(plans: readonly { tier: TierReport; targets: readonly Target[] }[]) {
    const hosts = new Map<string, { url: string; error?: string | undefined }>();
    for (const { targets } of plans)
      for (const target of targets) for (const url of urlsOf(target)) hosts.set(hostOf(url), { url });
    await Promise.all(
      [...hosts.values()].map(async (host) => {
        host.error = (await this.#reached(new URL(host.url).origin)).error;
      }),
    );
    for (const origin of this.#reach.keys()) if (!hosts.has(hostOf(origin))) this.#reach.delete(origin);
    const why = ({ tier, targets }: (typeof plans)[number]): string | undefined => {
      if (targets.length === 0) return "no model is configured";
      const own = [...new Set(targets.flatMap(urlsOf).map(hostOf))];
      if (own.every((host) => hosts.get(host)?.error !== undefined)) {
        return `nobody can be reached (${own.map((host) => `${host}: ${hosts.get(host)?.error}`).join("; ")})`;
      }
      if (tier.serves !== null) return undefined;
      return `nobody can be asked (${tier.candidates.map(({ target, reason }) => `${target}: ${reason}`).join("; ")})`;
    };
    // Tiers often have the same fate.
    const fates = Map.groupBy(plans, why);
    const reasons = [...fates].flatMap(([fate, those]) =>
      fate === undefined ? [] : [`upstreams: for ${those.map(({ tier }) => tier.tier).join(", ")} ${fate}`],
    );
    const names = [...hosts];
    return {
      reasons,
      told: {
        ok: reasons.length === 0,
        reached: names.flatMap(([host, { error }]) => (error === undefined ? [host] : [])),
        not_reached: names.flatMap(([host, { error }]) => (error === undefined ? [] : [host])),
      },
    };
  }

  /** Asked once by all who ask at the same time. */
  async #reached(origin: string): Promise<Reach> {
    const known = this.#reach.get(origin);
    const now = this.#deps.now();
    if (known !== undefined) {
      const { at } = await known;
      if (now - at < reachMs && now >= at) return known;
    }
    const asked = this.#call(origin);
    this.#reach.set(origin, asked);
    return asked;
  }

  /** Any answer will do: a door that is closed to us is there all the same. */
  async #call(origin: string): Promise<Reach> {
    const init = { method: "HEAD", redirect: "manual", signal: AbortSignal.timeout(reachLimitMs) } as const;
    try {
      await this.#deps.fetch(origin, init);
      return { at: this.#deps.now(), error: undefined };
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      const error = init.signal.aborted ? `no answer within ${reachLimitMs / 1000} s` : (code ?? message);
      return { at: this.#deps.now(), error };
    }
  }

  async #checkLoops() {
    const { loops, now } = this.#deps;
    const startedAt = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 0));
    const delayMs = Math.round(performance.now() - startedAt);
    const late = loops().filter(({ lastAt, everyMs }) => now() - lastAt > everyMs * 5 + 30_000);
    const reasons = [
      ...(delayMs > slowLoopMs ? [`loops: the event loop takes ${delayMs} ms to come round`] : []),
      ...late.map(({ name, lastAt }) => `loops: ${name} has not come round since ${asIso(lastAt)}`),
    ];
    return { reasons, told: { ok: reasons.length === 0, delay_ms: delayMs, late: late.map(({ name }) => name) } };
  }
}

function urlsOf({ provider, protocol }: Target): string[] {
  const url = provider.urls[protocol];
  return url === undefined || !URL.canParse(url) ? [] : [url];
}

/** Without what else a URL may hold, such as a password. */
function hostOf(url: string): string {
  return new URL(url).host;
}
