/** What an answer probably cost when its upstream does not say: zeros would keep an agent from ever compacting. */

import type { Usage } from "./chat.ts";
import type { ReplyContext } from "./codec.ts";

/** @param characters of everything the model wrote; four of them count as a token */
export function estimateUsage(context: Pick<ReplyContext, "estimatedInputTokens">, characters: number): Usage {
  return {
    input: context.estimatedInputTokens,
    cacheRead: 0,
    cacheWrite: 0,
    output: Math.ceil(characters / 4),
    reasoning: 0,
    estimated: true,
  };
}
