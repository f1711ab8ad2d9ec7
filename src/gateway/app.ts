/** The gateway's HTTP face: one route per inbound protocol, what agents probe for, and the operational routes. */

import { type Context, Hono } from "hono";
import type { JsonObject, Protocol } from "../protocols/chat.ts";
import type { GatewayError } from "../protocols/codec.ts";
import { version } from "../version.ts";
import type { createAdmin } from "./admin.ts";
import { RequestBody, readBody } from "./body.ts";
import type { Budgets } from "./budgets.ts";
import { ClientWatch } from "./client-watch.ts";
import { compactBeside } from "./compaction.ts";
import { type Compress, type ConversationDeps, converse, type UnderWay } from "./conversation.ts";
import type { TokenCounter } from "./count-endpoint.ts";
import type { Answer as AnswerOf, operationalEndpoints } from "./endpoints.ts";
import { contentType } from "./exposition.ts";
import { type FlightReport, reportFlights } from "./flights.ts";
import { type Front, frontHeader, notWaitedFor, roundAgain } from "./front.ts";
import type { Admission } from "./gate.ts";
import { addressOf, type PeerSource, refuseForeign } from "./guard.ts";
import { comesFromUs, loop } from "./hops.ts";
import { describeKey, type Key } from "./keyring.ts";
import type { ReadyReport } from "./ready.ts";
import { type Caller, recognise } from "./recognise.ts";
import { describeBadRequest, type ReplyHeaders, sendError } from "./reply.ts";
import { Roster } from "./roster.ts";
import { describeRequest } from "./route-request.ts";
import { planRoute, type Routing, routableModels, type Target, targetsOf } from "./router.ts";
import { forbid } from "./screen.ts";

export interface AppDeps
  extends Pick<
    ConversationDeps,
    "ledger" | "log" | "captures" | "calibration" | "brake" | "now" | "helpers" | "hits" | "isHarmful"
  > {
  /** Read anew for each request, so that a changed config takes effect at once. */
  routing(): Routing;
  /** @param caller whose leave and budget it goes by; left out where nobody is asked */
  cascade(caller?: Caller): ConversationDeps["cascade"];
  counter: TokenCounter;
  /** Whether requests would be answered as they should. */
  ready(): Promise<ReadyReport>;
  /** In Prometheus' text format. */
  metrics(): string;
  /** Told of requests that no model is looked for. */
  onRefused(kind: GatewayError["kind"]): void;
  /** What may still be used. */
  budgets: Pick<Budgets, "limits" | "judge" | "enter">;
  /** The host the server listens on. */
  host: string;
  /** Whether this caller is let in. @param findAddress of the socket's other end */
  admit(caller: Caller, findAddress: () => string | undefined): Admission;
  /** Things a person should know: they stand in /health. */
  problems(): string[];
  /** Makes what stands under /admin, when it is asked for the first time. */
  admin(): Promise<ReturnType<typeof createAdmin>>;
  /** The way through Headroom. */
  front: Front;
  /** Compresses requests that do not come through it; undefined where nothing does. */
  sidecar(): Compress | undefined;
  /** Stands in requests to servers that could be this one. */
  instance: string;
}

export interface App {
  /** @param peers knows the socket behind the request; without it nothing under /admin is served */
  fetch(request: Request, peers?: PeerSource): Response | Promise<Response>;
  inFlight(): number;
  isDraining(): boolean;
  /** Model requests on their way, as they stand at this moment, the oldest first. */
  flights(): FlightReport[];
  /**
   * From now on new requests are refused. Resolves when the answers under way are complete, or after `limitMs`, when the
   * rest is ended in its own protocol's error.
   */
  drain(limitMs: number): Promise<void>;
}

const inbound = {
  "/v1/messages": "messages",
  "/v1/chat/completions": "chat",
  "/v1/responses": "responses",
} as const satisfies Record<string, Protocol>;

/** Before the paths of those agents that may go through Headroom. */
const frontPath = "/front";

/** Tells of a limit that is reached. */
const budgetHeader = "x-clutch-budget";

type Answer200<Name extends keyof typeof operationalEndpoints> = AnswerOf<(typeof operationalEndpoints)[Name]>;

/** What stands behind every request: who is at the other end of its socket. */
interface Bindings {
  Bindings: Partial<PeerSource> | undefined;
}

export function createApp(deps: AppDeps): App {
  const startedAt = deps.now();
  const underWay = new Roster<UnderWay>();
  const clients = new ClientWatch();
  let draining = false;
  let allEnded: (() => void) | undefined;
  const inFlight = () => underWay.size;
  const enter = (): UnderWay => {
    const request: UnderWay = {
      stop() {},
      leave() {},
      leavesLater: false,
      exchange: undefined,
      reply: undefined,
    };
    const takeOff = underWay.add(request);
    request.leave = () => {
      takeOff();
      if (inFlight() === 0) allEnded?.();
    };
    return request;
  };

  const app = new Hono<Bindings>();

  app.post("/v1/messages/count_tokens", (c) => accept(c.req.raw, "messages", count, c.env));

  for (const [path, protocol] of Object.entries(inbound))
    app.post(path, (c) => accept(c.req.raw, protocol, withinBudget(answer), c.env));

  app.get("/v1/responses", (c) => {
    if (c.req.header("upgrade")?.toLowerCase() !== "websocket") return notFound(c);
    return c.json(
      { error: { message: "WebSocket is not offered here: use POST /v1/responses", type: "invalid_request_error" } },
      426,
    );
  });

  app.post("/v1/responses/compact", (c) => accept(c.req.raw, "responses", withinBudget(compact), c.env));
  // Nothing is stored here: what a client may look for is not there, plainly.
  app.on(["GET", "DELETE"], "/v1/responses/:id", notFound);

  app.get("/v1/models/:id{.+}", (c) => {
    const admission = admitted(c);
    if (!admission.ok) return sendError("chat", admission.error);
    const id = modelsFor(admission.grant).find((known) => known === c.req.param("id"));
    return id === undefined ? notFound(c) : c.json(describeModel(id));
  });

  app.get("/v1/models", (c) => {
    const isAnthropic = c.req.header("anthropic-version") !== undefined;
    const admission = admitted(c);
    if (!admission.ok) return sendError(isAnthropic ? "messages" : "chat", admission.error);
    const ids = modelsFor(admission.grant);
    if (!isAnthropic) {
      return c.json({ object: "list", data: ids.map(describeModel) });
    }
    const data = ids.map((id) => ({ type: "model", id, display_name: id, created_at: "1970-01-01T00:00:00Z" }));
    return c.json({ data, has_more: false, first_id: ids[0] ?? null, last_id: ids.at(-1) ?? null });
  });

  /** Names that mean something to whoever asks: a key may be for some models only. */
  function modelsFor(key: Key | undefined): string[] {
    const ids = routableModels(deps.routing());
    if (key?.models === undefined) return ids;
    return ids.filter((id) =>
      targetsOf(id, deps.routing()).some(({ provider, model }) => key.admitsModel(provider.id, model)),
    );
  }

  /** With the smallest window of those that may answer: Hermes believes it, as OpenRouter's list has it. */
  function describeModel(id: string): JsonObject {
    const { factsOf } = deps.cascade();
    const windows = targetsOf(id, deps.routing()).flatMap((target) => factsOf(target)?.context ?? []);
    const window = windows.length === 0 ? {} : { context_length: Math.min(...windows) };
    return { id, object: "model", created: 0, owned_by: "clutch", ...window };
  }

  app.get("/livez", (c) => {
    const answer: Answer200<"livez"> = { status: "ok", in_flight: inFlight(), draining };
    return c.json(answer);
  });

  app.get("/openapi.json", async (c) => {
    // Nobody who starts a gateway should wait for what is hardly ever asked for.
    const { openApi } = await import("./openapi.ts");
    return c.json(openApi());
  });

  app.get("/health", (c) => {
    const problems = deps.problems();
    const status = draining ? "draining" : problems.length > 0 ? "degraded" : "ok";
    const details = {
      version,
      pid: process.pid,
      uptime_seconds: Math.round((deps.now() - startedAt) / 1000),
      in_flight: inFlight(),
      problems,
    };
    const answer: Answer200<"health"> = { status, service: "clutch", ...(admitted(c).ok ? details : {}) };
    return c.json(answer, draining ? 503 : 200);
  });

  app.get("/ready", async (c) => {
    const { status, ...details } = await deps.ready();
    const answer: Answer200<"ready"> = { status, ...(admitted(c).ok ? details : {}) };
    return c.json(answer, status === "ready" ? 200 : 503);
  });

  app.get("/metrics", (c) => {
    const admission = admitted(c);
    if (!admission.ok) return sendError("chat", admission.error);
    return new Response(deps.metrics(), { headers: { "content-type": contentType } });
  });

  // Apart from the rest: its wildcard would take the router's short way from every model request.
  let admin: Promise<Hono> | undefined;
  const openAdmin = async () => new Hono().route("/admin", await deps.admin());

  app.notFound(notFound);

  app.onError((error, c) => {
    deps.log("the gateway failed on a request", { level: "error", error });
    return sendError(protocolOf(c.req.path), {
      kind: "upstream",
      message: "the gateway failed on this request: see its log",
    });
  });

  type Answer = (
    protocol: Protocol,
    raw: Request,
    body: RequestBody,
    caller: Caller,
    place: UnderWay,
  ) => Promise<Response>;

  /** What every request with a body goes through first; mistakes are told in the client's protocol. */
  async function accept(
    raw: Request,
    protocol: Protocol,
    next: Answer,
    peers: Partial<PeerSource> | undefined,
  ): Promise<Response> {
    const passage = raw.headers.get(frontHeader);
    if (passage !== null) return (await deps.front.arrive(passage, protocol, raw)) ?? sendError(protocol, notWaitedFor);
    if (comesFromUs(raw.headers, deps.instance)) return refused(protocol, loop);
    if (draining) {
      return refused(protocol, {
        kind: "overloaded",
        message: "the gateway is shutting down: try again in a moment",
        retryAfterMs: 2000,
      });
    }
    const caller = recognise(raw.headers);
    const admission = deps.admit(caller, () => addressOf(raw, peers));
    if (!admission.ok) return refused(protocol, admission.error);
    caller.grant = admission.grant;
    // A body may take its time, and is waited for like an answer.
    const place = enter();
    try {
      const body = new RequestBody(await readBody(raw));
      if (caller.grant?.models === undefined) return await next(protocol, raw, body, caller, place);
      const object = body.object();
      if (object["models"] !== undefined) return refused(protocol, ownModels(caller.grant));
      // Written anew, so that a model that stands there twice does not reach the upstream.
      return await next(protocol, raw, new RequestBody(Buffer.from(JSON.stringify(object))), caller, place);
    } catch (cause) {
      if (raw.signal.aborted) return new Response(null, { status: 499 });
      const told = describeBadRequest(cause);
      if (told === undefined) throw cause;
      return refused(protocol, told);
    } finally {
      if (!place.leavesLater) place.leave();
    }
  }

  function refused(protocol: Protocol, error: GatewayError, more: ReplyHeaders = {}): Response {
    deps.onRefused(error.kind);
    return sendError(protocol, error, more);
  }

  /** The one that an answer to the same conversation would be asked of first. */
  async function firstTarget(
    protocol: Protocol,
    raw: Request,
    body: RequestBody,
    caller: Caller,
  ): Promise<Target | undefined> {
    const routing = deps.routing();
    const asked = await describeRequest(protocol, raw.headers, body, caller, routing, deps.helpers);
    return planRoute(asked, routing).targets[0];
  }

  async function count(protocol: Protocol, raw: Request, body: RequestBody, caller: Caller): Promise<Response> {
    const target = await firstTarget(protocol, raw, body, caller);
    return Response.json(await deps.counter.count(body, raw.headers, target));
  }

  /** Only an upstream of this protocol can make what it will understand later. */
  async function compact(protocol: Protocol, raw: Request, body: RequestBody, caller: Caller): Promise<Response> {
    const first = await firstTarget(protocol, raw, body, caller);
    const { purse, factsOf } = deps.cascade(caller);
    const target = first !== undefined && forbid(first, factsOf(first), purse()) === undefined ? first : undefined;
    const served =
      target?.protocol === protocol
        ? await compactBeside({ protocol, raw, body, caller, target }, { ...deps, fetch: deps.cascade().fetch })
        : undefined;
    return (
      served ??
      sendError(protocol, {
        kind: "not-found",
        message: "compaction is not served for this model: let the agent compact",
      })
    );
  }

  function answer(
    protocol: Protocol,
    raw: Request,
    body: RequestBody,
    caller: Caller,
    place: UnderWay,
  ): Promise<Response> {
    return converse(protocol, raw, body, caller, place, settings(caller, deps.sidecar()));
  }

  /** Within what its caller may still use. */
  function withinBudget(next: Answer): Answer {
    return (protocol, raw, body, caller, place) => {
      const { budgets } = deps;
      // Every promise in between costs.
      if (!budgets.limits(caller)) return next(protocol, raw, body, caller, place);
      const { refusal, note, spent } = budgets.judge(caller);
      if (refusal !== undefined) return Promise.resolve(refuse(protocol, refusal, note));
      caller.spent = spent;
      const { leave } = place;
      const ended = budgets.enter(caller);
      place.leave = () => {
        ended();
        leave();
      };
      const answered = next(protocol, raw, body, caller, place);
      return note === undefined ? answered : answered.then((response) => withNote(response, note));
    };
  }

  function withNote(response: Response, note: string): Response {
    response.headers.set(budgetHeader, note);
    return response;
  }

  function refuse(protocol: Protocol, error: GatewayError, note = ""): Response {
    return refused(protocol, error, { [budgetHeader]: note });
  }

  /** Headroom has its go at the request first. */
  function answerThroughFront(path: string): Answer {
    return async (protocol, raw, body, caller, place) => {
      const passage = deps.front.open(protocol, path, raw, body, caller);
      try {
        return await passage.share(
          await converse(
            protocol,
            raw,
            body,
            caller,
            place,
            settings(caller, () => passage.compress()),
          ),
        );
      } catch (cause) {
        passage.abandon();
        throw cause;
      }
    };
  }

  function settings(caller: Caller, compress: Compress | undefined): ConversationDeps {
    const { ledger, log, captures, calibration, brake, now, helpers, hits, isHarmful } = deps;
    const routing = deps.routing();
    const cascade = deps.cascade(caller);
    return {
      routing,
      cascade,
      ledger,
      log,
      captures,
      calibration,
      brake,
      clients,
      now,
      helpers,
      hits,
      isHarmful,
      compress,
    };
  }

  /** `/front/...`: model requests go through Headroom, all else is answered as it is without the prefix. */
  function enterFront(request: Request, peers: PeerSource | undefined): Response | Promise<Response> {
    const rest = pathOf(request.url).slice(frontPath.length);
    const path = rest === "" ? "/" : rest;
    const protocol = Object.entries(inbound).find(([served]) => served === path)?.[1];
    if (request.headers.has(frontHeader)) return sendError(protocol ?? protocolOf(path), roundAgain);
    if (protocol !== undefined && request.method === "POST")
      return accept(request, protocol, withinBudget(answerThroughFront(path)), peers);
    const { origin, search } = new URL(request.url);
    // The copy is no request of the socket's.
    const address = addressOf(request, peers);
    const known = { requestIP: () => (address === undefined ? null : { address }) };
    return app.fetch(new Request(origin + path + search, request), known);
  }

  function admitted(c: Context<Bindings>): Admission {
    return deps.admit(recognise(c.req.raw.headers), () => addressOf(c.req.raw, c.env));
  }

  return {
    fetch(request, peers) {
      // Before the router rather than as its middleware, which would put every request through one more promise.
      const refusal = refuseForeign(request.headers, deps.host);
      if (refusal !== undefined)
        return sendError(protocolOf(plainPath(request.url)), { kind: "permission", message: refusal });
      // Hono would run the GET handler; agents only want to know that somebody is there.
      if (request.method === "HEAD") return new Response(null, { status: 200 });
      if (request.url.includes(frontPath) && isFront(pathOf(request.url))) return enterFront(request, peers);
      const isAdmin = request.url.includes("/admin") && /^\/admin(?:\/|$)/.test(pathOf(request.url));
      if (!isAdmin) return app.fetch(request, peers);
      admin ??= openAdmin();
      return admin.then((opened) => opened.fetch(request, peers));
    },
    inFlight,
    isDraining: () => draining,
    flights: () => reportFlights(underWay.list(), deps.now()),
    async drain(limitMs) {
      draining = true;
      if (inFlight() === 0) return;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const timedOut = await Promise.race([
        new Promise<false>((resolve) => {
          allEnded = () => resolve(false);
        }),
        new Promise<true>((resolve) => {
          timer = setTimeout(resolve, limitMs, true);
        }),
      ]);
      clearTimeout(timer);
      if (!timedOut) return;
      const error: GatewayError = {
        kind: "overloaded",
        message: "connection lost: the gateway was stopped (server error)",
      };
      for (const request of underWay.list()) request.stop(error);
      // Let the refused fetches settle and their answers be formed.
      await Bun.sleep(50);
    },
  };
}

/** OpenRouter would choose among them without asking what the key is for. */
function ownModels(key: Key): GatewayError {
  const message = `the key ${describeKey(key)} is for ${key.models?.join(", ")} alone, so the request may not bring models of its own`;
  return { kind: "permission", message, param: "models" };
}

/** A foreign Host may be no host at all, and then the URL that Bun makes of it is none. */
function pathOf(url: string): string {
  return /^(?:https?:\/\/[^/]*)?(\/[^?#]*)/.exec(url)?.[1] ?? "/";
}

function isFront(path: string): boolean {
  return path === frontPath || path.startsWith(`${frontPath}/`);
}

function plainPath(url: string): string {
  const path = pathOf(url);
  return isFront(path) ? path.slice(frontPath.length) : path;
}

function protocolOf(path: string): Protocol {
  if (path.startsWith("/v1/messages")) return "messages";
  return path.startsWith("/v1/responses") ? "responses" : "chat";
}

function notFound(c: Context): Response {
  const doubled = c.req.path.startsWith("/v1/v1/");
  const message = doubled
    ? `${c.req.path} has /v1 twice: take it off the base URL`
    : `${c.req.method} ${c.req.path} is not served here`;
  return sendError(protocolOf(doubled ? c.req.path.slice(3) : c.req.path), { kind: "not-found", message });
}
