/** Everything that is wrong with a config's text, each with its line and column. Pure but for what it is handed. */

import { findNodeAtLocation, type Node, type ParseError, parseTree, printParseErrorCode } from "jsonc-parser";
import { ClutchError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import type { Json } from "../protocols/chat.ts";
import { readValue } from "./jsonc.ts";
import { isSecretText, maskValue } from "./mask.ts";
import { type Config, configSchema, knownKeysAt, parseConfig } from "./schema.ts";
import { renderSettingPath } from "./setting-path.ts";

export interface ConfigProblem {
  /** A warning stops nothing. */
  kind: "error" | "warning";
  /** From 1 on. */
  line: number;
  column: number;
  /** The setting, as `config set` takes it; empty for the whole, or where the text is no JSON. */
  setting: string;
  message: string;
  hint?: string | undefined;
}

export interface CheckedConfig {
  problems: ConfigProblem[];
  /** Undefined when it does not hold. */
  config: Config | undefined;
}

/** What is found in a config that is whole: a message, the setting that it is about, and what to do. */
export interface Finding {
  kind: "error" | "warning";
  path: readonly (string | number)[];
  message: string;
  hint?: string | undefined;
}

/**
 * @param isLegacy unknown keys are no fault: the predecessor's file has things of its own
 * @param look what else can be said of a config that its schema takes
 */
export function checkConfigText(
  text: string,
  isLegacy: boolean,
  look: (config: Config, raw: Json) => Finding[] = () => [],
): CheckedConfig {
  // Of the same length, so that every place stays where it is.
  const plain = text.replace(/^\uFEFF/, " ");
  if (plain.trim() === "") return { problems: [], config: configSchema.parse({}) };
  const place = placesOf(plain);
  const errors: ParseError[] = [];
  const root = parseTree(plain, errors, { allowTrailingComma: true });
  if (errors.length > 0 || root === undefined) {
    return { problems: firstPerLine(errors.map((error) => syntaxProblem(error, place))), config: undefined };
  }
  const raw = readValue(root);
  const doubled = doubledKeys(root).map((node): ConfigProblem => {
    const path = pathTo(node);
    return {
      kind: "warning",
      ...place(node.offset),
      setting: renderSettingPath(path),
      message: `${renderSettingPath(path)} stands there twice: this one counts`,
      hint: "remove the other",
    };
  });
  const located = (finding: Finding): ConfigProblem => ({
    kind: finding.kind,
    ...place(nodeFor(root, finding.path).offset),
    setting: renderSettingPath(finding.path),
    message: finding.message,
    hint: finding.hint,
  });
  const faults = schemaFindings(raw, isLegacy).map(located);
  if (faults.some(({ kind }) => kind === "error"))
    return { problems: inOrder([...doubled, ...faults]), config: undefined };
  const config = parseConfig(raw, "", isLegacy);
  return { problems: inOrder([...doubled, ...faults, ...look(config, raw).map(located)]), config };
}

/** Turns what a part of Clutch throws at a config into a finding about the setting that it names. */
export function findingOf(error: unknown): Finding {
  if (!(error instanceof ClutchError)) throw error;
  const named = /"?\b(?<setting>[a-z_]+(?:\.[\w-]+)+|default_provider)\b"?/.exec(error.message)?.groups?.["setting"];
  return { kind: "error", path: named?.split(".") ?? [], message: error.message, hint: error.hint };
}

type Place = (offset: number) => { line: number; column: number };

function placesOf(text: string): Place {
  return (offset) => {
    const lines = text.slice(0, offset).split(/\r\n|\r|\n/);
    return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
  };
}

function syntaxProblem({ error, offset }: ParseError, place: Place): ConfigProblem {
  const what = printParseErrorCode(error)
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase();
  return { kind: "error", ...place(offset), setting: "", message: `not valid JSON (${what})`, hint: "mend that line" };
}

/** One mistake makes the parser stumble several times. */
function firstPerLine(problems: readonly ConfigProblem[]): ConfigProblem[] {
  return problems.filter(({ line }, index) => problems.findIndex((other) => other.line === line) === index);
}

function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  return problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

function schemaFindings(raw: Json, isLegacy: boolean): Finding[] {
  const result = configSchema.safeParse(raw);
  if (result.success) return [];
  return result.error.issues.flatMap((issue): Finding[] => {
    const path = issue.path.map((key) => (typeof key === "number" ? key : String(key)));
    if (issue.code !== "unrecognized_keys") {
      return [
        { kind: "error", path, message: describeWrong(path, raw, issue.message), hint: "correct it in the file" },
      ];
    }
    return issue.keys.map((key) => {
      const near = nearest(key, knownKeysAt(path));
      const at = renderSettingPath([...path, key]);
      return {
        kind: isLegacy ? "warning" : "error",
        path: [...path, key],
        message: isLegacy ? `"${at}" means nothing to Clutch` : `unknown key "${at}"`,
        hint: near === undefined || isLegacy ? "remove it" : `did you mean "${renderSettingPath([...path, near])}"?`,
      };
    });
  });
}

function describeWrong(path: readonly (string | number)[], raw: Json, message: string): string {
  let value: Json | undefined = raw;
  for (const key of path) value = (value as Record<string | number, Json | undefined> | undefined)?.[key];
  const shown =
    value === undefined ? "nothing" : isSecretText(value, path) ? "(hidden)" : JSON.stringify(maskValue(value, path));
  const short = shown.length > 60 ? `${shown.slice(0, 57)}...` : shown;
  const where = path.length === 0 ? "the whole" : `"${renderSettingPath(path)}"`;
  return `${where} is ${short}: ${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}

/** The key of the setting, or of what would hold it. */
function nodeFor(root: Node, path: readonly (string | number)[]): Node {
  for (let length = path.length; length > 0; length--) {
    const node = findNodeAtLocation(root, path.slice(0, length));
    if (node === undefined) continue;
    const isKey = node.parent?.type === "property" && length === path.length;
    return (isKey ? node.parent?.children?.[0] : undefined) ?? node;
  }
  return root;
}

function doubledKeys(node: Node): Node[] {
  const properties = node.type === "object" ? (node.children ?? []) : [];
  const nameOf = (property: Node) => property.children?.[0]?.value as unknown;
  const doubled = properties.filter(
    (property, index) =>
      properties.findIndex((other) => nameOf(other) === nameOf(property)) < index &&
      properties.findLastIndex((other) => nameOf(other) === nameOf(property)) === index,
  );
  const inner = (node.children ?? []).flatMap((child) =>
    doubledKeys(child.type === "property" ? (child.children?.[1] ?? child) : child),
  );
  return [...doubled, ...inner];
}

function pathTo(property: Node): (string | number)[] {
  const path: (string | number)[] = [];
  let node: Node | undefined = property;
  while (node !== undefined) {
    if (node.type === "property") path.unshift(String(node.children?.[0]?.value));
    else if (node.parent?.type === "array") path.unshift(node.parent.children?.indexOf(node) ?? 0);
    node = node.parent;
  }
  return path;
}
