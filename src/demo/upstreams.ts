/** Upstreams that misbehave the way real ones do, each on cue; loopback only. */

/** Which model behaves how, in the order the demo's cascade asks them. */
export const demoModels = {
  "rate-limited:free": { protocol: "chat", reply: rateLimited },
  "silent-success": { protocol: "messages", reply: emptyStream },
  "never-starts": { protocol: "messages", reply: hang },
  answers: { protocol: "chat", reply: goodStream },
} as const satisfies Record<string, { protocol: "chat" | "messages"; reply: (request: Request) => Response }>;

export type DemoModel = keyof typeof demoModels;

export const expectedAnswer = "Four were asked, one answered: this text came from the last of them.";

export interface DemoUpstreams {
  port: number;
  /** The models that were called, and with how many tools, in order. */
  calls: { model: string; tools: number }[];
  stop(): Promise<void>;
}

export function startDemoUpstreams(): DemoUpstreams {
  const calls: DemoUpstreams["calls"] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const body = (await request.json()) as { model: string; tools?: unknown[] };
      calls.push({ model: body.model, tools: body.tools?.length ?? 0 });
      return demoModels[body.model as DemoModel].reply(request);
    },
  });
  return { port: server.port ?? 0, calls, stop: () => server.stop(true) };
}

/** OpenRouter's answer when the free requests of the day are used up: the reset time is in the body. */
function rateLimited(): Response {
  const reset = String(Date.now() + 42 * 60_000);
  const metadata = { headers: { "X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset } };
  return Response.json(
    { error: { code: 429, message: "Rate limit exceeded: free-models-per-day", metadata } },
    { status: 429 },
  );
}

function emptyStream(): Response {
  return new Response("", { headers: { "content-type": "text/event-stream" } });
}

/** Headers and a comment at once, then nothing until the caller gives up. */
function hang(request: Request): Response {
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(": PROCESSING\n\n"));
      request.signal.addEventListener("abort", () => controller.close());
    },
  });
  return new Response(stream, { headers: { "content-type": "text/event-stream" } });
}

function goodStream(): Response {
  const chunk = (delta: object, finish: string | null = null) =>
    data({
      id: "chatcmpl-demo",
      object: "chat.completion.chunk",
      model: "answers",
      choices: [{ index: 0, delta, finish_reason: finish }],
    });
  const usage = { prompt_tokens: 21_320, completion_tokens: 17, total_tokens: 21_337, cost: 0.00214 };
  const words = expectedAnswer.split(/(?<= )/).map((content) => chunk({ content }));
  const lines = [
    chunk({ role: "assistant", content: "" }),
    ...words,
    chunk({}, "stop"),
    data({ id: "chatcmpl-demo", choices: [], usage }),
  ];
  const utf8 = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    async start(controller) {
      for (const line of [...lines, "data: [DONE]\n\n"]) {
        controller.enqueue(utf8.encode(line));
        await Bun.sleep(15);
      }
      controller.close();
    },
  });
  return new Response(stream, { headers: { "content-type": "text/event-stream" } });
}

function data(value: object): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}
