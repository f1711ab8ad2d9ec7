import { describe, expect, test } from "bun:test";
import { anthropicMessages } from "../../../src/protocols/anthropic-messages/index.ts";
import type { ChatRequest, Json, JsonObject, Tool, Turn } from "../../../src/protocols/chat.ts";
import { ProtocolError, type Quirks } from "../../../src/protocols/codec.ts";
import { settleTurns } from "../../../src/protocols/turns.ts";
import { chatRequest, fixtures, target } from "./support.ts";

const encode = (changes: Partial<ChatRequest> = {}, quirks: Partial<Quirks> = {}, limit?: number) =>
  anthropicMessages.encodeRequest(chatRequest(changes), target(quirks, limit));

const hi: Json = { role: "user", content: [{ type: "text", text: "hi" }] };
const base: JsonObject = { model: "claude-x", max_tokens: 8192, messages: [hi] };
const read: Tool = { name: "Read", description: "reads", parameters: { type: "object", properties: {} }, strict: true };
const search: Tool = { name: "web_search", parameters: { type: "object", properties: {} }, server: "web_search" };
const wireRead: Json = { name: "Read", description: "reads", input_schema: { type: "object", properties: {} } };
const wireSearch: Json = { type: "web_search_20250305", name: "web_search" };
const mark = { type: "ephemeral" };

const bodies: [string, Partial<ChatRequest>, Partial<Quirks>, JsonObject][] = [
  ["the least", {}, {}, base],
  [
    "plain fields",
    {
      maxOutputTokens: 100,
      temperature: 2,
      topK: 4,
      stop: ["a", " \n"],
      endUser: "u",
      serviceTier: "default",
      stream: true,
    },
    {},
    {
      ...base,
      max_tokens: 100,
      temperature: 1,
      top_k: 4,
      stop_sequences: ["a"],
      metadata: { user_id: "u" },
      service_tier: "standard_only",
      stream: true,
    },
  ],
  ["top_p alone", { topP: 0.9, serviceTier: "auto" }, {}, { ...base, top_p: 0.9, service_tier: "auto" }],
  ["temperature rather than top_p", { temperature: 0.3, topP: 0.9 }, {}, { ...base, temperature: 0.3 }],
  ["no sampling where it is refused", { temperature: 0.3, topP: 0.9, topK: 1 }, { sampling: false }, base],
  ["nothing of fields that other protocols have", { verbosity: "low", cacheKey: "k", includeUsage: true }, {}, base],
  [
    "system texts with their marks",
    { system: [{ text: "a", cacheControl: mark }, { text: " " }, { text: "b" }] },
    { autoCache: true },
    {
      ...base,
      system: [
        { type: "text", text: "a", cache_control: mark },
        { type: "text", text: "b" },
      ],
    },
  ],
  ["a cache mark for the whole when there is none", {}, { autoCache: true }, { ...base, cache_control: mark }],
  [
    "effort with adaptive thinking, and no sampling beside it",
    { reasoning: { effort: "minimal" }, temperature: 0.5, topP: 0.9, topK: 1 },
    {},
    { ...base, max_tokens: 32000, thinking: { type: "adaptive" }, output_config: { effort: "low" } },
  ],
  [
    "adaptive thinking without an effort",
    { reasoning: { mode: "adaptive" } },
    {},
    { ...base, max_tokens: 32000, thinking: { type: "adaptive" } },
  ],
  [
    "effort from a budget",
    { reasoning: { mode: "enabled", budgetTokens: 16383 }, maxOutputTokens: 50 },
    {},
    { ...base, max_tokens: 50, thinking: { type: "adaptive" }, output_config: { effort: "medium" } },
  ],
  [
    "effort none as disabled, with sampling",
    { reasoning: { effort: "none" }, temperature: 0.5 },
    {},
    { ...base, thinking: { type: "disabled" }, temperature: 0.5 },
  ],
  [
    "disabled without the effort that collides with it",
    { reasoning: { effort: "high", mode: "disabled" } },
    {},
    { ...base, thinking: { type: "disabled" } },
  ],
  [
    "a budget from an effort",
    { reasoning: { effort: "high" } },
    { thinkingMode: "budget" },
    { ...base, max_tokens: 32768, thinking: { type: "enabled", budget_tokens: 24576 } },
  ],
  [
    "a limit raised for the budget when the client set none",
    { reasoning: { effort: "max" } },
    { thinkingMode: "budget" },
    { ...base, max_tokens: 40960, thinking: { type: "enabled", budget_tokens: 32768 } },
  ],
  [
    "a budget below the client's limit",
    { reasoning: { effort: "low" }, maxOutputTokens: 2000 },
    { thinkingMode: "budget" },
    { ...base, max_tokens: 2000, thinking: { type: "enabled", budget_tokens: 1999 } },
  ],
  [
    "a budget of at least what the API takes",
    { reasoning: { mode: "enabled", budgetTokens: 10 }, maxOutputTokens: 2000 },
    { thinkingMode: "budget" },
    { ...base, max_tokens: 2000, thinking: { type: "enabled", budget_tokens: 1024 } },
  ],
  [
    "no thinking where the limit leaves no room",
    { reasoning: { effort: "low" }, maxOutputTokens: 1024, temperature: 0.5 },
    { thinkingMode: "budget" },
    { ...base, max_tokens: 1024, temperature: 0.5 },
  ],
  ["no thinking for a model without it", { reasoning: { effort: "high" } }, { thinkingMode: "none" }, base],
  [
    "no thinking beside a forced call",
    { reasoning: { effort: "high" }, tools: [read], toolChoice: { type: "any" } },
    {},
    { ...base, max_tokens: 32000, tools: [wireRead], tool_choice: { type: "any" } },
  ],
  [
    "tools, and no parallel calls without a choice",
    { tools: [{ ...read, cacheControl: mark }], parallelToolCalls: false },
    {},
    {
      ...base,
      tools: [{ ...(wireRead as JsonObject), cache_control: mark }],
      tool_choice: { type: "auto", disable_parallel_tool_use: true },
    },
  ],
  [
    "one tool, forced and alone",
    { tools: [read], parallelToolCalls: false, toolChoice: { type: "tool", name: "Read" } },
    {},
    { ...base, tools: [wireRead], tool_choice: { type: "tool", name: "Read", disable_parallel_tool_use: true } },
  ],
  [
    "none, which takes no other field",
    { tools: [read], parallelToolCalls: false, toolChoice: { type: "none" } },
    {},
    { ...base, tools: [wireRead], tool_choice: { type: "none" } },
  ],
  [
    "only the allowed tools",
    { tools: [read, { ...read, name: "Write" }], toolChoice: { type: "allowed", mode: "any", names: ["Read"] } },
    {},
    { ...base, tools: [wireRead], tool_choice: { type: "any" } },
  ],
  ["a choice without tools as nothing", { toolChoice: { type: "any" }, parallelToolCalls: false }, {}, base],
  ["no web search where it is not run", { tools: [search], toolChoice: { type: "auto" } }, {}, base],
  [
    "web search where it is run, also forced",
    { tools: [search], toolChoice: { type: "tool", name: "web_search" } },
    { webSearch: true },
    { ...base, tools: [wireSearch], tool_choice: { type: "tool", name: "web_search" } },
  ],
  [
    "a schema for the answer",
    { format: { type: "json-schema", name: "n", schema: { type: "object" } }, reasoning: { effort: "low" } },
    {},
    {
      ...base,
      max_tokens: 32000,
      thinking: { type: "adaptive" },
      output_config: { effort: "low", format: { type: "json_schema", schema: { type: "object" } } },
    },
  ],
  [
    "a schema for the answer in words",
    { format: { type: "json-schema", name: "n", schema: { type: "object" } }, system: [{ text: "s" }] },
    { outputFormat: false },
    {
      ...base,
      system: [
        { type: "text", text: "s" },
        {
          type: "text",
          text: 'Respond with one JSON object only, without any other text. It must match this JSON Schema:\n{"type":"object"}',
        },
      ],
    },
  ],
  [
    "a JSON answer in words",
    { format: { type: "json-object" } },
    {},
    { ...base, system: [{ type: "text", text: "Respond with one JSON object only." }] },
  ],
];

test.each(bodies)("the encoder sends %s", (_name, changes, quirks, expected) => {
  expect(encode(changes, quirks).body).toStrictEqual(expected);
});

const limits: [string, number | undefined, Partial<ChatRequest>, number][] = [
  ["the model's, when the client set none", 5000, {}, 5000],
  ["the model's, when the client wants more", 5000, { maxOutputTokens: 9000 }, 5000],
  ["the client's, when it is less", 5000, { maxOutputTokens: 100 }, 100],
  ["one for thinking, when neither is known", undefined, { reasoning: { effort: "low" } }, 32000],
];
test.each(limits)("the output limit is %s", (_name, limit, changes, expected) => {
  expect(encode(changes, {}, limit).body.max_tokens).toBe(expected);
});

test("tool names that do not fit are changed in tools, choice and history, and can be restored", () => {
  const name = "mcp.server/add";
  const { body, toolNames } = encode({
    tools: [{ ...read, name }],
    toolChoice: { type: "tool", name },
    turns: [
      { role: "user", parts: [{ type: "text", text: "go" }] },
      {
        role: "assistant",
        parts: [
          { type: "tool-call", id: "1", name, arguments: "{}" },
          { type: "tool-call", id: "2", name: "gone tool", arguments: "{}" },
        ],
      },
    ],
  });
  const wire = [...toolNames].find(([, canonical]) => canonical === name)?.[0] ?? "";
  expect(wire).toMatch(/^mcp_server_add_[0-9a-f]{8}$/);
  expect(body.tool_choice).toEqual({ type: "tool", name: wire });
  expect(JSON.stringify(body.tools)).toContain(`"name":"${wire}"`);
  expect([...toolNames.values()]).toEqual([name, "gone tool"]);
  expect(JSON.stringify(body.messages)).toMatch(new RegExp(`"name":"${wire}".*"name":"gone_tool_[0-9a-f]{8}"`));
});

const text = (value: string) => ({ type: "text" as const, text: value });
const reasoning = (value: string, replay?: object) =>
  ({ type: "reasoning", text: value, ...(replay && { replay }) }) as never;
const call = (id: string, args = "{}") => ({ type: "tool-call" as const, id, name: "Read", arguments: args });
const user = (...texts: string[]): Turn => ({ role: "user", parts: texts.map(text) });
const wire = (role: string, ...content: Json[]): Json => ({ role, content });
const reminder = (value: string) => text(`<system-reminder>\n${value}\n</system-reminder>`);

const conversations: [string, Turn[], Json[], Partial<Quirks>?][] = [
  [
    "a tool round in one user message, results first",
    [
      user("go"),
      {
        role: "assistant",
        parts: [
          reasoning("t", { kind: "anthropic", signature: "S" }),
          text("s"),
          call("a", '{"x":1}'),
          call("b:1", "oops"),
        ],
      },
      {
        role: "tool",
        results: [
          { callId: "a", parts: [text("out")], isError: false },
          { callId: "b:1", parts: [], isError: true },
        ],
      },
      user("and"),
    ],
    [
      wire("user", text("go")),
      wire(
        "assistant",
        { type: "thinking", thinking: "t", signature: "S" },
        text("s"),
        { type: "tool_use", id: "a", name: "Read", input: { x: 1 } },
        { type: "tool_use", id: "b_1", name: "Read", input: { _raw: "oops" } },
      ),
      wire(
        "user",
        { type: "tool_result", tool_use_id: "a", content: "out" },
        { type: "tool_result", tool_use_id: "b_1", is_error: true },
        text("and"),
      ),
    ],
  ],
  [
    "only reasoning that Anthropic wrote",
    [
      user("go"),
      {
        role: "assistant",
        parts: [
          reasoning("plain"),
          reasoning("r", { kind: "openai", encrypted: "e" }),
          reasoning("c", { kind: "field", field: "reasoning" }),
          reasoning("", { kind: "redacted", data: "x" }),
          text("s"),
        ],
      },
      user("on"),
      { role: "assistant", parts: [reasoning("t", { kind: "anthropic", signature: "S" }), text(" \n")] },
      user("end"),
    ],
    [
      wire("user", text("go")),
      wire("assistant", { type: "redacted_thinking", data: "x" }, text("s")),
      wire("user", text("on"), text("end")),
    ],
  ],
  [
    "media in results and messages",
    [
      { role: "assistant", parts: [call("a"), call("")] },
      {
        role: "tool",
        results: [
          {
            callId: "a",
            isError: false,
            parts: [
              { ...text("shot"), cacheControl: mark },
              { type: "image", source: { kind: "base64", mediaType: "image/jpg", data: "AA" } },
            ],
          },
          { callId: "", isError: false, parts: [text(" ")] },
        ],
      },
      {
        role: "user",
        parts: [
          { type: "image", source: { kind: "url", url: "https://i" }, detail: "high" },
          { type: "document", title: "T", source: { kind: "base64", mediaType: "application/pdf", data: "BB" } },
          { type: "document", source: { kind: "base64", mediaType: "text/csv", data: btoa("a,b") } },
          { type: "document", source: { kind: "text", text: "plain" } },
          { type: "document", source: { kind: "url", url: "https://d" } },
        ],
      },
    ],
    [
      wire("user", text("Continue.")),
      wire(
        "assistant",
        { type: "tool_use", id: "a", name: "Read", input: {} },
        { type: "tool_use", id: "_", name: "Read", input: {} },
      ),
      wire(
        "user",
        {
          type: "tool_result",
          tool_use_id: "a",
          content: [
            { ...text("shot"), cache_control: mark },
            { type: "image", source: { type: "base64", media_type: "image/jpeg", data: "AA" } },
          ],
        },
        { type: "tool_result", tool_use_id: "_" },
        { type: "image", source: { type: "url", url: "https://i" } },
        { type: "document", title: "T", source: { type: "base64", media_type: "application/pdf", data: "BB" } },
        { type: "document", source: { type: "text", media_type: "text/plain", data: "a,b" } },
        { type: "document", source: { type: "text", media_type: "text/plain", data: "plain" } },
        { type: "document", source: { type: "url", url: "https://d" } },
      ),
    ],
  ],
  [
    "later instructions as reminders at their place",
    [
      user("a"),
      { role: "system", text: "one" },
      { role: "assistant", parts: [text("b"), { type: "refusal", text: "no" }] },
      { role: "system", text: "<system-reminder>two</system-reminder>" },
      user("c"),
    ],
    [
      wire("user", text("a"), reminder("one")),
      wire("assistant", text("b"), text("no")),
      wire("user", text("<system-reminder>two</system-reminder>"), text("c")),
    ],
  ],
  [
    "later instructions as such, where the API takes them",
    [
      user("a"),
      { role: "system", text: "one" },
      { role: "system", text: "two" },
      { role: "assistant", parts: [text("b")] },
      { role: "system", text: "three" },
      user("c"),
      { role: "system", text: "four" },
    ],
    [
      wire("user", text("a")),
      wire("system", text("one"), text("two")),
      wire("assistant", text("b")),
      wire("user", reminder("three"), text("c")),
      wire("system", text("four")),
    ],
    { midSystem: true },
  ],
  [
    "answers in a row as one, the last without spaces at its end",
    [user("a"), { role: "assistant", parts: [text("b ")] }, { role: "assistant", parts: [text("c \n")] }],
    [wire("user", text("a")), wire("assistant", text("b "), text("c"))],
  ],
  ["instructions alone as something to answer", [], [wire("user", text("Continue."))]],
];

test.each(conversations)("the encoder sends %s", (_name, turns, expected, quirks = {}) => {
  expect(encode({ turns }, quirks).body.messages).toEqual(expected);
});

const rounds: [string, Turn[], boolean][] = [
  [
    "a foreign answer's calls are open",
    [{ role: "assistant", parts: [reasoning("t", { kind: "openai", encrypted: "e" }), call("a")] }],
    false,
  ],
  [
    "Claude's own calls are open",
    [{ role: "assistant", parts: [reasoning("t", { kind: "anthropic", signature: "S" }), call("a")] }],
    true,
  ],
  [
    "the last answer made no calls",
    [{ role: "assistant", parts: [call("a")] }, { role: "assistant", parts: [text("b")] }, user("c")],
    true,
  ],
];
test.each(rounds)("budgeted thinking while %s", (_name, turns, isAsked) => {
  const changes = { turns: settleTurns(turns), reasoning: { effort: "low" as const } };
  expect(encode(changes, { thinkingMode: "budget" }).body.thinking !== undefined).toBe(isAsked);
  expect(encode(changes, { thinkingMode: "adaptive" }).body.thinking).toEqual({ type: "adaptive" });
});

describe("a request cannot be sent with", () => {
  const parts: [string, Turn][] = [
    ["audio", { role: "user", parts: [{ type: "audio", format: "wav", data: "" }] }],
    ["another vendor's image file", { role: "user", parts: [{ type: "image", source: { kind: "file", id: "f" } }] }],
    [
      "another vendor's document file",
      { role: "user", parts: [{ type: "document", source: { kind: "file", id: "f" } }] },
    ],
    [
      "an image type that Claude cannot read",
      { role: "user", parts: [{ type: "image", source: { kind: "base64", mediaType: "image/tiff", data: "" } }] },
    ],
    [
      "a file type that Claude cannot read",
      {
        role: "user",
        parts: [{ type: "document", source: { kind: "base64", mediaType: "application/zip", data: "" } }],
      },
    ],
  ];
  test.each(parts)("%s", (_name, turn) => {
    expect(() => encode({ turns: [turn] })).toThrow(ProtocolError);
  });

  test("a forced tool that is not offered", () => {
    expect(() => encode({ tools: [search], toolChoice: { type: "tool", name: "web_search" } })).toThrow(
      'tool_choice: the tool "web_search" is not available on this model',
    );
  });
});

test("a recorded Claude Code request comes out as it went in, where the target is Anthropic's newest", async () => {
  const body = await Bun.file(`${fixtures}claude-code-tool-result.request.json`).json();
  const request = anthropicMessages.decodeRequest(body);
  request.turns = settleTurns(request.turns);
  const again = anthropicMessages.encodeRequest(request, target({ midSystem: true, autoCache: true })).body;
  expect(again).toMatchObject({
    max_tokens: body.max_tokens,
    system: body.system.slice(1),
    thinking: { type: "adaptive" },
    output_config: body.output_config,
    stream: true,
  });
  expect((again.messages as Json[]).map((message) => (message as JsonObject).role)).toEqual(
    body.messages.map((message: JsonObject) => message.role),
  );
});
