/** What a body that is passed on in its own protocol must still lose on its way to a certain upstream. Pure. */

import type { Json, JsonObject, Protocol } from "../src/protocols/chat.ts";
import { isObject } from "../src/protocols/json.ts";

/** A half-open range of bytes to leave out. */
export interface Cut {
  start: number;
  end: number;
}

const attribution = '"x-anthropic-billing-header:';

/**
 * Claude Code's first system block is a text for Anthropic's billing. It changes with every request, so any other server's
 * prompt cache is lost from its first token on (anthropics/claude-code#68900). Undefined when there is none, or when it
 * does not stand in a text block of its own.
 */
export function findAttribution(body: Buffer): Cut | undefined {
  const value = body.indexOf(attribution, 0, "latin1");
  if (value < 0) return undefined;
  const before = /\{\s*(?:"type"\s*:\s*"text"\s*,\s*)?"text"\s*:\s*$/.exec(
    body.toString("latin1", Math.max(0, value - 64), value),
  );
  const close = body.indexOf('"', value + attribution.length, "latin1");
  // The text is a few words; an escape in it would mean that this is something else.
  const text = body.toString("latin1", value, close);
  const after = /^"\s*(?:,\s*"type"\s*:\s*"text"\s*)?\}\s*(,?)/.exec(body.toString("latin1", close, close + 64));
  if (before === null || after === null || text.includes("\\") || text.length > 512) return undefined;
  const start = value - before[0].length;
  const end = close + after[0].length;
  if (after[1] === ",") return { start, end };
  // The last block of several takes the comma before it along; an only one leaves an empty list, which some servers refuse.
  const comma = /,\s*$/.exec(body.toString("latin1", Math.max(0, start - 16), start));
  return comma === null ? undefined : { start: start - comma[0].length, end };
}

/** True when the body carries reasoning that one of our translations wrapped: only the upstream behind it can read it. */
export function holdsWrappedReasoning(body: Buffer): boolean {
  return body.indexOf('"clutch1.', 0, "latin1") >= 0;
}

/** Takes reasoning out that this protocol's own vendor would refuse: wrapped by us, or without any signature. */
export function dropWrappedReasoning(body: JsonObject, protocol: Protocol): JsonObject {
  if (protocol === "messages" && Array.isArray(body["messages"])) {
    return { ...body, messages: body["messages"].map(withoutWrappedThinking).filter(hasContent) };
  }
  if (protocol === "responses" && Array.isArray(body["input"])) {
    return { ...body, input: body["input"].filter((item) => !isWrapped(item, "reasoning", "encrypted_content")) };
  }
  return body;
}

function withoutWrappedThinking(message: Json): Json {
  if (!isObject(message) || !Array.isArray(message["content"])) return message;
  const content = message["content"].filter(
    (block) => !isWrapped(block, "thinking", "signature") && !isWrapped(block, "redacted_thinking", "data"),
  );
  return { ...message, content };
}

function hasContent(message: Json): boolean {
  return !(isObject(message) && Array.isArray(message["content"]) && message["content"].length === 0);
}

function isWrapped(item: Json, type: string, field: string): boolean {
  if (!isObject(item) || item["type"] !== type) return false;
  const value = item[field];
  return value === "" || (typeof value === "string" && value.startsWith("clutch1."));
}
