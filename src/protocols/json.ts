/** What every reader of JSON asks. */

import type { Json, JsonObject } from "./chat.ts";

/** True for `{...}`, not for arrays and null. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** More tokens than any answer has: what an upstream says beyond them is a slip, and no sum would recover from it. */
const mostTokens = 1e9;

/** A token count: anything but a number from 0 up is as good as absent, and fractions (some servers estimate) are rounded. */
export function readCount(value: Json | undefined): number | undefined {
  return typeof value === "number" && value >= 0 && value <= mostTokens ? Math.round(value) : undefined;
}
