import { describe, expect, test } from "bun:test";
import { ownProviderId, parseModelsDevList, parseOpenRouterList } from "../../src/models/lists.ts";
import { free, openRouterList, openRouterModel } from "./samples.ts";

const facts = (...given: Parameters<typeof openRouterModel>) =>
  parseOpenRouterList(openRouterList(openRouterModel(...given)))?.[given[0]];

describe("parseOpenRouterList()", () => {
  test("reads all that a row says", () => {
    const more = {
      created: 1_763_596_800,
      expiration_date: "2026-12-24",
      architecture: { input_modalities: ["text", "image"], output_modalities: ["text"] },
      pricing: { prompt: "0.0000003", completion: "0.0000025", input_cache_read: "0.00000003", input_cache_write: "" },
      supported_parameters: ["tools", "reasoning"],
      reasoning: { mandatory: false, supported_efforts: ["high", "low"], default_effort: "low" },
    };
    const scores = { coding_index: 40.2, agentic_index: 38, intelligence_index: null };
    expect(facts("v/m", { context: 131_072, output: 65_536, scores, more })).toEqual({
      context: 131_072,
      output: 65_536,
      tools: true,
      image: true,
      reasoning: true,
      usd: [0.3, 2.5, 0.03, 0],
      expires: "2026-12-24",
      name: "Vendor: v/m",
      created: "2025-11-20",
      efforts: ["high", "low"],
      scores: { coding: 40.2, agentic: 38 },
    });
  });

  const cases: [
    why: string,
    id: string,
    sample: Parameters<typeof openRouterModel>[1],
    expected: object | undefined,
  ][] = [
    ["free is price 0 and the suffix", "v/m:free", { price: free }, { isFree: true, usd: [0, 0, 0, 0] }],
    ["price 0 alone is not", "v/m", { price: free }, { isFree: undefined, usd: [0, 0, 0, 0] }],
    ["nor the suffix alone", "v/m:free", {}, { isFree: undefined, usd: [1, 4, 0, 0] }],
    ["a price that depends is unknown", "openrouter/auto", { price: ["-1", "-1"] }, { usd: undefined }],
    ["so is one that is missing", "v/m", { more: { pricing: {} } }, { usd: undefined }],
    ["no tools", "v/m", { tools: false }, { tools: false }],
    ["no output limit: what most have", "v/m", { output: null }, { output: 32_768 }],
    ["and never above the window", "v/m", { output: null, context: 8192 }, { context: 8192, output: 8192 }],
    ["the window that is served", "v/m", { more: { top_provider: { context_length: 64_000 } } }, { context: 64_000 }],
    ["no window, no row", "v/m", { more: { context_length: null, top_provider: {} } }, undefined],
    ["no text, no row", "v/m", { more: { architecture: { output_modalities: ["image"] } } }, undefined],
  ];
  test.each(cases)("%s", (_why, id, sample, expected) => {
    const other = openRouterModel("o/o");
    const row = parseOpenRouterList(openRouterList(other, openRouterModel(id, sample)))?.[id];
    if (expected === undefined) expect(row).toBeUndefined();
    else for (const [key, value] of Object.entries(expected)) expect([key, row?.[key as "usd"]]).toEqual([key, value]);
  });

  test.each([[null], [[]], ["<html>"], [{ data: {} }], [{ data: [] }], [{ data: [null, 5, { id: "x" }] }]])(
    "%j is no list",
    (body) => {
      expect(parseOpenRouterList(body)).toBeUndefined();
    },
  );
});

describe("parseModelsDevList()", () => {
  const model = (more: object) => ({ id: "m", name: "M", limit: { context: 200_000, output: 64_000 }, ...more });
  const list = {
    google: {
      id: "google",
      models: {
        g: model({
          attachment: true,
          reasoning: true,
          tool_call: true,
          release_date: "2026-05-01",
          modalities: { input: ["text", "image"], output: ["text"] },
          cost: { input: 0.3, output: 2.5, cache_read: 0.03 },
        }),
        painter: model({ modalities: { input: ["text"], output: ["image"] } }),
        broken: { id: "broken", limit: {} },
      },
    },
    opencode: { id: "opencode", models: { pickle: model({ cost: { input: 0, output: 0 }, tool_call: true }) } },
    other: { id: "other", models: { x: model({}) } },
  };

  test("keeps the wanted providers, by our ids", () => {
    expect(parseModelsDevList(list, new Set(["gemini", "zen"]))).toEqual({
      gemini: {
        g: {
          context: 200_000,
          output: 64_000,
          tools: true,
          image: true,
          reasoning: true,
          usd: [0.3, 2.5, 0.03, 0],
          name: "M",
          created: "2026-05-01",
        },
      },
      // Price 0 may be part of a plan.
      zen: { pickle: { context: 200_000, output: 64_000, tools: true, usd: [0, 0, 0, 0], isPlan: true, name: "M" } },
    });
  });

  test("an unknown price stays unknown, and nothing wanted is an empty catalogue", () => {
    expect(parseModelsDevList(list, new Set(["other"]))?.["other"]?.["x"]).toEqual({
      context: 200_000,
      output: 64_000,
      name: "M",
    });
    expect(parseModelsDevList(list, new Set())).toEqual({});
  });

  test.each([[null], [[]], [{}], [{ error: "no" }], ["x"]])("%j is no list", (body) => {
    expect(parseModelsDevList(body, new Set(["other"]))).toBeUndefined();
  });
});

test.each([
  ["google", "gemini"],
  ["Moonshotai", "moonshot"],
  ["OpenRouter", "openrouter"],
  ["constructor", "constructor"],
])("ownProviderId() of %s is %s", (theirs, ours) => {
  expect(ownProviderId(theirs)).toBe(ours);
});
