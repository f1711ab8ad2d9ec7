/** What a request cost, and what it would have cost elsewhere, as far as anybody tells. Pure. */

import { costOf, meanInputPrice, type Price } from "../models/prices.ts";
import type { Usage } from "../protocols/chat.ts";
import type { AttemptRow, Pricing, RequestRow } from "../store/schema.ts";

/** The price of `provider:model`; undefined where nobody tells it. */
export type PriceOf = (reference: string) => Price | undefined;

/** The columns of a request or an attempt that tell its cost; null is unknown. */
export interface Cost {
  costUsd: number | null;
  pricing: Pricing | null;
  priceSource: string | null;
  priceAt: number | null;
}

const unknown: Cost = { costUsd: null, pricing: null, priceSource: null, priceAt: null };

/**
 * The upstream's own word comes first.
 * @param now ms since 1970, for what the upstream says
 * @param usage undefined where nobody counted: then only what costs nothing has a known cost
 */
export function costOfAnswer(price: Price | undefined, usage: Usage | undefined, now: number): Cost {
  const costsNothing = price !== undefined && price.kind !== "list";
  if (usage?.costUsd !== undefined && !(costsNothing && usage.costUsd === 0)) {
    return { costUsd: usage.costUsd, pricing: "billed", priceSource: "upstream", priceAt: now };
  }
  if (price === undefined || (usage === undefined && !costsNothing)) return unknown;
  const costUsd = usage === undefined ? 0 : costOf(price, usage);
  return { costUsd, pricing: price.kind, priceSource: price.source, priceAt: price.at };
}

/** Tokens that an agent's own login paid for. What is paid by the month adds nothing to a bill. */
export const ownLogin: Price = { kind: "plan", source: "own login", at: null };

/** What a row says of its usage, as the upstream told it. */
export function usageOf(row: RequestRow | AttemptRow): Usage | undefined {
  if (row.outputTokens === null || row.outputTokens === undefined) return undefined;
  return {
    input: row.inputTokens ?? 0,
    cacheRead: row.cacheReadTokens ?? 0,
    cacheWrite: row.cacheWriteTokens ?? 0,
    output: row.outputTokens,
    reasoning: row.reasoningTokens ?? 0,
  };
}

/** What the first choice would have cost for the same tokens, and what those would have cost that compression took out. */
export function compareCosts(
  row: RequestRow,
  price: Price | undefined,
  usage: Usage | undefined,
  priceOf: PriceOf,
): Pick<RequestRow, "firstChoiceUsd" | "compressionUsd"> {
  const first = row.firstChoice == null ? undefined : priceOf(row.firstChoice);
  const firstCost = first === undefined ? unknown : costOfAnswer(first, withoutBill(usage), 0);
  const saved = Math.max(0, (row.tokensBefore ?? 0) - (row.tokensAfter ?? 0));
  const each = price === undefined || usage === undefined || saved === 0 ? undefined : meanInputPrice(price, usage);
  return { firstChoiceUsd: firstCost.costUsd, compressionUsd: each === undefined ? null : saved * each };
}

/** The bill of whoever answered says nothing of another's. */
function withoutBill(usage: Usage | undefined): Usage | undefined {
  if (usage === undefined) return undefined;
  const { costUsd: _, ...tokens } = usage;
  return tokens;
}

/** Answers of the gateway itself, which cost nothing and which no price is waited for. */
export function isOwnAnswer(servedBy: string): boolean {
  return servedBy.startsWith("clutch:");
}
