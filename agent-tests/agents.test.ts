/**
 * The real agents through the compiled gateway against a scripted upstream: each agent with each upstream protocol in each
 * scenario. Claude Code and Codex are started by the compiled `xx`. What the agent prints and what reached the upstream
 * decide: agents retry on their own and then look fine.
 *
 * `CLUTCH_BIN` is the folder with `clutch` and `xx` (default: dist), `CLUTCH_AGENT_CACHE` where the agents are installed,
 * and `-t` picks cells by name ("Pi on chat: image"). What cannot run here is skipped with its reason, but fails when
 * `CI` is `true`.
 */

import { afterAll, describe, test } from "bun:test";
import type { Protocol } from "../src/protocols/chat.ts";
import { type Agent, agents } from "./agents.ts";
import { runCell } from "./bench.ts";
import { missingExecutables } from "./gateway.ts";
import { installAgents, lockedVersion } from "./install.ts";
import { enterLane } from "./lanes.ts";
import { type Outcome, type Result, renderMatrix } from "./matrix.ts";
import { type Scenario, scenarios } from "./scenarios.ts";
import { skipAloud } from "./skip-aloud.ts";

const upstreams: readonly Protocol[] = ["messages", "chat", "responses"];

const installed = await installAgents();
const obstacle = installed.ok ? missingExecutables() : `the agents cannot be installed: ${installed.reason}`;
const outcomes: Outcome[] = [];

/** With the wait for a lane; an agent's own limit is shorter. */
const cellLimitMs = 180_000;

if (obstacle !== undefined) skipAloud("the agents and the executables are there", obstacle);

describe.skipIf(obstacle !== undefined)("agents", () => {
  for (const agent of agents) {
    const missing = installed.ok ? installed.missing[agent.program] : undefined;
    if (missing !== undefined) skipAloud(`${agent.name} is there`, missing);
    for (const upstream of upstreams) {
      for (const scenario of scenarios) {
        if (scenario.isFor?.(agent, upstream) ?? true) declareCell(agent, upstream, scenario, missing);
      }
    }
  }
});

afterAll(() => {
  if (outcomes.every(({ result }) => result.kind === "n/a")) return;
  const lines = agents.flatMap((agent) => upstreams.map((variant) => ({ agent: nameWithVersion(agent), variant })));
  const columns = scenarios.map((scenario) => scenario.name);
  console.log(`\n${renderMatrix(outcomes, lines, columns, "upstream")}\n`);
});

function nameWithVersion(agent: Agent): string {
  return `${agent.name} ${lockedVersion(agent.program)}`;
}

function declareCell(agent: Agent, upstream: Protocol, scenario: Scenario, missing: string | undefined): void {
  const title = `${agent.name} on ${upstream}: ${scenario.name}`;
  const note = (result: Result) =>
    outcomes.push({ agent: nameWithVersion(agent), variant: upstream, scenario: scenario.name, result });
  const reason = missing ?? scenario.obstacle?.(agent, upstream);
  if (reason !== undefined) {
    note({ kind: "n/a", reason });
    return;
  }
  const run = async () => {
    const leave = await enterLane();
    const startedAtMs = performance.now();
    try {
      const binFolders = installed.ok ? installed.binFolders : [];
      await runCell({ agent, upstream, title, script: scenario.script, scenario: scenario.run }, binFolders);
      const limit = scenario.limit?.(agent, upstream);
      const seconds = (performance.now() - startedAtMs) / 1000;
      note({ kind: "pass", seconds, ...(limit !== undefined && { limit }) });
    } catch (error) {
      note({ kind: "FAIL" });
      throw error;
    } finally {
      leave();
    }
  };
  test.concurrent(title, run, cellLimitMs);
}
