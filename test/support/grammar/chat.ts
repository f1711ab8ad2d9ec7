/** What OpenAI's SDK and Chat agents demand of a stream of chunks. Knows nothing of Clutch's encoder. */

import type { Json, JsonObject } from "../../../src/protocols/chat.ts";
import type { SseMessage } from "../../../src/protocols/codec.ts";
import { type HeardCall, isCount, isFilled, isRecord, Listener, record, type StreamReport, textOf } from "./report.ts";

const finishReasons = new Set(["stop", "length", "tool_calls", "content_filter"]);

export interface ChatExpectations {
  /** Whether the client asked for usage: the chunk is then owed, and otherwise forbidden. */
  includeUsage: boolean;
}

export function checkChatStream(messages: readonly SseMessage[], expected: ChatExpectations): StreamReport {
  const client = new ChatClient(expected);
  for (const message of messages) client.hear(message);
  return client.report;
}

class ChatClient extends Listener {
  readonly #expected: ChatExpectations;
  readonly #calls: HeardCall[] = [];
  #identity: string | undefined;
  #hasFinished = false;
  #isOver = false;

  constructor(expected: ChatExpectations) {
    super();
    this.#expected = expected;
  }

  hear(message: SseMessage): void {
    this.demand(message.event === undefined, `a chunk is named ${message.event}`);
    this.demand(!this.#isOver, "something follows the end of the stream");
    if (message.data === "[DONE]") {
      this.#done();
      return;
    }
    const chunk = this.parse(message);
    if (chunk === undefined) return;
    if ("error" in chunk) this.#error(chunk);
    else this.#chunk(chunk);
  }

  #done(): void {
    this.#isOver = true;
    this.demand(this.#hasFinished, "[DONE] without a finish_reason");
    const { usage } = this.report;
    this.demand(usage !== undefined || !this.#expected.includeUsage, "usage was asked for and is missing");
    this.report.calls = this.#calls;
    for (const call of this.#calls) {
      this.demand(call.type === "custom" || call.arguments !== "", "a call ends without arguments");
    }
    this.report.ending = "success";
  }

  #error(chunk: JsonObject): void {
    const error = record(chunk["error"]);
    this.demand(isFilled(error["message"]), "error without a message");
    this.demand(isFilled(error["type"]), "error without a type");
    this.demand("code" in error, "error without a code field");
    this.demand(!this.#hasFinished, "an error after finish_reason");
    this.#isOver = true;
    this.report.ending = "error";
    this.report.error = { message: textOf(error["message"]), code: textOf(error["code"]) };
  }

  #chunk(chunk: JsonObject): void {
    const { id, object, created, model, choices } = chunk;
    this.demand(textOf(id).startsWith("chatcmpl-"), "id does not begin with chatcmpl-");
    this.demand(object === "chat.completion.chunk", `object is ${String(object)}`);
    this.demand(isCount(created), "created is no time");
    this.demand(isFilled(model), "no model");
    const identity = JSON.stringify([id, created, model]);
    const isFirst = this.#identity === undefined;
    this.demand(isFirst || this.#identity === identity, "id, created or model change within the stream");
    this.#identity = identity;
    if (!Array.isArray(choices)) {
      this.demand(false, "choices is no array");
      return;
    }
    const [choice] = choices;
    if (choice === undefined) {
      this.#usage(chunk["usage"]);
      return;
    }
    this.demand(choices.length === 1 && record(choice)["index"] === 0, "other choices than the first");
    this.#choice(record(choice), isFirst);
  }

  #usage(value: Json | undefined): void {
    const usage = record(value);
    this.demand(this.#hasFinished, "usage before finish_reason");
    this.demand(this.#expected.includeUsage, "usage was not asked for");
    this.demand(this.report.usage === undefined, "a second usage chunk");
    const { prompt_tokens: prompt, completion_tokens: completion, total_tokens: total } = usage;
    this.demand(isCount(prompt) && isCount(completion) && isCount(total), "usage without its three counts");
    this.demand(Number(prompt) + Number(completion) === total, "usage: total is not the sum");
    this.report.usage = usage;
  }

  #choice(choice: JsonObject, isFirst: boolean): void {
    this.demand(!this.#hasFinished, "a delta after finish_reason");
    const { delta, finish_reason: reason } = choice;
    if (!isRecord(delta)) {
      this.demand(false, "a choice without a delta");
      return;
    }
    if (isFirst) this.demand(delta["role"] === "assistant" && delta["content"] === "", "the first delta opens nothing");
    else this.demand(!("role" in delta), "the role is repeated");
    if (reason !== null) {
      this.#hasFinished = true;
      this.demand(finishReasons.has(textOf(reason)), `unknown finish_reason ${String(reason)}`);
      this.demand(Object.keys(delta).length === 0, "the finish chunk says something");
      const hasCalls = this.#calls.length > 0;
      this.demand(!(hasCalls && reason === "stop"), "finish_reason stop although tools are called");
      this.demand(hasCalls || reason !== "tool_calls", "finish_reason tool_calls without a call");
      this.report.stop = textOf(reason);
    }
    for (const [field, value] of Object.entries(delta)) this.#field(field, value);
  }

  #field(field: string, value: Json | undefined): void {
    switch (field) {
      case "role":
        return;
      case "content":
      case "refusal":
        this.demand(typeof value === "string", `${field} is no string`);
        this.report.text += textOf(value);
        return;
      case "reasoning_content":
        this.demand(typeof value === "string", "reasoning_content is no string");
        this.report.reasoning += textOf(value);
        return;
      case "reasoning_details":
        this.demand(Array.isArray(value) && value.every(isRecord), "reasoning_details is no array of objects");
        this.report.replays.push(JSON.stringify(value));
        return;
      case "tool_calls":
        if (Array.isArray(value) && value.length > 0) for (const entry of value) this.#call(record(entry));
        else this.demand(false, "tool_calls is no filled array");
        return;
      default:
        this.demand(false, `unknown delta field ${field}`);
    }
  }

  #call(entry: JsonObject): void {
    const { index, id, type } = entry;
    const known = typeof index === "number" ? this.#calls[index] : undefined;
    const detail = record(entry[type === "custom" ? "custom" : "function"]);
    if (known !== undefined) {
      this.demand(
        !("id" in entry) && !("type" in entry) && !("name" in detail),
        "a later fragment names its call again",
      );
      this.demand(typeof detail["arguments"] === "string", "a later fragment without arguments");
      known.arguments += textOf(detail["arguments"]);
      return;
    }
    this.demand(index === this.#calls.length, `call index ${String(index)} instead of ${this.#calls.length}`);
    this.demand(isFilled(id), "a call without an id");
    this.demand(type === "function" || type === "custom", "a call without a type");
    this.demand(isFilled(detail["name"]), "a call without a name");
    const text = detail[type === "custom" ? "input" : "arguments"];
    this.demand(typeof text === "string", "a call starts without its arguments field");
    this.#calls.push({ id: textOf(id), name: textOf(detail["name"]), arguments: textOf(text), type: textOf(type) });
  }
}
