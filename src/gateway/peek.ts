/**
 * Reads a few top-level members of a JSON object without parsing it: an agent's body is 50 KB to 1 MB, and parsing it
 * costs more than everything else the gateway does for a request whose bytes are passed on as they came.
 */

const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const colon = 0x3a;
const comma = 0x2c;

/** Where a value lies: `body.subarray(start, end)`. */
export interface Span {
  start: number;
  end: number;
}

/**
 * The span of the string value of a top-level member, quotes included; the first one, should it stand there twice.
 * Undefined when it is absent or its value is no string.
 *
 * Assumes valid JSON. An unescaped `"key"` can then only be a whole string token, so every place that spells the key is
 * found with a byte search; only its depth is left to find out, by walking to the nearer end of the body.
 */
export function findTopLevelString(body: Buffer, key: string): Span | undefined {
  const start = findTopLevelValue(body, key, (byte) => byte === quote);
  if (start === undefined) return undefined;
  const end = skipString(body, start);
  return end === undefined ? undefined : { start, end };
}

/** The top-level boolean of that name; undefined when absent. */
export function findTopLevelBoolean(body: Buffer, key: string): boolean | undefined {
  const start = findTopLevelValue(body, key, (byte) => byte === 0x74 || byte === 0x66);
  return start === undefined ? undefined : body[start] === 0x74;
}

/** Whether the top-level member is an array that is not empty. */
export function hasTopLevelItems(body: Buffer, key: string): boolean {
  const start = findTopLevelValue(body, key, (byte) => byte === openBracket);
  return start !== undefined && body[skipSpace(body, start + 1)] !== closeBracket;
}

/**
 * Where each top-level member's value lies, by its name; the last one, should a name stand there twice. One pass over the
 * whole body, so not for the ordinary path. Undefined for what is no JSON object, or spells a name with escapes.
 */
export function topLevelMembers(body: Buffer): Map<string, Span> | undefined {
  const members = new Map<string, Span>();
  let at = skipSpace(body, 0);
  if (body[at] !== openBrace) return undefined;
  at = skipSpace(body, at + 1);
  while (body[at] === quote) {
    const nameEnd = skipString(body, at);
    if (nameEnd === undefined) return undefined;
    const name = body.toString("utf8", at + 1, nameEnd - 1);
    at = skipSpace(body, nameEnd);
    if (name.includes("\\") || body[at] !== colon) return undefined;
    const start = skipSpace(body, at + 1);
    const end = skipValue(body, start);
    if (end === undefined) return undefined;
    members.set(name, { start, end });
    at = skipSpace(body, end);
    if (body[at] === comma) at = skipSpace(body, at + 1);
  }
  return body[at] === closeBrace && skipSpace(body, at + 1) === body.length ? members : undefined;
}

/** The place behind the value that begins at `start`. */
function skipValue(body: Buffer, start: number): number | undefined {
  let depth = 0;
  let at = start;
  while (at < body.length) {
    const byte = body[at];
    if (byte === quote) {
      const end = skipString(body, at);
      if (end === undefined) return undefined;
      at = end;
      if (depth === 0) return at;
      continue;
    }
    if (byte === openBrace || byte === openBracket) depth++;
    else if (byte === closeBrace || byte === closeBracket) {
      // The object's own end behind a number or word.
      if (depth === 0) return at > start ? at : undefined;
      depth--;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (byte === comma || isSpace(byte))) return at > start ? at : undefined;
    at++;
  }
  return undefined;
}

/** Places that spell the key and are looked at one by one; a body with more is walked once instead. */
const maxGuesses = 4;

function findTopLevelValue(body: Buffer, key: string, fits: (firstByte: number) => boolean): number | undefined {
  const token = `"${key}"`;
  let guesses = 0;
  for (let at = body.indexOf(token, 0, "latin1"); at >= 0; at = body.indexOf(token, at + token.length, "latin1")) {
    const value = valueBehindKey(body, at, token.length);
    if (value === undefined || !fits(body[value] ?? 0)) continue;
    if (++guesses > maxGuesses) return walkToValue(body, token, fits);
    if (isTopLevel(body, at, value)) return value;
  }
  return undefined;
}

/** Where the value of the key at `at` begins; undefined when the token is no key, or only looks like one inside a string. */
function valueBehindKey(body: Buffer, at: number, length: number): number | undefined {
  if (body[at - 1] === backslash) return undefined;
  const afterKey = skipSpace(body, at + length);
  return body[afterKey] === colon ? skipSpace(body, afterKey + 1) : undefined;
}

/** The same in one pass over the whole body, whatever it repeats. */
function walkToValue(body: Buffer, token: string, fits: (firstByte: number) => boolean): number | undefined {
  let depth = 0;
  let at = 0;
  while (at < body.length) {
    const byte = body[at];
    if (byte === quote) {
      const end = skipString(body, at);
      if (end === undefined) return undefined;
      if (depth === 1 && end - at === token.length && body.toString("latin1", at, end) === token) {
        const value = valueBehindKey(body, at, token.length);
        if (value !== undefined && fits(body[value] ?? 0)) return value;
      }
      at = end;
      continue;
    }
    if (byte === openBrace || byte === openBracket) depth++;
    else if (byte === closeBrace || byte === closeBracket) depth--;
    at++;
  }
  return undefined;
}

/** @param key where the key's opening quote stands; @param value where its value begins */
function isTopLevel(body: Buffer, key: number, value: number): boolean {
  return key < body.length - value ? depthOf(body, 0, key).depth === 1 : closesWithBody(body, value);
}

/** True when the object that holds this value ends where the body ends. */
function closesWithBody(body: Buffer, value: number): boolean {
  const { depth, lowestAt } = depthOf(body, value, body.length);
  return depth === -1 && skipSpace(body, lowestAt + 1) === body.length;
}

/** Nesting gained between two places outside of strings, and where it first fell below its start (-1: never). */
function depthOf(body: Buffer, from: number, to: number): { depth: number; lowestAt: number } {
  let depth = 0;
  let lowestAt = -1;
  let at = from;
  while (at < to) {
    const byte = body[at];
    if (byte === quote) {
      const end = skipString(body, at);
      if (end === undefined) return { depth: Number.NaN, lowestAt };
      at = end;
      continue;
    }
    if (byte === openBrace || byte === openBracket) depth++;
    else if (byte === closeBrace || byte === closeBracket) {
      depth--;
      if (depth < 0 && lowestAt < 0) lowestAt = at;
    }
    at++;
  }
  return { depth, lowestAt };
}

/** The place after the closing quote of the string that opens at `at`. */
function skipString(body: Buffer, at: number): number | undefined {
  for (let end = body.indexOf(quote, at + 1); end >= 0; end = body.indexOf(quote, end + 1)) {
    let escapes = 0;
    while (body[end - 1 - escapes] === backslash) escapes++;
    if (escapes % 2 === 0) return end + 1;
  }
  return undefined;
}

function skipSpace(body: Buffer, at: number): number {
  let here = at;
  for (; here < body.length; here++) {
    if (!isSpace(body[here])) break;
  }
  return here;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
