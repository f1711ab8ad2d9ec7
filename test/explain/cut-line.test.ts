import { expect, test } from "bun:test";
import { asPlainLine, cutLine, fitCell, widthOf } from "../../src/explain/cut-line.ts";

test.each([
  ["short", 10, "short"],
  ["exactly ten", 11, "exactly ten"],
  ["one too long", 11, "one too lo…"],
  ["", 0, ""],
  ["anything", 0, ""],
  ["anything", 1, "…"],
  // A wide character is not halved.
  ["日本語モデル", 12, "日本語モデル"],
  ["日本語モデル", 11, "日本語モデ…"],
  ["日本語モデル", 10, "日本語モ…"],
  ["日本語モデル", 2, "…"],
  // One grapheme of several code points.
  ["👩‍👩‍👧‍👦 family", 4, "👩‍👩‍👧‍👦 …"],
  ["e\u0301e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301…"],
  // Colours take no room, and are ended where they are cut.
  ["\x1b[31mred\x1b[39m", 3, "\x1b[31mred\x1b[39m"],
  ["\x1b[31mreddish\x1b[39m", 4, "\x1b[31mred…\x1b[0m"],
  ["a \x1b[31mred\x1b[39m end", 3, "a \x1b[31m…\x1b[0m"],
] as const)("cutLine(%p, %p)", (text, columns, expected) => {
  expect(cutLine(text, columns)).toBe(expected);
  expect(widthOf(cutLine(text, columns))).toBeLessThanOrEqual(columns);
});

test("fitCell() is as wide as it is told, whatever it holds", () => {
  expect(["ab", "日本語", "abcdefgh"].map((text) => fitCell(text, 5))).toEqual(["ab   ", "日本…", "abcd…"]);
  expect(fitCell("日本語", 4)).toBe("日… ");
  expect(fitCell("12", 5, "right")).toBe("   12");
});

test("asPlainLine() leaves nothing that a terminal would obey", () => {
  expect(asPlainLine("a\x1b[2Jb\r\nc\u0007d\u202ee\u2028f\u009b1m")).toBe("a [2Jb  c d e f 1m");
});
