/**
 * What the installed programs say of themselves: version and flags, asked once per version. The answer is kept in the
 * cache folder under the program's path, time and size, so that a launch costs one small read.
 */

import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import type { Env } from "./config/paths.ts";

export interface Installed {
  /** As the program prints it, without its name; undefined when it did not say. */
  version: string | undefined;
  /** By subcommand, words joined by a space (`""` for the program itself); absent for a help that told nothing. */
  flags: Readonly<Record<string, readonly string[]>>;
  /** What was kept of the answer to the row's question; null when that was nothing. */
  learnt?: string | null;
}

/** What a launch wants to know of a program. */
export interface Inquiry {
  /** Whose helps, such as `[[], ["exec"]]`. */
  subcommands: readonly (readonly string[])[];
  question?: { argv: readonly string[]; keep(answer: string): string | undefined };
}

interface CacheEntry extends Installed {
  path: string;
  mtimeMs: number;
  size: number;
}

const askLimitMs = 15_000;

/**
 * What is known without starting the program; undefined when that is nothing, or of another version.
 * @param file the program's absolute path
 */
export function recallInstalled(file: string, cacheDir: string): Installed | undefined {
  const entry = readEntry(cachePath(file, cacheDir));
  const stamp = stampOf(file);
  if (entry === undefined || stamp === undefined) return undefined;
  const isSame = entry.path === file && entry.mtimeMs === stamp.mtimeMs && entry.size === stamp.size;
  return isSame ? entry : undefined;
}

/** Whether nothing is left to ask. */
export function isAnswered(known: Installed | undefined, { subcommands, question }: Inquiry): known is Installed {
  const hasHelps = subcommands.every((words) => known?.flags[words.join(" ")] !== undefined);
  return hasHelps && (question === undefined || known?.learnt !== undefined);
}

/**
 * Starts the program for its version and for all that is not known yet, all at once. In the cache folder, so that it sees no
 * project. A help that is not there within 15 s counts as one that lists nothing: the launch then goes on unchecked, and
 * only another version is asked again. A cache that cannot be written is no reason not to launch.
 */
export async function askInstalled(
  file: string,
  { subcommands, question }: Inquiry,
  cacheDir: string,
  env: Env,
): Promise<Installed> {
  const known = recallInstalled(file, cacheDir);
  const stamp = stampOf(file);
  mkdirSync(folderOf(cacheDir), { recursive: true, mode: 0o700 });
  const missing = subcommands.filter((words) => known?.flags[words.join(" ")] === undefined);
  const [version, learnt, ...helps] = await Promise.all([
    known?.version ?? ask([file, "--version"], cacheDir, env).then(parseVersion),
    known?.learnt ??
      (question && ask([file, ...question.argv], cacheDir, env).then((answer) => pick(answer, question))),
    ...missing.map((words) => ask([file, ...words, "--help"], cacheDir, env).then(parseFlags)),
  ]);
  const fresh = missing.map((words, index) => [words.join(" "), helps[index] ?? []]);
  const installed: Installed = {
    version,
    flags: { ...known?.flags, ...Object.fromEntries(fresh) },
    ...(learnt !== undefined && { learnt }),
  };
  if (stamp !== undefined) writeEntry(cachePath(file, cacheDir), { path: file, ...stamp, ...installed });
  return installed;
}

/** The flags that these helps list together; undefined when one of them told nothing. */
export function flagsOf(
  installed: Installed | undefined,
  subcommands: readonly (readonly string[])[],
): ReadonlySet<string> | undefined {
  const lists = subcommands.map((words) => installed?.flags[words.join(" ")] ?? []);
  return lists.every((list) => list.length > 0) ? new Set(lists.flat()) : undefined;
}

/** A program that answers otherwise than it used to has nothing to tell. */
function pick(answer: string, { keep }: Required<Inquiry>["question"]): string | null {
  try {
    return keep(answer) ?? null;
  } catch {
    return null;
  }
}

/** `--name` and `-n` wherever a help mentions them. */
export function parseFlags(help: string): string[] {
  const plain = Bun.stripANSI(help);
  return [...new Set([...plain.matchAll(/(?<![\w-])--?[a-zA-Z][\w-]*/g)].map(([flag]) => flag))].sort();
}

/** `claude 2.1.328 (Claude Code)` says 2.1.328. */
export function parseVersion(text: string): string | undefined {
  return /\d+\.[\w.+-]*\d/.exec(Bun.stripANSI(text))?.[0];
}

/** Both streams: some programs print their help on stderr. */
async function ask(argv: string[], cacheDir: string, env: Env): Promise<string> {
  try {
    const child = Bun.spawn(argv, {
      cwd: folderOf(cacheDir),
      env: { ...env, NO_COLOR: "1" },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: askLimitMs,
      killSignal: "SIGKILL",
    });
    const [out, error] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return (await child.exited) === 0 ? `${out}\n${error}` : "";
  } catch {
    return "";
  }
}

function stampOf(file: string): { mtimeMs: number; size: number } | undefined {
  try {
    const { mtimeMs, size } = statSync(file);
    return { mtimeMs, size };
  } catch {
    return undefined;
  }
}

function folderOf(cacheDir: string): string {
  return `${cacheDir}/agents`;
}

/** The same program may be installed twice, by two names in PATH. */
function cachePath(file: string, cacheDir: string): string {
  return `${folderOf(cacheDir)}/${file.replace(/^\//, "").replaceAll("/", "+")}.json`;
}

function readEntry(path: string): CacheEntry | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as CacheEntry;
  } catch {
    return undefined;
  }
}

function writeEntry(path: string, entry: CacheEntry): void {
  const draft = `${path}.${process.pid}`;
  try {
    writeFileSync(draft, `${JSON.stringify(entry)}\n`, { mode: 0o600 });
    renameSync(draft, path);
  } catch {
    // Asked again next time.
  }
}
