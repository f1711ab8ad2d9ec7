/** The queries on requests and their attempts; there is no SQL elsewhere. Asynchronous, so that a server database fits later. */

import { eq, getTableColumns, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import { type AttemptRow, attempts, type RequestRow, requests } from "./schema.ts";

export interface RequestQueries {
  /** Writes rows as they now are, new or known, in one transaction. */
  save(requestRows: readonly RequestRow[], attemptRows: readonly AttemptRow[]): Promise<void>;
  /** Turns rows that an ended process left pending into aborted ones, and says how many. */
  recoverPending(): Promise<number>;
  find(id: string): Promise<{ request: RequestRow; attempts: AttemptRow[] } | undefined>;
}

export function requestQueries(db: BunSQLiteDatabase): RequestQueries {
  const saveRequest = db
    .insert(requests)
    .values(placeholders(requests))
    .onConflictDoUpdate({ target: requests.id, set: excluded(requests) })
    .prepare();
  const saveAttempt = db.insert(attempts).values(placeholders(attempts)).onConflictDoNothing().prepare();
  const requestDefaults = nulls(requests);
  const attemptDefaults = nulls(attempts);
  return {
    async save(requestRows, attemptRows) {
      db.transaction(() => {
        for (const row of requestRows) saveRequest.run({ ...requestDefaults, ...row });
        for (const row of attemptRows) saveAttempt.run({ ...attemptDefaults, ...row });
      });
    },
    async recoverPending() {
      const recovered = db
        .update(requests)
        .set({ status: "aborted", error: "the gateway ended before the answer did" })
        .where(eq(requests.status, "pending"))
        .returning({ id: requests.id })
        .all();
      return recovered.length;
    },
    async find(id) {
      const request = db.select().from(requests).where(eq(requests.id, id)).get();
      if (request === undefined) return undefined;
      const made = db.select().from(attempts).where(eq(attempts.requestId, id)).orderBy(attempts.number).all();
      return { request, attempts: made };
    },
  };
}

/** A prepared statement's parameters, one per column, named as in the row type. */
function placeholders<Table extends SQLiteTable>(table: Table): Table["$inferInsert"] {
  return Object.fromEntries(
    Object.keys(getTableColumns(table)).map((key) => [key, sql.placeholder(key)]),
  ) as Table["$inferInsert"];
}

function excluded(table: SQLiteTable): Record<string, ReturnType<typeof sql.raw>> {
  return Object.fromEntries(
    Object.entries(getTableColumns(table)).map(([key, column]) => [key, sql.raw(`excluded."${column.name}"`)]),
  );
}

function nulls(table: SQLiteTable): Record<string, null> {
  return Object.fromEntries(Object.keys(getTableColumns(table)).map((key) => [key, null]));
}
