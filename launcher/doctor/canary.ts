/**
 * Stands where the gateway would stand for one launch: answers the three protocols and what agents probe for, with one
 * word, and writes down who asked how. Keys are masked as they are written down.
 */

import { readBody } from "../../src/gateway/body.ts";
import { launchHeader } from "../../src/launch-token.ts";
import type { ChatRequest, Json, JsonObject, Protocol } from "../../src/protocols/chat.ts";
import type { ReplyContext } from "../../src/protocols/codec.ts";
import { codecs } from "../../src/protocols/index.ts";
import { isObject } from "../../src/protocols/json.ts";
import { renderSse } from "../../src/protocols/sse.ts";
import { type Credential, classifyCredential, type ModelCall, type Purpose, type ToolDialect } from "./agent-check.ts";

export interface Canary {
  /** Without a trailing slash and without `/v1`: in the place of the gateway's. */
  readonly url: string;
  /** The one address that needs no proxy. */
  readonly host: string;
  /** In order of arrival. */
  readonly calls: readonly ModelCall[];
  stop(): Promise<void>;
}

export interface CanaryOptions {
  /** The launch's: what a right key is. Known only once the launch is planned, which needs the canary's URL. */
  token(): string;
  /** What the launch asks its agent; a call that carries it is the task's. */
  prompt: string;
  /** The word that every call is answered with. */
  answer: string;
}

/**
 * Not 127.0.0.1, so that a call to another server of this machine (Ollama, an older gateway) goes by the proxy and is
 * seen. Linux has all of 127/8; where a system has not, the common address has to do.
 */
const hosts = ["127.82.82.82", "127.0.0.1"] as const;

/** On a free loopback port. */
export function startCanary(options: CanaryOptions): Canary {
  const [own, common] = hosts;
  try {
    return listen(own, options);
  } catch {
    return listen(common, options);
  }
}

function listen(host: string, options: CanaryOptions): Canary {
  const calls: ModelCall[] = [];
  const startedAtMs = performance.now();
  const server = Bun.serve({
    hostname: host,
    port: 0,
    idleTimeout: 0,
    development: false,
    async fetch(request) {
      const path = new URL(request.url).pathname;
      const protocol = request.method === "POST" ? protocolOf(path) : undefined;
      if (protocol === undefined) return answerProbe(request, path);
      const text = (await readBody(request)).toString();
      const body = parseObject(text);
      const model = typeof body["model"] === "string" ? body["model"] : "";
      const toolDialect = findToolDialect(body);
      calls.push({
        path,
        protocol,
        model,
        credentials: readCredentials(request.headers, options.token()),
        userAgent: request.headers.get("user-agent") ?? "",
        isStream: body["stream"] === true,
        toolDialect,
        purpose: findPurpose(text, toolDialect, options.prompt),
        atMs: Math.round(performance.now() - startedAtMs),
      });
      // Told as the gateway would: a base URL with /v1 too many ends here.
      if (path !== endpoints[protocol])
        return Response.json({ error: { message: `nothing at ${path}` } }, { status: 404 });
      const wantsJson = toolDialect === "none" && /"json_(?:schema|object)"/.test(text);
      const said = wantsJson ? JSON.stringify({ title: options.answer }) : options.answer;
      return answerCall(protocol, body, model, said, calls.length);
    },
    error: () => new Response("the canary could not read that", { status: 400 }),
  });
  return { url: `http://${host}:${server.port}`, host, calls, stop: () => server.stop(true) };
}

const endpoints: Readonly<Record<Protocol, string>> = {
  messages: "/v1/messages",
  chat: "/v1/chat/completions",
  responses: "/v1/responses",
};

/** By the end of the path: a base URL with too many or too few segments is to be seen, too. */
function protocolOf(path: string): Protocol | undefined {
  if (path.endsWith("/messages")) return "messages";
  if (path.endsWith("/chat/completions")) return "chat";
  return path.endsWith("/responses") ? "responses" : undefined;
}

/** `api-key` is Azure's, `x-goog-api-key` Gemini's. */
const credentialHeaders = ["authorization", "x-api-key", "api-key", "x-goog-api-key", launchHeader];

function readCredentials(headers: Headers, token: string): Credential[] {
  return credentialHeaders.flatMap((header) => {
    const value = headers.get(header);
    return value === null || value === "" ? [] : [classifyCredential(header, value, token)];
  });
}

function findToolDialect(body: JsonObject): ToolDialect {
  const { tools, input } = body;
  if (Array.isArray(tools) && tools.length > 0) return "plain";
  const items: readonly Json[] = Array.isArray(input) ? input : [];
  return items.some((item) => isObject(item) && item["type"] === "additional_tools") ? "additional_tools" : "none";
}

/**
 * Titles come without tools and speak of a title (Claude Code, Codex, OpenCode); Qwen Code's memory calls name
 * themselves "managed memory extraction subagent". Both may quote the prompt.
 */
function findPurpose(text: string, toolDialect: ToolDialect, prompt: string): Purpose {
  if (text.includes("memory extraction")) return "memory";
  if (toolDialect === "none" && /\btitle\b/i.test(text)) return "title";
  return text.includes(prompt) ? "task" : "other";
}

function answerCall(protocol: Protocol, body: JsonObject, model: string, said: string, count: number): Response {
  const codec = codecs[protocol];
  const isStream = body["stream"] === true;
  const streamOptions = body["stream_options"];
  const usage = { input: 100, cacheRead: 0, cacheWrite: 0, output: 2, reasoning: 0 };
  const request: ChatRequest = {
    model,
    stream: isStream,
    system: [],
    turns: [],
    tools: [],
    includeUsage: isObject(streamOptions) && streamOptions["include_usage"] === true,
    reasoningDisplay: "none",
    echo: {},
    dropped: [],
  };
  const context: ReplyContext = {
    request,
    id: `canary${count}`,
    createdAt: Math.floor(Date.now() / 1000),
    estimatedInputTokens: usage.input,
  };
  if (!isStream) {
    const parts = [{ type: "text", text: said } as const];
    return Response.json(codec.encodeResponse({ model, parts, finish: "stop", usage }, context));
  }
  const encoder = codec.streamEncoder(context);
  const messages = [
    ...encoder.push({ type: "start", model, usage }),
    ...encoder.push({ type: "text-delta", text: said }),
    ...encoder.push({ type: "text-end" }),
    ...encoder.push({ type: "finish", reason: "stop", usage }),
    ...encoder.end(),
  ];
  const headers = { "content-type": "text/event-stream", "cache-control": "no-cache" };
  return new Response(messages.map(renderSse).join(""), { headers });
}

/** As the gateway answers them: agents that are turned away here ask elsewhere or give up. */
function answerProbe(request: Request, path: string): Response {
  if (request.method === "HEAD") return new Response(null);
  if (request.headers.get("upgrade")?.toLowerCase() === "websocket") {
    return Response.json({ error: { message: "WebSocket is not offered here" } }, { status: 426 });
  }
  if (request.method === "POST" && path === "/v1/messages/count_tokens") return Response.json({ input_tokens: 100 });
  if (request.method === "GET" && path === "/v1/models") {
    const data = ["clutch-big", "clutch-middle", "clutch-small"].map((id) => ({
      id,
      object: "model",
      created: 0,
      owned_by: "clutch",
    }));
    return Response.json({ object: "list", data });
  }
  return Response.json({ error: { message: `nothing at ${path}` } }, { status: 404 });
}

function parseObject(text: string): JsonObject {
  try {
    const value: Json = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
