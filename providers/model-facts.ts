/** What a list of models says about one of them. Pure: the list is handed in, such as the snapshot in model-snapshot.json. */

export interface ModelFacts {
  /** The window (tokens), input and output together. */
  context: number;
  /** The largest answer (tokens). */
  output: number;
  /** Takes images. */
  image?: boolean;
  /** Takes tools. */
  tools?: boolean;
  reasoning?: boolean;
  /** List prices in US dollars per million tokens: input, output, cache read, cache write. */
  usd?: readonly number[];
}

/** By provider id, then by the provider's own name of the model. */
export type ModelCatalogue = Readonly<Record<string, Readonly<Record<string, ModelFacts>>>>;

/** `vendor/model:free` is taken for `vendor/model` where the list has no row of its own: a variant of the same weights. */
export function findModel(provider: string, model: string, catalogue: ModelCatalogue): ModelFacts | undefined {
  const models = Object.hasOwn(catalogue, provider) ? catalogue[provider] : undefined;
  if (models === undefined) return undefined;
  const exact = Object.hasOwn(models, model) ? models[model] : undefined;
  const plain = model.replace(/:[a-z]+$/, "");
  return exact ?? (Object.hasOwn(models, plain) ? models[plain] : undefined);
}
