/**
 * The crash guard with real agents: started by `cg_run` in terminals that are then closed, found again by the same words,
 * and brought back by `clutch resume --all` after a `kill -9` of the guard's tmux. What counts is the conversation: it is
 * on the screen again, and the upstream gets the whole of it with the next turn. test/e2e/guard.test.ts shows the guard's
 * other sides with agents that are made up.
 *
 * `CLUTCH_BIN`, `CLUTCH_AGENT_CACHE` and `CI` as in agents.test.ts.
 */

import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { guardName, renderBlock } from "../launcher/aliases.ts";
import { listSessions } from "../launcher/sessions.ts";
import { listLaunches } from "../src/lifecycle/launches.ts";
import { within } from "../test/support/gateway.ts";
import { startTerminal, type Terminal } from "../test/support/terminal.ts";
import { executables, missingExecutables, type RunningGateway, startGateway, upstreamKey } from "./gateway.ts";
import { installAgents } from "./install.ts";
import { answerQuestions, sayIn, take } from "./launch-chain.ts";
import { type LaunchedAgent, launchedAgents, ownKey } from "./launches.ts";
import { hasNoTools, type ScriptedUpstream, say, startScriptedUpstream } from "./scripted-upstream.ts";
import { skipAloud } from "./skip-aloud.ts";

const installed = await installAgents();
const missingProgram = ["tmux", "bash"].find((program) => Bun.which(program) === null);
const obstacle = installed.ok
  ? (missingExecutables() ??
    (missingProgram && `${missingProgram} is not on PATH`) ??
    (existsSync("/proc/self/cmdline") ? undefined : "there is no /proc, by which the test knows its processes"))
  : `the agents cannot be installed: ${installed.reason}`;
const binFolders = installed.ok ? installed.binFolders : [];

if (obstacle !== undefined) skipAloud("the agents, the executables, tmux and bash are there", obstacle);

/** In the order of their start. `xx` gives Claude Code's and Pi's sessions their ids; what Codex chose, the gateway's ledger tells. */
const agents = ["claude", "codex", "pi"].flatMap((name) => launchedAgents.filter(({ program }) => program === name));

/** One per turn, so that a screen or a history can only show what has happened. */
const answers = Array.from({ length: 9 }, (_, index) => `This is answer ${"abcdefghi"[index]}.`);

const screenLimitMs = 25_000;
/** It takes ten seconds on two cores, and seventeen where others work beside it. */
const walkLimitMs = 50_000;
/** With the time to end all that was started: after a limit of Bun's own nobody would. */
const limitMs = walkLimitMs + 10_000;

describe.skipIf(obstacle !== undefined)("the crash guard", () => {
  test(
    "brings real agents back to their conversations: a closed terminal, and a kill -9 of its tmux",
    () => withDesk(showThatNothingIsLost),
    limitMs,
  );
});

async function showThatNothingIsLost(desk: Desk): Promise<void> {
  const { seats, clutch } = desk;
  const run = (seat: Seat) => `${guardName} xx ${seat.agent.letter}ip; echo "[left with $?]"`;
  const listed = async () => JSON.parse((await clutch("resume", "--json")).stdout).launches as ListedLaunch[];
  const states = async () => (await listed()).map(({ folder, state, attached }) => ({ folder, state, attached }));
  const allAre = (state: string, attached: boolean | null) =>
    seats.map(({ project }) => ({ folder: project, state, attached }));

  const first = new Map<Seat, Terminal>();
  for (const seat of seats) {
    const terminal = desk.open(seat.project);
    first.set(seat, terminal);
    send(terminal, run(seat));
    await until(`the launch of ${seat.agent.name}`, () => desk.launches().length === first.size);
  }
  await Promise.all([...first].map(([{ agent }, terminal]) => answerQuestions(agent, terminal, agent.ready)));
  for (const [seat, terminal] of first) await desk.turn(seat, terminal);

  for (const terminal of first.values()) desk.close(terminal);
  await until("launches without a terminal", async () => Bun.deepEquals(await states(), allAre("running", false)));
  const pids = (await listed()).map(({ pid }) => pid);
  expect(pids.map(isAlive)).toEqual(seats.map(() => true));

  const second = new Map<Seat, Terminal>();
  for (const seat of seats) {
    const terminal = desk.open(seat.project);
    second.set(seat, terminal);
    send(terminal, run(seat));
    await seesAll(terminal, seat.said);
    await desk.turn(seat, terminal);
  }
  // the same processes as before
  expect((await listed()).map(({ pid }) => pid)).toEqual(pids);
  expect(await states()).toEqual(allAre("running", true));

  await desk.crash();
  await until("the end of the agents", () => desk.working().length === 0);
  for (const [index, terminal] of [...second.values()].entries()) {
    await seesAll(terminal, [`clutch resume ${desk.launches()[index]?.record.id} brings it back`, "[left with 1]"]);
    desk.close(terminal);
  }
  const sessions: string[] = [];
  for (const { agent, project } of seats) {
    const [session, ...more] = await listSessions(agent.letter, project, desk.env);
    expect({ session: session?.id, more }).toEqual({ session: expect.stringMatching(/^[0-9a-f-]{36}$/), more: [] });
    sessions.push(session?.id ?? "");
  }
  const dead = await clutch("resume");
  const rows = dead.stdout.split("\n").filter((line) => line.includes("died, "));
  expect(rows).toEqual(
    seats.map(({ agent, project }, index) =>
      expect.stringMatching(
        new RegExp(`died, tmux ended .* ${agent.name} +${project} +${sessions[index]} +xx ${agent.letter}ip$`),
      ),
    ),
  );

  const third = new Map<Seat, Terminal>();
  for (const seat of seats) {
    const isFirst = third.size === 0;
    const terminal = desk.open(isFirst ? desk.env.HOME : seat.project);
    third.set(seat, terminal);
    // it shows the first that came back; the same words as ever show the others
    send(terminal, isFirst ? `clutch resume --all; echo "[left with $?]"` : run(seat));
    await seesAll(terminal, seat.said);
    await desk.turn(seat, terminal);
  }
  const back = desk.launches().slice(seats.length);
  expect(back.map(({ record: { cwd, command, runs, session } }) => ({ cwd, command, runs, session }))).toEqual(
    seats.map(({ agent: { letter }, project }, index) => ({
      cwd: project,
      command: ["xx", `${letter}ip`],
      runs: ["xx", `${letter}sp`, "-s", sessions[index] ?? ""],
      session: sessions[index] ?? "",
    })),
  );
  expect(await states()).toEqual([...allAre("resumed", null), ...allAre("running", true)]);
  const cwds = (await listed()).slice(seats.length).map(({ pid }) => readlinkSync(`/proc/${pid}/cwd`));
  expect(cwds).toEqual(seats.map(({ project }) => project));
  // one conversation each, still
  for (const [index, { agent, project }] of seats.entries())
    expect((await listSessions(agent.letter, project, desk.env)).map(({ id }) => id)).toEqual([sessions[index] ?? ""]);

  for (const [{ agent }, terminal] of third) {
    for (const step of agent.leave) await take(terminal, step);
    await seesAll(terminal, ["[left with 0]"]);
  }
  await until("the end of the agents", () => desk.working().length === 0);
  expect(await clutch("resume")).toEqual({ status: 0, stdout: "no launch died, none is running\n", stderr: "" });
  desk.expectSecretsKept();
}

interface ListedLaunch {
  folder: string;
  state: string;
  attached: boolean | null;
  pid: number;
}

/** An agent in a project of its own. */
interface Seat {
  agent: LaunchedAgent;
  project: string;
  /** Prompts and answers so far. */
  said: string[];
}

interface Desk {
  env: Readonly<Record<string, string>> & { HOME: string };
  seats: readonly Seat[];
  /** A terminal with a bash whose start-up file defines `cg_run`. */
  open(cwd: string): Terminal;
  /** As closing the window does: its programs get a SIGHUP. */
  close(terminal: Terminal): void;
  /** Sends a prompt, sees the answer, and finds all that was said before, and nobody else's words, in what the upstream got. */
  turn(seat: Seat, terminal: Terminal): Promise<void>;
  /** Runs it without a terminal. */
  clutch(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }>;
  /** The guard's own files, in the order of their start. */
  launches(): ReturnType<typeof listLaunches>;
  /** Agents, and whatever they have started: the processes that hold a launch token. */
  working(): number[];
  /** `kill -9` of the guard's tmux server, and of nothing else. */
  crash(): Promise<void>;
  /** No command line of any process here has held a key or a token, and the agents did hold tokens. */
  expectSecretsKept(): void;
}

async function withDesk(run: (desk: Desk) => Promise<void>): Promise<void> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "clutch-guarded-")));
  const upstream = startScriptedUpstream(
    { calls: answers.map(say) },
    {
      isSideCall: (body) =>
        hasNoTools(body) || agents.some(({ sideCalls }) => sideCalls?.test(JSON.stringify(body)) === true),
    },
  );
  const terminals = new Set<Terminal>();
  const watch = watchProcesses(root);
  let gateway: RunningGateway | undefined;
  let env: Desk["env"] | undefined;
  try {
    const prepared = await prepare(root);
    const home = join(root, "clutch");
    gateway = await startGateway({ home, env: prepared, upstream: { url: upstream.url, protocol: "chat" } });
    env = { ...prepared, CLUTCH_PORT: String(gateway.port) };
    await within(walkLimitMs, "all of it", run(buildDesk({ root, env, upstream, terminals, watch })));
  } catch (error) {
    const asked = upstream.requests.map(({ path, model, part }) => `${path} ${model} (${part})`);
    const screens = [...terminals].map((terminal) => terminal.screen());
    console.error([gateway?.log(), ...asked, ...screens].join("\n---\n"));
    throw error;
  } finally {
    for (const terminal of terminals) terminal.stop();
    if (env !== undefined) await askGuard(root, env, "kill-server");
    await gateway?.stop();
    await upstream.stop();
    watch.end();
    endAllOf(root);
    await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

interface DeskParts {
  root: string;
  env: Desk["env"];
  upstream: ScriptedUpstream;
  terminals: Set<Terminal>;
  watch: ProcessWatch;
}

function buildDesk({ root, env, upstream, terminals, watch }: DeskParts): Desk {
  const seats = agents.map((agent) => ({ agent, project: projectOf(root, agent), said: [] as string[] }));
  return {
    env,
    seats,
    open(cwd) {
      const terminal = startTerminal(["bash", "-i"], env, cwd);
      terminals.add(terminal);
      return terminal;
    },
    close(terminal) {
      terminals.delete(terminal);
      terminal.stop();
    },
    async turn(seat, terminal) {
      const before = upstream.mainRequests().length;
      const answer = answers[before] ?? "";
      const prompt = `Remember the word ${words[before]}.`;
      await sayIn(terminal, prompt);
      await seesAll(terminal, [answer]);
      const asked = upstream.mainRequests().slice(before);
      const history = JSON.stringify(asked.map(({ body }) => body));
      expect(asked).toHaveLength(1);
      expect([...seat.said, prompt].filter((text) => !history.includes(text))).toEqual([]);
      const foreign = seats.filter((other) => other !== seat).flatMap(({ said }) => said);
      expect(foreign.filter((text) => history.includes(text))).toEqual([]);
      seat.said.push(prompt, answer);
    },
    clutch: (...args) => runToEnd([executables.clutch, ...args], env),
    launches: () => listLaunches(join(root, "clutch", "state")),
    working: () => processesOf(root).flatMap(({ pid, environment }) => (token.test(environment) ? [pid] : [])),
    async crash() {
      const pid = Number((await askGuard(root, env, "display-message", "-p", "#{pid}")).stdout);
      expect(pid).toBeGreaterThan(1);
      process.kill(pid, "SIGKILL");
      await until("the end of the guard's tmux", () => !isAlive(pid));
    },
    expectSecretsKept() {
      const { commandLines, tokens } = watch;
      // a launch and its return for each
      expect(tokens.size).toBe(2 * seats.length);
      const secrets = [...tokens, personKey, ownKey, upstreamKey];
      const all = [...commandLines].join("\n");
      for (const part of ["run --inside", "new-session", "attach-session", "--resume"]) expect(all).toContain(part);
      expect(secrets.filter((secret) => all.includes(secret))).toEqual([]);
    },
  };
}

const words = ["kestrel", "osprey", "merlin", "plover", "curlew", "godwit", "dunlin", "whimbrel", "turnstone"];

/** As many people have one in their start-up files. */
const personKey = `sk-of-the-person-${crypto.randomUUID()}`;

function projectOf(root: string, { program }: LaunchedAgent): string {
  return join(root, `project of ${program}`);
}

/** A home whose agents' own settings lead nowhere, so that all that is answered came through the gateway. */
async function prepare(root: string): Promise<Desk["env"]> {
  const home = join(root, "home");
  const startUp = `PS1='$ '\nexport MY_API_KEY=${personKey}\n${renderBlock("bash", { names: [], definesGuard: true })}`;
  await write(join(home, ".bashrc"), startUp);
  await mkdir(join(root, "tmp"));
  for (const agent of agents) {
    const project = projectOf(root, agent);
    await mkdir(project);
    for (const [name, content] of Object.entries(agent.files({ url: "http://127.0.0.1:1", project }))) {
      const path = name.startsWith("project/") ? join(project, name.slice("project/".length)) : join(home, name);
      await write(path, typeof content === "string" ? content : JSON.stringify(content));
    }
  }
  return {
    ...Object.assign({}, ...agents.map(({ env }) => env)),
    HOME: home,
    TMPDIR: join(root, "tmp"),
    PATH: [dirname(executables.clutch), ...binFolders, "/usr/local/bin", "/usr/bin", "/bin"].join(":"),
    SHELL: "/bin/bash",
    LANG: "C.UTF-8",
    CLUTCH_HOME: join(root, "clutch"),
    CLUTCH_HOST: "127.0.0.1",
  };
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

function askGuard(root: string, env: Desk["env"], ...args: string[]) {
  return runToEnd(["tmux", "-S", join(root, "clutch", "state", "xx.sock"), ...args], env);
}

async function runToEnd(argv: string[], env: Desk["env"]) {
  const child = Bun.spawn(argv, {
    cwd: env.HOME,
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 10_000,
  });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { status, stdout, stderr };
}

function send(terminal: Terminal, line: string): void {
  terminal.type(line);
  terminal.press("Enter");
}

async function seesAll(terminal: Terminal, texts: readonly string[]): Promise<void> {
  await until(`${texts.join(" and ")} on a screen`, () => {
    const screen = terminal.screen();
    return texts.every((text) => screen.includes(text));
  }).catch((error: Error) => {
    throw new Error(`${error.message}, which shows:\n${terminal.screen()}`);
  });
}

/** Leaves the machine to the agents between two looks. */
async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + screenLimitMs;
  while (!(await isSo())) {
    if (Date.now() > deadlineMs) throw new Error(`waited ${screenLimitMs} ms for ${what}`);
    await Bun.sleep(50);
  }
}

// ---- the processes of this test

/** `xx-<code>-<launch id>` */
const token = /\bxx-[a-z]{3,4}-[a-z0-9]+/;

interface ProcessWatch {
  /** Each that was seen, its words joined by spaces. */
  commandLines: ReadonlySet<string>;
  /** The launch tokens that were seen in environments. */
  tokens: ReadonlySet<string>;
  end(): void;
}

function watchProcesses(root: string): ProcessWatch {
  const commandLines = new Set<string>();
  const tokens = new Set<string>();
  const timer = setInterval(() => {
    for (const { commandLine, environment } of processesOf(root)) {
      commandLines.add(commandLine);
      for (const [found] of environment.matchAll(new RegExp(token, "g"))) tokens.add(found);
    }
  }, 200);
  return { commandLines, tokens, end: () => clearInterval(timer) };
}

/** All whose environment speaks of the folder, and nobody else's. */
function processesOf(root: string): { pid: number; commandLine: string; environment: string }[] {
  return readdirSync("/proc").flatMap((name) => {
    try {
      if (!/^\d+$/.test(name)) return [];
      const environment = readFileSync(`/proc/${name}/environ`, "utf8");
      if (!environment.includes(root)) return [];
      const commandLine = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
      return [{ pid: Number(name), commandLine, environment }];
    } catch {
      // it has ended, or it is not ours
      return [];
    }
  });
}

/** For what has outlived its terminal and its gateway. */
function endAllOf(root: string): void {
  for (const { pid } of processesOf(root)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // it has just ended
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
