/**
 * Puts the agents that the agent tests launch into a cache folder outside the tree, by their own lock file, and proves
 * that they run. Run as a script it installs and says where; the tests call `installAgents` themselves.
 *
 * The folder's name holds a hash of the lock, so another lock never meets an old install. An install is made in a
 * sibling and renamed when it has been proved: whatever stands under the final name is whole.
 */

import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, symlink } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import manifest from "./agents/package.json";

export interface InstalledAgents {
  ok: true;
  /** Goes first into PATH: the agents, and a Node that is new enough for them. */
  binFolder: string;
}

/** `reason` is one line: what failed and why. */
export type InstallResult = InstalledAgents | { ok: false; reason: string };

type PackageName = keyof typeof manifest.dependencies;

interface AgentPackage {
  /** As in `node_modules/.bin`. */
  program: string;
  package: PackageName;
  /** The package's post-install step. We run it ourselves: npm may have been told to run none. */
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
const attempts = 3;
const pauseBetweenAttemptsMs = 3000;
const installTimeoutMs = 10 * 60_000;
const stepTimeoutMs = 60_000;

/** Installs what is missing; a second call finds it. Never throws: what went wrong is the reason. */
export async function installAgents(report: (line: string) => void = console.log): Promise<InstallResult> {
  try {
    return await findOrInstall(report);
  } catch (error) {
    return { ok: false, reason: oneLine(error instanceof Error ? error.message : String(error)) };
  }
}

/** Version of an agent's package in the lock. */
export function lockedVersion(program: string): string {
  const row = agentPackages.find((candidate) => candidate.program === program);
  return row === undefined ? "?" : manifest.dependencies[row.package];
}

async function findOrInstall(report: (line: string) => void): Promise<InstallResult> {
  const root = cacheRoot();
  const folder = join(root, await cacheKey());
  if (existsSync(folder)) {
    const fault = await findFault(folder);
    if (fault === undefined) return { ok: true, binFolder: binFolderOf(folder) };
    report(`agents: ${folder} is damaged (${fault}), installing again`);
    await rm(folder, { recursive: true, force: true });
  }
  await mkdir(root, { recursive: true });
  await removeLeftovers(root);
  report(`agents: installing ${packageList()} into ${folder} (about 950 MB)`);
  const startedAtMs = Date.now();
  const draft = await mkdtemp(`${folder}.draft-${process.pid}-`);
  try {
    await install(draft, report);
    await publish(draft, folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  report(`agents: installed in ${Math.round((Date.now() - startedAtMs) / 1000)} s`);
  return { ok: true, binFolder: binFolderOf(folder) };
}

/** `CLUTCH_AGENT_CACHE`, or a folder in the user's cache. */
function cacheRoot(): string {
  const chosen = process.env.CLUTCH_AGENT_CACHE;
  if (chosen) return chosen;
  const cache = process.env.XDG_CACHE_HOME || join(process.env.HOME || userInfo().homedir, ".cache");
  return join(cache, "clutch-agent-tests");
}

/** One per lock and platform: a home folder may be shared between machines. */
async function cacheKey(): Promise<string> {
  const lock = await Bun.file(join(lockFolder, "package-lock.json")).bytes();
  const hash = new Bun.CryptoHasher("sha256").update(lock).digest("hex").slice(0, 12);
  return `${hash}-${process.platform}-${process.arch}`;
}

function binFolderOf(folder: string): string {
  return join(folder, "node_modules", ".bin");
}

function packageList(): string {
  return agentPackages.map((row) => `${row.package} ${manifest.dependencies[row.package]}`).join(", ");
}

/** Drafts of installs that were killed; those of living processes stay. */
async function removeLeftovers(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    const owner = /\.draft-(\d+)-/.exec(name)?.[1];
    if (owner !== undefined && !isAlive(Number(owner))) await rm(join(root, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, but is another user's
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

async function install(draft: string, report: (line: string) => void): Promise<void> {
  const npm = Bun.which("npm");
  if (npm === null) throw new Error("npm is not on PATH: the agents come from npm");
  for (const file of ["package.json", "package-lock.json"]) await copyFile(join(lockFolder, file), join(draft, file));
  for (let attempt = 1; ; attempt++) {
    const fault = await installOnce(npm, draft);
    if (fault === undefined) return;
    if (attempt === attempts) throw new Error(`${fault} (${attempts} attempts)`);
    report(`agents: attempt ${attempt} of ${attempts} failed: ${fault}`);
    await Bun.sleep(pauseBetweenAttemptsMs);
  }
}

async function installOnce(npm: string, draft: string): Promise<string | undefined> {
  // whatever the user's npm settings say: optional packages carry the native binaries, post-install is ours to run
  const settings = ["--include=optional", "--ignore-scripts", "--engine-strict=false", "--no-audit", "--no-fund"];
  // npm's own pauses between tries grow to a minute each: three minutes to learn that there is no network
  const patience = ["--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"];
  const argv = [npm, "ci", "--prefix", draft, ...settings, ...patience, "--loglevel=error"];
  return (await failureOf(argv, draft, installTimeoutMs)) ?? (await finish(draft)) ?? (await findFault(draft));
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

/** What keeps an install from being used, or nothing: each agent must run and tell the version of the lock. */
async function findFault(folder: string): Promise<string | undefined> {
  const home = await mkdtemp(join(tmpdir(), "clutch-agent-home-"));
  try {
    for (const row of agentPackages) {
      const path = `${binFolderOf(folder)}:${process.env.PATH ?? ""}`;
      const argv = [join(binFolderOf(folder), row.program), "--version"];
      const { code, output } = await run(argv, folder, stepTimeoutMs, { HOME: home, PATH: path });
      const version = manifest.dependencies[row.package];
      if (code !== 0) return `${row.program} --version failed: ${lastErrorLine(output)}`;
      if (!output.includes(version)) return `${row.program} is not ${version}: ${oneLine(output)}`;
    }
    return undefined;
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

/** Gives the draft its final name; when another process was faster, theirs is as good as ours. */
async function publish(draft: string, folder: string): Promise<void> {
  try {
    await rename(draft, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
  }
}

async function failureOf(argv: string[], cwd: string, timeoutMs: number): Promise<string | undefined> {
  const { code, output } = await run(argv, cwd, timeoutMs, process.env);
  if (code === 0) return undefined;
  const command = argv.slice(0, 2).join(" ");
  return `${command} ended with ${code ?? "no exit code"}: ${lastErrorLine(output)}`;
}

interface Finished {
  /** Absent when a signal ended it (the time limit). */
  code: number | null;
  output: string;
}

async function run(argv: string[], cwd: string, timeoutMs: number, env: NodeJS.ProcessEnv): Promise<Finished> {
  try {
    const child = Bun.spawn(argv, { cwd, env, stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: timeoutMs });
    const [out, error] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code: child.exitCode, output: `${out}\n${error}` };
  } catch (error) {
    return { code: -1, output: error instanceof Error ? error.message : String(error) };
  }
}

/** npm tells the cause first and where its log is last. */
function lastErrorLine(output: string): string {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  const told = lines.filter(
    (line) => /error/i.test(line) && !/complete log|npm error (code|errno|syscall)/i.test(line),
  );
  return oneLine(told[0] ?? lines.at(-1) ?? "it said nothing");
}

function oneLine(text: string): string {
  return text.trim().replace(/\s+/g, " ").slice(0, 300);
}

if (import.meta.main) {
  const result = await installAgents();
  if (result.ok) {
    console.log(`agents: ready in ${result.binFolder}`);
  } else {
    console.error(`agents: cannot be installed: ${result.reason}`);
    process.exitCode = 1;
  }
}
