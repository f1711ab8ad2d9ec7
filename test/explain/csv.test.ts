import { expect, test } from "bun:test";
import { renderCsv } from "../../src/explain/csv.ts";

test.each<[string, (string | number | null)[], string]>([
  ["plain texts, numbers and nothing", ["a", 1.5, null, ""], "a,1.5,,"],
  [
    "commas, quotes and line ends",
    ["a,b", 'say "hi"', "two\nlines", "cr\rlf\r\n"],
    '"a,b","say ""hi""","two\nlines","cr\rlf\r\n"',
  ],
  [
    "what a spreadsheet would run",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"],
    `'=1+1,'+1,'-1,'@SUM(A1),'\tx,"'\rx"`,
  ],
  ["both", ['=HYPERLINK("http://x","y")'], `"'=HYPERLINK(""http://x"",""y"")"`],
  ["numbers below zero are numbers", [-1.5], "-1.5"],
  ["the same inside a text is harmless", ["a=b", " =b"], "a=b, =b"],
])("%s", (_, row, expected) => {
  expect(renderCsv([row])).toBe(`${expected}\r\n`);
});
