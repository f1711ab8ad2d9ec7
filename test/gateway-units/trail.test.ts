import { describe, expect, test } from "bun:test";
import { nothingLearnt } from "../../providers/lessons.ts";
import { buildProviders, type Provider } from "../../providers/registry.ts";
import { parseConfig } from "../../src/config/schema.ts";
import type { Target } from "../../src/gateway/router.ts";
import type { Skip } from "../../src/gateway/screen.ts";
import { maxTrailBytes, parseTrail, type Trail, TrailNotes } from "../../src/gateway/trail.ts";

const startedAt = 1_000_000;

function target(name: string, keys: readonly string[] = ["#1"], key?: string): Target {
  const [id = "", model = ""] = name.split(":");
  const api_keys = keys.map((keyId) => `secret ${keyId}`);
  const config = parseConfig({ providers: { [id]: { base_url: "http://127.0.0.1:1", api_keys } } }, "test");
  return {
    provider: buildProviders(config, (key) => key).get(id) as Provider,
    model,
    protocol: "chat",
    credential: "ours",
    ...(key !== undefined && { key: { id: key, value: `secret ${key}` } }),
  };
}

const [one, two, three] = [target("a:one"), target("b:two", ["#1", "#2"], "#2"), target("a:three")];
const resting: Skip = { target: three, reason: "a is resting: 500", kind: "upstream", backAt: startedAt + 60_000 };

interface Case {
  name: string;
  steps?: { rule: string; outcome: string }[];
  play(notes: TrailNotes): void;
  trail: Trail | null;
}

const cases: Case[] = [
  {
    name: "nothing for a first candidate that answers",
    play(notes) {
      notes.asked(one, startedAt + 1);
      notes.changed(one, nothingLearnt, false);
      notes.served(one);
    },
    trail: null,
  },
  {
    name: "the configured rules that did not apply, even then",
    steps: [
      { rule: "image", outcome: "no image in the newest turn" },
      { rule: "script", outcome: "not configured" },
      { rule: "family", outcome: "no known family" },
    ],
    play(notes) {
      notes.asked(one, startedAt + 1);
      notes.served(one);
    },
    trail: { steps: [{ rule: "image", outcome: "no image in the newest turn" }] },
  },
  {
    name: "who is there and who is asked, before anybody has answered",
    play: (notes) => notes.asked(one, startedAt + 1),
    trail: {
      candidates: [{ target: "a:one" }, { target: "b:two" }, { target: "a:three" }],
      calls: [{ target: "a:one", at: 1 }],
    },
  },
  {
    name: "what a failure has shut, which key of several, and why another was not asked",
    play(notes) {
      notes.arranged([one, two, three], new Map([[three, resting]]), undefined);
      notes.asked(one, startedAt + 1);
      notes.left(one, "upstream", { id: "account:a", until: startedAt + 300_000 });
      notes.asked(two, startedAt + 40);
      notes.served(two);
    },
    trail: {
      candidates: [
        { target: "a:one" },
        { target: "b:two" },
        { target: "a:three", reason: "a is resting: 500", kind: "upstream", back: startedAt + 60_000 },
      ],
      calls: [
        { target: "a:one", at: 1, closed: { id: "account:a", until: startedAt + 300_000 } },
        { target: "b:two", at: 40, key: "#2" },
      ],
    },
  },
  {
    name: "a race, a repair, a wait and an early opening",
    play(notes) {
      notes.asked(one, startedAt);
      notes.asked(three, startedAt + 500);
      notes.askedBeside(three);
      notes.changed(three, { ...nothingLearnt, dropFields: ["top_k"], renameFields: { max_tokens: "m" } }, true);
      notes.waited(99.6);
      notes.waited(100);
      notes.opened(startedAt + 8000);
      notes.served(three);
    },
    trail: {
      candidates: [{ target: "a:one" }, { target: "b:two" }, { target: "a:three" }],
      calls: [
        { target: "a:one", at: 0 },
        {
          target: "a:three",
          at: 500,
          beside: true,
          repairs: [
            "left out top_k: it refused the request as it was",
            "sent max_tokens as m: it refused the request as it was",
          ],
        },
      ],
      waited: 200,
      opened: 8000,
    },
  },
  {
    name: "that a session's own endpoint was moved forward",
    play(notes) {
      notes.arranged([three, one, two], new Map(), three);
      notes.asked(three, startedAt);
      notes.served(three);
    },
    trail: {
      candidates: [{ target: "a:three" }, { target: "a:one" }, { target: "b:two" }],
      calls: [{ target: "a:three", at: 0 }],
      kept: "a:three",
    },
  },
  {
    name: "nothing where there was nobody to ask",
    steps: [{ rule: "script", outcome: "not configured" }],
    play: (notes) => notes.arranged([], new Map(), undefined),
    trail: null,
  },
  {
    name: "what OpenRouter could turn to by itself",
    play(notes) {
      const group = { ...one, others: [two, three] };
      notes.arranged([group], new Map(), undefined);
      notes.asked(group, startedAt);
      notes.served(group);
    },
    trail: { candidates: [{ target: "a:one", others: ["b:two", "a:three"] }], calls: [{ target: "a:one", at: 0 }] },
  },
];

describe("a trail holds", () => {
  test.each(cases.map((row) => [row.name, row] as const))("%s", (_name, { steps, play, trail }) => {
    const notes = new TrailNotes([one, two, three], startedAt, steps);
    play(notes);
    const text = notes.render();
    expect(text === null ? null : JSON.parse(text)).toEqual(trail);
    expect(text ?? "").not.toContain("secret");
  });
});

test("a trail is at most 4 KB long, and says how much it leaves out", () => {
  const sizes = [
    [3, 10],
    [20, 500],
    [60, 2000],
    [500, 20],
    [500, 3000],
  ] as const;
  for (const [count, length] of sizes) {
    // Three bytes a character, as the longest of ordinary text.
    const targets = Array.from({ length: count }, (_, at) => target(`p${at}:${"語".repeat(length)}`));
    const skips = new Map(targets.map((skipped) => [skipped, { ...resting, reason: "理".repeat(length) }]));
    const notes = new TrailNotes(targets, startedAt, [{ rule: "規".repeat(length), outcome: "由".repeat(length) }]);
    notes.arranged(targets, skips, undefined);
    for (const asked of targets) notes.asked(asked, startedAt);
    const text = notes.render() ?? "";
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(maxTrailBytes);
    const { candidates = [], calls = [], more = 0 } = parseTrail(text) ?? {};
    expect(candidates.length + calls.length + more).toBe(2 * count);
  }
});

test.each([null, undefined, "", "{", "[]", "3"])("parseTrail(%p) is no trail", (text) => {
  expect(parseTrail(text)).toBeUndefined();
});
