import { describe, expect, test } from "bun:test";
import type { ModelFacts } from "../../providers/model-facts.ts";
import { parseConfig } from "../../src/config/schema.ts";
import type { ListAge } from "../../src/models/catalogue.ts";
import { type DriftInput, findDrift, type PinMemory, renderDrift } from "../../src/models/drift.ts";
import { shortReference } from "../../src/models/letters.ts";
import { type Pin, pinnedModels } from "../../src/models/pins.ts";
import { rankModels } from "../../src/models/rank.ts";
import type { Json } from "../../src/protocols/chat.ts";

const day = 86_400_000;
const nowMs = Date.parse("2026-11-20T12:00:00Z");
const free: Partial<ModelFacts> = { usd: [0, 0, 0, 0], isFree: true };
const facts = (more: Partial<ModelFacts> = {}): ModelFacts => ({
  context: 200_000,
  output: 32_000,
  tools: true,
  usd: [1, 4, 0, 0],
  ...more,
});
const others = {
  "v/new:free": facts(free),
  "v/cheap": facts({ usd: [1, 5, 0, 0], scores: { coding: 50 } }),
  "v/dear": facts({ usd: [10, 50, 0, 0], scores: { coding: 90 } }),
};

interface Round {
  models: Record<string, ModelFacts>;
  list?: Partial<ListAge>;
  atMs?: number;
}

function look(pins: readonly Pin[], memory: PinMemory, { models, list, atMs = nowMs }: Round) {
  const catalogue = { openrouter: { ...others, ...models } };
  const input: DriftInput = {
    pins,
    memory,
    catalogue,
    lists: { openrouter: { list: "openrouter", name: "OpenRouter's list", checkedAt: atMs, models: 3, ...list } },
    ranked: rankModels(catalogue, () => true, new Map(), atMs),
    reference: shortReference((id) => id === "openrouter", "openrouter"),
    nowMs: atMs,
  };
  return findDrift(input);
}

const pin = (model: string, place = "fallbacks"): Pin => ({
  reference: model,
  provider: "openrouter",
  model,
  places: [place],
});

/** What is told of `v/a` when the first list becomes the second. */
function change(
  name: string,
  before: ModelFacts | undefined,
  after: ModelFacts | undefined,
  more: Partial<Round> = {},
  place?: string,
) {
  const models = (row: ModelFacts | undefined) => (row === undefined ? {} : { [name]: row });
  const pins = [pin(name, place)];
  const first = look(pins, {}, { models: models(before) });
  return look(pins, first.memory, { ...more, models: { ...models(after), ...more.models } }).drifts.map(renderDrift);
}

describe("findDrift() tells of a model that", () => {
  const at = { atMs: nowMs + day };
  const cases: [what: string, told: string[], expected: string[]][] = [
    ["is the same: nothing", change("v/a", facts(), facts(), at), []],
    [
      "has gone",
      change("v/a", facts(), undefined, at),
      ["v/a (fallbacks) is not in OpenRouter's list any more; v/cheap could take its place"],
    ],
    [
      "was free and has gone",
      change("v/a:free", facts(free), undefined, at),
      ["v/a:free (fallbacks) is not in OpenRouter's list any more; v/new:free could take its place"],
    ],
    [
      "has lost its free variant",
      change("v/a:free", facts(free), undefined, { ...at, models: { "v/a": facts() } }),
      [
        "v/a:free (fallbacks) has lost its free variant: v/a costs $1 in and $4 out per million tokens; v/new:free could take its place",
      ],
    ],
    [
      "was at price 0 and costs now",
      change("v/a", facts({ usd: [0, 0, 0, 0] }), facts(), at),
      [
        "v/a (fallbacks) is no longer free: it costs $1 in and $4 out per million tokens; v/new:free could take its place",
      ],
    ],
    ["costs more than it did: nothing", change("v/a", facts(), facts({ usd: [2, 8, 0, 0] }), at), []],
    [
      "has lost tools",
      change("v/a", facts(), facts({ tools: false }), at),
      ["v/a (fallbacks) takes no tools any more; v/cheap could take its place"],
    ],
    ["never had tools: nothing", change("v/a", facts({ tools: false }), facts({ tools: false }), at), []],
    [
      "should have tools",
      change("v/a", facts({ tools: false }), facts({ tools: false }), at, "toolcall_models"),
      ["v/a (toolcall_models) takes no tools any more; v/cheap could take its place"],
    ],
    [
      "has another window",
      change("v/a", facts(), facts({ context: 100_000 }), at),
      ["v/a (fallbacks) has a window of 100000 tokens instead of 200000; v/cheap could take its place"],
    ],
    [
      "is to go soon",
      change("v/a", facts(), facts({ expires: "2026-12-01" }), at),
      ["v/a (fallbacks) is to go on 2026-12-01; v/cheap could take its place"],
    ],
    ["is to go one day: nothing", change("v/a", facts(), facts({ expires: "2027-03-01" }), at), []],
    [
      "was never in OpenRouter's list",
      change("v/a", undefined, undefined, at),
      ["v/a (fallbacks) is not in OpenRouter's list any more; v/dear could take its place"],
    ],
    [
      "has gone from models.dev, where it was",
      change("v/a", facts(), undefined, { ...at, list: { list: "models.dev", name: "models.dev" } }),
      ["v/a (fallbacks) is not in models.dev any more; v/cheap could take its place"],
    ],
    [
      "has gone from an old list: nothing",
      change("v/a", facts(), undefined, { ...at, list: { checkedAt: nowMs - day } }),
      [],
    ],
    [
      "has gone from the snapshot: nothing",
      change("v/a", facts(), undefined, { ...at, list: { list: "snapshot" } }),
      [],
    ],
  ];
  test.each(cases)("%s", (_what, told, expected) => {
    expect(told).toEqual(expected);
  });

  test("was never in models.dev: nothing", () => {
    const report = look([pin("v/a")], {}, { models: {}, list: { list: "models.dev" } });
    expect(report).toMatchObject({ drifts: [], checked: 1 });
  });
});

test("each change is told once, and again when it has come back", () => {
  const pins = [pin("v/a")];
  const rounds: [models: Record<string, ModelFacts>, days: number, holds: number, isNew: number][] = [
    [{ "v/a": facts() }, 0, 0, 0],
    [{}, 1, 1, 1],
    [{}, 2, 1, 0],
    [{ "v/a": facts() }, 3, 0, 0],
    [{}, 4, 1, 1],
    [{ "v/a": facts({ context: 100_000 }) }, 5, 1, 1],
    [{ "v/a": facts({ context: 100_000 }) }, 11, 1, 0],
    // After a week the new window is the usual one.
    [{ "v/a": facts({ context: 100_000 }) }, 13, 0, 0],
    [{ "v/a": facts({ context: 50_000, tools: false }) }, 14, 2, 2],
  ];
  let memory: PinMemory = {};
  const seen = rounds.map(([models, days]) => {
    const report = look(pins, memory, { models, atMs: nowMs + days * day });
    // As it is after a restart.
    memory = JSON.parse(JSON.stringify(report.memory));
    return [report.drifts.length, report.untold.length];
  });
  expect(seen).toEqual(rounds.map(([, , holds, isNew]) => [holds, isNew]));
});

test("a record is kept while no fresh list can be asked, and dropped with its pin", () => {
  const first = look([pin("v/a")], {}, { models: { "v/a": facts() } });
  const blind = look([pin("v/a")], first.memory, { models: {}, list: { checkedAt: 0 } });
  expect(blind).toEqual({ drifts: [], untold: [], memory: first.memory, checked: 0 });
  expect(look([], first.memory, { models: {} }).memory).toEqual({});
});

describe("pinnedModels()", () => {
  const read = (config: Json, letters: Record<string, string> = {}) =>
    pinnedModels(parseConfig(config, "test"), letters, (id) => ["openrouter", "groq"].includes(id)).map(
      ({ provider, model, places }) => `${provider} ${model}: ${places.join(", ")}`,
    );

  test("finds every place, each model once", () => {
    const config = {
      model_tiers: { BIG: { default: "v/a:free", cascade: ["v/b", "groq:c"] }, SMALL: { default: "v/b" } },
      fallbacks: ["v/b"],
      toolcall_models: ["v/d"],
      routes: { image: "v/e", long_context: { model: "v/f" }, default: "BIG" },
      mappings: { x: "v/g", y: "SMALL", z: "clutch-big" },
      agents: { hermes: { roles: { title_generation: "v/h", vision: "SMALL" } } },
    };
    expect(read(config, { d: "v/a:free", "0": "v/i" })).toEqual([
      "openrouter v/a:free: model_tiers.BIG.default, tier letter d",
      "openrouter v/b: model_tiers.BIG.cascade, model_tiers.SMALL.default, fallbacks",
      "groq c: model_tiers.BIG.cascade",
      "openrouter v/d: toolcall_models",
      "openrouter v/e: routes.image",
      "openrouter v/f: routes.long_context",
      "openrouter v/g: mappings.x",
      "openrouter v/i: tier letter 0",
      "openrouter v/h: agents.hermes.roles.title_generation",
    ]);
  });

  test("the built-in tiers are pins too, where they are in force", () => {
    expect(read({})).toContain("openrouter moonshotai/kimi-k2.6:free: tier BIG (built in)");
    expect(read({ default_provider: "groq" })).toEqual([]);
  });
});
