/** How large a conversation may become with the models that a launch can meet: what agents are told, so that they shorten in time. Pure. */

import { findModel, type ModelCatalogue } from "../providers/model-facts.ts";
import { parseModelReference } from "../providers/model-reference.ts";

export interface Limits {
  /** Input and output together. */
  contextTokens: number;
  outputTokens: number;
}

/**
 * For models that no list knows, and local ones that are not in memory, whose window nobody tells. An agent that believes in too large a window fails at its end; one that believes in too
 * small a window shortens too early: this is the window of most models that are served today.
 */
export const assumedLimits: Limits = { contextTokens: 131_072, outputTokens: 32_768 };

/** Larger answers are no use to an agent, and what is reserved for the answer is missing for the conversation. */
const usefulOutputTokens = 65_536;
const outputShare = 1 / 4;

export interface ModelNames {
  isProvider(id: string): boolean;
  defaultProvider: string;
}

/** @param models references, in any order; empty names are skipped */
export function smallestLimits(models: readonly string[], names: ModelNames, catalogue: ModelCatalogue): Limits {
  const known = models
    .filter((model) => model !== "")
    .map((model) => {
      const { provider, model: name } = parseModelReference(model, names.isProvider, names.defaultProvider);
      const facts = findModel(provider, name, catalogue);
      const { contextTokens, outputTokens } = assumedLimits;
      return {
        contextTokens: facts?.context ?? Math.min(contextTokens, facts?.maxContext ?? contextTokens),
        outputTokens: facts?.output ?? outputTokens,
      };
    });
  const all = known.length === 0 ? [assumedLimits] : known;
  const contextTokens = Math.min(...all.map((limits) => limits.contextTokens));
  const outputTokens = Math.min(...all.map((limits) => limits.outputTokens), usefulOutputTokens);
  return { contextTokens, outputTokens: Math.min(outputTokens, Math.floor(contextTokens * outputShare)) };
}
