/** Damaged whole answers through the decoder, every encoder, and the way of an answer that must become a stream. */

import { eventsOf, foldEvents } from "../src/gateway/fold.ts";
import type { ChatResponse, Json, JsonObject, Protocol } from "../src/protocols/chat.ts";
import { MalformedAnswer, plainQuirks } from "../src/protocols/codec.ts";
import { codecs } from "../src/protocols/index.ts";
import { checkAnswer, checkEvents } from "./event-rules.ts";
import type { Kind } from "./kind.ts";
import { mutateJson } from "./mutate.ts";
import { protocols, replyTo, withoutBreaks } from "./replies.ts";
import { withLess } from "./requests.ts";
import { clientRequest, wholes } from "./seeds.ts";
import { isSameText, readAnswer } from "./whole-answers.ts";

interface AnswerInput {
  upstream: Protocol;
  body: Json;
  thinkTags: boolean;
}

export const answerKind: Kind<AnswerInput> = {
  name: "answers",
  make(random) {
    const upstream = random.pick(protocols);
    const source = random.pick(wholes[random.chance(0.03) ? random.pick(protocols) : upstream]);
    const body = mutateJson(source, random, random.below(5), wholes[upstream]);
    return { upstream, body, thinkTags: random.chance(0.2) };
  },
  check,
  *smaller(input) {
    for (const body of withLess(input.body)) yield { ...input, body };
    if (input.thinkTags) yield { ...input, thinkTags: false };
  },
  show: (input) => JSON.stringify(input),
};

function check({ upstream, body, thinkTags }: AnswerInput): string[] {
  let response: ChatResponse;
  try {
    response = codecs[upstream].decodeResponse(body, { quirks: { ...plainQuirks, thinkTags }, toolNames: new Map() });
  } catch (cause) {
    if (!(cause instanceof MalformedAnswer)) throw cause;
    return cause.message === "" ? ["a MalformedAnswer without a message"] : [];
  }
  const broken = checkAnswer(response);
  const events = eventsOf(response);
  broken.push(...checkEvents(events));
  if (broken.length > 0) return broken;
  const folded = foldEvents(events);
  if (!folded.ok) broken.push(`folded again it is an error: ${folded.error.message}`);
  else broken.push(...checkAnswer(folded.response).map((rule) => `folded again: ${rule}`));

  const spoken = response.parts.map((part) => (part.type === "text" || part.type === "refusal" ? part.text : ""));
  const text = withoutBreaks(spoken.join(""));
  const calls = response.parts.filter((part) => part.type === "tool-call").length;
  for (const client of protocols) {
    const request = clientRequest(client, { includeUsage: response.usage !== undefined });
    const context = { request, id: "abc123", createdAt: 1_800_000_000, estimatedInputTokens: 40 };
    const whole = JSON.parse(JSON.stringify(codecs[client].encodeResponse(response, context))) as JsonObject;
    const read = readAnswer[client](whole);
    for (const rule of read.violations) broken.push(`to ${client}, whole: ${rule}`);
    if (!isSameText(read.text, text)) broken.push(`to ${client}, whole: the text is not the upstream's`);
    if (read.calls !== calls) broken.push(`to ${client}, whole: ${read.calls} calls instead of ${calls}`);
    const { report, violations } = replyTo(client, events, request, false);
    broken.push(...violations);
    if (withoutBreaks(report.text) !== text) broken.push(`to ${client}, streamed: the text is not the upstream's`);
    if (report.calls.length !== calls) broken.push(`to ${client}, streamed: ${report.calls.length} calls`);
  }
  return broken;
}
