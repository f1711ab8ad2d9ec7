/**
 * What a model's tokens cost, by who says so: the config, a list of models, or nobody, and then it is not known. Nothing is
 * guessed from a name that merely looks alike. Pure.
 */

import type { ModelCatalogue, ModelFacts } from "../../providers/model-facts.ts";
import type { Usage } from "../protocols/chat.ts";
import type { ModelBook } from "./catalogue.ts";

/** In US dollars per million tokens. */
export interface Rates {
  input: number;
  output: number;
  /** Null where nobody names one: then these tokens cost what other input costs. */
  cacheRead: number | null;
  cacheWrite: number | null;
}

/** `source` is a list's name, `config`, or who is never paid; `at` is when it said so (ms since 1970). */
export type Price = { source: string; at: number | null } & (
  | { kind: "list"; rates: Rates }
  /** Nobody is ever billed for it. */
  | { kind: "free" }
  /** A subscription or an allowance pays for it. */
  | { kind: "plan" }
);

/** An entry of the config's `prices`. */
export interface PriceOverride {
  usd_per_million?:
    | { input: number; output: number; cache_read?: number | undefined; cache_write?: number | undefined }
    | undefined;
  same_as?: string | undefined;
  pays?: "free" | "plan" | undefined;
}

export interface PriceWorld {
  book: Pick<ModelBook, "catalogue" | "lists">;
  /** By `provider:model`. */
  overrides: Readonly<Record<string, PriceOverride>>;
  /** Whose models nobody bills: servers that need no key. */
  isLocal(provider: string): boolean;
}

/** Whose accounts are subscriptions, whatever a list says of the models behind them. */
const subscriptions: ReadonlySet<string> = new Set([
  "cliproxy",
  "zai-coding",
  "kimi-code",
  "qwen-coding",
  "qwen-coding-cn",
]);

/** One model may be priced as another, and that as a third; further it is a circle. */
const maxAliases = 4;

/** @returns undefined where nobody says what it costs */
export function findPrice(reference: string, world: PriceWorld, depth = 0): Price | undefined {
  const [provider, model] = splitReference(reference);
  const override = Object.hasOwn(world.overrides, reference) ? world.overrides[reference] : undefined;
  if (override !== undefined) return overridden(override, world, depth);
  // Before any list: a free name is never billed, even where only the paid variant is known.
  const facts = factsFor(provider, model, world.book.catalogue);
  const age = world.book.lists[provider];
  const source = facts?.list ?? age?.list ?? "name";
  const at = age?.checkedAt ?? null;
  if (provider === "openrouter" && model.endsWith(":free")) return { kind: "free", source, at };
  if (facts?.isFree === true) return { kind: "free", source, at };
  // Ollama serves models of its cloud, which are part of an account there, beside those of this machine.
  if (world.isLocal(provider)) return { kind: /[:-]cloud$/.test(model) ? "plan" : "free", source: "local", at: null };
  if (subscriptions.has(provider)) return { kind: "plan", source: "subscription", at: null };
  if (facts?.isPlan === true) return { kind: "plan", source, at };
  const rates = ratesOf(facts);
  return rates === undefined ? undefined : { kind: "list", source, at, rates };
}

/** The model's own row, else that of the name without its date: vendors serve `name` and `name-20251101` at one price. */
function factsFor(provider: string, model: string, catalogue: ModelCatalogue): ModelFacts | undefined {
  const rows = Object.hasOwn(catalogue, provider) ? (catalogue[provider] ?? {}) : {};
  const plain = model.replace(/[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|latest)$/, "");
  const name = [model, `${model}:latest`, plain].find((candidate) => Object.hasOwn(rows, candidate));
  return name === undefined ? undefined : rows[name];
}

/** A list's 0 for cached tokens beside a price for others means that it names none. */
function ratesOf(facts: ModelFacts | undefined): Rates | undefined {
  if (facts?.usd === undefined) return undefined;
  const [input = 0, output = 0, cacheRead = 0, cacheWrite = 0] = facts.usd;
  const named = (price: number) => (price > 0 || input === 0 ? price : null);
  return { input, output, cacheRead: named(cacheRead), cacheWrite: named(cacheWrite) };
}

function overridden(override: PriceOverride, world: PriceWorld, depth: number): Price | undefined {
  const { usd_per_million: usd, same_as: other, pays } = override;
  if (pays !== undefined) return { kind: pays, source: "config", at: null };
  if (usd !== undefined) {
    const { input, output, cache_read, cache_write } = usd;
    const rates = { input, output, cacheRead: cache_read ?? null, cacheWrite: cache_write ?? null };
    return { kind: "list", source: "config", at: null, rates };
  }
  return other === undefined || depth >= maxAliases ? undefined : findPrice(other, world, depth + 1);
}

/** In US dollars. */
export function costOf(price: Price, usage: Usage): number {
  if (price.kind !== "list") return 0;
  const { output } = price.rates;
  return (inputPerMillion(price.rates, usage) + usage.output * output) / 1e6;
}

/** What one token of this request's input cost on average (US dollars); undefined where there was none. */
export function meanInputPrice(price: Price, usage: Usage): number | undefined {
  if (price.kind !== "list") return 0;
  const tokens = usage.input + usage.cacheRead + usage.cacheWrite;
  return tokens === 0 ? undefined : inputPerMillion(price.rates, usage) / 1e6 / tokens;
}

function inputPerMillion({ input, cacheRead, cacheWrite }: Rates, usage: Usage): number {
  return usage.input * input + usage.cacheRead * (cacheRead ?? input) + usage.cacheWrite * (cacheWrite ?? input);
}

/** Ids of providers have no colon; a model's name may. */
export function splitReference(reference: string): [provider: string, model: string] {
  const colon = reference.indexOf(":");
  return [reference.slice(0, Math.max(0, colon)), reference.slice(colon + 1)];
}
