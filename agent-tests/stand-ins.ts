/**
 * THE table of launches of the two agents that cannot be had here: a stand-in on PATH writes down how it was started.
 * It proves that the launcher becomes the program with these arguments and variables, and nothing of the programs.
 */

import { chmod, copyFile, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Mode, Route } from "../src/launch-code.ts";
import { executables, startGateway } from "./gateway.ts";

export interface StandIn {
  name: string;
  program: string;
  letter: string;
  /** What its `--help` lists. */
  flags: string;
  routes: Readonly<Record<Route, { argv: readonly string[]; refused?: string }>>;
  /** What follows the route's own arguments, or what a refusal says. */
  modes: Readonly<Record<Mode, readonly string[] | { refused: string }>>;
  bypass: string;
  /** The bypass is implied here. */
  model: Readonly<Record<Route, readonly string[]>>;
  /** Left behind by another tool, and gone on route d. */
  leftovers: readonly string[];
  /** On p and b. */
  address?: { url: string; key: string };
}

export const prompt = "Say something.";
export const sessionId = "ses_01JZ";
const none = { p: [], b: [], d: [] } as const;
const noGateway = "Antigravity cannot be sent through a gateway for one launch alone";

export const standIns: readonly StandIn[] = [
  {
    name: "Ante",
    program: "ante",
    letter: "a",
    flags: "--yolo --provider -m -p --resume",
    bypass: "--yolo",
    routes: {
      p: { argv: ["--provider", "openai-compatible"] },
      b: { argv: ["--provider", "openai-compatible"] },
      d: { argv: [] },
    },
    model: { ...none, p: ["-m", "clutch-big"] },
    modes: {
      i: [],
      c: { refused: "Ante has no flag for the last session" },
      n: ["-p", prompt],
      s: ["--resume", sessionId],
      r: { refused: "Ante has no flag for its picker" },
    },
    leftovers: [
      "MODEL_BASE_URL",
      "ANTHROPIC_BASE_URL",
      "OPENAI_BASE_URL",
      "OPENAI_COMPATIBLE_BASE_URL",
      "ANTIX_BASE_URL",
    ],
    address: { url: "OPENAI_COMPATIBLE_BASE_URL", key: "OPENAI_COMPATIBLE_API_KEY" },
  },
  {
    name: "Antigravity",
    program: "agy",
    letter: "g",
    flags: "--dangerously-skip-permissions --continue --conversation --model -i -p",
    bypass: "--dangerously-skip-permissions",
    routes: { p: { argv: [], refused: noGateway }, b: { argv: [], refused: noGateway }, d: { argv: [] } },
    model: none,
    modes: {
      i: [],
      c: ["--continue"],
      n: ["-p", prompt],
      s: ["--conversation", sessionId],
      r: { refused: "Antigravity has no flag for its picker" },
    },
    leftovers: ["GOOGLE_GEMINI_BASE_URL", "CLOUD_CODE_URL"],
  },
];

/** What the launch of one cell refuses with, or the whole argv it has to have. */
export function expectedOf(standIn: StandIn, mode: Mode, route: Route): { refused: string } | { argv: string[] } {
  const { argv, refused } = standIn.routes[route];
  if (refused !== undefined) return { refused };
  const own = standIn.modes[mode];
  if ("refused" in own) return own;
  return { argv: [standIn.bypass, ...argv, ...standIn.model[route], ...own] };
}

export interface Recorded {
  status: number | null;
  stderr: string;
  /** Absent when the program was not started. */
  started?: { argv: string[]; cwd: string; env: Record<string, string> };
}

export interface StandInBench {
  gatewayUrl: string;
  project: string;
  launch(mode: Mode, route: Route): Promise<Recorded>;
}

export async function withStandIn(standIn: StandIn, run: (bench: StandInBench) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "clutch-stand-in-"));
  const folder = (name: string) => join(root, name);
  for (const name of ["home", "project", "bin"]) await mkdir(folder(name));
  const program = join(folder("bin"), standIn.program);
  await copyFile(join(import.meta.dir, "..", "test", "support", "fake-agent.sh"), program);
  await chmod(program, 0o755);
  const env = {
    HOME: folder("home"),
    PATH: `${folder("bin")}:/usr/local/bin:/usr/bin:/bin`,
    LANG: "C.UTF-8",
  };
  // no launch of a stand-in asks anything of it
  const upstream = { url: "http://127.0.0.1:9", protocol: "chat" } as const;
  const gateway = await startGateway({ home: folder("clutch"), env, upstream });
  const gatewayUrl = `http://127.0.0.1:${gateway.port}`;
  let count = 0;
  try {
    await run({
      gatewayUrl,
      project: folder("project"),
      async launch(mode, route) {
        count += 1;
        const log = join(root, `log-${count}`);
        const options = { n: ["-p", prompt], s: ["-s", sessionId] }[mode as string] ?? [];
        const child = Bun.spawn([executables.xx, `${standIn.letter}${mode}${route}`, ...options], {
          cwd: folder("project"),
          env: {
            ...env,
            CLUTCH_HOME: folder("clutch"),
            CLUTCH_HOST: "127.0.0.1",
            CLUTCH_PORT: String(gateway.port),
            FAKE_LOG: log,
            FAKE_FLAGS: standIn.flags,
            ...Object.fromEntries(standIn.leftovers.map((name) => [name, `${gatewayUrl}/v1`])),
          },
          stdin: "ignore",
          stdout: "ignore",
          stderr: "pipe",
          timeout: 20_000,
        });
        const [stderr, status] = await Promise.all([new Response(child.stderr).text(), child.exited]);
        const written = await readFile(log, "utf8").catch(() => undefined);
        return { status, stderr, ...(written !== undefined && { started: readLog(written) }) };
      },
    });
  } finally {
    await gateway.stop();
    await rm(root, { recursive: true, force: true });
  }
}

function readLog(text: string): NonNullable<Recorded["started"]> {
  const lines = text.split("\n");
  const values = (start: string) => lines.flatMap((line) => (line.startsWith(start) ? line.slice(start.length) : []));
  const env = values("env:").map((line) => /^([^=]*)=(.*)$/s.exec(line) ?? []);
  return {
    argv: values("argv="),
    cwd: values("cwd=")[0] ?? "",
    env: Object.fromEntries(env.map(([, name = "", value = ""]) => [name, value])),
  };
}
