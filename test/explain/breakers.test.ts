import { describe, expect, test } from "bun:test";
import { type KnownCircuit, ordinal, renderBreakers, reportBreakers } from "../../src/explain/breakers.ts";
import { matchCircuits, nameCircuit, parseCircuitId } from "../../src/explain/circuit-names.ts";
import { renderClock, renderIn, renderSpan } from "../../src/explain/clock.ts";
import { plainPaint } from "../../src/explain/table.ts";
import { closed } from "../../src/gateway/circuit.ts";

const now = Date.parse("2026-11-20T10:42:07Z");
const midnight = Date.parse("2026-11-21T00:00:00Z");

const known: KnownCircuit[] = [
  { id: "model:chat:counts", circuit: { ...closed, weight: 1.5 } },
  {
    id: "model:other:vendor/m:free",
    circuit: {
      ...closed,
      weight: 4,
      openings: 2,
      openedAt: now - 60_000,
      until: now + 59_500,
      kind: "timeout",
      reason: "no answer within 60 s",
    },
  },
  {
    id: "free:openrouter",
    circuit: {
      ...closed,
      weight: 1,
      openings: 1,
      openedAt: now - 3_600_000,
      until: midnight,
      kind: "rate-limit",
      reason: "Rate limit exceeded: free-models-per-day",
      isTold: true,
    },
  },
  {
    id: "key:openai#2",
    circuit: { ...closed, weight: 1, openings: 1, openedAt: now - 70_000, until: now - 10_000, kind: "auth" },
  },
  {
    id: "account:openrouter",
    circuit: {
      ...closed,
      openings: 1,
      openedAt: now - 400_000,
      until: now - 100_000,
      kind: "billing",
      reason: "no credits",
      probingSince: now - 50,
    },
  },
];

test("clutch breakers shows what is shut the longest first, then what may be tried, then what counts", () => {
  const told = renderBreakers(reportBreakers(known, now, 3), now, plainPaint, "from the ledger, since it is so");
  expect(told).toBe(
    `
what                           state      since         back                                    why
the free models of openrouter  open       09:42 UTC     00:00 UTC, in 13 h (the upstream says)  rate-limit: Rate limit exceeded: free-models-per-day
other:vendor/m:free            open       10:41:07 UTC  10:43:06 UTC, in 60 s (a guess)         timeout (the 2nd time in a row): no answer within 60 s
key #2 of openai               half-open  10:40:57 UTC  the next request tries it               auth
the account at openrouter      half-open  10:35:27 UTC  being tried now                         billing: no credits
chat:counts                    counting   -             -                                       1.5 of 3 failures

clutch breakers reset NAME has it tried again at once, clutch breakers reset all of them
from the ledger, since it is so`.trimStart(),
  );
  expect(renderBreakers([], now, plainPaint)).toBe("nothing is out of order");
});

test("as JSON", () => {
  const [free, , key, , counting] = reportBreakers(known, now, null);
  expect([free, key, counting]).toEqual([
    {
      id: "free:openrouter",
      what: "the free models of openrouter",
      scope: "pool",
      state: "open",
      kind: "rate-limit",
      reason: "Rate limit exceeded: free-models-per-day",
      since: "2026-11-20T09:42:07.000Z",
      back_at: "2026-11-21T00:00:00.000Z",
      told_by: "upstream",
      probing: false,
      failures: 1,
      failures_limit: null,
      openings: 1,
    },
    {
      id: "key:openai#2",
      what: "key #2 of openai",
      scope: "key",
      state: "half-open",
      kind: "auth",
      reason: null,
      since: "2026-11-20T10:40:57.000Z",
      back_at: "2026-11-20T10:41:57.000Z",
      told_by: "guess",
      probing: false,
      failures: 1,
      failures_limit: null,
      openings: 1,
    },
    {
      id: "model:chat:counts",
      what: "chat:counts",
      scope: "model",
      state: "counting",
      kind: null,
      reason: null,
      since: null,
      back_at: null,
      told_by: null,
      probing: false,
      failures: 1.5,
      failures_limit: null,
      openings: 0,
    },
  ]);
});

test.each([
  ["model:openrouter:vendor/m:free", { kind: "model", provider: "openrouter", name: "vendor/m:free" }],
  ["model:ollama:qwen2.5:72b", { kind: "model", provider: "ollama", name: "qwen2.5:72b" }],
  ["model:openai:gpt-5#2", { kind: "model", provider: "openai", name: "gpt-5", key: "#2" }],
  ["key:openai#1", { kind: "key", provider: "openai", key: "#1" }],
  ["account:mine", { kind: "account", provider: "mine" }],
  ["provider:mine", { kind: "provider", provider: "mine" }],
  ["free:openrouter", { kind: "pool", provider: "openrouter", name: "free" }],
  ["cloud:ollama", { kind: "pool", provider: "ollama", name: "cloud" }],
  ["", undefined],
  ["no colon", undefined],
  ["Budget:daily", undefined],
] as const)("parseCircuitId(%p)", (id, parsed) => {
  expect(parseCircuitId(id)).toEqual(parsed);
});

test("nameCircuit() names models by their reference, and leaves alone what is no id", () => {
  expect(nameCircuit("model:openai:gpt-5#2")).toBe("openai:gpt-5 with key #2");
  expect(nameCircuit("cloud:ollama")).toBe("the cloud models of ollama");
  expect(nameCircuit("Budget:daily")).toBe("Budget:daily");
});

describe("matchCircuits()", () => {
  const ids = [
    "provider:openrouter",
    "account:openrouter",
    "free:openrouter",
    "key:openrouter#1",
    "model:openrouter:vendor/m:free",
    "model:other:vendor/m:free",
    "model:other:n",
    "model:other:n#2",
  ];
  const cases: [wanted: string, matched: string[]][] = [
    ["all", ids],
    ["", ids],
    ["openrouter", ids.slice(0, 5)],
    ["free:openrouter", ["free:openrouter"]],
    ["key:openrouter#1", ["key:openrouter#1"]],
    ["vendor/m:free", ["model:openrouter:vendor/m:free", "model:other:vendor/m:free"]],
    ["openrouter:vendor/m:free", ["model:openrouter:vendor/m:free"]],
    ["vendor/m", []],
    ["n", ["model:other:n", "model:other:n#2"]],
    ["other:n", ["model:other:n", "model:other:n#2"]],
    ["model:other:n#2", ["model:other:n#2"]],
    ["#1", []],
  ];
  test.each(cases)("%p", (wanted, matched) => {
    expect(ids.filter(matchCircuits(wanted))).toEqual(matched);
  });
});

test.each([
  [0, "0 ms"],
  [999, "999 ms"],
  [1000, "1.0 s"],
  [9_949, "9.9 s"],
  [10_000, "10 s"],
  [119_000, "119 s"],
  [120_000, "2 min"],
  [7_199_000, "120 min"],
  [7_200_000, "2 h"],
  [86_400_000 * 3, "3 days"],
])("renderSpan(%p) is %p", (ms, told) => {
  expect(renderSpan(ms)).toBe(told);
});

test("clocks have seconds when it is soon, and a date when it is not today's matter", () => {
  expect(renderClock(now + 59_000, now)).toBe("10:43:06 UTC");
  expect(renderClock(midnight, now)).toBe("00:00 UTC");
  expect(renderClock(midnight + 86_400_000, now)).toBe("2026-11-22 00:00 UTC");
  expect([renderIn(now, now), renderIn(now + 1500, now)]).toEqual(["now", "in 1.5 s"]);
});

test("ordinals", () => {
  expect([1, 2, 3, 4, 11, 12, 13, 21, 112].map(ordinal)).toEqual([
    "1st",
    "2nd",
    "3rd",
    "4th",
    "11th",
    "12th",
    "13th",
    "21st",
    "112th",
  ]);
});
