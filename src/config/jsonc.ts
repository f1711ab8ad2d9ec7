/** JSON with comments and trailing commas, for whoever finds that a text is no plain JSON, or wants to know where things stand in it. */

import { getNodeValue, type Node, type ParseError, parseTree, printParseErrorCode } from "jsonc-parser";
import { ClutchError } from "../errors.ts";
import type { Json } from "../protocols/chat.ts";

/** @throws {ClutchError} `config-invalid`, with line and column */
export function parseJsoncTree(text: string, source: string): Node {
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first === undefined && root !== undefined) return root;
  const before = text.slice(0, first?.offset ?? 0).split(/\r\n|\r|\n/);
  const place = `${source}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
  // A text without any value is an error too, so there is one.
  const code = first === undefined ? "ValueExpected" : printParseErrorCode(first.error);
  const what = code.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  throw new ClutchError("config-invalid", `${place} is not valid JSON (${what})`, { hint: "mend that line" });
}

/** @throws {ClutchError} `config-invalid`, with line and column */
export function parseJsonc(text: string, source: string): Json {
  return readValue(parseJsoncTree(text, source));
}

/** Of a key that stands there twice the last counts, as it does for `JSON.parse`. */
export function readValue(node: Node): Json {
  return getNodeValue(node) as Json;
}
