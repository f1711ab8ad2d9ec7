import { describe, expect, test } from "bun:test";
import { anthropicMessages } from "../../../src/protocols/anthropic-messages/index.ts";
import type { ChatEvent } from "../../../src/protocols/chat.ts";
import { decodeContext, decodePieces, fixtures, randomPieces, singleBytes } from "./support.ts";

const incomplete: ChatEvent = {
  type: "error",
  error: {
    kind: "incomplete",
    message: "connection lost: the upstream ended its stream early (server error)",
    code: "ECONNRESET",
  },
};

const startUsage = { input: 12, cacheRead: 2000, cacheWrite: 100, output: 1, reasoning: 0 };

const streams: Record<string, ChatEvent[]> = {
  "thinking-and-tools.sse": [
    { type: "start", id: "msg_01Up", model: "claude-sonnet-5-20260901", usage: startUsage },
    { type: "reasoning-delta", text: "Two files, " },
    { type: "reasoning-delta", text: "one read each." },
    { type: "reasoning-end", replay: { kind: "anthropic", signature: "EqQBsignature==" } },
    { type: "text-delta", text: "Größe prüfen 👍" },
    { type: "text-delta", text: " data: [DONE]\n\nnow" },
    { type: "text-end" },
    { type: "tool-start", call: 0, id: "toolu_01", name: "Read" },
    { type: "tool-delta", call: 0, json: '{"path": "a' },
    { type: "tool-delta", call: 0, json: '.txt"}' },
    { type: "tool-end", call: 0 },
    { type: "tool-start", call: 1, id: "toolu_02", name: "files.list" },
    { type: "tool-delta", call: 1, json: "{}" },
    { type: "tool-end", call: 1 },
    { type: "finish", reason: "tool-calls", usage: { ...startUsage, output: 87, reasoning: 20 } },
  ],
  "server-tool.sse": [
    {
      type: "start",
      id: "msg_01Up",
      model: "claude-sonnet-5-20260901",
      usage: { input: 50, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 },
    },
    { type: "text-delta", text: "Searching." },
    { type: "text-end" },
    { type: "opaque" },
    { type: "opaque" },
    { type: "reasoning-end", replay: { kind: "redacted", data: "opaque==" } },
    { type: "text-delta", text: "Found it." },
    { type: "text-end" },
    {
      type: "finish",
      reason: "stop-sequence",
      stopSequence: "END",
      usage: { input: 900, cacheRead: 0, cacheWrite: 0, output: 30, reasoning: 0 },
    },
  ],
  "sloppy-server.sse": [
    {
      type: "start",
      id: "msg_01Up",
      model: "claude-sonnet-5-20260901",
      usage: { input: 7, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 },
    },
    { type: "reasoning-delta", text: "hm" },
    { type: "reasoning-end" },
    { type: "text-delta", text: "ok" },
    { type: "tool-start", call: 0, id: "call_9", name: "Read" },
    { type: "text-end" },
    { type: "tool-delta", call: 0, json: '{"path":"b.txt"}' },
    { type: "tool-end", call: 0 },
    { type: "finish", reason: "tool-calls", usage: { input: 7, cacheRead: 0, cacheWrite: 0, output: 5, reasoning: 0 } },
  ],
  "overloaded.sse": [
    {
      type: "start",
      id: "msg_01Up",
      model: "claude-sonnet-5-20260901",
      usage: { input: 7, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 },
    },
    { type: "text-delta", text: "half" },
    { type: "error", error: { kind: "reported", message: "Overloaded", code: "overloaded_error", status: 529 } },
  ],
};

const context = decodeContext([["List", "files.list"]]);

describe.each(Object.entries(streams))("the stream %s", (name, expected) => {
  const load = () => Bun.file(`${fixtures}${name}`).bytes();

  test("is read whole", async () => {
    expect(decodePieces([await load()], context)).toEqual(expected);
  });

  test("is read the same byte by byte", async () => {
    expect(decodePieces(singleBytes(await load()), context)).toEqual(expected);
  });

  test("is read the same in random pieces", async () => {
    const bytes = await load();
    const first = Math.floor(Math.random() * 2 ** 31);
    console.log(`seeds from ${first}`);
    for (let seed = first; seed < first + 50; seed++) {
      expect({ seed, events: decodePieces(randomPieces(bytes, seed), context) }).toEqual({ seed, events: expected });
    }
  });

  test("is read the same with CRLF line ends", async () => {
    const text = new TextDecoder().decode(await load()).replaceAll("\n", "\r\n");
    expect(decodePieces([new TextEncoder().encode(text)], context)).toEqual(expected);
  });
});

test("a stream cut after any of its events but the last ends in an error and never in a finish", async () => {
  const text = await Bun.file(`${fixtures}thinking-and-tools.sse`).text();
  const events = text.split("\n\n").filter((event) => event !== "");
  for (let kept = 0; kept < events.length - 1; kept++) {
    const cut = new TextEncoder().encode(
      events
        .slice(0, kept)
        .map((event) => `${event}\n\n`)
        .join(""),
    );
    const decoded = decodePieces([cut], context);
    expect(decoded.at(-1)).toEqual(incomplete);
    expect(decoded.filter(({ type }) => type === "error" || type === "finish")).toHaveLength(1);
  }
});

test("a last event without its blank line still counts", () => {
  const bytes = new TextEncoder().encode('data: {"type":"message_stop"}');
  expect(decodePieces([bytes])).toEqual([{ type: "finish", reason: "stop" }]);
});

const thinking = {
  type: "content_block_start",
  index: 0,
  content_block: { type: "thinking", thinking: "", signature: "s" },
};
const oneEvents: [string, unknown[], ChatEvent[]][] = [
  ["nothing", [], [incomplete]],
  ["[DONE] and nothing else", ["[DONE]"], [incomplete]],
  ["values that are no objects", [1, null, "text", []], [incomplete]],
  [
    "an error object beside other fields",
    [{ type: "message_delta", delta: { stop_reason: "end_turn" }, error: { message: "boom", code: "internal" } }],
    [{ type: "error", error: { kind: "reported", message: "boom", code: "internal" } }],
  ],
  ["an error that is a string", [{ error: "boom" }], [{ type: "error", error: { kind: "reported", message: "boom" } }]],
  [
    "an error event without an error object",
    [{ type: "error", message: "boom" }],
    [{ type: "error", error: { kind: "reported", message: "boom" } }],
  ],
  [
    "a rate limit",
    [{ type: "error", error: { type: "rate_limit_error", message: "slow" } }],
    [{ type: "error", error: { kind: "reported", message: "slow", code: "rate_limit_error", status: 429 } }],
  ],
  [
    "anything after the end",
    [{ type: "message_stop" }, { type: "error", error: { message: "late" } }, { type: "message_stop" }],
    [{ type: "finish", reason: "stop" }],
  ],
  [
    "an unknown stop reason",
    [{ type: "message_delta", delta: { stop_reason: "novelty" } }, { type: "message_stop" }],
    [{ type: "finish", reason: "stop" }],
  ],
  [
    "tool_use without a call",
    [{ type: "message_delta", delta: { stop_reason: "tool_use" } }, { type: "message_stop" }],
    [{ type: "finish", reason: "stop" }],
  ],
  [
    "a refusal",
    [{ type: "message_delta", delta: { stop_reason: "refusal" } }, { type: "message_stop" }],
    [{ type: "finish", reason: "content-filter" }],
  ],
  [
    "a signature in the start event, and a text that starts before thinking has stopped",
    [
      thinking,
      { type: "content_block_start", index: 1, content_block: { type: "text", text: "t" } },
      { type: "content_block_stop", index: 0 },
      { type: "content_block_stop", index: 1 },
      { type: "message_stop" },
    ],
    [
      { type: "reasoning-end", replay: { kind: "anthropic", signature: "s" } },
      { type: "text-delta", text: "t" },
      { type: "text-end" },
      { type: "finish", reason: "stop" },
    ],
  ],
  [
    "text without a start event, at an absurd index",
    [
      { type: "content_block_delta", index: 1e9, delta: { type: "text_delta", text: "t" } },
      { type: "content_block_delta", index: 1e9, delta: { type: "novel_delta", text: "x" } },
      { type: "message_stop" },
    ],
    [{ type: "text-delta", text: "t" }, { type: "text-end" }, { type: "finish", reason: "stop" }],
  ],
  [
    "text and arguments that go on while thinking is open",
    [
      { type: "content_block_start", index: 0, content_block: { type: "tool_use", id: "a", name: "A" } },
      { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
      { type: "content_block_start", index: 2, content_block: { type: "thinking", thinking: "1" } },
      { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "t" } },
      { type: "content_block_delta", index: 2, delta: { type: "thinking_delta", thinking: "2" } },
      { type: "content_block_delta", index: 0, delta: { type: "input_json_delta", partial_json: "{}" } },
      { type: "message_stop" },
    ],
    [
      { type: "tool-start", call: 0, id: "a", name: "A" },
      { type: "reasoning-delta", text: "1" },
      { type: "reasoning-end" },
      { type: "text-delta", text: "t" },
      { type: "reasoning-delta", text: "2" },
      { type: "reasoning-end" },
      { type: "tool-delta", call: 0, json: "{}" },
      { type: "tool-end", call: 0 },
      { type: "text-end" },
      { type: "finish", reason: "tool-calls" },
    ],
  ],
  [
    "two calls at one index without a stop between",
    [
      { type: "content_block_start", index: 0, content_block: { type: "tool_use", id: "a", name: "A" } },
      { type: "content_block_start", index: 0, content_block: { type: "tool_use", id: "b", name: "B" } },
      { type: "message_stop" },
    ],
    [
      { type: "tool-start", call: 0, id: "a", name: "A" },
      { type: "tool-delta", call: 0, json: "{}" },
      { type: "tool-end", call: 0 },
      { type: "tool-start", call: 1, id: "b", name: "B" },
      { type: "tool-delta", call: 1, json: "{}" },
      { type: "tool-end", call: 1 },
      { type: "finish", reason: "tool-calls" },
    ],
  ],
  [
    "interleaved calls",
    [
      { type: "content_block_start", index: 0, content_block: { type: "tool_use", id: "a", name: "A" } },
      { type: "content_block_start", index: 1, content_block: { type: "tool_use", name: "B" } },
      { type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: '{"b":' } },
      { type: "content_block_delta", index: 0, delta: { type: "input_json_delta", partial_json: "{}" } },
      { type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: "1}" } },
      { type: "message_delta", delta: { stop_reason: "max_tokens" } },
      { type: "message_stop" },
    ],
    [
      { type: "tool-start", call: 0, id: "a", name: "A" },
      { type: "tool-start", call: 1, id: "toolu_unnamed_1", name: "B" },
      { type: "tool-delta", call: 1, json: '{"b":' },
      { type: "tool-delta", call: 0, json: "{}" },
      { type: "tool-delta", call: 1, json: "1}" },
      { type: "tool-end", call: 0 },
      { type: "tool-end", call: 1 },
      { type: "finish", reason: "length" },
    ],
  ],
];

test.each(oneEvents)("the decoder reads %s", (_name, data, expected) => {
  const decoder = anthropicMessages.streamDecoder(decodeContext());
  const events = data.flatMap((value) => decoder.push({ data: value === "[DONE]" ? value : JSON.stringify(value) }));
  expect([...events, ...decoder.end()]).toEqual(expected);
});

test("the decoder takes the event's name when the data has no type", () => {
  const decoder = anthropicMessages.streamDecoder(decodeContext());
  expect(decoder.push({ event: "message_stop", data: "{}" })).toEqual([{ type: "finish", reason: "stop" }]);
});

test("data that is no JSON ends the stream as malformed", () => {
  const decoder = anthropicMessages.streamDecoder(decodeContext());
  const message = "connection lost: the upstream sent an unreadable event (server error)";
  expect(decoder.push({ data: "<html>" })).toEqual([{ type: "error", error: { kind: "malformed", message } }]);
  expect([...decoder.push({ data: '{"type":"message_stop"}' }), ...decoder.end()]).toEqual([]);
});
