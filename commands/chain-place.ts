/** What the commands of the chain work on: the config's services, in this home. */

import { loadConfig } from "../src/config/load.ts";
import { type Env, resolveHomes } from "../src/config/paths.ts";
import type { ChainPlace } from "../src/lifecycle/chain/up.ts";

/** @throws {ClutchError} `config-invalid`, `config-unreadable` */
export async function findChain(env: Env): Promise<ChainPlace> {
  const homes = resolveHomes(env);
  const { config } = await loadConfig(homes, env);
  const { stateDir, cacheDir, database } = homes;
  return { stateDir, cacheDir, database, config, env, gatewayUrl: gatewayUrlOf(config.server) };
}

/** Where a process of this machine reaches it. */
function gatewayUrlOf({ host, port }: { host: string; port: number }): string {
  const reachable = host === "0.0.0.0" || host === "::" || host === "" ? "127.0.0.1" : host;
  return `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
}
