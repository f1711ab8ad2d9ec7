/**
 * What the chain's processes know of each other, as files in `<state>/chain/`: the plan is written by whoever runs `up`,
 * `restart` or `down` (one at a time, under the lock), the record by the supervisor alone.
 */

import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { ClutchError } from "../../errors.ts";
import { readBootId } from "../guard.ts";

/** tmux, or without it a supervisor of its own in the background. */
export type StageKind = "tmux" | "detached";

/** A service as it is to run. Nothing secret: its environment is in a file of its own. */
export interface PlannedService {
  id: string;
  name: string;
  /** With absolute program. */
  argv: readonly string[];
  port: number;
  healthPath: string;
  needs: readonly string[];
  readyLimitMs: number;
  /** Runs already, started by somebody else: it is watched, and started only once it is gone. */
  isAdopted: boolean;
  /** Not to be started for now: it is being stopped. */
  isHeld: boolean;
  /** Changes whenever a fresh start is asked for: failures of the past are forgotten. */
  epoch: number;
  /** Changes with anything that a start would do differently, its environment included. */
  fingerprint: string;
}

export interface ChainPlan {
  /** A plan of an earlier boot says nothing of this one. */
  bootId: string;
  stage: StageKind;
  gatewayUrl: string;
  /** In the order of their start. */
  services: PlannedService[];
}

export type RunState = "waiting" | "running" | "backoff" | "failed" | "held" | "adopted";

export interface RunEnd {
  atMs: number;
  /** Undefined when a signal ended it, or nobody could tell. */
  code: number | undefined;
  signal: string | undefined;
}

export interface Run {
  id: string;
  state: RunState;
  epoch: number;
  pid: number | undefined;
  /** Tells the process from a later one with the same pid. */
  pidMark: string | undefined;
  startedAtMs: number | undefined;
  /** When this process first answered as it should. */
  readyAtMs: number | undefined;
  /** It, or one of its processes before, has answered since it was asked for. */
  wasReady: boolean;
  /** Since it was asked for. */
  restarts: number;
  /** Ends soon after a start, one after the other. */
  quickEnds: number;
  lastEnd: RunEnd | undefined;
  /** When it is to be started again. */
  nextStartMs: number | undefined;
}

export interface ChainRecord {
  supervisor: { pid: number; mark: string | undefined };
  runs: Run[];
  /** What is wrong with the logs, such as a full disk. */
  logProblem: string | undefined;
  /** By which a server can be told to make its socket again; undefined without tmux. */
  tmuxServer: { pid: number; mark: string | undefined } | undefined;
}

export function chainDir(stateDir: string): string {
  return `${stateDir}/chain`;
}

/** The services' output, one file each; `.1` is the one before. */
export function logFile(stateDir: string, id: string): string {
  return `${stateDir}/logs/${id}.log`;
}

/** Holds what the service gets as its environment, keys included (0600), as a shell reads it. */
export function envFile(stateDir: string, id: string): string {
  return `${chainDir(stateDir)}/env/${id}.sh`;
}

/** Undefined when nothing is up, and for a plan of an earlier boot. */
export function readPlan(stateDir: string): ChainPlan | undefined {
  const plan = readJson<ChainPlan>(planFile(stateDir), (value) => Array.isArray(value["services"]));
  return plan?.bootId === readBootId() ? plan : undefined;
}

export function planFile(stateDir: string): string {
  return `${chainDir(stateDir)}/plan.json`;
}

export function writePlan(stateDir: string, plan: ChainPlan): void {
  writeJson(planFile(stateDir), plan);
}

export function readRecord(stateDir: string): ChainRecord | undefined {
  return readJson<ChainRecord>(`${chainDir(stateDir)}/record.json`, (value) => Array.isArray(value["runs"]));
}

export function writeRecord(stateDir: string, record: ChainRecord): void {
  writeJson(`${chainDir(stateDir)}/record.json`, record);
}

/** After `down`: the logs and the keys stay. */
export function forgetChain(stateDir: string): void {
  for (const name of ["plan.json", "record.json", "env"]) {
    rmSync(`${chainDir(stateDir)}/${name}`, { recursive: true, force: true });
  }
}

/** @throws {ClutchError} `failed` where the state folder cannot be written */
export function makeChainDirs(stateDir: string): void {
  try {
    for (const dir of [stateDir, chainDir(stateDir), `${chainDir(stateDir)}/env`, `${stateDir}/logs`]) {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
    }
    const probe = `${chainDir(stateDir)}/.probe.${process.pid}`;
    writeFileSync(probe, "", { mode: 0o600 });
    rmSync(probe);
  } catch (cause) {
    throw cannotWrite(`in ${chainDir(stateDir)}`, cause);
  }
}

function cannotWrite(where: string, cause: unknown): ClutchError {
  const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
  return new ClutchError("failed", `cannot write ${where} (${code})`, {
    hint: "check the owner and the space of that folder, or choose another with CLUTCH_HOME",
    cause,
  });
}

/** Atomic, for its owner alone. @throws {ClutchError} `failed`, such as for a full disk; nothing is left of it then */
export function writePrivately(path: string, text: string): void {
  const draft = `${path}.${process.pid}.draft`;
  try {
    writeFileSync(draft, text, { mode: 0o600 });
    chmodSync(draft, 0o600);
    renameSync(draft, path);
  } catch (cause) {
    rmSync(draft, { force: true });
    throw cannotWrite(path, cause);
  }
}

function writeJson(path: string, value: unknown): void {
  writePrivately(path, `${JSON.stringify(value)}\n`);
}

/** What is broken is as good as not there: it is written anew by the next `up`. */
function readJson<Value>(path: string, isValid: (value: Record<string, unknown>) => boolean): Value | undefined {
  try {
    if (!existsSync(path)) return undefined;
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value !== "object" || value === null || !isValid(value as Record<string, unknown>)) return undefined;
    return value as Value;
  } catch {
    return undefined;
  }
}
