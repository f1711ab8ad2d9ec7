/** What every protocol folder provides, and the knobs that one target may turn. */

import type { ChatEvent, ChatRequest, ChatResponse, Json, JsonObject, Protocol } from "./chat.ts";

/** One server-sent event. `data` holds the joined `data:` lines. */
export interface SseMessage {
  event?: string | undefined;
  data: string;
}

/** Takes items in any slicing; `end()` closes what is open and is called exactly once. */
export interface Transducer<In, Out> {
  push(item: In): Out[];
  end(): Out[];
}

/**
 * The oddities of one target, by name. The defaults (`plainQuirks`) suit an unknown compatible server;
 * `providers/quirks.ts` says who differs. Protocols in brackets say whose encoder reads the flag.
 */
export interface Quirks {
  /** [chat] Where the output limit goes. */
  maxTokensField: "max_tokens" | "max_completion_tokens";
  /** [chat] Send instructions with role `developer`. */
  developerRole: boolean;
  /** [chat] The chat template takes system messages only at the start. */
  systemFirstOnly: boolean;
  /** [chat] How effort is asked for; `none` sends nothing. */
  reasoningParam: "reasoning_effort" | "reasoning" | "thinking" | "enable_thinking" | "none";
  /** Efforts the model takes, least first; another is replaced by the nearest lower one. Empty = all. */
  efforts: readonly string[];
  /** [chat] Send cache_control marks on text parts. */
  cacheControl: boolean;
  /** [chat] Images may stay inside tool messages. */
  toolImages: boolean;
  /** [chat] Reasoning comes as `<think>...</think>` at the start of content. */
  thinkTags: boolean;
  /** [chat] Gemini: calls in history carry a thought signature. */
  thoughtSignatures: boolean;
  /** [chat] Ask for usage in streams. */
  streamOptions: boolean;
  /** [chat, responses] Send prompt_cache_key. */
  promptCacheKey: boolean;
  /** [chat, responses] Send verbosity. */
  verbosity: boolean;
  /** [messages] Send temperature, top_p and top_k. */
  sampling: boolean;
  /** [messages] How thinking is asked for. */
  thinkingMode: "adaptive" | "budget" | "none";
  /** [messages] Takes role `system` inside messages. */
  midSystem: boolean;
  /** [messages, chat] Takes a schema for its answer as a field; otherwise it is asked for by words. */
  outputFormat: boolean;
  /** [messages, responses] Runs web search itself. */
  webSearch: boolean;
  /** [messages] Anthropic's own API: add a top-level cache_control when the conversation has none. */
  autoCache: boolean;
}

export const plainQuirks: Quirks = {
  maxTokensField: "max_tokens",
  developerRole: false,
  systemFirstOnly: true,
  reasoningParam: "reasoning_effort",
  efforts: [],
  cacheControl: false,
  toolImages: false,
  thinkTags: false,
  thoughtSignatures: false,
  streamOptions: true,
  promptCacheKey: false,
  verbosity: false,
  sampling: true,
  thinkingMode: "adaptive",
  midSystem: false,
  outputFormat: true,
  webSearch: false,
  autoCache: false,
};

export interface EncodeTarget {
  /** The provider's own name of the model. */
  model: string;
  quirks: Quirks;
  /** The model's largest output in tokens, if known: limits are clamped to it. */
  maxOutputTokens?: number;
  signatures?: CallSignatures;
}

/** Remembers, for a while, what an upstream wants back with a tool call but no client can carry. */
export interface CallSignatures {
  keep(callId: string, signature: string): void;
  find(callId: string): string | undefined;
}

export interface EncodedRequest {
  body: JsonObject;
  /** Names as sent, when they had to be changed, to canonical names. */
  toolNames: ReadonlyMap<string, string>;
}

/** What decoding an answer needs to know of the request it answers. */
export interface DecodeContext {
  quirks: Quirks;
  toolNames: ReadonlyMap<string, string>;
  signatures?: CallSignatures;
}

/** What encoding an answer needs: the client's request, and the ids this answer goes by. */
export interface ReplyContext {
  request: ChatRequest;
  /** Unique part of the ids made for this answer: lower-case letters and digits. */
  id: string;
  /** Seconds since 1970. */
  createdAt: number;
  /** Input tokens to announce before the upstream has said anything; bytes/4. */
  estimatedInputTokens: number;
}

export interface Codec {
  readonly protocol: Protocol;
  /**
   * From the client. Checks what the protocol's own API checks.
   * @throws {ProtocolError} the message names the field, as the API would.
   */
  decodeRequest(body: Json): ChatRequest;
  /**
   * To the upstream. `request.turns` must have been settled (turns.ts).
   * @throws {ProtocolError} when something must not be lost and this protocol cannot say it (a file id, audio).
   */
  encodeRequest(request: ChatRequest, target: EncodeTarget): EncodedRequest;
  /** A whole answer of the upstream. @throws {MalformedAnswer} when it is no answer (no choices, an error in a 200). */
  decodeResponse(body: Json, context: DecodeContext): ChatResponse;
  encodeResponse(response: ChatResponse, context: ReplyContext): JsonObject;
  /** The upstream's stream. Never throws: what it cannot read becomes an `error` event. */
  streamDecoder(context: DecodeContext): StreamDecoder;
  /** The client's stream. */
  streamEncoder(context: ReplyContext): StreamEncoder;
  encodeError(error: GatewayError): { status: number; body: JsonObject };
  /** The error as the last event of a stream that another writer began (a passed-through one). */
  encodeStreamError(error: GatewayError, place: StreamPlace): SseMessage[];
  /** Bytes that keep a silent stream alive once it has been opened: an event or an SSE comment, with its blank line. */
  readonly keepAlive: string;
}

/** Reads one upstream stream. */
export interface StreamDecoder extends Transducer<SseMessage, ChatEvent> {
  /**
   * The answer is whole, though `finish` is still to come: only bookkeeping can follow (a late usage chunk), so a stream
   * that now breaks or falls silent has lost nothing.
   */
  readonly isWhole?: boolean;
}

/**
 * Writes one stream in a protocol's grammar. `push` gets every event but `error`; the gateway turns that into a
 * `GatewayError` and calls `fail`. `end()` after `finish` writes what may follow (usage chunk, `[DONE]`).
 */
export interface StreamEncoder extends Transducer<ChatEvent, SseMessage> {
  /** The neutral opening, written before the upstream has answered; afterwards `start` events write none. */
  open(): SseMessage[];
  /** The protocol's own error, as the stream's last events; nothing may be pushed after it. */
  fail(error: GatewayError): SseMessage[];
}

/** Where a passed-through stream stands when it must be ended by us. */
export interface StreamPlace {
  /** Responses: the id in the upstream's `response.created`, and the last `sequence_number` seen (-1 if none). */
  responseId?: string;
  sequence: number;
  /** As the client named it. */
  model: string;
  /** Seconds since 1970. */
  createdAt: number;
}

/** A request that the client's own API would refuse; always answered 400 in the client's protocol. */
export class ProtocolError extends Error {
  override name = "ProtocolError";
  /** The field at fault, as the client spells it, for `error.param`. */
  readonly param: string | undefined;
  /** A code of the protocol's own, such as `previous_response_not_found`. */
  readonly code: string | undefined;
  constructor(message: string, details: { param?: string; code?: string } = {}) {
    super(message);
    this.param = details.param;
    this.code = details.code;
  }
}

/** A 200 whose body is no answer: an upstream failure, never a success. */
export class MalformedAnswer extends Error {
  override name = "MalformedAnswer";
  /** The upstream's own error code or status, if the body was an error. */
  readonly code: string | undefined;
  readonly status: number | undefined;
  constructor(message: string, details: { code?: string; status?: number } = {}) {
    super(message);
    this.code = details.code;
    this.status = details.status;
  }
}

/** An error on its way to a client, before it takes the shape of a protocol (protocols.md section 10). */
export interface GatewayError {
  kind:
    | "invalid-request"
    | "context-overflow"
    | "authentication"
    | "billing"
    | "permission"
    | "not-found"
    | "too-large"
    | "rate-limit"
    | "overloaded"
    | "timeout"
    | "upstream"
    | "not-implemented";
  message: string;
  requestId?: string;
  /** Answered as a `retry-after` header and, where the protocol has room, in the message. */
  retryAfterMs?: number;
  /** The upstream's own code, kept where the protocol has a field for it. */
  code?: string;
  param?: string;
  /** For `context-overflow`, where known: they make the wording that triggers compaction. */
  tokens?: { input?: number; maxOutput?: number; limit?: number };
}
