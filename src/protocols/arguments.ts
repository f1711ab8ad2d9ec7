/** Tool-call arguments: the JSON text of an object in Chat and Responses, the object itself in Messages. */

import type { Json, JsonObject } from "./chat.ts";

/** A model that wrote something else than an object meant it all the same: its text is kept under this key. */
const rawKey = "_raw";

/** The text as it came when it is a JSON object, `{}` when blank, else the JSON of `{"_raw": text}`. */
export function normalizeArguments(text: string): string {
  if (isBlank(text)) return "{}";
  return parseObject(text) === undefined ? JSON.stringify({ [rawKey]: text }) : text;
}

/** The object that `normalizeArguments` would write. */
export function parseArguments(text: string): JsonObject {
  if (isBlank(text)) return {};
  return parseObject(text) ?? { [rawKey]: text };
}

/** What `normalizeArguments` was given. */
export function unwrapArguments(text: string): string {
  if (!text.startsWith(`{"${rawKey}":`)) return text;
  const { [rawKey]: raw, ...more } = parseObject(text) ?? {};
  return typeof raw === "string" && Object.keys(more).length === 0 ? raw : text;
}

/** Cheap on long texts: `trim` stops at the first character that is not a space. */
function isBlank(text: string): boolean {
  return text.trim() === "";
}

function parseObject(text: string): JsonObject | undefined {
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
}
