/** Builds the request for one target and sends it, changed and once more when the target's refusal teaches something. */

import { classifyAnswer, type Failure, failure } from "../../providers/failure.ts";
import { dropForeignReasoning, findAttribution, holdsForeignReasoning } from "../../providers/hygiene.ts";
import { addLesson, applyLesson, changesBody, type Lesson, learn } from "../../providers/lessons.ts";
import { buildUpstreamHeaders, buildUpstreamUrl, type UpstreamRequest } from "../../providers/request.ts";
import { readStart, sendUpstream } from "../../providers/upstream.ts";
import { demandsServerTool } from "../protocols/anthropic-messages/web-search.ts";
import type { JsonObject } from "../protocols/chat.ts";
import { type DecodeContext, ProtocolError } from "../protocols/codec.ts";
import { codecs } from "../protocols/index.ts";
import type { AttemptDeps } from "./attempt.ts";
import { RequestBody } from "./body.ts";
import type { Exchange } from "./exchange.ts";
import { addFallbacks } from "./openrouter-native.ts";
import type { Target } from "./router.ts";
import { styleBody, styleEncoded, styleRequest } from "./thinking.ts";

export type Asked = { ok: true; response: Response; context: DecodeContext } | { ok: false; failure: Failure };

/** How often one attempt may change its request because the target refused a field. */
const maxLessons = 3;

const nothingRenamed: ReadonlyMap<string, string> = new Map();

/** @throws {ProtocolError} when the request does not decode */
export async function ask(exchange: Exchange, target: Target, signal: AbortSignal, deps: AttemptDeps): Promise<Asked> {
  const key = `${target.provider.id}:${target.model}@${target.protocol}`;
  const isPassedOn = target.protocol === exchange.input.protocol;
  for (let learnt = 0; ; learnt++) {
    const known = deps.lessons.recall(key, deps.now());
    exchange.input.trail.changed(target, known, learnt > 0);
    const built = buildRequest(exchange, target, known, deps);
    if (!built.ok) return built;
    const sent = await sendUpstream(deps.fetch, built.request, signal);
    if (!sent.ok) return sent;
    const { response } = sent;
    if (response.ok) return { ok: true, response, context: built.context };
    const text = await readStart(response);
    const why = classifyAnswer(response.status, response.headers, text, deps.now(), target.provider.rateLimitScope);
    const refused = { ok: false, failure: why } as const;
    if (why.kind !== "bad-request" || learnt === maxLessons) return refused;
    const lesson = learn(why, target.protocol, built.wireBody());
    if (lesson === undefined || !teachesMore(known, lesson, isPassedOn && target.style === undefined)) return refused;
    deps.lessons.keep(key, lesson, deps.now());
  }
}

/** Bytes that are passed on know no encoder flags: only what a lesson says of fields and headers changes them. */
function teachesMore(known: Lesson, lesson: Lesson, isPassedOn: boolean): boolean {
  const after = addLesson(known, lesson);
  const visible = ({ quirks, ...wire }: Lesson) => (isPassedOn ? wire : { quirks, ...wire });
  return !Bun.deepEquals(visible(known), visible(after));
}

type Built =
  | { ok: true; request: UpstreamRequest; context: DecodeContext /** What was sent, parsed. */; wireBody(): JsonObject }
  | { ok: false; failure: Failure };

function buildRequest(exchange: Exchange, target: Target, lesson: Lesson, deps: AttemptDeps): Built {
  const { provider, protocol, credential } = target;
  const { headers: client, query, stream } = exchange.input;
  if (credential === "ours" && provider.keys.length === 0 && provider.keySource !== undefined) {
    return { ok: false, failure: failure("no-key", `no API key for ${provider.name}: ${provider.keySource}`) };
  }
  const sameProtocol = protocol === exchange.input.protocol;
  const url = buildUpstreamUrl(provider, protocol, sameProtocol, query);
  if (url === undefined)
    return { ok: false, failure: failure("not-found", `${provider.name} does not speak ${protocol}`) };
  const refusedBetas = lesson.dropBetas;
  const { body: asked, session } = exchange.input;
  const extend =
    target.others === undefined
      ? undefined
      : (body: JsonObject) => addFallbacks(body, target, { hasTools: asked.hasTools, session });
  const headers = buildUpstreamHeaders({
    provider,
    protocol,
    sameProtocol,
    client,
    credential,
    stream,
    refusedBetas,
    key: target.key?.value,
    sessionId: exchange.input.session,
  });
  const { style } = target;
  if (sameProtocol) {
    const context = { quirks: provider.quirks, toolNames: nothingRenamed };
    const quirks = { ...provider.quirks, ...lesson.quirks };
    const restyle = style === undefined ? undefined : (body: JsonObject) => styleBody(body, protocol, quirks, style);
    const body = passOn(exchange.input.body, target, lesson, extend, restyle);
    const wireBody = () => {
      const own = exchange.input.body.object();
      return applyLesson(restyle === undefined ? own : restyle(own), lesson);
    };
    return { ok: true, request: { url, headers, body }, context, wireBody };
  }
  const { decoded } = exchange;
  const quirks = { ...provider.quirks, ...lesson.quirks };
  // Only Claude Code asks for a search in a request of its own; elsewhere such a tool is one offer among others.
  const isSearch = demandsServerTool(decoded, exchange.input.protocol === "messages");
  if (isSearch && (protocol === "chat" || !quirks.webSearch)) {
    return { ok: false, failure: failure("unsupported", `web_search is not available for model ${target.model}`) };
  }
  try {
    const { signatures } = deps;
    const { maxOutputTokens } = lesson;
    const encoded = codecs[protocol].encodeRequest(style === undefined ? decoded : styleRequest(decoded, style), {
      model: target.model,
      quirks,
      maxOutputTokens,
      signatures,
    });
    const styled = style === undefined ? encoded.body : styleEncoded(encoded.body, protocol, quirks, style);
    const translated = applyLesson(styled, lesson);
    const body = extend === undefined ? translated : extend(translated);
    const context = { quirks, toolNames: encoded.toolNames, signatures };
    return { ok: true, request: { url, headers, body: JSON.stringify(body) }, context, wireBody: () => body };
  } catch (cause) {
    // What this protocol cannot say, another candidate's may.
    if (!(cause instanceof ProtocolError)) throw cause;
    return { ok: false, failure: failure("untranslatable", cause.message, { code: cause.code }) };
  }
}

/** The client's own bytes with the target's model in them; parsed only when something inside has to change. */
export function passOn(
  body: RequestBody,
  target: Target,
  lesson: Lesson,
  extend?: (body: JsonObject) => JsonObject,
  restyle?: (body: JsonObject) => JsonObject,
): UpstreamRequest["body"] {
  const { model, protocol } = target;
  const { isAnthropic } = target.provider;
  const holdsForeign = protocol !== "chat" && holdsForeignReasoning(body.bytes, isAnthropic);
  if (extend !== undefined || restyle !== undefined || changesBody(lesson) || holdsForeign) {
    const own = dropForeignReasoning(body.object(), protocol, isAnthropic);
    const cleaned = applyLesson(restyle === undefined ? own : restyle(own), lesson);
    const rewritten = new RequestBody(Buffer.from(JSON.stringify(extend === undefined ? cleaned : extend(cleaned))));
    return rewritten.withModel(model, cutFor(rewritten, target));
  }
  return body.withModel(model, cutFor(body, target));
}

function cutFor(body: RequestBody, { protocol, provider }: Target) {
  return protocol === "messages" && !provider.isAnthropic ? findAttribution(body.bytes) : undefined;
}
