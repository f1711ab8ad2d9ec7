import { expect, test } from "bun:test";
import { renderReplay, reportRun } from "../../src/explain/replay.ts";
import { plainPaint } from "../../src/explain/table.ts";

test("renderReplay() shows names from outside without what a terminal obeys", () => {
  const evil = "a\x1b[2J\x9b2J\u202eb\nc";
  const answer = {
    tool_calls: [{ name: evil, arguments: { [evil]: evil } }],
    text: evil,
    finish: null,
    error: evil,
  };
  const run = reportRun(evil, answer, undefined, []);
  const text = renderReplay(
    {
      request: { id: evil, protocol: "chat", model_requested: evil, streamed: false },
      original: run,
      runs: [{ ...run }],
    },
    plainPaint,
  );
  expect(text).not.toMatch(/(?!\n)[\p{Cc}\u202e]/u);
  expect(text.split("\n").filter((line) => line.startsWith("c"))).toEqual([]);
});
