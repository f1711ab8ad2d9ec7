import { describe, expect, test } from "bun:test";
import { anthropicMessages } from "../../../src/protocols/anthropic-messages/index.ts";
import type { ChatRequest, ChatResponse, Json, JsonObject } from "../../../src/protocols/chat.ts";
import { MalformedAnswer } from "../../../src/protocols/codec.ts";
import { wrapReplay } from "../../../src/protocols/envelope.ts";
import { decodeContext, replyContext } from "./support.ts";

const usage = { input: 1, cacheRead: 2, cacheWrite: 3, output: 4, reasoning: 1 };
const wireUsage = {
  input_tokens: 1,
  cache_creation_input_tokens: 3,
  cache_read_input_tokens: 2,
  output_tokens: 4,
  output_tokens_details: { thinking_tokens: 1 },
};

const decoded: [string, Json, ChatResponse][] = [
  [
    "every kind of block",
    {
      id: "msg_1",
      type: "message",
      model: "claude-y",
      content: [
        { type: "thinking", thinking: "t", signature: "S" },
        { type: "thinking", thinking: "u" },
        { type: "redacted_thinking", data: "x" },
        { type: "text", text: "a", citations: null },
        { type: "tool_use", id: "c1", name: "wire_name", input: { n: 1 } },
        { type: "tool_use", name: "Read", input: '{"s":1}' },
      ],
      stop_reason: "end_turn",
      stop_sequence: null,
      usage: { ...wireUsage, service_tier: "standard" },
    },
    {
      id: "msg_1",
      model: "claude-y",
      parts: [
        { type: "reasoning", text: "t", replay: { kind: "anthropic", signature: "S" } },
        { type: "reasoning", text: "u" },
        { type: "reasoning", text: "", replay: { kind: "redacted", data: "x" } },
        { type: "text", text: "a" },
        { type: "tool-call", id: "c1", name: "canonical.name", arguments: '{"n":1}' },
        { type: "tool-call", id: "toolu_unnamed_5", name: "Read", arguments: '{"s":1}' },
      ],
      finish: "tool-calls",
      usage,
    },
  ],
  ["an empty answer", { content: [] }, { parts: [], finish: "stop" }],
  ["usage without a number as none", { content: [], usage: {} }, { parts: [], finish: "stop" }],
  [
    "the work of a hosted tool",
    {
      content: [{ type: "server_tool_use", id: "s" }, null],
      stop_reason: "pause_turn",
      stop_sequence: "x",
      usage: { output_tokens: 3 },
      error: null,
    },
    {
      parts: [],
      finish: "pause",
      stopSequence: "x",
      hasOpaque: true,
      usage: { input: 0, cacheRead: 0, cacheWrite: 0, output: 3, reasoning: 0 },
    },
  ],
  [
    "a window that is full",
    { content: [], stop_reason: "model_context_window_exceeded" },
    { parts: [], finish: "context-window" },
  ],
];

test.each(decoded)("decodeResponse() reads %s", (_name, body, expected) => {
  expect(anthropicMessages.decodeResponse(body, decodeContext([["wire_name", "canonical.name"]]))).toStrictEqual(
    expected,
  );
});

const malformed: [string, Json, { message: string; code?: string; status?: number }][] = [
  ["no object", [], { message: "the upstream's answer is not a JSON object" }],
  ["no content", { type: "message" }, { message: "the upstream's answer has no content" }],
  [
    "an error",
    { type: "error", error: { type: "overloaded_error", message: "busy" } },
    { message: "busy", code: "overloaded_error", status: 529 },
  ],
  ["a bare error beside content", { content: [], error: "boom" }, { message: "boom" }],
];
test.each(malformed)("decodeResponse() refuses %s", (_name, body, expected) => {
  let thrown: unknown;
  try {
    anthropicMessages.decodeResponse(body, decodeContext());
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(MalformedAnswer);
  const { message, code, status } = thrown as MalformedAnswer;
  expect({ message, code, status }).toEqual({ code: undefined, status: undefined, ...expected });
});

const answer = (content: Json[], stop_reason: string, changes: JsonObject = {}): JsonObject => ({
  id: "msg_abc123",
  type: "message",
  role: "assistant",
  model: "opus",
  content,
  stop_reason,
  stop_sequence: null,
  usage: wireUsage,
  ...changes,
});

const field = { kind: "field", field: "reasoning_content" } as const;
const reasoned: ChatResponse["parts"] = [
  { type: "reasoning", text: "native", replay: { kind: "anthropic", signature: "S" } },
  { type: "reasoning", text: "foreign", replay: field },
  { type: "reasoning", text: "bare" },
  { type: "reasoning", text: "", replay: { kind: "redacted", data: "x" } },
  { type: "text", text: "a" },
];

const encoded: [string, ChatResponse, JsonObject, Partial<ChatRequest>?][] = [
  ["an empty answer", { parts: [{ type: "text", text: "" }], finish: "tool-calls", usage }, answer([], "end_turn")],
  [
    "calls, by what they are and not by the label",
    {
      id: "up",
      model: "real",
      parts: [{ type: "tool-call", id: "c", name: "Read", arguments: '{"a":1}' }],
      finish: "stop",
      usage,
    },
    answer([{ type: "tool_use", id: "c", name: "Read", input: { a: 1 } }], "tool_use"),
  ],
  [
    "arguments that are no JSON",
    { parts: [{ type: "tool-call", id: "c", name: "Read", arguments: "{oops" }], finish: "tool-calls", usage },
    answer([{ type: "tool_use", id: "c", name: "Read", input: { _raw: "{oops" } }], "tool_use"),
  ],
  [
    "a call cut by the limit",
    { parts: [{ type: "tool-call", id: "c", name: "Read", arguments: "{}" }], finish: "length", usage },
    answer([{ type: "tool_use", id: "c", name: "Read", input: {} }], "max_tokens"),
  ],
  [
    "a refusal",
    { parts: [{ type: "refusal", text: "no" }], finish: "stop", usage },
    answer([{ type: "text", text: "no" }], "refusal"),
  ],
  [
    "a stop sequence",
    { parts: [], finish: "stop-sequence", stopSequence: "END", usage },
    answer([], "stop_sequence", { stop_sequence: "END" }),
  ],
  [
    "reasoning in full",
    { parts: reasoned, finish: "stop", usage },
    answer(
      [
        { type: "thinking", thinking: "native", signature: "S" },
        { type: "thinking", thinking: "foreign", signature: wrapReplay(field) },
        { type: "thinking", thinking: "bare", signature: "" },
        { type: "redacted_thinking", data: "x" },
        { type: "text", text: "a" },
      ],
      "end_turn",
    ),
  ],
  [
    "reasoning omitted",
    { parts: reasoned, finish: "stop", usage },
    answer(
      [
        { type: "thinking", thinking: "", signature: "S" },
        { type: "thinking", thinking: "", signature: wrapReplay(field, "foreign") },
        { type: "redacted_thinking", data: "x" },
        { type: "text", text: "a" },
      ],
      "end_turn",
    ),
    { reasoningDisplay: "omitted" },
  ],
  [
    "no reasoning",
    { parts: reasoned, finish: "stop", usage },
    answer([{ type: "text", text: "a" }], "end_turn"),
    { reasoningDisplay: "none" },
  ],
  [
    "an estimate in place of usage",
    { parts: [{ type: "text", text: "12345" }], finish: "stop" },
    answer([{ type: "text", text: "12345" }], "end_turn", {
      usage: {
        input_tokens: 40,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        output_tokens: 2,
        output_tokens_details: { thinking_tokens: 0 },
      },
    }),
  ],
];

describe("encodeResponse() writes", () => {
  test.each(encoded)("%s", (_name, response, expected, changes = {}) => {
    expect(anthropicMessages.encodeResponse(response, replyContext(changes))).toStrictEqual(expected);
  });
});
