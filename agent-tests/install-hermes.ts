/** Hermes comes from PyPI. It needs Python 3.11, 3.12 or 3.13. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Install, versionFault } from "./install-cache.ts";
import { installFromPyPI, programFolder } from "./install-python.ts";

const lockFile = join(import.meta.dir, "agents", "hermes.txt");

export const hermesInstall: Install = {
  label: `hermes-agent ${hermesVersion()} from PyPI (230 MB)`,
  lockFile,
  variant: "hermes",
  make: (draft) => installFromPyPI(draft, { name: "hermes", lockFile, entry: "hermes_cli.main:main" }),
  findFault: (folder) => versionFault(join(programFolder(folder), "hermes"), hermesVersion(), process.env.PATH ?? ""),
};

/** Version of `hermes-agent` in the lock. */
export function hermesVersion(): string {
  return /^hermes-agent==(\S+)$/m.exec(readFileSync(lockFile, "utf8"))?.[1] ?? "?";
}
