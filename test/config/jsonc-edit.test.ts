/** Whole file in, whole file out: what a change leaves alone is the point. */

import { describe, expect, test } from "bun:test";
import { parseJsonc } from "../../src/config/jsonc.ts";
import { applyChanges, type Change, type Path } from "../../src/config/jsonc-edit.ts";
import { renderError } from "../../src/errors.ts";
import type { Json } from "../../src/protocols/chat.ts";

const set = (path: Path, value: Json): Change => ({ kind: "set", path, value });
const remove = (path: Path): Change => ({ kind: "remove", path });
const apply = (text: string, ...changes: Change[]) => applyChanges(text, changes, "config.json");

type Row = [name: string, before: string, changes: Change[], after: string];

const setting: Row[] = [
  [
    "a value in place, its comments kept",
    '// mine\n{\n  "server": { "port": 8082 /* usual */ }, // here\n  "fallbacks": [],\n}\n',
    [set(["server", "port"], 9000)],
    '// mine\n{\n  "server": { "port": 9000 /* usual */ }, // here\n  "fallbacks": [],\n}\n',
  ],
  [
    "a new key behind the last, whose comment stays with it",
    '{\n  "a": 1, // one\n  "b": 2 // two\n  // the end\n}\n',
    [set(["c"], 3)],
    '{\n  "a": 1, // one\n  "b": 2, // two\n  "c": 3\n  // the end\n}\n',
  ],
  [
    "a new key where commas trail",
    '{\n  "a": 1, /* one */ // 1\n}\n',
    [set(["b"], "x")],
    '{\n  "a": 1, /* one */ // 1\n  "b": "x",\n}\n',
  ],
  [
    "an object within an object that is not there",
    "{\n}\n",
    [set(["a", "b", "c"], 1)],
    '{\n  "a": {\n    "b": { "c": 1 }\n  }\n}\n',
  ],
  ["the first key of an empty file", "", [set(["a"], 1)], '{\n  "a": 1\n}\n'],
  ["the first key of an empty object", "{}", [set(["a"], 1)], '{\n  "a": 1\n}'],
  ["the first key behind a comment", "{\n  // nothing yet\n}\n", [set(["a"], 1)], '{\n  // nothing yet\n  "a": 1\n}\n'],
  ["the first member beside a comment", '{ "a": [ /* none */ ] }', [set(["a", 0], 1)], '{ "a": [ /* none */ 1 ] }'],
  [
    "an object in a list, laid out like its siblings",
    '{\n  "l": [\n    {\n      "id": "a"\n    }\n  ]\n}\n',
    [set(["l", 1], { id: "b", needs: ["a"] })],
    '{\n  "l": [\n    {\n      "id": "a"\n    },\n    {\n      "id": "b",\n      "needs": ["a"]\n    }\n  ]\n}\n',
  ],
  [
    "an object in a list of one-liners",
    '{\n  "l": [\n    { "id": "a" }, // first\n  ],\n}\n',
    [set(["l", 1], { id: "b", needs: ["a"] })],
    '{\n  "l": [\n    { "id": "a" }, // first\n    { "id": "b", "needs": ["a"] },\n  ],\n}\n',
  ],
  [
    "a long object on several lines",
    '{\n  "l": []\n}\n',
    [set(["l", 0], { id: "b", command: Array(12).fill("--option") })],
    `{\n  "l": [\n    {\n      "id": "b",\n      "command": [\n${Array(12).fill('        "--option"').join(",\n")}\n      ]\n    }\n  ]\n}\n`,
  ],
  [
    "with tabs",
    '{\n\t"a": {\n\t\t"b": 1\n\t}\n}\n',
    [set(["a", "c"], 2), set(["d"], { e: { f: 1 } })],
    '{\n\t"a": {\n\t\t"b": 1,\n\t\t"c": 2\n\t},\n\t"d": {\n\t\t"e": { "f": 1 }\n\t}\n}\n',
  ],
  [
    "with four blanks",
    '{\n    "a": 1\n}\n',
    [set(["d"], { e: { f: 1 } })],
    '{\n    "a": 1,\n    "d": {\n        "e": { "f": 1 }\n    }\n}\n',
  ],
  [
    "with CRLF",
    '{\r\n  "a": 1 // one\r\n}\r\n',
    [set(["b"], { c: { d: 1 } })],
    '{\r\n  "a": 1, // one\r\n  "b": {\r\n    "c": { "d": 1 }\r\n  }\r\n}\r\n',
  ],
  ["with CR alone", '{\r  "a": 1\r}\r', [set(["b"], 2)], '{\r  "a": 1,\r  "b": 2\r}\r'],
  ["behind a byte order mark", '\uFEFF{\n  "a": 1\n}\n', [set(["a"], 2)], '\uFEFF{\n  "a": 2\n}\n'],
  [
    "without a line end",
    '{"a":1,"b":[1,2]}',
    [set(["b", 2], 3), set(["c"], { d: [1, 2] })],
    '{"a":1,"b":[1,2,3],"c":{"d":[1,2]}}',
  ],
  ["on one line with blanks", '{ "a": 1 }\n', [set(["b"], { c: 2 })], '{ "a": 1, "b": { "c": 2 } }\n'],
  ["on one line without padding", '{"a": 1}\n', [set(["b"], { c: 2 })], '{"a": 1, "b": {"c": 2}}\n'],
  ["beside a comment on one line", '{ "a": 1 /* one */ }', [set(["b"], 2)], '{ "a": 1 /* one */, "b": 2 }'],
  [
    "before a brace on the last line",
    '{\n  "a": 1,\n  "b": 2 }\n',
    [set(["c"], 3)],
    '{\n  "a": 1,\n  "b": 2,\n  "c": 3 }\n',
  ],
  ["behind a line comment in an open line", '{ "a": 1 // one\n}\n', [set(["b"], 2)], '{ "a": 1, // one\n  "b": 2\n}\n'],
  ["where commas lead", '{\n    "a": 1\n  , "b": 2\n}\n', [set(["c"], 3)], '{\n    "a": 1\n  , "b": 2, "c": 3\n}\n'],
  [
    "a list member by member",
    '{\n  "n": [\n    "a", // first\n    "b", // second\n    "c" // third\n  ]\n}\n',
    [set(["n"], ["a", "c"])],
    '{\n  "n": [\n    "a", // first\n    "c" // third\n  ]\n}\n',
  ],
  ["a longer list", '{ "n": ["a" /* x */] }', [set(["n"], ["a", "b", "c"])], '{ "n": ["a" /* x */, "b", "c"] }'],
  [
    "an object member by member",
    '{\n  "o": {\n    "a": 1, // one\n    "b": 2, // two\n    "c": 3 // three\n  }\n}\n',
    [set(["o"], { a: 1, c: 4, d: 5 })],
    '{\n  "o": {\n    "a": 1, // one\n    "c": 4, // three\n    "d": 5\n  }\n}\n',
  ],
  [
    "another kind of value",
    '{\n  "a": 1, // one\n  "b": [1]\n}\n',
    [set(["a"], { x: 1 }), set(["b"], "y")],
    '{\n  "a": { "x": 1 }, // one\n  "b": "y"\n}\n',
  ],
  ["the last of two keys of one name", '{ "a": 1, "a": 2 }', [set(["a"], 3)], '{ "a": 1, "a": 3 }'],
  ["a key with what JSON escapes", "{}", [set(['a"\n'], 'ü"\\')], '{\n  "a\\"\\n": "ü\\"\\\\"\n}'],
  [
    "strings that look like comments",
    '{\n  "a": "//, }", "b": "/*"\n}\n',
    [set(["c"], "*/")],
    '{\n  "a": "//, }", "b": "/*", "c": "*/"\n}\n',
  ],
];

const removing: Row[] = [
  [
    "a line with its comment",
    '{\n  "a": 1, // one\n  // of b\n  "b": 2, // two\n  "c": 3\n}\n',
    [remove(["b"])],
    '{\n  "a": 1, // one\n  // of b\n  "c": 3\n}\n',
  ],
  [
    "the last line, and the comma before it",
    '{\n  "a": 1, // one\n  "b": 2 // two\n}\n',
    [remove(["b"])],
    '{\n  "a": 1 // one\n}\n',
  ],
  ["the last line where commas trail", '{\n  "a": 1,\n  "b": 2,\n}\n', [remove(["b"])], '{\n  "a": 1,\n}\n'],
  ["the only one", '{\n  "a": {\n    "b": 1\n  }\n}\n', [remove(["a", "b"])], '{\n  "a": {}\n}\n'],
  [
    "the only one beside a comment",
    '{\n  "a": {\n    // see b\n    "b": 1\n  }\n}\n',
    [remove(["a", "b"])],
    '{\n  "a": {\n    // see b\n  }\n}\n',
  ],
  ["the first on a line", '{ "a": 1, "b": 2 }', [remove(["a"])], '{ "b": 2 }'],
  ["the last on a line", '{ "a": 1, "b": 2 }', [remove(["b"])], '{ "a": 1 }'],
  ["the last of a tight list", "[1,2]", [remove([1])], "[1]"],
  ["the last where a comma trails", "[1, 2, ]", [remove([1])], "[1, ]"],
  ["the only one of a list", "[1]", [remove([0])], "[]"],
  ["one between comments", "[1, /* of 2 */ 2, /* of 3 */ 3]", [remove([1])], "[1, /* of 2 */ /* of 3 */ 3]"],
  [
    "one on several lines",
    '{\n  "l": [\n    {\n      "id": "a" // in it\n    },\n    {\n      "id": "b"\n    }\n  ]\n}\n',
    [remove(["l", 0])],
    '{\n  "l": [\n    {\n      "id": "b"\n    }\n  ]\n}\n',
  ],
  ["one before a brace on the last line", '{\n  "a": 1,\n  "b": 2 }\n', [remove(["b"])], '{\n  "a": 1 }\n'],
  ["one where commas lead", '{\n    "a": 1\n  , "b": 2\n}\n', [remove(["b"])], '{\n    "a": 1\n}\n'],
  ["with CRLF", '{\r\n  "a": 1,\r\n  "b": 2\r\n}\r\n', [remove(["a"])], '{\r\n  "b": 2\r\n}\r\n'],
  ["both keys of one name", '{ "a": 1, "b": 0, "a": 2 }', [remove(["a"])], '{ "b": 0 }'],
  ["a line comment's end", '{ "a": 1, // one\n  "b": 2 }', [remove(["b"])], '{ "a": 1 // one\n }'],
];

const unchanged: Row[] = [
  ["the same number in other digits", '{ "a": 1e3 }', [set(["a"], 1000)], '{ "a": 1e3 }'],
  ["the same list on other lines", '{ "a": [\n1,\n 2] }', [set(["a"], [1, 2])], '{ "a": [\n1,\n 2] }'],
  ["what is not there", '{ "a": {} }', [remove(["b"]), remove(["a", "b", "c"]), remove(["a", 0])], '{ "a": {} }'],
  ["nothing to do", "", [], ""],
];

describe("applyChanges()", () => {
  test.each(setting)("sets %s", (_name, before, changes, after) => {
    expect(apply(before, ...changes)).toBe(after);
  });

  test.each(removing)("removes %s", (_name, before, changes, after) => {
    expect(apply(before, ...changes)).toBe(after);
  });

  test.each(unchanged)("leaves %s", (_name, before, changes, after) => {
    expect(apply(before, ...changes)).toBe(after);
  });

  const refused: [name: string, text: string, change: Change, message: RegExp][] = [
    [
      "a broken text",
      '{\n  "a": 1\n  "b": 2\n}',
      set(["a"], 2),
      /^config\.json:3:3 is not valid JSON \(comma expected\)/,
    ],
    ["a text without a value", "// nothing\n", set(["a"], 2), /^config\.json:2:1 is not valid JSON \(value expected\)/],
    ["a key of a list", '{ "a": [] }', set(["a", "b"], 2), /"a" is a list, which has no "b"/],
    ["a key of a number", '{ "a": 1 }', set(["a", "b"], 2), /"a" is a number, which has no "b"/],
    ["a key of null", '{ "a": null }', set(["a", "b"], 2), /"a" is null, which has no "b"/],
    ["a place behind the end", "[]", set([1], 2), /the whole is a list, which has no 1/],
  ];
  test.each(refused)("refuses %s", (_name, text, change, message) => {
    let said = "";
    try {
      apply(text, change);
    } catch (error) {
      said = renderError(error);
    }
    expect(said).toMatch(message);
  });

  test("means what it says, and keeps every comment above, whatever the layout", () => {
    const seed = Date.now() % 100_000;
    let state = seed;
    const random = (limit: number) => {
      state = (state * 1103515245 + 12345) % 2 ** 31;
      return Math.floor((state / 2 ** 31) * limit);
    };
    const pick = <Item>(items: readonly Item[]): Item => items[random(items.length)] as Item;
    let comments = 0;
    const trivia = () => pick(["", "", " ", "\n  ", "\r\n", ` /* c${++comments} */ `, `\n// c${++comments}\n`, "\t"]);
    const value = (depth: number): string => {
      const kind = depth > 3 ? random(3) : random(6);
      if (kind < 3) return pick(["1", '"// no"', "null", "true", '"x"', "-1.5e3"]);
      const count = random(4);
      const members = Array.from({ length: count }, (_, at) =>
        kind === 3
          ? value(depth + 1)
          : `"${pick(["a", "b", "c", "d"])}${at}"${trivia()}:${trivia()}${value(depth + 1)}`,
      );
      const inner = members.map((member) => `${trivia()}${member}${trivia()}`).join(",");
      const end = count > 0 && random(3) === 0 ? "," : "";
      return kind === 3 ? `[${inner}${end}${trivia()}]` : `{${inner}${end}${trivia()}}`;
    };
    for (let round = 0; round < 3000; round++) {
      const text = `${trivia()}{${trivia()}"top"${trivia()}:${value(0)},${trivia()}"l":[${value(2)},${value(2)}]}${trivia()}`;
      const change = pick([
        set(["new", "deep"], { id: "n" }),
        set(["top"], { a0: 1, b1: [1, 2] }),
        set(["l", 2], { id: "x" }),
        set(["l"], [1]),
        remove(["l", 0]),
        remove(["l", 1]),
        remove(["top"]),
      ]);
      const described = `seed ${seed}, round ${round}: ${JSON.stringify(change)} in ${JSON.stringify(text)}`;
      let after: string;
      try {
        // It compares what the text says with what the change means, and throws when they differ.
        after = apply(text, change);
      } catch (error) {
        throw new Error(`${described}: ${renderError(error)}`);
      }
      if (apply(after, change) !== after && change.path.at(-1) !== 0) throw new Error(`not idempotent: ${described}`);
      parseJsonc(after, "after");
      // What is appended takes nothing away: without it and its comma the text is the one before.
      if (change.kind === "set" && (change.path[0] === "new" || change.path.length === 2)) {
        const letters = (source: string) => source.replace(/[\s,]/g, "");
        expect(letters(after).length - letters(text).length, described).toBeGreaterThan(0);
        for (const comment of text.match(/c\d+/g) ?? []) expect(after, described).toContain(comment);
      }
    }
  });
});
