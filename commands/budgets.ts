/** `clutch budgets`: what is limited, and how much of it is used. */

import { existsSync } from "node:fs";
import { loadConfig } from "../src/config/load.ts";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { renderBudgets, reportBudget } from "../src/explain/budgets.ts";
import type { BudgetReport } from "../src/gateway/admin-schemas.ts";
import type { KeyQueries } from "../src/store/keys.ts";
import { paint } from "./paint.ts";
import { askGateway, describeSource } from "./running-gateway.ts";

export async function showBudgets(flags: { json?: boolean }, env: Env): Promise<number> {
  const homes = resolveHomes(env);
  const answer = await askGateway(homes, env, "/budgets");
  const budgets = answer.ok
    ? (answer.body as unknown as { budgets: BudgetReport[] }).budgets
    : await budgetsFromLedger(homes, env);
  const source = answer.ok ? "gateway" : "ledger";
  if (flags.json === true) console.log(JSON.stringify({ budgets, source }, null, 2));
  else console.log(renderBudgets(budgets, Date.now(), paint, answer.ok ? undefined : describeSource(answer.reason)));
  return 0;
}

/** As a gateway would count on from it. */
async function budgetsFromLedger(homes: Homes, env: Env): Promise<BudgetReport[]> {
  const [{ Budgets, maxSessions, sessionMemoryMs }, { Keyring }, { startOfDay }] = await Promise.all([
    import("../src/gateway/budgets.ts"),
    import("../src/gateway/keyring.ts"),
    import("../src/gateway/spending.ts"),
  ]);
  const { config } = await loadConfig(homes, env);
  const now = Date.now();
  const nothing: KeyQueries = { load: async () => [], save: async () => {}, noteUses: async () => {} };
  const begin = async (queries: KeyQueries) => {
    const keyring = new Keyring({ queries, now: () => now });
    await keyring.restore();
    const keyOf = (id: string) => keyring.get(id);
    return new Budgets({ now: () => now, limits: () => config.budgets, keyOf, log() {} });
  };
  if (!existsSync(homes.database)) return (await begin(nothing)).list().map(reportBudget);
  const { keyQueries } = await import("../src/store/keys.ts");
  const { readBeside } = await import("../src/store/beside.ts");
  const { sessionsSince, spentSince } = await import("../src/store/spent.ts");
  return readBeside(homes.database, async (db) => {
    const budgets = await begin(keyQueries(db));
    budgets.restoreDay(await spentSince(db, startOfDay(now)));
    budgets.restoreSessions(await sessionsSince(db, now - sessionMemoryMs, maxSessions));
    return budgets.list().map(reportBudget);
  });
}
