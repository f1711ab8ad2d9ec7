/** Looks into a ledger that a gateway may be writing to; there is no SQL elsewhere. */

import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { and, desc, eq, gte, isNotNull, lt, type SQLWrapper, sql } from "drizzle-orm";
import { type BunSQLiteDatabase, drizzle } from "drizzle-orm/bun-sqlite";
import { ClutchError } from "../errors.ts";
import { type AttemptRow, attempts, type CircuitRow, circuits, type RequestRow, requests } from "./schema.ts";

export interface Lookups {
  /** Whose ids begin so, newest first. */
  findRequests(prefix: string, limit: number): Promise<RequestRow[]>;
  newestRequest(): Promise<RequestRow | undefined>;
  attemptsOf(id: string): Promise<AttemptRow[]>;
  /** Empty in a ledger that is older than breakers. */
  circuits(): Promise<CircuitRow[]>;
  /** How often each model was asked in requests that began since then (ms since 1970), by how it ended. */
  countAttempts(since: number, provider?: string): Promise<AttemptCount[]>;
  /** By session, or by launch where the agent has none; of requests that began since then (ms since 1970). */
  savings(since: number): Promise<SessionSavings[]>;
}

/** What compression has come to in one session, of its requests that it was tried on. */
export interface SessionSavings {
  session: string;
  requests: number;
  /** Estimates, see the columns. */
  tokensBefore: number;
  tokensAfter: number;
  /** What the upstreams had in their prompt caches. */
  cacheReadTokens: number;
  /** Attempts beyond the first. */
  retries: number;
}

export interface AttemptCount {
  provider: string;
  model: string;
  /** Null for those that served. */
  failureKind: string | null;
  count: number;
}

export function lookups(db: BunSQLiteDatabase): Lookups {
  return {
    async findRequests(prefix, limit) {
      const begins = and(gte(requests.id, prefix), lt(requests.id, `${prefix}\u{10ffff}`));
      return db.select().from(requests).where(begins).orderBy(desc(requests.id)).limit(limit).all();
    },
    async newestRequest() {
      return db.select().from(requests).orderBy(desc(requests.id)).limit(1).get();
    },
    async attemptsOf(id) {
      return db.select().from(attempts).where(eq(attempts.requestId, id)).orderBy(attempts.number).all();
    },
    async circuits() {
      return hasTable(db, "circuits") ? db.select().from(circuits).all() : [];
    },
    async countAttempts(since, provider) {
      const isRecent = gte(attempts.requestId, firstIdOf(since));
      const { model, failureKind } = attempts;
      return db
        .select({ provider: attempts.provider, model, failureKind, count: sql<number>`count(*)` })
        .from(attempts)
        .where(provider === undefined ? isRecent : and(isRecent, eq(attempts.provider, provider)))
        .groupBy(attempts.provider, model, failureKind)
        .all();
    },
    async savings(since) {
      const session = sql<string>`coalesce(${requests.session}, ${requests.launchId}, '')`;
      const sum = (value: SQLWrapper) => sql<number>`coalesce(sum(${value}), 0)`;
      return db
        .select({
          session,
          requests: sql<number>`count(*)`,
          tokensBefore: sum(requests.tokensBefore),
          tokensAfter: sum(requests.tokensAfter),
          cacheReadTokens: sum(requests.cacheReadTokens),
          retries: sql<number>`sum(max(${requests.attempts} - 1, 0))`,
        })
        .from(requests)
        .where(and(gte(requests.id, firstIdOf(since)), isNotNull(requests.compression)))
        .groupBy(session)
        .all();
    },
  };
}

/** An id begins with its request's time, so what is asked since then reads the end of the table alone. */
function firstIdOf(since: number): string {
  return Math.max(0, Math.floor(since)).toString(36).padStart(8, "0");
}

function hasTable(db: BunSQLiteDatabase, name: string): boolean {
  return db.all(sql`SELECT name FROM sqlite_master WHERE name = ${name}`).length > 0;
}

/**
 * For one command, beside the gateway or without one; nothing can be written.
 * @throws {ClutchError} `failed` when there is no ledger yet, `database-broken` when it cannot be read
 */
export async function withLedger<Result>(path: string, look: (lookups: Lookups) => Promise<Result>): Promise<Result> {
  if (!existsSync(path)) {
    throw new ClutchError("failed", `there is no ledger yet (${path})`, {
      hint: "start the gateway with clutch serve, or an agent with xx",
    });
  }
  let client: Database | undefined;
  try {
    client = new Database(path, { readonly: true });
    client.run("PRAGMA busy_timeout = 2000");
    return await look(lookups(drizzle({ client })));
  } catch (cause) {
    if (cause instanceof ClutchError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ClutchError("database-broken", `cannot read ${path} (${reason})`, {
      hint: "set CLUTCH_HOME if the gateway has another home, or move the file away: serve makes a new one",
      cause,
    });
  } finally {
    client?.close();
  }
}
