/** Runs one program in a session of its own, for a bounded time, and leaves none of its processes behind. */

import { closeSync, openSync, readSync, statSync } from "node:fs";
import type { Ending } from "./agent-check.ts";

export interface GroupRun {
  /** The program and its arguments. */
  argv: readonly [string, ...string[]];
  cwd: string;
  env: Record<string, string>;
  /** Files for what it prints: a pipe would stay open for as long as any grandchild lives. */
  stdout: string;
  stderr: string;
  limitMs: number;
  /** Ends the program early. */
  signal: AbortSignal;
}

/** From SIGTERM to SIGKILL, and from that until nobody waits any more. */
const graceMs = 3000;
const pollMs = 20;

/** Resolves when the program has ended and its process group is gone; an early end counts as one by SIGTERM. */
export async function runGroup(run: GroupRun): Promise<Ending> {
  let child: Bun.Subprocess;
  try {
    child = Bun.spawn([...run.argv], {
      cwd: run.cwd,
      env: run.env,
      stdin: "ignore",
      stdout: Bun.file(run.stdout),
      stderr: Bun.file(run.stderr),
      // No terminal to draw on, and one id to end it and what it starts.
      detached: true,
    });
  } catch (cause) {
    return { kind: "not-started", reason: (cause as NodeJS.ErrnoException).code ?? String(cause) };
  }
  const hasExited = await exitsWithin(child, run.limitMs, run.signal);
  await endGroup(child.pid, child);
  if (!hasExited && !run.signal.aborted) return { kind: "limit", limitMs: run.limitMs };
  if (child.exitCode !== null) return { kind: "exit", status: child.exitCode };
  return { kind: "signal", signal: String(child.signalCode ?? "SIGTERM") };
}

/** False when the time is over or the signal fires before; leaves no timer behind. */
function exitsWithin(child: Bun.Subprocess, ms: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (hasExited: boolean) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
      resolve(hasExited);
    };
    const giveUp = () => settle(false);
    const timer = setTimeout(giveUp, ms);
    signal.addEventListener("abort", giveUp);
    if (signal.aborted) giveUp();
    child.exited.then(() => settle(true));
  });
}

/** What the program started in the background goes with it. */
async function endGroup(group: number, leader: Bun.Subprocess): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    if (!signalGroup(group, signal)) break;
    const endsAtMs = performance.now() + graceMs;
    while (signalGroup(group, 0) && performance.now() < endsAtMs) await Bun.sleep(pollMs);
  }
  await leader.exited;
}

/** @returns whether there is still such a group */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
}

/** The last characters of a file; empty when it is not there. */
export function readTail(path: string, bytes: number): string {
  try {
    const size = statSync(path).size;
    const buffer = Buffer.alloc(Math.min(size, bytes));
    const descriptor = openSync(path, "r");
    readSync(descriptor, buffer, 0, buffer.length, size - buffer.length);
    closeSync(descriptor);
    return buffer.toString();
  } catch {
    return "";
  }
}
