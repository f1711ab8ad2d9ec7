/** What this machine says of a process: from /proc on Linux, from ps elsewhere. */

import { readdirSync, readFileSync } from "node:fs";

/** Whether it runs; one that has ended and was not collected by its parent does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  return !isZombie(pid);
}

/**
 * Ended, and its parent does not know yet. While another thread of it is still on its way out it has not: until then its
 * ports are taken.
 */
export function isZombie(pid: number): boolean {
  return process.platform === "linux" && statOf(pid)?.state === "Z" && countThreads(pid) <= 1;
}

/** The same for as long as the process lives, another for a later one with the same pid; undefined when there is none. */
export function markOf(pid: number): string | undefined {
  if (process.platform === "linux") return statOf(pid)?.startTicks;
  const { stdout, success } = Bun.spawnSync(["/bin/ps", "-o", "lstart=", "-p", String(pid)], { stderr: "ignore" });
  const text = stdout.toString().trim();
  return success && text !== "" ? text : undefined;
}

export function isSameProcess(pid: number, mark: string | undefined): boolean {
  return isAlive(pid) && (mark === undefined || markOf(pid) === mark);
}

function countThreads(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length;
  } catch {
    return 0;
  }
}

/** /proc/<pid>/stat: the name stands in brackets and may hold anything; state is field 3, the start time 22. */
function statOf(pid: number): { state: string; startTicks: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0] ?? "", startTicks: fields[19] ?? "" };
  } catch {
    return undefined;
  }
}
