/**
 * One agent on one route, as a person would go on for a while: a first task, the same conversation continued and picked
 * by its id, then the screens. All launches are `xx` with a code; the home is one whose own files point elsewhere.
 *
 * Routes p and b: the compiled gateway with a scripted upstream behind it; where the person's own settings lead stands a
 * trap. Route d: they lead to the scripted upstream, the stand-in for a vendor, and the trap is where the gateway would
 * be. Where those settings cannot be beaten they lead to the scripted upstream too, and the trap is behind the gateway.
 */

import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type AgentSession, listSessions } from "../launcher/sessions.ts";
import type { Mode, Route } from "../src/launch-code.ts";
import { eventually } from "../test/support/gateway.ts";
import { startTerminal, type Terminal } from "../test/support/terminal.ts";
import { executables, type RunningGateway, startGateway, upstreamKey } from "./gateway.ts";
import { type LaunchedAgent, ownKey, type Step } from "./launches.ts";
import {
  hasNoTools,
  type RecordedRequest,
  type ScriptedUpstream,
  say,
  startScriptedUpstream,
} from "./scripted-upstream.ts";

const headlessLimitMs = 60_000;
/** The slowest needs eight seconds alone, and two share the machine. */
const screenLimitMs = 40_000;

/** Every turn has one of its own, so that a screen or a history can only show what has happened. */
const answers = Array.from({ length: 12 }, (_, index) => `This is answer ${"abcdefghijkl"[index]}.`);

export interface Told {
  stdout: string;
  stderr: string;
  code: number | null;
}

export interface Chain {
  agent: LaunchedAgent;
  route: Route;
  home: string;
  /** Runs it to its end, and proves that it asked once, was answered, and was attributed. */
  ask(mode: Mode, prompt: string, ...options: string[]): Promise<Told>;
  /** Starts it in a terminal, answers what it asks, and waits for its first screen or what is given. */
  open(mode: Mode, options: readonly string[], first?: RegExp): Promise<Session>;
  /** The last request's conversation, as text. */
  history(): string;
  /** Calls that belong to no turn, so far. */
  sideCalls(): number;
  /** Of this folder, as the launcher finds them. */
  sessions(): Promise<AgentSession[]>;
}

export interface Session {
  terminal: Terminal;
  /** Types the prompt, sends it, sees the answer; with the same proofs as a task. */
  turn(prompt: string): Promise<void>;
  /** As a person does; the agent's own exit status has to be 0. */
  leave(): Promise<void>;
}

export interface ChainOptions {
  binFolders: readonly string[];
  /** The person's settings beat the launch. */
  settingsWin?: boolean;
}

export async function withChain(
  agent: LaunchedAgent,
  route: Route,
  { binFolders, settingsWin = false }: ChainOptions,
  run: (chain: Chain) => Promise<void>,
): Promise<void> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "clutch-launch-test-")));
  const trap = startTrap();
  const upstream = startScriptedUpstream(
    { calls: answers.map(say) },
    { isSideCall: (body) => hasNoTools(body) || agent.sideCalls?.test(JSON.stringify(body)) === true },
  );
  const terminals: Terminal[] = [];
  let gateway: RunningGateway | undefined;
  try {
    const isDirect = route === "d";
    const isOwn = isDirect || settingsWin;
    const addresses = { own: isOwn ? upstream.url : trap.url, ...(isDirect && { left: trap.url }) };
    const env = await prepare(agent, root, binFolders, addresses);
    if (!isDirect) {
      const place = { url: isOwn ? trap.url : upstream.url, protocol: agent.speaks[route] };
      gateway = await startGateway({ home: join(root, "clutch"), env, upstream: place });
    }
    const port = String(gateway?.port ?? new URL(trap.url).port);
    const chain = buildChain({ agent, route, root, env: { ...env, CLUTCH_PORT: port }, upstream, terminals, isOwn });
    await run(chain);
    expectUntouched(trap, isOwn);
    expectOwnCredentials(upstream.requests, isOwn ? ownKey : upstreamKey);
  } catch (error) {
    console.error(
      `--- ${agent.name} on route ${route}\n${gateway?.log() ?? ""}${upstream.requests
        .filter(({ part }) => part !== "probe")
        .map(outline)
        .join("\n")}`,
    );
    throw error;
  } finally {
    for (const terminal of terminals) terminal.stop();
    await gateway?.stop();
    await Promise.all([upstream.stop(), trap.stop()]);
    // what was ended may still be writing its last lines
    await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

function outline({ method, path, model, part }: RecordedRequest): string {
  return `${method} ${path} ${model} (${part})`;
}

interface Trap {
  url: string;
  requests: { method: string; path: string; headers: string }[];
  stop(): Promise<void>;
}

/** Where nothing may arrive that is of a launch. */
function startTrap(): Trap {
  const requests: Trap["requests"] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    fetch(request) {
      const headers = JSON.stringify(Object.fromEntries(request.headers));
      requests.push({ method: request.method, path: new URL(request.url).pathname, headers });
      return new Response("a trap", { status: 500 });
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, requests, stop: () => server.stop(true) };
}

/** In or behind the gateway not one request; where the person's settings lead an agent may look around, but not work. */
function expectUntouched(trap: Trap, isOwn: boolean): void {
  const grave = trap.requests.filter(({ method, headers }) => isOwn || method === "POST" || token.test(headers));
  expect(grave.map(({ method, path }) => `${method} ${path}`)).toEqual([]);
}

/** `xx-<code>-<launch id>`, as an agent gets it for a key. */
const token = /\bxx-[a-z]{2,4}-\w/;

interface Addresses {
  /** Where the person's own settings lead. */
  own: string;
  /** Where variables that were left behind lead. */
  left?: string;
}

async function prepare(
  agent: LaunchedAgent,
  root: string,
  binFolders: readonly string[],
  { own, left }: Addresses,
): Promise<Record<string, string>> {
  const place = { home: join(root, "home"), project: join(root, "project") };
  for (const folder of [place.home, place.project, join(root, "tmp")]) await mkdir(folder);
  const files = Object.entries(agent.files({ url: own, project: place.project }));
  for (const [name, content] of files) {
    const path = name.startsWith("project/") ? join(root, name) : join(place.home, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
  }
  const leftoverFile = join(root, "left-behind.json");
  if (left !== undefined && agent.leftoverFile) await writeFile(leftoverFile, agent.leftoverFile(left));
  const leftovers = left === undefined ? [] : Object.entries(agent.leftovers(left));
  return {
    HOME: place.home,
    TMPDIR: join(root, "tmp"),
    PATH: [...binFolders, "/usr/local/bin", "/usr/bin", "/bin"].join(":"),
    SHELL: "/bin/sh",
    LANG: "C.UTF-8",
    ...agent.env,
    ...Object.fromEntries(leftovers.map(([name, value]) => [name, value === "LEFTOVER_FILE" ? leftoverFile : value])),
    CLUTCH_HOME: join(root, "clutch"),
    CLUTCH_HOST: "127.0.0.1",
  };
}

interface Parts {
  agent: LaunchedAgent;
  route: Route;
  root: string;
  env: Readonly<Record<string, string>>;
  upstream: ScriptedUpstream;
  terminals: Terminal[];
  /** The upstream is where the person's settings lead. */
  isOwn: boolean;
}

function buildChain({ agent, route, root, env, upstream, terminals, isOwn }: Parts): Chain {
  const project = join(root, "project");
  const ledger = openLedger(join(root, "clutch", "clutch.db"));
  const mains = () => upstream.mainRequests();
  const last = () => JSON.stringify(mains().at(-1)?.body ?? {});
  const codeOf = (mode: Mode) => `${agent.letter}${mode}${route}`;

  /** One turn has reached the upstream, for the right model, and the ledger knows whose it was. */
  const expectTurn = async (before: number, prompt: string, code: string) => {
    expect(
      mains()
        .map(({ model }) => model)
        .slice(before),
    ).toEqual([agent.models[route]]);
    expect(last()).toContain(prompt);
    if (!isOwn) await ledger.expectLaunch(agent.letter, code);
  };

  return {
    agent,
    route,
    home: join(root, "home"),
    history: last,
    sideCalls: () => upstream.requests.filter(({ part }) => part === "side").length,
    sessions: () => listSessions(agent.letter, project, env),
    async ask(mode, prompt, ...options) {
      const before = mains().length;
      const told = await runToEnd([executables.xx, codeOf(mode), "-p", prompt, ...options], project, env);
      const answer = answers[before] ?? "";
      if (told.code !== 0 || !told.stdout.includes(answer)) console.error(`--- stderr\n${told.stderr}`);
      expect({ code: told.code, stdout: told.stdout.trim() }).toEqual({
        code: 0,
        stdout: expect.stringContaining(answer),
      });
      await expectTurn(before, prompt, codeOf(mode));
      return told;
    },
    async open(mode, options, first = agent.ready) {
      const command = [executables.xx, codeOf(mode), ...options].map((word) => `'${word}'`).join(" ");
      const shell = ["sh", "-c", `${command}; echo "[left with $?]"; read -r _`];
      const terminal = startTerminal(shell, env, project);
      terminals.push(terminal);
      await answerQuestions(agent, terminal, first);
      return {
        terminal,
        async turn(prompt) {
          const before = mains().length;
          await sayIn(terminal, prompt);
          await terminal.shows(new RegExp(literally(answers[before] ?? "")), screenLimitMs);
          await expectTurn(before, prompt, codeOf(mode));
        },
        async leave() {
          for (const step of agent.leave) await take(terminal, step);
          await terminal.shows(/\[left with \d+\]/, screenLimitMs);
          const shown = terminal.screen();
          // OpenCode 1.18.33 is compiled with a Bun (1.3.14) that now and then crashes while it exits, everything said and done.
          const hasCrashed = shown.includes("oh no: Bun has crashed") && shown.includes("[left with 132]");
          if (hasCrashed)
            console.log(`${agent.name} crashed in its own runtime on the way out; xx passed its status on`);
          else expect(shown).toContain("[left with 0]");
        },
      };
    },
  };
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Does one step of a row's answers. */
export async function take(terminal: Terminal, step: Step): Promise<void> {
  if ("say" in step) return sayIn(terminal, step.say);
  terminal.press(...step.press);
  const { until } = step;
  if (until === undefined) return;
  let pressedAt = Date.now();
  await eventually(
    `an answer to ${step.press.join(" ")}`,
    () => {
      if (until.test(terminal.screen())) return true;
      if (Date.now() - pressedAt > 3_000) {
        terminal.press(...step.press);
        pressedAt = Date.now();
      }
      return false;
    },
    screenLimitMs,
  );
}

/** Types and sends it. What follows too fast is taken for the rest of a pasted text, so Enter waits for the text. */
export async function sayIn(terminal: Terminal, text: string): Promise<void> {
  terminal.type(text);
  await terminal.shows(new RegExp(literally(text)), screenLimitMs);
  await Bun.sleep(300);
  terminal.press("Enter");
}

/** Gets through what the agent asks before it starts. @param first matches once it is through */
export async function answerQuestions(agent: LaunchedAgent, terminal: Terminal, first: RegExp): Promise<void> {
  const open = [...agent.questions];
  await eventually(
    `the first screen of ${agent.name}`,
    async () => {
      const screen = terminal.screen();
      if (first.test(screen)) return true;
      const index = open.findIndex(({ shows }) => shows.test(screen));
      if (index !== -1) {
        for (const step of open.splice(index, 1)[0]?.answer ?? []) {
          await take(terminal, step);
          await Bun.sleep(200);
        }
      }
      await Bun.sleep(100);
      return false;
    },
    screenLimitMs,
  ).catch((error: Error) => {
    throw new Error(`${error.message}; it shows:\n${terminal.screen()}`);
  });
}

async function runToEnd(argv: string[], cwd: string, env: Readonly<Record<string, string>>): Promise<Told> {
  const child = Bun.spawn(argv, {
    cwd,
    env: { ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: headlessLimitMs,
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, code: child.exitCode };
}

interface LedgerRow {
  status: string;
  agent: string | null;
  code: string | null;
  launch_id: string | null;
}

interface Ledger {
  /** One launch with this code, a new one, has asked; what was asked besides belongs to launches seen before. */
  expectLaunch(agent: string, code: string): Promise<void>;
}

function openLedger(file: string): Ledger {
  const codes = new Map<string, string>();
  const read = (): LedgerRow[] => {
    if (!existsSync(file)) return [];
    const database = new Database(file, { readonly: true });
    try {
      return database.query("SELECT status, agent, code, launch_id FROM requests").all() as LedgerRow[];
    } finally {
      database.close();
    }
  };
  return {
    async expectLaunch(agent, code) {
      let rows: LedgerRow[] = [];
      await eventually(`a finished request of ${code} in the ledger`, () => {
        rows = read();
        return rows.some(({ launch_id: id, status }) => status !== "pending" && !codes.has(id ?? ""));
      });
      const [id = "", ...more] = new Set(rows.flatMap(({ launch_id: id }) => (codes.has(id ?? "") ? [] : [id ?? ""])));
      expect(more).toEqual([]);
      codes.set(id, code);
      for (const row of rows) expect(row).toMatchObject({ agent, code: codes.get(row.launch_id ?? "") });
    },
  };
}

/** Behind the gateway only its own key arrives; at a vendor only the person's, and nothing that any launch has set. */
function expectOwnCredentials(requests: readonly RecordedRequest[], key: string): void {
  for (const { headers, body, part } of requests) {
    const credentials = [headers["authorization"]?.replace(/^Bearer /, ""), headers["x-api-key"]];
    const given = new Set(credentials.filter((value) => value !== undefined));
    // who only looks around may do so without a key
    if (part !== "probe" || given.size > 0) expect([...given]).toEqual([key]);
    const everything = JSON.stringify(headers) + JSON.stringify(body);
    expect(everything).not.toContain("x-clutch-launch");
    expect(everything).not.toMatch(token);
    expect(everything).not.toContain("left-behind");
  }
}
