/** Runs one `clutch` command to its end, as a program of its own, with nothing of this machine in its environment. */

import { join } from "node:path";

const entry = join(import.meta.dir, "../../src/main.ts");

export interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

/** @param home its CLUTCH_HOME */
export async function runClutch(
  home: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Finished> {
  const child = Bun.spawn([process.execPath, entry, ...args], {
    cwd: home,
    env: { PATH: "", HOME: home, CLUTCH_HOME: home, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 20_000,
  });
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, stdout, stderr };
}
