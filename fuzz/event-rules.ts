/** The order of events that every decoder guarantees, and what an answer in Clutch's own terms may hold. */

import type { ChatEvent, ChatResponse } from "../src/protocols/chat.ts";
import { isRecord } from "../test/support/grammar/report.ts";

/** @returns the rules broken */
export function checkEvents(events: readonly ChatEvent[]): string[] {
  const broken: string[] = [];
  const demand = (holds: boolean, rule: string) => {
    if (!holds && !broken.includes(rule)) broken.push(rule);
  };
  let isReasoning = false;
  const calls: ("open" | "ended")[] = [];
  for (const [index, event] of events.entries()) {
    const isLast = index === events.length - 1;
    const mayStandInReasoning = event.type.startsWith("reasoning") || event.type === "error" || event.type === "usage";
    demand(!isReasoning || mayStandInReasoning, `${event.type} while reasoning is open`);
    demand(!(event.type === "finish" || event.type === "error") || isLast, `${event.type} is not the last event`);
    switch (event.type) {
      case "start":
        demand(index === 0, "start is not the first event");
        break;
      case "reasoning-delta":
        isReasoning = true;
        break;
      case "reasoning-end":
        isReasoning = false;
        break;
      case "tool-start":
        demand(event.call === calls.length, `tool-start ${event.call} instead of ${calls.length}`);
        demand(event.id !== "", "tool-start without an id");
        demand(event.name !== "", "tool-start without a name");
        calls.push("open");
        break;
      case "tool-delta":
        demand(calls[event.call] === "open", "tool-delta for a call that is not open");
        break;
      case "tool-end":
        demand(calls[event.call] === "open", "tool-end for a call that is not open");
        calls[event.call] = "ended";
        break;
      case "finish":
        demand(
          calls.every((state) => state === "ended"),
          "finish while a call is open",
        );
        demand(event.reason !== "stop" || calls.length === 0, "finish stop although tools were called");
        demand(event.reason !== "tool-calls" || calls.length > 0, "finish tool-calls without a call");
        break;
    }
  }
  const last = events.at(-1)?.type;
  demand(last === "finish" || last === "error", "the stream ends in neither finish nor error");
  return broken;
}

export function checkAnswer(response: ChatResponse): string[] {
  const broken: string[] = [];
  let calls = 0;
  for (const part of response.parts) {
    if (part.type !== "tool-call") continue;
    calls++;
    if (part.id === "") broken.push("a call without an id");
    if (part.name === "") broken.push("a call without a name");
    if (!isArguments(part.arguments)) broken.push("arguments that are no JSON object");
  }
  if (response.finish === "stop" && calls > 0) broken.push("finish stop although tools were called");
  if (response.finish === "tool-calls" && calls === 0) broken.push("finish tool-calls without a call");
  return broken;
}

function isArguments(text: string): boolean {
  try {
    return isRecord(JSON.parse(text));
  } catch {
    return false;
  }
}
