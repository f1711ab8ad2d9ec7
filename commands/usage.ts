/** `clutch usage`: what was used in a span of days and what it cost, from the ledger's sums; no request is read. */

import { type Env, resolveHomes } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { renderCsvRow } from "../src/explain/csv.ts";
import { parsePeriod } from "../src/explain/period.ts";
import { renderUsage } from "../src/explain/render-usage.ts";
import { reportUsage, tabulateUsage } from "../src/explain/usage.ts";
import { readBeside } from "../src/store/beside.ts";
import { hasRollups, readUsage } from "../src/store/usage.ts";
import type { UsageGroup } from "../src/usage-groups.ts";
import { paint } from "./paint.ts";

export interface UsageFlags {
  by: UsageGroup;
  json?: boolean;
  csv?: boolean;
}

export async function usage(period: string, { by, json, csv }: UsageFlags, env: Env): Promise<number> {
  if (json === true && csv === true) {
    throw new ClutchError("usage", "--json and --csv are two forms of the same", { hint: "choose one of them" });
  }
  const span = parsePeriod(period, Date.now());
  const { database } = resolveHomes(env);
  const groups = await readBeside(database, ({ $client: client }) => {
    if (hasRollups(client)) return readUsage(client, span, by);
    throw new ClutchError("failed", `${database} is of an older version and has no sums yet`, {
      hint: "start the gateway once with clutch serve, which brings it up to date",
    });
  });
  const report = reportUsage(groups, span, by);
  if (json === true) console.log(JSON.stringify(report, null, 2));
  else if (csv === true) process.stdout.write(tabulateUsage(report).map(renderCsvRow).join(""));
  else console.log(renderUsage(report, process.stdout.isTTY ? process.stdout.columns : undefined, paint));
  return 0;
}
