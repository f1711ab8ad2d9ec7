/** Sees to it that a gateway answers before an agent is sent to it: has the chain started where none does. */

import { ClutchError } from "../errors.ts";
import { getJson, probeGateway } from "./gateway-probe.ts";

export interface GatewayStart {
  /** Without a trailing slash and without `/v1`. */
  url: string;
  mayStart: boolean;
  /** Starts the chain and waits for its gateway; several at once start one. @throws {ClutchError} why it does not start */
  startChain(): Promise<void>;
  /** Progress, for the person: a line each. */
  tell(line: string): void;
}

const drainLimitMs = 35_000;

/**
 * Returns when the gateway answers; several callers at once start one.
 * @throws {ClutchError} `gateway-down`: why it does not, and what to do
 */
export async function ensureGateway(start: GatewayStart): Promise<"running" | "started"> {
  const state = await probeGateway(start.url);
  if (state.kind === "up") return "running";
  if (state.kind === "foreign") throw foreign(start.url, state.answer);
  const host = new URL(start.url).hostname;
  if (!isThisMachine(host)) {
    throw new ClutchError("gateway-down", `the gateway at ${start.url} does not answer`, {
      hint: "it is not on this machine, so start it there; route d goes without",
    });
  }
  if (!start.mayStart) {
    throw new ClutchError("gateway-down", `the gateway at ${start.url} does not answer, and proxy.auto_start is off`, {
      hint: "start it with clutch serve; route d goes without",
    });
  }
  if (state.kind === "draining") await waitForEnd(start);
  const startedAtMs = Date.now();
  start.tell(`starting the gateway on ${start.url}`);
  await start.startChain();
  start.tell(`the gateway answers (${((Date.now() - startedAtMs) / 1000).toFixed(1)} s); clutch status tells the rest`);
  return "started";
}

async function waitForEnd(start: GatewayStart): Promise<void> {
  start.tell("the gateway is ending its last streams: waiting for it");
  const endsAtMs = Date.now() + drainLimitMs;
  while (Date.now() < endsAtMs && (await getJson(`${start.url}/livez`, 300)) !== undefined) await Bun.sleep(100);
}

function foreign(url: string, answer: string): ClutchError {
  return new ClutchError("gateway-down", `what answers at ${url} is not the gateway (${answer})`, {
    hint: "stop it, or give the gateway another port: server.port in the config, or CLUTCH_PORT",
  });
}

function isThisMachine(host: string): boolean {
  return host === "localhost" || host === "[::1]" || host.startsWith("127.");
}
