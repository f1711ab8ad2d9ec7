/** What commands that list rows of the ledger take for filters. */

import { type AgentRow, agents } from "../launcher/agents.ts";
import { ClutchError } from "../src/errors.ts";
import { nearest } from "../src/nearest.ts";

/** Letters, programs or names, with commas between them. @returns letters @throws {ClutchError} `usage` */
export function readAgents(text: string): string[] {
  return splitList(text).map(readAgent);
}

function readAgent(word: string): string {
  const rows: readonly (readonly [string, AgentRow])[] = Object.entries(agents);
  const typed = word.toLowerCase();
  const found = rows.find(([letter, row]) => [letter, row.binary, row.name.toLowerCase()].includes(typed));
  if (found !== undefined) return found[0];
  throw unknownWord(
    "--agent",
    word,
    rows.map(([, row]) => row.binary),
  );
}

/** @throws {ClutchError} `usage` */
export function readCount(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new ClutchError("usage", `${option} is "${text}", which is no number`, { hint: `as in ${option} 20` });
}

export function splitList(text: string): string[] {
  return text.split(",").map((word) => word.trim());
}

export function unknownWord(option: string, word: string, known: readonly string[]): ClutchError {
  const near = nearest(word, known);
  return new ClutchError("usage", `${option} is "${word}", which is none`, {
    hint: near === undefined ? `use ${known.join(", ")}` : `did you mean ${near}?`,
  });
}
