/**
 * What the runtime allows: two gateways with nothing in them but the work that cannot be left out, both behind Hono.
 * No routing, no failover, no ledger, no checks. MODE picks one, PORT and UPSTREAM (a base URL without path) place it.
 *
 * - `passthrough` sends the body's bytes on as they came and the answer back.
 * - `translate` takes Anthropic Messages and asks an OpenAI Chat upstream: one parse, one pass, one stringify per
 *   request, one parse per event of a stream.
 */

import { Hono } from "hono";

const upstream = process.env["UPSTREAM"] ?? "http://127.0.0.1:9100";
const mode = process.env["MODE"] ?? "passthrough";
const port = Number(process.env["PORT"] ?? "9200");

const app = new Hono();
app.get("/health", (c) => c.text("ok"));
if (mode === "translate") app.post("/v1/messages", (c) => translate(c.req.raw));
else app.all("*", (c) => passThrough(c.req.raw));
Bun.serve({ hostname: "127.0.0.1", port, idleTimeout: 0, maxRequestBodySize: 64 * 1024 * 1024, fetch: app.fetch });

async function passThrough(request: Request): Promise<Response> {
  const url = new URL(request.url);
  const headers = new Headers(request.headers);
  for (const name of ["host", "connection", "content-length", "accept-encoding"]) headers.delete(name);
  const answer = await fetch(upstream + url.pathname + url.search, {
    method: request.method,
    headers,
    body: await request.arrayBuffer(),
    signal: request.signal,
  });
  const answerHeaders = new Headers(answer.headers);
  for (const name of ["content-encoding", "content-length", "transfer-encoding", "connection"]) {
    answerHeaders.delete(name);
  }
  return new Response(answer.body, { status: answer.status, headers: answerHeaders });
}

async function translate(request: Request): Promise<Response> {
  const body = (await request.json()) as MessagesRequest;
  const answer = await fetch(`${upstream}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer bench" },
    body: JSON.stringify(toChatRequest(body)),
    signal: request.signal,
  });
  if (!answer.ok || answer.body === null) return new Response(answer.body, { status: answer.status });
  if (body.stream !== true) return Response.json(toMessage((await answer.json()) as ChatAnswer));
  return new Response(translateStream(answer.body), {
    headers: { "content-type": "text/event-stream", "cache-control": "no-cache" },
  });
}

interface TextBlock {
  type: "text";
  text: string;
}

type Block =
  | TextBlock
  | { type: "tool_use"; id: string; name: string; input: unknown }
  | { type: "tool_result"; tool_use_id: string; content: string | TextBlock[] };

interface MessagesRequest {
  model: string;
  max_tokens: number;
  stream?: boolean;
  system?: string | TextBlock[];
  messages: { role: "user" | "assistant"; content: string | Block[] }[];
  tools?: { name: string; description?: string; input_schema: unknown }[];
}

interface ToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

interface ChatMessage {
  role: string;
  content: string | TextBlock[] | null;
  tool_calls?: ToolCall[] | undefined;
  tool_call_id?: string;
}

interface ChatUsage {
  prompt_tokens: number;
  completion_tokens: number;
}

interface ChatAnswer {
  id: string;
  model: string;
  choices: { message: { content: string | null; tool_calls?: ToolCall[] }; finish_reason: string }[];
  usage: ChatUsage;
}

interface ChatChunk {
  id: string;
  model: string;
  choices: { delta: { content?: string | null }; finish_reason: string | null }[];
  usage?: ChatUsage | null;
}

function toChatRequest(body: MessagesRequest): object {
  const messages: ChatMessage[] = [];
  if (body.system !== undefined) messages.push({ role: "system", content: joinText(body.system, "\n") });
  for (const message of body.messages) {
    if (typeof message.content === "string") messages.push({ role: message.role, content: message.content });
    else if (message.role === "assistant") messages.push(toAssistantMessage(message.content));
    else messages.push(...toUserMessages(message.content));
  }
  return {
    model: body.model,
    max_tokens: body.max_tokens,
    messages,
    tools: body.tools?.map((tool) => ({
      type: "function",
      function: { name: tool.name, description: tool.description, parameters: tool.input_schema },
    })),
    ...(body.stream === true ? { stream: true, stream_options: { include_usage: true } } : {}),
  };
}

function toAssistantMessage(blocks: Block[]): ChatMessage {
  let text = "";
  const calls: ToolCall[] = [];
  for (const block of blocks) {
    if (block.type === "text") text += block.text;
    else if (block.type === "tool_use") {
      const call = { name: block.name, arguments: JSON.stringify(block.input) };
      calls.push({ id: block.id, type: "function", function: call });
    }
  }
  return {
    role: "assistant",
    content: text === "" ? null : text,
    tool_calls: calls.length === 0 ? undefined : calls,
  };
}

function toUserMessages(blocks: Block[]): ChatMessage[] {
  const messages: ChatMessage[] = [];
  const parts: TextBlock[] = [];
  for (const block of blocks) {
    if (block.type === "tool_result") {
      messages.push({ role: "tool", tool_call_id: block.tool_use_id, content: joinText(block.content, "") });
    } else if (block.type === "text") parts.push({ type: "text", text: block.text });
  }
  if (parts.length > 0) messages.push({ role: "user", content: parts });
  return messages;
}

function joinText(content: string | TextBlock[], separator: string): string {
  return typeof content === "string" ? content : content.map((block) => block.text).join(separator);
}

const stopReasons: Record<string, string> = { stop: "end_turn", length: "max_tokens", tool_calls: "tool_use" };

function toMessage(answer: ChatAnswer): object {
  const choice = answer.choices[0];
  const content: object[] = [];
  if (choice?.message.content) content.push({ type: "text", text: choice.message.content });
  for (const call of choice?.message.tool_calls ?? []) {
    const input: unknown = JSON.parse(call.function.arguments || "{}");
    content.push({ type: "tool_use", id: call.id, name: call.function.name, input });
  }
  return {
    id: answer.id,
    type: "message",
    role: "assistant",
    model: answer.model,
    content,
    stop_reason: stopReasons[choice?.finish_reason ?? "stop"] ?? "end_turn",
    stop_sequence: null,
    usage: toUsage(answer.usage),
  };
}

function toUsage(usage: ChatUsage): object {
  return { input_tokens: usage.prompt_tokens, output_tokens: usage.completion_tokens };
}

/** One write per read of the upstream, so that no event waits for the next. */
function translateStream(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  const translator = new StreamTranslator();
  let rest = "";
  return new ReadableStream({
    async pull(controller) {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return controller.close();
        const text = rest + decoder.decode(value, { stream: true });
        let output = "";
        let start = 0;
        for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
          if (text.startsWith("data: ", start)) output += translator.push(text.slice(start + 6, end));
          start = end + 1;
        }
        rest = text.slice(start);
        if (output !== "") return controller.enqueue(encoder.encode(output));
      }
    },
    cancel() {
      reader.cancel().catch(() => undefined);
    },
  });
}

class StreamTranslator {
  #isStarted = false;
  #isBlockOpen = false;
  #stopReason = "end_turn";
  #usage: object = { input_tokens: 0, output_tokens: 0 };

  /** @param data the payload of one `data:` line */
  push(data: string): string {
    if (data === "[DONE]") return this.#end();
    const chunk = JSON.parse(data) as ChatChunk;
    let output = "";
    if (!this.#isStarted) {
      this.#isStarted = true;
      output += renderEvent("message_start", {
        type: "message_start",
        message: {
          id: chunk.id,
          type: "message",
          role: "assistant",
          model: chunk.model,
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: this.#usage,
        },
      });
    }
    const choice = chunk.choices[0];
    if (choice?.delta.content) {
      if (!this.#isBlockOpen) {
        this.#isBlockOpen = true;
        const block = { type: "text", text: "" };
        output += renderEvent("content_block_start", { type: "content_block_start", index: 0, content_block: block });
      }
      const delta = `{"type":"text_delta","text":${JSON.stringify(choice.delta.content)}}`;
      output += `event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":${delta}}\n\n`;
    }
    if (choice?.finish_reason) this.#stopReason = stopReasons[choice.finish_reason] ?? "end_turn";
    if (chunk.usage) this.#usage = toUsage(chunk.usage);
    return output;
  }

  #end(): string {
    const delta = { stop_reason: this.#stopReason, stop_sequence: null };
    return (
      (this.#isBlockOpen ? renderEvent("content_block_stop", { type: "content_block_stop", index: 0 }) : "") +
      renderEvent("message_delta", { type: "message_delta", delta, usage: this.#usage }) +
      renderEvent("message_stop", { type: "message_stop" })
    );
  }
}

function renderEvent(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
