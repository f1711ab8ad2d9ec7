import { expect, test } from "bun:test";
import { parseXxOptions } from "../../launcher/options.ts";

test.each([
  [["cip"], { words: ["cip"] }],
  [["-n", "cip", "--json"], { words: ["cip"], isDryRun: true, isJson: true }],
  [["cip", "--safe", "--no-front"], { words: ["cip"], isSafe: true, skipsFront: true }],
  [["cnp", "fix", "the", "bug"], { words: ["cnp", "fix", "the", "bug"] }],
  [["cnp", "-p", "-1 is what?"], { words: ["cnp"], prompt: "-1 is what?" }],
  [["csp", "--session=ab", "--model", "a/b:free"], { words: ["csp"], session: "ab", model: "a/b:free" }],
  [["cip", "--", "-n", "--", "x"], { words: ["cip"], rest: ["-n", "--", "x"] }],
  [["-h"], { wantsHelp: true }],
  [["--version"], { wantsVersion: true }],
])("parseXxOptions(%j)", (args, expected) => {
  expect(parseXxOptions(args)).toMatchObject(expected);
});

test.each([
  [["cip", "--frob"], 'unknown option "--frob"'],
  [["cip", "-np"], 'unknown option "-np"'],
  [["cip", "--json=1"], 'unknown option "--json=1"'],
  [["cip", "--constructor"], 'unknown option "--constructor"'],
  [["csp", "-s"], "-s needs a value"],
  [["csp", "-s", "-n"], '-s needs a value, and "-n" looks like an option'],
  [["cip", "-m", ""], "-m needs a value"],
  [["cnp", "-p", "  "], "-p needs a value"],
])("parseXxOptions(%j) is refused", (args, message) => {
  expect(() => parseXxOptions(args)).toThrow(message);
});
