/** Anthropic's event stream, read tolerantly and written strictly. @see https://platform.claude.com/docs/en/build-with-claude/streaming */

import type { ChatEvent, ChatRequest, FinishReason, Json, JsonObject, Replay, Usage } from "../chat.ts";
import type { DecodeContext, GatewayError, ReplyContext, SseMessage, StreamDecoder, StreamEncoder } from "../codec.ts";
import { cutOff } from "../cut-off.ts";
import { estimateUsage } from "../estimate.ts";
import { isObject } from "../json.ts";
import { encodeStreamError, readError } from "./error.ts";
import {
  decodeFinish,
  decodeUsage,
  encodeFinish,
  encodeSignature,
  encodeUsage,
  missingCallId,
  renderInput,
} from "./response.ts";

/** A content block that the upstream has opened and not yet closed. */
type OpenBlock =
  | { type: "text" }
  | { type: "reasoning"; signature: string }
  /** `input` is what the start event carried: some servers put everything there and send no delta. */
  | { type: "tool"; call: number; hasDelta: boolean; input: Json | undefined }
  | { type: "opaque" };

/**
 * Success is `message_stop` and nothing else. Blocks are keyed by the upstream's index (a Map: the index is a number
 * from outside), and one that lacks its start or stop event is made whole.
 */
export class MessagesStreamDecoder implements StreamDecoder {
  readonly #context: DecodeContext;
  readonly #blocks = new Map<Json | undefined, OpenBlock>();
  /** The index of the block of kind `reasoning` that is open. */
  #reasoning: { index: Json | undefined } | undefined;
  #calls = 0;
  #usage: Usage | undefined;
  #stopReason: Json | undefined;
  #stopSequence: string | undefined;
  #isStarted = false;
  #isDone = false;

  constructor(context: DecodeContext) {
    this.#context = context;
  }

  push(message: SseMessage): ChatEvent[] {
    if (this.#isDone) return [];
    const { data } = message;
    // Proxies made for Chat end every stream with `[DONE]`; it says nothing about this protocol.
    if (data.trim() === "" || data === "[DONE]") return [];
    let event: Json;
    try {
      event = JSON.parse(data) as Json;
    } catch {
      return this.#fail({
        kind: "malformed",
        message: "connection lost: the upstream sent an unreadable event (server error)",
      });
    }
    if (!isObject(event)) return [];
    if (event.error !== undefined && event.error !== null) return this.#fail({ kind: "reported", ...readError(event) });

    const out: ChatEvent[] = [];
    switch (event.type ?? message.event) {
      case "content_block_delta":
        this.#delta(event, out);
        break;
      case "content_block_start":
        this.#open(event, out);
        break;
      case "content_block_stop":
        this.#close(event.index, out);
        break;
      case "message_start":
        this.#start(isObject(event.message) ? event.message : {}, out);
        break;
      case "message_delta":
        this.#usage = decodeUsage(event.usage, this.#usage);
        if (isObject(event.delta)) {
          this.#stopReason = event.delta.stop_reason ?? this.#stopReason;
          if (typeof event.delta.stop_sequence === "string") this.#stopSequence = event.delta.stop_sequence;
        }
        break;
      case "message_stop":
        this.#finish(out);
        break;
      case "error":
        return this.#fail({ kind: "reported", ...readError(event) });
      default:
      // `ping`, and events that Anthropic adds later: its versioning policy allows new ones at any time.
    }
    this.#isStarted ||= out.length > 0;
    return out;
  }

  end(): ChatEvent[] {
    if (this.#isDone) return [];
    return this.#fail(cutOff);
  }

  #fail(error: Extract<ChatEvent, { type: "error" }>["error"]): ChatEvent[] {
    this.#isDone = true;
    return [{ type: "error", error }];
  }

  /** A second one, or one behind content, has nothing to open any more; its usage counts all the same. */
  #start(message: JsonObject, out: ChatEvent[]): void {
    this.#usage = decodeUsage(message.usage, this.#usage);
    if (this.#isStarted) return;
    const start: ChatEvent = { type: "start" };
    if (typeof message.id === "string") start.id = message.id;
    if (typeof message.model === "string") start.model = message.model;
    if (this.#usage !== undefined) start.usage = this.#usage;
    out.push(start);
  }

  #open(event: JsonObject, out: ChatEvent[]): void {
    const { index } = event;
    const block = isObject(event.content_block) ? event.content_block : {};
    this.#close(index, out);
    this.#endReasoning(out);
    switch (block.type) {
      case "text":
        this.#blocks.set(index, { type: "text" });
        pushText(out, block.text);
        break;
      case "thinking":
        this.#openReasoning(index, typeof block.signature === "string" ? block.signature : "");
        pushReasoning(out, block.thinking);
        break;
      case "redacted_thinking":
        if (typeof block.data === "string" && block.data !== "") {
          out.push({ type: "reasoning-end", replay: { kind: "redacted", data: block.data } });
        }
        break;
      case "tool_use": {
        const name = typeof block.name === "string" ? block.name : "";
        if (name === "") {
          this.#blocks.set(index, { type: "opaque" });
          out.push({ type: "opaque" });
          break;
        }
        const call = this.#calls++;
        this.#blocks.set(index, { type: "tool", call, hasDelta: false, input: block.input });
        out.push({
          type: "tool-start",
          call,
          id: typeof block.id === "string" && block.id !== "" ? block.id : missingCallId(call),
          name: this.#context.toolNames.get(name) ?? name,
        });
        break;
      }
      default:
        // Hosted tools and their results, and kinds yet to come: content, but nothing another protocol can show.
        this.#blocks.set(index, { type: "opaque" });
        out.push({ type: "opaque" });
    }
  }

  #delta(event: JsonObject, out: ChatEvent[]): void {
    const { delta, index } = event;
    if (!isObject(delta)) return;
    const block = this.#blocks.get(index);
    switch (delta.type) {
      case "text_delta":
        if (block?.type === "opaque") return;
        if (block === undefined) this.#blocks.set(index, { type: "text" });
        this.#endReasoning(out);
        pushText(out, delta.text);
        break;
      case "thinking_delta":
        if (block !== undefined && block.type !== "reasoning") return;
        if (block === undefined) {
          this.#endReasoning(out);
          this.#openReasoning(index, "");
        }
        pushReasoning(out, delta.thinking);
        break;
      case "signature_delta":
        if (block?.type === "reasoning" && typeof delta.signature === "string") block.signature += delta.signature;
        break;
      case "input_json_delta":
        if (block?.type !== "tool" || typeof delta.partial_json !== "string" || delta.partial_json === "") return;
        block.hasDelta = true;
        this.#endReasoning(out);
        out.push({ type: "tool-delta", call: block.call, json: delta.partial_json });
        break;
      default:
      // Citations and what comes later: text is complete without them.
    }
  }

  #close(index: Json | undefined, out: ChatEvent[]): void {
    const block = this.#blocks.get(index);
    if (block === undefined) return;
    this.#blocks.delete(index);
    if (block.type === "text" || block.type === "tool") this.#endReasoning(out);
    switch (block.type) {
      case "text":
        out.push({ type: "text-end" });
        break;
      case "reasoning":
        this.#reasoning = undefined;
        out.push(
          block.signature === ""
            ? { type: "reasoning-end" }
            : { type: "reasoning-end", replay: { kind: "anthropic", signature: block.signature } },
        );
        break;
      case "tool":
        if (!block.hasDelta) out.push({ type: "tool-delta", call: block.call, json: renderInput(block.input) });
        out.push({ type: "tool-end", call: block.call });
        break;
      case "opaque":
        break;
      default:
        block satisfies never;
    }
  }

  #openReasoning(index: Json | undefined, signature: string): void {
    this.#blocks.set(index, { type: "reasoning", signature });
    this.#reasoning = { index };
  }

  #endReasoning(out: ChatEvent[]): void {
    if (this.#reasoning !== undefined) this.#close(this.#reasoning.index, out);
  }

  #finish(out: ChatEvent[]): void {
    for (const index of [...this.#blocks.keys()]) this.#close(index, out);
    this.#isDone = true;
    const finish: ChatEvent = { type: "finish", reason: decodeFinish(this.#stopReason, this.#calls > 0) };
    if (this.#stopSequence !== undefined) finish.stopSequence = this.#stopSequence;
    if (this.#usage !== undefined) finish.usage = this.#usage;
    out.push(finish);
  }
}

function pushText(out: ChatEvent[], text: Json | undefined): void {
  if (typeof text === "string" && text !== "") out.push({ type: "text-delta", text });
}

function pushReasoning(out: ChatEvent[], text: Json | undefined): void {
  if (typeof text === "string" && text !== "") out.push({ type: "reasoning-delta", text });
}

/** A content block on its way to the client; `index` is set once its start event is written. */
interface Segment {
  kind: "text" | "thinking" | "tool";
  /** The `content_block` of its start event, as JSON. */
  opening: string;
  index: number | undefined;
  /** Text or argument JSON that has not been written yet. */
  held: string;
  /** Tools: all argument JSON so far. */
  json: string;
  /** Nothing more will come for it. */
  isEnded: boolean;
  /** Thinking: written as the block's last delta. */
  signature: string;
}

/**
 * Writes `message_start (block_start delta* block_stop)* message_delta message_stop`, blocks numbered without gaps.
 *
 * The grammar allows one open block, upstreams interleave calls: what arrives becomes a queue of segments in order of
 * appearance. The first is written live, the others are held until the ones before them have ended. A call has ended
 * with its `tool-end`, or when something waits behind it and its JSON is complete.
 */
export class MessagesStreamEncoder implements StreamEncoder {
  readonly #context: ReplyContext;
  readonly #display: ChatRequest["reasoningDisplay"];
  #isOpen = false;
  #isDone = false;
  #nextIndex = 0;
  readonly #queue: Segment[] = [];
  readonly #calls = new Map<number, Segment>();
  /** The text of the reasoning that is running, for a replay that must carry it. */
  #hiddenReasoning = "";
  #hasRefusal = false;
  #usage: Usage | undefined;
  #characters = 0;

  constructor(context: ReplyContext) {
    this.#context = context;
    this.#display = context.request.reasoningDisplay;
  }

  open(): SseMessage[] {
    const out: SseMessage[] = [];
    this.#writeStart(out, undefined);
    return out;
  }

  push(event: ChatEvent): SseMessage[] {
    const out: SseMessage[] = [];
    if (this.#isDone) return out;
    this.#writeStart(out, event.type === "start" ? event.usage : undefined);
    switch (event.type) {
      case "start":
        this.#usage = event.usage ?? this.#usage;
        break;
      case "text-delta":
        this.#text(event.text, out);
        break;
      case "refusal-delta":
        this.#hasRefusal = true;
        this.#text(event.text, out);
        break;
      case "text-end":
        this.#endLast("text", out);
        break;
      case "reasoning-delta":
        this.#reasoning(event.text, out);
        break;
      case "reasoning-end":
        this.#endReasoning(event.replay, out);
        break;
      case "tool-start": {
        const opening = `{"type":"tool_use","id":${JSON.stringify(event.id)},"name":${JSON.stringify(event.name)},"input":{}}`;
        this.#calls.set(event.call, this.#enqueue("tool", opening, out));
        break;
      }
      case "tool-delta": {
        const call = this.#calls.get(event.call);
        if (call === undefined || call.isEnded) break;
        call.json += event.json;
        this.#extend(call, event.json, out);
        // A Chat upstream ends its calls only at the end of the answer; without this the next call would wait for that.
        if (this.#queue.length > 1 && call === this.#queue[0]) this.#endIfComplete(call, out);
        break;
      }
      case "tool-end": {
        const call = this.#calls.get(event.call);
        if (call === undefined) break;
        call.isEnded = true;
        this.#advance(out);
        break;
      }
      case "opaque":
        break;
      case "usage":
        this.#usage = event.usage;
        break;
      case "finish":
        this.#finish(event.reason, event.stopSequence, event.usage, out);
        break;
      case "error":
        // The gateway answers errors through `fail`.
        break;
      default:
        event satisfies never;
    }
    return out;
  }

  end(): SseMessage[] {
    this.#isDone = true;
    return [];
  }

  fail(error: GatewayError): SseMessage[] {
    if (this.#isDone) return [];
    this.#isDone = true;
    return encodeStreamError(error);
  }

  #writeStart(out: SseMessage[], known: Usage | undefined): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    const isKnown = known !== undefined && known.input + known.cacheRead + known.cacheWrite > 0;
    const input = isKnown ? known : estimateUsage(this.#context, 0);
    const message = {
      id: `msg_${this.#context.id}`,
      type: "message",
      role: "assistant",
      model: this.#context.request.model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: encodeUsage({ ...input, output: 0, reasoning: 0 }),
    };
    out.push({ event: "message_start", data: JSON.stringify({ type: "message_start", message }) });
  }

  #text(text: string, out: SseMessage[]): void {
    if (text === "") return;
    const last = this.#queue.at(-1);
    const segment =
      last?.kind === "text" && !last.isEnded ? last : this.#enqueue("text", '{"type":"text","text":""}', out);
    this.#extend(segment, text, out);
  }

  #reasoning(text: string, out: SseMessage[]): void {
    if (text === "" || this.#display === "none") return;
    if (this.#display === "omitted") {
      this.#characters += text.length;
      this.#hiddenReasoning += text;
      return;
    }
    const last = this.#queue.at(-1);
    this.#extend(last?.kind === "thinking" && !last.isEnded ? last : this.#enqueueThinking(out), text, out);
  }

  #endReasoning(replay: Replay | undefined, out: SseMessage[]): void {
    if (this.#display === "none") return;
    const isHidden = this.#display === "omitted";
    const text = this.#hiddenReasoning;
    this.#hiddenReasoning = "";
    if (replay?.kind === "redacted") {
      this.#endLast("thinking", out);
      const opening = `{"type":"redacted_thinking","data":${JSON.stringify(replay.data)}}`;
      this.#enqueue("thinking", opening, out).isEnded = true;
    } else {
      const signature = encodeSignature(
        replay === undefined ? { type: "reasoning", text } : { type: "reasoning", text, replay },
        isHidden,
      );
      const last = this.#queue.at(-1);
      const isRunning = last?.kind === "thinking" && !last.isEnded;
      // Nothing to show and nothing to bring back: no block.
      if (!isRunning && signature === "") return;
      const segment = isRunning ? last : this.#enqueueThinking(out);
      segment.signature = signature;
      segment.isEnded = true;
    }
    this.#advance(out);
  }

  #enqueueThinking(out: SseMessage[]): Segment {
    return this.#enqueue("thinking", '{"type":"thinking","thinking":"","signature":""}', out);
  }

  /** Opens a segment behind the others; what stands before it ends, unless it is a call that is still being written. */
  #enqueue(kind: Segment["kind"], opening: string, out: SseMessage[]): Segment {
    const last = this.#queue.at(-1);
    if (last !== undefined && last.kind !== "tool") last.isEnded = true;
    const segment: Segment = { kind, opening, index: undefined, held: "", json: "", isEnded: false, signature: "" };
    this.#queue.push(segment);
    const first = this.#queue[0];
    if (first !== undefined && first !== segment && first.kind === "tool") this.#endIfComplete(first, out);
    this.#advance(out);
    return segment;
  }

  #endLast(kind: Segment["kind"], out: SseMessage[]): void {
    const last = this.#queue.at(-1);
    if (last?.kind !== kind) return;
    last.isEnded = true;
    this.#advance(out);
  }

  #endIfComplete(call: Segment, out: SseMessage[]): void {
    if (call.isEnded || !isWholeJson(call.json)) return;
    call.isEnded = true;
    this.#advance(out);
  }

  #extend(segment: Segment, text: string, out: SseMessage[]): void {
    this.#characters += text.length;
    segment.held += text;
    if (segment === this.#queue[0]) this.#writeHeld(segment, out);
  }

  /** Writes what may be written: the first segment as far as it goes, and the next ones once it has ended. */
  #advance(out: SseMessage[]): void {
    for (let segment = this.#queue[0]; segment !== undefined; segment = this.#queue[0]) {
      if (segment.index === undefined) {
        segment.index = this.#nextIndex++;
        out.push({
          event: "content_block_start",
          data: `{"type":"content_block_start","index":${segment.index},"content_block":${segment.opening}}`,
        });
      }
      this.#writeHeld(segment, out);
      if (!segment.isEnded) return;
      if (segment.signature !== "") {
        out.push(
          deltaMessage(segment.index, `{"type":"signature_delta","signature":${JSON.stringify(segment.signature)}}`),
        );
      }
      out.push({ event: "content_block_stop", data: `{"type":"content_block_stop","index":${segment.index}}` });
      this.#queue.shift();
    }
  }

  #writeHeld(segment: Segment, out: SseMessage[]): void {
    const { held, index } = segment;
    if (held === "" || index === undefined) return;
    // The start event's `input: {}` already says so; Anthropic sends no delta for it either.
    if (segment.kind === "tool" && segment.json === held && held.trim() === "{}") return;
    segment.held = "";
    out.push(deltaMessage(index, `${deltaOpenings[segment.kind]}${JSON.stringify(held)}}`));
  }

  #finish(reason: FinishReason, stopSequence: string | undefined, usage: Usage | undefined, out: SseMessage[]): void {
    for (const segment of this.#queue) segment.isEnded = true;
    this.#advance(out);
    this.#isDone = true;
    const delta = {
      stop_reason: encodeFinish(reason, this.#calls.size > 0, this.#hasRefusal),
      stop_sequence: stopSequence ?? null,
    };
    const whole = encodeUsage(usage ?? this.#usage ?? estimateUsage(this.#context, this.#characters));
    out.push(
      { event: "message_delta", data: JSON.stringify({ type: "message_delta", delta, usage: whole }) },
      { event: "message_stop", data: '{"type":"message_stop"}' },
    );
  }
}

const deltaOpenings = {
  text: '{"type":"text_delta","text":',
  thinking: '{"type":"thinking_delta","thinking":',
  tool: '{"type":"input_json_delta","partial_json":',
} as const satisfies Record<Segment["kind"], string>;

function deltaMessage(index: number, delta: string): SseMessage {
  return {
    event: "content_block_delta",
    data: `{"type":"content_block_delta","index":${index},"delta":${delta}}`,
  };
}

function isWholeJson(text: string): boolean {
  if (!text.trimEnd().endsWith("}")) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
