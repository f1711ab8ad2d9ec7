/**
 * Upstreams that bill, and keep their own book of it: what they have told of an answer's tokens by the time it ended is what
 * they take for it. How each answer goes is drawn by lot; `[[hold]]` in a request makes them fall silent after the first
 * word, `[[silent]]` before it.
 */

import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { emptyWhole, pieces, whole } from "./answers.ts";

/** In US dollars per million tokens. */
export interface Tariff {
  input: number;
  output: number;
  cacheRead: number;
  cacheWrite: number;
}

export interface Bill {
  input: number;
  cacheRead: number;
  cacheWrite: number;
  output: number;
  reasoning: number;
  usd: number;
}

export interface BillingUpstream {
  port: number;
  /** By `protocol:model`. */
  book: Map<string, Bill>;
  /** How often each kind of answer was drawn. */
  drawn: Record<string, number>;
  /** Requests that were held, with or without a first word. */
  held(): number;
  stop(): Promise<void>;
}

interface Model {
  tariff: Tariff;
  /** Tells its price with each answer, as OpenRouter does. */
  tellsCost: boolean;
  /** Never fails, so that somebody answers. */
  isSteady: boolean;
}

const kinds = [
  ["good", 60],
  ["empty", 14],
  ["rate-limit", 8],
  ["overloaded", 8],
  ["cut", 10],
] as const;

type Tokens = Omit<Bill, "usd">;

export function startBillingUpstream(models: Readonly<Record<string, Model>>, random: () => number): BillingUpstream {
  const book = new Map<string, Bill>();
  const drawn: Record<string, number> = {};
  let heldCount = 0;

  const enter = (protocol: Protocol, model: string, tokens: Tokens) => {
    const { tariff } = models[model] as Model;
    const usd = costOf(tokens, tariff);
    const key = `${protocol}:${model}`;
    const bill = book.get(key) ?? { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0, usd: 0 };
    for (const name of ["input", "cacheRead", "cacheWrite", "output", "reasoning"] as const) bill[name] += tokens[name];
    bill.usd += usd;
    book.set(key, bill);
  };

  const answer = async (protocol: Protocol, request: Request): Promise<Response> => {
    const text = await request.text();
    const { model, stream } = JSON.parse(text) as { model: string; stream?: boolean };
    const { tariff, tellsCost, isSteady } = models[model] as Model;
    const tokens = drawTokens(random);
    const usage = tell(protocol, tokens, tellsCost ? costOf(tokens, tariff) : undefined);
    if (text.includes("[[silent]]")) {
      heldCount++;
      await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
      return new Response(null, { status: 499 });
    }
    const kind = text.includes("[[hold]]") ? "hold" : isSteady ? "good" : draw(random);
    drawn[kind] = (drawn[kind] ?? 0) + 1;
    if (kind === "rate-limit") return failing(429, "slow down");
    if (kind === "overloaded") return failing(503, "busy");
    if (stream !== true) {
      if (kind === "cut" || kind === "hold") return failing(500, "out of order");
      enter(protocol, model, tokens);
      return Response.json({ ...(kind === "empty" ? emptyWhole : whole)[protocol], usage });
    }
    if (kind === "hold") heldCount++;
    // What the opening says already is billed even if nothing follows.
    const opened: Tokens = { ...tokens, output: 1, reasoning: 0 };
    const parts = streamOf(protocol, kind, tell(protocol, opened, undefined), usage);
    const told = kind === "good" || kind === "empty" ? tokens : protocol === "messages" ? opened : undefined;
    if (told !== undefined) enter(protocol, model, told);
    const isHeld = kind === "hold";
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        for (const part of parts) {
          controller.enqueue(Buffer.from(part));
          await Bun.sleep(random() * 4);
        }
        if (isHeld) await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
        try {
          controller.close();
        } catch {
          // Its reader has left.
        }
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  };

  const paths = { messages: "/v1/messages", chat: "/v1/chat/completions", responses: "/v1/responses" } as const;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    routes: Object.fromEntries(
      Object.entries(paths).map(([protocol, path]) => [
        path,
        (request: Request) => answer(protocol as Protocol, request),
      ]),
    ),
  });
  return {
    port: server.port ?? 0,
    book,
    drawn,
    held: () => heldCount,
    stop: () => server.stop(true),
  };
}

function costOf(tokens: Tokens, { input, output, cacheRead, cacheWrite }: Tariff): number {
  const parts = [
    tokens.input * input,
    tokens.cacheRead * cacheRead,
    tokens.cacheWrite * cacheWrite,
    tokens.output * output,
  ];
  return parts.reduce((sum, part) => sum + part, 0) / 1e6;
}

function drawTokens(random: () => number): Tokens {
  const below = (limit: number) => Math.floor(random() * limit);
  const output = 2 + below(900);
  return {
    input: 1 + below(4000),
    cacheRead: below(60_000),
    cacheWrite: below(3000),
    output,
    reasoning: below(output),
  };
}

function draw(random: () => number): (typeof kinds)[number][0] {
  let lot = random() * kinds.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [kind, weight] of kinds) {
    lot -= weight;
    if (lot < 0) return kind;
  }
  return "good";
}

/** The wire's own way to count: cached input is inside of Chat's and Responses', and beside Anthropic's. */
function tell(protocol: Protocol, tokens: Tokens, cost: number | undefined): JsonObject {
  const { input, cacheRead, cacheWrite, output, reasoning } = tokens;
  if (protocol === "messages") {
    return {
      input_tokens: input,
      cache_read_input_tokens: cacheRead,
      cache_creation_input_tokens: cacheWrite,
      output_tokens: output,
      output_tokens_details: { thinking_tokens: reasoning },
    };
  }
  const all = input + cacheRead + cacheWrite;
  const inputDetails = { cached_tokens: cacheRead, cache_write_tokens: cacheWrite };
  if (protocol === "responses") {
    return {
      input_tokens: all,
      input_tokens_details: inputDetails,
      output_tokens: output,
      output_tokens_details: { reasoning_tokens: reasoning },
      total_tokens: all + output,
    };
  }
  return {
    prompt_tokens: all,
    completion_tokens: output,
    total_tokens: all + output,
    prompt_tokens_details: inputDetails,
    completion_tokens_details: { reasoning_tokens: reasoning },
    ...(cost === undefined ? {} : { cost }),
  };
}

/** The usual answer's events with these counts in them; only Messages counts in its opening too. */
function streamOf(protocol: Protocol, kind: string, opened: JsonObject, usage: JsonObject): string[] {
  const { opening, words, ending } = pieces[protocol];
  const put = (text: string, counts: JsonObject) =>
    text.replaceAll(/"usage":\{(?:[^{}]|\{[^{}]*\})*\}/g, `"usage":${JSON.stringify(counts)}`);
  const start = put(opening, opened);
  if (kind === "cut" || kind === "hold") return [start, words("Grüße ")];
  if (kind === "empty") return emptyStream(protocol, start, put(ending, usage));
  return [start, words("Grüße ", "🎉!"), put(ending, usage)];
}

function emptyStream(protocol: Protocol, start: string, ending: string): string[] {
  return protocol === "responses"
    ? [start.slice(0, start.indexOf("event: response.output_item")), emptied(ending)]
    : [start, ending];
}

/** Responses say the whole answer again at its end. */
function emptied(ending: string): string {
  const completed = ending.slice(ending.indexOf("event: response.completed"));
  return completed.replace(/"output":\[.*?\],"usage"/, '"output":[],"usage"');
}

function failing(status: number, message: string): Response {
  return Response.json({ error: { message, type: "error" } }, { status, headers: { "retry-after": "1" } });
}
