/** What a list of models says about one of them. Pure: the lists are handed in, such as the snapshot in model-snapshot.json. */

/** Who says so: OpenRouter's own list, models.dev, the snapshot that came with this version, or a server on this machine. */
export type ListName = "openrouter" | "models.dev" | "snapshot" | "local";

export interface ModelFacts {
  /** The window (tokens), input and output together; absent only where a local server does not say. */
  context?: number;
  /** Of a local model: the largest window that it could be given, whatever it has now (tokens). */
  maxContext?: number;
  /** The largest answer (tokens); absent where the window is. */
  output?: number;
  /** Takes tools; absent where nobody says. */
  tools?: boolean;
  /** Takes images. */
  image?: boolean;
  reasoning?: boolean;
  /**
   * List prices in US dollars per million tokens: input, output, cache read, cache write (0 where the list names none).
   * Absent where they are unknown, which is not zero.
   */
  usd?: readonly number[];
  /** OpenRouter's `:free` at price 0, or a model on this machine: nobody is ever billed for it. */
  isFree?: true;
  /** Price 0 that may mean "part of a plan" or "for now": not the same as free. */
  isPlan?: true;
  /** The day (YYYY-MM-DD) after which the provider may take it away. */
  expires?: string;
  /** As people write it. */
  name?: string;
  /** The day (YYYY-MM-DD) it came out. */
  created?: string;
  /** The reasoning efforts it takes, where the list names them. */
  efforts?: readonly string[];
  /** Artificial Analysis' indices, 0 to 100. */
  scores?: { readonly coding?: number; readonly agentic?: number; readonly intelligence?: number };
  /** Whose list this row is from. */
  list?: ListName;
}

/** By provider id, then by the provider's own name of the model. */
export type ModelCatalogue = Readonly<Record<string, Readonly<Record<string, ModelFacts>>>>;

/** `vendor/model:free` is taken for `vendor/model` where the list has no row of its own: a variant of the same weights. */
export function findModel(provider: string, model: string, catalogue: ModelCatalogue): ModelFacts | undefined {
  const models = Object.hasOwn(catalogue, provider) ? catalogue[provider] : undefined;
  if (models === undefined) return undefined;
  if (Object.hasOwn(models, model)) return models[model];
  // Ollama's own reading of a name without a tag.
  if (Object.hasOwn(models, `${model}:latest`)) return models[`${model}:latest`];
  // `qwen2.5:72b` is no variant of `qwen2.5`.
  const plain = model.replace(/:[a-z]+$/, "");
  return Object.hasOwn(models, plain) ? models[plain] : undefined;
}

/** The window, or where only that is known, the largest that it could be: what is larger does not fit (tokens). */
export function largestWindow(facts: ModelFacts | undefined): number | undefined {
  return facts?.context ?? facts?.maxContext;
}

/**
 * Whether a call costs money by the token; undefined where nobody says. A `:free` name is never billed, even where the
 * facts are those of the paid variant: OpenRouter answers 404 for a free variant that is gone.
 */
export function isPaid(model: string, facts: ModelFacts | undefined): boolean | undefined {
  if (model.endsWith(":free") || facts?.isFree === true) return false;
  if (facts?.usd === undefined) return undefined;
  return (facts.usd[0] ?? 0) > 0 || (facts.usd[1] ?? 0) > 0;
}
