/** A prompt that does not fit: how servers say so, and which figures they tell. Pure. */

import type { Json } from "../src/protocols/chat.ts";
import type { GatewayError } from "../src/protocols/codec.ts";
import { isObject } from "../src/protocols/json.ts";

/**
 * Words of real servers: OpenAI and vLLM, Anthropic and Ollama, OpenRouter, llama.cpp, Gemini, Moonshot, DashScope, xAI,
 * Groq, LM Studio, Z.ai, GitHub Models, Together. The tests have a message of each.
 */
export const overflowWords =
  /maximum context length|context window|context length exceeded|exceed context limit|prompt (?:is )?too long|prompt exceeds max length|too many tokens|exceeds? the (?:available )?(?:limit of \d|context size)|input token count .*exceeds|exceeded model token limit|range of input length should be|maximum prompt length is|reduce the length of the messages|greater than the context length|request body too large for .*max size: \d+ tokens|longer than the model's context length/i;

export const overflowCodes =
  /^(?:context_length_exceeded|model_max_prompt_tokens_exceeded|exceed_context_size_error|tokens_limit_reached|1261)$/;

/**
 * How real servers tell the figures: "prompt is too long: 210000 tokens > 200000 maximum"; "input length and `max_tokens`
 * exceed context limit: 188240 + 21333 > 200000"; "The input token count (1196265) exceeds the maximum number of tokens
 * allowed (1048575)"; "maximum context length is 8192 tokens. However, you requested 9000 tokens"; llama.cpp's "request
 * (12001 tokens) exceeds the available context size (8192 tokens)" and its fields n_prompt_tokens and n_ctx; LM Studio's
 * "n_keep: 13055>= n_ctx: 4096"; Groq's "Limit 6000, Requested 12328".
 */
export function readTokenCounts(text: string, body?: Json): NonNullable<GatewayError["tokens"]> {
  const error = isObject(body) && isObject(body["error"]) ? body["error"] : {};
  const { n_prompt_tokens: prompt, n_ctx: context } = error;
  if (typeof prompt === "number" && typeof context === "number") return { input: prompt, limit: context };
  const message = text.replace(/(\d),(?=\d{3}\b)/g, "$1");
  const sum = /(\d{3,}) \+ (\d+) > (\d{3,})/.exec(message);
  if (sum) return { input: Number(sum[1]), maxOutput: Number(sum[2]), limit: Number(sum[3]) };
  const both = /(\d{3,}) tokens > (\d{3,})|n_keep: (\d+) ?>= ?n_ctx: (\d+)/.exec(message);
  if (both) return { input: Number(both[1] ?? both[3]), limit: Number(both[2] ?? both[4]) };
  const limit = firstNumber(limitWords.exec(message));
  const maxOutput = firstNumber(outputWords.exec(message));
  const total = firstNumber(totalWords.exec(message));
  const input = firstNumber(inputWords.exec(message)) ?? (total === undefined ? undefined : total - (maxOutput ?? 0));
  return {
    ...(input === undefined ? {} : { input }),
    ...(maxOutput === undefined ? {} : { maxOutput }),
    ...(limit === undefined ? {} : { limit }),
  };
}

const limitWords =
  /(?:maximum context length is|maximum prompt length is|context window of|limit of|available context size \(|number of tokens allowed \(|model token limit:|max size:|\bLimit)\s*(\d{3,})|(\d{3,}) maximum context length|input length should be \[\d+, ?(\d{3,})\]/i;
const outputWords = /(\d+) in the (?:completion|output)|requested (\d+) output tokens|too large: (\d+)/i;
const totalWords = /requested:? (?:about )?(\d{3,})(?! output)/i;
const inputWords =
  /(\d+) (?:in the messages|input tokens)|(?:token count of|token count \(|prompt contains(?: at least)?|request contains|resulted in|input of|request \() ?(\d{3,})/i;

function firstNumber(match: RegExpExecArray | null): number | undefined {
  const digits = match?.slice(1).find((group) => group !== undefined);
  return digits === undefined ? undefined : Number(digits);
}
