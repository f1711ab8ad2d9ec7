/** The event grammar that OpenAI's SDK and Codex demand of a Responses stream. Knows nothing of Clutch's encoder. */

import type { Json, JsonObject } from "../../../src/protocols/chat.ts";
import type { SseMessage } from "../../../src/protocols/codec.ts";
import { isCount, isFilled, isRecord, Listener, record, type StreamReport, textOf } from "./report.ts";

export function checkResponsesStream(messages: readonly SseMessage[]): StreamReport {
  const client = new ResponsesClient();
  for (const message of messages) client.hear(message);
  return client.report;
}

const prefixes: Readonly<Record<string, string>> = {
  message: "msg_",
  reasoning: "rs_",
  function_call: "fc_",
  custom_tool_call: "ctc_",
  tool_search_call: "",
  local_shell_call: "",
  shell_call: "",
  apply_patch_call: "",
};

/** The deltas that each item type may have, the field they fill, and the event that closes the value. */
const streamedCalls: Readonly<Record<string, { field: string; events: string }>> = {
  function_call: { field: "arguments", events: "response.function_call_arguments" },
  custom_tool_call: { field: "input", events: "response.custom_tool_call_input" },
};

const responseFields = [
  "id",
  "object",
  "created_at",
  "status",
  "error",
  "incomplete_details",
  "instructions",
  "metadata",
  "model",
  "output",
  "parallel_tool_calls",
  "temperature",
  "tool_choice",
  "tools",
  "top_p",
  "text",
  "reasoning",
  "store",
  "truncation",
  "usage",
];

interface OpenPart {
  index: number;
  kind: "output_text" | "refusal" | "summary_text";
  text: string;
  isValueDone: boolean;
}

interface OpenItem {
  id: string;
  type: string;
  /** A call's arguments or input so far. */
  value: string;
  isValueDone: boolean;
  parts: { kind: string; text: string }[];
  open: OpenPart | undefined;
  done: JsonObject | undefined;
}

class ResponsesClient extends Listener {
  readonly #items: OpenItem[] = [];
  #heard = 0;
  #id: Json | undefined;
  #isOver = false;

  hear(message: SseMessage): void {
    const event = this.parse(message);
    if (event === undefined) return;
    const type = textOf(event["type"]);
    this.demand(message.event === type, `event ${message.event} carries data of type ${type}`);
    this.demand(
      event["sequence_number"] === this.#heard,
      `sequence_number ${String(event["sequence_number"])} instead of ${this.#heard}`,
    );
    this.demand(!this.#isOver, `${type} after the terminal event`);
    if (this.#heard === 0) this.demand(type === "response.created", "the first event is not response.created");
    if (this.#heard === 1) this.demand(type === "response.in_progress", "the second event is not response.in_progress");
    this.#heard++;
    switch (type) {
      case "response.created":
      case "response.in_progress":
        this.#opening(type, event);
        return;
      case "response.completed":
      case "response.incomplete":
      case "response.failed":
        this.#terminal(type, event);
        return;
      case "response.output_item.added":
        this.#added(event);
        return;
    }
    const item = this.#items[Number(event["output_index"])];
    if (item === undefined || item.done !== undefined) {
      this.demand(false, `${type} for item ${String(event["output_index"])}, which is not open`);
      return;
    }
    if (type === "response.output_item.done") {
      this.#itemDone(item, record(event["item"]));
      return;
    }
    this.demand(event["item_id"] === item.id, `${type} names another item id`);
    if (type.startsWith("response.function_call_") || type.startsWith("response.custom_tool_")) {
      this.#callValue(item, type, event);
    } else if (item.type === "reasoning") this.#reasoning(item, type, event);
    else this.#message(item, type, event);
  }

  #opening(type: string, event: JsonObject): void {
    const response = this.#response(type, event);
    this.demand(this.#items.length === 0, `${type} after the first item`);
    this.demand(response["status"] === "in_progress", `${type}: status is not in_progress`);
    this.demand(Array.isArray(response["output"]) && response["output"].length === 0, `${type}: output is not empty`);
  }

  #response(type: string, event: JsonObject): JsonObject {
    const response = record(event["response"]);
    for (const field of responseFields) this.demand(field in response, `${type}: response.${field} is missing`);
    this.demand(textOf(response["id"]).startsWith("resp_"), `${type}: id does not begin with resp_`);
    this.#id ??= response["id"];
    this.demand(response["id"] === this.#id, `${type}: another response id`);
    this.demand(response["object"] === "response", `${type}: object is not response`);
    return response;
  }

  #terminal(type: string, event: JsonObject): void {
    const response = this.#response(type, event);
    const status = type.slice("response.".length);
    this.#isOver = true;
    this.demand(response["status"] === status, `${type}: status is ${String(response["status"])}`);
    const output = Array.isArray(response["output"]) ? response["output"] : [];
    if (type === "response.failed") {
      const error = record(response["error"]);
      this.demand(isFilled(error["code"]) && isFilled(error["message"]), `${type}: error without code and message`);
      const done = this.#items.filter((item) => item.done !== undefined).map((item) => item.done);
      this.demand(Bun.deepEquals(output, done), `${type}: output is not the items that were done`);
      this.report.ending = "error";
      this.report.error = { message: textOf(error["message"]), code: textOf(error["code"]) };
      return;
    }
    for (const [index, item] of this.#items.entries()) {
      this.demand(item.done !== undefined, `${type} while item ${index} is open`);
    }
    this.demand(
      Bun.deepEquals(
        output,
        this.#items.map((item) => item.done),
      ),
      `${type}: output differs from the items that were done`,
    );
    this.#usage(type, response["usage"]);
    const reason = textOf(record(response["incomplete_details"])["reason"]);
    if (type === "response.incomplete") {
      this.demand(reason === "max_output_tokens" || reason === "content_filter", `${type}: reason is ${reason}`);
    } else this.demand(isCount(response["completed_at"]), `${type}: no completed_at`);
    this.report.stop = reason === "" ? status : reason;
    this.report.ending = "success";
  }

  /** Codex counts nothing at all when one of these is missing. */
  #usage(type: string, value: Json | undefined): void {
    const usage = record(value);
    const { input_tokens: input, output_tokens: output, total_tokens: total } = usage;
    const cached = record(usage["input_tokens_details"])["cached_tokens"];
    const reasoning = record(usage["output_tokens_details"])["reasoning_tokens"];
    this.demand([input, output, total, cached, reasoning].every(isCount), `${type}: usage lacks a count`);
    this.demand(Number(input) + Number(output) === total, `${type}: usage: total is not the sum`);
    this.report.usage = usage;
  }

  #added(event: JsonObject): void {
    const item = record(event["item"]);
    const type = textOf(item["type"]);
    const id = textOf(item["id"]);
    this.demand(
      event["output_index"] === this.#items.length,
      `output_index ${String(event["output_index"])} instead of ${this.#items.length}`,
    );
    this.demand(type in prefixes, `unknown item type ${type}`);
    this.demand(id.length > 3 && id.startsWith(prefixes[type] ?? ""), `item id ${id} for a ${type}`);
    this.demand(
      this.#items.every((other) => other.id !== id),
      `item id ${id} is used twice`,
    );
    if (type === "message") {
      this.demand(item["role"] === "assistant" && item["status"] === "in_progress", "a message without role or status");
      this.demand(Array.isArray(item["content"]) && item["content"].length === 0, "a message is added with content");
    }
    if (type === "reasoning") {
      this.demand(Array.isArray(item["summary"]) && item["summary"].length === 0, "reasoning is added with a summary");
    }
    if (type.endsWith("_call")) this.demand(isFilled(item["call_id"]), `a ${type} without call_id`);
    const streamed = streamedCalls[type];
    if (streamed !== undefined) {
      this.demand(isFilled(item["name"]), `a ${type} without a name`);
      this.demand(item[streamed.field] === "", `a ${type} is added with ${streamed.field}`);
    }
    this.#items.push({ id, type, value: "", isValueDone: false, parts: [], open: undefined, done: undefined });
  }

  #itemDone(item: OpenItem, done: JsonObject): void {
    item.done = done;
    this.demand(done["id"] === item.id && done["type"] === item.type, "an item changes its id or type");
    this.demand(item.open === undefined, "an item is done with a part open");
    if (item.type === "message") {
      this.demand(done["status"] === "completed" || done["status"] === "incomplete", "a done message without status");
      this.demand(Bun.deepEquals(partsOf(done["content"]), item.parts), "a message's content differs from its parts");
    } else if (item.type === "reasoning") {
      this.demand(Bun.deepEquals(partsOf(done["summary"]), item.parts), "a summary differs from its parts");
      if (isFilled(done["encrypted_content"])) this.report.replays.push(done["encrypted_content"]);
    } else this.#callDone(item, done);
  }

  #callDone(item: OpenItem, done: JsonObject): void {
    this.demand(done["status"] === "completed", `a done ${item.type} with status ${String(done["status"])}`);
    const streamed = streamedCalls[item.type];
    let text = "";
    if (streamed === undefined) {
      const value = done["arguments"] ?? done["action"] ?? done["operation"];
      this.demand(isRecord(value), `a ${item.type} without its object`);
      text = JSON.stringify(value);
    } else {
      this.demand(item.isValueDone, `a ${item.type} is done before its ${streamed.field}`);
      this.demand(
        done[streamed.field] === item.value,
        `the ${streamed.field} of a ${item.type} differ from its deltas`,
      );
      text = item.value;
      if (item.type === "function_call") this.demand(text.trim() !== "", "a function_call with blank arguments");
    }
    const { namespace } = done;
    this.report.calls.push({
      id: textOf(done["call_id"]),
      name: textOf(done["name"]),
      arguments: text,
      type: item.type,
      ...(typeof namespace === "string" ? { namespace } : {}),
    });
  }

  #callValue(item: OpenItem, type: string, event: JsonObject): void {
    const streamed = streamedCalls[item.type];
    if (streamed === undefined || !type.startsWith(`${streamed.events}.`)) {
      this.demand(false, `${type} for a ${item.type}`);
      return;
    }
    this.demand(!item.isValueDone, `${type} after the ${streamed.field} were done`);
    if (type.endsWith(".delta")) {
      this.demand(isFilled(event["delta"]), `${type} without a delta`);
      item.value += textOf(event["delta"]);
    } else {
      item.isValueDone = true;
      this.demand(event[streamed.field] === item.value, `${type} differs from its deltas`);
    }
  }

  #message(item: OpenItem, type: string, event: JsonObject): void {
    this.demand(item.type === "message", `${type} for a ${item.type}`);
    const { content_index: index } = event;
    const kind = type.startsWith("response.output_text") ? "output_text" : "refusal";
    const part = record(event["part"]);
    switch (type) {
      case "response.content_part.added":
        if (part["type"] === "output_text") {
          this.demand(Array.isArray(part["annotations"]), "output_text without annotations");
          this.#openPart(item, index, "output_text", part["text"]);
        } else if (part["type"] === "refusal") this.#openPart(item, index, "refusal", part["refusal"]);
        else this.demand(false, `unknown part type ${String(part["type"])}`);
        return;
      case "response.output_text.delta":
        this.demand(Array.isArray(event["logprobs"]), "output_text.delta without logprobs");
        this.report.text += this.#partDelta(item, index, kind, event["delta"]);
        return;
      case "response.refusal.delta":
        this.report.text += this.#partDelta(item, index, kind, event["delta"]);
        return;
      case "response.output_text.done":
      case "response.refusal.done":
        this.#valueDone(item, index, kind, event[kind === "refusal" ? "refusal" : "text"]);
        return;
      case "response.content_part.done":
        this.#closePart(item, index, part);
        return;
      default:
        this.demand(false, `unknown event ${type}`);
    }
  }

  #reasoning(item: OpenItem, type: string, event: JsonObject): void {
    const { summary_index: index } = event;
    switch (type) {
      case "response.reasoning_summary_part.added":
        this.#openPart(item, index, "summary_text", record(event["part"])["text"]);
        return;
      case "response.reasoning_summary_text.delta":
        this.report.reasoning += this.#partDelta(item, index, "summary_text", event["delta"]);
        return;
      case "response.reasoning_summary_text.done":
        this.#valueDone(item, index, "summary_text", event["text"]);
        return;
      case "response.reasoning_summary_part.done":
        this.#closePart(item, index, record(event["part"]));
        return;
      default:
        this.demand(false, `${type} for a reasoning item`);
    }
  }

  #openPart(item: OpenItem, index: Json | undefined, kind: OpenPart["kind"], text: Json | undefined): void {
    this.demand(item.open === undefined, "a part is added while another is open");
    this.demand(index === item.parts.length, `part index ${String(index)} instead of ${item.parts.length}`);
    this.demand(text === "", "a part is added with text in it");
    item.open = { index: item.parts.length, kind, text: "", isValueDone: false };
  }

  #part(item: OpenItem, index: Json | undefined, kind: OpenPart["kind"]): OpenPart | undefined {
    const { open } = item;
    const isIt = open !== undefined && open.index === index && open.kind === kind && !open.isValueDone;
    this.demand(isIt, `text for part ${String(index)} (${kind}), which is not open`);
    return isIt ? open : undefined;
  }

  #partDelta(item: OpenItem, index: Json | undefined, kind: OpenPart["kind"], delta: Json | undefined): string {
    this.demand(isFilled(delta), `an empty delta of ${kind}`);
    const part = this.#part(item, index, kind);
    if (part !== undefined) part.text += textOf(delta);
    return textOf(delta);
  }

  #valueDone(item: OpenItem, index: Json | undefined, kind: OpenPart["kind"], value: Json | undefined): void {
    const part = this.#part(item, index, kind);
    if (part === undefined) return;
    part.isValueDone = true;
    this.demand(value === part.text, `the done value of ${kind} differs from its deltas`);
  }

  #closePart(item: OpenItem, index: Json | undefined, done: JsonObject): void {
    const { open } = item;
    item.open = undefined;
    if (open === undefined || open.index !== index) {
      this.demand(false, `part ${String(index)} is done, which is not open`);
      return;
    }
    this.demand(open.isValueDone, "a part is done before its value");
    const [read] = partsOf([done]);
    this.demand(Bun.deepEquals(read, { kind: open.kind, text: open.text }), "a done part differs from its deltas");
    item.parts.push({ kind: open.kind, text: open.text });
  }
}

function partsOf(value: Json | undefined): { kind: string; text: string }[] {
  if (!Array.isArray(value)) return [];
  return value.map((entry) => {
    const part = record(entry);
    return { kind: textOf(part["type"]), text: textOf(part["text"] ?? part["refusal"]) };
  });
}
