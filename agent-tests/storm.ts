/**
 * `npm run test:storm`: real Claude Code and Codex do a task of two turns, the first with a tool, while half of the calls to
 * the upstreams fail at random in every way of the fault matrix. A run is broken when the agent exits with an error, shows
 * anything but the answer, or has lost the first turn's tool result in the second. Needs `npm run build`; not part of CI.
 *
 *     npm run test:storm -- --runs 60 --seed 7 --agents claude,codex --share 0.5
 *
 * The seed decides what fails, call by call; agents call in parallel, so two runs of a seed are alike but not the same.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { JsonObject, Protocol } from "../src/protocols/chat.ts";
import { faults } from "../test/faults/fault-table.ts";
import {
  type FakeUpstream,
  json,
  type Reply,
  sse,
  startFakeUpstream,
  type UpstreamRequest,
} from "../test/support/fake-upstream.ts";
import { type Agent, agents } from "./agents.ts";
import { executables, missingExecutables, type RunningGateway, startGateway, upstreamKey } from "./gateway.ts";
import { installAgents } from "./install.ts";
import { type Finished, prepareEnv, runProgram } from "./run-program.ts";
import { hasNoTools, renderEvent } from "./scripted-upstream.ts";
import { type Part, writers } from "./wire-answers.ts";
import { toolRounds } from "./wire-requests.ts";

const { values: flags } = parseArgs({
  options: {
    runs: { type: "string", default: "60" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1e6)) },
    agents: { type: "string", default: "claude,codex" },
    /** Of the calls, how many fail. */
    share: { type: "string", default: "0.5" },
  },
});

const lanes = 2;
const turnLimitMs = 240_000;

// ---- the task

const firstPrompt = "Run the command and tell me what it printed.";
const secondPrompt = "And now say goodbye.";
/** The shell works it out, so it cannot be an echo of the command. */
const command = "echo clutch-$((40 + 2))-ran";
const commandOutput = "clutch-42-ran";
const firstAnswer = "It printed what it had to.";
const secondAnswer = "Goodbye, and take care.";

/** What a good model says, by what the conversation has come to. */
function goodParts(agent: Agent, upstream: Protocol, body: JsonObject): Part[] {
  const say = (text: string): Part[] => [{ kind: "text", text }];
  if (hasNoTools(body))
    return say(/"json_schema"|"json_object"/.test(JSON.stringify(body)) ? '{"title":"A task"}' : "A task");
  if (JSON.stringify(body).includes(secondPrompt)) return say(secondAnswer);
  return hasToolResult(body) ? say(firstAnswer) : [agent.shell(command, upstream)];
}

function hasToolResult(body: JsonObject): boolean {
  return toolRounds(body).some((calls) =>
    calls.some(({ outputs }) => outputs.some((text) => text.includes(commandOutput))),
  );
}

// ---- the upstreams

/** Of several protocols, and two keys where there is a pool: each model's provider fails for itself. */
const providers = { one: "messages", two: "chat", three: "responses", four: "chat" } as const satisfies Record<
  string,
  Protocol
>;
const cascade = ["one:m1", "two:m2", "three:m3", "four:m4", "one:m5", "three:m6"] as const;

/**
 * Left out is what is no fault of an upstream: a request that is wrong or too long is so everywhere, words where a tool must
 * be called are an answer where none must, and one cut at the output limit was asked for so.
 */
const storm = faults.filter(
  ({ name, forcesTool }) =>
    !name.startsWith("400, the request") &&
    !name.startsWith("400, it does not") &&
    forcesTool !== true &&
    !name.includes("output limit"),
);

/** Real upstreams do not stay silent for ever: so long, then they hang up (ms). */
const longestSilenceMs = 6_000;

const protocolByPath: Readonly<Record<string, Protocol>> = {
  "/v1/messages": "messages",
  "/v1/chat/completions": "chat",
  "/v1/responses": "responses",
};

let answersGiven = 0;

function goodReply(agent: Agent, upstream: Protocol, body: JsonObject): Reply {
  const answer = {
    id: `storm${++answersGiven}`,
    model: String(body["model"]),
    parts: goodParts(agent, upstream, body),
    includeUsage: true,
  };
  const writer = writers[upstream];
  return body["stream"] === true ? sse(writer.stream(answer).map(renderEvent)) : json(writer.whole(answer));
}

interface Tally {
  calls: number;
  failed: Map<string, number>;
}

function startUpstream(agent: Agent, random: () => number, tally: Tally): Promise<FakeUpstream> {
  const reply = ({ path, body }: UpstreamRequest): Reply => {
    const upstream = protocolByPath[path.replace(/\?.*/, "")] ?? "chat";
    tally.calls++;
    if (random() >= Number(flags.share)) return goodReply(agent, upstream, body);
    const isStream = body["stream"] === true;
    const playable = storm.flatMap((fault) => {
      // The first word of an answer that breaks has reached the agent by then.
      const played = fault.play(upstream, isStream, Bun.sleep(60));
      return typeof played === "object" ? [{ name: `${fault.moment}: ${fault.name}`, played }] : [];
    });
    const { name, played } = playable[Math.floor(random() * playable.length)] as (typeof playable)[number];
    tally.failed.set(name, (tally.failed.get(name) ?? 0) + 1);
    return played.end === "open"
      ? { ...played, body: [...played.body, Bun.sleep(longestSilenceMs)], end: "cut" }
      : played;
  };
  return startFakeUpstream(
    Object.fromEntries(cascade.map((reference) => [reference.slice(reference.indexOf(":") + 1), reply])),
  );
}

function buildConfig(port: number): JsonObject {
  const base_url = `http://127.0.0.1:${port}/v1`;
  const [first, ...rest] = cascade;
  const tier = { default: first, cascade: rest };
  return {
    providers: Object.fromEntries(
      Object.entries(providers).map(([id, protocol]) => [
        id,
        { protocol, base_url, api_keys: [upstreamKey, `${upstreamKey}-2`] },
      ]),
    ),
    default_provider: "one",
    model_tiers: { BIG: tier, MIDDLE: tier, SMALL: tier },
    timeouts: { first_token_ms: 1500, idle_ms: 2000 },
  };
}

// ---- a run

interface Outcome {
  isWhole: boolean;
  /** What was wrong, for people. */
  trouble: string[];
  seconds: number;
  /** Times the agent itself had to ask again, as far as it says so. */
  tally: Tally;
  details: string;
}

async function runOnce(agent: Agent, random: () => number, binFolders: readonly string[]): Promise<Outcome> {
  const root = await mkdtemp(join(tmpdir(), "clutch-storm-"));
  const tally: Tally = { calls: 0, failed: new Map() };
  const upstream = await startUpstream(agent, random, tally);
  const startedAtMs = performance.now();
  let gateway: RunningGateway | undefined;
  try {
    const env = await prepareEnv(root, binFolders, agent);
    gateway = await startGateway({
      home: join(root, "clutch"),
      env,
      upstream: { url: `http://127.0.0.1:${upstream.port}`, protocol: "chat" },
      config: buildConfig(upstream.port),
    });
    const launcherEnv = {
      ...env,
      CLUTCH_HOME: gateway.home,
      CLUTCH_HOST: "127.0.0.1",
      CLUTCH_PORT: String(gateway.port),
    };
    const turn = (mode: "n" | "c", prompt: string) =>
      runProgram(
        { argv: [executables.xx, `${agent.launcher?.letter}${mode}p`, "-p", prompt] },
        join(root, "project"),
        launcherEnv,
        turnLimitMs,
      );
    const first = await turn("n", firstPrompt);
    const second = await turn("c", secondPrompt);
    const trouble = [
      ...faultsOf("first turn", first, firstAnswer),
      ...faultsOf("second turn", second, secondAnswer),
      ...lossesOf(upstream.requests),
    ];
    const seconds = (performance.now() - startedAtMs) / 1000;
    const details = [first, second]
      .map(({ stdout, stderr }) => `--- stdout\n${stdout}\n--- stderr\n${stderr.slice(-3000)}`)
      .join("\n");
    return {
      isWhole: trouble.length === 0,
      trouble,
      seconds,
      tally,
      details: `${details}\n--- gateway\n${gateway.log().slice(-6000)}`,
    };
  } finally {
    await gateway?.stop();
    await upstream.stop();
    await rm(root, { recursive: true, force: true });
  }
}

function faultsOf(turn: string, { code, stdout }: Finished, expected: string): string[] {
  const said = stdout.trim();
  return [
    ...(code === 0 ? [] : [`${turn}: exit status ${code ?? "none: it took too long"}`]),
    ...(said === expected ? [] : [`${turn}: it shows ${JSON.stringify(said.slice(0, 200))}`]),
  ];
}

/** What the last request of the second turn must bring back of the first. */
function lossesOf(requests: readonly UpstreamRequest[]): string[] {
  const last = requests.findLast(({ body, text }) => !hasNoTools(body) && text.includes(secondPrompt));
  if (last === undefined) return ["second turn: it never reached an upstream"];
  return [
    ...(hasToolResult(last.body) ? [] : ["second turn: the tool's result is lost"]),
    ...[firstPrompt, firstAnswer].flatMap((words) =>
      last.text.includes(words) ? [] : [`second turn: "${words}" is lost`],
    ),
  ];
}

/** Mulberry32: small, and the same everywhere. */
function randomBy(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function main(): Promise<number> {
  const installed = await installAgents();
  const obstacle = installed.ok ? missingExecutables() : `the agents cannot be installed: ${installed.reason}`;
  if (!installed.ok || obstacle !== undefined) {
    console.error(`storm: ${obstacle}`);
    return 1;
  }
  const names = flags.agents.split(",");
  // The first row of a program is the one that goes through the cascade.
  const chosen = names.map((name) => agents.find((agent) => agent.program === name && agent.launcher !== undefined));
  const runs = Number(flags.runs);
  const seed = Number(flags.seed);
  console.log(
    `storm: seed ${seed}, ${runs} runs each of ${names.join(" and ")}, ${storm.length} kinds of fault, ${Number(flags.share) * 100} % of all calls fail`,
  );
  const jobs = Array.from({ length: runs }, (_, run) => chosen.map((agent) => ({ agent, run }))).flat();
  const whole = new Map<string, number>();
  const kinds = new Map<string, number>();
  let calls = 0;
  let broken = 0;
  const lane = async () => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      const { agent, run } = job;
      if (agent === undefined) continue;
      const random = randomBy(seed * 1_000_003 + run * 101 + (agent.program.codePointAt(1) ?? 0));
      const outcome = await runOnce(agent, random, installed.binFolders);
      const failed = [...outcome.tally.failed.values()].reduce((sum, count) => sum + count, 0);
      for (const [name, count] of outcome.tally.failed) kinds.set(name, (kinds.get(name) ?? 0) + count);
      calls += outcome.tally.calls;
      const verdict = outcome.isWhole ? "whole " : "BROKEN";
      console.log(
        `${verdict} ${agent.name} ${run + 1}: ${failed} of ${outcome.tally.calls} calls failed, ${outcome.seconds.toFixed(1)} s`,
      );
      if (outcome.isWhole) whole.set(agent.name, (whole.get(agent.name) ?? 0) + 1);
      else {
        broken++;
        console.log(`${outcome.trouble.map((line) => `  ${line}`).join("\n")}\n${outcome.details}`);
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const failed = [...kinds.values()].reduce((sum, count) => sum + count, 0);
  for (const [name, count] of [...kinds].toSorted((a, b) => b[1] - a[1]))
    console.log(`${String(count).padStart(5)}  ${name}`);
  for (const agent of chosen)
    if (agent !== undefined) console.log(`${agent.name}: ${whole.get(agent.name) ?? 0} of ${runs} runs whole`);
  console.log(`storm: seed ${seed}, ${failed} of ${calls} calls failed in ${kinds.size} ways, ${broken} runs broken`);
  return broken === 0 ? 0 : 1;
}

process.exitCode = await main();
