/** `clutch aliases print | install | uninstall`: the block of aliases in the shell's start-up file. */

import { existsSync } from "node:fs";
import {
  aliasCodes,
  aliasNames,
  findDefinition,
  fishFolder,
  guardName,
  insertBlock,
  otherStartupFiles,
  removeBlock,
  renderBlock,
  startupFile,
  withoutBlock,
} from "../launcher/aliases.ts";
import { chooseShell, type Shell } from "../launcher/shells.ts";
import { backUp, dropBackup, readStartupFile, removeStartupFile, writeStartupFile } from "../launcher/startup-file.ts";
import type { Env } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { findBinary } from "../src/find-binary.ts";

export interface AliasFlags {
  shell?: string;
  /** Takes names that are taken, too. */
  force?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

/** The block goes to stdout, what was left out of it to stderr. @returns the exit status */
export function printAliases(flags: AliasFlags, env: Env): number {
  const plan = planInstall(flags, env);
  if (flags.json) console.log(renderJson(plan, "printed"));
  else process.stdout.write(plan.block);
  warn(plan.taken, flags);
  return 0;
}

/** @returns the exit status */
export function installAliases(flags: AliasFlags, env: Env): number {
  const plan = planInstall(flags, env);
  const { file, before, after } = plan;
  const isFirst = before !== undefined && withoutBlock(before) === before;
  const state = before === after ? "unchanged" : isFirst || before === undefined ? "installed" : "updated";
  let backup: string | undefined;
  if (state !== "unchanged" && !flags.dryRun) {
    if (isFirst) backup = backUp(file, before);
    writeStartupFile(file, after);
  }
  warn(plan.taken, flags);
  if (flags.json) {
    console.log(renderJson(plan, state, { dry_run: flags.dryRun === true, backup: backup ?? null }));
    return 0;
  }
  const shown = tilde(file, env);
  const what = `${plan.names.length} aliases${plan.definesGuard ? ` and ${guardName}` : ""}`;
  if (state === "unchanged") console.log(`${shown} has them already: ${what}`);
  else if (flags.dryRun) console.log(`would write ${what} to ${shown}:\n\n${plan.block.trimEnd()}`);
  else console.log(`wrote ${what} to ${shown}${backup === undefined ? "" : ` (as it was: ${tilde(backup, env)})`}`);
  if (!flags.dryRun) console.log(`open a new shell or: source ${shown}`);
  return 0;
}

/** @returns the exit status, 0 where there was nothing to take out too */
export function uninstallAliases(flags: AliasFlags, env: Env): number {
  const shell = chooseShell(flags.shell, env);
  const file = startupFile(shell, env);
  const before = readStartupFile(file);
  const after = before === undefined ? undefined : located(file, () => removeBlock(before));
  if (after !== undefined && !flags.dryRun) {
    if (after === null) removeStartupFile(file);
    else {
      writeStartupFile(file, after);
      dropBackup(file, after);
    }
  }
  const state = after === undefined ? "absent" : "removed";
  if (flags.json) console.log(JSON.stringify({ shell, file, state, dry_run: flags.dryRun === true }));
  else if (after === undefined) console.log(`${tilde(file, env)} has no aliases of Clutch's: nothing to do`);
  else {
    const verb = flags.dryRun ? "would take" : "took";
    const rest = after === null ? ", which is gone: it was made for them" : "";
    console.log(`${verb} the aliases out of ${tilde(file, env)}${rest}`);
    if (!flags.dryRun) console.log("open a new shell: those that are open keep them");
  }
  return 0;
}

interface InstallPlan {
  shell: Shell;
  file: string;
  /** Undefined for a file that does not exist. */
  before: string | undefined;
  after: string;
  block: string;
  names: readonly (keyof typeof aliasCodes)[];
  definesGuard: boolean;
  taken: readonly TakenName[];
}

interface TakenName {
  name: string;
  /** What the name means now: a program's path, or the file and line that define it. */
  by: string;
}

function planInstall(flags: AliasFlags, env: Env): InstallPlan {
  const shell = chooseShell(flags.shell, env);
  const file = startupFile(shell, env);
  const before = readStartupFile(file);
  return located(file, () => {
    const taken = flags.force ? [] : findTaken(shell, file, before ?? "", env);
    const isTaken = (name: string) => taken.some((entry) => entry.name === name);
    const names = aliasNames.filter((name) => !isTaken(name));
    const definesGuard = !isTaken(guardName);
    const { text, block } = insertBlock(before, renderBlock(shell, { names, definesGuard }));
    return { shell, file, before, after: text, block, names, definesGuard, taken };
  });
}

/** Our own block from an earlier install takes no name. */
function findTaken(shell: Shell, file: string, text: string, env: Env): TakenName[] {
  const sources = [{ path: file, text: withoutBlock(text) }];
  for (const path of otherStartupFiles(shell, env)) sources.push({ path, text: readOrEmpty(path) });
  return [...aliasNames, guardName].flatMap((name) => {
    for (const source of sources) {
      const line = findDefinition(name, source.text);
      if (line !== undefined) return [{ name, by: `${tilde(source.path, env)}:${line}` }];
    }
    const autoloaded = `${shell === "fish" ? fishFolder(env) : ""}/functions/${name}.fish`;
    if (shell === "fish" && existsSync(autoloaded)) return [{ name, by: tilde(autoloaded, env) }];
    const program = findBinary(name, env);
    return program === undefined ? [] : [{ name, by: program }];
  });
}

function readOrEmpty(path: string): string {
  try {
    return readStartupFile(path) ?? "";
  } catch {
    return "";
  }
}

function warn(taken: readonly TakenName[], flags: AliasFlags): void {
  if (flags.json) return;
  for (const { name, by } of taken) {
    console.error(
      name === guardName
        ? `clutch: ${name} is there already (${by}), so the aliases use that one (--force puts ours in)`
        : `clutch: ${name} is left out: it would shadow ${by} (--force puts it in)`,
    );
  }
}

function renderJson(plan: InstallPlan, state: string, more: Record<string, unknown> = {}): string {
  const { shell, file, names, taken, block } = plan;
  const aliases = names.map((name) => ({ name, code: aliasCodes[name] }));
  const skipped = taken.map(({ name, by }) => ({ name, shadows: by }));
  return JSON.stringify({ shell, file, state, ...more, aliases, skipped, block });
}

function tilde(path: string, env: Env): string {
  const home = env["HOME"];
  return home && path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
}

/** A block that has been cut is told with its file. */
function located<Result>(file: string, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof ClutchError) || error.code !== "failed") throw error;
    throw new ClutchError("failed", `${file}: ${error.message}`, error.hint === undefined ? {} : { hint: error.hint });
  }
}
