/** Turns a whole answer into the events of a stream and back, for upstreams that answer the other way than asked. */

import type {
  AssistantPart,
  ChatEvent,
  ChatResponse,
  ReasoningPart,
  StreamError,
  ToolCall,
} from "../protocols/chat.ts";
import { cutOff } from "../protocols/cut-off.ts";

/** A whole answer as the events of a stream. */
export function eventsOf(response: ChatResponse): ChatEvent[] {
  const { id, model, usage } = response;
  const events: ChatEvent[] = [{ type: "start", id, model }];
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
        events.push({ type: "reasoning-end", replay: part.replay });
        break;
      case "tool-call":
        events.push(
          { type: "tool-start", call, id: part.id, name: part.name },
          { type: "tool-delta", call, json: part.arguments },
          { type: "tool-end", call },
        );
        call += 1;
        break;
      default:
        part satisfies never;
    }
  }
  if (response.hasOpaque === true) events.push({ type: "opaque" });
  events.push({ type: "finish", reason: response.finish, stopSequence: response.stopSequence, usage });
  return events;
}

/** The events of a stream as a whole answer, or the error it ended in. */
export function foldEvents(
  events: readonly ChatEvent[],
): { ok: true; response: ChatResponse } | { ok: false; error: StreamError } {
  const response: ChatResponse = { parts: [], finish: "stop" };
  const calls: ToolCall[] = [];
  let open: AssistantPart | undefined;
  const grow = (type: "text" | "refusal" | "reasoning", text: string) => {
    if (open?.type === type) open.text += text;
    else {
      const part: AssistantPart = { type, text };
      response.parts.push(part);
      open = part;
    }
  };
  for (const event of events) {
    switch (event.type) {
      case "start":
        response.id = event.id;
        response.model = event.model;
        response.usage = event.usage ?? response.usage;
        break;
      case "text-delta":
        grow("text", event.text);
        break;
      case "refusal-delta":
        grow("refusal", event.text);
        break;
      case "reasoning-delta":
        grow("reasoning", event.text);
        break;
      case "reasoning-end": {
        const part: ReasoningPart = open?.type === "reasoning" ? open : { type: "reasoning", text: "" };
        if (part !== open) response.parts.push(part);
        part.replay = event.replay;
        open = undefined;
        break;
      }
      case "text-end":
        open = undefined;
        break;
      case "tool-start":
        open = undefined;
        calls[event.call] = { type: "tool-call", id: event.id, name: event.name, arguments: "" };
        response.parts.push(calls[event.call] as ToolCall);
        break;
      case "tool-delta": {
        const call = calls[event.call];
        if (call !== undefined) call.arguments += event.json;
        break;
      }
      case "tool-end": {
        const call = calls[event.call];
        if (call?.arguments === "") call.arguments = "{}";
        break;
      }
      case "opaque":
        response.hasOpaque = true;
        break;
      case "usage":
        response.usage = event.usage;
        break;
      case "finish":
        response.finish = event.reason;
        response.stopSequence = event.stopSequence;
        response.usage = event.usage ?? response.usage;
        return { ok: true, response };
      case "error":
        return { ok: false, error: event.error };
      default:
        event satisfies never;
    }
  }
  return { ok: false, error: cutOff };
}
