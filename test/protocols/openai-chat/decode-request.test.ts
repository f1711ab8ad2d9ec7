import { describe, expect, test } from "bun:test";
import type { ChatRequest, Json, JsonObject, Turn } from "../../../src/protocols/chat.ts";
import { ProtocolError } from "../../../src/protocols/codec.ts";
import { openaiChat } from "../../../src/protocols/openai-chat/index.ts";
import { fixtureJson } from "./support.ts";

const filler = "Lorem ipsum dolor sit amet consectetur adipiscing elit sed d";
const hello = { role: "user", content: "hello" };
const decode = (body: JsonObject) => openaiChat.decodeRequest({ model: "m", messages: [hello], ...body });

describe("decodeRequest() of recorded requests", () => {
  test("Qwen Code: tools without parameters, array content in tool messages", () => {
    const body = fixtureJson("qwen-tool-result.request.json");
    const expected: ChatRequest = {
      model: "mock-model",
      stream: true,
      system: [{ text: filler }],
      turns: [
        {
          role: "user",
          parts: [
            { type: "text", text: "<system-reminder>Lorem ipsum dolor sit amet consectetur adip" },
            { type: "text", text: "run echo" },
          ],
        },
        {
          role: "assistant",
          parts: [
            {
              type: "tool-call",
              id: "call_mock01",
              name: "run_shell_command",
              arguments: '{"command":"echo hello-from-tool"}',
            },
          ],
        },
        {
          role: "tool",
          results: [{ callId: "call_mock01", parts: [{ type: "text", text: filler }], isError: false }],
        },
      ],
      tools: [
        { name: "get_goal", description: filler, parameters: { type: "object", properties: {} } },
        { name: "read_file", description: filler, parameters: body.tools[1].function.parameters },
      ],
      maxOutputTokens: 32000,
      includeUsage: true,
      reasoningDisplay: "full",
      echo: {},
      dropped: [],
    };
    expect(openaiChat.decodeRequest(body)).toEqual(expected);
  });

  test("Pi: developer role, max_completion_tokens, reasoning_effort", () => {
    const body = fixtureJson("pi-tool-result.request.json");
    const expected: ChatRequest = {
      model: "mock-model",
      stream: true,
      system: [{ text: filler }],
      turns: [
        { role: "user", parts: [{ type: "text", text: "run echo" }] },
        {
          role: "assistant",
          parts: [
            { type: "tool-call", id: "call_mock01", name: "bash", arguments: '{"command":"echo hello-from-tool"}' },
          ],
        },
        {
          role: "tool",
          results: [{ callId: "call_mock01", parts: [{ type: "text", text: "hello-from-tool\n" }], isError: false }],
        },
      ],
      tools: [{ name: "bash", description: filler, parameters: body.tools[0].function.parameters }],
      maxOutputTokens: 32000,
      reasoning: { effort: "medium" },
      includeUsage: true,
      reasoningDisplay: "full",
      echo: {},
      dropped: ["store"],
    };
    expect(openaiChat.decodeRequest(body)).toEqual(expected);
  });
});

describe("decodeRequest() of messages", () => {
  const call = (id: string, args: Json = "{}") => ({
    id,
    type: "function",
    function: { name: "run", arguments: args },
  });
  const rows: [string, JsonObject[], Turn[]][] = [
    [
      "results in a row are one turn; same roles in a row stay apart",
      [
        hello,
        { role: "user", content: [{ type: "text", text: "again", cache_control: { type: "ephemeral" } }] },
        { role: "assistant", content: "", tool_calls: [call("a", ""), call("b", "no json")] },
        { role: "tool", tool_call_id: "b", name: "run", content: null },
        {
          role: "tool",
          tool_call_id: "a",
          content: [
            { type: "text", text: "x" },
            { type: "text", text: "" },
          ],
        },
      ],
      [
        { role: "user", parts: [{ type: "text", text: "hello" }] },
        { role: "user", parts: [{ type: "text", text: "again", cacheControl: { type: "ephemeral" } }] },
        {
          role: "assistant",
          parts: [
            { type: "tool-call", id: "a", name: "run", arguments: "{}" },
            { type: "tool-call", id: "b", name: "run", arguments: '{"_raw":"no json"}' },
          ],
        },
        {
          role: "tool",
          results: [
            { callId: "b", parts: [], isError: false },
            { callId: "a", parts: [{ type: "text", text: "x" }], isError: false },
          ],
        },
      ],
    ],
    [
      "instructions behind the first turn keep their place",
      [
        hello,
        { role: "system", content: "one" },
        {
          role: "developer",
          content: [
            { type: "text", text: "two" },
            { type: "text", text: "three" },
          ],
        },
      ],
      [
        { role: "user", parts: [{ type: "text", text: "hello" }] },
        { role: "system", text: "one" },
        { role: "system", text: "two\n\nthree" },
      ],
    ],
    [
      "the legacy function call and its result find each other",
      [
        { role: "assistant", content: null, function_call: { name: "run", arguments: "{}" } },
        { role: "function", name: "run", content: "done" },
      ],
      [
        { role: "assistant", parts: [{ type: "tool-call", id: "call_function_0", name: "run", arguments: "{}" }] },
        {
          role: "tool",
          results: [{ callId: "call_function_0", parts: [{ type: "text", text: "done" }], isError: false }],
        },
      ],
    ],
    [
      "reasoning that a client sends back, and refusals in both places",
      [
        { role: "assistant", content: "t", reasoning_content: "r" },
        { role: "assistant", content: "t", reasoning: "r" },
        {
          role: "assistant",
          content: [
            { type: "text", text: "t" },
            { type: "refusal", refusal: "no" },
          ],
        },
        { role: "assistant", content: null, refusal: "never" },
      ],
      [
        {
          role: "assistant",
          parts: [
            { type: "reasoning", text: "r", replay: { kind: "field", field: "reasoning_content" } },
            { type: "text", text: "t" },
          ],
        },
        {
          role: "assistant",
          parts: [
            { type: "reasoning", text: "r", replay: { kind: "field", field: "reasoning" } },
            { type: "text", text: "t" },
          ],
        },
        {
          role: "assistant",
          parts: [
            { type: "text", text: "t" },
            { type: "refusal", text: "no" },
          ],
        },
        { role: "assistant", parts: [{ type: "refusal", text: "never" }] },
      ],
    ],
    [
      "Anthropic's details become its blocks, others stay as they are",
      [
        {
          role: "assistant",
          content: "t",
          reasoning_content: "ab",
          reasoning_details: [
            { type: "reasoning.text", text: "a", signature: "s1", format: "anthropic-claude-v1", index: 0 },
            { type: "reasoning.encrypted", data: "d", format: "anthropic-claude-v1", index: 1 },
          ],
        },
        {
          role: "assistant",
          content: "t",
          reasoning_details: [{ type: "reasoning.summary", summary: "s", format: "openai-responses-v1" }],
        },
      ],
      [
        {
          role: "assistant",
          parts: [
            { type: "reasoning", text: "a", replay: { kind: "anthropic", signature: "s1" } },
            { type: "reasoning", text: "", replay: { kind: "redacted", data: "d" } },
            { type: "text", text: "t" },
          ],
        },
        {
          role: "assistant",
          parts: [
            {
              type: "reasoning",
              text: "s",
              replay: {
                kind: "details",
                details: [{ type: "reasoning.summary", summary: "s", format: "openai-responses-v1" }],
              },
            },
            { type: "text", text: "t" },
          ],
        },
      ],
    ],
    [
      "media",
      [
        {
          role: "user",
          content: [
            { type: "image_url", image_url: { url: "data:image/png;base64,AAAA", detail: "low" } },
            { type: "image_url", image_url: "https://example.com/a.png" },
            { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,BBBB" } },
            { type: "file", file: { file_data: "CCCC" } },
            { type: "file", file: { file_id: "file-1" } },
            { type: "input_audio", input_audio: { data: "DDDD", format: "wav" } },
          ],
        },
      ],
      [
        {
          role: "user",
          parts: [
            { type: "image", source: { kind: "base64", mediaType: "image/png", data: "AAAA" }, detail: "low" },
            { type: "image", source: { kind: "url", url: "https://example.com/a.png" } },
            {
              type: "document",
              source: { kind: "base64", mediaType: "application/pdf", data: "BBBB" },
              title: "a.pdf",
            },
            { type: "document", source: { kind: "base64", mediaType: "application/pdf", data: "CCCC" } },
            { type: "document", source: { kind: "file", id: "file-1" } },
            { type: "audio", data: "DDDD", format: "wav" },
          ],
        },
      ],
    ],
    [
      "custom calls carry their text as an argument",
      [{ role: "assistant", tool_calls: [{ id: "a", type: "custom", custom: { name: "patch", input: "*** \n" } }] }],
      [{ role: "assistant", parts: [{ type: "tool-call", id: "a", name: "patch", arguments: '{"input":"*** \\n"}' }] }],
    ],
  ];
  test.each(rows)("%s", (_, messages, turns) => {
    const request = openaiChat.decodeRequest({ model: "m", messages });
    expect(request.turns).toEqual(turns);
    expect(request.system).toEqual([]);
  });

  test("leading system and developer messages are instructions, in order and with their cache marks", () => {
    const messages = [
      { role: "system", content: "a" },
      {
        role: "developer",
        content: [
          { type: "text", text: "b", cache_control: { type: "ephemeral" } },
          { type: "text", text: "" },
        ],
      },
      { role: "system", content: "" },
      hello,
    ];
    expect(decode({ messages }).system).toEqual([{ text: "a" }, { text: "b", cacheControl: { type: "ephemeral" } }]);
  });
});

describe("decodeRequest() of fields", () => {
  const schema = { type: "object", properties: {} };
  const rows: [JsonObject, Partial<ChatRequest>][] = [
    [
      { stream: null, max_tokens: 5 },
      { stream: false, maxOutputTokens: 5, includeUsage: false },
    ],
    [{ max_completion_tokens: 7, max_tokens: 5 }, { maxOutputTokens: 7 }],
    [
      { temperature: 2, top_p: 0.5, stop: "x" },
      { temperature: 2, topP: 0.5, stop: ["x"] },
    ],
    [{ stop: ["a", "", "b"] }, { stop: ["a", "b"] }],
    [{ stop: [] }, { stop: undefined }],
    [{ reasoning_effort: "none" }, { reasoning: { effort: "none" } }],
    [{ reasoning_effort: "extreme" }, { reasoning: undefined }],
    [{ reasoning: { effort: "high" } }, { reasoning: { effort: "high" } }],
    [{ reasoning: { max_tokens: 2000 } }, { reasoning: { mode: "enabled", budgetTokens: 2000 } }],
    [{ response_format: { type: "text" } }, { format: undefined }],
    [{ response_format: { type: "json_object" } }, { format: { type: "json-object" } }],
    [
      { response_format: { type: "json_schema", json_schema: { name: "n", schema, strict: true } } },
      { format: { type: "json-schema", name: "n", schema, strict: true } },
    ],
    [
      { response_format: { type: "json_schema", json_schema: { schema } } },
      { format: { type: "json-schema", name: "output", schema } },
    ],
    [
      { user: "u", safety_identifier: "s", prompt_cache_key: "k".repeat(80), verbosity: "low", service_tier: "auto" },
      { endUser: "u", cacheKey: "k".repeat(64), verbosity: "low", serviceTier: "auto", dropped: [] },
    ],
    [
      { service_tier: "flex", seed: 1, logit_bias: {}, session_id: "x", metadata: null, n: 1, top_k: 3 },
      { dropped: ["seed", "logit_bias", "session_id", "n", "top_k", "service_tier"] },
    ],
    [{ tools: [{ type: "openrouter:web_search" }] }, { tools: [], dropped: ["tools.openrouter:web_search"] }],
    [{ parallel_tool_calls: false }, { parallelToolCalls: false }],
    [{ parallel_tool_calls: true }, { parallelToolCalls: undefined }],
    [{ tool_choice: "required" }, { toolChoice: { type: "any" } }],
    [{ tool_choice: "none" }, { toolChoice: { type: "none" } }],
    [{ tool_choice: { type: "function", function: { name: "run" } } }, { toolChoice: { type: "tool", name: "run" } }],
    [{ tool_choice: { type: "custom", custom: { name: "run" } } }, { toolChoice: { type: "tool", name: "run" } }],
    [
      {
        tool_choice: {
          type: "allowed_tools",
          allowed_tools: { mode: "required", tools: [{ type: "function", function: { name: "run" } }] },
        },
      },
      { toolChoice: { type: "allowed", mode: "any", names: ["run"] } },
    ],
    [
      {
        tools: [
          {
            type: "function",
            function: { name: "run", parameters: schema, strict: true },
            cache_control: { type: "ephemeral" },
          },
          { type: "function", function: { name: "run", description: "a second one" } },
        ],
      },
      { tools: [{ name: "run", parameters: schema, strict: true, cacheControl: { type: "ephemeral" } }] },
    ],
    [
      {
        tools: [
          {
            type: "custom",
            custom: {
              name: "patch",
              description: "Edits.",
              format: { type: "grammar", grammar: { syntax: "lark", definition: "start: /x/" } },
            },
          },
        ],
      },
      {
        tools: [
          {
            name: "patch",
            description: "Edits.\n\nPass the raw text as `input`.\n\nIt must match this grammar:\nstart: /x/",
            parameters: {
              type: "object",
              properties: { input: { type: "string" } },
              required: ["input"],
              additionalProperties: false,
            },
            origin: { kind: "custom", childName: "patch" },
          },
        ],
      },
    ],
  ];
  test.each(rows)("%j", (fields, expected) => {
    const request = new Map<string, unknown>(Object.entries(decode(fields)));
    const shown = Object.fromEntries(Object.keys(expected).map((key) => [key, request.get(key)]));
    expect(shown).toEqual(expected);
  });
});

describe("decodeRequest() refuses", () => {
  const content = (part: Json) => ({ messages: [{ role: "user", content: [part] }] });
  test.each([
    [{ model: undefined }, "model"],
    [{ model: 5 }, "model"],
    [{ messages: undefined }, "messages"],
    [{ messages: [] }, "messages"],
    [{ messages: [hello, "x"] }, "messages[1]"],
    [{ messages: [{ role: "bot", content: "x" }] }, "messages[0].role"],
    [{ messages: [{ content: "x" }] }, "messages[0].role"],
    [{ messages: [{ role: "user", content: 5 }] }, "messages[0].content"],
    [{ messages: [{ role: "assistant", content: {} }] }, "messages[0].content"],
    [
      { messages: [{ role: "system", content: [{ type: "image_url", image_url: { url: "u" } }] }] },
      "messages[0].content",
    ],
    [{ messages: [{ role: "tool", content: "x" }] }, "messages[0].tool_call_id"],
    [{ messages: [{ role: "assistant", tool_calls: [{ function: { name: "a" } }] }] }, "messages[0].tool_calls[0].id"],
    [
      { messages: [{ role: "assistant", tool_calls: [{ id: "a", function: {} }] }] },
      "messages[0].tool_calls[0].function.name",
    ],
    [content({ type: "video_url" }), "messages[0].content[0].type"],
    [content("x"), "messages[0].content[0].type"],
    [content({ type: "text" }), "messages[0].content[0].text"],
    [content({ type: "image_url", image_url: {} }), "messages[0].content[0].image_url.url"],
    [content({ type: "image_url", image_url: { url: "data:image/png,AA" } }), "messages[0].content[0].image_url.url"],
    [
      content({ type: "image_url", image_url: { url: "data:image/png;base64" } }),
      "messages[0].content[0].image_url.url",
    ],
    [content({ type: "file", file: {} }), "messages[0].content[0].file"],
    [content({ type: "input_audio", input_audio: {} }), "messages[0].content[0].input_audio"],
    [{ n: 2 }, "n"],
    [{ modalities: ["text", "audio"] }, "modalities"],
    [{ stream: "yes" }, "stream"],
    [{ temperature: 3 }, "temperature"],
    [{ max_tokens: 0 }, "max_tokens"],
    [{ max_completion_tokens: "9" }, "max_completion_tokens"],
    [{ stop: [1] }, "stop"],
    [{ tools: {} }, "tools"],
    [{ tools: [{ function: { name: "run" } }] }, "tools[0].type"],
    [{ tools: [{ type: "function", function: {} }] }, "tools[0].function.name"],
    [{ tool_choice: "maybe" }, "tool_choice"],
    [{ response_format: { type: "xml" } }, "response_format"],
  ] as [JsonObject, string][])("%j (%s)", (fields, param) => {
    let thrown: unknown;
    try {
      decode(fields);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ProtocolError);
    expect(thrown).toMatchObject({ param, message: expect.stringContaining(param.split("[")[0] ?? "") });
  });

  test.each([[null], ["x"], [[]]])("a body that is no object: %j", (body) => {
    expect(() => openaiChat.decodeRequest(body)).toThrow(ProtocolError);
  });
});
