/**
 * How much a tier's models think and how long they answer (`model_tiers.BIG.reasoning`, `.verbosity`), put into a request in its
 * target's own words. What the agent asks for gives way, but one that switches thinking off is left alone: it knows that
 * the call is not worth it. Pure.
 */

import type { TierStyle } from "../model-tiers.ts";
import { type ChatRequest, type Effort, efforts, type JsonObject, type Protocol } from "../protocols/chat.ts";
import type { Quirks } from "../protocols/codec.ts";
import { lowerToKnown } from "../protocols/efforts.ts";
import { isObject } from "../protocols/json.ts";

/** A request that is going to be encoded for a target of another protocol. */
export function styleRequest(request: ChatRequest, { reasoning, verbosity }: TierStyle): ChatRequest {
  const asked = request.reasoning;
  const isOff = asked?.mode === "disabled" || asked?.effort === "none";
  const word = wordFor(reasoning);
  const styled = verbosity === undefined ? request : { ...request, verbosity };
  if (isOff || word === undefined) return styled;
  const budget = reasoning?.max_tokens;
  return { ...styled, reasoning: { effort: word, ...(budget !== undefined && { budgetTokens: budget }) } };
}

/** For people: what the config asks of the tier's models. */
export function describeStyle({ reasoning, verbosity }: TierStyle): string {
  const { effort, max_tokens: tokens, exclude } = reasoning ?? {};
  const asked = [
    ...(effort === undefined ? [] : [`effort ${effort}`]),
    ...(tokens === undefined ? [] : [`${tokens} tokens to think with`]),
    ...(exclude === true ? ["thoughts left out"] : []),
    ...(verbosity === undefined ? [] : [`verbosity ${verbosity}`]),
  ];
  return `asked for ${asked.length === 0 ? "nothing more" : asked.join(", ")}: its tier says so`;
}

/** What its encoder has no word for. */
export function styleEncoded(body: JsonObject, protocol: Protocol, quirks: Quirks, style: TierStyle): JsonObject {
  const isThinking = { chat: body["reasoning"], messages: body["thinking"], responses: body["reasoning"] }[protocol];
  return isObject(isThinking) ? addDetails(body, protocol, quirks, style) : body;
}

/** A body that is passed on to a target of the client's own protocol. */
export function styleBody(body: JsonObject, protocol: Protocol, quirks: Quirks, style: TierStyle): JsonObject {
  const word = wordFor(style.reasoning);
  const isLeft = word === undefined || isSwitchedOff(body, protocol);
  const known = quirks.efforts;
  const effort = isLeft ? undefined : word === "none" ? "none" : lowerToKnown(word, known);
  const thinking =
    effort === undefined
      ? body
      : { chat: thinkInChat, messages: thinkInMessages, responses: thinkInResponses }[protocol](
          body,
          effort,
          quirks,
          style,
        );
  const detailed =
    isLeft && style.reasoning?.exclude !== true ? thinking : addDetails(thinking, protocol, quirks, style);
  return withVerbosity(detailed, protocol, quirks, style);
}

/** Tokens to think with, for words, as the Messages encoder has them. */
const budgets = {
  none: 0,
  minimal: 4096,
  low: 4096,
  medium: 10_240,
  high: 24_576,
  xhigh: 32_768,
  max: 32_768,
} as const satisfies Record<Effort, number>;
/** Less is refused. */
const minBudget = 1024;

function wordFor(reasoning: TierStyle["reasoning"]): Effort | undefined {
  const { effort, max_tokens: tokens } = reasoning ?? {};
  if (effort !== undefined) return efforts.find((word) => word === effort);
  if (tokens === undefined) return undefined;
  return tokens < 4096 ? "low" : tokens < 16_384 ? "medium" : "high";
}

function isSwitchedOff(body: JsonObject, protocol: Protocol): boolean {
  const { thinking, reasoning } = body;
  const isDisabled = isObject(thinking) && thinking["type"] === "disabled";
  if (protocol === "messages") return isDisabled;
  const isNone = isObject(reasoning) && (reasoning["effort"] === "none" || reasoning["enabled"] === false);
  return isDisabled || isNone || body["reasoning_effort"] === "none" || body["enable_thinking"] === false;
}

function thinkInChat(body: JsonObject, effort: string, { reasoningParam }: Quirks): JsonObject {
  const { reasoning_effort, reasoning, thinking, enable_thinking, ...rest } = body;
  switch (reasoningParam) {
    case "reasoning_effort":
      return { ...rest, reasoning_effort: effort };
    case "reasoning": {
      // Of the client's own fields only those that say neither how much.
      const { effort: _word, max_tokens: _tokens, enabled: _switch, ...kept } = isObject(reasoning) ? reasoning : {};
      return { ...rest, reasoning: { ...kept, effort } };
    }
    case "thinking":
      return { ...rest, thinking: { type: effort === "none" ? "disabled" : "enabled" } };
    case "enable_thinking":
      return { ...rest, enable_thinking: effort !== "none" };
    case "none":
      return body;
    default:
      return reasoningParam satisfies never;
  }
}

/**
 * Effort stands by itself; thinking is not switched on where the client has not, for then it would not send back the blocks
 * that the next turn has to begin with.
 */
function thinkInMessages(
  body: JsonObject,
  effort: string,
  { thinkingMode }: Quirks,
  { reasoning }: TierStyle,
): JsonObject {
  const { thinking, output_config, max_tokens } = body;
  if (thinkingMode === "none") return body;
  if (effort === "none") return thinking === undefined ? body : { ...body, thinking: { type: "disabled" } };
  if (thinkingMode === "adaptive") {
    const word = effort === "minimal" ? "low" : effort;
    return { ...body, output_config: { ...(isObject(output_config) ? output_config : {}), effort: word } };
  }
  if (!isObject(thinking)) return body;
  const wanted = Math.max(minBudget, reasoning?.max_tokens ?? budgets[effort as Effort]);
  const budget = Math.min(wanted, typeof max_tokens === "number" ? max_tokens - 1 : wanted);
  return budget < minBudget ? body : { ...body, thinking: { type: "enabled", budget_tokens: budget } };
}

function thinkInResponses(body: JsonObject, effort: string): JsonObject {
  return { ...body, reasoning: { ...(isObject(body["reasoning"]) ? body["reasoning"] : {}), effort } };
}

/** The budget, where there is a field for it, and leaving the thoughts out. */
function addDetails(
  body: JsonObject,
  protocol: Protocol,
  { reasoningParam }: Quirks,
  { reasoning }: TierStyle,
): JsonObject {
  const isExcluded = reasoning?.exclude === true;
  const thinking = body["thinking"];
  switch (protocol) {
    case "chat": {
      if (reasoningParam !== "reasoning") return body;
      const { effort, ...others } = isObject(body["reasoning"]) ? body["reasoning"] : {};
      // "One of the following (not both)": https://openrouter.ai/docs/use-cases/reasoning-tokens
      const hasBudget = reasoning?.max_tokens !== undefined && effort !== undefined && effort !== "none";
      const amount = hasBudget ? { max_tokens: reasoning.max_tokens } : effort === undefined ? {} : { effort };
      return { ...body, reasoning: { ...others, ...amount, ...(isExcluded && { exclude: true }) } };
    }
    case "messages": {
      const isOn = isObject(thinking) && thinking["type"] !== "disabled";
      return isExcluded && isOn ? { ...body, thinking: { ...thinking, display: "omitted" } } : body;
    }
    case "responses": {
      if (!isExcluded || !isObject(body["reasoning"])) return body;
      const { summary, ...kept } = body["reasoning"];
      return { ...body, reasoning: kept };
    }
    default:
      return protocol satisfies never;
  }
}

function withVerbosity(body: JsonObject, protocol: Protocol, quirks: Quirks, { verbosity }: TierStyle): JsonObject {
  if (verbosity === undefined || !quirks.verbosity) return body;
  if (protocol === "chat") return { ...body, verbosity };
  if (protocol === "responses")
    return { ...body, text: { ...(isObject(body["text"]) ? body["text"] : {}), verbosity } };
  return body;
}
