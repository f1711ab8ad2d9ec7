/** The launcher's only I/O: looks at the machine, writes a launch's files, and becomes the agent. */

import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import type { Env } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { launchSecretFile } from "../src/launch-token.ts";
import type { AgentRow, HomeFile, LoginProbe, RivalProbe } from "./agents.ts";
import { applyEnvDelta, type LaunchFile, type LaunchPlan, type RivalFile } from "./plan.ts";

const daysKept = 7;
const dayMs = 24 * 60 * 60 * 1000;

export function detectOwnLogin(probe: LoginProbe, env: Env, platform: NodeJS.Platform): boolean {
  if (probe.keychainPlatforms.includes(platform) || probe.variables.some((name) => Boolean(env[name]))) return true;
  return existsSync(homePath(probe.file, env));
}

/** A file that cannot be read wins over nothing that could be told. */
export function findRivals(probe: RivalProbe, env: Env, cwd: string): RivalFile[] {
  const paths = [
    ...probe.homeFiles.map((file) => homePath(file, env)),
    ...probe.projectFiles.map((name) => `${cwd}/${name}`),
  ];
  return [...new Set(paths)].flatMap((path) => {
    const found = [...(readOptional(path) ?? "").matchAll(probe.settings)].map(([, name = ""]) => name);
    return found.length === 0 ? [] : [{ path, names: [...new Set(found)] }];
  });
}

function homePath(file: HomeFile, env: Env): string {
  return `${env[file.homeVariable] || `${env["HOME"] ?? ""}/${file.defaultFolder}`}/${file.name}`;
}

/** Eight characters of 36: 41 bits, unique enough for one person's ledger. */
export function newLaunchId(): string {
  const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => alphabet[byte % alphabet.length]).join("");
}

/** One folder a day, so that old ones go without looking at every file. */
export function launchDirectory(stateDir: string, now: Date): string {
  return `${stateDir}/launch/${now.toISOString().slice(0, 10)}`;
}

/** The secret of launch tokens, made on first use. */
export function readLaunchSecret(stateDir: string): string {
  const path = launchSecretFile(stateDir);
  const known = readOptional(path)?.trim() || undefined;
  if (known !== undefined) return known;
  const draft = `${path}.${process.pid}`;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  writeFileSync(draft, crypto.getRandomValues(new Uint8Array(24)).toBase64({ alphabet: "base64url" }), { mode: 0o600 });
  try {
    // Unlike a rename, a link never replaces the secret of a launch that was faster.
    linkSync(draft, path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
  } finally {
    rmSync(draft);
  }
  return readFileSync(path, "utf8").trim();
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/**
 * Writes each file whole or not at all, its folder closed to others, and drops the folders of more than a week ago.
 * @throws {ClutchError} `failed`, with the path
 */
export function writeLaunchFiles(files: readonly LaunchFile[], now: Date): void {
  for (const file of files) {
    const folder = dirname(file.path);
    const draft = `${file.path}.${process.pid}`;
    try {
      if (!existsSync(folder)) {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        chmodSync(dirname(folder), 0o700);
        dropOldFolders(dirname(folder), now);
      }
      writeFileSync(draft, file.content, { mode: file.mode, flag: "wx" });
      renameSync(draft, file.path);
    } catch (cause) {
      throw new ClutchError("failed", `cannot write ${file.path} (${(cause as NodeJS.ErrnoException).code})`, {
        hint: "check the owner and the space of that folder",
        cause,
      });
    }
  }
}

function dropOldFolders(launchRoot: string, now: Date): void {
  const oldest = new Date(now.getTime() - daysKept * dayMs).toISOString().slice(0, 10);
  for (const day of readdirSync(launchRoot)) {
    if (/^\d{4}-\d\d-\d\d$/.test(day) && day < oldest) rmSync(`${launchRoot}/${day}`, { recursive: true, force: true });
  }
}

/** Exit status 127, with the row's way to install it. */
export function notInstalled(row: AgentRow): ClutchError {
  return new ClutchError("agent-not-found", `${row.binary} is not on PATH`, { hint: `install it with ${row.install}` });
}

/**
 * Does not return: this process becomes the agent, so that terminal, signals and exit status are the agent's own.
 * @throws {ClutchError} `failed` when the system refuses to run the file
 */
export function becomeAgent(plan: LaunchPlan, row: AgentRow, parentEnv: Env): Promise<never> {
  const env = applyEnvDelta(parentEnv, plan.env);
  return becomeProgram(plan.file, [row.binary, ...plan.argv], env, `reinstall it with ${row.install}`);
}

/**
 * The same for any program.
 * @param argv with the program's own name
 * @param hint what to do when the system refuses
 */
export async function becomeProgram(
  file: string,
  argv: readonly string[],
  env: Record<string, string>,
  hint: string,
): Promise<never> {
  await restoreSignals();
  try {
    // Absent on Windows only, where Clutch runs inside WSL.
    return process.execve?.(file, [...argv], env) as never;
  } catch (cause) {
    throw new ClutchError("failed", `cannot start ${file} (${(cause as NodeJS.ErrnoException).code})`, { hint, cause });
  }
}

/**
 * Bun ignores SIGPIPE and SIGXFSZ, and what is ignored stays so across execve: `agent | head` would complain of a broken
 * pipe in place of ending quietly. Seen with Bun 1.4.4.
 */
async function restoreSignals(): Promise<void> {
  const sigpipe = 13;
  const sigxfsz = 25;
  const defaultAction = null;
  try {
    const { dlopen } = await import("bun:ffi");
    const libc = dlopen(process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6", {
      signal: { args: ["i32", "ptr"], returns: "ptr" },
    });
    libc.symbols.signal(sigpipe, defaultAction);
    libc.symbols.signal(sigxfsz, defaultAction);
  } catch {
    // No such library under this name: the agent starts all the same.
  }
}
