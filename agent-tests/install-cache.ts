/**
 * The cache folder outside the tree that holds installed agents. A folder's name holds a hash of the lock it was made
 * from, so another lock never meets an old install. An install is made in a sibling and renamed when it has been proved:
 * whatever stands under the final name is whole.
 */

import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

export type Report = (line: string) => void;

/** Something that is installed as one folder. */
export interface Install {
  /** For messages: what, and how large. */
  label: string;
  /** The file whose content decides what is installed. */
  lockFile: string;
  /** Tells installs of one lock apart, beside the platform. */
  variant?: string;
  /** Fills the draft folder; resolves to what went wrong, or nothing. */
  make(draft: string): Promise<string | undefined>;
  /** What keeps a folder from being used, or nothing. */
  findFault(folder: string): Promise<string | undefined>;
}

const attempts = 3;
const pauseBetweenAttemptsMs = 3000;

/** The folder of a proved install; a second call finds it. @throws {Error} one line: what failed and why */
export async function findOrInstall(what: Install, report: Report): Promise<string> {
  const root = cacheRoot();
  const folder = join(root, await cacheKey(what));
  if (existsSync(folder)) {
    const fault = await what.findFault(folder);
    if (fault === undefined) return folder;
    report(`agents: ${folder} is damaged (${fault}), installing again`);
    await rm(folder, { recursive: true, force: true });
  }
  await mkdir(root, { recursive: true });
  await removeLeftovers(root);
  report(`agents: installing ${what.label} into ${folder}`);
  const startedAtMs = Date.now();
  const draft = await mkdtemp(`${folder}.draft-${process.pid}-`);
  try {
    await makeWithPatience(what, draft, report);
    await publish(draft, folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  report(`agents: installed in ${Math.round((Date.now() - startedAtMs) / 1000)} s`);
  return folder;
}

/** `CLUTCH_AGENT_CACHE`, or a folder in the user's cache. */
function cacheRoot(): string {
  const chosen = process.env.CLUTCH_AGENT_CACHE;
  if (chosen) return chosen;
  const cache = process.env.XDG_CACHE_HOME || join(process.env.HOME || userInfo().homedir, ".cache");
  return join(cache, "clutch-agent-tests");
}

/** One per lock and platform: a home folder may be shared between machines. */
async function cacheKey({ lockFile, variant }: Install): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256")
    .update(await Bun.file(lockFile).bytes())
    .digest("hex")
    .slice(0, 12);
  return [hash, process.platform, process.arch, ...(variant === undefined ? [] : [variant])].join("-");
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

async function makeWithPatience(what: Install, draft: string, report: Report): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const fault = (await what.make(draft)) ?? (await what.findFault(draft));
    if (fault === undefined) return;
    if (attempt === attempts) throw new Error(`${fault} (${attempts} attempts)`);
    report(`agents: attempt ${attempt} of ${attempts} failed: ${fault}`);
    await Bun.sleep(pauseBetweenAttemptsMs);
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

// ---- programs that take part in an install

const proofTimeoutMs = 60_000;

/** What keeps a program from being used, or nothing: it must run, in an empty home, and tell the version of the lock. */
export async function versionFault(program: string, version: string, searchPath: string): Promise<string | undefined> {
  const home = await mkdtemp(join(tmpdir(), "clutch-agent-home-"));
  try {
    const { code, output } = await run([program, "--version"], home, proofTimeoutMs, { HOME: home, PATH: searchPath });
    if (code !== 0) return `${program} --version failed: ${lastErrorLine(output)}`;
    return output.includes(version) ? undefined : `${program} is not ${version}: ${oneLine(output)}`;
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

/** Runs a step; resolves to what went wrong, or nothing. */
export async function failureOf(argv: string[], cwd: string, timeoutMs: number): Promise<string | undefined> {
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
    (line) => /error/i.test(line) && !/complete log|npm error (code|errno|syscall)|^npm error$/i.test(line.trim()),
  );
  return oneLine(told[0] ?? lines.at(-1) ?? "it said nothing");
}

/** For messages. */
export function oneLine(text: string): string {
  return text.trim().replace(/\s+/g, " ").slice(0, 300);
}
