/** Set-ups that Clutch puts together itself, of the models that are known and can be asked now. Pure. */

import { findRow } from "../../providers/catalog.ts";
import type { RankedModel } from "../models/rank.ts";
import type { JsonObject } from "../protocols/chat.ts";
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
  /** Of those, the better first. */
  order?(a: RankedModel, b: RankedModel): number;
  /** Why there is none, and what to do. */
  missing: string;
  extra?(big: string): JsonObject;
}

const isLocal = ({ provider }: RankedModel) => findRow(provider)?.local !== undefined;
const isFree = ({ facts }: RankedModel) => facts.isFree === true;
const takesTools = ({ facts }: RankedModel) => facts.tools === true;
/** An agent's instructions and tools alone take twenty thousand tokens. */
const isRoomy = ({ facts }: RankedModel) => (facts.context ?? facts.maxContext ?? 0) >= 64_000;
const isPriced = ({ facts }: RankedModel) => facts.usd !== undefined && facts.isPlan !== true;

/** Of an agent's bill: input weighs three times as much as output (US dollars per million tokens). */
function priceOf({ facts: { usd, isFree: free } }: RankedModel): number {
  return free === true ? 0 : ((usd?.[0] ?? 0) * 3 + (usd?.[1] ?? 0)) / 4;
}

/** What an evening of work may cost without a thought. */
const budgetUsd = 0.6;

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
    takes: (model) => !isLocal(model) && takesTools(model) && isRoomy(model) && !isFree(model),
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
  const names = fitting.map(({ provider, model }) => world.reference(provider, model));
  const [big, ...others] = names;
  if (big === undefined) return template.missing;
  const lighter = fitting.toSorted((a, b) => weightOf(a) - weightOf(b) || priceOf(a) - priceOf(b));
  const small = lighter[0] === undefined ? big : world.reference(lighter[0].provider, lighter[0].model);
  const middle = others[0] ?? big;
  const behind = (first: string) => names.filter((model) => model !== first).slice(0, cascadeLength);
  const extra = template.extra?.(big) ?? {};
  const thinking = (extra["model_tiers"] as { BIG?: JsonObject } | undefined)?.BIG ?? {};
  return {
    ...(world.defaultProvider !== "openrouter" && { default_provider: world.defaultProvider }),
    ...extra,
    model_tiers: {
      BIG: { default: big, cascade: behind(big), ...thinking },
      MIDDLE: { default: middle, cascade: behind(middle) },
      SMALL: { default: small, cascade: behind(small) },
    },
  };
}

/** Of variants of one model the first; others of its name would fail with it. */
function oneOfEach(models: readonly RankedModel[]): RankedModel[] {
  const plain = ({ model }: RankedModel) =>
    model
      .slice(model.lastIndexOf("/") + 1)
      .replace(/:[a-z]+$/, "")
      .replace(/-20\d{6}$/, "");
  return models.filter((model, index) => models.findIndex((other) => plain(other) === plain(model)) === index);
}

/** By what names say: billions of parameters, or words for small. */
function weightOf({ model }: RankedModel): number {
  const name = model.toLowerCase();
  const billions = [...name.matchAll(/(?<![a-z\d.])(\d+(?:\.\d+)?)b\b/g)].map((match) => Number(match[1]));
  if (billions.length > 0) return Math.max(...billions);
  return /nano|mini\b|lite|flash|small|haiku|tiny/.test(name) ? 60 : 400;
}
