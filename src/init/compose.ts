/** Puts the config together that `clutch init` writes. Pure. */

import type { Change, Path } from "../config/jsonc-edit.ts";
import { configSchema } from "../config/schema.ts";
import { renderSettingPath, valueAtPath } from "../config/setting-path.ts";
import type { Json, JsonObject } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";

/** What is over counts, member by member. */
export function overlay(under: JsonObject, over: JsonObject): JsonObject {
  const merged: JsonObject = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    merged[key] = isObject(before) && isObject(value) ? overlay(before, value) : value;
  }
  return merged;
}

/** Top-level keys as the schema has them, which is how a reader would look for them. */
export function inSchemaOrder(config: JsonObject): JsonObject {
  const order = Object.keys(configSchema.shape);
  return Object.fromEntries(Object.entries(config).toSorted(([a], [b]) => order.indexOf(a) - order.indexOf(b)));
}

/** What of it is not in the file yet, and what is there in another way and stays so. */
export function additions(existing: Json, config: JsonObject): { changes: Change[]; kept: string[] } {
  const changes: Change[] = [];
  const kept: string[] = [];
  const walk = (value: Json, path: Path): void => {
    const here = valueAtPath(existing, path);
    if (here === undefined) changes.push({ kind: "set", path, value });
    else if (isObject(value) && isObject(here)) {
      for (const [key, member] of Object.entries(value)) if (member !== undefined) walk(member, [...path, key]);
    } else if (!Bun.deepEquals(here, value)) kept.push(renderSettingPath(path));
  };
  for (const [key, value] of Object.entries(config)) if (value !== undefined) walk(value, [key]);
  return { changes, kept };
}

/** The whole of a new file, a line for each of its parts. */
export function replaceAll(existing: Json, config: JsonObject): Change[] {
  const gone = Object.keys(isObject(existing) ? existing : {}).filter((key) => config[key] === undefined);
  return [
    ...gone.map((key): Change => ({ kind: "remove", path: [key] })),
    ...Object.entries(config).flatMap(([key, value]): Change[] =>
      value === undefined ? [] : [{ kind: "set", path: [key], value }],
    ),
  ];
}
