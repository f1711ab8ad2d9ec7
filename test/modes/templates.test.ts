import { describe, expect, test } from "bun:test";
import type { ModelFacts } from "../../providers/model-facts.ts";
import { parseConfig } from "../../src/config/schema.ts";
import type { RankedModel } from "../../src/models/rank.ts";
import { standingOf } from "../../src/modes/families.ts";
import { templateNames } from "../../src/modes/names.ts";
import { buildTemplate } from "../../src/modes/templates.ts";
import type { Json } from "../../src/protocols/chat.ts";

/** As the ranking hands it over. */
function model(reference: string, facts: ModelFacts, benchmark?: number): RankedModel {
  const [provider = "", name = ""] = /^([^:]+):(.+)$/.exec(reference)?.slice(1) ?? [];
  const all = { context: 200_000, tools: true, ...facts };
  return { provider, model: name, facts: all, score: benchmark ?? 0, benchmark, measured: undefined };
}

const reference = (provider: string, name: string) => (provider === "openrouter" ? name : `${provider}:${name}`);
const build = (name: (typeof templateNames)[number], ranked: RankedModel[], defaultProvider = "openrouter") =>
  buildTemplate(name, { ranked, reference, defaultProvider });

const paid = (input: number, output: number, more: ModelFacts = {}): ModelFacts => ({
  usd: [input, output, 0, 0],
  ...more,
});

const known = [
  model("openrouter:moonshotai/kimi-k2.6:free", { isFree: true, image: true }),
  model("openrouter:openai/gpt-oss-120b:free", { isFree: true }),
  model("openrouter:openai/gpt-oss-20b:free", { isFree: true }),
  model("openrouter:vendor/odd:free", { isFree: true }),
  model("openrouter:vendor/toolless:free", { isFree: true, tools: false }),
  model("openrouter:vendor/narrow:free", { isFree: true, context: 8192 }),
  model("openrouter:openai/gpt-6-sol", paid(2, 10, { reasoning: true, image: true })),
  model("openrouter:openai/gpt-6.1-sol", paid(2, 10, { reasoning: true, image: true })),
  model("openrouter:anthropic/claude-opus-5.5", paid(4, 20, { reasoning: true })),
  model("openrouter:anthropic/claude-sonnet-5.5", paid(2, 10, { reasoning: true })),
  model("openrouter:anthropic/claude-haiku-5.5", paid(0.1, 0.5)),
  model("openrouter:openai/gpt-6-luna", paid(0.1, 0.5, { reasoning: true })),
  model("openrouter:openai/gpt-6-pro", paid(60, 300, { reasoning: true })),
  model("ollama:qwen3:32b", { isFree: true, list: "local" }),
];

describe("buildTemplate() without benchmarks goes by the vendors' grades", () => {
  const cases: [name: (typeof templateNames)[number], setup: Json][] = [
    [
      "free",
      {
        budgets: { allow_paid: false },
        model_tiers: {
          BIG: {
            default: "moonshotai/kimi-k2.6:free",
            cascade: ["openai/gpt-oss-120b:free", "openai/gpt-oss-20b:free"],
          },
          MIDDLE: {
            default: "openai/gpt-oss-120b:free",
            cascade: ["moonshotai/kimi-k2.6:free", "openai/gpt-oss-20b:free"],
          },
          SMALL: {
            default: "openai/gpt-oss-20b:free",
            cascade: ["openai/gpt-oss-120b:free", "moonshotai/kimi-k2.6:free"],
          },
        },
      },
    ],
    [
      "premium",
      {
        model_tiers: {
          BIG: {
            default: "anthropic/claude-opus-5.5",
            cascade: ["openai/gpt-6.1-sol", "anthropic/claude-sonnet-5.5", "anthropic/claude-haiku-5.5"],
          },
          MIDDLE: {
            default: "anthropic/claude-sonnet-5.5",
            cascade: ["anthropic/claude-opus-5.5", "openai/gpt-6.1-sol", "anthropic/claude-haiku-5.5"],
          },
          SMALL: {
            default: "anthropic/claude-haiku-5.5",
            cascade: ["openai/gpt-6-luna", "anthropic/claude-sonnet-5.5", "anthropic/claude-opus-5.5"],
          },
        },
      },
    ],
    [
      "budget",
      {
        model_tiers: {
          BIG: { default: "anthropic/claude-haiku-5.5", cascade: ["openai/gpt-6-luna"] },
          MIDDLE: { default: "anthropic/claude-haiku-5.5", cascade: ["openai/gpt-6-luna"] },
          SMALL: { default: "anthropic/claude-haiku-5.5", cascade: ["openai/gpt-6-luna"] },
        },
      },
    ],
    [
      "reasoning",
      {
        routes: { think: "anthropic/claude-opus-5.5" },
        model_tiers: {
          BIG: {
            default: "anthropic/claude-opus-5.5",
            cascade: ["openai/gpt-6.1-sol", "anthropic/claude-sonnet-5.5", "openai/gpt-6-luna"],
            reasoning: { effort: "high" },
          },
          MIDDLE: {
            default: "anthropic/claude-sonnet-5.5",
            cascade: ["anthropic/claude-opus-5.5", "openai/gpt-6.1-sol", "openai/gpt-6-luna"],
          },
          SMALL: {
            default: "openai/gpt-6-luna",
            cascade: ["anthropic/claude-sonnet-5.5", "anthropic/claude-opus-5.5", "openai/gpt-6.1-sol"],
          },
        },
      },
    ],
    [
      "vision",
      {
        routes: { image: "openai/gpt-6.1-sol" },
        model_tiers: {
          BIG: { default: "openai/gpt-6.1-sol", cascade: ["moonshotai/kimi-k2.6:free"] },
          MIDDLE: { default: "openai/gpt-6.1-sol", cascade: ["moonshotai/kimi-k2.6:free"] },
          SMALL: { default: "openai/gpt-6.1-sol", cascade: ["moonshotai/kimi-k2.6:free"] },
        },
      },
    ],
    [
      "local",
      {
        budgets: { allow_paid: false },
        model_tiers: {
          BIG: { default: "ollama:qwen3:32b", cascade: [] },
          MIDDLE: { default: "ollama:qwen3:32b", cascade: [] },
          SMALL: { default: "ollama:qwen3:32b", cascade: [] },
        },
      },
    ],
  ];
  test.each(cases)("%s", (name, setup) => {
    const built = build(name, known);
    expect(built as Json).toEqual(setup);
    expect(() => parseConfig(built as Json, "here")).not.toThrow();
  });

  test("names the default provider where it is another", () => {
    expect(build("local", known, "ollama")).toMatchObject({ default_provider: "ollama" });
  });

  test("takes what it does not know as it comes, and says why where there is nothing", () => {
    const odd = [
      model("openrouter:vendor/one:free", { isFree: true }),
      model("openrouter:vendor/two-8b:free", { isFree: true }),
    ];
    expect(build("free", odd)).toMatchObject({
      model_tiers: { BIG: { default: "vendor/one:free" }, SMALL: { default: "vendor/two-8b:free" } },
    });
    for (const name of templateNames) expect(build(name, [])).toBeString();
  });
});

test("buildTemplate() with benchmarks goes by them", () => {
  const ranked = [
    model("openrouter:a/best-400b", paid(4, 20), 70),
    model("openrouter:a/next-400b", paid(4, 20), 60),
    model("openrouter:b/cheap-100b", paid(1, 4), 50),
    model("openrouter:b/tiny-1b", paid(0.1, 0.1), 40),
    model("openrouter:a/light-30b", paid(0.2, 0.4), 30),
    model("openrouter:b/light-20b", paid(0.2, 0.4), 35),
  ];
  expect(build("premium", ranked)).toEqual({
    model_tiers: {
      BIG: { default: "a/best-400b", cascade: ["a/next-400b", "b/cheap-100b", "b/tiny-1b"] },
      MIDDLE: { default: "b/cheap-100b", cascade: ["a/best-400b", "a/next-400b", "b/tiny-1b"] },
      SMALL: { default: "a/light-30b", cascade: ["a/best-400b", "a/next-400b", "b/cheap-100b"] },
    },
  });
});

test("standingOf() knows a model by whatever name a provider gives it", () => {
  const names: [name: string, grade: string | undefined, version?: number][] = [
    ["anthropic/claude-opus-4.8", "best", 4.8],
    ["claude-opus-4-8", "best", 4.8],
    ["claude-haiku-4-5-20251001", "fast", 4.5],
    ["openai/gpt-6.1-sol", "best", 6.1],
    ["gpt-5-mini", "fast", 5],
    ["moonshotai/kimi-k2.6:free", "best", 2.6],
    ["nvidia/nemotron-3-super-120b-a12b:free", "everyday", 3],
    ["nvidia/nemotron-3-nano-omni-30b-a3b-reasoning:free", "fast", 3],
    ["deepseek/deepseek-v4-flash:free", "fast", 4],
    ["openai/gpt-oss-120b:free", "everyday", 120],
    ["openai/gpt-5-image", undefined],
    ["text-embedding-3-large", undefined],
  ];
  for (const [name, grade, version] of names) {
    const standing = standingOf(name);
    expect([name, standing?.grade, standing?.version]).toEqual([name, grade as never, version as never]);
  }
});
