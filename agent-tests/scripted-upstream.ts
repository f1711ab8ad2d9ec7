/**
 * An upstream that speaks all three protocols and does what a script says, misbehaviour included. It keeps every
 * request, so that a test can look at what really left the gateway. It knows no agent and no gateway.
 */

import type { Json, JsonObject, Protocol } from "../src/protocols/chat.ts";
import { isObject } from "../src/protocols/json.ts";
import { type Answer, type ErrorKind, type Event, type Part, type Writer, writers } from "./wire-answers.ts";
import { objects } from "./wire-requests.ts";

/** What one call is answered with. Where a protocol has its own wording or header, that one is used. */
export type Reply =
  | { kind: "answer"; parts: readonly Part[] }
  /** 429 with a reset header. */
  | { kind: "rate-limit"; resetSeconds: number }
  /** 200 with not one byte of body. */
  | { kind: "empty" }
  /** 529. */
  | { kind: "overloaded" }
  /** 400: more context than the model takes. */
  | { kind: "overflow" }
  /** The first half of a streamed answer; then the connection breaks, or the body ends as if all had been said. */
  | { kind: "cut"; text: string; ending: "broken" | "silent" }
  /** Nothing at all, until the client gives up. */
  | { kind: "hang" };

/** An answer of one part. */
export function say(text: string): Reply {
  return { kind: "answer", parts: [{ kind: "text", text }] };
}

/** An answer of several parts. */
export function answer(...parts: Part[]): Reply {
  return { kind: "answer", parts };
}

/**
 * Replies in order; the last one of a list repeats. A model with a list of its own uses that, all others share `calls`.
 * Only main calls count: side calls (titles and the like) are answered with a short text by the upstream itself.
 */
export interface Script {
  calls?: readonly Reply[];
  models?: Readonly<Record<string, readonly Reply[]>>;
}

/** One request as it arrived. */
export interface RecordedRequest {
  method: string;
  /** Without the query string. */
  path: string;
  headers: Record<string, string>;
  /** Parsed, if it was a JSON object. */
  body: JsonObject;
  /** The protocol of the path; absent for probes. */
  protocol?: Protocol;
  model: string;
  /** `main`: counted by the script. `side`: answered without it. `probe`: no model call. */
  part: "main" | "side" | "probe";
  /** What a main call was answered with. */
  reply?: Reply["kind"];
}

export interface ScriptedUpstream {
  /** `http://127.0.0.1:<port>`, without a version segment. */
  readonly url: string;
  readonly requests: readonly RecordedRequest[];
  /** The requests that the script answered, in order of arrival. */
  mainRequests(): RecordedRequest[];
  stop(): Promise<void>;
}

export interface UpstreamOptions {
  /** Tells a side call from a main one. Default: a call without tools is a side call. */
  isSideCall?: (body: JsonObject) => boolean;
}

/** Starts an upstream on a free loopback port. */
export function startScriptedUpstream(script: Script, options: UpstreamOptions = {}): ScriptedUpstream {
  const requests: RecordedRequest[] = [];
  const nextReply = replyPicker(script);
  const isSideCall = options.isSideCall ?? hasNoTools;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    // otherwise Bun prints every scripted cut as an error of ours
    development: false,
    maxRequestBodySize: 64 * 1024 * 1024,
    async fetch(request) {
      const recorded = await recordRequest(request, isSideCall);
      requests.push(recorded);
      if (recorded.protocol === undefined) return answerProbe(request, recorded);
      if (recorded.part === "side") return answerSideCall(recorded.protocol, recorded);
      const reply = nextReply(recorded.model);
      recorded.reply = reply.kind;
      return answerMainCall(recorded.protocol, recorded, reply, request.signal);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    requests,
    mainRequests: () => requests.filter((request) => request.part === "main"),
    stop: () => server.stop(true),
  };
}

// ---- taking a request in

const paths: Readonly<Record<string, Protocol>> = {
  "/v1/messages": "messages",
  "/v1/chat/completions": "chat",
  "/v1/responses": "responses",
};

async function recordRequest(request: Request, isSideCall: (body: JsonObject) => boolean): Promise<RecordedRequest> {
  const path = new URL(request.url).pathname;
  const body = parseObject(await request.text());
  const protocol = request.method === "POST" ? paths[path] : undefined;
  return {
    method: request.method,
    path,
    headers: Object.fromEntries(request.headers),
    body,
    ...(protocol && { protocol }),
    model: typeof body.model === "string" ? body.model : "",
    part: protocol === undefined ? "probe" : isSideCall(body) ? "side" : "main",
  };
}

/** The usual sign of a side call: titles, summaries and the like. */
export function hasNoTools(body: JsonObject): boolean {
  const offered = objects(body.tools).length > 0;
  // Codex's default model declares its tools inside the input
  const inInput = objects(body.input).some((item) => item.type === "additional_tools");
  return !offered && !inInput;
}

function replyPicker(script: Script): (model: string) => Reply {
  const used = new Map<string, number>();
  return (model) => {
    const own = script.models?.[model];
    const replies = own ?? script.calls ?? [];
    const list = own === undefined ? "" : model;
    const count = used.get(list) ?? 0;
    used.set(list, count + 1);
    return replies[Math.min(count, replies.length - 1)] ?? { kind: "overloaded" };
  };
}

// ---- giving an answer out

function answerProbe(request: Request, recorded: RecordedRequest): Response {
  if (request.headers.get("upgrade") === "websocket") return new Response("no WebSocket here", { status: 426 });
  if (request.method === "HEAD") return new Response(null);
  if (request.method === "GET" && recorded.path === "/v1/models") return Response.json({ object: "list", data: [] });
  return Response.json({ error: { message: `nothing at ${recorded.path}` } }, { status: 404 });
}

function answerSideCall(protocol: Protocol, recorded: RecordedRequest): Response {
  const wantsJson = /"json_schema"|"json_object"/.test(JSON.stringify(recorded.body));
  return answerWith(protocol, recorded, [{ kind: "text", text: wantsJson ? '{"title":"Side call"}' : "Side call" }]);
}

function answerMainCall(
  protocol: Protocol,
  recorded: RecordedRequest,
  reply: Reply,
  signal: AbortSignal,
): Response | Promise<Response> {
  const writer = writers[protocol];
  switch (reply.kind) {
    case "answer":
      return answerWith(protocol, recorded, reply.parts);
    case "rate-limit": {
      const headers = { "retry-after": String(reply.resetSeconds), ...writer.rateLimitHeaders(reply.resetSeconds) };
      return answerError(writer, reply.kind, recorded.model, headers);
    }
    case "overloaded":
    case "overflow":
      return answerError(writer, reply.kind, recorded.model);
    case "empty":
      return new Response("", { headers: { "content-type": contentType(recorded.body) } });
    case "cut":
      return cutAnswer(writer, buildAnswer(recorded, [{ kind: "text", text: reply.text }]), reply.ending);
    case "hang":
      return new Promise((resolve) => {
        signal.addEventListener("abort", () => resolve(new Response(null, { status: 499 })));
      });
  }
}

function answerWith(protocol: Protocol, recorded: RecordedRequest, parts: readonly Part[]): Response {
  const built = buildAnswer(recorded, parts);
  if (recorded.body.stream !== true) return Response.json(writers[protocol].whole(built));
  return streamResponse(writers[protocol].stream(built), "whole");
}

function answerError(writer: Writer, kind: ErrorKind, model: string, headers: Record<string, string> = {}): Response {
  const { status, body } = writer.error(kind, model);
  return Response.json(body, { status, headers });
}

function cutAnswer(writer: Writer, whole: Answer, ending: "broken" | "silent"): Response {
  const events = writer.stream(whole);
  return streamResponse(events.slice(0, Math.ceil(events.length / 2)), ending);
}

let answersGiven = 0;

function buildAnswer(recorded: RecordedRequest, parts: readonly Part[]): Answer {
  answersGiven += 1;
  const streamOptions = recorded.body.stream_options;
  const includeUsage = isObject(streamOptions) && streamOptions.include_usage === true;
  return { id: `script${answersGiven}`, model: recorded.model, parts, includeUsage };
}

function contentType(body: JsonObject): string {
  return body.stream === true ? "text/event-stream" : "application/json";
}

/** Each event is a write of its own; a `broken` stream ends without the protocol's and HTTP's own ending. */
function streamResponse(events: readonly Event[], ending: "whole" | "broken" | "silent"): Response {
  const encoder = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    async start(controller) {
      for (const event of events) {
        controller.enqueue(encoder.encode(renderEvent(event)));
        await Bun.sleep(1);
      }
      if (ending === "broken") {
        // a reset drops what the other side has not read yet
        await Bun.sleep(50);
        controller.error(new Error("scripted cut"));
      } else controller.close();
    },
  });
  return new Response(stream, { headers: { "content-type": "text/event-stream", "cache-control": "no-cache" } });
}

/** As it goes over the wire. */
export function renderEvent({ event, data }: Event): string {
  const text = typeof data === "string" ? data : JSON.stringify(data);
  return event === undefined ? `data: ${text}\n\n` : `event: ${event}\ndata: ${text}\n\n`;
}

function parseObject(text: string): JsonObject {
  try {
    const value: Json = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
