import { expect, test } from "bun:test";
import { answerText, emptyStreamed, protocols, streamed, summarise, whole } from "../support/answers.ts";
import { json, type Reply, type Script, sse } from "../support/fake-upstream.ts";
import { startTestGateway, type TestGateway, within } from "../support/gateway.ts";

const hedge = { after_ms: 60 };

function start(first: Reply, second: Script[string], config = {}) {
  return startTestGateway({
    replies: { first, second },
    cascade: ["chat:first", "other:second"],
    timeouts: { first_token_ms: 3000, idle_ms: 3000 },
    config: { hedge, ...config },
  });
}

/** Answers when it is told to; nothing before that. */
function held(reply: Reply): { reply: Reply; gate: PromiseWithResolvers<void> } {
  const gate = Promise.withResolvers<void>();
  const { head, body, ...rest } = reply;
  // A head cannot wait, so it is a part of the body.
  const lines = Object.entries(head?.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`);
  const text = body
    .map((piece) => (typeof piece === "string" ? piece : Buffer.from(piece as Uint8Array).toString()))
    .join("");
  const length = lines.some((line) => line.startsWith("content-length"))
    ? ""
    : `content-length: ${Buffer.byteLength(text)}\r\n`;
  const bytes = `HTTP/1.1 ${head?.status} Scripted\r\n${lines.join("")}${length}\r\n${text}`;
  return { gate, reply: { ...rest, body: [gate.promise, bytes] } };
}

async function attemptsOf(gateway: TestGateway, response: Response) {
  const rows = await gateway.attempts(response.headers.get("x-clutch-request-id"));
  return rows.map(({ model, failure_kind: kind }) => `${model}: ${kind ?? "served"}`);
}

test.each(protocols)(
  "a slow first is overtaken, ended and on record, and nobody is blamed: to a %s client",
  async (client) => {
    const slow = held(sse([streamed("chat")]));
    await using gateway = await start(slow.reply, sse([streamed("chat")]));
    const response = await gateway.ask(client, "any-model", true);
    expect(response.headers.get("x-clutch-served-by")).toBe("other:second");
    const stream = await response.text();
    expect(summarise(client, stream)).toMatchObject({ text: answerText, openings: 1, successes: 1, errors: [] });
    await within(5000, "closing the first's connection", gateway.upstream.quiet());
    expect(await attemptsOf(gateway, response)).toEqual(["first: aborted", "second: served"]);
    await gateway.stop(0);
    expect(gateway.circuits()).toEqual({});
  },
);

test("a whole answer is overtaken likewise", async () => {
  const slow = held(json(whole.chat));
  await using gateway = await start(slow.reply, json(whole.chat));
  const response = await gateway.ask("chat", "any-model", false);
  expect(await response.text()).toBe(JSON.stringify(whole.chat));
  expect(await attemptsOf(gateway, response)).toEqual(["first: aborted", "second: served"]);
});

test("a first that answers in time is asked alone", async () => {
  await using gateway = await start(sse([streamed("chat")]), sse([streamed("chat")]));
  const response = await gateway.ask("chat", "any-model", true);
  expect(response.headers.get("x-clutch-served-by")).toBe("chat:first");
  await response.text();
  await Bun.sleep(100);
  expect(gateway.upstream.models()).toEqual(["first"]);
});

test("a first that wins after all ends the second", async () => {
  const one = held(sse([streamed("chat")]));
  const two = held(sse([streamed("chat")]));
  await using gateway = await start(one.reply, two.reply);
  const asked = gateway.ask("chat", "any-model", true);
  await gateway.upstream.received(2);
  one.gate.resolve();
  const response = await asked;
  expect(response.headers.get("x-clutch-served-by")).toBe("chat:first");
  await response.text();
  await within(5000, "closing the second's connection", gateway.upstream.quiet());
  expect(await attemptsOf(gateway, response)).toEqual(["second: aborted", "first: served"]);
});

test("a second that fails, or says nothing, leaves the first its chance", async () => {
  for (const bad of [json({ error: { message: "busy" } }, 503), sse([emptyStreamed.chat])]) {
    const slow = held(sse([streamed("chat")]));
    await using gateway = await start(slow.reply, bad);
    const asked = gateway.ask("chat", "any-model", true);
    await gateway.upstream.received(2);
    await Bun.sleep(30);
    slow.gate.resolve();
    const response = await asked;
    expect(response.headers.get("x-clutch-served-by")).toBe("chat:first");
    expect(await response.text()).toBe(streamed("chat"));
    expect(await attemptsOf(gateway, response)).toEqual([
      expect.stringMatching(/^second: (overloaded|empty)$/),
      "first: served",
    ]);
  }
});

test("the client's own mistake ends both, each on record once", async () => {
  const wrong = held(json({ error: { message: "messages: roles must alternate" } }, 400));
  await using gateway = await start(wrong.reply, held(json(whole.chat)).reply);
  const asked = gateway.ask("chat", "any-model", false);
  await gateway.upstream.received(2);
  wrong.gate.resolve();
  const response = await asked;
  expect(response.status).toBe(400);
  expect(await attemptsOf(gateway, response)).toEqual(["first: bad-request", "second: aborted"]);
  await within(5000, "closing the second's connection", gateway.upstream.quiet());
});

test("a client that leaves takes both with it", async () => {
  await using gateway = await start(held(json(whole.chat)).reply, held(json(whole.chat)).reply);
  const leaving = new AbortController();
  const asked = gateway.ask("chat", "any-model", false, { signal: leaving.signal });
  await gateway.upstream.received(2);
  await Bun.sleep(40);
  leaving.abort();
  await asked.catch(() => {});
  await within(5000, "closing both connections", gateway.upstream.quiet());
  const { id } = await gateway.onlyRequest();
  expect((await gateway.attempts(String(id))).map(({ failure_kind: kind }) => kind)).toEqual(["aborted", "aborted"]);
});

test("without hedging nobody is asked beside the first", async () => {
  const slow = held(json(whole.chat));
  await using gateway = await start(slow.reply, json(whole.chat), { hedge: { after_ms: 0 } });
  const asked = gateway.ask("chat", "any-model", false);
  await gateway.upstream.received(1);
  await Bun.sleep(150);
  slow.gate.resolve();
  expect((await asked).headers.get("x-clutch-served-by")).toBe("chat:first");
  expect(gateway.upstream.models()).toEqual(["first"]);
});
