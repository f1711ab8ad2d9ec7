/** What every reader of JSON asks. */

import type { Json, JsonObject } from "./chat.ts";

/** True for `{...}`, not for arrays and null. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A token count: anything but a number from 0 up is as good as absent, and fractions (some servers estimate) are rounded. */
export function readCount(value: Json | undefined): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? Math.round(value) : undefined;
}
