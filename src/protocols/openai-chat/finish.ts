/** Finish reasons: the wire's label one way, derived from what was said rather than believed, and the other way. */

import type { FinishReason } from "../chat.ts";

/** What a label says by itself. Labels that are not here count as `stop`. */
const reasons: Record<string, FinishReason | undefined> = {
  stop: "stop",
  length: "length",
  max_tokens: "length",
  /** Mistral: the context window is full. */
  model_length: "length",
  content_filter: "content-filter",
  /** Zhipu's word for it. */
  sensitive: "content-filter",
};

/**
 * Labels of an answer that failed although it ended: OpenRouter's `error`, DeepSeek's `insufficient_system_resource`
 * ("request was interrupted"), Zhipu's `network_error`.
 */
export const failureLabels: ReadonlySet<string> = new Set(["error", "insufficient_system_resource", "network_error"]);

/** Calls decide: servers label an answer with calls `stop`, and one without any `tool_calls`. */
export function decodeFinish(label: string | undefined, hasCalls: boolean): FinishReason {
  const reason = (label !== undefined && Object.hasOwn(reasons, label) ? reasons[label] : undefined) ?? "stop";
  return reason === "stop" && hasCalls ? "tool-calls" : reason;
}

export const finishLabels = {
  stop: "stop",
  "stop-sequence": "stop",
  length: "length",
  "context-window": "length",
  "tool-calls": "tool_calls",
  "content-filter": "content_filter",
  pause: "stop",
} satisfies Record<FinishReason, string>;
