import { describe, expect, test } from "bun:test";
import { RequestBody } from "../../src/gateway/body.ts";
import { Front } from "../../src/gateway/front.ts";
import { HeadroomWatch } from "../../src/gateway/headroom-watch.ts";
import { recognise } from "../../src/gateway/recognise.ts";
import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { answerText, paths, pieces, protocols, requestBody, streamed, summarise, whole } from "../support/answers.ts";
import { json, sse } from "../support/fake-upstream.ts";
import { eventually, type GatewaySetup, startTestGateway, type TestGateway, within } from "../support/gateway.ts";
import {
  type Behaviour,
  compressText,
  type HeadroomStandIn,
  startHeadroomStandIn,
} from "../support/headroom-stand-in.ts";

/** Something to leave out, and bytes that must come through as they are. */
const filler = `say 1.0 and \\u00e9: ${"~".repeat(5000)}`;

function longBody(protocol: Protocol, model: string, stream: boolean, more: JsonObject = {}): string {
  const said = { role: "user", content: filler };
  const key = protocol === "responses" ? "input" : "messages";
  const limit = protocol === "responses" ? {} : { max_tokens: 64 };
  return JSON.stringify({ ...requestBody(protocol, model, stream, more), [key]: [said], temperature: 1, ...limit });
}

interface World extends AsyncDisposable {
  gateway: TestGateway;
  headroom: HeadroomStandIn;
  /** POSTs to /front. */
  send(
    protocol: Protocol,
    stream: boolean,
    init?: { model?: string; headers?: Record<string, string>; signal?: AbortSignal; more?: JsonObject; path?: string },
  ): Promise<Response>;
}

async function start(does: Behaviour, setup: Partial<GatewaySetup> = {}, port?: number): Promise<World> {
  const headroom = startHeadroomStandIn(does);
  const config = typeof setup.config === "object" ? setup.config : {};
  const gateway = await startTestGateway({
    replies: goodReplies(),
    ...setup,
    config: { chain: { services: [{ id: "headroom", port: port ?? headroom.port }] }, ...config },
  });
  headroom.gatewayUrl = gateway.url;
  return {
    gateway,
    headroom,
    send: (
      protocol,
      stream,
      { model = `${protocol}:${stream ? "streams" : "whole"}-${protocol}`, headers, signal, more, path } = {},
    ) =>
      fetch(`${gateway.url}/front${path ?? paths[protocol]}`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: longBody(protocol, model, stream, more),
        keepalive: false,
        ...(signal === undefined ? {} : { signal }),
      }),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await headroom.stop();
    },
  };
}

function goodReplies(): GatewaySetup["replies"] {
  return Object.fromEntries(
    protocols.flatMap((protocol) => [
      [`whole-${protocol}`, json(whole[protocol])],
      [`streams-${protocol}`, sse([streamed(protocol)])],
    ]),
  );
}

/** The client has the whole good answer, and the upstream was asked once. */
async function expectServed(world: World, protocol: Protocol, stream: boolean, response: Response): Promise<void> {
  expect(response.status).toBe(200);
  const text = await response.text();
  if (stream)
    expect(summarise(protocol, text)).toMatchObject({
      text: answerText,
      openings: 1,
      successes: 1,
      errors: [],
    });
  else expect(JSON.parse(text)).toEqual(whole[protocol] as never);
  expect(world.gateway.upstream.requests).toHaveLength(1);
}

const cases = protocols.flatMap((protocol) => [true, false].map((stream) => [protocol, stream] as const));

describe("a request through Headroom", () => {
  test.each(cases)(
    "%s, streamed %p: is asked of the model compressed, and answered as if there were no Headroom",
    async (protocol, stream) => {
      await using world = await start("compress");
      const { gateway, headroom } = world;
      const response = await world.send(protocol, stream, { path: `${paths[protocol]}?beta=true` });
      expect(response.headers.get("x-clutch-request-id")).toBeString();
      await expectServed(world, protocol, stream, response);
      const [asked] = gateway.upstream.requests;
      const model = `${stream ? "streams" : "whole"}-${protocol}`;
      // The conversation is Headroom's, all else the agent's own, byte for byte.
      expect(asked?.text).toBe(compressText(longBody(protocol, model, stream)));
      expect(headroom.requests.map(({ path }) => path)).toEqual([`${paths[protocol]}?beta=true`]);
      expect(headroom.requests[0]?.bytes).toBe(longBody(protocol, `${protocol}:${model}`, stream));
      await eventually("Headroom's copy", () => headroom.answers.length === 1);
      expect(headroom.answers[0]).toEqual({
        status: 200,
        text: stream ? streamed(protocol) : JSON.stringify(whole[protocol]),
      });
      const row = await gateway.onlyRequest();
      expect(row).toMatchObject({ status: "completed", attempts: 1, compression: "front", tokens_after: 150 });
      expect(row["tokens_before"]).toBeGreaterThan(1000);
      expect(gateway.lines).toEqual([]);
    },
  );

  test("Headroom sees neither key nor secret, and the gateway knows the launch all the same", async () => {
    await using world = await start("compress", {
      launchSecret: "s3cret",
      config: { server: { port: 0, require_key: true } },
    });
    const headers = {
      authorization: "Bearer xx-cip-launch1-s3cret",
      "x-claude-code-session-id": "session-1",
      cookie: "a=b",
    };
    await expectServed(world, "messages", true, await world.send("messages", true, { headers }));
    const [seen] = world.headroom.requests;
    expect(JSON.stringify(seen?.headers)).not.toContain("s3cret");
    expect(seen?.headers).toMatchObject({
      authorization: "Bearer xx-cip-launch1",
      "x-claude-code-session-id": "session-1",
    });
    expect(seen?.headers["cookie"]).toBeUndefined();
    expect(await world.gateway.onlyRequest()).toMatchObject({ agent: "c", launch_id: "launch1", session: "session-1" });
    const refused = await world.send("messages", true);
    expect(refused.status).toBe(401);
    expect(world.headroom.requests).toHaveLength(1);
  });

  test("60 at once are all answered, each from its own conversation", async () => {
    await using world = await start("compress");
    const all = Array.from({ length: 60 }, async (_, index) => {
      const response = await world.send("messages", index % 2 === 0, {
        more: { metadata: { user_id: `user-${index}` } },
      });
      return [response.status, (await response.text()).length > 0];
    });
    expect(new Set((await Promise.all(all)).map(String))).toEqual(new Set(["200,true"]));
    expect(new Set(world.gateway.upstream.requests.map(({ text }) => /user-\d+/.exec(text)?.[0])).size).toBe(60);
    expect(world.gateway.upstream.requests.every(({ text }) => !text.includes("~~"))).toBe(true);
    expect(world.gateway.lines).toEqual([]);
  });

  test("more than 100 at once go without it: each holds a connection, and a process has 256", async () => {
    const asked: string[] = [];
    const never = (url: string) => {
      asked.push(url);
      return new Promise<Response>(() => {});
    };
    const watch = new HeadroomWatch(Date.now, () => {});
    const front = new Front({ fetch: never, url: () => "http://127.0.0.1:1", watch, arrivalLimitMs: 60_000 });
    const raw = () => new Request("http://127.0.0.1/front/v1/messages?beta=true", { method: "POST" });
    const body = new RequestBody(Buffer.from('{"model":"m"}'));
    const open = () => front.open("messages", "/v1/messages", raw(), body, recognise(new Headers())).compress();
    for (let count = 0; count < 100; count++) void open();
    expect(await within(100, "the 101st", open())).toBeUndefined();
    expect(new Set(asked)).toEqual(new Set(["http://127.0.0.1:1/v1/messages?beta=true"]));
    expect(asked).toHaveLength(100);
  });

  test("one under way is finished while the gateway drains, through Headroom as well", async () => {
    const go = Promise.withResolvers<void>();
    await using world = await start("compress");
    const { gateway, headroom } = world;
    headroom.hold = go.promise;
    const answer = world.send("messages", true);
    await eventually("the request at Headroom", () => headroom.requests.length === 1);
    const stopped = gateway.stop(5_000);
    await Bun.sleep(50);
    go.resolve();
    await expectServed(world, "messages", true, await answer);
    await stopped;
  });

  test("the agent's leaving ends the model's answer", async () => {
    const reply = sse([pieces.messages.opening, pieces.messages.words("one"), new Promise(() => {})], "open");
    await using world = await start("compress", { replies: { endless: reply } });
    const leaving = new AbortController();
    const response = await world.send("messages", true, { model: "messages:endless", signal: leaving.signal });
    await response.body?.getReader().read();
    leaving.abort();
    await within(5000, "the upstream's end", world.gateway.upstream.quiet());
    expect(await world.gateway.onlyRequest()).toMatchObject({ status: "aborted" });
  });

  test("the gateway's own error comes through as it is, once", async () => {
    const busy = { type: "error", error: { type: "rate_limit_error", message: "too many" } };
    await using world = await start("compress", { replies: { busy: json(busy, 429, { "retry-after": "700" }) } });
    const response = await world.send("messages", false, { model: "messages:busy" });
    expect([response.status, response.headers.get("retry-after")]).toEqual([429, "700"]);
    expect(await response.json()).toMatchObject({ type: "error", error: { type: "rate_limit_error" } });
    expect(world.gateway.upstream.requests).toHaveLength(1);
    expect(world.gateway.lines).toEqual([]);
  });

  test("an error in the stream is the gateway's own, whatever Headroom makes of it", async () => {
    const go = Promise.withResolvers<void>();
    const cut = sse([pieces.messages.opening, pieces.messages.words("one"), go.promise], "cut");
    await using world = await start({ spoils: () => new Response("") }, { replies: { cut } });
    const response = await world.send("messages", true, { model: "messages:cut" });
    go.resolve();
    const text = await response.text();
    expect(summarise("messages", text)).toMatchObject({ text: "one", successes: 0, endsInError: true });
    expect(world.gateway.upstream.requests).toHaveLength(1);
  });
});

describe("Headroom fails before the request has come through, and the gateway answers by itself", () => {
  const page = () =>
    new Response("<!doctype html><title>Bad Gateway</title>", {
      status: 502,
      headers: { "content-type": "text/html" },
    });
  const pings = () => new Response(": ping\n\n: ping\n\n", { headers: { "content-type": "text/event-stream" } });
  const faults: [what: string, does: Behaviour, notice: string][] = [
    ["an empty 200", { answers: () => new Response("") }, "answers by itself (HTTP 200)"],
    ["a stream of pings", { answers: pings }, "answers by itself (HTTP 200)"],
    [
      "a 502",
      { answers: () => Response.json({ type: "error", error: { type: "api_error" } }, { status: 502 }) },
      "answers by itself (HTTP 502)",
    ],
    [
      "its own rate limit",
      { answers: () => Response.json({ detail: "Rate limited" }, { status: 429 }) },
      "answers by itself (HTTP 429)",
    ],
    ["a page", { answers: page }, "answers by itself (HTTP 502)"],
    [
      "a body that is cut",
      { sends: (body) => body.slice(0, 3000) },
      "cannot be used: what came of the request is no JSON object",
    ],
    [
      "a marker that only it could resolve",
      { sends: (body) => body.replace("~~~", "<<ccr:1>>") },
      "cannot be used: it put <<ccr: into the request: start it with --lossless",
    ],
    [
      "a request without its conversation",
      { sends: (body) => body.replace(/"(messages|input)"/, '"other"') },
      "cannot be used: it left",
    ],
  ];
  for (const [what, does, notice] of faults) {
    test.each(cases)(`${what}: %s, streamed %p`, async (protocol, stream) => {
      await using world = await start(does);
      await expectServed(world, protocol, stream, await world.send(protocol, stream));
      expect(world.gateway.upstream.requests[0]?.text).toContain("~~~~~");
      expect(world.gateway.lines).toHaveLength(1);
      expect(world.gateway.lines[0]).toStartWith(`Headroom ${notice}`);
      expect(await world.gateway.onlyRequest()).toMatchObject({
        status: "completed",
        compression: null,
        tokens_before: null,
      });
    });
  }

  test.each(cases)("nobody listens: %s, streamed %p", async (protocol, stream) => {
    await using world = await start("compress", {}, 1);
    await expectServed(world, protocol, stream, await world.send(protocol, stream));
    expect(world.gateway.lines).toEqual([
      "Headroom does not answer (connection refused: nothing listens there): requests go on without it (clutch status shows it, clutch restart headroom helps)",
    ]);
  });

  test("it says nothing for 3 s: whole and streamed, in every protocol", async () => {
    await Promise.all(
      cases.map(async ([protocol, stream]) => {
        await using world = await start("hang");
        const startedAt = performance.now();
        await expectServed(world, protocol, stream, await world.send(protocol, stream));
        expect(performance.now() - startedAt).toBeWithin(2900, 6000);
        expect(world.gateway.lines[0]).toStartWith("Headroom takes longer than 3 s: ");
      }),
    );
  }, 15_000);
});

describe("Headroom fails behind the compression, and the agent does not notice", () => {
  const faults: [what: string, does: Behaviour][] = [
    ["an empty 200", { spoils: () => new Response("", { headers: { "content-type": "text/event-stream" } }) }],
    ["a stream of pings", { spoils: () => new Response(": ping\n\n") }],
    ["a stream that is cut", { spoils: async (answer) => new Response((await answer.text()).slice(0, 40)) }],
    ["a 502", { spoils: () => new Response("{}", { status: 502 }) }],
    ["it leaves with the answer's first bytes", "leaves"],
  ];
  for (const [what, does] of faults) {
    test.each(cases)(`${what}: %s, streamed %p`, async (protocol, stream) => {
      await using world = await start(does);
      await expectServed(world, protocol, stream, await world.send(protocol, stream));
      expect(await world.gateway.onlyRequest()).toMatchObject({ status: "completed", compression: "front" });
      expect(world.gateway.lines).toEqual([]);
    });
  }

  test("it is killed in the middle of a stream", async () => {
    const go = Promise.withResolvers<void>();
    const { opening, words, ending } = pieces.messages;
    const reply = sse([opening, words("Grüße "), go.promise, words("🎉!"), ending]);
    await using world = await start("compress", { replies: { slow: reply } });
    const response = await world.send("messages", true, { model: "messages:slow" });
    await world.headroom.stop();
    go.resolve();
    expect(summarise("messages", await response.text())).toMatchObject({ text: answerText, successes: 1, errors: [] });
  });
});

describe("while Headroom is known to be down", () => {
  test("it is left alone, told of once, shown in /health, and tried again by one request", async () => {
    let now = Date.now();
    await using world = await start("compress", { now: () => now }, 1);
    const { gateway } = world;
    const send = async () => expect((await world.send("chat", false)).status).toBe(200);
    for (let turn = 0; turn < 5; turn++) await send();
    expect(gateway.lines).toHaveLength(1);
    const health = (await (await fetch(`${gateway.url}/health`)).json()) as { status: string; problems: string[] };
    expect(health.status).toBe("degraded");
    expect(health.problems[0]).toMatch(
      /^Headroom does not answer .* \(since \d\d:\d\d:\d\d UTC\): requests go on without it$/,
    );
    const report = async () => (await (await fetch(`${gateway.url}/admin/headroom`)).json()) as JsonObject;
    expect(await report()).toMatchObject({
      mode: "front",
      url: "http://127.0.0.1:1",
      state: "down",
      missed: 5,
      compressed: 0,
    });
    now += 5_001;
    await send();
    expect(gateway.lines).toHaveLength(1);
    expect((await report())["missed"]).toBe(6);
  });

  test("it compresses again as soon as it answers again", async () => {
    let now = Date.now();
    await using world = await start({ answers: () => new Response("", { status: 500 }) }, { now: () => now });
    const { gateway, headroom } = world;
    for (let turn = 0; turn < 4; turn++) await (await world.send("chat", false)).text();
    // Two failures are an outage; the others did not even try.
    expect(headroom.requests).toHaveLength(2);
    headroom.does = "compress";
    now += 5_001;
    await (await world.send("chat", false)).text();
    await (await world.send("chat", false)).text();
    expect(headroom.requests).toHaveLength(4);
    expect(gateway.upstream.requests.map(({ text }) => text.includes("~~~"))).toEqual([
      true,
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(gateway.lines).toHaveLength(2);
    expect(gateway.lines[1]).toBe("Headroom compresses again, after 5 s");
    expect(((await (await fetch(`${gateway.url}/health`)).json()) as { problems: string[] }).problems).toEqual([]);
  });
});

describe("a loop is refused in the caller's protocol", () => {
  test.each(protocols)("%s: a request to /front that has been there", async (protocol) => {
    await using world = await start("compress");
    const response = await world.send(protocol, false, { headers: { "x-clutch-front": crypto.randomUUID() } });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain("a loop: this request has been through /front already");
    expect(world.headroom.requests).toHaveLength(0);
    expect(world.gateway.upstream.requests).toHaveLength(0);
  });

  test.each(protocols)("%s: an id that nobody waits for", async (protocol) => {
    await using world = await start("compress");
    const response = await world.gateway.ask(protocol, `${protocol}:whole-${protocol}`, false, {
      headers: { "x-clutch-front": "made-up" },
    });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain("a loop, or too late");
    expect(world.gateway.upstream.requests).toHaveLength(0);
  });

  test.each(cases)(
    "Headroom sends %s (streamed %p) to /front: the request is answered without it",
    async (protocol, stream) => {
      await using world = await start("round");
      await expectServed(world, protocol, stream, await world.send(protocol, stream));
      expect(world.gateway.lines[0]).toStartWith("Headroom answers by itself (HTTP 400)");
    },
  );

  test.each(cases)("Headroom sends %s (streamed %p) twice: the model is asked once", async (protocol, stream) => {
    await using world = await start("twice");
    await expectServed(world, protocol, stream, await world.send(protocol, stream));
    await eventually("the second answer", () => world.headroom.answers.length > 0);
    expect(world.headroom.answers[0]?.status).toBe(400);
  });

  test.each(cases)("a provider that is this gateway: %s, streamed %p", async (protocol, stream) => {
    await using inner = await startTestGateway({ replies: {} });
    // A gateway whose provider is another, whose provider is the first.
    await using outer = await startTestGateway({
      replies: {},
      config: { providers: { inner: { protocol, base_url: `${inner.url}/v1` } } },
    });
    await inner.gateway.reload(
      {
        config: (await import("../../src/config/schema.ts")).parseConfig(
          {
            server: { port: 0 },
            default_provider: "outer",
            providers: { outer: { protocol, base_url: `${outer.url}/v1` } },
          },
          "test",
        ),
        path: undefined,
        notices: [],
      },
      { tierLetters: {} },
    );
    const response = await within(5000, "an answer", outer.ask(protocol, "inner:outer:inner:x", stream));
    const text = await response.text();
    expect(text).toContain("a loop: a provider of this gateway's config leads back to it");
    expect(response.status).toBe(400);
  });
});

describe("what else is asked under /front is answered directly", () => {
  test("models, counts, probes, and what is not served", async () => {
    await using world = await start("compress");
    const { gateway, headroom } = world;
    const front = `${gateway.url}/front`;
    expect((await fetch(front, { method: "HEAD" })).status).toBe(200);
    expect((await fetch(`${front}/api/hello`, { method: "HEAD" })).status).toBe(200);
    const [here, there] = await Promise.all(
      [`${front}/v1/models`, `${gateway.url}/v1/models`].map(async (url) => (await fetch(url)).json()),
    );
    expect(here).toEqual(there);
    const counted = await world.send("messages", false, { path: "/v1/messages/count_tokens" });
    expect(((await counted.json()) as JsonObject)["input_tokens"]).toBeGreaterThan(10);
    expect((await fetch(`${front}/v1/responses`, { headers: { upgrade: "websocket" } })).status).toBe(426);
    expect((await fetch(`${front}/livez`)).status).toBe(200);
    expect((await fetch(`${front}/admin/headroom`)).status).toBe(404);
    expect((await fetch(`${front}/v1/nothing`)).status).toBe(404);
    expect((await fetch(`${gateway.url}/frontier`)).status).toBe(404);
    expect(headroom.requests).toHaveLength(0);
  });

  test("a page's request is refused there as everywhere", async () => {
    await using world = await start("compress");
    const foreign: Record<string, string>[] = [{ origin: "https://example.org" }, { host: "example.org" }];
    for (const headers of foreign) {
      const response = await world.send("messages", false, { headers });
      expect(response.status).toBe(403);
      expect(((await response.json()) as { type: string }).type).toBe("error");
    }
    expect(world.headroom.requests).toHaveLength(0);
  });

  test.each<[why: string, config: JsonObject, headers: Record<string, string>]>([
    ["Headroom is beside the gateway, or nowhere", { headroom: { mode: "off" } }, {}],
    ["the agent keeps a login of its own", {}, { "x-clutch-launch": "xx-cib-launch1", authorization: "Bearer sk-own" }],
    ["ChatGPT's login would be sent past the gateway", {}, { "chatgpt-account-id": "1" }],
  ])("model requests too, where %s", async (_why, config, headers) => {
    await using world = await start("compress", { config });
    const response = await world.send("chat", false, { headers });
    await response.text();
    expect(world.headroom.requests).toHaveLength(0);
    expect(world.gateway.lines).toEqual([]);
  });
});
