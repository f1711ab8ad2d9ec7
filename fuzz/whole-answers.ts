/** What the least strict SDK of each protocol expects of a whole answer, and what it reads in one. */

import type { JsonObject, Protocol } from "../src/protocols/chat.ts";
import { isCount, isFilled, isRecord, record, textOf } from "../test/support/grammar/report.ts";

/** Breaks apart, and in any order: a whole Chat message keeps text and refusal in two fields. */
export function isSameText(one: string, other: string): boolean {
  const sorted = (text: string) => [...text.replaceAll("\n", "")].sort().join("");
  return sorted(one) === sorted(other);
}

export interface ReadAnswer {
  violations: string[];
  text: string;
  calls: number;
}

/** The least that each client's SDK expects of a whole answer. */
export const readAnswer: Record<Protocol, (body: JsonObject) => ReadAnswer> = {
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
