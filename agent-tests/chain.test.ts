/**
 * The whole life of a chain, as a day has it: `clutch up` in the real tmux with the real Headroom, one session of the real
 * Claude Code that goes on while each member is killed in turn, a task of Codex, `restart`, `logs`, and `down`, after which
 * nothing may be left. The upstream is scripted.
 *
 * `CLUTCH_BIN`, `CLUTCH_AGENT_CACHE` and `CI` as in agents.test.ts; `CLUTCH_HEADROOM` as in headroom.test.ts.
 */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { ServiceReport, StatusReport } from "../src/explain/status.ts";
import { isAlive } from "../src/lifecycle/chain/processes.ts";
import type { ChainRecord } from "../src/lifecycle/chain/record.ts";
import { eventually, readLedger } from "../test/support/gateway.ts";
import { startTerminal } from "../test/support/terminal.ts";
import { agents } from "./agents.ts";
import { cascadeModels, executables, missingExecutables, upstreamKey } from "./gateway.ts";
import { installAgents } from "./install.ts";
import { headroomVersion, installHeadroom } from "./install-headroom.ts";
import { answerQuestions, sayIn, take } from "./launch-chain.ts";
import { launchedAgents } from "./launches.ts";
import { searchCommand, writeSources } from "./long-output.ts";
import { type Finished, prepareEnv, runProgram } from "./run-program.ts";
import { answer, type Reply, say, startScriptedUpstream } from "./scripted-upstream.ts";
import { skipAloud } from "./skip-aloud.ts";

const installed = await installAgents();
const headroom = await installHeadroom();
const obstacle =
  missingExecutables() ??
  (Bun.which("tmux") === null ? "tmux is not on PATH" : undefined) ??
  (installed.ok ? undefined : `the agents cannot be installed: ${installed.reason}`) ??
  (headroom.ok ? undefined : `Headroom cannot be installed: ${headroom.reason}`);

const name = "a day of the chain: up, work, every member killed in turn, restart, logs, down, and nothing left";
if (obstacle !== undefined) skipAloud(name, obstacle);

/** Python and its native parts, on a machine that has never loaded them (ms). */
const headroomLimitMs = 90_000;
const answerLimitMs = 40_000;

interface Day {
  home: string;
  env: Record<string, string>;
  project: string;
  /** Of gateway and Headroom. */
  ports: { gateway: number; headroom: number };
  /** What the upstream says next. */
  script: { calls: Reply[] };
  upstream: ReturnType<typeof startScriptedUpstream>;
  clutch(...args: string[]): Promise<Finished>;
  status(): Promise<{ code: number | null; report: StatusReport; of(id: string): ServiceReport }>;
  rows: ReturnType<typeof readLedger>["requests"];
}

test.skipIf(obstacle !== undefined)(
  name,
  () =>
    withDay(async (day) => {
      const { clutch, status, rows, upstream, ports } = day;
      const up = await clutch("up");
      expect({ code: up.code, stderr: up.stderr, stdout: up.stdout }).toEqual({
        code: 0,
        stderr: "",
        stdout: expect.stringMatching(/^gateway {6}ready after \d+\.\d s\nheadroom {5}ready after \d+\.\d s\n$/),
      });
      const first = await status();
      expect([first.code, first.report.healthy, first.report.notes]).toEqual([0, true, []]);
      expect(first.of("gateway")).toMatchObject({ state: "ready", port: ports.gateway, restarts: 0, front: false });
      expect(first.of("headroom")).toMatchObject({
        state: "ready",
        port: ports.headroom,
        restarts: 0,
        front: true,
        version: headroomVersion(),
        detail: "sends to the gateway",
      });
      expect(first.of("rtk")).toMatchObject({ type: "cli_wrapper", state: "passive", port: null });

      const session = await openSession(day);
      try {
        await session.turn("Count the values.", [answer(session.shell(searchCommand)), say("There are 240 of them.")]);
        expect(JSON.stringify(upstream.mainRequests().at(-1)?.body)).toContain("value 79");
        await eventually("the row of the tool's output", () => rows().some(isSmaller));
        const through = await finished(day, 0);
        expect(through.map(outcome)).toEqual(through.map(() => "completed front"));

        // It is dead while the next turn is asked for: nobody is there to take it, and the agent must not notice.
        const before = rows().length;
        const headroomPid = await kill(day, "headroom");
        await session.turn("Go on without it.", [say("It went on.")]);
        expect(JSON.stringify(upstream.mainRequests().at(-1)?.body)).toContain("There are 240 of them.");
        const without = await finished(day, before);
        expect(without.map(outcome)).toEqual(without.map(() => "completed straight"));
        const { stdout: said } = await clutch("logs", "gateway", "--no-color");
        expect(said.match(/Headroom does not answer/g)).toHaveLength(1);
        await recovery(day, "headroom", headroomPid);

        const gatewayPid = await kill(day, "gateway");
        await recovery(day, "gateway", gatewayPid);
        const seen = rows().length;
        await session.turn("Are you still there?", [say("Here I am.")]);
        expect((await finished(day, seen)).map(({ compression }) => compression)).toContain("front");
        expect(upstream.mainRequests().at(-1)?.headers["x-api-key"]).toBe(upstreamKey);
        await session.leave();
      } finally {
        session.end();
      }

      await taskOfCodex(day);

      const kept = (await status()).of("gateway").pid;
      const former = (await status()).of("headroom").pid;
      const restarted = await clutch("restart", "headroom");
      expect([restarted.code, restarted.stdout]).toEqual([
        0,
        expect.stringMatching(/^(headroom {5}ending .*\n)?headroom {5}stopped\nheadroom {5}ready after \d+\.\d s\n$/),
      ]);
      const then = await status();
      expect([then.code, then.of("gateway").pid, then.of("headroom").restarts]).toEqual([0, kept, 0]);
      expect(then.of("headroom").pid).not.toBe(former);

      const both = await clutch("logs", "-n", "3");
      expect(both.stdout).toMatch(/^gateway {6}\| clutch serves on /m);
      expect(both.stdout).toMatch(/^headroom {5}\| \S/m);
      const headroomsOwn = await clutch("logs", "headroom", "--since", "10m");
      for (const part of ["Caching", "Rate Limiting"]) expect(headroomsOwn.stdout).toContain(`${part}: DISABLED`);

      await expectEnd(day);
    }),
  600_000,
);

function isSmaller({ compression, tokens_before, tokens_after }: Record<string, unknown>): boolean {
  return compression === "front" && Number(tokens_after) > 0 && Number(tokens_after) < Number(tokens_before);
}

function outcome({ status, compression }: Record<string, unknown>): string {
  return `${status} ${compression ?? "straight"}`;
}

/** As a person would sit at it, in a terminal; one launch from the first turn to the last. */
async function openSession(day: Day) {
  const agent = launchedAgents.find(({ program }) => program === "claude");
  const table = agents.find(({ program }) => program === "claude");
  if (agent === undefined || table === undefined) throw new Error("Claude Code is in no table");
  const command = ["sh", "-c", `'${executables.xx}' cip; echo "[left with $?]"; read -r _`];
  const terminal = startTerminal(command, { ...day.env, ...agent.env }, day.project);
  try {
    await answerQuestions(agent, terminal, agent.ready);
  } catch (error) {
    terminal.stop();
    throw error;
  }
  return {
    shell: (line: string) => table.shell(line, "messages"),
    /** @param replies the last one is what the screen has to show */
    async turn(prompt: string, replies: Reply[]) {
      day.script.calls.push(...replies);
      await sayIn(terminal, prompt);
      const last = replies.at(-1);
      const part = last?.kind === "answer" ? last.parts[0] : undefined;
      if (part?.kind !== "text") throw new Error("a turn ends in a text");
      await terminal.shows(part.text, answerLimitMs);
    },
    async leave() {
      for (const step of agent.leave) await take(terminal, step);
      await terminal.shows("[left with 0]", answerLimitMs);
    },
    end: () => terminal.stop(),
  };
}

/** Text and a tool, without a terminal, in the agent's own protocol. */
async function taskOfCodex(day: Day): Promise<void> {
  const agent = agents.find(({ program }) => program === "codex");
  if (agent === undefined) throw new Error("Codex is in no table");
  const before = day.rows().length;
  day.script.calls.push(answer(agent.shell(searchCommand, "messages")), say("Counted once more."));
  const argv = [executables.xx, "xnp", "-p", "Count them again."];
  const { code, stdout, stderr } = await runProgram({ argv }, day.project, { ...day.env, ...agent.env }, 90_000);
  expect({ code, says: stdout.includes("Counted once more.") }, stderr).toEqual({ code: 0, says: true });
  expect(JSON.stringify(day.upstream.mainRequests().at(-1)?.body)).toContain("value 79");
  const rows = await finished(day, before);
  expect(rows.filter(({ agent: letter }) => letter === "x").some(isSmaller)).toBe(true);
}

/** The rows since, when at least one is there and none is under way any more. */
async function finished({ rows }: Day, from: number) {
  await eventually("the new rows to be finished", () => {
    const since = rows().slice(from);
    return since.length > 0 && since.every(({ status }) => status !== "pending");
  });
  return rows().slice(from);
}

async function kill({ status }: Day, id: string): Promise<number> {
  const { pid } = (await status()).of(id);
  if (pid === null) throw new Error(`${id} has no process`);
  process.kill(pid, "SIGKILL");
  await eventually(`${id} to be gone`, () => !isAlive(pid));
  return pid;
}

/** Another process, started once, and everything well again. */
async function recovery({ status }: Day, id: string, former: number): Promise<void> {
  let last = await status();
  await eventually(
    `${id} to come back`,
    async () => {
      last = await status();
      return last.report.healthy;
    },
    headroomLimitMs,
  );
  expect([last.code, last.report.notes]).toEqual([0, []]);
  expect(last.of(id)).toMatchObject({ state: "ready", restarts: 1 });
  expect(last.of(id).pid).not.toBe(former);
}

async function expectEnd(day: Day): Promise<void> {
  const { home, clutch, ports } = day;
  const record = JSON.parse(readFileSync(join(home, "state/chain/record.json"), "utf8")) as ChainRecord;
  const pids = [record.supervisor.pid, record.tmuxServer?.pid, ...record.runs.map(({ pid }) => pid)];
  expect(pids.filter((pid) => pid === undefined || !isAlive(pid))).toEqual([]);
  expect(processesIn(day)).not.toEqual(process.platform === "linux" ? [] : undefined);
  const down = await clutch("down");
  expect([down.code, down.stderr, down.stdout.split("\n").filter((line) => line.endsWith("stopped"))]).toEqual([
    0,
    "",
    ["headroom     stopped", "gateway      stopped"],
  ]);
  expect(pids.filter((pid) => pid !== undefined && isAlive(pid))).toEqual([]);
  expect(processesIn(day) ?? []).toEqual([]);
  expect(readdirSync(join(home, "state")).filter((file) => file.endsWith(".sock"))).toEqual([]);
  expect([await isFree(ports.gateway), await isFree(ports.headroom)]).toEqual([true, true]);
  const after = await day.status();
  expect([after.code, after.of("gateway").state, after.of("headroom").state]).toEqual([3, "stopped", "stopped"]);
  expect((await clutch("down")).stdout).toBe("nothing was up\n");
}

/** Whatever works in the day's folder, or was given it: what is forgotten shows here. Undefined where nobody can tell. */
function processesIn({ env: { TMPDIR = "" } }: Day): string[] | undefined {
  if (process.platform !== "linux") return undefined;
  const root = join(TMPDIR, "..");
  return readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .flatMap((pid) => {
      const told = ["cmdline", "environ"].map((file) => readProc(`/proc/${pid}/${file}`));
      return told.some((text) => text.includes(root)) ? [`${pid} ${told[0]?.replaceAll("\0", " ")}`] : [];
    });
}

function readProc(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

async function withDay(run: (day: Day) => Promise<void>): Promise<void> {
  if (!installed.ok || !headroom.ok) throw new Error("nothing to test with");
  const root = await realpath(await mkdtemp(join(tmpdir(), "clutch-chain-day-")));
  const home = join(root, "clutch");
  const script = { calls: [] as Reply[] };
  const upstream = startScriptedUpstream(script);
  const ports = { gateway: findFreePort(), headroom: findFreePort() };
  const headroomFolder = dirname(process.env.CLUTCH_HEADROOM ?? headroom.file);
  const base = await prepareEnv(root, [...installed.binFolders, headroomFolder], { ...agentOf("claude"), env: {} });
  const env = { ...base, CLUTCH_HOME: home, TERM: "xterm-256color" };
  // The key is in the shell that calls `up` and in no other: a member that comes back must have been given it.
  const clutch = (...args: string[]) => {
    const own = args[0] === "up" ? { ...env, UPSTREAM_KEY: upstreamKey } : env;
    return runProgram({ argv: [executables.clutch, ...args] }, root, own, headroomLimitMs + 60_000);
  };
  try {
    await Promise.all([mkdir(home), writeSources(join(root, "project"))]);
    await writeFile(join(home, "config.json"), JSON.stringify(buildConfig(upstream.url, ports)), { mode: 0o600 });
    await run({
      home,
      env,
      project: join(root, "project"),
      ports,
      script,
      upstream,
      clutch,
      async status() {
        const { code, stdout } = await clutch("status", "--json");
        const report = JSON.parse(stdout) as StatusReport;
        const of = (id: string) => {
          const found = report.services.find((service) => service.id === id);
          if (found === undefined) throw new Error(`status knows no ${id}`);
          return found;
        };
        return { code, report, of };
      },
      rows: readLedger(join(home, "clutch.db")).requests,
    });
  } catch (error) {
    console.error(`--- the logs of the day\n${(await clutch("logs", "-n", "30")).stdout}`);
    throw error;
  } finally {
    await clutch("down");
    await upstream.stop();
    await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

function agentOf(program: string) {
  const found = agents.find((agent) => agent.program === program);
  if (found === undefined) throw new Error(`${program} is in no table`);
  return found;
}

function buildConfig(upstreamUrl: string, ports: Day["ports"]) {
  const [first, ...rest] = cascadeModels;
  const tier = { default: first, cascade: rest };
  return {
    server: { port: ports.gateway },
    headroom: { mode: "front" },
    providers: { up: { protocol: "messages", base_url: upstreamUrl, api_key: "env:UPSTREAM_KEY" } },
    default_provider: "up",
    model_tiers: { BIG: tier, MIDDLE: tier, SMALL: tier },
    chain: { services: [{ id: "headroom", port: ports.headroom }] },
  };
}

function findFreePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}
