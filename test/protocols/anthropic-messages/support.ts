/** What the tests of this folder share: neutral requests and contexts, and streams in every slicing. */

import { anthropicMessages } from "../../../src/protocols/anthropic-messages/index.ts";
import type { ChatEvent, ChatRequest, Json } from "../../../src/protocols/chat.ts";
import {
  type DecodeContext,
  type EncodeTarget,
  plainQuirks,
  type Quirks,
  type ReplyContext,
  type SseMessage,
} from "../../../src/protocols/codec.ts";
import { SseReader } from "../../../src/protocols/sse.ts";

export const fixtures = new URL("../../fixtures/messages/", import.meta.url).pathname;

export function chatRequest(changes: Partial<ChatRequest> = {}): ChatRequest {
  return {
    model: "opus",
    stream: false,
    system: [],
    turns: [{ role: "user", parts: [{ type: "text", text: "hi" }] }],
    tools: [],
    reasoningDisplay: "full",
    echo: {},
    dropped: [],
    ...changes,
  };
}

export function replyContext(changes: Partial<ChatRequest> = {}): ReplyContext {
  return { request: chatRequest(changes), id: "abc123", createdAt: 1_800_000_000, estimatedInputTokens: 40 };
}

export function decodeContext(names: [string, string][] = []): DecodeContext {
  return { quirks: plainQuirks, toolNames: new Map(names) };
}

export function target(quirks: Partial<Quirks> = {}, maxOutputTokens?: number): EncodeTarget {
  const base = { model: "claude-x", quirks: { ...plainQuirks, ...quirks } };
  return maxOutputTokens === undefined ? base : { ...base, maxOutputTokens };
}

/** Decodes a stream that arrives in these pieces. */
export function decodePieces(pieces: Iterable<Uint8Array>, context = decodeContext()): ChatEvent[] {
  const reader = new SseReader();
  const decoder = anthropicMessages.streamDecoder(context);
  const events: ChatEvent[] = [];
  for (const piece of pieces) for (const message of reader.push(piece)) events.push(...decoder.push(message));
  for (const message of reader.end()) events.push(...decoder.push(message));
  events.push(...decoder.end());
  return events;
}

export function* singleBytes(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at++) yield bytes.subarray(at, at + 1);
}

/** The same pieces for the same seed (mulberry32). */
export function* randomPieces(bytes: Uint8Array, seed: number): Generator<Uint8Array> {
  let state = seed;
  for (let at = 0; at < bytes.length; ) {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    const length = 1 + (((mixed ^ (mixed >>> 14)) >>> 0) % 97);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

const deltaTypes: Record<string, string[]> = {
  text: ["text_delta"],
  thinking: ["thinking_delta", "signature_delta"],
  redacted_thinking: [],
  tool_use: ["input_json_delta"],
};

/** The data of the events; throws where an SDK would stumble: names, block numbers, open blocks, kinds of deltas. */
export function readAsClient(messages: SseMessage[]): Json[] {
  let open: { index: number; type: string } | undefined;
  let blocks = 0;
  let isEnded = false;
  const check = (holds: boolean, breach: string) => {
    if (!holds) throw new Error(breach);
  };
  return messages.map(({ event, data: raw }) => {
    const data = JSON.parse(raw);
    check(data.type === event, `the event ${event} carries ${data.type}`);
    check(!isEnded, `${event} after message_stop`);
    if (event === "content_block_start") {
      check(open === undefined && data.index === blocks, `block ${data.index} starts out of turn`);
      open = { index: data.index, type: data.content_block.type };
      blocks++;
    } else if (event === "content_block_delta") {
      check(open?.index === data.index, `a delta for block ${data.index}, which is not open`);
      check(deltaTypes[open?.type ?? ""]?.includes(data.delta.type) === true, `${data.delta.type} in ${open?.type}`);
    } else if (event === "content_block_stop") {
      check(open?.index === data.index, `block ${data.index} stops, which is not open`);
      open = undefined;
    } else if (event === "message_delta") check(open === undefined, "message_delta with a block open");
    else if (event === "message_stop") isEnded = true;
    return data;
  });
}
