/** The one question every reader of JSON asks. */

import type { Json, JsonObject } from "./chat.ts";

/** True for `{...}`, not for arrays and null. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
