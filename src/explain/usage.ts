/** What was used and what it cost, as `clutch usage --json` has it. Pure. */

import type { z } from "zod";
import type { usageReport, usageRow, usageSavings, usageTotals } from "../gateway/admin-schemas.ts";
import { noSums, type Sums, sumNames } from "../store/rollup.ts";
import type { GroupedSums, UsageSpan } from "../store/usage.ts";
import type { UsageGroup } from "../usage-groups.ts";
import { renderDay } from "./period.ts";

export type UsageTotals = z.infer<typeof usageTotals>;

/** Besides its key, under the name that it is grouped by: null where it is unknown, or nobody answered. */
export type UsageRow = z.infer<typeof usageRow>;

/** All in US dollars, against what the first choice would have cost for the same tokens; null is unknown, below 0 it cost more. */
export type UsageSavings = z.infer<typeof usageSavings>;

export type UsageReport = z.infer<typeof usageReport>;

/** @param groups whatever they are grouped by, they come to the totals. The dearest first; days in their order */
export function reportUsage(groups: readonly GroupedSums[], span: UsageSpan, by: UsageGroup): UsageReport {
  const totals = { ...noSums };
  for (const group of groups) for (const name of sumNames) totals[name] += group[name];
  const ordered = groups.toSorted(by === "day" ? (a, b) => Number(a.key) - Number(b.key) : dearerFirst);
  const { completed, errors, aborted, free, plan, estimated, leftUsd } = totals;
  return {
    from: renderDay(span.fromDay),
    to: renderDay(span.toDay),
    by,
    totals: reportSums(totals),
    rows: ordered.map((group) => ({ [by]: nameOf(group.key, by), ...reportSums(group) })),
    outcomes: {
      completed,
      errors,
      aborted,
      free_requests: free,
      plan_requests: plan,
      estimated_requests: estimated,
      left_usd: money(leftUsd),
    },
    savings: reportSavings(totals),
  };
}

function dearerFirst(a: GroupedSums, b: GroupedSums): number {
  return b.costUsd - a.costUsd || allTokens(b) - allTokens(a) || b.requests - a.requests || compare(a.key, b.key);
}

function compare(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function allTokens({ inputTokens, cacheReadTokens, cacheWriteTokens, outputTokens }: Sums): number {
  return inputTokens + cacheReadTokens + cacheWriteTokens + outputTokens;
}

function nameOf(key: string | number, by: UsageGroup): string | null {
  if (by === "day") return renderDay(Number(key));
  return key === "" ? null : String(key);
}

function reportSums(sums: Sums): UsageTotals {
  return {
    requests: sums.requests,
    input_tokens: sums.inputTokens,
    cache_read_tokens: sums.cacheReadTokens,
    cache_write_tokens: sums.cacheWriteTokens,
    output_tokens: sums.outputTokens,
    reasoning_tokens: sums.reasoningTokens,
    cost_usd: knownCost(sums),
    unpriced_requests: sums.unpriced,
  };
}

/** In US dollars. Nothing is paid for where nobody answered; otherwise an unknown price is not zero but null. */
export function knownCost({ unpriced, costUsd, free, plan }: Sums): number | null {
  return unpriced > 0 && costUsd === 0 && free + plan === 0 ? null : money(costUsd);
}

function reportSavings(sums: Sums): UsageSavings {
  const { moved, movedUnknown, compressed, compressedUnknown, tokensBefore, tokensAfter } = sums;
  const isUnknown = moved > 0 && moved === movedUnknown;
  return {
    cascade_usd: isUnknown ? null : money(sums.cascadeSavedUsd - sums.leftUsd),
    free_usd: isUnknown ? null : money(sums.freeSavedUsd),
    moved_requests: moved,
    unknown_requests: movedUnknown,
    compression_usd: compressed > 0 && compressed === compressedUnknown ? null : money(sums.compressionSavedUsd),
    compression_tokens: tokensBefore - tokensAfter,
    compression_share: tokensBefore === 0 ? null : (tokensBefore - tokensAfter) / tokensBefore,
  };
}

/** What adding up thousands of parts of a cent leaves behind is no money. */
export function money(usd: number): number {
  return Math.round(usd * 1e9) / 1e9;
}

const numbers = [
  "requests",
  "input_tokens",
  "cache_read_tokens",
  "cache_write_tokens",
  "output_tokens",
  "reasoning_tokens",
  "cost_usd",
  "unpriced_requests",
] as const satisfies readonly (keyof UsageTotals)[];

/** One row for each group below a head; an unknown cost is an empty cell. */
export function tabulateUsage({ rows, by }: UsageReport): (string | number | null)[][] {
  return [[by, ...numbers], ...rows.map((row) => [row[by] ?? null, ...numbers.map((name) => row[name])])];
}
