/**
 * The ledger of guarded launches: what runs in the crash guard, and how it ended. Files named after the launch's id in
 * `<state>/launches/`, each written by one hand: `.json` by Clutch, `.exit` and `.screen` by the shell that waits for the command,
 * `.resumed` by whoever brings it back, `.env` for the moment between a launch and its start. `node:fs` alone, so that
 * `xx` can note what it knows without loading anything.
 */

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { Env } from "../config/paths.ts";

export interface LaunchRecord {
  /** Six lower-case letters and digits. */
  id: string;
  /** As it was asked for: the same words in the same folder mean the same launch. */
  command: readonly string[];
  /** What was started in its place when the launch came back after a crash. */
  runs?: readonly string[];
  /** The launch that died, of which this one takes the place. */
  resumes?: string;
  /** Without symbolic links. */
  cwd: string;
  /** The harmless part of the environment. */
  env: Readonly<Record<string, string>>;
  bootId: string;
  startedAtMs: number;
  /** The name of its tmux session. */
  tmuxSession: string;
  /** Of the command itself: it is tmux's own child. */
  pid?: number;
  /** From here on known of launches by `xx` alone. The agent's letter. */
  agent?: string;
  /** With the route written out, such as `cipf`. */
  code?: string;
  /** By which the gateway's ledger knows it. */
  launchId?: string;
  /** The agent's own session id. */
  session?: string;
}

/** What `xx` learns while it starts the agent. */
export type LaunchNote = Required<Pick<LaunchRecord, "launchId" | "agent" | "code">> & Pick<LaunchRecord, "session">;

export interface LaunchEnd {
  /** As a shell tells it: 128 + n for signal n. */
  exitCode: number;
  atMs: number;
}

export interface Launch {
  record: LaunchRecord;
  /** Set when the command came to its own end. */
  end: LaunchEnd | undefined;
  /** The launch that took its place. */
  resumedBy: string | undefined;
  /** Its environment waits to be picked up: it is about to start. */
  isWaiting: boolean;
}

/** How the machine looks now. */
export interface Surroundings {
  bootId: string;
  /** How many terminals show each tmux session. */
  sessions: ReadonlyMap<string, number>;
  nowMs: number;
}

export type LaunchState =
  | { kind: "running"; isAttached: boolean }
  | { kind: "closed"; exitCode: number; atMs: number }
  | { kind: "died"; how: "reboot" | "tmux ended" }
  | { kind: "resumed"; by: string };

const dayMs = 24 * 60 * 60 * 1000;
/** Ended launches are of interest for a week; one that died is on offer for a month. */
const keptMs = { ended: 7 * dayMs, died: 30 * dayMs };
/** A start takes a twentieth of a second; whoever needs longer has lost its terminal on the way. */
const startLimitMs = 15_000;
/** An agent that refuses its session says so sooner. */
const failedStartMs = 5_000;

const idPattern = /^[a-z0-9]{6}$/;
const suffixes = ["json", "exit", "screen", "env", "resumed"] as const;
type Suffix = (typeof suffixes)[number];

export function launchesDir(stateDir: string): string {
  return `${stateDir}/launches`;
}

function pathOf(stateDir: string, id: string, suffix: Suffix): string {
  return `${launchesDir(stateDir)}/${id}.${suffix}`;
}

/** Pure. What came to its own end is closed even if the machine went down later. */
export function judgeLaunch(launch: Launch, around: Surroundings): LaunchState {
  const { record, end, resumedBy } = launch;
  if (end !== undefined) return { kind: "closed", ...end };
  if (resumedBy !== undefined) return { kind: "resumed", by: resumedBy };
  if (record.bootId !== around.bootId) return { kind: "died", how: "reboot" };
  const terminals = around.sessions.get(record.tmuxSession);
  if (terminals !== undefined) return { kind: "running", isAttached: terminals > 0 };
  if (launch.isWaiting && around.nowMs - record.startedAtMs < startLimitMs)
    return { kind: "running", isAttached: true };
  return { kind: "died", how: "tmux ended" };
}

/** Pure. The newest launch of the same words in the same folder that no terminal shows. */
export function findDetached(
  launches: readonly Launch[],
  asked: Pick<LaunchRecord, "command" | "cwd">,
  around: Surroundings,
): LaunchRecord | undefined {
  return launches.findLast((launch) => {
    const state = judgeLaunch(launch, around);
    return isSameLaunch(launch.record, asked) && state.kind === "running" && !state.isAttached;
  })?.record;
}

/** Pure. Whether a tmux server has to be asked at all. */
export function isSameLaunch(
  record: Pick<LaunchRecord, "command" | "cwd">,
  asked: Pick<LaunchRecord, "command" | "cwd">,
): boolean {
  return (
    record.cwd === asked.cwd &&
    record.command.length === asked.command.length &&
    record.command.every((word, index) => word === asked.command[index])
  );
}

/** In the order of their start. What is no record of ours is left out. */
export function listLaunches(stateDir: string): Launch[] {
  return listIds(stateDir)
    .flatMap((id) => {
      const launch = readLaunch(stateDir, id);
      return launch === undefined ? [] : [launch];
    })
    .sort((a, b) => a.record.startedAtMs - b.record.startedAtMs);
}

function listIds(stateDir: string): string[] {
  const names = ifThere(() => readdirSync(launchesDir(stateDir))) ?? [];
  return names.filter((name) => name.endsWith(".json")).map((name) => name.slice(0, -".json".length));
}

export function readLaunch(stateDir: string, id: string): Launch | undefined {
  const record = parseRecord(id, readText(pathOf(stateDir, id, "json")));
  if (record === undefined) return undefined;
  return {
    record,
    end: readEnd(stateDir, id),
    resumedBy: readText(pathOf(stateDir, id, "resumed")),
    isWaiting: ifThere(() => statSync(pathOf(stateDir, id, "env"))) !== undefined,
  };
}

/** Pure. A file that was cut short or that someone else put there is no record. */
function parseRecord(id: string, text: string | undefined): LaunchRecord | undefined {
  if (text === undefined || !idPattern.test(id)) return undefined;
  try {
    const value = JSON.parse(text) as LaunchRecord;
    const isWhole =
      value.id === id &&
      Array.isArray(value.command) &&
      value.command.every((word) => typeof word === "string") &&
      typeof value.cwd === "string" &&
      typeof value.env === "object" &&
      typeof value.startedAtMs === "number" &&
      typeof value.tmuxSession === "string";
    return isWhole ? value : undefined;
  } catch {
    return undefined;
  }
}

function readEnd(stateDir: string, id: string): LaunchEnd | undefined {
  const path = pathOf(stateDir, id, "exit");
  const text = readText(path);
  const atMs = ifThere(() => statSync(path).mtimeMs);
  return text === undefined || atMs === undefined ? undefined : { exitCode: Number(text), atMs: Math.round(atMs) };
}

/** @throws what the file system says, with the path */
export function writeRecord(stateDir: string, record: LaunchRecord): void {
  writePrivately(pathOf(stateDir, record.id, "json"), `${JSON.stringify(record)}\n`);
}

/** Takes an id that nobody has, by making its file. */
export function claimId(stateDir: string, newId: () => string): string {
  mkdirSync(launchesDir(stateDir), { recursive: true, mode: 0o700 });
  for (;;) {
    const id = newId();
    try {
      writeFileSync(pathOf(stateDir, id, "json"), "", { mode: 0o600, flag: "wx" });
      return id;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
    }
  }
}

/**
 * Adds what `xx` knows to the record of the launch that it is part of. A ledger that cannot be written stops no agent: the
 * launch then comes back by "continue the last" in place of its session.
 */
export function noteLaunch(stateDir: string, id: string, note: Partial<LaunchNote> & { pid?: number }): void {
  try {
    const launch = idPattern.test(id) ? readLaunch(stateDir, id) : undefined;
    if (launch !== undefined) writeRecord(stateDir, { ...launch.record, ...note });
  } catch {
    // As above.
  }
}

/** What a launch needs at its start and nobody may see later. */
export interface StartEnv {
  env: Env;
  umask: number;
}

export function leaveStartEnv(stateDir: string, id: string, start: StartEnv): void {
  writePrivately(pathOf(stateDir, id, "env"), JSON.stringify(start));
}

/** Gone from the disk with this call; undefined when someone took it before. */
export function takeStartEnv(stateDir: string, id: string): StartEnv | undefined {
  const path = pathOf(stateDir, id, "env");
  const taken = `${path}.${process.pid}`;
  try {
    // Of two that want it, one succeeds.
    renameSync(path, taken);
    const text = readFileSync(taken, "utf8");
    rmSync(taken);
    return JSON.parse(text) as StartEnv;
  } catch {
    return undefined;
  }
}

/** The last screen of a launch that ended, once: colours in it, no empty lines at its end. */
export function takeScreen(stateDir: string, id: string): string | undefined {
  const path = pathOf(stateDir, id, "screen");
  const text = readText(path);
  rmSync(path, { force: true });
  return text === undefined ? undefined : text.trimEnd();
}

/** False when someone else is bringing it back already. */
export function claimResume(stateDir: string, id: string, by: string): boolean {
  try {
    writeFileSync(pathOf(stateDir, id, "resumed"), by, { mode: 0o600, flag: "wx" });
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw cause;
  }
}

/**
 * A launch that came back only to fail at once, such as on a session that is gone: the one that died is on offer again.
 * @returns whether it was so
 */
export function undoResume(stateDir: string, { record, end }: Launch): boolean {
  const hasFailed = end !== undefined && end.exitCode !== 0 && end.atMs - record.startedAtMs < failedStartMs;
  if (record.resumes === undefined || !hasFailed) return false;
  releaseResume(stateDir, record.resumes);
  forgetLaunch(stateDir, record.id);
  return true;
}

/** The start failed: it is on offer again. */
export function releaseResume(stateDir: string, id: string): void {
  rmSync(pathOf(stateDir, id, "resumed"), { force: true });
}

export function forgetLaunch(stateDir: string, id: string): void {
  for (const suffix of suffixes) rmSync(pathOf(stateDir, id, suffix), { force: true });
}

/** Drops what nobody asks for any more, and environments that were never picked up. */
export function pruneLaunches(stateDir: string, launches: readonly Launch[], around: Surroundings): void {
  for (const launch of launches) {
    const { id, startedAtMs } = launch.record;
    const state = judgeLaunch(launch, around);
    if (state.kind === "running") continue;
    rmSync(pathOf(stateDir, id, "env"), { force: true });
    const sinceMs = state.kind === "closed" ? state.atMs : startedAtMs;
    const limitMs = state.kind === "died" ? keptMs.died : keptMs.ended;
    if (around.nowMs - sinceMs > limitMs) forgetLaunch(stateDir, id);
  }
}

function writePrivately(path: string, text: string): void {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, path);
}

function readText(path: string): string | undefined {
  return ifThere(() => readFileSync(path, "utf8"));
}

function ifThere<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
