/** What many requests come to. */

/** Requests and tokens are counts, cost is in US dollars. */
export interface LedgerTotals {
  requests: number;
  completed: number;
  errors: number;
  aborted: number;
  inputTokens: number;
  cacheReadTokens: number;
  cacheWriteTokens: number;
  outputTokens: number;
  reasoningTokens: number;
  costUsd: number;
  priced: number;
  unpriced: number;
  /** Tokens of the requests that compression was tried on, as they came and as they went on: estimates. */
  compressedBefore: number;
  compressedAfter: number;
}

export const noTotals: LedgerTotals = {
  requests: 0,
  completed: 0,
  errors: 0,
  aborted: 0,
  inputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
  costUsd: 0,
  priced: 0,
  unpriced: 0,
  compressedBefore: 0,
  compressedAfter: 0,
};
