/** Server-sent events: text in any slicing to messages, and messages to text. */

import { createParser } from "eventsource-parser";
import type { SseMessage } from "./codec.ts";

/** An event larger than this ends the reading: it is given out as one message that no protocol can read (characters). */
const maxEventCharacters = 32 * 1024 * 1024;

/**
 * Reads UTF-8 bytes in any slicing. A last event that lacks its blank line is given out by `end()`; whether it is
 * complete is for the protocol's decoder to judge, since only that knows what a whole event looks like.
 */
export class SseReader {
  #decoder = new TextDecoder();
  #messages: SseMessage[] = [];
  #isBroken = false;
  #parser = createParser({
    onEvent: (event) => {
      this.#messages.push({ event: event.event, data: event.data });
    },
    maxBufferSize: maxEventCharacters,
  });

  push(bytes: Uint8Array): SseMessage[] {
    return this.#feed(this.#decoder.decode(bytes, { stream: true }));
  }

  end(): SseMessage[] {
    return this.#feed(`${this.#decoder.decode()}\n\n`);
  }

  #feed(text: string): SseMessage[] {
    if (this.#isBroken || text === "") return [];
    try {
      this.#parser.feed(text);
    } catch {
      this.#isBroken = true;
      this.#messages.push({ data: `an event of more than ${maxEventCharacters} characters` });
    }
    if (this.#messages.length === 0) return [];
    const messages = this.#messages;
    this.#messages = [];
    return messages;
  }
}

/** One message as it goes over the wire, with its blank line. */
export function renderSse(message: SseMessage): string {
  const data = message.data.includes("\n") ? message.data.replaceAll("\n", "\ndata: ") : message.data;
  return message.event === undefined ? `data: ${data}\n\n` : `event: ${message.event}\ndata: ${data}\n\n`;
}
