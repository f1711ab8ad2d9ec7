import { describe, expect, test } from "bun:test";
import { anthropicMessages } from "../../../src/protocols/anthropic-messages/index.ts";
import type { ChatRequest, Json, JsonObject, Tool, Turn } from "../../../src/protocols/chat.ts";
import { ProtocolError } from "../../../src/protocols/codec.ts";
import { wrapReplay } from "../../../src/protocols/envelope.ts";
import { fixtures } from "./support.ts";

const filler =
  "Lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et do";
const ephemeral = { type: "ephemeral" };

const recorded: [string, ChatRequest][] = [
  [
    "claude-code-tool-result",
    {
      model: "claude-sonnet-5",
      stream: true,
      system: [
        { text: "You are a Claude agent, built on Anthropic's Claude Agent SDK.", cacheControl: ephemeral },
        { text: `${filler}lore magna aliqua`, cacheControl: ephemeral },
      ],
      turns: [
        {
          role: "user",
          parts: [
            { type: "text", text: `<system-reminder>${filler}` },
            { type: "text", text: `<system-reminder>${filler}` },
            { type: "text", text: "run echo" },
          ],
        },
        { role: "system", text: `<system-reminder>${filler}` },
        {
          role: "assistant",
          parts: [
            { type: "tool-call", id: "toolu_mock01", name: "Bash", arguments: '{"command":"echo hello-from-tool"}' },
          ],
        },
        {
          role: "tool",
          results: [{ callId: "toolu_mock01", parts: [{ type: "text", text: "hello-from-tool" }], isError: false }],
        },
        {
          role: "system",
          text: "<system-reminder>Lorem ipsum dolor sit amet consectetur adipiscing e</system-reminder>",
        },
      ],
      tools: [
        {
          name: "Bash",
          description: `${filler}lore magna aliqua`,
          parameters: {
            type: "object",
            properties: {
              command: { description: "The command to execute", type: "string" },
              timeout: {
                description: "Optional timeout in milliseconds (max 600000 for a foreground command)",
                type: "number",
              },
            },
            required: ["command"],
            additionalProperties: false,
          },
        },
        {
          name: "ToolSearch",
          description: `${filler}lore magna aliqua`,
          parameters: {
            type: "object",
            properties: {
              query: { description: filler.slice(0, 99), type: "string" },
              max_results: {
                description: "Maximum number of results to return (default: 5)",
                default: 5,
                type: "number",
              },
            },
            required: ["query", "max_results"],
            additionalProperties: false,
          },
        },
      ],
      maxOutputTokens: 64000,
      reasoningDisplay: "omitted",
      reasoning: { effort: "high", mode: "adaptive" },
      cacheKey: "11111111-2222-4333-8444-555555555555",
      echo: {},
      dropped: ["context_management"],
    },
  ],
  [
    "pi-tool-result",
    {
      model: "claude-sonnet-5",
      stream: true,
      system: [{ text: filler.slice(0, 80), cacheControl: ephemeral }],
      turns: [
        { role: "user", parts: [{ type: "text", text: "run echo" }] },
        {
          role: "assistant",
          parts: [
            {
              type: "tool-call",
              id: "toolu_mock01",
              name: "bash",
              arguments: '{"command":"echo hello-from-tool","timeout":"say hello"}',
            },
          ],
        },
        {
          role: "tool",
          results: [
            {
              callId: "toolu_mock01",
              parts: [{ type: "text", text: filler.slice(0, 80), cacheControl: ephemeral }],
              isError: true,
            },
          ],
        },
      ],
      tools: [
        {
          name: "bash",
          description: filler.slice(0, 80),
          strict: true,
          parameters: {
            type: "object",
            required: ["command", "timeout"],
            properties: {
              command: { type: "string", description: "Shell command to execute" },
              timeout: {
                anyOf: [
                  { type: "number", description: "Timeout in seconds (optional, no default timeout)" },
                  { type: "null" },
                ],
              },
            },
            additionalProperties: false,
          },
        },
        {
          name: "write",
          description: filler.slice(0, 80),
          strict: true,
          cacheControl: ephemeral,
          parameters: {
            type: "object",
            required: ["path", "content"],
            properties: {
              path: { type: "string", description: "Path to the file to write (relative or absolute)" },
              content: { type: "string", description: "Content to write to the file" },
            },
            additionalProperties: false,
          },
        },
      ],
      maxOutputTokens: 128000,
      reasoningDisplay: "full",
      reasoning: { effort: "medium", mode: "adaptive" },
      echo: {},
      dropped: ["tools.eager_input_streaming"],
    },
  ],
];

test.each(recorded)("the recorded request %s is understood whole and left as it is", async (name, expected) => {
  const body = await Bun.file(`${fixtures}${name}.request.json`).json();
  const before = structuredClone(body);
  expect(anthropicMessages.decodeRequest(body)).toStrictEqual(expected);
  expect(body).toEqual(before);
});

const minimal = { model: "m", max_tokens: 5, messages: [{ role: "user", content: "hi" }] };
const decode = (changes: JsonObject) => anthropicMessages.decodeRequest({ ...minimal, ...changes });
const decodeTurns = (...messages: Json[]) => decode({ messages }).turns;

test("the least request is this", () => {
  expect(anthropicMessages.decodeRequest(minimal)).toStrictEqual({
    model: "m",
    stream: false,
    system: [],
    turns: [{ role: "user", parts: [{ type: "text", text: "hi" }] }],
    tools: [],
    maxOutputTokens: 5,
    reasoningDisplay: "none",
    echo: {},
    dropped: [],
  });
});

const fields: [string, JsonObject, Partial<ChatRequest>][] = [
  [
    "sampling and stops",
    { temperature: 0, top_p: 0.5, top_k: 3, stop_sequences: ["a", "b"], stream: true },
    { temperature: 0, topP: 0.5, topK: 3, stop: ["a", "b"], stream: true },
  ],
  [
    "nulls as absent",
    { temperature: null, top_p: null, stop_sequences: null, system: null, tools: null, thinking: null },
    {},
  ],
  ["service tier auto", { service_tier: "auto" }, { serviceTier: "auto" }],
  ["service tier standard_only", { service_tier: "standard_only" }, { serviceTier: "default" }],
  ["another service tier as nothing", { service_tier: "novel" }, {}],
  ["a system string", { system: "be brief" }, { system: [{ text: "be brief" }] }],
  ["a billing header as nothing", { system: "x-anthropic-billing-header: cc" }, {}],
  [
    "system blocks without empty ones",
    {
      system: [
        { type: "text", text: "" },
        { type: "text", text: "a" },
      ],
    },
    { system: [{ text: "a" }] },
  ],
  [
    "a thinking budget",
    { thinking: { type: "enabled", budget_tokens: 2000 } },
    { reasoning: { mode: "enabled", budgetTokens: 2000 }, reasoningDisplay: "full" },
  ],
  [
    "thinking that shows updates alone as omitted",
    { thinking: { type: "adaptive", display: "updates" } },
    { reasoning: { mode: "adaptive" }, reasoningDisplay: "omitted" },
  ],
  [
    "disabled thinking beside an effort",
    { thinking: { type: "disabled" }, output_config: { effort: "low" } },
    { reasoning: { effort: "low", mode: "disabled" } },
  ],
  ["an unknown effort as none given", { output_config: { effort: "novel" } }, {}],
  [
    "a closed schema as strict",
    {
      output_config: {
        format: {
          type: "json_schema",
          schema: {
            type: "object",
            properties: { a: { type: "string" } },
            required: ["a"],
            additionalProperties: false,
          },
        },
      },
    },
    {
      format: {
        type: "json-schema",
        name: "output",
        schema: { type: "object", properties: { a: { type: "string" } }, required: ["a"], additionalProperties: false },
        strict: true,
      },
    },
  ],
  [
    "a schema with an open object inside as not strict",
    {
      output_config: {
        format: {
          type: "json_schema",
          schema: { type: "array", items: { anyOf: [{ type: "object", properties: {} }] } },
        },
      },
    },
    {
      format: {
        type: "json-schema",
        name: "output",
        schema: { type: "array", items: { anyOf: [{ type: "object", properties: {} }] } },
        strict: false,
      },
    },
  ],
  ["a user id that is no JSON without a trace", { metadata: { user_id: "user_1" } }, {}],
  ["a broken user id without a trace", { metadata: { user_id: '{"session_id":' } }, {}],
  [
    "at most 64 characters of the session as cache key",
    { metadata: { user_id: JSON.stringify({ session_id: "s".repeat(100) }) } },
    { cacheKey: "s".repeat(64) },
  ],
  [
    "what has no place elsewhere by name",
    { mcp_servers: [], container: "c", novel: 1 },
    { dropped: ["mcp_servers", "container", "novel"] },
  ],
];

test.each(fields)("the decoder reads %s", (_name, changes, expected) => {
  expect(decode(changes)).toStrictEqual({ ...anthropicMessages.decodeRequest(minimal), ...expected });
});

const user = (content: Json): Json => ({ role: "user", content });
const assistant = (content: Json): Json => ({ role: "assistant", content });
const result = (extra: JsonObject): Json => ({ type: "tool_result", tool_use_id: "t", ...extra });
const text = (value: string) => ({ type: "text" as const, text: value });
const field = { kind: "field", field: "reasoning" } as const;

const conversations: [string, Json[], Turn[]][] = [
  [
    "empty user content as no turn",
    [user(""), user([]), user([text("")]), user("a")],
    [{ role: "user", parts: [text("a")] }],
  ],
  [
    "results and texts as runs, in the client's order",
    [user([result({ content: "1" }), text("a"), text("b"), result({ tool_use_id: "u" }), text("c")])],
    [
      { role: "tool", results: [{ callId: "t", parts: [text("1")], isError: false }] },
      { role: "user", parts: [text("a"), text("b")] },
      { role: "tool", results: [{ callId: "u", parts: [], isError: false }] },
      { role: "user", parts: [text("c")] },
    ],
  ],
  [
    "everything that a result may hold",
    [
      user([
        result({
          is_error: true,
          content: [
            text("x"),
            { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBO" } },
            { type: "document", title: "T", source: { type: "base64", media_type: "application/pdf", data: "JVBE" } },
            { type: "search_result", title: "S", source: "https://s", content: [text("one"), text("two")] },
            { type: "tool_reference", tool_name: "Deploy" },
            { type: "novel" },
          ],
        }),
      ]),
    ],
    [
      {
        role: "tool",
        results: [
          {
            callId: "t",
            isError: true,
            parts: [
              text("x"),
              { type: "image", source: { kind: "base64", mediaType: "image/png", data: "iVBO" } },
              { type: "document", title: "T", source: { kind: "base64", mediaType: "application/pdf", data: "JVBE" } },
              text("S\nhttps://s\none\ntwo"),
              text("Tool loaded: Deploy"),
            ],
          },
        ],
      },
    ],
  ],
  [
    "every source of images and documents",
    [
      user([
        { type: "image", source: { type: "url", url: "https://i" } },
        { type: "image", source: { type: "file", file_id: "file_1" } },
        { type: "document", source: { type: "url", url: "https://d" } },
        { type: "document", title: "", source: { type: "text", media_type: "text/plain", data: "plain" } },
        {
          type: "document",
          title: "Mixed",
          source: {
            type: "content",
            content: [text("a"), { type: "image", source: { type: "url", url: "https://j" } }, text("b")],
          },
        },
        { type: "container_upload", file_id: "file_2" },
        { type: "novel", text: "still text" },
      ]),
    ],
    [
      {
        role: "user",
        parts: [
          { type: "image", source: { kind: "url", url: "https://i" } },
          { type: "image", source: { kind: "file", id: "file_1" } },
          { type: "document", source: { kind: "url", url: "https://d" } },
          { type: "document", source: { kind: "text", text: "plain" } },
          { type: "document", title: "Mixed", source: { kind: "text", text: "a\nb" } },
          { type: "image", source: { kind: "url", url: "https://j" } },
          text("[uploaded file file_2]"),
          text("still text"),
        ],
      },
    ],
  ],
  [
    "thinking with the replay its signature stands for",
    [
      assistant([
        { type: "thinking", thinking: "native", signature: "Eq==" },
        { type: "thinking", thinking: "shown", signature: wrapReplay(field) },
        { type: "thinking", thinking: "", signature: wrapReplay(field, "hidden") },
        { type: "thinking", thinking: "damaged", signature: "clutch1.%%" },
        { type: "thinking", thinking: "unsigned" },
        { type: "redacted_thinking", data: "r" },
        text("a"),
      ]),
    ],
    [
      {
        role: "assistant",
        parts: [
          { type: "reasoning", text: "native", replay: { kind: "anthropic", signature: "Eq==" } },
          { type: "reasoning", text: "shown", replay: field },
          { type: "reasoning", text: "hidden", replay: field },
          { type: "reasoning", text: "damaged" },
          { type: "reasoning", text: "unsigned" },
          { type: "reasoning", text: "", replay: { kind: "redacted", data: "r" } },
          text("a"),
        ],
      },
    ],
  ],
  [
    "hosted tools by the texts around them",
    [
      assistant([
        text("a"),
        { type: "server_tool_use", id: "s", name: "web_search", input: {} },
        { type: "web_search_tool_result", tool_use_id: "s", content: [] },
        { type: "mcp_tool_use", id: "m", server_name: "git", name: "log", input: { n: 1 } },
        { type: "mcp_tool_result", tool_use_id: "m", content: [text("ok")] },
        { type: "compaction", content: "so far" },
        { type: "compaction", content: null },
        { type: "tool_use", id: "t", name: "Read", input: {} },
      ]),
    ],
    [
      {
        role: "assistant",
        parts: [
          text("a"),
          text('[MCP call git.log] {"n":1}'),
          text("[MCP result] ok"),
          text("so far"),
          { type: "tool-call", id: "t", name: "Read", arguments: "{}" },
        ],
      },
    ],
  ],
  [
    "tool inputs of every kind as the text of an object",
    [
      assistant([
        { type: "tool_use", id: "1", name: "A" },
        { type: "tool_use", id: "2", name: "A", input: '{"a":1}' },
        { type: "tool_use", id: "3", name: "A", input: "rm -rf" },
        { type: "tool_use", id: "4", name: "A", input: [1] },
      ]),
    ],
    [
      {
        role: "assistant",
        parts: [
          { type: "tool-call", id: "1", name: "A", arguments: "{}" },
          { type: "tool-call", id: "2", name: "A", arguments: '{"a":1}' },
          { type: "tool-call", id: "3", name: "A", arguments: '{"_raw":"rm -rf"}' },
          { type: "tool-call", id: "4", name: "A", arguments: '{"_raw":"[1]"}' },
        ],
      },
    ],
  ],
  [
    "system messages at their place, blocks joined, cleared ones gone",
    [
      user("a"),
      { role: "system", content: [text("one"), text(""), text("two")] },
      { role: "system", content: "gone", clear_at: "next_user_message" },
      assistant("b"),
      user("c"),
      { role: "system", content: "stays", clear_at: "next_user_message" },
      { role: "system", content: [], output_config: {} },
      { role: "system", output_config: {} },
    ],
    [
      { role: "user", parts: [text("a")] },
      { role: "system", text: "one\n\ntwo" },
      { role: "assistant", parts: [text("b")] },
      { role: "user", parts: [text("c")] },
      { role: "system", text: "stays" },
    ],
  ],
];

test.each(conversations)("the decoder keeps %s", (_name, messages, expected) => {
  expect(decodeTurns(...messages)).toEqual(expected);
});

test("system messages before the first turn are leading instructions, marks included", () => {
  const request = decode({
    system: "first",
    messages: [
      { role: "system", content: "second" },
      { role: "system", content: [{ ...text("third"), cache_control: ephemeral }] },
      user("a"),
    ],
  });
  expect(request.system).toEqual([{ text: "first" }, { text: "second" }, { text: "third", cacheControl: ephemeral }]);
  expect(request.turns).toEqual([{ role: "user", parts: [text("a")] }]);
});

test("the last effort that a system message sets is the request's", () => {
  const request = decode({
    output_config: { effort: "low" },
    messages: [
      user("a"),
      { role: "system", content: [], output_config: { effort: "max" } },
      { role: "system", content: "x", output_config: { effort: "medium" } },
      { role: "system", content: "y", output_config: { effort: "novel" } },
    ],
  });
  expect(request.reasoning).toEqual({ effort: "medium" });
});

test("what is left out of messages and tools is named once", () => {
  const { dropped } = decode({
    messages: [assistant([{ type: "server_tool_use" }, { type: "server_tool_use" }]), user([{ type: "novel" }])],
    tools: [
      { type: "computer_20250124", name: "computer" },
      { name: "A", input_examples: [], allowed_callers: [] },
    ],
  });
  expect(dropped).toEqual([
    "messages.content.server_tool_use",
    "messages.content.novel",
    "tools.computer_20250124",
    "tools.input_examples",
    "tools.allowed_callers",
  ]);
});

describe("tools", () => {
  const empty = { type: "object", properties: {} };
  const tool = (name: string, extra: Partial<Tool> = {}): Tool => ({ name, parameters: empty, ...extra });
  const deferred = (name: string): Json => ({ name, input_schema: empty, defer_loading: true });
  const change = (type: string, body: JsonObject): Json => ({ role: "system", content: [{ type, tool: body }] });
  const reference = (name: string) => ({ type: "tool_reference", name });
  const definition = (name: string, description: string) => ({
    type: "tool_definition",
    definition: { name, description, input_schema: null },
  });

  const cases: [string, Json[], Json[], Tool[]][] = [
    [
      "without a schema get an empty one",
      [
        { name: "A", input_schema: null },
        { name: "B", type: "custom" },
      ],
      [],
      [tool("A"), tool("B")],
    ],
    [
      "declared twice count once, the first",
      [
        { name: "A", description: "1" },
        { name: "A", description: "2" },
      ],
      [],
      [tool("A", { description: "1" })],
    ],
    [
      "that Anthropic runs are left out, but for web search",
      [
        { type: "web_search_20260209", name: "web_search", max_uses: 5 },
        { type: "code_execution_20250825", name: "code_execution" },
        { type: "mcp_toolset", mcp_server_name: "x" },
      ],
      [],
      [tool("web_search", { server: "web_search" })],
    ],
    ["that are deferred and never mentioned are left out", [deferred("A"), { name: "B" }], [], [tool("B")]],
    [
      "that are deferred and were called, pointed at or added are sent",
      [deferred("A"), deferred("B"), deferred("C"), deferred("D")],
      [
        assistant([{ type: "tool_use", id: "t", name: "A", input: {} }]),
        user([result({ content: [{ type: "tool_reference", tool_name: "B" }] })]),
        change("tool_addition", reference("C")),
      ],
      [tool("A"), tool("B"), tool("C")],
    ],
    [
      "that were removed are left out, unless they came back",
      [{ name: "A" }, { name: "B" }],
      [
        change("tool_removal", reference("A")),
        change("tool_removal", reference("B")),
        change("tool_addition", reference("B")),
      ],
      [tool("B")],
    ],
    [
      "defined in the conversation are appended, or replace the definition in place",
      [{ name: "A", description: "old" }, { name: "B" }],
      [change("tool_addition", definition("C", "new")), change("tool_addition", definition("A", "newer"))],
      [tool("A", { description: "newer" }), tool("B"), tool("C", { description: "new" })],
    ],
    [
      "of a whole toolset are none of ours to add",
      [{ name: "A" }],
      [change("tool_addition", { type: "mcp_toolset_reference", mcp_server_name: "x" })],
      [tool("A")],
    ],
  ];
  test.each(cases)("%s", (_name, tools, messages, expected) => {
    expect(decode({ tools, messages: [user("go"), ...messages] }).tools).toEqual(expected);
  });

  const choices: [Json, Partial<ChatRequest>][] = [
    [{ type: "auto" }, { toolChoice: { type: "auto" } }],
    [
      { type: "any", disable_parallel_tool_use: true },
      { toolChoice: { type: "any" }, parallelToolCalls: false },
    ],
    [{ type: "none", disable_parallel_tool_use: false }, { toolChoice: { type: "none" } }],
    [{ type: "tool", name: "A" }, { toolChoice: { type: "tool", name: "A" } }],
    [{ type: "tool", name: "bash" }, { dropped: ["tools.bash_20250124", "tool_choice"] }],
  ];
  test.each(choices)("are chosen by %j", (tool_choice, expected) => {
    const tools = [deferred("A"), { type: "bash_20250124", name: "bash" }];
    const { toolChoice, parallelToolCalls, dropped } = decode({ tools, tool_choice });
    expect({ toolChoice, parallelToolCalls, dropped }).toEqual({
      toolChoice: undefined,
      parallelToolCalls: undefined,
      dropped: ["tools.bash_20250124"],
      ...expected,
    });
  });
});

describe("a request is refused for", () => {
  const bad: [string, JsonObject][] = [
    ["model: field required", { model: undefined }],
    ["model: must be a non-empty string", { model: 5 }],
    ["max_tokens: field required", { max_tokens: undefined }],
    ["max_tokens: must be an integer of at least 1", { max_tokens: 0 }],
    ["max_tokens: must be an integer of at least 1", { max_tokens: 1.5 }],
    ["messages: field required", { messages: undefined }],
    ["messages: must be an array", { messages: {} }],
    ["messages: at least one message is required", { messages: [] }],
    ["messages.1: must be an object", { messages: [user("a"), "b"] }],
    ["messages.0.role: field required", { messages: [{ content: "a" }] }],
    ['messages.0.role: must be "user", "assistant" or "system"', { messages: [{ role: "tool", content: "a" }] }],
    ["messages.0.content: field required", { messages: [{ role: "user" }] }],
    ["messages.0.content: must be a string or an array of blocks", { messages: [user(null)] }],
    ["messages.0.content.1: must be an object", { messages: [user([text("a"), "b"])] }],
    ["messages.0.content.0.type: field required", { messages: [user([{ text: "a" }])] }],
    ["messages.0.content.0.text: field required", { messages: [user([{ type: "text" }])] }],
    ["messages.0.content.0.source: field required", { messages: [user([{ type: "image" }])] }],
    [
      'messages.0.content.0.source.type: must be "base64", "url" or "file"',
      { messages: [user([{ type: "image", source: { type: "novel" } }])] },
    ],
    [
      "messages.0.content.0.source.media_type: field required",
      { messages: [user([{ type: "image", source: { type: "base64", data: "x" } }])] },
    ],
    ["messages.0.content.0.tool_use_id: field required", { messages: [user([{ type: "tool_result" }])] }],
    [
      "messages.0.content.0.content.0.text: must be a string",
      { messages: [user([result({ content: [{ type: "text", text: 1 }] })])] },
    ],
    [
      "messages.0.content.0.content: must be a string or an array of blocks",
      { messages: [user([result({ content: 1 })])] },
    ],
    [
      "messages.0.content.0.id: field required",
      { messages: [assistant([{ type: "tool_use", name: "A", input: {} }])] },
    ],
    ["messages.0.content: field required", { messages: [{ role: "system" }] }],
    [
      "messages.0.content.0.tool: field required",
      { messages: [{ role: "system", content: [{ type: "tool_removal" }] }] },
    ],
    ["system: must be a string or an array of text blocks", { system: 1 }],
    ['system.0.type: must be "text"', { system: [{ type: "image" }] }],
    ["stream: must be a boolean", { stream: "yes" }],
    ["temperature: must be a number", { temperature: "hot" }],
    ["stop_sequences: must be an array of strings", { stop_sequences: "a" }],
    ["stop_sequences.1: must be a string", { stop_sequences: ["a", 1] }],
    ["tools: must be an array", { tools: {} }],
    ["tools.0: must be an object", { tools: ["A"] }],
    ["tools.0.name: field required", { tools: [{ input_schema: {} }] }],
    ["tool_choice: must be an object", { tool_choice: "auto" }],
    ['tool_choice.type: must be "auto", "any", "tool" or "none"', { tool_choice: { type: "novel" } }],
    ['tool_choice.name: no tool is called "X"', { tool_choice: { type: "tool", name: "X" } }],
    ['thinking.type: must be "enabled", "adaptive" or "disabled"', { thinking: { type: "novel" } }],
    ["thinking.budget_tokens: field required", { thinking: { type: "enabled" } }],
    ["output_config: must be an object", { output_config: 1 }],
    [
      'output_config.format: must have type "json_schema" and a schema',
      { output_config: { format: { type: "json" } } },
    ],
  ];
  test.each(bad)("%s", (message, changes) => {
    const attempt = () => decode(changes);
    expect(attempt).toThrow(ProtocolError);
    expect(attempt).toThrow(new ProtocolError(message));
    try {
      attempt();
    } catch (error) {
      expect((error as ProtocolError).param).toBe(message.slice(0, message.indexOf(":")));
    }
  });

  test.each([[null], [[]], ["text"], [1]])("the body %j", (body) => {
    expect(() => anthropicMessages.decodeRequest(body)).toThrow("the request body must be a JSON object");
  });
});
