/**
 * The small file that the launcher reads of all that is known of models: windows and output limits, and what tiers `m` and
 * `f` stand for. A running gateway writes what it goes by itself, so that launches mean the same; without one, `clutch models`.
 */

import { readFileSync } from "node:fs";
import type { ModelCatalogue } from "../../providers/model-facts.ts";

export interface LetterModel {
  /** A model reference. */
  model: string;
  /** Why this one: where it is from and of when. */
  reason: string;
  /** What it stood for before, newest first: a session that began then still names it. */
  former?: readonly string[];
}

/** A letter without a model is absent: nothing that is known fits it. */
export interface LetterModels {
  m?: LetterModel;
  f?: LetterModel;
}

export interface LaunchModels {
  letters: LetterModels;
  /** Windows and output limits alone. */
  catalogue: ModelCatalogue;
}

export const launchModelsSchema = 1;

export function launchModelsPath(cacheDir: string): string {
  return `${cacheDir}/launch-models.json`;
}

/** Undefined where no gateway has written one yet, or a newer Clutch has. */
export function readLaunchModels(cacheDir: string): LaunchModels | undefined {
  try {
    const file = JSON.parse(readFileSync(launchModelsPath(cacheDir), "utf8"));
    return file.schema === launchModelsSchema ? { letters: file.letters, catalogue: file.models } : undefined;
  } catch {
    return undefined;
  }
}
