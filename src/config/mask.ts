/** Hides what must not be shown in a config's text: keys, tokens, passwords. Pure. */

import { createScanner, type Node, type SyntaxKind } from "jsonc-parser";
import type { Json } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";
import { parseJsoncTree } from "./jsonc.ts";

/** Keys whose strings are secrets, and those of everything below them. */
const secretKey = /key|token|secret|passw|credential|auth|^headers$|^cookie/i;

/** They say where a secret is, not what it is. */
const reference = /^(env|cmd):|^$/;

interface Secret {
  node: Node;
  value: string;
  /** Only its login is hidden. */
  isUrl: boolean;
}

/**
 * Both sides of an edit with their secrets hidden; one that the edit brings is told from one that stays, so that its line
 * shows as changed.
 * @param source the file's path, for a text that is broken
 */
export function maskEdit(before: string, after: string, source: string): { before: string; after: string } {
  const known = new Set(before.trim() === "" ? [] : findSecrets(before, source).map(({ value }) => value));
  return {
    before: before.trim() === "" ? before : hide(before, source, () => ""),
    after: hide(after, source, (value) => (known.has(value) ? "" : ", new")),
  };
}

/** A part of the config as it may be shown. @param path the keys that lead to it */
export function maskValue(value: Json, path: readonly (string | number)[] = []): Json {
  const isSecret = path.some((key) => typeof key === "string" && secretKey.test(key));
  if (typeof value === "string") return isSecret && !reference.test(value) ? "(hidden)" : maskUrl(value);
  if (Array.isArray(value)) return value.map((member, index) => maskValue(member, [...path, index]));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [
      key,
      member === undefined ? undefined : maskValue(member, [...path, key]),
    ]),
  );
}

/** Whether a text at this place is a secret, and not only where one is. */
export function isSecretText(value: Json, path: readonly (string | number)[]): boolean {
  return typeof value === "string" && maskValue(value, path) === "(hidden)";
}

/** What stands before the host. */
function maskUrl(text: string, note = ""): string {
  return text.replace(login, `$1(hidden${note})@`);
}

/** A password may hold an @ that nobody has spelt otherwise. */
const login = /^([a-z][a-z0-9+.-]*:\/\/)[^/?#\s]+@/i;

/** @param note what is to be said of a secret besides that it is hidden */
function hide(text: string, source: string, note: (value: string) => string): string {
  let hidden = text;
  for (const { node, value, isUrl } of findSecrets(text, source).reverse()) {
    const { offset, length } = node;
    const shown = isUrl ? JSON.stringify(maskUrl(value, note(value))) : `"(hidden${note(value)})"`;
    hidden = hidden.slice(0, offset) + shown + hidden.slice(offset + length);
  }
  return hideInComments(hidden);
}

/** In the order of the text. */
function findSecrets(text: string, source: string): Secret[] {
  const found: Secret[] = [];
  const walk = (node: Node, isSecret: boolean): void => {
    if (node.type === "string" && isSecret && !reference.test(node.value)) {
      found.push({ node, value: node.value, isUrl: false });
    } else if (node.type === "string" && login.test(node.value)) {
      found.push({ node, value: node.value, isUrl: true });
    }
    for (const child of node.children ?? []) {
      if (child.type !== "property") walk(child, isSecret);
      else if (child.children?.[1]) walk(child.children[1], isSecret || secretKey.test(child.children[0]?.value ?? ""));
    }
  };
  // Of the same length, so that every place stays where it is.
  walk(parseJsoncTree(text.replace(/^\uFEFF/, " "), source), false);
  return found;
}

const lineComment = 12 as SyntaxKind;
const blockComment = 13 as SyntaxKind;
/** `"api_key": "sk-..."` in a line that somebody has commented out. */
const commentedSecret = /((?:key|token|secret|passw|credential|auth)\w*"?\s*[:=]\s*)"(?!env:|cmd:)[^"\r\n]+"/gi;

const commentedLogin = /("[a-z][a-z0-9+.-]*:\/\/)[^/?#\s"]+@/gi;

function hideInComments(text: string): string {
  const scanner = createScanner(text, false);
  let hidden = "";
  let end = 0;
  for (let kind = scanner.scan(); scanner.getTokenLength() > 0; kind = scanner.scan()) {
    if (kind !== lineComment && kind !== blockComment) continue;
    const start = scanner.getTokenOffset();
    const stop = start + scanner.getTokenLength();
    hidden +=
      text.slice(end, start) +
      text.slice(start, stop).replace(commentedSecret, '$1"(hidden)"').replace(commentedLogin, "$1(hidden)@");
    end = stop;
  }
  return hidden + text.slice(end);
}
