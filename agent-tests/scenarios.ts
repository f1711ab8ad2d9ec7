/** THE table of scenarios: what the upstream answers, what the agent is asked, and what must have happened. */

import { expect } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Protocol } from "../src/protocols/chat.ts";
import type { Agent } from "./agents.ts";
import type { Bench } from "./bench.ts";
import { answer, type Reply, type Script, say } from "./scripted-upstream.ts";
import { images, returnedReasoning, toolRounds } from "./wire-requests.ts";

export interface Scenario {
  name: string;
  /** Agents and upstreams that it is not meant for leave no gap in the table; default: it is for all. */
  isFor?(agent: Agent, upstream: Protocol): boolean;
  /** Why an agent that it is meant for cannot take part. */
  obstacle?(agent: Agent, upstream: Protocol): string | undefined;
  /** What cannot be shown with this agent although it takes part. */
  limit?(agent: Agent, upstream: Protocol): string | undefined;
  script(agent: Agent, upstream: Protocol, place: { project: string }): Script;
  run(bench: Bench): Promise<void>;
}

/** The shell works it out, so it cannot be an echo of the command. */
const command = "echo clutch-$((40 + 2))-ran";
const commandOutput = "clutch-42-ran";

const parallelCommands = [
  ["echo one-$((40 + 2))", "one-42"],
  ["echo two-$((40 + 3))", "two-43"],
] as const;

const thoughts = [
  { kind: "reasoning", text: "First I look at what is there.", proof: "cHJvb2Ytb2YtdGhlLWZpcnN0" },
  { kind: "reasoning", text: "Then I run it once more.", proof: "cHJvb2Ytb2YtdGhlLXNlY29uZA==" },
] as const;

/** 16 x 16 pixels of red. */
const png =
  "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mM4ISdHEmIY1TCqYfhqAADkYgQQ6ZuA8QAAAABJRU5ErkJggg==";

const longText = `${"All of this has to reach the model. ".repeat(8_600)}The end of the long text.`;
/** Each round prints 90 KB: below what an agent cuts off. */
const longRounds = 4;
const longCommand = "seq 10000 24999; echo the-end-of-round-$((40 + 2))";

const truncated = "This answer is cut off in the middle, and whoever takes it for the whole one has been misled.";

export const scenarios: readonly Scenario[] = [
  {
    name: "text",
    script: () => ({ calls: [say("Plain words from the script.")] }),
    async run(bench) {
      bench.expectAnswer(await bench.run({ prompt: "Say something." }), "Plain words from the script.");
      bench.expectCalls(1);
      expect(bench.bodyText(0)).toContain("Say something.");
    },
  },
  {
    name: "tool",
    script: (agent, upstream) => ({ calls: [answer(agent.shell(command, upstream)), say("The command has run.")] }),
    async run(bench) {
      bench.expectAnswer(await bench.run({ prompt: "Run the command." }), "The command has run.");
      bench.expectCalls(2);
      expectRounds(bench, 1, [[[command, commandOutput]]]);
    },
  },
  {
    name: "parallel",
    obstacle: (agent, upstream) => agent.cannot?.parallel?.[upstream],
    script: (agent, upstream) => ({
      calls: [
        answer(...parallelCommands.map(([parallelCommand]) => agent.shell(parallelCommand, upstream))),
        say("Both have run."),
      ],
    }),
    async run(bench) {
      bench.expectAnswer(await bench.run({ prompt: "Run both." }), "Both have run.");
      bench.expectCalls(2);
      expectRounds(bench, 1, [parallelCommands]);
    },
  },
  {
    name: "reasoning",
    limit: (agent, upstream) => agent.cannot?.reasoning?.[upstream],
    script: (agent, upstream) => ({
      calls: [
        ...thoughts.map((thought) => answer(thought, agent.shell(command, upstream))),
        say("I have thought twice."),
      ],
    }),
    async run(bench) {
      bench.expectAnswer(await bench.run({ prompt: "Think, then run it." }), "I have thought twice.");
      bench.expectCalls(3);
      expectReasoningBack(bench, 1, thoughts.slice(0, 1));
      expectReasoningBack(bench, 2, thoughts);
      expectRounds(bench, 2, [[[command, commandOutput]], [[command, commandOutput]]]);
    },
  },
  {
    name: "300 KB",
    script: (agent, upstream) => {
      const rounds = agent.longContextBy === "stdin" ? 0 : longRounds;
      const round: Reply = answer(agent.shell(longCommand, upstream));
      return { calls: [...Array.from({ length: rounds }, () => round), say("I have read it all.")] };
    },
    async run(bench) {
      const byStdin = bench.agent.longContextBy === "stdin";
      const task = { prompt: "Read all of it.", ...(byStdin && { stdin: longText }) };
      bench.expectAnswer(await bench.run(task), "I have read it all.");
      bench.expectCalls(byStdin ? 1 : longRounds + 1);
      expect(bench.bodyText(-1).length).toBeGreaterThan(300_000);
      if (byStdin) expect(bench.bodyText(-1)).toContain(longText);
      else expect(bench.bodyText(-1).match(/the-end-of-round-42/g)).toHaveLength(longRounds);
    },
  },
  {
    name: "image",
    obstacle: (agent, upstream) => agent.cannot?.image?.[upstream],
    script: ({ image }, _upstream, place) => ({
      calls: [...(image.by === "tool" ? [answer(image.call(join(place.project, imageName)))] : []), say("It is red.")],
    }),
    async run(bench) {
      const path = join(bench.place.project, imageName);
      await writeFile(path, Buffer.from(png, "base64"));
      const isAttached = bench.agent.image.by === "prompt";
      const task = { prompt: "What colour is it?", ...(isAttached && { image: path }) };
      bench.expectAnswer(await bench.run(task), "It is red.");
      bench.expectCalls(isAttached ? 1 : 2);
      const arrived = images(bench.upstream, bench.main(-1).body);
      expect(arrived).toEqual([bench.agent.reencodesImages ? expect.stringMatching(/^\/9j\//) : png]);
    },
  },
  {
    name: "reset",
    script: () => ({ calls: [{ kind: "cut", text: truncated, ending: "broken" }, say("The whole answer.")] }),
    run: expectNoTruncatedAnswer,
  },
  {
    name: "silent end",
    script: () => ({ calls: [{ kind: "cut", text: truncated, ending: "silent" }, say("The whole answer.")] }),
    run: expectNoTruncatedAnswer,
  },
  {
    name: "overflow",
    // every candidate is asked once; whoever asks again gets an answer
    script: (agent) => ({ calls: [...agent.upstreamModels.map((): Reply => ({ kind: "overflow" })), say("It fits.")] }),
    async run(bench) {
      const finished = await bench.run({ prompt: "Is there room for this?" });
      const reaction = bench.agent.onOverflow;
      const candidates = bench.agent.upstreamModels.length;
      if (reaction.kind === "goes on") {
        expect(finished.stdout.trim()).toEndWith("It fits.");
        expect(bench.models().length).toBeLessThanOrEqual(candidates + 2);
        return;
      }
      expect(bench.models()).toEqual([...bench.agent.upstreamModels]);
      if (reaction.kind === "silent") expect(finished.stdout.trim()).toBe("");
      else expect(finished.stdout + finished.stderr).toMatch(reaction.words);
    },
  },
  {
    name: "MCP tool",
    isFor: (agent) => agent.mcp !== undefined,
    script: ({ mcp }, upstream) => ({
      calls: [...(mcp === undefined ? [] : [answer(mcp.add(40, 2, upstream))]), say("The server has added.")],
    }),
    async run(bench) {
      const options = bench.agent.mcp?.options([process.execPath, join(import.meta.dir, "mcp-server.ts")]) ?? [];
      bench.expectAnswer(await bench.run({ prompt: "Add them.", options }), "The server has added.");
      bench.expectCalls(2);
      expectRounds(bench, 1, [[["40", "the sum is 42"]]]);
    },
  },
  {
    name: "compaction",
    isFor: (agent) => agent.compacts === true,
    script: (agent) => ({
      calls: [
        ...[say("The first answer."), say("The second answer.")],
        ...agent.upstreamModels.map((): Reply => ({ kind: "overflow" })),
        say("All is settled."),
      ],
    }),
    async run(bench) {
      const padding = "One more word. ".repeat(1000);
      bench.expectAnswer(await bench.launch("n", `The first question. ${padding}`), "The first answer.");
      bench.expectAnswer(await bench.launch("c", `The second question. ${padding}`), "The second answer.");
      bench.expectAnswer(await bench.launch("c", "The third question."), "All is settled.");
      const asked = bench.models().length;
      expect(asked).toBeGreaterThan(2 + bench.agent.upstreamModels.length);
      expect(asked).toBeLessThanOrEqual(12);
      expect(bench.bodyText(-1)).toContain("The third question.");
      expect(bench.bodyText(-1).length).toBeLessThan(bench.bodyText(2).length);
    },
  },
  {
    name: "failover",
    isFor: (agent) => agent.upstreamModels.length > 2 && agent.launcher !== undefined,
    script: (agent, upstream) => {
      const [first = "", second = "", third = ""] = agent.upstreamModels;
      return {
        models: {
          [first]: [{ kind: "rate-limit", resetSeconds: 30 }],
          [second]: [{ kind: "empty" }],
          [third]: [answer(agent.shell(command, upstream)), say("The third model is here.")],
        },
      };
    },
    async run(bench) {
      const finished = await bench.run({ prompt: "Carry on whatever happens." });
      bench.expectAnswer(finished, "The third model is here.");
      // a call of the agent may skip models that failed a moment ago, but it must end at the third
      const asked = bench.models();
      const third = bench.agent.upstreamModels[2];
      expect(asked.slice(0, 3)).toEqual([...bench.agent.upstreamModels]);
      expect(asked.filter((model) => model === third)).toHaveLength(2);
      expect(asked.at(-1)).toBe(third);
      expectRounds(bench, -1, [[[command, commandOutput]]]);
    },
  },
  {
    name: "resume",
    isFor: (agent) => agent.upstreamModels.length > 1 && agent.launcher !== undefined,
    script: () => ({ calls: [say("The first answer."), say("The second answer."), say("The third answer.")] }),
    async run(bench) {
      bench.expectAnswer(await bench.launch("n", "The first question."), "The first answer.");
      bench.expectAnswer(await bench.launch("c", "The second question."), "The second answer.");
      const session = await bench.sessionId();
      bench.expectAnswer(await bench.launch("n", "The third question.", "-s", session), "The third answer.");
      bench.expectCalls(3);
      for (const words of ["The first question.", "The first answer.", "The second question.", "The second answer."]) {
        expect(bench.bodyText(2)).toContain(words);
      }
    },
  },
];

/** Lies in the project folder. */
const imageName = "red.png";

/** Per answer with calls, and per call: what is in its input, and what is in the one output that has its id. */
function expectRounds(bench: Bench, index: number, rounds: readonly (readonly (readonly [string, string])[])[]): void {
  const expected = rounds.map((calls) =>
    calls.map(([input, output]) => ({
      input: expect.stringContaining(input),
      outputs: [expect.stringContaining(output)],
    })),
  );
  expect<unknown>(toolRounds(bench.main(index).body)).toEqual(expected);
}

/** In the form that the upstream's vendor wants, and in order; nothing if the agent cannot bring it. */
function expectReasoningBack(bench: Bench, index: number, thought: readonly { text: string; proof: string }[]): void {
  const returned = returnedReasoning(bench.upstream, bench.main(index).body);
  const expected = bench.agent.cannot?.reasoning?.[bench.upstream] === undefined ? thought : [];
  const hasProof = bench.upstream !== "chat";
  expect(returned.map(({ proof }) => proof)).toEqual(expected.map(({ proof }) => (hasProof ? proof : "")));
  // OpenAI is content with what is encrypted
  if (bench.upstream === "responses" && bench.agent.hidesReasoning) return;
  expect(returned.map(({ text }) => text)).toEqual(expected.map(({ text }) => text));
}

/** Either the agent has asked again and shows the second answer, or it says that it failed. */
async function expectNoTruncatedAnswer(bench: Bench): Promise<void> {
  const finished = await bench.run({ prompt: "Tell me all of it." });
  if (finished.code === 0) {
    // some print what had come before the cut and go on behind it
    expect(finished.stdout.trim()).toEndWith("The whole answer.");
    // on a busy machine the break may overtake the text: then it is the gateway that asks again, another model
    const [first, second] = bench.agent.upstreamModels;
    expect(bench.models()).toHaveLength(2);
    expect(bench.models()[0]).toBe(first ?? "");
    expect([first, second]).toContain(bench.models()[1]);
  } else {
    expect(finished.stdout + finished.stderr).toMatch(/error/i);
    expect(finished.stdout).not.toContain("The whole answer.");
  }
}
