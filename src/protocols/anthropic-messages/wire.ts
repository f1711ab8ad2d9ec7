/**
 * Anthropic Messages as it stands on the wire: the shapes this folder writes. What it reads comes from strangers and is
 * looked at field by field, as `Json`.
 *
 * @see https://platform.claude.com/docs/en/api/messages
 */

import type { FinishReason, JsonObject } from "../chat.ts";

export type TextBlock = { type: "text"; text: string; cache_control?: JsonObject };

export type ImageBlock = {
  type: "image";
  source: { type: "base64"; media_type: string; data: string } | { type: "url"; url: string };
};

export type DocumentBlock = {
  type: "document";
  source:
    | { type: "base64"; media_type: "application/pdf"; data: string }
    | { type: "text"; media_type: "text/plain"; data: string }
    | { type: "url"; url: string };
  title?: string;
};

export type ThinkingBlock =
  | { type: "thinking"; thinking: string; signature: string }
  | { type: "redacted_thinking"; data: string };

export type ToolUseBlock = { type: "tool_use"; id: string; name: string; input: JsonObject };

export type ToolResultBlock = {
  type: "tool_result";
  tool_use_id: string;
  content?: string | (TextBlock | ImageBlock | DocumentBlock)[];
  is_error?: true;
};

export type Block = TextBlock | ImageBlock | DocumentBlock | ThinkingBlock | ToolUseBlock | ToolResultBlock;

export type Message = { role: "user" | "assistant" | "system"; content: Block[] };

export type UsageObject = {
  input_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
  output_tokens: number;
  output_tokens_details: { thinking_tokens: number };
};

export const stopReasons = {
  stop: "end_turn",
  "stop-sequence": "stop_sequence",
  length: "max_tokens",
  "context-window": "model_context_window_exceeded",
  "tool-calls": "tool_use",
  "content-filter": "refusal",
  pause: "pause_turn",
} as const satisfies Record<FinishReason, string>;

export type StopReason = (typeof stopReasons)[FinishReason];
