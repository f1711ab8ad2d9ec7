/**
 * An upstream that speaks all three protocols and does what a script says, misbehaviour included. It keeps every
 * request, so that a test can look at what really left the gateway. It knows no agent and no gateway.
 */

import type { Json, JsonObject, Protocol } from "../src/protocols/chat.ts";

/** What one call is answered with. Where a protocol has its own wording or header, that one is used. */
export type Reply =
  | { kind: "text"; text: string }
  /** A call of one of the client's tools; `input` are its arguments. */
  | { kind: "tool"; name: string; input: JsonObject }
  /** 429 with a reset header. */
  | { kind: "rate-limit"; resetSeconds: number }
  /** 200 with not one byte of body. */
  | { kind: "empty" }
  /** 529. */
  | { kind: "overloaded" }
  /** The first half of a streamed answer, then the connection breaks. */
  | { kind: "cut"; text: string }
  /** Nothing at all, until the client gives up. */
  | { kind: "hang" };

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

/** The outputs of tools that a request brings back, in order, as plain text; whatever the protocol. */
export function toolResults(request: RecordedRequest): string[] {
  return objects(request.body.messages ?? request.body.input).flatMap((item) => {
    if (item.role === "tool") return [plainText(item.content)];
    if (item.type === "function_call_output" || item.type === "custom_tool_call_output")
      return [plainText(item.output)];
    const blocks = objects(item.content).filter((block) => block.type === "tool_result");
    return blocks.map((block) => plainText(block.content));
  });
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

function hasNoTools(body: JsonObject): boolean {
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

/** One server-sent event; `data` is text only for Chat's `[DONE]`. */
interface Event {
  event?: string;
  data: JsonObject | string;
}

interface Answer {
  id: string;
  model: string;
  output: { kind: "text"; text: string } | { kind: "tool"; name: string; input: JsonObject };
  /** Chat streams tell the usage only to clients that asked. */
  includeUsage: boolean;
}

interface Writer {
  whole(answer: Answer): JsonObject;
  stream(answer: Answer): Event[];
  error(status: number, message: string): JsonObject;
  rateLimitHeaders(resetSeconds: number): Record<string, string>;
}

function answerProbe(request: Request, recorded: RecordedRequest): Response {
  if (request.headers.get("upgrade") === "websocket") return new Response("no WebSocket here", { status: 426 });
  if (request.method === "HEAD") return new Response(null);
  if (request.method === "GET" && recorded.path === "/v1/models") return Response.json({ object: "list", data: [] });
  return Response.json({ error: { message: `nothing at ${recorded.path}` } }, { status: 404 });
}

function answerSideCall(protocol: Protocol, recorded: RecordedRequest): Response {
  const wantsJson = /"json_schema"|"json_object"/.test(JSON.stringify(recorded.body));
  return answerWith(protocol, recorded, { kind: "text", text: wantsJson ? '{"title":"Side call"}' : "Side call" });
}

function answerMainCall(
  protocol: Protocol,
  recorded: RecordedRequest,
  reply: Reply,
  signal: AbortSignal,
): Response | Promise<Response> {
  const writer = writers[protocol];
  switch (reply.kind) {
    case "text":
    case "tool":
      return answerWith(protocol, recorded, reply);
    case "rate-limit": {
      const headers = { "retry-after": String(reply.resetSeconds), ...writer.rateLimitHeaders(reply.resetSeconds) };
      const message = `Rate limit reached for model ${recorded.model}`;
      return Response.json(writer.error(429, message), { status: 429, headers });
    }
    case "overloaded":
      return Response.json(writer.error(529, "Overloaded"), { status: 529 });
    case "empty":
      return new Response("", { headers: { "content-type": contentType(recorded.body) } });
    case "cut":
      return cutAnswer(writer, buildAnswer(recorded, { kind: "text", text: reply.text }));
    case "hang":
      return new Promise((resolve) => {
        signal.addEventListener("abort", () => resolve(new Response(null, { status: 499 })));
      });
  }
}

function answerWith(protocol: Protocol, recorded: RecordedRequest, output: Answer["output"]): Response {
  const answer = buildAnswer(recorded, output);
  if (recorded.body.stream !== true) return Response.json(writers[protocol].whole(answer));
  return streamResponse(writers[protocol].stream(answer), "whole");
}

function cutAnswer(writer: Writer, answer: Answer): Response {
  const events = writer.stream(answer);
  return streamResponse(events.slice(0, Math.ceil(events.length / 2)), "broken");
}

let answersGiven = 0;

function buildAnswer(recorded: RecordedRequest, output: Answer["output"]): Answer {
  answersGiven += 1;
  const streamOptions = recorded.body.stream_options;
  const includeUsage = isObject(streamOptions) && streamOptions.include_usage === true;
  return { id: `script${answersGiven}`, model: recorded.model, output, includeUsage };
}

function contentType(body: JsonObject): string {
  return body.stream === true ? "text/event-stream" : "application/json";
}

/** Each event is a write of its own; a `broken` stream ends without the protocol's and HTTP's own ending. */
function streamResponse(events: readonly Event[], ending: "whole" | "broken"): Response {
  const encoder = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    async start(controller) {
      for (const event of events) {
        controller.enqueue(encoder.encode(renderEvent(event)));
        await Bun.sleep(1);
      }
      if (ending === "whole") controller.close();
      else controller.error(new Error("scripted cut"));
    },
  });
  return new Response(stream, { headers: { "content-type": "text/event-stream", "cache-control": "no-cache" } });
}

function renderEvent({ event, data }: Event): string {
  const text = typeof data === "string" ? data : JSON.stringify(data);
  return event === undefined ? `data: ${text}\n\n` : `event: ${event}\ndata: ${text}\n\n`;
}

/** The text in pieces of a few characters, as models send it. */
function pieces(text: string): string[] {
  return text.match(/[\s\S]{1,8}/g) ?? [];
}

// ---- Anthropic Messages

const messagesWriter: Writer = {
  whole: (answer) => ({
    ...messagesOpening(answer),
    content: [messagesBlock(answer)],
    stop_reason: messagesStop(answer),
    usage: { input_tokens: 120, output_tokens: 12 },
  }),
  stream: (answer) => [
    typed({ type: "message_start", message: messagesOpening(answer) }),
    typed({ type: "ping" }),
    typed({ type: "content_block_start", index: 0, content_block: messagesBlockOpening(answer) }),
    ...messagesDeltas(answer).map((delta) => typed({ type: "content_block_delta", index: 0, delta })),
    typed({ type: "content_block_stop", index: 0 }),
    typed({
      type: "message_delta",
      delta: { stop_reason: messagesStop(answer), stop_sequence: null },
      usage: { output_tokens: 12 },
    }),
    typed({ type: "message_stop" }),
  ],
  error: (status, message) => ({
    type: "error",
    error: { type: status === 429 ? "rate_limit_error" : "overloaded_error", message },
  }),
  rateLimitHeaders: (resetSeconds) => ({ "anthropic-ratelimit-requests-reset": isoIn(resetSeconds) }),
};

function messagesOpening(answer: Answer): JsonObject {
  return {
    id: `msg_${answer.id}`,
    type: "message",
    role: "assistant",
    model: answer.model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 120, output_tokens: 1 },
  };
}

function messagesBlock({ id, output }: Answer): JsonObject {
  if (output.kind === "text") return { type: "text", text: output.text };
  return { type: "tool_use", id: `toolu_${id}`, name: output.name, input: output.input };
}

function messagesBlockOpening(answer: Answer): JsonObject {
  const block = messagesBlock(answer);
  return answer.output.kind === "text" ? { ...block, text: "" } : { ...block, input: {} };
}

function messagesDeltas({ output }: Answer): JsonObject[] {
  if (output.kind === "text") return pieces(output.text).map((text) => ({ type: "text_delta", text }));
  return pieces(JSON.stringify(output.input)).map((json) => ({ type: "input_json_delta", partial_json: json }));
}

function messagesStop({ output }: Answer): string {
  return output.kind === "text" ? "end_turn" : "tool_use";
}

// ---- OpenAI Chat Completions

const chatUsage: JsonObject = { prompt_tokens: 120, completion_tokens: 12, total_tokens: 132 };

const chatWriter: Writer = {
  whole: (answer) => ({
    ...chatFrame(answer, "chat.completion"),
    choices: [{ index: 0, message: chatMessage(answer), finish_reason: chatFinish(answer) }],
    usage: chatUsage,
  }),
  stream: (answer) => [
    chatChunk(answer, { role: "assistant", content: answer.output.kind === "text" ? "" : null }),
    ...chatDeltas(answer).map((delta) => chatChunk(answer, delta)),
    chatChunk(answer, {}, chatFinish(answer)),
    ...(answer.includeUsage
      ? [{ data: { ...chatFrame(answer, "chat.completion.chunk"), choices: [], usage: chatUsage } }]
      : []),
    { data: "[DONE]" },
  ],
  error: openaiError,
  rateLimitHeaders: openaiRateLimitHeaders,
};

function chatFrame(answer: Answer, object: string): JsonObject {
  return { id: `chatcmpl-${answer.id}`, object, created: nowSeconds(), model: answer.model };
}

function chatChunk(answer: Answer, delta: JsonObject, finish: string | null = null): Event {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return { data: { ...chatFrame(answer, "chat.completion.chunk"), choices } };
}

function chatMessage({ id, output }: Answer): JsonObject {
  if (output.kind === "text") return { role: "assistant", content: output.text };
  const call = { name: output.name, arguments: JSON.stringify(output.input) };
  return { role: "assistant", content: null, tool_calls: [{ id: `call_${id}`, type: "function", function: call }] };
}

function chatDeltas({ id, output }: Answer): JsonObject[] {
  if (output.kind === "text") return pieces(output.text).map((content) => ({ content }));
  const opening = { index: 0, id: `call_${id}`, type: "function", function: { name: output.name, arguments: "" } };
  const rest = pieces(JSON.stringify(output.input)).map((json) => ({ index: 0, function: { arguments: json } }));
  return [opening, ...rest].map((call) => ({ tool_calls: [call] }));
}

function chatFinish({ output }: Answer): string {
  return output.kind === "text" ? "stop" : "tool_calls";
}

// ---- OpenAI Responses

const responsesWriter: Writer = {
  whole: (answer) => responsesObject(answer, "completed"),
  stream: (answer) =>
    [
      { type: "response.created", response: responsesObject(answer, "in_progress") },
      { type: "response.in_progress", response: responsesObject(answer, "in_progress") },
      { type: "response.output_item.added", output_index: 0, item: responsesItem(answer, "in_progress") },
      ...responsesDeltas(answer),
      { type: "response.output_item.done", output_index: 0, item: responsesItem(answer, "completed") },
      { type: "response.completed", response: responsesObject(answer, "completed") },
    ].map((event, sequence) => typed({ ...event, sequence_number: sequence })),
  error: openaiError,
  rateLimitHeaders: openaiRateLimitHeaders,
};

function responsesObject(answer: Answer, status: "in_progress" | "completed"): JsonObject {
  const isDone = status === "completed";
  return {
    id: `resp_${answer.id}`,
    object: "response",
    created_at: nowSeconds(),
    status,
    model: answer.model,
    output: isDone ? [responsesItem(answer, "completed")] : [],
    usage: isDone
      ? {
          input_tokens: 120,
          input_tokens_details: { cached_tokens: 0 },
          output_tokens: 12,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: 132,
        }
      : null,
  };
}

function responsesItem({ id, output }: Answer, status: "in_progress" | "completed"): JsonObject {
  const isDone = status === "completed";
  if (output.kind === "text") {
    const content = isDone ? [responsesText(output.text)] : [];
    return { id: `msg_${id}`, type: "message", role: "assistant", status, content };
  }
  const json = isDone ? JSON.stringify(output.input) : "";
  return { id: `fc_${id}`, type: "function_call", call_id: `call_${id}`, name: output.name, arguments: json, status };
}

function responsesText(text: string): JsonObject {
  return { type: "output_text", text, annotations: [] };
}

function responsesDeltas({ id, output }: Answer): ({ type: string } & JsonObject)[] {
  if (output.kind === "tool") {
    const place = { item_id: `fc_${id}`, output_index: 0 };
    const json = JSON.stringify(output.input);
    return [
      ...pieces(json).map((delta) => ({ type: "response.function_call_arguments.delta", ...place, delta })),
      { type: "response.function_call_arguments.done", ...place, arguments: json },
    ];
  }
  const place = { item_id: `msg_${id}`, output_index: 0, content_index: 0 };
  return [
    { type: "response.content_part.added", ...place, part: responsesText("") },
    ...pieces(output.text).map((delta) => ({ type: "response.output_text.delta", ...place, delta })),
    { type: "response.output_text.done", ...place, text: output.text },
    { type: "response.content_part.done", ...place, part: responsesText(output.text) },
  ];
}

const writers: Readonly<Record<Protocol, Writer>> = {
  messages: messagesWriter,
  chat: chatWriter,
  responses: responsesWriter,
};

// ---- shared by the writers and readers

/** An event whose name is the type in its data, as Anthropic and Responses send them. */
function typed(data: { type: string } & JsonObject): Event {
  return { event: data.type, data };
}

function openaiError(status: number, message: string): JsonObject {
  const code = status === 429 ? "rate_limit_exceeded" : "server_overloaded";
  return { error: { message, type: status === 429 ? "requests" : "server_error", param: null, code } };
}

function openaiRateLimitHeaders(resetSeconds: number): Record<string, string> {
  return { "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": `${resetSeconds}s` };
}

function isoIn(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString();
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function objects(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function plainText(value: Json | undefined): string {
  if (typeof value === "string") return value;
  return objects(value)
    .map((part) => (typeof part.text === "string" ? part.text : ""))
    .join("");
}

function parseObject(text: string): JsonObject {
  try {
    const value: Json = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
