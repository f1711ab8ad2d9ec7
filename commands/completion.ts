/** `clutch completion <shell>` prints a script; `clutch --complete` answers it for `clutch` from the commander program. */

import type { Command, Option } from "commander";
import { type Candidate, type CompletionWorld, completeXx } from "../launcher/completion.ts";
import { completionScripts } from "../launcher/completion-scripts.ts";
import { chooseShell } from "../launcher/shells.ts";
import type { Env } from "../src/config/paths.ts";
import { answerCompletion } from "./complete-xx.ts";

/** @returns the exit status */
export function printCompletion(shell: string | undefined, env: Env): number {
  process.stdout.write(completionScripts[chooseShell(shell, env)]);
  return 0;
}

/** @param args what follows `--complete` */
export function answerClutchCompletion(program: Command, args: readonly string[], env: Env): Promise<number> {
  return answerCompletion(args, (before, word, world) => completeClutch(program, before, word, world), env);
}

/** Subcommands, options and the values that these declare as choices; behind `clutch xx` all that `xx` completes. */
export async function completeClutch(
  program: Command,
  before: readonly string[],
  word: string,
  world: CompletionWorld,
): Promise<Candidate[]> {
  let command = program;
  let argumentsSeen = 0;
  for (let index = 0; index < before.length; index++) {
    const typed = before[index] ?? "";
    if (typed === "--") return [];
    if (command === program && typed === "xx") return completeXx(before.slice(index + 1), word, world);
    const option = findOption(command, typed);
    if (option?.required) {
      if (index === before.length - 1) return startingSo(word, valuesOf(option, world));
      index += 1;
    } else if (!typed.startsWith("-")) {
      const child = command.commands.find(
        (candidate) => candidate.name() === typed || candidate.aliases().includes(typed),
      );
      if (child === undefined) argumentsSeen += 1;
      else command = child;
    }
  }
  const [, flag] = /^(--[^=]+)=/.exec(word) ?? [];
  const joined = flag === undefined ? undefined : findOption(command, flag);
  if (joined !== undefined) {
    const values = valuesOf(joined, world);
    return startingSo(
      word,
      values.map((candidate) => ({ ...candidate, value: `${flag}=${candidate.value}` })),
    );
  }
  if (word.startsWith("-")) return startingSo(word, optionsOf(command, word));
  return startingSo(word, await wordsOf(command, argumentsSeen, world));
}

/** Values that are the chain's services say so by their name. */
function valuesOf({ argChoices, description, flags }: Option, world: CompletionWorld): Candidate[] {
  return choices(/[<[]services?\b/.test(flags) ? world.services?.() : argChoices, description);
}

function findOption(command: Command, flag: string) {
  return command.options.find((option) => option.short === flag || option.long === flag);
}

/** The short ones only to whoever has typed one dash. */
function optionsOf(command: Command, word: string): Candidate[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ short, long, description }) =>
      [long, word.startsWith("--") ? undefined : short]
        .filter((flag) => flag !== undefined)
        .map((value) => ({ value, description })),
    );
}

async function wordsOf(command: Command, argumentsSeen: number, world: CompletionWorld): Promise<Candidate[]> {
  const last = command.registeredArguments.at(-1);
  const argument = command.registeredArguments[argumentsSeen] ?? (last?.variadic ? last : undefined);
  // What is added is no service yet.
  const isService = /^services?$/.test(argument?.name() ?? "") && command.name() !== "add";
  const named =
    argument === undefined || command.name() === "save" ? [] : ((await world.named?.(argument.name())) ?? []);
  const commands = argumentsSeen > 0 ? [] : command.createHelp().visibleCommands(command);
  return [
    ...commands.map((child) => ({ value: child.name(), description: child.description() })),
    ...choices(named, argument?.description ?? ""),
    ...choices(isService ? world.services?.() : argument?.argChoices, argument?.description ?? ""),
  ];
}

function choices(values: readonly string[] | undefined, description: string): Candidate[] {
  return (values ?? []).map((value) => ({ value, description }));
}

function startingSo(word: string, candidates: readonly Candidate[]): Candidate[] {
  return candidates.filter(({ value }) => value.startsWith(word));
}
