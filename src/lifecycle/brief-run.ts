/** Runs a program that should be done at once, and leaves nothing of it behind when it is not. */

export interface BriefRun {
  /** The program's absolute path and its arguments. */
  argv: readonly string[];
  cwd: string;
  env: Readonly<Record<string, string | undefined>>;
  limitMs: number;
}

export interface BriefEnd {
  /** Null where it was not started, or ended by a signal. */
  exitCode: number | null;
  /** The beginning of it. */
  stdout: string;
  stderr: string;
  isOverdue: boolean;
  /** Why the system would not start it. */
  fault: string | undefined;
}

const keptBytes = 256 * 1024;

/** Never throws, and never takes much longer than the limit: whatever holds a pipe open then is ended with its group. */
export async function runBriefly({ argv, cwd, env, limitMs }: BriefRun): Promise<BriefEnd> {
  let child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  try {
    // One id for it and all that it starts, and no terminal to ask on.
    child = Bun.spawn([...argv], { cwd, env, stdin: "ignore", stdout: "pipe", stderr: "pipe", detached: true });
  } catch (cause) {
    const fault = (cause as NodeJS.ErrnoException).code ?? String(cause);
    return { exitCode: null, stdout: "", stderr: "", isOverdue: false, fault };
  }
  let isOverdue = false;
  const timer = setTimeout(() => {
    isOverdue = true;
    endGroup(child.pid);
  }, limitMs);
  const [stdout, stderr] = await Promise.all([readStart(child.stdout), readStart(child.stderr)]);
  await child.exited;
  clearTimeout(timer);
  return { exitCode: child.exitCode, stdout, stderr, isOverdue, fault: undefined };
}

/** To its end, so that the program is not stopped by a full pipe. */
async function readStart(stream: ReadableStream<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of stream) {
    if (size < keptBytes) parts.push(part);
    size += part.length;
  }
  return Buffer.concat(parts).toString().slice(0, keptBytes);
}

function endGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // Gone by itself.
  }
}
