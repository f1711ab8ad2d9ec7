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

/** A call in a request and the output that belongs to it by its id. */
export interface ToolRound {
  /** The arguments as JSON, or the raw text of a custom tool. */
  input: string;
  /** The outputs with its id: one, if all is well. */
  outputs: string[];
}

/**
 * The calls of each answer that has made any. Calls of the Responses protocol are items beside each other, and a reader
 * of it puts their outputs behind them.
 */
export function toolRounds(body: JsonObject): ToolRound[][] {
  const outputs = conversation(body).flatMap(readOutputs);
  const turns: Call[][] = [];
  let isOpen = false;
  for (const item of conversation(body)) {
    const calls = readCalls(item);
    if (item.type !== undefined && isOpen) turns.at(-1)?.push(...calls);
    else if (calls.length > 0) turns.push(calls);
    isOpen = item.type !== undefined && calls.length > 0;
  }
  return turns.map((calls) => calls.map(({ id, input }) => ({ input, outputs: outputsOf(id, outputs) })));
}

interface Call {
  id: string;
  input: string;
}

interface Output {
  id: string;
  output: string;
}

function outputsOf(id: string, outputs: readonly Output[]): string[] {
  return outputs.flatMap((candidate) => (candidate.id === id ? candidate.output : []));
}

function readCalls(item: JsonObject): Call[] {
  if (item.type === "function_call") return [{ id: text(item.call_id), input: text(item.arguments) }];
  if (item.type === "custom_tool_call") return [{ id: text(item.call_id), input: text(item.input) }];
  const inMessages = objects(item.content).filter((block) => block.type === "tool_use");
  return [
    ...inMessages.map((block) => ({ id: text(block.id), input: JSON.stringify(block.input) })),
    ...objects(item.tool_calls).map((call) => ({
      id: text(call.id),
      input: isObject(call.function) ? text(call.function.arguments) : "",
    })),
  ];
}

function readOutputs(item: JsonObject): Output[] {
  if (item.role === "tool") return [{ id: text(item.tool_call_id), output: plainText(item.content) }];
  if (item.type === "function_call_output" || item.type === "custom_tool_call_output")
    return [{ id: text(item.call_id), output: plainText(item.output) }];
  const blocks = objects(item.content).filter((block) => block.type === "tool_result");
  return blocks.map((block) => ({ id: text(block.tool_use_id), output: plainText(block.content) }));
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
