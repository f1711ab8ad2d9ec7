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
  // A conversation may quote the header before the real one comes: the block's own shape tells them apart.
  for (let at = body.indexOf(attribution, 0, "latin1"); at >= 0; at = body.indexOf(attribution, at + 1, "latin1")) {
    const cut = cutBlock(body, at);
    if (cut !== undefined) return cut;
  }
  return undefined;
}

/** @param value where the text's opening quote stands */
function cutBlock(body: Buffer, value: number): Cut | undefined {
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

/**
 * True when the body carries reasoning that this upstream would refuse: wrapped by one of our translations, which only the
 * upstream behind it can read, or, for Anthropic, without any signature.
 */
export function holdsForeignReasoning(body: Buffer, isAnthropic: boolean): boolean {
  return (
    body.indexOf('"clutch1.', 0, "latin1") >= 0 || (isAnthropic && body.indexOf('"signature":""', 0, "latin1") >= 0)
  );
}

/** Takes such reasoning out, and the messages that consisted of nothing else. */
export function dropForeignReasoning(body: JsonObject, protocol: Protocol, isAnthropic: boolean): JsonObject {
  const isForeign = (item: Json) => foreignFields.some((place) => standsIn(item, place, isAnthropic));
  if (protocol === "messages" && Array.isArray(body["messages"])) {
    const messages = body["messages"].map((message) => without(message, isForeign));
    return { ...body, messages: messages.filter(hasContent) };
  }
  if (protocol === "responses" && Array.isArray(body["input"])) {
    return { ...body, input: body["input"].filter((item) => !isForeign(item)) };
  }
  return body;
}

/** Where each protocol's client returns what came with reasoning. */
const foreignFields = [
  { type: "thinking", field: "signature" },
  { type: "redacted_thinking", field: "data" },
  { type: "reasoning", field: "encrypted_content" },
] as const;

function without(message: Json, isForeign: (block: Json) => boolean): Json {
  if (!isObject(message) || !Array.isArray(message["content"])) return message;
  return { ...message, content: message["content"].filter((block) => !isForeign(block)) };
}

function hasContent(message: Json): boolean {
  return !(isObject(message) && Array.isArray(message["content"]) && message["content"].length === 0);
}

function standsIn(item: Json, { type, field }: (typeof foreignFields)[number], isAnthropic: boolean): boolean {
  if (!isObject(item) || item["type"] !== type) return false;
  const value = item[field];
  return (value === "" && isAnthropic) || (typeof value === "string" && value.startsWith("clutch1."));
}
