/** One attempt at one target: send, hold back until it proves itself. What comes of it is a value, never a throw of the upstream's. */

import { classifyStreamError, type Failure, failure } from "../../providers/failure.ts";
import type { Lessons } from "../../providers/lessons.ts";
import { classifyThrown, type Fetch, LimitReached, readOut } from "../../providers/upstream.ts";
import type { ChatEvent, ChatResponse, Json, StreamError, Usage } from "../protocols/chat.ts";
import { type CallSignatures, type DecodeContext, MalformedAnswer } from "../protocols/codec.ts";
import { codecs } from "../protocols/index.ts";
import { SseReader } from "../protocols/sse.ts";
import { AnswerWatch, type Flaw, flawOfWhole } from "./answer-watch.ts";
import { ask } from "./ask.ts";
import { commits, isEmptyAnswer } from "./commit.ts";
import type { Exchange } from "./exchange.ts";
import { eventsOf, foldEvents } from "./fold.ts";
import { hideKeys } from "./hide-keys.ts";
import { type Lane, PassLane, TranslateLane } from "./lane.ts";
import type { Target } from "./router.ts";

export interface AttemptDeps {
  fetch: Fetch;
  /** Milliseconds since 1970. */
  now(): number;
  /** Time without a first content after which the next candidate is asked; the last one has none. 0 = no limit. */
  firstTokenMs: number;
  /** Longest silence of an answer that has begun. 0 = no limit. */
  idleMs: number;
  /** What targets have taught us by refusing requests. */
  lessons: Lessons;
  /** What upstreams want back with tool calls. */
  signatures: CallSignatures;
}

export interface WholeAnswer {
  kind: "whole";
  status: number;
  headers: Headers;
  body: Buffer<ArrayBuffer> | string;
  usage: Usage | undefined;
  /** As the upstream calls it. */
  model: string | undefined;
  /** What is wrong with it, although there was nobody left to ask. */
  flaw: Flaw | undefined;
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
  /** A tool had to be called; the request itself is let go of before the answer has ended. */
  forcesTool: boolean;
}

/** `usage` is what the upstream counted of an answer that is no good. */
export type Outcome =
  | { ok: true; answer: WholeAnswer | LiveAnswer }
  | { ok: false; failure: Failure; usage?: Usage | undefined };

/** @throws {ProtocolError} when the request does not decode: the client's mistake, whichever target is asked */
export async function attemptTarget(
  exchange: Exchange,
  target: Target,
  isLast: boolean,
  controller: AbortController,
  deps: AttemptDeps,
): Promise<Outcome> {
  const { stream } = exchange.input;
  const limits = new Limits(controller);
  // A whole answer takes as long as its text: its first byte is its last one.
  const firstMs = stream || deps.firstTokenMs === 0 ? deps.firstTokenMs : deps.firstTokenMs + deps.idleMs;
  if (!isLast) limits.start(firstMs, `no answer within ${firstMs / 1000} s`);
  try {
    const asking = ask(exchange, target, controller.signal, deps);
    // The body has just been sent: its bytes are near, and the upstream does not wait for us.
    const { forcesTool } = exchange.input.body;
    const asked = await asking;
    if (!asked.ok) return asked;
    const { response, context } = asked;
    const { idleMs } = deps;
    const reading = {
      exchange,
      target,
      response,
      context,
      controller,
      limits,
      isLast,
      idleMs,
      forcesTool,
      now: deps.now(),
    };
    // Some servers stream when they were not asked to, and some name their streams text/plain.
    const type = response.headers.get("content-type") ?? "";
    const isStream = type.includes("text/event-stream") || (stream && !type.includes("json") && !type.includes("html"));
    if (stream && isStream) return await readUntilCommit(reading);
    return await readWhole(reading, isStream);
  } finally {
    limits.end();
  }
}

interface Reading {
  exchange: Exchange;
  target: Target;
  response: Response;
  context: DecodeContext;
  controller: AbortController;
  limits: Limits;
  isLast: boolean;
  idleMs: number;
  forcesTool: boolean;
  /** When the answer began (ms since 1970), for the waits that an error inside it tells. */
  now: number;
}

/** The one time limit that is in force at a time. */
class Limits {
  readonly #controller: AbortController;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(controller: AbortController) {
    this.#controller = controller;
  }

  start(ms: number, message: string): void {
    clearTimeout(this.#timer);
    this.#timer = ms === 0 ? undefined : setTimeout(() => this.#controller.abort(new LimitReached(message)), ms);
  }

  /**
   * Bytes were heard of a last candidate: from now on it must not fall silent. Until then it may think as long as it
   * likes, since nobody else is left to ask; a local model can take minutes to read its prompt.
   */
  heard(idleMs: number): void {
    if (this.#timer !== undefined) this.#timer.refresh();
    else this.start(idleMs, `connection lost: the upstream was silent for ${idleMs / 1000} s (server error)`);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

function flawOf(events: readonly ChatEvent[], forcesTool: boolean): Flaw | undefined {
  const watch = new AnswerWatch();
  for (const event of events) watch.see(event);
  return watch.flaw(forcesTool);
}

/** What an upstream last said that a stream has cost. */
export function usageIn(events: readonly ChatEvent[]): Usage | undefined {
  const said = events.findLast((event) => "usage" in event && event.usage !== undefined);
  return said !== undefined && "usage" in said ? said.usage : undefined;
}

type Chunk = { ok: true; value: Uint8Array | undefined } | { ok: false; failure: Failure };

/** The next bytes, or undefined at the end. */
async function readChunk(reader: ReadableStreamDefaultReader<Uint8Array>, { controller }: Reading): Promise<Chunk> {
  try {
    const { value } = await reader.read();
    return { ok: true, value };
  } catch (cause) {
    return { ok: false, failure: classifyThrown(cause, controller.signal) };
  }
}

async function readUntilCommit(reading: Reading): Promise<Outcome> {
  const { exchange, target, response, controller, limits, isLast, idleMs, forcesTool } = reading;
  const lane = buildLane(reading);
  // Bytes that are passed on as they came show the client whatever reasoning is in them.
  const seesReasoning = target.protocol === exchange.input.protocol || exchange.decoded.reasoningDisplay === "full";
  const reader = response.body?.getReader();
  const seen: ChatEvent[] = [];
  const live = (rest: typeof reader): Outcome => ({
    ok: true,
    answer: { kind: "live", headers: response.headers, lane, reader: rest, controller, events: seen, forcesTool },
  });
  const leave = (why: Failure): Outcome => {
    controller.abort(new Error("left for another candidate"));
    return { ok: false, failure: why, usage: usageIn(seen) };
  };
  for (;;) {
    const read: Chunk = reader === undefined ? { ok: true, value: undefined } : await readChunk(reader, reading);
    if (!read.ok && !lane.isWhole) return leave(read.failure);
    const bytes = read.ok ? read.value : undefined;
    const events = bytes === undefined ? lane.end() : lane.push(bytes);
    // Comments alone are no beginning: OpenRouter sends them while the model's turn has not come.
    if (isLast && (seen.length > 0 || events.length > 0)) limits.heard(idleMs);
    let hasContent = false;
    for (const event of events) {
      seen.push(event);
      // Where a call has to come, words are no answer yet.
      hasContent ||= commits(event, seesReasoning, !isLast && forcesTool);
      if (event.type === "error" && !hasContent) return leave(describeEarlyEnd(event.error, seen, reading));
      if (event.type === "finish" && !isLast) {
        const flaw = hasContent ? undefined : flawOf(seen, forcesTool);
        if (flaw !== undefined) return leave(failure(flaw.kind, flaw.message, { status: response.status }));
      }
    }
    const last = seen.at(-1)?.type;
    const isOver = bytes === undefined || last === "finish" || last === "error";
    if (!hasContent && !isOver) continue;
    if (!isOver) return live(reader);
    if (reader !== undefined && bytes !== undefined) void readOut(reader);
    return live(undefined);
  }
}

/** A stream that ends before it has said anything is better called empty than cut. */
function describeEarlyEnd(error: StreamError, seen: readonly ChatEvent[], { now, target }: Reading): Failure {
  const saidNothing = seen.every((event) => event.type === "start" || event.type === "usage" || event.type === "error");
  if (error.kind === "incomplete" && saidNothing) return failure("empty", "the stream ended without any content");
  return classifyStreamError(error, now, target.provider.rateLimitScope);
}

async function readWhole(reading: Reading, isStream: boolean): Promise<Outcome> {
  const { exchange, target, response, controller, isLast, forcesTool } = reading;
  const { status, headers } = response;
  const read = await readAll(reading);
  if (!read.ok) return read;
  const decoded = isStream ? decodeStreamed(read.bytes, reading) : decodeWhole(read.bytes, reading);
  if (!decoded.ok) return decoded;
  const { response: answer } = decoded;
  const flaw = isEmptyAnswer(answer)
    ? ({ kind: "empty", message: "the answer was empty" } as const)
    : flawOfWhole(answer, forcesTool);
  // A cut answer is the best there is of it; asked again, it would be cut again.
  if (!isLast && flaw !== undefined && flaw.kind !== "truncated") {
    return { ok: false, failure: failure(flaw.kind, flaw.message, { status }), usage: answer.usage };
  }
  const client = codecs[exchange.input.protocol];
  if (exchange.input.stream) {
    const events = eventsOf(answer);
    const lane = new TranslateLane(silent, client.streamEncoder(exchange.replyContext));
    lane.pushEvents(events);
    return { ok: true, answer: { kind: "live", headers, lane, reader: undefined, controller, events, forcesTool } };
  }
  const isPassedOn = target.protocol === exchange.input.protocol && !isStream;
  const body = isPassedOn ? read.bytes : JSON.stringify(client.encodeResponse(answer, exchange.replyContext));
  return { ok: true, answer: { kind: "whole", status, headers, body, usage: answer.usage, model: answer.model, flaw } };
}

async function readAll(
  reading: Reading,
): Promise<{ ok: true; bytes: Buffer<ArrayBuffer> } | { ok: false; failure: Failure }> {
  const { response, controller, limits, isLast, idleMs } = reading;
  if (response.headers.has("content-length")) {
    // A body of known length is sent in one go, so reading it in one go is as good, and cheaper.
    if (isLast) limits.heard(idleMs);
    try {
      return { ok: true, bytes: Buffer.from(await response.arrayBuffer()) };
    } catch (cause) {
      return { ok: false, failure: classifyThrown(cause, controller.signal) };
    }
  }
  const reader = response.body?.getReader();
  const chunks: Uint8Array[] = [];
  while (reader !== undefined) {
    const read = await readChunk(reader, reading);
    if (!read.ok) return read;
    if (read.value === undefined) break;
    if (isLast) limits.heard(idleMs);
    chunks.push(read.value);
  }
  return { ok: true, bytes: Buffer.concat(chunks) };
}

type Decoded = { ok: true; response: ChatResponse } | { ok: false; failure: Failure };

function decodeWhole(bytes: Buffer, { response: { status }, target, context, now }: Reading): Decoded {
  let body: Json;
  try {
    body = JSON.parse(bytes.toString("utf8")) as Json;
  } catch {
    const start = bytes.toString("utf8", 0, 80).trim();
    if (start === "") return { ok: false, failure: failure("empty", "the answer had no body", { status }) };
    return { ok: false, failure: failure("malformed", `expected JSON, got something else: ${start}`, { status }) };
  }
  try {
    return { ok: true, response: codecs[target.protocol].decodeResponse(body, context) };
  } catch (cause) {
    if (!(cause instanceof MalformedAnswer)) throw cause;
    const { message, code, status: meant } = cause;
    const kind = code === undefined && meant === undefined ? "malformed" : "reported";
    return {
      ok: false,
      failure: classifyStreamError({ kind, message, code, status: meant }, now, target.provider.rateLimitScope),
    };
  }
}

/** A stream where a whole answer was asked for. */
function decodeStreamed(bytes: Buffer, { target, context, now }: Reading): Decoded {
  const reader = new SseReader();
  const decoder = codecs[target.protocol].streamDecoder(context);
  const events = [...reader.push(bytes), ...reader.end()].flatMap((message) => decoder.push(message));
  const folded = foldEvents([...events, ...decoder.end()]);
  return folded.ok
    ? folded
    : { ok: false, failure: classifyStreamError(folded.error, now, target.provider.rateLimitScope) };
}

function buildLane({ exchange, target, context }: Reading): Lane {
  const { protocol, body, startedAt, id } = exchange.input;
  const upstream = codecs[target.protocol];
  const decoder = upstream.streamDecoder(context);
  if (target.protocol === protocol) {
    const place = {
      model: body.model,
      createdAt: Math.floor(startedAt / 1000),
      responseId: `resp_${id}`,
    };
    const clean = (text: string) => hideKeys(text, target, exchange.input.headers);
    return new PassLane(upstream, decoder, place, clean);
  }
  return new TranslateLane(decoder, codecs[protocol].streamEncoder(exchange.replyContext));
}

/** The decoder of a lane whose events are handed to it ready-made. */
const silent = { push: () => [], end: () => [] };
