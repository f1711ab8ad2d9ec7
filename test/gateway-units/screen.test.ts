import { describe, expect, test } from "bun:test";
import type { ModelFacts } from "../../providers/model-facts.ts";
import type { Target } from "../../src/gateway/router.ts";
import { type Facts, type Needs, type Purse, screen } from "../../src/gateway/screen.ts";
import type { Price } from "../../src/models/prices.ts";
import { referenceOf, targetOf } from "./targets.ts";

const known: Record<string, ModelFacts> = {
  "openrouter:small": { context: 8_000, output: 1_000, tools: true, image: false, usd: [1, 2] },
  "openrouter:large": { context: 1_000_000, output: 1_000, tools: true, image: true, usd: [1, 2] },
  "openrouter:mute": { context: 200_000, output: 1_000, tools: false, image: false, usd: [0, 0] },
  "openrouter:free:free": { context: 100_000, output: 1_000, isFree: true, usd: [0, 0] },
  "openrouter:variant:free": { context: 100_000, output: 1_000, usd: [3, 9] },
  "openrouter:halffree": { context: 100_000, output: 1_000, usd: [0, 9] },
  "openrouter:idle": { maxContext: 40_000, tools: true },
  "openrouter:vague": { isFree: true },
  "openrouter:priceless": { context: 100_000, output: 1_000 },
};

const factsOf: Facts = (target) => known[referenceOf(target)];
const open: Purse = { allowPaid: true };

interface Ask {
  tokens?: number;
  tools?: boolean;
  images?: boolean;
}

const needsOf = ({ tokens = 0, tools = false, images = false }: Ask): Needs => ({
  beyond: (window) => (tokens > window ? tokens : undefined),
  hasTools: () => tools,
  hasImages: () => images,
});

function run(names: readonly string[], ask: Ask, purse = open) {
  const targets = names.map((name) =>
    targetOf(name.includes(":") && !name.endsWith(":free") ? name : `openrouter:${name}`),
  );
  const { asked, skipped } = screen(targets, needsOf(ask), factsOf, purse);
  return {
    asked: asked.map(({ model }) => model),
    skipped: Object.fromEntries(skipped.map(({ target, reason }) => [target.model, reason])),
  };
}

const listed = (input: number, output: number): Price => ({
  kind: "list",
  source: "config",
  at: null,
  rates: { input, output, cacheRead: null, cacheWrite: null },
});

describe("what a request needs", () => {
  test.each<[name: string, ask: Ask, candidates: string[], asked: string[], skipped: Record<string, string>]>([
    ["nothing special", {}, ["small", "mute"], ["small", "mute"], {}],
    ["tools", { tools: true }, ["mute", "small"], ["small"], { mute: "it takes no tools" }],
    ["images", { images: true }, ["small", "large"], ["large"], { small: "it sees no images" }],
    ["a window that is just large enough", { tokens: 8_000 }, ["small", "large"], ["small", "large"], {}],
    [
      "a larger window",
      { tokens: 8_001 },
      ["small", "large"],
      ["large"],
      { small: "about 8001 tokens do not fit into its window of 8000" },
    ],
    [
      "a window that a local model does not tell: what it was trained for is the most",
      { tokens: 40_001 },
      ["idle", "vague"],
      ["vague"],
      { idle: "about 40001 tokens do not fit into its window of 40000" },
    ],
    [
      "the benefit of the doubt",
      { tokens: 9e6, tools: true, images: true },
      ["unheard-of", "small"],
      ["unheard-of"],
      { small: "it sees no images" },
    ],
    [
      "more than any has: the widest is asked after all",
      { tokens: 9e6 },
      ["small", "large", "mute"],
      ["large"],
      {
        small: "about 9000000 tokens do not fit into its window of 8000",
        mute: "about 9000000 tokens do not fit into its window of 200000",
      },
    ],
    ["tools, and only the mute is there", { tools: true }, ["mute"], ["mute"], {}],
    ["nobody to ask", {}, [], [], {}],
  ])("%s", (_name, ask, candidates, asked, skipped) => {
    expect(run(candidates, ask)).toEqual({ asked, skipped });
  });

  test("is found out only when a candidate makes it matter", () => {
    const never = (): never => {
      throw new Error("asked in vain");
    };
    const needs: Needs = { beyond: never, hasTools: never, hasImages: never };
    expect(screen([targetOf("mybox:m")], needs, factsOf, open).asked).toHaveLength(1);
  });
});

describe("money", () => {
  const noPaid: Purse = { allowPaid: false };
  const spent: Purse = { allowPaid: true, spent: { reason: "today's budget is spent", backAt: 5_000 } };

  test.each<[candidate: string, off: string | undefined, spent: string | undefined]>([
    ["small", "it costs money, and budgets.allow_paid is off", "it costs money, and today's budget is spent"],
    ["halffree", "it costs money, and budgets.allow_paid is off", "it costs money, and today's budget is spent"],
    [
      "priceless",
      "its price is unknown, and budgets.allow_paid is off",
      "its price is unknown, and today's budget is spent",
    ],
    [
      "unheard-of",
      "its price is unknown, and budgets.allow_paid is off",
      "its price is unknown, and today's budget is spent",
    ],
    ["mute", undefined, undefined],
    ["free:free", undefined, undefined],
    ["variant:free", undefined, undefined],
    ["mybox:m", undefined, undefined],
  ])("%s: %p, %p", (candidate, off, afterwards) => {
    const reasonOf = (purse: Purse) => Object.values(run([candidate], {}, purse).skipped)[0];
    expect(reasonOf(open)).toBeUndefined();
    expect(reasonOf(noPaid)).toBe(off as string);
    expect(reasonOf(spent)).toBe(afterwards as string);
  });

  test("is no matter for the agent's own login", () => {
    const own = targetOf("anthropic:claude", { credential: "client" });
    expect(screen([own], needsOf({}), factsOf, noPaid).asked).toEqual([own]);
  });

  test("is one where that login is a key whose tokens are billed", () => {
    const [dear, free] = ["openrouter:small", "openrouter:free:free"].map((name) =>
      targetOf(name, { credential: "client" }),
    ) as [Target, Target];
    const { asked, skipped } = screen([dear, free], needsOf({}), factsOf, { ...spent, isLoginBilled: true });
    expect([asked, skipped.map(({ reason }) => reason)]).toEqual([
      [free],
      ["it costs money, and today's budget is spent"],
    ]);
  });

  test.each<[candidate: string, price: Price, reason: string | undefined]>([
    ["small", { kind: "free", source: "config", at: null }, undefined],
    ["unheard-of", { kind: "plan", source: "config", at: null }, undefined],
    ["unheard-of", listed(0, 0), undefined],
    ["unheard-of", listed(0, 1), "it costs money, and budgets.allow_paid is off"],
    ["mybox:m", listed(1, 0), "it costs money, and budgets.allow_paid is off"],
  ])("goes by the config's price before any list: %s, %p", (candidate, price, reason) => {
    const { skipped } = run([candidate], {}, { ...noPaid, configured: () => price });
    expect(Object.values(skipped)[0]).toBe(reason as string);
  });

  test("is never spent to have somebody to ask, and tells when it may be again", () => {
    const { asked, skipped } = screen([targetOf("openrouter:small")], needsOf({}), factsOf, spent);
    expect(asked).toEqual([]);
    expect(skipped).toMatchObject([{ kind: "billing", backAt: 5_000 }]);
  });

  test("does not choose the widest when that one costs", () => {
    expect(run(["large", "mute"], { tokens: 9e6 }, noPaid).asked).toEqual(["mute"]);
  });
});
