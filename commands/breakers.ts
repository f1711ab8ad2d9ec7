/** `clutch breakers`: what is out of order, and `reset` to have it tried again at once. */

import { existsSync } from "node:fs";
import { loadConfig } from "../src/config/load.ts";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { type BreakerReport, renderBreakers, reportBreakers } from "../src/explain/breakers.ts";
import { matchCircuits, nameCircuit } from "../src/explain/circuit-names.ts";
import { fromRow } from "../src/gateway/circuit-saver.ts";
import { asPlainLine } from "../src/plain-line.ts";
import type { CircuitRow } from "../src/store/schema.ts";
import { paint } from "./paint.ts";
import { askGateway, describeSource } from "./running-gateway.ts";

export interface BreakersFlags {
  json?: boolean;
}

export async function breakers(flags: BreakersFlags, env: Env): Promise<number> {
  const homes = resolveHomes(env);
  const answer = await askGateway(homes, env, "/breakers");
  const known = answer.ok ? breakersOf(answer.body) : await readBreakers(homes, env);
  if (flags.json === true) {
    console.log(JSON.stringify({ breakers: known, source: answer.ok ? "gateway" : "ledger" }, null, 2));
  } else console.log(renderBreakers(known, Date.now(), paint, answer.ok ? undefined : describeSource(answer.reason)));
  return 0;
}

/** @param match `all`, a model, a provider, or an id. @returns 1 when nothing matched but something is out of order */
export async function resetBreakers(match: string, flags: BreakersFlags, env: Env): Promise<number> {
  const homes = resolveHomes(env);
  const answer = await askGateway(homes, env, "/breakers/reset", { match });
  const { reset, left } = answer.ok
    ? { reset: resetOf(answer.body), left: breakersOf(answer.body) }
    : await resetInLedger(match, homes, env, answer.reason);
  const isMissed = reset.length === 0 && left.length > 0;
  if (flags.json === true) console.log(JSON.stringify({ reset, breakers: left }, null, 2));
  else if (reset.length > 0) console.log(asPlainLine(`will be tried again: ${reset.map(nameCircuit).join(", ")}`));
  else if (isMissed) {
    const names = left.map(({ what }) => what).join(", ");
    throw new ClutchError("failed", `nothing that is out of order matches ${JSON.stringify(match)}`, {
      hint: `name one of these, or all: ${names}`,
    });
  } else console.log("nothing is out of order");
  return isMissed ? 1 : 0;
}

/** Of a gateway of this version or a near one. */
function breakersOf(body: unknown): BreakerReport[] {
  return (body as { breakers?: BreakerReport[] }).breakers ?? [];
}

function resetOf(body: unknown): string[] {
  return (body as { reset?: string[] }).reset ?? [];
}

async function readBreakers(homes: Homes, env: Env): Promise<BreakerReport[]> {
  if (!existsSync(homes.database)) return [];
  const { withLedger } = await import("../src/store/lookups.ts");
  return report(await withLedger(homes.database, (ledger) => ledger.circuits()), homes, env);
}

async function report(rows: readonly CircuitRow[], homes: Homes, env: Env): Promise<BreakerReport[]> {
  const known = rows.map((row) => {
    const [id, circuit] = fromRow(row);
    return { id, circuit };
  });
  return reportBreakers(known, Date.now(), await failuresLimit(homes, env));
}

/** Null when the config cannot be read; the list is good all the same. */
async function failuresLimit(homes: Homes, env: Env): Promise<number | null> {
  try {
    return (await loadConfig(homes, env)).config.breaker.failures;
  } catch {
    return null;
  }
}

/**
 * Holding the ledger as a gateway does, so that none can run beside it and write back what it remembers.
 * @throws {ClutchError} `database-busy` when one does
 */
async function resetInLedger(
  match: string,
  homes: Homes,
  env: Env,
  reason: string,
): Promise<{ reset: string[]; left: BreakerReport[] }> {
  if (!existsSync(homes.database)) return { reset: [], left: [] };
  const { openStore } = await import("../src/store/open.ts");
  const { circuitQueries } = await import("../src/store/circuits.ts");
  const store = openOwned(() => openStore(homes.database), reason);
  try {
    const queries = circuitQueries(store.db);
    const rows = await queries.load();
    const isMeant = matchCircuits(match);
    const reset = rows.map(({ id }) => id).filter(isMeant);
    await queries.save([], reset);
    const left = rows.filter(({ id }) => !isMeant(id));
    return { reset, left: await report(left, homes, env) };
  } finally {
    store.close();
  }
}

function openOwned<Store>(open: () => Store, reason: string): Store {
  try {
    return open();
  } catch (cause) {
    if (!(cause instanceof ClutchError) || cause.code !== "database-busy") throw cause;
    throw new ClutchError("database-busy", `a gateway runs, but cannot be asked: ${reason}`, {
      hint: "set CLUTCH_PORT to the port that clutch serve printed",
      cause,
    });
  }
}
