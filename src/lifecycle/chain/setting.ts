/** Reads `key=value` of `clutch chain set` and the options of `clutch chain add` as the values that the config wants. Pure. */

import { ClutchError } from "../../errors.ts";
import { nearest } from "../../nearest.ts";
import type { Json } from "../../protocols/chat.ts";
import type { Service } from "./services.ts";

export interface Setting {
  /** As the config has it; of the environment `env.NAME`. */
  key: string;
  /** Undefined goes back to the default. */
  value: Json | undefined;
}

const readers = {
  name: readName,
  port: readPort,
  command: readCommand,
  needs: readNeeds,
  front: readSwitch,
  order: readOrder,
  health_path: readPath,
  ready_seconds: readSeconds,
} as const satisfies Record<string, (text: string) => Json>;

/** What can be set of a service, for messages. */
export function settingNames({ id }: Pick<Service, "id">): string {
  return [...Object.keys(readers), ...(id === "headroom" ? ["mode"] : []), "env.NAME"].join(", ");
}

/**
 * @param isNameOnly the value is of no interest
 * @throws {ClutchError} `usage`: an unknown key with the nearest known one, or what is wrong with the value
 */
export function parseSetting(text: string, service: Pick<Service, "id">, isNameOnly = false): Setting {
  const at = text.indexOf("=");
  if (at === -1) {
    throw wrong(
      `"${text}" sets nothing`,
      `say ${text in readers ? text : "key"}=value, with one of ${settingNames(service)}`,
    );
  }
  const key = text.slice(0, at);
  const value = text.slice(at + 1);
  const typed = key.replaceAll("-", "_");
  if (/^env\./i.test(key)) {
    const name = key.slice(4);
    if (!/^[A-Za-z_]\w*$/.test(name)) throw wrong(`"${name}" is no name of a variable`, "letters, digits and _");
    return { key: `env.${name}`, value };
  }
  if (service.id === "headroom" && key === "mode") return { key, value: isNameOnly ? value : readMode(value) };
  if (Object.hasOwn(readers, typed)) {
    const known = typed as keyof typeof readers;
    return { key: known, value: isNameOnly ? value : readers[known](value) };
  }
  throw unknownKey(key, service);
}

function unknownKey(key: string, service: Pick<Service, "id">): ClutchError {
  if (key === "enabled")
    return wrong('"enabled" is set by commands of its own', `clutch chain enable ${service.id}, or disable`);
  if (key === "id" || key === "type") return wrong(`the ${key} of a service stays`, "remove it and add another");
  const near = nearest(key, [...Object.keys(readers), ...(service.id === "headroom" ? ["mode"] : []), "env.NAME"]);
  return wrong(
    `there is no "${key}" of a service`,
    near === undefined ? `use one of ${settingNames(service)}` : `did you mean "${near}"?`,
  );
}

/** The number of a port of this machine. @throws {ClutchError} `usage` */
export function readPort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65535) return port;
  throw wrong(`port is "${text}"`, "give a number from 1 to 65535");
}

/** An integer, also below 0. @throws {ClutchError} `usage` */
export function readOrder(text: string): number {
  if (/^-?\d{1,9}$/.test(text)) return Number(text);
  throw wrong(`order is "${text}"`, "give a whole number, the least first; or use clutch chain move");
}

/** @throws {ClutchError} `usage` */
export function readSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d*\.?\d+$/.test(text) && seconds > 0 && seconds <= 3600) return seconds;
  const isUnit = /^\d+(\.\d+)?\s*(ms|s|m|min)$/.test(text);
  throw wrong(
    `ready_seconds is "${text}"`,
    isUnit ? "a number of seconds, without its unit" : "give 0.1 to 3600 seconds",
  );
}

/** @throws {ClutchError} `usage` */
export function readPath(text: string): string {
  if (text.startsWith("/")) return text;
  throw wrong(`health_path is "${text}"`, text === "" ? "give one such as /health" : `did you mean "/${text}"?`);
}

/** `a,b`; empty for none. */
export function readNeeds(text: string): string[] {
  return [...new Set(text.split(/[\s,]+/).filter((id) => id !== ""))];
}

/**
 * Words as a shell would split them, quotes and backslashes included, or a JSON list of them. Nothing is expanded.
 * @throws {ClutchError} `usage` for what only a shell could do
 */
export function readCommand(text: string): string[] {
  if (text.trimStart().startsWith("[")) return checkCommand(readWordList(text));
  const words: string[] = [];
  let word: string | undefined;
  const pattern = /\s+|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([|&;<>`$()*?])|([^\s'"\\|&;<>`$()*?]+)|(.)/gsy;
  for (const [token, single, double, escaped, operator, plain, stray] of text.matchAll(pattern)) {
    if (operator !== undefined) {
      throw wrong(`command has a "${operator}", which is for a shell`, `name the shell: command='sh -c "..."'`);
    }
    if (stray !== undefined) throw wrong(`command has a ${stray} without its other half`, "close the quote");
    const part = single ?? double?.replace(/\\(["\\$`])/g, "$1") ?? escaped ?? plain;
    if (part !== undefined) word = (word ?? "") + part;
    else if (token !== "" && word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  if (word !== undefined) words.push(word);
  return checkCommand(words);
}

function readWordList(text: string): string[] {
  try {
    const words = JSON.parse(text) as Json;
    if (Array.isArray(words) && words.every((word) => typeof word === "string")) return words as string[];
  } catch {
    // Told below.
  }
  throw wrong(`command is ${text}, which is no list of words`, 'such as ["my-server", "--port", "9000"]');
}

/** @throws {ClutchError} `usage` for none, and for a program that would depend on the folder of whoever starts it */
export function checkCommand(words: string[]): string[] {
  const [program] = words;
  if (program === undefined || program === "") throw wrong("command is empty", "give a program and its arguments");
  if (program.startsWith("~"))
    throw wrong(`command begins with "${program}"`, "write the home folder out: nothing is expanded");
  if (program.includes("/") && !program.startsWith("/")) {
    throw wrong(`command begins with "${program}"`, "give its absolute path: services have no current folder");
  }
  return words;
}

function readName(text: string): string {
  if (text.trim() !== "") return text;
  throw wrong("name is empty", "give one, or --unset name");
}

function readSwitch(text: string): boolean {
  const word = text.toLowerCase();
  if (["true", "yes", "on", "1"].includes(word)) return true;
  if (["false", "no", "off", "0"].includes(word)) return false;
  throw wrong(`front is "${text}"`, "say true or false");
}

function readMode(text: string): string {
  const modes = ["front", "sidecar", "off"];
  if (modes.includes(text)) return text;
  const near = nearest(text, modes);
  throw wrong(`mode is "${text}"`, near === undefined ? `use one of ${modes.join(", ")}` : `did you mean "${near}"?`);
}

function wrong(what: string, hint: string): ClutchError {
  return new ClutchError("usage", what, { hint });
}
