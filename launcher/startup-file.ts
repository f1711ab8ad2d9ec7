/** Reads and replaces a shell's start-up file: whole or not at all, through a symbolic link, with its mode and owner. */

import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { ClutchError } from "../src/errors.ts";

/** Undefined when there is none. @throws {ClutchError} `failed` when it cannot be read */
export function readStartupFile(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT" && !isLink(path)) return undefined;
    throw failure("read", path, cause);
  }
}

/** @throws {ClutchError} `failed` */
export function writeStartupFile(path: string, text: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    const target = isLink(path) ? realpathSync(path) : path;
    const known = statSync(target, { throwIfNoEntry: false });
    const draft = `${target}.clutch-${process.pid}`;
    try {
      writeFileSync(draft, text, { encoding: "latin1", flag: "wx" });
      if (known !== undefined) {
        chmodSync(draft, known.mode & 0o7777);
        if (known.uid !== process.getuid?.() || known.gid !== process.getgid?.())
          chownSync(draft, known.uid, known.gid);
      }
      renameSync(draft, target);
    } finally {
      rmSync(draft, { force: true });
    }
  } catch (cause) {
    throw failure("written", path, cause);
  }
}

/** Beside the file, with its mode; an older copy is replaced. @throws {ClutchError} `failed` */
export function backUp(path: string, text: string): string {
  const copy = backupPath(path);
  try {
    rmSync(copy, { force: true });
    const { mode } = statSync(path);
    writeFileSync(copy, text, { encoding: "latin1", mode: 0o600, flag: "wx" });
    chmodSync(copy, mode & 0o7777);
  } catch (cause) {
    throw failure("written", copy, cause);
  }
  return copy;
}

/** The backup goes once it says no more than the file does. */
export function dropBackup(path: string, text: string): void {
  const copy = backupPath(path);
  if (readStartupFile(copy) === text) rmSync(copy);
}

/** @throws {ClutchError} `failed` */
export function removeStartupFile(path: string): void {
  try {
    rmSync(path);
  } catch (cause) {
    throw failure("removed", path, cause);
  }
}

function backupPath(path: string): string {
  return `${path}.before-clutch`;
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function failure(what: "read" | "written" | "removed", path: string, cause: unknown): ClutchError {
  const code = (cause as NodeJS.ErrnoException).code;
  const reason = code === "ENOENT" && isLink(path) ? "it is a link to nothing" : code;
  return new ClutchError("failed", `${path} cannot be ${what}${reason === undefined ? "" : ` (${reason})`}`, {
    hint: "check the file and its folder",
    cause,
  });
}
