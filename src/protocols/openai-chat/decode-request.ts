/** A client's Chat Completions request. */

import {
  type ChatRequest,
  efforts,
  type Json,
  type JsonObject,
  type OutputFormat,
  type ReasoningRequest,
} from "../chat.ts";
import { ProtocolError } from "../codec.ts";
import { isObject } from "../json.ts";
import { decodeMessages } from "./client-messages.ts";
import { decodeToolChoice, decodeTools } from "./tools.ts";
import { filled } from "./wire.ts";

/** The fields whose meaning crosses to other protocols; all others that a client sets are listed as dropped. */
const readFields: ReadonlySet<string> = new Set([
  "model",
  "messages",
  "stream",
  "stream_options",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "max_tokens",
  "max_completion_tokens",
  "temperature",
  "top_p",
  "stop",
  "reasoning_effort",
  "reasoning",
  "response_format",
  "verbosity",
  "user",
  "safety_identifier",
  "prompt_cache_key",
  "service_tier",
]);

/** OpenAI's limit. */
const maxCacheKeyCharacters = 64;

/** @throws {ProtocolError} where OpenAI's API answers 400, and for `n` above 1 and audio answers, which no other has. */
export function decodeRequest(body: Json): ChatRequest {
  if (!isObject(body)) throw new ProtocolError("The request body must be a JSON object.");
  const model = filled(body["model"]);
  if (model === undefined) throw new ProtocolError("model is required and must be a string.", { param: "model" });
  const { system, turns } = decodeMessages(body["messages"]);
  if ((readNumber(body, "n", 1) ?? 1) > 1)
    throw new ProtocolError("Only one choice can be given (n=1).", { param: "n" });
  if (Array.isArray(body["modalities"]) && body["modalities"].includes("audio")) {
    throw new ProtocolError("modalities may only be text: audio answers are not supported.", { param: "modalities" });
  }
  const streamOptions = body["stream_options"];
  const dropped = droppedFields(body);
  return {
    model,
    stream: readBoolean(body, "stream") ?? false,
    system,
    turns,
    tools: decodeTools(body["tools"], dropped),
    toolChoice: decodeToolChoice(body["tool_choice"]),
    parallelToolCalls: readBoolean(body, "parallel_tool_calls") === false ? false : undefined,
    maxOutputTokens: readTokens(body, "max_completion_tokens") ?? readTokens(body, "max_tokens"),
    temperature: readNumber(body, "temperature", 0, 2),
    topP: readNumber(body, "top_p", 0, 1),
    stop: decodeStop(body["stop"]),
    reasoning: decodeReasoning(body),
    format: decodeFormat(body["response_format"]),
    verbosity: filled(body["verbosity"]),
    endUser: filled(body["user"]) ?? filled(body["safety_identifier"]),
    cacheKey: filled(body["prompt_cache_key"])?.slice(0, maxCacheKeyCharacters),
    serviceTier: serviceTiers.find((tier) => tier === body["service_tier"]),
    includeUsage: isObject(streamOptions) && streamOptions["include_usage"] === true,
    reasoningDisplay: "full",
    echo: {},
    dropped,
  };
}

function readTokens(body: JsonObject, name: string): number | undefined {
  const tokens = readNumber(body, name, 1);
  if (tokens === undefined || Number.isInteger(tokens)) return tokens;
  throw new ProtocolError(`${name} is ${tokens}; it must be an integer.`, { param: name });
}

/** Tiers that other protocols know as well. */
const serviceTiers = ["auto", "default"] as const;

function droppedFields(body: JsonObject): string[] {
  const dropped = Object.keys(body).filter((name) => !readFields.has(name) && body[name] !== null);
  const tier = filled(body["service_tier"]);
  if (tier !== undefined && !serviceTiers.some((known) => known === tier)) dropped.push("service_tier");
  return dropped;
}

function decodeStop(value: Json | undefined): string[] | undefined {
  if (value === undefined || value === null) return undefined;
  const stop = typeof value === "string" ? [value] : value;
  if (!Array.isArray(stop) || !stop.every((sequence) => typeof sequence === "string")) {
    throw new ProtocolError("stop must be a string or an array of strings.", { param: "stop" });
  }
  const filledStop = stop.filter((sequence) => sequence !== "");
  return filledStop.length === 0 ? undefined : filledStop;
}

/** OpenAI's `reasoning_effort`, or OpenRouter's `reasoning` with an effort or a budget. Unknown words ask for nothing. */
function decodeReasoning(body: JsonObject): ReasoningRequest | undefined {
  const nested = isObject(body["reasoning"]) ? body["reasoning"] : {};
  const word = body["reasoning_effort"] ?? nested["effort"];
  const effort = efforts.find((known) => known === word);
  if (effort !== undefined) return { effort };
  const budgetTokens = nested["max_tokens"];
  return typeof budgetTokens === "number" ? { mode: "enabled", budgetTokens } : undefined;
}

function decodeFormat(value: Json | undefined): OutputFormat | undefined {
  if (value === undefined || value === null) return undefined;
  const type = isObject(value) ? value["type"] : undefined;
  if (type === "text") return undefined;
  if (type === "json_object") return { type: "json-object" };
  const format = isObject(value) && type === "json_schema" ? value["json_schema"] : undefined;
  if (!isObject(format)) {
    throw new ProtocolError(
      'response_format.type must be "text", "json_object" or "json_schema" with its json_schema.',
      {
        param: "response_format",
      },
    );
  }
  return {
    type: "json-schema",
    name: filled(format["name"]) ?? "output",
    schema: isObject(format["schema"]) ? format["schema"] : {},
    strict: typeof format["strict"] === "boolean" ? format["strict"] : undefined,
  };
}

function readBoolean(body: JsonObject, name: string): boolean | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "boolean") throw new ProtocolError(`${name} must be true or false.`, { param: name });
  return value;
}

function readNumber(body: JsonObject, name: string, min: number, max = Number.MAX_SAFE_INTEGER): number | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number") throw new ProtocolError(`${name} must be a number.`, { param: name });
  if (value < min || value > max) {
    const limits = max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `between ${min} and ${max}`;
    throw new ProtocolError(`${name} is ${value}; it must be ${limits}.`, { param: name });
  }
  return value;
}
