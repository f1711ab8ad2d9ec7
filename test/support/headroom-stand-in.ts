/**
 * Stands in for Headroom over a real socket, with one behaviour at a time. It "compresses" by taking runs of `~` out of the
 * body, and adds what the real one adds (0.42.0): `stream_options`, and `max_completion_tokens` in place of `max_tokens`.
 */

export interface HeadroomStandIn extends AsyncDisposable {
  port: number;
  /** Where it sends to; to be set before it is asked. */
  gatewayUrl: string;
  does: Behaviour;
  /** It waits for this before it does anything. */
  hold?: Promise<void>;
  /** What it was asked, without the bodies. */
  requests: { path: string; headers: Record<string, string>; bytes: string }[];
  /** What the gateway has answered it, as far as it has read it. */
  answers: { status: number; text: string }[];
  stop(): Promise<void>;
}

export type Behaviour =
  /** Compresses, sends it on, and hands the answer back. */
  | "compress"
  /** Sends it on as it came. */
  | "pass"
  /** Answers by itself, without having sent anything on. */
  | { answers: () => Response }
  /** Says nothing at all. */
  | "hang"
  /** Sends it on, and does this with the answer. */
  | { spoils: (answer: Response) => Response | Promise<Response> }
  /** Sends this on in place of the body. */
  | { sends: (body: string) => string }
  /** Sends it on twice under the same id, as one that tries again would. */
  | "twice"
  /** Sends it to the gateway's /front instead of its plain address. */
  | "round"
  /** Sends it on, and leaves when the answer's first bytes are there. */
  | "leaves";

const dropped = ["host", "content-length", "accept-encoding", "connection"];

export function compressText(body: string): string {
  return body.replace(/~+/g, "~");
}

function compress(body: string): string {
  const { max_tokens, ...rest } = JSON.parse(compressText(body)) as Record<string, unknown>;
  const limit = max_tokens === undefined ? {} : { max_completion_tokens: max_tokens };
  return JSON.stringify({ ...rest, ...limit, stream_options: { include_usage: true }, metadata: { added: true } });
}

export function startHeadroomStandIn(does: Behaviour = "compress"): HeadroomStandIn {
  const standIn = { does, gatewayUrl: "", requests: [], answers: [] } as unknown as HeadroomStandIn;
  const ending = new AbortController();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const body = await request.text();
      const headers = Object.fromEntries(request.headers);
      standIn.requests.push({ path: pathname + search, headers, bytes: body });
      await standIn.hold;
      const { does: now } = standIn;
      if (now === "hang")
        return new Promise<Response>((resolve) =>
          ending.signal.addEventListener("abort", () => resolve(new Response())),
        );
      if (typeof now === "object" && "answers" in now) return now.answers();
      const sent = typeof now === "object" && "sends" in now ? now.sends(body) : now === "pass" ? body : compress(body);
      const leaving = new AbortController();
      const send = () =>
        fetch(`${standIn.gatewayUrl}${now === "round" ? "/front" : ""}${pathname}${search}`, {
          method: "POST",
          headers: Object.entries(headers).filter(([name]) => !dropped.includes(name)),
          body: sent,
          signal: AbortSignal.any([leaving.signal, request.signal]),
        });
      const answer = await send();
      if (now === "twice") standIn.answers.push(await read(await send()));
      if (now === "leaves") {
        await answer.body?.getReader().read();
        leaving.abort();
        return new Response(null, { status: 502 });
      }
      const [first, second] = answer.body?.tee() ?? [null, null];
      void read(new Response(second, { status: answer.status })).then((told) => standIn.answers.push(told));
      const copy = new Response(first, { status: answer.status, headers: answer.headers });
      return typeof now === "object" && "spoils" in now ? now.spoils(copy) : copy;
    },
  });
  standIn.port = server.port ?? 0;
  standIn.stop = async () => {
    ending.abort();
    await server.stop(true);
  };
  standIn[Symbol.asyncDispose] = standIn.stop;
  return standIn;
}

async function read(answer: Response): Promise<{ status: number; text: string }> {
  return { status: answer.status, text: await answer.text().catch((cause: unknown) => `broken: ${cause}`) };
}
