import { describe, expect, test } from "bun:test";
import type { ChatEvent, ChatRequest } from "../../../src/protocols/chat.ts";
import { openaiChat } from "../../../src/protocols/openai-chat/index.ts";
import { renderSse } from "../../../src/protocols/sse.ts";
import { decodeSlices, encodeEvents, fixtureBytes, plainDecode, replyTo } from "./support.ts";

const usage = { input: 4, cacheRead: 16, cacheWrite: 2, output: 8, reasoning: 3 };

/** The deltas of the chunks, `finish:` and `usage:` for the special ones, and the text of what is no chunk. */
function outline(events: ChatEvent[], request: Partial<ChatRequest> = {}): unknown[] {
  return encodeEvents(events, replyTo(request)).map(({ event, data }) => {
    expect(event).toBeUndefined();
    if (data === "[DONE]") return data;
    const { choices, ...envelope } = JSON.parse(data);
    expect(envelope).toMatchObject({
      id: "chatcmpl-abc1",
      object: "chat.completion.chunk",
      created: 1763600000,
      model: "client-model",
    });
    if (choices.length === 0) return { usage: envelope.usage };
    const [{ index, delta, finish_reason }] = choices;
    expect([choices.length, index]).toEqual([1, 0]);
    return finish_reason === null ? delta : { delta, finish_reason };
  });
}

const first = { role: "assistant", content: "" };
const stop = { delta: {}, finish_reason: "stop" };
const toolCalls = { delta: {}, finish_reason: "tool_calls" };
const customTool = { name: "patch", parameters: {}, origin: { kind: "custom", childName: "patch" } } as const;

describe("streamEncoder()", () => {
  const rows: [string, ChatEvent[], Partial<ChatRequest>, unknown[]][] = [
    [
      "writes text, and usage where it was asked for",
      [
        { type: "start", id: "up", model: "up-model" },
        { type: "text-delta", text: 'say "hi"\n' },
        { type: "text-delta", text: "世界" },
        { type: "text-end" },
        { type: "finish", reason: "stop", usage },
      ],
      { includeUsage: true },
      [
        first,
        { content: 'say "hi"\n' },
        { content: "世界" },
        stop,
        {
          usage: {
            prompt_tokens: 22,
            completion_tokens: 8,
            total_tokens: 30,
            prompt_tokens_details: { cached_tokens: 16, cache_write_tokens: 2 },
            completion_tokens_details: { reasoning_tokens: 3 },
          },
        },
        "[DONE]",
      ],
    ],
    [
      "leaves usage out otherwise",
      [
        { type: "usage", usage },
        { type: "finish", reason: "stop" },
      ],
      { includeUsage: false },
      [first, stop, "[DONE]"],
    ],
    [
      "numbers calls, lets them interleave, and gives one without arguments {}",
      [
        { type: "tool-start", call: 0, id: "a", name: "read" },
        { type: "tool-start", call: 1, id: "b", name: "list" },
        { type: "tool-delta", call: 0, json: '{"p":' },
        { type: "tool-delta", call: 0, json: '"x"}' },
        { type: "tool-end", call: 0 },
        { type: "tool-end", call: 1 },
        { type: "finish", reason: "tool-calls" },
      ],
      {},
      [
        first,
        { tool_calls: [{ index: 0, id: "a", type: "function", function: { name: "read", arguments: "" } }] },
        { tool_calls: [{ index: 1, id: "b", type: "function", function: { name: "list", arguments: "" } }] },
        { tool_calls: [{ index: 0, function: { arguments: '{"p":' } }] },
        { tool_calls: [{ index: 0, function: { arguments: '"x"}' } }] },
        { tool_calls: [{ index: 1, function: { arguments: "{}" } }] },
        toolCalls,
        "[DONE]",
      ],
    ],
    [
      "gives a custom tool its raw text, whole",
      [
        { type: "tool-start", call: 0, id: "a", name: "patch" },
        { type: "tool-delta", call: 0, json: '{"input":"*** Beg' },
        { type: "tool-delta", call: 0, json: 'in"}' },
        { type: "tool-end", call: 0 },
        { type: "finish", reason: "tool-calls" },
      ],
      { tools: [customTool] },
      [
        first,
        { tool_calls: [{ index: 0, id: "a", type: "custom", custom: { name: "patch", input: "*** Begin" } }] },
        toolCalls,
        "[DONE]",
      ],
    ],
    [
      "shows reasoning, with Anthropic's signatures in reasoning_details",
      [
        { type: "reasoning-delta", text: "hm, " },
        { type: "reasoning-delta", text: "yes" },
        { type: "reasoning-end", replay: { kind: "anthropic", signature: "sig" } },
        { type: "reasoning-end", replay: { kind: "redacted", data: "xyz" } },
        { type: "reasoning-delta", text: "other" },
        { type: "reasoning-end", replay: { kind: "openai", encrypted: "enc" } },
        { type: "text-delta", text: "Yes." },
        { type: "finish", reason: "stop-sequence", stopSequence: "!" },
      ],
      {},
      [
        first,
        { reasoning_content: "hm, " },
        { reasoning_content: "yes" },
        {
          reasoning_details: [
            { type: "reasoning.text", text: "hm, yes", signature: "sig", format: "anthropic-claude-v1", index: 0 },
          ],
        },
        {
          reasoning_details: [{ type: "reasoning.encrypted", data: "xyz", format: "anthropic-claude-v1", index: 1 }],
        },
        { reasoning_content: "other" },
        { content: "Yes." },
        stop,
        "[DONE]",
      ],
    ],
    [
      "parts texts that something stood between, and joins those that follow each other",
      [
        { type: "text-delta", text: "a" },
        { type: "text-end" },
        { type: "text-delta", text: "b" },
        { type: "text-end" },
        { type: "opaque" },
        { type: "text-delta", text: "c" },
        { type: "text-end" },
        { type: "finish", reason: "pause" },
      ],
      {},
      [first, { content: "a" }, { content: "b" }, { content: "\n\nc" }, stop, "[DONE]"],
    ],
    [
      "writes refusals",
      [
        { type: "refusal-delta", text: "No." },
        { type: "finish", reason: "content-filter" },
      ],
      {},
      [first, { refusal: "No." }, { delta: {}, finish_reason: "content_filter" }, "[DONE]"],
    ],
    [
      "calls a full context window length",
      [{ type: "finish", reason: "context-window" }],
      {},
      [first, { delta: {}, finish_reason: "length" }, "[DONE]"],
    ],
  ];
  test.each(rows)("%s", (_, events, request, expected) => {
    expect(outline(events, request)).toEqual(expected);
  });

  test("open() writes the first chunk, which later events do not repeat", () => {
    const encoder = openaiChat.streamEncoder(replyTo());
    expect(encoder.open().map(renderSse)).toEqual([
      'data: {"id":"chatcmpl-abc1","object":"chat.completion.chunk","created":1763600000,"model":"client-model","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n',
    ]);
    expect(encoder.open()).toEqual([]);
    expect(encoder.push({ type: "start", id: "up" })).toEqual([]);
    expect(encoder.push({ type: "text-delta", text: "x" })).toHaveLength(1);
  });

  test("a failure is the last event: no [DONE], no finish reason", () => {
    const encoder = openaiChat.streamEncoder(replyTo({ includeUsage: true }));
    encoder.push({ type: "text-delta", text: "x" });
    expect(encoder.fail({ kind: "upstream", message: "connection lost (server error)" })).toEqual([
      {
        data: '{"error":{"message":"connection lost (server error)","type":"server_error","code":null,"param":null}}',
      },
    ]);
    expect(encoder.end()).toEqual([]);
  });

  test.each([
    "openai-text.sse",
    "parallel-calls.sse",
    "deepseek-reasoning.sse",
    "openrouter-details.sse",
    "refusal.sse",
  ])("what it writes of %s reads as the same answer", (fixture) => {
    const decoded = decodeSlices([fixtureBytes(fixture)]);
    const written = encodeEvents(decoded, replyTo({ includeUsage: true }))
      .map(renderSse)
      .join("");
    const again = decodeSlices([new TextEncoder().encode(written)], plainDecode);
    const isMetered = decoded.some((event) => event.type === "finish" && event.usage !== undefined);
    expect(gist(again, isMetered)).toEqual(gist(decoded, isMetered));
  });

  test("usage that the upstream did not tell is guessed, so that an agent can compact", () => {
    const decoded = decodeSlices([fixtureBytes("refusal.sse")]);
    const written = encodeEvents(decoded, { ...replyTo({ includeUsage: true }), estimatedInputTokens: 321 });
    const usage = written
      .map(({ data }) => (data === "[DONE]" ? {} : JSON.parse(data)).usage)
      .find((told) => told !== undefined);
    expect(usage).toMatchObject({ prompt_tokens: 321, total_tokens: 321 + usage.completion_tokens });
  });
});

/** What survives: everything but ids of the stream, cost, and the field that reasoning came in. */
function gist(events: ChatEvent[], isMetered: boolean): unknown[] {
  return events.slice(1).map((event) => {
    if (event.type === "reasoning-end" && event.replay?.kind === "field") return { type: event.type };
    if (event.type !== "finish" || event.usage === undefined) return event;
    if (!isMetered) return { type: event.type, reason: event.reason };
    return { ...event, usage: { ...event.usage, costUsd: undefined } };
  });
}
