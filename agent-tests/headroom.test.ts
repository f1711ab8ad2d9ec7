/**
 * Real agents through the real Headroom: `xx` points them at the gateway's /front, Headroom compresses what they send, a
 * scripted upstream answers. A task in words, one with a shell tool whose output can be made smaller, and one in which
 * the agent itself ends Headroom between two turns.
 *
 * `CLUTCH_BIN`, `CLUTCH_AGENT_CACHE`, `-t` and `CI` as in agents.test.ts; `CLUTCH_HEADROOM` names a program to use in
 * place of the one that is installed.
 */

import { describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildHeadroomStart, judgeHeadroom, probeHeadroom } from "../src/lifecycle/chain/headroom.ts";
import { eventually, readLedger } from "../test/support/gateway.ts";
import { type Agent, agents } from "./agents.ts";
import { cascadeModels, executables, missingExecutables, startGateway, upstreamKey } from "./gateway.ts";
import { installAgents } from "./install.ts";
import { installHeadroom } from "./install-headroom.ts";
import { enterLane } from "./lanes.ts";
import { type LaunchedAgent, launchedAgents } from "./launches.ts";
import { searchCommand, writeSources } from "./long-output.ts";
import { type Finished, prepareEnv, runProgram } from "./run-program.ts";
import { answer, type Reply, type ScriptedUpstream, say, startScriptedUpstream } from "./scripted-upstream.ts";
import { skipAloud } from "./skip-aloud.ts";

/** One for Messages, two for Chat. */
const underTest = ["claude", "qwen", "pi"] as const;

const installed = await installAgents();
const headroom = await installHeadroom();
const obstacle =
  missingExecutables() ??
  (installed.ok ? undefined : `the agents cannot be installed: ${installed.reason}`) ??
  (headroom.ok ? undefined : `Headroom cannot be installed: ${headroom.reason}`);
const binFolders = installed.ok ? installed.binFolders : [];

/** Python and its native parts, on a machine that has never loaded them (ms). */
const headroomLimitMs = 60_000;
const limitMs = 240_000;

if (obstacle !== undefined) skipAloud("the agents, the executables and Headroom are there", obstacle);

interface Bench {
  upstream: ScriptedUpstream;
  /** Of the running Headroom. */
  pid: number;
  /** Runs the agent through one task, by `xx`. */
  ask(prompt: string): Promise<Finished>;
  log(): string;
  rows: ReturnType<typeof readLedger>["requests"];
  /** What Headroom says of its own work. */
  stats(): Promise<{ requests: { total: number; failed: number } }>;
}

describe.skipIf(obstacle !== undefined)("through the real Headroom", () => {
  for (const program of underTest) {
    const agent = agents.find((row) => row.program === program);
    const launched = launchedAgents.find((row) => row.program === program);
    if (agent === undefined || launched === undefined) throw new Error(`${program} is in no table`);

    test.concurrent(
      `${agent.name}: a task in words, streamed`,
      () =>
        withBench(
          agent,
          launched,
          () => [say("All is well.")],
          async ({ ask, upstream, rows, log, stats }) => {
            const { code, stdout, stderr } = await ask("Say that all is well.");
            expect({ code, goesStraight: stderr.includes("straight to the gateway") }).toEqual({
              code: 0,
              goesStraight: false,
            });
            expect(stdout).toContain("All is well.");
            const [asked] = upstream.mainRequests();
            expect(asked?.body.stream).toBe(true);
            expect(asked?.headers[agent.speaks === "messages" ? "x-api-key" : "authorization"]).toContain(upstreamKey);
            expect((await stats()).requests).toMatchObject({ failed: 0 });
            const main = rows().filter(({ compression }) => compression === "front");
            expect(main.length).toBeGreaterThan(0);
            expect(main[0]).toMatchObject({ status: "completed", agent: launched.letter });
            expect(log()).not.toContain("Headroom ");
          },
        ),
      limitMs,
    );

    test.concurrent(
      `${agent.name}: a tool's long output reaches the model smaller`,
      () => {
        const replies = () => [answer(agent.shell(searchCommand, agent.speaks)), say("There are 240 of them.")];
        return withBench(agent, launched, replies, async ({ ask, upstream, rows, log }) => {
          const { code, stdout } = await ask("Count the values.");
          expect(code).toBe(0);
          expect(stdout).toContain("There are 240 of them.");
          const calls = upstream.mainRequests();
          expect(calls).toHaveLength(2);
          const last = JSON.stringify(calls[1]?.body);
          expect(last).toContain("value 79");
          expect(last).not.toContain("headroom_retrieve");
          await eventually("both rows", () => rows().filter(({ status }) => status === "completed").length >= 2);
          // The scripted upstream counts every request alike, so the ledger's figures tell the proportion alone.
          const shares = rows().map(({ tokens_before, tokens_after }) => Number(tokens_after) / Number(tokens_before));
          const bytes = JSON.stringify(calls[1]?.body).length;
          console.log(
            `${agent.name}: ${shares.map((share) => share.toFixed(3)).join(", ")} of each request left, the last has ${bytes} bytes`,
          );
          // The paths before 240 lines have gone.
          expect(last.split("and-another-one-inside").length).toBeLessThan(20);
          expect(Math.min(...shares)).toBeLessThan(0.98);
          expect(log()).not.toContain("Headroom ");
        });
      },
      limitMs,
    );

    test.concurrent(
      `${agent.name}: beside the gateway, a tool's long output reaches the model smaller too`,
      () => {
        const replies = () => [answer(agent.shell(searchCommand, agent.speaks)), say("There are 240 of them.")];
        const check = async ({ ask, upstream, rows, log }: Bench) => {
          const { code, stdout } = await ask("Count the values.");
          expect({ code, says: stdout.includes("There are 240 of them.") }).toEqual({ code: 0, says: true });
          const last = JSON.stringify(upstream.mainRequests().at(-1)?.body);
          expect(last).toContain("value 79");
          expect(last.split("and-another-one-inside").length).toBeLessThan(20);
          await eventually("both rows", () => rows().filter(({ status }) => status === "completed").length >= 2);
          const beside = rows().filter(({ compression }) => compression === "sidecar");
          expect(beside.some((row) => Number(row["tokens_after"]) < 0.98 * Number(row["tokens_before"]))).toBe(true);
          expect(rows().filter(({ compression }) => compression === "front")).toEqual([]);
          expect(log()).not.toContain("Headroom ");
        };
        return withBench(agent, launched, replies, check, "sidecar");
      },
      limitMs,
    );

    test.concurrent(
      `${agent.name}: Headroom is killed between two turns, and the next one is answered`,
      () => {
        const replies = (pid: number) => [
          answer(agent.shell(`kill -9 ${pid}; sleep 1; echo it is gone`, agent.speaks)),
          say("The rest goes on."),
        ];
        return withBench(agent, launched, replies, async ({ ask, upstream, rows, log }) => {
          const { code, stdout } = await ask("End it.");
          expect({ code, says: stdout.includes("The rest goes on.") }).toEqual({ code: 0, says: true });
          const calls = upstream.mainRequests();
          expect(calls).toHaveLength(2);
          expect(JSON.stringify(calls[1]?.body)).toContain("it is gone");
          expect(log().match(/Headroom does not answer/g)).toHaveLength(1);
          expect(rows().filter(({ status }) => status === "error" || status === "aborted")).toEqual([]);
        });
      },
      limitMs,
    );
  }
});

async function withBench(
  agent: Agent,
  launched: LaunchedAgent,
  replies: (headroomPid: number) => readonly Reply[],
  run: (bench: Bench) => Promise<void>,
  mode: "front" | "sidecar" = "front",
): Promise<void> {
  const leave = await enterLane();
  const root = await realpath(await mkdtemp(join(tmpdir(), "clutch-headroom-test-")));
  const ending: (() => unknown)[] = [() => rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })];
  let log = () => "";
  try {
    const env = await prepareEnv(root, binFolders, { ...agent, env: launched.env });
    await writeSources(join(root, "project"));
    // Its replies are known when Headroom runs, since one of them ends it.
    const script: { calls: readonly Reply[] } = { calls: [] };
    const upstream = startScriptedUpstream(script, {
      isSideCall: (body) => body.tools === undefined || launched.sideCalls?.test(JSON.stringify(body)) === true,
    });
    ending.push(() => upstream.stop());
    const port = findFreePort();
    const home = join(root, "clutch");
    const gateway = await startGateway({
      home,
      env,
      upstream: { url: upstream.url, protocol: agent.speaks },
      config: buildConfig(upstream.url, agent, { mode, port }),
    });
    ending.push(() => gateway.stop());
    log = gateway.log;
    const url = `http://127.0.0.1:${gateway.port}`;
    const running = await startHeadroom(join(root, "headroom"), port, url);
    ending.push(running.stop);
    script.calls = replies(running.pid);
    const ask = (prompt: string) =>
      runProgram(
        { argv: [executables.xx, `${launched.letter}np`, "-p", prompt] },
        join(root, "project"),
        { ...env, CLUTCH_HOME: home, CLUTCH_PORT: String(gateway.port) },
        90_000,
      );
    const stats = async () => (await (await fetch(`http://127.0.0.1:${port}/stats`)).json()) as never;
    await run({ upstream, pid: running.pid, ask, log, stats, rows: readLedger(join(home, "clutch.db")).requests });
  } catch (error) {
    console.error(`--- ${agent.name}\n${log()}`);
    throw error;
  } finally {
    for (const end of ending.reverse()) await end();
    leave();
  }
}

function buildConfig(upstreamUrl: string, agent: Agent, { mode, port }: { mode: string; port: number }) {
  const [first, ...rest] = cascadeModels;
  const tier = { default: first, cascade: rest };
  return {
    providers: { up: { protocol: agent.speaks, base_url: upstreamUrl, api_key: upstreamKey } },
    default_provider: "up",
    model_tiers: { BIG: tier, MIDDLE: tier, SMALL: tier },
    headroom: { mode },
    chain: { services: [{ id: "headroom", port }] },
  };
}

/** As the chain starts it, in a home of its own, and proved to send to this gateway. */
async function startHeadroom(home: string, port: number, gatewayUrl: string) {
  if (!headroom.ok) throw new Error(headroom.reason);
  await mkdir(home, { recursive: true });
  const file = process.env.CLUTCH_HEADROOM ?? headroom.file;
  const env = { HOME: home, PATH: "/usr/local/bin:/usr/bin:/bin", LANG: "C.UTF-8" };
  const { flags } = await probeHeadroom(file, join(home, "cache"), env);
  const { tokenizerDir } = headroom;
  const start = buildHeadroomStart({ file, flags, port, gatewayUrl, env, tokenizerDir });
  const child = Bun.spawn(start.argv, {
    cwd: home,
    env: start.env,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await child.exited;
  };
  try {
    await eventually(
      "Headroom to be ready",
      async () => {
        const health = await fetch(`http://127.0.0.1:${port}/health`)
          .then((answer) => answer.json())
          .catch(() => undefined);
        return health !== undefined && judgeHeadroom(health, gatewayUrl).state === "ready";
      },
      headroomLimitMs,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: child.pid, stop };
}

function findFreePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}
