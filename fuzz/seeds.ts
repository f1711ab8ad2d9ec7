/** What the fuzzer starts from: recorded and hand-made requests, streams and answers of each protocol. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ChatRequest, Json, JsonObject, Protocol, Tool, ToolOrigin } from "../src/protocols/chat.ts";
import { type RichAnswer, richStream, richWhole } from "../test/support/rich-answers.ts";

const fixtures = join(import.meta.dir, "../test/fixtures");

function fixturesOf(protocol: Protocol, ending: string): string[] {
  const folder = join(fixtures, protocol);
  const names = readdirSync(folder).filter((name) => name.endsWith(ending));
  return names.sort().map((name) => readFileSync(join(folder, name), "utf8"));
}

const weather = {
  type: "object",
  properties: { city: { type: "string" }, unit: { enum: ["c", "f"] } },
  required: ["city"],
};
const picture = "iVBORw0KGgo=";

const builtRequests: Record<Protocol, readonly JsonObject[]> = {
  messages: [
    {
      model: "big",
      max_tokens: 4096,
      stream: true,
      system: [
        { type: "text", text: "x-anthropic-billing-header: cch=1" },
        { type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } },
      ],
      thinking: { type: "enabled", budget_tokens: 2048 },
      output_config: { effort: "xhigh", format: { type: "json_schema", schema: weather } },
      temperature: 0.7,
      top_p: 0.9,
      top_k: 40,
      stop_sequences: ["END", " "],
      metadata: { user_id: '{"session_id":"s-1"}' },
      tools: [
        { name: "get_weather", description: "the weather", input_schema: weather, strict: true },
        { name: "mcp.server/list all", input_schema: { anyOf: [weather, { type: "string" }] } },
        { name: "later", defer_loading: true, input_schema: { type: "object" } },
        { type: "web_search_20250305", name: "web_search", max_uses: 3 },
        { name: "bare" },
      ],
      tool_choice: { type: "auto", disable_parallel_tool_use: true },
      messages: [
        { role: "system", content: "You may." },
        {
          role: "user",
          content: [
            { type: "text", text: "What is this?" },
            { type: "image", source: { type: "base64", media_type: "image/png", data: picture } },
            {
              type: "document",
              title: "a.pdf",
              source: { type: "base64", media_type: "application/pdf", data: "JVBE" },
            },
          ],
        },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "let me see", signature: "sig-1" },
            { type: "redacted_thinking", data: "opaque" },
            { type: "text", text: "Looking." },
            { type: "tool_use", id: "toolu_1", name: "get_weather", input: { city: "Bonn" } },
            { type: "tool_use", id: "toolu.1", name: "mcp.server/list all", input: {} },
            { type: "tool_use", id: "toolu_2", name: "later", input: { deep: { er: [1] } } },
          ],
        },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "toolu_2", is_error: true, content: "it broke" },
            { type: "text", text: "Go on." },
            {
              type: "tool_result",
              tool_use_id: "toolu_1",
              content: [
                { type: "text", text: "rain" },
                { type: "image", source: { type: "url", url: "https://example.org/a.png" } },
              ],
            },
            { type: "tool_result", tool_use_id: "toolu.1" },
          ],
        },
        { role: "system", content: [{ type: "text", text: "The date changed." }], output_config: { effort: "low" } },
        { role: "assistant", content: [{ type: "text", text: "It rains." }] },
        { role: "user", content: "Thanks." },
      ],
    },
  ],
  chat: [
    {
      model: "big",
      stream: true,
      stream_options: { include_usage: true },
      max_completion_tokens: 900,
      temperature: 1.5,
      top_p: 0.5,
      stop: ["A", "B", "C", "D", "E"],
      reasoning_effort: "minimal",
      user: "u1",
      prompt_cache_key: "k",
      response_format: { type: "json_schema", json_schema: { name: "answer", schema: weather } },
      parallel_tool_calls: false,
      tools: [
        { type: "function", function: { name: "get_weather", description: "w", parameters: weather, strict: true } },
        { type: "function", function: { name: "nothing" } },
        { type: "custom", custom: { name: "exec", description: "runs", format: { type: "text" } } },
      ],
      tool_choice: {
        type: "allowed_tools",
        allowed_tools: { mode: "required", tools: [{ type: "function", function: { name: "get_weather" } }] },
      },
      messages: [
        { role: "developer", content: "Be brief." },
        { role: "system", content: [{ type: "text", text: "Be kind.", cache_control: { type: "ephemeral" } }] },
        {
          role: "user",
          content: [
            { type: "text", text: "Look:" },
            { type: "image_url", image_url: { url: `data:image/png;base64,${picture}`, detail: "low" } },
            { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,JVBE" } },
          ],
        },
        {
          role: "assistant",
          content: "",
          reasoning_content: "let me see",
          tool_calls: [
            { id: "call.1", type: "function", function: { name: "get_weather", arguments: '{"city":"Bonn"}' } },
            { id: "call_1", type: "function", function: { name: "nothing", arguments: "" } },
            { id: `call_${"9".repeat(80)}`, type: "custom", custom: { name: "exec", input: "ls -la" } },
          ],
        },
        { role: "tool", tool_call_id: "call_1", content: "" },
        { role: "user", content: "meanwhile" },
        { role: "tool", tool_call_id: "call.1", content: [{ type: "text", text: "rain" }] },
        { role: "tool", tool_call_id: `call_${"9".repeat(80)}`, content: "ok" },
        { role: "system", content: "The date changed." },
        { role: "assistant", content: null, function_call: { name: "get_weather", arguments: "not json" } },
        { role: "function", name: "get_weather", content: "sun" },
        {
          role: "assistant",
          content: [{ type: "refusal", refusal: "No." }],
          reasoning_details: [
            { type: "reasoning.text", text: "hm", signature: "sig", format: "anthropic-claude-v1", index: 0 },
          ],
        },
        { role: "user", content: "Why?" },
      ],
    },
  ],
  responses: [
    {
      model: "big",
      stream: true,
      store: false,
      instructions: "Be brief.",
      max_output_tokens: 3,
      reasoning: { effort: "high", summary: "auto" },
      text: { verbosity: "low", format: { type: "json_schema", name: "answer", schema: weather } },
      prompt_cache_key: "k".repeat(90),
      parallel_tool_calls: false,
      tool_choice: { type: "function", name: "get_weather" },
      tools: [
        { type: "function", name: "get_weather", parameters: weather, strict: false },
        {
          type: "custom",
          name: "apply",
          description: "patch",
          format: { type: "grammar", syntax: "lark", definition: "s" },
        },
        { type: "namespace", name: "mcp__demo__", tools: [{ type: "function", name: "add", parameters: null }] },
        { type: "namespace", name: "functions", tools: [{ type: "custom", name: "exec" }] },
        { type: "local_shell" },
        { type: "tool_search", execution: "client", parameters: weather },
        { type: "web_search", external_web_access: true },
        { type: "file_search", vector_store_ids: ["v"] },
      ],
      input: [
        { type: "message", role: "developer", content: [{ type: "input_text", text: "You are." }] },
        { role: "user", content: "hi" },
        { type: "additional_tools", tools: [{ type: "function", name: "extra", parameters: { type: "object" } }] },
        { type: "reasoning", id: "rs_1", summary: [{ type: "summary_text", text: "hm" }], encrypted_content: "gAAA" },
        { type: "message", id: "msg_1", role: "assistant", content: [{ type: "output_text", text: "One moment." }] },
        {
          type: "function_call",
          id: "fc_1",
          call_id: "c1",
          name: "add",
          namespace: "mcp__demo__",
          arguments: '{"a":1}',
        },
        { type: "custom_tool_call", id: "ctc_1", call_id: "c2", name: "exec", namespace: "functions", input: "ls" },
        { type: "local_shell_call", id: "lsh_1", call_id: "c3", action: { type: "exec", command: ["ls"], env: {} } },
        { type: "message", role: "user", content: [{ type: "input_text", text: "meanwhile" }] },
        { type: "custom_tool_call_output", call_id: "c2", output: "a b" },
        {
          type: "function_call_output",
          call_id: "c1",
          output: [
            { type: "input_text", text: "2" },
            { type: "input_image", image_url: `data:image/png;base64,${picture}` },
          ],
        },
        { type: "local_shell_call_output", id: "lsh_1", output: "a" },
        { type: "message", role: "developer", content: [{ type: "input_text", text: "The date changed." }] },
        { type: "tool_search_call", call_id: "c4", execution: "client", arguments: { query: "x" } },
        { type: "tool_search_output", call_id: "c4", tools: [{ type: "function", name: "found" }] },
        { type: "web_search_call", id: "ws_1", status: "completed" },
        { type: "reasoning", summary: [], encrypted_content: "gBBB" },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "Done." }] },
        { role: "user", content: [{ type: "input_text", text: "Thanks." }] },
      ],
    },
  ],
};

const calls = [
  { id: "call_1", name: "get_weather", arguments: '{"city":"Köln 🎉","unit":"c"}' },
  { id: "call_2", name: "exec", arguments: '{"input":"ls\\n-la \\"q\\" \\ud83c\\udf89"}' },
  { id: "call_3", name: "local_shell", arguments: '{"command":["ls"]}' },
] as const;

export const answers: readonly RichAnswer[] = [
  { text: "Grüße 🎉!" },
  { reasoning: "Let me think.\n\nTwice.", replay: "opaque-1", text: "Grüße 🎉!", calls },
  { reasoning: "Only thought.", replay: "opaque-1" },
  { calls: calls.slice(0, 1), stop: "stop" },
  { text: "<think>hm</think> cut off", stop: "length", hasUsage: false },
  { text: "No.", stop: "filter" },
  { text: "no call after all", stop: "tools" },
  { calls: [{ id: "call_1", name: "get_weather", arguments: "{}" }] },
  {},
];

function parseAll(texts: readonly string[]): Json[] {
  return texts.map((text) => JSON.parse(text) as Json);
}

export const requests = {
  messages: [...parseAll(fixturesOf("messages", ".request.json")), ...builtRequests.messages],
  chat: [...parseAll(fixturesOf("chat", ".request.json")), ...builtRequests.chat],
  responses: [...parseAll(fixturesOf("responses", ".request.json")), ...builtRequests.responses],
} as const satisfies Record<Protocol, readonly Json[]>;

function streamsOf(protocol: Protocol): string[] {
  return [...fixturesOf(protocol, ".sse"), ...answers.map((answer) => richStream(protocol, answer))];
}

export const streams = {
  messages: streamsOf("messages"),
  chat: streamsOf("chat"),
  responses: streamsOf("responses"),
} as const satisfies Record<Protocol, readonly string[]>;

export const wholes = {
  messages: answers.map((answer) => richWhole("messages", answer)),
  chat: answers.map((answer) => richWhole("chat", answer)),
  responses: answers.map((answer) => richWhole("responses", answer)),
} as const satisfies Record<Protocol, readonly Json[]>;

function declare(name: string, origin?: ToolOrigin): Tool {
  const parameters = { type: "object", properties: {} };
  return origin === undefined ? { name, parameters } : { name, parameters, origin };
}

/** The tools that the client of a fuzzed stream has declared, in every way its protocol knows. */
export const clientTools = {
  messages: [declare("get_weather"), declare("exec")],
  chat: [declare("get_weather"), declare("exec", { kind: "custom", childName: "exec" })],
  responses: [
    declare("get_weather"),
    declare("exec", { kind: "custom", childName: "exec", namespace: "functions" }),
    declare("notes__write", { kind: "custom", childName: "write", namespace: "notes" }),
    declare("mcp__demo__add", { kind: "function", childName: "add", namespace: "mcp__demo" }),
    declare("tool_search", { kind: "tool_search", childName: "tool_search" }),
    declare("local_shell", { kind: "local_shell", childName: "local_shell" }),
  ],
} as const satisfies Record<Protocol, readonly Tool[]>;

export function clientRequest(protocol: Protocol, changes: Partial<ChatRequest> = {}): ChatRequest {
  return {
    model: "client-model",
    stream: true,
    system: [],
    turns: [],
    tools: [...clientTools[protocol]],
    reasoningDisplay: "full",
    echo: {},
    dropped: [],
    ...changes,
  };
}
