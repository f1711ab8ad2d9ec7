/** The view on all attempts. Apart from `schema.ts`, since a gateway that starts reads none, and drizzle takes its time. */

import { getTableColumns, isNotNull, sql } from "drizzle-orm";
import { sqliteView } from "drizzle-orm/sqlite-core";
import { type AttemptRow, attempts, requests } from "./schema.ts";

/** Also those of which the request's row alone tells (`requests.servedProtocol`): they served, and nobody else was asked. */
export const everyAttempt = sqliteView("every_attempt").as((query) => {
  const colon = sql`instr(${requests.servedBy}, ':')`;
  const none = sql<null>`null`;
  const own = {
    requestId: requests.id,
    number: sql<number>`1`,
    provider: sql<string>`substr(${requests.servedBy}, 1, ${colon} - 1)`,
    model: sql<string>`substr(${requests.servedBy}, ${colon} + 1)`,
    protocol: sql<AttemptRow["protocol"]>`${requests.servedProtocol}`,
    startedAt: requests.startedAt,
    durationMs: sql<number>`coalesce(${requests.durationMs}, 0)`,
    failureKind: none,
    failureScope: none,
    httpStatus: none,
    message: none,
    retryAfterMs: none,
    inputTokens: none,
    cacheReadTokens: none,
    cacheWriteTokens: none,
    outputTokens: none,
    reasoningTokens: none,
    costUsd: none,
    pricing: none,
  };
  return query
    .select(getTableColumns(attempts))
    .from(attempts)
    .unionAll(query.select(own).from(requests).where(isNotNull(requests.servedProtocol)));
});
