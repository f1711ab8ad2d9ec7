/** What is on this machine that Clutch can use: keys, agents, servers, programs, and what the predecessors left. */

import { existsSync, readFileSync } from "node:fs";
import { catalog, findRow } from "../../providers/catalog.ts";
import { type FoundServer, type LocalServer, probeLocal } from "../../providers/local-probe.ts";
import type { Fetch } from "../../providers/upstream.ts";
import type { Env } from "../config/paths.ts";
import { parseDotenv } from "../migrate/dotenv.ts";
import { isPredecessorsEnv } from "../migrate/from-env.ts";

export interface FoundKey {
  provider: string;
  name: string;
  variable: string;
}

export interface FoundProgram {
  name: string;
  path: string;
}

/** Files of the predecessors; undefined where there is none. */
export interface Predecessors {
  env: string | undefined;
  xx: string | undefined;
  chain: string | undefined;
}

export interface Survey {
  keys: FoundKey[];
  agents: FoundProgram[];
  servers: FoundServer[];
  headroom: string | undefined;
  rtk: string | undefined;
  tmux: string | undefined;
}

export interface SurveyDeps {
  env: Env;
  /** Those on this machine, as the catalogue or the config has them. */
  local: readonly LocalServer[];
  agents: readonly { name: string; binary: string }[];
  find(program: string): string | undefined;
  fetch: Fetch;
}

export async function takeSurvey({ env, local, agents, find, fetch }: SurveyDeps): Promise<Survey> {
  return {
    keys: findKeys(env),
    agents: agents.flatMap(({ name, binary }) => {
      const path = find(binary);
      return path === undefined ? [] : [{ name, path }];
    }),
    servers: await probeLocal(local, { fetch, limitMs: 1_000 }),
    headroom: find("headroom"),
    rtk: find("rtk"),
    tmux: find("tmux"),
  };
}

/** One provider for each variable, the first that goes by it; the token of GitHub is there for other things mostly. */
export function findKeys(env: Env): FoundKey[] {
  const taken = new Set<string>();
  return Object.keys(catalog).flatMap((provider) => {
    const row = findRow(provider);
    const variable = row?.keyEnv?.find((name) => (env[name]?.trim() ?? "") !== "");
    if (row === undefined || variable === undefined || variable === "GITHUB_TOKEN" || taken.has(variable)) return [];
    taken.add(variable);
    return [{ provider, name: row.name, variable }];
  });
}

/** Folders in which the predecessors' files lie, below HOME. */
const folders = [
  ".xx",
  ".config/claude-code-proxy",
  ".claude-code-proxy",
  "claude-code-proxy",
  "code/claude-code-proxy",
  "projects/claude-code-proxy",
  "src/claude-code-proxy",
];

/** None when everything of Clutch's is in a folder of its own: that shares nothing with HOME. */
export function findPredecessors(env: Env): Predecessors {
  const home = env["HOME"];
  if (home === undefined || (env["CLUTCH_HOME"] ?? "") !== "")
    return { env: undefined, xx: undefined, chain: undefined };
  const first = (names: readonly string[], isOne: (path: string) => boolean = existsSync) =>
    folders.flatMap((folder) => names.map((name) => `${home}/${folder}/${name}`)).find(isOne);
  const xx = `${home}/.xx/config.json`;
  return {
    env: first([".env"], isPredecessorsFile),
    xx: existsSync(xx) ? xx : undefined,
    chain: first(["proxy_chain.json", "config/proxy_chain.json"]),
  };
}

/** Any project may have a `.env`. */
function isPredecessorsFile(path: string): boolean {
  try {
    return isPredecessorsEnv(parseDotenv(readFileSync(path, "utf8")));
  } catch {
    return false;
  }
}
