import type { Command } from "commander";
import { ClutchError } from "../errors.ts";
import { nearest } from "../nearest.ts";

/** A group that does something by itself takes a mistyped command for an argument. */
export function noCommand(group: string, word: string, commands: readonly Command[]): ClutchError {
  const names = commands.map((command) => command.name());
  const near = nearest(word, names);
  return new ClutchError("usage", `there is no clutch ${group} ${word}`, {
    hint: near === undefined ? `use one of ${names.join(", ")}` : `did you mean ${near}?`,
  });
}
