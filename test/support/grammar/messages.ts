/** The event grammar that Anthropic's SDKs and Claude Code demand of a stream. Knows nothing of Clutch's encoder. */

import type { JsonObject } from "../../../src/protocols/chat.ts";
import type { SseMessage } from "../../../src/protocols/codec.ts";
import { isCount, isFilled, isRecord, Listener, record, type StreamReport, textOf } from "./report.ts";

const deltasByBlock: Readonly<Record<string, readonly string[]>> = {
  text: ["text_delta", "citations_delta"],
  thinking: ["thinking_delta", "signature_delta"],
  redacted_thinking: [],
  tool_use: ["input_json_delta"],
  server_tool_use: ["input_json_delta"],
  web_search_tool_result: [],
};

const stopReasons = new Set([
  "end_turn",
  "tool_use",
  "max_tokens",
  "model_context_window_exceeded",
  "stop_sequence",
  "refusal",
  "pause_turn",
]);

export function checkMessagesStream(messages: readonly SseMessage[]): StreamReport {
  const client = new MessagesClient();
  for (const message of messages) client.hear(message);
  return client.report;
}

interface OpenBlock {
  index: number;
  type: string;
  id: string;
  name: string;
  json: string;
  signatures: number;
}

class MessagesClient extends Listener {
  #hasStarted = false;
  #hasDelta = false;
  #isOver = false;
  #blocks = 0;
  #open: OpenBlock | undefined;

  hear(message: SseMessage): void {
    const event = this.parse(message);
    if (event === undefined) return;
    const type = event["type"];
    this.demand(message.event !== undefined, "an event has no name: SDKs drop it");
    this.demand(message.event === type, `event ${message.event} carries data of type ${String(type)}`);
    this.demand(!this.#isOver, `${String(type)} after the terminal event`);
    switch (type) {
      case "message_start":
        this.#start(event);
        return;
      case "content_block_start":
        this.#startBlock(event);
        return;
      case "content_block_delta":
        this.#delta(event);
        return;
      case "content_block_stop":
        this.#stopBlock(event);
        return;
      case "message_delta":
        this.#messageDelta(event);
        return;
      case "message_stop":
        this.demand(this.#hasDelta, "message_stop without a message_delta before it");
        this.#isOver = true;
        this.report.ending = "success";
        return;
      case "ping":
        this.demand(this.#hasStarted, "ping before message_start");
        return;
      case "error":
        this.#error(event);
        return;
      default:
        this.demand(false, `unknown event type ${String(type)}`);
    }
  }

  #start(event: JsonObject): void {
    this.demand(!this.#hasStarted, "a second message_start");
    this.#hasStarted = true;
    const message = record(event["message"]);
    this.demand(textOf(message["id"]).startsWith("msg_"), "message_start: id does not begin with msg_");
    this.demand(message["type"] === "message", "message_start: type is not message");
    this.demand(message["role"] === "assistant", "message_start: role is not assistant");
    this.demand(isFilled(message["model"]), "message_start: no model");
    this.demand(
      Array.isArray(message["content"]) && message["content"].length === 0,
      "message_start: content is not empty",
    );
    this.demand(message["stop_reason"] === null, "message_start: stop_reason is not null");
    this.demand(message["stop_sequence"] === null, "message_start: stop_sequence is not null");
    const usage = record(message["usage"]);
    this.demand(isCount(usage["input_tokens"]), "message_start: usage.input_tokens is no count");
    this.demand(usage["output_tokens"] === 0, "message_start: output is counted before there is any");
  }

  #startBlock(event: JsonObject): void {
    this.#inside("content_block_start");
    this.demand(this.#open === undefined, "content_block_start while another block is open");
    this.demand(event["index"] === this.#blocks, `block index ${String(event["index"])} instead of ${this.#blocks}`);
    const block = record(event["content_block"]);
    const type = textOf(block["type"]);
    this.demand(type in deltasByBlock, `unknown block type ${type}`);
    if (type === "text") this.demand(block["text"] === "", "a text block starts with text in it");
    if (type === "thinking") {
      this.demand(block["thinking"] === "", "a thinking block starts with text in it");
      this.demand(block["signature"] === "", "a thinking block starts without an empty signature");
    }
    if (type === "redacted_thinking") {
      this.demand(isFilled(block["data"]), "redacted_thinking without data");
      this.report.replays.push(textOf(block["data"]));
    }
    if (type === "tool_use") {
      this.demand(isFilled(block["id"]), "tool_use without an id");
      this.demand(isFilled(block["name"]), "tool_use without a name");
      this.demand(
        isRecord(block["input"]) && Object.keys(block["input"]).length === 0,
        "tool_use starts with input: SDKs ignore it",
      );
    }
    this.#open = {
      index: this.#blocks++,
      type,
      id: textOf(block["id"]),
      name: textOf(block["name"]),
      json: "",
      signatures: 0,
    };
  }

  #delta(event: JsonObject): void {
    this.#inside("content_block_delta");
    const open = this.#open;
    if (open === undefined || event["index"] !== open.index) {
      this.demand(false, `a delta for block ${String(event["index"])}, which is not open`);
      return;
    }
    const delta = record(event["delta"]);
    const type = textOf(delta["type"]);
    this.demand(deltasByBlock[open.type]?.includes(type) === true, `${type} inside a ${open.type} block`);
    this.demand(open.signatures === 0, "a delta follows the signature of its block");
    const value = delta[type === "input_json_delta" ? "partial_json" : type.replace("_delta", "")];
    if (type !== "citations_delta") this.demand(typeof value === "string", `${type} without its text`);
    if (type === "text_delta") this.report.text += textOf(value);
    if (type === "thinking_delta") this.report.reasoning += textOf(value);
    if (type === "input_json_delta") open.json += textOf(value);
    if (type === "signature_delta") {
      open.signatures++;
      this.demand(isFilled(value), "an empty signature");
      this.report.replays.push(textOf(value));
    }
  }

  #stopBlock(event: JsonObject): void {
    this.#inside("content_block_stop");
    const open = this.#open;
    this.demand(
      open !== undefined && event["index"] === open.index,
      `stop of block ${String(event["index"])}, not open`,
    );
    this.#open = undefined;
    if (open?.type !== "tool_use") return;
    this.report.calls.push({ id: open.id, name: open.name, arguments: open.json, type: open.type });
  }

  #messageDelta(event: JsonObject): void {
    this.#inside("message_delta");
    this.demand(this.#open === undefined, "message_delta while a block is open");
    this.demand(!this.#hasDelta, "a second message_delta");
    this.#hasDelta = true;
    const delta = record(event["delta"]);
    const stop = textOf(delta["stop_reason"]);
    this.demand(stopReasons.has(stop), `unknown stop_reason ${stop}`);
    this.demand("stop_sequence" in delta, "message_delta without stop_sequence");
    const hasCalls = this.report.calls.length > 0;
    this.demand(!(hasCalls && stop === "end_turn"), "stop_reason end_turn although tools are called");
    this.demand(hasCalls || stop !== "tool_use", "stop_reason tool_use without a call");
    this.report.stop = stop;
    const usage = record(event["usage"]);
    for (const field of ["input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"]) {
      this.demand(isCount(usage[field]), `message_delta: usage.${field} is no count`);
    }
    this.report.usage = usage;
  }

  #error(event: JsonObject): void {
    const error = record(event["error"]);
    this.demand(isFilled(error["type"]) && isFilled(error["message"]), "error without type and message");
    this.#isOver = true;
    this.report.ending = "error";
    this.report.error = { message: textOf(error["message"]), code: textOf(error["type"]) };
  }

  #inside(type: string): void {
    this.demand(this.#hasStarted, `${type} before message_start`);
    if (type !== "message_delta") this.demand(!this.#hasDelta, `${type} after message_delta`);
  }
}
