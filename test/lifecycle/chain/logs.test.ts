import { afterAll, describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lastLines, readLogs, tendLog, tidy } from "../../../src/lifecycle/chain/logs.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-logs-"));
mkdirSync(join(root, "logs"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test("a log is cut when it is too long, three former ones are kept, and they are read as one", () => {
  const log = join(root, "logs/a.log");
  let known = 0;
  for (let round = 1; round <= 6; round++) {
    appendFileSync(log, `round ${round} ${"x".repeat(20)}\n`);
    known = tendLog(root, "a", known, round * 1_000, 20);
    expect(known).toBe(0);
  }
  expect(readFileSync(log, "utf8")).toBe("");
  expect(existsSync(`${log}.4`)).toBe(false);
  expect(readLogs(root, "a", undefined).match(/round \d/g)).toEqual(["round 4", "round 5", "round 6"]);
});

test("what was said since a moment is found, whatever the lines say themselves", () => {
  const log = join(root, "logs/b.log");
  writeFileSync(log, "");
  let known = 0;
  for (const [atMs, text] of [
    [1_000, "first\n"],
    [2_000, "second\n"],
    [9_000, "third\nfourth\n"],
  ] as const) {
    appendFileSync(log, text);
    known = tendLog(root, "b", known, atMs);
  }
  expect(readLogs(root, "b", 0)).toBe("first\nsecond\nthird\nfourth\n");
  expect(readLogs(root, "b", 1_500)).toBe("second\nthird\nfourth\n");
  expect(readLogs(root, "b", 2_001)).toBe("third\nfourth\n");
  expect(readLogs(root, "b", 9_001)).toBe("");
});

describe("what a terminal was sent", () => {
  test.each([
    ["ends of lines", "a\r\nb\r\n", "a\nb\n"],
    ["colours", "\x1b[31mred\x1b[0m\n", "red\n"],
    ["a title, a link and the clipboard", "a\x1b]0;title\x07b\x1b]52;c;aGk=\x1b\\c\x9b2Jd\x08\n", "abcd\n"],
    ["a bar that is redrawn", "10 %\r50 %\r100 %\r\ndone\n", "100 %\ndone\n"],
  ])("is text without %s", (_name, sent, text) => {
    expect(tidy(sent, false)).toBe(text);
  });

  test("keeps its colours if they are wanted, and loses the blank lines at its end", () => {
    expect(tidy("\x1b[31mred\x1b[0m\n", true)).toBe("\x1b[31mred\x1b[0m\n");
    const sent = "\x1b[1;31mred\x1b[2J\x1b]0;title\x07\tand\x1b[0m more\x9b2J\x1bc\n";
    expect(tidy(sent, true)).toBe("\x1b[1;31mred\tand\x1b[0m more\n");
    expect(lastLines("a\n\nb\nc\n  \n\n", 3)).toEqual(["", "b", "c"]);
    expect(lastLines("", 3)).toEqual([]);
  });
});
