/**
 * The crash guard: whether a command runs in it, and the tmux commands that put it there. Each guarded command is the one
 * process of a tmux session of its own, so it outlives the terminal, and none of ours waits beside it: small shells do.
 * Pure, but for the boot id.
 */

import { readFileSync } from "node:fs";
import { maxSocketBytes, type TmuxCommand } from "./tmux.ts";

export type DirectReason = "no terminal" | "inside tmux" | "no tmux" | "old tmux" | "long path";

export interface RunFacts {
  /** False for what only prints or runs once: help, dry runs, mode n. */
  isWorthGuarding: boolean;
  /** Both stdin and stdout are one, and it can do more than print (TERM is not `dumb`). */
  hasTerminal: boolean;
  isInsideTmux: boolean;
  /** As `tmux -V` says it; undefined when there is none. */
  tmuxVersion: string | undefined;
  socket: string;
}

/** @returns why a command runs without the guard (`undefined` for one that nobody would want in it), or that it runs in it */
export function decideRun(facts: RunFacts): { isGuarded: true } | { isGuarded: false; because?: DirectReason } {
  const obstacles: readonly (readonly [boolean, DirectReason | undefined])[] = [
    [!facts.isWorthGuarding, undefined],
    [!facts.hasTerminal, "no terminal"],
    [facts.isInsideTmux, "inside tmux"],
    [facts.tmuxVersion === undefined, "no tmux"],
    [facts.tmuxVersion !== undefined && !isNewEnough(facts.tmuxVersion), "old tmux"],
    [Buffer.byteLength(facts.socket) > maxSocketBytes, "long path"],
  ];
  const met = obstacles.find(([isMet]) => isMet);
  if (met === undefined) return { isGuarded: true };
  return { isGuarded: false, ...(met[1] === undefined ? {} : { because: met[1] }) };
}

/** 3.2 brought `-T`, extended keys and terminal features. A version without a number is a development one. */
export function isNewEnough(version: string): boolean {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(version) ?? [];
  return major === undefined || Number(major) > 3 || (Number(major) === 3 && Number(minor) >= 2);
}

/** What a person is told once. @param install the way to get tmux here */
export function explainDirect(reason: DirectReason, facts: Pick<RunFacts, "tmuxVersion" | "socket">, install: string) {
  const without = "so this runs without the crash guard and ends with its terminal";
  return {
    "no terminal": "no terminal to guard, so commands run directly (this is said once)",
    "inside tmux":
      "inside tmux already, which does the crash guard's work, so commands run directly (this is said once)",
    "no tmux": `tmux is not on PATH, ${without}: ${install} (this is said once)`,
    "old tmux": `${facts.tmuxVersion} is older than 3.2, ${without}: ${install} (this is said once)`,
    "long path": `${facts.socket} is too long for a socket, ${without}: choose a shorter CLUTCH_HOME (this is said once)`,
  }[reason];
}

const packageManagers = [
  ["/usr/bin/apt-get", "sudo apt-get install tmux"],
  ["/usr/bin/dnf", "sudo dnf install tmux"],
  ["/usr/bin/pacman", "sudo pacman -S tmux"],
  ["/sbin/apk", "sudo apk add tmux"],
  ["/usr/bin/zypper", "sudo zypper install tmux"],
] as const;

export function hintTmuxInstall(platform: NodeJS.Platform, exists: (path: string) => boolean): string {
  if (platform === "darwin") return "brew install tmux";
  return packageManagers.find(([program]) => exists(program))?.[1] ?? "install tmux with the system's package manager";
}

/** `xx-<agent letter or program>-<id>`. */
export function nameSession(command: readonly string[], agent: string | undefined, id: string): string {
  const program = (command[0] ?? "").split("/").at(-1) ?? "";
  // Colons and dots mean something to tmux, and formats begin with a hash.
  const plain = program.replace(/[^A-Za-z0-9_-]/g, "").slice(0, 20);
  return `xx-${agent ?? (plain === "" ? "command" : plain)}-${id}`;
}

/** Known to the scripts below by the environment: paths may hold any character, and here nothing has to quote them. */
export function buildGuardEnv(tmuxFile: string, socket: string, launchesDir: string): Record<string, string> {
  return { CLUTCH_TMUX: tmuxFile, CLUTCH_TMUX_SOCKET: socket, CLUTCH_LAUNCHES: launchesDir };
}

/**
 * What waits in the pane for the command to end, at a thirtieth of the memory that a process of ours would hold, and writes
 * down its last screen and exit status. tmux's own `pane_dead_status` will not do: Debian's 3.3a loses the SIGCHLD of one
 * pane in thirty while it waits for its helper utempter, and then knows no end at all.
 *
 * Job control (`-m`) gives the terminal to the command alone, so its Ctrl-C does not end this shell; a command that stops
 * itself (Ctrl-Z) goes on at once, as nobody could ever continue it. By recursion: bash leaves a loop in which a job stops.
 * The screen is written first: once the `.exit` file is there, everything is.
 */
const paneScript = [
  "id=$1",
  "shift",
  "exec 3>&2 2>/dev/null",
  "trap : INT QUIT TSTP",
  "goOn() { jobs %% >/dev/null && { fg >/dev/null; status=$?; goOn; }; }",
  '"$@" 2>&3 3>&-',
  "status=$?",
  "goOn",
  "umask 077",
  'cd "$CLUTCH_LAUNCHES" || exit "$status"',
  '"$CLUTCH_TMUX" -u -S "$CLUTCH_TMUX_SOCKET" capture-pane -e -p -t "$TMUX_PANE" >"$id.screen"',
  'echo "$status" >"$id.exit.draft"',
  'mv "$id.exit.draft" "$id.exit"',
].join("; ");

/**
 * Everything the server has to know before its first session, and harmless to say again. `-q` passes over what an older
 * tmux does not know. The screen is the agent's alone and so are its keys: no status line, no prefix, no menus; only
 * Ctrl-\ leaves, as it does in dtach and abduco.
 */
export function buildServerSetup(paneTerm: string): TmuxCommand[] {
  const server: Record<string, string> = {
    "default-terminal": paneTerm,
    "escape-time": "10",
    "extended-keys": "on",
    // tmux 3.5: the form that Pi documents.
    "extended-keys-format": "csi-u",
    "focus-events": "on",
    "set-clipboard": "on",
  };
  const sessions: Record<string, string> = {
    "default-size": "200x50",
    "history-limit": "50000",
    mouse: "on",
    prefix: "None",
    prefix2: "None",
    "set-titles": "on",
    // Until the agent names it, a pane is called after the machine.
    "set-titles-string": "#{?#{==:#{pane_title},#{host}},#{session_name},#{pane_title}}",
    status: "off",
  };
  const windows: Record<string, string> = {
    "allow-passthrough": "on",
    "automatic-rename": "off",
  };
  const set = (scope: string, options: Record<string, string>): TmuxCommand[] =>
    Object.entries(options).map(([name, value]) => ["set-option", scope, name, value]);
  return [
    ["start-server"],
    ...set("-sq", server),
    ...set("-gq", sessions),
    ...set("-gwq", windows),
    // A table that is gone would end the whole call, and it is gone with its last key.
    ["bind-key", "-T", "prefix", "d", "detach-client"],
    ["unbind-key", "-aq", "-T", "prefix"],
    ["unbind-key", "-nq", "MouseDown3Pane"],
    ["unbind-key", "-nq", "M-MouseDown3Pane"],
    ["bind-key", "-n", "C-\\", "detach-client"],
  ];
}

/**
 * Everything about the launch is in its files, nothing in an argv.
 * @param own this program: its file, and its main module where it runs from source
 */
export function buildNewSession(
  own: readonly [string] | readonly [string, string],
  name: string,
  id: string,
  isDetached: boolean,
): TmuxCommand {
  const inside = [...own, "run", "--inside", id];
  const pane = ["/bin/sh", "-m", "-c", paneScript, "sh", id, ...inside];
  return ["new-session", ...(isDetached ? ["-d"] : []), "-s", name, "--", ...pane];
}

/** @param takesOver ends the showing in another terminal */
export function buildAttach(name: string, takesOver: boolean): TmuxCommand {
  return ["attach-session", ...(takesOver ? ["-d"] : []), "-t", `=${name}`];
}

/**
 * Waits at the person's terminal until tmux gives it back, then has `--after` say how it went. A launch that nobody picked up
 * met a server that was just ending with its last session, so it is asked for a second time. A server that was killed leaves
 * the terminal raw.
 */
const terminalScript = [
  "own=$1 main=$2 id=$3",
  "shift 3",
  "modes=$(stty -g 2>/dev/null)",
  '"$@"',
  "status=$?",
  'if [ -e "$CLUTCH_LAUNCHES/$id.env" ]; then "$@"; status=$?; fi',
  'stty "$modes" 2>/dev/null',
  '[ -z "$main" ] || exec "$own" "$main" run --after "$id" "$status"',
  'exec "$own" run --after "$id" "$status"',
].join("; ");

/** @param show the tmux client that shows the session */
export function buildShowAndTell(
  own: readonly [string] | readonly [string, string],
  id: string,
  show: readonly string[],
): [string, ...string[]] {
  return ["/bin/sh", "-c", terminalScript, "sh", own[0], own[1] ?? "", id, ...show];
}

/**
 * Undoes what a killed tmux left of itself on the screen: the other screen, mouse and focus reports, pasting in brackets,
 * keypad and extended keys, a hidden cursor, colours.
 */
export const terminalReset =
  "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[>4;0m\x1b[?1l\x1b>\x1b[?1049l\x1b[?25h\x1b(B\x1b[0m";

export type Aftermath =
  | { kind: "ended"; exitCode: number }
  | { kind: "detached" }
  | { kind: "never started" }
  | { kind: "died" };

/** Where a launch stands once its terminal is free again. */
export function judgeAftermath(facts: {
  exitCode: number | undefined;
  isWaiting: boolean;
  isAlive: boolean;
}): Aftermath {
  if (facts.exitCode !== undefined) return { kind: "ended", exitCode: facts.exitCode };
  if (facts.isWaiting) return { kind: "never started" };
  return facts.isAlive ? { kind: "detached" } : { kind: "died" };
}

/** Says whether the machine was started anew since. */
export function readBootId(): string {
  if (process.platform === "darwin") {
    const { stdout } = Bun.spawnSync(["/usr/sbin/sysctl", "-n", "kern.boottime"], { stderr: "ignore" });
    return /sec = (\d+)/.exec(stdout.toString())?.[1] ?? "";
  }
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}
