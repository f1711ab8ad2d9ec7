import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv } from "ajv";
import { configJsonSchema } from "../../src/config/json-schema.ts";
import { parseJsonc } from "../../src/config/jsonc.ts";
import { parseConfig } from "../../src/config/schema.ts";
import type { Json } from "../../src/protocols/chat.ts";

const docs = join(import.meta.dir, "../../docs");

/** Every example of a whole config in a page, and its parts made whole. */
function examples(page: string): [name: string, value: Json][] {
  const text = readFileSync(join(docs, page), "utf8");
  return [...text.matchAll(/```jsonc\n([\s\S]*?)```/g)].map(([, body = ""], index) => {
    const whole = body.trimStart().startsWith("{") ? body : `{${body}}`;
    return [`${page} example ${index + 1}`, parseJsonc(whole, page)];
  });
}

describe("the published JSON Schema", () => {
  const ajv = new Ajv({ strict: true, allErrors: true, validateFormats: false });
  const validate = ajv.compile(configJsonSchema());

  test("is one to a validator of another house", () => {
    expect(ajv.validateSchema(configJsonSchema())).toBe(true);
  });

  test.each([...examples("config.md"), ...examples("routing.md"), ...examples("chain.md")])(
    "takes %s, as Clutch does",
    (_name, value) => {
      expect(validate(value) ? [] : validate.errors).toEqual([]);
      expect(() => parseConfig(value, "the docs")).not.toThrow();
    },
  );

  const refused: [name: string, value: Json][] = [
    ["an unknown key", { sever: {} }],
    ["a port that is none", { server: { port: 70000 } }],
    ["a profile that is no digit", { launcher: { profiles: { a: {} } } }],
    ["a mode that is none", { headroom: { mode: "behind" } }],
    ["a health path without a slash", { chain: { services: [{ id: "a", health_path: "x" }] } }],
  ];
  test.each(refused)("refuses %s, as Clutch does", (_name, value) => {
    expect(validate(value)).toBe(false);
    expect(() => parseConfig(value, "here")).toThrow();
  });
});
