/** The commit gate: what a candidate must have said before the client sees any of it. Pure. */

import type { ChatEvent, ChatResponse } from "../protocols/chat.ts";

/**
 * True for the first content that cannot be taken back: text, a refusal, a call whose name is known, a hosted tool's
 * output, or reasoning that the client gets to see. Until then any failure is invisible and the next candidate is asked.
 */
export function commits(event: ChatEvent, seesReasoning: boolean): boolean {
  switch (event.type) {
    case "text-delta":
    case "refusal-delta":
      return event.text !== "";
    case "reasoning-delta":
      return seesReasoning && event.text !== "";
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

/** A whole answer as the events of a stream, for a client that asked for one. */
export function eventsOf(response: ChatResponse): ChatEvent[] {
  const { id, model, usage } = response;
  const events: ChatEvent[] = [
    { type: "start", ...(id === undefined ? {} : { id }), ...(model === undefined ? {} : { model }) },
  ];
  let call = 0;
  for (const part of response.parts) {
    switch (part.type) {
      case "text":
        events.push({ type: "text-delta", text: part.text }, { type: "text-end" });
        break;
      case "refusal":
        events.push({ type: "refusal-delta", text: part.text });
        break;
      case "reasoning":
        if (part.text !== "") events.push({ type: "reasoning-delta", text: part.text });
        events.push({ type: "reasoning-end", ...(part.replay === undefined ? {} : { replay: part.replay }) });
        break;
      case "tool-call":
        events.push(
          { type: "tool-start", call, id: part.id, name: part.name },
          { type: "tool-delta", call, json: part.arguments },
          { type: "tool-end", call },
        );
        call += 1;
        break;
    }
  }
  const { finish, stopSequence } = response;
  events.push({
    type: "finish",
    reason: finish,
    ...(stopSequence === undefined ? {} : { stopSequence }),
    ...(usage === undefined ? {} : { usage }),
  });
  return events;
}
