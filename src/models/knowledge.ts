/** All that is known of models, put together from what is on disk, and fetched anew. The rim: files, the network, the clock. */

import type { ModelCatalogue } from "../../providers/model-facts.ts";
import { readWholeSnapshot } from "../../providers/model-snapshot.ts";
import type { Fetch } from "../../providers/upstream.ts";
import {
  addLocal,
  type FetchedList,
  freshMs,
  type ListCopy,
  listTitles,
  type ModelBook,
  mergeLists,
  renderMoment,
} from "./catalogue.ts";
import { type DriftReport, findDrift } from "./drift.ts";
import { defaultLimits, type FetchOutcome, fetchList } from "./fetch-list.ts";
import { readLists, readPinMemory, writeLaunchModels, writeLists } from "./files.ts";
import { type LetterModels, readLaunchModels } from "./launch-models.ts";
import { isLocalModel, resolveLetters } from "./letters.ts";
import { parseModelsDevList, parseOpenRouterList } from "./lists.ts";
import { type MeasuredModels, type RankedModel, rankModels } from "./rank.ts";
import { readScan, type ScanReading, type ScanSnapshot } from "./scan.ts";
import type { ModelWorld } from "./world.ts";

export interface ModelPlace {
  cacheDir: string;
  stateDir: string;
  /** model-scan's file. */
  scanFile: string;
}

export interface Knowledge extends ModelBook {
  /** The best first, of the providers that can be used (of the default provider where none can), and of local servers. */
  ranked: RankedModel[];
  letters: LetterModels;
  scan: ScanReading;
}

/**
 * @param local what the servers on this machine have now
 * @param lastScan used where the file has become invalid
 */
export function gatherKnowledge(
  place: ModelPlace,
  world: ModelWorld,
  measured: MeasuredModels,
  nowMs: number,
  local: ModelCatalogue,
  lastScan?: ScanSnapshot,
): Knowledge {
  const { takenAt, catalogue: snapshot } = readWholeSnapshot();
  const book = addLocal(mergeLists(snapshot, Date.parse(takenAt), readLists(place.cacheDir)), local, nowMs);
  const { catalogue, lists } = book;
  const usable = remoteProviders(book, world);
  const included = [...(usable.length > 0 ? usable : [world.defaultProvider]), ...Object.keys(local)];
  const ranked = rankModels(catalogue, (provider) => included.includes(provider), measured, nowMs);
  const scan = readScan(place.scanFile, nowMs);
  const letters = resolveLetters({
    ranked,
    lists,
    scan: scan.kind === "fresh" ? scan.snapshot : scan.kind === "invalid" ? stillFresh(lastScan, nowMs) : undefined,
    canUse: world.canUse,
    hasRemote: usable.length > 0,
    allowsPaid: world.allowsPaid,
    reference: world.reference,
    before: readLaunchModels(place.cacheDir)?.letters ?? {},
  });
  return { ...book, ranked, letters, scan };
}

/** Those elsewhere whose models are known and can be asked. */
export function remoteProviders({ catalogue, lists }: ModelBook, { canUse }: ModelWorld): string[] {
  return Object.keys(catalogue).filter((provider) => lists[provider]?.list !== "local" && canUse(provider));
}

/** The best one on this machine that may take tools, as a reference. */
export function bestLocal({ ranked }: Knowledge, { reference }: ModelWorld): string | undefined {
  const free = ranked.filter(({ facts }) => isLocalModel(facts) && facts.tools !== false);
  const found = free.find(({ facts }) => facts.tools === true) ?? free[0];
  return found === undefined ? undefined : reference(found.provider, found.model);
}

/** Hands the launcher what it needs of it. */
export function publishKnowledge(place: ModelPlace, { letters, catalogue }: Knowledge): void {
  writeLaunchModels(place.cacheDir, letters, catalogue);
}

export function checkPins(place: ModelPlace, world: ModelWorld, known: Knowledge, nowMs: number): DriftReport {
  const { catalogue, lists } = known;
  const { pins, reference } = world;
  // Nobody wants a model on this machine in the place of a hired one without having asked for it.
  const ranked = known.ranked.filter(({ facts }) => facts.list !== "local");
  return findDrift({ pins, memory: readPinMemory(place.stateDir), catalogue, lists, ranked, reference, nowMs });
}

export interface Refreshed {
  list: FetchedList;
  url: string;
  outcome: FetchOutcome;
  /** What is in use now; undefined where there has never been one. */
  copy: ListCopy | undefined;
}

/** Fetches lists side by side and keeps what came. A list that cannot be had stays as it was. */
export async function refreshLists(
  cacheDir: string,
  wanted: ModelWorld["wanted"],
  listed: ReadonlySet<string>,
  fetch: Fetch,
  now: () => number,
  limits = defaultLimits,
): Promise<Refreshed[]> {
  const before = readLists(cacheDir);
  const refreshed = await Promise.all(
    Object.entries(wanted).map(async ([name, url]): Promise<Refreshed> => {
      const list = name as FetchedList;
      const parse = (body: unknown) => parsers[list](body, listed);
      const outcome = await fetchList({ url, known: before[list], parse }, fetch, now, limits);
      return { list, url, outcome, copy: outcome.kind === "failed" ? before[list] : outcome.copy };
    }),
  );
  const got = refreshed.flatMap(({ list, outcome }) => (outcome.kind === "failed" ? [] : [[list, outcome.copy]]));
  // Another process may have fetched meanwhile.
  if (got.length > 0) writeLists(cacheDir, { ...readLists(cacheDir), ...Object.fromEntries(got) });
  return refreshed;
}

const parsers: Record<FetchedList, (body: unknown, listed: ReadonlySet<string>) => ModelCatalogue | undefined> = {
  openrouter: (body) => {
    const models = parseOpenRouterList(body);
    return models === undefined ? undefined : { openrouter: models };
  },
  "models.dev": parseModelsDevList,
};

/** `cannot reach openrouter.ai (connection refused): using OpenRouter's list of 2026-11-20 10:23 UTC` */
export function renderFailure({ list, url, outcome, copy }: Refreshed): string | undefined {
  if (outcome.kind !== "failed") return undefined;
  const instead = copy === undefined ? listTitles.snapshot : `${listTitles[list]} of ${renderMoment(copy.checkedAt)}`;
  return `cannot reach ${new URL(url).host} (${outcome.reason}): using ${instead}`;
}

function stillFresh(scan: ScanSnapshot | undefined, nowMs: number): ScanSnapshot | undefined {
  return scan !== undefined && nowMs - scan.generatedAt <= freshMs ? scan : undefined;
}
