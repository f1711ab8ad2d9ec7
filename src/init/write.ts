/** Writes what a set-up has decided: whole or not at all, with a copy of what was there. */

import { chmodSync, copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type ConfigEdit, editConfig } from "../config/edit.ts";
import { configJsonSchema } from "../config/json-schema.ts";
import { parseJsonc } from "../config/jsonc.ts";
import type { Change } from "../config/jsonc-edit.ts";
import type { Homes } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { ClutchError } from "../errors.ts";
import { additions, replaceAll } from "./compose.ts";
import type { SetUp } from "./set-up.ts";

const schemaName = "config.schema.json";

export interface SetUpEdit {
  isChanged: boolean;
  diff: string;
  /** Settings that the file has in another way, and keeps. */
  kept: string[];
  /** @returns the copy of the file as it was, where there was one */
  write(): Promise<string | undefined>;
}

/** @param check throws what stands against a config that its schema takes */
export async function planSetUpEdit(
  { existing, isThere, replaces, wanted }: SetUp,
  homes: Homes,
  check: (config: Config) => void,
): Promise<SetUpEdit> {
  const isAdded = isThere && !replaces;
  const full = isAdded ? wanted : { $schema: `./${schemaName}`, ...wanted };
  const { changes, kept } = isAdded ? additions(existing, full) : { changes: replaceAll(existing, full), kept: [] };
  const { isChanged, diff } = await edit(homes, changes, check, true, replaces);
  return {
    isChanged,
    diff,
    kept,
    async write() {
      const backup = isThere ? keepCopy(homes.configFile) : undefined;
      if (replaces) emptyBroken(homes.configFile);
      await edit(homes, changes, check, false, replaces);
      writeSchema(join(dirname(homes.configFile), schemaName));
      return backup;
    },
  };
}

/** Of that name another file may be there, which is not ours to write over. */
function writeSchema(path: string): void {
  const schema = configJsonSchema();
  const isOurs = (text: string) => text.includes(`"title": ${JSON.stringify(schema["title"])}`);
  if (existsSync(path) && !isOurs(readFileSync(path, "utf8"))) return;
  writeFileSync(path, `${JSON.stringify(schema, null, 2)}\n`, { mode: 0o600 });
}

/** Ours alone: the predecessor's file is never written. */
async function edit(
  homes: Homes,
  changes: readonly Change[],
  check: (config: Config) => void,
  isDryRun: boolean,
  replaces: boolean,
): Promise<Pick<ConfigEdit, "isChanged" | "diff">> {
  const own: Homes = { ...homes, legacyConfigFile: undefined, isConfigNamed: false };
  try {
    return await editConfig({ homes: own, plan: () => changes, check, isDryRun });
  } catch (error) {
    // A file that is to be replaced may be broken.
    if (!(replaces && isDryRun && error instanceof ClutchError && error.code === "config-invalid")) throw error;
    return { isChanged: true, diff: "" };
  }
}

/** What is no JSON cannot be edited member by member; its copy has been kept. */
function emptyBroken(path: string): void {
  try {
    parseJsonc(readFileSync(path, "utf8").replace(/^\uFEFF/, ""), path);
  } catch {
    writeFileSync(path, "{}\n");
  }
}

function keepCopy(path: string): string {
  const copy = `${path}.bak-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}`;
  copyFileSync(path, copy);
  chmodSync(copy, 0o600);
  return copy;
}
