/**
 * Headroom comes from PyPI too; it is no agent, so only its own test and the bench ask for it. Run as a script it installs
 * and says where.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeTokenizerTables } from "../src/lifecycle/chain/tokenizer-tables.ts";
import { findOrInstall, type Install, oneLine, type Report, versionFault } from "./install-cache.ts";
import { installFromPyPI, programFolder } from "./install-python.ts";

const lockFile = join(import.meta.dir, "agents", "headroom.txt");

const headroomInstall: Install = {
  label: `headroom-ai ${headroomVersion()} from PyPI (800 MB)`,
  lockFile,
  variant: "headroom",
  make: async (draft) =>
    (await installFromPyPI(draft, { name: "headroom", lockFile, entry: "headroom.cli:main" })) ??
    (await writeTables(draft)),
  findFault: (folder) =>
    versionFault(join(programFolder(folder), "headroom"), headroomVersion(), process.env.PATH ?? ""),
};

export type HeadroomResult = { ok: true; file: string; tokenizerDir: string } | { ok: false; reason: string };

/** Never throws: what went wrong is the reason. */
export async function installHeadroom(report: Report = console.log): Promise<HeadroomResult> {
  try {
    const folder = await findOrInstall(headroomInstall, report);
    return { ok: true, file: join(programFolder(folder), "headroom"), tokenizerDir: tablesOf(folder) };
  } catch (error) {
    return { ok: false, reason: oneLine(error instanceof Error ? error.message : String(error)) };
  }
}

/** Version of `headroom-ai` in the lock. */
export function headroomVersion(): string {
  return /^headroom-ai==(\S+)$/m.exec(readFileSync(lockFile, "utf8"))?.[1] ?? "?";
}

function tablesOf(folder: string): string {
  return join(folder, "tables");
}

async function writeTables(draft: string): Promise<undefined> {
  await writeTokenizerTables(tablesOf(draft));
}

if (import.meta.main) {
  const result = await installHeadroom();
  if (result.ok) console.log(`headroom: ready at ${result.file}`);
  else {
    console.error(`headroom: cannot be installed: ${result.reason}`);
    process.exitCode = 1;
  }
}
