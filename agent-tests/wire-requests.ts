/** What a request brings to an upstream, read alike in all three protocols. Pure. */

import type { Json, JsonObject, Protocol } from "../src/protocols/chat.ts";
import { isObject } from "../src/protocols/json.ts";

/** Reasoning of an earlier answer that came back. */
export interface ReturnedReasoning {
  text: string;
  /** Empty where the protocol has none. */
  proof: string;
}

/** The messages or items of a request. */
export function conversation(body: JsonObject): JsonObject[] {
  return objects(body.messages ?? body.input);
}

/** The outputs of tools, in order, as plain text. */
export function toolResults(body: JsonObject): string[] {
  return conversation(body).flatMap((item) => {
    if (item.role === "tool") return [plainText(item.content)];
    if (item.type === "function_call_output" || item.type === "custom_tool_call_output")
      return [plainText(item.output)];
    const blocks = objects(item.content).filter((block) => block.type === "tool_result");
    return blocks.map((block) => plainText(block.content));
  });
}

/** How many tools each answer with calls has called. Calls of the Responses protocol are items beside each other. */
export function callsPerTurn(body: JsonObject): number[] {
  const turns: number[] = [];
  let isOpen = false;
  for (const item of conversation(body)) {
    const own = objects(item.tool_calls).length + objects(item.content).filter((b) => b.type === "tool_use").length;
    const isCallItem = item.type === "function_call" || item.type === "custom_tool_call";
    if (own > 0) turns.push(own);
    else if (isCallItem && isOpen) turns.push((turns.pop() ?? 0) + 1);
    else if (isCallItem) turns.push(1);
    isOpen = isCallItem;
  }
  return turns;
}

/** Reasoning that a request brings back, in order, in the protocol's own form. */
export function returnedReasoning(protocol: Protocol, body: JsonObject): ReturnedReasoning[] {
  return conversation(body).flatMap(reasoningReaders[protocol]);
}

const reasoningReaders: Readonly<Record<Protocol, (item: JsonObject) => ReturnedReasoning[]>> = {
  messages: (item) =>
    objects(item.content)
      .filter((block) => block.type === "thinking")
      .map((block) => ({ text: text(block.thinking), proof: text(block.signature) })),
  chat: (item) =>
    item.role === "assistant" && text(item.reasoning_content) !== ""
      ? [{ text: text(item.reasoning_content), proof: "" }]
      : [],
  responses: (item) =>
    item.type === "reasoning" ? [{ text: plainText(item.summary), proof: text(item.encrypted_content) }] : [],
};

/** The bytes of all images in a request, as base64; an image that is not in its protocol's form is not seen. */
export function images(protocol: Protocol, body: JsonObject): string[] {
  return everyObject(body.messages ?? body.input ?? null).flatMap((part) => imageReaders[protocol](part) ?? []);
}

const imageReaders: Readonly<Record<Protocol, (part: JsonObject) => string | undefined>> = {
  messages: (part) => (part.type === "image" && isObject(part.source) ? text(part.source.data) : undefined),
  chat: (part) =>
    part.type === "image_url" && isObject(part.image_url) ? base64Of(text(part.image_url.url)) : undefined,
  responses: (part) => (part.type === "input_image" ? base64Of(text(part.image_url)) : undefined),
};

function base64Of(url: string): string {
  return url.replace(/^data:[^,]*;base64,/, "");
}

function everyObject(value: Json | undefined): JsonObject[] {
  if (Array.isArray(value)) return value.flatMap(everyObject);
  return isObject(value) ? [value, ...Object.values(value).flatMap(everyObject)] : [];
}

/** The objects of an array; none of anything else. */
export function objects(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function text(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

function plainText(value: Json | undefined): string {
  if (typeof value === "string") return value;
  return objects(value)
    .map((part) => text(part.text))
    .join("");
}
