/** Random answers of every shape through the encoders, read by the vendors' own accumulators instead of our checkers. */

import { expect, test } from "bun:test";
import { MessageStream } from "@anthropic-ai/sdk/lib/MessageStream";
import { ChatCompletionStream } from "openai/lib/ChatCompletionStream";
import { ResponseStream } from "openai/lib/responses/ResponseStream";
import { sequenceKind } from "../../fuzz/event-sequences.ts";
import { randomOf } from "../../fuzz/random.ts";
import { encodeEvents, spokenText, withoutBreaks } from "../../fuzz/replies.ts";
import { clientRequest } from "../../fuzz/seeds.ts";
import type { Protocol } from "../../src/protocols/chat.ts";
import type { SseMessage } from "../../src/protocols/codec.ts";

const seed = Date.now() % 1_000_000;
console.log(`sdk sequences: seed ${seed}`);
const tries = 400;

/** The accumulators take one JSON event per line. */
function lines(messages: readonly SseMessage[]): ReadableStream<Uint8Array> {
  const text = messages.filter(({ data }) => data !== "[DONE]").map(({ data }) => `${data}\n`);
  return new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text.join("")));
      controller.close();
    },
  });
}

interface Read {
  text: string;
  calls: number;
}

const readers: Record<Protocol, (messages: readonly SseMessage[]) => Promise<Read>> = {
  async messages(messages) {
    const { content } = await MessageStream.fromReadableStream(lines(messages)).finalMessage();
    const texts = content.map((block) => (block.type === "text" ? block.text : ""));
    return { text: texts.join(""), calls: content.filter((block) => block.type === "tool_use").length };
  },
  async chat(messages) {
    const stream = ChatCompletionStream.fromReadableStream(lines(messages));
    let text = "";
    // In the order in which they came: the message keeps texts and refusals apart.
    stream.on("chunk", ({ choices: [choice] }) => {
      text += (choice?.delta.content ?? "") + (choice?.delta.refusal ?? "");
    });
    const [choice] = (await stream.finalChatCompletion()).choices;
    return { text, calls: choice?.message.tool_calls?.length ?? 0 };
  },
  async responses(messages) {
    const { output } = await ResponseStream.fromReadableStream(lines(messages)).finalResponse();
    let text = "";
    for (const item of output) {
      if (item.type !== "message") continue;
      for (const part of item.content) text += part.type === "output_text" ? part.text : part.refusal;
    }
    const calls = output.filter((item) => item.type !== "message" && item.type !== "reasoning");
    return { text, calls: calls.length };
  },
};

test("what a model says is what the SDKs put together", async () => {
  for (let number = 0; number < tries; number++) {
    const input = sequenceKind.make(randomOf(seed, number));
    const { client, events, opensEarly } = input;
    if (events.at(-1)?.type !== "finish") continue;
    const request = clientRequest(client, { includeUsage: true });
    let read: Read | string;
    try {
      read = await readers[client](encodeEvents(client, events, request, opensEarly));
      read.text = withoutBreaks(read.text);
    } catch (cause) {
      read = `${String(cause)} for ${sequenceKind.show(input)}`;
    }
    const calls = events.filter((event) => event.type === "tool-start").length;
    expect([seed, number, read]).toEqual([seed, number, { text: spokenText(events), calls }]);
  }
});
