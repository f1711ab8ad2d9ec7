/** Damaged upstream streams, in any slicing, through reader, decoder and every encoder. */

import { foldEvents } from "../src/gateway/fold.ts";
import type { ChatEvent, Json, JsonObject, Protocol } from "../src/protocols/chat.ts";
import { plainQuirks, type SseMessage } from "../src/protocols/codec.ts";
import { codecs } from "../src/protocols/index.ts";
import { SseReader } from "../src/protocols/sse.ts";
import { isFilled, isRecord } from "../test/support/grammar/report.ts";
import { checkEvents } from "./event-rules.ts";
import type { Kind } from "./kind.ts";
import { joinEvents, mutateBytes, mutateEvents, slice, splitEvents } from "./mutate.ts";
import { Random } from "./random.ts";
import { protocols, replyTo, spokenText, withoutBreaks } from "./replies.ts";
import { clientRequest, streams } from "./seeds.ts";
import { isSameText, readAnswer } from "./whole-answers.ts";

interface StreamInput {
  upstream: Protocol;
  bytes: Uint8Array;
  /** Decides where the stream is cut into pieces. */
  slicing: number;
  thinkTags: boolean;
  /** The encoder has written its neutral opening before the upstream answers. */
  opensEarly: boolean;
}

export const streamKind: Kind<StreamInput> = {
  name: "streams",
  make(random) {
    const upstream = random.pick(protocols);
    // Some servers answer in another protocol than the one they were asked in.
    const spoken = random.chance(0.03) ? random.pick(protocols) : upstream;
    const events = splitEvents(random.pick(streams[spoken]));
    const donor = splitEvents(random.pick(streams[upstream]));
    const mutated = random.chance(0.05) ? events : mutateEvents(events, random, donor);
    const text = joinEvents(mutated);
    const written = new TextEncoder().encode(random.chance(0.1) ? text.replaceAll("\n", "\r\n") : text);
    return {
      upstream,
      bytes: random.chance(0.2) ? mutateBytes(written, random) : written,
      slicing: random.below(1e9),
      thinkTags: random.chance(0.2),
      opensEarly: random.chance(0.2),
    };
  },
  check,
  *smaller(input) {
    const events = splitEvents(Buffer.from(input.bytes).toString("latin1"));
    for (let at = 0; at < events.length; at++) {
      yield { ...input, bytes: Buffer.from(joinEvents(events.toSpliced(at, 1)), "latin1") };
    }
    if (input.thinkTags) yield { ...input, thinkTags: false };
    if (input.opensEarly) yield { ...input, opensEarly: false };
  },
  show: ({ bytes, ...input }) => `${JSON.stringify(input)}\n${Buffer.from(bytes).toString("utf8")}`,
};

function check(input: StreamInput): string[] {
  const { upstream, bytes, opensEarly } = input;
  const { events, messages } = decode(input, [bytes]);
  const broken = checkEvents(events);
  const sliced = decode(input, slice(bytes, new Random(input.slicing)));
  if (comparable(sliced.events) !== comparable(events)) broken.push("another slicing is decoded differently");
  if (events.length > 50 + bytes.length) broken.push(`${bytes.length} bytes become ${events.length} events`);
  const last = events.at(-1);
  if (last?.type === "finish" && !hasTerminal(upstream, messages)) {
    broken.push("a stream without its terminal signal counts as a success");
  }
  // What an encoder makes of an illegal order says nothing about the encoder.
  if (broken.length > 0) return broken;

  const calls = events.filter((event) => event.type === "tool-start").length;
  // The other way for a client that asked for a whole answer.
  const folded = foldEvents(events);
  if (folded.ok !== (last?.type === "finish")) broken.push(`folded, ${last?.type} becomes ${folded.ok}`);
  for (const client of protocols) {
    const request = clientRequest(client, { includeUsage: true });
    const { messages: written, report, violations } = replyTo(client, events, request, opensEarly);
    broken.push(...violations.filter((rule) => !rule.endsWith("usage was asked for and is missing")));
    const size = written.reduce((sum, { data }) => sum + data.length, 0);
    if (size > 20_000 + 200 * bytes.length) broken.push(`to ${client}: ${bytes.length} bytes become ${size}`);
    if (last?.type !== "finish" || !folded.ok) continue;
    const context = { request, id: "abc123", createdAt: 1_800_000_000, estimatedInputTokens: 40 };
    const whole = JSON.parse(JSON.stringify(codecs[client].encodeResponse(folded.response, context))) as JsonObject;
    const read = readAnswer[client](whole);
    broken.push(...read.violations.map((rule) => `to ${client}, whole: ${rule}`));
    if (!isSameText(read.text, spokenText(events))) broken.push(`to ${client}, whole: another text`);
    if (read.calls !== calls) broken.push(`to ${client}, whole: ${read.calls} calls instead of ${calls}`);
    if (withoutBreaks(report.text) !== spokenText(events)) broken.push(`to ${client}: the text is not the upstream's`);
    if (report.calls.length !== calls) broken.push(`to ${client}: ${report.calls.length} calls instead of ${calls}`);
  }
  return broken;
}

function decode(
  { upstream, thinkTags }: StreamInput,
  pieces: readonly Uint8Array[],
): { events: ChatEvent[]; messages: SseMessage[] } {
  const reader = new SseReader();
  const toolNames = new Map([["short_name", "mcp.server/a long name"]]);
  const decoder = codecs[upstream].streamDecoder({ quirks: { ...plainQuirks, thinkTags }, toolNames });
  const messages: SseMessage[] = [];
  const events: ChatEvent[] = [];
  const take = (read: readonly SseMessage[]) => {
    for (const message of read) {
      messages.push(message);
      for (const event of decoder.push(message)) events.push(event);
    }
  };
  for (const piece of pieces) take(reader.push(piece));
  take(reader.end());
  for (const event of decoder.end()) events.push(event);
  return { events, messages };
}

/** Ids that the decoder had to make up are random. */
function comparable(events: readonly ChatEvent[]): string {
  return JSON.stringify(events).replaceAll(/call_[0-9a-f]{24}/g, "call_invented");
}

/** Whether the bytes hold what their protocol calls the end of an answer; reads more loosely than any decoder. */
function hasTerminal(upstream: Protocol, messages: readonly SseMessage[]): boolean {
  return messages.some(({ event, data }) => {
    if (upstream === "chat" && data.trim() === "[DONE]") return true;
    let value: Json;
    try {
      value = JSON.parse(data) as Json;
    } catch {
      return false;
    }
    if (!isRecord(value)) return false;
    if (upstream === "chat") {
      const { choices } = value;
      return Array.isArray(choices) && choices.some((choice) => isRecord(choice) && isFilled(choice["finish_reason"]));
    }
    const types = [event, value["type"]];
    if (upstream === "messages") return types.includes("message_stop");
    return types.includes("response.completed") || types.includes("response.incomplete");
  });
}
