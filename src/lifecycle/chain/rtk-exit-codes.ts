/**
 * Whether RTK tells an agent the truth about a command that failed. It has swallowed exit codes before (rtk-ai/rtk#557, #846,
 * #2735, and #2974 in its raw mode), and then an agent takes a failed test run for a passed one.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import type { Env } from "../../config/paths.ts";
import { runBriefly } from "../brief-run.ts";
import { observeRtk, type RtkObservation, type RtkPlace } from "./rtk.ts";

export interface ExitCodeCheck {
  /** As an agent would have typed it. */
  command: string;
  /** How it ends by itself, and through RTK; null where it could not be run or did not end in time. */
  direct: number | null;
  through: number | null;
  verdict: "same" | "differs" | "not-run";
}

/** Commands that fail in an empty folder, each for a filter of its own. */
const failing: readonly (readonly string[])[] = [
  ["git", "status"],
  ["ls", "no-such-file"],
  ["grep", "no-such-word", "file"],
  ["sh", "-c", "exit 7"],
];

const runLimitMs = 3_000;

export interface RtkCheck {
  rtk: RtkObservation;
  /** Empty where there is no real RTK. */
  checks: ExitCodeCheck[];
}

/**
 * Runs each in a folder of its own with a HOME that is thrown away, so that neither the user's files nor the gains of RTK are
 * touched; all at once, done within six seconds.
 */
export async function checkRtkExitCodes(place: RtkPlace): Promise<RtkCheck> {
  const rtk = await observeRtk(place);
  if (rtk.state !== "installed" || rtk.path === undefined) return { rtk, checks: [] };
  const folder = mkdtempSync(`${tmpdir()}/clutch-rtk-`);
  try {
    writeFileSync(`${folder}/file`, "a line\n");
    const env = cleanEnv(place.env, folder);
    const raw = [rawCommand(rtk.version), "sh", "-c", "exit 9"];
    const pairs = [
      ...failing.map((words) => ({ direct: words, through: words })),
      { direct: ["sh", "-c", "exit 9"], through: raw },
    ];
    const program = rtk.path;
    const checks = await Promise.all(
      pairs.map(({ direct, through }) => compare(direct, [program, ...through], through.join(" "), folder, env)),
    );
    return { rtk, checks };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** `proxy` until 1.0.0, `bypass` since; a version that cannot be read is taken for a new one. */
function rawCommand(version: string | undefined): string {
  return version?.startsWith("0.") === true ? "proxy" : "bypass";
}

async function compare(
  direct: readonly string[],
  through: readonly string[],
  shown: string,
  cwd: string,
  env: Env,
): Promise<ExitCodeCheck> {
  const [program = "", ...words] = direct;
  const file = Bun.which(program, { PATH: env["PATH"] ?? "" });
  const command = `rtk ${shown}`;
  if (file === null) return { command, direct: null, through: null, verdict: "not-run" };
  const [plain, wrapped] = await Promise.all([
    runBriefly({ argv: [file, ...words], cwd, env, limitMs: runLimitMs }),
    runBriefly({ argv: through, cwd, env, limitMs: runLimitMs }),
  ]);
  const isRun = plain.exitCode !== null && plain.exitCode !== 0;
  if (!isRun) return { command, direct: plain.exitCode, through: wrapped.exitCode, verdict: "not-run" };
  const verdict = plain.exitCode === wrapped.exitCode ? "same" : "differs";
  return { command, direct: plain.exitCode, through: wrapped.exitCode, verdict };
}

/** Of the user's environment only where programs are. */
function cleanEnv(env: Env, folder: string): Record<string, string> {
  const path = (env["PATH"] ?? "").split(":").filter((entry) => entry.startsWith("/"));
  return { PATH: path.join(":"), HOME: folder, LANG: "C.UTF-8", GIT_CEILING_DIRECTORIES: tmpdir(), NO_COLOR: "1" };
}
