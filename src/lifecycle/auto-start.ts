/** Sees to it that a gateway answers before an agent is sent to it: starts one in the background where none does. */

import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Env } from "../config/paths.ts";
import { ClutchError } from "../errors.ts";
import { getJson, probeGateway } from "./gateway-probe.ts";

export interface GatewayStart {
  /** Without a trailing slash and without `/v1`. */
  url: string;
  mayStart: boolean;
  stateDir: string;
  env: Env;
  /** Progress, for the person: a line each. */
  tell(line: string): void;
}

/** A gateway starts in 30 ms; a machine that is just waking up takes longer. */
const startLimitMs = 20_000;
const pollMs = 25;
/** A start that takes longer than this is worth a word in between. */
const impatienceMs = 2_000;
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
  return startOnce(start);
}

async function startOnce(start: GatewayStart): Promise<"started"> {
  const lock = `${start.stateDir}/gateway.start`;
  mkdirSync(start.stateDir, { recursive: true, mode: 0o700 });
  const isOurs = takeLock(lock);
  const logFile = `${start.stateDir}/gateway.log`;
  try {
    const startedAtMs = Date.now();
    start.tell(isOurs ? `starting the gateway on ${start.url}` : "another launch is starting the gateway");
    const child = isOurs ? await spawnGateway(start, logFile) : undefined;
    await waitUntilUp(start, () => child?.exitCode ?? null, logFile, startedAtMs);
    start.tell(`the gateway answers (${((Date.now() - startedAtMs) / 1000).toFixed(1)} s); its log is ${logFile}`);
    return "started";
  } finally {
    if (isOurs) rmSync(lock, { force: true });
  }
}

async function waitUntilUp(
  start: GatewayStart,
  exitCode: () => number | null,
  logFile: string,
  startedAtMs: number,
): Promise<void> {
  let saidSo = false;
  while (Date.now() - startedAtMs < startLimitMs) {
    const state = await probeGateway(start.url);
    if (state.kind === "up") return;
    const code = exitCode();
    if (code !== null) {
      throw new ClutchError("gateway-down", `the gateway ended at once (exit ${code}): ${lastLines(logFile, 3)}`, {
        hint: "clutch serve shows it in the foreground; route d goes without",
      });
    }
    if (!saidSo && Date.now() - startedAtMs > impatienceMs) {
      saidSo = true;
      start.tell("still waiting for it to answer");
    }
    await Bun.sleep(pollMs);
  }
  throw new ClutchError("gateway-down", `the gateway did not answer within ${startLimitMs / 1000} s`, {
    hint: `see ${logFile}; route d goes without`,
  });
}

async function waitForEnd(start: GatewayStart): Promise<void> {
  start.tell("the gateway is ending its last streams: waiting for it");
  const endsAtMs = Date.now() + drainLimitMs;
  while (Date.now() < endsAtMs && (await getJson(`${start.url}/livez`, 300)) !== undefined) await Bun.sleep(100);
}

/** In a session of its own, so that neither Ctrl-C nor a closed terminal ends it; not in the user's project. */
async function spawnGateway(start: GatewayStart, logFile: string): Promise<{ exitCode: number | null }> {
  const { spawn } = await import("node:child_process");
  const log = openSync(logFile, "a", 0o600);
  const { hostname, port } = new URL(start.url);
  const address = ["--host", hostname.replace(/^\[|\]$/g, ""), "--port", port === "" ? "80" : port];
  const child = spawn(process.execPath, [...ownProgram(), "serve", ...address], {
    argv0: "clutch",
    cwd: dirname(logFile),
    env: start.env as NodeJS.ProcessEnv,
    detached: true,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  child.unref();
  return child;
}

/** Compiled, the program is the executable itself; from source, Bun has to be told the entry. */
function ownProgram(): string[] {
  return Bun.main.startsWith("/$bunfs/") ? [] : [`${import.meta.dir}/../main.ts`];
}

/** A lock older than a start can take is one that a killed launch left behind. */
function takeLock(path: string): boolean {
  try {
    if (Date.now() - statSync(path).mtimeMs > startLimitMs) rmSync(path, { force: true });
  } catch {
    // Not there: nobody is starting one.
  }
  try {
    writeFileSync(path, `${process.pid}\n`, { flag: "wx", mode: 0o600 });
    return true;
  } catch {
    return false;
  }
}

function foreign(url: string, answer: string): ClutchError {
  return new ClutchError("gateway-down", `what answers at ${url} is not the gateway (${answer})`, {
    hint: "stop it, or give the gateway another port: server.port in the config, or CLUTCH_PORT",
  });
}

function isThisMachine(host: string): boolean {
  return host === "localhost" || host === "[::1]" || host.startsWith("127.");
}

function lastLines(file: string, count: number): string {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n").slice(-count).join(" | ");
  } catch {
    return "it said nothing";
  }
}
