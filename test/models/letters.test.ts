import { describe, expect, test } from "bun:test";
import type { ModelFacts } from "../../providers/model-facts.ts";
import type { ListAge } from "../../src/models/catalogue.ts";
import { type LetterInput, resolveLetters, shortReference } from "../../src/models/letters.ts";
import { rankModels } from "../../src/models/rank.ts";
import { parseScan } from "../../src/models/scan.ts";
import { scanCandidate, scanSnapshot } from "./samples.ts";

const nowMs = Date.parse("2026-11-20T12:00:00Z");
const reference = shortReference((id) => ["openrouter", "groq", "anthropic", "ollama"].includes(id), "openrouter");

const facts = (index: number | undefined, more: Partial<ModelFacts> = {}): ModelFacts => ({
  context: 200_000,
  output: 32_000,
  tools: true,
  usd: [1, 4, 0, 0],
  ...(index !== undefined && { scores: { coding: index } }),
  ...more,
});
const free: Partial<ModelFacts> = { usd: [0, 0, 0, 0], isFree: true };
const catalogue = {
  openrouter: {
    "v/unpriced": facts(99, { usd: undefined as never }),
    "v/talker": facts(90, { tools: false }),
    "v/best": facts(60, { usd: [3, 15, 0, 0] }),
    "v/plan": facts(50, { usd: [0, 0, 0, 0], isPlan: true }),
    "v/free:free": facts(30, free),
    "v/quiet:free": facts(35, { ...free, tools: false }),
    "v/other:free": facts(20, free),
  },
};
const lists: Record<string, ListAge> = {
  openrouter: {
    list: "openrouter",
    name: "OpenRouter's list",
    checkedAt: Date.parse("2026-11-20T10:23:00Z"),
    models: 7,
  },
};

function resolve(more: Partial<LetterInput> = {}, models: typeof catalogue | object = catalogue) {
  return resolveLetters({
    ranked: rankModels(models as typeof catalogue, () => true, new Map(), nowMs),
    lists,
    scan: undefined,
    hasRemote: true,
    canUse: (provider) => provider === "openrouter",
    allowsPaid: true,
    reference,
    before: {},
    ...more,
  });
}

function scan(candidates: object[], more: object = {}): LetterInput["scan"] {
  const reading = parseScan(JSON.stringify(scanSnapshot(candidates, more)), "", nowMs);
  if (reading.kind !== "fresh") throw new Error(reading.kind);
  return reading.snapshot;
}

const ofList = "OpenRouter's list, 2026-11-20 10:23 UTC";
const bestPaid = { model: "v/best", reason: `best of ${ofList}: $3 in and $15 out per million tokens` };
const bestFree = { model: "v/free:free", reason: `best free one of ${ofList}` };

describe("resolveLetters()", () => {
  test("takes the best with tools, benchmarks and a known price, and the best free one", () => {
    expect(resolve()).toEqual({ m: bestPaid, f: bestFree });
  });

  test("nothing that costs when that is out of the question", () => {
    expect(resolve({ allowsPaid: false }).m).toEqual({ model: "v/plan", reason: `best of ${ofList}` });
  });

  test("m stays open without benchmarks, f without anything free", () => {
    expect(resolve({}, { openrouter: { "v/a": facts(undefined), "v/b:free": facts(undefined, free) } })).toEqual({
      f: { model: "v/b:free", reason: `best free one of ${ofList}` },
    });
    expect(resolve({}, { openrouter: { "v/a": facts(10) } }).f).toBeUndefined();
    expect(resolve({}, {})).toEqual({});
  });

  describe("what runs on this machine", () => {
    const here: Record<string, ModelFacts> = {
      "wise:70b": { isFree: true, list: "local", scores: { coding: 95 } },
      "qwen3:8b": { tools: true, isFree: true, list: "local", scores: { coding: 70 } },
      "qwen3:480b-cloud": { tools: true, isPlan: true, list: "local", scores: { coding: 99 } },
    };
    const both = { ...catalogue, ollama: here };
    test("is no rival of what can be used elsewhere", () => {
      expect(resolve({}, both)).toEqual(resolve());
    });
    test("is the free one where nothing free can be used elsewhere", () => {
      const paid = { openrouter: { "v/best": catalogue.openrouter["v/best"] }, ollama: here };
      const { m, f } = resolve({}, paid);
      expect(m?.model).toBe("v/best");
      expect(f).toEqual({
        model: "ollama:qwen3:8b",
        reason: "no free model can be used elsewhere: the best that Ollama has on this machine",
      });
    });
    test("is both without any key, its best one with tools", () => {
      const own = {
        model: "ollama:qwen3:8b",
        reason: "no key is configured: the best that Ollama has on this machine",
      };
      expect(resolve({ hasRemote: false }, both)).toEqual({ m: own, f: own });
    });
    test("is neither without tools: the lists' choice stays", () => {
      const toolless = { ...catalogue, ollama: { "wise:70b": here["wise:70b"] } };
      expect(resolve({ hasRemote: false }, toolless)).toEqual(resolve());
    });
  });

  test("model-scan's choice wins where it can be used", () => {
    const candidates = [
      scanCandidate("claude-opus", { provider: "anthropic" }),
      scanCandidate("v/mute", { has_tools: false }),
      scanCandidate("v/second", { price_blended: null }),
      scanCandidate("v/zero", { price_blended: 0 }),
    ];
    const m = { model: "v/second", reason: "model-scan's best, 2026-11-20 10:00 UTC" };
    const f = { model: "v/zero", reason: "model-scan's best free one, 2026-11-20 10:00 UTC" };
    expect(resolve({ scan: scan(candidates) })).toEqual({ m, f });
    expect(resolve({ scan: scan(candidates), allowsPaid: false }).m?.model).toBe("v/zero");
    expect(resolve({ scan: scan(candidates), canUse: () => true }).m?.model).toBe("anthropic:claude-opus");
  });

  test("the ranking fills in what model-scan has no answer to, without what it blocks", () => {
    expect(resolve({ scan: scan([scanCandidate("v/dear")]) })).toMatchObject({ m: { model: "v/dear" }, f: bestFree });
    expect(resolve({ scan: scan([], { blocklist: ["v/best", "v/free*"] }) })).toMatchObject({
      m: { model: "v/plan" },
      f: { model: "v/other:free" },
    });
  });

  test("remembers what a letter stood for, newest first, at most five, without today's", () => {
    const before = {
      f: { model: "v/5", reason: "", former: ["v/4", "v/free:free", "v/3", "v/2", "v/1", "v/0"] },
      m: bestPaid,
    };
    expect(resolve({ before })).toEqual({
      m: bestPaid,
      f: { ...bestFree, former: ["v/5", "v/4", "v/3", "v/2", "v/1"] },
    });
  });
});

test.each([
  ["openrouter", "v/m:free", "v/m:free"],
  ["openrouter", "bare", "openrouter:bare"],
  ["openrouter", "ollama/m", "openrouter:ollama/m"],
  ["groq", "v/m", "groq:v/m"],
])("shortReference() of %s %s is %s", (provider, model, expected) => {
  expect(reference(provider, model)).toBe(expected);
});
