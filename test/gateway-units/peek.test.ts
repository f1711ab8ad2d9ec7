import { describe, expect, test } from "bun:test";
import { type Fetch, sendUpstream } from "../../providers/upstream.ts";
import { parseAtOnceBytes, RequestBody } from "../../src/gateway/body.ts";
import { findTopLevelBoolean, findTopLevelString, hasTopLevelItems, topLevelMembers } from "../../src/gateway/peek.ts";
import type { Json, JsonObject } from "../../src/protocols/chat.ts";

describe("findTopLevelString()", () => {
  const cases: [name: string, body: string, value: string | undefined][] = [
    ["alone", '{"model":"m"}', '"m"'],
    ["with white space around it", '{\n\t"model" :\r\n "m" }', '"m"'],
    ["behind a nested one", '{"a":{"model":"x"},"model":"m"}', '"m"'],
    ["before a nested one", '{"model":"m","a":{"model":"x"}}', '"m"'],
    ["nested only", '{"a":{"model":"x"}}', undefined],
    ["nested in a list only", '{"a":[{"model":"x"}]}', undefined],
    ["spelt in a text", '{"a":"\\"model\\":\\"x\\"","model":"m"}', '"m"'],
    ["at the end of a text", '{"a":"say \\"model","b":1,"model":"m"}', '"m"'],
    ["as a value", '{"a":"model","model":"m"}', '"m"'],
    ["behind a text that ends in a backslash", '{"a":"x\\\\","model":"m"}', '"m"'],
    ["behind a text of braces", '{"a":"}}{{][","model":"m"}', '"m"'],
    ["with escapes in its value", '{"model":"a\\"b\\\\","x":1}', '"a\\"b\\\\"'],
    ["empty", '{"model":""}', '""'],
    ["of another type", '{"model":5}', undefined],
    ["null", '{"model":null}', undefined],
    ["of another type, beside a nested one", '{"model":{"model":"x"}}', undefined],
    ["absent", "{}", undefined],
    ["cut off", '{"model":"m', undefined],
    ["twice, the first one", '{"model":"a","model":"b"}', '"a"'],
    ["in a list instead of an object", '[{"model":"m"}]', undefined],
  ];
  test.each(cases)("finds one that stands %s", (_name, body, value) => {
    const bytes = Buffer.from(body);
    const span = findTopLevelString(bytes, "model");
    expect(span === undefined ? undefined : bytes.toString("utf8", span.start, span.end)).toBe(value as string);
  });
});

/** The same numbers for the same seed (mulberry32), from 0 to 1. */
function randomness(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Writes random JSON text: the text is what matters here, so keys, escapes and spaces are chosen, not derived. */
class Writer {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = randomness(seed);
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  pick<Item>(items: readonly [Item, ...Item[]]): Item {
    return items[this.below(items.length)] ?? items[0];
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }

  space(): string {
    return this.chance(0.6) ? "" : this.pick([" ", "\n", "\t", "\r\n", "  \n  "]);
  }

  string(): string {
    const pieces = Array.from({ length: this.below(6) }, () =>
      this.pick([
        "model",
        '\\"model\\":',
        '\\"',
        "\\\\",
        '\\\\\\"',
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "é",
        "👍",
        "\\n",
        "\\u0041",
        "\\ud83d\\ude00",
        " ",
        '\\"stream\\": true',
        "a",
      ]),
    );
    return `"${pieces.join("")}"`;
  }

  nestedKey(): string {
    return this.pick(['"model"', '"stream"', '"tools"', '"x"', '"\\u006dodel"', '"a\\"model"', '"model\\\\"', '""']);
  }

  value(depth: number): string {
    const kind = this.below(depth > 3 ? 5 : 8);
    if (kind < 2) return this.string();
    if (kind === 2) return this.pick(["true", "false", "null"]);
    if (kind < 5) return this.pick(["0", "-1.5e3", "1234567890"]);
    const items = Array.from({ length: this.below(4) }, () => {
      const value = this.space() + this.value(depth + 1) + this.space();
      return kind === 5 ? value : `${this.space()}${this.nestedKey()}${this.space()}:${value}`;
    });
    return kind === 5 ? `[${items.join(",") || this.space()}]` : `{${items.join(",") || this.space()}}`;
  }

  /** An object whose members' names differ, since what a repeated name means is nobody's promise. */
  body(padding: string): { text: string; pieces: [before: string, model: string, after: string] } {
    const model = this.chance(0.8) ? this.string() : this.value(2);
    const members = new Map([
      ['"messages"', this.value(0)],
      ['"model_x"', this.value(1)],
      ['"Model"', this.value(1)],
    ]);
    if (this.chance(0.9)) members.set('"model"', model);
    if (this.chance(0.7)) members.set('"stream"', this.chance(0.8) ? this.pick(["true", "false"]) : this.value(2));
    if (this.chance(0.7)) members.set('"tools"', this.chance(0.3) ? `[${this.space()}]` : this.value(1));
    if (padding !== "") members.set('"padding"', `"${padding}"`);
    const order = [...members].map((member) => ({ member, at: this.#random() })).sort((a, b) => a.at - b.at);
    const written = order.map(({ member: [key, value] }) => {
      return { key, before: `${this.space()}${key}${this.space()}:${this.space()}`, value, after: this.space() };
    });
    const place = written.findIndex(({ key }) => key === '"model"');
    const join = (from: number, to: number) => written.slice(from, to).map((m) => m.before + m.value + m.after);
    const at = written[place];
    const [open, close] = [`${this.space()}{`, `}${this.space()}`];
    if (at === undefined) return { text: open + join(0, written.length).join(",") + close, pieces: ["", "", ""] };
    const before = open + [...join(0, place), at.before].join(",");
    const after = [at.after, ...join(place + 1, written.length)].join(",") + close;
    return { text: before + at.value + after, pieces: [before, at.value, after] };
  }
}

const cases = 2000;
const seed = Math.floor(Math.random() * 2 ** 31);

function said(bytes: Buffer): Json[] {
  try {
    const body = new RequestBody(bytes);
    return [body.model, body.stream, body.hasTools];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

describe(`random bodies (seed ${seed})`, () => {
  test("are peeked at as a parser reads them", () => {
    const writer = new Writer(seed);
    for (let round = 0; round < cases; round++) {
      const { text } = writer.body("");
      const bytes = Buffer.from(text);
      const parsed = JSON.parse(text) as JsonObject;
      const { model, stream, tools } = parsed;
      const span = findTopLevelString(bytes, "model");
      const found = span === undefined ? undefined : JSON.parse(bytes.toString("utf8", span.start, span.end));
      const read = [found, findTopLevelBoolean(bytes, "stream"), hasTopLevelItems(bytes, "tools")];
      const truth = [
        typeof model === "string" ? model : undefined,
        typeof stream === "boolean" ? stream : undefined,
        Array.isArray(tools) && tools.length > 0,
      ];
      if (!Bun.deepEquals(read, truth)) expect({ round, text, read }).toEqual({ round, text, read: truth });
    }
  });

  test("keep every other byte when the model is replaced", async () => {
    let written = "";
    const fetch: Fetch = async (_url, init) => {
      written = Buffer.from(init.body as Uint8Array).toString("utf8");
      return new Response();
    };
    const writer = new Writer(seed + 1);
    for (let round = 0; round < cases; round++) {
      const { text, pieces } = writer.body("");
      const { model } = JSON.parse(text) as JsonObject;
      if (typeof model !== "string" || model === "") continue;
      const name = writer.pick(["vendor/other:free", 'quo"ted\\', "é👍", "x"]);
      const body = new RequestBody(Buffer.from(text)).withModel(name);
      await sendUpstream(fetch, { url: "http://h/", headers: {}, body }, new AbortController().signal);
      const wanted = name === model ? text : pieces[0] + JSON.stringify(name) + pieces[2];
      if (written !== wanted) expect({ round, text, written }).toEqual({ round, text, written: wanted });
    }
  });

  test("say the same whether they are parsed at once or only peeked at", () => {
    const padding = "x".repeat(parseAtOnceBytes);
    for (let round = 0; round < cases / 4; round++) {
      const small = Buffer.from(new Writer(seed + round).body("").text);
      const large = Buffer.from(new Writer(seed + round).body(padding).text);
      if (small.length > parseAtOnceBytes) continue;
      // The padded one is another random body in its spaces alone: both have the same members.
      const [short, long] = [said(small), said(large)];
      if (!Bun.deepEquals(short, long))
        expect({ round, small: small.toString(), long }).toEqual({ round, small: small.toString(), long: short });
    }
  });
});

describe("topLevelMembers()", () => {
  const members = (text: string) => {
    const body = Buffer.from(text);
    const found = topLevelMembers(body);
    return (
      found && Object.fromEntries([...found].map(([name, { start, end }]) => [name, body.toString("utf8", start, end)]))
    );
  };
  test.each<[text: string, expected: Record<string, string> | undefined]>([
    ["{}", {}],
    [
      ` {"a" : 1 , "b":[1,{"c":"]}"}],"d":{"a":2}, "e":"\\"}", "f":null } \n`,
      { a: "1", b: '[1,{"c":"]}"}]', d: '{"a":2}', e: '"\\"}"', f: "null" },
    ],
    ['{"a":1,"a":2}', { a: "2" }],
    ['{"ä":true}', { ä: "true" }],
    ['{"\\u0061":1}', undefined],
    ["[1]", undefined],
    ['{"a":[1}', undefined],
    ['{"a":}', undefined],
    ['{"a":1', undefined],
    ['{"a":1} x', undefined],
    ["", undefined],
  ])("%s", (text, expected) => {
    expect(members(text)).toEqual(expected as never);
  });
});
