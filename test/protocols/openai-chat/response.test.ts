import { describe, expect, test } from "bun:test";
import type { ChatResponse, Json, JsonObject, Usage } from "../../../src/protocols/chat.ts";
import { MalformedAnswer, plainQuirks } from "../../../src/protocols/codec.ts";
import { openaiChat } from "../../../src/protocols/openai-chat/index.ts";
import { plainDecode, replyTo } from "./support.ts";

const inventedId = expect.stringMatching(/^call_[0-9a-f]{24}$/);
const answer = (message: JsonObject, finish: string | null = "stop", rest: JsonObject = {}): JsonObject => ({
  choices: [{ index: 0, message: { role: "assistant", ...message }, finish_reason: finish }],
  ...rest,
});

describe("decodeResponse()", () => {
  const rows: [string, JsonObject, ChatResponse][] = [
    [
      "text with usage",
      answer({ content: "Hi", refusal: null }, "stop", {
        id: "chatcmpl-1",
        model: "m",
        usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
      }),
      {
        id: "chatcmpl-1",
        model: "m",
        parts: [{ type: "text", text: "Hi" }],
        finish: "stop",
        usage: { input: 3, cacheRead: 0, cacheWrite: 0, output: 2, reasoning: 0 },
      },
    ],
    [
      "reasoning, text and calls under a wrong label, with bad, blank and object arguments and doubtful ids",
      answer({
        content: [
          { type: "text", text: "a" },
          { type: "text", text: "b" },
        ],
        reasoning: "why",
        tool_calls: [
          { id: "x", type: "function", function: { name: "demo_add_1", arguments: '{"a":1}' } },
          { id: "x", type: "function", function: { name: "run", arguments: "" } },
          { type: "function", function: { name: "run", arguments: "ls" } },
          { id: "y", type: "function", function: { name: "run", arguments: { b: 2 } } },
          { id: "z", type: "function", function: { arguments: "{}" } },
        ],
      }),
      {
        parts: [
          { type: "reasoning", text: "why", replay: { kind: "field", field: "reasoning" } },
          { type: "text", text: "ab" },
          { type: "tool-call", id: "x", name: "demo.add", arguments: '{"a":1}' },
          { type: "tool-call", id: inventedId, name: "run", arguments: "{}" },
          { type: "tool-call", id: inventedId, name: "run", arguments: '{"_raw":"ls"}' },
          { type: "tool-call", id: "y", name: "run", arguments: '{"b":2}' },
        ],
        finish: "tool-calls",
      },
    ],
    [
      "a legacy function call",
      answer({ content: null, function_call: { name: "run", arguments: "{}" } }, "function_call"),
      { parts: [{ type: "tool-call", id: inventedId, name: "run", arguments: "{}" }], finish: "tool-calls" },
    ],
    ["the label tool_calls without a call", answer({ content: "" }, "tool_calls"), { parts: [], finish: "stop" }],
    [
      "an image that has no place here",
      answer({ content: null, images: [{}] }),
      { parts: [], finish: "stop", hasOpaque: true },
    ],
    ["a refusal", answer({ refusal: "No." }), { parts: [{ type: "refusal", text: "No." }], finish: "stop" }],
    [
      "details over the readable field",
      answer(
        { content: "t", reasoning: "r", reasoning_details: [{ type: "reasoning.encrypted", data: "d" }] },
        "length",
      ),
      {
        parts: [
          {
            type: "reasoning",
            text: "r",
            replay: { kind: "details", details: [{ type: "reasoning.encrypted", data: "d" }] },
          },
          { type: "text", text: "t" },
        ],
        finish: "length",
      },
    ],
  ];
  test.each(rows)("%s", (_, body, expected) => {
    const toolNames = new Map([["demo_add_1", "demo.add"]]);
    expect(openaiChat.decodeResponse(body, { ...plainDecode, toolNames })).toEqual(expected);
  });

  test("think tags are reasoning where the target writes them", () => {
    const quirks = { ...plainQuirks, thinkTags: true };
    const body = answer({ content: "<think>a</think>\n\nb" });
    expect(openaiChat.decodeResponse(body, { ...plainDecode, quirks }).parts).toEqual([
      { type: "reasoning", text: "a" },
      { type: "text", text: "b" },
    ]);
  });

  const usages: [string, JsonObject, Partial<Usage>][] = [
    [
      "DeepSeek's cache",
      { prompt_tokens: 10, completion_tokens: 1, prompt_cache_hit_tokens: 8 },
      { input: 2, cacheRead: 8, output: 1 },
    ],
    [
      "Moonshot's cache",
      { prompt_tokens: 10, completion_tokens: 1, cached_tokens: 4 },
      { input: 6, cacheRead: 4, output: 1 },
    ],
    [
      "more cached than counted",
      { prompt_tokens: 5, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 9, cache_write_tokens: 1 } },
      { input: 0, cacheRead: 9, cacheWrite: 1, output: 1 },
    ],
    [
      "xAI's reasoning outside of completion_tokens",
      {
        prompt_tokens: 32,
        completion_tokens: 9,
        total_tokens: 135,
        completion_tokens_details: { reasoning_tokens: 94 },
      },
      { input: 32, output: 103, reasoning: 94 },
    ],
    [
      "OpenAI's reasoning inside of it",
      {
        prompt_tokens: 32,
        completion_tokens: 103,
        total_tokens: 135,
        completion_tokens_details: { reasoning_tokens: 94 },
      },
      { input: 32, output: 103, reasoning: 94 },
    ],
    [
      "Gemini's thoughts, which only the total has",
      { prompt_tokens: 9, completion_tokens: 3, total_tokens: 105 },
      { input: 9, output: 96, reasoning: 93 },
    ],
    ["Gemini's thoughts alone", { prompt_tokens: 9, total_tokens: 103 }, { input: 9, output: 94, reasoning: 94 }],
    [
      "Gemini's thoughts beside its cache",
      {
        prompt_tokens: 90,
        completion_tokens: 3,
        total_tokens: 193,
        prompt_tokens_details: { cached_tokens: 80 },
      },
      { input: 10, cacheRead: 80, output: 103, reasoning: 100 },
    ],
    [
      "a total that has the cache once more",
      { prompt_tokens: 90, completion_tokens: 3, total_tokens: 173, prompt_tokens_details: { cached_tokens: 80 } },
      { input: 10, cacheRead: 80, output: 3 },
    ],
    [
      "a total that is more than its parts, of which reasoning is none",
      {
        prompt_tokens: 9,
        completion_tokens: 3,
        total_tokens: 20,
        completion_tokens_details: { reasoning_tokens: 0 },
      },
      { input: 9, output: 3 },
    ],
    ["a total that is too small", { prompt_tokens: 9, completion_tokens: 3, total_tokens: 3 }, { input: 9, output: 3 }],
    ["nulls", { prompt_tokens: 7, completion_tokens: null, prompt_tokens_details: null }, { input: 7 }],
  ];
  test.each(usages)("usage: %s", (_, usage, expected) => {
    const none = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };
    const { usage: decoded } = openaiChat.decodeResponse(answer({ content: "x" }, "stop", { usage }), plainDecode);
    expect(decoded).toEqual({ ...none, ...expected });
  });

  const failures: [string, Json, { message: string; code?: string; status?: number }][] = [
    ["an error in a 200", { error: { message: "m", code: "c", type: "t" } }, { message: "m", code: "c" }],
    [
      "an error beside choices",
      { ...answer({ content: "x" }), error: { message: "m", code: 429 } },
      { message: "m", code: "429", status: 429 },
    ],
    ["an error as text", { error: "no such model" }, { message: "no such model" }],
    [
      "MiniMax' base_resp",
      { choices: null, base_resp: { status_code: 1008, status_msg: "insufficient balance" } },
      { message: "insufficient balance", code: "base_resp.1008" },
    ],
    [
      "MiniMax' base_resp without words",
      { base_resp: { status_code: 1000, status_msg: "" } },
      { message: "the upstream reported error 1000", code: "base_resp.1000" },
    ],
    ["FastAPI's detail", { detail: "Not Found" }, { message: "Not Found" }],
    ["no choices", { id: "x", choices: [] }, { message: "the upstream's answer holds no message" }],
    ["a choice without a message", { choices: [{ index: 0 }] }, { message: "the upstream's answer holds no message" }],
    ["no object", "ok", { message: "the upstream's answer holds no message" }],
    [
      "an answer that broke off",
      answer({ content: "x" }, "error"),
      { message: "the upstream broke off its answer: error (server error)", code: "error" },
    ],
  ];
  test("is an answer where MiniMax' base_resp says that it went well", () => {
    const body = answer({ content: "x" }, "stop", { base_resp: { status_code: 0, status_msg: "" } });
    expect(openaiChat.decodeResponse(body, plainDecode).parts).toEqual([{ type: "text", text: "x" }]);
  });

  test.each(failures)("is no answer: %s", (_, body, { message, code, status }) => {
    let thrown: unknown;
    try {
      openaiChat.decodeResponse(body, plainDecode);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(MalformedAnswer);
    expect(thrown).toMatchObject({ message, code, status });
  });
});

describe("encodeResponse()", () => {
  const rows: [string, ChatResponse, JsonObject, string][] = [
    ["nothing", { parts: [], finish: "stop" }, { content: "", refusal: null }, "stop"],
    [
      "all kinds of parts",
      {
        parts: [
          { type: "reasoning", text: "hm", replay: { kind: "anthropic", signature: "s" } },
          { type: "text", text: "a" },
          { type: "text", text: "b" },
          { type: "tool-call", id: "1", name: "run", arguments: "{}" },
          { type: "text", text: "c" },
          { type: "tool-call", id: "2", name: "patch", arguments: '{"input":"raw"}' },
        ],
        finish: "tool-calls",
      },
      {
        content: "ab\n\nc",
        refusal: null,
        reasoning_content: "hm",
        reasoning_details: [
          { type: "reasoning.text", text: "hm", signature: "s", format: "anthropic-claude-v1", index: 0 },
        ],
        tool_calls: [
          { id: "1", type: "function", function: { name: "run", arguments: "{}" } },
          { id: "2", type: "custom", custom: { name: "patch", input: "raw" } },
        ],
      },
      "tool_calls",
    ],
    [
      "calls alone",
      { parts: [{ type: "tool-call", id: "1", name: "run", arguments: "{}" }], finish: "tool-calls" },
      {
        content: null,
        refusal: null,
        tool_calls: [{ id: "1", type: "function", function: { name: "run", arguments: "{}" } }],
      },
      "tool_calls",
    ],
    [
      "a refusal",
      { parts: [{ type: "refusal", text: "No." }], finish: "content-filter" },
      { content: null, refusal: "No." },
      "content_filter",
    ],
  ];
  const patch = { name: "patch", parameters: {}, origin: { kind: "custom", childName: "patch" } } as const;
  test.each(rows)("%s", (_, response, message, finish_reason) => {
    const usage = { input: 1, cacheRead: 2, cacheWrite: 0, output: 4, reasoning: 0 };
    expect(openaiChat.encodeResponse({ ...response, usage }, replyTo({ tools: [patch] }))).toEqual({
      id: "chatcmpl-abc1",
      object: "chat.completion",
      created: 1763600000,
      model: "client-model",
      choices: [{ index: 0, message: { role: "assistant", ...message }, logprobs: null, finish_reason }],
      usage: {
        prompt_tokens: 3,
        completion_tokens: 4,
        total_tokens: 7,
        prompt_tokens_details: { cached_tokens: 2, cache_write_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 0 },
      },
    });
  });
});
