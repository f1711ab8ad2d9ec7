/** Whole answers in Anthropic's shape, both directions, and what streams share with them: usage and stop reasons. */

import { normalizeArguments, parseArguments } from "../arguments.ts";
import { readBill } from "../bill.ts";
import type {
  AssistantPart,
  ChatRequest,
  ChatResponse,
  FinishReason,
  Json,
  JsonObject,
  ReasoningPart,
  Usage,
} from "../chat.ts";
import { type DecodeContext, MalformedAnswer, type ReplyContext } from "../codec.ts";
import { wrapReplay } from "../envelope.ts";
import { estimateUsage } from "../estimate.ts";
import { isObject, readCount } from "../json.ts";
import { readError } from "./error.ts";
import {
  type Block,
  type StopReason,
  stopReasons,
  type TextBlock,
  type ThinkingBlock,
  type ToolUseBlock,
  type UsageObject,
} from "./wire.ts";

/** @throws {MalformedAnswer} for an error inside a 200, and for a body without a content list */
export function decodeResponse(body: Json, context: DecodeContext): ChatResponse {
  if (!isObject(body)) throw new MalformedAnswer("the upstream's answer is not a JSON object");
  if (body.type === "error" || (body.error !== undefined && body.error !== null)) {
    const { message, ...details } = readError(body);
    throw new MalformedAnswer(message, details);
  }
  if (!Array.isArray(body.content)) throw new MalformedAnswer("the upstream's answer has no content");

  const parts: AssistantPart[] = [];
  let hasOpaque = false;
  for (const block of body.content) {
    const part = isObject(block) ? decodeBlock(block, context, parts.length) : undefined;
    if (part === undefined) hasOpaque = true;
    else parts.push(part);
  }
  const hasCalls = parts.some((part) => part.type === "tool-call");
  const response: ChatResponse = { parts, finish: decodeFinish(body.stop_reason, hasCalls) };
  if (typeof body.id === "string") response.id = body.id;
  if (typeof body.model === "string") response.model = body.model;
  if (typeof body.stop_sequence === "string") response.stopSequence = body.stop_sequence;
  const usage = decodeUsage(body.usage);
  if (usage !== undefined) response.usage = usage;
  if (hasOpaque) response.hasOpaque = true;
  return response;
}

function decodeBlock(block: JsonObject, context: DecodeContext, position: number): AssistantPart | undefined {
  switch (block.type) {
    case "text":
      return { type: "text", text: stringOr(block.text, "") };
    case "thinking": {
      const part: ReasoningPart = { type: "reasoning", text: stringOr(block.thinking, "") };
      const signature = stringOr(block.signature, "");
      if (signature !== "") part.replay = { kind: "anthropic", signature };
      return part;
    }
    case "redacted_thinking":
      // Without its data there is nothing in it that anybody could read or return.
      return stringOr(block.data, "") === ""
        ? undefined
        : { type: "reasoning", text: "", replay: { kind: "redacted", data: stringOr(block.data, "") } };
    case "tool_use": {
      const name = stringOr(block.name, "");
      // A call of nothing can be neither answered nor shown.
      if (name === "") return undefined;
      return {
        type: "tool-call",
        id: stringOr(block.id, "") || missingCallId(position),
        name: context.toolNames.get(name) ?? name,
        arguments: renderInput(block.input),
      };
    }
    default:
      return undefined;
  }
}

/** No Anthropic server leaves the id out; a compatible one might, and a call without an id cannot be answered. */
export function missingCallId(position: number): string {
  return `toolu_unnamed_${position}`;
}

/** A tool_use `input` as argument text: an object as it is; some compatible servers send the JSON text itself. */
export function renderInput(input: Json | undefined): string {
  if (typeof input === "string") return normalizeArguments(input);
  if (input === undefined || input === null) return "{}";
  return isObject(input) ? JSON.stringify(input) : normalizeArguments(JSON.stringify(input));
}

export function encodeResponse(response: ChatResponse, context: ReplyContext): JsonObject {
  const content: Block[] = [];
  let hasCalls = false;
  let hasRefusal = false;
  let characters = 0;
  for (const part of response.parts) {
    switch (part.type) {
      case "text":
      case "refusal":
        if (part.type === "refusal") hasRefusal = true;
        characters += part.text.length;
        if (part.text !== "") content.push({ type: "text", text: part.text } satisfies TextBlock);
        break;
      case "reasoning": {
        characters += part.text.length;
        const block = encodeReasoning(part, context.request.reasoningDisplay);
        if (block !== undefined) content.push(block);
        break;
      }
      case "tool-call": {
        hasCalls = true;
        characters += part.arguments.length;
        const input = parseArguments(part.arguments);
        content.push({ type: "tool_use", id: part.id, name: part.name, input } satisfies ToolUseBlock);
        break;
      }
      default:
        part satisfies never;
    }
  }
  return {
    id: `msg_${context.id}`,
    type: "message",
    role: "assistant",
    model: context.request.model,
    content,
    stop_reason: encodeFinish(response.finish, hasCalls, hasRefusal),
    stop_sequence: response.stopSequence ?? null,
    usage: encodeUsage(response.usage ?? estimateUsage(context, characters)),
  };
}

/** Undefined when the client gets nothing of it: it wants none, or the block would hold neither text nor signature. */
function encodeReasoning(part: ReasoningPart, display: ChatRequest["reasoningDisplay"]): ThinkingBlock | undefined {
  if (display === "none") return undefined;
  if (part.replay?.kind === "redacted") return { type: "redacted_thinking", data: part.replay.data };
  const isHidden = display === "omitted";
  const signature = encodeSignature(part, isHidden);
  const thinking = isHidden ? "" : part.text;
  return thinking === "" && signature === "" ? undefined : { type: "thinking", thinking, signature };
}

/** @param isHidden the client gets no text, so a replay that needs the text must carry it */
export function encodeSignature(part: ReasoningPart, isHidden: boolean): string {
  if (part.replay === undefined) return "";
  if (part.replay.kind === "anthropic") return part.replay.signature;
  return wrapReplay(part.replay, isHidden ? part.text : "");
}

const finishReasons = new Map<Json | undefined, FinishReason>();
for (const [finish, stop] of Object.entries(stopReasons)) finishReasons.set(stop, finish as FinishReason);

/** An unknown or missing label is an ordinary end; what was emitted overrules the label. */
export function decodeFinish(label: Json | undefined, hasCalls: boolean): FinishReason {
  return agreeWithContent(finishReasons.get(label) ?? "stop", hasCalls);
}

export function encodeFinish(finish: FinishReason, hasCalls: boolean, hasRefusal: boolean): StopReason {
  const agreed = agreeWithContent(finish, hasCalls);
  return stopReasons[agreed === "stop" && hasRefusal ? "content-filter" : agreed];
}

/** Servers label answers with calls as ordinary ends and the reverse; an agent that believes them stops or hangs. */
function agreeWithContent(finish: FinishReason, hasCalls: boolean): FinishReason {
  if (hasCalls && (finish === "stop" || finish === "stop-sequence" || finish === "pause")) return "tool-calls";
  if (!hasCalls && finish === "tool-calls") return "stop";
  return finish;
}

/**
 * @param earlier what message_start said: a number here replaces it, null or absence does not
 * @returns `earlier` when there is no number at all
 */
export function decodeUsage(value: Json | undefined, earlier?: Usage): Usage | undefined {
  if (!isObject(value)) return earlier;
  const input = readCount(value.input_tokens);
  const cacheRead = readCount(value.cache_read_input_tokens);
  const cacheWrite = readCount(value.cache_creation_input_tokens);
  const output = readCount(value.output_tokens);
  if (input === undefined && output === undefined && cacheRead === undefined && cacheWrite === undefined) {
    return earlier;
  }
  const details = value.output_tokens_details;
  const reasoning = isObject(details) ? readCount(details.thinking_tokens) : undefined;
  const costUsd = readBill(value) ?? earlier?.costUsd;
  return {
    input: input ?? earlier?.input ?? 0,
    cacheRead: cacheRead ?? earlier?.cacheRead ?? 0,
    cacheWrite: cacheWrite ?? earlier?.cacheWrite ?? 0,
    output: output ?? earlier?.output ?? 0,
    reasoning: reasoning ?? earlier?.reasoning ?? 0,
    ...(costUsd !== undefined && { costUsd }),
  };
}

export function encodeUsage(usage: Usage): UsageObject {
  return {
    input_tokens: usage.input,
    cache_creation_input_tokens: usage.cacheWrite,
    cache_read_input_tokens: usage.cacheRead,
    output_tokens: usage.output,
    output_tokens_details: { thinking_tokens: usage.reasoning },
  };
}

function stringOr(value: Json | undefined, fallback: string): string {
  return typeof value === "string" ? value : fallback;
}
