/** Opens the ledger's database for one gateway: folder, pragmas, single owner, schema. */

import { Database } from "bun:sqlite";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type BunSQLiteDatabase, drizzle } from "drizzle-orm/bun-sqlite";
import { ClutchError } from "../errors.ts";
import { migrate, newestMigrationMs } from "./migrate.ts";

export interface Store {
  db: BunSQLiteDatabase;
  /** Its file. */
  path: string;
  close(): void;
}

/**
 * @throws {ClutchError} `database-busy` when another gateway serves from this file; `database-broken` when it is no
 * database, cannot be written, or was made by a newer Clutch
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
  const release = holdAlone(path);
  try {
    const client = new Database(path, { create: true });
    client.run("PRAGMA journal_mode = WAL");
    client.run("PRAGMA synchronous = NORMAL");
    client.run("PRAGMA busy_timeout = 5000");
    chmodSync(path, 0o600);
    refuseNewer(client, path);
    const db = drizzle({ client });
    migrate(db);
    // From here on the ledger waits, not the requests: a refused write is tried again a second later.
    client.run("PRAGMA busy_timeout = 50");
    return {
      db,
      path,
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
      hint: "move the file away and start again: a new one is made",
      cause,
    });
  }
}

/** Held for the life of the process: a connection that nobody refers to would be closed by the garbage collector. */
const heldLocks = new Set<Database>();

/**
 * A write lock on a small second database, held while the process lives: the kernel drops it however the process ends,
 * and the ledger itself stays readable for others. The owner's pid stands in a file beside it, only for the message.
 */
function holdAlone(path: string): () => void {
  const pidPath = `${path}-serve.pid`;
  const lock = lockOrRefuse(path, pidPath);
  heldLocks.add(lock);
  return () => {
    heldLocks.delete(lock);
    lock.close();
    rmSync(pidPath, { force: true });
  };
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
