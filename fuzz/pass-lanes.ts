/** Streams that are passed on in their own protocol and break off anywhere: what the client is left with must not lie. */

import { classifyStreamError } from "../providers/failure.ts";
import { toGatewayError } from "../src/gateway/cascade.ts";
import { PassLane } from "../src/gateway/lane.ts";
import type { ChatEvent, Protocol } from "../src/protocols/chat.ts";
import { plainQuirks } from "../src/protocols/codec.ts";
import { codecs } from "../src/protocols/index.ts";
import { SseReader } from "../src/protocols/sse.ts";
import { checkStream } from "../test/support/grammar/index.ts";
import { richStream } from "../test/support/rich-answers.ts";
import type { Kind } from "./kind.ts";
import { slice } from "./mutate.ts";
import { Random } from "./random.ts";
import { protocols } from "./replies.ts";
import { answers } from "./seeds.ts";

interface LaneInput {
  protocol: Protocol;
  answer: number;
  /** Bytes that arrive before the connection breaks. */
  length: number;
  lineEnd: "\n" | "\r\n";
  slicing: number;
}

export const laneKind: Kind<LaneInput> = {
  name: "passed on",
  make(random) {
    const protocol = random.pick(protocols);
    const answer = random.below(answers.length);
    const lineEnd = random.chance(0.2) ? "\r\n" : "\n";
    const { length } = bytesOf({ protocol, answer, lineEnd });
    return {
      protocol,
      answer,
      length: random.chance(0.2) ? length : random.below(length),
      lineEnd,
      slicing: random.below(1e9),
    };
  },
  check,
  *smaller(input) {
    if (input.lineEnd === "\r\n") yield { ...input, lineEnd: "\n" };
    if (input.length > 0) yield { ...input, length: input.length - 1 };
  },
  show: (input) => `${JSON.stringify(input)}\n${bytesOf(input).subarray(0, input.length).toString("utf8")}`,
};

function bytesOf({ protocol, answer, lineEnd }: Pick<LaneInput, "protocol" | "answer" | "lineEnd">): Buffer {
  return Buffer.from(richStream(protocol, answers[answer] ?? {}).replaceAll("\n", lineEnd));
}

function check(input: LaneInput): string[] {
  const { protocol } = input;
  const codec = codecs[protocol];
  const decoder = codec.streamDecoder({ quirks: plainQuirks, toolNames: new Map() });
  const lane = new PassLane(codec, decoder, { model: "m", createdAt: 1, responseId: "resp_req1" });
  const bytes = bytesOf(input).subarray(0, input.length);
  const events: ChatEvent[] = [];
  const written: Uint8Array[] = [];
  const take = () => written.push(lane.take() ?? new Uint8Array());
  for (const piece of slice(bytes, new Random(input.slicing))) {
    events.push(...lane.push(piece));
    take();
  }
  events.push(...lane.end());
  take();
  const broken: string[] = [];
  if (!Buffer.concat(written).equals(bytes)) broken.push("the bytes are not passed on as they came");
  const last = events.at(-1);
  if (last?.type !== "finish" && last?.type !== "error") return [...broken, "neither finish nor error"];
  // The first half of a stream may have been told already; only ours may follow what came.
  if (last.type === "error") written.push(lane.fail(toGatewayError(classifyStreamError(last.error), "req1")));
  const reader = new SseReader();
  const messages = reader.push(Buffer.concat(written));
  // Nothing is appended to a whole answer, not even the blank line that its last event may lack.
  if (last.type === "finish") messages.push(...reader.end());
  const client = checkStream(protocol, messages, { includeUsage: true });
  // A Chat answer is whole with its finish_reason; the rest is bookkeeping that may be lost.
  const isWhole = protocol === "chat" && last.type === "finish" && client.stop !== undefined;
  const expected = last.type === "error" ? "error" : "success";
  if (client.ending !== expected && !isWhole) broken.push(`the client sees ${client.ending} instead of ${expected}`);
  return broken;
}
