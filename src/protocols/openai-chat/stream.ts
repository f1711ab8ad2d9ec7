/** Streams of `chat.completion.chunk`: an upstream's to our events, and our events to a client's. */

import type { ChatEvent, FinishReason, Json, JsonObject, Replay, Usage } from "../chat.ts";
import type { DecodeContext, GatewayError, ReplyContext, SseMessage, StreamDecoder, StreamEncoder } from "../codec.ts";
import { cutOff } from "../cut-off.ts";
import { estimateUsage } from "../estimate.ts";
import { isObject } from "../json.ts";
import { CallAssembly, holdsCustomCall } from "./call-assembly.ts";
import { brokenOff, encodeStreamError, type ReportedError, readError } from "./error.ts";
import { decodeFinish, failureLabels, finishLabels } from "./finish.ts";
import { collectDetails, detailsText, encodeDetails, replayOf } from "./reasoning-details.ts";
import { type TaggedText, ThinkTagSplitter } from "./think-tags.ts";
import { customToolNames, unwrapInput } from "./tools.ts";
import { decodeUsage, encodeUsage } from "./usage.ts";
import { contentText, filled } from "./wire.ts";

/**
 * The answer is whole once a finish reason or `[DONE]` has been seen. `finish` waits for `[DONE]` or the end of the
 * stream, because usage may come in a last chunk with empty `choices`. Whatever follows the last event is ignored.
 */
export class ChatStreamDecoder implements StreamDecoder {
  readonly #calls: CallAssembly;
  readonly #thinkTags: ThinkTagSplitter | undefined;
  #isStarted = false;
  #isOver = false;
  #finishLabel: string | undefined;
  #usage: Usage | undefined;
  #isReasoning = false;
  #reasoningField: "reasoning_content" | "reasoning" | undefined;
  #details: JsonObject[] = [];

  constructor(context: DecodeContext) {
    this.#calls = new CallAssembly(context);
    this.#thinkTags = context.quirks.thinkTags ? new ThinkTagSplitter() : undefined;
  }

  get isWhole(): boolean {
    return this.#finishLabel !== undefined;
  }

  push(message: SseMessage): ChatEvent[] {
    const events: ChatEvent[] = [];
    if (this.#isOver) return events;
    const { data } = message;
    if (data === "[DONE]") {
      this.#finish(events);
      return events;
    }
    let chunk: Json;
    try {
      chunk = JSON.parse(data);
    } catch {
      this.#takeUnreadable(message, events);
      return events;
    }
    const error = readError(message.event === "error" && isObject(chunk) ? { error: chunk, ...chunk } : chunk);
    if (error !== undefined) this.#fail("reported", error, events);
    else if (isObject(chunk)) this.#takeChunk(chunk, events);
    return events;
  }

  end(): ChatEvent[] {
    const events: ChatEvent[] = [];
    if (this.#isOver) return events;
    if (this.#finishLabel !== undefined) this.#finish(events);
    else this.#fail(cutOff.kind, cutOff, events);
    return events;
  }

  #takeUnreadable(message: SseMessage, events: ChatEvent[]): void {
    const data = message.data.trim();
    if (data === "[DONE]") this.#finish(events);
    else if (data === "") return;
    else if (message.event === "error") this.#fail("reported", { message: data }, events);
    // A usage chunk that was cut off takes nothing from an answer that is already whole.
    else if (this.#finishLabel === undefined) {
      const shown = data.length > 200 ? `${data.slice(0, 200)}...` : data;
      this.#fail("malformed", { message: `the upstream sent data that is not JSON (server error): ${shown}` }, events);
    }
  }

  #takeChunk(chunk: JsonObject, events: ChatEvent[]): void {
    const choice = firstChoice(chunk);
    // Moonshot puts usage into the choice; some servers count on in every chunk.
    const usage = chunk["usage"] ?? choice?.["usage"];
    if (usage !== undefined && usage !== null) this.#usage = decodeUsage(usage) ?? this.#usage;
    if (choice === undefined) return;
    if (!this.#isStarted) {
      this.#isStarted = true;
      events.push(startEvent(chunk));
    }
    if (isObject(choice["delta"])) this.#takeDelta(choice["delta"], events);
    const label = filled(choice["finish_reason"]);
    if (label === undefined) return;
    this.#finishLabel = label;
    if (failureLabels.has(label)) {
      this.#fail("reported", brokenOff(choice, label), events);
    }
  }

  /** Reasoning, then text, then calls: one delta may carry all of them, and that is the order they were written in. */
  #takeDelta(delta: JsonObject, events: ChatEvent[]): void {
    this.#takeReasoning(delta, events);
    const content = typeof delta["content"] === "string" ? delta["content"] : contentText(delta["content"]);
    if (content !== "") {
      if (this.#thinkTags === undefined) this.#emitText(content, events);
      else this.#emitTagged(this.#thinkTags.push(content), events);
    }
    const refusal = filled(delta["refusal"]);
    if (refusal !== undefined) {
      this.#closeReasoning(events);
      events.push({ type: "refusal-delta", text: refusal });
    }
    if (Array.isArray(delta["images"]) || isObject(delta["audio"]) || holdsCustomCall(delta)) {
      this.#closeReasoning(events);
      events.push({ type: "opaque" });
    }
    const calls = delta["tool_calls"];
    if (Array.isArray(calls) && calls.length > 0) {
      this.#settleText(events);
      for (const call of calls) this.#calls.push(call, events);
      this.#calls.keepSignature(delta);
    }
    if (isObject(delta["function_call"])) {
      this.#settleText(events);
      this.#calls.pushLegacy(delta["function_call"], events);
    }
  }

  /** OpenRouter sends the same text as `reasoning` and as details, others under both names: one source per chunk. */
  #takeReasoning(delta: JsonObject, events: ChatEvent[]): void {
    const details = delta["reasoning_details"];
    if (Array.isArray(details) && details.length > 0) {
      this.#isReasoning = true;
      collectDetails(this.#details, details);
    }
    const named = filled(delta["reasoning_content"]);
    let text = named ?? filled(delta["reasoning"]) ?? "";
    if (text !== "") this.#reasoningField ??= named === undefined ? "reasoning" : "reasoning_content";
    // Beside a field details are for the replay alone: Clutch itself writes a block's whole text again with its signature.
    else if (this.#reasoningField === undefined && Array.isArray(details)) text = detailsText(details);
    if (text === "") return;
    this.#isReasoning = true;
    events.push({ type: "reasoning-delta", text });
  }

  #closeReasoning(events: ChatEvent[]): void {
    if (!this.#isReasoning) return;
    this.#isReasoning = false;
    const replay = replayOf(this.#details, this.#reasoningField);
    this.#details = [];
    this.#reasoningField = undefined;
    events.push({ type: "reasoning-end", replay });
  }

  #emitText(text: string, events: ChatEvent[]): void {
    this.#closeReasoning(events);
    events.push({ type: "text-delta", text });
  }

  #emitTagged(pieces: TaggedText[], events: ChatEvent[]): void {
    for (const { isReasoning, text } of pieces) {
      if (!isReasoning) this.#emitText(text, events);
      else {
        this.#isReasoning = true;
        events.push({ type: "reasoning-delta", text });
      }
    }
  }

  /** Before a call: nothing of the text may still be held back, and no reasoning be open. */
  #settleText(events: ChatEvent[]): void {
    if (this.#thinkTags !== undefined) this.#emitTagged(this.#thinkTags.end(), events);
    this.#closeReasoning(events);
  }

  #finish(events: ChatEvent[]): void {
    this.#isOver = true;
    this.#settleText(events);
    this.#calls.end(events);
    const reason = decodeFinish(this.#finishLabel, this.#calls.hasCalls);
    events.push({ type: "finish", reason, usage: this.#usage });
  }

  /** What is open stays open: a broken answer must not look like one that was closed. */
  #fail(kind: "reported" | "incomplete" | "malformed", error: ReportedError, events: ChatEvent[]): void {
    this.#isOver = true;
    if (this.#usage !== undefined) events.push({ type: "usage", usage: this.#usage });
    events.push({ type: "error", error: { kind, ...error } });
  }
}

function firstChoice(chunk: JsonObject): JsonObject | undefined {
  const choices = chunk["choices"];
  if (!Array.isArray(choices)) return undefined;
  for (const choice of choices) {
    if (isObject(choice) && (choice["index"] ?? 0) === 0) return choice;
  }
  return undefined;
}

function startEvent(chunk: JsonObject): ChatEvent {
  return { type: "start", id: filled(chunk["id"]), model: filled(chunk["model"]) };
}

/**
 * Every chunk is put together from two fixed pieces of text around its delta: the envelope is the same for the whole
 * stream, so only the delta's own strings are escaped.
 */
export class ChatStreamEncoder implements StreamEncoder {
  readonly #head: string;
  readonly #context: ReplyContext;
  readonly #customTools: ReadonlySet<string>;
  #isOpen = false;
  #isFinished = false;
  #usage: Usage | undefined;
  #reasoning = "";
  #reasoningBlocks = 0;
  /** A text block ended: `ended`. Something else followed it: `apart`, and the next text begins a paragraph. */
  #textState: "none" | "open" | "ended" | "apart" = "none";
  /** Written by the model so far. */
  #characters = 0;
  /** Calls without arguments so far. */
  readonly #bareCalls = new Set<number>();
  /** The arguments of calls of custom tools, which can be unwrapped only as a whole. */
  readonly #customCalls = new Map<number, { id: string; name: string; arguments: string }>();
  /** The index a call goes by, given when its first fragment is written: custom calls are written after later ones. */
  readonly #indexes = new Map<number, number>();

  constructor(context: ReplyContext) {
    this.#context = context;
    this.#customTools = customToolNames(context.request);
    const model = JSON.stringify(context.request.model);
    this.#head = `{"id":"chatcmpl-${context.id}","object":"chat.completion.chunk","created":${context.createdAt},"model":${model},"choices":[`;
  }

  open(): SseMessage[] {
    if (this.#isOpen) return [];
    this.#isOpen = true;
    return [this.#delta('{"role":"assistant","content":""}')];
  }

  push(event: ChatEvent): SseMessage[] {
    const messages = this.open();
    switch (event.type) {
      case "start":
      case "usage":
        this.#usage = event.usage ?? this.#usage;
        break;
      case "text-delta": {
        this.#characters += event.text.length;
        const text = this.#textState === "apart" ? `\n\n${event.text}` : event.text;
        this.#textState = "open";
        messages.push(this.#delta(`{"content":${JSON.stringify(text)}}`));
        break;
      }
      case "text-end":
        if (this.#textState === "open") this.#textState = "ended";
        break;
      case "refusal-delta":
        messages.push(this.#delta(`{"refusal":${JSON.stringify(event.text)}}`));
        break;
      case "reasoning-delta":
        this.#characters += event.text.length;
        this.#reasoning += event.text;
        messages.push(this.#delta(`{"reasoning_content":${JSON.stringify(event.text)}}`));
        break;
      case "reasoning-end":
        this.#leaveText();
        messages.push(...this.#endReasoning(event.replay));
        break;
      case "tool-start":
        this.#leaveText();
        messages.push(...this.#startCall(event.call, event.id, event.name));
        break;
      case "tool-delta":
        this.#characters += event.json.length;
        messages.push(...this.#continueCall(event.call, event.json));
        break;
      case "tool-end":
        messages.push(...this.#endCall(event.call));
        break;
      case "opaque":
        this.#leaveText();
        break;
      case "finish":
        this.#isFinished = true;
        this.#usage = event.usage ?? this.#usage;
        messages.push(this.#finish(event.reason));
        break;
      case "error":
        throw new Error("a stream's error is written by fail(), not by push()");
      default:
        event satisfies never;
    }
    return messages;
  }

  end(): SseMessage[] {
    if (!this.#isFinished) return [];
    const messages: SseMessage[] = [];
    if (this.#context.request.includeUsage === true) {
      const usage = this.#usage ?? estimateUsage(this.#context, this.#characters);
      messages.push({ data: `${this.#head}],"usage":${JSON.stringify(encodeUsage(usage))}}` });
    }
    messages.push({ data: "[DONE]" });
    return messages;
  }

  fail(error: GatewayError): SseMessage[] {
    return encodeStreamError(error);
  }

  #delta(delta: string): SseMessage {
    return { data: `${this.#head}{"index":0,"delta":${delta},"finish_reason":null}]}` };
  }

  #finish(reason: FinishReason): SseMessage {
    return { data: `${this.#head}{"index":0,"delta":{},"finish_reason":"${finishLabels[reason]}"}]}` };
  }

  #leaveText(): void {
    if (this.#textState === "ended") this.#textState = "apart";
  }

  #endReasoning(replay: Replay | undefined): SseMessage[] {
    const text = this.#reasoning;
    this.#reasoning = "";
    if (replay === undefined) return [];
    const details = encodeDetails(text, replay, this.#reasoningBlocks);
    if (details.length === 0) return [];
    this.#reasoningBlocks++;
    return [this.#delta(`{"reasoning_details":${JSON.stringify(details)}}`)];
  }

  #startCall(call: number, id: string, name: string): SseMessage[] {
    if (this.#customTools.has(name)) {
      this.#customCalls.set(call, { id, name, arguments: "" });
      return [];
    }
    this.#bareCalls.add(call);
    const entry = { index: this.#indexOf(call), id, type: "function", function: { name, arguments: "" } };
    return [this.#delta(`{"tool_calls":[${JSON.stringify(entry)}]}`)];
  }

  #indexOf(call: number): number {
    const known = this.#indexes.get(call) ?? this.#indexes.size;
    this.#indexes.set(call, known);
    return known;
  }

  #continueCall(call: number, json: string): SseMessage[] {
    const custom = this.#customCalls.get(call);
    if (custom !== undefined) {
      custom.arguments += json;
      return [];
    }
    this.#bareCalls.delete(call);
    return [this.#arguments(call, json)];
  }

  #endCall(call: number): SseMessage[] {
    const custom = this.#customCalls.get(call);
    if (custom !== undefined) {
      const { id, name } = custom;
      const entry = {
        index: this.#indexOf(call),
        id,
        type: "custom",
        custom: { name, input: unwrapInput(custom.arguments) },
      };
      return [this.#delta(`{"tool_calls":[${JSON.stringify(entry)}]}`)];
    }
    // Clients parse the concatenated arguments, and "" is no JSON.
    return this.#bareCalls.has(call) ? [this.#arguments(call, "{}")] : [];
  }

  #arguments(call: number, json: string): SseMessage {
    return this.#delta(
      `{"tool_calls":[{"index":${this.#indexOf(call)},"function":{"arguments":${JSON.stringify(json)}}}]}`,
    );
  }
}
