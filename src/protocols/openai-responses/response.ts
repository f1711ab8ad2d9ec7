/** Whole answers of the Responses protocol, and the parts of one that its stream repeats: items, usage, the object itself. */

import { readBill } from "../bill.ts";
import type {
  AssistantPart,
  ChatResponse,
  FinishReason,
  Json,
  JsonObject,
  Replay,
  ToolOrigin,
  Usage,
} from "../chat.ts";
import { type DecodeContext, MalformedAnswer, type ReplyContext } from "../codec.ts";
import { unwrapReplay, wrapReplay } from "../envelope.ts";
import { estimateUsage } from "../estimate.ts";
import { isObject, readCount } from "../json.ts";
import { readError } from "./error.ts";
import { buildCall, flattenName, readCall } from "./tools.ts";
import {
  type ContentPart,
  type ItemStatus,
  idPrefix,
  type MessageItem,
  type OutputItem,
  type ReasoningItem,
  readArray,
  readObject,
  readString,
  type WireUsage,
} from "./wire.ts";

/** @throws {MalformedAnswer} when the body is an error, a response that failed, or has no output */
export function decodeResponse(body: Json, context: DecodeContext): ChatResponse {
  if (!isObject(body)) throw new MalformedAnswer("the upstream's answer is not a JSON object");
  const output = checkedOutput(body);
  const parts: AssistantPart[] = [];
  let hasOpaque = false;
  let calls = 0;
  for (const item of output) {
    if (!isObject(item)) continue;
    if (item["type"] === "message") parts.push(...readMessage(item));
    else if (item["type"] === "reasoning") parts.push(...readReasoning(item));
    else {
      const call = readCall(item);
      if (call?.name === undefined) {
        hasOpaque ||= call === undefined;
        continue;
      }
      parts.push({
        type: "tool-call",
        id: call.callId ?? (readString(item["id"]) || `call_${calls}`),
        name: restoreName(call.name, call.namespace, context),
        arguments: call.arguments,
      });
      calls++;
    }
  }
  const id = readString(body["id"]);
  const model = readString(body["model"]);
  const usage = readUsage(body["usage"]);
  return {
    ...(id === undefined ? {} : { id }),
    ...(model === undefined ? {} : { model }),
    parts,
    finish: readFinish(body, calls > 0),
    ...(usage === undefined ? {} : { usage }),
    ...(hasOpaque ? { hasOpaque } : {}),
  };
}

function checkedOutput(body: JsonObject): readonly Json[] {
  const { error, output, status } = body;
  if (error !== undefined && error !== null) {
    const { message, code, status: httpStatus } = readError(body);
    throw new MalformedAnswer(message, {
      ...(code === undefined ? {} : { code }),
      ...(httpStatus === undefined ? {} : { status: httpStatus }),
    });
  }
  // Not every compatible server sends a status; any other than these two is no answer (failed, cancelled, queued).
  if (typeof status === "string" && status !== "completed" && status !== "incomplete") {
    throw new MalformedAnswer(`the upstream's response has status "${status}"`);
  }
  if (Array.isArray(output)) return output;
  const message = readString(body["message"]) ?? readString(body["detail"]);
  throw new MalformedAnswer(message ?? "the upstream's answer has no output");
}

/** The canonical name of a call in an upstream's answer. */
export function restoreName(name: string, namespace: string | undefined, context: DecodeContext): string {
  return context.toolNames.get(name) ?? flattenName(name, namespace);
}

function readMessage(item: JsonObject): AssistantPart[] {
  const parts: AssistantPart[] = [];
  for (const part of readArray(item["content"])) {
    if (!isObject(part)) continue;
    const text = readString(part["text"]);
    const refusal = readString(part["refusal"]);
    if (text !== undefined && text !== "") parts.push({ type: "text", text });
    else if (refusal !== undefined && refusal !== "") parts.push({ type: "refusal", text: refusal });
  }
  return parts;
}

function readReasoning(item: JsonObject): AssistantPart[] {
  const text = readReasoningText(item);
  const encrypted = readString(item["encrypted_content"]);
  if (text === "" && encrypted === undefined) return [];
  const replay = encrypted === undefined ? undefined : readEncrypted(encrypted);
  return [{ type: "reasoning", text, ...(replay === undefined ? {} : { replay }) }];
}

/** The parts of the summary, else of the raw reasoning, with a blank line between them. */
export function readReasoningText(item: JsonObject): string {
  const read = (parts: Json | undefined) =>
    readArray(parts)
      .map((part) => (isObject(part) ? (readString(part["text"]) ?? "") : ""))
      .filter((text) => text !== "")
      .join("\n\n");
  return read(item["summary"]) || read(item["content"]);
}

/** What `encrypted_content` carries: an envelope of ours is opened, anything else is OpenAI's own. */
export function readEncrypted(encrypted: string): Replay | undefined {
  if (encrypted === "") return undefined;
  return encrypted.startsWith("clutch1.") ? unwrapReplay(encrypted) : { kind: "openai", encrypted };
}

export function readFinish(response: JsonObject, hasCalls: boolean): FinishReason {
  if (response["status"] !== "incomplete") return hasCalls ? "tool-calls" : "stop";
  const reason = readString(readObject(response["incomplete_details"])?.["reason"]);
  return reason === "content_filter" ? "content-filter" : "length";
}

/** Responses counts cached input as part of the input. */
export function readUsage(value: Json | undefined): Usage | undefined {
  if (!isObject(value)) return undefined;
  const inputDetails = readObject(value["input_tokens_details"]);
  const cacheRead = readCount(inputDetails?.["cached_tokens"]) ?? 0;
  const cacheWrite = readCount(inputDetails?.["cache_write_tokens"]) ?? 0;
  const costUsd = readBill(value);
  return {
    input: Math.max(0, (readCount(value["input_tokens"]) ?? 0) - cacheRead - cacheWrite),
    cacheRead,
    cacheWrite,
    output: readCount(value["output_tokens"]) ?? 0,
    reasoning: readCount(readObject(value["output_tokens_details"])?.["reasoning_tokens"]) ?? 0,
    ...(costUsd !== undefined && { costUsd }),
  };
}

function writeUsage(usage: Usage): WireUsage {
  const input = usage.input + usage.cacheRead + usage.cacheWrite;
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: usage.cacheRead, cache_write_tokens: usage.cacheWrite },
    output_tokens: usage.output,
    output_tokens_details: { reasoning_tokens: usage.reasoning },
    total_tokens: input + usage.output,
  };
}

/** What the model itself wrote: texts, refusals, summaries and what it called tools with. */
function charactersOf(value: unknown): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + charactersOf(item), 0);
  if (value === null || typeof value !== "object") return 0;
  return Object.entries(value).reduce((sum, [name, inner]) => {
    return sum + (typeof inner === "string" ? (written.has(name) ? inner.length : 0) : charactersOf(inner));
  }, 0);
}

const written: ReadonlySet<string> = new Set(["text", "refusal", "arguments", "input"]);

export function encodeResponse(response: ChatResponse, context: ReplyContext): JsonObject {
  const origins = originsOf(context);
  const output: OutputItem[] = [];
  const lastStatus = itemStatus(response.finish);
  let content: ContentPart[] = [];
  const closeMessage = (status: ItemStatus) => {
    if (content.length > 0) output.push(buildMessage(itemId(context, output.length), content, status));
    content = [];
  };
  for (const part of response.parts) {
    switch (part.type) {
      case "text":
      case "refusal":
        if (part.text !== "") content.push(buildContentPart(part.type, part.text));
        break;
      case "reasoning":
        if (part.text === "" && part.replay === undefined) break;
        closeMessage("completed");
        output.push(buildReasoning(itemId(context, output.length), part.text, part.replay));
        break;
      case "tool-call": {
        closeMessage("completed");
        const identity = { callId: part.id, name: part.name, origin: origins.get(part.name) };
        output.push(buildCall({ ...identity, itemId: itemId(context, output.length) }, part.arguments));
        break;
      }
      default:
        part satisfies never;
    }
  }
  closeMessage(lastStatus);
  return buildFinished(output, response.finish, response.usage, context);
}

/** How the client declared each tool that is no plain function, by canonical name. */
export function originsOf(context: ReplyContext): ReadonlyMap<string, ToolOrigin> {
  const origins = new Map<string, ToolOrigin>();
  for (const { name, origin } of context.request.tools) if (origin !== undefined) origins.set(name, origin);
  return origins;
}

/** The part of an item's id that follows its prefix; unique within this answer and, through `context.id`, beyond it. */
export function itemId(context: ReplyContext, outputIndex: number): string {
  return `${context.id}_${outputIndex}`;
}

export function buildContentPart(type: "text" | "refusal", text: string): ContentPart {
  return type === "text" ? { type: "output_text", text, annotations: [] } : { type: "refusal", refusal: text };
}

export function buildMessage(id: string, content: ContentPart[], status: ItemStatus): MessageItem {
  return { id: `${idPrefix.message}_${id}`, type: "message", role: "assistant", status, content };
}

/** A replay value that OpenAI did not make goes in an envelope, since the client echoes this field alone. */
export function buildReasoning(id: string, text: string, replay: Replay | undefined): ReasoningItem {
  return {
    id: `${idPrefix.reasoning}_${id}`,
    type: "reasoning",
    summary: text === "" ? [] : [{ type: "summary_text", text }],
    ...(replay === undefined
      ? {}
      : { encrypted_content: replay.kind === "openai" ? replay.encrypted : wrapReplay(replay) }),
  };
}

/** Of the item that was being written when the answer ended. */
export function itemStatus(finish: FinishReason): ItemStatus {
  return incompleteReason(finish) === undefined ? "completed" : "incomplete";
}

function incompleteReason(finish: FinishReason): "max_output_tokens" | "content_filter" | undefined {
  switch (finish) {
    case "length":
    case "context-window":
      return "max_output_tokens";
    case "content-filter":
      return "content_filter";
    case "stop":
    case "stop-sequence":
    case "tool-calls":
    case "pause":
      return undefined;
    default:
      return finish satisfies never;
  }
}

/** The response object of an answer that ended in its protocol's own way. */
export function buildFinished(
  output: OutputItem[],
  finish: FinishReason,
  usage: Usage | undefined,
  context: ReplyContext,
): JsonObject {
  const reason = incompleteReason(finish);
  return buildResponse(identify(context), {
    status: reason === undefined ? "completed" : "incomplete",
    ...(reason === undefined ? { completed_at: context.createdAt } : { incomplete_details: { reason } }),
    output,
    usage: writeUsage(usage ?? estimateUsage(context, charactersOf(output))),
  });
}

/** What a response object says of itself from its first event to its last. */
export interface ResponseIdentity {
  id: string;
  model: string;
  /** Seconds since 1970. */
  createdAt: number;
  /** Parameters of the request that the object repeats. */
  echo: JsonObject;
}

export function identify(context: ReplyContext): ResponseIdentity {
  const { model, echo } = context.request;
  return { id: `resp_${context.id}`, model, createdAt: context.createdAt, echo };
}

/**
 * All fields that clients' types require. `tools` stays empty: Codex's are 40 KB, and no client reads back what it sent.
 * @param state the fields that change while the response is made
 */
export function buildResponse(identity: ResponseIdentity, state: JsonObject & { status: string }): JsonObject {
  return {
    id: identity.id,
    object: "response",
    created_at: identity.createdAt,
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: {},
    model: identity.model,
    output: [],
    parallel_tool_calls: true,
    temperature: null,
    tool_choice: "auto",
    tools: [],
    top_p: null,
    text: { format: { type: "text" } },
    reasoning: { effort: null, summary: null },
    store: false,
    truncation: "disabled",
    usage: null,
    ...identity.echo,
    ...state,
  };
}
