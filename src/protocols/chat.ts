/**
 * Clutch's own picture of a conversation with a model: what every protocol folder decodes into and encodes from.
 * Three protocols with two directions each are six translations through these types. No wire spelling appears here.
 */

export type Protocol = "messages" | "chat" | "responses";

/** Least to most; each protocol accepts a subset. */
export const efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"] as const;
export type Effort = (typeof efforts)[number];

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json | undefined };
export type JsonObject = { [key: string]: Json | undefined };

export interface ChatRequest {
  /** The model as the client named it; what the upstream is sent is an argument of the encoder. */
  model: string;
  stream: boolean;
  /** Instructions that stand before the first user or assistant turn, in order; never empty strings. */
  system: SystemText[];
  /**
   * In order. The decoder keeps the client's order; `settleTurns` (turns.ts) then repairs tool rounds, so an encoder
   * may rely on: every `tool` turn follows the assistant turn with its calls and answers all of them in call order.
   */
  turns: Turn[];
  /** Already free of duplicates: the first declaration of a name wins. */
  tools: Tool[];
  toolChoice?: ToolChoice;
  /** `false` only when the client forbade them; otherwise absent. */
  parallelToolCalls?: false;
  maxOutputTokens?: number;
  /** 0..2; a target that takes less clamps. */
  temperature?: number;
  topP?: number;
  topK?: number;
  stop?: string[];
  reasoning?: ReasoningRequest;
  format?: OutputFormat;
  verbosity?: string;
  /** An end-user id that may be shown to another vendor. Claude Code's `metadata.user_id` never becomes one. */
  endUser?: string;
  /** At most 64 characters. */
  cacheKey?: string;
  serviceTier?: "auto" | "default";
  /** What the client wants to see of usage in a Chat stream; the other protocols always carry it. */
  includeUsage?: boolean;
  /** How much reasoning text the client gets: `full`, `omitted` (an empty block with its signature), or `none`. */
  reasoningDisplay: "full" | "omitted" | "none";
  /** Values that a Responses answer repeats to its client (metadata, temperature, ...); empty for the others. */
  echo: JsonObject;
  /** Names of fields that this protocol cannot express elsewhere and that were left out; for the request log. */
  dropped: string[];
}

export interface SystemText {
  text: string;
  cacheControl?: JsonObject;
}

export type Turn =
  /** Instructions in the middle of the conversation; they keep their place. */
  | { role: "system"; text: string }
  | { role: "user"; parts: UserPart[] }
  | { role: "assistant"; parts: AssistantPart[] }
  | { role: "tool"; results: ToolResult[] };

export type UserPart = TextPart | ImagePart | DocumentPart | AudioPart;

export interface TextPart {
  type: "text";
  text: string;
  cacheControl?: JsonObject;
}

export interface ImagePart {
  type: "image";
  /** `data` is base64 without the data-URL prefix; `file` is an id that only its own vendor can resolve. */
  source:
    | { kind: "base64"; mediaType: string; data: string }
    | { kind: "url"; url: string }
    | { kind: "file"; id: string };
  detail?: string;
}

export interface DocumentPart {
  type: "document";
  source:
    | { kind: "base64"; mediaType: string; data: string }
    | { kind: "url"; url: string }
    | { kind: "text"; text: string }
    | { kind: "file"; id: string };
  /** A file name or title. */
  title?: string;
}

export interface AudioPart {
  type: "audio";
  format: string;
  data: string;
}

export type AssistantPart =
  | { type: "text"; text: string }
  | { type: "refusal"; text: string }
  | ReasoningPart
  | ToolCall;

export interface ReasoningPart {
  type: "reasoning";
  /** Readable text; empty when the model shows none. Summary parts are joined by a blank line. */
  text: string;
  /** What the upstream that wrote it needs back; absent when nothing replayable came with it. */
  replay?: Replay;
}

/**
 * What carries reasoning over a stateless round trip. `envelope.ts` wraps a value that is not native to the client.
 * - `anthropic`: a thinking block's signature; `redacted`: a redacted_thinking block's data
 * - `openai`: a Responses item's encrypted_content
 * - `field`: plain text of a Chat upstream, with the name of the field it must return in
 * - `details`: OpenRouter's reasoning_details, verbatim
 */
export type Replay =
  | { kind: "anthropic"; signature: string }
  | { kind: "redacted"; data: string }
  | { kind: "openai"; encrypted: string }
  | { kind: "field"; field: "reasoning_content" | "reasoning" }
  | { kind: "details"; details: Json[] };

export interface ToolCall {
  type: "tool-call";
  id: string;
  /** The canonical name, as in `Tool.name`. */
  name: string;
  /** JSON text of an object; never empty (`{}` at least). */
  arguments: string;
}

export interface ToolResult {
  callId: string;
  parts: (TextPart | ImagePart | DocumentPart)[];
  isError: boolean;
}

export interface Tool {
  /** Canonical and unique: a Responses namespace is already flattened into it. May still break a target's name rules. */
  name: string;
  description?: string;
  /** JSON Schema of the arguments, repaired by `repairSchema` (schema.ts). */
  parameters: JsonObject;
  strict?: boolean;
  cacheControl?: JsonObject;
  /** How a Responses client declared it, and so how a call must be returned to it; absent for plain functions. */
  origin?: ToolOrigin;
  /** A vendor's own tool that runs on its side (web search); only a target with the matching flag gets it. */
  server?: "web_search";
}

export interface ToolOrigin {
  kind: "function" | "custom" | "tool_search" | "local_shell" | "shell" | "apply_patch";
  /** The child's own name and its namespace; `functions` means the namespace is not repeated to the client. */
  childName: string;
  namespace?: string;
}

export type ToolChoice =
  | { type: "auto" | "any" | "none" }
  | { type: "tool"; name: string }
  /** Only these tools may be called. */
  | { type: "allowed"; mode: "auto" | "any"; names: string[] };

export interface ReasoningRequest {
  effort?: Effort;
  /** Anthropic's switch; absent when the client's protocol has none. */
  mode?: "enabled" | "adaptive" | "disabled";
  budgetTokens?: number;
}

export type OutputFormat =
  | { type: "json-schema"; name: string; schema: JsonObject; strict?: boolean }
  | { type: "json-object" };

export type FinishReason =
  | "stop"
  | "stop-sequence"
  | "length"
  | "context-window"
  | "tool-calls"
  | "content-filter"
  | "pause";

/** Token counts, each disjoint from the others except `reasoning`, which is part of `output`. */
export interface Usage {
  /** Input that was neither read from nor written to a prompt cache. */
  input: number;
  cacheRead: number;
  cacheWrite: number;
  output: number;
  reasoning: number;
  /** US dollars, when the upstream itself says what the answer cost (OpenRouter's `usage.cost`). */
  costUsd?: number;
  /** Set when the upstream reported nothing and these are bytes/4. */
  estimated?: true;
}

/** A whole answer. */
export interface ChatResponse {
  /** The upstream's id, if it gave one. */
  id?: string;
  /** The model that the upstream says it ran. */
  model?: string;
  parts: AssistantPart[];
  finish: FinishReason;
  stopSequence?: string;
  usage?: Usage;
  /** True when the answer holds content this model has no picture of (a hosted tool's output): it is not empty. */
  hasOpaque?: boolean;
}

/**
 * A streamed answer. Legal order, which every decoder guarantees and every encoder may rely on:
 *
 *   start? (text-delta | refusal-delta | reasoning-delta* reasoning-end | tool-start tool-delta* tool-end | opaque | usage)* (finish | error)
 *
 * - `tool-delta` and `tool-end` name the call by its number, counted from 0 in order of `tool-start`; calls may interleave.
 *   Each started call is ended once, before `finish`. The deltas of one call concatenate to its arguments.
 * - `reasoning-end` closes the open reasoning block; text and calls are never emitted while one is open.
 * - `usage` replaces what an earlier one said; it may come at any time before `finish`.
 * - `finish` or `error` is the last event, exactly once. A stream that stops without its protocol's terminal signal ends
 *   in `error` with kind `incomplete`: a truncated answer must never look whole.
 */
export type ChatEvent =
  | { type: "start"; id?: string; model?: string; usage?: Usage }
  | { type: "text-delta"; text: string }
  | { type: "text-end" }
  | { type: "refusal-delta"; text: string }
  | { type: "reasoning-delta"; text: string }
  | { type: "reasoning-end"; replay?: Replay }
  | { type: "tool-start"; call: number; id: string; name: string }
  | { type: "tool-delta"; call: number; json: string }
  | { type: "tool-end"; call: number }
  | { type: "opaque" }
  | { type: "usage"; usage: Usage }
  | { type: "finish"; reason: FinishReason; stopSequence?: string; usage?: Usage }
  | { type: "error"; error: StreamError };

/** What an upstream said went wrong inside its stream, or that it stopped too early. */
export interface StreamError {
  /** `reported`: the upstream sent an error. `incomplete`: it ended without a terminal event. `malformed`: not its protocol. */
  kind: "reported" | "incomplete" | "malformed";
  message: string;
  /** The upstream's own code or type, verbatim. */
  code?: string;
  /** The HTTP status that the upstream's error stands for, where it says so. */
  status?: number;
}
