/** `clutch quota`: how much of each limit is left, and until when. */

import { existsSync } from "node:fs";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { nextMidnight } from "../src/explain/clock.ts";
import { countFree, limitsFromLedger, type QuotaReport, renderQuota, reportQuota } from "../src/explain/quota.ts";
import { fromRow } from "../src/gateway/circuit-saver.ts";
import type { QuotaRules } from "../src/gateway/quota-windows.ts";
import { paint } from "./paint.ts";
import { askGateway, describeSource } from "./running-gateway.ts";

export async function quota(flags: { json?: boolean }, env: Env): Promise<number> {
  const homes = resolveHomes(env);
  const answer = await askGateway(homes, env, "/quota");
  const report = answer.ok ? (answer.body as unknown as QuotaReport) : await reportFromLedger(homes, env);
  const source = answer.ok ? "gateway" : "ledger";
  if (flags.json === true) console.log(JSON.stringify({ ...report, source }, null, 2));
  else console.log(renderQuota(report, Date.now(), paint, answer.ok ? undefined : describeSource(answer.reason)));
  return 0;
}

/** Without a gateway nobody has asked OpenRouter, so what is left of its free pool is not known. */
async function reportFromLedger(homes: Homes, env: Env): Promise<QuotaReport> {
  const now = Date.now();
  const { rules, hasKey } = await readRules(homes, env);
  const account = hasKey ? { askedAt: undefined, facts: undefined, error: undefined } : undefined;
  const nothing = { account, circuits: [], sentLastHour: 0, sentToday: 0, now };
  if (!existsSync(homes.database)) return reportQuota({ ...nothing, limits: limitsFromLedger(rules, []) });
  const { withLedger } = await import("../src/store/lookups.ts");
  return withLedger(homes.database, async (ledger) => {
    const circuits = (await ledger.circuits()).map((row) => {
      const [id, circuit] = fromRow(row);
      return { id, circuit };
    });
    return reportQuota({
      limits: limitsFromLedger(rules, await ledger.countAttempts(now - 60_000)),
      circuits,
      account,
      sentLastHour: countFree(await ledger.countAttempts(now - 3_600_000, "openrouter")),
      sentToday: countFree(await ledger.countAttempts(nextMidnight(now) - 86_400_000, "openrouter")),
      now,
    });
  });
}

/** A `cmd:` key is taken to be there: a question about limits runs no command. */
async function readRules(homes: Homes, env: Env): Promise<{ rules: QuotaRules; hasKey: boolean }> {
  const { loadConfig } = await import("../src/config/load.ts");
  const { buildProviders, keyReader } = await import("../providers/registry.ts");
  const { quotaRules } = await import("../src/gateway/server.ts");
  const { config } = await loadConfig(homes, env);
  const providers = buildProviders(
    config,
    keyReader(env, () => "unread"),
  );
  return { rules: quotaRules(config, providers), hasKey: (providers.get("openrouter")?.keys.length ?? 0) > 0 };
}
