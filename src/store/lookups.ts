/** Looks into a ledger that a gateway may be writing to; there is no SQL elsewhere. */

import { and, desc, eq, gte, inArray, isNotNull, lt, ne, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import { readBeside } from "./beside.ts";
import { noSums, type Sums } from "./rollup.ts";
import { type AttemptRow, type CircuitRow, circuits, type RequestRow, requests } from "./schema.ts";
import { sumColumns } from "./usage.ts";

export interface Lookups {
  /** Whose ids begin so, newest first. */
  findRequests(prefix: string, limit: number): Promise<RequestRow[]>;
  newestRequest(): Promise<RequestRow | undefined>;
  attemptsOf(id: string): Promise<AttemptRow[]>;
  /** Empty in a ledger that is older than breakers. */
  circuits(): Promise<CircuitRow[]>;
  /** How often each model was asked in requests that began since then (ms since 1970), by how it ended. */
  countAttempts(since: number, provider?: string): Promise<AttemptCount[]>;
  /** Those that have ended, the newest first by their start, each with its attempts. */
  recentRequests(limit: number): Promise<{ request: RequestRow; attempts: AttemptRow[] }[]>;
  /** The newest answered one of a launch, among the last few hundred of all. */
  newestOfLaunch(launchId: string): Promise<RequestRow | undefined>;
  /** What the requests that began on that day (days since 1970, UTC) and have ended come to, left answers included. */
  sumsOfDay(day: number): Promise<Sums>;
}

/** How far back the last answer of a launch is looked for: there is no index by launch, and nobody waits for one. */
const maxLookBack = 500;

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
      const { everyAttempt } = await import("./attempts-schema.ts");
      const { requestId, number } = everyAttempt;
      return db.select().from(everyAttempt).where(eq(requestId, id)).orderBy(number).all();
    },
    async circuits() {
      return hasTable(db, "circuits") ? db.select().from(circuits).all() : [];
    },
    async countAttempts(since, provider) {
      const { everyAttempt } = await import("./attempts-schema.ts");
      // An id begins with its request's time, so this reads the ends of the tables alone.
      const isRecent = gte(everyAttempt.requestId, firstIdOf(since));
      const { model, failureKind } = everyAttempt;
      return db
        .select({ provider: everyAttempt.provider, model, failureKind, count: sql<number>`count(*)` })
        .from(everyAttempt)
        .where(provider === undefined ? isRecent : and(isRecent, eq(everyAttempt.provider, provider)))
        .groupBy(everyAttempt.provider, model, failureKind)
        .all();
    },
    async recentRequests(limit) {
      const ended = ne(requests.status, "pending");
      const rows = db.select().from(requests).where(ended).orderBy(desc(requests.id)).limit(limit).all();
      const ids = rows.map(({ id }) => id);
      const { everyAttempt } = await import("./attempts-schema.ts");
      const { requestId, number } = everyAttempt;
      const made = db.select().from(everyAttempt).where(inArray(requestId, ids)).orderBy(number).all();
      return rows.map((request) => ({
        request,
        attempts: made.filter(({ requestId }) => requestId === request.id),
      }));
    },
    async newestOfLaunch(launchId) {
      const { id, launchId: ofLaunch, servedBy } = requests;
      const newest = db.select({ id }).from(requests).orderBy(desc(id)).limit(maxLookBack).as("newest");
      return db
        .select()
        .from(requests)
        .where(and(inArray(id, db.select({ id: newest.id }).from(newest)), eq(ofLaunch, launchId), isNotNull(servedBy)))
        .orderBy(desc(id))
        .limit(1)
        .get();
    },
    async sumsOfDay(day) {
      // No request is read: those of a busy day are many, and a gateway's start waits for this.
      const [row] = db.all<Sums>(sql`SELECT ${sql.raw(sumColumns)} FROM usage_days WHERE day = ${day}`);
      return row ?? noSums;
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

/** For one command, beside the gateway or without one. @throws like `readBeside` */
export async function withLedger<Result>(path: string, look: (lookups: Lookups) => Promise<Result>): Promise<Result> {
  return readBeside(path, (db) => look(lookups(db)));
}
