/** Saved modes: one small file each, beside the config. */

import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseJsonc } from "../config/jsonc.ts";
import { parseConfig } from "../config/schema.ts";
import { ClutchError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import type { JsonObject } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";
import { isTemplate, templateNames } from "./names.ts";
import { readSetup } from "./setup.ts";

/** What was in force before the last one was loaded. */
export const previousMode = "previous";

export function modesFolder(configFile: string): string {
  return join(dirname(configFile), "modes");
}

/** Saved ones, by name. */
export function savedModes(folder: string): string[] {
  try {
    return readdirSync(folder)
      .flatMap((name) => /^([a-z0-9][a-z0-9-]{0,31})\.json$/.exec(name)?.[1] ?? [])
      .sort();
  } catch {
    return [];
  }
}

function isModeName(name: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,31}$/.test(name);
}

/** @throws {ClutchError} `usage` for what cannot be a saved mode's name */
export function checkModeName(name: string): string {
  if (isTemplate(name)) {
    throw new ClutchError("usage", `${name} is one of Clutch's own modes`, { hint: "save yours under another name" });
  }
  if (isModeName(name)) return name;
  throw new ClutchError("usage", `"${name}" is no name for a mode`, {
    hint: "use lower-case letters, digits and hyphens, up to 32",
  });
}

/**
 * @throws {ClutchError} `usage` for a name that is not there, `config-invalid` for a file that is broken or holds what a
 *   config may not
 */
export function readMode(folder: string, name: string): JsonObject {
  const path = join(folder, `${name}.json`);
  let text: string;
  try {
    // A name is no path.
    if (!isModeName(name)) throw new Error(`"${name}" is no name`);
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const known = [...templateNames, ...savedModes(folder)];
    const near = nearest(name, known);
    throw new ClutchError("usage", `there is no mode "${name}"`, {
      hint: near === undefined ? `there are ${known.join(", ")}` : `did you mean ${near}?`,
      cause,
    });
  }
  const value = parseJsonc(text.replace(/^\uFEFF/, ""), path);
  parseConfig(value, path);
  return readSetup(isObject(value) ? value : {});
}

/** Whole or not at all, and closed to others: routes can hold what is nobody's business. */
export function writeMode(folder: string, name: string, setup: JsonObject): string {
  const path = join(folder, `${name}.json`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const draft = `${path}.clutch-${process.pid}`;
    rmSync(draft, { force: true });
    writeFileSync(draft, `${JSON.stringify(setup, null, 2)}\n`, { flag: "wx", mode: 0o600 });
    chmodSync(draft, 0o600);
    renameSync(draft, path);
    return path;
  } catch (cause) {
    throw new ClutchError("failed", `${path} cannot be written (${(cause as NodeJS.ErrnoException).code})`, {
      hint: "check the owner, the mode and the space of its folder",
      cause,
    });
  }
}

/** @returns whether there was one */
export function deleteMode(folder: string, name: string): boolean {
  if (!savedModes(folder).includes(name)) return false;
  rmSync(join(folder, `${name}.json`));
  return true;
}
