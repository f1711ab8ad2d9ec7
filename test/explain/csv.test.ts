import { expect, test } from "bun:test";
import { renderCsvRow } from "../../src/explain/csv.ts";

test.each<[name: string, cell: string | number | boolean | null, written: string]>([
  ["a plain text", "claude-opus", "claude-opus"],
  ["a number", 12.5, "12.5"],
  ["a negative number, which is no formula", -3, "-3"],
  ["a claim", false, "false"],
  ["what is unknown", null, ""],
  ["a comma", "a,b", '"a,b"'],
  ["a quote", 'say "no"', '"say ""no"""'],
  ["several lines", "one\r\ntwo", '"one\r\ntwo"'],
  ["a formula", '=HYPERLINK("http://x","y")', '"\'=HYPERLINK(""http://x"",""y"")"'],
  ["one that begins with a sign", "+1+1", "'+1+1"],
  ["one that begins with the other", "-1+cmd", "'-1+cmd"],
  ["one of old times", "@SUM(A1)", "'@SUM(A1)"],
  ["a call of a program", "|cmd /c calc", "'|cmd /c calc"],
  ["one behind a tab", "\t=1+1", "'\t=1+1"],
  ["one behind a line's end", "\n=1+1", '"\'\n=1+1"'],
  ["one behind spaces that nobody sees", " \u200b=1+1", "' \u200b=1+1"],
  ["one in full width", "\uff1d1+1", "'\uff1d1+1"],
  ["a sign further back", "gpt-5 = good", "gpt-5 = good"],
])("renderCsvRow() writes %s", (_name, cell, written) => {
  expect(renderCsvRow(["x", cell])).toBe(`x,${written}\r\n`);
});
