/** Hermes comes from PyPI, into a virtual environment, by a list of exact versions. It needs Python 3.11, 3.12 or 3.13. */

import { readFileSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { failureOf, type Install, versionFault } from "./install-cache.ts";

const lockFile = join(import.meta.dir, "agents", "hermes.txt");
const installTimeoutMs = 5 * 60_000;

export const hermesInstall: Install = {
  label: `hermes-agent ${hermesVersion()} from PyPI (230 MB)`,
  lockFile,
  variant: "hermes",
  make: installFromPyPI,
  findFault: (folder) => versionFault(join(programFolder(folder), "hermes"), hermesVersion(), process.env.PATH ?? ""),
};

/** Version of `hermes-agent` in the lock. */
export function hermesVersion(): string {
  return /^hermes-agent==(\S+)$/m.exec(readFileSync(lockFile, "utf8"))?.[1] ?? "?";
}

/** Where `hermes` is; not the environment's own folder, whose Python would hide the machine's. */
export function programFolder(folder: string): string {
  return join(folder, "program");
}

async function installFromPyPI(draft: string): Promise<string | undefined> {
  const python = await findPython(draft);
  if (python === undefined) return "no Python 3.11, 3.12 or 3.13 that runs: Hermes needs one";
  const pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "-r", lockFile];
  return (
    (await failureOf([python, "-m", "venv", "--clear", draft], draft, installTimeoutMs)) ??
    (await failureOf([join(draft, "bin", "python"), ...pip], draft, installTimeoutMs)) ??
    (await writeProgram(draft))
  );
}

/** A name on PATH may be a shim without a Python behind it. */
async function findPython(cwd: string): Promise<string | undefined> {
  const check = "import sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))";
  for (const name of ["python3.11", "python3.12", "python3.13", "python3"]) {
    const path = Bun.which(name);
    if (path !== null && (await failureOf([path, "-c", check], cwd, 20_000)) === undefined) return path;
  }
  return undefined;
}

/** The script that pip makes holds the path of the draft; this one finds its Python beside itself. */
async function writeProgram(draft: string): Promise<undefined> {
  const folder = programFolder(draft);
  await mkdir(folder, { recursive: true });
  const main = "import sys; from hermes_cli.main import main; sys.argv[0] = 'hermes'; sys.exit(main())";
  const script = `#!/bin/sh\nexec "$(dirname "$0")/../bin/python" -c "${main}" "$@"\n`;
  await writeFile(join(folder, "hermes"), script);
  await chmod(join(folder, "hermes"), 0o755);
}
