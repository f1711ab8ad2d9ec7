/** Where lists and what follows from them are kept: each file is replaced whole, and readable by its owner alone. */

import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { ModelCatalogue } from "../../providers/model-facts.ts";
import type { ListCopies, ListCopy } from "./catalogue.ts";
import type { PinMemory } from "./drift.ts";
import { type LetterModels, launchModelsPath, launchModelsSchema } from "./launch-models.ts";

const listsSchema = 1;
const pinsSchema = 1;

export function listsPath(cacheDir: string): string {
  return `${cacheDir}/models.json`;
}

/** A file that cannot be read is one that is fetched again. */
export function readLists(cacheDir: string): ListCopies {
  const file = readJson(listsPath(cacheDir)) as { schema?: number; lists?: Record<string, ListCopy> } | undefined;
  if (file?.schema !== listsSchema) return {};
  const isCopy = (copy: ListCopy | undefined): copy is ListCopy =>
    typeof copy?.url === "string" && typeof copy.checkedAt === "number" && typeof copy.providers === "object";
  const { openrouter, "models.dev": modelsDev } = file.lists ?? {};
  return { ...(isCopy(openrouter) && { openrouter }), ...(isCopy(modelsDev) && { "models.dev": modelsDev }) };
}

export function writeLists(cacheDir: string, lists: ListCopies): void {
  writePrivate(listsPath(cacheDir), { schema: listsSchema, lists });
}

export function writeLaunchModels(cacheDir: string, letters: LetterModels, catalogue: ModelCatalogue): void {
  const models = Object.fromEntries(
    Object.entries(catalogue).map(([provider, rows]) => [
      provider,
      Object.fromEntries(
        Object.entries(rows).map(([id, { context, maxContext, output }]) => [id, { context, maxContext, output }]),
      ),
    ]),
  );
  writePrivate(launchModelsPath(cacheDir), { schema: launchModelsSchema, letters, models });
}

function pinsPath(stateDir: string): string {
  return `${stateDir}/model-pins.json`;
}

export function readPinMemory(stateDir: string): PinMemory {
  const file = readJson(pinsPath(stateDir)) as { schema?: number; pins?: PinMemory } | undefined;
  return file?.schema === pinsSchema && typeof file.pins === "object" ? file.pins : {};
}

export function writePinMemory(stateDir: string, pins: PinMemory): void {
  writePrivate(pinsPath(stateDir), { schema: pinsSchema, pins });
}

/** Tells whether a file was replaced since; `-` where there is none. */
export function stampOf(path: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs}/${size}/${ino}`;
  } catch {
    return "-";
  }
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

function writePrivate(path: string, value: unknown): void {
  const draft = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  try {
    writeFileSync(draft, `${JSON.stringify(value)}\n`, { mode: 0o600 });
    renameSync(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
}
