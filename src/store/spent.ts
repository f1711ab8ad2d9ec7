/** What requests have used, by whoever has a budget of his own. */

import { and, desc, eq, gt, gte, isNotNull, ne, type SQL, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import { attempts, requests } from "./schema.ts";

/** Requests that asked a model, and what they came to, answers that were left and billed included; an unknown price counts nothing. */
export interface Spent {
  agent: string | null;
  keyId: string | null;
  usd: number;
  tokens: number;
  requests: number;
  /** When the last of them began (ms since 1970). */
  lastAt: number;
}

/** Of those that were begun since then (ms since 1970), what is over, by agent and key; several rows may be of the same. */
export async function spentSince(db: BunSQLiteDatabase, since: number): Promise<Spent[]> {
  const by = { agent: requests.agent, keyId: requests.keyId };
  const asked = db
    .select({ ...by, ...sumsOf(requests), requests: counted, lastAt })
    .from(requests)
    .where(hasAsked(since))
    .groupBy(by.agent, by.keyId)
    .all();
  const left = db
    .select({ ...by, ...sumsOf(attempts), requests: sql<number>`0`, lastAt })
    .from(attempts)
    .innerJoin(requests, eq(requests.id, attempts.requestId))
    .where(isLeft(since))
    .groupBy(by.agent, by.keyId)
    .all();
  return [...left, ...asked];
}

/** The same by session, or by launch where there is none; the last active last. */
export async function sessionsSince(
  db: BunSQLiteDatabase,
  since: number,
  limit: number,
): Promise<(Spent & { session: string })[]> {
  const session = sql<string>`coalesce(${requests.session}, ${requests.launchId})`;
  const by = { session, agent: sql<null>`null`, keyId: sql<null>`null` };
  const asked = db
    .select({ ...by, ...sumsOf(requests), requests: counted, lastAt })
    .from(requests)
    .where(and(hasAsked(since), isNotNull(session)))
    .groupBy(session)
    .orderBy(desc(lastAt))
    .limit(limit)
    .all();
  const left = db
    .select({ ...by, ...sumsOf(attempts), requests: sql<number>`0`, lastAt })
    .from(attempts)
    .innerJoin(requests, eq(requests.id, attempts.requestId))
    .where(and(isLeft(since), isNotNull(session)))
    .groupBy(session)
    .all();
  return [...asked.reverse(), ...left];
}

const counted = sql<number>`count(*)`;
const lastAt = sql<number>`max(${requests.startedAt})`;

function sumsOf({
  costUsd,
  inputTokens,
  cacheReadTokens,
  cacheWriteTokens,
  outputTokens,
}: typeof requests | typeof attempts) {
  const tokens = sql`coalesce(${inputTokens}, 0) + coalesce(${cacheReadTokens}, 0) + coalesce(${cacheWriteTokens}, 0) + coalesce(${outputTokens}, 0)`;
  return { usd: sql<number>`coalesce(sum(${costUsd}), 0.0)`, tokens: sql<number>`coalesce(sum(${tokens}), 0)` };
}

/** An id begins with its request's time, so this reads the end of the table alone. */
function hasAsked(since: number): SQL | undefined {
  return and(gte(requests.id, firstIdOf(since)), ne(requests.status, "pending"), gt(requests.attempts, 0));
}

/** Tokens stand only in attempts that were left and are billed all the same, at once, however long the request goes on. */
function isLeft(since: number): SQL | undefined {
  return and(gte(attempts.requestId, firstIdOf(since)), isNotNull(attempts.outputTokens));
}

function firstIdOf(since: number): string {
  return Math.max(0, Math.floor(since)).toString(36).padStart(8, "0");
}
