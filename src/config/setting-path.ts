/**
 * How a place in the config is written: `server.port`, `fallbacks[0]`, `quotas.moonshotai/kimi-k2.6:free.cooldown_seconds`.
 * Where the schema leaves names open, dots belong to the name as far as the schema has no better reading; what is still
 * ambiguous is written `mappings["gpt-6.1"]`. Pure.
 */

import { z } from "zod";
import { ClutchError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import type { Json } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";
import type { Path } from "./jsonc-edit.ts";
import { configSchema, unwrap } from "./schema.ts";

export interface Setting {
  path: Path;
  /** Of the value there, without what says that it may be left out. */
  schema: unknown;
}

interface Word {
  text: string;
  /** In brackets: taken as it is. */
  isQuoted: boolean;
}

/** @throws {ClutchError} `usage` for a place that the schema does not know, with the nearest one that it does */
export function parseSettingPath(text: string): Setting {
  const words = splitWords(text);
  // An object's own matter, which no file can set.
  if (words.some((word) => word.text === "__proto__")) throw unknown([], "__proto__", []);
  const path: (string | number)[] = [];
  let schema = unwrap(configSchema);
  let at = 0;
  while (at < words.length) {
    const word = words[at] as Word;
    if (schema instanceof z.ZodObject) {
      const keys = Object.keys(schema.shape);
      if (!keys.includes(word.text)) throw unknown(path, word.text, keys);
      path.push(word.text);
      schema = unwrap(schema.shape[word.text]);
      at += 1;
    } else if (schema instanceof z.ZodArray) {
      if (!/^\d+$/.test(word.text)) {
        throw new ClutchError("usage", `${renderSettingPath(path)} is a list, which has no "${word.text}"`, {
          hint: `its members are ${renderSettingPath([...path, 0])}, ${renderSettingPath([...path, 1])} and so on`,
        });
      }
      path.push(Number(word.text));
      schema = unwrap(schema.element);
      at += 1;
    } else if (schema instanceof z.ZodRecord) {
      const inner = unwrap(schema.valueType);
      const end = word.isQuoted ? at + 1 : endOfName(words, at, inner);
      path.push(
        words
          .slice(at, end)
          .map((part) => part.text)
          .join("."),
      );
      schema = inner;
      at = end;
    } else {
      throw new ClutchError("usage", `${renderSettingPath(path)} is a single value, which has no "${word.text}"`, {
        hint: `leave out .${word.text}`,
      });
    }
  }
  return { path, schema };
}

/** A name goes on up to a word that can stand in what it names: to the end where that is a single value. */
function endOfName(words: readonly Word[], start: number, inner: unknown): number {
  if (!(inner instanceof z.ZodObject)) {
    const quoted = words.findIndex(({ isQuoted }, index) => index > start && isQuoted);
    return inner instanceof z.ZodArray && quoted > 0 ? quoted : words.length;
  }
  const keys = Object.keys(inner.shape);
  const end = words.findIndex(({ text, isQuoted }, index) => index > start && !isQuoted && keys.includes(text));
  if (end > 0) return end;
  // A name with a slash or a colon is a model's, in which dots are usual; elsewhere the second word is a mistyped key.
  const hasDots = words.slice(start).some(({ text }) => /[/:]/.test(text));
  return hasDots || words.length === start + 1 ? words.length : start + 1;
}

function splitWords(text: string): Word[] {
  const words: Word[] = [];
  let rest = text;
  while (rest !== "" || words.length === 0) {
    const bracket = /^\[(?:(\d+)|("(?:[^"\\]|\\.)*"))\]/.exec(rest);
    const plain = bracket === null ? /^\.?([^.[\]]+)/.exec(rest) : null;
    const isSeparated = plain === null || words.length > 0 === rest.startsWith(".");
    const found = bracket?.[1] ?? plain?.[1] ?? readQuoted(bracket?.[2]);
    const matched = bracket?.[0] ?? plain?.[0];
    if (found === undefined || matched === undefined || !isSeparated) {
      throw new ClutchError("usage", `"${text}" is no place in the config`, {
        hint: `write it as server.port, fallbacks[0] or mappings["gpt-6.1"]`,
      });
    }
    words.push({ text: found, isQuoted: bracket !== null });
    rest = rest.slice(matched.length);
  }
  return words;
}

function readQuoted(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as string);
  } catch {
    return undefined;
  }
}

function unknown(path: Path, key: string, keys: readonly string[]): ClutchError {
  const near = nearest(key, keys);
  if (keys.length === 0) return new ClutchError("usage", `nothing can be named "${key}"`, { hint: "use another name" });
  return new ClutchError("usage", `there is no setting "${renderSettingPath([...path, key])}"`, {
    hint:
      near === undefined
        ? `${path.length === 0 ? "there are" : `${renderSettingPath(path)} has`} ${keys.filter((name) => name !== "$schema").join(", ")}`
        : `did you mean "${renderSettingPath([...path, near])}"?`,
  });
}

/** Every setting that has a name of its own, and those below names that the file has; for completion. */
export function listSettings(raw: Json): string[] {
  const walk = (inner: unknown, path: Path): string[] => {
    const schema = unwrap(inner);
    if (schema instanceof z.ZodObject) {
      return Object.entries(schema.shape).flatMap(([key, member]) => walk(member, [...path, key]));
    }
    if (!(schema instanceof z.ZodRecord)) return [renderSettingPath(path)];
    const here = valueAtPath(raw, path);
    return isObject(here) ? Object.keys(here).flatMap((key) => walk(schema.valueType, [...path, key])) : [];
  };
  return walk(configSchema, []).filter((setting) => setting !== "$schema");
}

/** So that `parseSettingPath` reads it back. */
export function renderSettingPath(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    if (!/^[^.[\]"\s]+$/.test(key)) return `${text}[${JSON.stringify(key)}]`;
    return text === "" ? key : `${text}.${key}`;
  }, "");
}

/** Undefined where nothing is. */
export function valueAtPath(value: Json | undefined, path: Path): Json | undefined {
  let here = value;
  for (const key of path) {
    if (Array.isArray(here)) here = typeof key === "number" ? here[key] : undefined;
    else here = isObject(here) && Object.hasOwn(here, key) ? here[key] : undefined;
  }
  return here;
}

/**
 * What a value given as words means for the setting: JSON where the schema takes it so, else the text itself; several
 * words, or one for a list, are a list's members.
 * @throws {ClutchError} `usage` for what begins as JSON and is none
 */
export function readSettingValue({ path, schema }: Setting, words: readonly string[]): Json {
  const [first = ""] = words;
  if (words.length !== 1) {
    if (schema instanceof z.ZodArray) return words.map((word) => readOne(unwrap(schema.element), word).value);
    throw new ClutchError("usage", `${renderSettingPath(path)} takes one value, and got ${words.length}`, {
      hint: `put it in quotes: clutch config set ${renderSettingPath(path)} '${words.join(" ")}'`,
    });
  }
  const read = readOne(schema, first);
  if (read.isFit || !(schema instanceof z.ZodArray) || read.isContainer) return read.value;
  return [readOne(unwrap(schema.element), first).value];

  function readOne(wanted: unknown, word: string): { value: Json; isFit: boolean; isContainer: boolean } {
    const isFit = (value: Json) => wanted instanceof z.ZodType && wanted.safeParse(value).success;
    if (isFit(word) && !/^"/.test(word)) return { value: word, isFit: true, isContainer: false };
    try {
      const value = JSON.parse(word) as Json;
      // What the schema refuses either way is told as what it looks like.
      return { value, isFit: isFit(value), isContainer: typeof value === "object" && value !== null };
    } catch (cause) {
      const isMeantAsJson = /^\s*[{["]/.test(word) && !isFit(word);
      if (!isMeantAsJson) return { value: word, isFit: isFit(word), isContainer: false };
      const why = cause instanceof Error ? cause.message.replace(/^JSON Parse error: /, "") : "";
      throw new ClutchError("usage", `the value for ${renderSettingPath(path)} is not valid JSON (${why})`, {
        hint: "quote it for the shell in single quotes",
        cause,
      });
    }
  }
}
