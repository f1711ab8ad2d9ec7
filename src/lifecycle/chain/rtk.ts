/**
 * RTK, which rewrites shell commands through hooks inside each agent: no service, but a member that is shown. Found on PATH,
 * and told from the two other tools of its name: npm's `rtk` makes releases, crates.io's is the Rust Type Kit. Its commands
 * and answers are those of docs/chain.md, part 2.
 */

import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import type { Env } from "../../config/paths.ts";
import { agentNames } from "../../launch-code.ts";
import type { Json } from "../../protocols/chat.ts";
import { isObject, readCount } from "../../protocols/json.ts";
import { runBriefly } from "../brief-run.ts";
import type { Member } from "./member.ts";
import { findWiredAgents, type WiredAgent } from "./rtk-wiring.ts";
import type { Service } from "./services.ts";

/** The second is the build under the older licence, shipped beside the first since 1.0.0. */
const programs = ["rtk", "rtk-oss"];

const installHint =
  "brew install rtk-ai/tap/rtk, or cargo install --git https://github.com/rtk-ai/rtk rtk (npm and crates.io have other tools of that name)";

export interface RtkPlace {
  env: Env;
  home: string;
  cacheDir: string;
}

export interface RtkObservation {
  state: "missing" | "impostor" | "installed";
  /** The program that was asked. */
  path: string | undefined;
  version: string | undefined;
  wiredAgents: WiredAgent[];
  /** Since its history began, by its own count of bytes; undefined where it did not say. */
  tokensSaved: number | undefined;
  /** One line. */
  detail: string;
  hint: string | undefined;
}

/** What one file on PATH turned out to be. */
interface Program {
  path: string;
  isRtk: boolean;
  version: string | undefined;
  tokensSaved: number | undefined;
  /** What it answered in place of its gains. */
  answer: string;
}

const askLimitMs = 1_000;
const cacheLifeMs = 10_000;
/** A PATH with more of that name has a problem that rows would not solve. */
const mostPrograms = 4;

/** Asks at most every ten seconds, for at most a second; runs in the cache folder, where no project can speak to it. */
export async function observeRtk(place: RtkPlace, now: () => number = Date.now): Promise<RtkObservation> {
  const { env, home, cacheDir } = place;
  const files = findPrograms(env).slice(0, mostPrograms);
  const wired = findWiredAgents(env, home);
  const stamp = files.map(stampOf).join("|");
  let found = files.length === 0 ? [] : readCache(cacheDir, stamp, now());
  if (found === undefined) {
    found = await Promise.all(files.map((file) => askProgram(file, cacheDir, env)));
    writeCache(cacheDir, { stamp, atMs: now(), found });
  }
  return describeRtk(found, wired);
}

/** Pure. */
export function describeRtk(found: readonly Program[], wiredAgents: WiredAgent[]): RtkObservation {
  const real = found.find(({ isRtk }) => isRtk);
  const [first] = found;
  const names = wiredAgents.map(({ agent, by }) => agentNames[agent] + (by === "text" ? " (text only)" : ""));
  const left = names.length === 0 ? "" : `, and hooks that call it are in ${names.join(", ")}`;
  const about = { wiredAgents, path: (real ?? first)?.path, version: real?.version, tokensSaved: real?.tokensSaved };
  if (first === undefined) {
    return { ...about, state: "missing", detail: `not installed${left}`, hint: installHint };
  }
  // Hooks call `rtk`, so the first of that name is the one that counts.
  if (real === undefined || (!first.isRtk && nameOf(first) === nameOf(real))) {
    const shadows = real === undefined ? "" : `, and stands on PATH before the real one, ${real.path}`;
    const detail = `${first.path} is another tool of that name: ${first.answer}${shadows}${left}`;
    const hint = real === undefined ? installHint : `remove ${first.path}, or put its folder behind on PATH`;
    return { ...about, path: first.path, version: undefined, tokensSaved: undefined, state: "impostor", detail, hint };
  }
  const wiring = names.length === 0 ? "wired into no agent" : `wired into ${names.join(", ")}`;
  const { tokensSaved } = real;
  const gain = tokensSaved === undefined ? "tokens saved unknown" : `${renderTokens(tokensSaved)} tokens saved`;
  const hint = names.length === 0 ? "rtk init -g wires Claude Code; restart the agent after it" : undefined;
  return { ...about, state: "installed", detail: `${wiring}, ${gain}`, hint };
}

/** Passive in every state, and so a trouble in none; off where the config says so. */
export function toMember(service: Service, seen: Pick<RtkObservation, "version" | "detail" | "hint">): Member {
  return {
    id: service.id,
    name: service.name,
    type: service.type,
    state: service.enabled ? "passive" : "off",
    isFront: false,
    port: undefined,
    version: seen.version,
    pid: undefined,
    startedAtMs: undefined,
    restarts: 0,
    detail: service.enabled ? seen.detail : "switched off in the config",
    hint: service.enabled ? seen.hint : `clutch chain enable ${service.id}`,
  };
}

function renderTokens(count: number): string {
  if (count < 1000) return String(count);
  return count < 1e6 ? `${Math.round(count / 1000)}K` : `${Math.round(count / 1e5) / 10}M`;
}

function nameOf({ path }: Program): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Every one, not only the first: which of two comes first is what goes wrong. Folders that are not absolute do not count. */
function findPrograms(env: Env): string[] {
  const folders = (env["PATH"] ?? "").split(":").filter((folder) => folder.startsWith("/"));
  return programs.flatMap((name) => {
    const files = folders.flatMap((folder) => Bun.which(name, { PATH: folder }) ?? []);
    return [...new Set(files)];
  });
}

async function askProgram(path: string, cacheDir: string, env: Env): Promise<Program> {
  const cwd = makeFolder(folderOf(cacheDir));
  const ask = (words: string[]) =>
    runBriefly({ argv: [path, ...words], cwd, env: { ...env, NO_COLOR: "1" }, limitMs: askLimitMs });
  // Both at once: the second is only of use when the first is well.
  const [gain, version] = await Promise.all([ask(["gain", "--format", "json"]), ask(["--version"])]);
  const summary = gain.exitCode === 0 ? readSummary(gain.stdout) : undefined;
  if (summary !== undefined) {
    const said = /\d+\.[\w.+-]*\d/.exec(Bun.stripANSI(version.stdout))?.[0];
    return { path, isRtk: true, version: said, tokensSaved: readCount(summary["total_saved"]), answer: "" };
  }
  return { path, isRtk: false, version: undefined, tokensSaved: undefined, answer: describeAnswer(gain) };
}

function describeAnswer({ exitCode, isOverdue, fault }: Awaited<ReturnType<typeof runBriefly>>): string {
  if (fault !== undefined) return `it cannot be started (${fault})`;
  if (isOverdue) return `"rtk gain" gave no answer within ${askLimitMs / 1000} s`;
  if (exitCode === 0) return '"rtk gain --format json" does not answer as RTK does';
  return `"rtk gain" ends with ${exitCode ?? "a signal"}`;
}

function readSummary(text: string): Record<string, Json | undefined> | undefined {
  try {
    const value = JSON.parse(text) as Json;
    const summary = isObject(value) ? value["summary"] : undefined;
    return isObject(summary) ? summary : undefined;
  } catch {
    return undefined;
  }
}

// ---- the cache

interface Kept {
  /** Of the files that were asked. */
  stamp: string;
  atMs: number;
  found: Program[];
}

function folderOf(cacheDir: string): string {
  return `${cacheDir}/chain`;
}

/** Without a cache folder it is asked each time, at the root. */
function makeFolder(folder: string): string {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return folder;
  } catch {
    return "/";
  }
}

function stampOf(path: string): string {
  try {
    const { mtimeMs, size } = statSync(path);
    return `${path} ${mtimeMs} ${size}`;
  } catch {
    return path;
  }
}

function readCache(cacheDir: string, stamp: string, nowMs: number): Program[] | undefined {
  try {
    const kept = JSON.parse(readFileSync(`${folderOf(cacheDir)}/rtk.json`, "utf8")) as Kept;
    const isFresh = nowMs >= kept.atMs && nowMs - kept.atMs < cacheLifeMs;
    return isFresh && kept.stamp === stamp && Array.isArray(kept.found) ? kept.found : undefined;
  } catch {
    return undefined;
  }
}

function writeCache(cacheDir: string, kept: Kept): void {
  const path = `${folderOf(cacheDir)}/rtk.json`;
  const draft = `${path}.${process.pid}`;
  try {
    writeFileSync(draft, `${JSON.stringify(kept)}\n`, { mode: 0o600 });
    renameSync(draft, path);
  } catch {
    // Asked again next time.
  }
}
