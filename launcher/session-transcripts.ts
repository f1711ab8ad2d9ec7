/**
 * Sessions that are kept as JSON lines, one file a session. Only names, dates and the first bytes of the newest files are
 * looked at, and their last bytes where a name may stand there: some of these files have hundreds of megabytes.
 */

import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { basename } from "node:path";
import type { Env } from "../src/config/paths.ts";
import type { Json, JsonObject } from "../src/protocols/chat.ts";
import { isObject } from "../src/protocols/json.ts";
import type { AgentSession } from "./sessions.ts";

export interface TranscriptStore {
  /** Paths, in no order; other files may be among them. */
  find(cwd: string, env: Env): string[];
  /** Sessions of other folders lie there too, so one that does not tell its folder is nobody's. */
  isShared?: boolean;
  /** Its first group is the session's id. */
  fileName: RegExp;
  /** How much of a file's end may hold a name. */
  tailBytes?: number;
  /** What one line says of the session. */
  tell(record: JsonObject): Telling;
}

/** Of each kind the first is taken, but the last of the names; what is no text does not count. */
export interface Telling {
  /** Given by the person. */
  name?: Json;
  /** Given by the agent. */
  guessedName?: Json;
  firstPrompt?: Json;
  lastPrompt?: Json;
  /** It belongs to another session, whose sub-agent it is. */
  isHidden?: boolean;
}

/** The folder stands near the beginning in all of these formats. */
const folderBytes = 8 * 1024;
/** Codex writes 32 KB of instructions and tools before the first message, and a project's own come on top. */
const headBytes = 128 * 1024;
/** Where the sessions of all folders lie together: how many of the newest are asked for theirs. */
const maxFilesAsked = 300;

/** The sessions of the folder, newest first. Throws what the file system throws. */
export function listTranscripts(store: TranscriptStore, cwd: string, env: Env, limit: number): AgentSession[] {
  const newest = store
    .find(cwd, env)
    .flatMap((path) => candidate(store, path))
    .sort((one, other) => other.updatedAtMs - one.updatedAtMs)
    .slice(0, maxFilesAsked);
  const sessions: AgentSession[] = [];
  for (const file of newest) {
    if (sessions.length === limit) break;
    const session = readSession(store, file, cwd);
    if (session !== undefined) sessions.push(session);
  }
  return sessions;
}

interface Candidate {
  id: string;
  path: string;
  updatedAtMs: number;
}

function candidate(store: TranscriptStore, path: string): Candidate[] {
  const id = store.fileName.exec(basename(path))?.[1];
  const updatedAtMs = id === undefined ? undefined : statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return id === undefined || updatedAtMs === undefined ? [] : [{ id, path, updatedAtMs: Math.round(updatedAtMs) }];
}

/** Undefined for a file that is of another folder, is no session of its own, or cannot be read. */
function readSession(
  store: TranscriptStore,
  { id, path, updatedAtMs }: Candidate,
  cwd: string,
): AgentSession | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch {
    return undefined;
  }
  try {
    // Two folders can share a slug (`a.b` and `a-b`), and Codex keeps all folders' sessions together.
    const folder = recordedFolder(readAt(descriptor, 0, folderBytes));
    if (folder === undefined ? store.isShared === true : folder !== cwd) return undefined;
    const { size } = fstatSync(descriptor);
    const head = readAt(descriptor, 0, headBytes);
    const tailStart = Math.max(headBytes, size - (store.tailBytes ?? 0));
    const tail =
      store.tailBytes === undefined || tailStart >= size ? "" : readAt(descriptor, tailStart, store.tailBytes);
    const title = tellTitle(store, [...records(head), ...records(tail)]);
    return title === hidden ? undefined : { id, updatedAtMs, title };
  } catch {
    return undefined;
  } finally {
    closeSync(descriptor);
  }
}

/** The first one is where the session began. Inside a text it would stand with escaped quotes. */
function recordedFolder(head: string): string | undefined {
  const quoted = /"cwd":("(?:[^"\\]|\\.)*")/.exec(head)?.[1];
  try {
    return quoted === undefined ? undefined : JSON.parse(quoted);
  } catch {
    return undefined;
  }
}

const hidden = Symbol("a part of another session");

function tellTitle(store: TranscriptStore, lines: readonly JsonObject[]): string | typeof hidden | undefined {
  const found: Partial<Record<"name" | "guessedName" | "firstPrompt" | "lastPrompt", string>> = {};
  for (const record of lines) {
    const told = store.tell(record);
    if (told.isHidden === true) return hidden;
    found.name = words(told.name) ?? found.name;
    found.guessedName = words(told.guessedName) ?? found.guessedName;
    found.firstPrompt ??= prompt(told.firstPrompt);
    found.lastPrompt = prompt(told.lastPrompt) ?? found.lastPrompt;
  }
  return found.name ?? found.guessedName ?? found.firstPrompt ?? found.lastPrompt;
}

function words(value: Json | undefined): string | undefined {
  return typeof value === "string" && value.trim() !== "" ? value : undefined;
}

/** Agents write commands and context of their own as messages of the user, in tags such as `<command-name>`. */
function prompt(value: Json | undefined): string | undefined {
  const text = words(value);
  return text === undefined || /^\s*<[a-z_-]+>/.test(text) ? undefined : text;
}

/** Whole lines alone: the first of a tail and the last of a head are mostly cut. */
function records(text: string): JsonObject[] {
  return text.split("\n").flatMap((line) => {
    if (!line.startsWith("{")) return [];
    try {
      const value: Json = JSON.parse(line);
      return isObject(value) ? [value] : [];
    } catch {
      return [];
    }
  });
}

function readAt(descriptor: number, position: number, length: number): string {
  const buffer = Buffer.alloc(length);
  const count = readSync(descriptor, buffer, 0, length, position);
  return buffer.toString("utf8", 0, count);
}

// ---- where files lie

export function findByFolder(folder: string): string[] {
  return readFolder(folder).map((name) => `${folder}/${name}`);
}

/** In all folders of `root` whose names begin so. */
export function findByFolderStart(root: string, start: string): string[] {
  return readFolder(root)
    .filter((name) => name.startsWith(start))
    .flatMap((name) => findByFolder(`${root}/${name}`));
}

/** In `root/YYYY/MM/DD`, newest days first, and no further than enough files have been found. */
export function findByMonth(root: string): string[] {
  const found: string[] = [];
  const newestFirst = (folder: string) => readFolder(folder).sort().reverse();
  for (const year of newestFirst(root)) {
    for (const month of newestFirst(`${root}/${year}`)) {
      for (const day of newestFirst(`${root}/${year}/${month}`)) {
        if (found.length >= maxFilesAsked) return found;
        found.push(...findByFolder(`${root}/${year}/${month}/${day}`));
      }
    }
  }
  return found;
}

function readFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
