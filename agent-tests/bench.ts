/** One cell of the matrix: one agent, one upstream protocol, one scenario, in a home and with a gateway of its own. */

import { expect } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Protocol } from "../src/protocols/chat.ts";
import { type Agent, agentKey, type Command, type Place, type Task } from "./agents.ts";
import { executables, type RunningGateway, startGateway, upstreamKey } from "./gateway.ts";
import { type Finished, prepareEnv, runProgram } from "./run-program.ts";
import { hasNoTools, type RecordedRequest, type Script, startScriptedUpstream } from "./scripted-upstream.ts";
import { conversation, returnedReasoning } from "./wire-requests.ts";
import { findFaults, findLeaks } from "./wire-rules.ts";

/** What a scenario works with: runs in one home, and what reached the upstream. */
export interface Bench {
  agent: Agent;
  upstream: Protocol;
  place: Place;
  /** One task, as the agent's row in the table starts it. */
  run(task: Task): Promise<Finished>;
  /** By launch mode, for the agents that `xx` starts. */
  launch(mode: "n" | "c", prompt: string, ...options: string[]): Promise<Finished>;
  /** The agent's answer is exactly `text`, and it noticed no trouble. */
  expectAnswer(finished: Finished, text: string): void;
  /** The upstream got so many main calls, all for the agent's first model. */
  expectCalls(count: number): void;
  /** The models that main calls asked for, in order. */
  models(): string[];
  /** A main request; a negative number counts from the end. */
  main(index: number): RecordedRequest;
  bodyText(index: number): string;
  sessionId(): Promise<string>;
}

export interface Cell {
  agent: Agent;
  upstream: Protocol;
  /** For messages. */
  title: string;
  script(agent: Agent, upstream: Protocol, place: { project: string }): Script;
  scenario(bench: Bench): Promise<void>;
}

/** Throws what the scenario threw, after it has printed what helps to understand it. */
export async function runCell(cell: Cell, binFolders: readonly string[]): Promise<void> {
  const { agent } = cell;
  const root = await mkdtemp(join(tmpdir(), "clutch-agent-test-"));
  const upstream = startScriptedUpstream(cell.script(agent, cell.upstream, { project: join(root, "project") }), {
    isSideCall: (body) => hasNoTools(body) || agent.sideCalls?.test(JSON.stringify(body)) === true,
  });
  const env = await prepareEnv(root, binFolders, agent);
  let gateway: RunningGateway | undefined;
  try {
    const place = { url: upstream.url, protocol: cell.upstream };
    gateway = await startGateway({ home: join(root, "clutch"), env, upstream: place });
    const bench = await buildBench(cell, root, env, gateway, upstream.mainRequests);
    await cell.scenario(bench);
    expectCleanRequests(upstream.requests, cell);
    expect(await gateway.stop()).toBe(0);
    expect(gateway.log()).not.toMatch(/cannot be written|internal error/i);
  } catch (error) {
    console.error(`--- gateway (${cell.title})\n${gateway?.log() ?? "did not start"}`);
    throw error;
  } finally {
    await gateway?.stop();
    await upstream.stop();
    await rm(root, { recursive: true, force: true });
  }
}

async function buildBench(
  { agent, upstream }: Cell,
  root: string,
  env: Record<string, string>,
  gateway: RunningGateway,
  mains: () => RecordedRequest[],
): Promise<Bench> {
  const gatewayUrl = `http://127.0.0.1:${gateway.port}`;
  const place: Place = { root, home: join(root, "home"), project: join(root, "project"), gatewayUrl };
  await agent.prepare?.(place);
  const launcherEnv = { CLUTCH_HOME: gateway.home, CLUTCH_HOST: "127.0.0.1", CLUTCH_PORT: String(gateway.port) };
  const start = (command: Command) =>
    runProgram(command, place.project, { ...env, ...(agent.launcher && launcherEnv), ...command.env });
  const main = (index: number) => {
    const request = mains().at(index);
    if (request === undefined) throw new Error(`the upstream got ${mains().length} main calls, not ${index + 1}`);
    return request;
  };
  const models = () => mains().map((request) => request.model);
  return {
    agent,
    upstream,
    place,
    run: (task) => start(agent.command(place, task)),
    launch: (mode, prompt, ...options) =>
      start({ argv: [executables.xx, `${agent.launcher?.letter ?? "?"}${mode}p`, "-p", prompt, ...options] }),
    expectAnswer(finished, text) {
      if (finished.code !== 0 || finished.stdout.trim() !== text) console.error(`--- stderr\n${finished.stderr}`);
      expect({ code: finished.code, stdout: finished.stdout.trim() }).toEqual({ code: 0, stdout: text });
      expect(finished.stderr).not.toMatch(agent.troubleSigns);
    },
    expectCalls: (count) =>
      expect(models()).toEqual(Array.from({ length: count }, () => agent.upstreamModels[0] ?? "")),
    models,
    main,
    bodyText: (index) => JSON.stringify(main(index).body),
    sessionId: () => findSessionId(join(root, "home", agent.launcher?.sessionFiles ?? "")),
  };
}

async function findSessionId(folder: string): Promise<string> {
  const files = await readdir(folder, { recursive: true });
  const ids = files.flatMap((file) => /([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.jsonl$/.exec(file)?.[1] ?? []);
  const [id, ...more] = ids;
  if (id === undefined || more.length > 0) throw new Error(`expected one session below ${folder}, found ${ids.length}`);
  return id;
}

const wirePaths: Readonly<Record<Protocol, string>> = {
  messages: "/v1/messages",
  chat: "/v1/chat/completions",
  responses: "/v1/responses",
};

/** Whatever the scenario: right path, our key and no other credential, no trace of the launch token, every call whole. */
function expectCleanRequests(requests: readonly RecordedRequest[], { agent, upstream }: Cell): void {
  for (const request of requests) {
    expect(`${request.method} ${request.path}`).toBe(`POST ${wirePaths[upstream]}`);
    expect(credentials(request.headers)).toEqual([upstreamKey]);
    const everything = JSON.stringify(request.headers) + JSON.stringify(request.body);
    expect(everything).not.toMatch(launchToken);
    expect(everything).not.toContain(agentKey);
    expect(agent.upstreamModels).toContain(request.model);
    expect(conversation(request.body)).not.toBeEmpty();
    if (agent.speaks !== upstream) {
      expect(findFaults(upstream, request.body)).toEqual([]);
      expect(findLeaks(request.headers, request.body)).toEqual([]);
    }
    // an envelope of the gateway's own means nothing to any upstream
    for (const { proof } of returnedReasoning(upstream, request.body)) expect(proof).not.toStartWith("clutch1.");
  }
}

/** `xx-<code>-<launch id>`, as an agent gets it for a key. */
const launchToken = /\bxx-[a-z]{2,4}-\w/;

function credentials(headers: Record<string, string>): string[] {
  const values = [headers["authorization"]?.replace(/^Bearer /, ""), headers["x-api-key"], headers["x-clutch-launch"]];
  return [...new Set(values.filter((value) => value !== undefined))];
}
