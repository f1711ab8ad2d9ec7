/** How much a tier's models think, as the config says: in each target's own words, on the wire. */

import { describe, expect, test } from "bun:test";
import { readLauncherSettings } from "../../launcher/settings.ts";
import { parseConfig } from "../../src/config/schema.ts";
import { tierModels } from "../../src/model-tiers.ts";
import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { whole } from "../support/answers.ts";
import { json, type UpstreamRequest } from "../support/fake-upstream.ts";
import { ask, startTestGateway } from "../support/gateway.ts";

/** A good answer in the protocol that it is asked in. */
const good = ({ path }: UpstreamRequest) =>
  json(whole[path.includes("/messages") ? "messages" : path.includes("/responses") ? "responses" : "chat"]);

const about = [
  "reasoning_effort",
  "reasoning",
  "thinking",
  "enable_thinking",
  "output_config",
  "verbosity",
  "text",
  "max_tokens",
];

/** What the upstream is told of thinking and of length, asked for BIG with this body. */
async function told(target: string, tier: JsonObject, client: Protocol, body: JsonObject): Promise<JsonObject> {
  await using bench = await startTestGateway({
    replies: { m: good },
    config: (baseUrl) => ({
      model_tiers: { BIG: { default: `${target}:m`, ...tier } },
      providers: {
        openrouter: { base_url: baseUrl, api_key: "k", protocol: "chat" },
        openai: { base_url: baseUrl, api_key: "k" },
        dashscope: { base_url: baseUrl, api_key: "k", protocol: "chat" },
      },
    }),
  });
  const response = await ask(bench.url, client, "clutch-big", false, { body });
  expect(response.status).toBe(200);
  const [sent] = bench.upstream.requests;
  const { max_completion_tokens, ...rest } = sent?.body ?? {};
  const named = max_completion_tokens === undefined ? rest : { ...rest, max_tokens: max_completion_tokens };
  return Object.fromEntries(Object.entries(named).filter(([key]) => about.includes(key)));
}

const high = { reasoning: { effort: "high" } };
const budget = { reasoning: { max_tokens: 8192 } };
const hidden = { reasoning: { effort: "low", exclude: true } };
const brief = { verbosity: "low" };
const large = { max_tokens: 32_000 };

describe("model_tiers.BIG.reasoning and .verbosity", () => {
  const cases: [target: string, tier: JsonObject, client: Protocol, body: JsonObject, told: JsonObject][] = [
    // The client's own protocol: its body is passed on, and only this changes.
    ["chat", high, "chat", {}, { reasoning_effort: "high" }],
    ["chat", high, "chat", { reasoning_effort: "low" }, { reasoning_effort: "high" }],
    ["chat", high, "chat", { reasoning_effort: "none" }, { reasoning_effort: "none" }],
    ["chat", budget, "chat", {}, { reasoning_effort: "medium" }],
    ["chat", hidden, "chat", {}, { reasoning_effort: "low" }],
    ["chat", brief, "chat", {}, {}],
    ["chat", {}, "chat", { reasoning_effort: "low" }, { reasoning_effort: "low" }],
    [
      "openrouter",
      high,
      "chat",
      { reasoning: { effort: "low", exclude: false } },
      { reasoning: { effort: "high", exclude: false } },
    ],
    ["openrouter", budget, "chat", {}, { reasoning: { max_tokens: 8192 } }],
    ["openrouter", hidden, "chat", {}, { reasoning: { effort: "low", exclude: true } }],
    ["openrouter", high, "chat", { reasoning: { enabled: false } }, { reasoning: { enabled: false } }],
    ["dashscope", high, "chat", {}, { enable_thinking: true }],
    ["openai", { ...high, ...brief }, "chat", { verbosity: "high" }, { reasoning_effort: "high", verbosity: "low" }],
    [
      "responses",
      high,
      "responses",
      { reasoning: { effort: "low", summary: "auto" } },
      { reasoning: { effort: "high", summary: "auto" } },
    ],
    [
      "responses",
      hidden,
      "responses",
      { reasoning: { effort: "high", summary: "auto" } },
      { reasoning: { effort: "low" } },
    ],
    ["responses", high, "responses", { reasoning: { effort: "none" } }, { reasoning: { effort: "none" } }],
    [
      "openai",
      brief,
      "responses",
      { text: { format: { type: "text" } } },
      { text: { format: { type: "text" }, verbosity: "low" } },
    ],
    ["messages", high, "messages", large, { ...large, output_config: { effort: "high" } }],
    [
      "messages",
      hidden,
      "messages",
      { ...large, thinking: { type: "adaptive" }, output_config: { effort: "max" } },
      { ...large, thinking: { type: "adaptive", display: "omitted" }, output_config: { effort: "low" } },
    ],
    [
      "messages",
      high,
      "messages",
      { ...large, thinking: { type: "disabled" } },
      { ...large, thinking: { type: "disabled" } },
    ],
    // Another protocol: its encoder does what it does for any client's wish.
    ["chat", high, "messages", large, { ...large, reasoning_effort: "high" }],
    ["chat", high, "messages", { ...large, thinking: { type: "disabled" } }, large],
    ["openrouter", budget, "messages", large, { ...large, reasoning: { max_tokens: 8192 } }],
    ["openrouter", hidden, "messages", large, { ...large, reasoning: { effort: "low", exclude: true } }],
    ["openrouter", hidden, "messages", { ...large, thinking: { type: "disabled" } }, large],
    [
      "chat",
      budget,
      "messages",
      { ...large, thinking: { type: "adaptive" }, output_config: { effort: "max" } },
      { ...large, reasoning_effort: "medium" },
    ],
    ["messages", high, "chat", large, { ...large, thinking: { type: "adaptive" }, output_config: { effort: "high" } }],
    [
      "messages",
      hidden,
      "chat",
      large,
      { ...large, thinking: { type: "adaptive", display: "omitted" }, output_config: { effort: "low" } },
    ],
    ["responses", high, "chat", {}, { reasoning: { effort: "high", summary: "auto" } }],
    ["responses", hidden, "chat", {}, { reasoning: { effort: "low" } }],
    ["openai", brief, "messages", large, { ...large, verbosity: "low" }],
  ];
  test.each(cases)("at %s, %j, asked by %s with %j", async (target, tier, client, body, expected) => {
    expect(await told(target, tier, client, body)).toEqual(expected);
  });

  const askedFor: [model: string, effort: string | undefined][] = [
    ["clutch-big", "high"],
    // Without a model of its own it is BIG, and thinks as BIG does.
    ["clutch-middle", "high"],
    ["clutch-small", "low"],
    ["mapped", "low"],
    // A model by its name is asked as the agent asks.
    ["chat:big", undefined],
    ["routed", undefined],
  ];
  test.each(askedFor)("asked for %s the model thinks %p", async (model, effort) => {
    await using bench = await startTestGateway({
      replies: { big: json(whole.chat), small: json(whole.chat) },
      config: {
        model_tiers: {
          BIG: { default: "big", reasoning: { effort: "high" } },
          SMALL: { default: "small", reasoning: { effort: "low" } },
        },
        mappings: { mapped: "SMALL", routed: "chat:small" },
      },
    });
    await ask(bench.url, "chat", model, false);
    expect(bench.upstream.requests[0]?.body["reasoning_effort"]).toBe(effort as never);
  });

  test("tiers that only say how to think are the built-in ones", async () => {
    await using bench = await startTestGateway({
      replies: { "moonshotai/kimi-k2.6:free": json(whole.chat) },
      config: (baseUrl) => ({
        default_provider: "openrouter",
        providers: { openrouter: { base_url: baseUrl, api_key: "k" } },
        model_tiers: { BIG: { reasoning: { effort: "high" } } },
      }),
    });
    await ask(bench.url, "chat", "clutch-big", false);
    expect(bench.upstream.requests[0]?.body["reasoning"]).toEqual({ effort: "high" });
  });

  test.each([
    ["messages", "output_config", "output_config.effort: Input should be 'low', 'medium', 'high' or 'max'"],
    ["chat", "reasoning_effort", "Unsupported value: 'xhigh'. Supported values are: 'low', 'medium', and 'high'."],
  ] as const)(
    "a target of %s that lacks the word is asked with the next lower one",
    async (protocol, field, message) => {
      const effortOf = (body: JsonObject) =>
        field === "reasoning_effort" ? body[field] : (body[field] as JsonObject | undefined)?.["effort"];
      const refusal = json({ type: "error", error: { type: "invalid_request_error", message } }, 400);
      await using bench = await startTestGateway({
        replies: { m: ({ body }) => (effortOf(body) === "xhigh" ? refusal : json(whole[protocol])) },
        config: { model_tiers: { BIG: { default: `${protocol}:m`, reasoning: { effort: "xhigh" } } } },
      });
      expect((await ask(bench.url, protocol, "clutch-big", false)).status).toBe(200);
      expect((await ask(bench.url, protocol, "clutch-big", false)).status).toBe(200);
      expect(bench.upstream.requests.map(({ body }) => effortOf(body))).toEqual(["xhigh", "high", "high"]);
    },
  );

  test("a target that refuses it is asked without it from then on", async () => {
    const refusal = json(
      {
        error: {
          message: "Unsupported parameter: 'reasoning_effort' is not supported with this model.",
          type: "invalid_request_error",
          param: "reasoning_effort",
          code: "unsupported_parameter",
        },
      },
      400,
    );
    await using bench = await startTestGateway({
      replies: { m: ({ body }) => (body["reasoning_effort"] === undefined ? json(whole.chat) : refusal) },
      config: { model_tiers: { BIG: { default: "m", reasoning: { effort: "high" } } } },
    });
    expect((await ask(bench.url, "chat", "clutch-big", false)).status).toBe(200);
    expect((await ask(bench.url, "chat", "clutch-big", false)).status).toBe(200);
    expect(bench.upstream.requests.map(({ body }) => body["reasoning_effort"])).toEqual(["high", undefined, undefined]);
  });
});

test("clutch why tells of it", async () => {
  await using bench = await startTestGateway({
    // Of a first candidate that answers nothing is kept.
    replies: { m: json({ error: { message: "no" } }, 500), n: json(whole.chat) },
    config: {
      model_tiers: {
        BIG: { default: "m", cascade: ["n"], reasoning: { effort: "high", exclude: true }, verbosity: "low" },
      },
    },
  });
  const { headers } = await ask(bench.url, "chat", "clutch-big", false);
  const { trail } = await bench.request(headers.get("x-clutch-request-id"));
  expect(String(trail)).toContain("asked for effort high, thoughts left out, verbosity low: its tier says so");
});

test("the launcher reads the same models of such a config", () => {
  const config = { model_tiers: { BIG: { reasoning: { effort: "high" } } } };
  const { models } = readLauncherSettings(config, "here", {});
  expect(tierModels("SMALL", false, models)).toEqual(tierModels("SMALL", false, parseConfig(config, "here")));
  expect(tierModels("BIG", false, models)[0]).toBe("moonshotai/kimi-k2.6:free");
});
