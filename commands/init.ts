/** `clutch init`: the first config, of what is on this machine and what the predecessors left. Nothing is written before the end. */

import { chmodSync, copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type AgentRow, agents } from "../launcher/agents.ts";
import { catalog, findRow } from "../providers/catalog.ts";
import { localServers } from "../providers/local-probe.ts";
import { buildProviders, keyReader, type Providers } from "../providers/registry.ts";
import { type ConfigEdit, editConfig, readText } from "../src/config/edit.ts";
import { configJsonSchema } from "../src/config/json-schema.ts";
import { parseJsonc } from "../src/config/jsonc.ts";
import type { Change } from "../src/config/jsonc-edit.ts";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { type Config, parseConfig } from "../src/config/schema.ts";
import { ClutchError } from "../src/errors.ts";
import { findBinary } from "../src/find-binary.ts";
import { type Asker, Cancelled, type Choice, silentAsker, terminalAsker } from "../src/init/ask.ts";
import { additions, inSchemaOrder, overlay, replaceAll } from "../src/init/compose.ts";
import { importPredecessors } from "../src/init/import.ts";
import { type KeyVerdict, testKey } from "../src/init/key-check.ts";
import { findPredecessors, type Predecessors, type Survey, takeSurvey } from "../src/init/survey.ts";
import { checkChain } from "../src/lifecycle/chain/change.ts";
import { exemptLoopback, fetchDirectly } from "../src/loopback-direct.ts";
import { Draft } from "../src/migrate/draft.ts";
import { isTemplate, type TemplateName, templateNames } from "../src/modes/names.ts";
import { describeSetup } from "../src/modes/setup.ts";
import { buildTemplate, templates } from "../src/modes/templates.ts";
import type { JsonObject } from "../src/protocols/chat.ts";
import { isObject } from "../src/protocols/json.ts";
import { knownModels } from "./known-models.ts";
import { paint } from "./paint.ts";
import { renderDiff } from "./render-diff.ts";

export interface InitFlags {
  yes?: boolean;
  json?: boolean;
  dryRun?: boolean;
  replace?: boolean;
  /** False by `--no-import`. */
  import?: boolean;
  /** False by `--no-test`. */
  test?: boolean;
  fromEnv?: string;
  fromXx?: string;
  fromChain?: string;
  mode?: string;
}

/** As a shell reports a program that Ctrl-C has ended. */
const cancelledStatus = 130;

/** @returns the exit status */
export async function init(flags: InitFlags, env: Env): Promise<number> {
  // Read by Bun at every fetch, so it must stand before the first one.
  Object.assign(process.env, exemptLoopback(process.env));
  const isAsked = !flags.yes && !flags.json && !flags.dryRun && process.stdin.isTTY && process.stdout.isTTY;
  if (!isAsked && !flags.yes && !flags.dryRun) {
    throw new ClutchError("usage", "clutch init asks questions, and there is nobody to answer", {
      hint: "call it at a terminal, or with --yes for the usual answers (--dry-run shows them)",
    });
  }
  if (flags.mode !== undefined && !isTemplate(flags.mode)) {
    throw new ClutchError("usage", `there is no template "${flags.mode}"`, {
      hint: `use one of ${templateNames.join(", ")}`,
    });
  }
  const asker = isAsked ? await terminalAsker() : silentAsker;
  try {
    return await setUp(flags, env, asker);
  } catch (error) {
    if (!(error instanceof Cancelled)) throw error;
    asker.outro("nothing was written");
    return cancelledStatus;
  }
}

/** What is in the way of a setting, or was found of it. */
interface KeyTest extends KeyVerdict {
  provider: string;
  /** Where the key is: a variable, or the file that it came from. */
  source: string;
  /** False for a key that was refused: it is left out. */
  saved: boolean;
}

async function setUp(flags: InitFlags, env: Env, asker: Asker): Promise<number> {
  const homes = resolveHomes(env);
  const { existing, isThere } = readExisting(homes, flags);
  asker.intro("Clutch");
  const survey = await asker.during("looking around", () => look(existing, env));
  asker.note("On this machine", describeSurvey(survey));
  const replaces = isThere && (flags.replace === true || (await wantsReplacement(homes.configFile, asker)));
  const files = await choosePredecessors(flags, env, isThere, asker);
  const draft = Object.values(files).some((file) => file !== undefined) ? importPredecessors(files, env) : new Draft();
  showImport(draft, files, asker);
  const base = isThere && !replaces ? existing : {};
  const imported = draft.config;
  let wanted = overlay(imported, foundKeys(survey, overlay(base, imported)));
  wanted = overlay(wanted, await askKeys(overlay(base, wanted), flags, env, asker));
  // A config that names providers asks whom it asks.
  const isSettled = base["providers"] !== undefined;
  wanted = isSettled ? wanted : overlay(wanted, chooseDefaultProvider(overlay(base, wanted), survey));
  const tests =
    flags.test === false
      ? []
      : await asker.during("asking the providers about the keys", () => testKeys(base, wanted, env));
  for (const test of tests) {
    asker.say(test.kind === "works" ? "good" : "warn", describeTest(test));
    if (!test.saved) dropKey(wanted, test.provider);
  }
  const mode = await chooseTemplate(base, wanted, survey, flags, homes, env, asker);
  wanted = inSchemaOrder(overlay(wanted, mode.setup));
  return await finish(
    { homes, existing, isThere, replaces, wanted, draft, files, survey, tests, template: mode.name },
    flags,
    asker,
  );
}

// ---- looking

function readExisting({ configFile }: Homes, flags: InitFlags): { existing: JsonObject; isThere: boolean } {
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

function look(existing: JsonObject, env: Env): Promise<Survey> {
  const local = localServers(providersOf({ ...existing, default_provider: undefined }, {}).values());
  const rows = Object.values<AgentRow>(agents);
  return takeSurvey({ env, local, agents: rows, find: (program) => findBinary(program, env), fetch: fetchDirectly });
}

function describeSurvey(survey: Survey): string[] {
  const { keys, servers, headroom, rtk, tmux } = survey;
  const list = (items: readonly string[], none: string) => (items.length === 0 ? none : items.join(", "));
  const state = (path: string | undefined, without: string) => (path === undefined ? without : "installed");
  return [
    `keys      ${list(
      keys.map(({ name, variable }) => `${name} (${variable})`),
      "none in the environment",
    )}`,
    `agents    ${list(
      survey.agents.map(({ name }) => name),
      "none on PATH",
    )}`,
    `servers   ${list(
      servers.map(({ id, models }) => `${findRow(id)?.name ?? id} (${models.length} models)`),
      "none answers",
    )}`,
    `Headroom  ${state(headroom, "not installed: conversations are not compressed")}`,
    `RTK       ${state(rtk, "not installed")}`,
    `tmux      ${state(tmux, "not installed: agents end with their terminal")}`,
  ];
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
async function choosePredecessors(flags: InitFlags, env: Env, isThere: boolean, asker: Asker): Promise<Predecessors> {
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
    draft.left.map(({ source, from, reason }) => `${source} ${from}: ${reason}`),
  );
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
async function askKeys(config: JsonObject, flags: InitFlags, env: Env, asker: Asker): Promise<JsonObject> {
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
  survey: Survey,
  flags: InitFlags,
  homes: Homes,
  env: Env,
  asker: Asker,
): Promise<{ name: TemplateName | null; setup: JsonObject }> {
  const none = { name: null, setup: {} };
  const config = overlay(base, wanted);
  const hasTiers = config["model_tiers"] !== undefined || base["providers"] !== undefined;
  if (hasTiers && flags.mode === undefined) return none;
  const { known, world } = await knownModels(configOf(config), config, homes, env);
  const built = templateNames.map((name) => ({
    name,
    setup: buildTemplate(name, {
      ranked: known.ranked,
      reference: world.reference,
      defaultProvider: world.defaultProvider,
    }),
  }));
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
  const chosen = usable.find((mode) => mode.name === name);
  if (chosen === undefined && !isOpenRouter && survey.keys.length > 0) return none;
  return chosen ?? none;
}

// ---- testing

async function testKeys(base: JsonObject, wanted: JsonObject, env: Env): Promise<KeyTest[]> {
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

function describeVerdict(id: string, { kind, detail }: KeyVerdict): string {
  const said = { works: "the key works", refused: "the key was refused", unknown: "the key could not be tested" }[kind];
  return `${findRow(id)?.name ?? id}: ${said} (${detail})`;
}

function describeTest(test: KeyTest): string {
  return describeVerdict(test.provider, test) + (test.saved ? "" : ", and is left out");
}

// ---- writing

interface Outcome {
  homes: Homes;
  existing: JsonObject;
  isThere: boolean;
  replaces: boolean;
  wanted: JsonObject;
  draft: Draft;
  files: Predecessors;
  survey: Survey;
  tests: KeyTest[];
  template: TemplateName | null;
}

const schemaName = "config.schema.json";

async function finish(outcome: Outcome, flags: InitFlags, asker: Asker): Promise<number> {
  const { homes, existing, isThere, replaces, wanted } = outcome;
  const full = isThere && !replaces ? wanted : { $schema: `./${schemaName}`, ...wanted };
  const planned = isThere && !replaces ? additions(existing, full) : { changes: replaceAll(existing, full), kept: [] };
  const draft = await edit(homes, planned.changes, true, replaces);
  if (!asker.isSilent && draft.isChanged) {
    asker.note(isThere ? "The change" : "The config", [renderDiff(draft.diff)]);
    if (planned.kept.length > 0) asker.say("warn", `kept as they are: ${planned.kept.join(", ")}`);
    if (!(await asker.confirm(`Write ${homes.configFile}?`, true))) throw new Cancelled();
  }
  const isWritten = draft.isChanged && !flags.dryRun;
  const backup = isWritten && isThere ? keepCopy(homes.configFile) : undefined;
  if (isWritten) {
    await edit(homes, planned.changes, false, replaces);
    writeSchema(join(dirname(homes.configFile), schemaName));
  }
  const told = { ...outcome, kept: planned.kept, diff: draft.diff, isWritten, backup };
  if (flags.json) console.log(JSON.stringify(describeAsJson(told)));
  else if (asker.isSilent) tell(told, flags);
  else {
    if (backup !== undefined) asker.say("plain", `the config as it was: ${backup}`);
    asker.outro(
      isWritten
        ? `${homes.configFile} is written. Next: xx cip starts Claude Code; xx shows the rest`
        : "nothing had to be changed",
    );
  }
  return 0;
}

/** Of that name another file may be there, which is not ours to write over. */
function writeSchema(path: string): void {
  const schema = configJsonSchema();
  const isOurs = (text: string) => text.includes(`"title": ${JSON.stringify(schema["title"])}`);
  if (existsSync(path) && !isOurs(readFileSync(path, "utf8"))) return;
  writeFileSync(path, `${JSON.stringify(schema, null, 2)}\n`, { mode: 0o600 });
}

/** Ours alone: the predecessor's file is never written. */
async function edit(
  homes: Homes,
  changes: readonly Change[],
  isDryRun: boolean,
  replaces: boolean,
): Promise<ConfigEdit> {
  const own: Homes = { ...homes, legacyConfigFile: undefined, isConfigNamed: false };
  if (replaces && !isDryRun) emptyBroken(homes.configFile);
  try {
    return await editConfig({ homes: own, plan: () => changes, check: checkWhole, isDryRun });
  } catch (error) {
    // A file that is to be replaced may be broken.
    if (!(replaces && isDryRun && error instanceof ClutchError && error.code === "config-invalid")) throw error;
    return { path: homes.configFile, isLegacy: false, isChanged: true, isNew: false, diff: "" };
  }
}

/** What is no JSON cannot be edited member by member; its copy has been kept. */
function emptyBroken(path: string): void {
  try {
    parseJsonc(readFileSync(path, "utf8").replace(/^\uFEFF/, ""), path);
  } catch {
    writeFileSync(path, "{}\n");
  }
}

function checkWhole(config: Config): void {
  checkChain(config);
  buildProviders(config, () => undefined);
}

function keepCopy(path: string): string {
  const copy = `${path}.bak-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}`;
  copyFileSync(path, copy);
  chmodSync(copy, 0o600);
  return copy;
}

// ---- telling

interface Told extends Outcome {
  kept: readonly string[];
  diff: string;
  isWritten: boolean;
  backup: string | undefined;
}

function describeAsJson({
  homes,
  isWritten,
  backup,
  isThere,
  survey,
  files,
  draft,
  tests,
  template,
  kept,
  diff,
}: Told): JsonObject {
  return {
    path: homes.configFile,
    written: isWritten,
    created: isWritten && !isThere,
    backup: backup ?? null,
    found: {
      keys: survey.keys.map(({ provider, variable }) => ({ provider, variable })),
      agents: survey.agents.map(({ name, path }) => ({ name, path })),
      servers: survey.servers.map(({ id, models }) => ({ provider: id, models: models.map((model) => model.id) })),
      headroom: survey.headroom ?? null,
      rtk: survey.rtk ?? null,
      tmux: survey.tmux ?? null,
    },
    imported: {
      files: Object.values(files).filter((file) => file !== undefined),
      carried: draft.carried.map((row) => ({ ...row })),
      left: draft.left.map((row) => ({ ...row })),
    },
    keys: tests.map(({ provider, source, kind, detail, saved }) => ({
      provider,
      source,
      verdict: kind,
      detail,
      saved,
    })),
    template,
    kept: [...kept],
    diff,
  };
}

function tell(told: Told, flags: InitFlags): void {
  const { homes, survey, draft, files, tests, kept, diff, backup, isWritten } = told;
  for (const line of describeSurvey(survey)) console.log(line);
  const imported = Object.values(files).filter((file) => file !== undefined);
  if (imported.length > 0) {
    console.log(`\ncarried over from ${imported.join(", ")}:`);
    for (const { source, from, to } of draft.carried) console.log(`  ${paint.dim(source)} ${from} -> ${to}`);
    if (draft.left.length > 0) console.log("not carried over:");
    for (const { source, from, reason } of draft.left) console.log(`  ${paint.dim(source)} ${from}: ${reason}`);
  }
  if (tests.length > 0) console.log("");
  for (const test of tests) console.log(describeTest(test));
  if (kept.length > 0) console.log(`kept as they are: ${kept.join(", ")}`);
  if (diff !== "") console.log(`\n${renderDiff(diff)}`);
  if (backup !== undefined) console.log(`the config as it was: ${backup}`);
  const done = isWritten
    ? `${homes.configFile} is written`
    : flags.dryRun && diff !== ""
      ? "nothing was written"
      : "nothing had to be changed";
  console.log(paint.bold(done));
}
