/** Runs an agent to its end, in an environment with nothing of the person who runs the tests. */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Agent, Command } from "./agents.ts";

const agentLimitMs = 60_000;

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Only what a fresh login would have; makes `home`, `project` and `tmp` below the root. */
export async function prepareEnv(
  root: string,
  binFolders: readonly string[],
  agent: Agent,
): Promise<Record<string, string>> {
  for (const folder of ["home", "project", "tmp"]) await mkdir(join(root, folder));
  return {
    HOME: join(root, "home"),
    TMPDIR: join(root, "tmp"),
    PATH: [...binFolders, "/usr/local/bin", "/usr/bin", "/bin"].join(":"),
    SHELL: "/bin/sh",
    LANG: "C.UTF-8",
    ...agent.env,
  };
}

/** Ended by a signal, with status null, when it takes longer than `limitMs`. */
export async function runProgram(
  command: Command,
  cwd: string,
  env: Record<string, string>,
  limitMs = agentLimitMs,
): Promise<Finished> {
  const stdin = command.stdin === undefined ? "ignore" : new Blob([command.stdin]);
  const child = Bun.spawn([...command.argv], {
    cwd,
    env,
    stdin,
    stdout: "pipe",
    stderr: "pipe",
    timeout: limitMs,
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code: child.exitCode, stdout, stderr };
}
