/**
 * The parts of the Chat Completions wire that Clutch writes, in its own spelling, and how loosely typed JSON is read.
 * What is read has no types here: servers deviate, so every field is checked where it is used.
 *
 * @see https://platform.openai.com/docs/api-reference/chat
 */

import type { Json, JsonObject } from "../chat.ts";
import { isObject } from "../json.ts";

export type WireTextPart = { type: "text"; text: string; cache_control?: JsonObject };

export type WirePart =
  | WireTextPart
  | { type: "image_url"; image_url: { url: string; detail?: string } }
  | { type: "file"; file: { filename: string; file_data: string } }
  | { type: "input_audio"; input_audio: { data: string; format: string } };

export type WireToolCall =
  | { id: string; type: "function"; function: { name: string; arguments: string }; extra_content?: Json }
  | { id: string; type: "custom"; custom: { name: string; input: string } };

/** The assistant's message in a history and, with its role, in a whole answer. */
export type WireAssistantMessage = {
  role: "assistant";
  content: string | null;
  /** Always there in an answer, `null` for none. */
  refusal?: string | null;
  /** Where DeepSeek, vLLM and most others show reasoning. */
  reasoning_content?: string;
  /** Where OpenRouter shows it, with the details that it wants back. */
  reasoning?: string;
  reasoning_details?: Json[];
  tool_calls?: WireToolCall[];
};

export type WireMessage =
  | { role: "system" | "developer"; content: string | WireTextPart[] }
  | { role: "user"; content: string | WirePart[] }
  | WireAssistantMessage
  | { role: "tool"; tool_call_id: string; content: string | WirePart[] };

export type WireTool = {
  type: "function";
  function: { name: string; description?: string; parameters: JsonObject; strict: boolean };
};

/** The string when there is something in it: servers write absence as a missing field, `null` and `""` alike. */
export function filled(value: Json | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** The text of a `content` field, which is a string or an array of parts; empty when there is none. */
export function contentText(content: Json | undefined): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  let text = "";
  for (const part of content) {
    if (isObject(part) && part["type"] === "text" && typeof part["text"] === "string") text += part["text"];
  }
  return text;
}

/** An id for a call that came without one. */
export function inventCallId(): string {
  return `call_${crypto.randomUUID().replaceAll("-", "").slice(0, 24)}`;
}
