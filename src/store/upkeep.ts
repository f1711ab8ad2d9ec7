/** What keeps a ledger small and sound: deleting what is too old, giving space back, checking, copying and replacing it. */

import { Database } from "bun:sqlite";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { ClutchError } from "../errors.ts";
import { newestMigrationMs } from "./migrate.ts";
import { holdAlone, moveAside } from "./open.ts";
import { dayOf } from "./rollup.ts";

/** A slice is a transaction of its own, short enough that nobody notices it (rows, pages). */
const sliceRows = 50;
/** Each of some hundred pages. */
const sliceBodies = 4;
const slicePages = 16;

/** An id begins with its request's time. @param ms since 1970 */
function firstIdOf(ms: number): string {
  return Math.max(0, Math.floor(ms)).toString(36).padStart(8, "0");
}

/**
 * Deletes one slice of what began before then; sums by day stay, those by session go with their requests.
 * @param before ms since 1970
 * @param bodiesBefore the same for captured bodies
 * @returns how many rows it deleted; 0 when nothing is left to delete
 */
export function pruneSlice(client: Database, before: number, bodiesBefore = before): number {
  const id = firstIdOf(before);
  return client.transaction(() => {
    const requests = client.run(
      `DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE id < ? AND status <> 'pending' ORDER BY id LIMIT ${sliceRows})`,
      [id],
    ).changes;
    const attempts = client.run(
      `DELETE FROM attempts WHERE (request_id, number) IN
         (SELECT request_id, number FROM attempts WHERE request_id < ? ORDER BY request_id, number LIMIT ${sliceRows})`,
      [id],
    ).changes;
    const sessions = client.run(
      `DELETE FROM session_days WHERE (day, session) IN
         (SELECT day, session FROM session_days WHERE day < ? ORDER BY day, session LIMIT ${sliceRows})`,
      [dayOf(before)],
    ).changes;
    const launches = client.run(
      `DELETE FROM launches WHERE id IN (SELECT id FROM launches WHERE started_at < ? LIMIT ${sliceRows})`,
      [before],
    ).changes;
    const bodies = client.run(
      `DELETE FROM captures WHERE rowid IN (SELECT rowid FROM captures WHERE created_at < ? LIMIT ${sliceBodies})`,
      [bodiesBefore],
    ).changes;
    return requests + attempts + sessions + launches + bodies;
  })();
}

/** Gives some unused pages back to the file system. @returns whether there are more */
export function vacuumSlice(client: Database): boolean {
  client.query(`PRAGMA incremental_vacuum(${slicePages})`).all();
  return isIncremental(client) && numberOf(client, "freelist_count") > 0;
}

/** Ledgers of the first versions cannot give pages back one by one. */
export function isIncremental(client: Database): boolean {
  return numberOf(client, "auto_vacuum") === 2;
}

function numberOf(client: Database, pragma: string): number {
  return Number(client.query(`PRAGMA ${pragma}`).values()[0]?.[0] ?? 0);
}

/**
 * Deletes all that began before then and gives its space back, beside a gateway or without one.
 * @param before ms since 1970
 * @throws {ClutchError} `database-broken` when it cannot be written
 */
export async function pruneWhole(path: string, before: number): Promise<{ rows: number; bytes: number }> {
  const size = statSync(path).size;
  let rows = 0;
  let client: Database | undefined;
  try {
    client = new Database(path, { readwrite: true });
    client.run("PRAGMA busy_timeout = 10000");
    for (let slice = pruneSlice(client, before); slice > 0; slice = pruneSlice(client, before)) {
      rows += slice;
      // A gateway that wants to write in between gets its turn.
      await Bun.sleep(1);
    }
    while (vacuumSlice(client)) await Bun.sleep(1);
    if (!isIncremental(client) && !isServed(path)) rebuild(client);
    client.run("PRAGMA wal_checkpoint(PASSIVE)");
  } catch (cause) {
    throw new ClutchError(
      "database-broken",
      `cannot prune ${path} (${cause instanceof Error ? cause.message : cause})`,
      {
        hint: "try clutch db check",
        cause,
      },
    );
  } finally {
    client?.close();
  }
  return { rows, bytes: Math.max(0, size - statSync(path).size) };
}

/** Once, for ledgers of the first versions: from then on they give space back as they go. */
function rebuild(client: Database): void {
  client.run("PRAGMA auto_vacuum = INCREMENTAL");
  client.run("VACUUM");
}

function isServed(path: string): boolean {
  try {
    holdAlone(path)();
    return false;
  } catch {
    return true;
  }
}

export interface LedgerCheck {
  path: string;
  bytes: number;
  /** Pages that hold nothing, as bytes. */
  free_bytes: number;
  requests: number;
  pending: number;
  oldest: string | null;
  newest: string | null;
  /** What is wrong with it, a line each; empty when nothing is. */
  problems: string[];
}

/** Reads all of it: seconds for each GB. */
export function checkLedger(client: Database, path: string): LedgerCheck {
  const broken = client.query("PRAGMA integrity_check(20)").values().flat().map(String);
  const problems = broken.filter((line) => line !== "ok");
  const one = (sql: string) => client.query(sql).values()[0] ?? [];
  const [requests, pending, oldest, newest] = one(
    "SELECT count(*), coalesce(sum(status = 'pending'), 0), min(started_at), max(started_at) FROM requests",
  ) as [number, number, number | null, number | null];
  if (problems.length === 0) problems.push(...compareSums(client));
  return {
    path,
    bytes: statSync(path).size,
    free_bytes: numberOf(client, "freelist_count") * numberOf(client, "page_size"),
    requests,
    pending,
    oldest: oldest === null ? null : new Date(oldest).toISOString(),
    newest: newest === null ? null : new Date(newest).toISOString(),
    problems,
  };
}

/** Of the days that have all of their requests still, the sums must be those of the requests. */
function compareSums(client: Database): string[] {
  const rows = client
    .query(
      `WITH ended AS (
         SELECT started_at / 86400000 AS day, count(*) AS requests, coalesce(sum(output_tokens), 0) AS output,
           coalesce(sum(cost_usd), 0.0) AS usd
         FROM requests WHERE status <> 'pending' GROUP BY day
       ), left_over AS (
         SELECT r.started_at / 86400000 AS day, coalesce(sum(a.output_tokens), 0) AS output,
           coalesce(sum(a.cost_usd), 0.0) AS usd
         FROM attempts a JOIN requests r ON r.id = a.request_id GROUP BY day
       ), sums AS (
         SELECT day, sum(requests) AS requests, sum(output_tokens) AS output, sum(cost_usd) AS usd
         FROM usage_days GROUP BY day
       )
       SELECT ended.day, ended.requests, coalesce(sums.requests, 0),
         ended.output + coalesce(left_over.output, 0), coalesce(sums.output, 0),
         ended.usd + coalesce(left_over.usd, 0), coalesce(sums.usd, 0)
       FROM ended LEFT JOIN sums USING (day) LEFT JOIN left_over USING (day)
       WHERE ended.day > (SELECT min(started_at) / 86400000 FROM requests)`,
    )
    .values() as [number, number, number, number, number, number, number][];
  return rows.flatMap(([day, requests, summed, output, summedOutput, usd, summedUsd]) => {
    const date = new Date(day * 86_400_000).toISOString().slice(0, 10);
    const isSame = requests === summed && output === summedOutput;
    const counts = `${requests} requests and ${output} output tokens, but the sums say ${summed} and ${summedOutput}`;
    // Added up in another order, parts of a cent differ in their last digits.
    const costsSame = Math.abs(usd - summedUsd) <= 1e-9 * Math.max(1, usd, requests);
    const costs = `requests and left answers cost $${usd.toFixed(6)}, but the sums say $${summedUsd.toFixed(6)}`;
    return [...(isSame ? [] : [`${date}: ${counts}`]), ...(costsSame ? [] : [`${date}: ${costs}`])];
  });
}

/**
 * A copy as of one moment, compact, whoever writes to the ledger meanwhile.
 * @throws {ClutchError} `failed` when there is something at its place already, or it cannot be written
 */
export function backUpLedger(client: Database, target: string): void {
  try {
    // Its owner's alone from the first byte; SQLite takes an empty file for none.
    writeFileSync(target, "", { mode: 0o600, flag: "wx" });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ClutchError("failed", `cannot write ${target} (${code === "EEXIST" ? "it is there already" : code})`, {
      hint: "name another file",
      cause,
    });
  }
  try {
    client.query("VACUUM INTO ?").run(target);
    flushFile(target);
  } catch (cause) {
    rmSync(target, { force: true });
    throw new ClutchError("failed", `cannot write ${target} (${cause instanceof Error ? cause.message : cause})`, {
      hint: "see that there is room for it on that disk",
      cause,
    });
  }
}

function flushFile(path: string): void {
  const descriptor = openSync(path, "r+");
  fsyncSync(descriptor);
  closeSync(descriptor);
}

/**
 * Puts a backup in the ledger's place; what was there is moved aside. Keys are as they were last: one that was revoked since
 * the backup opens nothing again.
 * @returns where that is now; undefined when there was nothing
 * @throws {ClutchError} `database-busy` while a gateway serves, `database-broken` for a backup that is none, is broken, or is
 * of a newer version; the ledger is as it was then
 */
export function restoreLedger(backup: string, path: string): string | undefined {
  if (!existsSync(backup)) throw new ClutchError("failed", `there is no file ${backup}`, { hint: "name a backup" });
  const release = holdAlone(path);
  try {
    const folder = `${path}.restoring`;
    rmSync(folder, { recursive: true, force: true });
    try {
      // A copy has its original's mode for as long as it is looked into, and others may look into that.
      mkdirSync(folder, { mode: 0o700 });
      const draft = `${folder}/ledger.db`;
      copyWhole(backup, draft);
      const isThere = existsSync(path);
      if (isThere) takeKeys(path, draft);
      // Where somebody has deleted a ledger but not its log, SQLite would write that log into the backup's pages.
      const place = moveAside(path, "before-restore");
      renameSync(draft, path);
      return isThere ? place : undefined;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  } finally {
    release();
  }
}

/** With what stands in its write-ahead log, if it has one. */
function copyWhole(backup: string, draft: string): void {
  for (const suffix of ["", "-wal"]) if (existsSync(backup + suffix)) copyFileSync(backup + suffix, draft + suffix);
  let client: Database | undefined;
  try {
    client = new Database(draft);
    const [check] = client.query("PRAGMA integrity_check(1)").values().flat();
    if (check !== "ok") throw new Error(String(check));
    const tables = client.query(
      "SELECT count(*) FROM sqlite_master WHERE name IN ('requests', '__drizzle_migrations')",
    );
    if (tables.values()[0]?.[0] !== 2) throw new Error("it holds no ledger");
    const [newest] = client.query("SELECT max(created_at) FROM __drizzle_migrations").values().flat();
    if (Number(newest) > newestMigrationMs) throw new Error("it was made by a newer Clutch");
    client.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (cause) {
    throw new ClutchError(
      "database-broken",
      `cannot restore ${backup} (${cause instanceof Error ? cause.message : cause})`,
      {
        hint: "nothing was changed; name a file that clutch db backup has made",
        cause,
      },
    );
  } finally {
    client?.close();
  }
  chmodSync(draft, 0o600);
  flushFile(draft);
}

/** Those of the ledger over those of the backup, as far as both have columns of the same names. */
function takeKeys(path: string, draft: string): void {
  const client = new Database(draft);
  try {
    client.query("ATTACH ? AS former").run(path);
    const columnsOf = (schema: string) =>
      client.query("SELECT name FROM pragma_table_info('keys', ?)").values(schema).flat().map(String);
    const former = columnsOf("former");
    const names = columnsOf("main").filter((name) => former.includes(name));
    if (names.length === 0) return;
    client.run(`INSERT OR REPLACE INTO keys (${names.join()}) SELECT ${names.join()} FROM former.keys`);
  } catch {
    // A ledger that is broken is why somebody restores one.
  } finally {
    client.close();
  }
}
