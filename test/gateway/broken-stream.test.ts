import { describe, expect, test } from "bun:test";
import type { Protocol } from "../../src/protocols/chat.ts";
import { answerText, errorEvent, parseEvents, pieces, protocols, streamed, summarise } from "../support/answers.ts";
import { type Reply, sse } from "../support/fake-upstream.ts";
import { startTestGateway, type TestGateway, within } from "../support/gateway.ts";

/** Every client with every upstream: the passed-through ones first. */
const pairs = protocols.flatMap((client) =>
  [client, ...protocols.filter((other) => other !== client)].map((upstream): [Protocol, Protocol] => [
    client,
    upstream,
  ]),
);

/** The bytes of an event that is cut in the middle of its JSON. */
function half(protocol: Protocol): string {
  return pieces[protocol].words("never whole").slice(0, -12);
}

/**
 * What can happen once the client has text: the gate opens when it does, so that the rest is seen after the commit.
 */
const breaks: readonly [string, (upstream: Protocol) => { rest: string; end: Reply["end"] }, kind: string][] = [
  ["is cut between events", () => ({ rest: "", end: "cut" }), "network"],
  ["is reset", () => ({ rest: "", end: "reset" }), "network"],
  ["ends without its terminal event", () => ({ rest: "", end: "complete" }), "malformed"],
  ["is cut in the middle of an event", (upstream) => ({ rest: half(upstream), end: "cut" }), "network"],
  ["ends in the middle of an event", (upstream) => ({ rest: half(upstream), end: "complete" }), "malformed"],
  ["falls silent", () => ({ rest: "", end: "open" }), "timeout"],
  ["falls silent in the middle of an event", (upstream) => ({ rest: half(upstream), end: "open" }), "timeout"],
  ["reports an error", (upstream) => ({ rest: errorEvent[upstream], end: "open" }), "overloaded"],
  ["turns into something else", () => ({ rest: "data: <html>\n\ndata: <body>\n\n", end: "complete" }), "malformed"],
];

async function readBroken(client: Protocol, upstream: Protocol, rest: string, end: Reply["end"]) {
  const gate = Promise.withResolvers<void>();
  const { opening, words } = pieces[upstream];
  const gateway = await startTestGateway({
    replies: { one: sse([opening + words("Grüße "), gate.promise, rest], end), two: sse([streamed(upstream)]) },
    cascade: [`${upstream}:one`, `${upstream}:two`],
    timeouts: { idle_ms: 60 },
  });
  const response = await gateway.ask(client, "any-model", true);
  gate.resolve();
  return { gateway, response, stream: await within(5000, "the end of the stream", response.text()) };
}

async function expectError(client: Protocol, gateway: TestGateway, response: Response, stream: string, kind: string) {
  const summary = summarise(client, stream);
  expect(summary).toMatchObject({ text: "Grüße ", successes: 0, endsInError: true });
  expect(summary.errors).toHaveLength(1);
  expect(stream).toEndWith("\n\n");
  const id = response.headers.get("x-clutch-request-id");
  expect(await gateway.request(id)).toMatchObject({ status: "error", attempts: 1, http_status: 200 });
  expect(await gateway.attempts(id)).toMatchObject([{ model: "one", failure_kind: kind }]);
  expect(gateway.upstream.models()).toEqual(["one"]);
  expect(gateway.gateway.inFlight()).toBe(0);
}

describe.each(pairs)("a %s client's stream from a %s upstream", (client, upstream) => {
  test.each(breaks)("that %s ends in one error event of its own protocol", async (_name, build, kind) => {
    const { rest, end } = build(upstream);
    const { gateway, response, stream } = await readBroken(client, upstream, rest, end);
    await using _ = gateway;
    await expectError(client, gateway, response, stream, kind);
  });

  test("whose words look like terminal events is not ended by them", async () => {
    const words = ["[DONE]", "data: [DONE]\n\n", "event: error\ndata: {}\n\n", "data: x"];
    const { opening, words: say, ending } = pieces[upstream];
    await using gateway = await startTestGateway({
      replies: { one: sse([opening, ...words.map((word) => say(word)), say(answerText) + ending]) },
    });
    const response = await gateway.ask(client, `${upstream}:one`, true);
    expect(summarise(client, await response.text())).toMatchObject({
      text: words.join("") + answerText,
      successes: 1,
      errors: [],
    });
  });

  test.each([
    ["after the commit", true],
    ["in one piece", false],
  ])("ends with its terminal event although the socket stays open, %s", async (_name, isGated) => {
    const gate = Promise.withResolvers<void>();
    const { opening, words, ending } = pieces[upstream];
    const said = opening + words(answerText);
    await using gateway = await startTestGateway({
      replies: { one: sse(isGated ? [said, gate.promise, ending] : [said + ending], "open") },
    });
    const response = await gateway.ask(client, `${upstream}:one`, true);
    gate.resolve();
    const stream = await within(5000, "the end of the stream", response.text());
    if (client === upstream) expect(stream).toBe(said + ending);
    expect(summarise(client, stream)).toMatchObject({ text: answerText, successes: 1, errors: [] });
    expect(gateway.gateway.inFlight()).toBe(0);
    expect(await gateway.request(response.headers.get("x-clutch-request-id"))).toMatchObject({ status: "completed" });
  });

  test("that ends with its terminal event but without the blank line is whole", async () => {
    const stream = streamed(upstream).slice(0, -1);
    await using gateway = await startTestGateway({ replies: { one: sse([stream]) } });
    const response = await gateway.ask(client, `${upstream}:one`, true);
    const told = await response.text();
    // Nothing may follow a terminal event but what makes it one.
    if (client === upstream) expect(told.trimEnd()).toBe(stream.trimEnd());
    else expect(summarise(client, told)).toMatchObject({ text: answerText, successes: 1, errors: [] });
    expect(await gateway.request(response.headers.get("x-clutch-request-id"))).toMatchObject({ status: "completed" });
  });

  test("that reports an error and then ends as if it were whole is no success", async () => {
    const { rest, end } = { rest: errorEvent[upstream] + pieces[upstream].ending, end: "complete" } as const;
    const { gateway, response, stream } = await readBroken(client, upstream, rest, end);
    await using _ = gateway;
    await expectError(client, gateway, response, stream, "overloaded");
  });
});

test("an upstream that keeps its socket open after the last event is left soon", async () => {
  const open = (protocol: Protocol, ending: string) =>
    sse([pieces[protocol].opening + pieces[protocol].words(answerText) + ending], "open");
  const { messages, chat, responses } = pieces;
  await using gateway = await startTestGateway({
    replies: {
      one: open("messages", messages.ending),
      two: open("chat", chat.ending),
      three: open("responses", responses.ending),
      four: open("chat", errorEvent.chat),
      five: sse([pieces.chat.opening + pieces.chat.words(answerText)], "open"),
    },
    timeouts: { idle_ms: 60 },
  });
  const models = ["messages:one", "chat:two", "responses:three", "chat:four", "chat:five"];
  await Promise.all(models.map(async (model) => (await gateway.ask("messages", model, true)).text()));
  expect(gateway.upstream.requests).toHaveLength(models.length);
  await within(5000, "closing the upstream's connections", gateway.upstream.quiet());
});

const bareError = `event: error\ndata: ${JSON.stringify({ type: "error", sequence_number: 5, code: "server_error", message: "Overloaded", param: null })}\n\n`;

test("a Responses client is told of a bare error event in the only way Codex understands", async () => {
  const { gateway, response, stream } = await readBroken("responses", "responses", bareError, "complete");
  await using _ = gateway;
  await expectError("responses", gateway, response, stream, "overloaded");
});

test("a Responses stream has one response.failed, whether the upstream's own follows its error event or not", async () => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  const { opening, words } = pieces.responses;
  await using gateway = await startTestGateway({
    replies: {
      one: sse([opening + words("Grüße "), gates[0].promise, bareError, gates[1].promise, errorEvent.responses]),
    },
  });
  const response = await gateway.ask("responses", "responses:one", true);
  gates[0].resolve();
  const ended = response.text();
  // Time enough for the error event to be read before its successor comes.
  await Bun.sleep(30);
  gates[1].resolve();
  expect(summarise("responses", await ended).errors).toHaveLength(1);
});

test("an error event of ours continues the upstream's numbering and keeps its response id", async () => {
  const { gateway, stream } = await readBroken("responses", "responses", half("responses"), "cut");
  await using _ = gateway;
  const events = parseEvents(stream);
  const numbers = events.flatMap(({ value }) => (value === undefined ? [] : [Number(value["sequence_number"])]));
  expect(numbers).toEqual([0, 1, 2, 3, 4, 5]);
  expect(events.at(-1)?.value).toMatchObject({ response: { id: "resp_up", status: "failed" } });
});

test("a Chat answer that is finished does not wait for more than a moment for the end of its stream", async () => {
  const finish = `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] })}\n\n`;
  const { opening, words } = pieces.chat;
  await using gateway = await startTestGateway({
    replies: { one: sse([opening + words(answerText) + finish], "open") },
    timeouts: { idle_ms: 60_000 },
  });
  const [direct, translated] = await Promise.all([
    gateway.ask("chat", "chat:one", true),
    gateway.ask("messages", "chat:one", true),
  ]);
  const [stream, messages] = await within(
    6000,
    "the end of the stream",
    Promise.all([direct.text(), translated.text()]),
  );
  expect(summarise("chat", stream)).toMatchObject({ text: answerText, errors: [] });
  expect(summarise("messages", messages)).toMatchObject({ text: answerText, successes: 1, errors: [] });
  expect(await gateway.request(direct.headers.get("x-clutch-request-id"))).toMatchObject({ status: "completed" });
}, 10_000);

test.each(["complete", "cut", "reset"] as const)(
  "a finished Chat answer without [DONE] is whole however its connection ends: %s",
  async (end) => {
    const gate = Promise.withResolvers<void>();
    const finish = `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] })}\n\n`;
    const { opening, words } = pieces.chat;
    await using gateway = await startTestGateway({
      replies: { one: sse([opening + words(answerText) + finish, gate.promise], end) },
    });
    const response = await gateway.ask("messages", "chat:one", true);
    gate.resolve();
    expect(summarise("messages", await response.text())).toMatchObject({ text: answerText, successes: 1, errors: [] });
  },
);

test("a client that reads slowly is not taken for a silent upstream", async () => {
  const { opening, words, ending } = pieces.chat;
  const long = words("x".repeat(64 * 1024)).repeat(400);
  await using gateway = await startTestGateway({
    replies: { one: sse([opening + words("a"), long, ending]) },
    timeouts: { idle_ms: 400 },
  });
  const response = await gateway.ask("chat", "chat:one", true);
  await Bun.sleep(1200);
  const stream = await response.text();
  expect(stream.length).toBe(opening.length + words("a").length + long.length + ending.length);
  expect(await gateway.request(response.headers.get("x-clutch-request-id"))).toMatchObject({ status: "completed" });
});
