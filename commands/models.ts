/** `clutch models`: what can be asked, the best first; `--check` tells what has become of the models that the config names. */

import pc from "picocolors";
import { readChosenTiers, readPinnedLetters, type TierModel } from "../launcher/settings.ts";
import { findRow } from "../providers/catalog.ts";
import type { ModelFacts } from "../providers/model-facts.ts";
import { buildProviders, keyReader } from "../providers/registry.ts";
import { readConfigFile } from "../src/config/file.ts";
import { loadConfig } from "../src/config/load.ts";
import { maskValue } from "../src/config/mask.ts";
import { type Env, resolveHomes } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { exemptLoopback, fetchDirectly } from "../src/loopback-direct.ts";
import { isFreshList, type ListAge, listTitles } from "../src/models/catalogue.ts";
import { renderDrift } from "../src/models/drift.ts";
import { writePinMemory } from "../src/models/files.ts";
import {
  checkPins,
  gatherKnowledge,
  type Knowledge,
  type ModelPlace,
  publishKnowledge,
  refreshLists,
  remoteProviders,
  renderFailure,
} from "../src/models/knowledge.ts";
import { readLaunchModels } from "../src/models/launch-models.ts";
import { localLook } from "../src/models/local-servers.ts";
import { type Measured, type MeasuredModels, measuredMs, type RankedModel, rankModels } from "../src/models/rank.ts";
import { scanPath } from "../src/models/scan.ts";
import { describeWorld, type ModelWorld } from "../src/models/world.ts";
import { nearest } from "../src/nearest.ts";
import { asPlainLine } from "../src/plain-line.ts";
import { readMeasured } from "../src/store/measured.ts";

export interface ModelsFlags {
  free?: boolean;
  tools?: boolean;
  vision?: boolean;
  provider?: string;
  search?: string;
  refresh?: boolean;
  limit?: string;
  check?: boolean;
  json?: boolean;
}

/** Rows of the table; JSON has them all unless `--limit` says otherwise. */
const tableRows = 30;
/** Unhealthy (design: exit codes). */
const driftStatus = 3;

type Ranked = RankedModel & { rank: number };

interface Scene {
  place: ModelPlace;
  world: ModelWorld;
  measured: MeasuredModels;
  known: Knowledge;
  /** What the two letters stand for in a launch now. */
  tiers: Readonly<Record<"m" | "f", TierModel>>;
  /** One line each, for the person. */
  notes: string[];
}

/** @returns 0, or 3 from `--check` when a pinned model has changed */
export async function models(flags: ModelsFlags, env: Env): Promise<number> {
  // Read by Bun at every fetch, so it must stand before the first one.
  Object.assign(process.env, exemptLoopback(process.env));
  const limit = readLimit(flags.limit);
  const scene = await setScene(flags, env);
  if (flags.check === true) return check(scene, flags.json === true);
  const rows = choose(scene, flags).map((row, index) => ({ rank: index + 1, ...row }));
  const shown = limit === undefined && flags.json !== true ? rows.slice(0, tableRows) : rows.slice(0, limit);
  console.log(flags.json === true ? renderJson(shown, rows.length, scene) : renderTable(shown, rows.length, scene));
  return 0;
}

async function setScene(flags: ModelsFlags, env: Env): Promise<Scene> {
  const homes = resolveHomes(env);
  const { config } = await loadConfig(homes, env);
  const raw = await readConfigFile(homes);
  const source = raw.path ?? homes.configFile;
  const world = describeWorld(config, readPinnedLetters(raw.value, source), env);
  const place: ModelPlace = { ...homes, scanFile: scanPath(env) };
  const measured = readMeasured(homes.database, Date.now() - measuredMs);
  // A key that has to be asked for is not worth asking its owner for a list.
  const providers = buildProviders(
    config,
    keyReader(env, () => undefined),
  );
  const local = await localLook({ providers: () => providers, fetch: fetchDirectly, now: Date.now })();
  const gather = () => gatherKnowledge(place, world, measured, Date.now(), local);
  let known = gather();
  const notes: string[] = [];
  if (flags.refresh === true || (flags.check === true && !canCheck(known, world))) {
    notes.push(...(await refresh(place, world)));
    known = gather();
    // A shell without any key knows less than the gateway that chose last.
    const chosen = hasKeys(known, world) ? undefined : readLaunchModels(place.cacheDir)?.letters;
    publishKnowledge(place, { ...known, letters: chosen ?? known.letters });
  }
  if (known.scan.kind !== "absent" && known.scan.kind !== "fresh") notes.push(`${known.scan.line}: not used`);
  // What a launch would read, whatever this look at the same lists might choose.
  const chosen = readLaunchModels(place.cacheDir)?.letters ?? known.letters;
  return { place, world, measured, known, tiers: readChosenTiers(raw.value, source, chosen), notes };
}

function hasKeys(known: Knowledge, world: ModelWorld): boolean {
  return remoteProviders(known, world).length > 0;
}

/** @returns what went wrong */
async function refresh(place: ModelPlace, world: ModelWorld): Promise<string[]> {
  const wanted = {
    ...(world.openRouterUrl !== undefined &&
      world.defaultProvider === "openrouter" && { openrouter: world.openRouterUrl }),
    ...world.wanted,
  };
  if (Object.keys(wanted).length === 0) {
    return ["none of the configured providers has a list that can be fetched: using the list of this version"];
  }
  const startedAtMs = Date.now();
  for (const url of Object.values(wanted)) console.error(`fetching ${maskValue(url)} ...`);
  const refreshed = await refreshLists(place.cacheDir, wanted, world.listed, fetch, Date.now);
  const seconds = ((Date.now() - startedAtMs) / 1000).toFixed(1);
  for (const { list, outcome } of refreshed) {
    if (outcome.kind === "failed") continue;
    const count = Object.values(outcome.copy.providers).reduce((sum, rows) => sum + Object.keys(rows).length, 0);
    const change = outcome.kind === "unchanged" ? ", unchanged" : "";
    console.error(`${listTitles[list]}: ${count} models${change} (${seconds} s)`);
  }
  return refreshed.flatMap((one) => renderFailure(one) ?? []);
}

function choose({ known, world, measured }: Scene, flags: ModelsFlags): RankedModel[] {
  const { provider, search } = flags;
  if (provider !== undefined && !Object.hasOwn(known.catalogue, provider)) throw noList(provider, known, world);
  const all =
    provider === undefined ? known.ranked : rankModels(known.catalogue, (id) => id === provider, measured, Date.now());
  const words = (search ?? "").toLowerCase().split(/\s+/);
  return all.filter(
    ({ model, provider: id, facts }) =>
      (flags.free !== true || facts.isFree === true) &&
      (flags.tools !== true || facts.tools === true) &&
      (flags.vision !== true || facts.image === true) &&
      words.every((word) => `${id}:${model} ${facts.name ?? ""}`.toLowerCase().includes(word)),
  );
}

function noList(provider: string, { catalogue }: Knowledge, world: ModelWorld): ClutchError {
  const root = world.localRoots.get(provider);
  if (root !== undefined) {
    return new ClutchError("failed", `${findRow(provider)?.name ?? provider} does not answer at ${root}`, {
      hint: `start it, or say where it is with providers.${provider}.base_url`,
    });
  }
  const listed = Object.keys(catalogue).sort();
  const near = world.isProvider(provider) ? undefined : nearest(provider, listed);
  return new ClutchError("usage", `no list has models of "${provider}"`, {
    hint: near === undefined ? `there are models of ${listed.join(", ")}` : `did you mean ${near}?`,
  });
}

function readLimit(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new ClutchError("usage", `--limit is "${text}", which is no number of rows`, { hint: "such as --limit 50" });
}

function renderJson(rows: readonly Ranked[], total: number, { known, world, tiers, notes }: Scene): string {
  const lists = Object.entries(known.lists).map(([provider, { list, checkedAt, models: count }]) => ({
    provider,
    source: list,
    checked_at: new Date(checkedAt).toISOString(),
    models: count,
  }));
  const tier = ({ model, reason }: TierModel) => ({ model, reason: reason ?? null });
  const models = rows.map(({ rank, ...row }) => modelJson(rank, row, known, world));
  return JSON.stringify({ total, models, tiers: { m: tier(tiers.m), f: tier(tiers.f) }, lists, notes }, null, 2);
}

function modelJson(rank: number, row: RankedModel, { lists }: Knowledge, { reference }: ModelWorld) {
  const { provider, model, facts, measured, benchmark, score } = row;
  const age = lists[provider];
  return {
    rank,
    reference: reference(provider, model),
    provider,
    model,
    name: facts.name ?? null,
    context_tokens: facts.context ?? null,
    max_context_tokens: facts.maxContext ?? null,
    output_tokens: facts.output ?? null,
    tools: facts.tools ?? null,
    vision: facts.image === true,
    reasoning: facts.reasoning === true,
    free: facts.isFree === true,
    plan: facts.isPlan === true,
    input_usd_per_million: facts.usd?.[0] ?? null,
    output_usd_per_million: facts.usd?.[1] ?? null,
    benchmark: benchmark ?? null,
    score: Math.round(score * 10) / 10,
    served: measured?.served ?? 0,
    failed: measured?.failed ?? 0,
    success_rate: measured === undefined ? null : successOf(measured),
    created: facts.created ?? null,
    expires: facts.expires ?? null,
    source: age?.list ?? null,
    checked_at: age === undefined ? null : new Date(age.checkedAt).toISOString(),
  };
}

function renderTable(rows: readonly Ranked[], total: number, { known, world, tiers, notes }: Scene): string {
  const head = ["#", "model", "window", "output", "tools", "vision", "$ in/out per M", "success", "listed"];
  // Names are as their lists have them, which anybody may have written.
  const rowsOfCells = rows.map(({ rank, provider, model, facts, measured }) => [
    String(rank),
    world.reference(provider, model) + (facts.expires === undefined ? "" : ` (until ${facts.expires})`),
    renderWindow(facts),
    facts.output === undefined ? "?" : renderTokens(facts.output),
    facts.tools === undefined ? "?" : facts.tools ? "yes" : "no",
    facts.image === true ? "yes" : "no",
    renderPrice(facts),
    measured === undefined ? "-" : `${Math.round(successOf(measured) * 100)}% of ${measured.served + measured.failed}`,
    renderAge(known.lists[provider]),
  ]);
  const cells = rowsOfCells.map((row) => row.map(asPlainLine));
  const widths = [...head.keys()].map((column) => Math.max(...[head, ...cells].map((row) => row[column]?.length ?? 0)));
  const isNumber = (column: number) => column === 0 || column === 2 || column === 3;
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (isNumber(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join("  ")
      .trimEnd();
  const table = rows.length === 0 ? ["no model fits"] : [pc.dim(line(head)), ...cells.map(line)];
  const more = rows.length < total ? [`${rows.length} of ${total}: --limit ${total} shows all`] : [];
  const letters = (["m", "f"] as const).map((letter) => {
    const { model, reason = "by launcher.tiers" } = tiers[letter];
    return asPlainLine(`tier ${letter}  ${model} (${reason})`);
  });
  return [...table, ...more, "", ...letters, ...notes.map((note) => pc.yellow(asPlainLine(note)))].join("\n");
}

function successOf({ served, failed }: Measured): number {
  return served / (served + failed);
}

/** Of a local model that is not in memory, only how large its window could be. */
function renderWindow({ context, maxContext }: ModelFacts): string {
  if (context !== undefined) return renderTokens(context);
  return maxContext === undefined ? "?" : `<= ${renderTokens(maxContext)}`;
}

/** 262144 is 262K, 1000000 is 1M. */
function renderTokens(count: number): string {
  return count >= 1e6 ? `${Math.round(count / 1e5) / 10}M` : `${Math.round(count / 1000)}K`;
}

function renderPrice({ usd, isFree, isPlan }: ModelFacts): string {
  if (isFree === true) return "free";
  if (isPlan === true) return "0 (plan?)";
  return usd === undefined ? "?" : `${usd[0]} / ${usd[1]}`;
}

function renderAge(age: ListAge | undefined): string {
  if (age === undefined) return "-";
  if (age.list === "local") return "local, running";
  return `${age.list} ${new Date(age.checkedAt)
    .toISOString()
    .slice(0, age.list === "snapshot" ? 10 : 16)
    .replace("T", " ")}`;
}

/** @throws {ClutchError} `failed` when no list is fresh enough to tell */
function check(scene: Scene, isJson: boolean): number {
  const { place, world, known, notes } = scene;
  if (!canCheck(known, world)) {
    throw new ClutchError("failed", ["no list of models is younger than 24 h", ...notes].join("; "), {
      hint: "nothing was checked: try again when the network is back",
    });
  }
  const report = checkPins(place, world, known, Date.now());
  writePinMemory(place.stateDir, report.memory);
  const { drifts, untold, checked } = report;
  if (isJson) {
    const rows = drifts.map(({ kind, reference, places, change, replacement, mark }) => ({
      kind,
      reference,
      places,
      change,
      replacement: replacement ?? null,
      new: untold.some((other) => other.reference === reference && other.mark === mark),
    }));
    console.log(JSON.stringify({ pinned: world.pins.length, checked, drifts: rows, notes }, null, 2));
  } else {
    const unchecked = world.pins.length - checked;
    const rest = unchecked === 0 ? "" : `, ${unchecked} more are of providers without a fresh list`;
    for (const drift of drifts) console.log(pc.yellow(asPlainLine(renderDrift(drift))));
    console.log(`${checked} models of the config checked, ${drifts.length} changed${rest}`);
    for (const note of notes) console.log(pc.yellow(asPlainLine(note)));
  }
  return drifts.length > 0 ? driftStatus : 0;
}

/** Whether a list that a pinned model could be looked up in is fresh; a config without pins needs none. */
function canCheck({ lists }: Knowledge, { pins }: ModelWorld): boolean {
  return pins.length === 0 || pins.some(({ provider }) => isFreshList(lists[provider], Date.now()));
}
