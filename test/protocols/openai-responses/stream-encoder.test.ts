import { describe, expect, test } from "bun:test";
import type { ChatEvent, ChatRequest, JsonObject, Tool, ToolOrigin } from "../../../src/protocols/chat.ts";
import { plainQuirks, type ReplyContext, type SseMessage } from "../../../src/protocols/codec.ts";
import { wrapReplay } from "../../../src/protocols/envelope.ts";
import { openaiResponses } from "../../../src/protocols/openai-responses/index.ts";
import { renderSse, SseReader } from "../../../src/protocols/sse.ts";

function declare(name: string, origin: ToolOrigin): Tool {
  return { name, parameters: { type: "object", properties: {} }, origin };
}

const request: ChatRequest = {
  model: "clutch-big",
  stream: true,
  system: [],
  turns: [],
  tools: [
    declare("exec", { kind: "custom", childName: "exec", namespace: "functions" }),
    declare("notes__write", { kind: "custom", childName: "write", namespace: "notes" }),
    declare("mcp__demo__add", { kind: "function", childName: "add", namespace: "mcp__demo" }),
    declare("tool_search", { kind: "tool_search", childName: "tool_search" }),
    declare("local_shell", { kind: "local_shell", childName: "local_shell" }),
  ],
  reasoningDisplay: "full",
  echo: { metadata: { a: "b" }, temperature: 0.5, tool_choice: "auto", parallel_tool_calls: false },
  dropped: [],
};
const context: ReplyContext = { request, id: "abc", createdAt: 1790000000, estimatedInputTokens: 400 };

const usage = { input: 150, cacheRead: 1000, cacheWrite: 50, output: 80, reasoning: 30 };
const wireUsage = {
  input_tokens: 1200,
  input_tokens_details: { cached_tokens: 1000, cache_write_tokens: 50 },
  output_tokens: 80,
  output_tokens_details: { reasoning_tokens: 30 },
  total_tokens: 1280,
};

function encode(events: ChatEvent[]): SseMessage[] {
  const encoder = openaiResponses.streamEncoder(context);
  return [...events.flatMap((event) => encoder.push(event)), ...encoder.end()];
}

interface WireEvent extends JsonObject {
  type: string;
  sequence_number: number;
}

function parse(messages: SseMessage[]): WireEvent[] {
  return messages.map((message) => {
    const event = JSON.parse(message.data) as WireEvent;
    expect(message.event).toBe(event.type);
    return event;
  });
}

/** All events without their numbers, which `replay` checks. */
function body(messages: SseMessage[]): JsonObject[] {
  return parse(messages).map(({ sequence_number: _, ...event }) => event);
}

const response = {
  id: "resp_abc",
  object: "response",
  created_at: 1790000000,
  status: "in_progress",
  error: null,
  incomplete_details: null,
  instructions: null,
  metadata: { a: "b" },
  model: "clutch-big",
  output: [],
  parallel_tool_calls: false,
  temperature: 0.5,
  tool_choice: "auto",
  tools: [],
  top_p: null,
  text: { format: { type: "text" } },
  reasoning: { effort: null, summary: null },
  store: false,
  truncation: "disabled",
  usage: null,
};
const opening = [
  { type: "response.created", response },
  { type: "response.in_progress", response },
];

interface Built extends JsonObject {
  id?: string;
  type?: string;
  summary?: { type: string; text: string }[];
  content?: JsonObject[];
}

/**
 * Builds the output as a client does, from events alone, and checks the protocol's promises on the way: numbers without
 * gaps, places in order, deltas that add up to their `done` values, one terminal event whose output is the done items.
 */
function replay(messages: SseMessage[]): JsonObject[] {
  const events = parse(messages);
  expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index));
  expect(events.slice(0, 2).map((event) => event.type)).toEqual(["response.created", "response.in_progress"]);
  const open = new Map<number, Built>();
  const done: JsonObject[] = [];
  let added = 0;
  for (const [position, event] of events.entries()) {
    const index = event["output_index"] as number;
    const item = open.get(index) ?? {};
    const part = item.content?.[event["content_index"] as number] ?? {};
    if (event["item_id"] !== undefined) expect(event["item_id"]).toBe(item.id as string);
    switch (event.type) {
      case "response.output_item.added":
        expect(index).toBe(added++);
        open.set(index, structuredClone(event["item"]) as Built);
        break;
      case "response.content_part.added":
        expect(event["content_index"]).toBe(item.content?.length ?? -1);
        item.content?.push(structuredClone(event["part"]) as JsonObject);
        break;
      case "response.output_text.delta":
        part["text"] = `${part["text"]}${event["delta"]}`;
        break;
      case "response.refusal.delta":
        part["refusal"] = `${part["refusal"]}${event["delta"]}`;
        break;
      case "response.output_text.done":
        expect(event["text"]).toBe(part["text"]);
        break;
      case "response.refusal.done":
        expect(event["refusal"]).toBe(part["refusal"]);
        break;
      case "response.content_part.done":
        expect(event["part"]).toEqual(part);
        break;
      case "response.reasoning_summary_part.added":
        item.summary?.push(structuredClone(event["part"]) as { type: string; text: string });
        break;
      case "response.reasoning_summary_text.delta": {
        const text = item.summary?.[event["summary_index"] as number];
        if (text !== undefined) text.text += event["delta"];
        break;
      }
      case "response.reasoning_summary_text.done":
        expect(event["text"]).toBe(item.summary?.[0]?.text);
        break;
      case "response.reasoning_summary_part.done":
        expect(event["part"]).toEqual(item.summary?.[0]);
        break;
      case "response.function_call_arguments.delta":
        item["arguments"] = `${item["arguments"]}${event["delta"]}`;
        break;
      case "response.function_call_arguments.done":
        expect(event["arguments"]).toBe(item["arguments"]);
        break;
      case "response.custom_tool_call_input.delta":
        item["input"] = `${item["input"]}${event["delta"]}`;
        break;
      case "response.custom_tool_call_input.done":
        expect(event["input"]).toBe(item["input"]);
        break;
      case "response.output_item.done": {
        const whole = event["item"] as Built;
        const { status: _, encrypted_content: __, ...said } = whole;
        const { status: ___, ...built } = item;
        expect(said).toEqual(built);
        open.delete(index);
        done[index] = whole;
        break;
      }
      case "response.created":
      case "response.in_progress":
        break;
      case "response.completed":
      case "response.incomplete":
        expect(open.size).toBe(0);
        expect((event["response"] as JsonObject)["output"]).toEqual(done);
        expect(position).toBe(events.length - 1);
        break;
      default:
        throw new Error(`unexpected event ${event.type}`);
    }
  }
  return done;
}

describe("streamEncoder() writes the grammar:", () => {
  test("reasoning, text and a call, event by event", () => {
    const reasoning = { id: "rs_abc_0", type: "reasoning", summary: [] };
    const thought = { type: "summary_text", text: "hm 🎉" };
    const text = { type: "output_text", text: 'a "b"', annotations: [] };
    const message = { id: "msg_abc_1", type: "message", role: "assistant" };
    const call = { id: "fc_abc_2", type: "function_call", call_id: "call_1", name: "ls" };
    const summaryPlace = { item_id: "rs_abc_0", output_index: 0, summary_index: 0 };
    const textPlace = { item_id: "msg_abc_1", output_index: 1, content_index: 0 };
    const callPlace = { item_id: "fc_abc_2", output_index: 2 };
    const doneReasoning = { ...reasoning, summary: [thought], encrypted_content: "gAAAA" };
    const doneMessage = { ...message, status: "completed", content: [text] };
    const doneCall = { ...call, status: "completed", arguments: '{"p":"x"}' };
    expect(
      body(
        encode([
          { type: "start", id: "x", model: "y" },
          { type: "reasoning-delta", text: "hm " },
          { type: "reasoning-delta", text: "🎉" },
          { type: "reasoning-end", replay: { kind: "openai", encrypted: "gAAAA" } },
          { type: "text-delta", text: "a " },
          { type: "text-delta", text: '"b"' },
          { type: "text-end" },
          { type: "tool-start", call: 0, id: "call_1", name: "ls" },
          { type: "tool-delta", call: 0, json: '{"p"' },
          { type: "tool-delta", call: 0, json: ':"x"}' },
          { type: "tool-end", call: 0 },
          { type: "usage", usage: { ...usage, output: 1 } },
          { type: "finish", reason: "tool-calls", usage },
        ]),
      ),
    ).toEqual([
      ...opening,
      { type: "response.output_item.added", output_index: 0, item: reasoning },
      { type: "response.reasoning_summary_part.added", ...summaryPlace, part: { type: "summary_text", text: "" } },
      { type: "response.reasoning_summary_text.delta", ...summaryPlace, delta: "hm " },
      { type: "response.reasoning_summary_text.delta", ...summaryPlace, delta: "🎉" },
      { type: "response.reasoning_summary_text.done", ...summaryPlace, text: "hm 🎉" },
      { type: "response.reasoning_summary_part.done", ...summaryPlace, part: thought },
      { type: "response.output_item.done", output_index: 0, item: doneReasoning },
      {
        type: "response.output_item.added",
        output_index: 1,
        item: { ...message, status: "in_progress", content: [] },
      },
      { type: "response.content_part.added", ...textPlace, part: { ...text, text: "" } },
      { type: "response.output_text.delta", ...textPlace, delta: "a ", logprobs: [] },
      { type: "response.output_text.delta", ...textPlace, delta: '"b"', logprobs: [] },
      { type: "response.output_text.done", ...textPlace, text: 'a "b"', logprobs: [] },
      { type: "response.content_part.done", ...textPlace, part: text },
      { type: "response.output_item.done", output_index: 1, item: doneMessage },
      {
        type: "response.output_item.added",
        output_index: 2,
        item: { ...call, status: "in_progress", arguments: "" },
      },
      { type: "response.function_call_arguments.delta", ...callPlace, delta: '{"p"' },
      { type: "response.function_call_arguments.delta", ...callPlace, delta: ':"x"}' },
      { type: "response.function_call_arguments.done", ...callPlace, name: "ls", arguments: '{"p":"x"}' },
      { type: "response.output_item.done", output_index: 2, item: doneCall },
      {
        type: "response.completed",
        response: {
          ...response,
          status: "completed",
          completed_at: 1790000000,
          output: [doneReasoning, doneMessage, doneCall],
          usage: wireUsage,
        },
      },
    ]);
  });

  const rows: [string, ChatEvent[], object[]][] = [
    ["nothing at all", [], []],
    [
      "a custom tool's raw text, in the bare namespace",
      [
        { type: "tool-start", call: 0, id: "c", name: "exec" },
        { type: "tool-delta", call: 0, json: '{"in' },
        { type: "tool-delta", call: 0, json: 'put": "say(\\"' },
        { type: "tool-delta", call: 0, json: 'hi\\"); \\ud83c\\udf' },
        { type: "tool-delta", call: 0, json: "89\\" },
        { type: "tool-delta", call: 0, json: 'n"}' },
        { type: "tool-end", call: 0 },
      ],
      [
        {
          id: "ctc_abc_0",
          type: "custom_tool_call",
          status: "completed",
          call_id: "c",
          name: "exec",
          input: 'say("hi"); 🎉\n',
        },
      ],
    ],
    [
      "a custom tool under another key, in a namespace of its own",
      [
        { type: "tool-start", call: 0, id: "c", name: "notes__write" },
        { type: "tool-delta", call: 0, json: '{"text":"a\\nb","n":1}' },
        { type: "tool-end", call: 0 },
      ],
      [
        {
          id: "ctc_abc_0",
          type: "custom_tool_call",
          status: "completed",
          call_id: "c",
          name: "write",
          namespace: "notes",
          input: "a\nb",
        },
      ],
    ],
    [
      "a namespaced function, without arguments",
      [
        { type: "tool-start", call: 0, id: "c", name: "mcp__demo__add" },
        { type: "tool-delta", call: 0, json: " " },
        { type: "tool-end", call: 0 },
      ],
      [
        {
          id: "fc_abc_0",
          type: "function_call",
          status: "completed",
          call_id: "c",
          name: "add",
          namespace: "mcp__demo",
          arguments: "{}",
        },
      ],
    ],
    [
      "calls that are only written whole, among streamed ones",
      [
        { type: "tool-start", call: 0, id: "s", name: "tool_search" },
        { type: "tool-start", call: 1, id: "f", name: "undeclared" },
        { type: "tool-start", call: 2, id: "l", name: "local_shell" },
        { type: "tool-delta", call: 2, json: '{"command":["ls"],"workdir":"/a"}' },
        { type: "tool-delta", call: 1, json: '{"a":' },
        { type: "tool-delta", call: 0, json: '{"query":"git"}' },
        { type: "tool-delta", call: 1, json: "1}" },
        { type: "tool-end", call: 2 },
        { type: "tool-end", call: 0 },
        { type: "tool-end", call: 1 },
      ],
      [
        {
          id: "fc_abc_0",
          type: "function_call",
          status: "completed",
          call_id: "f",
          name: "undeclared",
          arguments: '{"a":1}',
        },
        {
          id: "lsh_abc_1",
          type: "local_shell_call",
          status: "completed",
          call_id: "l",
          action: { type: "exec", command: ["ls"], env: {}, working_directory: "/a" },
        },
        {
          id: "tsc_abc_2",
          type: "tool_search_call",
          status: "completed",
          call_id: "s",
          execution: "client",
          arguments: { query: "git" },
        },
      ],
    ],
    [
      "reasoning without text, and with a value that is not OpenAI's",
      [
        { type: "reasoning-end" },
        { type: "reasoning-end", replay: { kind: "openai", encrypted: "gAAAA" } },
        { type: "reasoning-delta", text: "hm" },
        { type: "reasoning-end", replay: { kind: "anthropic", signature: "sig==" } },
        { type: "reasoning-delta", text: "open" },
        { type: "reasoning-end" },
      ],
      [
        { id: "rs_abc_0", type: "reasoning", summary: [], encrypted_content: "gAAAA" },
        {
          id: "rs_abc_1",
          type: "reasoning",
          summary: [{ type: "summary_text", text: "hm" }],
          encrypted_content: wrapReplay({ kind: "anthropic", signature: "sig==" }),
        },
        { id: "rs_abc_2", type: "reasoning", summary: [{ type: "summary_text", text: "open" }] },
      ],
    ],
    [
      "texts and a refusal as parts of one message, and a text behind a call as another",
      [
        { type: "text-delta", text: "one" },
        { type: "text-end" },
        { type: "text-delta", text: "" },
        { type: "text-delta", text: "two" },
        { type: "refusal-delta", text: "no" },
        { type: "tool-start", call: 0, id: "c", name: "ls" },
        { type: "text-delta", text: "three" },
        { type: "tool-end", call: 0 },
      ],
      [
        {
          id: "msg_abc_0",
          type: "message",
          role: "assistant",
          status: "completed",
          content: [
            { type: "output_text", text: "one", annotations: [] },
            { type: "output_text", text: "two", annotations: [] },
            { type: "refusal", refusal: "no" },
          ],
        },
        { id: "fc_abc_1", type: "function_call", status: "completed", call_id: "c", name: "ls", arguments: "{}" },
        {
          id: "msg_abc_2",
          type: "message",
          role: "assistant",
          status: "completed",
          content: [{ type: "output_text", text: "three", annotations: [] }],
        },
      ],
    ],
  ];
  test.each(rows)("%s", (_, events, output) => {
    const messages = encode([...events, { type: "finish", reason: "stop", usage }]);
    expect(replay(messages)).toEqual(output as JsonObject[]);
  });

  test("a custom tool's text is passed on while it grows, never with half a character", () => {
    const encoder = openaiResponses.streamEncoder(context);
    encoder.push({ type: "tool-start", call: 0, id: "c", name: "exec" });
    const deltas = ['{"input":"a', "b\\", "u00e9\\ud83c", "\\udf89", 'z"', "}"].map((json) =>
      body(encoder.push({ type: "tool-delta", call: 0, json })).map((event) => event["delta"]),
    );
    expect(deltas).toEqual([["a"], ["b"], ["é"], ["🎉"], ["z"], []]);
  });
});

describe("streamEncoder() ends", () => {
  const text: ChatEvent[] = [{ type: "text-delta", text: "Hel" }];
  const cutMessage = {
    id: "msg_abc_0",
    type: "message",
    role: "assistant",
    status: "incomplete",
    content: [{ type: "output_text", text: "Hel", annotations: [] }],
  };

  test.each([
    ["length", "max_output_tokens"],
    ["context-window", "max_output_tokens"],
    ["content-filter", "content_filter"],
  ] as const)("in response.incomplete at %s", (reason, wireReason) => {
    const messages = encode([...text, { type: "finish", reason, usage }]);
    replay(messages);
    expect(body(messages).at(-1)).toEqual({
      type: "response.incomplete",
      response: {
        ...response,
        status: "incomplete",
        incomplete_details: { reason: wireReason },
        output: [cutMessage],
        usage: wireUsage,
      },
    });
  });

  test("with guessed usage when the upstream gave none", () => {
    const last = body(encode([...text, { type: "finish", reason: "stop" }])).at(-1)?.["response"] as JsonObject;
    const output = Math.ceil("Hel".length / 4);
    expect(last["usage"]).toEqual({
      input_tokens: 400,
      input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
      output_tokens: output,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 400 + output,
    });
  });

  test("in response.failed after fail(), with the items that were finished and nothing more", () => {
    const encoder = openaiResponses.streamEncoder(context);
    const before = [
      ...encoder.push({ type: "reasoning-end", replay: { kind: "openai", encrypted: "gAAAA" } }),
      ...encoder.push({ type: "text-delta", text: "Hel" }),
    ];
    const failed = encoder.fail({ kind: "rate-limit", message: "Too many requests.", retryAfterMs: 6200 });
    expect(parse(failed)).toEqual([
      {
        type: "response.failed",
        sequence_number: before.length,
        response: {
          ...response,
          status: "failed",
          error: { code: "rate_limit_exceeded", message: "Too many requests. Please try again in 7s." },
          output: [{ id: "rs_abc_0", type: "reasoning", summary: [], encrypted_content: "gAAAA" }],
        },
      },
    ]);
    expect(encoder.push({ type: "text-delta", text: "late" })).toEqual([]);
    expect(encoder.end()).toEqual([]);
  });

  test("in response.failed behind an opening, when nothing was written before", () => {
    const encoder = openaiResponses.streamEncoder(context);
    const types = parse(encoder.fail({ kind: "upstream", message: "gone" })).map((event) => event.type);
    expect(types).toEqual(["response.created", "response.in_progress", "response.failed"]);
  });

  test("in response.failed when end() comes before finish", () => {
    expect(parse(encode(text)).at(-1)?.type).toBe("response.failed");
  });

  test("once: nothing follows the terminal event", () => {
    const encoder = openaiResponses.streamEncoder(context);
    encoder.push({ type: "finish", reason: "stop", usage });
    expect(encoder.fail({ kind: "upstream", message: "late" })).toEqual([]);
    expect(encoder.end()).toEqual([]);
  });
});

test("open() writes the opening once, and a later start writes none", () => {
  const encoder = openaiResponses.streamEncoder(context);
  expect(body(encoder.open())).toEqual(opening);
  expect(encoder.open()).toEqual([]);
  expect(encoder.push({ type: "start", id: "x" })).toEqual([]);
});

test("what streamEncoder() writes, streamDecoder() reads as the same events", () => {
  const events: ChatEvent[] = [
    { type: "start", id: "resp_abc", model: "clutch-big" },
    { type: "reasoning-delta", text: "think " },
    { type: "reasoning-delta", text: "日本" },
    { type: "reasoning-end", replay: { kind: "anthropic", signature: "sig==" } },
    { type: "text-delta", text: "Hel" },
    { type: "text-delta", text: "lo" },
    { type: "text-end" },
    { type: "tool-start", call: 0, id: "a", name: "one" },
    { type: "tool-start", call: 1, id: "b", name: "mcp__demo__add" },
    { type: "tool-delta", call: 1, json: '{"x"' },
    { type: "tool-delta", call: 0, json: '{"y":1}' },
    { type: "tool-delta", call: 1, json: ":2}" },
    { type: "tool-end", call: 0 },
    { type: "tool-end", call: 1 },
    { type: "finish", reason: "tool-calls", usage },
  ];
  const reader = new SseReader();
  const decoder = openaiResponses.streamDecoder({ quirks: plainQuirks, toolNames: new Map() });
  const bytes = new TextEncoder().encode(encode(events).map(renderSse).join(""));
  const messages = [...bytes].flatMap((byte) => reader.push(Uint8Array.of(byte)));
  expect([...messages.flatMap((message) => decoder.push(message)), ...decoder.end()]).toEqual(events);
});

describe("encodeStreamError() ends a stream that the upstream began", () => {
  const error = { kind: "upstream", message: "connection lost (server error)" } as const;
  const failed = {
    ...response,
    status: "failed",
    error: { code: "server_error", message: "connection lost (server error)" },
    metadata: {},
    model: "gpt-6.1-sol",
    parallel_tool_calls: true,
    temperature: null,
  };
  test.each([
    ["under its id and with its next number", { responseId: "resp_up", sequence: 41 }, "resp_up", 42],
    ["under an id of its own when none was seen", { sequence: -1 }, "resp_tlpwu8", 0],
  ])("%s", (_, place, id, sequence) => {
    const messages = openaiResponses.encodeStreamError(error, {
      ...place,
      model: "gpt-6.1-sol",
      createdAt: 1790000000,
    });
    expect(parse(messages)).toEqual([
      { type: "response.failed", sequence_number: sequence, response: { ...failed, id } },
    ]);
  });
});

test("keepAlive is a comment, which every client skips", () => {
  expect(new SseReader().push(new TextEncoder().encode(openaiResponses.keepAlive))).toEqual([]);
  expect(openaiResponses.keepAlive).toBe(": keep-alive\n\n");
});
