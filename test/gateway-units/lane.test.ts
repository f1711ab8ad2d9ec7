import { describe, expect, test } from "bun:test";
import { type Lane, PassLane, TranslateLane } from "../../src/gateway/lane.ts";
import type { ChatEvent, ChatRequest, Protocol } from "../../src/protocols/chat.ts";
import { type GatewayError, plainQuirks } from "../../src/protocols/codec.ts";
import { codecs } from "../../src/protocols/index.ts";

const decodeContext = { quirks: plainQuirks, toolNames: new Map<string, string>() };

const request: ChatRequest = {
  model: "clutch-big",
  stream: true,
  system: [],
  turns: [],
  tools: [],
  reasoningDisplay: "full",
  echo: {},
  dropped: [],
};

function passLane(protocol: Protocol): PassLane {
  const place = { model: "clutch-big", createdAt: 1, responseId: "resp_own" };
  return new PassLane(codecs[protocol], codecs[protocol].streamDecoder(decodeContext), place);
}

function translateLane(upstream: Protocol, client: Protocol): TranslateLane {
  const context = { request, id: "abc", createdAt: 1, estimatedInputTokens: 7 };
  return new TranslateLane(codecs[upstream].streamDecoder(decodeContext), codecs[client].streamEncoder(context));
}

const sse = (...data: object[]) => data.map((item) => `data: ${JSON.stringify(item)}\n\n`).join("");
const named = (...data: { type: string }[]) =>
  data.map((item) => `event: ${item.type}\ndata: ${JSON.stringify(item)}\n\n`).join("");

const chatChunk = (delta: object, finish_reason: string | null = null) => ({
  id: "c1",
  object: "chat.completion.chunk",
  created: 1,
  model: "m",
  choices: [{ index: 0, delta, finish_reason }],
});

const opening = {
  messages: named({
    type: "message_start",
    ...{ message: { id: "msg_1", model: "m", usage: { input_tokens: 3, output_tokens: 0 } } },
  }),
  responses: named(
    {
      type: "response.created",
      ...{ sequence_number: 0, response: { id: "resp_1", model: "m", status: "in_progress" } },
    },
    {
      type: "response.in_progress",
      ...{ sequence_number: 1, response: { id: "resp_1", model: "m", status: "in_progress" } },
    },
  ),
  chat: sse(chatChunk({ role: "assistant", content: "" })),
} satisfies Record<Protocol, string>;

const rest = {
  messages: named(
    { type: "content_block_start", ...{ index: 0, content_block: { type: "text", text: "" } } },
    { type: "content_block_delta", ...{ index: 0, delta: { type: "text_delta", text: "naïve 👍" } } },
    { type: "content_block_stop", ...{ index: 0 } },
    { type: "message_delta", ...{ delta: { stop_reason: "end_turn" }, usage: { output_tokens: 4 } } },
    { type: "message_stop" },
  ),
  responses: named(
    {
      type: "response.output_item.added",
      ...{
        sequence_number: 2,
        output_index: 0,
        item: { id: "msg_1", type: "message", role: "assistant", content: [] },
      },
    },
    {
      type: "response.output_text.delta",
      ...{ sequence_number: 3, item_id: "msg_1", output_index: 0, content_index: 0, delta: "naïve 👍" },
    },
  ),
  chat: `${sse(chatChunk({ content: "naïve 👍" }), chatChunk({}, "stop"))}data: [DONE]\n\n`,
} satisfies Record<Protocol, string>;

const utf8 = new TextEncoder();

function taken(lane: Lane): string {
  return Buffer.from(lane.take() ?? new Uint8Array()).toString("utf8");
}

const failed: GatewayError = { kind: "upstream", message: "connection lost" };

describe("PassLane", () => {
  test.each(["messages", "chat", "responses"] as const)("passes %s on byte for byte, however it is cut", (protocol) => {
    const text = `: hello\n\n${opening[protocol]}${rest[protocol]}`;
    const whole = passLane(protocol);
    const events = [...whole.push(utf8.encode(text)), ...whole.end()];
    expect(events.some((event) => event.type === "text-delta")).toBe(true);
    const lane = passLane(protocol);
    let written = "";
    const heard: ChatEvent[] = [];
    for (const byte of utf8.encode(text)) {
      heard.push(...lane.push(Uint8Array.of(byte)));
      written += Buffer.from(lane.take() ?? []).toString("latin1");
    }
    heard.push(...lane.end());
    expect(Buffer.from(written, "latin1").toString("utf8")).toBe(text);
    expect(heard).toEqual(events);
  });

  test("hands out each byte once, and nothing when there is nothing", () => {
    const lane = passLane("chat");
    expect(lane.take()).toBeUndefined();
    lane.push(utf8.encode("data: {"));
    lane.push(utf8.encode("}\n\n"));
    expect(taken(lane)).toBe("data: {}\n\n");
    expect(lane.take()).toBeUndefined();
  });

  const places: [name: string, chunks: string[], isMidEvent: boolean][] = [
    ["before anything", [], false],
    ["in a line", ["data: {"], true],
    ["behind a line", ["data: {}\n"], true],
    ["behind an event", ["data: {}\n\n"], false],
    ["behind an event of CR LF lines", ["data: {}\r\n\r\n"], false],
    ["behind two events in one chunk", ["data: {}\n\ndata: {}\n\n"], false],
    ["in the next event", ["data: {}\n\n", "data"], true],
    ["behind an event whose blank line comes by itself", ["data: {}\n", "\n"], false],
    ["behind an event whose last byte comes by itself", ["data: {}\r\n\r", "\n"], false],
  ];
  test.each(places)("knows where the client stands: %s", (_name, chunks, isMidEvent) => {
    const lane = passLane("chat");
    for (const chunk of chunks) lane.push(utf8.encode(chunk));
    expect(lane.isMidEvent).toBe(isMidEvent);
  });

  const openings: [protocol: Protocol, written: string][] = [
    ["messages", rest.messages],
    ["responses", rest.responses],
    ["chat", opening.chat + rest.chat],
  ];
  test.each(openings)("leaves the opening of %s out, whenever that is asked for", (protocol, written) => {
    const bytes = utf8.encode(`: ping\n\n${opening[protocol]}${rest[protocol]}`);
    for (const cut of [0, 5, 40, bytes.length - 3, bytes.length]) {
      const lane = passLane(protocol);
      lane.push(bytes.subarray(0, cut));
      lane.skipOpening();
      expect(lane.isMidEvent).toBe(false);
      lane.push(bytes.subarray(cut));
      lane.end();
      expect(taken(lane)).toBe(written);
    }
  });

  test("ends a stream between events with the protocol's own error alone", () => {
    const lane = passLane("messages");
    lane.push(utf8.encode(opening.messages));
    expect(Buffer.from(lane.fail(failed)).toString()).toMatch(/^event: error\ndata: \{.*connection lost.*\}\n\n$/);
  });

  test("ends a half-written event before its error", () => {
    const lane = passLane("messages");
    lane.push(utf8.encode(`${opening.messages}event: content_block_delta\ndata: {"ty`));
    expect(Buffer.from(lane.fail(failed)).toString()).toMatch(/^\n\nevent: error\ndata: \{.*\}\n\n$/);
  });

  test("goes on with the upstream's own id and numbers", () => {
    const lane = passLane("responses");
    lane.push(utf8.encode(opening.responses + rest.responses));
    const [, data = ""] =
      /^event: response\.failed\ndata: (.*)\n\n$/m.exec(Buffer.from(lane.fail(failed)).toString()) ?? [];
    expect(JSON.parse(data)).toMatchObject({ sequence_number: 4, response: { id: "resp_1", model: "clutch-big" } });
  });

  test("goes by the id of our own opening when the upstream's was left out", () => {
    const lane = passLane("responses");
    lane.skipOpening();
    lane.push(utf8.encode(opening.responses));
    expect(Buffer.from(lane.fail(failed)).toString()).toContain('"id":"resp_own"');
  });
});

describe("TranslateLane", () => {
  test("writes the client's protocol, however the upstream's bytes are cut", () => {
    const bytes = utf8.encode(opening.messages + rest.messages);
    const whole = translateLane("messages", "chat");
    const events = [...whole.push(bytes), ...whole.end()];
    const written = taken(whole);
    expect(written).toContain('"content":"naïve 👍"');
    expect(written).toEndWith("data: [DONE]\n\n");
    const lane = translateLane("messages", "chat");
    let pieces = "";
    const heard: ChatEvent[] = [];
    for (const byte of bytes) {
      heard.push(...lane.push(Uint8Array.of(byte)));
      pieces += taken(lane);
    }
    heard.push(...lane.end());
    expect(heard).toEqual(events);
    expect(pieces + taken(lane)).toBe(written);
  });

  test("writes nothing before it is taken, and each event once", () => {
    const lane = translateLane("chat", "messages");
    expect(lane.take()).toBeUndefined();
    lane.push(utf8.encode(opening.chat));
    expect(taken(lane)).toMatch(/^event: message_start\n/);
    expect(lane.take()).toBeUndefined();
  });

  test("writes no second opening after ours", () => {
    const lane = translateLane("chat", "messages");
    lane.skipOpening();
    lane.push(utf8.encode(opening.chat + rest.chat));
    lane.end();
    const written = taken(lane);
    expect(written).toStartWith("event: content_block_start\n");
    expect(written).toEndWith('event: message_stop\ndata: {"type":"message_stop"}\n\n');
  });

  test("keeps an error of the upstream to itself and ends in ours", () => {
    const lane = translateLane("chat", "messages");
    lane.push(utf8.encode(opening.chat + sse(chatChunk({ content: "a" }), { error: { message: "broke", code: 502 } })));
    expect(lane.end()).toEqual([]);
    expect(taken(lane)).not.toContain("broke");
    expect(Buffer.from(lane.fail(failed)).toString()).toMatch(/event: error\ndata: \{.*connection lost.*\}\n\n$/);
  });

  test("takes events that are there already", () => {
    const lane = translateLane("chat", "chat");
    const events: ChatEvent[] = [
      { type: "start" },
      { type: "text-delta", text: "a" },
      { type: "finish", reason: "stop" },
    ];
    expect(lane.pushEvents(events)).toEqual(events);
    expect(taken(lane).match(/^data: /gm)).toHaveLength(4);
  });

  test("tells that errors are ours to write, until a passed-on stream has told its own", () => {
    const passed = passLane("chat");
    expect([translateLane("chat", "messages").carriesErrors, passed.carriesErrors]).toEqual([false, false]);
    passed.push(new TextEncoder().encode('data: {"error":{"message":"gone"}}\n\n'));
    expect(passed.carriesErrors).toBe(true);
  });
});
