/**
 * What is taken over of a request that Headroom has compressed, and what of it is refused. Pure. Only the conversation
 * itself is taken, as bytes: Headroom also renames `max_tokens`, adds `stream_options` and cache marks that the upstream
 * may not know (0.42.0), and none of that is wanted.
 */

import type { Json } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";
import { RequestBody } from "./body.ts";
import { type Span, topLevelMembers } from "./peek.ts";

/** How a request was compressed: on its way through Headroom, or by a call beside it. */
export type CompressionWay = "front" | "sidecar";

/** A request in a smaller form. */
export interface Compressed {
  way: CompressionWay;
  body: RequestBody;
  /** Of the request as the agent sent it. */
  bytesBefore: number;
}

export type TakenOver = { ok: true; body: RequestBody } | { ok: false; reason: string };

/** Where a conversation stands, in all three protocols. */
const conversation = ["system", "instructions", "messages", "input", "tools"] as const;

/**
 * What would have to be fetched again by a tool that only Headroom could answer: its store of what it left out. A request
 * that spells them already talks about Headroom.
 */
const markers = ["<<ccr:", "headroom_retrieve"] as const;

/**
 * The original with the conversation of the compressed one in it. The original itself where nothing is gained, so that a
 * prompt cache sees no change without a reason.
 * @param asked the members that the compressor was given, and so has to give back
 */
export function takeOver(
  original: RequestBody,
  compressed: Buffer,
  asked: readonly (typeof conversation)[number][] = conversation,
): TakenOver {
  const refuse = (reason: string): TakenOver => ({ ok: false, reason });
  const { bytes } = original;
  const marker = markers.find((text) => compressed.includes(text, 0, "latin1") && !original.mentions(text));
  if (marker !== undefined) return refuse(`it put ${marker} into the request: start it with --lossless`);
  const before = topLevelMembers(bytes);
  const after = topLevelMembers(compressed);
  if (before === undefined || after === undefined) return refuse("what came of the request is no JSON object");
  const edits: { span: Span; put: Buffer }[] = [];
  for (const name of asked) {
    const span = before.get(name);
    if (span === undefined) continue;
    const its = after.get(name);
    if (its === undefined) return refuse(`it left ${name} out of the request`);
    const put = compressed.subarray(its.start, its.end);
    if (put.equals(bytes.subarray(span.start, span.end))) continue;
    if (name === "tools" && !hasSameTools(bytes.subarray(span.start, span.end), put)) {
      return refuse("it changed which tools there are");
    }
    edits.push({ span, put });
  }
  const gained = edits.reduce((sum, { span, put }) => sum + (span.end - span.start) - put.length, 0);
  if (gained <= 0) return { ok: true, body: original };
  edits.sort((one, other) => one.span.start - other.span.start);
  const pieces: Buffer[] = [];
  let at = 0;
  for (const { span, put } of edits) {
    pieces.push(bytes.subarray(at, span.start), put);
    at = span.end;
  }
  pieces.push(bytes.subarray(at));
  return { ok: true, body: new RequestBody(Buffer.concat(pieces)) };
}

/** It sorts them by name (0.42.0), which is its right. */
function hasSameTools(before: Buffer, after: Buffer): boolean {
  try {
    return Bun.deepEquals(toolNames(before).sort(), toolNames(after).sort());
  } catch {
    return false;
  }
}

function toolNames(tools: Buffer): string[] {
  const list = JSON.parse(tools.toString("utf8")) as Json;
  return (Array.isArray(list) ? list : []).map((tool) => {
    if (!isObject(tool)) return "";
    const inner = isObject(tool["function"]) ? tool["function"] : tool;
    return `${tool["type"] ?? ""}:${inner["name"] ?? ""}`;
  });
}

/**
 * Tokens before and after, as estimates of our own: what the upstream counted where it did, and four bytes a token where it
 * did not; before is in proportion to the bytes.
 */
export function estimateTokens(
  bytesBefore: number,
  bytesAfter: number,
  counted: number | undefined,
): { tokensBefore: number; tokensAfter: number } {
  const tokensAfter = counted === undefined || counted === 0 ? Math.ceil(bytesAfter / 4) : counted;
  return { tokensAfter, tokensBefore: Math.round((tokensAfter * bytesBefore) / Math.max(1, bytesAfter)) };
}
