/**
 * Which of Claude Code's sub-agents sends a request. It says that one does (`x-claude-code-agent-id`), not which: that is
 * found by its instructions, which begin with the prompt of its definition (measured 2026-11-20 with Claude Code 2.1.328:
 * the third system block is the trimmed prompt and then Claude Code's own words; the second-block comparison of older
 * routers no longer matches). Definitions are Markdown files below `.claude/agents`, folders within included, of the
 * project and of the user; the project's come first.
 */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Piece } from "./request-outline.ts";

/** Sent with each request of a sub-agent and none of the main conversation. */
export const subagentHeader = "x-claude-code-agent-id";

export interface Definition {
  name: string;
  /** Trimmed; never empty. */
  prompt: string;
}

/** What a file says; undefined when it is no definition. @param path names it where its header does not */
export function parseDefinition(text: string, path: string): Definition | undefined {
  const [, header = "", body = ""] = /^\ufeff?---\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n([\s\S]*))?$/.exec(text) ?? [];
  const named = /^name:[ \t]*(.+?)[ \t]*$/m.exec(header)?.[1]?.replace(/^(["'])(.*)\1$/, "$2");
  const prompt = body.replaceAll("\r\n", "\n").trim();
  return header === "" || prompt === "" ? undefined : { name: named ?? basename(path, ".md"), prompt };
}

/** Claude Code's own sub-agents, by the first words of their instructions (measured as above). */
const builtIn: readonly Definition[] = [
  { name: "Explore", prompt: "You are a file search specialist for Claude Code" },
  { name: "Plan", prompt: "You are a software architect and planning specialist for Claude Code" },
  { name: "general-purpose", prompt: "You are an agent for Claude Code, Anthropic's official CLI for Claude. Given" },
];

/** The longest prompt wins, should one begin with another; a definition of the project before the same of the user. */
export function matchDefinition(notes: readonly string[], definitions: readonly Definition[]): string | undefined {
  let best: Definition | undefined;
  for (const definition of [...definitions, ...builtIn]) {
    if (definition.prompt.length <= (best?.prompt.length ?? 0)) continue;
    if (notes.some((note) => note.trimStart().startsWith(definition.prompt))) best = definition;
  }
  return best?.name;
}

/**
 * The folder the agent works in, as Claude Code tells the model: `Primary working directory: …` in a note after the first
 * prompt (2.1.328), `Working directory: …` in the system prompt before that.
 */
export function workingFolder(pieces: readonly Piece[]): string | undefined {
  for (const { role, text } of pieces) {
    if (role !== "note") continue;
    const found = /^[ \t]*(?:-[ \t]*)?(?:Primary w|W)orking directory: (\/[^\n]*?)[ \t]*$/m.exec(text)?.[1];
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Folders looked at above the working one, the nearest first. */
const maxLevels = 12;
/** Files and folders read below one `agents` folder. */
const maxEntries = 200;
const maxFileBytes = 128 * 1024;
/** Projects remembered. */
const maxFolders = 64;
/** How long a look at the disk is believed (ms): a sub-agent asks several times a second. */
const freshMs = 2_000;

interface Look {
  atMs: number;
  definitions: Definition[];
}

export interface SubagentDeps {
  /** The search above a project ends here. */
  home: string | undefined;
  /** Claude Code's own folder, usually `~/.claude`. */
  userFolder: string | undefined;
  now(): number;
}

export class SubagentFinder {
  readonly #deps: SubagentDeps;
  #looks = new Map<string, Look>();
  #files = new Map<string, { mtimeMs: number; size: number; definition: Definition | undefined }>();

  constructor(deps: SubagentDeps) {
    this.#deps = deps;
  }

  /** @param folder the launch's, if it is known; otherwise the request tells */
  find(pieces: readonly Piece[], folder = workingFolder(pieces)): string | undefined {
    const notes = pieces.flatMap(({ role, text }) => (role === "note" ? text : []));
    return matchDefinition(notes, this.#definitions(folder));
  }

  #definitions(folder: string | undefined): Definition[] {
    const key = folder ?? "";
    const now = this.#deps.now();
    const known = this.#looks.get(key);
    if (known !== undefined && now - known.atMs < freshMs && now >= known.atMs) return known.definitions;
    const definitions = this.#folders(folder).flatMap((path) => this.#readFolder(path));
    this.#looks.delete(key);
    this.#looks.set(key, { atMs: now, definitions });
    const [oldest] = this.#looks.keys();
    if (this.#looks.size > maxFolders && oldest !== undefined) this.#looks.delete(oldest);
    return definitions;
  }

  /** The working folder and those above it (Claude Code finds a project's from a folder within), then the user's. */
  #folders(folder: string | undefined): string[] {
    const { home, userFolder } = this.#deps;
    const found: string[] = [];
    let here = folder;
    for (let level = 0; here !== undefined && here !== home && level < maxLevels; level++) {
      found.push(join(here, ".claude/agents"));
      here = dirname(here) === here || exists(join(here, ".git")) ? undefined : dirname(here);
    }
    return userFolder === undefined ? found : [...found, join(userFolder, "agents")];
  }

  #readFolder(folder: string): Definition[] {
    const files: string[] = [];
    const open = [folder];
    let left = maxEntries;
    for (let here = open.shift(); here !== undefined; here = open.shift()) {
      for (const entry of list(here)) {
        if (left-- <= 0) return this.#readFiles(files);
        const path = join(here, entry.name);
        if (entry.isDirectory()) open.push(path);
        else if (entry.name.endsWith(".md")) files.push(path);
      }
    }
    return this.#readFiles(files);
  }

  #readFiles(files: readonly string[]): Definition[] {
    return files.flatMap((path) => this.#readFile(path) ?? []);
  }

  #readFile(path: string): Definition | undefined {
    try {
      const { mtimeMs, size } = statSync(path);
      const known = this.#files.get(path);
      if (known !== undefined && known.mtimeMs === mtimeMs && known.size === size) return known.definition;
      const definition = size > maxFileBytes ? undefined : parseDefinition(readFileSync(path, "utf8"), path);
      if (this.#files.size >= maxFolders * maxEntries) this.#files.clear();
      this.#files.set(path, { mtimeMs, size, definition });
      return definition;
    } catch {
      return undefined;
    }
  }
}

function list(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
