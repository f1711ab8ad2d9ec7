import { describe, expect, test } from "bun:test";
import type { ChatEvent, Usage } from "../../../src/protocols/chat.ts";
import { type DecodeContext, plainQuirks } from "../../../src/protocols/codec.ts";
import { openaiChat } from "../../../src/protocols/openai-chat/index.ts";
import { decodeChunks, decodeSlices, fixtureBytes, plainDecode } from "./support.ts";

const start: ChatEvent = { type: "start", id: "chatcmpl-up1", model: "vendor/model-x" };
const cut: ChatEvent = {
  type: "error",
  error: {
    kind: "incomplete",
    message: "connection lost: the upstream ended its stream early (server error)",
    code: "ECONNRESET",
  },
};
const usage = (counts: Partial<Usage>): Usage => ({
  input: 0,
  cacheRead: 0,
  cacheWrite: 0,
  output: 0,
  reasoning: 0,
  ...counts,
});
const thinkTags: DecodeContext = { quirks: { ...plainQuirks, thinkTags: true }, toolNames: new Map() };
const inventedId = expect.stringMatching(/^call_[0-9a-f]{24}$/);

const streams: [fixture: string, context: DecodeContext, events: ChatEvent[]][] = [
  [
    "openai-text.sse",
    plainDecode,
    [
      start,
      { type: "text-delta", text: "Grüße, " },
      { type: "text-delta", text: "世界 👋 data: [DONE]\n" },
      { type: "finish", reason: "stop", usage: usage({ input: 4, cacheRead: 16, output: 8 }) },
    ],
  ],
  [
    "parallel-calls.sse",
    plainDecode,
    [
      start,
      { type: "tool-start", call: 0, id: "call_a", name: "read_file" },
      { type: "tool-delta", call: 0, json: '{"path":' },
      { type: "tool-start", call: 1, id: "call_b", name: "list_files" },
      { type: "tool-delta", call: 0, json: '"a.ts"}' },
      { type: "tool-delta", call: 1, json: '{"dir":"."}' },
      { type: "tool-end", call: 0 },
      { type: "tool-end", call: 1 },
      { type: "finish", reason: "tool-calls" },
    ],
  ],
  [
    "ollama-index-zero.sse",
    plainDecode,
    [
      start,
      { type: "tool-start", call: 0, id: "call_x", name: "read_file" },
      { type: "tool-delta", call: 0, json: '{"path":"a"}' },
      { type: "tool-start", call: 1, id: "call_y", name: "read_file" },
      { type: "tool-delta", call: 1, json: '{"path":"b"}' },
      { type: "tool-end", call: 0 },
      { type: "tool-end", call: 1 },
      { type: "finish", reason: "tool-calls", usage: usage({ input: 5, output: 3 }) },
    ],
  ],
  [
    "deepseek-reasoning.sse",
    plainDecode,
    [
      start,
      { type: "reasoning-delta", text: "I should " },
      { type: "reasoning-delta", text: "look." },
      { type: "reasoning-end", replay: { kind: "field", field: "reasoning_content" } },
      { type: "text-delta", text: "Looking." },
      { type: "tool-start", call: 0, id: "call_1", name: "read_file" },
      { type: "tool-delta", call: 0, json: '{"path":"é"}' },
      { type: "tool-end", call: 0 },
      {
        type: "finish",
        reason: "tool-calls",
        usage: usage({ input: 36, cacheRead: 64, output: 30, reasoning: 12 }),
      },
    ],
  ],
  [
    "openrouter-details.sse",
    plainDecode,
    [
      start,
      { type: "reasoning-delta", text: "Think " },
      { type: "reasoning-delta", text: "hard." },
      {
        type: "reasoning-end",
        replay: {
          kind: "details",
          details: [
            {
              type: "reasoning.text",
              format: "anthropic-claude-v1",
              index: 0,
              text: "Think hard.",
              signature: "sig==",
            },
          ],
        },
      },
      { type: "text-delta", text: "Done." },
      {
        type: "finish",
        reason: "stop",
        usage: usage({ input: 35, cacheRead: 10, cacheWrite: 5, output: 20, reasoning: 7, costUsd: 0.0012 }),
      },
    ],
  ],
  [
    "think-tags.sse",
    thinkTags,
    [
      start,
      { type: "reasoning-delta", text: "Because 1 " },
      { type: "reasoning-delta", text: "</2. " },
      { type: "reasoning-end" },
      { type: "text-delta", text: "Use <think> tags." },
      { type: "finish", reason: "stop" },
    ],
  ],
  [
    "think-tags.sse",
    plainDecode,
    [
      start,
      { type: "text-delta", text: "\n" },
      { type: "text-delta", text: "<th" },
      { type: "text-delta", text: "ink>\nBecause 1 </" },
      { type: "text-delta", text: "2. </thi" },
      { type: "text-delta", text: "nk>\n\nUse <think> tags." },
      { type: "finish", reason: "stop" },
    ],
  ],
  [
    "ids-per-chunk.sse",
    plainDecode,
    [
      start,
      { type: "tool-start", call: 0, id: "call_p", name: "run" },
      { type: "tool-delta", call: 0, json: '{"a"' },
      { type: "tool-delta", call: 0, json: ":1" },
      { type: "tool-delta", call: 0, json: "}" },
      { type: "tool-end", call: 0 },
      { type: "finish", reason: "tool-calls" },
    ],
  ],
  [
    "function-call.sse",
    plainDecode,
    [
      start,
      { type: "tool-start", call: 0, id: inventedId, name: "run" },
      { type: "tool-delta", call: 0, json: '{"a":1}' },
      { type: "tool-end", call: 0 },
      { type: "finish", reason: "tool-calls" },
    ],
  ],
  ["no-choices.sse", plainDecode, [start, { type: "text-delta", text: "parts" }, { type: "finish", reason: "stop" }]],
  [
    "refusal.sse",
    plainDecode,
    [
      start,
      { type: "refusal-delta", text: "I cannot " },
      { type: "refusal-delta", text: "help." },
      { type: "finish", reason: "stop" },
    ],
  ],
  [
    "cut.sse",
    plainDecode,
    [
      start,
      { type: "text-delta", text: "Half a " },
      { type: "text-delta", text: "sentence" },
      { type: "usage", usage: usage({ input: 9, output: 4 }) },
      cut,
    ],
  ],
  [
    "error-late.sse",
    plainDecode,
    [
      start,
      { type: "text-delta", text: "Half" },
      { type: "error", error: { kind: "reported", message: "Provider disconnected", code: "502", status: 502 } },
    ],
  ],
  [
    "error-first.sse",
    plainDecode,
    [{ type: "error", error: { kind: "reported", message: "slow down", code: "rate_limit_exceeded" } }],
  ],
  [
    "html.sse",
    plainDecode,
    [
      start,
      { type: "text-delta", text: "Half" },
      {
        type: "error",
        error: {
          kind: "malformed",
          message: "the upstream sent data that is not JSON (server error): <html>bad gateway</html>",
        },
      },
    ],
  ],
];

describe("a recorded or hand-made stream becomes the same events in any slicing:", () => {
  test.each(streams)("%s", (fixture, context, expected) => {
    const bytes = fixtureBytes(fixture);
    expect(decodeSlices([bytes], context)).toEqual(expected);
    const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
    expect(decodeSlices(single, context)).toEqual(expected);
    for (let round = 0; round < 20; round++) {
      const seed = Math.floor(Math.random() * 2 ** 31);
      try {
        expect(decodeSlices(randomCuts(bytes, seed), context)).toEqual(expected);
      } catch (error) {
        throw new Error(`${fixture} differs when cut with seed ${seed}`, { cause: error });
      }
    }
  });
});

/** Slices of 1 to 40 bytes, the same for the same seed (a linear congruential generator). */
function randomCuts(bytes: Uint8Array, seed: number): Uint8Array[] {
  const slices: Uint8Array[] = [];
  let state = seed;
  for (let at = 0; at < bytes.length; ) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    const length = 1 + ((state >> 8) % 40);
    slices.push(bytes.subarray(at, at + length));
    at += length;
  }
  return slices;
}

const delta = (fields: object, finish?: string) => ({ choices: [{ index: 0, delta: fields, finish_reason: finish }] });
const calls = (...entries: object[]) => delta({ tool_calls: entries });
const bare: ChatEvent = { type: "start" };

describe("call assembly", () => {
  const toolNames = new Map([["demo_add_12345678", "demo.add"]]);
  const rows: [string, object[], ChatEvent[]][] = [
    [
      "keeps arguments until the name is known, and takes them as an object",
      [
        calls({ index: 0, id: "a", function: { arguments: '{"x":' } }),
        calls({ index: 0, function: { name: "demo_add_12345678", arguments: "1}" } }),
        calls({ index: 1, id: "b", function: { name: "run", arguments: { y: 2 } } }),
      ],
      [
        { type: "tool-start", call: 0, id: "a", name: "demo.add" },
        { type: "tool-delta", call: 0, json: '{"x":1}' },
        { type: "tool-start", call: 1, id: "b", name: "run" },
        { type: "tool-delta", call: 1, json: '{"y":2}' },
        { type: "tool-end", call: 0 },
        { type: "tool-end", call: 1 },
      ],
    ],
    [
      "ignores a name that is repeated, and arguments of nothing but white space",
      [
        calls({ index: 0, id: "a", function: { name: "run", arguments: " " } }),
        calls({ index: 0, id: "a", function: { name: "run", arguments: "\n" } }),
      ],
      [
        { type: "tool-start", call: 0, id: "a", name: "run" },
        { type: "tool-end", call: 0 },
      ],
    ],
    [
      "invents ids, and gives fragments without any sign to the last call",
      [
        calls({ function: { name: "run", arguments: "{" } }),
        calls({ function: { arguments: "}" } }),
        calls({ id: null, index: 7, function: { name: "stop", arguments: "{}" } }),
      ],
      [
        { type: "tool-start", call: 0, id: inventedId, name: "run" },
        { type: "tool-delta", call: 0, json: "{" },
        { type: "tool-delta", call: 0, json: "}" },
        { type: "tool-start", call: 1, id: inventedId, name: "stop" },
        { type: "tool-delta", call: 1, json: "{}" },
        { type: "tool-end", call: 0 },
        { type: "tool-end", call: 1 },
      ],
    ],
    [
      "finds a call by its id when the index is another",
      [
        calls({ index: 0, id: "a", function: { name: "run" } }, { index: 1, id: "b", function: { name: "stop" } }),
        calls({ index: 1, id: "a", function: { arguments: "{}" } }),
      ],
      [
        { type: "tool-start", call: 0, id: "a", name: "run" },
        { type: "tool-start", call: 1, id: "b", name: "stop" },
        { type: "tool-delta", call: 0, json: "{}" },
        { type: "tool-end", call: 0 },
        { type: "tool-end", call: 1 },
      ],
    ],
  ];
  test.each(rows)("%s", (_, chunks, expected) => {
    const events = decodeChunks([...chunks, "[DONE]"], { quirks: plainQuirks, toolNames });
    expect(events).toEqual([bare, ...expected, { type: "finish", reason: "tool-calls" }]);
  });

  test("a call without a name is left out, and the answer is no tool round", () => {
    expect(
      decodeChunks([calls({ index: 0, id: "a", function: { arguments: "{}" } }), delta({}, "tool_calls")]),
    ).toEqual([bare, { type: "finish", reason: "stop" }]);
  });
});

describe("endings", () => {
  const text = delta({ content: "x" });
  const said: ChatEvent[] = [bare, { type: "text-delta", text: "x" }];
  const rows: [string, unknown[], ChatEvent[]][] = [
    ["[DONE] alone is enough", [text, "[DONE]"], [...said, { type: "finish", reason: "stop" }]],
    ["a finish reason alone is enough", [text, delta({}, "length")], [...said, { type: "finish", reason: "length" }]],
    ["nothing follows [DONE]", ["[DONE]", text, "[DONE]"], [{ type: "finish", reason: "stop" }]],
    ["neither is an error", [text], [...said, cut]],
    ["an empty stream is an error", [], [cut]],
    ["content_filter", [text, delta({}, "content_filter")], [...said, { type: "finish", reason: "content-filter" }]],
    [
      "a label that is a property of every object",
      [text, delta({}, "constructor")],
      [...said, { type: "finish", reason: "stop" }],
    ],
    [
      "a usage chunk that was cut off",
      [text, delta({}, "stop"), '{"choices":[],"usage":{"prompt_'],
      [...said, { type: "finish", reason: "stop" }],
    ],
    [
      "the last usage counts, null ones do not",
      [
        { ...text, usage: { prompt_tokens: 1, completion_tokens: 1 } },
        { ...delta({}, "stop"), usage: { prompt_tokens: 1, completion_tokens: 2 } },
        { choices: [], usage: null },
        "[DONE]",
      ],
      [...said, { type: "finish", reason: "stop", usage: usage({ input: 1, output: 2 }) }],
    ],
    [
      "finish_reason error with the details in the choice",
      [text, { choices: [{ index: 0, delta: {}, finish_reason: "error", error: { message: "died", code: 529 } }] }],
      [...said, { type: "error", error: { kind: "reported", message: "died", code: "529", status: 529 } }],
    ],
    [
      "DeepSeek out of resources",
      [text, delta({}, "insufficient_system_resource")],
      [
        ...said,
        {
          type: "error",
          error: {
            kind: "reported",
            message: "the upstream broke off its answer: insufficient_system_resource (server error)",
            code: "insufficient_system_resource",
          },
        },
      ],
    ],
    [
      "Gemini's array",
      ['[{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}]'],
      [{ type: "error", error: { kind: "reported", message: "overloaded", code: "503", status: 503 } }],
    ],
    [
      "vLLM's error object",
      [{ object: "error", message: "too long", type: "BadRequestError", code: 400 }],
      [{ type: "error", error: { kind: "reported", message: "too long", code: "400", status: 400 } }],
    ],
    [
      "MiniMax' base_resp",
      [{ choices: [], base_resp: { status_code: 1002, status_msg: "rate limit" } }],
      [{ type: "error", error: { kind: "reported", message: "rate limit", code: "base_resp.1002" } }],
    ],
    ["blank data", [text, "", " ", "[DONE]"], [...said, { type: "finish", reason: "stop" }]],
  ];
  test.each(rows)("%s", (_, chunks, expected) => {
    expect(decodeChunks(chunks)).toEqual(expected);
  });
});

test.each([
  ['{"message":"quota","code":"insufficient_quota"}', { message: "quota", code: "insufficient_quota" }],
  ["no JSON", { message: "no JSON" }],
])("an event named error is one, whatever its data: %s", (data, error) => {
  const decoder = openaiChat.streamDecoder(plainDecode);
  expect([...decoder.push({ event: "error", data }), ...decoder.end()]).toEqual([
    { type: "error", error: { kind: "reported", ...error } },
  ]);
});

describe("reasoning", () => {
  test("one delta with reasoning, text and a call gives them in that order", () => {
    const all = { content: "t", reasoning: "r", tool_calls: [{ index: 0, id: "a", function: { name: "n" } }] };
    expect(decodeChunks([delta(all, "stop")])).toEqual([
      bare,
      { type: "reasoning-delta", text: "r" },
      { type: "reasoning-end", replay: { kind: "field", field: "reasoning" } },
      { type: "text-delta", text: "t" },
      { type: "tool-start", call: 0, id: "a", name: "n" },
      { type: "tool-end", call: 0 },
      { type: "finish", reason: "tool-calls" },
    ]);
  });

  test("the same text under two names is told once", () => {
    expect(decodeChunks([delta({ reasoning_content: "r", reasoning: "r" }, "stop")])).toEqual([
      bare,
      { type: "reasoning-delta", text: "r" },
      { type: "reasoning-end", replay: { kind: "field", field: "reasoning_content" } },
      { type: "finish", reason: "stop" },
    ]);
  });

  test("pieces of details are joined within their block only", () => {
    const piece = (text: string, index: number) =>
      delta({ reasoning: text, reasoning_details: [{ type: "reasoning.text", text, index }] });
    expect(decodeChunks([piece("a", 0), piece("b", 0), piece("c", 1), "[DONE]"])).toContainEqual({
      type: "reasoning-end",
      replay: {
        kind: "details",
        details: [
          { type: "reasoning.text", text: "ab", index: 0 },
          { type: "reasoning.text", text: "c", index: 1 },
        ],
      },
    });
  });

  test("details alone are read, and data without text is kept for the replay", () => {
    const summary = { type: "reasoning.summary", summary: "s", index: 0 };
    const encrypted = { type: "reasoning.encrypted", data: "e", index: 1 };
    expect(decodeChunks([delta({ reasoning_details: [summary, encrypted] }), delta({ content: "t" }, "stop")])).toEqual(
      [
        bare,
        { type: "reasoning-delta", text: "s" },
        { type: "reasoning-end", replay: { kind: "details", details: [summary, encrypted] } },
        { type: "text-delta", text: "t" },
        { type: "finish", reason: "stop" },
      ],
    );
  });

  test.each([
    [["<think", "ing about it"], [{ type: "text-delta", text: "<thinking about it" }]],
    [["  no tags"], [{ type: "text-delta", text: "  no tags" }]],
    [["<thi"], [{ type: "text-delta", text: "<thi" }]],
    [
      ["<think>never closed </th"],
      [
        { type: "reasoning-delta", text: "never closed " },
        { type: "reasoning-delta", text: "</th" },
        { type: "reasoning-end" },
      ],
    ],
    [["<think>\n\n</think>\n\n", "\nhi"], [{ type: "text-delta", text: "hi" }]],
  ] as [string[], ChatEvent[]][])("think tags: %j", (contents, expected) => {
    const chunks = contents.map((content) => delta({ content }));
    expect(decodeChunks([...chunks, "[DONE]"], thinkTags)).toEqual([
      bare,
      ...expected,
      { type: "finish", reason: "stop" },
    ]);
  });

  test("held text comes out before a call", () => {
    const events = decodeChunks(
      [delta({ content: "<th" }), calls({ index: 0, id: "a", function: { name: "n" } }), "[DONE]"],
      thinkTags,
    );
    expect(events.map((event) => event.type)).toEqual(["start", "text-delta", "tool-start", "tool-end", "finish"]);
  });
});
