/**
 * The cascades that Clutch was asked for (three tiers of free models at OpenRouter, models for tool calls, a quota) against
 * an upstream that refuses in OpenRouter's words: the right model serves, and not one call is made that could be known to be
 * in vain.
 */

import { describe, expect, test } from "bun:test";
import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { at, pieces, protocols, streamed, summarise, whole } from "../support/answers.ts";
import { json, type Reply, type Script, sse, type UpstreamRequest } from "../support/fake-upstream.ts";
import { type GatewaySetup, startTestGateway, type TestGateway } from "../support/gateway.ts";
import { type Clock, startClock } from "./clock.ts";

const kimi = "moonshotai/kimi-k2.6:free";
const gptOss = "openai/gpt-oss-120b:free";
const nemotron = "nvidia/nemotron-3-super-120b-a12b:free";
const nano = "nvidia/nemotron-3-nano-omni-30b-a3b-reasoning:free";
const deepseek = "deepseek/deepseek-v4-flash:free";
/** The only one that is not free. */
const qwen = "qwen/qwen3-next-80b-a3b-thinking";

const big = [kimi, gptOss, nemotron, deepseek];
const all = [kimi, gptOss, nemotron, nano, deepseek, qwen];

const tiers: JsonObject = {
  BIG: { default: kimi, cascade: [gptOss, nemotron, deepseek] },
  MIDDLE: { default: nemotron, cascade: [nemotron, gptOss] },
  SMALL: { default: nano, cascade: [gptOss, nemotron] },
};

const fallbacks = [deepseek, nemotron, gptOss];

function userConfig(baseUrl: string, more: JsonObject = {}): JsonObject {
  return {
    default_provider: "openrouter",
    providers: {
      openrouter: { base_url: baseUrl, api_key: "sk-or-test" },
      mybox: { protocol: "chat", base_url: baseUrl },
    },
    model_tiers: tiers,
    fallbacks,
    toolcall_models: [qwen, ...fallbacks],
    quotas: { [deepseek]: { max_requests_per_minute: 30, cooldown_seconds: 10 } },
    ...more,
  };
}

/** A good answer in whichever form and protocol it is asked for. */
function good({ path, body }: UpstreamRequest): Reply {
  const protocol: Protocol = path.includes("/messages")
    ? "messages"
    : path.includes("/responses")
      ? "responses"
      : "chat";
  return body["stream"] === true ? sse([streamed(protocol)]) : json(whole[protocol]);
}

type Faults = Readonly<Record<string, Reply | ((request: UpstreamRequest) => Reply)>>;

interface Bench extends AsyncDisposable {
  gateway: TestGateway;
  clock: Clock;
  /** Asks for a tier, and tells who answered with how many calls. */
  ask(tier: string, options?: { client?: Protocol; hasTools?: boolean; stream?: boolean }): Promise<Asked>;
}

interface Asked {
  response: Response;
  body: string;
  servedBy: string | null;
  /** The models that this request was sent to, in order. */
  calls: string[];
}

const look: Record<Protocol, JsonObject> = {
  messages: { tools: [{ name: "look", input_schema: { type: "object", properties: {} } }] },
  chat: { tools: [{ type: "function", function: { name: "look", parameters: { type: "object", properties: {} } } }] },
  responses: { tools: [{ type: "function", name: "look", parameters: { type: "object", properties: {} } }] },
};

async function start(faults: Faults, more: JsonObject = {}, setup: Partial<GatewaySetup> = {}): Promise<Bench> {
  const clock = startClock();
  const replies: Record<string, Script[string]> = { local: good };
  for (const model of all) replies[model] = faults[model] ?? good;
  const gateway = await startTestGateway({
    replies,
    timeouts: { patience_ms: 100 },
    config: (baseUrl) => userConfig(baseUrl, more),
    now: clock.now,
    ...setup,
  });
  return {
    gateway,
    clock,
    async ask(tier, { client = "chat", hasTools = false, stream = false } = {}) {
      const before = gateway.upstream.requests.length;
      const response = await gateway.ask(client, `clutch-${tier}`, stream, hasTools ? { body: look[client] } : {});
      const body = await response.text();
      const calls = gateway.upstream.models().slice(before);
      return { response, body, servedBy: response.headers.get("x-clutch-served-by"), calls };
    },
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  };
}

const hourMs = 3_600_000;

/** As OpenRouter says it: the headers stand in the body. */
function accountLimit(name: string, resetAt: number): Reply {
  return json(
    {
      error: {
        message: `Rate limit exceeded: ${name}. Add 10 credits to unlock 1000 free model requests per day`,
        code: 429,
        metadata: {
          headers: { "X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": String(resetAt) },
          provider_name: null,
        },
      },
      user_id: "user_test",
    },
    429,
  );
}

function upstreamLimit(model: string): Reply {
  const raw = `${model} is temporarily rate-limited upstream. Please retry shortly, or add your own key to accumulate your rate limits`;
  const metadata = { raw, provider_name: "Somebody", is_byok: false };
  return json({ error: { message: "Provider returned error", code: 429, metadata }, user_id: "user_test" }, 429);
}

function openRouterError(status: number, message: string, metadata: JsonObject = {}): Reply {
  return json({ error: { message, code: status, metadata }, user_id: "user_test" }, status);
}

test("without any trouble each tier is served by its own model with one call", async () => {
  await using bench = await start({});
  for (const [tier, model] of [
    ["big", kimi],
    ["middle", nemotron],
    ["small", nano],
  ] as const) {
    expect(await bench.ask(tier)).toMatchObject({ servedBy: `openrouter:${model}`, calls: [model] });
  }
});

describe.each(protocols)("the account's free models are used up, told to a %s client", (client) => {
  const free = ["free-models-per-day", "free-models-per-min", "free-models-per-day-high-balance"] as const;

  test.each(free)("%s costs one call, and none until it is over", async (name) => {
    const spans = { "free-models-per-min": 40_000 } as Record<string, number>;
    const spanMs = spans[name] ?? 5 * hourMs;
    let isOver = false;
    const bench: Bench = await start(
      Object.fromEntries(
        all.map((model) => [
          model,
          (request: UpstreamRequest) =>
            isOver || !model.endsWith(":free") ? good(request) : accountLimit(name, bench.clock.now() + spanMs),
        ]),
      ),
    );
    await using _ = bench;
    const first = await bench.ask("big", { client });
    expect(first.calls).toEqual([kimi]);
    expect(first.response.status).toBe(429);
    const message = at(JSON.parse(first.body), "error", "message");
    for (const model of big) expect(message).toContain(model);
    const waitSeconds = Number(first.response.headers.get("retry-after"));
    expect(waitSeconds).toBeWithin(spanMs / 1000 - 5, spanMs / 1000 + 2);

    // Every tier draws on the same bucket.
    for (const tier of ["big", "middle", "small"]) expect((await bench.ask(tier, { client })).calls).toEqual([]);

    // What is not free is none of its business.
    expect(await bench.ask("big", { client, hasTools: true })).toMatchObject({
      servedBy: `openrouter:${qwen}`,
      calls: [qwen],
    });
    isOver = true;
    bench.clock.forward(spanMs + 1000);
    expect(await bench.ask("big", { client })).toMatchObject({ servedBy: `openrouter:${kimi}`, calls: [kimi] });
  });
});

test("another provider still serves when the account's free models are used up: two calls, then one", async () => {
  const limit = accountLimit("free-models-per-day", Date.now() + 5 * hourMs);
  await using bench = await start(Object.fromEntries(big.map((model) => [model, limit])), {
    fallbacks: [...fallbacks, "mybox:local"],
  });
  expect(await bench.ask("big")).toMatchObject({ servedBy: "mybox:local", calls: [kimi, "local"] });
  expect(await bench.ask("big")).toMatchObject({ servedBy: "mybox:local", calls: ["local"] });
  await bench.gateway.stop(0);
  expect(Object.values(bench.gateway.circuits())).toMatchObject([{ id: "free:openrouter", is_told: 1 }]);
});

test("with tools, a limit of the free models goes straight to the one that is not free", async () => {
  const limit = accountLimit("free-models-per-day", Date.now() + 5 * hourMs);
  await using bench = await start({ [kimi]: limit });
  expect(await bench.ask("big", { hasTools: true })).toMatchObject({
    servedBy: `openrouter:${qwen}`,
    calls: [kimi, qwen],
  });
  expect(await bench.ask("big", { hasTools: true })).toMatchObject({ calls: [qwen] });
});

test("a model that its upstream limits is passed over alone, for as long as it rests", async () => {
  await using bench = await start({ [kimi]: upstreamLimit(kimi) });
  expect(await bench.ask("big")).toMatchObject({ servedBy: `openrouter:${gptOss}`, calls: [kimi, gptOss] });
  expect(await bench.ask("big")).toMatchObject({ servedBy: `openrouter:${gptOss}`, calls: [gptOss] });
  bench.clock.forward(1_500);
  expect((await bench.ask("big")).calls).toEqual([kimi, gptOss]);
});

test("a ramp-up of one upstream behind OpenRouter is the model's, not OpenRouter's", async () => {
  const raw = "Request rate increased too quickly. To ensure system stability, please adjust your client logic";
  const rampUp = openRouterError(429, "Provider returned error", { raw, provider_name: "Somebody" });
  await using bench = await start({ [kimi]: rampUp });
  expect(await bench.ask("big")).toMatchObject({ servedBy: `openrouter:${gptOss}`, calls: [kimi, gptOss] });
  expect(await bench.ask("big")).toMatchObject({ servedBy: `openrouter:${gptOss}`, calls: [gptOss] });
});

test("a provider that sheds us because we grew too fast is skipped at once, with all its models", async () => {
  const rampUp = json({ error: { message: "Request rate increased too quickly", code: "limit_burst_rate" } }, 429);
  await using bench = await start(
    { [gptOss]: good },
    {
      model_tiers: { BIG: { default: "mybox:one", cascade: ["mybox:two", "mybox:three", kimi] } },
      fallbacks: [],
      toolcall_models: [],
    },
    {
      replies: { one: rampUp, two: good, three: good, [kimi]: good },
    },
  );
  expect(await bench.ask("big")).toMatchObject({ servedBy: `openrouter:${kimi}`, calls: ["one", kimi] });
  expect(await bench.ask("big")).toMatchObject({ servedBy: `openrouter:${kimi}`, calls: [kimi] });
});

test("an account without money costs one call, free models included", async () => {
  const noMoney = openRouterError(402, "Insufficient credits. Add more using https://openrouter.ai/settings/credits");
  await using bench = await start(Object.fromEntries(all.map((model) => [model, noMoney])), {
    fallbacks: [...fallbacks, "mybox:local"],
  });
  expect(await bench.ask("big", { hasTools: true })).toMatchObject({ servedBy: "mybox:local", calls: [kimi, "local"] });
  expect(await bench.ask("big", { hasTools: true })).toMatchObject({ servedBy: "mybox:local", calls: ["local"] });
});

test("a model that is no more is passed over, and after three times not even asked", async () => {
  await using bench = await start({ [kimi]: openRouterError(404, `No endpoints found for ${kimi}.`) });
  for (let turn = 0; turn < 3; turn++) expect((await bench.ask("big")).calls).toEqual([kimi, gptOss]);
  expect((await bench.ask("big")).calls).toEqual([gptOss]);
});

const inStream = `data: ${JSON.stringify({
  id: "gen-1",
  object: "chat.completion.chunk",
  created: 1,
  model: kimi,
  provider: "Somebody",
  error: {
    code: 502,
    message: "Upstream error from Somebody: connection lost",
    metadata: { error_type: "provider_unavailable" },
  },
  choices: [{ index: 0, delta: { content: "" }, finish_reason: "error" }],
})}\n\n`;

test("an error inside the stream, before any content, is followed by the next model unseen", async () => {
  await using bench = await start({
    [kimi]: sse([": OPENROUTER PROCESSING\n\n", ": OPENROUTER PROCESSING\n\n", inStream]),
  });
  const { body, ...asked } = await bench.ask("big", { stream: true });
  expect(asked).toMatchObject({ servedBy: `openrouter:${gptOss}`, calls: [kimi, gptOss] });
  expect(body).toBe(streamed("chat"));
});

test("an error inside the stream, after content, ends it: no second model is spliced on", async () => {
  const { opening, words } = pieces.chat;
  await using bench = await start({ [kimi]: sse([opening + words("Grüße "), inStream]) });
  const { body, calls } = await bench.ask("big", { stream: true });
  expect(calls).toEqual([kimi]);
  expect(summarise("chat", body)).toMatchObject({ text: "Grüße ", successes: 0, endsInError: true });
});

describe("a prompt that does not fit", () => {
  const overflow = (limit: number) =>
    openRouterError(
      400,
      `This endpoint's maximum context length is ${limit} tokens. However, you requested about ${limit + 500} tokens (${limit} of text input, 500 in the output). Please reduce the length of either one`,
    );
  const windows: Record<string, number> = {
    [kimi]: 131_072,
    [gptOss]: 131_072,
    [nemotron]: 262_144,
    [deepseek]: 1_048_576,
  };
  const factsOf: NonNullable<GatewaySetup["factsOf"]> = ({ model }) => {
    const context = windows[model];
    return context === undefined ? undefined : { context, output: 32_000 };
  };

  test("goes to the next larger window, past those that are no larger", async () => {
    await using bench = await start({ [kimi]: overflow(131_072) }, {}, { factsOf });
    expect(await bench.ask("big")).toMatchObject({ servedBy: `openrouter:${nemotron}`, calls: [kimi, nemotron] });
  });

  test("and goes on to the largest", async () => {
    await using bench = await start({ [kimi]: overflow(131_072), [nemotron]: overflow(262_144) }, {}, { factsOf });
    expect(await bench.ask("big")).toMatchObject({
      servedBy: `openrouter:${deepseek}`,
      calls: [kimi, nemotron, deepseek],
    });
  });

  test.each(protocols)(
    "is told in the words that a %s client compacts at, when none is large enough",
    async (client) => {
      await using bench = await start(
        Object.fromEntries(big.map((model) => [model, overflow(windows[model] ?? 0)])),
        {},
        { factsOf },
      );
      const { response, body, calls } = await bench.ask("big", { client });
      expect(calls).toEqual([kimi, nemotron, deepseek]);
      expect(response.status).toBe(400);
      if (client === "messages")
        expect(at(JSON.parse(body), "error", "message")).toMatch(/^prompt is too long: \d+ tokens > 1048576 maximum/);
      else expect(at(JSON.parse(body), "error", "code")).toBe("context_length_exceeded");
    },
  );

  test("is not even sent where it cannot fit by any estimate", async () => {
    await using bench = await start(
      {},
      {},
      { factsOf: (target) => ({ context: target.model === kimi ? 1000 : 131_072, output: 500 }) },
    );
    expect((await bench.ask("big")).calls).toEqual([gptOss]);
  });

  test("counts against nobody", async () => {
    await using bench = await start({ [kimi]: overflow(131_072) }, {}, { factsOf });
    for (let turn = 0; turn < 4; turn++) expect((await bench.ask("big")).calls).toEqual([kimi, nemotron]);
  });
});

test("with tools, the models for tool calls come after the tier's own, each once", async () => {
  await using bench = await start(
    Object.fromEntries([kimi, qwen, deepseek, nemotron].map((model) => [model, openRouterError(503, "No capacity")])),
  );
  expect((await bench.ask("big", { hasTools: true })).calls).toEqual([kimi, qwen, deepseek, nemotron, gptOss]);
});

test("a quota is kept without a refusal: the thirty-first request of a minute goes to the next", async () => {
  await using bench = await start(
    {},
    { model_tiers: { BIG: { default: deepseek, cascade: [gptOss] } }, fallbacks: [] },
  );
  for (let turn = 0; turn < 30; turn++) expect((await bench.ask("big")).calls).toEqual([deepseek]);
  expect((await bench.ask("big")).calls).toEqual([gptOss]);
  bench.clock.forward(59_000);
  expect((await bench.ask("big")).calls).toEqual([gptOss]);
  bench.clock.forward(2_000);
  expect((await bench.ask("big")).calls).toEqual([deepseek]);
});
