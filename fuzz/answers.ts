/** Damaged whole answers through the decoder, every encoder, and the way of an answer that must become a stream. */

import { eventsOf } from "../src/gateway/fold.ts";
import type { ChatResponse, Json, JsonObject, Protocol } from "../src/protocols/chat.ts";
import { MalformedAnswer, plainQuirks } from "../src/protocols/codec.ts";
import { codecs } from "../src/protocols/index.ts";
import { isCount, isFilled, isRecord, record, textOf } from "../test/support/grammar/report.ts";
import { checkAnswer, checkEvents } from "./event-rules.ts";
import type { Kind } from "./kind.ts";
import { mutateJson } from "./mutate.ts";
import { protocols, replyTo, withoutBreaks } from "./replies.ts";
import { withLess } from "./requests.ts";
import { clientRequest, wholes } from "./seeds.ts";

interface AnswerInput {
  upstream: Protocol;
  body: Json;
  thinkTags: boolean;
}

export const answerKind: Kind<AnswerInput> = {
  name: "answers",
  make(random) {
    const upstream = random.pick(protocols);
    const source = random.pick(wholes[random.chance(0.03) ? random.pick(protocols) : upstream]);
    const body = mutateJson(source, random, random.below(5), wholes[upstream]);
    return { upstream, body, thinkTags: random.chance(0.2) };
  },
  check,
  *smaller(input) {
    for (const body of withLess(input.body)) yield { ...input, body };
    if (input.thinkTags) yield { ...input, thinkTags: false };
  },
  show: (input) => JSON.stringify(input),
};

function check({ upstream, body, thinkTags }: AnswerInput): string[] {
  let response: ChatResponse;
  try {
    response = codecs[upstream].decodeResponse(body, { quirks: { ...plainQuirks, thinkTags }, toolNames: new Map() });
  } catch (cause) {
    if (!(cause instanceof MalformedAnswer)) throw cause;
    return cause.message === "" ? ["a MalformedAnswer without a message"] : [];
  }
  const broken = checkAnswer(response);
  const events = eventsOf(response);
  broken.push(...checkEvents(events));
  if (broken.length > 0) return broken;

  const spoken = response.parts.map((part) => (part.type === "text" || part.type === "refusal" ? part.text : ""));
  const text = withoutBreaks(spoken.join(""));
  const calls = response.parts.filter((part) => part.type === "tool-call").length;
  for (const client of protocols) {
    const request = clientRequest(client, { includeUsage: response.usage !== undefined });
    const context = { request, id: "abc123", createdAt: 1_800_000_000, estimatedInputTokens: 40 };
    const whole = JSON.parse(JSON.stringify(codecs[client].encodeResponse(response, context))) as JsonObject;
    const read = readers[client](whole);
    for (const rule of read.violations) broken.push(`to ${client}, whole: ${rule}`);
    if (withoutBreaks(read.text) !== text) broken.push(`to ${client}, whole: the text is not the upstream's`);
    if (read.calls !== calls) broken.push(`to ${client}, whole: ${read.calls} calls instead of ${calls}`);
    const { report, violations } = replyTo(client, events, request, false);
    broken.push(...violations);
    if (withoutBreaks(report.text) !== text) broken.push(`to ${client}, streamed: the text is not the upstream's`);
    if (report.calls.length !== calls) broken.push(`to ${client}, streamed: ${report.calls.length} calls`);
  }
  return broken;
}

interface ReadAnswer {
  violations: string[];
  text: string;
  calls: number;
}

/** The least that each client's SDK expects of a whole answer. */
const readers: Record<Protocol, (body: JsonObject) => ReadAnswer> = {
  messages(body) {
    const content = Array.isArray(body["content"]) ? body["content"].map(record) : [];
    const violations: string[] = [];
    if (body["type"] !== "message" || body["role"] !== "assistant") violations.push("type or role is wrong");
    if (!isFilled(body["id"]) || !isFilled(body["model"])) violations.push("id or model is missing");
    if (!isFilled(body["stop_reason"]) || !("stop_sequence" in body)) violations.push("a stop field is missing");
    const usage = record(body["usage"]);
    if (!isCount(usage["input_tokens"]) || !isCount(usage["output_tokens"])) violations.push("usage lacks a count");
    for (const block of content) {
      if (block["type"] === "text" && !isFilled(block["text"])) violations.push("an empty text block");
      if (block["type"] === "thinking" && typeof block["signature"] !== "string") violations.push("no signature");
      if (block["type"] !== "tool_use") continue;
      if (!isFilled(block["id"]) || !isFilled(block["name"])) violations.push("a call without id or name");
      if (!isRecord(block["input"])) violations.push("input is no object");
    }
    const calls = content.filter((block) => block["type"] === "tool_use").length;
    if (
      (body["stop_reason"] === "tool_use") !== calls > 0 &&
      ["tool_use", "end_turn"].includes(textOf(body["stop_reason"]))
    )
      violations.push(`stop_reason ${String(body["stop_reason"])} with ${calls} calls`);
    return { violations, text: content.map((block) => textOf(block["text"])).join(""), calls };
  },
  chat(body) {
    const violations: string[] = [];
    const choice = record(Array.isArray(body["choices"]) ? body["choices"][0] : undefined);
    const message = record(choice["message"]);
    if (body["object"] !== "chat.completion" || !isFilled(body["id"])) violations.push("object or id is wrong");
    if (message["role"] !== "assistant" || !("content" in message)) violations.push("role or content is missing");
    const calls = Array.isArray(message["tool_calls"]) ? message["tool_calls"].map(record) : [];
    for (const call of calls) {
      const detail = record(call["function"] ?? call["custom"]);
      if (!isFilled(call["id"]) || !isFilled(detail["name"])) violations.push("a call without id or name");
      if (call["type"] === "function" && !isFilled(detail["arguments"])) violations.push("empty arguments");
    }
    const reason = choice["finish_reason"];
    if (!isFilled(reason)) violations.push("no finish_reason");
    if (reason === "tool_calls" ? calls.length === 0 : reason === "stop" && calls.length > 0) {
      violations.push(`finish_reason ${String(reason)} with ${calls.length} calls`);
    }
    const text = textOf(message["content"]) + textOf(message["refusal"]);
    return { violations, text, calls: calls.length };
  },
  responses(body) {
    const violations: string[] = [];
    const output = Array.isArray(body["output"]) ? body["output"].map(record) : [];
    if (body["object"] !== "response" || !isFilled(body["id"])) violations.push("object or id is wrong");
    if (body["status"] !== "completed" && body["status"] !== "incomplete") violations.push("status is wrong");
    const usage = record(body["usage"]);
    if (!isCount(usage["input_tokens"]) || !isCount(usage["total_tokens"])) violations.push("usage lacks a count");
    const ids = output.map((item) => item["id"]);
    if (!ids.every(isFilled) || new Set(ids).size !== ids.length) violations.push("item ids are missing or doubled");
    let text = "";
    let calls = 0;
    for (const item of output) {
      if (item["type"] === "message") {
        const content = Array.isArray(item["content"]) ? item["content"].map(record) : [];
        if (content.length === 0) violations.push("a message without content");
        for (const part of content) text += textOf(part["text"] ?? part["refusal"]);
      } else if (item["type"] !== "reasoning") {
        calls++;
        if (!isFilled(item["call_id"])) violations.push("a call without call_id");
        if (item["type"] === "function_call" && !textOf(item["arguments"]).trim()) violations.push("blank arguments");
      }
    }
    return { violations, text, calls };
  },
};
