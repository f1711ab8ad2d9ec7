/** One good answer in each protocol, whole and streamed, with every kind of token counted; and how a stream ended. */

import { createParser } from "eventsource-parser";
import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";

export const protocols = ["messages", "chat", "responses"] as const satisfies readonly Protocol[];

export const paths = {
  messages: "/v1/messages",
  chat: "/v1/chat/completions",
  responses: "/v1/responses",
} as const satisfies Record<Protocol, string>;

export const answerText = "Grüße 🎉!";

/** What the ledger holds of any answer below. */
export const ledgerUsage = {
  input_tokens: 100,
  cache_read_tokens: 30,
  cache_write_tokens: 20,
  output_tokens: 50,
  reasoning_tokens: 8,
};

export const wireUsage = {
  messages: {
    input_tokens: 100,
    cache_read_input_tokens: 30,
    cache_creation_input_tokens: 20,
    output_tokens: 50,
    output_tokens_details: { thinking_tokens: 8 },
  },
  chat: {
    prompt_tokens: 150,
    completion_tokens: 50,
    total_tokens: 200,
    prompt_tokens_details: { cached_tokens: 30, cache_write_tokens: 20 },
    completion_tokens_details: { reasoning_tokens: 8 },
  },
  responses: {
    input_tokens: 150,
    input_tokens_details: { cached_tokens: 30, cache_write_tokens: 20 },
    output_tokens: 50,
    output_tokens_details: { reasoning_tokens: 8 },
    total_tokens: 200,
  },
} as const satisfies Record<Protocol, JsonObject>;

const messageItem = {
  id: "msg_up",
  type: "message",
  status: "completed",
  role: "assistant",
  content: [{ type: "output_text", text: answerText, annotations: [] }],
};

export const whole = {
  messages: {
    id: "msg_up",
    type: "message",
    role: "assistant",
    model: "up-model",
    content: [{ type: "text", text: answerText }],
    stop_reason: "end_turn",
    stop_sequence: null,
    usage: wireUsage.messages,
  },
  chat: {
    id: "chatcmpl-up",
    object: "chat.completion",
    created: 1,
    model: "up-model",
    choices: [{ index: 0, message: { role: "assistant", content: answerText }, finish_reason: "stop" }],
    usage: wireUsage.chat,
  },
  responses: {
    id: "resp_up",
    object: "response",
    created_at: 1,
    status: "completed",
    model: "up-model",
    output: [messageItem],
    usage: wireUsage.responses,
  },
} as const satisfies Record<Protocol, JsonObject>;

/** What it takes for an answer to say nothing at all, and to say so properly. */
export const emptyWhole = {
  messages: { ...whole.messages, content: [] },
  chat: { ...whole.chat, choices: [{ index: 0, message: { role: "assistant", content: "" }, finish_reason: "stop" }] },
  responses: { ...whole.responses, output: [] },
} as const satisfies Record<Protocol, JsonObject>;

export interface StreamPieces {
  opening: string;
  /** One event for each word. */
  words(...words: string[]): string;
  /** Everything from the last word to the terminal event. */
  ending: string;
}

function named(type: string, fields: JsonObject): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
}

function chunk(delta: JsonObject, finish: string | null = null, more: JsonObject = {}): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  const fields = { id: "chatcmpl-up", object: "chat.completion.chunk", created: 1, model: "up-model", choices };
  return `data: ${JSON.stringify({ ...fields, ...more })}\n\n`;
}

const running = { ...whole.responses, status: "in_progress", output: [], usage: null };

export const pieces = {
  messages: {
    opening:
      named("message_start", {
        message: {
          ...whole.messages,
          content: [],
          stop_reason: null,
          usage: { ...wireUsage.messages, output_tokens: 1 },
        },
      }) +
      named("content_block_start", { index: 0, content_block: { type: "text", text: "" } }) +
      named("ping", {}),
    words: (...words) =>
      words
        .map((word) => named("content_block_delta", { index: 0, delta: { type: "text_delta", text: word } }))
        .join(""),
    ending:
      named("content_block_stop", { index: 0 }) +
      named("message_delta", {
        delta: { stop_reason: "end_turn", stop_sequence: null },
        usage: wireUsage.messages,
      }) +
      named("message_stop", {}),
  },
  chat: {
    opening: chunk({ role: "assistant", content: "" }),
    words: (...words) => words.map((word) => chunk({ content: word })).join(""),
    ending: `${chunk({}, "stop")}${chunk({}, null, { choices: [], usage: wireUsage.chat })}data: [DONE]\n\n`,
  },
  responses: {
    opening:
      named("response.created", { sequence_number: 0, response: running }) +
      named("response.in_progress", { sequence_number: 1, response: running }) +
      named("response.output_item.added", {
        sequence_number: 2,
        output_index: 0,
        item: { ...messageItem, status: "in_progress", content: [] },
      }) +
      named("response.content_part.added", {
        sequence_number: 3,
        item_id: "msg_up",
        output_index: 0,
        content_index: 0,
        part: { type: "output_text", text: "", annotations: [] },
      }),
    words: (...words) =>
      words
        .map((word, index) =>
          named("response.output_text.delta", {
            sequence_number: 4 + index,
            item_id: "msg_up",
            output_index: 0,
            content_index: 0,
            delta: word,
            logprobs: [],
          }),
        )
        .join(""),
    ending:
      named("response.output_text.done", {
        sequence_number: 90,
        item_id: "msg_up",
        output_index: 0,
        content_index: 0,
        text: answerText,
        logprobs: [],
      }) +
      named("response.content_part.done", {
        sequence_number: 91,
        item_id: "msg_up",
        output_index: 0,
        content_index: 0,
        part: messageItem.content[0] ?? null,
      }) +
      named("response.output_item.done", { sequence_number: 92, output_index: 0, item: messageItem }) +
      named("response.completed", { sequence_number: 93, response: whole.responses }),
  },
} as const satisfies Record<Protocol, StreamPieces>;

/** The events of a good answer. */
export function streamed(protocol: Protocol): string {
  const { opening, words, ending } = pieces[protocol];
  return opening + words("Grüße ", "🎉!") + ending;
}

/** A stream that ends properly and says nothing. */
export const emptyStreamed = {
  messages:
    named("message_start", { message: { ...whole.messages, content: [], stop_reason: null } }) +
    named("message_delta", { delta: { stop_reason: "end_turn", stop_sequence: null }, usage: wireUsage.messages }) +
    named("message_stop", {}),
  chat: `${chunk({ role: "assistant", content: "" })}${chunk({}, "stop")}data: [DONE]\n\n`,
  responses:
    named("response.created", { sequence_number: 0, response: running }) +
    named("response.completed", { sequence_number: 1, response: { ...whole.responses, output: [] } }),
} as const satisfies Record<Protocol, string>;

/** The upstream's own error event, in the words of its protocol. */
export const errorEvent = {
  messages: named("error", { error: { type: "overloaded_error", message: "Overloaded" } }),
  chat: `data: ${JSON.stringify({ error: { message: "Overloaded", code: 503, type: "server_error" } })}\n\n`,
  responses: named("response.failed", {
    sequence_number: 50,
    response: { ...running, status: "failed", error: { code: "server_error", message: "Overloaded" } },
  }),
} as const satisfies Record<Protocol, string>;

/** A request of the given protocol; `more` overrides. */
export function requestBody(protocol: Protocol, model: string, stream: boolean, more: JsonObject = {}): JsonObject {
  const said = [{ role: "user", content: "hello" }];
  const body = protocol === "responses" ? { model, input: said } : { model, messages: said };
  return { ...body, ...(protocol === "messages" ? { max_tokens: 64 } : {}), stream, ...more };
}

export interface StreamEvent {
  event: string | undefined;
  data: string;
  /** Undefined when `data` is not a JSON object: `[DONE]`, or half an event. */
  value: JsonObject | undefined;
}

/** As a client reads them: an event without its blank line is none. */
export function parseEvents(stream: string): StreamEvent[] {
  const events: StreamEvent[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => events.push({ event, data, value: parseObject(data) }),
  });
  parser.feed(stream);
  return events;
}

function parseObject(data: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === "object" && value !== null ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

export interface StreamSummary {
  text: string;
  /** Events that open a stream. */
  openings: number;
  /** Terminal events of success, as the protocol's own clients know them. */
  successes: number;
  /** Messages of the protocol's own error events. */
  errors: string[];
  /** Whether the last event is one of those errors. */
  endsInError: boolean;
}

/** What a client of the protocol understands of a stream. */
export function summarise(protocol: Protocol, stream: string): StreamSummary {
  const summary: StreamSummary = { text: "", openings: 0, successes: 0, errors: [], endsInError: false };
  for (const event of parseEvents(stream)) {
    const read = readers[protocol](event);
    summary.text += read.text ?? "";
    if (read.opens === true) summary.openings += 1;
    if (read.succeeds === true) summary.successes += 1;
    if (read.error !== undefined) summary.errors.push(read.error);
    summary.endsInError = read.error !== undefined;
  }
  return summary;
}

interface ReadEvent {
  text?: string;
  opens?: boolean;
  succeeds?: boolean;
  error?: string;
}

const readers = {
  // Anthropic's SDK drops events without a name.
  messages({ event, value }) {
    if (event === "message_start") return { opens: true };
    if (event === "message_stop") return { succeeds: true };
    if (event === "error") return { error: at(value, "error", "message") };
    return event === "content_block_delta" ? { text: at(value, "delta", "text") } : {};
  },
  chat({ data, value }) {
    if (data === "[DONE]") return { succeeds: true };
    if (value?.["error"] !== undefined) return { error: at(value, "error", "message") };
    const choices = value?.["choices"];
    const delta = Array.isArray(choices) ? (choices[0] as JsonObject | undefined)?.["delta"] : undefined;
    return { text: at({ delta }, "delta", "content"), opens: at({ delta }, "delta", "role") !== "" };
  },
  // Codex knows a failure by `response.failed` alone.
  responses({ event, value }) {
    if (event === "response.created") return { opens: true };
    if (event === "response.completed" || event === "response.incomplete") return { succeeds: true };
    if (event === "response.failed") return { error: at(value, "response", "error", "message") };
    return event === "response.output_text.delta" ? { text: at(value, "delta") } : {};
  },
} as const satisfies Record<Protocol, (event: StreamEvent) => ReadEvent>;

/** The text at a place in JSON; empty when there is none. */
export function at(value: unknown, ...path: string[]): string {
  let here = value;
  for (const key of path) here = typeof here === "object" && here !== null ? (here as JsonObject)[key] : undefined;
  return typeof here === "string" ? here : "";
}
