import { describe, expect, test } from "bun:test";
import type { Replay } from "../../src/protocols/chat.ts";
import { unwrapReasoning, unwrapReplay, wrapReplay } from "../../src/protocols/envelope.ts";

const wrap = (content: unknown) => `clutch1.${Buffer.from(JSON.stringify(content)).toString("base64url")}`;

const kinds: [string, Replay, unknown][] = [
  ["text of a Chat field", { kind: "field", field: "reasoning" }, { k: "rc", f: "reasoning" }],
  ["OpenRouter details", { kind: "details", details: [{ a: "ü👍" }, null] }, { k: "rd", d: [{ a: "ü👍" }, null] }],
  ["encrypted content", { kind: "openai", encrypted: "gAAAA-_=" }, { k: "rs", e: "gAAAA-_=" }],
  ["a signature", { kind: "anthropic", signature: "Eq+/==" }, { k: "as", s: "Eq+/==" }],
  ["redacted data", { kind: "redacted", data: "x" }, { k: "ar", d: "x" }],
];

describe("an envelope", () => {
  test.each(kinds)("carries %s there and back", (_name, replay, content) => {
    expect(wrapReplay(replay)).toBe(wrap(content));
    expect(unwrapReplay(wrapReplay(replay))).toEqual(replay);
  });

  test("is one token of URL-safe characters, whatever it holds", () => {
    expect(wrapReplay({ kind: "openai", encrypted: '\u0000\n"ÿ\u{1f600}'.repeat(50) })).toMatch(/^clutch1\.[\w-]+$/);
  });

  test("carries text that the client was not shown", () => {
    const value = wrapReplay({ kind: "field", field: "reasoning_content" }, "naïve\nplan");
    expect(unwrapReasoning(value)).toEqual({
      replay: { kind: "field", field: "reasoning_content" },
      hiddenText: "naïve\nplan",
    });
    expect(wrapReplay({ kind: "openai", encrypted: "e" }, "text")).toBe(wrap({ k: "rs", e: "e" }));
  });

  const junk: [string, string][] = [
    ["nothing", ""],
    ["a native signature", "EqQBCkYIBRgCKkA="],
    ["a bare prefix", "clutch1."],
    ["no base64", "clutch1.%%%"],
    ["no JSON", `clutch1.${Buffer.from("{k:1").toString("base64url")}`],
    ["a cut one", wrapReplay({ kind: "openai", encrypted: "long enough to cut" }).slice(0, -6)],
    ["another version", wrapReplay({ kind: "redacted", data: "x" }).replace("clutch1", "clutch2")],
    ["null", wrap(null)],
    ["a list", wrap([1])],
    ["an unknown kind", wrap({ k: "zz", e: "x" })],
    ["an unknown field name", wrap({ k: "rc", f: "__proto__" })],
    ["a value of a wrong type", wrap({ k: "rs", e: 1 })],
    ["details that are no list", wrap({ k: "rd", d: "x" })],
  ];
  test.each(junk)("is not found in %s", (_name, value) => {
    expect(unwrapReplay(value)).toBeUndefined();
  });
});
