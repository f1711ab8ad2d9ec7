import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../src/protocols/chat.ts";
import {
  answerText,
  at,
  emptyStreamed,
  emptyWhole,
  errorEvent,
  pieces,
  protocols,
  streamed,
  summarise,
  whole,
} from "../support/answers.ts";
import { html, json, type Reply, reset, silent, sse, text } from "../support/fake-upstream.ts";
import { startTestGateway, within } from "../support/gateway.ts";

const said = (message: string, more: JsonObject = {}): JsonObject => ({ error: { message, ...more } });

/** What a candidate may do wrong before it has said anything, and how that is called. `whole` where it differs. */
const failures: readonly {
  name: string;
  streamed: Reply;
  whole?: Reply;
  kind: string;
  status: number | null;
}[] = [
  {
    name: "429 with a reset header",
    streamed: json(said("slow down"), 429, { "x-ratelimit-reset": "30" }),
    kind: "rate-limit",
    status: 429,
  },
  {
    name: "529",
    streamed: json(said("Overloaded", { type: "overloaded_error" }), 529),
    kind: "overloaded",
    status: 529,
  },
  { name: "500", streamed: text("oops", "text/plain", 500), kind: "upstream", status: 500 },
  { name: "502 in HTML", streamed: text("<html>bad gateway</html>", "text/html", 502), kind: "upstream", status: 502 },
  { name: "404", streamed: json(said("no such model"), 404), kind: "not-found", status: 404 },
  { name: "401", streamed: json(said("bad key"), 401), kind: "auth", status: 401 },
  { name: "402", streamed: json(said("no credits"), 402), kind: "billing", status: 402 },
  {
    name: "a redirect",
    streamed: text("", "text/html", 302, { location: "http://127.0.0.1:1/" }),
    kind: "upstream",
    status: 302,
  },
  { name: "a reset before the headers", streamed: reset, kind: "network", status: null },
  {
    name: "a reset after the headers",
    streamed: { ...sse([": PROCESSING\n\n"]), end: "reset" },
    kind: "network",
    status: null,
  },
  { name: "an empty 200", streamed: sse([]), whole: text("", "application/json"), kind: "empty", status: null },
  {
    name: "an answer that says nothing",
    streamed: sse([emptyStreamed.chat]),
    whole: json(emptyWhole.chat),
    kind: "empty",
    status: 200,
  },
  {
    name: "an error in a 200",
    streamed: sse([errorEvent.chat]),
    whole: json(said("Overloaded", { code: 503 })),
    kind: "overloaded",
    status: 503,
  },
  {
    name: "an error after the opening",
    streamed: sse([pieces.chat.opening, errorEvent.chat]),
    kind: "overloaded",
    status: 503,
  },
  {
    name: "a whole error in place of a stream",
    streamed: json(said("Overloaded", { code: 503 })),
    kind: "overloaded",
    status: 503,
  },
  { name: "HTML with status 200", streamed: html, kind: "malformed", status: 200 },
  {
    name: "garbage data",
    streamed: sse(["data: {not json\n\n", "data: more\n\n"]),
    whole: text('{"choices": [', "application/json"),
    kind: "malformed",
    status: null,
  },
  { name: "silence before the headers", streamed: silent, kind: "timeout", status: null },
  {
    name: "silence after the headers",
    streamed: sse([": PROCESSING\n\n"], "open"),
    whole: { ...sse([]), head: { status: 200, headers: { "content-type": "application/json" } }, end: "open" },
    kind: "timeout",
    status: null,
  },
  {
    name: "an error status whose body never ends",
    streamed: { ...sse(["{"], "open"), head: { status: 500, headers: { "content-type": "application/json" } } },
    kind: "upstream",
    status: 500,
  },
  {
    name: "overflow",
    streamed: json(
      said("This model's maximum context length is 8192 tokens. However, you requested 9000 tokens", {
        code: "context_length_exceeded",
      }),
      400,
    ),
    kind: "context-overflow",
    status: 400,
  },
];

/** One candidate that fails, one that answers. */
function setup(bad: Reply, good: Reply) {
  return {
    replies: { bad, good },
    // What shuts a key or an account leaves another provider alone.
    cascade: ["chat:bad", "other:good"],
    timeouts: { first_token_ms: 300, idle_ms: 300 },
  };
}

type FailureRow = (typeof failures)[number];

function expectAttempts(rows: unknown[], { kind, status }: FailureRow): void {
  expect(rows).toMatchObject([
    { number: 1, model: "bad", failure_kind: kind, ...(status === null ? {} : { http_status: status }) },
    { number: 2, model: "good", failure_kind: null, message: null },
  ]);
}

describe.each(failures.map((row) => [row.name, row] as const))("%s", (_name, failure) => {
  test.each(["chat", "messages"] as const)("is invisible in a stream to a %s client", async (client) => {
    await using gateway = await startTestGateway(setup(failure.streamed, sse([streamed("chat")])));
    const response = await gateway.ask(client, "any-model", true);
    const stream = await response.text();
    expect(response.status).toBe(200);
    expect(response.headers.get("x-clutch-served-by")).toBe("other:good");
    if (client === "chat") expect(stream).toBe(streamed("chat"));
    expect(summarise(client, stream)).toMatchObject({ text: answerText, openings: 1, successes: 1, errors: [] });
    const id = response.headers.get("x-clutch-request-id");
    expectAttempts(await gateway.attempts(id), failure);
    expect(await gateway.request(id)).toMatchObject({ status: "completed", attempts: 2, served_by: "other:good" });
    expect(gateway.upstream.models()).toEqual(["bad", "good"]);
    await within(5000, "closing the failed candidate's connection", gateway.upstream.quiet());
  });
});

const wholeFailures = failures.flatMap((row) => {
  const isStream = row.streamed.head?.headers["content-type"] === "text/event-stream";
  const reply = row.whole ?? (isStream ? undefined : row.streamed);
  return reply === undefined ? [] : [[row.name, reply, row] as const];
});

test.each(wholeFailures)("%s is invisible in a whole answer", async (_name, reply, failure) => {
  await using gateway = await startTestGateway(setup(reply, json(whole.chat)));
  const response = await gateway.ask("chat", "any-model", false);
  expect(response.status).toBe(200);
  expect(await response.text()).toBe(JSON.stringify(whole.chat));
  expect(response.headers.get("x-clutch-attempts")).toBe("2");
  expectAttempts(await gateway.attempts(response.headers.get("x-clutch-request-id")), failure);
  await within(5000, "closing the failed candidate's connection", gateway.upstream.quiet());
});

describe("candidates that are never reached", () => {
  test("nobody listens there", async () => {
    await using gateway = await startTestGateway({
      replies: { good: json(whole.chat) },
      cascade: ["dead:bad", "chat:good"],
    });
    const response = await gateway.ask("chat", "any-model", false);
    expect(response.status).toBe(200);
    const [first] = await gateway.attempts(response.headers.get("x-clutch-request-id"));
    expect(first).toMatchObject({ provider: "dead", failure_kind: "network" });
    expect(String(first?.["message"])).toContain("connection refused");
  });

  test("its key is missing", async () => {
    await using gateway = await startTestGateway({
      replies: { good: json(whole.chat) },
      cascade: ["deepseek:bad", "chat:good"],
    });
    const response = await gateway.ask("chat", "any-model", false);
    expect(response.status).toBe(200);
    expect(await gateway.attempts(response.headers.get("x-clutch-request-id"))).toMatchObject([
      { failure_kind: "no-key", message: expect.stringContaining("DEEPSEEK_API_KEY") },
      { failure_kind: null },
    ]);
  });
});

test("candidates of different protocols follow each other", async () => {
  await using gateway = await startTestGateway({
    replies: {
      one: sse([pieces.messages.opening], "cut"),
      two: sse([pieces.responses.opening], "cut"),
      three: sse([streamed("chat")]),
    },
    cascade: ["messages:one", "responses:two", "chat:three"],
  });
  const response = await gateway.ask("messages", "claude-opus-5-5", true);
  expect(summarise("messages", await response.text())).toMatchObject({
    text: answerText,
    openings: 1,
    successes: 1,
    errors: [],
  });
  expect(await gateway.attempts(response.headers.get("x-clutch-request-id"))).toMatchObject([
    { protocol: "messages", failure_kind: "network" },
    { protocol: "responses", failure_kind: "network" },
    { protocol: "chat", failure_kind: null },
  ]);
});

test("reasoning that the client does not see commits nothing", async () => {
  const thinking = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { reasoning_content: "hm" } }] })}\n\n`;
  await using gateway = await startTestGateway({
    replies: { bad: sse([pieces.chat.opening, thinking]), good: sse([streamed("chat")]) },
    cascade: ["chat:bad", "chat:good"],
  });
  const response = await gateway.ask("messages", "claude-opus-5-5", true, {
    body: { thinking: { type: "adaptive", display: "omitted" } },
  });
  expect(response.headers.get("x-clutch-served-by")).toBe("chat:good");
  expect(summarise("messages", await response.text())).toMatchObject({ text: answerText, successes: 1, errors: [] });
});

test("the client's own mistake is told at once, not passed from model to model", async () => {
  await using gateway = await startTestGateway({
    replies: { bad: json(said("temperature: must be at most 2", { code: "bad_value" }), 400), good: json(whole.chat) },
    cascade: ["chat:bad", "chat:good"],
  });
  for (const stream of [false, true]) {
    const response = await gateway.ask("messages", "claude-opus-5-5", stream);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      type: "error",
      error: { type: "invalid_request_error", message: "temperature: must be at most 2" },
    });
    expect(response.headers.get("x-clutch-served-by")).toBeNull();
    expect(await gateway.request(response.headers.get("x-clutch-request-id"))).toMatchObject({
      status: "error",
      http_status: 400,
      attempts: 1,
    });
  }
  expect(gateway.upstream.models()).toEqual(["bad", "bad"]);
});

describe.each(protocols)("to a %s client", (client) => {
  test("the last candidate's empty answer is handed on", async () => {
    await using gateway = await startTestGateway({
      replies: { one: json(said("busy"), 503), two: json(emptyWhole[client]), three: sse([emptyStreamed[client]]) },
      cascade: ["chat:one", `${client}:two`],
      config: { mappings: { streamed: `${client}:three` } },
    });
    const response = await gateway.ask(client, "any-model", false);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual(emptyWhole[client]);
    const stream = await gateway.ask(client, "streamed", true);
    expect(await stream.text()).toBe(emptyStreamed[client]);
    expect(await gateway.request(stream.headers.get("x-clutch-request-id"))).toMatchObject({ status: "completed" });
  });

  test.each([false, true])("exhaustion tells of each candidate and when one is back, streamed: %p", async (stream) => {
    await using gateway = await startTestGateway({
      replies: {
        one: json(said("daily limit"), 429, { "retry-after": "40" }),
        two: json(said("minute limit"), 429, { "x-ratelimit-reset-requests": "1m2.5s" }),
        three: json(said("Overloaded"), 503),
      },
      cascade: ["chat:one", "chat:two", "messages:three"],
    });
    const response = await gateway.ask(client, "any-model", stream);
    expect(response.status).toBe(client === "messages" ? 529 : 503);
    // The third has only failed: it may be another time at any moment.
    expect(response.headers.get("retry-after")).toBe("10");
    expect(response.headers.get("content-type")).toBe("application/json");
    const body: unknown = await response.json();
    const message = at(body, "error", "message");
    expect(message).toContain("1. chat:one: 429 rate-limit (back in 40 s): daily limit");
    expect(message).toContain("2. chat:two: 429 rate-limit (back in 63 s): minute limit");
    expect(message).toContain("3. messages:three: 503 overloaded: Overloaded");
    if (client === "messages") {
      expect(body).toMatchObject({ type: "error", request_id: response.headers.get("x-clutch-request-id") });
    }
    const id = response.headers.get("x-clutch-request-id");
    expect(await gateway.request(id)).toMatchObject({ status: "error", http_status: response.status, attempts: 3 });
    expect(response.headers.get("x-clutch-attempts")).toBe("3");
    expect(await gateway.attempts(id)).toMatchObject([
      { retry_after_ms: 40_000 },
      { retry_after_ms: 62_500 },
      { retry_after_ms: null },
    ]);
  });

  test("all rate-limited is a rate limit", async () => {
    await using gateway = await startTestGateway({
      replies: {
        one: json(said("one"), 429, { "retry-after": "9" }),
        two: json(said("two"), 429, { "retry-after": "5" }),
      },
      cascade: ["chat:one", "chat:two"],
      // Within its patience the gateway would wait for the first of them itself.
      timeouts: { patience_ms: 1000 },
    });
    const response = await gateway.ask(client, "any-model", true);
    expect(response.status).toBe(429);
    expect(response.headers.get("retry-after")).toBe("5");
    expect(at(await response.json(), "error", "type")).toBe("rate_limit_error");
  });

  test("all too small is an overflow in the words that make agents compact", async () => {
    const overflow = json(said("prompt is too long: 210000 tokens > 200000 maximum"), 400);
    await using gateway = await startTestGateway({
      replies: { one: overflow, two: overflow },
      cascade: ["chat:one", "chat:two"],
    });
    const response = await gateway.ask(client, "any-model", true);
    expect(response.status).toBe(400);
    const body: unknown = await response.json();
    if (client === "messages") {
      expect(at(body, "error", "message")).toContain("prompt is too long: 210000 tokens > 200000 maximum");
    } else expect(at(body, "error", "code")).toBe("context_length_exceeded");
  });

  test.each([
    ["401", json(said("bad key"), 401), 401, "authentication_error"],
    ["429", json(said("slow down"), 429, { "retry-after": "12" }), 429, "rate_limit_error"],
    ["a reset", reset, 502, client === "messages" ? "api_error" : "server_error"],
    ["an empty 200", sse([]), 502, client === "messages" ? "api_error" : "server_error"],
    ["HTML", html, 502, client === "messages" ? "api_error" : "server_error"],
    ["an error first", sse([errorEvent.chat]), client === "messages" ? 529 : 503, undefined],
  ] as const)(
    "the only candidate's %s is its own error, mapped and not wrapped",
    async (_name, reply, status, type) => {
      for (const model of ["any-model", "chat:one"]) {
        await using gateway = await startTestGateway({ replies: { one: reply }, cascade: ["chat:one"] });
        const response = await gateway.ask(client, model, true);
        expect(response.status).toBe(status);
        const body: unknown = await response.json();
        expect(at(body, "error", "message")).not.toContain("no model answered");
        expect(at(body, "error", "message")).not.toBe("");
        if (type !== undefined) expect(at(body, "error", "type")).toBe(type);
        expect(response.headers.get("retry-after")).toBe(status === 429 ? "12" : null);
      }
    },
  );
});

test("a slow model is left alone when there is nobody else to ask", async () => {
  const gate = Promise.withResolvers<void>();
  await using gateway = await startTestGateway({
    replies: { slow: sse([": PROCESSING\n\n", gate.promise, streamed("chat")]) },
    cascade: ["chat:slow"],
    timeouts: { first_token_ms: 20, idle_ms: 20 },
  });
  const asked = gateway.ask("chat", "any-model", true);
  await gateway.upstream.received(1);
  // Several times as long as any limit in force.
  await Bun.sleep(120);
  gate.resolve();
  const response = await asked;
  expect(response.status).toBe(200);
  expect(await response.text()).toEndWith(streamed("chat"));
});

test.each([false, true])("an error status whose body never ends is told all the same, streamed: %p", async (stream) => {
  const head = { status: 503, headers: { "content-type": "application/json" } };
  await using gateway = await startTestGateway({
    replies: { one: { head, body: ['{"error":'], end: "open" } },
    timeouts: { first_token_ms: 40, idle_ms: 40 },
  });
  const response = await within(5000, "the error", gateway.ask("chat", "chat:one", stream));
  expect(response.status).toBe(503);
});

test("without any tier the request is told what to set", async () => {
  await using gateway = await startTestGateway({ replies: {} });
  const response = await gateway.ask("responses", "gpt-6", true);
  expect(response.status).toBe(502);
  expect(at(await response.json(), "error", "message")).toContain("model_tiers.BIG.default");
});
