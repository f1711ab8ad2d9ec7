/** What requests have used, by whoever has a budget of his own. */

import { and, desc, gt, gte, ne, type SQL, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import { requests } from "./schema.ts";

/** Requests that asked a model, and what they came to; an unknown price counts nothing. */
export interface Spent {
  agent: string | null;
  keyId: string | null;
  usd: number;
  tokens: number;
  requests: number;
  /** When the last of them began (ms since 1970). */
  lastAt: number;
}

/** Those that were begun since then (ms since 1970) and have ended, by agent and key. */
export async function spentSince(db: BunSQLiteDatabase, since: number): Promise<Spent[]> {
  const { agent, keyId } = requests;
  return db
    .select({ agent, keyId, ...sums })
    .from(requests)
    .where(hasAsked(since))
    .groupBy(agent, keyId)
    .all();
}

/** The same by session, or by launch where there is none; the last active last. */
export async function sessionsSince(
  db: BunSQLiteDatabase,
  since: number,
  limit: number,
): Promise<(Spent & { session: string })[]> {
  const session = sql<string | null>`coalesce(${requests.session}, ${requests.launchId})`;
  const rows = db
    .select({ session, agent: sql<null>`null`, keyId: sql<null>`null`, ...sums })
    .from(requests)
    .where(hasAsked(since))
    .groupBy(session)
    .orderBy(desc(sums.lastAt))
    .limit(limit)
    .all();
  return rows.reverse().flatMap(({ session: name, ...spent }) => (name === null ? [] : [{ ...spent, session: name }]));
}

const sums = {
  usd: sql<number>`coalesce(sum(${requests.costUsd}), 0.0)`,
  tokens: sql<number>`coalesce(sum(coalesce(${requests.inputTokens}, 0) + coalesce(${requests.cacheReadTokens}, 0) + coalesce(${requests.cacheWriteTokens}, 0) + coalesce(${requests.outputTokens}, 0)), 0)`,
  requests: sql<number>`count(*)`,
  lastAt: sql<number>`max(${requests.startedAt})`,
};

/** An id begins with its request's time, so this reads the end of the table alone. */
function hasAsked(since: number): SQL | undefined {
  const first = Math.max(0, Math.floor(since)).toString(36).padStart(8, "0");
  return and(gte(requests.id, first), ne(requests.status, "pending"), gt(requests.attempts, 0));
}
