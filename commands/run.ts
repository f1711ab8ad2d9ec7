/**
 * `clutch run -- <command>`: runs a command in the crash guard, or directly where that is no use. Three processes take
 * turns: the one that was asked opens a tmux session, `--inside` becomes the command in it, and `--after` tells the person
 * at the freed terminal how it went.
 */

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { becomeProgram } from "../launcher/exec.ts";
import { inspectCommand } from "../launcher/relaunch.ts";
import { type Env, resolveHomes } from "../src/config/paths.ts";
import { ClutchError, renderError } from "../src/errors.ts";
import { findBinary } from "../src/find-binary.ts";
import { renderLaunchCode } from "../src/launch-code.ts";
import { renderElapsed } from "../src/lifecycle/elapsed.ts";
import {
  decideRun,
  explainDirect,
  hintTmuxInstall,
  judgeAftermath,
  type RunFacts,
  terminalReset,
} from "../src/lifecycle/guard.ts";
import {
  type Guard,
  guardSocket,
  lookAround,
  type NewLaunch,
  openAndShow,
  prepareLaunch,
  type Showing,
  showAgain,
} from "../src/lifecycle/guard-server.ts";
import { buildPaneEnv } from "../src/lifecycle/launch-env.ts";
import {
  findDetached,
  forgetLaunch,
  isSameLaunch,
  type LaunchRecord,
  listLaunches,
  noteLaunch,
  pruneLaunches,
  readLaunch,
  takeScreen,
  takeStartEnv,
  undoResume,
} from "../src/lifecycle/launches.ts";
import { runTmux } from "../src/lifecycle/tmux.ts";
import { ownCommand } from "../src/own-command.ts";

/** Returns only when nothing was started. @param args what follows `run` */
export async function runGuarded(args: readonly string[], env: Env): Promise<number> {
  try {
    const [first, id = "", tmuxStatus = ""] = args;
    if (first === "--inside") return await becomeInside(stateDirOfGuard(env), id, env);
    if (first === "--after") return await tellAfter(stateDirOfGuard(env), id, tmuxStatus, env);
    const command = first === "--" ? args.slice(1) : args;
    if (command.length === 0) {
      throw new ClutchError("usage", "clutch run needs a command", { hint: "such as clutch run -- xx cip" });
    }
    return await run(command, env);
  } catch (error) {
    console.error(`clutch: ${renderError(error)}`);
    return error instanceof ClutchError ? error.exitStatus : 1;
  }
}

async function run(command: readonly string[], env: Env): Promise<never> {
  const inspected = inspectCommand(command);
  const cwd = currentFolder();
  const program = resolveProgram(command, env, cwd);
  const { stateDir } = resolveHomes(env);
  const tmux = findBinary("tmux", env);
  const isWorthGuarding = inspected.kind !== "passing";
  const facts: RunFacts = {
    isWorthGuarding,
    hasTerminal: isWorthGuarding && (await hasTerminal(env)),
    isInsideTmux: isInsideTmux(env),
    tmuxVersion: isWorthGuarding && tmux !== undefined ? readTmuxVersion(tmux) : undefined,
    socket: guardSocket(stateDir),
  };
  const decision = decideRun(facts);
  const runDirectly = () =>
    becomeProgram(program.file, program.argv, { ...env } as Record<string, string>, "check that file");
  if (!decision.isGuarded || tmux === undefined) {
    if (!decision.isGuarded && decision.because !== undefined) {
      const install = hintTmuxInstall(process.platform, existsSync);
      sayOnce(stateDir, decision.because, explainDirect(decision.because, facts, install));
    }
    return runDirectly();
  }

  const guard: Guard = { stateDir, tmux: { file: tmux, socket: facts.socket }, env };
  const running = findRunning(guard, { command, cwd });
  if (running !== undefined) {
    console.error(
      `clutch: back in the launch of ${renderElapsed(Date.now() - running.startedAtMs)} ago (${running.id})`,
    );
    return becomeShowing(showAgain(guard, running, false));
  }
  const known =
    inspected.kind === "launch" ? { agent: inspected.code.agent, code: renderLaunchCode(inspected.code) } : {};
  const record = tryPrepare(guard, { command, cwd, ...known });
  return record === undefined ? runDirectly() : becomeShowing(openAndShow(guard, record));
}

/** A guard that cannot keep its ledger stops nobody from working. */
function tryPrepare(guard: Guard, launch: NewLaunch): LaunchRecord | undefined {
  try {
    return prepareLaunch(guard, launch, guard.env);
  } catch (error) {
    console.error(`clutch: ${renderError(error)}; this runs without the crash guard`);
    return undefined;
  }
}

/** Does not return. */
export function becomeShowing({ argv: [file, ...args], env }: Showing): Promise<never> {
  return becomeProgram(file, ["sh", ...args], env, "check that file");
}

function currentFolder(): string {
  try {
    return process.cwd();
  } catch (cause) {
    throw new ClutchError("failed", "the current folder is gone", { hint: "cd to one that exists", cause });
  }
}

/** Our own names mean this very program, wherever it is installed. @throws {ClutchError} `agent-not-found` */
function resolveProgram(command: readonly string[], env: Env, cwd: string): { file: string; argv: string[] } {
  const [name = "", ...args] = command;
  if (name === "xx" || name === "clutch") {
    const [file, main] = ownCommand();
    // The compiled program goes by the name it is called.
    if (main === undefined) return { file, argv: [name, ...args] };
    return { file, argv: [file, main, ...(name === "xx" ? ["xx"] : []), ...args] };
  }
  const isPath = name.includes("/");
  const file = isPath ? resolve(cwd, name) : findBinary(name, env);
  if (file !== undefined && existsSync(file)) return { file, argv: [name, ...args] };
  throw new ClutchError("agent-not-found", `there is no program ${name}${isPath ? "" : " on PATH"}`, {
    hint: "install it; aliases and functions of the shell cannot be guarded",
  });
}

/** Whether a full-screen program can be shown here. */
export async function hasTerminal(env: Env): Promise<boolean> {
  const { isatty } = await import("node:tty");
  const term = env["TERM"] ?? "";
  return isatty(0) && isatty(1) && term !== "" && term !== "dumb";
}

export function isInsideTmux(env: Env): boolean {
  return (env["TMUX"] ?? "") !== "";
}

/** As `tmux -V` says it. */
export function readTmuxVersion(file: string): string {
  return Bun.spawnSync([file, "-V"], { stderr: "ignore" }).stdout.toString().trim();
}

/** One line per reason and home, ever. */
function sayOnce(stateDir: string, reason: string, line: string): void {
  const folder = `${stateDir}/said`;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(`${folder}/guard-${reason.replaceAll(" ", "-")}`, "", { mode: 0o600, flag: "wx" });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return;
  }
  console.error(`clutch: ${line}`);
}

/** From here on the ledger is worth a look at what is too old. */
const manyLaunches = 200;

/** tmux is asked only when the ledger knows a launch that may still run. */
function findRunning(guard: Guard, asked: Pick<LaunchRecord, "command" | "cwd">): LaunchRecord | undefined {
  const launches = listLaunches(guard.stateDir);
  const mayRun = launches.some(({ record, end }) => end === undefined && isSameLaunch(record, asked));
  if (!mayRun && launches.length < manyLaunches) return undefined;
  const around = lookAround(guard);
  pruneLaunches(guard.stateDir, launches, around);
  return findDetached(launches, asked, around);
}

function stateDirOfGuard(env: Env): string {
  return dirname(env["CLUTCH_LAUNCHES"] ?? "");
}

/** In the pane: takes on the environment and the folder of the launch and becomes its command. */
async function becomeInside(stateDir: string, id: string, pane: Env): Promise<never> {
  const start = takeStartEnv(stateDir, id);
  const launch = readLaunch(stateDir, id);
  if (start === undefined || launch === undefined) {
    throw new ClutchError("usage", `launch ${id} is not waiting to start`, { hint: "clutch resume lists launches" });
  }
  noteLaunch(stateDir, id, { pid: process.pid });
  process.umask(start.umask);
  return becomeCommand(launch.record, start.env, pane);
}

/** Does not return. @param pane the environment that tmux gave, or that of the command again */
export async function becomeCommand(record: LaunchRecord, env: Env, pane: Env): Promise<never> {
  const command = record.runs ?? record.command;
  try {
    process.chdir(record.cwd);
  } catch (cause) {
    throw new ClutchError("failed", `cannot enter ${record.cwd} (${(cause as NodeJS.ErrnoException).code})`, {
      hint: "the folder of a launch has to be there",
      cause,
    });
  }
  const program = resolveProgram(command, env, record.cwd);
  const guardId = inspectCommand(command).kind === "launch" ? record.id : undefined;
  return becomeProgram(program.file, program.argv, buildPaneEnv(env, pane, guardId), "check that file");
}

/** @returns the command's exit status; 0 when it goes on without a terminal */
async function tellAfter(stateDir: string, id: string, tmuxStatus: string, env: Env): Promise<number> {
  const launch = readLaunch(stateDir, id);
  if (launch === undefined) {
    throw new ClutchError("failed", `the record of launch ${id} is gone`, { hint: "clutch resume lists launches" });
  }
  const tmux = { file: env["CLUTCH_TMUX"] ?? "tmux", socket: env["CLUTCH_TMUX_SOCKET"] ?? "" };
  const aftermath = judgeAftermath({
    exitCode: launch.end?.exitCode,
    isWaiting: launch.isWaiting,
    isAlive:
      launch.end === undefined && runTmux(tmux, [["has-session", "-t", `=${launch.record.tmuxSession}`]], env).ok,
  });
  switch (aftermath.kind) {
    case "ended": {
      eraseLine();
      const screen = takeScreen(stateDir, id);
      if (screen !== undefined && screen !== "") process.stdout.write(`${screen}\x1b[0m\n`);
      if (undoResume(stateDir, launch)) console.error(`clutch: launch ${launch.record.resumes} is still on offer`);
      return aftermath.exitCode;
    }
    case "detached":
      eraseLine();
      console.error(
        `clutch: it goes on without a terminal: the same command here or clutch resume ${id} shows it again`,
      );
      return 0;
    case "never started": {
      const start = takeStartEnv(stateDir, id);
      if (start === undefined) return 1;
      console.error(`clutch: tmux did not start (exit status ${tmuxStatus}), so this runs without the crash guard`);
      forgetLaunch(stateDir, id);
      return becomeCommand(launch.record, start.env, start.env);
    }
    case "died":
      process.stdout.write(terminalReset);
      console.error(`clutch: tmux ended and took this launch along: clutch resume ${id} brings it back`);
      return 1;
  }
}

/** tmux leaves a line such as `[exited]` behind. */
function eraseLine(): void {
  process.stdout.write("\x1b[A\x1b[2K\r");
}
