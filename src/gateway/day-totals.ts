/** What today's requests come to, counted as they end, so that no question about them reads the ledger. Days are UTC. */

import type { z } from "zod";
import { knownCost } from "../explain/usage.ts";
import { addAttempt, addRequest, noSums, type Sums } from "../store/rollup.ts";
import type { AttemptRow, RequestRow } from "../store/schema.ts";
import type { dayTotals } from "./admin-schemas.ts";
import { startOfDay } from "./spending.ts";

/** `today` in `clutch status --json`; tokens and requests are counts. */
export type DayTotals = z.infer<typeof dayTotals>;

export class TodaysTotals {
  readonly #now: () => number;
  #since: number;
  #totals: Sums;

  /** @param known what the ledger says of today so far */
  constructor(now: () => number, known: Sums) {
    this.#now = now;
    this.#since = startOfDay(now());
    this.#totals = { ...known };
  }

  /** To be told of each request once, as it ends. One that began yesterday is yesterday's. */
  ended(row: RequestRow): void {
    if (this.#isToday(row)) addRequest(this.#totals, row, 1);
  }

  /** To be told of each attempt: one that was left may be billed all the same. */
  attempted(attempt: AttemptRow, request: RequestRow): void {
    if (this.#isToday(request)) addAttempt(this.#totals, attempt, 1);
  }

  /** To be told of a request whose cost was not known when it ended. */
  priced(row: RequestRow): void {
    if (!this.#isToday(row)) return;
    addRequest(this.#totals, { ...row, costUsd: null, pricing: null }, -1);
    addRequest(this.#totals, row, 1);
  }

  /** The same of an answer that was left. */
  pricedLeft(attempt: AttemptRow, request: RequestRow): void {
    if (!this.#isToday(request)) return;
    addAttempt(this.#totals, { ...attempt, costUsd: null, pricing: null }, -1);
    addAttempt(this.#totals, attempt, 1);
  }

  report(): DayTotals {
    this.#turnPage();
    return reportTotals(this.#totals, this.#since);
  }

  #isToday({ startedAt }: RequestRow): boolean {
    this.#turnPage();
    return startedAt >= this.#since;
  }

  #turnPage(): void {
    const since = startOfDay(this.#now());
    if (since === this.#since) return;
    this.#since = since;
    this.#totals = { ...noSums };
  }
}

/** @param since milliseconds since 1970 */
export function reportTotals(totals: Sums, since: number): DayTotals {
  const { tokensBefore, tokensAfter } = totals;
  return {
    since: new Date(since).toISOString(),
    requests: totals.requests,
    completed: totals.completed,
    errors: totals.errors,
    aborted: totals.aborted,
    input_tokens: totals.inputTokens,
    cache_read_tokens: totals.cacheReadTokens,
    cache_write_tokens: totals.cacheWriteTokens,
    output_tokens: totals.outputTokens,
    reasoning_tokens: totals.reasoningTokens,
    cost_usd: knownCost(totals),
    unpriced_requests: totals.unpriced,
    savings: tokensBefore === 0 ? null : { tokens_before: tokensBefore, tokens_after: tokensAfter },
  };
}
