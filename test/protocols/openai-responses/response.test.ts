import { describe, expect, test } from "bun:test";
import type { ChatRequest, ChatResponse, Json } from "../../../src/protocols/chat.ts";
import { type DecodeContext, MalformedAnswer, plainQuirks, type ReplyContext } from "../../../src/protocols/codec.ts";
import { wrapReplay } from "../../../src/protocols/envelope.ts";
import { openaiResponses } from "../../../src/protocols/openai-responses/index.ts";

const decodeContext: DecodeContext = { quirks: plainQuirks, toolNames: new Map([["short_1", "a.long.name"]]) };

const wireUsage = {
  input_tokens: 1200,
  input_tokens_details: { cached_tokens: 1000, cache_write_tokens: 50 },
  output_tokens: 80,
  output_tokens_details: { reasoning_tokens: 30 },
  total_tokens: 1280,
};
const usage = { input: 150, cacheRead: 1000, cacheWrite: 50, output: 80, reasoning: 30 };

describe("decodeResponse()", () => {
  const rows: [string, Json, ChatResponse][] = [
    [
      "reads every kind of item in order",
      {
        id: "resp_1",
        model: "gpt-6.1-sol",
        status: "completed",
        error: null,
        output: [
          { type: "web_search_call", id: "ws_1" },
          {
            type: "reasoning",
            id: "rs_1",
            summary: [
              { type: "summary_text", text: "one" },
              { type: "summary_text", text: "two" },
            ],
            encrypted_content: "gAAAA",
          },
          { type: "reasoning", id: "rs_2", summary: [], content: [{ type: "reasoning_text", text: "raw" }] },
          { type: "reasoning", id: "rs_3", summary: [] },
          {
            type: "message",
            content: [
              { type: "output_text", text: "Hello" },
              { type: "output_text", text: "" },
              { type: "refusal", refusal: "no" },
            ],
          },
          { type: "function_call", call_id: "call_1", name: "short_1", arguments: ' {"a":1}' },
          { type: "function_call", call_id: "call_2", name: "blank", arguments: "" },
          { type: "custom_tool_call", call_id: "call_3", name: "exec", input: 'say("x")' },
        ],
        usage: wireUsage,
      },
      {
        id: "resp_1",
        model: "gpt-6.1-sol",
        parts: [
          { type: "reasoning", text: "one\n\ntwo", replay: { kind: "openai", encrypted: "gAAAA" } },
          { type: "reasoning", text: "raw" },
          { type: "text", text: "Hello" },
          { type: "refusal", text: "no" },
          { type: "tool-call", id: "call_1", name: "a.long.name", arguments: ' {"a":1}' },
          { type: "tool-call", id: "call_2", name: "blank", arguments: "{}" },
          { type: "tool-call", id: "call_3", name: "exec", arguments: '{"input":"say(\\"x\\")"}' },
        ],
        finish: "tool-calls",
        usage,
        hasOpaque: true,
      },
    ],
    ["takes an empty output as an empty answer", { output: [] }, { parts: [], finish: "stop" }],
    [
      "reads why an answer is incomplete",
      { status: "incomplete", incomplete_details: { reason: "content_filter" }, output: [] },
      { parts: [], finish: "content-filter" },
    ],
    [
      "never counts less than nothing as uncached input",
      { output: [], usage: { input_tokens: 5, input_tokens_details: { cached_tokens: 9 }, output_tokens: 1 } },
      { parts: [], finish: "stop", usage: { input: 0, cacheRead: 9, cacheWrite: 0, output: 1, reasoning: 0 } },
    ],
  ];
  test.each(rows)("%s", (_, body, expected) => {
    expect(openaiResponses.decodeResponse(body, decodeContext)).toEqual(expected);
  });

  test.each<[string, Json, { message: string; code?: string; status?: number }]>([
    [
      "an error in a 200",
      { error: { message: "quota", code: "insufficient_quota" } },
      { message: "quota", code: "insufficient_quota", status: 429 },
    ],
    [
      "a failed response",
      { status: "failed", output: [], error: { code: "server_error", message: "boom" } },
      { message: "boom", code: "server_error", status: 500 },
    ],
    [
      "a response that is not done",
      { status: "queued", output: [] },
      { message: 'the upstream\'s response has status "queued"' },
    ],
    ["no output", { id: "x" }, { message: "the upstream's answer has no output" }],
    ["a message in place of an answer", { detail: "Not Found" }, { message: "Not Found" }],
    ["a list", [], { message: "the upstream's answer is not a JSON object" }],
  ])("throws MalformedAnswer at %s", (_, body, expected) => {
    let thrown: unknown;
    try {
      openaiResponses.decodeResponse(body, decodeContext);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(MalformedAnswer);
    const { message, code, status } = thrown as MalformedAnswer;
    expect({ message, code, status }).toEqual({ code: undefined, status: undefined, ...expected });
  });
});

const request: ChatRequest = {
  model: "clutch-big",
  stream: false,
  system: [],
  turns: [],
  tools: [
    {
      name: "exec",
      parameters: { type: "object", properties: {} },
      origin: { kind: "custom", childName: "exec", namespace: "functions" },
    },
    {
      name: "clock__sleep",
      parameters: { type: "object", properties: {} },
      origin: { kind: "function", childName: "sleep", namespace: "clock" },
    },
  ],
  reasoningDisplay: "full",
  echo: { metadata: { k: "v" }, text: { verbosity: "low" } },
  dropped: [],
};
const replyContext: ReplyContext = { request, id: "abc", createdAt: 1790000000, estimatedInputTokens: 7 };

const object = {
  id: "resp_abc",
  object: "response",
  created_at: 1790000000,
  status: "completed",
  completed_at: 1790000000,
  error: null,
  incomplete_details: null,
  instructions: null,
  metadata: { k: "v" },
  model: "clutch-big",
  parallel_tool_calls: true,
  temperature: null,
  tool_choice: "auto",
  tools: [],
  top_p: null,
  text: { verbosity: "low" },
  reasoning: { effort: null, summary: null },
  store: false,
  truncation: "disabled",
  usage: wireUsage,
};

describe("encodeResponse()", () => {
  test("writes items with ids, calls as their tools were declared, and the request's own values", () => {
    const response: ChatResponse = {
      id: "chatcmpl-1",
      model: "glm-5",
      parts: [
        { type: "reasoning", text: "hm", replay: { kind: "field", field: "reasoning_content" } },
        { type: "reasoning", text: "", replay: { kind: "openai", encrypted: "gAAAA" } },
        { type: "reasoning", text: "" },
        { type: "text", text: "Hello" },
        { type: "refusal", text: "no" },
        { type: "tool-call", id: "c1", name: "exec", arguments: '{"input":"ls\\n"}' },
        { type: "tool-call", id: "c2", name: "clock__sleep", arguments: "" },
        { type: "text", text: "after" },
      ],
      finish: "tool-calls",
      usage,
    };
    const text = (words: string) => ({ type: "output_text", text: words, annotations: [] });
    const message = { type: "message", role: "assistant", status: "completed" };
    expect(openaiResponses.encodeResponse(response, replyContext)).toEqual({
      ...object,
      output: [
        {
          id: "rs_abc_0",
          type: "reasoning",
          summary: [{ type: "summary_text", text: "hm" }],
          encrypted_content: wrapReplay({ kind: "field", field: "reasoning_content" }),
        },
        { id: "rs_abc_1", type: "reasoning", summary: [], encrypted_content: "gAAAA" },
        { id: "msg_abc_2", ...message, content: [text("Hello"), { type: "refusal", refusal: "no" }] },
        {
          id: "ctc_abc_3",
          type: "custom_tool_call",
          status: "completed",
          call_id: "c1",
          name: "exec",
          input: "ls\n",
        },
        {
          id: "fc_abc_4",
          type: "function_call",
          status: "completed",
          call_id: "c2",
          name: "sleep",
          namespace: "clock",
          arguments: "{}",
        },
        { id: "msg_abc_5", ...message, content: [text("after")] },
      ],
    });
  });

  test("marks the message that was cut, and has no completion time then", () => {
    const response: ChatResponse = { parts: [{ type: "text", text: "Hel" }], finish: "length", usage };
    const { completed_at: _, ...incomplete } = object;
    expect(openaiResponses.encodeResponse(response, replyContext)).toEqual({
      ...incomplete,
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
      output: [
        {
          id: "msg_abc_0",
          type: "message",
          role: "assistant",
          status: "incomplete",
          content: [{ type: "output_text", text: "Hel", annotations: [] }],
        },
      ],
    });
  });

  test("writes an empty answer with the estimated input", () => {
    expect(openaiResponses.encodeResponse({ parts: [], finish: "stop" }, replyContext)).toEqual({
      ...object,
      output: [],
      usage: {
        input_tokens: 7,
        input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
        output_tokens: 0,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 7,
      },
    });
  });
});
