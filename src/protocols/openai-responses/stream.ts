/**
 * Streams of the Responses protocol, read and written.
 * @see https://platform.openai.com/docs/api-reference/responses-streaming
 */

import type { ChatEvent, FinishReason, Json, JsonObject, Replay, ToolOrigin, Usage } from "../chat.ts";
import type {
  DecodeContext,
  GatewayError,
  ReplyContext,
  SseMessage,
  StreamDecoder,
  StreamEncoder,
  StreamPlace,
} from "../codec.ts";
import { cutOff } from "../cut-off.ts";
import { isObject } from "../json.ts";
import { failedResponseError, readError } from "./error.ts";
import {
  buildContentPart,
  buildFinished,
  buildMessage,
  buildReasoning,
  buildResponse,
  identify,
  itemId,
  itemStatus,
  originsOf,
  type ResponseIdentity,
  readEncrypted,
  readFinish,
  readReasoningText,
  readUsage,
  restoreName,
} from "./response.ts";
import {
  buildCall,
  buildCustomCall,
  buildFunctionCall,
  type CallIdentity,
  RawInputReader,
  readCall,
  streamedAs,
} from "./tools.ts";
import {
  type ContentPart,
  type ItemStatus,
  idPrefix,
  type OutputItem,
  readArray,
  readNumber,
  readObject,
  readString,
} from "./wire.ts";

/** An output item of the upstream, as far as it has been seen. */
type ReadItem = MessageInput | ReasoningInput | CallInput | { kind: "opaque"; isDone: boolean };

interface MessageInput {
  kind: "message";
  isDone: boolean;
  /** Content indices whose text came as deltas; the `done` value of any other is its only text. */
  streamed: Set<number>;
}

interface ReasoningInput {
  kind: "reasoning";
  isDone: boolean;
  /** Some servers send the same text as summary and as raw reasoning; the first that comes is used. */
  source?: "summary" | "content";
  /** The part that the last text belonged to. */
  part?: number;
  streamed: Set<number>;
}

interface CallInput {
  kind: "call";
  isDone: boolean;
  /** A custom tool's input is raw text and becomes the `input` of canonical arguments. */
  isCustom: boolean;
  id?: string;
  name?: string;
  namespace?: string;
  /** Set once `tool-start` is out. */
  number?: number;
  /** Whether `tool-end` is out. */
  isEnded: boolean;
  hasDeltas: boolean;
  /** Deltas that came before the name. */
  held: string;
}

class ResponsesStreamDecoder implements StreamDecoder {
  readonly #context: DecodeContext;
  /** By `output_index`, and by item id for servers that leave the index out; Copilot's item ids change with each event. */
  readonly #items = new Map<number | string, ReadItem>();
  /** All calls, those too whose place another item has taken. */
  readonly #readCalls: CallInput[] = [];
  #events: ChatEvent[] = [];
  #hasStarted = false;
  #hasEnded = false;
  /** An event that is not JSON: half of one when nothing follows it, else a server that does not speak the protocol. */
  #unreadable: string | undefined;
  #hasOpenText = false;
  #openReasoning: ReasoningInput | undefined;
  #calls = 0;

  constructor(context: DecodeContext) {
    this.#context = context;
  }

  push(message: SseMessage): ChatEvent[] {
    if (this.#hasEnded) return [];
    const { data } = message;
    // Some proxies close every kind of stream in the manner of Chat.
    if (data.trim() === "" || data === "[DONE]") return [];
    if (this.#unreadable !== undefined) return this.#failUnreadable(this.#unreadable);
    let event: Json;
    try {
      event = JSON.parse(data);
    } catch {
      this.#unreadable = data;
      return [];
    }
    if (isObject(event)) this.#read(readString(event["type"]) ?? message.event ?? "", event);
    return this.#flush();
  }

  end(): ChatEvent[] {
    if (this.#hasEnded) return [];
    this.#hasEnded = true;
    return [{ type: "error", error: cutOff }];
  }

  #failUnreadable(data: string): ChatEvent[] {
    this.#hasEnded = true;
    const message = `the upstream sent an event that is not JSON: ${data.slice(0, 200)}`;
    return [{ type: "error", error: { kind: "malformed", message } }];
  }

  #emit(event: ChatEvent): void {
    // An opening behind content opens nothing any more.
    this.#hasStarted = true;
    this.#events.push(event);
  }

  #flush(): ChatEvent[] {
    const events = this.#events;
    if (events.length > 0) this.#events = [];
    return events;
  }

  #read(type: string, event: JsonObject): void {
    if (type === "error" || (event["error"] !== undefined && event["error"] !== null)) {
      this.#fail(event);
      return;
    }
    switch (type) {
      case "response.output_text.delta":
        this.#text(event, readString(event["delta"]), true);
        return;
      case "response.function_call_arguments.delta":
      case "response.custom_tool_call_input.delta":
        this.#callDelta(this.#call(event, type), readString(event["delta"]) ?? "");
        return;
      case "response.reasoning_summary_text.delta":
        this.#reasoning(event, "summary", readString(event["delta"]), true);
        return;
      case "response.reasoning_text.delta":
        this.#reasoning(event, "content", readString(event["delta"]), true);
        return;
      case "response.refusal.delta":
        this.#refusal(event, readString(event["delta"]), true);
        return;
      case "response.output_text.done":
        this.#text(event, readString(event["text"]), false);
        this.#closeText();
        return;
      case "response.refusal.done":
        this.#refusal(event, readString(event["refusal"]), false);
        return;
      case "response.reasoning_summary_text.done":
        this.#reasoning(event, "summary", readString(event["text"]), false);
        return;
      case "response.reasoning_text.done":
        this.#reasoning(event, "content", readString(event["text"]), false);
        return;
      case "response.function_call_arguments.done":
      case "response.custom_tool_call_input.done":
        this.#callDone(event, type);
        return;
      case "response.output_item.added":
        this.#added(event);
        return;
      case "response.output_item.done":
        this.#itemDone(event);
        return;
      case "response.created":
      case "response.in_progress":
        this.#start(readObject(event["response"]));
        return;
      case "response.completed":
      case "response.incomplete":
        this.#finish(event);
        return;
      case "response.failed":
        this.#fail(event);
        return;
    }
  }

  #start(response: JsonObject | undefined): void {
    if (this.#hasStarted) return;
    const id = readString(response?.["id"]);
    const model = readString(response?.["model"]);
    this.#emit({ type: "start", ...(id === undefined ? {} : { id }), ...(model === undefined ? {} : { model }) });
  }

  #fail(event: JsonObject): void {
    const usage = readUsage(readObject(event["response"])?.["usage"]);
    if (usage !== undefined) this.#emit({ type: "usage", usage });
    this.#emit({ type: "error", error: readError(event) });
    this.#hasEnded = true;
  }

  #finish(event: JsonObject): void {
    const response = readObject(event["response"]) ?? {};
    const error = response["error"];
    const hasFailed = response["status"] === "failed" || response["status"] === "cancelled";
    if (hasFailed || (error !== undefined && error !== null)) {
      this.#fail(event);
      return;
    }
    this.#settle(readArray(response["output"]));
    this.#closeReasoning();
    this.#closeText();
    for (const call of this.#readCalls) this.#endCall(call);
    const usage = readUsage(response["usage"]);
    // Not every server repeats the status inside the object; the event's name says it too.
    const status = event["type"] === "response.incomplete" ? "incomplete" : (response["status"] ?? "completed");
    const reason = readFinish({ ...response, status }, this.#calls > 0);
    this.#emit({ type: "finish", reason, ...(usage === undefined ? {} : { usage }) });
    this.#hasEnded = true;
  }

  /**
   * Takes what only the terminal event tells of its items: often nothing, sometimes all. Ids and places of some servers
   * change up to the end, so an item that matches none counts as one of those streamed as long as such are left: what
   * was streamed must not be said twice, nor a call be lost.
   */
  #settle(output: readonly Json[]): void {
    const streamed = new Set(this.#items.values());
    const unmatched: JsonObject[] = [];
    for (const [index, item] of output.entries()) {
      if (!isObject(item)) continue;
      const known: ReadItem | undefined = this.#find({ output_index: index, item_id: item["id"] }, kindOf(item));
      if (known === undefined || !streamed.delete(known)) unmatched.push(item);
      else this.#complete(known, item);
    }
    const left = [...streamed];
    for (const item of unmatched) {
      const kind = kindOf(item);
      const at = left.findIndex((candidate) => candidate.kind === kind);
      if (at >= 0) left.splice(at, 1);
      else this.#complete(this.#register(newItem(item), undefined, undefined), item);
    }
  }

  #register<Item extends ReadItem>(item: Item, index: number | undefined, id: string | undefined): Item {
    if (index !== undefined) this.#items.set(index, item);
    if (id !== undefined) this.#items.set(id, item);
    if (item.kind === "opaque") {
      this.#closeReasoning();
      this.#emit({ type: "opaque" });
    }
    if (item.kind === "call") this.#readCalls.push(item);
    return item;
  }

  /** The item of this kind that an event belongs to. */
  #find<Kind extends ReadItem["kind"]>(event: JsonObject, kind: Kind): Extract<ReadItem, { kind: Kind }> | undefined {
    const index = event["output_index"];
    const byIndex = typeof index === "number" ? this.#items.get(index) : undefined;
    if (byIndex?.kind === kind) return byIndex as Extract<ReadItem, { kind: Kind }>;
    const id = event["item_id"];
    const byId = typeof id === "string" ? this.#items.get(id) : undefined;
    return byId?.kind === kind ? (byId as Extract<ReadItem, { kind: Kind }>) : undefined;
  }

  #added(event: JsonObject): void {
    const item = readObject(event["item"]);
    if (item === undefined) return;
    const index = readNumber(event["output_index"]);
    const id = readString(item["id"]);
    // A place that is announced twice is still one item.
    const known: ReadItem | undefined = this.#find({ output_index: index, item_id: id }, kindOf(item));
    const added = known ?? this.#register(newItem(item), index, id);
    if (added.kind === "call") this.#nameCall(added, item);
  }

  #itemDone(event: JsonObject): void {
    const item = readObject(event["item"]);
    if (item === undefined) return;
    const index = readNumber(event["output_index"]);
    const id = readString(item["id"]);
    const known: ReadItem | undefined = this.#find({ output_index: index, item_id: id }, kindOf(item));
    this.#complete(known ?? this.#register(newItem(item), index, id), item);
  }

  /** What an item says when it is whole; only what no earlier event said is new. */
  #complete(known: ReadItem, item: JsonObject): void {
    if (known.isDone) return;
    known.isDone = true;
    switch (known.kind) {
      case "message":
        for (const [index, part] of readArray(item["content"]).entries()) {
          if (!isObject(part) || known.streamed.has(index)) continue;
          this.#say("text-delta", readString(part["text"]));
          this.#say("refusal-delta", readString(part["refusal"]));
        }
        this.#closeText();
        return;
      case "reasoning": {
        if (known.source === undefined) this.#think(known, 0, readReasoningText(item));
        const encrypted = readString(item["encrypted_content"]);
        this.#closeReasoningOf(known, encrypted === undefined ? undefined : readEncrypted(encrypted));
        return;
      }
      case "call": {
        this.#nameCall(known, item);
        if (!known.hasDeltas) this.#wholeCall(known, item);
        this.#endCall(known);
        return;
      }
      case "opaque":
        return;
      default:
        known satisfies never;
    }
  }

  #message(event: JsonObject): MessageInput {
    const found = this.#find(event, "message");
    if (found !== undefined) return found;
    const item: MessageInput = { kind: "message", isDone: false, streamed: new Set() };
    return this.#register(item, readNumber(event["output_index"]), readString(event["item_id"]));
  }

  #text(event: JsonObject, text: string | undefined, isDelta: boolean): void {
    if (this.#isNews(this.#message(event), event["content_index"], text, isDelta)) this.#say("text-delta", text);
  }

  #refusal(event: JsonObject, text: string | undefined, isDelta: boolean): void {
    if (this.#isNews(this.#message(event), event["content_index"], text, isDelta)) this.#say("refusal-delta", text);
  }

  /** A `done` value only counts for a part that had no delta; afterwards the part has been said. */
  #isNews(
    item: MessageInput | ReasoningInput,
    part: Json | undefined,
    text: string | undefined,
    isDelta: boolean,
  ): text is string {
    if (text === undefined || text === "") return false;
    const index = readNumber(part) ?? 0;
    const isStreamed = item.streamed.has(index);
    if (!isStreamed) item.streamed.add(index);
    return isDelta || !isStreamed;
  }

  #say(type: "text-delta" | "refusal-delta", text: string | undefined): void {
    if (text === undefined || text === "") return;
    this.#closeReasoning();
    if (type === "text-delta") this.#hasOpenText = true;
    this.#emit({ type, text });
  }

  #closeText(): void {
    if (this.#hasOpenText) this.#emit({ type: "text-end" });
    this.#hasOpenText = false;
  }

  #reasoning(event: JsonObject, source: "summary" | "content", text: string | undefined, isDelta: boolean): void {
    const item = this.#reasoningItem(event);
    if (item.source !== undefined && item.source !== source) return;
    const part = source === "summary" ? event["summary_index"] : event["content_index"];
    if (!this.#isNews(item, part, text, isDelta)) return;
    item.source = source;
    this.#think(item, readNumber(part) ?? 0, text);
  }

  #reasoningItem(event: JsonObject): ReasoningInput {
    const found = this.#find(event, "reasoning");
    if (found !== undefined) return found;
    const item: ReasoningInput = { kind: "reasoning", isDone: false, streamed: new Set() };
    return this.#register(item, readNumber(event["output_index"]), readString(event["item_id"]));
  }

  #think(item: ReasoningInput, part: number, text: string): void {
    if (text === "") return;
    if (this.#openReasoning !== item) {
      this.#closeReasoning();
      this.#closeText();
      this.#openReasoning = item;
    } else if (item.part !== part) this.#emit({ type: "reasoning-delta", text: "\n\n" });
    item.part = part;
    this.#emit({ type: "reasoning-delta", text });
  }

  /** Something else began while the item was open: its replay value, if it has one, follows in a block of its own. */
  #closeReasoning(): void {
    if (this.#openReasoning !== undefined) this.#closeReasoningOf(this.#openReasoning, undefined);
  }

  #closeReasoningOf(item: ReasoningInput, replay: Replay | undefined): void {
    if (this.#openReasoning !== item && replay === undefined) return;
    if (this.#openReasoning !== item) {
      this.#closeReasoning();
      this.#closeText();
    }
    this.#openReasoning = undefined;
    this.#emit({ type: "reasoning-end", ...(replay === undefined ? {} : { replay }) });
  }

  #call(event: JsonObject, type: string): CallInput {
    const found = this.#find(event, "call");
    if (found !== undefined) return found;
    const item = newCall(type.startsWith("response.custom_tool_call"));
    return this.#register(item, readNumber(event["output_index"]), readString(event["item_id"]));
  }

  #nameCall(call: CallInput, item: JsonObject): void {
    const read = readCall(item);
    call.id ??= read?.callId;
    call.name ??= read?.name;
    call.namespace ??= read?.namespace;
    // Calls that are only ever written whole start when their arguments are there.
    if (item["type"] === "function_call" || item["type"] === "custom_tool_call") this.#startCall(call);
  }

  #startCall(call: CallInput): void {
    if (call.number !== undefined || call.name === undefined) return;
    this.#closeReasoning();
    this.#closeText();
    const number = this.#calls++;
    call.number = number;
    const name = restoreName(call.name, call.namespace, this.#context);
    this.#emit({ type: "tool-start", call: number, id: call.id ?? `call_${number}`, name });
    if (call.isCustom) this.#emit({ type: "tool-delta", call: number, json: '{"input":"' });
    if (call.held !== "") this.#emitJson(number, call, call.held);
    call.held = "";
  }

  #callDelta(call: CallInput, delta: string): void {
    // A blank before the arguments is no part of them; a call of nothing else gets `{}` at its end.
    if (call.isEnded) return;
    if (delta === "" || (!call.hasDeltas && !call.isCustom && delta.trim() === "")) return;
    call.hasDeltas = true;
    if (call.number === undefined) call.held += delta;
    else this.#emitJson(call.number, call, delta);
  }

  #emitJson(number: number, call: CallInput, delta: string): void {
    this.#closeReasoning();
    // The inside of a JSON string may be cut anywhere, so each delta is escaped on its own.
    const json = call.isCustom ? JSON.stringify(delta).slice(1, -1) : delta;
    this.#emit({ type: "tool-delta", call: number, json });
  }

  #callDone(event: JsonObject, type: string): void {
    const call = this.#call(event, type);
    call.name ??= readString(event["name"]) || undefined;
    this.#startCall(call);
    if (!call.hasDeltas) this.#callDelta(call, readString(event[call.isCustom ? "input" : "arguments"]) ?? "");
  }

  #wholeCall(call: CallInput, item: JsonObject): void {
    this.#startCall(call);
    if (call.isCustom) this.#callDelta(call, readString(item["input"]) ?? "");
    else this.#callDelta(call, readCall(item)?.arguments ?? "");
  }

  #endCall(call: CallInput): void {
    call.isDone = true;
    const { number } = call;
    // A call that nobody named cannot be answered.
    if (number === undefined || call.isEnded) return;
    call.isEnded = true;
    this.#closeReasoning();
    if (call.isCustom) this.#emit({ type: "tool-delta", call: number, json: '"}' });
    else if (!call.hasDeltas) this.#emit({ type: "tool-delta", call: number, json: "{}" });
    this.#emit({ type: "tool-end", call: number });
  }
}

function kindOf(item: JsonObject): ReadItem["kind"] {
  if (item["type"] === "message" || item["type"] === "reasoning") return item["type"];
  return readCall(item) === undefined ? "opaque" : "call";
}

function newItem(item: JsonObject): ReadItem {
  const kind = kindOf(item);
  switch (kind) {
    case "message":
    case "reasoning":
      return { kind, isDone: false, streamed: new Set() };
    case "call":
      return newCall(item["type"] === "custom_tool_call");
    case "opaque":
      return { kind, isDone: false };
    default:
      return kind satisfies never;
  }
}

function newCall(isCustom: boolean): CallInput {
  return { kind: "call", isDone: false, isEnded: false, isCustom, hasDeltas: false, held: "" };
}

export function streamDecoder(context: DecodeContext): StreamDecoder {
  return new ResponsesStreamDecoder(context);
}

/** The message being written. Consecutive texts are content parts of one message, as in a whole answer. */
interface OpenMessage {
  index: number;
  content: ContentPart[];
  open?: { type: "text" | "refusal"; contentIndex: number; text: string; deltaHead: string };
}

interface OpenReasoning {
  index: number;
  text: string;
  /** Absent as long as no text came: an empty summary has no part. */
  deltaHead?: string;
}

interface OpenCall {
  identity: Omit<CallIdentity, "itemId">;
  form: "function" | "custom" | "whole";
  /** The place in the output; a call that is written whole gets its place at its end. */
  index?: number;
  itemId: string;
  /** As the client gets it: JSON, or the raw text of a custom tool. */
  text: string;
  deltaHead: string;
  raw?: RawInputReader;
}

/** Ends every delta of text: clients' types require the field. */
const textDeltaTail = ',"logprobs":[]}';

class ResponsesStreamEncoder implements StreamEncoder {
  readonly #context: ReplyContext;
  readonly #origins: ReadonlyMap<string, ToolOrigin>;
  readonly #calls = new Map<number, OpenCall>();
  /** By output index; a hole is an item that is still open. */
  readonly #output: (OutputItem | undefined)[] = [];
  #messages: SseMessage[] = [];
  #sequence = 0;
  #isOpen = false;
  #hasEnded = false;
  #message: OpenMessage | undefined;
  #reasoning: OpenReasoning | undefined;
  #usage: Usage | undefined;

  constructor(context: ReplyContext) {
    this.#context = context;
    this.#origins = originsOf(context);
  }

  open(): SseMessage[] {
    this.#open();
    return this.#flush();
  }

  push(event: ChatEvent): SseMessage[] {
    if (this.#hasEnded) return [];
    if (!this.#isOpen) this.#open();
    switch (event.type) {
      case "start":
        if (event.usage !== undefined) this.#usage = event.usage;
        break;
      case "text-delta":
        this.#text("text", event.text);
        break;
      case "text-end":
        this.#closePart();
        break;
      case "refusal-delta":
        this.#text("refusal", event.text);
        break;
      case "reasoning-delta":
        this.#reason(event.text);
        break;
      case "reasoning-end":
        this.#closeReasoning(event.replay);
        break;
      case "tool-start":
        this.#startCall(event.call, event.id, event.name);
        break;
      case "tool-delta":
        this.#callDelta(event.call, event.json);
        break;
      case "tool-end":
        this.#endCall(event.call);
        break;
      case "opaque":
        break;
      case "usage":
        this.#usage = event.usage;
        break;
      case "finish":
        this.#finish(event.reason, event.usage ?? this.#usage);
        break;
      case "error":
        // The gateway turns it into a `GatewayError` and calls `fail`.
        break;
      default:
        event satisfies never;
    }
    return this.#flush();
  }

  /** An answer that nobody finished must not look whole. */
  end(): SseMessage[] {
    return this.fail({ kind: "upstream", message: "connection lost before the response was complete (server error)" });
  }

  fail(error: GatewayError): SseMessage[] {
    if (this.#hasEnded) return [];
    if (!this.#isOpen) this.#open();
    this.#hasEnded = true;
    // Codex passes over a bare `error` event and reports "stream closed before response.completed".
    this.#write("response.failed", {
      response: buildResponse(identify(this.#context), {
        status: "failed",
        error: failedResponseError(error),
        output: this.#doneItems(),
      }),
    });
    return this.#flush();
  }

  #flush(): SseMessage[] {
    const messages = this.#messages;
    if (messages.length > 0) this.#messages = [];
    return messages;
  }

  #open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    const response = buildResponse(identify(this.#context), { status: "in_progress" });
    this.#write("response.created", { response });
    this.#write("response.in_progress", { response });
  }

  #write(type: string, fields: JsonObject): void {
    const data = JSON.stringify({ type, sequence_number: this.#sequence++, ...fields });
    this.#messages.push({ event: type, data });
  }

  /** @param head the event's fields from `item_id` to `"delta":`, which are the same for all deltas of a part */
  #writeDelta(type: string, head: string, delta: string, tail: string): void {
    const data = `{"type":"${type}","sequence_number":${this.#sequence++},${head}${JSON.stringify(delta)}${tail}`;
    this.#messages.push({ event: type, data });
  }

  #doneItems(): OutputItem[] {
    return this.#output.filter((item) => item !== undefined);
  }

  /** The next free place in the output. */
  #reserve(): number {
    return this.#output.push(undefined) - 1;
  }

  #addItem(index: number, item: OutputItem): void {
    this.#write("response.output_item.added", { output_index: index, item });
  }

  #finishItem(index: number, item: OutputItem): void {
    this.#output[index] = item;
    this.#write("response.output_item.done", { output_index: index, item });
  }

  #text(type: "text" | "refusal", delta: string): void {
    if (delta === "") return;
    const message = this.#openMessage();
    if (message.open !== undefined && message.open.type !== type) this.#closePart();
    message.open ??= this.#openPart(message, type);
    message.open.text += delta;
    if (type === "text") {
      this.#writeDelta("response.output_text.delta", message.open.deltaHead, delta, textDeltaTail);
    } else this.#writeDelta("response.refusal.delta", message.open.deltaHead, delta, "}");
  }

  #openMessage(): OpenMessage {
    if (this.#message !== undefined) return this.#message;
    const index = this.#reserve();
    this.#message = { index, content: [] };
    this.#addItem(index, buildMessage(itemId(this.#context, index), [], "in_progress"));
    return this.#message;
  }

  #openPart(message: OpenMessage, type: "text" | "refusal"): NonNullable<OpenMessage["open"]> {
    const contentIndex = message.content.length;
    const place = this.#placeOfPart(message, contentIndex);
    this.#write("response.content_part.added", { ...place, part: buildContentPart(type, "") });
    return { type, contentIndex, text: "", deltaHead: deltaHead(place) };
  }

  #placeOfPart(message: OpenMessage, contentIndex: number) {
    const id = `${idPrefix.message}_${itemId(this.#context, message.index)}`;
    return { item_id: id, output_index: message.index, content_index: contentIndex };
  }

  #closePart(): void {
    const message = this.#message;
    if (message?.open === undefined) return;
    const { type, contentIndex, text } = message.open;
    const place = this.#placeOfPart(message, contentIndex);
    if (type === "text") this.#write("response.output_text.done", { ...place, text, logprobs: [] });
    else this.#write("response.refusal.done", { ...place, refusal: text });
    const part = buildContentPart(type, text);
    message.content.push(part);
    delete message.open;
    this.#write("response.content_part.done", { ...place, part });
  }

  #closeMessage(status: ItemStatus): void {
    const message = this.#message;
    if (message === undefined) return;
    this.#closePart();
    this.#message = undefined;
    this.#finishItem(message.index, buildMessage(itemId(this.#context, message.index), message.content, status));
  }

  #reason(delta: string): void {
    if (delta === "") return;
    const reasoning = this.#openReasoning();
    if (reasoning.deltaHead === undefined) {
      const place = this.#placeOfSummary(reasoning);
      const part = { type: "summary_text", text: "" };
      this.#write("response.reasoning_summary_part.added", { ...place, part });
      reasoning.deltaHead = deltaHead(place);
    }
    reasoning.text += delta;
    this.#writeDelta("response.reasoning_summary_text.delta", reasoning.deltaHead, delta, "}");
  }

  #openReasoning(): OpenReasoning {
    if (this.#reasoning !== undefined) return this.#reasoning;
    this.#closeMessage("completed");
    const index = this.#reserve();
    this.#reasoning = { index, text: "" };
    this.#addItem(index, buildReasoning(itemId(this.#context, index), "", undefined));
    return this.#reasoning;
  }

  #placeOfSummary(reasoning: OpenReasoning) {
    const id = `${idPrefix.reasoning}_${itemId(this.#context, reasoning.index)}`;
    return { item_id: id, output_index: reasoning.index, summary_index: 0 };
  }

  #closeReasoning(replay: Replay | undefined): void {
    if (this.#reasoning === undefined && replay === undefined) return;
    const reasoning = this.#openReasoning();
    const { index, text } = reasoning;
    this.#reasoning = undefined;
    if (reasoning.deltaHead !== undefined) {
      const place = this.#placeOfSummary(reasoning);
      this.#write("response.reasoning_summary_text.done", { ...place, text });
      this.#write("response.reasoning_summary_part.done", { ...place, part: { type: "summary_text", text } });
    }
    this.#finishItem(index, buildReasoning(itemId(this.#context, index), text, replay));
  }

  #startCall(number: number, callId: string, name: string): void {
    this.#closeMessage("completed");
    const origin = this.#origins.get(name);
    const identity = { callId, name, origin };
    const form = streamedAs(origin);
    const call: OpenCall = { identity, form, itemId: "", text: "", deltaHead: "" };
    this.#calls.set(number, call);
    if (form === "whole") return;
    const index = this.#reserve();
    call.index = index;
    call.itemId = itemId(this.#context, index);
    const item =
      form === "custom"
        ? buildCustomCall({ ...identity, itemId: call.itemId }, "", "in_progress")
        : buildFunctionCall({ ...identity, itemId: call.itemId }, "", "in_progress");
    if (form === "custom") call.raw = new RawInputReader();
    call.deltaHead = deltaHead({ item_id: item.id, output_index: index });
    this.#addItem(index, item);
  }

  #callDelta(number: number, json: string): void {
    const call = this.#calls.get(number);
    if (call === undefined) return;
    if (call.form === "whole") call.text += json;
    else if (call.raw !== undefined) this.#writeCallDelta(call, call.raw.push(json));
    // Codex fails on arguments that are blank; `#endCall` gives such a call `{}`.
    else if (call.text !== "" || json.trim() !== "") this.#writeCallDelta(call, json);
  }

  #writeCallDelta(call: OpenCall, delta: string): void {
    if (delta === "") return;
    call.text += delta;
    const type =
      call.form === "custom" ? "response.custom_tool_call_input.delta" : "response.function_call_arguments.delta";
    this.#writeDelta(type, call.deltaHead, delta, "}");
  }

  #endCall(number: number): void {
    const call = this.#calls.get(number);
    if (call === undefined) return;
    this.#calls.delete(number);
    if (call.index === undefined) {
      const index = this.#reserve();
      const item = buildCall({ ...call.identity, itemId: itemId(this.#context, index) }, call.text);
      this.#addItem(index, { ...item, status: "in_progress" });
      this.#finishItem(index, item);
      return;
    }
    const identity = { ...call.identity, itemId: call.itemId };
    if (call.raw !== undefined) {
      this.#writeCallDelta(call, call.raw.end());
      const item = buildCustomCall(identity, call.text, "completed");
      this.#write("response.custom_tool_call_input.done", {
        item_id: item.id,
        output_index: call.index,
        input: call.text,
      });
      this.#finishItem(call.index, item);
      return;
    }
    if (call.text === "") this.#writeCallDelta(call, "{}");
    const item = buildFunctionCall(identity, call.text, "completed");
    this.#write("response.function_call_arguments.done", {
      item_id: item.id,
      output_index: call.index,
      name: item.name,
      arguments: call.text,
    });
    this.#finishItem(call.index, item);
  }

  #finish(reason: FinishReason, usage: Usage | undefined): void {
    this.#hasEnded = true;
    this.#closeReasoning(undefined);
    for (const number of [...this.#calls.keys()]) this.#endCall(number);
    this.#closeMessage(itemStatus(reason));
    const response = buildFinished(this.#doneItems(), reason, usage, this.#context);
    this.#write(response["status"] === "incomplete" ? "response.incomplete" : "response.completed", { response });
  }
}

function deltaHead(place: JsonObject): string {
  return `${JSON.stringify(place).slice(1, -1)},"delta":`;
}

export function streamEncoder(context: ReplyContext): StreamEncoder {
  return new ResponsesStreamEncoder(context);
}

/** A stream that its own upstream began goes on under the id and the numbers that the client has seen. */
export function encodeStreamError(error: GatewayError, place: StreamPlace): SseMessage[] {
  const identity: ResponseIdentity = {
    id: place.responseId ?? `resp_${place.createdAt.toString(36)}`,
    model: place.model,
    createdAt: place.createdAt,
    echo: {},
  };
  const response = buildResponse(identity, { status: "failed", error: failedResponseError(error) });
  const type = "response.failed";
  return [{ event: type, data: JSON.stringify({ type, sequence_number: place.sequence + 1, response }) }];
}
