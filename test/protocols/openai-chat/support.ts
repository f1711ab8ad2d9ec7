/** Feeds streams to the Chat codec in any slicing. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ChatEvent, ChatRequest } from "../../../src/protocols/chat.ts";
import { type DecodeContext, plainQuirks, type ReplyContext, type SseMessage } from "../../../src/protocols/codec.ts";
import { openaiChat } from "../../../src/protocols/openai-chat/index.ts";
import { SseReader } from "../../../src/protocols/sse.ts";

const fixtures = join(import.meta.dir, "../../fixtures/chat");

export function fixtureBytes(name: string): Uint8Array {
  return readFileSync(join(fixtures, name));
}

export function fixtureJson(name: string) {
  return JSON.parse(readFileSync(join(fixtures, name), "utf8"));
}

export const plainDecode: DecodeContext = { quirks: plainQuirks, toolNames: new Map() };

export const emptyRequest: ChatRequest = {
  model: "client-model",
  stream: true,
  system: [],
  turns: [],
  tools: [],
  reasoningDisplay: "full",
  echo: {},
  dropped: [],
};

export function replyTo(request: Partial<ChatRequest> = {}): ReplyContext {
  return { request: { ...emptyRequest, ...request }, id: "abc1", createdAt: 1763600000, estimatedInputTokens: 10 };
}

export function decodeSlices(slices: Uint8Array[], context = plainDecode): ChatEvent[] {
  const reader = new SseReader();
  const decoder = openaiChat.streamDecoder(context);
  const messages: SseMessage[] = slices.flatMap((slice) => reader.push(slice));
  const events = [...messages, ...reader.end()].flatMap((message) => decoder.push(message));
  return [...events, ...decoder.end()];
}

/** Each chunk as the `data` of one message. */
export function decodeChunks(chunks: unknown[], context = plainDecode): ChatEvent[] {
  const decoder = openaiChat.streamDecoder(context);
  const events = chunks.flatMap((chunk) =>
    decoder.push({ data: typeof chunk === "string" ? chunk : JSON.stringify(chunk) }),
  );
  return [...events, ...decoder.end()];
}

export function encodeEvents(events: ChatEvent[], context: ReplyContext): SseMessage[] {
  const encoder = openaiChat.streamEncoder(context);
  const messages = events.flatMap((event) => encoder.push(event));
  return [...messages, ...encoder.end()];
}
