/** The commit gate: what a candidate must have said before the client sees any of it. Pure. */

import type { ChatEvent, ChatResponse } from "../protocols/chat.ts";

/**
 * True for the first content that cannot be taken back: text, a refusal, a call whose name is known, a hosted tool's
 * output, or reasoning that the client gets to see. Where the client wants a call, words are not yet what it asked for. Until then any failure is invisible and the next candidate is asked.
 */
export function commits(event: ChatEvent, seesReasoning: boolean, forcesTool: boolean): boolean {
  switch (event.type) {
    case "text-delta":
      return event.text !== "" && !forcesTool;
    case "refusal-delta":
      return event.text !== "";
    case "reasoning-delta":
      return seesReasoning && event.text !== "" && !forcesTool;
    case "tool-start":
    case "opaque":
      return true;
    default:
      return false;
  }
}

/** A whole answer that says nothing at all. */
export function isEmptyAnswer(response: ChatResponse): boolean {
  return response.hasOpaque !== true && response.parts.every((part) => part.type !== "tool-call" && part.text === "");
}
