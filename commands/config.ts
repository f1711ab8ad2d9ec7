/** `clutch config ...`: shows what is in force and who said so, and changes single settings; check and edit have files of their own. */

import { statSync } from "node:fs";
import { catalog } from "../providers/catalog.ts";
import { buildProviders } from "../providers/registry.ts";
import { type Change, type ConfigEdit, editConfig, findFile, type Path } from "../src/config/edit.ts";
import { readConfigFile } from "../src/config/file.ts";
import { configJsonSchema } from "../src/config/json-schema.ts";
import { loadConfig, type ServerFlags } from "../src/config/load.ts";
import { isSecretText, maskValue } from "../src/config/mask.ts";
import { type EffectiveSetting, effectiveSettings, renderOrigin } from "../src/config/origins.ts";
import { type Env, resolveHomes } from "../src/config/paths.ts";
import {
  parseSettingPath,
  readSettingValue,
  renderSettingPath,
  type Setting,
  valueAtPath,
} from "../src/config/setting-path.ts";
import { ClutchError } from "../src/errors.ts";
import { renderColumns } from "../src/explain/table.ts";
import { checkChain } from "../src/lifecycle/chain/change.ts";
import type { Json, JsonObject } from "../src/protocols/chat.ts";
import { paint } from "./paint.ts";
import { renderDiff } from "./render-diff.ts";

export interface ShowFlags extends ServerFlags {
  json?: boolean;
  changed?: boolean;
}

/** @returns the exit status */
export async function showConfig(flags: ShowFlags, env: Env): Promise<number> {
  const { path, isLegacy, raw, notices, settings } = await readEffective(flags, env);
  const shown = flags.changed ? settings.filter(({ origin }) => origin.from !== "default") : settings;
  if (flags.json) {
    const origins = shown.map(({ path: at, origin }) => [renderSettingPath(at), renderOrigin(origin)]);
    const config = shown.reduce<JsonObject>((whole, { path: at, value }) => put(whole, at, maskValue(value, at)), {});
    console.log(JSON.stringify({ path: path ?? null, legacy: isLegacy, config, origins: Object.fromEntries(origins) }));
    return 0;
  }
  const rows = shown.map(({ path: at, value, origin }) => [
    renderSettingPath(at),
    renderOrigin(origin),
    showValue(maskValue(value, at)) + noteOn(value, env),
  ]);
  const isDefault = (row: number) => shown[row]?.origin.from === "default";
  const dim = (text: string, row: number) => (isDefault(row) ? paint.dim(text) : text);
  const warn = (text: string, row: number) =>
    text.endsWith(notSet) ? text.slice(0, -notSet.length) + paint.warn(notSet) : dim(text, row);
  for (const line of renderColumns(rows, [dim, (text) => paint.dim(text), warn])) console.log(line);
  const file = path ?? `${resolveHomes(env).configFile} (not there)`;
  console.log(paint.dim(`\nfile: ${file}${isLegacy ? ", the predecessor's: clutch init carries it over" : ""}`));
  for (const notice of notices) console.error(`clutch: ${notice}`);
  if (raw === undefined) console.log(paint.dim("clutch init makes one"));
  return 0;
}

/** @returns 0, or 1 when nothing is set there */
export async function getSetting(text: string, flags: { json?: boolean }, env: Env): Promise<number> {
  const { path } = parseSettingPath(text);
  const { settings } = await readEffective({}, env);
  const isNear = (at: Path) => path.slice(0, at.length).every((key, depth) => at[depth] === key);
  // A list is one setting, whose members can be asked for too.
  const near = settings.filter(({ path: at }) => isNear(at));
  const whole = near.reduce<JsonObject>((made, { path: at, value }) => put(made, at, maskValue(value, at)), {});
  const value = valueAtPath(whole, path);
  const below = value === undefined ? [] : near;
  const origins = [...new Set(below.map(({ origin }) => renderOrigin(origin)))];
  if (flags.json) {
    console.log(
      JSON.stringify({ setting: renderSettingPath(path), value: value ?? null, origin: origins.join(", ") || null }),
    );
  } else if (value !== undefined) {
    console.log(typeof value === "string" ? value : JSON.stringify(value, null, 2));
  } else {
    console.error(`clutch: ${renderSettingPath(path)} is not set, and has no default`);
  }
  return value === undefined ? 1 : 0;
}

export interface EditFlags {
  dryRun?: boolean;
  json?: boolean;
}

/** @returns the exit status */
export async function setSetting(text: string, words: readonly string[], flags: EditFlags, env: Env): Promise<number> {
  const setting = parseSettingPath(text);
  const isFromInput = words.length === 1 && words[0] === "-";
  const value = readSettingValue(setting, isFromInput ? [await readInput(setting)] : words);
  const notes: string[] = [];
  if (!isFromInput && isSecretText(value, setting.path)) {
    const at = renderSettingPath(setting.path);
    notes.push(`the key may be in your shell's history now; clutch config set ${at} - asks for it`);
  }
  const { path } = setting;
  return applyEdit(
    [{ kind: "set", path, value }],
    `${renderSettingPath(path)} is ${showValue(maskValue(value, path))}`,
    notes,
    flags,
    env,
  );
}

/** @returns the exit status */
export async function unsetSetting(text: string, flags: EditFlags, env: Env): Promise<number> {
  const { path } = parseSettingPath(text);
  if (path.length === 0) throw new ClutchError("usage", "what is to be unset", { hint: "name a setting" });
  return applyEdit([{ kind: "remove", path }], `${renderSettingPath(path)} is not in the file`, [], flags, env);
}

/** @returns the exit status */
export function showPath(env: Env): number {
  console.log(findFile(resolveHomes(env)).path);
  return 0;
}

/** @returns the exit status */
export function showSchema(): number {
  console.log(JSON.stringify(configJsonSchema(), null, 2));
  return 0;
}

// ---- what is in force

async function readEffective(flags: ServerFlags, env: Env) {
  const homes = resolveHomes(env);
  const { config, path, notices } = await loadConfig(homes, env, flags);
  const { value: raw, legacy } = await readConfigFile(homes);
  const settings: EffectiveSetting[] = effectiveSettings({ config, raw, env, flags, providers: Object.keys(catalog) });
  return { path, isLegacy: legacy, raw: path === undefined ? undefined : raw, notices, settings };
}

/** The same object with a value in it. */
function put(holder: JsonObject, path: readonly (string | number)[], value: Json): JsonObject {
  let here = holder as Record<string | number, Json>;
  for (const [depth, key] of path.entries()) {
    if (depth === path.length - 1) here[key] = value;
    else {
      // A model or a provider may be named like something that every object has.
      if (!Object.hasOwn(here, key)) here[key] = typeof path[depth + 1] === "number" ? [] : {};
      here = here[key] as Record<string | number, Json>;
    }
  }
  return holder;
}

function showValue(value: Json): string {
  return typeof value === "string" && value !== "" && value.trim() === value ? value : JSON.stringify(value);
}

const notSet = " (not set)";

/** Whether the variable that holds a key is there. */
function noteOn(value: Json, env: Env): string {
  const name = typeof value === "string" ? /^env:(.+)/.exec(value)?.[1] : undefined;
  return name === undefined || (env[name] ?? "") !== "" ? "" : notSet;
}

// ---- changing

async function applyEdit(
  changes: readonly Change[],
  summary: string,
  notes: readonly string[],
  flags: EditFlags,
  env: Env,
): Promise<number> {
  const done = await editConfig({
    homes: resolveHomes(env),
    plan: () => changes,
    check: (config) => {
      checkChain(config);
      buildProviders(config, () => undefined);
    },
    isDryRun: flags.dryRun === true,
  });
  const told = done.isChanged ? [...notes, ...standingNotes(done, changes)] : [];
  if (flags.json) {
    const { path, isChanged, isNew, diff } = done;
    const outcome = {
      changed: isChanged,
      dry_run: flags.dryRun === true,
      created: isChanged && isNew,
      path,
      summary,
      notes: told,
      diff,
    };
    console.log(JSON.stringify(outcome));
    return 0;
  }
  if (done.isChanged) console.log(renderDiff(done.diff));
  console.log(done.isChanged ? paint.bold(flags.dryRun ? `would be so: ${summary}` : summary) : `${summary} already`);
  for (const note of told) console.error(`clutch: ${note}`);
  if (done.isChanged && !flags.dryRun) console.log(paint.dim(whenInForce(changes.map(({ path }) => path))));
  return 0;
}

/** What is read at a start alone says so. */
function whenInForce(paths: readonly Path[]): string {
  const parts = new Set(paths.map(([part]) => part));
  if (parts.size === 1 && parts.has("server")) return "in force when the gateway starts next: clutch restart gateway";
  if (parts.size === 1 && (parts.has("chain") || parts.has("headroom"))) return "in force from the next clutch up";
  if (parts.size === 1 && (parts.has("launcher") || parts.has("proxy"))) return "in force from the next xx";
  return "a running gateway takes it over within a second";
}

function standingNotes({ path, isLegacy, isNew }: ConfigEdit, changes: readonly Change[]): string[] {
  const holdsKey = changes.some((change) => change.kind === "set" && isSecretText(change.value, change.path));
  const isOpen = holdsKey && !isNew && (statSync(path).mode & 0o077) !== 0;
  const open = isOpen ? [`${path} holds a key, and others can read it: chmod 600 ${path}`] : [];
  return isLegacy
    ? [...open, `${path} is the predecessor's file, which is in force here: clutch init carries it over`]
    : open;
}

/** From a pipe, or typed without being shown. */
async function readInput({ path }: Setting): Promise<string> {
  if (!process.stdin.isTTY) {
    const text = (await Bun.stdin.text()).replace(/\r?\n$/, "");
    if (text !== "") return text;
    throw new ClutchError("usage", "nothing came from standard input", {
      hint: "such as: pass show key | clutch config set ... -",
    });
  }
  const { isCancel, password } = await import("@clack/prompts");
  const typed = await password({ message: `${renderSettingPath(path)} (not shown)` });
  if (isCancel(typed) || typed === "")
    throw new ClutchError("failed", "nothing was typed", { hint: "nothing was changed" });
  return typed;
}
