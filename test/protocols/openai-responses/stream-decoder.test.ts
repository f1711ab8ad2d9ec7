import { describe, expect, test } from "bun:test";
import type { ChatEvent, Usage } from "../../../src/protocols/chat.ts";
import { type DecodeContext, plainQuirks, type SseMessage } from "../../../src/protocols/codec.ts";
import { openaiResponses } from "../../../src/protocols/openai-responses/index.ts";
import { SseReader } from "../../../src/protocols/sse.ts";

const fixtures = new URL("../../fixtures/responses/", import.meta.url);
const plain: DecodeContext = { quirks: plainQuirks, toolNames: new Map() };

const start: ChatEvent = { type: "start", id: "resp_up1", model: "gpt-6.1-sol-2026-09-01" };
const usage: Usage = { input: 150, cacheRead: 1000, cacheWrite: 50, output: 80, reasoning: 30 };
const summary: ChatEvent[] = [
  { type: "reasoning-delta", text: "**Looking**" },
  { type: "reasoning-delta", text: "\n\nAt the tree" },
  { type: "reasoning-delta", text: "\n\n" },
  { type: "reasoning-delta", text: "Then 日本 🎉" },
];
const lost: ChatEvent = {
  type: "error",
  error: {
    kind: "incomplete",
    message: "connection lost: the upstream ended its stream early (server error)",
    code: "ECONNRESET",
  },
};

const cases: Record<string, ChatEvent[]> = {
  "reasoning-text-call": [
    start,
    ...summary,
    { type: "reasoning-end", replay: { kind: "openai", encrypted: "gAAAA-native" } },
    { type: "text-delta", text: "Grüße " },
    { type: "text-delta", text: "🎉!" },
    { type: "text-end" },
    { type: "tool-start", call: 0, id: "call_abc", name: "shell" },
    { type: "tool-delta", call: 0, json: '{"cmd"' },
    { type: "tool-delta", call: 0, json: ':"ls"}' },
    { type: "tool-end", call: 0 },
    { type: "finish", reason: "tool-calls", usage },
  ],
  "done-values-only": [
    start,
    { type: "reasoning-end", replay: { kind: "openai", encrypted: "gAAAA-empty" } },
    { type: "text-delta", text: "whole text" },
    { type: "text-end" },
    { type: "refusal-delta", text: "but no" },
    { type: "tool-start", call: 0, id: "call_1", name: "read" },
    { type: "tool-delta", call: 0, json: '{"path":"a"}' },
    { type: "tool-end", call: 0 },
    { type: "tool-start", call: 1, id: "call_2", name: "noop" },
    { type: "tool-delta", call: 1, json: "{}" },
    { type: "tool-end", call: 1 },
    { type: "finish", reason: "tool-calls" },
  ],
  "terminal-only": [
    start,
    { type: "opaque" },
    { type: "reasoning-delta", text: "**Looking**\n\nAt the tree\n\nThen 日本 🎉" },
    { type: "reasoning-end", replay: { kind: "openai", encrypted: "gAAAA-native" } },
    { type: "text-delta", text: "Grüße 🎉!" },
    { type: "text-end" },
    { type: "tool-start", call: 0, id: "call_abc", name: "shell" },
    { type: "tool-delta", call: 0, json: '{"cmd":"ls"}' },
    { type: "tool-end", call: 0 },
    { type: "tool-start", call: 1, id: "call_def", name: "read" },
    { type: "tool-delta", call: 1, json: "{}" },
    { type: "tool-end", call: 1 },
    { type: "finish", reason: "tool-calls", usage },
  ],
  "interleaved-calls": [
    start,
    { type: "tool-start", call: 0, id: "call_a", name: "one" },
    { type: "tool-start", call: 1, id: "call_b", name: "two" },
    { type: "tool-delta", call: 0, json: '{"x":' },
    { type: "tool-delta", call: 1, json: '{"y":' },
    { type: "tool-delta", call: 0, json: "1}" },
    { type: "tool-delta", call: 1, json: "2}" },
    { type: "tool-end", call: 1 },
    { type: "tool-end", call: 0 },
    { type: "finish", reason: "tool-calls", usage },
  ],
  "incomplete-call": [
    start,
    { type: "text-delta", text: "I will" },
    { type: "text-end" },
    { type: "tool-start", call: 0, id: "call_1", name: "write" },
    { type: "tool-delta", call: 0, json: '{"text":"half' },
    { type: "tool-end", call: 0 },
    { type: "finish", reason: "length", usage },
  ],
  failed: [
    start,
    { type: "text-delta", text: "Hel" },
    {
      type: "error",
      error: {
        kind: "reported",
        message: "Rate limit reached. Please try again in 7s.",
        code: "rate_limit_exceeded",
        status: 429,
      },
    },
  ],
  "error-event": [
    start,
    {
      type: "error",
      error: {
        kind: "reported",
        message: "Your input exceeds the context window of this model.",
        code: "context_length_exceeded",
        status: 400,
      },
    },
  ],
  "cut-mid-text": [start, { type: "text-delta", text: "Hel" }, lost],
  "cut-mid-event": [start, { type: "text-delta", text: "Hel" }, lost],
  "client-tool-items": [
    start,
    { type: "tool-start", call: 0, id: "call_c", name: "exec" },
    { type: "tool-delta", call: 0, json: '{"input":"' },
    { type: "tool-delta", call: 0, json: 'say(\\"' },
    { type: "tool-delta", call: 0, json: 'hi\\")\\n' },
    { type: "tool-delta", call: 0, json: '"}' },
    { type: "tool-end", call: 0 },
    { type: "tool-start", call: 1, id: "call_l", name: "local_shell" },
    { type: "tool-delta", call: 1, json: '{"command":["ls","-l"],"workdir":"/src"}' },
    { type: "tool-end", call: 1 },
    { type: "tool-start", call: 2, id: "call_n", name: "clock__sleep" },
    { type: "tool-delta", call: 2, json: "{}" },
    { type: "tool-end", call: 2 },
    { type: "finish", reason: "tool-calls" },
  ],
  "reasoning-raw-interrupted": [
    start,
    { type: "reasoning-delta", text: "raw thoughts" },
    { type: "reasoning-end" },
    { type: "text-delta", text: "Hi" },
    { type: "text-end" },
    { type: "reasoning-end", replay: { kind: "openai", encrypted: "gAAAA-late" } },
    { type: "finish", reason: "stop" },
  ],
};

function decode(slices: Iterable<Uint8Array>, context = plain): ChatEvent[] {
  const reader = new SseReader();
  const decoder = openaiResponses.streamDecoder(context);
  const events: ChatEvent[] = [];
  for (const slice of slices) for (const message of reader.push(slice)) events.push(...decoder.push(message));
  for (const message of reader.end()) events.push(...decoder.push(message));
  events.push(...decoder.end());
  return events;
}

function* cut(bytes: Uint8Array, nextLength: () => number): Iterable<Uint8Array> {
  for (let from = 0; from < bytes.length; ) {
    const to = from + Math.max(1, nextLength());
    yield bytes.subarray(from, to);
    from = to;
  }
}

/** A small generator with a seed, so that a failure can be repeated. */
function randomLengths(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % 97;
  };
}

describe("streamDecoder() reads every fixture the same in any slicing:", () => {
  const seed = Date.now() >>> 0;
  console.log(`openai-responses stream cuts: seed ${seed}`);
  test.each(Object.entries(cases))("%s", async (name, expected) => {
    const bytes = await Bun.file(new URL(`${name}.sse`, fixtures)).bytes();
    expect(decode([bytes])).toEqual(expected);
    expect(decode(cut(bytes, () => 1))).toEqual(expected);
    expect(decode(cut(bytes, randomLengths(seed)))).toEqual(expected);
  });
});

/** Decodes events that need no file; objects are sent as `data`, strings as they are. */
function decodeEvents(events: (object | string)[], context = plain): ChatEvent[] {
  const decoder = openaiResponses.streamDecoder(context);
  const messages: SseMessage[] = events.map((event) => ({
    data: typeof event === "string" ? event : JSON.stringify(event),
  }));
  return [...messages.flatMap((message) => decoder.push(message)), ...decoder.end()];
}

const completed = { type: "response.completed", response: { status: "completed", output: [] } };
const stop: ChatEvent = { type: "finish", reason: "stop" };

describe("streamDecoder()", () => {
  test("restores names that were changed for the upstream", () => {
    const item = { id: "fc", type: "function_call", call_id: "c", name: "long_1234", arguments: "{}" };
    const events = decodeEvents([{ type: "response.output_item.done", output_index: 0, item }, completed], {
      quirks: plainQuirks,
      toolNames: new Map([["long_1234", "long.name"]]),
    });
    expect(events[0]).toEqual({ type: "tool-start", call: 0, id: "c", name: "long.name" });
  });

  test("holds arguments back until the call has its name, and drops a call that never gets one", () => {
    const named = { type: "function_call", call_id: "c", name: "late", arguments: '{"a":1}' };
    expect(
      decodeEvents([
        { type: "response.function_call_arguments.delta", output_index: 0, delta: '{"a"' },
        { type: "response.function_call_arguments.delta", output_index: 1, delta: '{"lost"' },
        { type: "response.function_call_arguments.delta", output_index: 0, delta: ":1}" },
        { type: "response.output_item.done", output_index: 0, item: named },
        completed,
      ]),
    ).toEqual([
      { type: "tool-start", call: 0, id: "c", name: "late" },
      { type: "tool-delta", call: 0, json: '{"a":1}' },
      { type: "tool-end", call: 0 },
      { type: "finish", reason: "tool-calls" },
    ]);
  });

  test("skips blank arguments before the object, and gives a call of blanks an empty one", () => {
    const added = { type: "function_call", call_id: "c", name: "f", arguments: "" };
    const delta = { type: "response.function_call_arguments.delta", output_index: 0, delta: " \n" };
    expect(
      decodeEvents([{ type: "response.output_item.added", output_index: 0, item: added }, delta, completed]),
    ).toEqual([
      { type: "tool-start", call: 0, id: "c", name: "f" },
      { type: "tool-delta", call: 0, json: "{}" },
      { type: "tool-end", call: 0 },
      { type: "finish", reason: "tool-calls" },
    ]);
  });

  test("does not say streamed text again when ids and positions differ in the terminal event", () => {
    const message = { id: "other", type: "message", content: [{ type: "output_text", text: "once" }] };
    const reasoning = { id: "rs", type: "reasoning", summary: [] };
    expect(
      decodeEvents([
        { type: "response.output_text.delta", output_index: 0, item_id: "m", content_index: 0, delta: "once" },
        { type: "response.completed", response: { status: "completed", output: [reasoning, message] } },
      ]),
    ).toEqual([{ type: "text-delta", text: "once" }, { type: "text-end" }, stop]);
  });

  test("finds a call that was never streamed beside one that was", () => {
    const call = (id: string) => ({ id, type: "function_call", call_id: id, name: "f", arguments: "{}" });
    const calls = (number: number, id: string): ChatEvent[] => [
      { type: "tool-start", call: number, id, name: "f" },
      { type: "tool-delta", call: number, json: "{}" },
      { type: "tool-end", call: number },
    ];
    expect(
      decodeEvents([
        { type: "response.output_item.done", output_index: 0, item: call("a") },
        { type: "response.completed", response: { output: [call("a"), call("b")] } },
      ]),
    ).toEqual([...calls(0, "a"), ...calls(1, "b"), { type: "finish", reason: "tool-calls" }]);
  });

  test("reports hosted tools as opaque and ignores everything it does not know", () => {
    expect(
      decodeEvents([
        { type: "response.output_item.added", output_index: 0, item: { id: "ws", type: "web_search_call" } },
        { type: "response.web_search_call.searching", output_index: 0, item_id: "ws" },
        { type: "response.output_item.done", output_index: 0, item: { id: "ws", type: "web_search_call" } },
        { type: "response.metadata", x: 1 },
        { type: "keepalive" },
        "",
        "[]",
        completed,
      ]),
    ).toEqual([{ type: "opaque" }, stop]);
  });

  test.each<[string, object | string, object]>([
    [
      "data that is not JSON",
      "<html>bad gateway</html>",
      { kind: "malformed", message: "the upstream sent an event that is not JSON: <html>bad gateway</html>" },
    ],
    [
      "a flat error event",
      { type: "error", code: "server_error", message: "boom", param: null },
      { kind: "reported", message: "boom", code: "server_error", status: 500 },
    ],
    [
      "any event with a top-level error",
      { type: "response.created", error: { code: 429, message: "slow down" } },
      { kind: "reported", message: "slow down", code: "429", status: 429 },
    ],
    ["an error that is a string", { error: "no such model" }, { kind: "reported", message: "no such model" }],
    [
      "a completed event whose response failed",
      { type: "response.completed", response: { status: "failed", error: { code: "x", message: "y" } } },
      { kind: "reported", message: "y", code: "x" },
    ],
  ])("ends in an error at %s, and says nothing afterwards", (_, event, error) => {
    expect(decodeEvents([event, completed])).toEqual([{ type: "error", error } as ChatEvent]);
  });

  test.each([
    ["max_output_tokens", "length"],
    ["content_filter", "content-filter"],
    ["something_new", "length"],
  ])("response.incomplete with reason %s finishes as %s", (reason, finish) => {
    const response = { incomplete_details: { reason } };
    const events = decodeEvents([{ type: "response.incomplete", response }]);
    expect(events).toEqual([{ type: "finish", reason: finish } as ChatEvent]);
  });

  test("`[DONE]` is no terminal event", () => {
    expect(decodeEvents(["[DONE]"])).toEqual([lost]);
  });
});
