/** What a mode is: the part of a config that says which models answer. Keys, addresses and limits stay where they are. Pure. */

import type { Change, Path } from "../config/jsonc-edit.ts";
import { valueAtPath } from "../config/setting-path.ts";
import type { Json, JsonObject } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";

/** Each is taken whole: what a mode does not name is not in force while it is. */
export const routingSettings: readonly Path[] = [
  ["default_provider"],
  ["model_tiers"],
  ["routes"],
  ["mappings"],
  ["agents"],
  ["fallbacks"],
  ["toolcall_models"],
  ["fallback_method"],
  ["launcher", "tiers"],
  ["budgets", "allow_paid"],
];

/** The routing part of a config file; an empty object where it has none. */
export function readSetup(raw: Json): JsonObject {
  const setup: JsonObject = {};
  for (const path of routingSettings) {
    const value = valueAtPath(raw, path);
    if (value === undefined) continue;
    let holder = setup;
    for (const key of path.slice(0, -1)) {
      const inner: JsonObject = isObject(holder[key]) ? holder[key] : {};
      holder[key] = inner;
      holder = inner;
    }
    holder[String(path.at(-1))] = structuredClone(value);
  }
  return setup;
}

/** What makes the file's routing part this one. */
export function planSetup(setup: JsonObject): Change[] {
  return routingSettings.map((path): Change => {
    const value = valueAtPath(setup, path);
    return value === undefined ? { kind: "remove", path } : { kind: "set", path, value };
  });
}

/** `BIG moonshotai/kimi-k2.6:free, then 3 more`. */
export function describeSetup(setup: JsonObject): string {
  const big = valueAtPath(setup, ["model_tiers", "BIG", "default"]);
  const cascade = valueAtPath(setup, ["model_tiers", "BIG", "cascade"]);
  const more = Array.isArray(cascade) ? cascade.length : 0;
  if (typeof big !== "string" || big === "") return "the built-in tiers";
  return more === 0 ? big : `${big}, then ${more} more`;
}
