/** What has become of the models that a config names: gone, no longer free, without tools, of another window, or soon to go. Pure. */

import type { ModelCatalogue, ModelFacts } from "../../providers/model-facts.ts";
import { isFreshList, type ListAge } from "./catalogue.ts";
import type { Pin } from "./pins.ts";
import type { RankedModel } from "./rank.ts";

export type DriftKind = "gone" | "not-free" | "no-tools" | "window" | "expires";

export interface Drift {
  kind: DriftKind;
  /** As the config writes it. */
  reference: string;
  places: readonly string[];
  /** What happened, as the end of a sentence that begins with the reference. */
  change: string;
  /** A reference that could take its place; undefined where none is known. */
  replacement: string | undefined;
  /** Tells this change from an earlier one of the same kind. */
  mark: string;
}

/** What a list said of a pinned model when it was last looked at. */
export interface PinRecord {
  isListed: boolean;
  /** At price 0, whatever the reason. */
  isFree: boolean;
  hasTools: boolean;
  context: number;
  /** US dollars per million tokens, input and output together; absent where unknown. */
  price?: number;
  /** The last change of its window, for as long as it is worth telling. */
  window?: { before: number; changedAt: number };
  /** The marks of what has been told and still holds. */
  told: readonly string[];
}

/** By `provider:model`. */
export type PinMemory = Readonly<Record<string, PinRecord>>;

export interface DriftInput {
  pins: readonly Pin[];
  memory: PinMemory;
  catalogue: ModelCatalogue;
  lists: Readonly<Record<string, ListAge>>;
  /** The best first, of the providers that can be used: where replacements come from. */
  ranked: readonly RankedModel[];
  reference(provider: string, model: string): string;
  nowMs: number;
}

export interface DriftReport {
  /** All that holds now. */
  drifts: Drift[];
  /** Of these, what was not told before. */
  untold: Drift[];
  /** To be kept for the next time. */
  memory: PinMemory;
  /** Pins that a fresh list could be asked about. */
  checked: number;
}

const expiryNoticeMs = 14 * 86_400_000;
const windowNoticeMs = 7 * 86_400_000;

/**
 * Only fresh lists are believed, and that a model is missing only where the list is the provider's own or had it before.
 * What cannot be checked keeps its record.
 */
export function findDrift(input: DriftInput): DriftReport {
  const report: DriftReport = { drifts: [], untold: [], memory: {}, checked: 0 };
  const memory: Record<string, PinRecord> = {};
  for (const pin of input.pins) {
    const key = `${pin.provider}:${pin.model}`;
    const known = Object.hasOwn(input.memory, key) ? input.memory[key] : undefined;
    const age = input.lists[pin.provider];
    if (!isFreshList(age, input.nowMs)) {
      if (known !== undefined) memory[key] = known;
      continue;
    }
    report.checked += 1;
    const models = input.catalogue[pin.provider] ?? {};
    const facts = Object.hasOwn(models, pin.model) ? models[pin.model] : undefined;
    const seen = observe(known, facts, input.nowMs);
    const changes = changesOf(pin, known, seen, facts, models, age, input.nowMs);
    const replacement = changes.length === 0 ? undefined : findReplacement(pin, known, input);
    const drifts = changes.map((change): Drift => ({ ...change, ...placesOf(pin), replacement }));
    report.drifts.push(...drifts);
    report.untold.push(...drifts.filter(({ mark }) => known?.told.includes(mark) !== true));
    memory[key] = { ...seen, told: drifts.map(({ mark }) => mark) };
  }
  return { ...report, memory };
}

export function renderDrift({ reference, places, change, replacement }: Drift): string {
  const rather = replacement === undefined ? "" : `; ${replacement} could take its place`;
  return `${reference} (${places.join(", ")}) ${change}${rather}`;
}

function placesOf({ reference, places }: Pin): Pick<Drift, "reference" | "places"> {
  return { reference, places };
}

/** A model that is away keeps what was known of it, so that it can be told from one that comes back changed. */
function observe(known: PinRecord | undefined, facts: ModelFacts | undefined, nowMs: number): Omit<PinRecord, "told"> {
  if (facts === undefined) {
    const { told, window, ...rest } = known ?? { isFree: false, hasTools: false, context: 0, told: [] };
    return { isListed: known?.isListed ?? false, ...rest };
  }
  const changed =
    known !== undefined && known.context > 0 && known.context !== facts.context
      ? { before: known.context, changedAt: nowMs }
      : known?.window;
  const isTold =
    changed !== undefined && (nowMs - changed.changedAt > windowNoticeMs || changed.before === facts.context);
  return {
    isListed: true,
    // Once free or with tools, it stays measured by that until the pin is changed.
    isFree: known?.isFree === true || costs(facts) === 0,
    hasTools: known?.hasTools === true || facts.tools === true,
    context: facts.context ?? 0,
    ...(facts.usd !== undefined && { price: costs(facts) }),
    ...(changed !== undefined && !isTold && { window: changed }),
  };
}

type Change = Pick<Drift, "kind" | "change" | "mark">;

function changesOf(
  pin: Pin,
  known: PinRecord | undefined,
  seen: Omit<PinRecord, "told">,
  facts: ModelFacts | undefined,
  models: Readonly<Record<string, ModelFacts>>,
  { list, name }: ListAge,
  nowMs: number,
): Change[] {
  if (facts === undefined) {
    if (list !== "openrouter" && known?.isListed !== true) return [];
    const plain = pin.model.replace(/:free$/, "");
    const paid = plain !== pin.model && Object.hasOwn(models, plain) ? models[plain] : undefined;
    return paid === undefined
      ? [{ kind: "gone", change: `is not in ${name} any more`, mark: "gone" }]
      : [{ kind: "not-free", change: `has lost its free variant: ${plain} ${price(paid)}`, mark: "not-free" }];
  }
  const changes: Change[] = [];
  const wasFree = known?.isFree === true || pin.model.endsWith(":free");
  if (wasFree && costs(facts) > 0) {
    changes.push({ kind: "not-free", change: `is no longer free: it ${price(facts)}`, mark: "not-free" });
  }
  const shouldHaveTools = known?.hasTools === true || pin.places.includes("toolcall_models");
  if (shouldHaveTools && facts.tools === false) {
    changes.push({ kind: "no-tools", change: "takes no tools any more", mark: "no-tools" });
  }
  if (seen.window !== undefined) {
    const { before } = seen.window;
    const change = `has a window of ${facts.context} tokens instead of ${before}`;
    changes.push({ kind: "window", change, mark: `window ${before} ${facts.context}` });
  }
  if (facts.expires !== undefined && Date.parse(facts.expires) - nowMs < expiryNoticeMs) {
    changes.push({ kind: "expires", change: `is to go on ${facts.expires}`, mark: `expires ${facts.expires}` });
  }
  return changes;
}

/** Not a number where the price is unknown, which is then neither above nor below any. */
function costs({ usd }: ModelFacts): number {
  return usd === undefined ? Number.NaN : (usd[0] ?? 0) + (usd[1] ?? 0);
}

function price(facts: ModelFacts): string {
  return facts.usd === undefined
    ? "has no known price"
    : `costs $${facts.usd[0]} in and $${facts.usd[1]} out per million tokens`;
}

/** The best that does what the pin did: free for free, not much dearer, with tools, and not one that the config has already. */
function findReplacement(pin: Pin, known: PinRecord | undefined, input: DriftInput): string | undefined {
  const isFree = known?.isFree === true || pin.model.endsWith(":free");
  const most = known?.price === undefined ? Number.POSITIVE_INFINITY : known.price * 1.5;
  const isPinned = (provider: string, model: string) =>
    input.pins.some((other) => other.provider === provider && other.model === model);
  const found = input.ranked.find(
    ({ provider, model, facts }) =>
      facts.tools === true &&
      (isFree ? facts.isFree === true : costs(facts) <= most) &&
      !isPinned(provider, model) &&
      !isExpiring(facts, input.nowMs),
  );
  return found === undefined ? undefined : input.reference(found.provider, found.model);
}

function isExpiring({ expires }: ModelFacts, nowMs: number): boolean {
  return expires !== undefined && Date.parse(expires) - nowMs < expiryNoticeMs;
}
