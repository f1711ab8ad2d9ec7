import { describe, expect, test } from "bun:test";
import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";
import {
  answerText,
  at,
  ledgerUsage,
  parseEvents,
  paths,
  protocols,
  streamed,
  summarise,
  whole,
  wireUsage,
} from "../support/answers.ts";
import { json, sse } from "../support/fake-upstream.ts";
import { startTestGateway } from "../support/gateway.ts";

const weather = {
  name: "get_weather",
  description: "the weather",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

/** A tool round with an image in it, as Claude Code sends one. */
const conversation: JsonObject = {
  system: [{ type: "text", text: "Be brief." }],
  tools: [weather],
  tool_choice: { type: "auto" },
  stop_sequences: ["END"],
  messages: [
    {
      role: "user",
      content: [
        { type: "text", text: "What is this?" },
        { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } },
      ],
    },
    {
      role: "assistant",
      content: [
        { type: "text", text: "Let me look." },
        { type: "tool_use", id: "toolu_1", name: "get_weather", input: { city: "Bonn" } },
      ],
    },
    { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "rain" }] },
  ],
};

const chatCall = { id: "call_9", type: "function", function: { name: "get_weather", arguments: '{"city":"Köln"}' } };

function chatWhole(message: JsonObject, finish: string): JsonObject {
  return { ...whole.chat, choices: [{ index: 0, message: { role: "assistant", ...message }, finish_reason: finish }] };
}

function chatStream(deltas: readonly JsonObject[], finish: string): string {
  const chunk = (delta: JsonObject, label: string | null) =>
    `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason: label }] })}\n\n`;
  const usage = `data: ${JSON.stringify({ id: "c", choices: [], usage: wireUsage.chat })}\n\n`;
  return `${deltas.map((delta) => chunk(delta, null)).join("")}${chunk({}, finish)}${usage}data: [DONE]\n\n`;
}

describe("Messages to a Chat upstream", () => {
  test.each([false, true])("hands the whole conversation over, streamed: %p", async (stream) => {
    const reply = stream ? sse([streamed("chat")]) : json(whole.chat);
    await using gateway = await startTestGateway({ replies: { good: reply } });
    const response = await gateway.ask("messages", "chat:good", stream, {
      body: conversation,
      headers: { "anthropic-beta": "one", "anthropic-version": "2023-06-01" },
    });
    expect(response.status).toBe(200);
    const [request] = gateway.upstream.requests;
    expect(request?.path).toBe(paths.chat);
    expect(request?.headers["anthropic-beta"]).toBeUndefined();
    expect(request?.body).toMatchObject({
      model: "good",
      max_tokens: 64,
      stop: ["END"],
      messages: [
        { role: "system", content: "Be brief." },
        {
          role: "user",
          content: [
            { type: "text", text: "What is this?" },
            { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } },
          ],
        },
        {
          role: "assistant",
          content: "Let me look.",
          tool_calls: [
            { id: "toolu_1", type: "function", function: { name: "get_weather", arguments: '{"city":"Bonn"}' } },
          ],
        },
        { role: "tool", tool_call_id: "toolu_1", content: "rain" },
      ],
      tools: [{ type: "function", function: { name: "get_weather", parameters: weather.input_schema } }],
    });
    expect(request?.body["stream"] ?? false).toBe(stream);
    if (stream) expect(request?.body["stream_options"]).toEqual({ include_usage: true });
  });

  test("gives back text, a call, usage and the stop reason, whole", async () => {
    const answer = chatWhole({ content: answerText, tool_calls: [chatCall] }, "tool_calls");
    await using gateway = await startTestGateway({ replies: { good: json(answer) } });
    const response = await gateway.ask("messages", "chat:good", false, { body: conversation });
    expect(await response.json()).toMatchObject({
      type: "message",
      role: "assistant",
      model: "chat:good",
      content: [
        { type: "text", text: answerText },
        { type: "tool_use", id: "call_9", name: "get_weather", input: { city: "Köln" } },
      ],
      stop_reason: "tool_use",
      usage: wireUsage.messages,
    });
    expect(await gateway.request(response.headers.get("x-clutch-request-id"))).toMatchObject({
      ...ledgerUsage,
      status: "completed",
    });
  });

  test("gives back text, a call, usage and the stop reason, streamed", async () => {
    const [first, second] = ['{"city":', '"Köln"}'];
    const stream = chatStream(
      [
        { role: "assistant", content: "" },
        { content: "Grüße " },
        { content: "🎉!" },
        {
          tool_calls: [{ index: 0, id: "call_9", type: "function", function: { name: "get_weather", arguments: "" } }],
        },
        { tool_calls: [{ index: 0, function: { arguments: first } }] },
        { tool_calls: [{ index: 0, function: { arguments: second } }] },
      ],
      "tool_calls",
    );
    await using gateway = await startTestGateway({ replies: { good: sse([stream]) } });
    const response = await gateway.ask("messages", "chat:good", true, { body: conversation });
    const events = parseEvents(await response.text());
    expect(events.every(({ event, value }) => event === value?.["type"])).toBe(true);
    const told = events.flatMap(({ event, value }) => (event === "ping" ? [] : [[event, value] as const]));
    expect(told.map(([event]) => event)).toEqual([
      "message_start",
      "content_block_start",
      "content_block_delta",
      "content_block_delta",
      "content_block_stop",
      "content_block_start",
      "content_block_delta",
      "content_block_delta",
      "content_block_stop",
      "message_delta",
      "message_stop",
    ]);
    expect(told[0]?.[1]).toMatchObject({ message: { model: "chat:good", content: [], stop_reason: null } });
    expect(told[5]?.[1]).toMatchObject({
      index: 1,
      content_block: { type: "tool_use", id: "call_9", name: "get_weather", input: {} },
    });
    expect(told.map(([, value]) => at(value, "delta", "partial_json")).join("")).toBe('{"city":"Köln"}');
    expect(told[9]?.[1]).toMatchObject({ delta: { stop_reason: "tool_use" }, usage: wireUsage.messages });
    expect(await gateway.request(response.headers.get("x-clutch-request-id"))).toMatchObject({
      ...ledgerUsage,
      status: "completed",
      served_by: "chat:good",
    });
  });

  test.each([
    ["stop", "end_turn"],
    ["length", "max_tokens"],
    ["content_filter", "refusal"],
    // Some servers write `tool_calls` without any call; the answer decides.
    ["tool_calls", "end_turn"],
  ])("turns finish_reason %p into stop_reason %p", async (label, stopReason) => {
    await using gateway = await startTestGateway({
      replies: {
        whole: json(chatWhole({ content: "x" }, label)),
        streamed: sse([chatStream([{ content: "x" }], label)]),
      },
    });
    const response = await gateway.ask("messages", "chat:whole", false);
    expect(await response.json()).toMatchObject({ stop_reason: stopReason });
    const stream = await gateway.ask("messages", "chat:streamed", true);
    const delta = parseEvents(await stream.text()).find(({ event }) => event === "message_delta");
    expect(at(delta?.value, "delta", "stop_reason")).toBe(stopReason);
  });
});

const pairs = protocols.flatMap((client) =>
  protocols.filter((upstream) => upstream !== client).map((upstream): [Protocol, Protocol] => [client, upstream]),
);

describe.each(pairs)("a %s client on a %s upstream", (client, upstream) => {
  test("gets a whole answer with its usage", async () => {
    await using gateway = await startTestGateway({ replies: { good: json(whole[upstream]) } });
    const response = await gateway.ask(client, `${upstream}:good`, false);
    expect(response.status).toBe(200);
    const [request] = gateway.upstream.requests;
    expect(request?.path).toBe(paths[upstream]);
    expect(request?.body["model"]).toBe("good");
    const answer = (await response.json()) as JsonObject;
    expect(JSON.stringify(answer)).toContain(answerText);
    expect(answer["usage"]).toMatchObject(wireUsage[client]);
    expect(await gateway.request(response.headers.get("x-clutch-request-id"))).toMatchObject({
      ...ledgerUsage,
      status: "completed",
      protocol: client,
    });
    expect(await gateway.attempts(response.headers.get("x-clutch-request-id"))).toMatchObject([
      { protocol: upstream, failure_kind: null },
    ]);
  });

  test("gets a stream of its own protocol", async () => {
    await using gateway = await startTestGateway({ replies: { good: sse([streamed(upstream)]) } });
    const response = await gateway.ask(client, `${upstream}:good`, true, {
      body: client === "chat" ? { stream_options: { include_usage: true } } : {},
    });
    const stream = await response.text();
    expect(summarise(client, stream)).toMatchObject({ text: answerText, successes: 1, errors: [], openings: 1 });
    expect(stream.includes("[DONE]")).toBe(client === "chat");
    expect(await gateway.request(response.headers.get("x-clutch-request-id"))).toMatchObject(ledgerUsage);
  });

  test("gets a stream although the upstream answered with one JSON object", async () => {
    await using gateway = await startTestGateway({ replies: { good: json(whole[upstream]) } });
    const response = await gateway.ask(client, `${upstream}:good`, true);
    expect(response.headers.get("content-type")).toStartWith("text/event-stream");
    expect(summarise(client, await response.text())).toMatchObject({ text: answerText, successes: 1, errors: [] });
    expect(await gateway.request(response.headers.get("x-clutch-request-id"))).toMatchObject(ledgerUsage);
  });

  test("gets its upstream's error in its own envelope", async () => {
    await using gateway = await startTestGateway({
      replies: { bad: json({ error: { message: "no such field: frobnicate", code: "bad_field" } }, 422) },
    });
    const response = await gateway.ask(client, `${upstream}:bad`, true);
    expect(response.status).toBe(400);
    const body = (await response.json()) as JsonObject;
    expect(at(body, "error", "message")).toBe("no such field: frobnicate");
    expect(at(body, "error", "type")).toBe("invalid_request_error");
    expect(body["type"]).toBe(client === "messages" ? "error" : undefined);
  });
});
