/** The queries that pick requests by what a person asks for; there is no SQL elsewhere. What is asked for is data, never SQL. */

import { and, desc, eq, getTableColumns, gt, gte, inArray, isNotNull, lt, type SQL, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import { type RequestRow, requests } from "./schema.ts";

/** Everything that is given has to hold. */
export interface RequestFilter {
  /** Letters. */
  agents?: readonly string[];
  /** A part of the name that was asked for, in any case. */
  model?: string;
  /** A part of `provider:model`, in any case. */
  servedBy?: string;
  statuses?: readonly RequestRow["status"][];
  /** The session's id, or its beginning. */
  session?: string;
  launchId?: string;
  /** Milliseconds since 1970, this one included. */
  since?: number;
  /** Milliseconds since 1970, this one left out. */
  until?: number;
}

/** A row without its trail, which is for `clutch why`. */
export type ListedRequest = Omit<RequestRow, "trail">;

export interface RequestList {
  newest(filter: RequestFilter, limit: number): Promise<ListedRequest[]>;
  /** The next ones behind that id, the oldest first. */
  page(filter: RequestFilter, behindId: string, limit: number): Promise<ListedRequest[]>;
  byIds(filter: RequestFilter, ids: readonly string[]): Promise<ListedRequest[]>;
  /** Of those under way, or left so by a gateway that ended; whatever a filter says. */
  pendingIds(): Promise<string[]>;
  /** Changes whenever somebody else has written. */
  version(): number;
}

const { trail: _trail, ...listed } = getTableColumns(requests);

export function requestList(db: BunSQLiteDatabase): RequestList {
  return {
    async newest(filter, limit) {
      return db.select(listed).from(requests).where(matches(filter)).orderBy(desc(requests.id)).limit(limit).all();
    },
    async page(filter, behindId, limit) {
      const behind = and(gt(requests.id, behindId), matches(filter));
      return db.select(listed).from(requests).where(behind).orderBy(requests.id).limit(limit).all();
    },
    async byIds(filter, ids) {
      const wanted = and(inArray(requests.id, [...ids]), matches(filter));
      return db.select(listed).from(requests).where(wanted).orderBy(requests.id).all();
    },
    async pendingIds() {
      const rows = db.select({ id: requests.id }).from(requests).where(eq(requests.status, "pending")).all();
      return rows.map(({ id }) => id);
    },
    version() {
      const [row] = db.all<{ data_version: number }>(sql`PRAGMA data_version`);
      return row?.data_version ?? 0;
    },
  };
}

function matches(filter: RequestFilter): SQL | undefined {
  const { agents, model, servedBy, statuses, session, launchId, since, until } = filter;
  return and(
    ...(since === undefined ? [] : [gte(requests.id, firstIdOf(since))]),
    ...(until === undefined ? [] : [lt(requests.id, firstIdOf(until))]),
    ...(agents === undefined ? [] : [inArray(requests.agent, [...agents])]),
    ...(statuses === undefined ? [] : [inArray(requests.status, [...statuses])]),
    ...(launchId === undefined ? [] : [eq(requests.launchId, launchId)]),
    ...(session === undefined ? [] : [isNotNull(requests.session), begins(requests.session, session)]),
    ...(model === undefined ? [] : [holds(requests.modelRequested, model)]),
    ...(servedBy === undefined ? [] : [isNotNull(requests.servedBy), holds(requests.servedBy, servedBy)]),
  );
}

/** No LIKE: what is typed may hold its signs. */
function holds(column: SQLiteColumn, part: string): SQL {
  return sql`instr(lower(${column}), lower(${part})) > 0`;
}

function begins(column: SQLiteColumn, start: string): SQL {
  return sql`substr(${column}, 1, length(${start})) = ${start}`;
}

/** An id begins with its request's start, in eight digits to the base 36 until the year 2059. */
export function firstIdOf(atMs: number): string {
  return Math.max(0, Math.floor(atMs)).toString(36).padStart(8, "0");
}
