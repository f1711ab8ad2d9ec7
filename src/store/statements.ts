/** The statements that rows are written by, prepared once. Apart from `requests.ts`, since a gateway that starts needs none. */

import type { Database } from "bun:sqlite";
import { and, desc, eq, getTableColumns, is, isNull, Param, type Placeholder, type SQL, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { type Additions, type SessionKey, type Sums, sumNames, type UsageKey } from "./rollup.ts";
import { type AttemptRow, attempts, type RequestRow, requests } from "./schema.ts";
import { type LaunchRow, launches, type PriceRow, prices, sessionDays, usageDays } from "./sums-schema.ts";

/** What is written again and again. */
export function prepareAll(db: BunSQLiteDatabase) {
  // Spelt out: as a parameter it would have to be put behind the values of each row.
  const isPending = sql`${requests.status} = 'pending'`;
  // Ended rows are final: whatever is written later, by whoever, cannot make one end twice or count twice.
  const saveRequest = prepare<RequestRow>(
    db,
    db
      .insert(requests)
      .values(placeholders(requests))
      .onConflictDoUpdate({ target: requests.id, set: excluded(requests), setWhere: isPending }),
    requestValues,
  );
  // An attempt that was abandoned may end after its request has.
  const saveLate = prepare<RequestRow>(
    db,
    db
      .update(requests)
      .set({ attempts: sql`${sql.placeholder("attempts")}`, trail: sql`${sql.placeholder("trail")}` })
      .where(eq(requests.id, sql.placeholder("id"))),
  );
  // What an upstream has counted may be known a moment after the attempt, and only once.
  const isCountedNow = and(isNull(attempts.outputTokens), sql`excluded.output_tokens is not null`);
  const saveAttempt = prepare<AttemptRow>(
    db,
    db
      .insert(attempts)
      .values(placeholders(attempts))
      .onConflictDoUpdate({
        target: [attempts.requestId, attempts.number],
        set: excluded(attempts),
        setWhere: isCountedNow,
      }),
    attemptValues,
  );
  const saveLaunch = prepare<LaunchRow>(db, db.insert(launches).values(placeholders(launches)).onConflictDoNothing());
  const savePrice = prepare<PriceRow>(db, db.insert(prices).values(placeholders(prices)).onConflictDoNothing());
  const addUsage = prepare<UsageKey & Sums>(
    db,
    db
      .insert(usageDays)
      .values(placeholders(usageDays))
      .onConflictDoUpdate({
        target: [usageDays.day, usageDays.agent, usageDays.provider, usageDays.model, usageDays.folder, usageDays.tier],
        set: added(usageDays),
      }),
  );
  const addSession = prepare<SessionKey & Sums>(
    db,
    db
      .insert(sessionDays)
      .values(placeholders(sessionDays))
      .onConflictDoUpdate({
        target: [sessionDays.day, sessionDays.session],
        set: {
          ...added(sessionDays),
          firstAt: sql`min(${sessionDays.firstAt}, excluded.first_at)`,
          lastAt: sql`max(${sessionDays.lastAt}, excluded.last_at)`,
          agent: ifKnown(sessionDays.agent),
          folder: ifKnown(sessionDays.folder),
          launchId: ifKnown(sessionDays.launchId),
        },
      }),
  );
  const write = (additions: Additions) => {
    for (const sums of additions.usage) addUsage(sums);
    for (const sums of additions.sessions) addSession(sums);
  };
  const launchFolder = db
    .select({ folder: launches.folder })
    .from(launches)
    .where(eq(launches.id, sql.placeholder("id")))
    .prepare();
  const folderOf = (launchId: string) => launchFolder.get({ id: launchId })?.folder ?? null;
  const isPriceKnown = (price: PriceRow) => {
    const { provider, model, at: _, ...said } = price;
    const isOfModel = and(eq(prices.provider, provider), eq(prices.model, model));
    const newest = db.select().from(prices).where(isOfModel).orderBy(desc(prices.at)).limit(1).get();
    return (
      newest !== undefined && Object.entries(said).every(([key, value]) => newest[key as keyof PriceRow] === value)
    );
  };
  return { saveRequest, saveLate, saveAttempt, saveLaunch, savePrice, folderOf, isPriceKnown, write };
}

/** A prepared statement's parameters, one per column, named as in the row type. */
function placeholders<Table extends SQLiteTable>(table: Table): Table["$inferInsert"] {
  return Object.fromEntries(
    Object.keys(getTableColumns(table)).map((key) => [key, sql.placeholder(key)]),
  ) as Table["$inferInsert"];
}

function excluded(table: SQLiteTable): Record<string, SQL> {
  return Object.fromEntries(
    Object.entries(getTableColumns(table)).map(([key, column]) => [key, sql.raw(`excluded."${column.name}"`)]),
  );
}

/** What is there and what comes, summed up. */
function added(table: SQLiteTable): Record<string, SQL> {
  const columns = getTableColumns(table);
  return Object.fromEntries(
    sumNames.flatMap((name) => {
      const column = columns[name];
      return column === undefined ? [] : [[name, sql`${column} + ${sql.raw(`excluded."${column.name}"`)}`]];
    }),
  );
}

/** What comes, unless it is unknown. */
function ifKnown(column: SQLiteColumn): SQL {
  return sql`coalesce(nullif(${sql.raw(`excluded."${column.name}"`)}, ''), ${column})`;
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
    row.servedProtocol,
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
 * @param valuesOf spelt out where it is for every request; looked up by name where it is not
 * @returns how many rows a call has written
 * @throws {Error} when `valuesOf` and the table have grown apart
 */
function prepare<Row extends object>(
  db: BunSQLiteDatabase,
  query: { toSQL(): { sql: string; params: unknown[] } },
  valuesOf?: (row: Row) => Value[],
): (row: Row) => number {
  const { sql: text, params } = query.toSQL();
  const names = params.map((param) => ((is(param, Param) ? param.value : param) as Placeholder).name);
  const read = valuesOf ?? ((row: Row) => names.map((name) => (row as Record<string, Value>)[name]));
  const given = read(Object.fromEntries(names.map((name) => [name, name])) as Row);
  if (!Bun.deepEquals(given, names)) throw new Error(`values ${given} are written to columns ${names}`);
  // Bun takes all values as one array too, and then need not gather them; its types leave that out.
  const statement = (db as unknown as { $client: Database }).$client.prepare(text) as unknown as Statement;
  return (row) => statement.run(read(row)).changes;
}

interface Statement {
  run(values: readonly Value[]): { changes: number };
}
