/** Sums of many days, read from the rollups beside whoever writes them; no request is looked at. */

import type { Database } from "bun:sqlite";
import type { UsageGroup } from "../usage-groups.ts";
import { type Sums, sumNames } from "./rollup.ts";

export interface UsageSpan {
  /** Days since 1970, UTC; both count. */
  fromDay: number;
  toDay: number;
}

/** `key` is empty where it is unknown; of a day it is its number. */
export type GroupedSums = Sums & { key: string | number };

const keys: Record<UsageGroup, string> = {
  agent: "agent",
  model: "CASE WHEN provider = '' THEN '' ELSE provider || ':' || model END",
  provider: "provider",
  session: "session",
  folder: "folder",
  tier: "tier",
  day: "day",
};

const columns = sumNames.map((name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
/** To be selected of either rollup. */
export const sumColumns = columns.map((column, at) => `coalesce(sum(${column}), 0) AS ${sumNames[at]}`).join(", ");

/** What each group comes to, in no order; those without anything in them are left out. */
export function readUsage(client: Database, { fromDay, toDay }: UsageSpan, by: UsageGroup): GroupedSums[] {
  const table = by === "session" ? "session_days" : "usage_days";
  return client
    .query(`SELECT ${keys[by]} AS key, ${sumColumns} FROM ${table} WHERE day BETWEEN ? AND ? GROUP BY key`)
    .all(fromDay, toDay) as GroupedSums[];
}

/** A ledger that an older version has made, and no gateway of this one has opened yet, has no rollups. */
export function hasRollups(client: Database): boolean {
  return client.query("SELECT 1 FROM sqlite_master WHERE name = 'usage_days'").get() !== null;
}
