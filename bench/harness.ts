/**
 * The bench's hands: compiles its tools, starts and stops processes by pid, sends load, reads CPU and memory from
 * /proc. What is measured and what it is held against is for sections.ts; nothing here knows a gate.
 */

import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClutchError } from "../src/errors.ts";
import type { Dialect } from "./bodies.ts";

/**
 * `same`: Chat in, Chat upstream. `translate`: Messages in, Chat upstream. `routed`: the same translation, but the model has
 * to be found by the rules and sifted; the other two name it.
 */
export type RouteName = "same" | "translate" | "routed" | "recorded";

export interface Route {
  path: string;
  dialect: Dialect;
  model: string;
  headers: Readonly<Record<string, string>>;
}

export interface Launch {
  argv: string[];
  env: Record<string, string>;
  cwd?: string;
}

export interface TargetSpec {
  name: string;
  /** Undefined for the direct path: the load goes straight to the mock upstream. */
  launch?: (port: number) => Launch;
  /** A path that answers 200 once the target is up; default `/health`. */
  healthPath?: string;
  routes: Partial<Record<RouteName, Route>>;
}

export interface RunningTarget {
  spec: TargetSpec;
  baseUrl: string;
  /** 0 for the direct path. */
  pid: number;
  /** From spawn to the first 200 of the health path (ms). */
  upMs: number;
  stop: () => Promise<void>;
}

/** Milliseconds. */
export interface Distribution {
  p50: number;
  p95: number;
  p99: number;
  mean: number;
  max: number;
}

/** What load.cc prints. */
export interface LoadResult {
  parallel: number;
  seconds: number;
  requests: number;
  requestsPerSecond: number;
  errors: number;
  status: Record<string, number>;
  latency: Distribution | null;
  firstByte: Distribution | null;
  firstChunk: Distribution | null;
  chunks: number;
  chunksPerSecond: number;
  chunkDelay: Distribution | null;
  gap: Distribution | null;
  bytes: number;
}

/** One load on one target, with the CPU time of the target's whole process tree meanwhile. */
export interface Sample extends LoadResult {
  cpuSeconds: number;
  /** Requests that failed, were not answered 200, or chunks that never arrived. */
  bad: number;
}

/** Where compiled tools are kept between runs: outside the source tree. */
export const buildFolder =
  process.env["CLUTCH_BENCH_BUILD"] ?? join(tmpdir(), `clutch-bench-${process.getuid?.() ?? "user"}`);

const loadTimeoutSeconds = 10;
const startLimitMs = 15_000;
const stopLimitMs = 4_000;

/** @throws {ClutchError} when g++ is missing or refuses */
export function compileNative(name: "mock" | "load"): string {
  const source = join(import.meta.dir, `${name}.cc`);
  const output = join(buildFolder, name);
  if (isFresh(output, [source])) return output;
  const compiler = Bun.which("g++");
  if (compiler === null) {
    throw new ClutchError("failed", "g++ is not on the PATH and the bench's load generator needs it", {
      hint: "install it (Debian, Ubuntu: apt-get install g++) and run the bench again",
    });
  }
  return compile([compiler, "-O2", "-std=c++17", "-o", output, source], output);
}

/** Compiles one of our own TypeScript files with the flags the shipped executable is compiled with. */
export function compileProgram(name: "baselines" | "hello"): string {
  const source = join(import.meta.dir, `${name}.ts`);
  const output = join(buildFolder, `${name}-${Bun.version}`);
  if (isFresh(output, [source])) return output;
  const flags = ["--compile", "--minify", "--bytecode", "--splitting", "--format=esm"];
  const sealed = ["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"];
  return compile([process.execPath, "build", source, ...flags, ...sealed, "--outfile", output], output);
}

function compile(argv: string[], output: string): string {
  mkdirSync(buildFolder, { recursive: true });
  const result = Bun.spawnSync(argv, { stdout: "pipe", stderr: "pipe" });
  if (result.exitCode !== 0) {
    const reason = lastLines(`${result.stdout}\n${result.stderr}`);
    throw new ClutchError("failed", `cannot compile ${output}: ${reason}`, {
      hint: `try it by hand: ${argv.join(" ")}`,
    });
  }
  return output;
}

function isFresh(output: string, sources: string[]): boolean {
  if (!existsSync(output)) return false;
  const builtAtMs = statSync(output).mtimeMs;
  return sources.every((source) => statSync(source).mtimeMs < builtAtMs);
}

/** Everything started and not yet stopped; `stopEverything` is for the way out after a signal or a mistake. */
const children = new Set<Bun.Subprocess>();

export function stopEverything(): void {
  for (const child of children) {
    for (const pid of processTree(child.pid)) killQuietly(pid);
  }
  children.clear();
}

/** Starts a command on its own small environment, so that no proxy or key of the caller reaches what is measured. */
function startProcess(launch: Launch, logFile: string): Bun.Subprocess {
  const log = openSync(logFile, "w");
  const child = Bun.spawn(launch.argv, {
    ...(launch.cwd === undefined ? {} : { cwd: launch.cwd }),
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LANG: "C.UTF-8", ...launch.env },
    stdin: "ignore",
    stdout: log,
    stderr: log,
  });
  closeSync(log);
  children.add(child);
  return child;
}

/** SIGTERM, then SIGKILL for what is left of its process tree. */
async function stopProcess(child: Bun.Subprocess): Promise<void> {
  const pids = processTree(child.pid);
  child.kill("SIGTERM");
  await Promise.race([child.exited, Bun.sleep(stopLimitMs)]);
  for (const pid of pids) killQuietly(pid);
  await child.exited;
  children.delete(child);
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it has gone by itself
  }
}

/**
 * Starts a target on a free loopback port and waits until it answers.
 *
 * @param upstreamUrl the mock's base URL: the direct path is the mock itself
 * @param runFolder holds the target's log
 * @throws {ClutchError} when it exits or does not answer in time, with the end of its log
 */
export async function startTarget(
  spec: TargetSpec,
  upstreamUrl: string,
  runFolder: string,
  port: number = freePort(),
): Promise<RunningTarget> {
  if (spec.launch === undefined) {
    return { spec, baseUrl: upstreamUrl, pid: 0, upMs: 0, stop: () => Promise.resolve() };
  }
  const logFile = join(runFolder, `${spec.name}.log`);
  const launch = spec.launch(port);
  const startedAtMs = performance.now();
  const child = startProcess(launch, logFile);
  const baseUrl = `http://127.0.0.1:${port}`;
  await waitUntilUp(child, `${baseUrl}${spec.healthPath ?? "/health"}`, spec.name, logFile);
  const upMs = performance.now() - startedAtMs;
  return { spec, baseUrl, pid: child.pid, upMs, stop: () => stopProcess(child) };
}

/** @returns the base URL of a mock upstream, and how to stop it */
export async function startMock(runFolder: string): Promise<{ baseUrl: string; stop: () => Promise<void> }> {
  const port = freePort();
  const logFile = join(runFolder, "mock.log");
  const child = startProcess({ argv: [compileNative("mock"), "--port", String(port)], env: {} }, logFile);
  const baseUrl = `http://127.0.0.1:${port}`;
  await waitUntilUp(child, `${baseUrl}/health`, "mock upstream", logFile);
  return { baseUrl, stop: () => stopProcess(child) };
}

async function waitUntilUp(child: Bun.Subprocess, url: string, name: string, logFile: string): Promise<void> {
  const giveUpAtMs = performance.now() + startLimitMs;
  for (;;) {
    if (await answersOk(url)) return;
    if (child.exitCode !== null || child.signalCode !== null) {
      const status = child.exitCode ?? child.signalCode;
      throw new ClutchError("failed", `${name} ended with ${status} at its start: ${lastLines(readLog(logFile))}`);
    }
    if (performance.now() > giveUpAtMs) {
      const reason = lastLines(readLog(logFile));
      throw new ClutchError("failed", `${name} did not answer ${url} within ${startLimitMs / 1000} s: ${reason}`);
    }
    await Bun.sleep(1);
  }
}

async function answersOk(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await answer.arrayBuffer();
    return answer.status === 200;
  } catch {
    return false;
  }
}

function readLog(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

function lastLines(text: string): string {
  const lines = text.trim().split("\n").slice(-3);
  return lines.join(" / ") || "it said nothing";
}

/** Free at the moment of asking; nothing else on this machine is expected to take it in between. */
export function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const port = probe.port;
  probe.stop(true);
  return port;
}

export interface Load {
  bodyFile: string;
  parallel: number;
  seconds: number;
  /** Content chunks each answer must bring; 0 for answers that are not streamed. */
  chunksPerAnswer: number;
}

/** @throws {ClutchError} when the load generator itself fails; failing requests are counted in `bad` */
export async function runLoad(target: RunningTarget, route: Route, load: Load): Promise<Sample> {
  const argv = [
    compileNative("load"),
    ...["--url", target.baseUrl + route.path, "--body", load.bodyFile],
    ...["-c", String(load.parallel), "-d", String(load.seconds), "--timeout", String(loadTimeoutSeconds)],
    ...Object.entries(route.headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]),
  ];
  const cpuBefore = cpuSeconds(target.pid);
  const generator = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  children.add(generator);
  const [output, complaint] = await Promise.all([
    new Response(generator.stdout).text(),
    new Response(generator.stderr).text(),
  ]);
  children.delete(generator);
  if ((await generator.exited) !== 0)
    throw new ClutchError("failed", `the load generator failed: ${lastLines(complaint)}`);
  const result = JSON.parse(output) as LoadResult;
  const refused = result.requests - (result.status["200"] ?? 0);
  const missingChunks = Math.max(0, result.requests * load.chunksPerAnswer - result.chunks);
  return { ...result, cpuSeconds: cpuSeconds(target.pid) - cpuBefore, bad: result.errors + refused + missingChunks };
}

/** A process and all its descendants, from /proc; none for pid 0. */
export function processTree(root: number): number[] {
  if (root === 0) return [];
  const childrenOf = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    const parent = Number.isInteger(pid) ? readStat(pid)?.[1] : undefined;
    if (parent === undefined) continue;
    const siblings = childrenOf.get(Number(parent));
    if (siblings === undefined) childrenOf.set(Number(parent), [pid]);
    else siblings.push(pid);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(childrenOf.get(pid) ?? []));
  return tree;
}

const clockTicksPerSecond = 100;

/** User and system time of a process tree so far, in steps of 10 ms (the kernel's clock tick). */
export function cpuSeconds(root: number): number {
  let ticks = 0;
  for (const pid of processTree(root)) {
    const stat = readStat(pid);
    if (stat !== undefined) ticks += Number(stat[11]) + Number(stat[12]);
  }
  return ticks / clockTicksPerSecond;
}

/** Resident memory of a process tree, now and at its highest (MB of 1024 * 1024 bytes). */
export function residentMb(root: number): { now: number; peak: number } {
  const total = { now: 0, peak: 0 };
  for (const pid of processTree(root)) {
    const status = readProc(`/proc/${pid}/status`) ?? "";
    total.now += Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
    total.peak += Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  }
  return total;
}

/** The fields of /proc/PID/stat after the command name (which may hold spaces): state, parent, ... */
function readStat(pid: number): string[] | undefined {
  const text = readProc(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(")") + 2).split(" ");
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // the process has ended meanwhile
  }
}

/** The middle value (the lower one of two); NaN for none. Values that are not finite are left out. */
export function median(values: readonly number[]): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}
