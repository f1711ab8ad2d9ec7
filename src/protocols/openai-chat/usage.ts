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
  const written = completion ?? 0;
  const told = readCount(outputDetails["reasoning_tokens"]);
  const apart = countApart(usage, prompt, written, cacheRead + cacheWrite, told);
  return {
    input: Math.max(0, (prompt ?? 0) - cacheRead - cacheWrite),
    cacheRead,
    cacheWrite,
    output: written + apart,
    reasoning: told ?? apart,
    costUsd: readBill(usage),
  };
}

/**
 * Reasoning that `completion_tokens` leaves out, although it is billed as output; only the total shows that. xAI names it
 * beside (32 + 9 + 94 = 135); Gemini does not name it at all (9 + 1 = 103: {@link https://discuss.ai.google.dev/t/127400}).
 * @param cached what a server could have left out of `prompt_tokens` in the same way
 */
function countApart(
  usage: JsonObject,
  prompt: number | undefined,
  written: number,
  cached: number,
  told: number | undefined,
): number {
  const total = readCount(usage["total_tokens"]);
  if (total === undefined || prompt === undefined) return 0;
  const rest = total - prompt - written;
  const isReasoning = told === undefined ? rest !== cached : rest === told;
  return rest > 0 && isReasoning ? rest : 0;
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
