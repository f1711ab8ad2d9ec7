/**
 * The keys of the gateway and the services: taken from the environment in which `clutch up` is called, and kept for a start
 * that has none, such as the one at login. `<state>/chain/keys.json`, for its owner alone.
 */

import { readFileSync } from "node:fs";
import type { Env } from "../../config/paths.ts";
import type { Json } from "../../protocols/chat.ts";
import { isObject } from "../../protocols/json.ts";
import { chainDir, writePrivately } from "./record.ts";

function keysFile(stateDir: string): string {
  return `${chainDir(stateDir)}/keys.json`;
}

/** Pure. Every `env:NAME` that stands anywhere in the config. */
export function listNamedVariables(config: Json): string[] {
  const names = new Set<string>();
  const walk = (value: Json | undefined): void => {
    if (typeof value === "string") {
      const name = /^env:([A-Za-z_][A-Za-z0-9_]*)$/.exec(value)?.[1];
      if (name !== undefined) names.add(name);
    } else if (Array.isArray(value)) for (const item of value) walk(item);
    else if (isObject(value)) for (const item of Object.values(value)) walk(item);
  };
  walk(config);
  return [...names].sort();
}

/**
 * The values of these variables, today's before those that were kept. What is new is kept.
 * Kept values of names that nobody asks for any more are dropped.
 */
export function gatherKeys(names: readonly string[], env: Env, stateDir: string): Record<string, string> {
  const kept = readKept(stateDir);
  const keys = Object.fromEntries(
    names.flatMap((name) => {
      const value = env[name] || kept[name];
      return value === undefined || value === "" ? [] : [[name, value]];
    }),
  );
  if (JSON.stringify(keys) !== JSON.stringify(kept)) writePrivately(keysFile(stateDir), `${JSON.stringify(keys)}\n`);
  return keys;
}

/** What a start at login would have. */
export function readKept(stateDir: string): Record<string, string> {
  try {
    const value: unknown = JSON.parse(readFileSync(keysFile(stateDir), "utf8"));
    return Object.fromEntries(
      Object.entries(value ?? {}).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
    );
  } catch {
    return {};
  }
}
