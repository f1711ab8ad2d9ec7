import { describe, expect, test } from "bun:test";
import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { answerText, requestBody, streamed, summarise, whole, wireUsage } from "../support/answers.ts";
import { json, sse } from "../support/fake-upstream.ts";
import { type GatewaySetup, startTestGateway, within } from "../support/gateway.ts";

const long = `read it: ${"~".repeat(6000)}`;

/** What `/v1/compress` of 0.42.0 answers, around these messages. */
function compressed(messages: unknown, more: object = {}): Response {
  const figures = { tokens_before: 2, tokens_after: 1, tokens_saved: 1, compression_ratio: 0.5 };
  return Response.json({ messages, ...figures, transforms_applied: [], ccr_hashes: [], ...more });
}

function squeeze(asked: JsonObject): Response {
  return compressed(JSON.parse(JSON.stringify(asked["messages"]).replace(/~+/g, "~")));
}

interface Setup {
  answers?: (asked: JsonObject) => Response | Promise<Response>;
  config?: JsonObject;
  replies?: GatewaySetup["replies"];
  port?: number;
}

async function start({ answers = squeeze, config = {}, replies, port }: Setup) {
  const asked: { path: string; body: JsonObject }[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const body = (await request.json()) as JsonObject;
      asked.push({ path: new URL(request.url).pathname, body });
      return answers(body);
    },
  });
  const gateway = await startTestGateway({
    replies: replies ?? {
      chat: json(whole.chat),
      messages: json(whole.messages),
      responses: json(whole.responses),
      streams: sse([streamed("messages")]),
    },
    config: {
      headroom: { mode: "sidecar" },
      chain: { services: [{ id: "headroom", port: port ?? server.port ?? 0 }] },
      ...config,
    },
  });
  const ask = (protocol: Protocol, model: string = protocol, stream = false, headers: Record<string, string> = {}) =>
    gateway.ask(protocol, `${protocol}:${model}`, stream, {
      headers,
      body: { messages: [{ role: "user", content: long }] },
    });
  return {
    asked,
    gateway,
    ask,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await server.stop(true);
    },
  };
}

describe("headroom.mode sidecar", () => {
  test.each(["messages", "chat"] as const)(
    "%s: the model is asked what came back, and the ledger knows both",
    async (protocol) => {
      await using world = await start({});
      const { gateway, asked, ask } = world;
      const response = await ask(protocol, protocol, false, { "x-session-id": "session-1" });
      expect(await response.json()).toEqual(whole[protocol] as never);
      const messages = [{ role: "user", content: long }];
      expect(asked).toEqual([
        {
          path: "/v1/compress",
          body: { model: `${protocol}:${protocol}`, config: { session_id: "session-1" }, messages },
        },
      ]);
      const sent = [{ role: "user", content: "read it: ~" }];
      expect(gateway.upstream.requests.map(({ body }) => body)).toEqual([
        { ...requestBody(protocol, protocol, false), messages: sent } as never,
      ]);
      const row = await gateway.onlyRequest();
      expect(row).toMatchObject({ compression: "sidecar", tokens_after: 150, status: "completed" });
      expect(row["tokens_before"]).toBeGreaterThan(1000);
      expect(gateway.lines).toEqual([]);
    },
  );

  test.each(["messages", "chat"] as const)(
    "%s: what it is not asked about stays as it was: no answer of its has the tools in it",
    async (protocol) => {
      await using world = await start({});
      const { gateway, asked } = world;
      const name = "read";
      const schema = { type: "object", properties: {} };
      const tool = protocol === "messages" ? { name, input_schema: schema } : { name, parameters: schema };
      const rest: JsonObject = {
        tools: [protocol === "messages" ? tool : { type: "function", function: tool }],
        ...(protocol === "messages" && { system: "You are an agent." }),
      };
      const messages = [{ role: "user", content: long }];
      await (await gateway.ask(protocol, `${protocol}:${protocol}`, false, { body: { messages, ...rest } })).text();
      expect(Object.keys(asked[0]?.body ?? {})).toEqual(["model", "config", "messages"]);
      expect(gateway.upstream.requests[0]?.body).toMatchObject({
        ...rest,
        messages: [{ role: "user", content: "read it: ~" }],
      });
      expect(await gateway.onlyRequest()).toMatchObject({ compression: "sidecar" });
      expect(gateway.lines).toEqual([]);
    },
  );

  test("streams too", async () => {
    await using world = await start({});
    const text = await (await world.ask("messages", "streams", true)).text();
    expect(summarise("messages", text)).toMatchObject({ text: answerText, successes: 1 });
    expect(world.gateway.upstream.requests[0]?.text).not.toContain("~~");
  });

  test.each<[what: string, answers: Setup["answers"], notice: string]>([
    [
      "an error",
      () => Response.json({ error: { type: "compression_timeout" } }, { status: 503 }),
      "does not compress (HTTP 503)",
    ],
    ["a page", () => new Response("<html>"), "cannot be used: its answer has no messages"],
    ["nothing", () => new Response(""), "cannot be used: its answer has no messages"],
    ["no list", () => compressed("text"), "cannot be used: its answer has no messages"],
    [
      "markers",
      () => compressed([{ role: "user", content: "<<ccr:abc>>" }]),
      "cannot be used: it put <<ccr: into the request",
    ],
    [
      "hashes of what it left out",
      () => compressed([{ role: "user", content: "x" }], { ccr_hashes: ["abc"] }),
      "cannot be used: it left things out that only its own tool can fetch",
    ],
  ])("it answers with %s: the request goes on as it came, and somebody is told", async (_what, answers, notice) => {
    await using world = await start({ ...(answers === undefined ? {} : { answers }) });
    expect((await world.ask("chat")).status).toBe(200);
    expect(world.gateway.upstream.requests[0]?.text).toContain("~~~");
    expect(world.gateway.lines).toHaveLength(1);
    expect(world.gateway.lines[0]).toStartWith(`Headroom ${notice}`);
    expect(await world.gateway.onlyRequest()).toMatchObject({ compression: null, status: "completed" });
  });

  test("nothing gained changes nothing", async () => {
    await using world = await start({ answers: (asked) => compressed(asked["messages"]) });
    await world.ask("chat");
    expect(world.gateway.upstream.requests[0]?.text).toContain("~~~");
    expect(await world.gateway.onlyRequest()).toMatchObject({
      compression: "sidecar",
      tokens_before: 150,
      tokens_after: 150,
    });
  });

  test("nobody listens: told of once, and left alone", async () => {
    await using world = await start({ port: 1 });
    for (let turn = 0; turn < 3; turn++) expect((await world.ask("chat")).status).toBe(200);
    expect(world.gateway.lines).toHaveLength(1);
  });

  test("it takes too long: the request waits 2 s and no longer", async () => {
    await using world = await start({ answers: () => new Promise<Response>(() => {}) });
    const startedAt = performance.now();
    expect((await within(4000, "an answer", world.ask("chat"))).status).toBe(200);
    expect(performance.now() - startedAt).toBeGreaterThan(1900);
    expect(world.gateway.lines[0]).toStartWith("Headroom takes longer than 2 s");
  });

  test("Responses and short requests are left as they are", async () => {
    await using world = await start({});
    await world.ask("responses");
    await world.gateway.ask("chat", "chat:chat", false);
    expect(world.asked).toEqual([]);
    expect(world.gateway.upstream.requests).toHaveLength(2);
  });

  test("in mode off nobody is asked", async () => {
    await using world = await start({ config: { headroom: { mode: "off" } } });
    await world.ask("chat");
    expect(world.asked).toEqual([]);
  });
});

describe("a session that compression harms", () => {
  /** A provider whose cache never hits behind a rewritten prompt. */
  const turn = (prompt: number) =>
    json({
      ...whole.messages,
      usage: {
        ...wireUsage.messages,
        input_tokens: prompt - 50,
        cache_read_input_tokens: 50,
        cache_creation_input_tokens: 0,
      },
    });

  test("goes on without from then on, with a reason; others go on with it", async () => {
    const replies = { messages: [10_000, 14_000, 18_000, 22_000, 26_000, 30_000].map(turn) };
    await using world = await start({
      replies,
      // Saves next to nothing.
      answers: (asked) => compressed(JSON.parse(JSON.stringify(asked["messages"]).replace("~~~", "~"))),
    });
    const { gateway, asked, ask } = world;
    const send = (session: string) => ask("messages", "messages", false, { "x-session-id": session });
    for (let turns = 0; turns < 5; turns++) {
      const response = await send("one");
      await gateway.request(response.headers.get("x-clutch-request-id"));
    }
    const before = asked.length;
    expect(before).toBe(4);
    expect(gateway.lines).toEqual([
      expect.stringMatching(
        /^compression harms session one: \d+\.\dk tokens of prompt cache were lost, for \d+ saved; from now on it goes on without$/,
      ),
    ]);
    await send("two");
    expect(asked.length).toBe(before + 1);
    const report = (await (await fetch(`${gateway.url}/admin/headroom`)).json()) as { sessions: JsonObject[] };
    expect(report.sessions).toMatchObject(
      [
        { session: "two", harmful: null },
        { session: "one", harmful: expect.stringContaining("lost") },
      ].reverse(),
    );
  });
});
