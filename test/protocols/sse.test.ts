import { describe, expect, test } from "bun:test";
import type { SseMessage } from "../../src/protocols/codec.ts";
import { renderSse, SseReader } from "../../src/protocols/sse.ts";

const data = (text: string, event?: string): SseMessage => ({ event, data: text });

const corpus: [name: string, text: string, messages: SseMessage[]][] = [
  ["nothing", "", []],
  ["one message", "data: {}\n\n", [data("{}")]],
  ["messages with names", "event: a\ndata: 1\n\nevent: b\ndata: 2\n\n", [data("1", "a"), data("2", "b")]],
  ["a name that holds for its message alone", "event: a\ndata: 1\n\ndata: 2\n\n", [data("1", "a"), data("2")]],
  ["lines that end in CR LF", "event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", [data("1", "a"), data("2")]],
  ["lines that end in CR", "event: a\rdata: 1\r\rdata: 2\r\r", [data("1", "a"), data("2")]],
  ["line ends of all kinds", "data: 1\n\r\ndata: 2\r\n\rdata: 3\r\n\n", [data("1"), data("2"), data("3")]],
  ["comments", ": OPENROUTER PROCESSING\n\n:\ndata: 1\n: in between\n\n", [data("1")]],
  ["data of several lines", "data: a\ndata: b\ndata:\ndata: c\n\n", [data("a\nb\n\nc")]],
  ["no space behind the colon", "event:a\ndata:{}\n\n", [data("{}", "a")]],
  ["two spaces behind the colon", "data:  x\n\n", [data(" x")]],
  ["colons in the data", "data: a: b\n\n", [data("a: b")]],
  ["empty data", "data\n\ndata:\n\n", [data(""), data("")]],
  ["a name without data, which is no message", "event: ping\n\ndata: 1\n\n", [data("1")]],
  ["ids, retries and unknown fields", "id: 7\nretry: 10\nfoo: bar\ndata: 1\n\n", [data("1")]],
  ["blank lines in a row", "\n\n\ndata: 1\n\n\n\n\ndata: 2\n\n", [data("1"), data("2")]],
  ["a last message without its blank line", "data: 1\n\ndata: 2\n", [data("1"), data("2")]],
  ["a last line without its end", "data: 1\n\nevent: x\ndata: 2", [data("1"), data("2", "x")]],
  ["a last line that ends in CR", "data: 1\n\ndata: 2\r", [data("1"), data("2")]],
  ["a byte order mark", "\ufeffdata: 1\n\n", [data("1")]],
  ["characters of several bytes", "data: é€👍\n\ndata: naïve\n\n", [data("é€👍"), data("naïve")]],
  ["a terminal spelt inside a text", 'data: "[DONE]\\n\\ndata: x"\n\n', [data('"[DONE]\\n\\ndata: x"')]],
];

const utf8 = new TextEncoder();

function read(slices: Iterable<Uint8Array>): SseMessage[] {
  const reader = new SseReader();
  const messages: SseMessage[] = [];
  for (const slice of slices) messages.push(...reader.push(slice));
  return [...messages, ...reader.end()];
}

describe("SseReader reads", () => {
  test.each(corpus)("%s, however it is cut", (_name, text, messages) => {
    const bytes = utf8.encode(text);
    expect(read([bytes])).toEqual(messages);
    expect(read([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(messages);
    for (let cut = 1; cut < bytes.length; cut++) {
      expect(read([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(messages);
    }
  });

  test("a message as soon as its blank line is there", () => {
    const reader = new SseReader();
    expect(reader.push(utf8.encode("data: 1\n"))).toEqual([]);
    expect(reader.push(utf8.encode("\n"))).toEqual([data("1")]);
    expect(reader.end()).toEqual([]);
  });

  test("a character that was cut off as what it is: broken", () => {
    expect(read([utf8.encode("data: é").subarray(0, -1)])).toEqual([data("\ufffd")]);
  });
});

describe("renderSse()", () => {
  const cases: [message: SseMessage, text: string][] = [
    [data("{}"), "data: {}\n\n"],
    [data("{}", "ping"), "event: ping\ndata: {}\n\n"],
    [data("[DONE]"), "data: [DONE]\n\n"],
    [data('{"text":"é\\n\\n👍"}', "a.b"), 'event: a.b\ndata: {"text":"é\\n\\n👍"}\n\n'],
  ];
  test.each(cases)("writes %j, and it is read back", (message, text) => {
    expect(renderSse(message)).toBe(text);
    expect(read([utf8.encode(text)])).toEqual([message]);
  });
});
