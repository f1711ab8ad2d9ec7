/** Brings the chain up: what is not running is started, what runs is left alone. */

import { closeSync, mkdirSync, openSync, statSync } from "node:fs";
import { ClutchError } from "../../errors.ts";
import { findBinary } from "../../find-binary.ts";
import { nearest } from "../../nearest.ts";
import { ownCommand } from "../../own-command.ts";
import { askAdmin } from "../gateway-admin.ts";
import { hintTmuxInstall, readBootId } from "../guard.ts";
import { describePortHolder } from "../port-holder.ts";
import type { Tmux } from "../tmux.ts";
import { planStart } from "./graph.ts";
import { askHealth, type Verdict } from "./health.ts";
import { withChainLock } from "./lock.ts";
import { lastLines, readLogs } from "./logs.ts";
import { describeEnd, isSupervised } from "./observe.ts";
import {
  type ChainPlan,
  chainDir,
  envFile,
  forgetChain,
  logFile,
  makeChainDirs,
  type PlannedService,
  type Run,
  readPlan,
  readRecord,
  type StageKind,
  writePlan,
  writePrivately,
} from "./record.ts";
import { listServices, readChainSettings, type Service } from "./services.ts";
import { renderEnvFile } from "./stage.ts";
import { prepareStarts, type Start, type StartPlace } from "./starts.ts";
import { bringBackSocket, chainSocket, openSession } from "./tmux-stage.ts";

export interface ChainPlace extends StartPlace {
  database: string;
}

export interface UpOptions {
  /** Ids; empty means all that are enabled. */
  services: readonly string[];
  /** Without what they need. */
  isAlone: boolean;
  without: readonly string[];
  /** Takes what answers on a service's port for the service. */
  adopts: boolean;
  /** "any": tmux where it is there, else without. */
  stage: StageKind | "any";
}

/** What a person is told meanwhile. */
export type UpEvent =
  | { kind: "note"; line: string }
  | { kind: "ready"; id: string; tookMs: number; how: "started" | "already" | "adopted" }
  | { kind: "absent"; id: string; program: string; hint: string }
  /** It is there, and better not started. */
  | { kind: "left-out"; id: string; why: string; hint: string }
  /** It ended by itself and is tried again. */
  | { kind: "ended"; id: string; how: string }
  | { kind: "failed"; id: string; why: string; lines: string[]; hint: string }
  /** Called all the while. */
  | { kind: "waiting"; ids: string[]; elapsedMs: number };

export interface UpDeps {
  place: ChainPlace;
  tell(event: UpEvent): void;
  /** What to wait for; the others go on starting. */
  awaits(service: Service): boolean;
  /** Also beyond the time that a service should take. */
  isPatient: boolean;
}

/** @returns whether everything that was waited for is ready */
export async function bringUp(options: UpOptions, deps: UpDeps): Promise<boolean> {
  const { place, tell } = deps;
  const startedAtMs = Date.now();
  const services = listServices(readChainSettings(place.config));
  const wanted = selectServices(services, options);
  makeChainDirs(place.stateDir);
  const onWait = () => tell({ kind: "note", line: "another clutch up or down is at work: waiting for it" });
  const isSlow = ({ id }: Service) => id === "headroom";
  const outcome = await withChainLock(place.stateDir, onWait, async () => {
    // What Headroom's program is asked for takes it seconds the first time: nobody waits for that but Headroom.
    const quick = await planAndStart(
      wanted.filter((service) => !isSlow(service)),
      options,
      deps,
    );
    const slow = await planAndStart(wanted.filter(isSlow), options, deps);
    return { started: [...quick.started, ...slow.started], hasFailed: quick.hasFailed || slow.hasFailed };
  });
  const awaited = outcome.started.filter(({ id }) =>
    wanted.some((service) => service.id === id && deps.awaits(service)),
  );
  const areReady = await waitFor(awaited, startedAtMs, deps);
  return areReady && !outcome.hasFailed;
}

/** @throws {ClutchError} `usage`: no such service, or one that is switched off or has no process */
export function selectServices(
  services: readonly Service[],
  options: Pick<UpOptions, "services" | "isAlone" | "without">,
) {
  const startable = planStart(services);
  const ids = services.map(({ id }) => id);
  for (const id of [...options.services, ...options.without]) {
    const service = services.find((known) => known.id === id);
    if (service === undefined) {
      const near = nearest(id, ids);
      throw new ClutchError("usage", `there is no service "${id}"`, {
        hint: near === undefined ? `known are ${ids.join(", ")}` : `did you mean ${near}?`,
      });
    }
    if (!options.services.includes(id)) continue;
    if (service.type === "cli_wrapper") {
      throw new ClutchError("usage", `${service.name} has nothing to start`, { hint: "clutch status tells how it is" });
    }
    if (!service.enabled) {
      throw new ClutchError("usage", `${id} is switched off in the config`, { hint: `clutch chain enable ${id}` });
    }
  }
  const chosen = new Set<string>();
  const choose = (id: string): void => {
    const service = startable.find((known) => known.id === id);
    if (service === undefined || chosen.has(id)) return;
    chosen.add(id);
    if (!options.isAlone) service.needs.forEach(choose);
  };
  for (const { id } of startable) if (options.services.length === 0 || options.services.includes(id)) choose(id);
  return startable.filter(({ id }) => chosen.has(id) && !options.without.includes(id));
}

interface Planned {
  /** In the plan now, adopted ones included. */
  started: PlannedService[];
  hasFailed: boolean;
}

async function planAndStart(wanted: readonly Service[], options: UpOptions, deps: UpDeps): Promise<Planned> {
  if (wanted.length === 0) return { started: [], hasFailed: false };
  const { place, tell } = deps;
  const { stateDir } = place;
  const former = readPlan(stateDir);
  // What was written down before the machine was started anew says nothing any more.
  if (former === undefined) forgetChain(stateDir);
  makeChainDirs(stateDir);
  const runs = readRecord(stateDir)?.runs ?? [];
  const starts = prepareStarts(place);
  let hasFailed = false;
  const fresh: PlannedService[] = [];
  for (const service of wanted) {
    const known = former?.services.find(({ id }) => id === service.id);
    const start = await starts(service);
    if (known !== undefined && !known.isHeld && isUnderWay(runs.find(({ id }) => id === service.id))) {
      if (start.kind === "ready" && !known.isAdopted && fingerprintOf(start) !== known.fingerprint) {
        tell({ kind: "note", line: `${service.id} runs with its former settings: clutch restart ${service.id}` });
      }
      fresh.push(known);
      continue;
    }
    const planned = await plan(service, start, known, options, deps);
    if (planned === undefined) hasFailed ||= start.kind !== "absent" && start.kind !== "harmful";
    else fresh.push(planned);
  }
  if (fresh.length === 0) return { started: [], hasFailed };
  const others = (former?.services ?? []).filter(({ id }) => !fresh.some((planned) => planned.id === id));
  const stage = chooseStage(options.stage, former, place);
  const order = planStart(listServices(readChainSettings(place.config))).map(({ id }) => id);
  const rank = ({ id }: PlannedService) => (order.includes(id) ? order.indexOf(id) : order.length);
  const all = [...others, ...fresh].sort((one, other) => rank(one) - rank(other));
  const next: ChainPlan = { bootId: readBootId(), stage: stage.kind, gatewayUrl: place.gatewayUrl, services: all };
  if (JSON.stringify(next) !== JSON.stringify(former)) writePlan(stateDir, next);
  await ensureSupervisor(stage, deps);
  return { started: fresh, hasFailed };
}

/** Nothing is to be done about a run that lives, or is about to. */
function isUnderWay(run: Run | undefined): boolean {
  return run === undefined || run.state !== "failed";
}

async function plan(
  service: Service,
  start: Start,
  known: PlannedService | undefined,
  options: UpOptions,
  deps: UpDeps,
): Promise<PlannedService | undefined> {
  const { place, tell } = deps;
  const { id, name, port = 0, healthPath, needs, readyLimitMs } = service;
  const fail = (why: string, hint: string) => void tell({ kind: "failed", id, why, lines: [], hint });
  const base = { id, name, port, healthPath, needs, readyLimitMs, isHeld: false, epoch: (known?.epoch ?? 0) + 1 };
  const verdict = await askHealth({ id, port, healthPath }, place.gatewayUrl, 1_000);
  if (verdict.state !== "silent") {
    if (verdict.state === "ready" && (options.adopts || (await isOurs(id, deps)))) {
      return { ...base, argv: [], isAdopted: true, fingerprint: "" };
    }
    fail(await describeBusyPort(service, verdict), `end it, or give ${id} another port${adoptHint(verdict)}`);
    return undefined;
  }
  if (start.kind === "absent") {
    tell({ kind: "absent", id, program: start.program, hint: start.hint });
    return undefined;
  }
  if (start.kind === "harmful") {
    tell({ kind: "left-out", id, why: start.why, hint: start.hint });
    return undefined;
  }
  if (start.kind === "missing") {
    fail(`its program "${start.program}" is not there`, `correct "command" of ${id} in the config, or install it`);
    return undefined;
  }
  writePrivately(envFile(place.stateDir, id), renderEnvFile(start.env));
  return { ...base, argv: start.argv, isAdopted: false, fingerprint: fingerprintOf(start) };
}

async function describeBusyPort({ port = 0 }: Service, { state, detail }: Verdict): Promise<string> {
  const holder = await describePortHolder(port);
  return `port ${port} is held by ${holder}${state === "unhealthy" || state === "foreign" ? ` (${detail})` : ""}`;
}

function adoptHint({ state }: Verdict): string {
  return state === "ready" ? "; if it is the one that is meant: clutch up --adopt" : "";
}

/** A gateway of this home, or a Headroom that sends to it. */
async function isOurs(id: string, { place }: UpDeps): Promise<boolean> {
  if (id === "headroom") return true;
  if (id !== "gateway") return false;
  const { gatewayUrl: url, database, stateDir, config } = place;
  return (await askAdmin({ url, database, stateDir, requireKey: config.server.require_key }, "")).ok;
}

function fingerprintOf(start: Extract<Start, { kind: "ready" }>): string {
  const env = Object.entries(start.env).sort(([one], [other]) => (one < other ? -1 : 1));
  return Bun.hash(JSON.stringify([start.argv, env])).toString(36);
}

type Chosen = { kind: "tmux"; tmux: Tmux } | { kind: "detached" };

/** @throws {ClutchError} `failed`: tmux is asked for and not there, or too old */
function chooseStage(asked: StageKind | "any", former: ChainPlan | undefined, place: ChainPlace): Chosen {
  const kind = former?.stage ?? asked;
  if (kind === "detached") return { kind };
  const file = findBinary("tmux", place.env);
  const hint = "or start without it: clutch up --detach";
  const version = file === undefined ? undefined : readTmuxVersion(file);
  if (file !== undefined && isUsable(version)) {
    return { kind: "tmux", tmux: { file, socket: chainSocket(place.stateDir) } };
  }
  if (kind === "any") return { kind: "detached" };
  const install = hintTmuxInstall(process.platform, (path) => {
    try {
      return statSync(path).isFile();
    } catch {
      return false;
    }
  });
  throw file === undefined
    ? new ClutchError("failed", "tmux is not on PATH, and the services run in it", { hint: `${install}; ${hint}` })
    : new ClutchError("failed", `${version ?? "this tmux"} is older than 3.0`, { hint: `${install}; ${hint}` });
}

/** As `tmux -V` says it, such as `tmux 3.3a`. */
function readTmuxVersion(file: string): string | undefined {
  try {
    const { stdout } = Bun.spawnSync([file, "-V"], { env: {}, stderr: "ignore", timeout: 2_000 });
    const text = stdout.toString().trim();
    return text === "" ? undefined : text;
  } catch {
    return undefined;
  }
}

/** 3.0 brought `pane_dead_signal` and argv without a shell. A version without a number is a development one. */
function isUsable(version: string | undefined): boolean {
  const major = /(\d+)\.\d+/.exec(version ?? "")?.[1];
  return version !== undefined && (major === undefined || Number(major) >= 3);
}

async function ensureSupervisor(stage: Chosen, { place, tell }: UpDeps): Promise<void> {
  const { stateDir } = place;
  const record = readRecord(stateDir);
  const socketExists = () => exists(chainSocket(stateDir));
  const isWatched = isSupervised(record);
  if (stage.kind === "tmux" && isWatched && !socketExists()) {
    const parent = record?.tmuxServer;
    const isBack = await bringBackSocket(socketExists, parent);
    tell({
      kind: "note",
      line: isBack
        ? "the tmux socket had been deleted: it is back"
        : "the tmux socket was deleted and cannot be brought back: clutch down, then clutch up",
    });
  }
  if (isWatched) return;
  await startSupervisor(stage, place);
  // Whoever takes the lock next has to see it.
  const endsAtMs = Date.now() + supervisorLimitMs;
  while (!isSupervised(readRecord(stateDir)) && Date.now() < endsAtMs) await Bun.sleep(5);
}

async function startSupervisor(stage: Chosen, { stateDir, env }: ChainPlace): Promise<void> {
  const command = [...ownCommand(), "supervise", stateDir];
  if (stage.kind === "tmux") {
    // It is started again if it ends by itself, since all others depend on it for that.
    const loop = 'while :; do "$@" && exit 0; sleep 1; done';
    openSession({ tmux: stage.tmux, stateDir, env }, ["/bin/sh", "-c", loop, "sh", ...command, stage.tmux.file]);
    return;
  }
  const { spawn } = await import("node:child_process");
  mkdirSync(`${stateDir}/logs`, { recursive: true, mode: 0o700 });
  const log = openSync(logFile(stateDir, "supervisor"), "a", 0o600);
  const [file = "", ...args] = command;
  const { PATH, HOME } = env;
  const child = spawn(file, args, {
    cwd: chainDir(stateDir),
    env: { ...(PATH !== undefined && { PATH }), ...(HOME !== undefined && { HOME }) },
    detached: true,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  child.unref();
}

const pollMs = 15;
/** A supervisor writes its first record within a twentieth of a second. */
const supervisorLimitMs = 10_000;

async function waitFor(services: readonly PlannedService[], startedAtMs: number, deps: UpDeps): Promise<boolean> {
  const { place, tell } = deps;
  const open = new Map(services.map((service) => [service.id, service]));
  const seenEnds = new Map<string, number>();
  let areReady = true;
  const close = (id: string, isReady: boolean) => {
    open.delete(id);
    areReady &&= isReady;
  };
  const linesOf = (id: string) => lastLines(readLogs(place.stateDir, id, startedAtMs - 1_000), 8);
  while (open.size > 0) {
    const nowMs = Date.now();
    const record = readRecord(place.stateDir);
    const isWatched = isSupervised(record);
    if (!isWatched && nowMs - startedAtMs > supervisorLimitMs) {
      const lines = lastLines(readLogs(place.stateDir, "supervisor", undefined), 5);
      const hint = `see ${logFile(place.stateDir, "supervisor")}`;
      for (const id of open.keys())
        tell({ kind: "failed", id, why: "nobody started it: the supervisor ended", lines, hint });
      return false;
    }
    for (const service of isWatched ? [...open.values()] : []) {
      const { id, epoch, readyLimitMs } = service;
      const run = record?.runs.find((known) => known.id === id && known.epoch === epoch);
      if (run === undefined) continue;
      if (run.state === "adopted") {
        tell({ kind: "ready", id, tookMs: 0, how: "adopted" });
        close(id, true);
      } else if (run.readyAtMs !== undefined) {
        const isOld = run.readyAtMs < startedAtMs;
        tell({
          kind: "ready",
          id,
          tookMs: Math.max(0, run.readyAtMs - startedAtMs),
          how: isOld ? "already" : "started",
        });
        close(id, true);
      } else if (run.state === "failed") {
        const how = run.lastEnd === undefined ? "it ended" : `it ended (${describeEnd(run.lastEnd)})`;
        tell({ kind: "failed", id, why: `${how}, ${run.quickEnds} times`, lines: linesOf(id), hint: hintFor(id) });
        close(id, false);
      } else if (run.lastEnd !== undefined && run.state === "backoff" && seenEnds.get(id) !== run.lastEnd.atMs) {
        seenEnds.set(id, run.lastEnd.atMs);
        if (run.lastEnd.atMs >= startedAtMs) tell({ kind: "ended", id, how: describeEnd(run.lastEnd) });
      } else if (!deps.isPatient && nowMs - startedAtMs > readyLimitMs) {
        const verdict = await askHealth(service, place.gatewayUrl, 1_000);
        const why = `it is not ready after ${Math.round(readyLimitMs / 1000)} s (${verdict.detail})`;
        tell({ kind: "failed", id, why, lines: linesOf(id), hint: `${hintFor(id)}; it goes on starting` });
        close(id, false);
      }
    }
    if (open.size === 0) break;
    tell({ kind: "waiting", ids: [...open.keys()], elapsedMs: nowMs - startedAtMs });
    await Bun.sleep(pollMs);
  }
  return areReady;
}

function hintFor(id: string): string {
  return `clutch logs ${id} has the rest`;
}

function exists(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch {
    return false;
  }
}
