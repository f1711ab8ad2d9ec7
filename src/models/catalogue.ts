/** One catalogue of what the lists say, the best list first, and how old each of them is. Pure. */

import type { ListName, ModelCatalogue, ModelFacts } from "../../providers/model-facts.ts";

/** Lists that are fetched. */
export type FetchedList = Exclude<ListName, "snapshot" | "local">;

/** One list as it was fetched. */
export interface ListCopy {
  url: string;
  /** When the source last said so (milliseconds since 1970): fetched then, or found unchanged. */
  checkedAt: number;
  etag?: string;
  lastModified?: string;
  providers: ModelCatalogue;
}

export type ListCopies = Readonly<Partial<Record<FetchedList, ListCopy>>>;

export interface ListAge {
  list: ListName;
  /** As people write it. */
  name: string;
  checkedAt: number;
  models: number;
}

export interface ModelBook {
  catalogue: ModelCatalogue;
  /** By provider: the list that its rows are from. */
  lists: Readonly<Record<string, ListAge>>;
}

export const listTitles = {
  openrouter: "OpenRouter's list",
  "models.dev": "models.dev",
  snapshot: "the list that came with this version",
  local: "the servers on this machine",
} as const satisfies Record<ListName, string>;

/** After this a list is no ground for saying that a model is gone. */
export const freshMs = 24 * 3_600_000;

/**
 * A provider's models come from one list: its own where that is fetched (OpenRouter), else models.dev, else the snapshot;
 * what the better list leaves unsaid of a model is filled in from the next. A copy that is older than the snapshot is not used.
 * @param snapshotAt milliseconds since 1970
 */
export function mergeLists(snapshot: ModelCatalogue, snapshotAt: number, copies: ListCopies): ModelBook {
  const sources: { list: ListName; at: number; providers: ModelCatalogue }[] = [
    { list: "snapshot", at: snapshotAt, providers: snapshot },
  ];
  for (const list of ["models.dev", "openrouter"] as const) {
    const copy = copies[list];
    if (copy !== undefined && copy.checkedAt >= snapshotAt) {
      sources.push({ list, at: copy.checkedAt, providers: copy.providers });
    }
  }
  const catalogue: Record<string, Record<string, ModelFacts>> = {};
  const lists: Record<string, ListAge> = {};
  for (const { list, at, providers } of sources) {
    for (const [provider, models] of Object.entries(providers)) {
      const known = catalogue[provider] ?? {};
      const rows = Object.entries(models).map(([id, facts]): [string, ModelFacts] => [
        id,
        fill(Object.hasOwn(known, id) ? known[id] : undefined, facts, list),
      ]);
      catalogue[provider] = Object.fromEntries(rows);
      lists[provider] = { list, name: listTitles[list], checkedAt: at, models: rows.length };
    }
  }
  return { catalogue, lists };
}

/** With what the servers on this machine have now, which is the last word on them. */
export function addLocal({ catalogue, lists }: ModelBook, local: ModelCatalogue, nowMs: number): ModelBook {
  const ages = Object.entries(local).map(([provider, rows]): [string, ListAge] => [
    provider,
    { list: "local", name: listTitles.local, checkedAt: nowMs, models: Object.keys(rows).length },
  ]);
  return { catalogue: { ...catalogue, ...local }, lists: { ...lists, ...Object.fromEntries(ages) } };
}

/** Whether what it says of a model now can be held against what was said of it before. A local server's owner knows. */
export function isFreshList(age: ListAge | undefined, nowMs: number): age is ListAge {
  return age !== undefined && age.list !== "snapshot" && age.list !== "local" && nowMs - age.checkedAt <= freshMs;
}

/** Prices belong together: those of another list are no part of this one's. */
function fill(less: ModelFacts | undefined, better: ModelFacts, list: ListName): ModelFacts {
  if (less === undefined) return { ...better, list };
  const { usd, isFree, isPlan, ...rest } = less;
  return { ...(better.usd === undefined ? less : rest), ...better, list };
}

/** `2026-11-20 10:23 UTC` */
export function renderMoment(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
