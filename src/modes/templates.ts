/** Set-ups that Clutch puts together itself, of the models that are known and can be asked now. Pure. */

import { findRow } from "../../providers/catalog.ts";
import type { RankedModel } from "../models/rank.ts";
import type { JsonObject } from "../protocols/chat.ts";
import { type Grade, plainName, standingOf } from "./families.ts";
import type { TemplateName } from "./names.ts";

export interface TemplateWorld {
  /** The best first, of the providers that can be asked, those on this machine too. */
  ranked: readonly RankedModel[];
  reference(provider: string, model: string): string;
  defaultProvider: string;
}

interface Template {
  /** Behind the name in a list. */
  about: string;
  /** Which models may be in it. */
  takes(model: RankedModel): boolean;
  /** Why there is none, and what to do. */
  missing: string;
  extra?(big: string): JsonObject;
}

const isLocal = ({ provider }: RankedModel) => findRow(provider)?.local !== undefined;
const isFree = ({ facts }: RankedModel) => facts.isFree === true;
const takesTools = ({ facts }: RankedModel) => facts.tools === true;
/** An agent's instructions and tools alone take twenty thousand tokens. */
const isRoomy = ({ facts }: RankedModel) => (facts.context ?? facts.maxContext ?? 0) >= 64_000;
/** Paid, and not beyond reason. */
const isWorthIt = (model: RankedModel) => isPriced(model) && !isFree(model) && priceOf(model) <= dearUsd;
const isPriced = ({ facts }: RankedModel) => facts.usd !== undefined && facts.isPlan !== true;

/** Of an agent's bill: input weighs three times as much as output (US dollars per million tokens). */
function priceOf({ facts: { usd, isFree: free } }: RankedModel): number {
  return free === true ? 0 : ((usd?.[0] ?? 0) * 3 + (usd?.[1] ?? 0)) / 4;
}

/** What an evening of work may cost without a thought, and what is dear beyond reason (US dollars per million tokens). */
const budgetUsd = 0.6;
const dearUsd = 12;

export const templates = {
  free: {
    about: "models that nobody is billed for; paid ones are not asked at all",
    takes: (model) => !isLocal(model) && isFree(model) && takesTools(model) && isRoomy(model),
    missing: "no free model is known of the providers that have a key: set OPENROUTER_API_KEY",
    extra: () => ({ budgets: { allow_paid: false } }),
  },
  local: {
    about: "models on this machine",
    takes: (model) => isLocal(model) && model.facts.tools !== false,
    missing: "no server on this machine has a model: start Ollama or LM Studio, and pull one",
    extra: () => ({ budgets: { allow_paid: false } }),
  },
  budget: {
    about: "good for little money: less than 60 cents a million tokens",
    takes: (model) =>
      !isLocal(model) &&
      takesTools(model) &&
      isRoomy(model) &&
      isPriced(model) &&
      priceOf(model) <= budgetUsd &&
      !isFree(model),
    missing: "no cheap model is known of the providers that have a key",
  },
  premium: {
    about: "the best there is, whatever it costs",
    takes: (model) => !isLocal(model) && takesTools(model) && isRoomy(model) && isWorthIt(model),
    missing: "no paid model is known of the providers that have a key",
  },
  reasoning: {
    about: "the best that think, and told to",
    takes: (model) =>
      !isLocal(model) && takesTools(model) && isRoomy(model) && model.facts.reasoning === true && !isFree(model),
    missing: "no model that thinks is known of the providers that have a key",
    extra: (big) => ({ routes: { think: big }, model_tiers: { BIG: { reasoning: { effort: "high" } } } }),
  },
  vision: {
    about: "models that see images",
    takes: (model) => takesTools(model) && isRoomy(model) && model.facts.image === true,
    missing: "no model that sees images is known of the providers that have a key",
    extra: (big) => ({ routes: { image: big } }),
  },
} as const satisfies Record<TemplateName, Template>;

/** How many models stand behind the first of a tier. */
const cascadeLength = 3;

/** @returns the reason, where no model fits */
export function buildTemplate(name: TemplateName, world: TemplateWorld): JsonObject | string {
  const template: Template = templates[name];
  const fitting = oneOfEach(world.ranked.filter(template.takes));
  const tiers = fitting.some(({ benchmark }) => benchmark !== undefined) ? byBenchmark(fitting) : byGrade(fitting);
  if (tiers === undefined) return template.missing;
  const refer = ({ provider, model }: RankedModel) => world.reference(provider, model);
  const tier = ([first, ...others]: readonly RankedModel[]) => ({
    default: first === undefined ? "" : refer(first),
    cascade: others.slice(0, cascadeLength).map(refer),
  });
  const big = tier(tiers.big);
  const extra = template.extra?.(big.default) ?? {};
  const thinking = (extra["model_tiers"] as { BIG?: JsonObject } | undefined)?.BIG ?? {};
  return {
    ...(world.defaultProvider !== "openrouter" && { default_provider: world.defaultProvider }),
    ...extra,
    model_tiers: { BIG: { ...big, ...thinking }, MIDDLE: tier(tiers.middle), SMALL: tier(tiers.small) },
  };
}

/** Models for each tier, in the order they are tried. */
interface Tiers {
  big: readonly RankedModel[];
  middle: readonly RankedModel[];
  small: readonly RankedModel[];
}

/** They come in their order already; what is cheaper or lighter is for the smaller tiers. */
function byBenchmark(fitting: readonly RankedModel[]): Tiers | undefined {
  const [best] = fitting;
  if (best === undefined) return undefined;
  const first = (model: RankedModel | undefined) => [
    ...(model === undefined ? [] : [model]),
    ...fitting.filter((other) => other !== model),
  ];
  const cheaper = fitting.find((model) => priceOf(model) < priceOf(best) * 0.7) ?? fitting[1];
  return { big: fitting, middle: first(cheaper), small: first(lightest(fitting, best)) };
}

/** One of each line, its newest; the vendor of the first has a say in the smaller tiers, for its cache's sake. */
function byGrade(fitting: readonly RankedModel[]): Tiers | undefined {
  const graded = fitting.flatMap((model) => {
    const standing = standingOf(model.model);
    return standing === undefined ? [] : [{ model, ...standing }];
  });
  // None of them is known: they are taken as they come.
  if (graded.length === 0) return byBenchmark(fitting);
  const newest = graded
    .toSorted((a, b) => a.line - b.line || b.version - a.version)
    .filter(({ line }, index, all) => all.findIndex((other) => other.line === line) === index);
  const vendor = vendorOf((newest[0] as (typeof newest)[number]).model);
  const lines = (order: readonly Grade[], prefersVendor: boolean) => {
    const sorted = order.flatMap((grade) => newest.filter((one) => one.grade === grade));
    const [first] = sorted;
    const own = prefersVendor
      ? sorted.find((one) => one.grade === first?.grade && vendorOf(one.model) === vendor)
      : first;
    return [...(own === undefined ? [] : [own]), ...sorted.filter((one) => one !== own)].map(({ model }) => model);
  };
  return {
    big: lines(["best", "everyday", "fast"], false),
    middle: lines(["everyday", "best", "fast"], true),
    small: lines(["fast", "everyday", "best"], true),
  };
}

function vendorOf({ provider, model }: RankedModel): string {
  return model.includes("/") ? (model.split("/")[0] ?? "") : provider;
}

/** Billions of parameters; titles and summaries want no less. */
const leastWeight = 8;
/** What is lighter than that is fast. */
const lightWeight = 100;

/** The best of the light ones, of the same vendor if it has any. */
function lightest(models: readonly RankedModel[], best: RankedModel): RankedModel | undefined {
  const light = models.filter((model) => weightOf(model) >= leastWeight && weightOf(model) <= lightWeight);
  return light.find((model) => vendorOf(model) === vendorOf(best)) ?? light[0] ?? models.at(-1);
}

/** Of variants of one model the first; others of its name would fail with it. */
function oneOfEach(models: readonly RankedModel[]): RankedModel[] {
  const names = new Set<string>();
  return models.filter(({ model }) => {
    const isNew = !names.has(plainName(model));
    names.add(plainName(model));
    return isNew;
  });
}

/** By what names say: billions of parameters, or words for small. */
function weightOf({ model }: RankedModel): number {
  const name = model.toLowerCase();
  const billions = [...name.matchAll(/(?<![a-z\d.])(\d+(?:\.\d+)?)b\b/g)].map((match) => Number(match[1]));
  if (billions.length > 0) return Math.max(...billions);
  return /nano|mini\b|lite|flash|small|haiku|tiny/.test(name) ? 60 : 400;
}
