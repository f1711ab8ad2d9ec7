/** What the ledger tells of while no gateway answers. Apart from `status.ts`, which then is spared the database. */

import { loadConfig } from "../src/config/load.ts";
import type { Env, Homes } from "../src/config/paths.ts";
import { reportBreakers } from "../src/explain/breakers.ts";
import type { LedgerView } from "../src/explain/status.ts";
import { fromRow } from "../src/gateway/circuit-saver.ts";
import { reportTotals } from "../src/gateway/day-totals.ts";
import { startOfDay } from "../src/gateway/spending.ts";
import { splitBreakers } from "../src/gateway/status-report.ts";
import { withLedger } from "../src/store/lookups.ts";
import { dayOf } from "../src/store/rollup.ts";

export async function lookIntoLedger(homes: Homes, env: Env): Promise<LedgerView | undefined> {
  const now = Date.now();
  const since = startOfDay(now);
  const limit = await failuresLimit(homes, env);
  try {
    return await withLedger(homes.database, async (ledger) => {
      const known = (await ledger.circuits()).map((row) => {
        const [id, circuit] = fromRow(row);
        return { id, circuit };
      });
      const today = reportTotals(await ledger.sumsOfDay(dayOf(now)), since);
      return { ...splitBreakers(reportBreakers(known, now, limit)), today };
    });
  } catch {
    return undefined;
  }
}

async function failuresLimit(homes: Homes, env: Env): Promise<number | null> {
  try {
    return (await loadConfig(homes, env)).config.breaker.failures;
  } catch {
    return null;
  }
}
