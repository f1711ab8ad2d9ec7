/** Which models are worth more than others for an agent's work. Pure. */

import type { ModelCatalogue, ModelFacts } from "../../providers/model-facts.ts";

/** What Clutch's own ledger says of a model. */
export interface Measured {
  served: number;
  /** By the model's or its provider's fault. */
  failed: number;
}

/** By `provider:model`. */
export type MeasuredModels = ReadonlyMap<string, Measured>;

/** What is older was measured of other models by the same name. */
export const measuredMs = 7 * 86_400_000;

export interface RankedModel {
  provider: string;
  model: string;
  facts: ModelFacts;
  score: number;
  /** The mean of the coding and the agentic index (0 to 100); undefined where no list has them. */
  benchmark: number | undefined;
  measured: Measured | undefined;
}

/**
 * Out of 100 by benchmarks. A model without any can be worth 30 at most, which is a middling one's index: what it promises
 * (tools, reasoning, window, output, how new it is) is no proof. The same promises part models of the same index, and what
 * was measured here counts more than either: a model that always fails keeps a third.
 */
const unprovenMost = 30;
const promisesMost = 10;

/** Before anything was measured: as if five attempts had gone as most do. */
const usual = { served: 4.5, failed: 0.5 };

/** Variants that answer hours later, and names that stand for others. */
const isNoModel = /:batch$|^~/;

/**
 * The best first; ties go to the cheaper, then by name. What has expired is left out.
 * @param includes which providers to rank
 */
export function rankModels(
  catalogue: ModelCatalogue,
  includes: (provider: string) => boolean,
  measured: MeasuredModels,
  nowMs: number,
): RankedModel[] {
  const benchmarks = collectBenchmarks(catalogue);
  const today = new Date(nowMs).toISOString().slice(0, 10);
  return Object.entries(catalogue)
    .filter(([provider]) => includes(provider))
    .flatMap(([provider, models]) =>
      Object.entries(models)
        .filter(([model, facts]) => !isNoModel.test(model) && (facts.expires === undefined || facts.expires >= today))
        .map(([model, facts]): RankedModel => {
          const benchmark = benchmarkOf(facts) ?? benchmarks.get(plainName(model));
          const known = measured.get(`${provider}:${model}`);
          return { provider, model, facts, benchmark, measured: known, score: score(facts, benchmark, known, nowMs) };
        }),
    )
    .sort((a, b) => b.score - a.score || priceOf(a.facts) - priceOf(b.facts) || (nameOf(a) < nameOf(b) ? -1 : 1));
}

function score(
  facts: ModelFacts,
  benchmark: number | undefined,
  measured: Measured | undefined,
  nowMs: number,
): number {
  const promise = promises(facts, nowMs);
  const served = (measured?.served ?? 0) + usual.served;
  const success = served / (served + (measured?.failed ?? 0) + usual.failed);
  return ((benchmark ?? unprovenMost * promise) + promisesMost * promise) * (1 / 3 + (2 / 3) * success);
}

/** 0 to 1: the predecessor's own weights for free models, its structured output left out (no list says it of all). */
function promises(facts: ModelFacts, nowMs: number): number {
  const tools = facts.tools === true ? 14 : 0;
  const reasoning = facts.reasoning === true ? 8 : 0;
  const window = 20 * logShare(facts.context ?? 4096, 4096, 262_144);
  const output = 12 * logShare(facts.output ?? 1024, 1024, 65_536);
  return (tools + reasoning + window + output + novelty(facts.created, nowMs)) / 74;
}

/** Models of last year are two generations behind. */
function novelty(created: string | undefined, nowMs: number): number {
  if (created === undefined) return 3;
  const days = (nowMs - Date.parse(created)) / 86_400_000;
  return 20 * Math.min(1, Math.max(0, 1 - days / 365));
}

/** 0 at `least`, 1 at `most` and above; each doubling counts the same. */
function logShare(value: number, least: number, most: number): number {
  return Math.min(1, Math.max(0, Math.log2(value / least) / Math.log2(most / least)));
}

function benchmarkOf({ scores }: ModelFacts): number | undefined {
  const found = [scores?.coding, scores?.agentic].filter((value) => value !== undefined);
  return found.length === 0 ? scores?.intelligence : found.reduce((sum, value) => sum + value, 0) / found.length;
}

/** Only OpenRouter's list has benchmarks: the same model at another provider is worth the same. */
function collectBenchmarks(catalogue: ModelCatalogue): Map<string, number> {
  const found = new Map<string, number>();
  for (const models of Object.values(catalogue)) {
    for (const [model, facts] of Object.entries(models)) {
      const benchmark = benchmarkOf(facts);
      if (benchmark !== undefined) found.set(plainName(model), benchmark);
    }
  }
  return found;
}

/** `anthropic/claude-opus-4.8`, `claude-opus-4-8` and `claude-opus-4-8-20260301` are one model, and so are `:free` variants. */
function plainName(model: string): string {
  const last = model.slice(model.lastIndexOf("/") + 1).toLowerCase();
  return last
    .replace(/:[a-z]+$/, "")
    .replace(/-20\d{6}$/, "")
    .replace(/[^a-z0-9]+/g, "-");
}

/** Input weighs three times as much as output in an agent's bill; unknown counts as dear. */
function priceOf({ usd, isFree }: ModelFacts): number {
  if (isFree === true) return 0;
  return usd === undefined ? Number.POSITIVE_INFINITY : ((usd[0] ?? 0) * 3 + (usd[1] ?? 0)) / 4;
}

function nameOf({ provider, model }: RankedModel): string {
  return `${provider}:${model}`;
}
