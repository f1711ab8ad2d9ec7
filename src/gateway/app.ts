/** The gateway's HTTP face: one route per inbound protocol, what agents probe for, and the operational routes. */

import { type Context, Hono } from "hono";
import { renderModelReference } from "../../providers/model-reference.ts";
import { answerWithoutSearch } from "../protocols/anthropic-messages/web-search.ts";
import type { Protocol } from "../protocols/chat.ts";
import { type GatewayError, ProtocolError } from "../protocols/codec.ts";
import { codecs } from "../protocols/index.ts";
import { version } from "../version.ts";
import { BodyTooLarge, RequestBody, readBody } from "./body.ts";
import { type CascadeDeps, type CascadeResult, type LeftCandidate, recordAttempt, runCascade } from "./cascade.ts";
import type { TokenCounter } from "./count-endpoint.ts";
import { ClientLeft, Exchange } from "./exchange.ts";
import { refuseForeign } from "./guard.ts";
import { renderAll } from "./lane.ts";
import type { Ledger } from "./ledger.ts";
import { type Caller, recognise } from "./recognise.ts";
import { Roster } from "./roster.ts";
import { planRoute, type Routing, routableModels, type Target } from "./router.ts";
import { StreamReply } from "./stream-reply.ts";
import type { Calibration } from "./token-count.ts";

export interface AppDeps {
  /** Read anew for each request, so that a changed config takes effect at once. */
  routing(): Routing;
  ledger: Ledger;
  counter: TokenCounter;
  calibration: Calibration;
  cascade(): CascadeDeps;
  /** Milliseconds since 1970. */
  now(): number;
  /** The host the server listens on. */
  host: string;
  /** Whether this key opens the gateway; always true when no key is required. */
  admits(caller: Caller): boolean;
  /** Things a person should know: they stand in /health. */
  problems(): string[];
}

export interface App {
  fetch(request: Request): Response | Promise<Response>;
  inFlight(): number;
  /** From now on new requests are refused; resolves when the ones under way have ended, or after `limitMs`. */
  drain(limitMs: number): Promise<void>;
}

/** A request under way, and how to end it early. */
interface UnderWay {
  stop(error: GatewayError): void;
}

const inbound = {
  "/v1/messages": "messages",
  "/v1/chat/completions": "chat",
  "/v1/responses": "responses",
} as const satisfies Record<string, Protocol>;

export function createApp(deps: AppDeps): App {
  const startedAt = deps.now();
  const underWay = new Roster<UnderWay>();
  let draining = false;
  let allEnded: (() => void) | undefined;
  const inFlight = () => underWay.size;
  /** @returns how to take it off again */
  const enter = (place: UnderWay) => {
    const leave = underWay.add(place);
    return () => {
      leave();
      if (inFlight() === 0) allEnded?.();
    };
  };

  const app = new Hono();

  app.on("HEAD", "*", (c) => c.body(null, 200));

  app.post("/v1/messages/count_tokens", (c) => accept(c, "messages", count));

  for (const [path, protocol] of Object.entries(inbound)) app.post(path, (c) => accept(c, protocol, answer));

  app.get("/v1/responses", (c) => {
    if (c.req.header("upgrade")?.toLowerCase() !== "websocket") return notFound(c);
    return c.json(
      { error: { message: "WebSocket is not offered here: use POST /v1/responses", type: "invalid_request_error" } },
      426,
    );
  });

  // Nothing is stored here, and compaction belongs to the agent: what a client may look for is not there, plainly.
  app.post("/v1/responses/compact", notFound);
  app.on(["GET", "DELETE"], "/v1/responses/:id", notFound);

  app.get("/v1/models/:id{.+}", (c) => {
    const id = routableModels(deps.routing()).find((known) => known === c.req.param("id"));
    return id === undefined ? notFound(c) : c.json({ id, object: "model", created: 0, owned_by: "clutch" });
  });

  app.get("/v1/models", (c) => {
    const ids = routableModels(deps.routing());
    if (c.req.header("anthropic-version") === undefined) {
      return c.json({
        object: "list",
        data: ids.map((id) => ({ id, object: "model", created: 0, owned_by: "clutch" })),
      });
    }
    const data = ids.map((id) => ({ type: "model", id, display_name: id, created_at: "1970-01-01T00:00:00Z" }));
    return c.json({ data, has_more: false, first_id: ids[0] ?? null, last_id: ids.at(-1) ?? null });
  });

  app.get("/livez", (c) => c.json({ status: "ok", in_flight: inFlight(), draining }));

  app.get("/health", (c) => {
    const problems = deps.problems();
    const body = {
      status: draining ? "draining" : problems.length > 0 ? "degraded" : "ok",
      service: "clutch",
      version,
      pid: process.pid,
      uptime_seconds: Math.round((deps.now() - startedAt) / 1000),
      in_flight: inFlight(),
      problems,
    };
    return c.json(body, draining ? 503 : 200);
  });

  app.notFound(notFound);

  app.onError((error, c) => {
    console.error(error);
    return sendError(protocolOf(c.req.path), {
      kind: "upstream",
      message: "the gateway failed on this request: see its log",
    });
  });

  type Answer = (protocol: Protocol, raw: Request, body: RequestBody, caller: Caller) => Promise<Response>;

  /** What every request with a body goes through first; mistakes are told in the client's protocol. */
  async function accept(c: Context, protocol: Protocol, next: Answer): Promise<Response> {
    if (draining) {
      return sendError(protocol, {
        kind: "overloaded",
        message: "the gateway is shutting down: try again in a moment",
        retryAfterMs: 2000,
      });
    }
    const { raw } = c.req;
    const caller = recognise(raw.headers);
    if (!deps.admits(caller)) {
      return sendError(protocol, {
        kind: "authentication",
        message: "this gateway requires a key: start the agent with xx",
      });
    }
    try {
      return await next(protocol, raw, new RequestBody(await readBody(raw)), caller);
    } catch (cause) {
      const told = describeBadRequest(cause);
      if (told === undefined) throw cause;
      return sendError(protocol, told);
    }
  }

  async function count(protocol: Protocol, raw: Request, body: RequestBody, caller: Caller): Promise<Response> {
    const { keepsOwnLogin, launch } = caller;
    const asked = { protocol, model: body.model, hasTools: false, launch, keepsOwnLogin };
    const [target] = planRoute(asked, deps.routing()).targets;
    return Response.json(await deps.counter.count(body, raw.headers, target));
  }

  async function answer(protocol: Protocol, raw: Request, body: RequestBody, caller: Caller): Promise<Response> {
    const { model, stream } = body;
    const now = deps.now();
    const id = makeId(now);
    const routing = deps.routing();
    const { keepsOwnLogin, launch } = caller;
    // Only a config with tool-call models makes it worth looking for tools in the body.
    const hasTools = routing.config.toolcall_models.length > 0 && body.hasTools;
    const route = planRoute({ protocol, model, hasTools, launch, keepsOwnLogin }, routing);
    const entry = deps.ledger.begin({
      id,
      startedAt: now,
      status: "pending",
      protocol,
      streamed: stream,
      agent: caller.agent ?? null,
      code: launch?.code ?? null,
      launchId: launch?.launchId ?? null,
      session: caller.session ?? null,
      modelRequested: model.slice(0, 256),
      rule: route.rule,
      attempts: 0,
    });
    const query = raw.url.indexOf("?");
    const exchange = new Exchange({
      id,
      protocol,
      body,
      stream,
      headers: raw.headers,
      query: query < 0 ? "" : raw.url.slice(query),
      startedAt: now,
      entry,
    });
    raw.signal.addEventListener("abort", () => exchange.cancel(new ClientLeft()));
    const place: UnderWay = { stop: (error) => exchange.cancel(new Error(error.message)) };
    const leave = enter(place);
    const cascadeDeps = deps.cascade();
    const cascade = runSafely(exchange, route.targets, cascadeDeps);
    if (!stream) return answerWhole(exchange, await cascade, leave);

    const { patienceMs } = cascadeDeps;
    let patience: ReturnType<typeof setTimeout> | undefined;
    let early = await Promise.race([
      cascade,
      new Promise<undefined>((resolve) => {
        patience = setTimeout(resolve, patienceMs, undefined);
      }),
    ]);
    clearTimeout(patience);
    if (early === undefined && !canBeDecoded(exchange)) early = await cascade;
    if (early !== undefined && !early.ok) return answerWhole(exchange, early, leave);
    const reply = new StreamReply(exchange, {
      now: deps.now,
      idleMs: cascadeDeps.idleMs,
      onUsage: (servedBy, usage) => deps.calibration.observe(servedBy, body.bytes.length, usage),
      onEnd: leave,
    });
    place.stop = (error) => reply.interrupt(error);
    if (early === undefined) {
      reply.open();
      void cascade.then((result) => reply.adopt(result));
    } else reply.adopt(early);
    const headers = replyHeaders(exchange, early);
    for (const [name, value] of Object.entries(streamHeaders)) headers.set(name, value);
    return new Response(reply.body, { status: 200, headers });
  }

  /** A bug or a request that does not decode must end the ledger's row like any other failure. */
  async function runSafely(
    exchange: Exchange,
    targets: readonly Target[],
    cascadeDeps: CascadeDeps,
  ): Promise<CascadeResult> {
    try {
      return await runCascade(exchange, targets, cascadeDeps);
    } catch (cause) {
      const told = describeBadRequest(cause);
      if (told === undefined) console.error(cause);
      return {
        ok: false,
        error: told ?? { kind: "upstream", message: "the gateway failed on this request: see its log" },
        left: [],
      };
    }
  }

  function answerWhole(exchange: Exchange, result: CascadeResult, leave: () => void): Response {
    const { entry, protocol } = exchange.input;
    let response: Response;
    const unsearched = result.ok ? undefined : explainSearch(exchange, result.left);
    if (unsearched !== undefined) {
      response = unsearched;
      entry.finish({
        status: "error",
        httpStatus: response.status,
        error: "web search is not available for any candidate",
      });
    } else if (!result.ok) {
      const error = { ...result.error, requestId: exchange.input.id };
      response = sendError(protocol, error, replyHeaders(exchange, result));
      entry.finish({
        status: exchange.isCancelled ? "aborted" : "error",
        httpStatus: response.status,
        error: error.message,
      });
    } else {
      const { answer: given, target, attemptStartedAt } = result;
      if (given.kind !== "whole") throw new Error("a stream was not asked for");
      const headers = replyHeaders(exchange, result);
      headers.set("content-type", "application/json");
      response = new Response(given.body, { status: given.status, headers });
      const now = deps.now();
      const servedBy = renderModelReference({ provider: target.provider.id, model: target.model });
      recordAttempt(exchange, target, attemptStartedAt, now - attemptStartedAt, undefined);
      if (given.usage !== undefined) deps.calibration.observe(servedBy, exchange.input.body.bytes.length, given.usage);
      entry.finish({
        status: "completed",
        httpStatus: given.status,
        servedBy,
        firstTokenMs: now - exchange.input.startedAt,
        ...(given.usage === undefined ? {} : { usage: given.usage }),
      });
    }
    leave();
    return response;
  }

  return {
    fetch(request) {
      // Before the router rather than as its middleware, which would put every request through one more promise.
      const refusal = refuseForeign(request.headers, deps.host);
      if (refusal === undefined) return app.fetch(request);
      return sendError(protocolOf(new URL(request.url).pathname), { kind: "permission", message: refusal });
    },
    inFlight,
    async drain(limitMs) {
      draining = true;
      if (inFlight() === 0) return;
      const timedOut = await Promise.race([
        new Promise<false>((resolve) => {
          allEnded = () => resolve(false);
        }),
        new Promise<true>((resolve) => setTimeout(resolve, limitMs, true)),
      ]);
      if (!timedOut) return;
      const error: GatewayError = {
        kind: "overloaded",
        message: "connection lost: the gateway was stopped (server error)",
      };
      for (const place of underWay.list()) place.stop(error);
      await Bun.sleep(100);
    },
  };
}

/** A Messages client whose search no candidate can run gets it said as a tool error, whole or streamed. */
function explainSearch(exchange: Exchange, left: readonly LeftCandidate[]): Response | undefined {
  const { id, protocol, stream, body } = exchange.input;
  const [first] = left;
  const isUnsupported = left.every(({ failure }) => failure.kind === "unsupported");
  if (protocol !== "messages" || first === undefined || !isUnsupported) return undefined;
  const { whole, streamed } = answerWithoutSearch(id, body.model, first.failure.message);
  const headers = { "x-clutch-request-id": id, "x-clutch-served-by": "clutch:local" };
  if (!stream) return Response.json(whole, { headers });
  return new Response(renderAll(streamed), { headers: { ...headers, ...streamHeaders } });
}

const streamHeaders = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" };

/** Opening a stream ahead of the upstream needs the request's own terms; one that has none waits for the upstream's word. */
function canBeDecoded(exchange: Exchange): boolean {
  try {
    return exchange.decoded !== undefined;
  } catch {
    return false;
  }
}

/** Undefined for anything that is not the client's mistake. */
function describeBadRequest(cause: unknown): GatewayError | undefined {
  if (cause instanceof BodyTooLarge) return { kind: "too-large", message: cause.message };
  if (!(cause instanceof ProtocolError)) return undefined;
  const { message, code, param } = cause;
  return {
    kind: "invalid-request",
    message,
    ...(code === undefined ? {} : { code }),
    ...(param === undefined ? {} : { param }),
  };
}

function protocolOf(path: string): Protocol {
  if (path.startsWith("/v1/messages")) return "messages";
  return path.startsWith("/v1/responses") ? "responses" : "chat";
}

function sendError(protocol: Protocol, error: GatewayError, headers = new Headers()): Response {
  const { status, body } = codecs[protocol].encodeError(error);
  headers.set("content-type", "application/json");
  if (error.retryAfterMs !== undefined)
    headers.set("retry-after", String(Math.max(1, Math.ceil(error.retryAfterMs / 1000))));
  return new Response(JSON.stringify(body), { status, headers });
}

function notFound(c: Context): Response {
  const doubled = c.req.path.startsWith("/v1/v1/");
  const message = doubled
    ? `${c.req.path} has /v1 twice: take it off the base URL`
    : `${c.req.method} ${c.req.path} is not served here`;
  return sendError(protocolOf(doubled ? c.req.path.slice(3) : c.req.path), { kind: "not-found", message });
}

/** Headers of the upstream that its own client knows how to read. */
const returned =
  /^(?:request-id|x-request-id|x-should-retry|retry-after|x-generation-id|(?:x|anthropic)-ratelimit-.*|openai-(?:processing-ms|version))$/;

function replyHeaders(exchange: Exchange, result: CascadeResult | undefined): Headers {
  const headers = new Headers();
  if (result?.ok === true) {
    for (const [name, value] of result.answer.headers) if (returned.test(name)) headers.set(name, value);
  }
  headers.set("x-clutch-request-id", exchange.input.id);
  const { attempts } = exchange.input.entry.row;
  if (result === undefined) headers.set("x-clutch-served-by", "pending");
  else if (result.ok) {
    const { provider, model } = result.target;
    headers.set("x-clutch-served-by", headerText(renderModelReference({ provider: provider.id, model })));
  }
  headers.set("x-clutch-attempts", String(attempts + (result?.ok === true ? 1 : 0)));
  return headers;
}

/** A header may hold visible ASCII only; anything else in a model's name is percent-encoded. */
function headerText(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : encodeURIComponent(text);
}

/** Sorts by time, short enough to type: 8 characters of milliseconds and 6 random ones, base 36. */
function makeId(now: number): string {
  return now.toString(36) + Math.random().toString(36).slice(2, 8).padEnd(6, "0");
}
