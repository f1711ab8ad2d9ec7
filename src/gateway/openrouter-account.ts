/**
 * What OpenRouter says of the account behind its key: how many of today's free requests are left, and how much money. All
 * free models draw on one bucket, so an empty one shuts them all before the next request finds out, and a filled one opens
 * them again. Asked in the background, at most every five minutes, and only while OpenRouter is in use or shut.
 * @see https://openrouter.ai/docs/api-reference/limits
 */

import type { Provider } from "../../providers/registry.ts";
import type { Fetch } from "../../providers/upstream.ts";
import { nextMidnight } from "../explain/clock.ts";
import type { Json } from "../protocols/chat.ts";
import { isObject, readCount } from "../protocols/json.ts";
import { type Circuit, stateOf } from "./circuit.ts";
import { freePool, type Health } from "./health.ts";

/** What one look at the account has shown. */
export interface AccountFacts {
  /** Of the UTC day; undefined where it is not told. */
  free?: { limit: number; used: number; remaining: number };
  /** What the key may still spend (US dollars); null where it has no limit of its own. */
  credit: number | null;
  /** No money was ever paid in. */
  isFreeTier: boolean;
}

export interface AccountView {
  /** Milliseconds since 1970; undefined before the first look. */
  askedAt: number | undefined;
  /** Of the last look that told something. */
  facts: AccountFacts | undefined;
  /** Why the last look told nothing. */
  error: string | undefined;
}

export interface AccountDeps {
  fetch: Fetch;
  /** Milliseconds since 1970. */
  now(): number;
  /** Undefined where the config has none. */
  provider(): Provider | undefined;
  health: Pick<Health, "list" | "reset" | "shut">;
  /** Whether OpenRouter was asked anything since then. */
  wasUsed(since: number): Promise<boolean>;
  log(line: string): void;
}

/** How often the account is looked at, at most (ms). */
export const lookEveryMs = 5 * 60_000;

/** Where no such endpoint is, as behind another base URL, there will be none in five minutes either (ms). */
const absentForMs = 3_600_000;

const tickMs = 60_000;
const limitMs = 10_000;

export class OpenRouterAccount {
  readonly #deps: AccountDeps;
  readonly #startedAt: number;
  #view: AccountView = { askedAt: undefined, facts: undefined, error: undefined };
  #notBefore = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(deps: AccountDeps) {
    this.#deps = deps;
    this.#startedAt = deps.now();
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.tick(), tickMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  view(): AccountView {
    return this.#view;
  }

  /** Looks if it is time and there is a reason to. Never throws. */
  async tick(): Promise<void> {
    const now = this.#deps.now();
    if (now < this.#notBefore || (this.#deps.provider()?.keys.length ?? 0) === 0) return;
    const isShut = this.#open().free !== undefined || this.#open().account !== undefined;
    const since = this.#view.askedAt ?? this.#startedAt;
    if (isShut || (await this.#deps.wasUsed(since).catch(() => false))) await this.look();
  }

  /** Looks unless that was less than five minutes ago; afterwards `view` has what came of it. */
  async look(): Promise<void> {
    const provider = this.#deps.provider();
    const now = this.#deps.now();
    if (provider === undefined || provider.keys.length === 0 || now < this.#notBefore) return;
    this.#notBefore = now + lookEveryMs;
    const looks = await Promise.all(provider.keys.map(({ value }) => this.#ask(provider, value)));
    const facts = best(looks.flatMap((look) => (typeof look === "string" ? [] : look)));
    const error = looks.find((look) => typeof look === "string");
    const before = this.#view.facts;
    this.#view = { askedAt: now, facts: facts ?? before, error };
    // A key that tells nothing may have free requests left.
    if (facts !== undefined && error === undefined) this.#act(judge(before, facts, this.#open(), now), now);
  }

  async #ask(provider: Provider, key: string): Promise<AccountFacts | string> {
    const url = keyUrl(provider);
    if (url === undefined) return "it has no address";
    try {
      const response = await this.#deps.fetch(url, {
        headers: { ...provider.headers, authorization: `Bearer ${key}` },
        redirect: "manual",
        signal: AbortSignal.timeout(limitMs),
      });
      const body = (await response.json().catch(() => undefined)) as Json | undefined;
      if (response.status === 404) this.#notBefore = this.#deps.now() + absentForMs;
      if (!response.ok) return `it answered ${response.status}`;
      return parseAccount(body) ?? "its answer was not understood";
    } catch (cause) {
      return cause instanceof Error && cause.name === "TimeoutError" ? "it did not answer" : "it was not reached";
    }
  }

  #open(): OpenCircuits {
    const now = this.#deps.now();
    const known = new Map(this.#deps.health.list().map(({ id, circuit }) => [id, circuit]));
    const openOne = (id: string) => {
      const circuit = known.get(id);
      return circuit === undefined || stateOf(circuit, now) !== "open" ? undefined : circuit;
    };
    return { free: openOne(freePool), account: openOne(accountId) };
  }

  #act({ shut, open }: Verdict, now: number): void {
    const { health, log } = this.#deps;
    if (shut !== undefined) {
      health.shut(freePool, shut, nextMidnight(now) - now);
      log(`the free models of openrouter are closed until 00:00 UTC: ${shut}`);
    }
    for (const { id, why } of open) {
      health.reset((known) => known === id);
      log(`${id} is open again: ${why}`);
    }
  }
}

const accountId = "account:openrouter";

export interface OpenCircuits {
  free: Circuit | undefined;
  account: Circuit | undefined;
}

export interface Verdict {
  /** Why the free models must be shut for the rest of the day, if they must. */
  shut: string | undefined;
  open: { id: string; why: string }[];
}

/** What OpenRouter counts may lag behind what it has just refused (ms). */
const lagMs = 60_000;

/** What follows from a look. Pure. @param open what is shut at the moment */
export function judge(
  before: AccountFacts | undefined,
  after: AccountFacts,
  { free, account }: OpenCircuits,
  now: number,
): Verdict {
  const verdict: Verdict = { shut: undefined, open: [] };
  const { free: pool } = after;
  const isShutForToday = free !== undefined && free.until >= nextMidnight(now) - lagMs;
  if (pool?.remaining === 0 && !isShutForToday) {
    verdict.shut = `${pool.used} of today's ${pool.limit} free requests are used`;
  }
  // A limit per minute is over by itself, and says nothing of the day.
  const isOfTheDay = free?.kind === "quota";
  if (pool !== undefined && pool.remaining > 0 && isOfTheDay && now - free.openedAt >= lagMs) {
    verdict.open.push({ id: freePool, why: `${pool.remaining} of today's free requests are left` });
  }
  // The key endpoint does not tell a debt, so only a change for the better is a sign of money.
  const isUnpaid = account?.kind === "billing" && now - account.openedAt >= lagMs;
  if (isUnpaid && before !== undefined && isBetter(before, after)) {
    verdict.open.push({ id: accountId, why: "the account has more to spend than before" });
  }
  return verdict;
}

function isBetter(before: AccountFacts, after: AccountFacts): boolean {
  const credit = ({ credit: left }: AccountFacts) => left ?? Number.POSITIVE_INFINITY;
  return (
    credit(after) > Math.max(0, credit(before)) ||
    (before.isFreeTier && !after.isFreeTier) ||
    (after.free?.limit ?? 0) > (before.free?.limit ?? Number.POSITIVE_INFINITY)
  );
}

/** Of several keys the one with the most left: keys of one account tell the same, and those of others are asked too. */
function best(looks: readonly AccountFacts[]): AccountFacts | undefined {
  return looks.toSorted((one, other) => (other.free?.remaining ?? 0) - (one.free?.remaining ?? 0))[0];
}

/** `{"data": {"limit_remaining": 3.2, "is_free_tier": false, "free_model_daily_requests": {"limit": 50, ...}}}` */
export function parseAccount(body: Json | undefined): AccountFacts | undefined {
  const data = isObject(body) ? body["data"] : undefined;
  if (!isObject(data)) return undefined;
  const daily = isObject(data["free_model_daily_requests"]) ? data["free_model_daily_requests"] : {};
  const [limit, used, told] = [readCount(daily["limit"]), readCount(daily["used"]), readCount(daily["remaining"])];
  const remaining = told ?? (limit === undefined || used === undefined ? undefined : Math.max(0, limit - used));
  const credit = data["limit_remaining"];
  return {
    ...(limit !== undefined &&
      remaining !== undefined && { free: { limit, used: used ?? limit - remaining, remaining } }),
    credit: typeof credit === "number" && Number.isFinite(credit) ? credit : null,
    isFreeTier: data["is_free_tier"] === true,
  };
}

/** Beside the endpoints that models are asked at. */
function keyUrl({ urls }: Provider): string | undefined {
  const url = urls.chat ?? urls.messages ?? urls.responses;
  return url?.replace(/\/(?:chat\/completions|messages|responses)(?=$|\?)/, "/key");
}
