/** The checkers of the three stream grammars under one roof. */

import type { ChatRequest, Protocol } from "../../../src/protocols/chat.ts";
import type { SseMessage } from "../../../src/protocols/codec.ts";
import { SseReader } from "../../../src/protocols/sse.ts";
import { checkChatStream } from "./chat.ts";
import { checkMessagesStream } from "./messages.ts";
import type { StreamReport } from "./report.ts";
import { checkResponsesStream } from "./responses.ts";

export type { HeardCall, StreamReport } from "./report.ts";

export function checkStream(
  protocol: Protocol,
  messages: readonly SseMessage[],
  request: Pick<ChatRequest, "includeUsage">,
): StreamReport {
  switch (protocol) {
    case "messages":
      return checkMessagesStream(messages);
    case "chat":
      return checkChatStream(messages, { includeUsage: request.includeUsage === true });
    case "responses":
      return checkResponsesStream(messages);
    default:
      return protocol satisfies never;
  }
}

/** A stream as it went over the wire; a last event without its blank line is none. */
export function checkText(protocol: Protocol, stream: string, includeUsage = false): StreamReport {
  return checkStream(protocol, new SseReader().push(new TextEncoder().encode(stream)), { includeUsage });
}
