/**
 * The envelope in which reasoning that is foreign to a client's protocol makes its round trip: an opaque string that
 * fits a thinking block's `signature` or a reasoning item's `encrypted_content`, and that the client echoes unread.
 */

import type { Json, Replay } from "./chat.ts";

const prefix = "clutch1.";

/** What an envelope held. */
export interface UnwrappedReasoning {
  replay: Replay;
  /** The reasoning text that the client was not shown; empty when it was, or when the upstream does not need it. */
  hiddenText: string;
}

/**
 * @param hiddenText the reasoning text, when the client gets an empty block (`display: "omitted"`, which Claude Code
 *   always asks for). Only a `field` replay carries it: DeepSeek and Kimi answer 400 unless the text itself returns,
 *   while every other kind is complete without it.
 */
export function wrapReplay(replay: Replay, hiddenText = ""): string {
  return prefix + Buffer.from(JSON.stringify(contentOf(replay, hiddenText))).toString("base64url");
}

/** Undefined for anything that is not one of our envelopes, whole and of a known kind. Never throws. */
export function unwrapReplay(value: string): Replay | undefined {
  return unwrapReasoning(value)?.replay;
}

/** As `unwrapReplay`, with the text that travelled inside. */
export function unwrapReasoning(value: string): UnwrappedReasoning | undefined {
  if (!value.startsWith(prefix)) return undefined;
  let content: Json;
  try {
    content = JSON.parse(Buffer.from(value.slice(prefix.length), "base64url").toString()) as Json;
  } catch {
    return undefined;
  }
  if (typeof content !== "object" || content === null || Array.isArray(content)) return undefined;
  const replay = replayOf(content);
  if (replay === undefined) return undefined;
  return { replay, hiddenText: replay.kind === "field" && typeof content.t === "string" ? content.t : "" };
}

// One-letter keys: an envelope is sent back with every later request of the conversation.

function contentOf(replay: Replay, hiddenText: string): { [key: string]: Json } {
  switch (replay.kind) {
    case "field":
      return hiddenText === "" ? { k: "rc", f: replay.field } : { k: "rc", f: replay.field, t: hiddenText };
    case "details":
      return { k: "rd", d: replay.details };
    case "openai":
      return { k: "rs", e: replay.encrypted };
    case "anthropic":
      return { k: "as", s: replay.signature };
    case "redacted":
      return { k: "ar", d: replay.data };
    default:
      return replay satisfies never;
  }
}

function replayOf(content: { [key: string]: Json | undefined }): Replay | undefined {
  const { d, e, f, k, s } = content;
  if (k === "rc" && (f === "reasoning_content" || f === "reasoning")) return { kind: "field", field: f };
  if (k === "rd" && Array.isArray(d)) return { kind: "details", details: d };
  if (k === "rs" && typeof e === "string") return { kind: "openai", encrypted: e };
  if (k === "as" && typeof s === "string") return { kind: "anthropic", signature: s };
  if (k === "ar" && typeof d === "string") return { kind: "redacted", data: d };
  return undefined;
}
