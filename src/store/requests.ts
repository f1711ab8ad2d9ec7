/** The queries on requests and their attempts; there is no SQL elsewhere. Asynchronous, so that a server database fits later. */

import type { Database } from "bun:sqlite";
import { eq, getTableColumns, type Param, type Placeholder, sql } from "drizzle-orm";
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
  const saveRequest = prepareSave(
    db,
    db
      .insert(requests)
      .values(placeholders(requests))
      .onConflictDoUpdate({ target: requests.id, set: excluded(requests) }),
  );
  const saveAttempt = prepareSave(db, db.insert(attempts).values(placeholders(attempts)).onConflictDoNothing());
  return {
    async save(requestRows, attemptRows) {
      db.transaction(() => {
        for (const row of requestRows) saveRequest(row);
        for (const row of attemptRows) saveAttempt(row);
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

/**
 * Drizzle writes the statement and SQLite runs it directly: binding through drizzle costs as much again as the insert
 * itself, and this runs once or twice for every request. Rows hold only what SQLite binds as it is (booleans as 0 and 1).
 */
function prepareSave(
  db: BunSQLiteDatabase,
  query: { toSQL(): { sql: string; params: unknown[] } },
): (row: object) => void {
  const { sql: text, params } = query.toSQL();
  const keys = params.map((param) => ((param as Param).value as Placeholder).name);
  const statement = (db as unknown as { $client: Database }).$client.prepare(text);
  return (row) => {
    const values = row as Record<string, string | number | boolean | null | undefined>;
    statement.run(...keys.map((key) => values[key] ?? null));
  };
}
