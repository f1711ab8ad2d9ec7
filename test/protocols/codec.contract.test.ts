/** What every codec must keep to, whatever its protocol: one suite, run over all three. */

import { describe, expect, test } from "bun:test";
import { eventsOf } from "../../src/gateway/fold.ts";
import type {
  AssistantPart,
  ChatEvent,
  ChatRequest,
  ChatResponse,
  Json,
  JsonObject,
  Protocol,
  Replay,
  Tool,
  Turn,
} from "../../src/protocols/chat.ts";
import { type GatewayError, plainQuirks, type Quirks, type SseMessage } from "../../src/protocols/codec.ts";
import { codecs } from "../../src/protocols/index.ts";
import { renderSse, SseReader } from "../../src/protocols/sse.ts";
import { settleTurns } from "../../src/protocols/turns.ts";

const protocols = ["messages", "chat", "responses"] as const satisfies readonly Protocol[];

/** A target that takes everything it may be given. */
const quirks: Quirks = {
  ...plainQuirks,
  systemFirstOnly: false,
  cacheControl: true,
  promptCacheKey: true,
  verbosity: true,
  toolImages: true,
};
const decodeContext = { quirks, toolNames: new Map<string, string>() };

/** Reasoning that goes back to the vendor it came from. */
const natives: Record<Protocol, Replay> = {
  messages: { kind: "anthropic", signature: "c2lnbmF0dXJl" },
  chat: { kind: "field", field: "reasoning_content" },
  responses: { kind: "openai", encrypted: "gAAAA" },
};

const ls: Tool = {
  name: "ls",
  description: "Lists a folder",
  parameters: { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
};

const base: ChatRequest = {
  model: "vendor/model",
  stream: false,
  system: [],
  turns: [{ role: "user", parts: [{ type: "text", text: "hi" }] }],
  tools: [],
  maxOutputTokens: 1000,
  reasoningDisplay: "full",
  echo: {},
  dropped: [],
};

const user = (text: string): Turn => ({ role: "user", parts: [{ type: "text", text }] });
const assistant = (...parts: AssistantPart[]): Turn => ({ role: "assistant", parts });
const said = (text: string): AssistantPart => ({ type: "text", text });
const call = (id: string, json: string): AssistantPart => ({ type: "tool-call", id, name: "ls", arguments: json });
const picture = {
  type: "image",
  source: { kind: "base64", mediaType: "image/png", data: "aGk=" },
  detail: "auto",
} as const;
const { detail: _, ...plainPicture } = picture;
const mark = { type: "ephemeral" };

/** What crosses changed, and why that is no loss of the codec's making. */
type Exceptions<Value> = Partial<Record<Protocol, [why: string, value: Partial<Value>]>>;

type RequestRow = [name: string, request: (native: Replay) => Partial<ChatRequest>, except: Exceptions<ChatRequest>];

const requests: RequestRow[] = [
  ["a text", () => ({}), {}],
  ["a stream", () => ({ stream: true }), {}],
  ["characters of every kind", () => ({ turns: [user('é 👍 "q" \\ \n\t\u2028 </x>')] }), {}],
  ["instructions", () => ({ system: [{ text: "Be brief." }] }), {}],
  [
    "instructions in pieces",
    () => ({ system: [{ text: "Be brief." }, { text: "Be kind." }] }),
    {
      chat: ["one text for servers that read only the first", { system: [{ text: "Be brief.\n\nBe kind." }] }],
      responses: ["instructions are one text", { system: [{ text: "Be brief.\n\nBe kind." }] }],
    },
  ],
  [
    "cache marks",
    () => ({
      system: [{ text: "s", cacheControl: mark }],
      turns: [{ role: "user", parts: [{ type: "text", text: "a", cacheControl: mark }] }],
    }),
    { responses: ["caches by itself", { system: [{ text: "s" }], turns: [user("a")] }] },
  ],
  [
    "instructions on the way",
    () => ({ turns: [user("a"), assistant(said("b")), { role: "system", text: "Now in German." }, user("c")] }),
    {
      messages: [
        "its servers take instructions on the way only from some models, so the user turn carries them",
        {
          turns: [
            user("a"),
            assistant(said("b")),
            {
              role: "user",
              parts: [
                { type: "text", text: "<system-reminder>\nNow in German.\n</system-reminder>" },
                { type: "text", text: "c" },
              ],
            },
          ],
        },
      ],
    },
  ],
  [
    "pictures between texts",
    () => ({
      turns: [
        {
          role: "user",
          parts: [
            { type: "text", text: "a" },
            picture,
            { type: "image", source: { kind: "url", url: "https://x/y.png" }, detail: "auto" },
            { type: "text", text: "b" },
          ],
        },
      ],
    }),
    {
      messages: [
        "has no degree of detail",
        {
          turns: [
            {
              role: "user",
              parts: [
                { type: "text", text: "a" },
                plainPicture,
                { type: "image", source: { kind: "url", url: "https://x/y.png" } },
                { type: "text", text: "b" },
              ],
            },
          ],
        },
      ],
    },
  ],
  [
    "a document",
    () => ({
      turns: [
        {
          role: "user",
          parts: [
            {
              type: "document",
              source: { kind: "base64", mediaType: "application/pdf", data: "aGk=" },
              title: "a.pdf",
            },
            { type: "text", text: "b" },
          ],
        },
      ],
    }),
    {},
  ],
  ["tools, one of them at least", () => ({ tools: [ls], toolChoice: { type: "any" } }), {}],
  ["tools, this one", () => ({ tools: [ls], toolChoice: { type: "tool", name: "ls" } }), {}],
  ["tools, none of them", () => ({ tools: [ls], toolChoice: { type: "none" } }), {}],
  ["tools, one at a time", () => ({ tools: [ls], toolChoice: { type: "auto" }, parallelToolCalls: false }), {}],
  [
    "a round of tools",
    () => ({
      tools: [ls],
      turns: [
        user("a"),
        assistant(said("Let me look."), call("call_1", '{"path":"/"}'), call("call_2", "{}")),
        {
          role: "tool",
          results: [
            { callId: "call_1", parts: [{ type: "text", text: "bin etc" }], isError: false },
            { callId: "call_2", parts: [{ type: "text", text: "b" }], isError: false },
          ],
        },
        assistant(said("Done.")),
        user("more"),
      ],
    }),
    {},
  ],
  [
    "a tool's failure",
    () => ({
      tools: [ls],
      turns: [
        user("a"),
        assistant(call("call_1", "{}")),
        {
          role: "tool",
          results: [{ callId: "call_1", parts: [{ type: "text", text: "no such file" }], isError: true }],
        },
      ],
    }),
    Object.fromEntries(
      (["chat", "responses"] as const).map((protocol) => [
        protocol,
        [
          "has no mark for it, so the text says it",
          {
            turns: [
              user("a"),
              assistant(call("call_1", "{}")),
              {
                role: "tool",
                results: [{ callId: "call_1", parts: [{ type: "text", text: "Error: no such file" }], isError: false }],
              },
            ],
          },
        ],
      ]),
    ),
  ],
  [
    "a tool's picture",
    () => ({
      tools: [ls],
      turns: [
        user("a"),
        assistant(call("call_1", "{}")),
        {
          role: "tool",
          results: [{ callId: "call_1", parts: [{ type: "text", text: "b" }, picture], isError: false }],
        },
      ],
    }),
    {
      messages: [
        "has no degree of detail",
        {
          turns: [
            user("a"),
            assistant(call("call_1", "{}")),
            {
              role: "tool",
              results: [{ callId: "call_1", parts: [{ type: "text", text: "b" }, plainPicture], isError: false }],
            },
          ],
        },
      ],
    },
  ],
  [
    "reasoning of its own vendor",
    (replay) => ({
      turns: [user("a"), assistant({ type: "reasoning", text: "hm\n\nwell", replay }, said("b")), user("c")],
    }),
    {},
  ],
  [
    "reasoning before a call",
    (replay) => ({
      tools: [ls],
      turns: [
        user("a"),
        assistant({ type: "reasoning", text: "hm", replay }, call("call_1", "{}")),
        { role: "tool", results: [{ callId: "call_1", parts: [{ type: "text", text: "b" }], isError: false }] },
      ],
    }),
    {},
  ],
  ["randomness", () => ({ temperature: 0.5 }), {}],
  ["a smaller choice of words", () => ({ topP: 0.9 }), {}],
  [
    "words to stop at",
    () => ({ stop: ["END", "\n\n"] }),
    {
      messages: ["takes none that is white space alone", { stop: ["END"] }],
      responses: ["has none", { stop: undefined }],
    },
  ],
  [
    "a shape of the answer",
    () => ({
      format: {
        type: "json-schema",
        name: "output",
        schema: { type: "object", properties: {}, required: [], additionalProperties: false },
        strict: true,
      },
    }),
    {},
  ],
  [
    "effort",
    () => ({ reasoning: { effort: "high" } }),
    { messages: ["effort works with thinking switched on", { reasoning: { effort: "high", mode: "adaptive" } }] },
  ],
  [
    "hints to the vendor",
    () => ({ verbosity: "low", endUser: "u1", cacheKey: "k1", serviceTier: "default" }),
    { messages: ["knows the tier alone", { verbosity: undefined, endUser: undefined, cacheKey: undefined }] },
  ],
];

function toWire(protocol: Protocol, request: ChatRequest): JsonObject {
  const settled = { ...request, turns: settleTurns(request.turns) };
  const { body } = codecs[protocol].encodeRequest(settled, { model: request.model, quirks });
  return JSON.parse(JSON.stringify(body)) as JsonObject;
}

/** A request without what is of one protocol alone, without undefined members and without defaults written out. */
function meaning(request: ChatRequest): Json {
  const { echo, dropped, reasoningDisplay, includeUsage, ...rest } = request;
  const tools = rest.tools.map(({ strict, ...tool }) => (strict === true ? { ...tool, strict } : tool));
  return JSON.parse(JSON.stringify({ ...rest, tools, turns: settleTurns(rest.turns) })) as Json;
}

const usage = { input: 10, cacheRead: 5, cacheWrite: 2, output: 7, reasoning: 3 };

type ResponseRow = [
  name: string,
  response: (native: Replay) => Omit<ChatResponse, "usage">,
  except: Exceptions<ChatResponse>,
];

const noSuchEnd = (finish: ChatResponse["finish"]): Exceptions<ChatResponse> => ({
  chat: ["has no such end", { finish, stopSequence: undefined }],
  responses: ["has no such end", { finish, stopSequence: undefined }],
});

const responses: ResponseRow[] = [
  ["a text", () => ({ parts: [said("naïve 👍\n")], finish: "stop" }), {}],
  ["nothing", () => ({ parts: [], finish: "stop" }), {}],
  ["a call", () => ({ parts: [call("call_1", '{"path":"/"}')], finish: "tool-calls" }), {}],
  [
    "a text and calls",
    () => ({
      parts: [said("Let me look."), call("call_1", '{"path":"a\\"b"}'), call("call_2", "{}")],
      finish: "tool-calls",
    }),
    {},
  ],
  [
    "reasoning",
    (replay) => ({ parts: [{ type: "reasoning", text: "hm\n\nwell", replay }, said("a")], finish: "stop" }),
    {},
  ],
  [
    "reasoning and a call",
    (replay) => ({ parts: [{ type: "reasoning", text: "hm", replay }, call("call_1", "{}")], finish: "tool-calls" }),
    {},
  ],
  [
    "a refusal",
    () => ({ parts: [{ type: "refusal", text: "No." }], finish: "stop" }),
    {
      messages: [
        "says so in its stop reason, and the words are text",
        { parts: [said("No.")], finish: "content-filter" },
      ],
    },
  ],
  ["a cut", () => ({ parts: [said("a")], finish: "length" }), {}],
  ["a call that was cut", () => ({ parts: [call("call_1", "{}")], finish: "length" }), {}],
  ["a filter", () => ({ parts: [said("a")], finish: "content-filter" }), {}],
  ["a full context", () => ({ parts: [said("a")], finish: "context-window" }), noSuchEnd("length")],
  [
    "a word to stop at",
    () => ({ parts: [said("a")], finish: "stop-sequence", stopSequence: "END" }),
    noSuchEnd("stop"),
  ],
  ["a pause", () => ({ parts: [said("a")], finish: "pause" }), noSuchEnd("stop")],
];

const replyContext = {
  request: { ...base, stream: true, includeUsage: true, tools: [ls] },
  id: "abc123",
  createdAt: 1_763_600_000,
  estimatedInputTokens: 9,
};

function answers(
  protocol: Protocol,
  make: ResponseRow[1],
  except: ResponseRow[2],
): [given: ChatResponse, wanted: Json] {
  const given = { ...make(natives[protocol]), usage };
  return [given, JSON.parse(JSON.stringify({ ...given, ...except[protocol]?.[1] })) as Json];
}

function encodeStream(protocol: Protocol, events: readonly ChatEvent[]): SseMessage[] {
  const encoder = codecs[protocol].streamEncoder(replyContext);
  return [...events.flatMap((event) => encoder.push(event)), ...encoder.end()];
}

const bytesOf = (messages: readonly SseMessage[]) => new TextEncoder().encode(messages.map(renderSse).join(""));

function decodeStream(protocol: Protocol, slices: Iterable<Uint8Array>): ChatEvent[] {
  const reader = new SseReader();
  const decoder = codecs[protocol].streamDecoder(decodeContext);
  const events: ChatEvent[] = [];
  for (const slice of slices) for (const message of reader.push(slice)) events.push(...decoder.push(message));
  for (const message of reader.end()) events.push(...decoder.push(message));
  return [...events, ...decoder.end()];
}

/** A stream as the whole answer that it adds up to; the contract on the order of events is checked on the way. */
function collect(events: readonly ChatEvent[]): Json {
  const parts: AssistantPart[] = [];
  const calls = new Map<number, { type: "tool-call"; id: string; name: string; arguments: string }>();
  const closed = new Set<number>();
  let isReasoning = false;
  let seen: ChatResponse["usage"];
  const grow = (type: "text" | "refusal", text: string) => {
    const last = parts.at(-1);
    if (last?.type === type) last.text += text;
    else parts.push({ type, text });
  };
  let end: Json = null;
  for (const [index, event] of events.entries()) {
    if (end !== null) throw new Error(`${event.type} after the end`);
    if (isReasoning && !/^(reasoning|usage|error)/.test(event.type)) {
      throw new Error(`${event.type} in open reasoning`);
    }
    switch (event.type) {
      case "start":
        if (index > 0) throw new Error("a second start");
        break;
      case "text-delta":
        grow("text", event.text);
        break;
      case "refusal-delta":
        grow("refusal", event.text);
        break;
      case "reasoning-delta": {
        const last = parts.at(-1);
        if (isReasoning && last?.type === "reasoning") last.text += event.text;
        else parts.push({ type: "reasoning", text: event.text });
        isReasoning = true;
        break;
      }
      case "reasoning-end": {
        const last = parts.at(-1);
        if (isReasoning && last?.type === "reasoning") parts[parts.length - 1] = { ...last, replay: event.replay };
        else parts.push({ type: "reasoning", text: "", replay: event.replay });
        isReasoning = false;
        break;
      }
      case "tool-start": {
        if (event.call !== calls.size) throw new Error(`call ${event.call} out of turn`);
        const part = { type: "tool-call" as const, id: event.id, name: event.name, arguments: "" };
        calls.set(event.call, part);
        parts.push(part);
        break;
      }
      case "tool-delta": {
        const part = calls.get(event.call);
        if (part === undefined || closed.has(event.call)) throw new Error(`a delta for no open call ${event.call}`);
        part.arguments += event.json;
        break;
      }
      case "tool-end":
        if (!calls.has(event.call) || closed.has(event.call)) throw new Error(`call ${event.call} ends twice`);
        closed.add(event.call);
        break;
      case "usage":
        seen = event.usage;
        break;
      case "finish": {
        if (closed.size !== calls.size) throw new Error("a call is open at the end");
        const { reason, stopSequence } = event;
        end = JSON.parse(JSON.stringify({ parts, finish: reason, stopSequence, usage: event.usage ?? seen })) as Json;
        break;
      }
      case "error":
        end = { error: event.error.kind };
        break;
      case "text-end":
      case "opaque":
        break;
      default:
        event satisfies never;
    }
  }
  return end;
}

const unknownEvents: Record<Protocol, SseMessage> = {
  messages: { event: "mood_update", data: '{"type":"mood_update","mood":"fine"}' },
  chat: { data: '{"object":"mood.update","mood":"fine"}' },
  responses: { event: "response.mood", data: '{"type":"response.mood","mood":"fine"}' },
};

/** The same event with members that no protocol knows, in it and in the objects inside. */
function withUnknownFields(value: Json | undefined): Json {
  if (Array.isArray(value)) return value.map(withUnknownFields);
  if (value === null || value === undefined || typeof value !== "object") return value ?? null;
  // A call's input is the tool's own: what is in there counts.
  const known = Object.entries(value).map(([key, inner]) => [key, key === "input" ? inner : withUnknownFields(inner)]);
  return { ...Object.fromEntries(known), x_mood: { a: [1] } };
}

describe.each(protocols)("the codec of %s", (protocol) => {
  const codec = codecs[protocol];

  test.each(requests)("carries a request there and back: %s", (_name, make, except) => {
    const request = { ...base, ...make(natives[protocol]) };
    const wire = toWire(protocol, request);
    const back = codec.decodeRequest(wire);
    expect(meaning(back)).toEqual(meaning({ ...request, ...except[protocol]?.[1] }));
    expect(back.dropped).toEqual([]);
    expect(meaning(codec.decodeRequest(toWire(protocol, back)))).toEqual(meaning(back));
  });

  test("names the members of a request that it does not know, and reads the others", () => {
    const wire = toWire(protocol, base);
    const back = codec.decodeRequest({ ...wire, x_mood: { a: 1 } });
    expect(back.dropped).toEqual(["x_mood"]);
    expect(meaning(back)).toEqual(meaning(base));
  });

  test.each(responses)("carries an answer there and back: %s", (_name, make, except) => {
    const [given, wanted] = answers(protocol, make, except);
    const wire = JSON.parse(JSON.stringify(codec.encodeResponse(given, replyContext))) as JsonObject;
    for (const body of [wire, { ...wire, x_mood: { a: 1 } }]) {
      const { id, model, ...back } = codec.decodeResponse(body, decodeContext);
      expect([id, model]).toEqual([wire["id"] as string, base.model]);
      expect(JSON.parse(JSON.stringify(back))).toEqual(wanted);
    }
  });

  test.each(responses)("carries a stream there and back, however it is cut: %s", (_name, make, except) => {
    const [given, wanted] = answers(protocol, make, except);
    const bytes = bytesOf(encodeStream(protocol, eventsOf(given)));
    const whole = decodeStream(protocol, [bytes]);
    expect(collect(whole)).toEqual(wanted);
    expect(
      decodeStream(
        protocol,
        [...bytes].map((byte) => Uint8Array.of(byte)),
      ),
    ).toEqual(whole);
    for (let cut = 1; cut < bytes.length; cut += 17) {
      expect(decodeStream(protocol, [bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(whole);
    }
  });

  test.each(responses)("takes no notice of what it does not know in a stream: %s", (_name, make, except) => {
    const [given, wanted] = answers(protocol, make, except);
    const messages = encodeStream(protocol, eventsOf(given)).flatMap((message) => [
      unknownEvents[protocol],
      message.data === "[DONE]"
        ? message
        : { ...message, data: JSON.stringify(withUnknownFields(JSON.parse(message.data) as Json)) },
    ]);
    expect(collect(decodeStream(protocol, [bytesOf(messages)]))).toEqual(wanted);
  });

  test("carries calls whose arguments come in turns", () => {
    const events: ChatEvent[] = [
      { type: "start" },
      { type: "tool-start", call: 0, id: "call_1", name: "ls" },
      { type: "tool-delta", call: 0, json: '{"pa' },
      { type: "tool-start", call: 1, id: "call_2", name: "ls" },
      { type: "tool-delta", call: 1, json: '{"path"' },
      { type: "tool-delta", call: 0, json: 'th":"/"}' },
      { type: "tool-delta", call: 1, json: ':"é"}' },
      { type: "tool-end", call: 1 },
      { type: "tool-end", call: 0 },
      { type: "finish", reason: "tool-calls", usage },
    ];
    expect(collect(decodeStream(protocol, [bytesOf(encodeStream(protocol, events))]))).toEqual({
      parts: [call("call_1", '{"path":"/"}') as unknown as Json, call("call_2", '{"path":"é"}') as unknown as Json],
      finish: "tool-calls",
      usage,
    });
  });

  const everything: ChatEvent[] = eventsOf({
    parts: [{ type: "reasoning", text: "hm", replay: natives[protocol] }, said("a"), call("call_1", '{"path":"/"}')],
    finish: "tool-calls",
    usage,
  });

  test("calls a stream that stops before its end incomplete, wherever it stops", () => {
    for (let count = 0; count < everything.length; count++) {
      const encoder = codec.streamEncoder(replyContext);
      const messages = everything.slice(0, count).flatMap((event) => encoder.push(event));
      expect([count, collect(decodeStream(protocol, [bytesOf(messages)]))]).toEqual([count, { error: "incomplete" }]);
    }
  });

  const failed: GatewayError = { kind: "overloaded", message: "no model answered: all busy", requestId: "abc123" };

  test("ends a stream in an error that is read as one, wherever it fails", () => {
    for (let count = 0; count < everything.length; count++) {
      const encoder = codec.streamEncoder(replyContext);
      const messages = everything.slice(0, count).flatMap((event) => encoder.push(event));
      const events = decodeStream(protocol, [bytesOf([...messages, ...encoder.fail(failed)])]);
      expect([count, collect(events)]).toEqual([count, { error: "reported" }]);
      expect(events.at(-1)).toMatchObject({ error: { message: expect.stringContaining("all busy") } });
    }
  });

  test("ends another writer's stream in an error that is read as one", () => {
    const place = { responseId: "resp_1", sequence: 4, model: "m", createdAt: 1 };
    const events = decodeStream(protocol, [bytesOf(codec.encodeStreamError(failed, place))]);
    expect(collect(events)).toEqual({ error: "reported" });
  });

  test("opens a stream once, before the upstream's start or with it", () => {
    const [start, ...others] = everything;
    if (start === undefined) throw new Error("no events");
    const early = codec.streamEncoder(replyContext);
    const opening = early.open();
    expect(opening.length).toBeGreaterThan(0);
    expect([early.open(), early.push(start)]).toEqual([[], []]);
    const messages = [...opening, ...others.flatMap((event) => early.push(event)), ...early.end()];
    expect(messages).toEqual(encodeStream(protocol, everything));
  });

  test("keeps a silent stream alive with bytes that say nothing", () => {
    const messages = encodeStream(protocol, everything).map(renderSse);
    const kept = new TextEncoder().encode(codec.keepAlive + messages.join(codec.keepAlive) + codec.keepAlive);
    expect(collect(decodeStream(protocol, [kept]))).toEqual(
      collect(decodeStream(protocol, [bytesOf(encodeStream(protocol, everything))])),
    );
  });

  const kinds: GatewayError["kind"][] = [
    "invalid-request",
    "context-overflow",
    "authentication",
    "billing",
    "permission",
    "not-found",
    "too-large",
    "rate-limit",
    "overloaded",
    "timeout",
    "upstream",
    "not-implemented",
  ];
  test.each(kinds)("answers %s with an error status, and its words in the body", (kind) => {
    const { status, body } = codec.encodeError({ kind, message: "these words", retryAfterMs: 2000 });
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(600);
    expect(JSON.stringify(body)).toContain("these words");
    expect(() => codec.decodeResponse(body, decodeContext)).toThrow(/these words/);
  });
});
