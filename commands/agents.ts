/** `xx agents`: which agents are installed, in which version, and whether they still have the flags that launches use. */

import pc from "picocolors";
import { type AgentRow, agents } from "../launcher/agents.ts";
import { type AgentCheck, findAgentCheck, readAgentChecks } from "../launcher/doctor/results.ts";
import { flagsUsed } from "../launcher/plan.ts";
import type { Env, Homes } from "../src/config/paths.ts";
import { findBinary } from "../src/find-binary.ts";
import { askInstalled, flagsOf } from "../src/installed.ts";
import { isAgentLetter } from "../src/launch-code.ts";

export interface AgentState {
  letter: string;
  name: string;
  program: string;
  /** Null for one that is not installed. */
  path: string | null;
  version: string | null;
  /** Flags that launches use and its help does not list; null when its help could not be read. */
  missing_flags: string[] | null;
  /** What `clutch doctor --agents` found of this version: `ok` or what is wrong, by route; null when it was not asked. */
  checked: { at: string; routes: Record<string, string> } | null;
  install: string;
}

export async function showAgents({ isJson }: { isJson: boolean }, homes: Homes, env: Env): Promise<void> {
  const states = await inspectAgents(homes, env);
  console.log(isJson ? JSON.stringify({ agents: states }, null, 2) : renderAgents(states));
}

/** Starts those that are installed for their version and their helps, unless these are known already. */
export function inspectAgents(homes: Homes, env: Env): Promise<AgentState[]> {
  const checks = readAgentChecks(homes.stateDir);
  return Promise.all(
    Object.entries<AgentRow>(agents).map(async ([letter, row]): Promise<AgentState> => {
      const state = await inspect(letter, row, homes, env);
      return { ...state, checked: recallCheck(state, checks) };
    }),
  );
}

function recallCheck({ letter, path, version }: Unchecked, checks: readonly AgentCheck[]): AgentState["checked"] {
  const check =
    path === null || !isAgentLetter(letter) ? undefined : findAgentCheck(checks, { agent: letter, path, version });
  if (check === undefined) return null;
  return {
    at: check.checked_at,
    routes: Object.fromEntries(check.routes.map(({ route, verdict }) => [route, verdict])),
  };
}

type Unchecked = Omit<AgentState, "checked">;

async function inspect(letter: string, row: AgentRow, homes: Homes, env: Env): Promise<Unchecked> {
  const { name, binary, install } = row;
  const path = findBinary(binary, env) ?? null;
  if (path === null) return { letter, name, program: binary, path, version: null, missing_flags: null, install };
  const used = flagsUsed(row);
  const subcommands = [...used.keys()].map((words) => (words === "" ? [] : words.split(" ")));
  const installed = await askInstalled(path, { subcommands }, homes.cacheDir, env);
  const general = flagsOf(installed, [[]]);
  const missing = [...used].flatMap(([words, flags]) => {
    const listed = flagsOf(installed, [words === "" ? [] : words.split(" ")]);
    return listed === undefined ? [] : flags.filter((flag) => !listed.has(flag) && !general?.has(flag));
  });
  return {
    letter,
    name,
    program: binary,
    path,
    version: installed.version ?? null,
    missing_flags: general === undefined ? null : [...new Set(missing)],
    install,
  };
}

/** One line each: what is there with version and path, what is not with the way to get it. */
export function renderAgents(states: readonly AgentState[]): string {
  const cells = states.map((state) => [state.letter, state.name, state.version ?? (state.path === null ? "-" : "?")]);
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return states
    .map((state, index) => {
      const start = (cells[index] ?? []).map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
      const end = state.path ?? pc.dim(`not installed: ${state.install}`);
      return `${start}  ${end}${flagNote(state)}${checkNote(state)}`;
    })
    .join("\n");
}

function checkNote({ checked }: AgentState): string {
  if (checked === null) return "";
  const faults = Object.entries(checked.routes).filter(([, verdict]) => !["ok", "refused"].includes(verdict));
  if (faults.length === 0) return pc.green(`  on the gateway (${checked.at.slice(0, 10)})`);
  return pc.red(`  ${faults.map(([route, verdict]) => `${route}: ${verdict}`).join(", ")} (clutch doctor --agents)`);
}

function flagNote({ path, missing_flags }: AgentState): string {
  if (path === null) return "";
  if (missing_flags === null) return pc.yellow("  its help could not be read");
  return missing_flags.length === 0 ? "" : pc.yellow(`  no longer has ${missing_flags.join(", ")}`);
}
