/** `clutch status`: what runs, whom the tiers are served by, what is out of order, and what today has come to. */

import { existsSync } from "node:fs";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { renderStatus } from "../src/explain/render-status.ts";
import { buildStatus, type LedgerView, type RunningLaunch, type StatusInput } from "../src/explain/status.ts";
import type { GatewayStatus } from "../src/gateway/status-report.ts";
import { type ChainSight, observeChain } from "../src/lifecycle/chain/observe.ts";
import { observePassive } from "../src/lifecycle/chain/passive.ts";
import type { ChainPlace } from "../src/lifecycle/chain/up.ts";
import { type GatewayPlace, readAdmin } from "../src/lifecycle/gateway-admin.ts";
import { findRunning } from "../src/lifecycle/running-launches.ts";
import { findChain } from "./chain-place.ts";
import { paint } from "./paint.ts";

export interface StatusFlags {
  json?: boolean;
  watch?: boolean;
  line?: boolean;
}

/** How long the gateway may take to tell (ms): one that hangs is told of, and nobody waits for it. */
const gatewayLimitMs = 800;

/** For output that goes to no terminal, where nothing has to fit. */
const unlimitedColumns = 10_000;

/** @returns 0 when every enabled member of the chain is well, otherwise 3; with --line always 0 */
export async function status(flags: StatusFlags, env: Env): Promise<number> {
  if (flags.watch === true) {
    const { watch } = await import("./watch.ts");
    return watch(env);
  }
  if (flags.line === true) {
    const { statusLine } = await import("./status-line.ts");
    return statusLine(env);
  }
  const report = buildStatus(await gather(env));
  if (flags.json === true) console.log(JSON.stringify(report, null, 2));
  else {
    const columns = process.stdout.isTTY === true ? process.stdout.columns : unlimitedColumns;
    console.log(renderStatus(report, { now: Date.now(), columns, paint, home: env["HOME"] }));
  }
  return report.healthy ? 0 : 3;
}

/** Everything at once: what is dead costs its own limit and nobody else's. */
async function gather(env: Env): Promise<StatusInput> {
  const homes = resolveHomes(env);
  const chain = await findChain(env);
  const asking = askStatus(placeOf(chain), homes, env);
  const observing = observe(chain, homes);
  const launches = listRunning(homes, env);
  const [gateway, { members, notes }] = await Promise.all([asking, observing]);
  return { members, notes, gatewayUrl: chain.gatewayUrl, gateway, launches, now: Date.now() };
}

/** Where the gateway of a chain is asked. */
export function placeOf({ gatewayUrl: url, database, stateDir, config }: ChainPlace): GatewayPlace {
  return { url, database, stateDir, requireKey: config.server.require_key };
}

/** The chain as it is now. @throws {ClutchError} `config-invalid` */
export function observe(chain: ChainPlace, { cacheDir }: Homes): Promise<ChainSight> {
  return observeChain(chain, (service) => observePassive(service, { env: chain.env, cacheDir }));
}

async function askStatus(place: GatewayPlace, homes: Homes, env: Env): Promise<StatusInput["gateway"]> {
  const answer = await readAdmin(place, "/status", gatewayLimitMs);
  // Of a gateway of this version or a near one.
  if (answer.ok) return { ok: true, status: answer.body as unknown as GatewayStatus };
  const { reason, isForeign = false } = answer;
  return { ok: false, reason, isForeign, ledger: await readLedger(homes, env) };
}

/** Undefined where there is none yet, or none that can be read: then there is less to tell. */
async function readLedger(homes: Homes, env: Env): Promise<LedgerView | undefined> {
  if (!existsSync(homes.database)) return undefined;
  const { lookIntoLedger } = await import("./status-ledger.ts");
  return lookIntoLedger(homes, env);
}

function listRunning(homes: Homes, env: Env): RunningLaunch[] {
  try {
    return findRunning(homes.stateDir, env);
  } catch {
    return [];
  }
}
