import { describe, expect, test } from "bun:test";
import type { ModelFacts } from "../../providers/model-facts.ts";
import { costOf, findPrice, meanInputPrice, type Price, type PriceOverride } from "../../src/models/prices.ts";

const at = Date.parse("2026-11-20T10:00:00Z");

const rows = (models: Record<string, Partial<ModelFacts>>) => models as Record<string, ModelFacts>;

const book = {
  catalogue: {
    openrouter: rows({
      "a/paid": { usd: [1, 4, 0.1, 1.25], list: "openrouter" },
      "a/free:free": { usd: [0, 0, 0, 0], isFree: true, list: "openrouter" },
      "a/promo": { usd: [0, 0, 0, 0], list: "openrouter" },
    }),
    anthropic: rows({ "claude-x": { usd: [3, 15, 0.3, 3.75], list: "models.dev" } }),
    openai: rows({ "gpt-old": { usd: [30, 60, 0, 0], list: "models.dev" }, "gpt-silent": { list: "models.dev" } }),
    nvidia: rows({ nemo: { usd: [0, 0, 0, 0], isPlan: true, list: "models.dev" } }),
    ollama: rows({ "qwen:8b": { isFree: true, list: "local" } }),
  },
  lists: Object.fromEntries(
    ["openrouter", "anthropic", "openai", "nvidia"].map((id) => [
      id,
      {
        list: id === "openrouter" ? ("openrouter" as const) : ("models.dev" as const),
        name: "",
        checkedAt: at,
        models: 1,
      },
    ]),
  ),
};

const overrides: Record<string, PriceOverride> = {
  "mybox:m": { usd_per_million: { input: 2, output: 8, cache_read: 0.5 } },
  "mybox:alias": { same_as: "anthropic:claude-x" },
  "mybox:gift": { pays: "free" },
  "mybox:seat": { pays: "plan" },
  "mybox:circle": { same_as: "mybox:elcric" },
  "mybox:elcric": { same_as: "mybox:circle" },
  "openai:gpt-old": { usd_per_million: { input: 1, output: 2 } },
};

const find = (reference: string, own: typeof overrides = {}) =>
  findPrice(reference, { book, overrides: own, isLocal: (id) => id === "ollama" || id === "garage" });

const list = (source: string, input: number, output: number, cacheRead: number | null, cacheWrite: number | null) =>
  ({
    kind: "list",
    source,
    at: source === "config" ? null : at,
    rates: { input, output, cacheRead, cacheWrite },
  }) as const;

describe("findPrice()", () => {
  test.each<[string, Price | undefined]>([
    ["openrouter:a/paid", list("openrouter", 1, 4, 0.1, 1.25)],
    ["openrouter:a/free:free", { kind: "free", source: "openrouter", at }],
    ["openrouter:a/promo", list("openrouter", 0, 0, 0, 0)],
    // Only its paid variant is listed, and that is not what was asked.
    ["openrouter:a/paid:free", { kind: "free", source: "openrouter", at }],
    ["openrouter:a/paid:nitro", undefined],
    ["anthropic:claude-x", list("models.dev", 3, 15, 0.3, 3.75)],
    ["anthropic:claude-x-20251101", list("models.dev", 3, 15, 0.3, 3.75)],
    ["anthropic:claude-x-latest", list("models.dev", 3, 15, 0.3, 3.75)],
    ["anthropic:claude-x-mini", undefined],
    // Its list names no price for cached tokens: they are no gift.
    ["openai:gpt-old", list("models.dev", 30, 60, null, null)],
    ["openai:gpt-silent", undefined],
    ["openai:constructor", undefined],
    ["nowhere:gpt-old", undefined],
    ["nvidia:nemo", { kind: "plan", source: "models.dev", at }],
    ["ollama:qwen:8b", { kind: "free", source: "local", at: null }],
    ["ollama:kimi:cloud", { kind: "plan", source: "local", at: null }],
    ["garage:anything", { kind: "free", source: "local", at: null }],
    ["cliproxy:claude-x", { kind: "plan", source: "subscription", at: null }],
  ])("%s", (reference, expected) => {
    expect(find(reference)).toEqual(expected as never);
  });

  test.each<[string, Price | undefined]>([
    ["mybox:m", list("config", 2, 8, 0.5, null)],
    ["mybox:alias", list("models.dev", 3, 15, 0.3, 3.75)],
    ["mybox:gift", { kind: "free", source: "config", at: null }],
    ["mybox:seat", { kind: "plan", source: "config", at: null }],
    ["mybox:circle", undefined],
    ["openai:gpt-old", list("config", 1, 2, null, null)],
    ["mybox:other", undefined],
  ])("%s by the config", (reference, expected) => {
    expect(find(reference, overrides)).toEqual(expected as never);
  });
});

describe("costOf()", () => {
  const usage = { input: 1000, cacheRead: 10_000, cacheWrite: 500, output: 200, reasoning: 150 };

  test("counts each kind of token at its own price, reasoning as the output that it is", () => {
    expect(costOf(list("models.dev", 3, 15, 0.3, 3.75), usage)).toBeCloseTo(
      (1000 * 3 + 10_000 * 0.3 + 500 * 3.75 + 200 * 15) / 1e6,
      12,
    );
  });

  test("takes other input's price for cached tokens that none is named for", () => {
    expect(costOf(list("models.dev", 30, 60, null, null), usage)).toBeCloseTo((11_500 * 30 + 200 * 60) / 1e6, 12);
  });

  test("is nothing where nobody is billed", () => {
    expect([
      costOf({ kind: "free", source: "", at: null }, usage),
      costOf({ kind: "plan", source: "", at }, usage),
    ]).toEqual([0, 0]);
  });

  test("a token of input costs what it costs on average", () => {
    expect(meanInputPrice(list("models.dev", 3, 15, 0.3, 3.75), usage)).toBeCloseTo(
      (1000 * 3 + 10_000 * 0.3 + 500 * 3.75) / 1e6 / 11_500,
      15,
    );
    const nothing = { input: 0, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 };
    expect(meanInputPrice(list("models.dev", 3, 15, 0.3, 3.75), nothing)).toBeUndefined();
  });
});
