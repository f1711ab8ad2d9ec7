import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv } from "ajv";
import { descriptions } from "../../src/config/descriptions.ts";
import { configJsonSchema } from "../../src/config/json-schema.ts";
import { parseJsonc } from "../../src/config/jsonc.ts";
import { parseConfig } from "../../src/config/schema.ts";
import type { Json, JsonObject } from "../../src/protocols/chat.ts";
import { isObject } from "../../src/protocols/json.ts";

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

  const pages = readdirSync(docs).filter((name) => name.endsWith(".md"));
  test.each(pages.flatMap(examples))("takes %s, as Clutch does", (_name, value) => {
    expect(validate(value) ? [] : validate.errors).toEqual([]);
    expect(() => parseConfig(value, "the docs")).not.toThrow();
  });

  test("says what each setting does, and nothing of settings that are none", () => {
    const paths = new Set<string>();
    const missing: string[] = [];
    const walk = (schema: JsonObject, path: readonly string[]) => {
      paths.add(path.join("."));
      const members = isObject(schema["properties"]) ? Object.entries(schema["properties"]) : [];
      for (const key of ["additionalProperties", "items"]) members.push(["*", schema[key]]);
      const below = members.filter((member): member is [string, JsonObject] => isObject(member[1]));
      const isNamed = path.length > 0 && path.at(-1) !== "*";
      // Limits of a budget are all alike, and an agent's name says which it is.
      const isAlike = path[0] === "budgets" || path[0] === "agents" || path.includes("usd_per_million");
      if (isNamed && !isAlike && below.length === 0 && schema["description"] === undefined)
        missing.push(path.join("."));
      for (const [name, member] of below) walk(member, [...path, name]);
    };
    walk(configJsonSchema(), []);
    expect(missing).toEqual([]);
    const isThere = (pattern: string) =>
      [...paths].some((path) => {
        const [parts, names] = [pattern.split("."), path.split(".")];
        return parts.length === names.length && parts.every((part, at) => part === "*" || part === names[at]);
      });
    expect(Object.keys(descriptions).filter((pattern) => !isThere(pattern))).toEqual([]);
  });

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
