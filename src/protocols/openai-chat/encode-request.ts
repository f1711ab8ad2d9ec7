/** A Chat Completions request for an upstream. */

import {
  type ChatRequest,
  type Effort,
  efforts,
  type Json,
  type JsonObject,
  type OutputFormat,
  type ReasoningRequest,
} from "../chat.ts";
import type { EncodedRequest, EncodeTarget, Quirks } from "../codec.ts";
import { formatInstruction } from "../format-instruction.ts";
import { isObject } from "../json.ts";
import { fitToolNames } from "../tool-names.ts";
import { encodeTools } from "./tools.ts";
import { encodeMessages } from "./upstream-messages.ts";

/** OpenAI's limit. */
const maxStopSequences = 4;

/** @throws {ProtocolError} for a file id, and when the one tool that must be called runs on another vendor's side. */
export function encodeRequest(request: ChatRequest, target: EncodeTarget): EncodedRequest {
  const { quirks } = target;
  const asked = quirks.outputFormat ? request : askByWords(request);
  const names = fitToolNames(
    request.tools.map((tool) => tool.name),
    64,
  );
  const body: JsonObject = {
    model: target.model,
    messages: encodeMessages(asked, target, names),
    ...encodeTools(request, names),
    stream: request.stream,
    ...(request.stream && quirks.streamOptions ? { stream_options: { include_usage: true } } : {}),
    ...encodeReasoning(request.reasoning, quirks),
  };
  if (request.maxOutputTokens !== undefined) {
    body[quirks.maxTokensField] = Math.min(request.maxOutputTokens, target.maxOutputTokens ?? request.maxOutputTokens);
  }
  if (request.temperature !== undefined) body["temperature"] = request.temperature;
  if (request.topP !== undefined) body["top_p"] = request.topP;
  const stop = request.stop?.filter((sequence) => sequence !== "") ?? [];
  if (stop.length > 0) body["stop"] = stop.slice(0, maxStopSequences);
  if (asked.format !== undefined) body["response_format"] = encodeFormat(asked.format);
  if (quirks.verbosity && request.verbosity !== undefined) body["verbosity"] = request.verbosity;
  if (request.endUser !== undefined) body["user"] = request.endUser;
  if (quirks.promptCacheKey && request.cacheKey !== undefined) body["prompt_cache_key"] = request.cacheKey;
  if (request.serviceTier !== undefined) body["service_tier"] = request.serviceTier;
  return { body, toolNames: names.restore };
}

function askByWords({ format, ...request }: ChatRequest): ChatRequest {
  if (format === undefined) return request;
  return { ...request, system: [...request.system, { text: formatInstruction(format) }] };
}

function encodeReasoning(reasoning: ReasoningRequest | undefined, quirks: Quirks): JsonObject {
  if (reasoning === undefined) return {};
  const effort = wantedEffort(reasoning);
  const word = effort === undefined ? undefined : acceptedEffort(effort, reasoning, quirks.efforts);
  switch (quirks.reasoningParam) {
    case "reasoning_effort":
      return word === undefined ? {} : { reasoning_effort: word };
    case "reasoning":
      return word === undefined ? {} : { reasoning: { effort: word } };
    // Switches without degrees. Silence leaves the choice to the server, as adaptive thinking wants it.
    case "thinking":
      return effort === undefined ? {} : { thinking: { type: effort === "none" ? "disabled" : "enabled" } };
    case "enable_thinking":
      return effort === undefined ? {} : { enable_thinking: effort !== "none" };
    case "none":
      return {};
    default:
      return quirks.reasoningParam satisfies never;
  }
}

/** Switched off outranks a degree: Claude Code sends both, and DeepSeek answers 400 to the pair. */
function wantedEffort({ mode, effort, budgetTokens }: ReasoningRequest): Effort | undefined {
  if (mode === "disabled") return "none";
  if (effort !== undefined) return effort;
  if (mode !== "enabled") return undefined;
  if (budgetTokens === undefined) return "medium";
  if (budgetTokens < 4096) return "low";
  return budgetTokens < 16384 ? "medium" : "high";
}

/** The nearest lower word that the model takes, or its least. `none` is never replaced by a degree. */
function acceptedEffort(effort: Effort, { mode }: ReasoningRequest, accepted: readonly string[]): string | undefined {
  // Anthropic's "disabled" is every model's default there; as the word `none` many Chat servers refuse it.
  if (accepted.length === 0) return mode === "disabled" ? undefined : effort;
  for (let rank = efforts.indexOf(effort); rank >= 0; rank--) {
    const word = efforts[rank];
    if (word !== undefined && accepted.includes(word)) return word;
  }
  return effort === "none" ? undefined : accepted[0];
}

function encodeFormat(format: OutputFormat): JsonObject {
  if (format.type === "json-object") return { type: "json_object" };
  const { name, schema, strict = isStrictSchema(schema) } = format;
  return { type: "json_schema", json_schema: { name, schema, strict } };
}

/**
 * Whether OpenAI would take the schema with `strict: true`: every object closed and all its properties required.
 *
 * @see https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
 */
function isStrictSchema(schema: Json): boolean {
  if (Array.isArray(schema)) return schema.every(isStrictSchema);
  if (!isObject(schema)) return true;
  if (schema["type"] === "object" || isObject(schema["properties"])) {
    const properties = isObject(schema["properties"]) ? Object.keys(schema["properties"]) : [];
    const required = Array.isArray(schema["required"]) ? schema["required"] : [];
    if (schema["additionalProperties"] !== false || !properties.every((name) => required.includes(name))) return false;
  }
  return Object.values(schema).every((value) => value === undefined || isStrictSchema(value));
}
