/** A ledger with rows of one's own, for commands that read it. */

import { resolveHomes } from "../../src/config/paths.ts";
import { openStore } from "../../src/store/open.ts";
import { requestQueries } from "../../src/store/requests.ts";
import type { AttemptRow, RequestRow } from "../../src/store/schema.ts";

/** A request that has been answered; its id is made of its start, as the gateway's is. */
export function madeRow(startedAt: number, suffix: string, fields: Partial<RequestRow> = {}): RequestRow {
  return {
    id: `${startedAt.toString(36)}${suffix.padEnd(6, "0")}`,
    startedAt,
    status: "completed",
    protocol: "messages",
    streamed: true,
    modelRequested: "clutch-big",
    servedBy: "openrouter:moonshotai/kimi-k2.6:free",
    attempts: 1,
    ...fields,
  };
}

/** What the row of an attempt that served says beside whom and when. */
export const nothingToTell = {
  failureKind: null,
  failureScope: null,
  httpStatus: null,
  message: null,
  retryAfterMs: null,
  inputTokens: null,
  cacheReadTokens: null,
  cacheWriteTokens: null,
  outputTokens: null,
  reasoningTokens: null,
  costUsd: null,
  pricing: null,
} as const satisfies Partial<AttemptRow>;

/** Into the ledger of that CLUTCH_HOME, which no gateway may be using. */
export async function writeLedger(
  home: string,
  rows: readonly RequestRow[],
  attempts: readonly AttemptRow[] = [],
): Promise<void> {
  const store = openStore(resolveHomes({ CLUTCH_HOME: home }).database);
  await requestQueries(store.db).save(rows, attempts);
  store.close();
}
