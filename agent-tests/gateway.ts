/** The compiled gateway as a child process, in a home and on a port of its own. */

import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { JsonObject, Protocol } from "../src/protocols/chat.ts";

const distFolder = process.env.CLUTCH_BIN || join(import.meta.dir, "..", "dist");

/** What `npm run build` leaves in dist, or in the folder that `CLUTCH_BIN` names. */
export const executables = { clutch: join(distFolder, "clutch"), xx: join(distFolder, "xx") };

/** The key that the gateway has for the upstream: the only credential that may arrive there. */
export const upstreamKey = "sk-test";

/** The cascade of every tier, in order. */
export const cascadeModels = ["m-first", "m-second", "m-third"] as const;

const startLimitMs = 15_000;
const stopLimitMs = 5_000;

export interface RunningGateway {
  port: number;
  /** CLUTCH_HOME of gateway and launcher. */
  home: string;
  /** What it has printed so far, both streams. */
  log(): string;
  /** SIGTERM, then SIGKILL; resolves to the exit status, null when it had to be killed. */
  stop(): Promise<number | null>;
}

export interface GatewayOptions {
  /** Becomes CLUTCH_HOME; made if it is not there. */
  home: string;
  /** The rest of the gateway's environment. */
  env: Record<string, string>;
  upstream: { url: string; protocol: Protocol };
  /** In place of the one that this upstream is enough for. */
  config?: JsonObject;
}

/** One sentence when the executables are not there, else undefined. */
export function missingExecutables(): string | undefined {
  const missing = Object.values(executables).filter((file) => !existsSync(file));
  return missing.length === 0 ? undefined : `${missing.join(" and ")} not found: run "npm run build" first`;
}

/** Starts the gateway and waits until it is healthy. @throws {Error} with what it printed */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  await mkdir(options.home, { recursive: true });
  const config = JSON.stringify(options.config ?? buildConfig(options), null, 2);
  await writeFile(join(options.home, "config.json"), config, { mode: 0o600 });
  const port = findFreePort();
  const child = Bun.spawn([executables.clutch, "serve", "--host", "127.0.0.1", "--port", String(port)], {
    cwd: options.home,
    env: { ...options.env, CLUTCH_HOME: options.home },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let text = "";
  const onText = (piece: string) => {
    text += piece;
  };
  const drained = Promise.all([collect(child.stdout, onText), collect(child.stderr, onText)]);
  const stop = async () => {
    // null for one that a signal had to end
    const status = child.exitCode ?? (await endChild(child));
    await drained;
    return status;
  };
  if (!(await becomesHealthy(port, child))) {
    await stop();
    throw new Error(`the gateway did not come up within ${startLimitMs} ms:\n${text}`);
  }
  return { port, home: options.home, log: () => text, stop };
}

function buildConfig({ upstream }: GatewayOptions): JsonObject {
  const [first, ...rest] = cascadeModels;
  const tier = { default: first, cascade: rest };
  return {
    providers: { up: { protocol: upstream.protocol, base_url: upstream.url, api_key: upstreamKey } },
    default_provider: "up",
    model_tiers: { BIG: tier, MIDDLE: tier, SMALL: tier },
    timeouts: { first_token_ms: 3000 },
  };
}

function findFreePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}

async function becomesHealthy(port: number, child: Bun.Subprocess): Promise<boolean> {
  const endsAtMs = Date.now() + startLimitMs;
  while (Date.now() < endsAtMs && child.exitCode === null && child.signalCode === null) {
    const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
    if (answer?.status === 200) return true;
    await Bun.sleep(20);
  }
  return false;
}

async function collect(stream: ReadableStream<Uint8Array>, onText: (piece: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const bytes of stream) onText(decoder.decode(bytes, { stream: true }));
}

async function endChild(child: Bun.Subprocess): Promise<number | null> {
  child.kill("SIGTERM");
  const killer = setTimeout(() => child.kill("SIGKILL"), stopLimitMs);
  await child.exited;
  clearTimeout(killer);
  return child.exitCode;
}
