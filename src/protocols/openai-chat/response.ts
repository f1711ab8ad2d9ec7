/** Whole answers: `chat.completion` objects. */

import { normalizeArguments } from "../arguments.ts";
import type { AssistantPart, ChatResponse, Json, JsonObject, ToolCall } from "../chat.ts";
import { type DecodeContext, MalformedAnswer, type ReplyContext } from "../codec.ts";
import { estimateUsage } from "../estimate.ts";
import { isObject } from "../json.ts";
import { argumentsText, holdsCustomCall } from "./call-assembly.ts";
import { brokenOff, readError } from "./error.ts";
import { decodeFinish, failureLabels, finishLabels } from "./finish.ts";
import { collectDetails, detailsText, encodeDetails, replayOf } from "./reasoning-details.ts";
import { ThinkTagSplitter } from "./think-tags.ts";
import { readSignature } from "./thought-signature.ts";
import { customToolNames, unwrapInput } from "./tools.ts";
import { joinTexts } from "./upstream-messages.ts";
import { decodeUsage, encodeUsage } from "./usage.ts";
import { contentText, filled, inventCallId, type WireAssistantMessage, type WireToolCall } from "./wire.ts";

/** @throws {MalformedAnswer} for an error in a 200, an answer that broke off, and for a body without a message. */
export function decodeResponse(body: Json, context: DecodeContext): ChatResponse {
  const error = readError(body);
  if (error !== undefined) throw new MalformedAnswer(error.message, error);
  const choices = isObject(body) ? body["choices"] : undefined;
  const choice = Array.isArray(choices)
    ? choices.find((entry) => isObject(entry) && (entry["index"] ?? 0) === 0)
    : null;
  if (!isObject(body) || !isObject(choice) || !isObject(choice["message"])) {
    // FastAPI servers answer {"detail": ...}, some gateways {"message": ...}.
    const said = isObject(body) ? (filled(body["message"]) ?? filled(body["detail"])) : undefined;
    throw new MalformedAnswer(said ?? "the upstream's answer holds no message");
  }
  const label = filled(choice["finish_reason"]);
  if (label !== undefined && failureLabels.has(label)) {
    const failure = brokenOff(choice, label);
    throw new MalformedAnswer(failure.message, failure);
  }
  const message = choice["message"];
  const calls = decodeCalls(message, context);
  return {
    id: filled(body["id"]),
    model: filled(body["model"]),
    parts: [...decodeReasoning(message), ...decodeText(message, context.quirks.thinkTags), ...calls],
    finish: decodeFinish(label, calls.length > 0),
    usage: decodeUsage(body["usage"]) ?? decodeUsage(choice["usage"]),
    hasOpaque:
      Array.isArray(message["images"]) || isObject(message["audio"]) || holdsCustomCall(message) ? true : undefined,
  };
}

function decodeReasoning(message: JsonObject): AssistantPart[] {
  const named = filled(message["reasoning_content"]);
  const readable = named ?? filled(message["reasoning"]);
  const details: JsonObject[] = [];
  if (Array.isArray(message["reasoning_details"])) collectDetails(details, message["reasoning_details"]);
  const field = named !== undefined ? "reasoning_content" : readable !== undefined ? "reasoning" : undefined;
  const replay = replayOf(details, field);
  return replay === undefined ? [] : [{ type: "reasoning", text: readable ?? detailsText(details), replay }];
}

function decodeText(message: JsonObject, hasThinkTags: boolean): AssistantPart[] {
  const parts: AssistantPart[] = [];
  const content = contentText(message["content"]);
  if (content !== "" && hasThinkTags) {
    const tags = new ThinkTagSplitter();
    for (const { isReasoning, text } of [...tags.push(content), ...tags.end()]) {
      parts.push({ type: isReasoning ? "reasoning" : "text", text });
    }
  } else if (content !== "") parts.push({ type: "text", text: content });
  const refusal = filled(message["refusal"]);
  if (refusal !== undefined) parts.push({ type: "refusal", text: refusal });
  return parts;
}

function decodeCalls(message: JsonObject, { toolNames, signatures }: DecodeContext): ToolCall[] {
  const calls: ToolCall[] = [];
  const ids = new Set<string>();
  const add = (id: string | undefined, detail: Json | undefined, signature?: string) => {
    const name = isObject(detail) ? filled(detail["name"]) : undefined;
    if (!isObject(detail) || name === undefined) return;
    // Each entry of a whole answer is a call of its own, so a repeated id is the server's mistake.
    const ownId = id === undefined || ids.has(id) ? inventCallId() : id;
    ids.add(ownId);
    const text = normalizeArguments(argumentsText(detail["arguments"]));
    if (signature !== undefined) signatures?.keep(ownId, signature);
    calls.push({ type: "tool-call", id: ownId, name: toolNames.get(name) ?? name, arguments: text });
  };
  if (Array.isArray(message["tool_calls"])) {
    for (const entry of message["tool_calls"]) {
      if (isObject(entry)) add(filled(entry["id"]), entry["function"], readSignature(entry));
    }
  }
  if (calls.length === 0) add(undefined, message["function_call"]);
  return calls;
}

function charactersOf(parts: readonly AssistantPart[]): number {
  return parts.reduce((sum, part) => sum + (part.type === "tool-call" ? part.arguments : part.text).length, 0);
}

export function encodeResponse(response: ChatResponse, context: ReplyContext): JsonObject {
  return {
    id: `chatcmpl-${context.id}`,
    object: "chat.completion",
    created: context.createdAt,
    model: context.request.model,
    choices: [
      {
        index: 0,
        message: encodeMessage(response.parts, context),
        logprobs: null,
        finish_reason: finishLabels[response.finish],
      },
    ],
    usage: encodeUsage(response.usage ?? estimateUsage(context, charactersOf(response.parts))),
  };
}

function encodeMessage(parts: readonly AssistantPart[], context: ReplyContext): JsonObject {
  const customTools = customToolNames(context.request);
  let refusal = "";
  let reasoning = "";
  const details: Json[] = [];
  const calls: WireToolCall[] = [];
  let blocks = 0;
  for (const part of parts) {
    switch (part.type) {
      case "text":
        break;
      case "refusal":
        refusal += part.text;
        break;
      case "reasoning": {
        reasoning += part.text;
        const shown = part.replay === undefined ? [] : encodeDetails(part.text, part.replay, blocks);
        if (shown.length > 0) blocks++;
        details.push(...shown);
        break;
      }
      case "tool-call":
        calls.push(
          customTools.has(part.name)
            ? { id: part.id, type: "custom", custom: { name: part.name, input: unwrapInput(part.arguments) } }
            : { id: part.id, type: "function", function: { name: part.name, arguments: part.arguments } },
        );
        break;
      default:
        part satisfies never;
    }
  }
  const text = joinTexts(parts);
  const message: WireAssistantMessage = {
    role: "assistant",
    content: text === "" && (calls.length > 0 || refusal !== "") ? null : text,
    refusal: refusal === "" ? null : refusal,
  };
  if (reasoning !== "") message.reasoning_content = reasoning;
  if (details.length > 0) message.reasoning_details = details;
  if (calls.length > 0) message.tool_calls = calls;
  return message;
}
