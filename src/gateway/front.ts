/**
 * The door to Headroom. A request to `/front/...` is handed to it as it is, under an id that nobody can guess, and what
 * arrives at the gateway's plain address under that id is the same request, compressed. The gateway then answers the
 * agent itself, and gives Headroom a copy of the answer for its own bookkeeping. So nothing that becomes of Headroom
 * behind the compression can harm an answer, and whatever goes wrong before it costs a moment and no request.
 *
 *     agent -> /front/v1/messages -> Headroom -> /v1/messages (same id)
 *     agent <--------- answer ------------+----> copy -> Headroom -> dropped
 */

import { neverForwarded } from "../../providers/request.ts";
import { ClientLeft, classifyThrown, type Fetch, LimitReached } from "../../providers/upstream.ts";
import { buildLaunchToken } from "../launch-token.ts";
import type { Protocol } from "../protocols/chat.ts";
import type { GatewayError } from "../protocols/codec.ts";
import { type RequestBody, readBody } from "./body.ts";
import { type Compressed, takeOver } from "./compression.ts";
import type { HeadroomWatch } from "./headroom-watch.ts";
import type { Caller } from "./recognise.ts";
import { shareAnswer } from "./share-answer.ts";

/** Carries the id. On a request to `/front` it tells of a loop. */
export const frontHeader = "x-clutch-front";

/**
 * How long the compressed request may take to arrive: measured with 0.42.0 are 5-40 ms for 300 KB and 25-130 ms for
 * 1 MB, some hundred the first time (ms).
 */
const arrivalMs = 3_000;
const arrivalMsPerByte = 1 / 500;

/** How long Headroom may go on with its copy when the agent has its answer (ms). */
const bookkeepingMs = 5_000;

/** Each holds a connection to Headroom until its answer has ended, and a process has 256 for all it asks. More go without. */
const maxPassages = 100;

export interface FrontDeps {
  fetch: Fetch;
  /** Headroom's address, such as `http://127.0.0.1:8787`; undefined where it stands in front of nothing. */
  url(): string | undefined;
  watch: HeadroomWatch;
  /** In place of the usual patience, for tests (ms). */
  arrivalLimitMs?: number;
}

/** One request on its way through Headroom. */
export interface Passage {
  /** Undefined where it must go on as it came. @throws {ClientLeft} when nobody waits for it any more */
  compress(): Promise<Compressed | undefined>;
  /** The answer for the agent; Headroom gets its copy. */
  share(answer: Response): Promise<Response>;
  /** There will be no answer. */
  abandon(): void;
}

interface Waiting {
  protocol: Protocol;
  arrive(inner: Buffer): Promise<Response>;
}

export class Front {
  readonly #deps: FrontDeps;
  readonly #waiting = new Map<string, Waiting>();
  #passages = 0;

  constructor(deps: FrontDeps) {
    this.#deps = deps;
  }

  open(protocol: Protocol, path: string, raw: Request, body: RequestBody, caller: Caller): Passage {
    const base = this.#deps.url();
    let answered: PromiseWithResolvers<Response> | undefined;
    const ending = new AbortController();
    return {
      compress: async () => {
        if (base === undefined || isVendors(raw.headers, caller) || this.#passages >= maxPassages) return undefined;
        const visit = this.#deps.watch.enter();
        if (visit === undefined) return undefined;
        const id = crypto.randomUUID();
        const arrived = Promise.withResolvers<{ inner: Buffer }>();
        const reply = Promise.withResolvers<Response>();
        this.#waiting.set(id, {
          protocol,
          arrive: (inner) => {
            arrived.resolve({ inner });
            return reply.promise;
          },
        });
        const query = raw.url.indexOf("?");
        const sent = this.#send(base + path + (query < 0 ? "" : raw.url.slice(query)), id, raw, body, caller, ending);
        const limitMs = this.#deps.arrivalLimitMs ?? arrivalMs + body.size * arrivalMsPerByte;
        const timer = setTimeout(() => {
          ending.abort(new LimitReached(`takes longer than ${Math.round(limitMs / 100) / 10} s`));
        }, limitMs);
        const onLeft = () => ending.abort(new ClientLeft());
        raw.signal.addEventListener("abort", onLeft);
        try {
          const first = await Promise.race([arrived.promise, sent]);
          if (raw.signal.aborted) {
            visit.unknown();
            throw new ClientLeft();
          }
          if ("why" in first) {
            visit.failed(first.kind, first.why);
            return undefined;
          }
          answered = reply;
          const taken = takeOver(body, first.inner);
          if (!taken.ok) {
            visit.failed("malformed", `cannot be used: ${taken.reason}`);
            return undefined;
          }
          visit.worked();
          return { way: "front", body: taken.body, bytesBefore: body.size };
        } finally {
          clearTimeout(timer);
          raw.signal.removeEventListener("abort", onLeft);
          this.#waiting.delete(id);
          // One that arrived in the same moment is not kept waiting.
          if (answered === undefined) reply.resolve(new Response(null, { status: 499 }));
        }
      },
      share: async (answer) => {
        if (answered === undefined) return answer;
        const { own, copy, ended } = await shareAnswer(answer);
        answered.resolve(copy);
        void ended.then(() =>
          setTimeout(() => ending.abort(new LimitReached("has had its copy")), bookkeepingMs).unref(),
        );
        return own;
      },
      abandon: () => {
        answered?.resolve(new Response(null, { status: 499 }));
        ending.abort(new LimitReached("is not waited for any more"));
      },
    };
  }

  /**
   * A request at the plain address that carries an id. Undefined for one that is not waited for: it comes round a second
   * time, or its agent has been answered long since.
   */
  async arrive(id: string, protocol: Protocol, raw: Request): Promise<Response | undefined> {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined || waiting.protocol !== protocol) return undefined;
    // Whatever Headroom asks once more under the same id is no request of the agent's.
    this.#waiting.delete(id);
    return waiting.arrive(await readBody(raw));
  }

  /** Settles when Headroom has failed before the request has arrived; never, once its own answer is of no interest. */
  async #send(
    url: string,
    id: string,
    raw: Request,
    body: RequestBody,
    caller: Caller,
    ending: AbortController,
  ): Promise<{ kind: "network" | "timeout" | "upstream"; why: string }> {
    const { signal } = ending;
    this.#passages += 1;
    const leave = () => {
      this.#passages -= 1;
    };
    try {
      const init = { method: "POST", headers: outerHeaders(raw.headers, id, caller), body: body.bytes, signal };
      const response = await this.#deps.fetch(url, { ...init, redirect: "manual", timeout: false } as RequestInit);
      // By now the request has arrived, or Headroom has answered it by itself.
      void drop(response).then(leave);
      return { kind: "upstream", why: `answers by itself (HTTP ${response.status})` };
    } catch (cause) {
      leave();
      const why = classifyThrown(cause, signal);
      if (why.kind === "timeout") return { kind: "timeout", why: why.message };
      return { kind: "network", why: `does not answer (${why.message})` };
    }
  }
}

/** What is said to a request that nobody waits for. */
export const notWaitedFor: GatewayError = {
  kind: "invalid-request",
  message: `a loop, or too late: this request carries ${frontHeader}, and no request to /front is waiting for it`,
};

/** What is said to a request at `/front` that has been there. */
export const roundAgain: GatewayError = {
  kind: "invalid-request",
  message: `a loop: this request has been through /front already. Headroom must send to the gateway's plain address`,
};

/**
 * An agent's own login goes to its own vendor and nowhere else; and a request with ChatGPT's would be sent there by
 * Headroom itself, past the gateway.
 */
function isVendors(headers: Headers, caller: Caller): boolean {
  return caller.keepsOwnLogin || headers.has("chatgpt-account-id");
}

/** The client's credential: Headroom needs none. */
const credentials = new Set(["authorization", "x-api-key"]);

/** The agent's own, but for its credential: the id admits the request, and Headroom needs only to tell agents apart. */
function outerHeaders(client: Headers, id: string, { launch }: Caller): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of client) {
    const isOurs = name.startsWith("x-clutch-") || name.startsWith("x-headroom-");
    if (!isOurs && !neverForwarded.has(name) && !credentials.has(name)) headers[name] = value;
  }
  const { code = "", launchId = "" } = launch ?? {};
  headers["authorization"] = `Bearer ${launch === undefined ? "clutch" : buildLaunchToken({ code, launchId })}`;
  headers[frontHeader] = id;
  return headers;
}

/** Reads what is of no interest, so that its sender comes to its end. Never throws. */
async function drop(response: Response): Promise<void> {
  try {
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    while (!(await reader.read()).done);
  } catch {
    // It ended early; the agent has its answer from us.
  }
}
