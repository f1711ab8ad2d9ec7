import { describe, expect, test } from "bun:test";
import type { ModelFacts } from "../../providers/model-facts.ts";
import { type Measured, rankModels } from "../../src/models/rank.ts";

const nowMs = Date.parse("2026-11-20T12:00:00Z");
const plain: ModelFacts = { context: 131_072, output: 32_768, tools: true, usd: [1, 4, 0, 0] };
const scores = (index: number) => ({ scores: { coding: index + 5, agentic: index - 5 } });

function order(models: Record<string, Partial<ModelFacts>>, measured: Record<string, Measured> = {}): string[] {
  const rows = Object.fromEntries(Object.entries(models).map(([id, facts]) => [id, { ...plain, ...facts }]));
  const known = new Map(Object.entries(measured).map(([id, counts]) => [`p:${id}`, counts]));
  return rankModels({ p: rows }, () => true, known, nowMs).map(({ model }) => model);
}

describe("rankModels() puts first", () => {
  const cases: [what: string, models: Record<string, Partial<ModelFacts>>, measured?: Record<string, Measured>][] = [
    ["the better benchmark", { a: scores(50), b: scores(40) }],
    ["a benchmark over promises, unless it is a poor one", { a: scores(40), b: { context: 1e6 }, c: scores(5) }],
    ["intelligence where nothing nearer is known", { a: { scores: { intelligence: 60 } }, b: scores(50) }],
    ["tools over none", { a: {}, b: { tools: false } }],
    ["reasoning over none", { a: { reasoning: true }, b: {} }],
    ["the larger window", { a: { context: 262_144 }, b: {} }],
    ["the larger output", { a: { output: 65_536 }, b: {} }],
    ["the newer", { a: { created: "2026-11-01" }, b: { created: "2026-01-01" }, c: { created: "2024-01-01" } }],
    [
      "the cheaper of equals, a known price before none",
      { a: { usd: [0, 0, 0, 0] }, b: {}, c: { usd: undefined as never } },
    ],
    ["by name at last", { a: {}, b: {} }],
    ["what answers here", { a: scores(40), b: scores(50) }, { b: { served: 1, failed: 20 } }],
    [
      "what answers here, of equals",
      { a: {}, b: {}, c: {} },
      { a: { served: 50, failed: 0 }, c: { served: 30, failed: 20 } },
    ],
    ["the better one still, after a single failure", { a: scores(50), b: scores(44) }, { a: { served: 0, failed: 1 } }],
  ];
  test.each(cases.map(([what, models, measured = {}]) => [what, models, measured] as const))(
    "%s",
    (_what, models, measured) => {
      const names = Object.keys(models);
      expect(order(Object.fromEntries(Object.entries(models).reverse()), measured)).toEqual(names);
    },
  );

  test("no variant that answers in hours, no alias, nothing that has expired", () => {
    const models = {
      a: {},
      "a:batch": {},
      "~v/latest": {},
      gone: { expires: "2026-11-19" },
      z: { expires: "2026-11-20" },
    };
    expect(order(models)).toEqual(["a", "z"]);
  });

  test("the same model at another provider by the same benchmark, spelled as it may be", () => {
    const catalogue = {
      openrouter: { "anthropic/claude-opus-4.8": { ...plain, ...scores(60) }, "v/other": plain },
      anthropic: { "claude-opus-4-8-20260301": plain },
      groq: { "v/other:free": plain },
      hidden: { x: { ...plain, ...scores(99) } },
    };
    const ranked = rankModels(catalogue, (provider) => provider !== "hidden", new Map(), nowMs);
    expect(ranked.map(({ provider, benchmark }) => [provider, benchmark])).toEqual([
      ["anthropic", 60],
      ["openrouter", 60],
      ["groq", undefined],
      ["openrouter", undefined],
    ]);
  });
});
