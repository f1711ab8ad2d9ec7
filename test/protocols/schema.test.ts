import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../src/protocols/chat.ts";
import { mergeRootUnions, repairSchema } from "../../src/protocols/schema.ts";

describe("repairSchema()", () => {
  test.each([
    ["no schema", undefined, { type: "object", properties: {} }],
    ["null", null, { type: "object", properties: {} }],
    ["true, which allows anything", true, { type: "object", properties: {} }],
    ["an array", [], { type: "object", properties: {} }],
    ["an empty object", {}, { type: "object", properties: {} }],
    ["a null type", { type: null, properties: {} }, { type: "object", properties: {} }],
    [
      "no properties",
      { type: "object", additionalProperties: true },
      { type: "object", additionalProperties: true, properties: {} },
    ],
    ["no type", { properties: { a: { type: "string" } } }, { properties: { a: { type: "string" } }, type: "object" }],
    [
      "a $schema, at the root alone",
      { $schema: "x", type: "object", properties: { a: { $schema: "y" } } },
      { type: "object", properties: { a: { $schema: "y" } } },
    ],
  ] as const)("repairs %s", (_, schema, expected) => {
    expect(repairSchema(schema as unknown as JsonObject)).toStrictEqual(expected as unknown as JsonObject);
  });

  test("returns a sound schema itself and never changes its argument", () => {
    const sound: JsonObject = { type: "object", properties: { a: { type: "string" } }, required: ["a"] };
    expect(repairSchema(sound)).toBe(sound);
    const broken: JsonObject = Object.freeze({ $schema: "x" });
    expect(repairSchema(broken)).toStrictEqual({ type: "object", properties: {} });
  });
});

describe("mergeRootUnions()", () => {
  const text = { type: "string" };
  const number = { type: "number" };
  const rows: [string, JsonObject, JsonObject][] = [
    [
      "unites the properties of anyOf and keeps what all require",
      {
        type: "object",
        properties: {},
        anyOf: [
          { type: "object", properties: { a: text, b: text }, required: ["a", "b"] },
          { properties: { a: text, c: number }, required: ["c", "a"] },
        ],
      },
      { type: "object", properties: { a: text, b: text, c: number }, required: ["a"] },
    ],
    [
      "leaves out branches that are no objects",
      {
        oneOf: [
          { type: "object", properties: { a: text }, required: ["a"] },
          { type: "null" },
          { type: "string" },
          true,
        ],
      },
      { type: "object", properties: { a: text }, required: ["a"] },
    ],
    [
      "keeps both descriptions of a property that branches describe differently",
      {
        oneOf: [
          { type: "object", properties: { kind: { const: "x" }, a: text }, required: ["kind"] },
          { type: "object", properties: { kind: { const: "y" }, a: text }, required: ["kind"] },
        ],
      },
      {
        type: "object",
        properties: { kind: { anyOf: [{ const: "x" }, { const: "y" }] }, a: text },
        required: ["kind"],
      },
    ],
    [
      "requires with allOf what any branch requires",
      {
        required: ["z"],
        allOf: [
          { properties: { a: text }, required: ["a"] },
          { properties: { b: text }, required: ["b"] },
        ],
      },
      { type: "object", properties: { a: text, b: text }, required: ["z", "a", "b"] },
    ],
    [
      "reads branches that only require something of the root's properties",
      { type: "object", properties: { a: text, b: text }, anyOf: [{ required: ["a"] }, { required: ["b"] }] },
      { type: "object", properties: { a: text, b: text } },
    ],
    [
      "follows references and unions inside a branch, also circular ones",
      {
        anyOf: [{ $ref: "#/$defs/A" }],
        $defs: { A: { anyOf: [{ $ref: "#/$defs/A" }, { type: "object", properties: { a: text }, required: ["a"] }] } },
      },
      {
        type: "object",
        properties: { a: text },
        required: ["a"],
        $defs: { A: { anyOf: [{ $ref: "#/$defs/A" }, { type: "object", properties: { a: text }, required: ["a"] }] } },
      },
    ],
  ];
  test.each(rows)("%s", (_, schema, expected) => {
    const before = structuredClone(schema);
    expect(mergeRootUnions(schema)).toStrictEqual(expected);
    expect(schema).toStrictEqual(before);
  });

  test("returns a schema without root unions itself, nested unions included", () => {
    const schema: JsonObject = { type: "object", properties: { a: { anyOf: [text, number] } } };
    expect(mergeRootUnions(schema)).toBe(schema);
  });
});
