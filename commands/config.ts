/** `clutch config ...`: shows what is in force and who said so, changes single settings, checks the file. */

import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { catalog } from "../providers/catalog.ts";
import { buildProviders } from "../providers/registry.ts";
import {
  type CheckedConfig,
  type ConfigProblem,
  checkConfigText,
  type Finding,
  findingOf,
} from "../src/config/check.ts";
import {
  type Change,
  type ConfigEdit,
  editConfig,
  findFile,
  type Path,
  type Place,
  readText,
  replaceConfig,
} from "../src/config/edit.ts";
import { readConfigFile } from "../src/config/file.ts";
import { configJsonSchema } from "../src/config/json-schema.ts";
import { loadConfig, type ServerFlags } from "../src/config/load.ts";
import { isSecretText, maskEdit, maskValue } from "../src/config/mask.ts";
import { type EffectiveSetting, effectiveSettings, renderOrigin } from "../src/config/origins.ts";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { type Config, keysWithoutEffect } from "../src/config/schema.ts";
import {
  parseSettingPath,
  readSettingValue,
  renderSettingPath,
  type Setting,
  valueAtPath,
} from "../src/config/setting-path.ts";
import { renderUnifiedDiff } from "../src/config/unified-diff.ts";
import { ClutchError } from "../src/errors.ts";
import { renderColumns } from "../src/explain/table.ts";
import { ruleProblems } from "../src/gateway/rules-check.ts";
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
  for (const line of renderColumns(rows, [dim, (text) => paint.dim(text), dim])) console.log(line);
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

/** @returns 0 when the file holds, 1 when not */
export function checkConfig(file: string | undefined, flags: { json?: boolean }, env: Env): number {
  const place: Place = file === undefined ? findFile(resolveHomes(env)) : { path: file, isLegacy: false };
  const text = readText(place.path);
  if (text === undefined && file !== undefined) {
    throw new ClutchError("config-unreadable", `${file} is not there`, { hint: "correct the path" });
  }
  const { problems, config } = check(text ?? "", place);
  if (text !== undefined && config !== undefined) problems.push(...openToOthers(text, place.path));
  const isValid = problems.every(({ kind }) => kind === "warning");
  if (flags.json) {
    const shown = problems.map(({ hint, ...rest }) => ({ ...rest, hint: hint ?? null }));
    console.log(JSON.stringify({ path: place.path, valid: isValid, problems: shown }));
    return isValid ? 0 : 1;
  }
  for (const problem of problems) console.log(renderProblem(problem, place.path));
  if (text === undefined) console.log(`${place.path} is not there: the defaults are in force`);
  else if (isValid) console.log(paint.good(`${place.path} holds`));
  return isValid ? 0 : 1;
}

/** @returns the exit status */
export async function editByHand(env: Env): Promise<number> {
  const homes = resolveHomes(env);
  const place = findFile(homes);
  const before = readText(place.path);
  const start = before ?? "{\n  // clutch config schema tells what may stand here\n}\n";
  const copy = openCopy(homes, start);
  for (;;) {
    await runEditor(copy, env);
    const after = readFileSync(copy, "utf8");
    if (after === start) {
      rmSync(copy);
      console.log(`nothing changed: ${place.path}`);
      return 0;
    }
    const { problems } = check(after, place);
    for (const problem of problems) console.error(renderProblem(problem, copy));
    if (problems.every(({ kind }) => kind === "warning")) {
      if (!(await replaceConfig(place.path, before, after))) {
        throw new ClutchError("failed", `${place.path} was changed by somebody else meanwhile`, {
          hint: `nothing was written; your text is ${copy}`,
        });
      }
      rmSync(copy);
      const shown = maskEdit(start, after, place.path);
      console.log(renderDiff(renderUnifiedDiff(shown.before, shown.after, { before: place.path, after: place.path })));
      console.log(paint.dim("a running gateway takes it over within a second"));
      return 0;
    }
    if (!(await wantsToGoOn())) {
      console.error(`clutch: nothing was written to ${place.path}; your text is kept: ${copy}`);
      return 1;
    }
  }
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
      here[key] ??= typeof path[depth + 1] === "number" ? [] : {};
      here = here[key] as Record<string | number, Json>;
    }
  }
  return holder;
}

function showValue(value: Json): string {
  return typeof value === "string" && value !== "" && value.trim() === value ? value : JSON.stringify(value);
}

/** Whether the variable that holds a key is there. */
function noteOn(value: Json, env: Env): string {
  const name = typeof value === "string" ? /^env:(.+)/.exec(value)?.[1] : undefined;
  return name === undefined || (env[name] ?? "") !== "" ? "" : paint.warn(" (not set)");
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
  if (done.isChanged && !flags.dryRun) console.log(paint.dim("a running gateway takes it over within a second"));
  return 0;
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
  if (!process.stdin.isTTY) return (await Bun.stdin.text()).replace(/\r?\n$/, "");
  const { isCancel, password } = await import("@clack/prompts");
  const typed = await password({ message: `${renderSettingPath(path)} (not shown)` });
  if (isCancel(typed) || typed === "")
    throw new ClutchError("failed", "nothing was typed", { hint: "nothing was changed" });
  return typed;
}

// ---- checking

function check(text: string, { path, isLegacy }: Place): CheckedConfig {
  return checkConfigText(text, isLegacy, (config, raw) => lookBeyond(config, raw, path));
}

/** What a gateway or a chain would say at their start. */
function lookBeyond(config: Config, raw: Json, file: string): Finding[] {
  const findings: Finding[] = keysWithoutEffect(raw).map((key) => ({
    kind: "warning",
    path: key.split("."),
    message: `${key} is not in force in this version`,
  }));
  const { custom } = config.routes;
  if (custom !== "" && !existsSync(join(file, "..", custom))) {
    findings.push({
      kind: "warning",
      path: ["routes", "custom"],
      message: `there is no ${custom} beside the config file`,
    });
  }
  try {
    checkChain(config);
  } catch (error) {
    findings.push({ ...findingOf(error), path: ["chain", "services"] });
  }
  try {
    const providers = buildProviders(config, () => undefined);
    const routing = { config, providers, tierLetters: {}, quotas: new Map() };
    findings.push(
      ...ruleProblems(routing).map((message): Finding => ({ ...locate(message, raw), kind: "warning", message })),
    );
  } catch (error) {
    findings.push(findingOf(error));
  }
  return findings;
}

/** The setting that a sentence begins with, where the file has it. */
function locate(message: string, raw: Json): { path: readonly (string | number)[] } {
  const [word = ""] = message.split(" ");
  try {
    const { path } = parseSettingPath(word);
    return { path: valueAtPath(raw, path) === undefined ? [] : path };
  } catch {
    return { path: [] };
  }
}

function openToOthers(text: string, path: string): ConfigProblem[] {
  const isOpen = (statSync(path).mode & 0o077) !== 0;
  const holdsKey = isOpen && maskEdit("", text.trim() === "" ? "{}" : text, path).after !== text;
  if (!holdsKey) return [];
  const message = "it holds a key, and others can read it";
  return [{ kind: "warning", line: 1, column: 1, setting: "", message, hint: `chmod 600 ${path}` }];
}

function renderProblem({ kind, line, column, message, hint }: ConfigProblem, path: string): string {
  const word = kind === "error" ? paint.bad("error") : paint.warn("warning");
  return `${path}:${line}:${column}: ${word}: ${message}${hint === undefined ? "" : paint.dim(` (${hint})`)}`;
}

// ---- the editor

/** Nobody but the user may read it: it holds what the config holds. */
function openCopy(homes: Homes, text: string): string {
  const folder = join(homes.stateDir, "edit");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const copy = join(folder, `config-${process.pid}.json`);
  rmSync(copy, { force: true });
  writeFileSync(copy, text, { flag: "wx", mode: 0o600 });
  return copy;
}

async function runEditor(file: string, env: Env): Promise<void> {
  const editor = [env["VISUAL"], env["EDITOR"]].find((command) => (command?.trim() ?? "") !== "") ?? "vi";
  // As git does: the variable may hold a command with arguments.
  const child = Bun.spawn(["/bin/sh", "-c", `${editor} "$1"`, "sh", file], {
    stdio: ["inherit", "inherit", "inherit"],
    env: { ...process.env },
  });
  // What Ctrl-C means is the editor's to say.
  const ignore = () => {};
  process.on("SIGINT", ignore);
  const code = await child.exited;
  process.off("SIGINT", ignore);
  if (code === 0) return;
  throw new ClutchError("failed", `${editor} ended with status ${code}`, {
    hint: `nothing was written; the copy is ${file}; set VISUAL or EDITOR to use another editor`,
  });
}

async function wantsToGoOn(): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return false;
  const { confirm } = await import("@clack/prompts");
  return (await confirm({ message: "Go on editing?", initialValue: true })) === true;
}
