/**
 * One `up`, `down` or `restart` at a time. The lock is a write transaction on an SQLite file, hence the kernel's own: it is
 * gone with its holder, however that ended, and nothing stale can be left behind.
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
 * @throws {ClutchError} `failed` after two minutes of waiting
 */
export async function withChainLock<Result>(
  stateDir: string,
  onWait: () => void,
  work: () => Promise<Result>,
): Promise<Result> {
  const path = `${chainDir(stateDir)}/lock.db`;
  const database = new Database(path, { create: true });
  try {
    database.run("PRAGMA busy_timeout = 0");
    await acquire(database, path, onWait);
    return await work();
  } finally {
    database.close();
  }
}

async function acquire(database: Database, path: string, onWait: () => void): Promise<void> {
  const endsAtMs = Date.now() + patienceMs;
  for (let hasTold = false; ; ) {
    try {
      database.run("BEGIN IMMEDIATE");
      return;
    } catch (cause) {
      if (!String(cause).includes("locked")) throw cause;
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
