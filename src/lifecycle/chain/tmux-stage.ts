/** The services in windows of a tmux session of our own, one each: a person can look at any of them and scroll back. */

import type { Env } from "../../config/paths.ts";
import { ClutchError } from "../../errors.ts";
import { buildTmuxEnv } from "../launch-env.ts";
import { choosePaneTerm, isDescribed } from "../terminal.ts";
import { buildFormat, maxSocketBytes, parseRows, runTmux, type Tmux, type TmuxCommand } from "../tmux.ts";
import { isSameProcess, isZombie } from "./processes.ts";
import { envFile, type PlannedService, type RunEnd } from "./record.ts";
import { buildStart, type Stage } from "./stage.ts";

const session = "clutch";
/** The window that `clutch supervise` runs in. */
export const supervisorWindow = "supervisor";

export function chainSocket(stateDir: string): string {
  return `${stateDir}/chain.sock`;
}

/** `=` before the names: tmux would take the beginning of another. */
function target(id: string): string {
  return `=${session}:=${id}`;
}

/** Options that are in the server before anything runs in it. */
function buildSetup(paneTerm: string): TmuxCommand[] {
  const options: readonly (readonly [scope: string, name: string, value: string])[] = [
    ["-sq", "default-terminal", paneTerm],
    ["-sq", "escape-time", "10"],
    ["-sq", "exit-empty", "on"],
    ["-sq", "set-clipboard", "on"],
    ["-gq", "default-size", "200x50"],
    ["-gq", "history-limit", "50000"],
    ["-gq", "mouse", "on"],
    ["-gq", "set-titles", "on"],
    ["-gq", "set-titles-string", "clutch: #W"],
    ["-gq", "status-left", "clutch  "],
    ["-gq", "status-left-length", "20"],
    ["-gq", "status-right", "leave: Ctrl-b d   windows: Ctrl-b n, p"],
    ["-gq", "status-right-length", "60"],
    ["-gwq", "remain-on-exit", "on"],
    ["-gwq", "automatic-rename", "off"],
    ["-gwq", "allow-rename", "off"],
    ["-gwq", "mode-keys", "vi"],
  ];
  return [["start-server"], ...options.map(([scope, name, value]) => ["set-option", scope, name, value])];
}

export interface TmuxPlace {
  tmux: Tmux;
  stateDir: string;
  /** Of the person who calls; only the harmless part of it reaches tmux. */
  env: Env;
}

/** The logs' folder reaches the shells that write them by the environment: paths may hold any character. */
function serverEnv({ env, stateDir }: TmuxPlace): Record<string, string> {
  return { ...buildTmuxEnv(env, "xterm-256color"), CLUTCH_CHAIN_LOGS: `${stateDir}/logs` };
}

/**
 * Opens the session with the supervisor in it.
 * @throws {ClutchError} `failed`: a socket path that is too long, or tmux's own words
 */
export function openSession(place: TmuxPlace, supervisor: readonly string[]): void {
  const { tmux, stateDir, env } = place;
  if (Buffer.byteLength(tmux.socket) > maxSocketBytes) {
    throw new ClutchError("failed", `${tmux.socket} is too long for a socket`, {
      hint: "choose a shorter CLUTCH_HOME, or start without tmux: clutch up --detach",
    });
  }
  const window: TmuxCommand = ["-n", supervisorWindow, "-c", stateDir, "--", ...supervisor];
  const open = () => {
    const hasSession = runTmux(tmux, [["has-session", "-t", `=${session}`]], serverEnv(place)).ok;
    const windows = hasSession ? listWindows(place) : [];
    if (windows.some(({ id }) => id === supervisorWindow)) {
      return runTmux(
        tmux,
        [["respawn-pane", "-k", "-t", target(supervisorWindow), "-c", stateDir, "--", ...supervisor]],
        serverEnv(place),
      );
    }
    if (hasSession) return runTmux(tmux, [["new-window", "-d", "-t", `=${session}:`, ...window]], serverEnv(place));
    const setup = buildSetup(choosePaneTerm((term) => isDescribed(term, env)));
    return runTmux(tmux, [...setup, ["new-session", "-d", "-s", session, ...window]], serverEnv(place));
  };
  const first = open();
  // A server may just have ended with its last session.
  const { ok, stderr } = first.ok ? first : open();
  if (ok) {
    runTmux(tmux, [pipe(supervisorWindow)], serverEnv(place));
    return;
  }
  throw new ClutchError("failed", `tmux did not start (${stderr})`, {
    hint: "check that tmux itself runs here, or start without it: clutch up --detach",
  });
}

export interface Window {
  id: string;
  pid: number;
  isDead: boolean;
  code: number | undefined;
  signal: string | undefined;
  hasLogPipe: boolean;
  serverPid: number;
}

const fields = [
  "window_name",
  "pane_pid",
  "pane_dead",
  "pane_dead_status",
  "pane_dead_signal",
  "pane_pipe",
  "pid",
] as const;

/** Empty when there is no server. */
export function listWindows(place: TmuxPlace): Window[] {
  const { ok, stdout } = runTmux(
    place.tmux,
    [["list-panes", "-s", "-t", `=${session}`, "-F", buildFormat(fields)]],
    serverEnv(place),
  );
  return ok ? parseWindows(stdout) : [];
}

/** Pure. */
export function parseWindows(text: string): Window[] {
  return parseRows(text, fields).map((row) => ({
    id: row.window_name,
    pid: Number(row.pane_pid),
    isDead: row.pane_dead === "1",
    code: row.pane_dead_status === "" ? undefined : Number(row.pane_dead_status),
    signal: row.pane_dead_signal === "" ? undefined : signalName(row.pane_dead_signal),
    hasLogPipe: row.pane_pipe === "1",
    serverPid: Number(row.pid),
  }));
}

/** tmux 3.3 gives the number, later ones may give the name. */
function signalName(text: string): string {
  const names: Record<string, string> = {
    "1": "HUP",
    "2": "INT",
    "6": "ABRT",
    "9": "KILL",
    "11": "SEGV",
    "15": "TERM",
  };
  return names[text] ?? text.replace(/^SIG/, "");
}

/** Ends the whole session, and with it the server. SIGHUP is all that tmux sends, so whoever is to end well has ended before. */
export function closeSession(place: TmuxPlace): void {
  runTmux(place.tmux, [["kill-server"]], serverEnv(place));
}

export function closeWindow(place: TmuxPlace, id: string): void {
  runTmux(place.tmux, [["kill-window", "-t", target(id)]], serverEnv(place));
}

/** What shows the chain at a person's terminal. */
export function buildAttachCommands(id: string | undefined): TmuxCommand[] {
  const show: TmuxCommand = ["attach-session", "-t", `=${session}`];
  return id === undefined ? [show] : [["select-window", "-t", target(id)], show];
}

/**
 * Something cleaned up the socket's folder: the server lives and cannot be reached. It makes its socket again when told to.
 * @returns whether it can be reached now
 */
export async function bringBackSocket(
  socketExists: () => boolean,
  server: { pid: number; mark: string | undefined } | undefined,
): Promise<boolean> {
  if (server === undefined || !isSameProcess(server.pid, server.mark)) return false;
  process.kill(server.pid, "SIGUSR1");
  const endsAtMs = Date.now() + 2_000;
  while (!socketExists() && Date.now() < endsAtMs) await Bun.sleep(10);
  return socketExists();
}

export class TmuxStage implements Stage {
  readonly #place: TmuxPlace;

  constructor(place: TmuxPlace) {
    this.#place = place;
  }

  start({ id, argv }: PlannedService): number {
    const { stateDir } = this.#place;
    const command = buildStart(envFile(stateDir, id), argv);
    const at = ["-t", target(id)];
    const isThere = this.#window(id) !== undefined;
    const open: TmuxCommand = isThere
      ? ["respawn-pane", "-k", ...at, "-c", stateDir, "--", ...command]
      : ["new-window", "-d", "-t", `=${session}:`, "-n", id, "-c", stateDir, "--", ...command];
    // In one call: what the service says at once is in its log too.
    const { ok, stdout, stderr } = this.#run([open, pipe(id), ["display-message", "-p", ...at, "#{pane_pid}"]]);
    const pid = Number(stdout.trim());
    if (!ok || !Number.isInteger(pid) || pid <= 0) throw new Error(`tmux did not start ${id}: ${stderr}`);
    return pid;
  }

  /**
   * Debian's tmux 3.3a loses the SIGCHLD of one pane in thirty while it waits for its helper utempter; told again, it
   * collects the process and knows the end.
   */
  endOf(id: string, pid: number): Omit<RunEnd, "atMs"> | undefined {
    const window = this.#window(id);
    if (window === undefined || window.pid !== pid) return { code: undefined, signal: undefined };
    const { isDead, code, signal } = window;
    // A pane is dead as soon as its terminal is closed, which may be before tmux has collected the process.
    if (isDead && (code ?? signal) !== undefined) return { code, signal };
    if (isZombie(pid)) process.kill(window.serverPid, "SIGCHLD");
    return undefined;
  }

  /** The server's own pid. */
  get server(): number | undefined {
    return listWindows(this.#place)[0]?.serverPid;
  }

  tend(): string | undefined {
    const broken = listWindows(this.#place).filter(
      ({ id, isDead, hasLogPipe }) => id !== supervisorWindow && !isDead && !hasLogPipe,
    );
    if (broken.length === 0) return undefined;
    this.#run(broken.map(({ id }) => pipe(id)));
    return `the output of ${broken.map(({ id }) => id).join(" and ")} could not be written to ${this.#place.stateDir}/logs`;
  }

  #window(id: string): Window | undefined {
    return listWindows(this.#place).find((window) => window.id === id);
  }

  #run(commands: readonly TmuxCommand[]) {
    return runTmux(this.#place.tmux, commands, serverEnv(this.#place));
  }
}

/** Without `-o`, which would switch an open one off. A pipe that is open already is replaced. */
function pipe(id: string): TmuxCommand {
  return ["pipe-pane", "-O", "-t", target(id), `umask 077; exec cat >>"$CLUTCH_CHAIN_LOGS/${id}.log"`];
}
