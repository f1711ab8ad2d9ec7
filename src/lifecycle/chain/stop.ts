/** Ends services well: SIGTERM, a while to finish, SIGKILL. Only processes that are known to be ours. */

import { isSameProcess } from "./processes.ts";

export interface Running {
  id: string;
  pid: number;
  pidMark: string | undefined;
}

/** The gateway lets streams finish for half a minute; the others have nothing that takes so long. */
export function stopLimitMs(id: string): number {
  return id === "gateway" ? 35_000 : 10_000;
}

export type StopEnd = "ended" | "killed" | "was not running";

const pollMs = 20;
/** What was killed is gone at once, unless the kernel holds it. */
const killLimitMs = 2_000;

/**
 * @param group also ends what the service left behind in its process group
 * @param onWait once, when it takes longer than a second
 */
export async function stopProcess(
  { id, pid, pidMark }: Running,
  limitMs: number = stopLimitMs(id),
  onWait: () => void = () => {},
): Promise<StopEnd> {
  if (!isSameProcess(pid, pidMark)) return "was not running";
  send(pid, "SIGTERM");
  const startedAtMs = Date.now();
  let hasTold = false;
  while (Date.now() - startedAtMs < limitMs) {
    if (!isSameProcess(pid, pidMark)) return "ended";
    if (!hasTold && Date.now() - startedAtMs > 1_000) {
      hasTold = true;
      onWait();
    }
    await Bun.sleep(pollMs);
  }
  // Every service leads a process group of its own, in tmux as without it.
  send(-pid, "SIGKILL");
  send(pid, "SIGKILL");
  const endsAtMs = Date.now() + killLimitMs;
  while (isSameProcess(pid, pidMark) && Date.now() < endsAtMs) await Bun.sleep(pollMs);
  return "killed";
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended in this moment.
  }
}
