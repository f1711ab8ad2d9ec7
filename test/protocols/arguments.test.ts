import { describe, expect, test } from "bun:test";
import { normalizeArguments, parseArguments } from "../../src/protocols/arguments.ts";

describe("normalizeArguments() and parseArguments()", () => {
  test.each([
    ["", "{}", {}],
    [" \n\t", "{}", {}],
    ["{}", "{}", {}],
    ['{ "a": 1 }\n', '{ "a": 1 }\n', { a: 1 }],
    ['{"a": ', '{"_raw":"{\\"a\\": "}', { _raw: '{"a": ' }],
    ["[1]", '{"_raw":"[1]"}', { _raw: "[1]" }],
    ["null", '{"_raw":"null"}', { _raw: "null" }],
    ['"ls"', '{"_raw":"\\"ls\\""}', { _raw: '"ls"' }],
    ["ls -la", '{"_raw":"ls -la"}', { _raw: "ls -la" }],
  ])("%j", (text, normalized, parsed) => {
    expect(normalizeArguments(text)).toBe(normalized);
    expect(parseArguments(text)).toStrictEqual(parsed);
  });
});
