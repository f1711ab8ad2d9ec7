/** What both stream kinds share: events to each client's stream, and what that client makes of it. */

import { classifyStreamError } from "../providers/failure.ts";
import { toGatewayError } from "../src/gateway/cascade.ts";
import type { ChatEvent, ChatRequest, Protocol } from "../src/protocols/chat.ts";
import type { SseMessage } from "../src/protocols/codec.ts";
import { codecs } from "../src/protocols/index.ts";
import { checkStream, type StreamReport } from "../test/support/grammar/index.ts";

export const protocols = ["messages", "chat", "responses"] as const satisfies readonly Protocol[];

/** As the gateway writes it. @param opensEarly the neutral opening goes out before the first event */
export function encodeEvents(
  client: Protocol,
  events: readonly ChatEvent[],
  request: ChatRequest,
  opensEarly: boolean,
): SseMessage[] {
  const encoder = codecs[client].streamEncoder({
    request,
    id: "abc123",
    createdAt: 1_800_000_000,
    estimatedInputTokens: 40,
  });
  const messages = opensEarly ? encoder.open() : [];
  for (const event of events) {
    if (event.type === "error") {
      messages.push(...encoder.fail(toGatewayError(classifyStreamError(event.error), "req1")));
    } else messages.push(...encoder.push(event));
    if (event.type === "finish") messages.push(...encoder.end());
  }
  return messages;
}

export interface Reply {
  messages: SseMessage[];
  report: StreamReport;
  violations: string[];
}

/** @param events in legal order */
export function replyTo(
  client: Protocol,
  events: readonly ChatEvent[],
  request: ChatRequest,
  opensEarly: boolean,
): Reply {
  const messages = encodeEvents(client, events, request, opensEarly);
  const report = checkStream(client, messages, request);
  const violations = [...report.violations];
  const expected = events.at(-1)?.type === "finish" ? "success" : "error";
  if (report.ending !== expected) violations.push(`the client sees ${report.ending} instead of ${expected}`);
  return { messages, report, violations: violations.map((rule) => `to ${client}: ${rule}`) };
}

/** Encoders may put paragraphs between texts; everything else of a text must arrive. */
export function withoutBreaks(text: string): string {
  return text.replaceAll("\n", "");
}

export function spokenText(events: readonly ChatEvent[]): string {
  let text = "";
  for (const event of events) if (event.type === "text-delta" || event.type === "refusal-delta") text += event.text;
  return withoutBreaks(text);
}
