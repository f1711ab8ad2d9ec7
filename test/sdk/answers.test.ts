/** The official SDKs, which are strict about what they read, on every pair of client and upstream protocol. */

import { describe, expect, test } from "bun:test";
import type { Protocol } from "../../src/protocols/chat.ts";
import { answerText, protocols, wireUsage } from "../support/answers.ts";
import { json, sse } from "../support/fake-upstream.ts";
import { startTestGateway } from "../support/gateway.ts";
import { type RichAnswer, richStream, richWhole } from "../support/rich-answers.ts";
import { sdkClients, type Understood } from "./clients.ts";

const pairs = protocols.flatMap((client) => protocols.map((upstream): [Protocol, Protocol] => [client, upstream]));

const weather = { id: "call_w", name: "get_weather", arguments: '{"city":"Köln 🎉"}' };
const time = { id: "call_t", name: "get_time", arguments: '{"city":"東京"}' };

type Expected = Pick<Understood, "text" | "reasoning" | "calls"> & { stop: Record<Protocol, string> };

const called = { messages: "tool_use", chat: "tool_calls", responses: "completed" };

const scenarios: readonly { name: string; answer: RichAnswer; expected: Expected }[] = [
  {
    name: "text",
    answer: { text: answerText },
    expected: {
      text: answerText,
      reasoning: "",
      calls: [],
      stop: { messages: "end_turn", chat: "stop", responses: "completed" },
    },
  },
  {
    name: "a tool call alone",
    answer: { calls: [weather] },
    expected: {
      text: "",
      reasoning: "",
      calls: [{ id: "call_w", name: "get_weather", arguments: { city: "Köln 🎉" } }],
      stop: called,
    },
  },
  {
    name: "reasoning, text and two parallel calls",
    answer: { reasoning: "First, the city.", replay: "opaque", text: answerText, calls: [weather, time] },
    expected: {
      text: answerText,
      reasoning: "First, the city.",
      calls: [
        { id: "call_w", name: "get_weather", arguments: { city: "Köln 🎉" } },
        { id: "call_t", name: "get_time", arguments: { city: "東京" } },
      ],
      stop: called,
    },
  },
  {
    name: "a text that was cut off by its limit",
    answer: { text: answerText, stop: "length" },
    expected: {
      text: answerText,
      reasoning: "",
      calls: [],
      stop: { messages: "max_tokens", chat: "length", responses: "max_output_tokens" },
    },
  },
  {
    name: "a refusal by a filter",
    answer: { text: "No.", stop: "filter" },
    expected: {
      text: "No.",
      reasoning: "",
      calls: [],
      stop: { messages: "refusal", chat: "content_filter", responses: "content_filter" },
    },
  },
];

describe.each(pairs)("the SDK of %s on a %s upstream", (client, upstream) => {
  test.each(
    scenarios.flatMap(({ name, answer, expected }) => [
      [name, "streamed", answer, expected] as const,
      [name, "whole", answer, expected] as const,
    ]),
  )("reads %s, %s", async (_name, way, answer, { stop, ...said }) => {
    const isStream = way === "streamed";
    const reply = isStream ? sse([richStream(upstream, answer)]) : json(richWhole(upstream, answer));
    await using gateway = await startTestGateway({ replies: { good: reply } });
    const { usage, model, ...understood } = await sdkClients[client](gateway.url, `${upstream}:good`, isStream);
    expect(understood).toEqual({ ...said, stop: stop[client] });
    expect(usage).toMatchObject(wireUsage[client]);
    expect(model).toBe(client === upstream ? "up-model" : `${upstream}:good`);
  });

  test("reads a stream that was opened before the upstream had answered", async () => {
    const opened = Promise.withResolvers<void>();
    const answer = { reasoning: "First, the city.", replay: "opaque", text: answerText, calls: [weather] };
    await using gateway = await startTestGateway({
      replies: { slow: sse([opened.promise, richStream(upstream, answer)]) },
      timeouts: { patience_ms: 20 },
    });
    const understood = await sdkClients[client](gateway.url, `${upstream}:slow`, true, opened.resolve);
    expect(understood).toMatchObject({ text: answerText, reasoning: "First, the city.", stop: called[client] });
    expect(understood.calls).toEqual([{ id: "call_w", name: "get_weather", arguments: { city: "Köln 🎉" } }]);
    expect(understood.usage).toMatchObject(wireUsage[client]);
  });
});
