/**
 * The real agents, started by the compiled `xx` through the compiled gateway against a scripted upstream: each agent with
 * each upstream protocol in each scenario, in a home of its own. What the agent prints and what reached the upstream decide.
 *
 * Agents retry on their own and then look fine, so a scenario always says exactly which models the upstream was asked for.
 */

import { afterAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject, Protocol } from "../src/protocols/chat.ts";
import {
  cascadeModels,
  executables,
  missingExecutables,
  type RunningGateway,
  startGateway,
  upstreamKey,
} from "./gateway.ts";
import { installAgents, lockedVersion } from "./install.ts";
import {
  type RecordedRequest,
  type Reply,
  type Script,
  startScriptedUpstream,
  toolResults,
} from "./scripted-upstream.ts";

const [firstModel, secondModel, thirdModel] = cascadeModels;
const agentLimitMs = 60_000;

// ---- the agents

interface Agent {
  name: string;
  program: string;
  /** First letter of a launch code. */
  letter: string;
  /** Upstream protocols that it is run against. */
  upstreams: readonly Protocol[];
  /** Its shell tool. */
  shell(command: string): Reply;
  /** Keeps it off the network and silent about itself; nothing that changes what it sends. */
  env: Record<string, string>;
  /** What stderr must not hold: the agent has noticed trouble. */
  troubleSigns: RegExp;
  /** Where a session is kept below the home folder; the id is in the file's name. */
  sessionFiles: string;
}

const agents: readonly Agent[] = [
  {
    name: "Claude Code",
    program: "claude",
    letter: "c",
    upstreams: ["messages", "chat"],
    shell: (command) => ({ kind: "tool", name: "Bash", input: { command, description: "Run the test command" } }),
    env: { IS_SANDBOX: "1", DISABLE_AUTOUPDATER: "1", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" },
    troubleSigns: /error|retry/i,
    sessionFiles: ".claude/projects",
  },
  {
    name: "Codex",
    program: "codex",
    letter: "x",
    upstreams: ["responses"],
    shell: (command) => ({ kind: "tool", name: "exec_command", input: { cmd: command } }),
    env: {},
    troubleSigns: /ERROR|Reconnecting|stream disconnected/,
    sessionFiles: ".codex/sessions",
  },
];

// ---- the scenarios

interface Scenario {
  name: string;
  script(agent: Agent): Script;
  run(bench: Bench): Promise<void>;
}

/** The shell works it out, so it cannot be an echo of the command. */
const command = "echo clutch-$((40 + 2))-ran";
const commandOutput = "clutch-42-ran";

const scenarios: readonly Scenario[] = [
  {
    name: "text",
    script: () => ({ calls: [{ kind: "text", text: "Plain words from the script." }] }),
    async run(bench) {
      bench.expectAnswer(await bench.launch("n", "Say something."), "Plain words from the script.");
      bench.expectModels(firstModel);
      expect(bench.bodyText(0)).toContain("Say something.");
    },
  },
  {
    name: "shell tool",
    script: (agent) => ({ calls: [agent.shell(command), { kind: "text", text: "The command has run." }] }),
    async run(bench) {
      bench.expectAnswer(await bench.launch("n", "Run the command."), "The command has run.");
      bench.expectModels(firstModel, firstModel);
      expect(toolResults(bench.main(1))).toEqual([expect.stringContaining(commandOutput)]);
    },
  },
  {
    name: "429, empty, good",
    script: (agent) => ({
      models: {
        [firstModel]: [{ kind: "rate-limit", resetSeconds: 30 }],
        [secondModel]: [{ kind: "empty" }],
        [thirdModel]: [agent.shell(command), { kind: "text", text: "The third model is here." }],
      },
    }),
    async run(bench) {
      bench.expectAnswer(await bench.launch("n", "Carry on whatever happens."), "The third model is here.");
      // a call of the agent may skip models that failed a moment ago, but it must end at the third
      const asked = bench.models();
      expect(asked.slice(0, 3)).toEqual([firstModel, secondModel, thirdModel]);
      expect(asked.filter((model) => model === thirdModel)).toHaveLength(2);
      expect(asked.at(-1)).toBe(thirdModel);
      expect(toolResults(bench.main(-1))).toEqual([expect.stringContaining(commandOutput)]);
    },
  },
  {
    name: "continue, resume",
    script: () => ({
      calls: [
        { kind: "text", text: "The first answer." },
        { kind: "text", text: "The second answer." },
        { kind: "text", text: "The third answer." },
      ],
    }),
    async run(bench) {
      bench.expectAnswer(await bench.launch("n", "The first question."), "The first answer.");
      bench.expectAnswer(await bench.launch("c", "The second question."), "The second answer.");
      const session = await bench.sessionId();
      bench.expectAnswer(await bench.launch("n", "The third question.", "-s", session), "The third answer.");
      bench.expectModels(firstModel, firstModel, firstModel);
      for (const words of ["The first question.", "The first answer.", "The second question.", "The second answer."]) {
        expect(bench.bodyText(2)).toContain(words);
      }
    },
  },
];

// ---- one agent, one upstream, one scenario

interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** What a scenario works with: launches in one home, and what reached the upstream. */
interface Bench {
  launch(mode: "n" | "c", prompt: string, ...options: string[]): Promise<Finished>;
  /** The agent's answer is exactly `text`, and it noticed no trouble. */
  expectAnswer(finished: Finished, text: string): void;
  /** The upstream's main calls asked for these models, one each, in this order. */
  expectModels(...models: string[]): void;
  models(): string[];
  /** A main request; a negative number counts from the end. */
  main(index: number): RecordedRequest;
  bodyText(index: number): string;
  sessionId(): Promise<string>;
}

const wirePaths: Readonly<Record<Protocol, string>> = {
  messages: "/v1/messages",
  chat: "/v1/chat/completions",
  responses: "/v1/responses",
};

async function runScenario(agent: Agent, protocol: Protocol, scenario: Scenario, binFolder: string): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "clutch-agent-test-"));
  const upstream = startScriptedUpstream(scenario.script(agent));
  const env = await prepareEnv(root, binFolder, agent);
  let gateway: RunningGateway | undefined;
  try {
    gateway = await startGateway({ home: join(root, "clutch"), env, upstream: { url: upstream.url, protocol } });
    await scenario.run(buildBench(agent, root, launchEnv(env, gateway), upstream.mainRequests));
    expectCleanRequests(upstream.requests, protocol);
    expect(await gateway.stop()).toBe(0);
    expect(gateway.log()).not.toMatch(/cannot be written|internal error/i);
  } catch (error) {
    console.error(`--- gateway (${agent.name}, ${protocol}, ${scenario.name})\n${gateway?.log() ?? "did not start"}`);
    throw error;
  } finally {
    await gateway?.stop();
    await upstream.stop();
    await rm(root, { recursive: true, force: true });
  }
}

/** Nothing of the person who runs the tests: only what a fresh login would have. */
async function prepareEnv(root: string, binFolder: string, agent: Agent): Promise<Record<string, string>> {
  for (const folder of ["home", "project", "tmp"]) await mkdir(join(root, folder));
  return {
    HOME: join(root, "home"),
    TMPDIR: join(root, "tmp"),
    PATH: `${binFolder}:/usr/local/bin:/usr/bin:/bin`,
    SHELL: "/bin/sh",
    LANG: "C.UTF-8",
    ...agent.env,
  };
}

function launchEnv(env: Record<string, string>, gateway: RunningGateway): Record<string, string> {
  return { ...env, CLUTCH_HOME: gateway.home, CLUTCH_HOST: "127.0.0.1", CLUTCH_PORT: String(gateway.port) };
}

function buildBench(agent: Agent, root: string, env: Record<string, string>, mains: () => RecordedRequest[]): Bench {
  const main = (index: number) => {
    const request = mains().at(index);
    if (request === undefined) throw new Error(`the upstream got ${mains().length} main calls, not ${index + 1}`);
    return request;
  };
  const models = () => mains().map((request) => request.model);
  return {
    launch: (mode, prompt, ...options) =>
      run([executables.xx, `${agent.letter}${mode}p`, "-p", prompt, ...options], join(root, "project"), env),
    expectAnswer(finished, text) {
      if (finished.code !== 0 || finished.stdout.trim() !== text) console.error(`--- stderr\n${finished.stderr}`);
      expect({ code: finished.code, stdout: finished.stdout.trim() }).toEqual({ code: 0, stdout: text });
      expect(finished.stderr).not.toMatch(agent.troubleSigns);
    },
    expectModels: (...expected) => expect(models()).toEqual(expected),
    models,
    main,
    bodyText: (index) => JSON.stringify(main(index).body),
    sessionId: () => findSessionId(join(root, "home", agent.sessionFiles)),
  };
}

async function run(argv: string[], cwd: string, env: Record<string, string>): Promise<Finished> {
  const child = Bun.spawn(argv, { cwd, env, stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: agentLimitMs });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code: child.exitCode, stdout, stderr };
}

async function findSessionId(folder: string): Promise<string> {
  const files = await readdir(folder, { recursive: true });
  const ids = files.flatMap((file) => /([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.jsonl$/.exec(file)?.[1] ?? []);
  const [id, ...more] = ids;
  if (id === undefined || more.length > 0) throw new Error(`expected one session below ${folder}, found ${ids.length}`);
  return id;
}

/** Whatever the scenario: right path, our key and no other credential, no trace of the launch token, every call whole. */
function expectCleanRequests(requests: readonly RecordedRequest[], protocol: Protocol): void {
  for (const request of requests) {
    expect(`${request.method} ${request.path}`).toBe(`POST ${wirePaths[protocol]}`);
    expect(credentials(request.headers)).toEqual([upstreamKey]);
    expect(JSON.stringify(request.headers)).not.toMatch(launchToken);
    expect(JSON.stringify(request.body)).not.toMatch(launchToken);
    expect(cascadeModels as readonly string[]).toContain(request.model);
    expect(conversationOf(request.body)).not.toBeEmpty();
  }
}

/** `xx-<code>-<launch id>`, as an agent gets it for a key. */
const launchToken = /\bxx-[a-z]{2,4}-\w/;

function credentials(headers: Record<string, string>): string[] {
  const values = [headers["authorization"]?.replace(/^Bearer /, ""), headers["x-api-key"], headers["x-clutch-launch"]];
  return [...new Set(values.filter((value) => value !== undefined))];
}

function conversationOf(body: JsonObject): unknown[] {
  const list = body.messages ?? body.input;
  return Array.isArray(list) ? list : [];
}

// ---- the run

interface Outcome {
  agent: string;
  upstream: string;
  scenario: string;
  result: string;
}

const outcomes: Outcome[] = [];

function printOutcomes(): void {
  if (outcomes.length === 0) return;
  const rows = [{ agent: "agent", upstream: "upstream", scenario: "scenario", result: "result" }, ...outcomes];
  const width = (key: keyof Outcome) => Math.max(...rows.map((row) => row[key].length));
  const line = (row: Outcome) =>
    [
      row.agent.padEnd(width("agent")),
      row.upstream.padEnd(width("upstream")),
      row.scenario.padEnd(width("scenario")),
      row.result,
    ].join("  ");
  console.log(`\n${rows.map(line).join("\n")}\n`);
}

const installed = await installAgents();
const obstacle = installed.ok ? missingExecutables() : `the agents cannot be installed: ${installed.reason}`;
const mustRun = process.env.CI === "true";

if (obstacle !== undefined) {
  console.error(`agent tests: ${obstacle}`);
  test.skipIf(!mustRun)("the agents and the executables are there", () => {
    throw new Error(obstacle);
  });
}

afterAll(printOutcomes);

describe.skipIf(obstacle !== undefined)("agents", () => {
  const binFolder = installed.ok ? installed.binFolder : "";
  for (const agent of agents) {
    for (const protocol of agent.upstreams) {
      for (const scenario of scenarios) {
        const row = {
          agent: `${agent.name} ${lockedVersion(agent.program)}`,
          upstream: protocol,
          scenario: scenario.name,
        };
        test(`${agent.name} on ${protocol}: ${scenario.name}`, async () => {
          const startedAtMs = performance.now();
          try {
            await runScenario(agent, protocol, scenario, binFolder);
            const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1);
            outcomes.push({ ...row, result: `pass (${seconds} s)` });
          } catch (error) {
            outcomes.push({ ...row, result: "FAIL" });
            throw error;
          }
        });
      }
    }
  }
});
