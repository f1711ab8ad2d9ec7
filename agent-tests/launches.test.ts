/**
 * What `xx` starts is what was asked for: each agent in each mode on each route, in a home whose own files point
 * elsewhere. Without a terminal: a task, the conversation continued, and found again by its id. In a terminal (tmux): a
 * new session with a turn typed by hand, the last one, one by id, and the picker. What reached the upstream, what the
 * gateway's ledger says of it and what the screen shows decide.
 *
 * `CLUTCH_BIN`, `CLUTCH_AGENT_CACHE`, `-t` and `CI` as in agents.test.ts.
 */

import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Mode, Route } from "../src/launch-code.ts";
import { eventually } from "../test/support/gateway.ts";
import { missingExecutables } from "./gateway.ts";
import { installAgents, lockedVersion } from "./install.ts";
import { enterLane } from "./lanes.ts";
import { type Chain, withChain } from "./launch-chain.ts";
import { type LaunchedAgent, launchedAgents, unbeatable } from "./launches.ts";
import { type Outcome, type Result, renderMatrix } from "./matrix.ts";
import { skipAloud } from "./skip-aloud.ts";
import { expectedOf, type StandIn, type StandInBench, standIns, withStandIn } from "./stand-ins.ts";

const routes: readonly Route[] = ["p", "b", "d"];
const modes: readonly Mode[] = ["i", "c", "n", "s", "r"];

const installed = await installAgents();
const obstacle = installed.ok
  ? (missingExecutables() ?? (Bun.which("tmux") === null ? "tmux is not on PATH" : undefined))
  : `the agents cannot be installed: ${installed.reason}`;
const binFolders = installed.ok ? installed.binFolders : [];
const outcomes: Outcome[] = [];

const standInNote = "the program cannot be had: a stand-in wrote down its arguments and variables";

/** With the wait for a lane. */
const limitMs = 300_000;

if (obstacle !== undefined) skipAloud("the agents, the executables and tmux are there", obstacle);

describe.skipIf(obstacle !== undefined)("launches", () => {
  for (const agent of launchedAgents) {
    const missing = installed.ok ? installed.missing[agent.program] : undefined;
    if (missing !== undefined) skipAloud(`${agent.name} is there`, missing);
    for (const route of routes) declareChain(agent, route, missing);
  }

  for (const { agent, route, file, says } of unbeatable) {
    const run = () =>
      withChain(agent, route, { binFolders, settingsWin: true }, async (chain) => {
        const { stderr } = await chain.ask("n", "Say something.");
        expect(stderr).toContain(`xx: ${join(chain.home, file)} ${says}, which wins over this launch`);
      });
    test
      .skipIf(isMissing(agent))
      .concurrent(`${agent.name} on route ${route} says that ${file} wins`, inLane(run), limitMs);
  }

  const [claude] = launchedAgents;
  const isRoot = process.getuid?.() === 0;
  test.skipIf(!isRoot || claude === undefined || isMissing(claude)).concurrent(
    "as root Claude Code starts with its approvals on, and the launch says how to have it otherwise",
    inLane(async () => {
      if (claude === undefined) return;
      const { IS_SANDBOX: _, ...env } = claude.env;
      await withChain({ ...claude, env }, "p", { binFolders }, async (chain) => {
        const { stderr } = await chain.ask("n", "Say something.");
        expect(stderr).toContain("xx: Claude Code refuses --dangerously-skip-permissions as root");
        expect(stderr).toContain("set IS_SANDBOX=1");
        const session = await chain.open("i", [], /\? for shortcuts|\/effort/);
        expect(session.terminal.screen()).not.toContain("bypass permissions");
        await session.turn("Say something else.");
        await session.leave();
      });
    }),
    limitMs,
  );
});

function isMissing(agent: LaunchedAgent): boolean {
  return installed.ok && installed.missing[agent.program] !== undefined;
}

function inLane(run: () => Promise<void>): () => Promise<void> {
  return async () => {
    const leave = await enterLane();
    try {
      await run();
    } finally {
      leave();
    }
  };
}

/** They need no agent, only the executables. */
describe.skipIf(missingExecutables() !== undefined)("launches of stand-ins", () => {
  for (const standIn of standIns) {
    test(
      `${standIn.name} in every mode on every route`,
      () =>
        withStandIn(standIn, async (bench) => {
          for (const route of routes) {
            for (const mode of modes) {
              const startedAtMs = performance.now();
              const result = await launchStandIn(standIn, bench, mode, route);
              const seconds = (performance.now() - startedAtMs) / 1000;
              const shown: Result =
                result === undefined ? { kind: "pass", seconds, limit: standInNote } : { kind: "n/a", reason: result };
              outcomes.push({ agent: standIn.name, variant: route, scenario: mode, result: shown });
            }
          }
        }),
      limitMs,
    );
  }
});

/** Resolves to the refusal, where there has to be one. */
async function launchStandIn(standIn: StandIn, bench: StandInBench, mode: Mode, route: Route) {
  const expected = expectedOf(standIn, mode, route);
  const { status, stderr, started } = await bench.launch(mode, route);
  if ("refused" in expected) {
    expect({ status, started, stderr: stderr.split("\n")[0] }).toEqual({
      status: 2,
      started: undefined,
      stderr: expect.stringContaining(`xx: ${expected.refused}`),
    });
    return expected.refused;
  }
  expect({ status, argv: started?.argv, cwd: started?.cwd }).toEqual({
    status: 0,
    argv: expected.argv,
    cwd: bench.project,
  });
  const { address, leftovers } = standIn;
  if (route === "d") expect(leftovers.filter((name) => started?.env[name] !== undefined)).toEqual([]);
  else if (address !== undefined) {
    expect(started?.env[address.url]).toBe(`${bench.gatewayUrl}/v1`);
    expect(started?.env[address.key]).toMatch(new RegExp(`^xx-${standIn.letter}${mode}${route}-[a-z0-9]+$`));
  }
  return undefined;
}

afterAll(() => {
  if (outcomes.every(({ result }) => result.kind === "n/a")) return;
  const names = [...launchedAgents.map(nameOf), ...standIns.map(({ name }) => name)];
  const lines = names.flatMap((agent) => routes.map((variant) => ({ agent, variant })));
  console.log(`\n${renderMatrix(outcomes, lines, modes, "route")}\n`);
});

function nameOf(agent: LaunchedAgent): string {
  return `${agent.name} ${lockedVersion(agent.program)}`;
}

function declareChain(agent: LaunchedAgent, route: Route, missing: string | undefined): void {
  const results = new Map<Mode, Result>();
  const settle = () => {
    for (const [scenario, result] of results) outcomes.push({ agent: nameOf(agent), variant: route, scenario, result });
  };
  if (missing !== undefined) {
    for (const mode of modes) results.set(mode, { kind: "n/a", reason: missing });
    settle();
    return;
  }
  const run = () => withChain(agent, route, { binFolders }, (chain) => walk(chain, results)).finally(settle);
  test.concurrent(`${agent.name} on route ${route}`, inLane(run), limitMs);
}

/** The modes in an order in which each has something to go on with. */
async function walk(chain: Chain, results: Map<Mode, Result>): Promise<void> {
  const timed = async (mode: Mode, step: () => Promise<void>) => {
    const before = results.get(mode);
    results.set(mode, { kind: "FAIL" });
    const startedAtMs = performance.now();
    await step();
    const seconds = (performance.now() - startedAtMs) / 1000;
    results.set(mode, { kind: "pass", seconds: seconds + (before?.kind === "pass" ? before.seconds : 0) });
  };
  let first = "";

  await timed("n", async () => {
    await chain.ask("n", "Remember the word kestrel.");
  });
  await timed("c", async () => {
    await chain.ask("c", "Which bird was it?");
    expectHistory(chain, "Remember the word kestrel.", "This is answer a.");
  });
  await timed("s", async () => {
    const [session, ...more] = await chain.sessions();
    expect(more).toEqual([]);
    first = session?.id ?? "";
    await chain.ask("n", "And which one by its id?", "-s", first);
    expectHistory(chain, "Remember the word kestrel.", "Which bird was it?", "This is answer b.");
  });

  await timed("i", async () => {
    const session = await chain.open("i", []);
    const before = chain.sideCalls();
    await session.turn("Remember the word osprey.");
    expect(chain.history()).not.toContain("kestrel");
    if (chain.agent.asksForTitle) await eventually("the call for a title", () => chain.sideCalls() > before, 20_000);
    await session.leave();
  });
  await timed("c", async () => {
    const session = await chain.open("c", []);
    await session.turn("Say the word that I typed.");
    expectHistory(chain, "Remember the word osprey.", "This is answer d.");
    expect(chain.history()).not.toContain("kestrel");
    await session.leave();
  });
  await timed("s", async () => {
    const session = await chain.open("s", ["-s", first]);
    await session.turn("Say the word of this session.");
    expectHistory(chain, "Remember the word kestrel.", "And which one by its id?", "This is answer c.");
    expect(chain.history()).not.toContain("osprey");
    await session.leave();
  });

  const { picker } = chain.agent;
  if ("reason" in picker) {
    results.set("r", { kind: "n/a", reason: picker.reason });
    return;
  }
  await timed("r", async () => {
    const { terminal } = await chain.open("r", [], picker);
    // by what was said in it, or by the title that the agent has given it
    await terminal.shows(/\bword\b|Side call/);
  });
}

function expectHistory(chain: Chain, ...words: string[]): void {
  for (const word of words) expect(chain.history()).toContain(word);
}
