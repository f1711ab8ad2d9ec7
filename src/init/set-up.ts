/**
 * What a set-up asks, finds and decides, up to the config that it would write; nothing is written here. What is handed in
 * decides whether anybody is asked.
 */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { catalog, findRow } from "../../providers/catalog.ts";
import { localServers } from "../../providers/local-probe.ts";
import { buildProviders, keyReader, type Providers } from "../../providers/registry.ts";
import type { Fetch } from "../../providers/upstream.ts";
import { readText } from "../config/edit.ts";
import { parseJsonc } from "../config/jsonc.ts";
import type { Env, Homes } from "../config/paths.ts";
import { type Config, parseConfig } from "../config/schema.ts";
import { ClutchError } from "../errors.ts";
import { Draft } from "../migrate/draft.ts";
import type { TemplateName } from "../modes/names.ts";
import { templateNames } from "../modes/names.ts";
import { describeSetup } from "../modes/setup.ts";
import { buildTemplate, type TemplateWorld, templates } from "../modes/templates.ts";
import type { JsonObject } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";
import { type Asker, Cancelled, type Choice } from "./ask.ts";
import { inSchemaOrder, overlay } from "./compose.ts";
import { importPredecessors } from "./import.ts";
import { type KeyVerdict, testKey } from "./key-check.ts";
import { describeLeft, describeSurvey, describeTest, describeVerdict } from "./report.ts";
import { findPredecessors, type Predecessors, type Survey, takeSurvey } from "./survey.ts";

export interface SetUpFlags {
  replace?: boolean;
  /** False by `--no-import`. */
  import?: boolean;
  /** False by `--no-test`. */
  test?: boolean;
  fromEnv?: string;
  fromXx?: string;
  fromChain?: string;
  /** A template. */
  mode?: string;
}

export interface SetUpDeps {
  env: Env;
  homes: Homes;
  asker: Asker;
  agents: readonly { name: string; binary: string }[];
  find(program: string): string | undefined;
  fetch: Fetch;
  /** For this machine alone: it keeps away from the user's proxy. */
  fetchDirectly: Fetch;
  /** What is known of the models that such a config can ask. */
  modelsOf(config: Config, raw: JsonObject): Promise<TemplateWorld>;
}

/** What is in the way of a setting, or was found of it. */
export interface KeyTest extends KeyVerdict {
  provider: string;
  /** Where the key is: a variable, or the file that it came from. */
  source: string;
  /** False for a key that was refused: it is left out. */
  saved: boolean;
}

export interface SetUp {
  /** The file as it is, empty where there is none or where it is broken and to be replaced. */
  existing: JsonObject;
  isThere: boolean;
  /** The file is not added to. */
  replaces: boolean;
  /** In the order of the schema. */
  wanted: JsonObject;
  draft: Draft;
  files: Predecessors;
  survey: Survey;
  tests: KeyTest[];
  template: TemplateName | null;
  notes: readonly string[];
}

/** @throws {Cancelled} and, for files that cannot be read and templates that cannot be put together, {ClutchError} */
export async function prepareSetUp(flags: SetUpFlags, deps: SetUpDeps): Promise<SetUp> {
  const { env, homes, asker } = deps;
  const { existing, isThere } = readExisting(homes, flags);
  asker.intro("Clutch");
  const survey = await asker.during("looking around", () => look(existing, deps));
  asker.note("On this machine", describeSurvey(survey));
  const replaces = isThere && (flags.replace === true || (await wantsReplacement(homes.configFile, asker)));
  const files = await choosePredecessors(flags, env, isThere, asker);
  const draft = Object.values(files).some((file) => file !== undefined) ? importPredecessors(files, env) : new Draft();
  showImport(draft, files, asker);
  const notes = outOfForce(homes, files, isThere);
  for (const note of notes) asker.say("warn", note);
  const base = isThere && !replaces ? existing : {};
  let wanted = overlay(draft.config, foundKeys(survey, overlay(base, draft.config)));
  const tests =
    flags.test === false
      ? []
      : await asker.during("asking the providers about the keys", () => testKeys(base, wanted, deps));
  for (const test of tests) {
    asker.say(test.kind === "works" ? "good" : "warn", describeTest(test));
    if (!test.saved) dropKey(wanted, test.provider);
  }
  wanted = overlay(wanted, await askKeys(overlay(base, wanted), flags, deps));
  // A config that names providers asks whom it asks.
  const isSettled = base["providers"] !== undefined;
  wanted = isSettled ? wanted : overlay(wanted, chooseDefaultProvider(overlay(base, wanted), survey));
  const mode = await chooseTemplate(base, wanted, flags, deps);
  wanted = inSchemaOrder(overlay(wanted, mode.setup));
  return { existing, isThere, replaces, wanted, draft, files, survey, tests, template: mode.name, notes };
}

// ---- looking

function readExisting({ configFile }: Homes, flags: SetUpFlags): { existing: JsonObject; isThere: boolean } {
  const text = readText(configFile);
  if (text === undefined) return { existing: {}, isThere: false };
  if (text.replace(/^\uFEFF/, "").trim() === "") return { existing: {}, isThere: true };
  try {
    const value = parseJsonc(text.replace(/^\uFEFF/, ""), configFile);
    parseConfig(value, configFile);
    return { existing: isObject(value) ? value : {}, isThere: true };
  } catch (error) {
    if (flags.replace || !(error instanceof ClutchError)) return { existing: {}, isThere: true };
    throw new ClutchError("config-invalid", error.message, {
      hint: "mend it with clutch config edit, or have it replaced with --replace (a copy is kept)",
      cause: error,
    });
  }
}

/** A file with these settings, as far as they hold. */
function configOf(value: JsonObject): Config {
  return parseConfig(value, "the new config");
}

function providersOf(value: JsonObject, env: Env): Providers {
  return buildProviders(
    configOf(value),
    keyReader(env, () => undefined),
  );
}

function look(existing: JsonObject, { env, agents, find, fetchDirectly }: SetUpDeps): Promise<Survey> {
  const local = localServers(providersOf({ ...existing, default_provider: undefined }, {}).values());
  return takeSurvey({ env, local, agents, find, fetch: fetchDirectly });
}

// ---- choosing

async function wantsReplacement(path: string, asker: Asker): Promise<boolean> {
  const choice = await asker.select(
    `There is a config already: ${path}`,
    [
      { value: "add", label: "Add what is missing", hint: "what is there stays" },
      { value: "replace", label: "Replace it", hint: "a copy is kept" },
      { value: "leave", label: "Leave it alone" },
    ],
    "add",
  );
  if (choice === "leave") throw new Cancelled();
  return choice === "replace";
}

/** Those that were named, else those that are found; a config that is there already is not mixed with them unasked. */
async function choosePredecessors(flags: SetUpFlags, env: Env, isThere: boolean, asker: Asker): Promise<Predecessors> {
  const named: Predecessors = { env: flags.fromEnv, xx: flags.fromXx, chain: flags.fromChain };
  if (Object.values(named).some((file) => file !== undefined)) {
    const full = (file: string | undefined) => (file === undefined ? undefined : resolve(file));
    return { env: full(named.env), xx: full(named.xx), chain: full(named.chain) };
  }
  const none: Predecessors = { env: undefined, xx: undefined, chain: undefined };
  const found = flags.import === false ? none : findPredecessors(env);
  const choices = Object.entries(found).flatMap(([kind, file]): Choice<keyof Predecessors>[] =>
    file === undefined ? [] : [{ value: kind as keyof Predecessors, label: file }],
  );
  if (choices.length === 0) return none;
  const usual = isThere ? [] : choices.map(({ value }) => value);
  const chosen = await asker.several("A predecessor's set-up is here. What shall be carried over?", choices, usual);
  return Object.fromEntries(
    Object.entries(found).map(([kind, file]) => [kind, chosen.includes(kind as keyof Predecessors) ? file : undefined]),
  ) as unknown as Predecessors;
}

function showImport(draft: Draft, files: Predecessors, asker: Asker): void {
  if (Object.values(files).every((file) => file === undefined)) return;
  asker.say("good", `${draft.carried.length} settings are carried over`);
  if (draft.left.length === 0) return;
  asker.note(
    "Not carried over",
    draft.left.map((row) => `${row.source} ${describeLeft(row)}`),
  );
}

/** A file of ours puts the predecessor's out of force, also where nothing of it was carried over. */
function outOfForce({ legacyConfigFile: old, configFile }: Homes, files: Predecessors, isThere: boolean): string[] {
  if (isThere || old === undefined || files.xx !== undefined || !existsSync(old)) return [];
  return [`${old} is in force so far, and is not read once ${configFile} is there`];
}

/** Named in the file, so that it says whom it asks; the key itself stays in the environment. */
function foundKeys({ keys }: Survey, config: JsonObject): JsonObject {
  const rows = isObject(config["providers"]) ? config["providers"] : {};
  const missing = keys.filter(({ provider }) => {
    const row = rows[provider];
    return !isObject(row) || (row["api_key"] === undefined && row["api_keys"] === undefined);
  });
  if (missing.length === 0) return {};
  return {
    providers: Object.fromEntries(missing.map(({ provider, variable }) => [provider, { api_key: `env:${variable}` }])),
  };
}

/** Keys that somebody types, each tested at once. */
async function askKeys(config: JsonObject, flags: SetUpFlags, { env, asker, fetch }: SetUpDeps): Promise<JsonObject> {
  if (asker.isSilent) return {};
  const typed: Record<string, JsonObject> = {};
  const needing = Object.keys(catalog).filter(
    (id) =>
      findRow(id)?.keyEnv !== undefined && !Object.values(findRow(id)?.bases ?? {}).some((base) => base.includes("<")),
  );
  for (;;) {
    const known = providersOf(overlay(config, { providers: typed }), env);
    const hasAny = [...known.values()].some(({ key, local }) => key !== undefined && local === undefined);
    const choices: Choice<string>[] = [
      { value: "", label: hasAny ? "No more" : "None for now" },
      ...needing
        .filter((id) => known.get(id)?.key === undefined)
        .map((id) => ({ value: id, label: findRow(id)?.name ?? id })),
    ];
    const id = await asker.select(
      hasAny ? "Is there another key to add?" : "Whose key do you have?",
      choices,
      hasAny ? "" : "openrouter",
    );
    if (id === "") break;
    const key = (await asker.secret(`The key for ${findRow(id)?.name ?? id} (not shown)`)).trim();
    if (key === "") continue;
    const provider = providersOf(overlay(config, { providers: { ...typed, [id]: { api_key: key } } }), env).get(id);
    const verdict =
      flags.test === false || provider === undefined
        ? undefined
        : await asker.during("asking the provider", () => testKey(provider, key, fetch));
    if (verdict !== undefined) asker.say(verdict.kind === "works" ? "good" : "warn", describeVerdict(id, verdict));
    if (verdict?.kind === "refused" && !(await asker.confirm("Keep it all the same?", false))) continue;
    typed[id] = { api_key: key };
  }
  return Object.keys(typed).length === 0 ? {} : { providers: typed };
}

/** Where nothing says whom to ask: the first with a key, OpenRouter before all, else a server on this machine. */
function chooseDefaultProvider(config: JsonObject, survey: Survey): JsonObject {
  if (config["default_provider"] !== undefined || config["model_tiers"] !== undefined) return {};
  const rows = Object.keys(isObject(config["providers"]) ? config["providers"] : {});
  const id = rows.includes("openrouter")
    ? "openrouter"
    : (rows[0] ?? survey.servers.find(({ models }) => models.length > 0)?.id);
  return id === undefined || id === "openrouter" ? {} : { default_provider: id };
}

async function chooseTemplate(
  base: JsonObject,
  wanted: JsonObject,
  flags: SetUpFlags,
  { asker, modelsOf }: SetUpDeps,
): Promise<{ name: TemplateName | null; setup: JsonObject }> {
  const config = overlay(base, wanted);
  const hasTiers = config["model_tiers"] !== undefined || base["providers"] !== undefined;
  if (hasTiers && flags.mode === undefined) return { name: null, setup: {} };
  const world = await modelsOf(configOf(config), config);
  const built = templateNames.map((name) => ({ name, setup: buildTemplate(name, world) }));
  const usable = built.flatMap(({ name, setup }) => (typeof setup === "string" ? [] : [{ name, setup }]));
  if (flags.mode !== undefined) {
    const chosen = built.find(({ name }) => name === flags.mode);
    if (chosen === undefined || typeof chosen.setup === "string") {
      throw new ClutchError("failed", `--mode ${flags.mode}: ${String(chosen?.setup)}`, {
        hint: "nothing was written",
      });
    }
    return { name: chosen.name, setup: chosen.setup };
  }
  const isOpenRouter = world.defaultProvider === "openrouter";
  const isOnlyLocal = findRow(world.defaultProvider)?.local !== undefined;
  const usual: TemplateName | "" = isOpenRouter ? "" : isOnlyLocal ? "local" : "premium";
  const choices: Choice<TemplateName | "">[] = [
    ...(isOpenRouter || usable.length === 0
      ? [{ value: "" as const, label: "usual", hint: "the built-in free models of OpenRouter" }]
      : []),
    ...usable.map(({ name, setup }) => ({
      value: name,
      label: name,
      hint: `${templates[name].about}: ${describeSetup(setup)}`,
    })),
  ];
  const first = choices.some(({ value }) => value === usual) ? usual : (choices[0]?.value ?? "");
  const name = await asker.select("Which models shall answer?", choices, first);
  return usable.find((mode) => mode.name === name) ?? { name: null, setup: {} };
}

// ---- testing

async function testKeys(base: JsonObject, wanted: JsonObject, { env, fetch }: SetUpDeps): Promise<KeyTest[]> {
  const added = Object.entries(isObject(wanted["providers"]) ? wanted["providers"] : {});
  const providers = providersOf(overlay(base, wanted), env);
  return await Promise.all(
    added.flatMap(([id, row]) => {
      const provider = providers.get(id);
      const spec = isObject(row) && typeof row["api_key"] === "string" ? row["api_key"] : "";
      const key = provider?.key;
      if (provider === undefined || key === undefined || spec === "" || spec.startsWith("cmd:")) return [];
      return [testSaved(id, spec, () => testKey(provider, key, fetch))];
    }),
  );
}

async function testSaved(provider: string, spec: string, check: () => Promise<KeyVerdict>): Promise<KeyTest> {
  const verdict = await check();
  const isNamed = spec.startsWith("env:");
  // A variable may hold a better key tomorrow; a key that is refused is worth nothing in a file.
  return {
    ...verdict,
    provider,
    source: isNamed ? spec.slice(4) : "the file",
    saved: isNamed || verdict.kind !== "refused",
  };
}

function dropKey(config: JsonObject, id: string): void {
  const rows = config["providers"];
  const row = isObject(rows) ? rows[id] : undefined;
  if (isObject(row)) delete row["api_key"];
}
