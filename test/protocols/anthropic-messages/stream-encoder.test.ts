import { describe, expect, test } from "bun:test";
import { anthropicMessages } from "../../../src/protocols/anthropic-messages/index.ts";
import type { ChatEvent, ChatRequest, Json, Usage } from "../../../src/protocols/chat.ts";
import { unwrapReasoning, wrapReplay } from "../../../src/protocols/envelope.ts";
import { decodePieces, fixtures, readAsClient, replyContext } from "./support.ts";

const usage: Usage = { input: 10, cacheRead: 20, cacheWrite: 30, output: 40, reasoning: 5 };
const wireUsage = (input: number, read: number, write: number, output: number, thinking: number): Json => ({
  input_tokens: input,
  cache_creation_input_tokens: write,
  cache_read_input_tokens: read,
  output_tokens: output,
  output_tokens_details: { thinking_tokens: thinking },
});

/** Without `message_start`, and with the usage only where it is the point of the test. */
function encode(events: ChatEvent[], changes: Partial<ChatRequest> = {}): Json[] {
  const encoder = anthropicMessages.streamEncoder(replyContext(changes));
  const messages = [...events.flatMap((event) => encoder.push(event)), ...encoder.end()];
  return readAsClient(messages).slice(1);
}

const start = (index: number, content_block: Json): Json => ({ type: "content_block_start", index, content_block });
const delta = (index: number, value: Json): Json => ({ type: "content_block_delta", index, delta: value });
const stop = (index: number): Json => ({ type: "content_block_stop", index });
const textStart = (index: number) => start(index, { type: "text", text: "" });
const textDelta = (index: number, text: string) => delta(index, { type: "text_delta", text });
const thinkingStart = (index: number) => start(index, { type: "thinking", thinking: "", signature: "" });
const thinkingDelta = (index: number, thinking: string) => delta(index, { type: "thinking_delta", thinking });
const signature = (index: number, value: string) => delta(index, { type: "signature_delta", signature: value });
const toolStart = (index: number, id: string, name: string) => start(index, { type: "tool_use", id, name, input: {} });
const toolDelta = (index: number, partial_json: string) => delta(index, { type: "input_json_delta", partial_json });
const end = (stop_reason: string, stop_sequence: string | null = null): Json[] => [
  { type: "message_delta", delta: { stop_reason, stop_sequence }, usage: wireUsage(10, 20, 30, 40, 5) },
  { type: "message_stop" },
];
const finish = (reason: "stop" | "tool-calls" | "length" | "content-filter" = "stop"): ChatEvent => ({
  type: "finish",
  reason,
  usage,
});

const toolA: ChatEvent = { type: "tool-start", call: 0, id: "a", name: "A" };
const toolB: ChatEvent = { type: "tool-start", call: 1, id: "b", name: "B" };
const json = (call: number, text: string): ChatEvent => ({ type: "tool-delta", call, json: text });
const done = (call: number): ChatEvent => ({ type: "tool-end", call });
const text = (value: string): ChatEvent => ({ type: "text-delta", text: value });
const think = (value: string): ChatEvent => ({ type: "reasoning-delta", text: value });
const fieldReplay = { kind: "field", field: "reasoning_content" } as const;

const cases: [string, ChatEvent[], Json[], Partial<ChatRequest>?][] = [
  ["an empty answer as no block", [finish()], end("end_turn")],
  [
    "text in one block",
    [text("a"), text(""), text('"\n\u2028'), { type: "text-end" }, finish()],
    [textStart(0), textDelta(0, "a"), textDelta(0, '"\n\u2028'), stop(0), ...end("end_turn")],
  ],
  [
    "texts with an end between as two blocks",
    [text("a"), { type: "text-end" }, text("b"), finish()],
    [textStart(0), textDelta(0, "a"), stop(0), textStart(1), textDelta(1, "b"), stop(1), ...end("end_turn")],
  ],
  [
    "thinking with its native signature, then text",
    [think("t"), { type: "reasoning-end", replay: { kind: "anthropic", signature: "S" } }, text("a"), finish()],
    [
      thinkingStart(0),
      thinkingDelta(0, "t"),
      signature(0, "S"),
      stop(0),
      textStart(1),
      textDelta(1, "a"),
      stop(1),
      ...end("end_turn"),
    ],
  ],
  [
    "foreign reasoning in an envelope",
    [think("t"), { type: "reasoning-end", replay: fieldReplay }, finish()],
    [thinkingStart(0), thinkingDelta(0, "t"), signature(0, wrapReplay(fieldReplay)), stop(0), ...end("end_turn")],
  ],
  [
    "encrypted reasoning without text as a block with a signature alone",
    [{ type: "reasoning-end", replay: { kind: "openai", encrypted: "e" } }, finish()],
    [thinkingStart(0), signature(0, wrapReplay({ kind: "openai", encrypted: "e" })), stop(0), ...end("end_turn")],
  ],
  [
    "reasoning without a replay as a block without a signature",
    [think("t"), { type: "reasoning-end" }, { type: "reasoning-end" }, finish()],
    [thinkingStart(0), thinkingDelta(0, "t"), stop(0), ...end("end_turn")],
  ],
  [
    "redacted thinking as what it is",
    [{ type: "reasoning-end", replay: { kind: "redacted", data: "x" } }, text("a"), finish()],
    [
      start(0, { type: "redacted_thinking", data: "x" }),
      stop(0),
      textStart(1),
      textDelta(1, "a"),
      stop(1),
      ...end("end_turn"),
    ],
  ],
  [
    "nothing of reasoning to a client that asked for none",
    [think("t"), { type: "reasoning-end", replay: fieldReplay }, text("a"), finish()],
    [textStart(0), textDelta(0, "a"), stop(0), ...end("end_turn")],
    { reasoningDisplay: "none" },
  ],
  [
    "an empty thinking block with the signature to a client that wants the text omitted",
    [think("t"), { type: "reasoning-end", replay: { kind: "anthropic", signature: "S" } }, text("a"), finish()],
    [thinkingStart(0), signature(0, "S"), stop(0), textStart(1), textDelta(1, "a"), stop(1), ...end("end_turn")],
    { reasoningDisplay: "omitted" },
  ],
  [
    "hidden text in the envelope when the upstream needs it back, each block its own",
    [
      think("one "),
      think("two"),
      { type: "reasoning-end", replay: fieldReplay },
      think("three"),
      { type: "reasoning-end" },
      { type: "reasoning-end", replay: fieldReplay },
      finish(),
    ],
    [
      thinkingStart(0),
      signature(0, wrapReplay(fieldReplay, "one two")),
      stop(0),
      thinkingStart(1),
      signature(1, wrapReplay(fieldReplay)),
      stop(1),
      ...end("end_turn"),
    ],
    { reasoningDisplay: "omitted" },
  ],
  [
    "a call after text, live, with tool_use for a plain stop",
    [text("a"), toolA, json(0, '{"x"'), json(0, ":1}"), done(0), finish("stop")],
    [
      textStart(0),
      textDelta(0, "a"),
      stop(0),
      toolStart(1, "a", "A"),
      toolDelta(1, '{"x"'),
      toolDelta(1, ":1}"),
      stop(1),
      ...end("tool_use"),
    ],
  ],
  [
    "no argument delta for an empty object",
    [toolA, json(0, "{}"), done(0), toolB, json(1, "{"), json(1, "}"), done(1), finish("tool-calls")],
    [
      toolStart(0, "a", "A"),
      stop(0),
      toolStart(1, "b", "B"),
      toolDelta(1, "{"),
      toolDelta(1, "}"),
      stop(1),
      ...end("tool_use"),
    ],
  ],
  [
    "interleaved calls one after the other",
    [
      toolA,
      toolB,
      json(1, '{"b":'),
      json(0, '{"a":{'),
      json(1, "1}"),
      json(0, "}"),
      done(1),
      json(0, "}"),
      done(0),
      finish("tool-calls"),
    ],
    [
      toolStart(0, "a", "A"),
      toolDelta(0, '{"a":{'),
      toolDelta(0, "}"),
      toolDelta(0, "}"),
      stop(0),
      toolStart(1, "b", "B"),
      toolDelta(1, '{"b":1}'),
      stop(1),
      ...end("tool_use"),
    ],
  ],
  [
    "the second of two calls live when the first has all its JSON but no end yet",
    [toolA, json(0, '{"a":1}'), toolB, json(1, '{"b"'), json(1, ":2}"), done(0), done(1), finish("tool-calls")],
    [
      toolStart(0, "a", "A"),
      toolDelta(0, '{"a":1}'),
      stop(0),
      toolStart(1, "b", "B"),
      toolDelta(1, '{"b"'),
      toolDelta(1, ":2}"),
      stop(1),
      ...end("tool_use"),
    ],
  ],
  [
    "text that comes in the middle of a call behind it",
    [
      toolA,
      json(0, '{"a":'),
      text("x"),
      json(0, "1"),
      text("y"),
      json(0, "}"),
      text("z"),
      done(0),
      finish("tool-calls"),
    ],
    [
      toolStart(0, "a", "A"),
      toolDelta(0, '{"a":'),
      toolDelta(0, "1"),
      toolDelta(0, "}"),
      stop(0),
      textStart(1),
      textDelta(1, "xy"),
      textDelta(1, "z"),
      stop(1),
      ...end("tool_use"),
    ],
  ],
  [
    "arguments cut by the output limit as they are",
    [toolA, json(0, '{"a":'), toolB, json(1, '{"b"'), finish("length")],
    [
      toolStart(0, "a", "A"),
      toolDelta(0, '{"a":'),
      stop(0),
      toolStart(1, "b", "B"),
      toolDelta(1, '{"b"'),
      stop(1),
      ...end("max_tokens"),
    ],
  ],
  ["the label tool-calls without a call as an ordinary end", [finish("tool-calls")], end("end_turn")],
  [
    "a refusal as text with its stop reason",
    [{ type: "refusal-delta", text: "no" }, finish("stop")],
    [textStart(0), textDelta(0, "no"), stop(0), ...end("refusal")],
  ],
  [
    "the stop sequence that was met",
    [{ type: "finish", reason: "stop-sequence", stopSequence: "END", usage }],
    end("stop_sequence", "END"),
  ],
  [
    "usage that came before the end",
    [{ type: "usage", usage }, { type: "opaque" }, { type: "finish", reason: "stop" }],
    end("end_turn"),
  ],
  ["nothing after the end", [finish(), text("late"), finish()], end("end_turn")],
];

describe("the encoder writes", () => {
  test.each(cases)("%s", (_name, events, expected, changes = {}) => {
    expect(encode(events, changes)).toEqual(expected);
  });
});

const startMessage = (messageUsage: Json): Json => ({
  type: "message_start",
  message: {
    id: "msg_abc123",
    type: "message",
    role: "assistant",
    model: "opus",
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: messageUsage,
  },
});

const openings: [string, ChatEvent, Json][] = [
  ["what the upstream counted", { type: "start", id: "up", model: "other", usage }, wireUsage(10, 20, 30, 0, 0)],
  ["an estimate when nothing is known", { type: "start" }, wireUsage(40, 0, 0, 0, 0)],
  [
    "an estimate for zeros",
    { type: "start", usage: { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 } },
    wireUsage(40, 0, 0, 0, 0),
  ],
];

test.each(openings)("message_start names the client's model and announces %s", (_name, event, expected) => {
  expect(readAsClient(anthropicMessages.streamEncoder(replyContext()).push(event))).toEqual([startMessage(expected)]);
});

test("open() writes the opening once, before the upstream has said anything", () => {
  const encoder = anthropicMessages.streamEncoder(replyContext());
  const written = [encoder.open(), encoder.open(), encoder.push({ type: "start", usage })].map(readAsClient);
  expect(written).toEqual([[startMessage(wireUsage(40, 0, 0, 0, 0))], [], []]);
  expect(readAsClient(encoder.push({ type: "finish", reason: "stop" }))).toEqual(end("end_turn"));
});

test("a silent upstream's usage is estimated from what was written", () => {
  expect(encode([text("12345678"), { type: "finish", reason: "stop" }]).at(-2)).toEqual({
    type: "message_delta",
    delta: { stop_reason: "end_turn", stop_sequence: null },
    usage: wireUsage(40, 0, 0, 2, 0),
  });
});

test("fail() ends the stream with the error alone, and once", () => {
  const encoder = anthropicMessages.streamEncoder(replyContext());
  encoder.push(text("half"));
  const error = { kind: "overloaded", message: "busy", requestId: "req_1" } as const;
  expect(encoder.fail(error)).toEqual([
    {
      event: "error",
      data: '{"type":"error","error":{"type":"overloaded_error","message":"busy"},"request_id":"req_1"}',
    },
  ]);
  expect([...encoder.fail(error), ...encoder.push(finish()), ...encoder.end()]).toEqual([]);
});

test("deltas go out one for one, as they arrive", () => {
  const encoder = anthropicMessages.streamEncoder(replyContext());
  encoder.push(text("a"));
  expect(encoder.push(text("b")).map(({ data }) => data)).toEqual([
    '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b"}}',
  ]);
});

test.each(["thinking-and-tools.sse", "sloppy-server.sse"])(
  "what %s says survives being written and read again",
  async (name) => {
    const events = decodePieces([await Bun.file(`${fixtures}${name}`).bytes()]);
    const encoder = anthropicMessages.streamEncoder(replyContext());
    const decoder = anthropicMessages.streamDecoder({ quirks: {} as never, toolNames: new Map() });
    const again = events.flatMap((event) => encoder.push(event)).flatMap((message) => decoder.push(message));
    const essence = (list: ChatEvent[]) => {
      const texts: string[] = [];
      for (const event of list) {
        if (event.type === "text-delta") texts.push(`text ${event.text}`);
        if (event.type === "reasoning-end") texts.push(`reasoning ${JSON.stringify(event.replay)}`);
        if (event.type === "tool-start") texts.push(`call ${event.id} ${event.name}`);
        if (event.type === "tool-delta") texts.push(`json ${event.call} ${event.json}`);
        if (event.type === "finish") texts.push(JSON.stringify(event));
      }
      return texts;
    };
    expect(essence(again)).toEqual(essence(events));
    expect(essence(again).length).toBeGreaterThan(4);
  },
);

test("hidden reasoning comes back whole from what the client echoes", () => {
  const events = encode([think("the plan"), { type: "reasoning-end", replay: fieldReplay }, text("a"), finish()], {
    reasoningDisplay: "omitted",
  });
  const echoed = JSON.stringify(events).match(/"signature":"(clutch1[^"]+)"/)?.[1] ?? "";
  expect(unwrapReasoning(echoed)).toEqual({ replay: fieldReplay, hiddenText: "the plan" });
});
