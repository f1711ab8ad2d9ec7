/** What the commands of the chain work on: the config's services, in this home. */

import { loadConfig } from "../src/config/load.ts";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { bringUp, type ChainPlace } from "../src/lifecycle/chain/up.ts";

/** @throws {ClutchError} `config-invalid`, `config-unreadable` */
export async function findChain(env: Env, homes: Homes = resolveHomes(env)): Promise<ChainPlace> {
  const { config } = await loadConfig(homes, env);
  const { stateDir, cacheDir, database } = homes;
  return { stateDir, cacheDir, database, config, env, gatewayUrl: gatewayUrlOf(config.server) };
}

/** Where a process of this machine reaches it. */
export function gatewayUrlOf({ host, port }: { host: string; port: number }): string {
  const reachable = host === "0.0.0.0" || host === "::" || host === "" ? "127.0.0.1" : host;
  return `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
}

/**
 * What a launch does when no gateway answers: the chain is started, in tmux where it is there, and the gateway waited for.
 * @param url where the launch expects the gateway
 * @throws {ClutchError} `gateway-down`, or what is wrong with the config
 */
export async function startChainFor(url: string, homes: Homes, env: Env, tell: (line: string) => void): Promise<void> {
  const place = await findChain(env, homes);
  if (place.gatewayUrl.replace("://localhost", "://127.0.0.1") !== url.replace("://localhost", "://127.0.0.1")) {
    throw new ClutchError(
      "gateway-down",
      `the gateway at ${url} does not answer, and the chain's is ${place.gatewayUrl}`,
      {
        hint: "make proxy.base_url and server.port in the config agree; route d goes without",
      },
    );
  }
  let failure: ClutchError | undefined;
  await bringUp(
    { services: [], isAlone: false, without: [], adopts: false, stage: "any" },
    {
      place,
      isPatient: false,
      awaits: ({ id }) => id === "gateway",
      tell(event) {
        if (event.kind === "note") tell(event.line);
        if (event.kind !== "failed") return;
        if (event.id !== "gateway") return tell(`${event.id} did not start: ${event.why}`);
        const words = event.lines.length === 0 ? "" : `: ${event.lines.slice(-3).join(" | ")}`;
        failure = new ClutchError("gateway-down", `the gateway did not start: ${event.why}${words}`, {
          hint: `${event.hint}; route d goes without`,
        });
      },
    },
  );
  if (failure !== undefined) throw failure;
}
