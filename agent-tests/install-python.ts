/** Programs from PyPI, each in a virtual environment of its own, by a list of exact versions. */

import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { failureOf } from "./install-cache.ts";

const installTimeoutMs = 5 * 60_000;

export interface PythonProgram {
  /** As it is called. */
  name: string;
  /** A list for pip: every package with its exact version. */
  lockFile: string;
  /** The module and function that its own script calls, such as `tool.cli:main`. */
  entry: string;
}

/** Where the program is; not the environment's own folder, whose Python would hide the machine's. */
export function programFolder(folder: string): string {
  return join(folder, "program");
}

/** Fills the draft folder; resolves to what went wrong, or nothing. */
export async function installFromPyPI(
  draft: string,
  { name, lockFile, entry }: PythonProgram,
): Promise<string | undefined> {
  const python = await findPython(draft);
  if (python === undefined) return `no Python 3.11, 3.12 or 3.13 that runs: ${name} needs one`;
  const pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "-r", lockFile];
  return (
    (await failureOf([python, "-m", "venv", "--clear", draft], draft, installTimeoutMs)) ??
    (await failureOf([join(draft, "bin", "python"), ...pip], draft, installTimeoutMs)) ??
    (await writeProgram(draft, name, entry))
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
async function writeProgram(draft: string, name: string, entry: string): Promise<undefined> {
  const folder = programFolder(draft);
  await mkdir(folder, { recursive: true });
  const [module, main] = entry.split(":");
  const code = `import sys; from ${module} import ${main}; sys.argv[0] = '${name}'; sys.exit(${main}())`;
  const script = `#!/bin/sh\nexec "$(dirname "$0")/../bin/python" -c "${code}" "$@"\n`;
  await writeFile(join(folder, name), script);
  await chmod(join(folder, name), 0o755);
}
