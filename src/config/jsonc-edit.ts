/**
 * Changes single values in a config file's text and leaves every other character as it was: comments, blank lines, indents,
 * line ends, trailing commas. Where things stand is jsonc-parser's to tell; its own `modify` is not used, since it lays out anew
 * every line that it touches, moves the comment behind a last member to the new one, and breaks `[1,2]` when the 2 goes
 * (3.3.1). Pure.
 */

import type { Node } from "jsonc-parser";
import { ClutchError } from "../errors.ts";
import type { Json, JsonObject } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";
import { parseJsoncTree, readValue } from "./jsonc.ts";

/** Keys and indices from the top; an index that is the list's length appends. */
export type Path = readonly (string | number)[];

export type Change = { kind: "set"; path: Path; value: Json } | { kind: "remove"; path: Path };

/**
 * What is on the way to a path and is not there is made; setting what is so already, and removing what is not there, change
 * nothing. A line comment behind what is removed goes with it, one above it stays.
 * @param source the file's path, for messages
 * @throws {ClutchError} `config-invalid` for a text that is broken, with line and column, or a path through what is no object or list
 */
export function applyChanges(text: string, changes: readonly Change[], source: string): string {
  const mark = text.startsWith("\uFEFF") ? "\uFEFF" : "";
  const before = text.slice(mark.length);
  // A file that was only touched is one without values.
  let after = before.trim() === "" ? "{}\n" : before;
  let expected = readValue(parseJsoncTree(after, source));
  for (const change of changes) {
    after =
      change.kind === "set" ? setAt(after, change.path, change.value, source) : removeAt(after, change.path, source);
    expected = changeValue(expected, change);
  }
  if (changes.length === 0 || after === before) return text;
  if (!Bun.deepEquals(readValue(parseJsoncTree(after, source)), expected, true)) {
    throw new ClutchError("failed", `${source} is laid out in a way that cannot be edited safely`, {
      hint: "make the change by hand",
    });
  }
  return mark + after;
}

/** What the changes mean, without a text. */
function changeValue(value: Json, { path, ...change }: Change): Json {
  const [head, ...rest] = path;
  if (head === undefined) return change.kind === "set" ? change.value : value;
  const holder: Json[] | JsonObject =
    Array.isArray(value) || isObject(value) ? structuredClone(value) : typeof head === "number" ? [] : {};
  const slots = holder as Record<string | number, Json | undefined>;
  const isThere = Object.hasOwn(slots, head);
  if (change.kind === "set") {
    slots[head] = changeValue(isThere ? (slots[head] as Json) : emptyFor(rest[0]), { ...change, path: rest } as Change);
  } else if (isThere) {
    if (rest.length > 0) slots[head] = changeValue(slots[head] as Json, { kind: "remove", path: rest });
    else if (Array.isArray(holder)) holder.splice(Number(head), 1);
    else delete slots[head];
  }
  return holder;
}

function emptyFor(key: string | number | undefined): Json {
  return typeof key === "number" ? [] : {};
}

// ---- setting

function setAt(text: string, path: Path, value: Json, source: string): string {
  const root = parseJsoncTree(text, source);
  let node = root;
  for (const [depth, key] of path.entries()) {
    const child = findChild(node, key);
    if (child === undefined) {
      checkHolder(node, key, path.slice(0, depth), source);
      const rest = path.slice(depth + 1);
      const made = rest.reduceRight<Json>((inner, at) => (typeof at === "number" ? [inner] : { [at]: inner }), value);
      return insert(text, root, node, key, made);
    }
    node = child;
  }
  return reconcile(text, path, node, value, source);
}

function checkHolder(node: Node, key: string | number, path: Path, source: string): void {
  const isFit = node.type === (typeof key === "number" ? "array" : "object");
  const isAtEnd = typeof key !== "number" || key === node.children?.length;
  if (isFit && isAtEnd) return;
  const where = path.length === 0 ? "the whole" : `"${path.join(".")}"`;
  throw new ClutchError(
    "config-invalid",
    `${source}: ${where} is ${article(node)}, which has no ${JSON.stringify(key)}`,
    {
      hint: "correct it in the file",
    },
  );
}

function article({ type }: Node): string {
  return type === "object" ? "an object" : type === "array" ? "a list" : type === "null" ? "null" : `a ${type}`;
}

/** Member by member, so that comments between those that stay are kept. */
function reconcile(text: string, path: Path, node: Node, value: Json, source: string): string {
  const current = readValue(node);
  if (Bun.deepEquals(current, value, true)) return text;
  let edited = text;
  if (isObject(current) && isObject(value)) {
    for (const key of Object.keys(current)) {
      if (value[key] === undefined) edited = removeAt(edited, [...path, key], source);
    }
    for (const [key, member] of Object.entries(value)) {
      if (member !== undefined) edited = setAt(edited, [...path, key], member, source);
    }
    return edited;
  }
  if (Array.isArray(current) && Array.isArray(value)) {
    const { removed, kept } = alignLists(current, value);
    for (const index of removed) edited = removeAt(edited, [...path, index], source);
    for (const [index, member] of value.entries()) {
      if (index >= kept || !Bun.deepEquals(member, current[index], true) || removed.length > 0) {
        edited = setAt(edited, [...path, index], member, source);
      }
    }
    return edited;
  }
  const layout = readLayout(text, parseJsoncTree(text, source));
  const rendered = render(value, indentAt(text, node.offset), layout, false);
  return replace(text, node.offset, endOf(node), rendered);
}

/** Which of the old members go, the last first, where the new list is shorter: those between what both begin and end with. */
function alignLists(current: readonly Json[], value: readonly Json[]): { removed: number[]; kept: number } {
  const surplus = current.length - value.length;
  if (surplus <= 0) return { removed: [], kept: current.length };
  let same = 0;
  while (same < value.length && Bun.deepEquals(current[same], value[same], true)) same += 1;
  return { removed: Array.from({ length: surplus }, (_, at) => same + surplus - 1 - at), kept: value.length };
}

function insert(text: string, root: Node, holder: Node, key: string | number, value: Json): string {
  const layout = readLayout(text, root);
  const members = holder.children ?? [];
  const last = members.at(-1);
  const write = (indent: string, wantsLines: boolean) =>
    (typeof key === "number" ? "" : `${JSON.stringify(key)}${layout.colon}`) +
    render(value, indent, layout, wantsLines);
  if (last === undefined) return insertFirst(text, root, holder, layout, isContainer(value), write);
  const comma = findComma(text, endOf(last), endOf(holder) - 1);
  const anchor = comma === undefined ? endOf(last) : comma + 1;
  const tail = readTail(text, anchor);
  const isOnOwnLine = startsLine(text, last.offset, holder.offset + 1);
  if (!isOnOwnLine && !tail.hasLineComment) {
    const [first] = members;
    const gap = members.length > 1 && first !== undefined ? gapAfter(text, endOf(first)) : layout.gap;
    const end = comma === undefined ? "" : ",";
    return replace(text, tail.end, tail.end, `${comma === undefined ? "," : ""}${gap}${write("", false)}${end}`);
  }
  const indent = isOnOwnLine ? indentAt(text, last.offset) : indentAt(text, holder.offset) + layout.unit;
  const siblings = members.map(memberValue).filter(({ type, length }) => type === "object" && length > 2);
  const wantsLines = siblings.length > 0 && siblings.every((node) => isOnLines(text, node));
  const place = tail.reachesLineEnd ? tail.end : anchor;
  const line = `${layout.eol}${indent}${write(indent, wantsLines)}${comma === undefined ? "" : ","}`;
  const inserted = replace(text, place, place, line);
  return comma === undefined ? replace(inserted, endOf(last), endOf(last), ",") : inserted;
}

function insertFirst(
  text: string,
  root: Node,
  holder: Node,
  layout: Layout,
  holdsContainer: boolean,
  write: (indent: string, wantsLines: boolean) => string,
): string {
  const start = holder.offset + 1;
  const close = endOf(holder) - 1;
  const inner = text.slice(start, close);
  const outer = indentAt(text, holder.offset);
  const indent = outer + layout.unit;
  if (/[\r\n]/.test(inner)) {
    const place = start + inner.trimEnd().length;
    return replace(text, place, place, layout.eol + indent + write(indent, false));
  }
  const comment = inner.trim();
  if (comment !== "") return replace(text, start, close, ` ${comment} ${write("", false)} `);
  const isInline = layout.isOneLine || (holder !== root && !holdsContainer);
  if (!isInline)
    return replace(text, start, close, `${layout.eol}${indent}${write(indent, false)}${layout.eol}${outer}`);
  const pad = holder.type === "object" ? layout.pad : "";
  return replace(text, start, close, pad + write("", false) + pad);
}

// ---- removing

function removeAt(text: string, path: Path, source: string): string {
  const root = parseJsoncTree(text, source);
  let holder: Node | undefined;
  let node: Node | undefined = root;
  for (const key of path) {
    holder = node;
    node = node === undefined ? undefined : findChild(node, key);
  }
  if (holder === undefined || node === undefined) return text;
  const members = holder.children ?? [];
  const member = holder.type === "object" ? node.parent : node;
  const index = member === undefined ? -1 : members.indexOf(member);
  if (index === -1) return text;
  const edited = collapse(cutMember(text, holder, index), path.slice(0, -1), source);
  // The same key may stand there more than once.
  return holder.type === "object" ? removeAt(edited, path, source) : edited;
}

function cutMember(text: string, holder: Node, index: number): string {
  const members = holder.children ?? [];
  const member = members[index] as Node;
  const previous = members[index - 1];
  const next = members[index + 1];
  const comma = findComma(text, endOf(member), next?.offset ?? endOf(holder) - 1);
  const end = comma === undefined ? endOf(member) : comma + 1;
  const isLast = next === undefined;
  const spareComma =
    isLast && comma === undefined && previous ? findComma(text, endOf(previous), member.offset) : undefined;
  const cutComma = (edited: string) =>
    spareComma === undefined ? edited : replace(edited, spareComma, spareComma + 1, "");
  const lineStart = lineStartOf(text, member.offset);
  const isAloneBefore = lineStart > holder.offset && text.slice(lineStart, member.offset).trim() === "";
  const tail = readTail(text, end);
  const isOnOneLine = comma === undefined || !/[\r\n]/.test(text.slice(endOf(member), comma));
  if (isAloneBefore && tail.reachesLineEnd && isOnOneLine) {
    return cutComma(replace(text, lineStart, skipLineEnd(text, tail.end), ""));
  }
  if (!isLast) return replace(text, member.offset, skipBlanks(text, end), "");
  let start = member.offset;
  const floor = spareComma === undefined ? holder.offset + 1 : spareComma + 1;
  const isBare = text.slice(floor, start).trim() === "";
  if (isBare && previous && spareComma !== undefined && text.slice(endOf(previous), spareComma).trim() === "") {
    return replace(text, endOf(previous), end, "");
  }
  while (start > floor && (isBare ? /\s/ : /[ \t]/).test(text[start - 1] ?? "")) start -= 1;
  return cutComma(replace(text, start, end, ""));
}

/** `{ }` and brackets on two lines with nothing between them are what a removal leaves, not what somebody wrote. */
function collapse(text: string, path: Path, source: string): string {
  let node: Node | undefined = parseJsoncTree(text, source);
  for (const key of path) node = node === undefined ? undefined : findChild(node, key);
  if (node === undefined || (node.children ?? []).length > 0) return text;
  const inner = text.slice(node.offset + 1, endOf(node) - 1);
  return inner.trim() === "" ? replace(text, node.offset + 1, endOf(node) - 1, "") : text;
}

// ---- looking

function findChild(node: Node, key: string | number): Node | undefined {
  if (typeof key === "number") return node.type === "array" ? node.children?.[key] : undefined;
  if (node.type !== "object") return undefined;
  return node.children?.findLast(({ children }) => children?.[0]?.value === key)?.children?.[1];
}

function memberValue(member: Node): Node {
  return member.type === "property" ? (member.children?.[1] ?? member) : member;
}

function isContainer(value: Json): boolean {
  return typeof value === "object" && value !== null;
}

function endOf(node: Node): number {
  const value = memberValue(node);
  return value.offset + value.length;
}

function isOnLines(text: string, node: Node): boolean {
  return /[\r\n]/.test(text.slice(node.offset, endOf(node)));
}

function replace(text: string, start: number, end: number, by: string): string {
  return text.slice(0, start) + by + text.slice(end);
}

/** The comma behind a member, past comments. */
function findComma(text: string, from: number, to: number): number | undefined {
  let at = from;
  while (at < to) {
    if (text[at] === ",") return at;
    at = skipComment(text, at) ?? at + 1;
  }
  return undefined;
}

/** The place behind the comment that begins here. */
function skipComment(text: string, at: number): number | undefined {
  if (text.startsWith("//", at)) {
    const length = text.slice(at).search(/[\r\n]/);
    return length === -1 ? text.length : at + length;
  }
  if (!text.startsWith("/*", at)) return undefined;
  const end = text.indexOf("*/", at + 2);
  return end === -1 ? text.length : end + 2;
}

/** What is behind a member on its line. */
interface Tail {
  /** Behind its last comment. */
  end: number;
  hasLineComment: boolean;
  /** Nothing but comments and blanks comes on that line. */
  reachesLineEnd: boolean;
}

function readTail(text: string, from: number): Tail {
  let end = from;
  for (;;) {
    const at = skipBlanks(text, end);
    const behind = skipComment(text, at);
    const isLine = text.startsWith("//", at);
    const spansLines = behind !== undefined && /[\r\n]/.test(text.slice(at, behind));
    if (behind === undefined || spansLines) {
      return { end, hasLineComment: false, reachesLineEnd: at >= text.length || /[\r\n]/.test(text[at] ?? "") };
    }
    end = behind;
    if (isLine) return { end, hasLineComment: true, reachesLineEnd: true };
  }
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (text[at] === " " || text[at] === "\t") at += 1;
  return at;
}

function skipLineEnd(text: string, from: number): number {
  const at = skipBlanks(text, from);
  return text.startsWith("\r\n", at) ? at + 2 : at + 1;
}

function lineStartOf(text: string, at: number): number {
  return Math.max(text.lastIndexOf("\n", at - 1), text.lastIndexOf("\r", at - 1)) + 1;
}

/** Whether only blanks and comments stand before it on its line, and the line began behind `from`. */
function startsLine(text: string, at: number, from: number): boolean {
  const start = lineStartOf(text, at);
  return (
    start >= from &&
    text
      .slice(start, at)
      .replace(/\/\*.*?\*\//g, "")
      .trim() === ""
  );
}

function indentAt(text: string, at: number): string {
  return /^[ \t]*/.exec(text.slice(lineStartOf(text, at)))?.[0] ?? "";
}

function gapAfter(text: string, end: number): string {
  return /^\s*,(?<gap>[ \t]*)/.exec(text.slice(end))?.groups?.["gap"] ?? " ";
}

// ---- writing

/** How this file is laid out. */
interface Layout {
  eol: string;
  /** One step of indent. */
  unit: string;
  isOneLine: boolean;
  colon: string;
  /** Behind commas on one line. */
  gap: string;
  /** Inside the braces of an object on one line. */
  pad: string;
}

/** Of an object on one line; a longer one is written on several. */
const lineWidth = 100;

function readLayout(text: string, root: Node): Layout {
  const body = text.slice(root.offset, endOf(root));
  const isOneLine = !/[\r\n]/.test(body) && (root.children?.length ?? 0) > 0;
  const isTight = isOneLine && !/:\s/.test(body);
  const isPadded = !isTight && !(isOneLine && /^[{[]\S/.test(body));
  const line = /^([ \t]+)\S/m.exec(indentSample(text, root))?.[1];
  return {
    eol: /\r\n|\n|\r/.exec(text)?.[0] ?? "\n",
    unit: line ?? "  ",
    isOneLine,
    colon: isTight ? ":" : ": ",
    gap: isTight ? "" : " ",
    pad: isPadded ? " " : "",
  };
}

/** The line of the first member that begins one, less the indent of the whole. */
function indentSample(text: string, root: Node): string {
  const first = root.children?.find(({ offset }) => startsLine(text, offset, root.offset + 1));
  if (first === undefined) return "";
  return `${indentAt(text, first.offset).slice(indentAt(text, root.offset).length)}x`;
}

function render(value: Json, indent: string, layout: Layout, wantsLines: boolean): string {
  const isList = Array.isArray(value);
  if (!isList && !isObject(value)) return JSON.stringify(value);
  const inline = renderInline(value, layout);
  const members = isList ? value : Object.values(value);
  const isFlat = members.every(
    (member) => !isContainer(member as Json) || (Array.isArray(member) && member.every(isPlain)),
  );
  const fits = isFlat && indent.length + inline.length <= lineWidth && !(wantsLines && !isList);
  if (layout.isOneLine || fits || members.length === 0) return inline;
  const inner = indent + layout.unit;
  const lines = isList
    ? value.map((member) => inner + render(member, inner, layout, false))
    : Object.entries(value).map(
        ([key, member]) =>
          `${inner}${JSON.stringify(key)}${layout.colon}${render(member as Json, inner, layout, false)}`,
      );
  const [open, close] = isList ? "[]" : "{}";
  return `${open}${layout.eol}${lines.join(`,${layout.eol}`)}${layout.eol}${indent}${close}`;
}

function isPlain(value: Json): boolean {
  return !isContainer(value);
}

function renderInline(value: Json | undefined, layout: Layout): string {
  if (value === undefined) return "null";
  if (Array.isArray(value)) return `[${value.map((member) => renderInline(member, layout)).join(`,${layout.gap}`)}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([key, member]) => `${JSON.stringify(key)}${layout.colon}${renderInline(member, layout)}`,
  );
  return members.length === 0 ? "{}" : `{${layout.pad}${members.join(`,${layout.gap}`)}${layout.pad}}`;
}
