/**
 * Puts the agents that the agent tests launch into the cache, by lock files of their own, and proves that they run: five
 * from npm, one from PyPI. Run as a script it installs and says where; the tests call `installAgents` themselves.
 */

import { existsSync } from "node:fs";
import { copyFile, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import manifest from "./agents/package.json";
import { failureOf, findOrInstall, type Install, oneLine, type Report, versionFault } from "./install-cache.ts";
import { hermesInstall, hermesVersion } from "./install-hermes.ts";
import { programFolder } from "./install-python.ts";

export interface InstalledAgents {
  ok: true;
  /** Go first into PATH: the agents, and a Node that is new enough for them. */
  binFolders: readonly string[];
  /** Programs that this machine cannot have, and why. */
  missing: Readonly<Record<string, string>>;
}

/** `reason` is one line: what failed and why. */
export type InstallResult = InstalledAgents | { ok: false; reason: string };

type PackageName = keyof typeof manifest.dependencies;

interface AgentPackage {
  /** As in `node_modules/.bin`. */
  program: string;
  package: PackageName;
  /** The package's post-install step. We run it ourselves: npm is told to run none. */
  postInstall?: string;
}

const agentPackages: readonly AgentPackage[] = [
  { program: "claude", package: "@anthropic-ai/claude-code", postInstall: "install.cjs" },
  { program: "codex", package: "@openai/codex" },
  { program: "qwen", package: "@qwen-code/qwen-code" },
  { program: "pi", package: "@earendil-works/pi-coding-agent" },
  { program: "opencode", package: "opencode-ai", postInstall: "postinstall.mjs" },
];

const lockFolder = join(import.meta.dir, "agents");
const installTimeoutMs = 10 * 60_000;
const stepTimeoutMs = 60_000;

/** Installs what is missing; a second call finds it. Never throws: what went wrong is the reason. */
export async function installAgents(report: Report = console.log): Promise<InstallResult> {
  const fromNpm = await tryInstall(npmInstall, report);
  if ("reason" in fromNpm) return { ok: false, reason: fromNpm.reason };
  const fromPyPI = await tryInstall(hermesInstall, report);
  if ("reason" in fromPyPI)
    return { ok: true, binFolders: [binFolderOf(fromNpm.folder)], missing: { hermes: fromPyPI.reason } };
  return { ok: true, binFolders: [binFolderOf(fromNpm.folder), programFolder(fromPyPI.folder)], missing: {} };
}

/** Version of an agent's package in the lock. */
export function lockedVersion(program: string): string {
  const row = agentPackages.find((candidate) => candidate.program === program);
  if (row !== undefined) return manifest.dependencies[row.package];
  return program === "hermes" ? hermesVersion() : "?";
}

async function tryInstall(what: Install, report: Report): Promise<{ folder: string } | { reason: string }> {
  try {
    return { folder: await findOrInstall(what, report) };
  } catch (error) {
    return { reason: oneLine(error instanceof Error ? error.message : String(error)) };
  }
}

const npmInstall: Install = {
  label: `${agentPackages.map((row) => `${row.package} ${manifest.dependencies[row.package]}`).join(", ")} (1.6 GB)`,
  lockFile: join(lockFolder, "package-lock.json"),
  make: installFromNpm,
  findFault: findNpmFault,
};

function binFolderOf(folder: string): string {
  return join(folder, "node_modules", ".bin");
}

async function installFromNpm(draft: string): Promise<string | undefined> {
  const npm = Bun.which("npm");
  if (npm === null) return "npm is not on PATH: the agents come from npm";
  for (const file of ["package.json", "package-lock.json"]) await copyFile(join(lockFolder, file), join(draft, file));
  // whatever the user's npm settings say: optional packages carry the native binaries, post-install is ours to run
  const settings = ["--include=optional", "--ignore-scripts", "--engine-strict=false", "--no-audit", "--no-fund"];
  // npm's own pauses between tries grow to a minute each: three minutes to learn that there is no network
  const patience = ["--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"];
  // not `npm ci`: it refuses a lock without the packages of platforms that the registry it was made with does not carry
  const argv = [npm, "install", "--no-save", "--prefix", draft, ...settings, ...patience, "--loglevel=error"];
  return (await failureOf(argv, draft, installTimeoutMs)) ?? (await finish(draft));
}

/** What npm left undone: the link to Node, which npm 10 does not make, and the post-install steps, run by that Node. */
async function finish(draft: string): Promise<string | undefined> {
  if (!(await linkNode(draft))) return `no Node in the lock for ${process.platform} ${process.arch}`;
  for (const row of agentPackages) {
    if (row.postInstall === undefined) continue;
    const folder = join(draft, "node_modules", row.package);
    const fault = await failureOf([join(binFolderOf(draft), "node"), row.postInstall], folder, stepTimeoutMs);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

async function linkNode(draft: string): Promise<boolean> {
  for (const name of Object.keys(manifest.optionalDependencies)) {
    if (!existsSync(join(draft, "node_modules", name, "bin", "node"))) continue;
    const link = join(binFolderOf(draft), "node");
    await rm(link, { force: true });
    await symlink(join("..", name, "bin", "node"), link);
    return true;
  }
  return false;
}

async function findNpmFault(folder: string): Promise<string | undefined> {
  const searchPath = `${binFolderOf(folder)}:${process.env.PATH ?? ""}`;
  for (const row of agentPackages) {
    const program = join(binFolderOf(folder), row.program);
    const fault = await versionFault(program, manifest.dependencies[row.package], searchPath);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

if (import.meta.main) {
  const result = await installAgents();
  if (result.ok) {
    console.log(`agents: ready in ${result.binFolders.join(" and ")}`);
    for (const [program, reason] of Object.entries(result.missing)) console.log(`agents: no ${program}: ${reason}`);
  } else {
    console.error(`agents: cannot be installed: ${result.reason}`);
    process.exitCode = 1;
  }
}
