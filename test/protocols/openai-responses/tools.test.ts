import { describe, expect, test } from "bun:test";
import type { Json, JsonObject, Tool, ToolOrigin } from "../../../src/protocols/chat.ts";
import {
  buildCall,
  RawInputReader,
  readCall,
  ToolDeclarations,
} from "../../../src/protocols/openai-responses/tools.ts";

const schema = { type: "object", properties: { a: { type: "string" } } };

describe("ToolDeclarations", () => {
  const rows: [string, Json[], Tool[], string[]][] = [
    [
      "a function keeps its own strictness, and an absent schema is repaired",
      [
        { type: "function", name: "f", description: "d", parameters: schema, strict: true },
        { type: "function", name: "g", parameters: null, strict: null, defer_loading: true },
      ],
      [
        { name: "f", description: "d", parameters: schema, strict: true },
        { name: "g", parameters: { type: "object", properties: {} } },
      ],
      [],
    ],
    [
      "a namespace is flattened under its name without trailing underscores; `functions` vanishes",
      [
        { type: "namespace", name: "functions", tools: [{ type: "function", name: "wait", parameters: schema }] },
        { type: "namespace", name: "mcp__demo__", tools: [{ type: "function", name: "add", parameters: schema }] },
      ],
      [
        { name: "wait", parameters: schema, origin: { kind: "function", childName: "wait", namespace: "functions" } },
        {
          name: "mcp__demo__add",
          parameters: schema,
          origin: { kind: "function", childName: "add", namespace: "mcp__demo__" },
        },
      ],
      [],
    ],
    [
      "the first declaration wins, a top-level tool keeps its name against a child that stands before it",
      [
        { type: "namespace", name: "a", tools: [{ type: "function", name: "b", parameters: schema }] },
        { type: "function", name: "a__b", description: "top", parameters: schema },
        { type: "function", name: "a__b", description: "again", parameters: schema },
        { type: "namespace", name: "functions", tools: [{ type: "function", name: "a__b", parameters: schema }] },
      ],
      [
        {
          // SHA-256 of "a\nb" begins with these digits.
          name: `a__b_${new Bun.CryptoHasher("sha256").update("a\nb").digest("hex").slice(0, 8)}`,
          parameters: schema,
          origin: { kind: "function", childName: "b", namespace: "a" },
        },
        { name: "a__b", description: "top", parameters: schema },
      ],
      [],
    ],
    [
      "a custom tool takes one string and keeps its grammar in words",
      [
        {
          type: "custom",
          name: "apply_patch",
          description: "Edit files.",
          format: { type: "grammar", syntax: "lark", definition: "start: x" },
        },
        { type: "custom", name: "free", format: { type: "text" } },
      ],
      [
        {
          name: "apply_patch",
          description:
            "Edit files.\n\nPass the raw text as `input`.\n\nThe text must follow this lark grammar:\nstart: x",
          parameters: {
            type: "object",
            properties: { input: { type: "string", description: "The raw text, without quoting or code fences." } },
            required: ["input"],
            additionalProperties: false,
          },
          origin: { kind: "custom", childName: "apply_patch" },
        },
        {
          name: "free",
          description: "Pass the raw text as `input`.",
          parameters: {
            type: "object",
            properties: { input: { type: "string", description: "The raw text, without quoting or code fences." } },
            required: ["input"],
            additionalProperties: false,
          },
          origin: { kind: "custom", childName: "free" },
        },
      ],
      [],
    ],
    [
      "hosted tools are dropped by type, web search is kept as one tool",
      [
        { type: "web_search", external_web_access: true },
        { type: "web_search_preview_2025_03_11" },
        { type: "tool_search" },
        { type: "shell", environment: { type: "container_auto" } },
        { type: "file_search", vector_store_ids: [] },
        { type: "function" },
        "nonsense",
      ],
      [{ name: "web_search", parameters: { type: "object", properties: {} }, server: "web_search" }],
      ["tools.tool_search", "tools.shell", "tools.file_search", "tools.function"],
    ],
    [
      "a client's tool search is a function with the client's own description",
      [{ type: "tool_search", execution: "client", description: "Find.", parameters: schema }],
      [
        {
          name: "tool_search",
          description: "Find.",
          parameters: schema,
          origin: { kind: "tool_search", childName: "tool_search" },
        },
      ],
      [],
    ],
  ];
  test.each(rows)("%s", (_, declared, tools, dropped) => {
    const declarations = new ToolDeclarations(declared);
    expect(declarations.tools).toEqual(tools);
    expect(declarations.dropped).toEqual(dropped);
  });

  test("local_shell, shell and apply_patch become functions of their action's fields", () => {
    const { tools } = new ToolDeclarations([{ type: "local_shell" }, { type: "shell" }, { type: "apply_patch" }]);
    expect(
      tools.map(({ name, parameters, origin }) => [
        name,
        origin?.kind,
        Object.keys(parameters["properties"] as JsonObject),
        parameters["required"],
      ]),
    ).toEqual([
      ["local_shell", "local_shell", ["command", "workdir", "timeout_ms"], ["command"]],
      ["shell", "shell", ["commands", "timeout_ms", "max_output_length"], ["commands"]],
      ["apply_patch", "apply_patch", ["type", "path", "diff"], ["type", "path"]],
    ]);
  });
});

describe("a call survives the way to a model and back:", () => {
  const rows: [string, ToolOrigin | undefined, JsonObject, string, string][] = [
    [
      "function_call",
      { kind: "function", childName: "add", namespace: "mcp__demo" },
      { id: "fc_1", name: "add", namespace: "mcp__demo", arguments: '{"x":1}' },
      "mcp__demo__add",
      '{"x":1}',
    ],
    [
      "custom_tool_call",
      { kind: "custom", childName: "exec" },
      { id: "ctc_1", name: "exec", input: 'a "b"\n' },
      "exec",
      '{"input":"a \\"b\\"\\n"}',
    ],
    [
      "tool_search_call",
      { kind: "tool_search", childName: "tool_search" },
      { id: "tsc_1", execution: "client", arguments: { query: "q", limit: 3 } },
      "tool_search",
      '{"query":"q","limit":3}',
    ],
    [
      "local_shell_call",
      { kind: "local_shell", childName: "local_shell" },
      { id: "lsh_1", action: { type: "exec", command: ["ls"], env: {}, working_directory: "/a", timeout_ms: 9 } },
      "local_shell",
      '{"command":["ls"],"workdir":"/a","timeout_ms":9}',
    ],
    [
      "shell_call",
      { kind: "shell", childName: "shell" },
      { id: "sh_1", action: { commands: ["ls", "pwd"], timeout_ms: 9, max_output_length: null } },
      "shell",
      '{"commands":["ls","pwd"],"timeout_ms":9}',
    ],
    [
      "apply_patch_call",
      { kind: "apply_patch", childName: "apply_patch" },
      { id: "apc_1", operation: { type: "update_file", path: "a", diff: "@@" } },
      "apply_patch",
      '{"type":"update_file","path":"a","diff":"@@"}',
    ],
  ];
  test.each(rows)("%s", (type, origin, fields, name, text) => {
    const item = { type, status: "completed", call_id: "call_1", ...fields };
    const read = readCall(item);
    expect(read?.arguments).toBe(text);
    expect(buildCall({ itemId: "1", callId: "call_1", name, origin }, text) as JsonObject).toEqual(item);
  });

  test("a command line in place of a list is run by a shell", () => {
    const origin: ToolOrigin = { kind: "local_shell", childName: "local_shell" };
    const call = { itemId: "1", callId: "c", name: "local_shell", origin };
    expect(buildCall(call, '{"command":"ls | wc"}')).toMatchObject({
      action: { type: "exec", command: ["bash", "-lc", "ls | wc"], env: {} },
    });
  });

  test("an item that no client tool made is no call", () => {
    expect(readCall({ type: "web_search_call", id: "ws_1" })).toBeUndefined();
    expect(readCall({ type: "tool_search_call", call_id: null, execution: "server", arguments: {} })).toBeUndefined();
  });
});

describe("RawInputReader gives the same text in any slicing:", () => {
  test.each([
    ['{"input":"plain"}', "plain"],
    ['{"input":""}', ""],
    [' { "input" : "a\\"b\\\\c\\/d\\n\\t\\u00e9\\ud83c\\udf89z" , "more": "x" }', 'a"b\\c/d\n\té🎉z'],
    ['{"patch":"other key","n":1}', "other key"],
    ['{"a":"two","b":"strings"}', '{"a":"two","b":"strings"}'],
    [`{"first":"${"x".repeat(90)}","input":"late"}`, "late"],
    ["no JSON at all", "no JSON at all"],
    ['{"input":"cut of', "cut of"],
    ['{"input":"cut in an escape\\u00', "cut in an escape"],
    ["", ""],
  ])("%s", (json, text) => {
    for (let cut = 0; cut <= json.length; cut++) {
      const reader = new RawInputReader();
      expect(reader.push(json.slice(0, cut)) + reader.push(json.slice(cut)) + reader.end()).toBe(text);
    }
    const reader = new RawInputReader();
    expect(
      [...json]
        .flatMap((character) => character.split(""))
        .map((unit) => reader.push(unit))
        .join("") + reader.end(),
    ).toBe(text);
  });
});
