/** An answer of a model as each of the three protocols puts it on the wire: whole, streamed, and as an error. Pure. */

import type { JsonObject, Protocol } from "../src/protocols/chat.ts";

/** What a model says, in order. */
export type Part =
  | { kind: "text"; text: string }
  /** `proof` is what the vendor wants back unchanged: Anthropic's signature, OpenAI's encrypted content. Chat has none. */
  | { kind: "reasoning"; text: string; proof: string }
  | ToolCall;

/** A call of one of the client's tools. */
export interface ToolCall {
  kind: "tool";
  name: string;
  input: JsonObject;
  /** Responses only: the namespace that the tool was declared in. */
  namespace?: string;
  /** Responses only: the raw text for a custom tool; `input` is not looked at then. */
  raw?: string;
}

/** One server-sent event; `data` is text only for Chat's `[DONE]`. */
export interface Event {
  event?: string;
  data: JsonObject | string;
}

export interface Answer {
  id: string;
  model: string;
  parts: readonly Part[];
  /** Chat streams tell the usage only to clients that asked. */
  includeUsage: boolean;
}

export type ErrorKind = "rate-limit" | "overloaded" | "overflow";

export interface Writer {
  whole(answer: Answer): JsonObject;
  stream(answer: Answer): Event[];
  error(kind: ErrorKind, model: string): { status: number; body: JsonObject };
  rateLimitHeaders(resetSeconds: number): Record<string, string>;
}

/** The text in pieces of a few characters, as models send it. */
function pieces(text: string): string[] {
  return text.match(/[\s\S]{1,8}/g) ?? [];
}

function hasCalls(answer: Answer): boolean {
  return answer.parts.some((part) => part.kind === "tool");
}

/** An event whose name is the type in its data, as Anthropic and Responses send them. */
function typed(data: { type: string } & JsonObject): Event {
  return { event: data.type, data };
}

// ---- Anthropic Messages

const messagesWriter: Writer = {
  whole: (answer) => ({
    ...messagesOpening(answer),
    content: answer.parts.map((part, index) => messagesBlock(answer, part, index)),
    stop_reason: messagesStop(answer),
    usage: { input_tokens: 120, output_tokens: 12 },
  }),
  stream: (answer) => [
    typed({ type: "message_start", message: messagesOpening(answer) }),
    typed({ type: "ping" }),
    ...answer.parts.flatMap((part, index) => [
      typed({ type: "content_block_start", index, content_block: messagesBlockOpening(answer, part, index) }),
      ...messagesDeltas(part).map((delta) => typed({ type: "content_block_delta", index, delta })),
      typed({ type: "content_block_stop", index }),
    ]),
    typed({
      type: "message_delta",
      delta: { stop_reason: messagesStop(answer), stop_sequence: null },
      usage: { output_tokens: 12 },
    }),
    typed({ type: "message_stop" }),
  ],
  error: (kind, model) => {
    const { status, type, message } = messagesErrors[kind];
    return { status, body: { type: "error", error: { type, message: `${message}${suffix(kind, model)}` } } };
  },
  rateLimitHeaders: (resetSeconds) => ({ "anthropic-ratelimit-requests-reset": isoIn(resetSeconds) }),
};

const messagesErrors: Readonly<Record<ErrorKind, { status: number; type: string; message: string }>> = {
  "rate-limit": { status: 429, type: "rate_limit_error", message: "Rate limit reached" },
  overloaded: { status: 529, type: "overloaded_error", message: "Overloaded" },
  overflow: {
    status: 400,
    type: "invalid_request_error",
    message: "prompt is too long: 250000 tokens > 200000 maximum",
  },
};

function suffix(kind: ErrorKind, model: string): string {
  return kind === "rate-limit" ? ` for model ${model}` : "";
}

function messagesOpening(answer: Answer): JsonObject {
  return {
    id: `msg_${answer.id}`,
    type: "message",
    role: "assistant",
    model: answer.model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 120, output_tokens: 1 },
  };
}

function messagesBlock({ id }: Answer, part: Part, index: number): JsonObject {
  switch (part.kind) {
    case "text":
      return { type: "text", text: part.text };
    case "reasoning":
      return { type: "thinking", thinking: part.text, signature: part.proof };
    case "tool":
      return { type: "tool_use", id: `toolu_${id}_${index}`, name: part.name, input: part.input };
  }
}

function messagesBlockOpening(answer: Answer, part: Part, index: number): JsonObject {
  const empty = { text: { text: "" }, reasoning: { thinking: "", signature: "" }, tool: { input: {} } };
  return { ...messagesBlock(answer, part, index), ...empty[part.kind] };
}

function messagesDeltas(part: Part): JsonObject[] {
  switch (part.kind) {
    case "text":
      return pieces(part.text).map((text) => ({ type: "text_delta", text }));
    case "reasoning":
      return [
        ...pieces(part.text).map((thinking) => ({ type: "thinking_delta", thinking })),
        { type: "signature_delta", signature: part.proof },
      ];
    case "tool":
      return pieces(JSON.stringify(part.input)).map((json) => ({ type: "input_json_delta", partial_json: json }));
  }
}

function messagesStop(answer: Answer): string {
  return hasCalls(answer) ? "tool_use" : "end_turn";
}

// ---- OpenAI Chat Completions

const chatUsage: JsonObject = { prompt_tokens: 120, completion_tokens: 12, total_tokens: 132 };

const chatWriter: Writer = {
  whole: (answer) => ({
    ...chatFrame(answer, "chat.completion"),
    choices: [{ index: 0, message: chatMessage(answer), finish_reason: chatFinish(answer) }],
    usage: chatUsage,
  }),
  stream: (answer) => [
    chatChunk(answer, { role: "assistant", content: hasCalls(answer) ? null : "" }),
    ...answer.parts.flatMap((part) => chatDeltas(answer, part)).map((delta) => chatChunk(answer, delta)),
    chatChunk(answer, {}, chatFinish(answer)),
    ...(answer.includeUsage
      ? [{ data: { ...chatFrame(answer, "chat.completion.chunk"), choices: [], usage: chatUsage } }]
      : []),
    { data: "[DONE]" },
  ],
  error: (kind, model) => openaiError(kind, model, "messages"),
  rateLimitHeaders: openaiRateLimitHeaders,
};

function chatFrame(answer: Answer, object: string): JsonObject {
  return { id: `chatcmpl-${answer.id}`, object, created: nowSeconds(), model: answer.model };
}

function chatChunk(answer: Answer, delta: JsonObject, finish: string | null = null): Event {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return { data: { ...chatFrame(answer, "chat.completion.chunk"), choices } };
}

function chatMessage(answer: Answer): JsonObject {
  const texts = answer.parts.flatMap((part) => (part.kind === "text" ? part.text : []));
  const reasoning = answer.parts.flatMap((part) => (part.kind === "reasoning" ? part.text : []));
  const calls = callsOf(answer).map((call, index) => ({
    ...chatCallOpening(answer, index),
    function: { name: call.name, arguments: JSON.stringify(call.input) },
  }));
  return {
    role: "assistant",
    content: texts.length === 0 ? null : texts.join(""),
    ...(reasoning.length > 0 && { reasoning_content: reasoning.join("") }),
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

function chatDeltas(answer: Answer, part: Part): JsonObject[] {
  if (part.kind === "text") return pieces(part.text).map((content) => ({ content }));
  if (part.kind === "reasoning") return pieces(part.text).map((text) => ({ reasoning_content: text }));
  const index = callsOf(answer).indexOf(part);
  const opening = { index, ...chatCallOpening(answer, index), function: { name: part.name, arguments: "" } };
  const rest = pieces(JSON.stringify(part.input)).map((json) => ({ index, function: { arguments: json } }));
  return [opening, ...rest].map((call) => ({ tool_calls: [call] }));
}

function chatCallOpening({ id }: Answer, index: number): JsonObject {
  return { id: `call_${id}_${index}`, type: "function" };
}

function callsOf(answer: Answer): ToolCall[] {
  return answer.parts.filter((part) => part.kind === "tool");
}

function chatFinish(answer: Answer): string {
  return hasCalls(answer) ? "tool_calls" : "stop";
}

// ---- OpenAI Responses

const responsesWriter: Writer = {
  whole: (answer) => responsesObject(answer, "completed"),
  stream: (answer) =>
    [
      { type: "response.created", response: responsesObject(answer, "in_progress") },
      { type: "response.in_progress", response: responsesObject(answer, "in_progress") },
      ...answer.parts.flatMap((part, index) => [
        { type: "response.output_item.added", output_index: index, item: responsesItem(answer, part, index, false) },
        ...responsesDeltas(answer, part, index),
        { type: "response.output_item.done", output_index: index, item: responsesItem(answer, part, index, true) },
      ]),
      { type: "response.completed", response: responsesObject(answer, "completed") },
    ].map((event, sequence) => typed({ ...event, sequence_number: sequence })),
  error: (kind, model) => openaiError(kind, model, "input"),
  rateLimitHeaders: openaiRateLimitHeaders,
};

function responsesObject(answer: Answer, status: "in_progress" | "completed"): JsonObject {
  const isDone = status === "completed";
  return {
    id: `resp_${answer.id}`,
    object: "response",
    created_at: nowSeconds(),
    status,
    model: answer.model,
    output: isDone ? answer.parts.map((part, index) => responsesItem(answer, part, index, true)) : [],
    usage: isDone
      ? {
          input_tokens: 120,
          input_tokens_details: { cached_tokens: 0 },
          output_tokens: 12,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: 132,
        }
      : null,
  };
}

const itemPrefixes = { text: "msg", reasoning: "rs", tool: "fc" } as const;

function itemId({ id }: Answer, part: Part, index: number): string {
  const prefix = part.kind === "tool" && part.raw !== undefined ? "ctc" : itemPrefixes[part.kind];
  return `${prefix}_${id}_${index}`;
}

function responsesItem(answer: Answer, part: Part, index: number, isDone: boolean): JsonObject {
  const id = itemId(answer, part, index);
  const status = isDone ? "completed" : "in_progress";
  if (part.kind === "text") {
    const content = isDone ? [responsesText(part.text)] : [];
    return { id, type: "message", role: "assistant", status, content };
  }
  if (part.kind === "reasoning") {
    const summary = isDone ? [{ type: "summary_text", text: part.text }] : [];
    return { id, type: "reasoning", summary, ...(isDone && { encrypted_content: part.proof }) };
  }
  const place = part.namespace === undefined ? {} : { namespace: part.namespace };
  const named = { id, call_id: `call_${answer.id}_${index}`, name: part.name, ...place, status };
  if (part.raw !== undefined) return { ...named, type: "custom_tool_call", input: isDone ? part.raw : "" };
  return { ...named, type: "function_call", arguments: isDone ? JSON.stringify(part.input) : "" };
}

function responsesText(text: string): JsonObject {
  return { type: "output_text", text, annotations: [] };
}

function responsesDeltas(answer: Answer, part: Part, index: number): ({ type: string } & JsonObject)[] {
  const place = { item_id: itemId(answer, part, index), output_index: index };
  switch (part.kind) {
    case "text": {
      const inMessage = { ...place, content_index: 0 };
      return [
        { type: "response.content_part.added", ...inMessage, part: responsesText("") },
        ...pieces(part.text).map((delta) => ({ type: "response.output_text.delta", ...inMessage, delta })),
        { type: "response.output_text.done", ...inMessage, text: part.text },
        { type: "response.content_part.done", ...inMessage, part: responsesText(part.text) },
      ];
    }
    case "reasoning": {
      const inSummary = { ...place, summary_index: 0 };
      const summary = { type: "summary_text", text: part.text };
      return [
        { type: "response.reasoning_summary_part.added", ...inSummary, part: { type: "summary_text", text: "" } },
        ...pieces(part.text).map((delta) => ({ type: "response.reasoning_summary_text.delta", ...inSummary, delta })),
        { type: "response.reasoning_summary_text.done", ...inSummary, text: part.text },
        { type: "response.reasoning_summary_part.done", ...inSummary, part: summary },
      ];
    }
    case "tool": {
      const text = part.raw ?? JSON.stringify(part.input);
      const name = part.raw === undefined ? "response.function_call_arguments" : "response.custom_tool_call_input";
      const whole = part.raw === undefined ? { arguments: text } : { input: text };
      return [
        ...pieces(text).map((delta) => ({ type: `${name}.delta`, ...place, delta })),
        { type: `${name}.done`, ...place, ...whole },
      ];
    }
  }
}

export const writers: Readonly<Record<Protocol, Writer>> = {
  messages: messagesWriter,
  chat: chatWriter,
  responses: responsesWriter,
};

// ---- both protocols of OpenAI

const openaiErrors: Readonly<Record<ErrorKind, { status: number; type: string; code: string; message: string }>> = {
  "rate-limit": { status: 429, type: "requests", code: "rate_limit_exceeded", message: "Rate limit reached" },
  overloaded: { status: 529, type: "server_error", code: "server_overloaded", message: "Overloaded" },
  overflow: {
    status: 400,
    type: "invalid_request_error",
    code: "context_length_exceeded",
    message:
      "This model's maximum context length is 200000 tokens. However, your messages resulted in 250000 tokens. Please reduce the length of the messages.",
  },
};

function openaiError(kind: ErrorKind, model: string, param: string): { status: number; body: JsonObject } {
  const { status, message, ...rest } = openaiErrors[kind];
  const named = kind === "overflow" ? param : null;
  return { status, body: { error: { message: `${message}${suffix(kind, model)}`, param: named, ...rest } } };
}

function openaiRateLimitHeaders(resetSeconds: number): Record<string, string> {
  return { "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": `${resetSeconds}s` };
}

function isoIn(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString();
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
