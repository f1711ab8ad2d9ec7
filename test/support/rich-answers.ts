/** Answers of upstreams with everything in them, in each protocol, whole and streamed: written by hand, not by a codec. */

import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { wireUsage } from "./answers.ts";

export interface RichCall {
  id: string;
  name: string;
  /** JSON text, streamed in pieces of a few characters. */
  arguments: string;
}

export interface RichAnswer {
  reasoning?: string;
  /** What the upstream wants back with its reasoning, where its protocol has a place for that. */
  replay?: string;
  text?: string;
  calls?: readonly RichCall[];
  /** Default: what follows from the content. */
  stop?: "stop" | "length" | "filter" | "tools";
  /** Default true. */
  hasUsage?: boolean;
}

type Stop = NonNullable<RichAnswer["stop"]>;

function stopOf({ stop, calls = [] }: RichAnswer): Stop {
  return stop ?? (calls.length > 0 ? "tools" : "stop");
}

/** Two to five characters each; no character is torn. */
function slices(text: string): string[] {
  const characters = [...text];
  const found: string[] = [];
  for (let at = 0, length = 2; at < characters.length; at += length, length = 2 + ((length + 1) % 4)) {
    found.push(characters.slice(at, at + length).join(""));
  }
  return found;
}

const stops = {
  messages: { stop: "end_turn", length: "max_tokens", filter: "refusal", tools: "tool_use" },
  chat: { stop: "stop", length: "length", filter: "content_filter", tools: "tool_calls" },
} as const satisfies Record<string, Record<Stop, string>>;

export function richWhole(protocol: Protocol, answer: RichAnswer): JsonObject {
  return wholes[protocol](answer);
}

export function richStream(protocol: Protocol, answer: RichAnswer): string {
  return streams[protocol](answer);
}

const wholes = {
  messages(answer) {
    const { reasoning, replay = "", text, calls = [], hasUsage = true } = answer;
    return {
      id: "msg_up",
      type: "message",
      role: "assistant",
      model: "up-model",
      content: [
        ...(reasoning === undefined ? [] : [{ type: "thinking", thinking: reasoning, signature: replay }]),
        ...(text === undefined ? [] : [{ type: "text", text }]),
        ...calls.map((call) => ({
          type: "tool_use",
          id: call.id,
          name: call.name,
          input: JSON.parse(call.arguments) as JsonObject,
        })),
      ],
      stop_reason: stops.messages[stopOf(answer)],
      stop_sequence: null,
      ...(hasUsage ? { usage: wireUsage.messages } : {}),
    };
  },
  chat(answer) {
    const { reasoning, text, calls = [], hasUsage = true } = answer;
    const message: JsonObject = { role: "assistant", content: text ?? null };
    if (reasoning !== undefined) message["reasoning_content"] = reasoning;
    if (calls.length > 0) {
      message["tool_calls"] = calls.map((call) => ({
        id: call.id,
        type: "function",
        function: { name: call.name, arguments: call.arguments },
      }));
    }
    return {
      id: "chatcmpl-up",
      object: "chat.completion",
      created: 1,
      model: "up-model",
      choices: [{ index: 0, message, finish_reason: stops.chat[stopOf(answer)] }],
      ...(hasUsage ? { usage: wireUsage.chat } : {}),
    };
  },
  responses(answer) {
    const { hasUsage = true } = answer;
    const stop = stopOf(answer);
    const reason = stop === "length" ? "max_output_tokens" : stop === "filter" ? "content_filter" : undefined;
    return {
      ...openResponse,
      status: reason === undefined ? "completed" : "incomplete",
      incomplete_details: reason === undefined ? null : { reason },
      output: itemsOf(answer).map(({ item }) => item),
      ...(hasUsage ? { usage: wireUsage.responses } : {}),
    };
  },
} as const satisfies Record<Protocol, (answer: RichAnswer) => JsonObject>;

const openResponse: JsonObject = {
  id: "resp_up",
  object: "response",
  created_at: 1,
  status: "in_progress",
  model: "up-model",
  error: null,
  incomplete_details: null,
  output: [],
  usage: null,
};

interface RichItem {
  item: JsonObject & { id: string; type: string };
  text: string;
}

function itemsOf({ reasoning, replay, text, calls = [] }: RichAnswer): RichItem[] {
  const items: RichItem[] = [];
  if (reasoning !== undefined) {
    const item = { id: "rs_up", type: "reasoning", summary: [{ type: "summary_text", text: reasoning }] };
    items.push({ item: replay === undefined ? item : { ...item, encrypted_content: replay }, text: reasoning });
  }
  if (text !== undefined) {
    const content = [{ type: "output_text", text, annotations: [] }];
    items.push({ item: { id: "msg_up", type: "message", status: "completed", role: "assistant", content }, text });
  }
  for (const [index, call] of calls.entries()) {
    const item = {
      id: `fc_up${index}`,
      type: "function_call",
      status: "completed",
      call_id: call.id,
      name: call.name,
      arguments: call.arguments,
    };
    items.push({ item, text: call.arguments });
  }
  return items;
}

function named(type: string, fields: JsonObject = {}): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
}

const streams = {
  messages(answer) {
    const { reasoning, replay = "", text, calls = [], hasUsage = true } = answer;
    const { usage: _, ...opened } = wholes.messages({ hasUsage: false });
    const usage = hasUsage ? { usage: { ...wireUsage.messages, output_tokens: 1 } } : {};
    const start = { ...opened, content: [], stop_reason: null, ...usage };
    let written = named("message_start", { message: start });
    let blocks = 0;
    const block = (opening: JsonObject, deltas: readonly JsonObject[]) => {
      const index = blocks++;
      written += named("content_block_start", { index, content_block: opening });
      for (const delta of deltas) written += named("content_block_delta", { index, delta });
      written += named("content_block_stop", { index });
    };
    if (reasoning !== undefined) {
      const deltas: JsonObject[] = slices(reasoning).map((thinking) => ({ type: "thinking_delta", thinking }));
      if (replay !== "") deltas.push({ type: "signature_delta", signature: replay });
      block({ type: "thinking", thinking: "", signature: "" }, deltas);
      written += named("ping");
    }
    if (text !== undefined) {
      block(
        { type: "text", text: "" },
        slices(text).map((piece) => ({ type: "text_delta", text: piece })),
      );
    }
    for (const call of calls) {
      block(
        { type: "tool_use", id: call.id, name: call.name, input: {} },
        slices(call.arguments).map((piece) => ({ type: "input_json_delta", partial_json: piece })),
      );
    }
    const delta = { stop_reason: stops.messages[stopOf(answer)], stop_sequence: null };
    const whole = hasUsage ? { usage: wireUsage.messages } : {};
    return `${written}${named("message_delta", { delta, ...whole })}${named("message_stop")}`;
  },
  chat(answer) {
    const { reasoning, text, calls = [], hasUsage = true } = answer;
    const base = { id: "chatcmpl-up", object: "chat.completion.chunk", created: 1, model: "up-model" };
    let written = "";
    const chunk = (delta: JsonObject, reason: string | null = null) => {
      written += `data: ${JSON.stringify({ ...base, choices: [{ index: 0, delta, finish_reason: reason }] })}\n\n`;
    };
    chunk({ role: "assistant", content: "" });
    for (const piece of slices(reasoning ?? "")) chunk({ reasoning_content: piece });
    for (const piece of slices(text ?? "")) chunk({ content: piece });
    for (const [index, call] of calls.entries()) {
      chunk({ tool_calls: [{ index, id: call.id, type: "function", function: { name: call.name, arguments: "" } }] });
      for (const piece of slices(call.arguments)) chunk({ tool_calls: [{ index, function: { arguments: piece } }] });
    }
    chunk({}, stops.chat[stopOf(answer)]);
    if (hasUsage) written += `data: ${JSON.stringify({ ...base, choices: [], usage: wireUsage.chat })}\n\n`;
    return `${written}data: [DONE]\n\n`;
  },
  responses(answer) {
    let sequence = 0;
    let written = "";
    const write = (type: string, fields: JsonObject) => {
      written += named(type, { sequence_number: sequence++, ...fields });
    };
    write("response.created", { response: openResponse });
    write("response.in_progress", { response: openResponse });
    for (const [index, { item, text }] of itemsOf(answer).entries()) {
      const place = { item_id: item.id, output_index: index };
      const kind = item.type;
      const bare: JsonObject = { ...item, status: "in_progress" };
      if (kind === "reasoning") bare["summary"] = [];
      else if (kind === "message") bare["content"] = [];
      else bare["arguments"] = "";
      write("response.output_item.added", { output_index: index, item: bare });
      if (kind === "message") {
        const part = { ...place, content_index: 0 };
        write("response.content_part.added", { ...part, part: { type: "output_text", text: "", annotations: [] } });
        for (const delta of slices(text)) write("response.output_text.delta", { ...part, delta, logprobs: [] });
        write("response.output_text.done", { ...part, text, logprobs: [] });
        write("response.content_part.done", { ...part, part: { type: "output_text", text, annotations: [] } });
      } else if (kind === "reasoning") {
        const part = { ...place, summary_index: 0 };
        write("response.reasoning_summary_part.added", { ...part, part: { type: "summary_text", text: "" } });
        for (const delta of slices(text)) write("response.reasoning_summary_text.delta", { ...part, delta });
        write("response.reasoning_summary_text.done", { ...part, text });
        write("response.reasoning_summary_part.done", { ...part, part: { type: "summary_text", text } });
      } else {
        for (const delta of slices(text)) write("response.function_call_arguments.delta", { ...place, delta });
        write("response.function_call_arguments.done", { ...place, arguments: text });
      }
      write("response.output_item.done", { output_index: index, item });
    }
    const response = wholes.responses(answer);
    write(`response.${String(response["status"])}`, { response });
    return written;
  },
} as const satisfies Record<Protocol, (answer: RichAnswer) => string>;
