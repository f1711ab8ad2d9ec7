/**
 * One `up`, `down` or `restart` at a time. The lock is a write transaction on an SQLite file, hence the kernel's own: it is
 * gone with its holder, however that ended, and nothing stale can be left behind. Nothing is ever written to the file, so
 * that `down` needs no space on the disk.
 */

import { Database } from "bun:sqlite";
import { ClutchError } from "../../errors.ts";
import { chainDir } from "./record.ts";

/** Draining a gateway takes up to half a minute. */
const patienceMs = 120_000;
const pollMs = 20;

/**
 * Runs `work` while nobody else does.
 * @param onWait called once if somebody else is at it
 * @throws {ClutchError} `failed` after two minutes of waiting, or when the file cannot be a lock
 */
export async function withChainLock<Result>(
  stateDir: string,
  onWait: () => void,
  work: () => Promise<Result>,
): Promise<Result> {
  const path = `${chainDir(stateDir)}/lock.db`;
  const database = openLock(path);
  try {
    await acquire(database, path, onWait);
    return await work();
  } finally {
    database.close();
  }
}

function openLock(path: string): Database {
  try {
    const database = new Database(path, { create: true });
    database.run("PRAGMA busy_timeout = 0");
    database.run("PRAGMA journal_mode = MEMORY");
    return database;
  } catch (cause) {
    throw unusable(path, cause);
  }
}

function unusable(path: string, cause: unknown): ClutchError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ClutchError("failed", `${path} cannot be used as a lock (${why})`, {
    hint: "it holds nothing: remove it and try again",
    cause,
  });
}

async function acquire(database: Database, path: string, onWait: () => void): Promise<void> {
  const endsAtMs = Date.now() + patienceMs;
  for (let hasTold = false; ; ) {
    try {
      database.run("BEGIN IMMEDIATE");
      return;
    } catch (cause) {
      if (!String(cause).includes("locked")) throw unusable(path, cause);
      if (Date.now() > endsAtMs) {
        throw new ClutchError("failed", "another clutch up, down or restart has been at work for two minutes", {
          hint: `see what it waits for, or end it: its lock is ${path}`,
          cause,
        });
      }
    }
    if (!hasTold) onWait();
    hasTold = true;
    await Bun.sleep(pollMs);
  }
}
