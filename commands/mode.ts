/** `clutch mode ...`: whole routing set-ups by name, saved from the config and put in force again; some are Clutch's own. */

import { chmodSync, copyFileSync } from "node:fs";
import { buildProviders } from "../providers/registry.ts";
import { editConfig, findFile } from "../src/config/edit.ts";
import { readConfigFile } from "../src/config/file.ts";
import { loadConfig } from "../src/config/load.ts";
import { maskValue } from "../src/config/mask.ts";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { type Config, parseConfig } from "../src/config/schema.ts";
import { ClutchError } from "../src/errors.ts";
import { renderColumns } from "../src/explain/table.ts";
import { ruleProblems } from "../src/gateway/rules-check.ts";
import { checkChain } from "../src/lifecycle/chain/change.ts";
import { exemptLoopback } from "../src/loopback-direct.ts";
import { isTemplate, type TemplateName, templateNames } from "../src/modes/names.ts";
import { describeSetup, planSetup, readSetup } from "../src/modes/setup.ts";
import {
  checkModeName,
  deleteMode,
  modesFolder,
  previousMode,
  readMode,
  savedModes,
  writeMode,
} from "../src/modes/store.ts";
import { buildTemplate, templates } from "../src/modes/templates.ts";
import type { JsonObject } from "../src/protocols/chat.ts";
import { knownModels } from "./known-models.ts";
import { paint } from "./paint.ts";
import { renderDiff } from "./render-diff.ts";

export interface ModeFlags {
  json?: boolean;
  dryRun?: boolean;
  force?: boolean;
}

/** @returns the exit status */
export async function listModes(flags: ModeFlags, env: Env): Promise<number> {
  const homes = resolveHomes(env);
  const folder = modesFolder(homes.configFile);
  const now = await currentSetup(homes);
  const saved = savedModes(folder).map((name) => {
    const setup = setupOr(() => readMode(folder, name));
    const about = setup === undefined ? "cannot be read: clutch mode show tells why" : describeSetup(setup);
    return { name, kind: "saved" as const, about, active: setup !== undefined && Bun.deepEquals(setup, now) };
  });
  const built = templateNames.map((name) => ({
    name,
    kind: "template" as const,
    about: templates[name].about,
    active: false,
  }));
  const modes = [...built, ...saved];
  if (flags.json) {
    console.log(JSON.stringify({ folder, modes }));
    return 0;
  }
  const rows = modes.map(({ name, kind, about, active }) => [active ? "*" : "", name, kind, about]);
  for (const line of renderColumns(rows, [paint.good, paint.bold, paint.dim])) console.log(line);
  return 0;
}

/** @returns the exit status */
export async function showMode(name: string, env: Env): Promise<number> {
  console.log(JSON.stringify(maskValue(await findMode(name, resolveHomes(env), env)), null, 2));
  return 0;
}

/** @returns the exit status */
export async function saveMode(name: string, flags: ModeFlags, env: Env): Promise<number> {
  const homes = resolveHomes(env);
  const folder = modesFolder(homes.configFile);
  if (savedModes(folder).includes(checkModeName(name)) && !flags.force) {
    throw new ClutchError("usage", `there is a mode ${name} already`, { hint: "give --force to write over it" });
  }
  const setup = await currentSetup(homes);
  const path = writeMode(folder, name, setup);
  if (flags.json) console.log(JSON.stringify({ mode: name, path }));
  else console.log(`${name} is saved: ${describeSetup(setup)}`);
  return 0;
}

/** @returns the exit status */
export function dropMode(name: string, flags: ModeFlags, env: Env): number {
  const folder = modesFolder(resolveHomes(env).configFile);
  const isGone = deleteMode(folder, checkModeName(name));
  // Says which there are.
  if (!isGone) readMode(folder, name);
  if (flags.json) console.log(JSON.stringify({ mode: name, deleted: isGone }));
  else console.log(`${name} is deleted`);
  return 0;
}

/** @returns the exit status */
export async function loadMode(name: string, flags: ModeFlags, env: Env): Promise<number> {
  const homes = resolveHomes(env);
  const before = await currentSetup(homes);
  const setup = await findMode(name, homes, env);
  const problems: string[] = [];
  const request = { homes, plan: () => planSetup(setup), check: (config: Config) => checkRouting(config, problems) };
  const draft = await editConfig({ ...request, isDryRun: true });
  const isWritten = draft.isChanged && !flags.dryRun;
  let backup: string | undefined;
  if (isWritten) {
    backup = draft.isNew ? undefined : keepCopy(findFile(homes).path);
    writeMode(modesFolder(homes.configFile), previousMode, before);
    await editConfig(request);
  }
  const notes = [...new Set(problems)];
  if (flags.json) {
    const { path, isChanged: changed, diff } = draft;
    console.log(
      JSON.stringify({
        mode: name,
        changed,
        dry_run: flags.dryRun === true,
        path,
        backup: backup ?? null,
        notes,
        diff,
      }),
    );
    return 0;
  }
  if (!draft.isChanged) {
    console.log(`${name} is in force already`);
    return 0;
  }
  console.log(renderDiff(draft.diff));
  for (const note of notes) console.error(`clutch: ${note}`);
  console.log(paint.bold(`${flags.dryRun ? "would be in force" : "in force"}: ${name}: ${describeSetup(setup)}`));
  if (isWritten)
    console.log(
      paint.dim(`clutch mode load ${previousMode} goes back; the file as it was: ${backup ?? "there was none"}`),
    );
  return 0;
}

async function currentSetup(homes: Homes): Promise<JsonObject> {
  const { value, path, legacy } = await readConfigFile(homes);
  parseConfig(value, path ?? homes.configFile, legacy);
  return readSetup(value);
}

async function findMode(name: string, homes: Homes, env: Env): Promise<JsonObject> {
  return isTemplate(name) ? await template(name, homes, env) : readMode(modesFolder(homes.configFile), name);
}

/** Of the models that are known now, and the providers that can be asked now. */
async function template(name: TemplateName, homes: Homes, env: Env): Promise<JsonObject> {
  // Read by Bun at every fetch, so it must stand before the first one.
  Object.assign(process.env, exemptLoopback(process.env));
  const { config } = await loadConfig(homes, env);
  const { value } = await readConfigFile(homes);
  const { known, world } = await knownModels(config, value, homes, env);
  const { reference, defaultProvider } = world;
  const built = buildTemplate(name, { ranked: known.ranked, reference, defaultProvider });
  if (typeof built !== "string") return built;
  throw new ClutchError("failed", `${name} cannot be put together`, { hint: built });
}

function checkRouting(config: Config, problems: string[]): void {
  checkChain(config);
  const providers = buildProviders(config, () => undefined);
  problems.push(...ruleProblems({ config, providers, tierLetters: {}, quotas: new Map() }));
}

function keepCopy(path: string): string {
  const copy = `${path}.bak-mode`;
  copyFileSync(path, copy);
  chmodSync(copy, 0o600);
  return copy;
}

function setupOr(read: () => JsonObject): JsonObject | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
