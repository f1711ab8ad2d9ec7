/**
 * Edits the config file that is in force: under a lock, checked before anything is written, whole or not at all, with the file's
 * mode and owner, through symbolic links. What is changed is for the caller to say; `jsonc-edit.ts` keeps the rest of the text.
 */

import {
  accessSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { ClutchError, renderError } from "../errors.ts";
import type { Json } from "../protocols/chat.ts";
import { realPath } from "../real-path.ts";
import { parseJsonc } from "./jsonc.ts";
import { applyChanges, type Change } from "./jsonc-edit.ts";
import { maskEdit } from "./mask.ts";
import type { Homes } from "./paths.ts";
import { type Config, parseConfig } from "./schema.ts";
import { renderUnifiedDiff } from "./unified-diff.ts";

export type { Change, Path } from "./jsonc-edit.ts";

/** The config file as it is before an edit. */
export interface CurrentConfig {
  /** Of the file in force, or of the one that will be made. */
  path: string;
  /** The predecessor's file, whose unknown keys are no fault. */
  isLegacy: boolean;
  value: Json;
}

export interface EditRequest {
  homes: Homes;
  /** Called again when somebody else changed the file meanwhile. Throws what stands against the edit. */
  plan(current: CurrentConfig): readonly Change[];
  /** Looks at the result, after the schema has; throws what stands against it. */
  check?(config: Config): void;
  /** Says what would be done. */
  isDryRun?: boolean;
}

export interface ConfigEdit {
  path: string;
  isLegacy: boolean;
  /** False for an edit that makes no difference: nothing is written then. */
  isChanged: boolean;
  /** There was no file. */
  isNew: boolean;
  /** Unified, its secrets hidden; empty without a change. */
  diff: string;
}

const lockWaitMs = 5_000;
const lockPollMs = 50;
/** Longer than any edit takes: whoever holds it longer is stopped, or its process id is another's by now. */
const lockLifeMs = 60_000;

/**
 * @throws {ClutchError} `config-invalid` when the file is broken already (with line and column) or would be by the edit,
 *   `config-unreadable`, `failed` when it cannot be locked or written; and what `plan` and `check` throw
 */
export async function editConfig(request: EditRequest): Promise<ConfigEdit> {
  const { homes } = request;
  const place = findFile(homes);
  const first = draftEdit(request, place).edit;
  // What makes no difference needs neither a lock nor a folder.
  if (request.isDryRun || !first.isChanged) return first;
  const unlock = await takeLock(place.path);
  try {
    for (let attempt = 0; ; attempt++) {
      const { edit, before, after } = draftEdit(request, place);
      if (!edit.isChanged) return edit;
      // An editor takes no lock.
      if (readText(place.path) === before) {
        writeWhole(place.path, after);
        return edit;
      }
      if (attempt === 2) throw failure("edited", place.path, "somebody else keeps changing it");
    }
  } finally {
    unlock();
  }
}

export interface Place {
  path: string;
  isLegacy: boolean;
}

/**
 * Where the config file in force is, or will be made.
 * @throws {ClutchError} `config-unreadable` when CLUTCH_CONFIG names one that is not there
 */
export function findFile({ configFile, legacyConfigFile, isConfigNamed }: Homes): Place {
  if (isThere(configFile)) return { path: configFile, isLegacy: false };
  if (isConfigNamed) {
    throw new ClutchError("config-unreadable", `CLUTCH_CONFIG is ${configFile}, which is not there`, {
      hint: "correct the path, or unset it to use the default place",
    });
  }
  // A file of ours beside it would put everything in it out of force.
  if (legacyConfigFile !== undefined && isThere(legacyConfigFile)) return { path: legacyConfigFile, isLegacy: true };
  return { path: configFile, isLegacy: false };
}

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (cause) {
    // Something on the way is no folder.
    if ((cause as NodeJS.ErrnoException).code === "ENOTDIR") return false;
    throw failure("read", path, cause);
  }
}

function draftEdit(
  request: EditRequest,
  { path, isLegacy }: Place,
): { edit: ConfigEdit; before: string | undefined; after: string } {
  const before = readText(path);
  const text = before ?? "";
  const plain = text.replace(/^\uFEFF/, "");
  const value = plain.trim() === "" ? {} : parseJsonc(plain, path);
  const after = applyChanges(text, request.plan({ path, isLegacy, value }), path);
  const isChanged = after !== text;
  if (isChanged) checkResult(request, after, path, isLegacy);
  const shown = isChanged ? maskEdit(text, after, path) : { before: "", after: "" };
  const names = { before: before === undefined ? "/dev/null" : path, after: path };
  const diff = renderUnifiedDiff(shown.before, shown.after, names);
  return { edit: { path, isLegacy, isChanged, isNew: before === undefined, diff }, before, after };
}

function checkResult({ check }: EditRequest, text: string, path: string, isLegacy: boolean): void {
  try {
    const config = parseConfig(parseJsonc(text.replace(/^\uFEFF/, ""), path), path, isLegacy);
    check?.(config);
  } catch (error) {
    if (!(error instanceof ClutchError)) throw error;
    throw new ClutchError(
      "config-invalid",
      `nothing was written, for the config would not hold: ${renderError(error)}`,
      {
        cause: error,
      },
    );
  }
}

/**
 * Puts a whole text in place of the file, when that is still what it was.
 * @param before undefined for a file that is not there yet
 * @returns false when somebody else has changed it meanwhile: nothing was written then
 * @throws {ClutchError} `failed` when it cannot be locked or written
 */
export async function replaceConfig(path: string, before: string | undefined, after: string): Promise<boolean> {
  const unlock = await takeLock(path);
  try {
    if (readText(path) !== before) return false;
    writeWhole(path, after);
    return true;
  } finally {
    unlock();
  }
}

/** The file's text, undefined where there is none. @throws {ClutchError} `config-unreadable` */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if ((code === "ENOENT" || code === "ENOTDIR") && !isThere(path)) return undefined;
    throw failure("read", path, cause);
  }
}

function writeWhole(path: string, text: string): void {
  const hadFolder = isThere(dirname(path));
  let draft: string | undefined;
  try {
    if (!hadFolder) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const target = isThere(path) ? realPath(path) : path;
    const known = statSync(target, { throwIfNoEntry: false });
    if (known !== undefined) accessSync(target, constants.W_OK);
    draft = `${target}.clutch-${process.pid}`;
    rmSync(draft, { force: true });
    const file = openSync(draft, "wx", 0o600);
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    if (known !== undefined) copyStanding(draft, known);
    renameSync(draft, target);
  } catch (cause) {
    if (draft !== undefined) dropQuietly(draft);
    throw failure("written", path, cause);
  }
}

/** Owner before mode: a change of owner takes bits of the mode away. */
function copyStanding(draft: string, known: Stats): void {
  if (known.uid !== process.getuid?.() || known.gid !== process.getgid?.()) chownSync(draft, known.uid, known.gid);
  chmodSync(draft, known.mode & 0o7777);
}

function dropQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // What cannot be written cannot always be removed either.
  }
}

// ---- the lock

/** Beside the file that is really written, so that two homes with one config meet. @returns how to let go of it */
async function takeLock(path: string): Promise<() => void> {
  const target = isThere(path) ? whereItLeads(path) : path;
  const lock = `${target}.lock`;
  const folder = dirname(target);
  const own = `${process.pid}\n`;
  const endsAtMs = Date.now() + lockWaitMs;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (;;) {
      if (tryLock(lock, own)) return () => releaseLock(lock, own);
      dropStaleLock(lock);
      if (Date.now() > endsAtMs) break;
      await Bun.sleep(lockPollMs);
    }
  } catch (cause) {
    throw failure("locked", path, cause);
  }
  const holder = readHolder(lock)?.pid;
  throw new ClutchError("failed", `${path} is being edited by another clutch (pid ${holder ?? "unknown"})`, {
    hint: `let it finish, or remove ${lock} if there is none`,
  });
}

function whereItLeads(path: string): string {
  try {
    return realPath(path);
  } catch (cause) {
    throw failure("read", path, cause);
  }
}

function tryLock(lock: string, own: string): boolean {
  try {
    writeFileSync(lock, own, { flag: "wx", mode: 0o600 });
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false;
    // A full disk leaves a lock without a holder.
    if (readHolder(lock)?.text === "") dropQuietly(lock);
    throw cause;
  }
}

function releaseLock(lock: string, own: string): void {
  try {
    if (readFileSync(lock, "utf8") === own) rmSync(lock);
  } catch {
    // Taken over by somebody who thought this process dead.
  }
}

interface Holder {
  text: string;
  pid: number | undefined;
  ageMs: number;
}

function readHolder(lock: string): Holder | undefined {
  try {
    const text = readFileSync(lock, "utf8");
    const pid = Number(text.trim());
    const isPid = text.endsWith("\n") && Number.isInteger(pid) && pid > 0;
    return { text, pid: isPid ? pid : undefined, ageMs: Date.now() - statSync(lock).mtimeMs };
  } catch {
    return undefined;
  }
}

/** Moved away first: of two that find it stale, the second must not take the fresh lock of the first. */
function dropStaleLock(lock: string): void {
  const holder = readHolder(lock);
  if (holder === undefined) return;
  const isDead = holder.pid !== undefined && !isAlive(holder.pid);
  if (!isDead && holder.ageMs < lockLifeMs) return;
  const aside = `${lock}.${process.pid}`;
  try {
    renameSync(lock, aside);
    if (readFileSync(aside, "utf8") !== holder.text) linkSync(aside, lock);
    rmSync(aside, { force: true });
  } catch {
    // Somebody else was faster.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM";
  }
}

function failure(what: "read" | "written" | "locked" | "edited", path: string, cause: unknown): ClutchError {
  if (cause instanceof ClutchError) return cause;
  const code = typeof cause === "string" ? cause : (cause as NodeJS.ErrnoException).code;
  // It is there, and what it leads to is not.
  const isLinkToNothing = code === "ENOENT" && what === "read";
  const reason = isLinkToNothing ? "it is a link to nothing" : code;
  return new ClutchError(what === "read" ? "config-unreadable" : "failed", `${path} cannot be ${what} (${reason})`, {
    hint: "check its owner, its mode and the space of its folder",
    cause,
  });
}
