/** Bringing launches back after a crash: which, as what, in which order, and how the list of them reads. Pure; the world is handed in. */

import { ClutchError, renderError } from "../errors.ts";
import { agentNames, isAgentLetter } from "../launch-code.ts";
import { asPlainLine } from "../plain-line.ts";
import { renderElapsed } from "./elapsed.ts";
import { judgeLaunch, type Launch, type LaunchRecord, type LaunchState, type Surroundings } from "./launches.ts";

export interface JudgedLaunch {
  record: LaunchRecord;
  state: LaunchState;
}

export function judgeAll(launches: readonly Launch[], around: Surroundings): JudgedLaunch[] {
  return launches.map((launch) => ({ record: launch.record, state: judgeLaunch(launch, around) }));
}

/** @throws {ClutchError} `usage` when the beginning of an id names none or several */
export function findById(launches: readonly JudgedLaunch[], typed: string): JudgedLaunch {
  const [first, ...more] = launches.filter(({ record }) => record.id.startsWith(typed));
  const hint = "clutch resume lists them";
  if (first === undefined) throw new ClutchError("usage", `no launch begins with "${typed}"`, { hint });
  if (more.length === 0) return first;
  const ids = [first, ...more].map(({ record }) => record.id).join(", ");
  throw new ClutchError("usage", `"${typed}" is the beginning of ${ids}`, { hint: "give one letter more" });
}

export interface ResumeWorld {
  /** The session an agent was in, from wherever that can be learnt. */
  findSession(record: LaunchRecord): Promise<string | undefined>;
  /** The command that brings a launch back. @throws {ClutchError} `not-supported` */
  planReturn(command: readonly string[], session: string | undefined): string[];
  isFolder(path: string): boolean;
}

export interface Return {
  /** The one that died. */
  record: LaunchRecord;
  runs: string[];
  session: string | undefined;
}

/** @throws {ClutchError} `not-supported` when the agent cannot, `failed` when the folder is gone */
export async function planOne(record: LaunchRecord, world: ResumeWorld): Promise<Return> {
  if (!world.isFolder(record.cwd)) {
    throw new ClutchError("failed", `the folder ${record.cwd} is gone`, {
      hint: `restore it, or clutch resume --forget ${record.id}`,
    });
  }
  // What the agent was last seen in is newer than what it was started with.
  const session = (await world.findSession(record)) ?? record.session;
  return { record, session, runs: world.planReturn(record.command, session) };
}

/** All that died, in the order of their start, and one line for each that cannot come back. */
export async function planAll(
  launches: readonly JudgedLaunch[],
  world: ResumeWorld,
): Promise<{ returns: Return[]; obstacles: string[] }> {
  const returns: Return[] = [];
  const obstacles: string[] = [];
  for (const { record, state } of launches) {
    if (state.kind !== "died") continue;
    try {
      returns.push(await planOne(record, world));
    } catch (error) {
      obstacles.push(`${record.id} ${describeAgent(record)} in ${record.cwd}: ${renderError(error)}`);
    }
  }
  return { returns, obstacles };
}

/** The agent's name, or the program's for anything else. */
export function describeAgent(record: LaunchRecord): string {
  const { agent } = record;
  return agent !== undefined && isAgentLetter(agent) ? agentNames[agent] : (record.command[0] ?? "");
}

/** The list for people; ended launches are left out. @param home is written `~` */
export function renderLaunches(launches: readonly JudgedLaunch[], nowMs: number, home: string | undefined): string {
  const died = launches.filter(({ state }) => state.kind === "died");
  const running = launches.filter(({ state }) => state.kind === "running");
  if (died.length + running.length === 0) return "no launch died, none is running";
  const rows = [...died, ...running].map(({ record, state }) => [
    record.id,
    describeState(state),
    `${renderElapsed(nowMs - record.startedAtMs)} ago`,
    describeAgent(record),
    shortenFolder(record.cwd, home),
    record.session ?? "-",
    shortenCommand(record.command),
  ]);
  const lines = renderTable([["id", "state", "started", "agent", "folder", "session", "command"], ...rows]);
  const hints = [
    ...(died.length === 0 ? [] : ["clutch resume --all brings back what died; clutch resume <id> one of them"]),
    ...(running.length === 0 ? [] : ["clutch resume <id> shows one that runs in this terminal"]),
  ];
  return [...lines, "", ...hints].join("\n");
}

/** `clutch resume --json`. Ended launches are in it for as long as the ledger keeps them. */
export function renderLaunchesJson(launches: readonly JudgedLaunch[]): string {
  const rows = launches.map(({ record, state }) => ({
    id: record.id,
    state: state.kind,
    how: state.kind === "died" ? state.how : null,
    attached: state.kind === "running" ? state.isAttached : null,
    exit_code: state.kind === "closed" ? state.exitCode : null,
    ended_at: state.kind === "closed" ? new Date(state.atMs).toISOString() : null,
    resumed_by: state.kind === "resumed" ? state.by : null,
    started_at: new Date(record.startedAtMs).toISOString(),
    agent: record.agent ?? null,
    code: record.code ?? null,
    launch_id: record.launchId ?? null,
    session: record.session ?? null,
    folder: record.cwd,
    command: record.command,
    pid: record.pid ?? null,
  }));
  return JSON.stringify({ launches: rows }, undefined, 2);
}

function describeState(state: LaunchState): string {
  switch (state.kind) {
    case "running":
      return state.isAttached ? "in a terminal" : "without a terminal";
    case "died":
      return state.how === "reboot" ? "died, machine restarted" : "died, tmux ended";
    case "closed":
      return `ended with ${state.exitCode}`;
    case "resumed":
      return `came back as ${state.by}`;
  }
}

function shortenFolder(path: string, home: string | undefined): string {
  if (home === undefined || home === "") return path;
  return path === home || path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
}

/** A prompt can be pages long. */
function shortenCommand(command: readonly string[]): string {
  const text = command.join(" ").replace(/\s+/g, " ");
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

/** Folders and prompts may hold what terminals obey. */
function renderTable(cells: readonly (readonly string[])[]): string[] {
  const rows = cells.map((row) => row.map(asPlainLine));
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
