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
  // Prepared by the first rows: a gateway that starts has none, and somebody waits for it.
  let statements: ReturnType<typeof prepare> | undefined;
  const prepare = () => ({
    saveRequest: prepareSave(
      db,
      db
        .insert(requests)
        .values(placeholders(requests))
        .onConflictDoUpdate({ target: requests.id, set: excluded(requests) }),
      requestValues,
    ),
    saveAttempt: prepareSave(
      db,
      db.insert(attempts).values(placeholders(attempts)).onConflictDoNothing(),
      attemptValues,
    ),
  });
  return {
    async save(requestRows, attemptRows) {
      statements ??= prepare();
      const { saveRequest, saveAttempt } = statements;
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

interface Statement {
  run(values: readonly Value[]): void;
}

type Value = string | number | boolean | null | undefined;

/** In the order of the columns, and spelt out: to read them by a list of names takes as long as a third of the insert. */
function requestValues(row: RequestRow): Value[] {
  return [
    row.id,
    row.startedAt,
    row.status,
    row.protocol,
    row.streamed,
    row.agent,
    row.code,
    row.launchId,
    row.session,
    row.folder,
    row.tier,
    row.keyId,
    row.modelRequested,
    row.rule,
    row.trail,
    row.servedBy,
    row.attempts,
    row.httpStatus,
    row.error,
    row.inputTokens,
    row.cacheReadTokens,
    row.cacheWriteTokens,
    row.outputTokens,
    row.reasoningTokens,
    row.usageEstimated,
    row.costUsd,
    row.pricing,
    row.priceSource,
    row.priceAt,
    row.firstChoice,
    row.firstChoiceUsd,
    row.compressionUsd,
    row.durationMs,
    row.firstTokenMs,
    row.compression,
    row.tokensBefore,
    row.tokensAfter,
  ];
}

function attemptValues(row: AttemptRow): Value[] {
  return [
    row.requestId,
    row.number,
    row.provider,
    row.model,
    row.protocol,
    row.startedAt,
    row.durationMs,
    row.failureKind,
    row.failureScope,
    row.httpStatus,
    row.message,
    row.retryAfterMs,
    row.inputTokens,
    row.cacheReadTokens,
    row.cacheWriteTokens,
    row.outputTokens,
    row.reasoningTokens,
    row.costUsd,
    row.pricing,
  ];
}

/**
 * Drizzle writes the statement and SQLite runs it directly: binding through drizzle costs as much again as the insert
 * itself, and this runs once or twice for every request. Rows hold only what SQLite binds as it is (booleans as 0 and 1).
 * @throws {Error} when `valuesOf` and the table have grown apart
 */
function prepareSave<Row extends object>(
  db: BunSQLiteDatabase,
  query: { toSQL(): { sql: string; params: unknown[] } },
  valuesOf: (row: Row) => Value[],
): (row: Row) => void {
  const { sql: text, params } = query.toSQL();
  const columns = params.map((param) => ((param as Param).value as Placeholder).name);
  const given = valuesOf(Object.fromEntries(columns.map((column) => [column, column])) as Row);
  if (!Bun.deepEquals(given, columns)) throw new Error(`values ${given} are written to columns ${columns}`);
  // Bun takes all values as one array too, and then need not gather them; its types leave that out.
  const statement = (db as unknown as { $client: Database }).$client.prepare(text) as unknown as Statement;
  return (row) => statement.run(valuesOf(row));
}
