import { describe, expect, test } from "bun:test";
import type { ChatRequest, JsonObject, Turn } from "../../../src/protocols/chat.ts";
import { type EncodeTarget, ProtocolError, plainQuirks, type Quirks } from "../../../src/protocols/codec.ts";
import { openaiResponses } from "../../../src/protocols/openai-responses/index.ts";

const base: ChatRequest = {
  model: "client-name",
  stream: true,
  system: [],
  turns: [],
  tools: [],
  reasoningDisplay: "full",
  echo: {},
  dropped: [],
};
const emptyBody = {
  model: "gpt-6.1-sol",
  input: [{ type: "message", role: "user", content: [{ type: "input_text", text: "Continue." }] }],
  stream: true,
  store: false,
  include: ["reasoning.encrypted_content"],
};

function encode(request: Partial<ChatRequest>, quirks: Partial<Quirks> = {}, maxOutputTokens?: number): JsonObject {
  const target: EncodeTarget = {
    model: "gpt-6.1-sol",
    quirks: { ...plainQuirks, ...quirks },
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
  };
  return openaiResponses.encodeRequest({ ...base, ...request }, target).body;
}

const parameters = { type: "object", properties: {} };
const longId = `toolu_${"x".repeat(70)}`;
const fittedId = `${longId.slice(0, 47)}_${new Bun.CryptoHasher("sha256").update(longId).digest("hex").slice(0, 16)}`;

describe("encodeRequest()", () => {
  test("writes a whole conversation", () => {
    const turns: Turn[] = [
      {
        role: "user",
        parts: [
          { type: "text", text: "look" },
          { type: "image", source: { kind: "base64", mediaType: "image/png", data: "AAAA" } },
          { type: "image", source: { kind: "url", url: "https://x/y.png" }, detail: "high" },
          { type: "document", source: { kind: "base64", mediaType: "application/pdf", data: "BBBB" }, title: "a.pdf" },
          { type: "document", source: { kind: "url", url: "https://x/z.pdf" } },
          { type: "document", source: { kind: "text", text: "words" }, title: "notes" },
        ],
      },
      { role: "system", text: "be brief" },
      {
        role: "assistant",
        parts: [
          { type: "reasoning", text: "foreign", replay: { kind: "anthropic", signature: "sig" } },
          { type: "reasoning", text: "hm", replay: { kind: "openai", encrypted: "E1" } },
          { type: "text", text: "I" },
          { type: "text", text: "see" },
          { type: "reasoning", text: "", replay: { kind: "openai", encrypted: "E2" } },
          { type: "tool-call", id: longId, name: "read", arguments: '{"p":1}' },
          { type: "tool-call", id: "c2", name: "read", arguments: "{}" },
          { type: "refusal", text: "no" },
          { type: "reasoning", text: "", replay: { kind: "openai", encrypted: "E3" } },
        ],
      },
      {
        role: "tool",
        results: [
          {
            callId: longId,
            parts: [
              { type: "text", text: "a" },
              { type: "text", text: "b" },
            ],
            isError: false,
          },
          {
            callId: "c2",
            parts: [
              { type: "text", text: "seen" },
              { type: "image", source: { kind: "base64", mediaType: "image/png", data: "CCCC" } },
            ],
            isError: true,
          },
        ],
      },
    ];
    expect(encode({ system: [{ text: "one" }, { text: "two" }], turns })).toEqual({
      ...emptyBody,
      instructions: "one\n\ntwo",
      input: [
        {
          type: "message",
          role: "user",
          content: [
            { type: "input_text", text: "look" },
            { type: "input_image", image_url: "data:image/png;base64,AAAA", detail: "auto" },
            { type: "input_image", image_url: "https://x/y.png", detail: "high" },
            { type: "input_file", filename: "a.pdf", file_data: "data:application/pdf;base64,BBBB" },
            { type: "input_file", file_url: "https://x/z.pdf" },
            { type: "input_text", text: "notes\n\nwords" },
          ],
        },
        { type: "message", role: "developer", content: [{ type: "input_text", text: "be brief" }] },
        { type: "reasoning", summary: [{ type: "summary_text", text: "hm" }], encrypted_content: "E1" },
        {
          type: "message",
          role: "assistant",
          content: [
            { type: "output_text", text: "I" },
            { type: "output_text", text: "see" },
          ],
        },
        { type: "message", role: "assistant", content: [{ type: "refusal", refusal: "no" }] },
        { type: "reasoning", summary: [], encrypted_content: "E2" },
        { type: "function_call", call_id: fittedId, name: "read", arguments: '{"p":1}' },
        { type: "function_call", call_id: "c2", name: "read", arguments: "{}" },
        { type: "function_call_output", call_id: fittedId, output: "a\nb" },
        {
          type: "function_call_output",
          call_id: "c2",
          output: [
            { type: "input_text", text: "Error: seen" },
            { type: "input_image", image_url: "data:image/png;base64,CCCC", detail: "auto" },
          ],
        },
      ],
    });
  });

  test("keeps a call's id and its result's id the same, and within 64 characters", () => {
    expect(fittedId).toHaveLength(64);
  });

  test.each([
    ["boom", true, "Error: boom"],
    ["ERROR: boom", true, "ERROR: boom"],
    ["boom", false, "boom"],
    ["", false, ""],
    ["", true, "Error: "],
  ])("a result %j with isError %p is sent as %j", (text, isError, output) => {
    const parts = text === "" ? [] : [{ type: "text" as const, text }];
    const body = encode({ turns: [{ role: "tool", results: [{ callId: "c", parts, isError }] }] });
    expect(body["input"]).toEqual([{ type: "function_call_output", call_id: "c", output }]);
  });

  const tools = [
    { name: "read", description: "Read.", parameters, strict: true },
    { name: "bad name", parameters },
    { name: "web_search", parameters, server: "web_search" as const },
  ];
  const wireName = `bad_name_${new Bun.CryptoHasher("sha256").update("bad name").digest("hex").slice(0, 8)}`;
  const sentTools = [
    { type: "function", name: "read", description: "Read.", parameters, strict: true },
    { type: "function", name: wireName, parameters, strict: false },
  ];

  test("changes names that OpenAI refuses, everywhere, and says how to change them back", () => {
    const { body, toolNames } = openaiResponses.encodeRequest(
      {
        ...base,
        tools,
        toolChoice: { type: "tool", name: "bad name" },
        turns: [{ role: "assistant", parts: [{ type: "tool-call", id: "c", name: "bad name", arguments: "{}" }] }],
      },
      { model: "gpt-6.1-sol", quirks: plainQuirks },
    );
    expect(body).toEqual({
      ...emptyBody,
      input: [{ type: "function_call", call_id: "c", name: wireName, arguments: "{}" }],
      tools: sentTools,
      tool_choice: { type: "function", name: wireName },
    });
    expect([...toolNames]).toEqual([[wireName, "bad name"]]);
  });

  const rows: [string, Partial<ChatRequest>, Partial<Quirks>, JsonObject][] = [
    ["no tools: no choice either", { toolChoice: { type: "any" }, parallelToolCalls: false }, {}, {}],
    [
      "tools in order, without web search",
      { tools, parallelToolCalls: false, toolChoice: { type: "any" } },
      {},
      { tools: sentTools, tool_choice: "required", parallel_tool_calls: false },
    ],
    [
      "web search where the target runs it",
      { tools, toolChoice: { type: "tool", name: "web_search" } },
      { webSearch: true },
      { tools: [...sentTools, { type: "web_search" }], tool_choice: { type: "web_search" } },
    ],
    [
      "a choice of a tool that is not sent is left out",
      { tools, toolChoice: { type: "tool", name: "web_search" } },
      {},
      { tools: sentTools },
    ],
    [
      "allowed tools",
      { tools, toolChoice: { type: "allowed", mode: "any", names: ["read", "web_search"] } },
      {},
      {
        tools: sentTools,
        tool_choice: { type: "allowed_tools", mode: "required", tools: [{ type: "function", name: "read" }] },
      },
    ],
    ["none", { tools, toolChoice: { type: "none" } }, {}, { tools: sentTools, tool_choice: "none" }],
    ["a small output limit is raised", { maxOutputTokens: 1 }, {}, { max_output_tokens: 16 }],
    [
      "sampling, user and tier; stop and top_k have no field",
      { temperature: 0, topP: 0.9, topK: 5, stop: ["x"], endUser: "u", serviceTier: "default" },
      {},
      { temperature: 0, top_p: 0.9, user: "u", service_tier: "default" },
    ],
    ["cache key and verbosity only by quirk", { cacheKey: "k", verbosity: "low" }, {}, {}],
    [
      "cache key and verbosity",
      { cacheKey: "k", verbosity: "low" },
      { promptCacheKey: true, verbosity: true },
      { prompt_cache_key: "k", text: { verbosity: "low" } },
    ],
    ["a JSON object", { format: { type: "json-object" } }, {}, { text: { format: { type: "json_object" } } }],
    [
      "an open schema is not strict",
      { format: { type: "json-schema", name: "n", schema: parameters } },
      {},
      { text: { format: { type: "json_schema", name: "n", schema: parameters, strict: false } } },
    ],
    [
      "a closed schema with an optional property is not strict",
      {
        format: {
          type: "json-schema",
          name: "n",
          schema: { type: "object", properties: { a: {} }, additionalProperties: false },
        },
      },
      {},
      {
        text: {
          format: {
            type: "json_schema",
            name: "n",
            schema: { type: "object", properties: { a: {} }, additionalProperties: false },
            strict: false,
          },
        },
      },
    ],
    [
      "a schema closed all the way down is strict",
      {
        format: {
          type: "json-schema",
          name: "n",
          schema: {
            type: "object",
            properties: {
              a: { type: "array", items: { type: "object", properties: {}, additionalProperties: false } },
            },
            required: ["a"],
            additionalProperties: false,
          },
        },
      },
      {},
      {
        text: {
          format: {
            type: "json_schema",
            name: "n",
            schema: {
              type: "object",
              properties: {
                a: { type: "array", items: { type: "object", properties: {}, additionalProperties: false } },
              },
              required: ["a"],
              additionalProperties: false,
            },
            strict: true,
          },
        },
      },
    ],
  ];
  test.each(rows)("%s", (_, request, quirks, fields) => {
    expect(encode(request, quirks)).toEqual({ ...emptyBody, ...fields });
  });

  test("clamps the output limit to what the model can write", () => {
    expect(encode({ maxOutputTokens: 128000 }, {}, 64000)["max_output_tokens"]).toBe(64000);
  });

  const threeEfforts = ["low", "medium", "high"];
  const reasoningRows: [Partial<ChatRequest>, string[], JsonObject | undefined][] = [
    [{}, [], undefined],
    [{ reasoning: { effort: "max" } }, [], { effort: "max", summary: "auto" }],
    [{ reasoning: { effort: "max" } }, threeEfforts, { effort: "high", summary: "auto" }],
    [{ reasoning: { effort: "minimal" } }, threeEfforts, { effort: "low", summary: "auto" }],
    [{ reasoning: { effort: "none" } }, threeEfforts, undefined],
    [{ reasoning: { effort: "none" } }, ["none", ...threeEfforts], { effort: "none" }],
    [{ reasoning: { mode: "adaptive" } }, [], { summary: "auto" }],
    [{ reasoning: { mode: "adaptive" }, reasoningDisplay: "omitted" }, [], undefined],
    [{ reasoning: { mode: "adaptive", effort: "low" }, reasoningDisplay: "omitted" }, [], { effort: "low" }],
    [{ reasoning: { mode: "enabled", budgetTokens: 4095 } }, [], { effort: "low", summary: "auto" }],
    [{ reasoning: { mode: "enabled", budgetTokens: 4096 } }, [], { effort: "medium", summary: "auto" }],
    [{ reasoning: { mode: "enabled", budgetTokens: 16384 } }, [], { effort: "high", summary: "auto" }],
    [{ reasoning: { mode: "disabled" }, reasoningDisplay: "none" }, [], undefined],
    [{ reasoning: { mode: "disabled", effort: "high" }, reasoningDisplay: "none" }, [], undefined],
    [{ reasoning: { mode: "disabled" }, reasoningDisplay: "none" }, ["none", "low"], { effort: "none" }],
  ];
  test.each(reasoningRows)("reasoning %j with efforts %j is sent as %j", (request, efforts, reasoning) => {
    expect(encode(request, { efforts })["reasoning"]).toEqual(reasoning);
  });

  test.each<[string, Turn]>([
    ["an image's file id", { role: "user", parts: [{ type: "image", source: { kind: "file", id: "f" } }] }],
    ["a document's file id", { role: "user", parts: [{ type: "document", source: { kind: "file", id: "f" } }] }],
    ["audio", { role: "user", parts: [{ type: "audio", format: "mp3", data: "AA" }] }],
  ])("refuses %s rather than lose it", (_, turn) => {
    expect(() => encode({ turns: [turn] })).toThrow(ProtocolError);
  });
});
