/** Asks a program for its version. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTail, runGroup } from "./process-group.ts";

const limitMs = 10_000;
const tailBytes = 4096;

/** The first thing in `--version` that looks like one; undefined when the program does not say within ten seconds. */
export async function readAgentVersion(
  file: string,
  env: Record<string, string>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const root = mkdtempSync(join(tmpdir(), "clutch-version-"));
  try {
    const [stdout, stderr] = [join(root, "stdout"), join(root, "stderr")];
    await runGroup({ argv: [file, "--version"], cwd: root, env, stdout, stderr, limitMs, signal });
    return /\d+\.\d+[\w.+-]*/.exec(readTail(stdout, tailBytes) || readTail(stderr, tailBytes))?.[0];
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
