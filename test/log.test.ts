import { describe, expect, test } from "bun:test";
import { createLogger, type LogFacts, parseLogSettings, renderLogText, Secrets } from "../src/log.ts";

const key = 'a"key\\with/all+that=hurts';

function write(settings: string, message: string, facts?: LogFacts): string[] {
  const lines: string[] = [];
  const secrets = new Secrets();
  secrets.add([key, "launch-secret-1", undefined, "", "ab"]);
  const plain = (text: string) => text;
  const paint = { dim: plain, bold: plain, red: plain, yellow: plain };
  const now = () => Date.parse("2026-11-20T12:00:00Z");
  const { log } = createLogger({
    ...parseLogSettings(settings, false),
    write: (line) => lines.push(line),
    now,
    paint,
    secrets,
  });
  log(message, facts);
  return lines;
}

test.each([
  [undefined, false, { level: "info", format: "json" }],
  [undefined, true, { level: "info", format: "pretty" }],
  ["", true, { level: "info", format: "pretty" }],
  ["debug", false, { level: "debug", format: "json" }],
  ["pretty", false, { level: "info", format: "pretty" }],
  [" WARN , json ", true, { level: "warn", format: "json" }],
] as const)("parseLogSettings(%p), a terminal: %p", (text, isTerminal, settings) => {
  expect(parseLogSettings(text, isTerminal)).toEqual(settings);
});

test("parseLogSettings() says what it does not understand", () => {
  expect(() => parseLogSettings("loud,json", true)).toThrow(
    'CLUTCH_LOG is "loud,json", and "loud" means nothing there',
  );
});

describe("a line", () => {
  test("is one JSON object with its level, its request and its facts", () => {
    const [line = ""] = write("json", "left\nit", { level: "warn", request: "k3j9", target: "a:b", ms: 12 });
    expect(line).not.toContain("\n");
    expect(JSON.parse(line)).toEqual({
      time: "2026-11-20T12:00:00.000Z",
      level: "warn",
      message: "left\nit",
      request: "k3j9",
      target: "a:b",
      ms: 12,
    });
  });

  test("is a sentence for people, with the request before it and the stack below", () => {
    expect(write("pretty", "left it", { request: "k3j9", ms: 12 })).toEqual(["2026-11-20T12:00:00.000Z k3j9 left it"]);
    const [line = ""] = write("pretty", "failed", { level: "error", error: new Error("why") });
    expect(line).toStartWith("2026-11-20T12:00:00.000Z error failed\nError: why\n    at ");
  });

  test("is not written below the level", () => {
    expect(write("warn", "x")).toEqual([]);
    expect(write("warn", "x", { level: "error" })).toHaveLength(1);
    expect(write("info", "x", { level: "debug" })).toEqual([]);
    expect(write("debug", "x", { level: "debug" })).toHaveLength(1);
  });
});

test("renderLogText() makes sentences of a logger's lines, and leaves others as they are", () => {
  const [one = ""] = write("json", "left it", { level: "warn", request: "k3j9", ms: 12 });
  const foreign = ['{"time":"now"}', '{"time": broken}', "plain", '{"level":"info"}'];
  const plain = (text: string) => text;
  const text = renderLogText([one, ...foreign, one].join("\n"), { dim: plain, bold: plain, red: plain, yellow: plain });
  const sentence = "2026-11-20T12:00:00.000Z warn k3j9 left it";
  expect(text).toBe([sentence, ...foreign, sentence].join("\n"));
});

test("what upstreams and clients say stays in its line, and a terminal obeys none of it", () => {
  const message = "it said \x1b]0;title\x07\u202e\x9b2J\n2026-11-20T12:00:00.000Z all is well\u2028";
  const facts = { request: "k3\x1b[2J", error: "one\x1b[2J\n  two\x9b2J" };
  const plain = (text: string) => text;
  const paint = { dim: plain, bold: plain, red: plain, yellow: plain };
  const shown = [
    "2026-11-20T12:00:00.000Z k3 [2J it said  ]0;title   2J 2026-11-20T12:00:00.000Z all is well ",
    "one [2J",
    "  two 2J",
  ].join("\n");
  expect(write("pretty", message, facts)).toEqual([shown]);
  const [json = ""] = write("json", message, facts);
  expect(json).toMatch(/^[\x20-\x7e]*$/);
  expect(JSON.parse(json)).toMatchObject({ message, ...facts });
  expect(renderLogText(json, paint)).toBe(shown);
});

describe("a secret", () => {
  test.each([
    ["in the message", `it said ${key}!`, {}],
    ["in a fact", "x", { answer: `it said ${key}!` }],
    ["deep in one", "x", { answer: { list: [{ text: key }] } }],
    ["as a fact's name", "x", { [key]: 1 }],
    ["in an error", "x", { error: new Error(`wrong key ${key}`) }],
    ["in a URL", `https://host/?key=${encodeURIComponent(key)}`, {}],
    ["in JSON that is told as text", JSON.stringify({ key }), {}],
    ["that nobody told, behind Bearer", 'authorization: "Bearer abc.def-123"', {}],
    ["that nobody told, in a launch token", "xx-cip-k3j9aa11-AbCdEfGhIjKlMnOpQr", {}],
    ["that nobody told, in a key of Clutch's own", "clutch-k3j9wq2m-AbCdEfGhIjKlMnOpQrStUvWxYz_-0123456789AbCdE", {}],
    ["that nobody told, by its look", "sk-or-v1-0123456789abcdef0123", {}],
  ])("does not get out %s", (_name, message, facts) => {
    const spellings = [
      key,
      JSON.stringify(key).slice(1, -1),
      encodeURIComponent(key),
      "abc.def",
      "AbCdEf",
      "0123456789",
    ];
    for (const format of ["json", "pretty"]) {
      const text = write(format, message, facts).join("\n");
      for (const spelling of spellings) expect(text).not.toContain(spelling);
      if (format === "json") {
        expect(text).toContain("(hidden)");
        expect(() => JSON.parse(text)).not.toThrow();
      }
    }
  });

  test("that begins like another goes whole, and a short one takes no words away", () => {
    const secrets = new Secrets();
    secrets.add(["abcdef", "abcdefghij", "the"]);
    expect(secrets.hide("abcdefghij, abcdef, the end")).toBe("(hidden), (hidden), the end");
  });

  test("leaves ordinary words alone", () => {
    const line =
      "k3j9 left openrouter:moonshotai/kimi-k2.6:free after 12 ms: bearer of bad news, xx-cip-k3j9aa11 asked";
    expect(new Secrets().hide(line)).toBe(line);
  });
});
