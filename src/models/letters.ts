/** What the tier letters `m` (the best) and `f` (the best free) stand for now. Pure. */

import { findRow } from "../../providers/catalog.ts";
import { isPaid, type ModelFacts } from "../../providers/model-facts.ts";
import { parseModelReference, renderModelReference } from "../../providers/model-reference.ts";
import { type ListAge, renderMoment } from "./catalogue.ts";
import type { LetterModel, LetterModels } from "./launch-models.ts";
import type { RankedModel } from "./rank.ts";
import type { ScanSnapshot } from "./scan.ts";

export interface LetterInput {
  /** The best first, of the providers that can be used. */
  ranked: readonly RankedModel[];
  lists: Readonly<Record<string, ListAge>>;
  scan: ScanSnapshot | undefined;
  canUse(provider: string): boolean;
  /** Some provider elsewhere can be used: models on this machine are not the only ones. */
  hasRemote: boolean;
  /** False: models that cost money are out of the question. */
  allowsPaid: boolean;
  reference(provider: string, model: string): string;
  /** What the letters stood for until now. */
  before: LetterModels;
}

const formerKept = 5;

/**
 * model-scan's choice where there is a fresh one that can be used; otherwise the ranking's. Without benchmarks nobody
 * knows what is best, and `m` stays open: a guess among paid models could be a dear one. A model on this machine is taken
 * only where there is no other: they are slow, and few of them can do an agent's work.
 */
export function resolveLetters(input: LetterInput): LetterModels {
  const isAlone = !input.hasRemote && bestLocal(input, "") !== undefined;
  const m = scanned(input, "best") ?? (isAlone ? bestLocal(input, noKey) : best(input));
  const f =
    scanned(input, "free") ?? (isAlone ? bestLocal(input, noKey) : (bestFree(input) ?? bestLocal(input, noFree)));
  return {
    ...(m !== undefined && { m: withFormer(m, input.before.m) }),
    ...(f !== undefined && { f: withFormer(f, input.before.f) }),
  };
}

/** `vendor/model` for a model of the default provider where it reads back as such, otherwise `provider:model`. */
export function shortReference(isProvider: (id: string) => boolean, defaultProvider: string) {
  return (provider: string, model: string): string => {
    const plain = parseModelReference(model, isProvider, defaultProvider);
    const isShort = provider === defaultProvider && plain.provider === provider && plain.model === model;
    // A bare word is taken for a name that an agent made up.
    return isShort && model.includes("/") ? model : renderModelReference({ provider, model });
  };
}

const noKey = "no key is configured";
const noFree = "no free model can be used elsewhere";

/** On this machine itself, so that nobody counts its calls. */
export function isLocalModel({ list, isFree }: ModelFacts): boolean {
  return list === "local" && isFree === true;
}

function bestLocal({ ranked, reference }: LetterInput, why: string): LetterModel | undefined {
  const found = ranked.find(({ facts }) => isLocalModel(facts) && facts.tools === true);
  if (found === undefined) return undefined;
  const { provider, model } = found;
  const server = findRow(provider)?.name ?? provider;
  return { model: reference(provider, model), reason: `${why}: the best that ${server} has on this machine` };
}

function scanned({ scan, canUse, allowsPaid, reference }: LetterInput, want: "best" | "free"): LetterModel | undefined {
  const found = scan?.candidates.find(
    ({ provider, price, hasTools }) =>
      hasTools && canUse(provider) && (want === "free" || !allowsPaid ? price === 0 : true),
  );
  if (scan === undefined || found === undefined) return undefined;
  const what = want === "free" ? "best free one" : "best";
  return {
    model: reference(found.provider, found.model),
    reason: `model-scan's ${what}, ${renderMoment(scan.generatedAt)}`,
  };
}

function best({ ranked, lists, scan, allowsPaid, reference }: LetterInput): LetterModel | undefined {
  const found = ranked.find(
    ({ provider, model, facts, benchmark }) =>
      benchmark !== undefined &&
      facts.list !== "local" &&
      facts.tools === true &&
      (allowsPaid ? facts.usd !== undefined : isPaid(model, facts) === false) &&
      scan?.isBlocked(provider, model) !== true,
  );
  if (found === undefined) return undefined;
  const { provider, model, facts } = found;
  return { model: reference(provider, model), reason: `best of ${ageOf(lists[provider])}${priceNote(facts)}` };
}

function bestFree({ ranked, lists, scan, reference }: LetterInput): LetterModel | undefined {
  const found = ranked.find(
    ({ provider, model, facts }) =>
      facts.isFree === true &&
      facts.tools === true &&
      facts.list !== "local" &&
      scan?.isBlocked(provider, model) !== true,
  );
  if (found === undefined) return undefined;
  const { provider, model } = found;
  return { model: reference(provider, model), reason: `best free one of ${ageOf(lists[provider])}` };
}

function ageOf(list: ListAge | undefined): string {
  if (list === undefined) return "no list";
  // The snapshot has a day and no time.
  const moment = renderMoment(list.checkedAt);
  return `${list.name}, ${list.list === "snapshot" ? moment.slice(0, 10) : moment}`;
}

function priceNote({ usd, isFree, isPlan }: ModelFacts): string {
  if (isFree || isPlan || usd === undefined) return "";
  return `: $${usd[0]} in and $${usd[1]} out per million tokens`;
}

function withFormer(now: LetterModel, before: LetterModel | undefined): LetterModel {
  const known = before === undefined ? [] : [before.model, ...(before.former ?? [])];
  const former = [...new Set(known)].filter((model) => model !== now.model).slice(0, formerKept);
  return former.length === 0 ? now : { ...now, former };
}
