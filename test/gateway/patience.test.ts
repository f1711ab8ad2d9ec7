import { describe, expect, test } from "bun:test";
import type { Protocol } from "../../src/protocols/chat.ts";
import { answerText, parseEvents, pieces, protocols, streamed, summarise, whole } from "../support/answers.ts";
import { json, type Reply, reset, sse } from "../support/fake-upstream.ts";
import { type GatewaySetup, startTestGateway } from "../support/gateway.ts";

const timeouts = { patience_ms: 25 };

const pairs = protocols.flatMap((client) =>
  [client, ...protocols.filter((other) => other !== client)].map((upstream): [Protocol, Protocol] => [
    client,
    upstream,
  ]),
);

/** Reads what the client has been sent so far, and on request the rest. */
async function openStream(response: Response) {
  const reader = (response.body ?? new ReadableStream<Uint8Array>()).getReader();
  const decoder = new TextDecoder();
  const first = await reader.read();
  const opening = decoder.decode(first.value, { stream: true });
  return {
    opening,
    async next() {
      return decoder.decode((await reader.read()).value, { stream: true });
    },
    async rest() {
      let text = "";
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        text += decoder.decode(read.value, { stream: true });
      }
      return text;
    },
  };
}

/** A cascade whose outcome waits for the gate, until after the client's stream has been opened. */
function slow(upstream: Protocol, reply: (gate: Promise<void>) => Reply, setup: Partial<GatewaySetup> = {}) {
  const gate = Promise.withResolvers<void>();
  return {
    gate,
    setup: {
      replies: { first: { ...json({}, 503), body: [] }, slow: reply(gate.promise) },
      cascade: [`${upstream}:slow`],
      timeouts,
      ...setup,
    } satisfies GatewaySetup,
  };
}

describe.each(pairs)("a %s client that waits for a %s upstream", (client, upstream) => {
  test("gets its protocol's neutral opening, once, and then the answer", async () => {
    const { gate, setup } = slow(upstream, (opened) => sse([opened, streamed(upstream)]));
    await using gateway = await startTestGateway(setup);
    const response = await gateway.ask(client, "any-model", true);
    expect(response.status).toBe(200);
    expect(response.headers.get("x-clutch-served-by")).toBe("pending");
    expect(response.headers.get("x-clutch-request-id")).toMatch(/^[a-z0-9]{14}$/);
    const { opening, rest } = await openStream(response);
    const first = parseEvents(opening);
    if (client === "messages") {
      expect(first.map(({ event }) => event)).toEqual(["message_start"]);
      expect(first[0]?.value).toMatchObject({ message: { model: "any-model", content: [], stop_reason: null } });
    } else if (client === "responses") {
      expect(first.map(({ event }) => event)).toEqual(["response.created", "response.in_progress"]);
      expect(first[0]?.value).toMatchObject({ sequence_number: 0, response: { status: "in_progress", output: [] } });
    } else expect(first[0]?.value).toMatchObject({ choices: [{ delta: { role: "assistant", content: "" } }] });

    gate.resolve();
    const stream = opening + (await rest());
    const summary = summarise(client, stream);
    expect(summary).toMatchObject({ text: answerText, successes: 1, errors: [] });
    // A second role chunk of a passed-through Chat stream changes nothing for its client.
    if (client !== "chat" || upstream !== "chat") expect(summary.openings).toBe(1);
    if (client === "responses") {
      const numbers = parseEvents(stream).map(({ value }) => Number(value?.["sequence_number"]));
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      expect(new Set(numbers).size).toBe(numbers.length);
      expect(parseEvents(stream).filter(({ event }) => event === "response.in_progress")).toHaveLength(1);
    }
    expect(await gateway.request(response.headers.get("x-clutch-request-id"))).toMatchObject({
      status: "completed",
      served_by: `${upstream}:slow`,
      attempts: 1,
      input_tokens: 100,
    });
  });

  test.each([
    ["breaks before it has said anything", (gate: Promise<void>) => ({ ...reset, body: [gate] })],
    ["answers an error status", (gate: Promise<void>) => ({ ...reset, ...heldJson(gate, 503) })],
  ])("is told in an error event when the last candidate %s", async (_name, reply) => {
    const { gate, setup } = slow(upstream, reply);
    await using gateway = await startTestGateway(setup);
    const response = await gateway.ask(client, "any-model", true);
    const { opening, rest } = await openStream(response);
    gate.resolve();
    const stream = opening + (await rest());
    const summary = summarise(client, stream);
    expect(summary).toMatchObject({ text: "", openings: 1, successes: 0, endsInError: true });
    expect(summary.errors).toHaveLength(1);
    const id = response.headers.get("x-clutch-request-id");
    expect(await gateway.request(id)).toMatchObject({ status: "error", http_status: 200, attempts: 1 });
    expect(gateway.gateway.inFlight()).toBe(0);
  });

  test("is told in an error event when the stream breaks after the opening", async () => {
    const broken = pieces[upstream].opening + pieces[upstream].words("Grüße ");
    const read = Promise.withResolvers<void>();
    const { gate, setup } = slow(upstream, (opened) => sse([opened, broken, read.promise], "cut"));
    await using gateway = await startTestGateway(setup);
    const response = await gateway.ask(client, "any-model", true);
    const { opening, next, rest } = await openStream(response);
    gate.resolve();
    const said = await next();
    read.resolve();
    const stream = opening + said + (await rest());
    const summary = summarise(client, stream);
    expect(summary).toMatchObject({ text: "Grüße ", successes: 0, endsInError: true });
    expect(summary.errors).toHaveLength(1);
    if (client === "responses") {
      const events = parseEvents(stream);
      const ids = [events.at(0), events.at(-1)].map((event) => event?.value?.["response"]);
      expect(ids[1]).toMatchObject({ id: (ids[0] as { id: string }).id });
      const numbers = events.map(({ value }) => Number(value?.["sequence_number"]));
      expect(new Set(numbers).size).toBe(numbers.length);
    }
    expect(await gateway.request(response.headers.get("x-clutch-request-id"))).toMatchObject({ status: "error" });
  });

  test("gets a whole JSON answer of the upstream as a stream", async () => {
    const { gate, setup } = slow(upstream, (opened) => {
      const reply = json(whole[upstream]);
      return { ...reply, body: [opened, ...reply.body] };
    });
    await using gateway = await startTestGateway(setup);
    const response = await gateway.ask(client, "any-model", true);
    const { opening, rest } = await openStream(response);
    gate.resolve();
    expect(summarise(client, opening + (await rest()))).toMatchObject({
      text: answerText,
      openings: 1,
      successes: 1,
      errors: [],
    });
  });
});

function heldJson(gate: Promise<void>, status: number): Reply {
  const reply = json({ error: { message: "Overloaded" } }, status);
  return { ...reply, body: [gate, ...reply.body] };
}

describe.each(protocols)("while a %s client waits", (client) => {
  test("the cascade goes on behind the opened stream", async () => {
    const gate = Promise.withResolvers<void>();
    const held = (reply: Reply): Reply => ({ ...reply, body: [gate.promise, ...reply.body] });
    await using gateway = await startTestGateway({
      replies: {
        one: held(sse([])),
        two: json({ error: { message: "Overloaded" } }, 529),
        three: sse([streamed("messages")]),
      },
      cascade: ["chat:one", "responses:two", "messages:three"],
      timeouts,
    });
    const response = await gateway.ask(client, "any-model", true);
    const { opening, rest } = await openStream(response);
    gate.resolve();
    expect(summarise(client, opening + (await rest()))).toMatchObject({
      text: answerText,
      openings: 1,
      successes: 1,
      errors: [],
    });
    expect(await gateway.attempts(response.headers.get("x-clutch-request-id"))).toMatchObject([
      { failure_kind: "empty" },
      { failure_kind: "overloaded" },
      { failure_kind: null },
    ]);
  });

  test("exhaustion names every candidate in the error event", async () => {
    const gate = Promise.withResolvers<void>();
    await using gateway = await startTestGateway({
      replies: { one: heldJson(gate.promise, 503), two: json({ error: { message: "bad key" } }, 401) },
      cascade: ["chat:one", "chat:two"],
      timeouts,
    });
    const response = await gateway.ask(client, "any-model", true);
    const { opening, rest } = await openStream(response);
    gate.resolve();
    const { errors } = summarise(client, opening + (await rest()));
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain("1. chat:one: 503 overloaded: Overloaded; 2. chat:two: 401 auth: bad key");
  });

  test("a whole answer is not opened early", async () => {
    const gate = Promise.withResolvers<void>();
    await using gateway = await startTestGateway({
      replies: { one: heldJson(gate.promise, 429) },
      cascade: ["chat:one"],
      timeouts: { patience_ms: 1 },
    });
    const asked = gateway.ask(client, "any-model", false);
    await gateway.upstream.received(1);
    await Bun.sleep(20);
    gate.resolve();
    expect((await asked).status).toBe(429);
  });
});

test("a quick failure is a plain HTTP error", async () => {
  await using gateway = await startTestGateway({
    replies: { one: json({ error: { message: "slow down" } }, 429, { "retry-after": "3" }) },
    cascade: ["chat:one"],
    timeouts: { patience_ms: 5000 },
  });
  const response = await gateway.ask("messages", "any-model", true);
  expect(response.status).toBe(429);
  expect(response.headers.get("retry-after")).toBe("3");
});

test("a request that cannot be read is not opened early but refused", async () => {
  const gate = Promise.withResolvers<void>();
  await using gateway = await startTestGateway({
    replies: { one: heldJson(gate.promise, 400) },
    cascade: ["messages:one"],
    timeouts,
  });
  const asked = gateway.ask("messages", "any-model", true, { body: { messages: "not a list" } });
  await gateway.upstream.received(1);
  await Bun.sleep(60);
  gate.resolve();
  const response = await asked;
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ error: { message: "Overloaded" } });
});
