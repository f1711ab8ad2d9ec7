/** Finds and reads the config file as plain JSON; what it means is for schema.ts (the gateway) or settings.ts (the launcher). */

import { readFileSync } from "node:fs";
import { ClutchError } from "../errors.ts";
import type { Json } from "../protocols/chat.ts";
import type { Homes } from "./paths.ts";

export interface RawConfig {
  /** Undefined when there is no file: every value is then the default. */
  path: string | undefined;
  /** True for the predecessor's `~/.xx/config.json`. */
  legacy: boolean;
  value: Json;
}

/** @throws {ClutchError} `config-unreadable` or `config-invalid`, with line and column */
export async function readConfigFile(homes: Homes): Promise<RawConfig> {
  for (const [path, legacy] of [
    [homes.configFile, false],
    [homes.legacyConfigFile, true],
  ] as const) {
    const text = path === undefined ? undefined : readText(path);
    if (path !== undefined && text !== undefined) return { path, legacy, value: await parseJsonc(text, path) };
  }
  if (homes.isConfigNamed) {
    throw new ClutchError("config-unreadable", `CLUTCH_CONFIG is ${homes.configFile}, which is not there`, {
      hint: "correct the path, or unset it to use the default place",
    });
  }
  return { path: undefined, legacy: false, value: {} };
}

function readText(path: string): string | undefined {
  try {
    // Some editors on Windows put a byte order mark before it.
    return readFileSync(path, "utf8").replace(/^\uFEFF/, "");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new ClutchError("config-unreadable", `cannot read ${path} (${code})`, {
      hint: `check its owner and mode`,
      cause,
    });
  }
}

/** Plain JSON takes the fast path; the JSONC library is loaded only for comments, trailing commas, or a mistake. */
async function parseJsonc(text: string, path: string): Promise<Json> {
  try {
    return JSON.parse(text) as Json;
  } catch {
    const { parseJsonc: parseWithComments } = await import("./jsonc.ts");
    return parseWithComments(text, path);
  }
}
