import { describe, expect, test } from "bun:test";
import type { ChatRequest, Json, JsonObject, Tool, Turn } from "../../../src/protocols/chat.ts";
import { ProtocolError } from "../../../src/protocols/codec.ts";
import { wrapReplay } from "../../../src/protocols/envelope.ts";
import { openaiResponses } from "../../../src/protocols/openai-responses/index.ts";

const fixtures = new URL("../../fixtures/responses/", import.meta.url);

async function decodeFixture(name: string): Promise<ChatRequest> {
  return openaiResponses.decodeRequest(await Bun.file(new URL(name, fixtures)).json());
}

function decode(fields: JsonObject): ChatRequest {
  return openaiResponses.decodeRequest({ model: "m", input: [], ...fields });
}

const input = {
  type: "object",
  properties: { input: { type: "string", description: "The raw text, without quoting or code fences." } },
  required: ["input"],
  additionalProperties: false,
};

describe("decodeRequest() reads what Codex 0.169 sends", () => {
  test("with tools at the top", async () => {
    const { tools, ...rest } = await decodeFixture("codex-plain.request.json");
    expect(rest).toEqual({
      model: "gpt-5.5",
      stream: true,
      system: ["prose 1", "prose 2", "prose 3", "prose 4"].map((text) => ({ text })),
      turns: [
        { role: "user", parts: [{ type: "text", text: "prose 5" }] },
        { role: "user", parts: [{ type: "text", text: "run echo" }] },
        {
          role: "assistant",
          parts: [
            {
              type: "tool-call",
              id: "call_mock01",
              name: "exec_command",
              arguments: '{"cmd":"echo hello-from-tool"}',
            },
          ],
        },
        {
          role: "tool",
          results: [{ callId: "call_mock01", parts: [{ type: "text", text: "prose 6" }], isError: false }],
        },
      ],
      toolChoice: { type: "auto" },
      reasoning: { effort: "medium" },
      verbosity: "low",
      cacheKey: "01a1f753-ad72-79f3-b3e7-fb214cd7d0e5",
      reasoningDisplay: "full",
      echo: {
        parallel_tool_calls: true,
        reasoning: { effort: "medium" },
        text: { verbosity: "low" },
        tool_choice: "auto",
      },
      dropped: ["client_metadata"],
    });
    expect(tools.map(({ name, origin, server, strict }) => ({ name, origin, server, strict }))).toEqual([
      { name: "exec_command", origin: undefined, server: undefined, strict: false },
      { name: "get_goal", origin: undefined, server: undefined, strict: false },
      {
        name: "apply_patch",
        origin: { kind: "custom", childName: "apply_patch" },
        server: undefined,
        strict: undefined,
      },
      {
        name: "multi_agent_v1__close_agent",
        origin: { kind: "function", childName: "close_agent", namespace: "multi_agent_v1" },
        server: undefined,
        strict: false,
      },
      {
        name: "tool_search",
        origin: { kind: "tool_search", childName: "tool_search" },
        server: undefined,
        strict: undefined,
      },
      { name: "web_search", origin: undefined, server: "web_search", strict: undefined },
    ]);
  });

  test("with all tools in an additional_tools item", async () => {
    const { tools, ...rest } = await decodeFixture("codex-additional-tools.request.json");
    expect(rest).toEqual({
      model: "gpt-6.1-sol",
      stream: true,
      system: Array.from({ length: 6 }, (_, index) => ({ text: `prose ${index + 6}` })),
      turns: [
        { role: "user", parts: [{ type: "text", text: "prose 12" }] },
        { role: "user", parts: [{ type: "text", text: "run echo" }] },
        {
          role: "assistant",
          parts: [
            {
              type: "tool-call",
              id: "call_mock01",
              name: "exec",
              arguments:
                '{"input":"const r = await tools.exec_command({cmd:\\"echo hello-from-tool\\"}); text(JSON.stringify(r));"}',
            },
          ],
        },
        {
          role: "tool",
          results: [
            {
              callId: "call_mock01",
              parts: [
                { type: "text", text: "Script completed\nWall time 0.1 seconds\nOutput:\n" },
                { type: "text", text: "prose 13" },
              ],
              isError: false,
            },
          ],
        },
      ],
      toolChoice: { type: "auto" },
      parallelToolCalls: false,
      reasoning: { effort: "low" },
      verbosity: "low",
      cacheKey: "01a1f757-7356-7b92-ac52-b141ab88d0aa",
      reasoningDisplay: "full",
      echo: {
        parallel_tool_calls: false,
        reasoning: { effort: "low", context: "all_turns" },
        text: { verbosity: "low" },
        tool_choice: "auto",
      },
      dropped: ["client_metadata"],
    });
    expect(tools[0]).toEqual({
      name: "exec",
      description: "prose 1\n\nPass the raw text as `input`.\n\nThe text must follow this lark grammar:\nprose 2",
      parameters: input,
      origin: { kind: "custom", childName: "exec", namespace: "functions" },
    });
    expect(tools.slice(1).map(({ name, origin }) => [name, origin] as const)).toEqual([
      ["wait", { kind: "function", childName: "wait", namespace: "functions" }],
      ["clock__sleep", { kind: "function", childName: "sleep", namespace: "clock" }],
      ["collaboration__followup_task", { kind: "function", childName: "followup_task", namespace: "collaboration" }],
    ]);
  });
});

const call = (id: string, name = "f") => ({ type: "function_call", call_id: id, name, arguments: "{}" });
const output = (id: string, text: Json = "ok") => ({ type: "function_call_output", call_id: id, output: text });
const message = (role: string, text: string) => ({ type: "message", role, content: text });
const reasoning = (encrypted: string, ...summary: string[]) => ({
  type: "reasoning",
  id: "rs_1",
  summary: summary.map((text) => ({ type: "summary_text", text })),
  encrypted_content: encrypted,
});
const called = (id: string, name = "f") => ({ type: "tool-call", id, name, arguments: "{}" }) as const;
const thought = (encrypted: string, text = "") =>
  ({ type: "reasoning", text, replay: { kind: "openai", encrypted } }) as const;
const text = (words: string) => ({ type: "text", text: words }) as const;
const result = (callId: string, ...parts: { type: "text"; text: string }[]) => ({ callId, parts, isError: false });

describe("decodeRequest() makes turns of items:", () => {
  const rows: [string, Json, Turn[]][] = [
    ["a string is one user turn", "hi", [{ role: "user", parts: [text("hi")] }]],
    [
      "reasoning, message and calls are one assistant turn, their outputs one tool turn",
      [
        reasoning("A", "one", "two"),
        message("assistant", "I look"),
        call("1"),
        call("2"),
        output("1"),
        output("2", ""),
        reasoning("B"),
        call("3"),
        output("3", [{ type: "input_text", text: "x" }]),
        message("assistant", "done"),
      ],
      [
        { role: "assistant", parts: [thought("A", "one\n\ntwo"), text("I look"), called("1"), called("2")] },
        { role: "tool", results: [result("1", text("ok")), result("2")] },
        { role: "assistant", parts: [thought("B"), called("3")] },
        { role: "tool", results: [result("3", text("x"))] },
        { role: "assistant", parts: [text("done")] },
      ],
    ],
    [
      "a message behind a call begins a new turn, reasoning between calls does not",
      [call("1"), reasoning("A"), call("2"), reasoning("B"), message("assistant", "wait"), output("1"), output("2")],
      [
        { role: "assistant", parts: [called("1"), thought("A"), called("2")] },
        { role: "assistant", parts: [thought("B"), text("wait")] },
        { role: "tool", results: [result("1", text("ok")), result("2", text("ok"))] },
      ],
    ],
    [
      "reasoning that nothing follows is left out",
      [message("user", "a"), reasoning("A"), message("user", "b"), reasoning("B")],
      [
        { role: "user", parts: [text("a")] },
        { role: "user", parts: [text("b")] },
      ],
    ],
    [
      "an envelope is opened, a broken one dropped with its reasoning when it has no text",
      [
        reasoning(wrapReplay({ kind: "anthropic", signature: "sig" }), "hm"),
        reasoning("clutch1.broken"),
        reasoning("clutch1.broken", "kept text"),
        call("1"),
      ],
      [
        {
          role: "assistant",
          parts: [
            { type: "reasoning", text: "hm", replay: { kind: "anthropic", signature: "sig" } },
            { type: "reasoning", text: "kept text" },
            called("1"),
          ],
        },
      ],
    ],
    [
      "instructions behind the first turn keep their place",
      [message("user", "a"), { role: "developer", content: [{ type: "input_text", text: "be brief" }, "now"] }],
      [
        { role: "user", parts: [text("a")] },
        { role: "system", text: "be brief\n\nnow" },
      ],
    ],
    [
      "empty texts and messages vanish",
      [message("user", ""), { role: "assistant", content: [{ type: "output_text", text: "" }] }, message("user", "a")],
      [{ role: "user", parts: [text("a")] }],
    ],
    [
      "media in every spelling",
      [
        {
          role: "user",
          content: [
            { type: "input_image", image_url: "data:image/png;base64,AAAA", detail: "high" },
            { type: "input_image", image_url: "https://x/y.png" },
            { type: "input_image", file_id: "file-1" },
            { type: "input_file", filename: "a.pdf", file_data: "data:application/pdf;base64,BBBB" },
            { type: "input_file", file_data: "CCCC" },
            { type: "input_file", file_url: "https://x/z.pdf" },
            { type: "input_audio", input_audio: { format: "mp3", data: "DDDD" } },
          ],
        },
      ],
      [
        {
          role: "user",
          parts: [
            { type: "image", source: { kind: "base64", mediaType: "image/png", data: "AAAA" }, detail: "high" },
            { type: "image", source: { kind: "url", url: "https://x/y.png" } },
            { type: "image", source: { kind: "file", id: "file-1" } },
            {
              type: "document",
              title: "a.pdf",
              source: { kind: "base64", mediaType: "application/pdf", data: "BBBB" },
            },
            { type: "document", source: { kind: "base64", mediaType: "application/pdf", data: "CCCC" } },
            { type: "document", source: { kind: "url", url: "https://x/z.pdf" } },
            { type: "audio", format: "mp3", data: "DDDD" },
          ],
        },
      ],
    ],
    [
      "calls of undeclared tools keep their names, namespaces are flattened",
      [call("1", "gone"), { ...call("2", "add"), namespace: "mcp__demo" }],
      [{ role: "assistant", parts: [called("1", "gone"), called("2", "mcp__demo__add")] }],
    ],
    [
      "arguments that are no object are kept as text inside one",
      [
        { ...call("1"), arguments: "not json" },
        { ...call("2"), arguments: " " },
      ],
      [
        {
          role: "assistant",
          parts: [{ ...called("1"), arguments: '{"_raw":"not json"}' }, called("2")],
        },
      ],
    ],
    [
      "shell and patch items with their outputs",
      [
        { type: "local_shell_call", id: "lsh_1", call_id: "l", action: { type: "exec", command: ["ls"], env: {} } },
        { type: "local_shell_call_output", id: "lsh_1", output: "files" },
        { type: "shell_call", call_id: "s", action: { commands: ["pwd"] } },
        { type: "shell_call_output", call_id: "s", output: [{ stdout: "/a", stderr: "", outcome: { type: "exit" } }] },
        { type: "apply_patch_call", call_id: "p", operation: { type: "delete_file", path: "a" } },
        { type: "apply_patch_call_output", call_id: "p", status: "failed" },
      ],
      [
        {
          role: "assistant",
          parts: [{ type: "tool-call", id: "l", name: "local_shell", arguments: '{"command":["ls"]}' }],
        },
        { role: "tool", results: [result("l", text("files"))] },
        {
          role: "assistant",
          parts: [{ type: "tool-call", id: "s", name: "shell", arguments: '{"commands":["pwd"]}' }],
        },
        {
          role: "tool",
          results: [result("s", text('[{"stdout":"/a","stderr":"","outcome":{"type":"exit"}}]'))],
        },
        {
          role: "assistant",
          parts: [{ type: "tool-call", id: "p", name: "apply_patch", arguments: '{"type":"delete_file","path":"a"}' }],
        },
        { role: "tool", results: [{ callId: "p", parts: [text("The patch was not applied.")], isError: true }] },
      ],
    ],
  ];
  test.each(rows)("%s", (_, items, turns) => {
    expect(decode({ input: items }).turns).toEqual(turns);
  });

  test("instructions stand before leading system and developer messages", () => {
    const { system, turns } = decode({
      instructions: "first",
      input: [
        { type: "additional_tools", role: "developer", tools: [] },
        message("system", "second"),
        message("developer", "third"),
        message("user", "hi"),
      ],
    });
    expect(system).toEqual([{ text: "first" }, { text: "second" }, { text: "third" }]);
    expect(turns).toEqual([{ role: "user", parts: [text("hi")] }]);
  });

  test("a tool search loads its tools and answers with their names", () => {
    const found: Tool = {
      name: "mcp__git__log",
      parameters: { type: "object", properties: {} },
      origin: { kind: "function", childName: "log", namespace: "mcp__git" },
    };
    const request = decode({
      input: [
        { type: "tool_search_call", call_id: "t", execution: "client", arguments: { query: "git" } },
        {
          type: "tool_search_output",
          call_id: "t",
          execution: "client",
          tools: [
            { type: "namespace", name: "mcp__git", tools: [{ type: "function", name: "log", defer_loading: true }] },
          ],
        },
        { ...call("2", "log"), namespace: "mcp__git" },
      ],
    });
    expect(request.tools).toEqual([found]);
    expect(request.turns).toEqual([
      {
        role: "assistant",
        parts: [{ type: "tool-call", id: "t", name: "tool_search", arguments: '{"query":"git"}' }],
      },
      { role: "tool", results: [result("t", text("Tool loaded: mcp__git__log"))] },
      { role: "assistant", parts: [called("2", "mcp__git__log")] },
    ]);
  });

  test("hosted and unknown items are dropped by name", () => {
    const request = decode({
      input: [message("user", "a"), { type: "web_search_call", id: "ws" }, { type: "hologram" }],
      truncation: "auto",
      future_field: 1,
      previous_response_id: null,
    });
    expect(request.turns).toEqual([{ role: "user", parts: [text("a")] }]);
    expect(request.dropped).toEqual([
      "truncation",
      "future_field",
      "input.web_search_call",
      "input.hologram (unknown)",
    ]);
  });
});

describe("decodeRequest() reads parameters:", () => {
  const tools = [
    { type: "function", name: "f", parameters: null },
    { type: "namespace", name: "ns", tools: [{ type: "custom", name: "c" }] },
    { type: "web_search" },
    { type: "apply_patch" },
  ];
  const rows: [JsonObject, Partial<ChatRequest>][] = [
    [
      { max_output_tokens: 5, temperature: 0, top_p: 0.5 },
      { maxOutputTokens: 5, temperature: 0, topP: 0.5 },
    ],
    [
      { max_output_tokens: null, parallel_tool_calls: true },
      { maxOutputTokens: undefined, parallelToolCalls: undefined },
    ],
    [{ parallel_tool_calls: false }, { parallelToolCalls: false }],
    [{ reasoning: { effort: "xhigh" } }, { reasoning: { effort: "xhigh" }, dropped: [] }],
    [{ reasoning: { effort: "ultra" } }, { reasoning: undefined, dropped: ["reasoning.effort"] }],
    [
      {
        reasoning: { effort: "low" },
        input: [{ type: "configuration_update", reasoning: { effort: "high" } }],
      },
      { reasoning: { effort: "high" } },
    ],
    [
      {
        text: {
          format: { type: "json_schema", name: "t", schema: { type: "object" }, strict: true },
          verbosity: "high",
        },
      },
      { format: { type: "json-schema", name: "t", schema: { type: "object" }, strict: true }, verbosity: "high" },
    ],
    [
      { text: { format: { type: "json_schema", schema: {} } } },
      { format: { type: "json-schema", name: "output", schema: {} } },
    ],
    [{ text: { format: { type: "json_object" } } }, { format: { type: "json-object" } }],
    [{ text: { format: { type: "text" } } }, { format: undefined, verbosity: undefined }],
    [{ user: "u", safety_identifier: "s" }, { endUser: "s" }],
    [{ user: "u" }, { endUser: "u" }],
    [
      { prompt_cache_key: "k".repeat(70) },
      {
        cacheKey: `${"k".repeat(47)}_${new Bun.CryptoHasher("sha256").update("k".repeat(70)).digest("hex").slice(0, 16)}`,
      },
    ],
    [{ service_tier: "default" }, { serviceTier: "default" }],
    [{ service_tier: "flex" }, { serviceTier: undefined, dropped: ["service_tier"] }],
    [
      { metadata: { a: "b" }, temperature: 1, tool_choice: { type: "function", name: "f" }, tools },
      { echo: { metadata: { a: "b" }, temperature: 1 } },
    ],
    [{ tools, tool_choice: "required" }, { toolChoice: { type: "any" } }],
    [{ tools, tool_choice: "none" }, { toolChoice: { type: "none" } }],
    [{ tools, tool_choice: { type: "function", name: "f" } }, { toolChoice: { type: "tool", name: "f" } }],
    [
      { tools, tool_choice: { type: "custom", name: "c", namespace: "ns" } },
      { toolChoice: { type: "tool", name: "ns__c" } },
    ],
    [{ tools, tool_choice: { type: "apply_patch" } }, { toolChoice: { type: "tool", name: "apply_patch" } }],
    [{ tools, tool_choice: { type: "web_search_preview" } }, { toolChoice: { type: "tool", name: "web_search" } }],
    [
      {
        tools,
        tool_choice: {
          type: "allowed_tools",
          mode: "required",
          tools: [{ type: "function", name: "f" }, { type: "file_search" }, { type: "function", name: "absent" }],
        },
      },
      { toolChoice: { type: "allowed", mode: "any", names: ["f"] } },
    ],
    [
      { tools, tool_choice: { type: "allowed_tools", mode: "auto", tools: [{ type: "file_search" }] } },
      { toolChoice: { type: "none" } },
    ],
  ];
  test.each(rows)("%j", (fields, expected) => {
    const request = decode(fields);
    const names = Object.keys(expected) as (keyof ChatRequest)[];
    expect(Object.fromEntries(names.map((name) => [name, request[name]]))).toEqual(expected);
  });
});

describe("decodeRequest() refuses", () => {
  const rows: [string, Json, { message: RegExp; param?: string; code?: string }][] = [
    ["a body that is no object", [], { message: /JSON object/ }],
    ["a missing model", { input: "x" }, { message: /'model'/, param: "model", code: "missing_required_parameter" }],
    [
      "a model that is no string",
      { model: 5, input: "x" },
      { message: /string/, param: "model", code: "invalid_type" },
    ],
    ["a missing input", { model: "m" }, { message: /'input'/, param: "input", code: "missing_required_parameter" }],
    ["an input of another type", { model: "m", input: 1 }, { message: /array/, param: "input", code: "invalid_type" }],
    [
      "previous_response_id",
      { model: "m", input: "x", previous_response_id: "resp_1" },
      { message: /resp_1/, param: "previous_response_id", code: "previous_response_not_found" },
    ],
    [
      "conversation",
      { model: "m", input: "x", conversation: "conv_1" },
      { message: /conversation/, param: "conversation", code: "unsupported_parameter" },
    ],
    [
      "prompt",
      { model: "m", input: "x", prompt: { id: "p" } },
      { message: /prompt/, param: "prompt", code: "unsupported_parameter" },
    ],
    [
      "background",
      { model: "m", input: "x", background: true },
      { message: /background/, param: "background", code: "unsupported_parameter" },
    ],
    [
      "an item reference without a type",
      { model: "m", input: [{ id: "msg_1" }] },
      { message: /input\[0\]/, param: "input[0]", code: "unsupported_parameter" },
    ],
    [
      "a compaction",
      { model: "m", input: ["compaction", "x"].map((type) => ({ type })) },
      { message: /OpenAI/, param: "input[0]", code: "unsupported_parameter" },
    ],
    [
      "a call without an id",
      { model: "m", input: [{ type: "function_call", name: "f", arguments: "{}" }] },
      { message: /call_id/, param: "input[0].call_id", code: "missing_required_parameter" },
    ],
    [
      "a call without a name",
      { model: "m", input: [{ type: "function_call", call_id: "c", arguments: "{}" }] },
      { message: /name/, param: "input[0].name", code: "missing_required_parameter" },
    ],
    [
      "an unknown role",
      { model: "m", input: [{ role: "critic", content: "x" }] },
      { message: /critic/, param: "input[0].role", code: "invalid_value" },
    ],
    [
      "unknown media",
      { model: "m", input: [{ role: "user", content: [{ type: "input_video", url: "x" }] }] },
      { message: /input_video/, param: "input[0].content[0].type", code: "invalid_value" },
    ],
    [
      "images as instructions",
      { model: "m", input: [{ role: "developer", content: [{ type: "input_image", image_url: "https://x" }] }] },
      { message: /only be text/, param: "input[0].content", code: "unsupported_parameter" },
    ],
    [
      "a forced hosted tool",
      { model: "m", input: "x", tools: [{ type: "file_search" }], tool_choice: { type: "file_search" } },
      { message: /file_search/, param: "tool_choice", code: "unsupported_parameter" },
    ],
    [
      "a forced tool that is not declared",
      { model: "m", input: "x", tool_choice: { type: "function", name: "absent" } },
      { message: /absent/, param: "tool_choice" },
    ],
    [
      "a number that is text",
      { model: "m", input: "x", max_output_tokens: "5" },
      { message: /max_output_tokens/, param: "max_output_tokens", code: "invalid_type" },
    ],
  ];
  test.each(rows)("%s", (_, body, expected) => {
    let thrown: unknown;
    try {
      openaiResponses.decodeRequest(body);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ProtocolError);
    const { message: words, param, code } = thrown as ProtocolError;
    expect(words).toMatch(expected.message);
    expect({ param, code }).toEqual({ param: expected.param, code: expected.code });
  });
});
