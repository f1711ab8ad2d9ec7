/** Every value that is in force, and who said so. Pure. */

import { findRow } from "../../providers/catalog.ts";
import { builtInTiers, hasNoTiers, namesModels } from "../model-tiers.ts";
import type { Json, JsonObject } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";
import type { Path } from "./jsonc-edit.ts";
import type { ServerFlags } from "./load.ts";
import type { Env } from "./paths.ts";
import type { Config } from "./schema.ts";
import { valueAtPath } from "./setting-path.ts";

/** `name` is the flag or the variable. */
export type Origin = { from: "default" | "file" } | { from: "flag" | "env"; name: string };

export interface EffectiveSetting {
  path: Path;
  value: Json;
  origin: Origin;
}

export interface OriginInput {
  /** With flags and environment in it. */
  config: Config;
  /** The file as it stands. */
  raw: Json;
  env: Env;
  flags: ServerFlags;
  /** Of the catalogue, whose keys are looked for in the environment. */
  providers: readonly string[];
}

/** In the order of the schema; a list of plain values is one setting, an object's members are several. */
export function effectiveSettings(input: OriginInput): EffectiveSetting[] {
  const { config, raw } = input;
  const settings = leavesOf(withTiers(config), []).map(({ path, value }) => ({
    path,
    value,
    origin: overriddenBy(path, input) ?? { from: valueAtPath(raw, path) === undefined ? "default" : "file" },
  }));
  return [...settings, ...environmentKeys(input)];
}

/** What is asked when no tiers are named, as somebody would have to write it. */
function withTiers(config: Config): Json {
  const whole = structuredClone(config) as unknown as JsonObject;
  if (hasNoTiers(config) || namesModels(config)) return whole;
  const own = isObject(whole["model_tiers"]) ? whole["model_tiers"] : {};
  const tiers = Object.entries(builtInTiers).map(([name, tier]) => [
    name,
    { ...(own[name] as JsonObject), ...structuredClone(tier) },
  ]);
  return { ...whole, model_tiers: Object.fromEntries(tiers) };
}

function leavesOf(value: Json, path: Path): { path: Path; value: Json }[] {
  if (Array.isArray(value) && value.some((member) => typeof member === "object")) {
    return value.flatMap((member, index) => leavesOf(member, [...path, index]));
  }
  if (!isObject(value)) return [{ path, value }];
  return Object.entries(value).flatMap(([key, member]) =>
    member === undefined ? [] : leavesOf(member, [...path, key]),
  );
}

const overrides = [
  { path: "server.host", flag: "host", variable: "CLUTCH_HOST" },
  { path: "server.port", flag: "port", variable: "CLUTCH_PORT" },
] as const;

function overriddenBy(path: Path, { env, flags }: OriginInput): Origin | undefined {
  const row = overrides.find((override) => override.path === path.join("."));
  if (row === undefined) return undefined;
  if (flags[row.flag] !== undefined) return { from: "flag", name: `--${row.flag}` };
  return (env[row.variable] ?? "") === "" ? undefined : { from: "env", name: row.variable };
}

/** Keys that are used because the config names none. */
function environmentKeys({ config, env, providers }: OriginInput): EffectiveSetting[] {
  return providers.flatMap((id) => {
    const own = config.providers[id];
    if (own?.api_key !== undefined || (own?.api_keys?.length ?? 0) > 0) return [];
    const name = findRow(id)?.keyEnv?.find((variable) => (env[variable]?.trim() ?? "") !== "");
    if (name === undefined) return [];
    return [{ path: ["providers", id, "api_key"], value: `env:${name}`, origin: { from: "env", name } }];
  });
}

/** "file", "default", "CLUTCH_PORT", "--port". */
export function renderOrigin(origin: Origin): string {
  return "name" in origin ? origin.name : origin.from;
}
