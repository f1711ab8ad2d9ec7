import { describe, expect, test } from "bun:test";
import type { ChatRequest, JsonObject, Turn } from "../../../src/protocols/chat.ts";
import { ProtocolError, plainQuirks, type Quirks } from "../../../src/protocols/codec.ts";
import { openaiChat } from "../../../src/protocols/openai-chat/index.ts";
import { fitToolNames } from "../../../src/protocols/tool-names.ts";
import { emptyRequest, fixtureJson } from "./support.ts";

const user: Turn = { role: "user", parts: [{ type: "text", text: "hello" }] };
const cacheControl = { type: "ephemeral" };

function encode(request: Partial<ChatRequest>, quirks: Partial<Quirks> = {}, maxOutputTokens?: number): JsonObject {
  const target = { model: "vendor/m", quirks: { ...plainQuirks, ...quirks }, maxOutputTokens };
  const { body } = openaiChat.encodeRequest({ ...emptyRequest, stream: false, ...request }, target);
  return JSON.parse(JSON.stringify(body));
}

test("encodeRequest() writes the smallest body", () => {
  expect(encode({ turns: [user] })).toEqual({
    model: "vendor/m",
    messages: [{ role: "user", content: "hello" }],
    stream: false,
  });
});

test("encodeRequest() writes a recorded request as it came, repaired and in Clutch's spelling", () => {
  const body = fixtureJson("qwen-tool-result.request.json");
  const [goal, read] = body.tools;
  const [system, prompt, assistant, result] = body.messages;
  expect(encode(openaiChat.decodeRequest(body))).toEqual({
    model: "vendor/m",
    messages: [system, prompt, assistant, { ...result, content: result.content[0].text }],
    tools: [
      {
        type: "function",
        function: { ...goal.function, parameters: { type: "object", properties: {} }, strict: false },
      },
      { type: "function", function: { ...read.function, strict: false } },
    ],
    stream: true,
    stream_options: { include_usage: true },
    max_tokens: 32000,
  });
});

describe("encodeRequest() of messages", () => {
  const assistant: Turn = {
    role: "assistant",
    parts: [
      { type: "text", text: "Looking." },
      { type: "tool-call", id: "a", name: "read", arguments: '{"p":1}' },
      { type: "tool-call", id: "b", name: "shot", arguments: "{}" },
    ],
  };
  const assistantMessage = {
    role: "assistant",
    content: "Looking.",
    tool_calls: [
      { id: "a", type: "function", function: { name: "read", arguments: '{"p":1}' } },
      { id: "b", type: "function", function: { name: "shot", arguments: "{}" } },
    ],
  };
  const image = { type: "image", source: { kind: "base64", mediaType: "image/png", data: "AAAA" } } as const;
  const imageUrl = { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } };
  const results: Turn = {
    role: "tool",
    results: [
      { callId: "a", parts: [{ type: "text", text: "no file" }], isError: true },
      { callId: "b", parts: [image], isError: false },
    ],
  };
  const rows: [string, Partial<ChatRequest>, Partial<Quirks>, unknown[]][] = [
    [
      "joins instructions, and appends late ones to the user's text behind the results",
      {
        system: [{ text: "a", cacheControl }, { text: "b" }],
        turns: [user, { role: "system", text: "env" }, assistant, results, { role: "system", text: "late" }, user],
      },
      {},
      [
        { role: "system", content: "a\n\nb" },
        {
          role: "user",
          content: [
            { type: "text", text: "hello" },
            { type: "text", text: "<system-reminder>\nenv\n</system-reminder>" },
          ],
        },
        assistantMessage,
        { role: "tool", tool_call_id: "a", content: "Error: no file" },
        { role: "tool", tool_call_id: "b", content: "[image follows]" },
        {
          role: "user",
          content: [
            { type: "text", text: "Images returned by tool shot:" },
            imageUrl,
            { type: "text", text: "<system-reminder>\nlate\n</system-reminder>" },
            { type: "text", text: "hello" },
          ],
        },
      ],
    ],
    [
      "keeps late instructions in place where the template takes them, images where tools may return them",
      { system: [{ text: "a" }], turns: [user, assistant, results, { role: "system", text: "late" }, user] },
      { systemFirstOnly: false, developerRole: true, toolImages: true },
      [
        { role: "developer", content: "a" },
        { role: "user", content: "hello" },
        assistantMessage,
        { role: "tool", tool_call_id: "a", content: "Error: no file" },
        { role: "tool", tool_call_id: "b", content: [imageUrl] },
        { role: "developer", content: "late" },
        { role: "user", content: "hello" },
      ],
    ],
    [
      "keeps cache marks where they are understood",
      {
        system: [{ text: "a", cacheControl }, { text: "b" }],
        turns: [{ role: "user", parts: [{ type: "text", text: "x", cacheControl }] }],
      },
      { cacheControl: true },
      [
        {
          role: "system",
          content: [
            { type: "text", text: "a", cache_control: cacheControl },
            { type: "text", text: "b" },
          ],
        },
        { role: "user", content: [{ type: "text", text: "x", cache_control: cacheControl }] },
      ],
    ],
    [
      "gives each server its own reasoning back and drops what others wrote",
      {
        turns: [
          {
            role: "assistant",
            parts: [
              { type: "reasoning", text: "foreign", replay: { kind: "anthropic", signature: "s" } },
              { type: "reasoning", text: "lost" },
              { type: "reasoning", text: "r", replay: { kind: "field", field: "reasoning_content" } },
              { type: "tool-call", id: "a", name: "run", arguments: "{}" },
            ],
          },
          {
            role: "assistant",
            parts: [
              {
                type: "reasoning",
                text: "d",
                replay: { kind: "details", details: [{ type: "reasoning.text", text: "d" }] },
              },
              { type: "text", text: "t" },
            ],
          },
          {
            role: "assistant",
            parts: [{ type: "reasoning", text: "r", replay: { kind: "field", field: "reasoning" } }],
          },
        ],
      },
      {},
      [
        {
          role: "assistant",
          content: null,
          reasoning_content: "r",
          tool_calls: [{ id: "a", type: "function", function: { name: "run", arguments: "{}" } }],
        },
        { role: "assistant", content: "t", reasoning: "d", reasoning_details: [{ type: "reasoning.text", text: "d" }] },
      ],
    ],
    [
      "joins the texts of an answer and keeps a refusal as text",
      {
        turns: [
          {
            role: "assistant",
            parts: [
              { type: "text", text: "a" },
              { type: "text", text: "b" },
              { type: "tool-call", id: "x", name: "run", arguments: "{}" },
              { type: "text", text: "c" },
            ],
          },
          { role: "tool", results: [{ callId: "x", parts: [], isError: false }] },
          { role: "assistant", parts: [{ type: "refusal", text: "No." }] },
          { role: "assistant", parts: [{ type: "text", text: "" }] },
          { role: "user", parts: [{ type: "text", text: "" }] },
        ],
      },
      {},
      [
        {
          role: "assistant",
          content: "ab\n\nc",
          tool_calls: [{ id: "x", type: "function", function: { name: "run", arguments: "{}" } }],
        },
        { role: "tool", tool_call_id: "x", content: "" },
        { role: "assistant", content: "No." },
      ],
    ],
    [
      "says that a result failed once",
      {
        turns: [
          {
            role: "tool",
            results: [
              { callId: "1", parts: [{ type: "text", text: "ERROR 5" }], isError: true },
              { callId: "2", parts: [], isError: true },
              {
                callId: "3",
                parts: [
                  { type: "text", text: "a" },
                  { type: "text", text: "b" },
                ],
                isError: false,
              },
            ],
          },
        ],
      },
      {},
      [
        { role: "tool", tool_call_id: "1", content: "ERROR 5" },
        { role: "tool", tool_call_id: "2", content: "Error" },
        { role: "tool", tool_call_id: "3", content: "a\nb" },
      ],
    ],
    [
      "writes media",
      {
        turns: [
          {
            role: "user",
            parts: [
              { ...image, detail: "original" },
              { type: "image", source: { kind: "url", url: "https://example.com/a.png" }, detail: "low" },
              { type: "document", source: { kind: "base64", mediaType: "application/pdf", data: "BBBB" } },
              { type: "document", source: { kind: "text", text: "body" }, title: "notes.md" },
              { type: "document", source: { kind: "url", url: "https://example.com/a.pdf" } },
              { type: "audio", format: "wav", data: "CCCC" },
            ],
          },
          assistant,
          {
            role: "tool",
            results: [
              { callId: "a", parts: [{ type: "document", source: { kind: "text", text: "plain" } }], isError: false },
              {
                callId: "b",
                parts: [
                  {
                    type: "document",
                    source: { kind: "base64", mediaType: "application/pdf", data: "BBBB" },
                    title: "b.pdf",
                  },
                ],
                isError: false,
              },
            ],
          },
        ],
      },
      {},
      [
        {
          role: "user",
          content: [
            { type: "image_url", image_url: { url: "data:image/png;base64,AAAA", detail: "high" } },
            { type: "image_url", image_url: { url: "https://example.com/a.png", detail: "low" } },
            { type: "file", file: { filename: "document.pdf", file_data: "data:application/pdf;base64,BBBB" } },
            { type: "text", text: "notes.md\n\nbody" },
            { type: "text", text: "Document: https://example.com/a.pdf" },
            { type: "input_audio", input_audio: { data: "CCCC", format: "wav" } },
          ],
        },
        assistantMessage,
        { role: "tool", tool_call_id: "a", content: "plain" },
        { role: "tool", tool_call_id: "b", content: "[file follows]" },
        {
          role: "user",
          content: [
            { type: "text", text: "Files returned by tool shot:" },
            { type: "file", file: { filename: "b.pdf", file_data: "data:application/pdf;base64,BBBB" } },
          ],
        },
      ],
    ],
  ];
  test.each(rows)("%s", (_, request, quirks, messages) => {
    expect(encode(request, quirks)["messages"]).toEqual(messages as JsonObject[]);
  });

  test("does not wrap late instructions twice", () => {
    const text = "<system-reminder>\nenv\n</system-reminder>";
    expect(encode({ turns: [{ role: "system", text }] })["messages"]).toEqual([{ role: "user", content: text }]);
  });

  test.each(["image", "document"] as const)("refuses the %s that only another vendor can resolve", (type) => {
    const turns: Turn[] = [{ role: "user", parts: [{ type, source: { kind: "file", id: "file-1" } }] }];
    expect(() => encode({ turns })).toThrow(ProtocolError);
  });
});

describe("encodeRequest() of fields", () => {
  const closed = {
    type: "object",
    properties: { a: { type: "string" } },
    required: ["a"],
    additionalProperties: false,
  };
  const open = { ...closed, properties: { a: { type: "object", properties: {} } } };
  const optional = { ...closed, required: [] };
  const format = (schema: JsonObject, strict?: boolean) =>
    ({ type: "json-schema", name: "out", schema, strict }) as const;
  const written = (schema: JsonObject, strict: boolean) => ({
    response_format: { type: "json_schema", json_schema: { name: "out", schema, strict } },
  });
  const rows: [Partial<ChatRequest>, Partial<Quirks>, JsonObject][] = [
    [{ stream: true }, {}, { stream: true, stream_options: { include_usage: true } }],
    [{ stream: true }, { streamOptions: false }, { stream: true }],
    [{ maxOutputTokens: 900 }, {}, { max_tokens: 900 }],
    [{ maxOutputTokens: 128000 }, { maxTokensField: "max_completion_tokens" }, { max_completion_tokens: 1000 }],
    [
      { temperature: 1.5, topP: 0.9, topK: 5, stop: ["a", "b", "c", "d", "e"] },
      {},
      { temperature: 1.5, top_p: 0.9, stop: ["a", "b", "c", "d"] },
    ],
    [{ endUser: "u", serviceTier: "default" }, {}, { user: "u", service_tier: "default" }],
    [{ cacheKey: "k", verbosity: "low" }, {}, {}],
    [
      { cacheKey: "k", verbosity: "low" },
      { promptCacheKey: true, verbosity: true },
      { prompt_cache_key: "k", verbosity: "low" },
    ],
    [{ format: { type: "json-object" } }, {}, { response_format: { type: "json_object" } }],
    [{ format: format(closed) }, {}, written(closed, true)],
    [{ format: format(open) }, {}, written(open, false)],
    [{ format: format(optional) }, {}, written(optional, false)],
    [{ format: format(open, true) }, {}, written(open, true)],
    [{ reasoning: { effort: "xhigh" } }, {}, { reasoning_effort: "xhigh" }],
    [{ reasoning: { effort: "max" } }, { efforts: ["low", "medium", "high"] }, { reasoning_effort: "high" }],
    [{ reasoning: { effort: "minimal" } }, { efforts: ["low", "high"] }, { reasoning_effort: "low" }],
    [{ reasoning: { effort: "none" } }, { efforts: ["low", "high"] }, {}],
    [{ reasoning: { effort: "none" } }, {}, { reasoning_effort: "none" }],
    [{ reasoning: { mode: "disabled", effort: "high" } }, {}, {}],
    [{ reasoning: { mode: "disabled" } }, { efforts: ["none", "high"] }, { reasoning_effort: "none" }],
    [{ reasoning: { mode: "disabled" } }, { reasoningParam: "thinking" }, { thinking: { type: "disabled" } }],
    [{ reasoning: { mode: "adaptive" } }, { reasoningParam: "thinking" }, {}],
    [
      { reasoning: { mode: "adaptive", effort: "high" } },
      { reasoningParam: "reasoning" },
      { reasoning: { effort: "high" } },
    ],
    [{ reasoning: { mode: "enabled", budgetTokens: 4095 } }, {}, { reasoning_effort: "low" }],
    [{ reasoning: { mode: "enabled", budgetTokens: 4096 } }, {}, { reasoning_effort: "medium" }],
    [{ reasoning: { mode: "enabled", budgetTokens: 16384 } }, {}, { reasoning_effort: "high" }],
    [{ reasoning: { effort: "low" } }, { reasoningParam: "enable_thinking" }, { enable_thinking: true }],
    [{ reasoning: { effort: "low" } }, { reasoningParam: "none" }, {}],
  ];
  test.each(rows)("%j with %j", (request, quirks, expected) => {
    const { model: _, messages: __, ...body } = encode(request, quirks, 1000);
    expect(body).toEqual({ stream: false, ...expected });
  });
});

describe("encodeRequest() of tools", () => {
  const parameters = { type: "object", properties: {} };
  const run = { name: "run", description: "Runs.", parameters };
  const dotted = { name: "demo.add", parameters, strict: true };
  const search = { name: "web_search", parameters, server: "web_search" } as const;
  const wire = fitToolNames(["demo.add"], 64).wire("demo.add");
  const reference = (name: string) => ({ type: "function", function: { name } });
  const tools = [
    { type: "function", function: { name: "run", description: "Runs.", parameters, strict: false } },
    { type: "function", function: { name: wire, parameters, strict: true } },
  ];
  const rows: [Partial<ChatRequest>, JsonObject][] = [
    [{ tools: [run, dotted, search] }, { tools }],
    [{ tools: [search], toolChoice: { type: "any" }, parallelToolCalls: false }, {}],
    [{ toolChoice: { type: "auto" }, parallelToolCalls: false }, {}],
    [
      { tools: [run, dotted], toolChoice: { type: "any" }, parallelToolCalls: false },
      { tools, tool_choice: "required", parallel_tool_calls: false },
    ],
    [
      { tools: [run, dotted], toolChoice: { type: "none" } },
      { tools, tool_choice: "none" },
    ],
    [
      { tools: [run, dotted], toolChoice: { type: "tool", name: "demo.add" } },
      { tools, tool_choice: reference(wire) },
    ],
    [
      { tools: [run, dotted, search], toolChoice: { type: "allowed", mode: "any", names: ["run", "web_search"] } },
      { tools, tool_choice: { type: "allowed_tools", allowed_tools: { mode: "required", tools: [reference("run")] } } },
    ],
  ];
  test.each(rows)("%j", (request, expected) => {
    const { model: _, messages: __, stream: ___, ...body } = encode(request);
    expect(body).toEqual(expected);
  });

  test("changed names are changed in the history too, and given back for the answer", () => {
    const turns: Turn[] = [
      { role: "assistant", parts: [{ type: "tool-call", id: "a", name: "demo.add", arguments: "{}" }] },
    ];
    const target = { model: "m", quirks: plainQuirks };
    const { body, toolNames } = openaiChat.encodeRequest({ ...emptyRequest, turns, tools: [run, dotted] }, target);
    expect(body["messages"]).toEqual([
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "a", type: "function", function: { name: wire, arguments: "{}" } }],
      },
    ]);
    expect([...toolNames]).toEqual([[wire, "demo.add"]]);
  });

  test("refuses to be forced to call a tool of another vendor", () => {
    expect(() => encode({ tools: [run, search], toolChoice: { type: "tool", name: "web_search" } })).toThrow(
      ProtocolError,
    );
  });
});
