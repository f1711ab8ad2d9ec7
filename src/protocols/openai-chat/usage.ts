/** Token counts: Chat counts cached input inside `prompt_tokens`, Clutch keeps the kinds apart. */

import { readBill } from "../bill.ts";
import type { Json, JsonObject, Usage } from "../chat.ts";
import { isObject, readCount } from "../json.ts";

/** Undefined when the upstream counted nothing: `null`, no object, or none of the two totals. */
export function decodeUsage(usage: Json | undefined): Usage | undefined {
  if (!isObject(usage)) return undefined;
  const prompt = readCount(usage["prompt_tokens"]);
  const completion = readCount(usage["completion_tokens"]);
  if (prompt === undefined && completion === undefined) return undefined;
  const inputDetails = isObject(usage["prompt_tokens_details"]) ? usage["prompt_tokens_details"] : {};
  const outputDetails = isObject(usage["completion_tokens_details"]) ? usage["completion_tokens_details"] : {};
  // DeepSeek reports prompt_cache_hit_tokens, Moonshot cached_tokens beside the totals.
  const cacheRead =
    readCount(inputDetails["cached_tokens"]) ??
    readCount(usage["prompt_cache_hit_tokens"]) ??
    readCount(usage["cached_tokens"]) ??
    0;
  const cacheWrite = readCount(inputDetails["cache_write_tokens"]) ?? 0;
  const reasoning = readCount(outputDetails["reasoning_tokens"]) ?? 0;
  const written = completion ?? 0;
  // xAI leaves reasoning out of completion_tokens; only its total shows that (32 + 9 + 94 = 135).
  const isReasoningApart = reasoning > 0 && usage["total_tokens"] === (prompt ?? 0) + written + reasoning;
  return {
    input: Math.max(0, (prompt ?? 0) - cacheRead - cacheWrite),
    cacheRead,
    cacheWrite,
    output: isReasoningApart ? written + reasoning : written,
    reasoning,
    costUsd: readBill(usage),
  };
}

export function encodeUsage(usage: Usage): JsonObject {
  const prompt = usage.input + usage.cacheRead + usage.cacheWrite;
  return {
    prompt_tokens: prompt,
    completion_tokens: usage.output,
    total_tokens: prompt + usage.output,
    prompt_tokens_details: { cached_tokens: usage.cacheRead, cache_write_tokens: usage.cacheWrite },
    completion_tokens_details: { reasoning_tokens: usage.reasoning },
  };
}
