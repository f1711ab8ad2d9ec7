/** One attempt at one target: build, send, hold back until it proves itself. What comes of it is a value, never a throw. */

import { classifyAnswer, classifyStreamError, type Failure, failure } from "../../providers/failure.ts";
import { dropWrappedReasoning, findAttribution, holdsWrappedReasoning } from "../../providers/hygiene.ts";
import { applyLesson, type Lesson, type Lessons, learn, nothingLearnt } from "../../providers/lessons.ts";
import { buildUpstreamHeaders, buildUpstreamUrl, type UpstreamRequest } from "../../providers/request.ts";
import {
  classifyThrown,
  type Fetch,
  LimitReached,
  readOut,
  readStart,
  sendUpstream,
} from "../../providers/upstream.ts";
import { demandsServerTool } from "../protocols/anthropic-messages/web-search.ts";
import type { ChatEvent, Json, JsonObject, Usage } from "../protocols/chat.ts";
import { type CallSignatures, type DecodeContext, MalformedAnswer, ProtocolError } from "../protocols/codec.ts";
import { codecs } from "../protocols/index.ts";
import { RequestBody } from "./body.ts";
import { commits, eventsOf, isEmptyAnswer } from "./commit.ts";
import type { Exchange } from "./exchange.ts";
import { type Lane, PassLane, TranslateLane } from "./lane.ts";
import type { Target } from "./router.ts";

export interface AttemptDeps {
  fetch: Fetch;
  /** Milliseconds since 1970. */
  now(): number;
  /** Time without a first content after which the next candidate is asked; the last one has none. */
  firstTokenMs: number;
  /** What targets have taught us by refusing requests. */
  lessons: Lessons;
  /** What upstreams want back with tool calls. */
  signatures: CallSignatures;
  /** Longest silence of a stream that has begun. */
  idleMs: number;
}

export interface WholeAnswer {
  kind: "whole";
  status: number;
  headers: Headers;
  body: ArrayBuffer | string;
  usage: Usage | undefined;
}

/** A stream that has passed the commit gate. `reader` is undefined when everything has been read already. */
export interface LiveAnswer {
  kind: "live";
  headers: Headers;
  lane: Lane;
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  controller: AbortController;
  /** What the stream said up to the commit, so that nothing of it is watched twice. */
  events: ChatEvent[];
}

export type Outcome = { ok: true; answer: WholeAnswer | LiveAnswer } | { ok: false; failure: Failure };

const nothingRenamed: ReadonlyMap<string, string> = new Map();

export async function attemptTarget(
  exchange: Exchange,
  target: Target,
  isLast: boolean,
  deps: AttemptDeps,
): Promise<Outcome> {
  const { stream } = exchange.input;
  const controller = exchange.startAttempt();
  // A whole answer takes as long as its text: its first byte is its last one.
  const limitMs = stream ? deps.firstTokenMs : deps.firstTokenMs + deps.idleMs;
  const timer = isLast
    ? undefined
    : setTimeout(() => controller.abort(new LimitReached(`no answer within ${limitMs / 1000} s`)), limitMs);
  try {
    const asked = await ask(exchange, target, controller.signal, deps);
    if (!asked.ok) return asked;
    const { response, context } = asked;
    const isEventStream = response.headers.get("content-type")?.includes("text/event-stream") === true;
    if (stream && isEventStream) return await readUntilCommit(exchange, target, response, context, controller, isLast);
    return await readWhole(exchange, target, response, context, controller, isLast);
  } catch (cause) {
    return { ok: false, failure: classifyThrown(cause, controller.signal) };
  } finally {
    clearTimeout(timer);
  }
}

type Asked = { ok: true; response: Response; context: DecodeContext } | { ok: false; failure: Failure };

/** How often one attempt may change its request because the target refused a field. */
const maxLessons = 3;

/** Sends the request; a refusal that teaches something is answered by sending it once more, changed. */
async function ask(exchange: Exchange, target: Target, signal: AbortSignal, deps: AttemptDeps): Promise<Asked> {
  const key = `${target.provider.id}:${target.model}@${target.protocol}`;
  for (let learnt = 0; ; learnt++) {
    const built = buildRequest(exchange, target, deps.lessons.recall(key, deps.now()), deps);
    if (!built.ok) return built;
    const sent = await sendUpstream(deps.fetch, built.request, signal);
    if (!sent.ok) return sent;
    const { response } = sent;
    if (response.ok) return { ok: true, response, context: built.context };
    const text = await readStart(response);
    const why = classifyAnswer(response.status, response.headers, text, deps.now());
    const lesson = learnt < maxLessons ? learn(why, target.protocol, built.wireBody()) : undefined;
    if (lesson === undefined || !changes(lesson, target.protocol === exchange.input.protocol))
      return { ok: false, failure: why };
    deps.lessons.keep(key, lesson, deps.now());
  }
}

/** Bytes that are passed on know no encoder flags: only what a lesson says of fields and headers changes them. */
function changes(lesson: Lesson, isPassedOn: boolean): boolean {
  const { dropFields, renameFields, dropBetas, quirks } = lesson;
  const changesWire = dropFields.length > 0 || Object.keys(renameFields).length > 0 || dropBetas.length > 0;
  return changesWire || (!isPassedOn && Object.keys(quirks).length > 0);
}

type Built =
  | { ok: true; request: UpstreamRequest; context: DecodeContext; wireBody(): JsonObject }
  | { ok: false; failure: Failure };

function buildRequest(exchange: Exchange, target: Target, lesson: Lesson, deps: AttemptDeps): Built {
  const { provider, protocol, credential } = target;
  const { headers: client, query, stream } = exchange.input;
  if (credential === "ours" && provider.key === undefined && provider.keySource !== undefined) {
    return { ok: false, failure: failure("no-key", `no API key for ${provider.name}: ${provider.keySource}`) };
  }
  const sameProtocol = protocol === exchange.input.protocol;
  const url = buildUpstreamUrl(provider, protocol, sameProtocol, query);
  if (url === undefined)
    return { ok: false, failure: failure("not-found", `${provider.name} does not speak ${protocol}`) };
  const refusedBetas = lesson.dropBetas;
  const headers = buildUpstreamHeaders({ provider, protocol, sameProtocol, client, credential, stream, refusedBetas });
  if (sameProtocol) {
    const context = { quirks: provider.quirks, toolNames: nothingRenamed };
    const body = passOn(exchange.input.body, target, lesson);
    return {
      ok: true,
      request: { url, headers, body },
      context,
      wireBody: () => exchange.input.body.json() as JsonObject,
    };
  }
  try {
    const quirks = { ...provider.quirks, ...lesson.quirks };
    if (demandsServerTool(exchange.decoded) && (protocol === "chat" || !quirks.webSearch)) {
      return { ok: false, failure: failure("unsupported", `web_search is not available for model ${target.model}`) };
    }
    const { signatures } = deps;
    const encoded = codecs[protocol].encodeRequest(exchange.decoded, { model: target.model, quirks, signatures });
    const body = applyLesson(encoded.body, lesson);
    const context = { quirks, toolNames: encoded.toolNames, signatures };
    return { ok: true, request: { url, headers, body: JSON.stringify(body) }, context, wireBody: () => body };
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    return {
      ok: false,
      failure: failure("bad-request", cause.message, cause.code === undefined ? {} : { code: cause.code }),
    };
  }
}

/** The client's own bytes with the target's model in them; parsed only when something inside has to go. */
function passOn(body: RequestBody, target: Target, lesson: Lesson): UpstreamRequest["body"] {
  const { model, protocol, provider } = target;
  const isRewritten = lesson.dropFields.length > 0 || Object.keys(lesson.renameFields).length > 0;
  if (isRewritten || (protocol !== "chat" && holdsWrappedReasoning(body.bytes))) {
    const cleaned = applyLesson(dropWrappedReasoning(body.json() as JsonObject, protocol), lesson);
    return passOn(new RequestBody(Buffer.from(JSON.stringify(cleaned))), target, nothingLearnt);
  }
  const cut = protocol === "messages" && !provider.isAnthropic ? findAttribution(body.bytes) : undefined;
  return body.withModel(model, cut);
}

async function readUntilCommit(
  exchange: Exchange,
  target: Target,
  response: Response,
  context: DecodeContext,
  controller: AbortController,
  isLast: boolean,
): Promise<Outcome> {
  const lane = buildLane(exchange, target, context);
  // Bytes that are passed on as they came show the client whatever reasoning is in them.
  const seesReasoning = target.protocol === exchange.input.protocol || exchange.decoded.reasoningDisplay === "full";
  const reader = response.body?.getReader();
  const seen: ChatEvent[] = [];
  const live = (rest: typeof reader): Outcome => ({
    ok: true,
    answer: { kind: "live", headers: response.headers, lane, reader: rest, controller, events: seen },
  });
  const leave = (why: Failure): Outcome => {
    controller.abort(new Error("left for another candidate"));
    return { ok: false, failure: why };
  };
  for (;;) {
    const read = reader === undefined ? { done: true as const, value: undefined } : await reader.read();
    const events = read.value === undefined ? lane.end() : lane.push(read.value);
    let hasContent = false;
    for (const event of events) {
      seen.push(event);
      hasContent ||= commits(event, seesReasoning);
      if (event.type === "error" && !hasContent) return leave(describeEarlyEnd(event.error, seen));
      if (event.type === "finish" && !hasContent && !isLast) {
        return leave(failure("empty", "the answer was empty", { status: response.status }));
      }
    }
    const last = seen.at(-1)?.type;
    const isOver = read.done || last === "finish" || last === "error";
    if (hasContent || isOver) {
      if (!isOver) return live(reader);
      if (reader !== undefined && !read.done) void readOut(reader);
      return live(undefined);
    }
  }
}

/** A stream that ends before it has said anything is better called empty than cut. */
function describeEarlyEnd(error: Extract<ChatEvent, { type: "error" }>["error"], seen: readonly ChatEvent[]): Failure {
  const saidNothing = seen.every((event) => event.type === "start" || event.type === "usage" || event.type === "error");
  if (error.kind === "incomplete" && saidNothing) return failure("empty", "the stream ended without any content");
  return classifyStreamError(error);
}

async function readWhole(
  exchange: Exchange,
  target: Target,
  response: Response,
  context: DecodeContext,
  controller: AbortController,
  isLast: boolean,
): Promise<Outcome> {
  const raw = await response.arrayBuffer();
  const bytes = Buffer.from(raw);
  const { status } = response;
  let body: Json;
  try {
    body = JSON.parse(bytes.toString("utf8")) as Json;
  } catch {
    const start = bytes.toString("utf8", 0, 80).replaceAll(/\s+/g, " ").trim();
    const what = start === "" ? "an empty body" : `something else: ${start}`;
    return {
      ok: false,
      failure: failure(start === "" ? "empty" : "malformed", `expected JSON, got ${what}`, { status }),
    };
  }
  try {
    const decoded = codecs[target.protocol].decodeResponse(body, context);
    if (!isLast && isEmptyAnswer(decoded))
      return { ok: false, failure: failure("empty", "the answer was empty", { status }) };
    if (exchange.input.stream) {
      const events = eventsOf(decoded);
      const lane = new TranslateLane(silent, codecs[exchange.input.protocol].streamEncoder(exchange.replyContext));
      lane.pushEvents(events);
      return {
        ok: true,
        answer: { kind: "live", headers: response.headers, lane, reader: undefined, controller, events },
      };
    }
    const translated = (): string =>
      JSON.stringify(codecs[exchange.input.protocol].encodeResponse(decoded, exchange.replyContext));
    const whole = target.protocol === exchange.input.protocol ? raw : translated();
    return {
      ok: true,
      answer: { kind: "whole", status, headers: response.headers, body: whole, usage: decoded.usage },
    };
  } catch (cause) {
    if (!(cause instanceof MalformedAnswer)) throw cause;
    const { message, code, status: meant } = cause;
    const kind = code === undefined && meant === undefined ? "malformed" : "reported";
    return {
      ok: false,
      failure: classifyStreamError({
        kind,
        message,
        ...(code === undefined ? {} : { code }),
        ...(meant === undefined ? {} : { status: meant }),
      }),
    };
  }
}

function buildLane(exchange: Exchange, target: Target, context: DecodeContext): Lane {
  const { protocol, body, startedAt, id } = exchange.input;
  const upstream = codecs[target.protocol];
  const decoder = upstream.streamDecoder(context);
  if (target.protocol === protocol) {
    return new PassLane(upstream, decoder, {
      model: body.model,
      createdAt: Math.floor(startedAt / 1000),
      responseId: `resp_${id}`,
    });
  }
  return new TranslateLane(decoder, codecs[protocol].streamEncoder(exchange.replyContext));
}

/** The decoder of a lane whose events are handed to it ready-made. */
const silent = { push: () => [], end: () => [] };
