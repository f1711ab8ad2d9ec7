/** JSON Schemas of tool arguments, changed as little as a strict server demands. */

import type { Json, JsonObject } from "./chat.ts";
import { isObject } from "./json.ts";

/**
 * A schema that OpenAI and Anthropic take: `type` and `properties` present (OpenAI: "object schema missing properties"),
 * `$schema` gone. Qwen Code declares tools without any. A schema with nothing to repair is returned itself.
 */
export function repairSchema(schema: Json | undefined): JsonObject {
  if (!isObject(schema)) return { type: "object", properties: {} };
  const hasType = schema["type"] !== undefined && schema["type"] !== null;
  const hasProperties = isObject(schema["properties"]);
  if (hasType && hasProperties && !("$schema" in schema)) return schema;
  const { $schema: _, ...repaired } = schema;
  if (!hasType) repaired["type"] = "object";
  if (!hasProperties) repaired["properties"] = {};
  return repaired;
}

const unions = ["anyOf", "oneOf", "allOf"] as const;
type Union = (typeof unions)[number];

/**
 * Anthropic refuses `anyOf`, `oneOf` and `allOf` at the root of `input_schema`, so their object branches become one
 * object: all properties, and as required what every branch requires (with `allOf`: what any does, since all of them
 * hold). A property that branches describe differently keeps each description. Without a root union the schema itself
 * is returned.
 */
export function mergeRootUnions(schema: JsonObject): JsonObject {
  return mergeUnions(schema, schema, new Set());
}

/** `openRefs`: references being resolved, so that a schema which contains itself ends. */
function mergeUnions(schema: JsonObject, root: JsonObject, openRefs: ReadonlySet<string>): JsonObject {
  let merged = schema;
  for (const union of unions) {
    if (!(union in merged)) continue;
    const { [union]: branches, ...rest } = merged;
    if (!Array.isArray(branches)) {
      // A union of nothing says nothing, and its mere name is refused.
      merged = rest;
      continue;
    }
    const objects = branches
      .map((branch) => objectBranch(branch, root, openRefs))
      .filter((branch) => branch !== undefined);
    merged = addBranches(rest, objects, union);
  }
  return merged;
}

/** The branch with its reference resolved and its own unions merged; undefined when no object can match it. */
function objectBranch(branch: Json, root: JsonObject, openRefs: ReadonlySet<string>): JsonObject | undefined {
  if (!isObject(branch)) return undefined;
  const ref = branch["$ref"];
  if (typeof ref === "string") {
    const target = openRefs.has(ref) ? undefined : resolve(ref, root);
    return objectBranch(target ?? null, root, new Set([...openRefs, ref]));
  }
  const type = branch["type"];
  const isObjectType =
    type === undefined || type === null || type === "object" || (Array.isArray(type) && type.includes("object"));
  return isObjectType ? mergeUnions(branch, root, openRefs) : undefined;
}

/** Only `#/$defs/X` and `#/definitions/X`, which is what schema generators write. */
function resolve(ref: string, root: JsonObject): Json | undefined {
  const [hash, container, name, ...deeper] = ref.split("/");
  if (hash !== "#" || name === undefined || deeper.length > 0) return undefined;
  const definitions = container === "$defs" || container === "definitions" ? root[container] : undefined;
  return isObject(definitions) ? definitions[name] : undefined;
}

function addBranches(base: JsonObject, branches: JsonObject[], union: Union): JsonObject {
  const properties: JsonObject = { ...propertiesOf(base) };
  const byName = new Map<string, Json[]>();
  for (const branch of branches) {
    for (const [name, property] of Object.entries(propertiesOf(branch))) {
      const known = byName.get(name) ?? [];
      if (property !== undefined && !known.some((other) => Bun.deepEquals(other, property))) known.push(property);
      byName.set(name, known);
    }
  }
  for (const [name, described] of byName) {
    // What the root itself says of a property is the more general statement; branches only narrow it.
    if (properties[name] !== undefined) continue;
    properties[name] = described.length === 1 ? described[0] : { [union === "oneOf" ? "anyOf" : union]: described };
  }
  const required = new Set(requiredOf(base));
  const [first, ...others] = branches.map((branch) => new Set(requiredOf(branch)));
  const fromBranches =
    union === "allOf"
      ? others.reduce((all, names) => all.union(names), first ?? new Set<string>())
      : others.reduce((all, names) => all.intersection(names), first ?? new Set<string>());
  for (const name of fromBranches) required.add(name);
  const merged: JsonObject = { ...base, type: base["type"] ?? "object", properties };
  if (required.size > 0) merged["required"] = [...required];
  return merged;
}

function propertiesOf(schema: JsonObject): JsonObject {
  return isObject(schema["properties"]) ? schema["properties"] : {};
}

function requiredOf(schema: JsonObject): string[] {
  const required = schema["required"];
  return Array.isArray(required) ? required.filter((name) => typeof name === "string") : [];
}
