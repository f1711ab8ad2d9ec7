/** One model request from its body to its answer: route, cascade, and whichever reply the client asked for. */

import { failure } from "../../providers/failure.ts";
import { renderModelReference } from "../../providers/model-reference.ts";
import { ClientLeft, GatewayStopped } from "../../providers/upstream.ts";
import type { Log } from "../log.ts";
import { answerWithoutSearch } from "../protocols/anthropic-messages/web-search.ts";
import type { Protocol } from "../protocols/chat.ts";
import type { GatewayError } from "../protocols/codec.ts";
import type { RequestBody } from "./body.ts";
import type { Captures } from "./capture.ts";
import { type CascadeDeps, type CascadeResult, recordAttempt, runCascade } from "./cascade.ts";
import type { ClientWatch } from "./client-watch.ts";
import type { Compressed } from "./compression.ts";
import { Exchange } from "./exchange.ts";
import { renderAll } from "./lane.ts";
import type { Ledger } from "./ledger.ts";
import { encodeLocalAnswer, findLocalAnswer } from "./local-answers.ts";
import { makeId, openEntry } from "./open-entry.ts";
import type { OverflowBrake } from "./overflow-brake.ts";
import type { Caller } from "./recognise.ts";
import { describeBadRequest, type ReplyHeaders, replyHeaders, sendError, streamHeaders } from "./reply.ts";
import { describeRequest, type RuleHelpers } from "./route-request.ts";
import { hasNoRules, planRoute, type RoutePlan, type Routing, type Target } from "./router.ts";
import type { RuleHits } from "./rule-hits.ts";
import { StreamReply } from "./stream-reply.ts";
import type { Calibration } from "./token-count.ts";
import { TrailNotes } from "./trail.ts";

export interface ConversationDeps {
  routing: Routing;
  helpers: RuleHelpers;
  hits: RuleHits;
  ledger: Ledger;
  log: Log;
  captures: Pick<Captures, "begin">;
  calibration: Calibration;
  cascade: CascadeDeps;
  brake: OverflowBrake;
  clients: ClientWatch;
  /** Milliseconds since 1970. */
  now(): number;
  /** Undefined where requests go on as they came. */
  compress: Compress | undefined;
  /** Whether compression has cost this session more than it saved. */
  isHarmful(session: string): boolean;
}

/**
 * Makes a request smaller; undefined where it must go on as it is. Takes no longer than it is worth and never fails.
 * @throws {ClientLeft} when nobody waits for the answer any more
 */
export type Compress = (
  protocol: Protocol,
  body: RequestBody,
  session: string | undefined,
) => Promise<Compressed | undefined>;

/** A request under way: how to end it early, and how it is taken off the list when it has ended. */
export interface UnderWay {
  stop(error: GatewayError): void;
  leave(): void;
  /** A streamed answer takes itself off at its end; any other is done when its response is returned. */
  leavesLater: boolean;
  /** For whoever watches: undefined until it is known what is asked, and for what no model is asked for. */
  exchange: Exchange | undefined;
  /** Undefined until the answer is streamed. */
  reply: StreamReply | undefined;
}

/** @throws {ProtocolError} for a body without a model, or none that a rule can read; everything later is an answer */
export async function converse(
  protocol: Protocol,
  raw: Request,
  body: RequestBody,
  caller: Caller,
  underWay: UnderWay,
  deps: ConversationDeps,
): Promise<Response> {
  const described = describeRequest(protocol, raw.headers, body, caller, deps.routing, deps.helpers);
  const request = described instanceof Promise ? await described : described;
  const route = planRoute(request, deps.routing);
  deps.hits.count(route.key);
  const { targets } = route;
  const local = findLocalAnswer(protocol, caller.agent, body);
  const isLocal = local !== undefined && targets.length > 0 && !hasNoRules(request, deps.routing);
  const plan = isLocal ? { ...route, rule: `local answer: ${local}`, targets: [] } : route;
  const startedAt = deps.now();
  const compressed =
    deps.compress === undefined || isLocal ? undefined : await compress(protocol, body, caller, plan, deps);
  const exchange = begin(protocol, raw, compressed?.body ?? body, caller, plan, startedAt, deps);
  exchange.input.entry.compressed = compressed;
  if (isLocal) return answerLocally(exchange);
  exchange.capture = deps.captures.begin(
    exchange.input.id,
    protocol,
    body.bytes,
    raw.headers,
    exchange.input.query,
    startedAt,
  );
  underWay.exchange = exchange;
  underWay.stop = (error) => exchange.cancel(new GatewayStopped(error.message));
  const watch = deps.clients.watch(raw, exchange);
  try {
    const cascade = runSafely(exchange, targets, caller, deps);
    if (!exchange.input.stream) return answerWhole(exchange, await cascade, deps);
    const early = await withinPatience(exchange, cascade, deps.cascade.patienceMs);
    if (early !== undefined && !early.ok) return answerWhole(exchange, early, deps);
    return answerStream(exchange, cascade, early, underWay, deps);
  } catch (cause) {
    deps.log("the gateway failed on this request", { level: "error", request: exchange.input.id, error: cause });
    exchange.input.entry.finish({ status: "error", httpStatus: 502, error: "the gateway failed on this request" });
    return sendError(protocol, { kind: "upstream", message: "the gateway failed on this request: see its log" });
  } finally {
    if (!underWay.leavesLater) {
      watch.end();
      exchange.release();
    }
  }
}

/** The prompt cache of Anthropic's own models is worth more than what compression saves. */
async function compress(
  protocol: Protocol,
  body: RequestBody,
  caller: Caller,
  { targets }: RoutePlan,
  deps: ConversationDeps,
): Promise<Compressed | undefined> {
  const { session = caller.launch?.launchId } = caller;
  if (targets.length === 0 || targets[0]?.provider.isAnthropic === true) return undefined;
  if (session !== undefined && deps.isHarmful(session)) return undefined;
  return deps.compress?.(protocol, body, session);
}

function begin(
  protocol: Protocol,
  raw: Request,
  body: RequestBody,
  caller: Caller,
  plan: RoutePlan,
  now: number,
  deps: ConversationDeps,
): Exchange {
  const { model, stream } = body;
  const id = makeId(now);
  const trail = new TrailNotes(plan.targets, now, plan.steps);
  const entry = openEntry({ id, protocol, stream, model, caller, plan, now }, deps.ledger, trail);
  const query = raw.url.indexOf("?");
  return new Exchange({
    id,
    protocol,
    body,
    stream,
    headers: raw.headers,
    query: query < 0 ? "" : raw.url.slice(query),
    startedAt: now,
    entry,
    trail,
    session: caller.session,
  });
}

/** No model was asked. */
function answerLocally(exchange: Exchange): Response {
  const { entry, protocol, stream, id } = exchange.input;
  const answer = encodeLocalAnswer(protocol, exchange.replyContext);
  entry.finish({ status: "completed", httpStatus: 200, servedBy: servedLocally });
  const headers: ReplyHeaders = {
    "content-type": "application/json",
    ...(stream ? streamHeaders : {}),
    "x-clutch-request-id": id,
    "x-clutch-served-by": servedLocally,
    "x-clutch-attempts": "0",
  };
  return new Response(answer, { headers });
}

/** What stands for a provider and a model where the gateway itself has answered. */
const servedLocally = "clutch:local";

/** A request that does not decode is the client's mistake; anything else that is thrown is ours. */
async function runSafely(
  exchange: Exchange,
  targets: readonly Target[],
  caller: Caller,
  deps: ConversationDeps,
): Promise<CascadeResult> {
  try {
    const result = await runCascade(exchange, targets, deps.cascade);
    const session = caller.session ?? caller.launch?.launchId;
    if (session !== undefined) {
      if (result.ok) deps.brake.answered(session);
      else if (result.error.kind === "context-overflow") await holdBack(exchange, session, deps);
    }
    return result;
  } catch (cause) {
    const told = describeBadRequest(cause);
    if (told === undefined) {
      deps.log("the gateway failed on this request", { level: "error", request: exchange.input.id, error: cause });
    }
    const error: GatewayError = told ?? {
      kind: "upstream",
      message: "the gateway failed on this request: see its log",
    };
    return { ok: false, error: { ...error, requestId: exchange.input.id }, left: [], skipped: [], headers: {} };
  }
}

/** Holds an overflow back when the session has had too many in a row. */
async function holdBack(exchange: Exchange, session: string, { brake, now }: ConversationDeps): Promise<void> {
  const untilMs = now() + brake.overflowed(session);
  while (now() < untilMs && !exchange.isCancelled) await Bun.sleep(Math.min(250, untilMs - now()));
}

/** What the cascade found in time; undefined when the client should be shown a sign of life first. */
async function withinPatience(
  exchange: Exchange,
  cascade: Promise<CascadeResult>,
  patienceMs: number,
): Promise<CascadeResult | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, patienceMs, undefined);
  });
  const early = await Promise.race([cascade, patience]);
  clearTimeout(timer);
  // Opening a stream needs the request's own terms; one that has none waits for the upstream's word.
  return early ?? (exchange.isDecodable ? undefined : cascade);
}

function answerStream(
  exchange: Exchange,
  cascade: Promise<CascadeResult>,
  early: CascadeResult | undefined,
  underWay: UnderWay,
  deps: ConversationDeps,
): Response {
  const { size } = exchange.input.body;
  const reply = new StreamReply(exchange, {
    now: deps.now,
    idleMs: deps.cascade.idleMs,
    onUsage: (servedBy, usage) => deps.calibration.observe(servedBy, size, usage),
    onEnd: () => underWay.leave(),
  });
  underWay.leavesLater = true;
  underWay.reply = reply;
  underWay.stop = (error) => reply.interrupt(error);
  const headers = { ...replyHeaders(exchange, early), ...streamHeaders };
  if (early !== undefined) reply.adopt(early);
  else {
    exchange.input.trail.opened(deps.now());
    reply.open();
    void cascade.then((result) => reply.adopt(result));
  }
  return new Response(reply.body, { status: 200, headers });
}

function answerWhole(exchange: Exchange, result: CascadeResult, deps: ConversationDeps): Response {
  const { entry, protocol, body, startedAt } = exchange.input;
  if (!result.ok) {
    const unsearched = explainSearch(exchange, result);
    const response = unsearched ?? sendError(protocol, result.error, replyHeaders(exchange, result));
    const status = exchange.isCancelled ? "aborted" : "error";
    entry.finish({ status, httpStatus: response.status, error: result.error.message });
    return response;
  }
  const { answer, target, attemptStartedAt } = result;
  if (answer.kind !== "whole") throw new Error("a stream was not asked for");
  const now = deps.now();
  const servedBy = renderModelReference({ provider: target.provider.id, model: target.model });
  const headers = replyHeaders(exchange, result);
  headers["content-type"] = "application/json";
  const left = exchange.isCancelled ? failure("aborted", new ClientLeft().message) : undefined;
  if (left !== undefined) result.ticket.unknown();
  else if (answer.flaw === undefined) result.ticket.served();
  else result.ticket.servedBadly(answer.flaw);
  recordAttempt(exchange, target, attemptStartedAt, now - attemptStartedAt, left);
  exchange.capture?.write(answer.body);
  if (answer.usage !== undefined) deps.calibration.observe(servedBy, body.size, answer.usage);
  entry.finish({
    status: left === undefined ? "completed" : "aborted",
    httpStatus: answer.status,
    servedBy,
    firstTokenMs: now - startedAt,
    usage: answer.usage,
  });
  return new Response(answer.body, { status: answer.status, headers });
}

/** A Messages client whose search no candidate can run gets it said as a tool error, whole or streamed. */
function explainSearch(exchange: Exchange, result: CascadeResult & { ok: false }): Response | undefined {
  const { id, protocol, stream, body } = exchange.input;
  const [first] = result.left;
  const isUnsupported = result.left.every(({ failure: why }) => why.kind === "unsupported");
  if (protocol !== "messages" || first === undefined || !isUnsupported) return undefined;
  const { whole, streamed } = answerWithoutSearch(id, body.model, first.failure.message);
  const headers = { ...replyHeaders(exchange, result), "x-clutch-served-by": servedLocally };
  if (!stream) return Response.json(whole, { headers });
  return new Response(renderAll(streamed), { headers: { ...headers, ...streamHeaders } });
}
