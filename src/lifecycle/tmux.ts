/**
 * The tmux driver: a server of our own behind a socket in the state folder, never the user's, with arguments as arrays.
 * What runs in it is its callers' business.
 */

import type { Env } from "../config/paths.ts";

export interface Tmux {
  /** The program's absolute path. */
  file: string;
  /** One server per socket; two homes never meet. */
  socket: string;
}

/** One tmux command, such as `["kill-session", "-t", "=name"]`. */
export type TmuxCommand = readonly string[];

export interface TmuxAnswer {
  ok: boolean;
  stdout: string;
  /** tmux's own words, trimmed. */
  stderr: string;
}

/** A socket's path has room for 108 bytes on Linux and 104 on macOS, the final zero included. */
export const maxSocketBytes = 103;

/**
 * The whole argv. `-u`: without it tmux replaces what is not ASCII where no locale says UTF-8, and tabs in `-F` output.
 * @param features of the person's terminal that tmux cannot find out itself, such as `RGB`; only for a client that attaches
 */
export function buildTmuxArgv(
  tmux: Tmux,
  commands: readonly TmuxCommand[],
  features: readonly string[] = [],
): string[] {
  const joined = commands.flatMap((command, index) => (index === 0 ? command : [";", ...command]));
  const options = features.length === 0 ? [] : ["-T", features.join(",")];
  return [tmux.file, "-u", ...options, "-S", tmux.socket, "-f", "/dev/null", ...joined];
}

/** Runs the commands in one call and waits. @param env becomes the server's own if this call starts it */
export function runTmux(tmux: Tmux, commands: readonly TmuxCommand[], env: Env): TmuxAnswer {
  const child = Bun.spawnSync(buildTmuxArgv(tmux, commands), {
    env: { ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 10_000,
  });
  return { ok: child.exitCode === 0, stdout: child.stdout.toString(), stderr: child.stderr.toString().trim() };
}

/** A `-F` format whose fields `parseRows` takes apart again: tabs, which tmux puts into no name and no number. */
export function buildFormat(fields: readonly string[]): string {
  return fields.map((field) => `#{${field}}`).join("\t");
}

/** One record per line of `-F` output, in the order of the fields; a line with another number of fields is left out. */
export function parseRows<Field extends string>(text: string, fields: readonly Field[]): Record<Field, string>[] {
  return text.split("\n").flatMap((line) => {
    const values = line.split("\t");
    if (values.length !== fields.length) return [];
    return [Object.fromEntries(fields.map((field, index) => [field, values[index] ?? ""])) as Record<Field, string>];
  });
}

const sessionFields = ["session_name", "session_attached"] as const;

/** How many terminals show each session. Empty when there is no server. */
export function listSessions(tmux: Tmux, env: Env): Map<string, number> {
  const { ok, stdout } = runTmux(tmux, [["list-sessions", "-F", buildFormat(sessionFields)]], env);
  if (!ok) return new Map();
  return new Map(parseRows(stdout, sessionFields).map((row) => [row.session_name, Number(row.session_attached)]));
}
