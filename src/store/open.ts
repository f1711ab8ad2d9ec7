/** Opens the ledger's database for one gateway: folder, pragmas, single owner, schema. */

import { Database } from "bun:sqlite";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type BunSQLiteDatabase, drizzle } from "drizzle-orm/bun-sqlite";
import { ClutchError } from "../errors.ts";
import { migrate, newestMigrationMs } from "./migrate.ts";

export interface Store {
  db: BunSQLiteDatabase & { $client: Database };
  /** Its file. */
  path: string;
  /** Where a ledger is now that was broken when this one was begun in its place. */
  movedAside: string | undefined;
  close(): void;
}

/** How large the write-ahead log may stay once it has been larger (bytes). */
const walBytes = 16 * 2 ** 20;

/** Pages after which SQLite copies the log back by itself, in the middle of a write: only if nobody else does. */
const lastResortPages = 20_000;

/**
 * A ledger that is broken is moved aside, and a new one begun: requests matter more than the record of older ones.
 * @throws {ClutchError} `database-busy` when another gateway serves from this file; `database-broken` when it cannot be
 * written or was made by a newer Clutch
 */
export function openStore(path: string): Store {
  const folder = dirname(path);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new ClutchError("database-broken", `cannot create ${folder} (${codeOf(cause)})`, {
      hint: "check the owner of the folders above it, or set CLUTCH_HOME to a folder that can be written",
      cause,
    });
  }
  // Left behind by a gateway that did not come to its end.
  const hasCrashed = existsSync(pidPathOf(path));
  const release = holdAlone(path);
  try {
    let movedAside: string | undefined;
    let client: Database;
    try {
      client = openWhole(path, hasCrashed);
    } catch (cause) {
      if (!isBroken(cause)) throw cause;
      movedAside = moveAside(path, "broken");
      client = openWhole(path, false);
    }
    return {
      db: drizzle({ client }),
      path,
      movedAside,
      close() {
        try {
          client.run("PRAGMA wal_checkpoint(TRUNCATE)");
        } catch {
          // Such as a full disk: what was written stands in the write-ahead log, and the next start finds it there.
        }
        client.close();
        release();
      },
    };
  } catch (cause) {
    release();
    if (cause instanceof ClutchError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ClutchError("database-broken", `cannot use ${path} (${reason})`, {
      hint: "make room on its disk and see that the file can be written, or move it away: a new one is made",
      cause,
    });
  }
}

/** A whole check takes 3 ms for each MB; so much of it nobody notices at a start (bytes). */
const quickBytes = 16 * 2 ** 20;

/** Of this version, and looked into. */
function openWhole(path: string, hasCrashed: boolean): Database {
  const isSmall = existsSync(path) && statSync(path).size <= quickBytes;
  const isDoubtful = existsSync(doubtPath(path)) || (hasCrashed && isSmall);
  const client = new Database(path, { create: true });
  try {
    // Only heeded before the first table: what is deleted later can then be given back a little at a time.
    client.run("PRAGMA auto_vacuum = INCREMENTAL");
    client.run("PRAGMA journal_mode = WAL");
    client.run("PRAGMA synchronous = NORMAL");
    client.run("PRAGMA busy_timeout = 5000");
    client.run(`PRAGMA journal_size_limit = ${walBytes}`);
    client.run(`PRAGMA wal_autocheckpoint = ${lastResortPages}`);
    chmodSync(path, 0o600);
    refuseNewer(client, path);
    migrate(drizzle({ client }));
    if (isDoubtful) check(client);
    else glance(client);
    rmSync(doubtPath(path), { force: true });
    // From here on the ledger waits, not the requests: a refused write is tried again a second later.
    client.run("PRAGMA busy_timeout = 50");
    return client;
  } catch (cause) {
    client.close();
    throw cause;
  }
}

/** The ends of the tables, where a gateway writes: a whole check of a large ledger would keep its agents waiting. */
function glance(client: Database): void {
  for (const table of ["requests", "attempts", "usage_days", "session_days"]) {
    const key = (client.query("SELECT name FROM pragma_table_info(?) WHERE pk = 1").get(table) as { name: string })
      .name;
    for (const order of ["ASC", "DESC"]) client.query(`SELECT * FROM ${table} ORDER BY ${key} ${order} LIMIT 1`).get();
  }
}

class BrokenInside extends Error {}

function check(client: Database): void {
  const [row] = client.query("PRAGMA quick_check(1)").values();
  if (row?.[0] !== "ok") throw new BrokenInside(String(row?.[0]));
}

/** What SQLite says of a file that it cannot make sense of, and of nothing else. */
export function isBroken(cause: unknown): boolean {
  return cause instanceof BrokenInside || /^SQLITE_(CORRUPT|NOTADB)/.test(codeOf(cause));
}

function doubtPath(path: string): string {
  return `${path}-doubt`;
}

/** While it was written to, it proved broken: the next start looks at all of it, however long that takes. */
export function castDoubt(path: string): void {
  try {
    writeFileSync(doubtPath(path), "", { mode: 0o600 });
  } catch {
    // Its disk is as it is.
  }
}

/**
 * With the files that belong to it, as far as they are there; nobody else may have it open.
 * @returns its new place, beside the old one
 */
export function moveAside(path: string, why: string): string {
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  const taken = (number: number) => `${path}.${why}-${stamp}${number === 0 ? "" : `-${number}`}`;
  let number = 0;
  while (existsSync(taken(number))) number++;
  const place = taken(number);
  for (const suffix of ["", "-wal", "-shm"]) if (existsSync(path + suffix)) renameSync(path + suffix, place + suffix);
  rmSync(doubtPath(path), { force: true });
  return place;
}

/** Held for the life of the process: a connection that nobody refers to would be closed by the garbage collector. */
const heldLocks = new Set<Database>();

/**
 * A write lock on a small second database, held while the process lives: the kernel drops it however the process ends,
 * and the ledger itself stays readable for others. The owner's pid stands in a file beside it, only for the message.
 */
export function holdAlone(path: string): () => void {
  const pidPath = pidPathOf(path);
  const lock = lockOrRefuse(path, pidPath);
  heldLocks.add(lock);
  return () => {
    heldLocks.delete(lock);
    lock.close();
    rmSync(pidPath, { force: true });
  };
}

function pidPathOf(path: string): string {
  return `${path}-serve.pid`;
}

function lockOrRefuse(path: string, pidPath: string): Database {
  const lockPath = `${path}-serve`;
  let lock: Database | undefined;
  try {
    lock = new Database(lockPath, { create: true });
    lock.run("PRAGMA busy_timeout = 0");
    lock.run("BEGIN EXCLUSIVE");
    chmodSync(lockPath, 0o600);
    writeFileSync(pidPath, `${process.pid}\n`, { mode: 0o600 });
    return lock;
  } catch (cause) {
    lock?.close();
    if (codeOf(cause) === "SQLITE_BUSY") {
      const owner = existsSync(pidPath) ? ` (pid ${readFileSync(pidPath, "utf8").trim()})` : "";
      throw new ClutchError("database-busy", `another clutch serve${owner} uses ${path}`, {
        hint: "stop that one, or give this one a home of its own with CLUTCH_HOME",
        cause,
      });
    }
    throw new ClutchError("database-broken", `cannot lock ${path} by ${lockPath} (${codeOf(cause)})`, {
      hint: "make its folder writable or remove that file, or set CLUTCH_HOME to another folder",
      cause,
    });
  }
}

function refuseNewer(client: Database, path: string): void {
  const known = client.query("SELECT name FROM sqlite_master WHERE name = '__drizzle_migrations'").get();
  if (known === null) return;
  const row = client.query("SELECT max(created_at) AS newest FROM __drizzle_migrations").get() as {
    newest: number | null;
  };
  if (Number(row.newest ?? 0) > newestMigrationMs) {
    throw new ClutchError("database-broken", `${path} was made by a newer Clutch`, {
      hint: "update Clutch, or set CLUTCH_HOME",
    });
  }
}

function codeOf(cause: unknown): string {
  return (cause as NodeJS.ErrnoException).code ?? String(cause);
}
