/**
 * The Responses wire in its own spelling: what Clutch writes, as types, and the few checks with which it reads.
 * What it reads stays `Json` until a reader has looked at it, since every field of a foreign server may be missing.
 * @see https://platform.openai.com/docs/api-reference/responses
 */

import type { Json, JsonObject } from "../chat.ts";
import { isObject } from "../json.ts";

export type ItemStatus = "in_progress" | "completed" | "incomplete";

export type ContentPart =
  | { type: "output_text"; text: string; annotations: Json[] }
  | { type: "refusal"; refusal: string };

export type MessageItem = {
  id: string;
  type: "message";
  role: "assistant";
  status: ItemStatus;
  content: ContentPart[];
};

export type ReasoningItem = {
  id: string;
  type: "reasoning";
  summary: { type: "summary_text"; text: string }[];
  encrypted_content?: string;
};

export type FunctionCallItem = {
  id: string;
  type: "function_call";
  status: ItemStatus;
  call_id: string;
  name: string;
  namespace?: string;
  arguments: string;
};

export type CustomToolCallItem = {
  id: string;
  type: "custom_tool_call";
  status: ItemStatus;
  call_id: string;
  name: string;
  namespace?: string;
  input: string;
};

/** A call whose arguments are an object of the item, so that it is only ever written whole. */
export type StructuredCallItem = { id: string; status: ItemStatus; call_id: string } & (
  | { type: "tool_search_call"; execution: "client"; arguments: JsonObject }
  | { type: "local_shell_call"; action: JsonObject }
  | { type: "shell_call"; action: JsonObject }
  | { type: "apply_patch_call"; operation: JsonObject }
);

export type CallItem = FunctionCallItem | CustomToolCallItem | StructuredCallItem;

export type OutputItem = MessageItem | ReasoningItem | CallItem;

/** Codex reads no usage at all when one of these is missing. */
export type WireUsage = {
  input_tokens: number;
  input_tokens_details: { cached_tokens: number; cache_write_tokens: number };
  output_tokens: number;
  output_tokens_details: { reasoning_tokens: number };
  total_tokens: number;
};

/** What begins the id of an item, by its type; OpenAI refuses an id with another item's prefix. */
export const idPrefix = {
  message: "msg",
  reasoning: "rs",
  function_call: "fc",
  custom_tool_call: "ctc",
  tool_search_call: "tsc",
  local_shell_call: "lsh",
  shell_call: "sh",
  apply_patch_call: "apc",
} as const satisfies Record<OutputItem["type"], string>;

export function readObject(value: Json | undefined): JsonObject | undefined {
  return isObject(value) ? value : undefined;
}

export function readString(value: Json | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

export function readNumber(value: Json | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}

export function readArray(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

/** Both limits are OpenAI's: call ids and cache keys of more than 64 characters are refused. */
export function fitTo64(text: string): string {
  if (text.length <= 64) return text;
  const hash = new Bun.CryptoHasher("sha256").update(text).digest("hex");
  return `${text.slice(0, 47)}_${hash.slice(0, 16)}`;
}
