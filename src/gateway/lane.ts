/**
 * The way of one upstream stream to the client: what the client is written, and what happened on the way. Bytes in,
 * events and bytes out; the reading, the timers and the sockets are the caller's.
 */

import type { ChatEvent, Json, Protocol } from "../protocols/chat.ts";
import type { Codec, GatewayError, SseMessage, StreamDecoder, StreamEncoder, StreamPlace } from "../protocols/codec.ts";
import { isObject } from "../protocols/json.ts";
import { renderSse, SseReader } from "../protocols/sse.ts";

export interface Lane {
  /** True when the upstream's own error has reached the client, so that none of ours may follow it. */
  readonly carriesErrors: boolean;
  /** True when the client has half an event, so that nothing of ours may be written yet. */
  readonly isMidEvent: boolean;
  /** Only bookkeeping of the upstream can follow: if it breaks off now, `end` still tells of a whole answer. */
  readonly isWhole: boolean;
  /** Takes a chunk and tells what it said; what it means for the client waits until `take`. */
  push(chunk: Uint8Array): ChatEvent[];
  /** The upstream has ended. */
  end(): ChatEvent[];
  /** The client's stream has been opened already: leave this upstream's own opening out. Only before the first `take`. */
  skipOpening(): void;
  /** What the client is to be written since the last call. */
  take(): Uint8Array | undefined;
  /** Ends the client's stream in its protocol's own error event. */
  fail(error: GatewayError): Uint8Array;
}

const utf8 = new TextEncoder();

export function renderAll(messages: readonly SseMessage[]): Uint8Array<ArrayBuffer> {
  return utf8.encode(messages.map(renderSse).join(""));
}

/** The events that open a stream. Chat has none of its own: a second role chunk changes nothing. */
const openingEvents = {
  messages: new Set(["message_start"]),
  chat: new Set<string>(),
  responses: new Set(["response.created", "response.in_progress"]),
} as const satisfies Record<Protocol, ReadonlySet<string>>;

/** How much of an error's data is looked for in its chunk: enough to be unmistakable (characters). */
const maxErrorTail = 200;

/** Both sides speak the same protocol: the bytes go on as they came, and the decoder only watches. */
export class PassLane implements Lane {
  carriesErrors = false;
  isMidEvent = false;
  readonly #codec: Codec;
  readonly #decoder: StreamDecoder;
  readonly #reader = new SseReader();
  /** Set once the opening must be left out: the client's bytes are then written anew, event by event. */
  #rewriter: SseReader | undefined;
  #output: Uint8Array[] = [];
  #lastData = "";
  /** The last three characters written: a blank line may come in a chunk of its own. */
  #tail = "\n\n";
  readonly #place: StreamPlace;
  readonly #clean: (text: string) => string;
  /** The response id under which we open streams ourselves. */
  readonly #ownId: string | undefined;

  /** @param clean takes out of an upstream's error what the client is not to see */
  constructor(
    codec: Codec,
    decoder: StreamDecoder,
    place: Omit<StreamPlace, "sequence">,
    clean: (text: string) => string = (text) => text,
  ) {
    this.#clean = clean;
    this.#codec = codec;
    this.#decoder = decoder;
    this.#place = { ...place, sequence: -1 };
    this.#ownId = place.responseId;
  }

  get isWhole(): boolean {
    return this.#decoder.isWhole === true;
  }

  push(chunk: Uint8Array): ChatEvent[] {
    const events = this.#watch(this.#reader.push(chunk));
    // What follows an error is not for the client: some upstreams go on to end as if nothing had happened.
    const kept = events.at(-1)?.type === "error" ? this.#cleaned(this.#cutBehindError(chunk)) : chunk;
    if (this.#rewriter === undefined) {
      this.#output.push(kept);
      this.#tail = (this.#tail + Buffer.from(kept.subarray(-3)).toString("latin1")).slice(-3);
      this.isMidEvent = !/(?:^|\n)\r?\n$|\r\r$/.test(this.#tail);
    } else this.#rewrite(this.#rewriter.push(kept));
    return events;
  }

  end(): ChatEvent[] {
    if (this.#rewriter !== undefined) this.#rewrite(this.#rewriter.end());
    const events = this.#watch(this.#reader.end());
    events.push(...this.#decoder.end());
    return events;
  }

  skipOpening(): void {
    this.#place.responseId = this.#ownId;
    const held = this.#output;
    this.#output = [];
    this.isMidEvent = false;
    this.#rewriter = new SseReader();
    for (const chunk of held) this.#rewrite(this.#rewriter.push(chunk));
  }

  take(): Uint8Array | undefined {
    const output = this.#output;
    if (output.length <= 1) {
      this.#output = [];
      return output[0];
    }
    this.#output = [];
    return Buffer.concat(output);
  }

  fail(error: GatewayError): Uint8Array {
    const sequence = Number(/"sequence_number":\s*(\d+)/.exec(this.#lastData)?.[1] ?? -1);
    const event = renderAll(this.#codec.encodeStreamError(error, { ...this.#place, sequence }));
    // A line cut in half would swallow our event: end it first, and the event it belonged to.
    return this.isMidEvent ? Buffer.concat([utf8.encode("\n\n"), event]) : event;
  }

  /** The chunk up to the end of the message that was read last, which is an error. */
  #cutBehindError(chunk: Uint8Array): Uint8Array {
    // Codex overlooks a bare `error` event; only `response.failed` ends a Responses stream for everyone.
    this.carriesErrors = this.#codec.protocol !== "responses" || typeOf(this.#lastData) === "response.failed";
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const ending = Buffer.from(this.#lastData.slice(-maxErrorTail));
    const at = bytes.indexOf(ending);
    // A message that is no JSON has no ending of its own to look for; its stream is over all the same.
    return at < 0 ? chunk : Buffer.concat([bytes.subarray(0, at + ending.length), utf8.encode("\n\n")]);
  }

  #cleaned(chunk: Uint8Array): Uint8Array {
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString("latin1");
    const clean = this.#clean(text);
    // Keys are ASCII, and so are the words in their place: whatever else is in the chunk stays as it is.
    return clean === text ? chunk : Buffer.from(clean, "latin1");
  }

  #rewrite(messages: readonly SseMessage[]): void {
    const openings: ReadonlySet<string> = openingEvents[this.#codec.protocol];
    const kept = messages.filter((message) => !openings.has(message.event ?? typeOf(message.data)));
    if (kept.length > 0) this.#output.push(renderAll(kept.map((message) => this.#renamed(message))));
  }

  /** OpenAI's SDK refuses a response that ends under another id than it was opened with. */
  #renamed(message: SseMessage): SseMessage {
    if (this.#codec.protocol !== "responses" || !message.data.includes('"response"')) return message;
    try {
      const event = JSON.parse(message.data) as Json;
      if (!isObject(event) || !isObject(event["response"])) return message;
      const response = { ...event["response"], id: this.#ownId };
      return { ...message, data: JSON.stringify({ ...event, response }) };
    } catch {
      return message;
    }
  }

  #watch(messages: readonly SseMessage[]): ChatEvent[] {
    const events: ChatEvent[] = [];
    for (const message of messages) {
      this.#lastData = message.data;
      for (const event of this.#decoder.push(message)) {
        if (event.type === "start" && event.id !== undefined && this.#rewriter === undefined)
          this.#place.responseId = event.id;
        events.push(event);
        if (event.type === "error") return events;
      }
    }
    return events;
  }
}

/** The sides speak different protocols. Events are encoded when they are taken, so a failed candidate leaves no trace. */
export class TranslateLane implements Lane {
  readonly carriesErrors = false;
  readonly isMidEvent = false;
  readonly #reader = new SseReader();
  readonly #decoder: StreamDecoder;
  readonly #encoder: StreamEncoder;
  #waiting: ChatEvent[] = [];

  constructor(decoder: StreamDecoder, encoder: StreamEncoder) {
    this.#decoder = decoder;
    this.#encoder = encoder;
  }

  get isWhole(): boolean {
    return this.#decoder.isWhole === true;
  }

  push(chunk: Uint8Array): ChatEvent[] {
    return this.pushEvents(this.#decode(this.#reader.push(chunk)));
  }

  end(): ChatEvent[] {
    return this.pushEvents([...this.#decode(this.#reader.end()), ...this.#decoder.end()]);
  }

  /** For an upstream that answered a streaming request with one JSON object. */
  pushEvents(events: ChatEvent[]): ChatEvent[] {
    for (const event of events) this.#waiting.push(event);
    return events;
  }

  skipOpening(): void {
    this.#encoder.open();
  }

  take(): Uint8Array | undefined {
    if (this.#waiting.length === 0) return undefined;
    let text = "";
    for (const event of this.#waiting) {
      if (event.type === "error") break;
      for (const message of this.#encoder.push(event)) text += renderSse(message);
      if (event.type === "finish") for (const message of this.#encoder.end()) text += renderSse(message);
    }
    this.#waiting = [];
    return text === "" ? undefined : utf8.encode(text);
  }

  fail(error: GatewayError): Uint8Array {
    return renderAll(this.#encoder.fail(error));
  }

  #decode(messages: readonly SseMessage[]): ChatEvent[] {
    const events: ChatEvent[] = [];
    for (const message of messages) for (const event of this.#decoder.push(message)) events.push(event);
    return events;
  }
}

/** Some servers leave the `event:` line out and say the type in the data alone. */
function typeOf(data: string): string {
  return /^\s*\{[^{}]*?"type"\s*:\s*"([^"]*)"/.exec(data)?.[1] ?? "";
}
