/** What today's requests come to, counted as they end, so that no question about them reads the ledger. Days are UTC. */

import type { z } from "zod";
import type { RequestRow } from "../store/schema.ts";
import { type LedgerTotals, noTotals } from "../store/totals.ts";
import type { dayTotals } from "./admin-schemas.ts";
import { startOfDay } from "./spending.ts";

/** `today` in `clutch status --json`; tokens and requests are counts. */
export type DayTotals = z.infer<typeof dayTotals>;

/** Stands in `served_by` where the gateway itself has answered: that costs nothing. */
const ownAnswers = "clutch:";

export class TodaysTotals {
  readonly #now: () => number;
  #since: number;
  #totals: LedgerTotals;

  /** @param known what the ledger says of today so far */
  constructor(now: () => number, known: LedgerTotals) {
    this.#now = now;
    this.#since = startOfDay(now());
    this.#totals = { ...known };
  }

  /** To be told of each request once, as it ends. One that began yesterday is yesterday's. */
  ended(row: RequestRow): void {
    this.#turnPage();
    if (row.startedAt < this.#since) return;
    const totals = this.#totals;
    totals.requests++;
    if (row.status === "completed") totals.completed++;
    else if (row.status === "error") totals.errors++;
    else totals.aborted++;
    totals.inputTokens += row.inputTokens ?? 0;
    totals.cacheReadTokens += row.cacheReadTokens ?? 0;
    totals.cacheWriteTokens += row.cacheWriteTokens ?? 0;
    totals.outputTokens += row.outputTokens ?? 0;
    totals.reasoningTokens += row.reasoningTokens ?? 0;
    totals.compressedBefore += row.tokensBefore ?? 0;
    totals.compressedAfter += row.tokensAfter ?? 0;
    if (row.costUsd !== null && row.costUsd !== undefined) {
      totals.costUsd += row.costUsd;
      totals.priced++;
    } else if (row.servedBy?.startsWith(ownAnswers) === false) totals.unpriced++;
  }

  /** To be told of a request whose cost was not known when it ended. */
  priced(row: RequestRow): void {
    this.#turnPage();
    if (row.startedAt < this.#since || row.costUsd === null || row.costUsd === undefined) return;
    this.#totals.costUsd += row.costUsd;
    this.#totals.priced++;
    this.#totals.unpriced--;
  }

  report(): DayTotals {
    this.#turnPage();
    return reportTotals(this.#totals, this.#since);
  }

  #turnPage(): void {
    const since = startOfDay(this.#now());
    if (since === this.#since) return;
    this.#since = since;
    this.#totals = { ...noTotals };
  }
}

/** @param since milliseconds since 1970 */
export function reportTotals(totals: LedgerTotals, since: number): DayTotals {
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
    // Nothing was paid for while nobody was asked; otherwise an unknown price is not zero.
    cost_usd: totals.priced === 0 && totals.unpriced > 0 ? null : totals.costUsd,
    unpriced_requests: totals.unpriced,
    savings:
      totals.compressedBefore === 0
        ? null
        : { tokens_before: totals.compressedBefore, tokens_after: totals.compressedAfter },
  };
}
