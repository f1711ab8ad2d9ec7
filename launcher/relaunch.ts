/** What the crash guard has to know of launches by `xx`: which commands are one, and how one comes back. Pure. */

import { basename } from "node:path";
import { type LaunchCode, renderLaunchCode } from "../src/launch-code.ts";
import { findAgentRow } from "./agents.ts";
import { parseLaunchCode } from "./code.ts";
import { parseXxOptions, type XxOptions } from "./options.ts";
import { supported } from "./plan.ts";

export type Inspected =
  | { kind: "launch"; code: LaunchCode; options: XxOptions }
  /** Ours, but it prints something, runs once or is mistyped. */
  | { kind: "passing" }
  /** Anybody else's program. */
  | { kind: "foreign" };

/** @param command as it was typed, the program first */
export function inspectCommand(command: readonly string[]): Inspected {
  const words = wordsOfXx(command);
  if (words === undefined) return basename(command[0] ?? "") === "clutch" ? { kind: "passing" } : { kind: "foreign" };
  try {
    const options = parseXxOptions(words);
    const code = parseLaunchCode(options.words[0] ?? "");
    const isPassing = options.wantsHelp || options.wantsVersion || options.isDryRun || code.mode === "n";
    return isPassing ? { kind: "passing" } : { kind: "launch", code, options };
  } catch {
    // `xx` itself says what is wrong with it.
    return { kind: "passing" };
  }
}

/** The arguments of `xx`, by either of its names. */
function wordsOfXx(command: readonly string[]): readonly string[] | undefined {
  const [program = "", first, ...rest] = command;
  if (basename(program) === "xx") return command.slice(1);
  return basename(program) === "clutch" && first === "xx" ? rest : undefined;
}

/**
 * The command that brings a launch back: `xx` with the same agent, route, tier and options, in the session if that is known
 * and else in the last one. Its first message has been said and is left out. Other programs start again as they were.
 * @param session the agent's own session id
 * @throws {ClutchError} `not-supported` for an agent that can do neither
 */
export function planReturn(command: readonly string[], session: string | undefined): string[] {
  const inspected = inspectCommand(command);
  if (inspected.kind !== "launch") return [...command];
  const { code, options } = inspected;
  const id = session ?? options.session;
  const back: LaunchCode = { ...code, mode: id === undefined ? "c" : "s" };
  const row = findAgentRow(code.agent);
  supported(row.modes[id === undefined ? "c" : "s"], row, back);
  return [
    "xx",
    renderLaunchCode(back),
    ...(id === undefined ? [] : ["-s", id]),
    ...(options.model === undefined ? [] : ["-m", options.model]),
    ...(options.isSafe ? ["--safe"] : []),
    ...(options.skipsFront ? ["--no-front"] : []),
    ...(options.rest.length === 0 ? [] : ["--", ...options.rest]),
  ];
}
