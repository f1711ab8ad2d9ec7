/** `clutch db`: where the ledger is, and what keeps it sound: copies, checks, and less of it. */

import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type Env, resolveHomes } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { readBeside } from "../src/store/beside.ts";
import { backUpLedger, checkLedger, type LedgerCheck, pruneWhole, restoreLedger } from "../src/store/upkeep.ts";

export interface DbFlags {
  json?: boolean;
}

export function dbPath({ json }: DbFlags, env: Env): number {
  const { database } = resolveHomes(env);
  console.log(json === true ? JSON.stringify({ path: database }) : database);
  return 0;
}

/** @param file left out: beside the ledger, named by the moment */
export async function dbBackup(file: string | undefined, { json }: DbFlags, env: Env): Promise<number> {
  const { database } = resolveHomes(env);
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  const target = resolve(file ?? `${dirname(database)}/clutch-backup-${stamp}.db`);
  await readBeside(database, ({ $client }) => backUpLedger($client, target));
  console.log(json === true ? JSON.stringify({ backup: target }) : `the ledger as it is now stands in ${target}`);
  return 0;
}

export function dbRestore(file: string, { json }: DbFlags, env: Env): number {
  const { database } = resolveHomes(env);
  mkdirSync(dirname(database), { recursive: true, mode: 0o700 });
  const before = restoreLedger(resolve(file), database);
  if (json === true) console.log(JSON.stringify({ path: database, before: before ?? null }));
  else {
    console.log(`the ledger is now that of ${resolve(file)}`);
    if (before !== undefined) console.log(`what was there before is ${before}`);
  }
  return 0;
}

/** @returns 1 when something is wrong with it */
export async function dbCheck({ json }: DbFlags, env: Env): Promise<number> {
  const { database } = resolveHomes(env);
  const found = await readBeside(database, ({ $client }) => checkLedger($client, database));
  console.log(json === true ? JSON.stringify(found, null, 2) : renderCheck(found));
  return found.problems.length === 0 ? 0 : 1;
}

function renderCheck({ path, bytes, free_bytes, requests, pending, oldest, newest, problems }: LedgerCheck): string {
  const mb = (size: number) => `${(size / 2 ** 20).toFixed(1)} MB`;
  const span = oldest === null ? "" : `, from ${oldest.slice(0, 10)} to ${newest?.slice(0, 10)}`;
  return [
    `${path}: ${mb(bytes)}, ${mb(free_bytes)} of it unused`,
    `${requests} requests${span}${pending === 0 ? "" : `, ${pending} of them under way or left behind`}`,
    ...(problems.length === 0 ? ["ok"] : problems.map((line) => `problem: ${line}`)),
    ...(problems.length === 0 ? [] : ["what can be read of it: clutch db backup; then restart the gateway"]),
  ].join("\n");
}

export async function dbPrune({ json, olderThan }: DbFlags & { olderThan?: string }, env: Env): Promise<number> {
  const homes = resolveHomes(env);
  const { loadConfig } = await import("../src/config/load.ts");
  const days =
    olderThan === undefined ? (await loadConfig(homes, env)).config.ledger.retention_days : parseDays(olderThan);
  if (days === 0 && olderThan === undefined) {
    throw new ClutchError("usage", "ledger.retention_days is 0: nothing is ever too old", {
      hint: "say how old with --older-than 30d",
    });
  }
  // A ledger that nobody has is made by nobody here.
  await readBeside(homes.database, () => undefined);
  const { rows, bytes } = await pruneWhole(homes.database, Date.now() - days * 86_400_000);
  if (json === true) console.log(JSON.stringify({ older_than_days: days, rows, freed_bytes: bytes }));
  else console.log(`${rows} rows older than ${days} days were deleted, ${(bytes / 2 ** 20).toFixed(1)} MB given back`);
  return 0;
}

function parseDays(text: string): number {
  const days = /^(\d{1,5})d?$/.exec(text)?.[1];
  if (days !== undefined) return Number(days);
  throw new ClutchError("usage", `--older-than ${JSON.stringify(text)} is no number of days`, {
    hint: "write it as 30d",
  });
}
