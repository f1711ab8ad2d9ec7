/**
 * The block of aliases in a shell's start-up file: what it holds, and how it gets in and out without a trace. Pure. Texts
 * are bytes read as Latin-1, so that a file in any encoding comes back as it was; the block itself is ASCII.
 */

import type { Env } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import type { Shell } from "./shells.ts";

/** Names and the launch codes that they stand for. */
export const aliasCodes = {
  cc: "cip",
  ccc: "ccf",
  "cc-debug": "cid",
  "cc-ds": "cipd",
  hsi: "hip",
  hsr: "hcf",
  "hsi-bp": "hib",
  psi: "pip",
  "psi-c": "pcf",
  "psi-ds": "pipd",
  "codex-run": "xip",
  "codex-res": "xcf",
  qw: "qip",
  antigravity: "gid",
  ante: "aip",
  oc: "oip",
} as const satisfies Record<string, string>;

export type AliasName = keyof typeof aliasCodes;

export const aliasNames = Object.keys(aliasCodes) as AliasName[];

/** The function that every alias calls. */
export const guardName = "cg_run";

/**
 * Where the block goes. Fish reads every file of `conf.d` by itself, so there Clutch has a file of its own and the user's
 * config.fish is not touched; zsh and bash have no such folder.
 */
export function startupFile(shell: Shell, env: Env): string {
  switch (shell) {
    case "zsh":
      return `${env["ZDOTDIR"] || home(env)}/.zshrc`;
    case "bash":
      return `${home(env)}/.bashrc`;
    case "fish":
      return `${fishFolder(env)}/conf.d/clutch.fish`;
  }
}

/** The files besides `startupFile` in which people define aliases and functions; those that they load are not followed. */
export function otherStartupFiles(shell: Shell, env: Env): string[] {
  const zsh = env["ZDOTDIR"] || home(env);
  switch (shell) {
    case "zsh":
      return [
        `${home(env)}/.zshenv`,
        ...[".zshenv", ".zprofile", ".zlogin", ".zsh_aliases"].map((name) => `${zsh}/${name}`),
      ];
    case "bash":
      return [".bash_aliases", ".bash_profile", ".bash_login", ".profile"].map((name) => `${home(env)}/${name}`);
    case "fish":
      return [`${fishFolder(env)}/config.fish`];
  }
}

export function fishFolder(env: Env): string {
  const config = env["XDG_CONFIG_HOME"];
  return `${config?.startsWith("/") ? config : `${home(env)}/.config`}/fish`;
}

function home(env: Env): string {
  const folder = env["HOME"];
  if (folder) return folder;
  throw new ClutchError("usage", "HOME is not set, so the shell's start-up file cannot be found", {
    hint: "set HOME",
  });
}

// ---- the block

const begin = "# >>> clutch aliases >>>";
const end = "# <<< clutch aliases <<<";
const madeFile = "# (The file was made for it.)";
const addedLineEnd = "# (The line above had no end.)";

export interface BlockContent {
  names: readonly AliasName[];
  /** False where the user has one: the aliases call that. */
  definesGuard: boolean;
}

/** Without the remarks on the file that `insertBlock` adds. */
export function renderBlock(shell: Shell, { names, definesGuard }: BlockContent): string {
  const lines = [
    begin,
    "# Written by clutch aliases install; clutch aliases uninstall takes it out again.",
    ...(definesGuard ? guard[shell] : []),
    ...names.map((name) => `alias ${name}='${guardName} xx ${aliasCodes[name]}'`),
    end,
  ];
  return `${lines.join("\n")}\n`;
}

const posixGuard = [
  `function ${guardName} {`,
  '  if command -v clutch >/dev/null 2>&1; then command clutch run -- "$@"; else "$@"; fi',
  "}",
];

/** `function name {` holds in zsh even where an alias of that name exists, which `name() {` would not. */
const guard: Readonly<Record<Shell, readonly string[]>> = {
  zsh: posixGuard,
  bash: posixGuard,
  fish: [
    `function ${guardName}`,
    "  if command -q clutch",
    "    command clutch run -- $argv",
    "  else",
    "    $argv",
    "  end",
    "end",
  ],
};

/**
 * The file's text with the block: in the place of the one that is there, else at the end.
 * @param text undefined for a file that does not exist
 * @throws {ClutchError} `failed` for a block that somebody has cut
 */
export function insertBlock(text: string | undefined, block: string): { text: string; block: string } {
  const known = text === undefined ? undefined : findBlock(text);
  if (text !== undefined && known !== undefined) {
    const fresh = withRemarks(
      block,
      [madeFile, addedLineEnd].filter((remark) => known.block.includes(remark)),
    );
    return { text: known.before + fresh + known.after, block: fresh };
  }
  if (text === undefined) {
    const fresh = withRemarks(block, [madeFile]);
    return { text: fresh, block: fresh };
  }
  const isOpen = text !== "" && !text.endsWith("\n");
  const fresh = withRemarks(block, isOpen ? [addedLineEnd] : []);
  return { text: text + (isOpen ? "\n" : "") + fresh, block: fresh };
}

/**
 * The file's text as it was before; null for a file that was not there, and undefined where there is no block.
 * @throws {ClutchError} `failed` for a block that somebody has cut
 */
export function removeBlock(text: string): string | null | undefined {
  const known = findBlock(text);
  if (known === undefined) return undefined;
  const { before, block, after } = known;
  if (before === "" && after === "" && block.includes(madeFile)) return null;
  // What has been appended since would otherwise end up on the open line.
  const wasOpen = block.includes(addedLineEnd) && after === "";
  return (wasOpen ? before.replace(/\r?\n$/, "") : before) + after;
}

/** The text without the block: what the user wrote. */
export function withoutBlock(text: string): string {
  const known = findBlock(text);
  // As many lines as before, so that line numbers stay true.
  return known === undefined ? text : known.before + "\n".repeat(known.block.split("\n").length - 1) + known.after;
}

function withRemarks(block: string, remarks: readonly string[]): string {
  return block.replace(`${begin}\n`, [begin, ...remarks, ""].join("\n"));
}

function findBlock(text: string): { before: string; block: string; after: string } | undefined {
  const starts = lineStarts(text, begin);
  const ends = lineStarts(text, end);
  const [start, secondStart] = starts;
  const [finish, secondFinish] = ends;
  if (start === undefined && finish === undefined) return undefined;
  const isWhole = start !== undefined && finish !== undefined && start < finish;
  if (!isWhole || secondStart !== undefined || secondFinish !== undefined) {
    throw new ClutchError("failed", `the lines "${begin}" and "${end}" do not stand there once each, in this order`, {
      hint: "delete what is left of the block by hand",
    });
  }
  const lineEnd = text.indexOf("\n", finish);
  const stop = lineEnd === -1 ? text.length : lineEnd + 1;
  return { before: text.slice(0, start), block: text.slice(start, stop), after: text.slice(stop) };
}

/** Offsets of the lines that are exactly this one, whatever their line end. */
function lineStarts(text: string, line: string): number[] {
  return [...text.matchAll(new RegExp(`^${line}\\r?$`, "gm"))].map((match) => match.index);
}

// ---- names that are taken

/**
 * The line (from 1) that makes the name an alias, an abbreviation or a function, in the ways that the three shells know.
 * What a line computes (`alias $name=...`, `eval`) or loads from elsewhere is not seen.
 */
export function findDefinition(name: string, text: string): number | undefined {
  const definition = new RegExp(
    [
      `(?:alias|abbr)\\s+(?:-\\S+\\s+)*["']?${name}["']?[\\s=]`,
      `alias\\s.*\\s${name}=`,
      `function\\s+${name}(?![\\w-])`,
      `${name}\\s*\\(\\s*\\)`,
    ]
      .map((form) => `(?:^|[\\s;&|])${form}`)
      .join("|"),
  );
  const lines = text.split("\n").map((line) => line.replace(/(?:^|\s)#.*/, ""));
  const index = lines.findIndex((line) => definition.test(line));
  return index === -1 ? undefined : index + 1;
}
