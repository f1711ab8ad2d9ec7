/** Reads the predecessors' files into one draft: `.env` first, then the chain file, then `config.json`, which counts most. */

import { readFileSync } from "node:fs";
import { parseJsonc } from "../config/jsonc.ts";
import type { Env } from "../config/paths.ts";
import { ClutchError } from "../errors.ts";
import { parseDotenv } from "../migrate/dotenv.ts";
import { Draft } from "../migrate/draft.ts";
import { migrateChain } from "../migrate/from-chain.ts";
import { migrateEnv } from "../migrate/from-env.ts";
import { migrateXx } from "../migrate/from-xx.ts";
import type { Predecessors } from "./survey.ts";

/** @throws {ClutchError} `config-unreadable`, or `config-invalid` with line and column */
export function importPredecessors(files: Predecessors, env: Env): Draft {
  const draft = new Draft();
  if (files.env !== undefined) migrateEnv({ variables: parseDotenv(read(files.env)), env }, draft);
  if (files.chain !== undefined) migrateChain(parseJsonc(read(files.chain).replace(/^\uFEFF/, ""), files.chain), draft);
  if (files.xx !== undefined) migrateXx(parseJsonc(read(files.xx).replace(/^\uFEFF/, ""), files.xx), draft);
  return draft;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ClutchError("config-unreadable", `cannot read ${path} (${code})`, { hint: "correct the path", cause });
  }
}
