/** The streamed answer to a client, from its opening to its last event; owns the client's side of the connection. */

import { classifyStreamError, type Failure, failure } from "../../providers/failure.ts";
import { renderModelReference } from "../../providers/model-reference.ts";
import { ClientLeft, classifyThrown, GatewayStopped, LimitReached, readOut } from "../../providers/upstream.ts";
import type { ChatEvent, StreamError, Usage } from "../protocols/chat.ts";
import type { GatewayError, StreamEncoder } from "../protocols/codec.ts";
import { codecs } from "../protocols/index.ts";
import { AnswerWatch } from "./answer-watch.ts";
import type { LiveAnswer } from "./attempt.ts";
import { type CascadeResult, recordAttempt, toGatewayError } from "./cascade.ts";
import type { Exchange } from "./exchange.ts";
import type { Ticket } from "./health.ts";
import { hideKeysOf } from "./hide-keys.ts";
import { renderAll } from "./lane.ts";
import type { Ending } from "./ledger.ts";
import type { Target } from "./router.ts";

/** Longest silence towards the client in ms: Claude Code warns after 20 s without a byte. */
const keepAliveMs = 15_000;

/** How long a whole answer is read on, in ms: some Chat servers send usage after the finish reason, some never close. */
const lateUsageMs = 5_000;

const utf8 = new TextEncoder();

export interface StreamReplyDeps {
  now(): number;
  idleMs: number;
  /** Told at the end what the upstream reported, with `provider:model`. */
  onUsage(servedBy: string, usage: Usage): void;
  /** Told once, when the answer has ended one way or another. */
  onEnd(): void;
}

interface Serving {
  answer: LiveAnswer;
  target: Target;
  attemptStartedAt: number;
  ticket: Ticket;
}

export class StreamReply {
  readonly #exchange: Exchange;
  readonly #deps: StreamReplyDeps;
  readonly #stream: ReadableStream<Uint8Array>;
  #client: ReadableStreamDefaultController<Uint8Array> | undefined;
  /** Set when the stream was opened before any upstream had answered. */
  #opener: StreamEncoder | undefined;
  #serving: Serving | undefined;
  #wakeWhenServing: (() => void) | undefined;
  #usage: Usage | undefined;
  #firstTokenMs: number | undefined;
  readonly #judge = new AnswerWatch();
  #isOver = false;
  #isSettling = false;
  #isReading = false;
  #keepAlive: ReturnType<typeof setTimeout> | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(exchange: Exchange, deps: StreamReplyDeps) {
    this.#exchange = exchange;
    this.#deps = deps;
    this.#stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#client = controller;
      },
      pull: () => this.#pull(),
      cancel: () => {
        exchange.cancel(new ClientLeft());
        this.#settle({ status: "aborted" }, failure("aborted", "the client closed the connection"));
      },
    });
  }

  get body(): ReadableStream<Uint8Array> {
    return this.#stream;
  }

  /** How far it has come, for whoever watches. */
  get progress(): { characters: number; firstTokenMs: number | undefined } {
    return { characters: this.#judge.characters, firstTokenMs: this.#firstTokenMs };
  }

  /** Writes the protocol's neutral opening, so that a slow cascade does not look like a dead connection. */
  open(): void {
    const opener = codecs[this.#exchange.input.protocol].streamEncoder(this.#exchange.replyContext);
    this.#opener = opener;
    this.#write(renderAll(opener.open()));
  }

  /** Goes on with what the cascade found. A failure before any opening is for the caller, as a plain HTTP error. */
  adopt(result: CascadeResult): void {
    if (this.#isOver) {
      if (result.ok) result.ticket.unknown();
      return;
    }
    if (!result.ok) {
      this.#writeError(result.error);
      this.#settle({ status: this.#exchange.isCancelled ? "aborted" : "error", error: result.error.message });
      return;
    }
    const { answer, target, attemptStartedAt, ticket } = result;
    if (answer.kind !== "live") throw new Error("a whole answer cannot be streamed");
    this.#serving = { answer, target, attemptStartedAt, ticket };
    this.#firstTokenMs = this.#deps.now() - this.#exchange.input.startedAt;
    if (this.#opener !== undefined) answer.lane.skipOpening();
    this.#exchange.release();
    const broken = this.#watch(answer.events);
    this.#flush();
    if (answer.reader === undefined) this.#finish(broken);
    else if (answer.lane.isWhole) this.#settleSoon();
    else this.#limitSilence(this.#deps.idleMs);
    this.#wakeWhenServing?.();
  }

  /** Ends the stream in an error event: the gateway is about to stop. */
  interrupt(error: GatewayError): void {
    if (this.#isOver) return;
    this.#writeError(error);
    this.#settle({ status: "aborted", error: error.message }, failure("aborted", error.message));
    this.#exchange.cancel(new GatewayStopped(error.message));
  }

  async #pull(): Promise<void> {
    if (this.#isOver) return;
    if (this.#serving === undefined) await new Promise<void>((wake) => (this.#wakeWhenServing = wake));
    const reader = this.#serving?.answer.reader;
    if (reader === undefined) return;
    const { lane, controller } = (this.#serving as Serving).answer;
    try {
      for (;;) {
        this.#isReading = true;
        this.#idle?.refresh();
        const read = await reader.read();
        this.#isReading = false;
        if (this.#isOver) return;
        const events = read.value === undefined ? lane.end() : lane.push(read.value);
        const broken = this.#watch(events);
        const wrote = this.#flush();
        const last = events.at(-1)?.type;
        if (read.done || last === "finish" || last === "error") {
          this.#finish(broken);
          if (!read.done) void readOut(reader);
          return;
        }
        if (lane.isWhole && !this.#isSettling) this.#settleSoon();
        if (wrote) return;
      }
    } catch (cause) {
      if (this.#isOver) return;
      if (!lane.isWhole) return this.#finish(classifyThrown(cause, controller.signal));
      const broken = this.#watch(lane.end());
      this.#flush();
      this.#finish(broken);
    }
  }

  /** Notes usage, and returns what broke the stream, if something did. */
  #watch(events: readonly ChatEvent[]): StreamError | undefined {
    for (const event of events) {
      this.#judge.see(event);
      if (event.type === "error") return event.error;
      if ((event.type === "usage" || event.type === "start" || event.type === "finish") && event.usage !== undefined) {
        this.#usage = event.usage;
      }
    }
    return undefined;
  }

  #finish(broken: StreamError | Failure | undefined): void {
    if (broken === undefined) {
      this.#settle({ status: "completed" });
      return;
    }
    const scope = this.#serving?.target.provider.rateLimitScope;
    const told = isFailure(broken) ? broken : classifyStreamError(broken, this.#deps.now(), scope);
    const target = this.#serving?.target;
    const why = target === undefined ? told : hideKeysOf(told, target, this.#exchange.input.headers);
    const isToldAlready = broken.kind === "reported" && this.#serving?.answer.lane.carriesErrors === true;
    if (!isToldAlready && why.kind !== "aborted") this.#writeError(toGatewayError(why, this.#exchange.input.id));
    this.#settle({ status: why.kind === "aborted" ? "aborted" : "error", error: why.message }, why);
  }

  #flush(): boolean {
    const output = this.#serving?.answer.lane.take();
    if (output === undefined) return false;
    this.#write(output);
    return true;
  }

  #writeError(error: GatewayError): void {
    const lane = this.#serving?.answer.lane;
    this.#write(lane === undefined ? renderAll(this.#opener?.fail(error) ?? []) : lane.fail(error));
  }

  #write(bytes: Uint8Array): void {
    if (this.#isOver || bytes.length === 0) return;
    this.#client?.enqueue(bytes);
    this.#exchange.capture?.write(bytes);
    if (this.#keepAlive === undefined) this.#keepAlive = setTimeout(() => this.#writeKeepAlive(), keepAliveMs);
    else this.#keepAlive.refresh();
  }

  #writeKeepAlive(): void {
    if (this.#serving?.answer.lane.isMidEvent === true) this.#keepAlive?.refresh();
    else this.#write(utf8.encode(codecs[this.#exchange.input.protocol].keepAlive));
  }

  #settleSoon(): void {
    this.#isSettling = true;
    this.#limitSilence(lateUsageMs);
  }

  #limitSilence(limitMs: number): void {
    clearTimeout(this.#idle);
    if (limitMs === 0) return;
    const { controller } = (this.#serving as Serving).answer;
    this.#idle = setTimeout(() => {
      const message = `connection lost: the upstream was silent for ${limitMs / 1000} s (server error)`;
      // While nobody reads, it is the client that is slow.
      if (this.#isReading) controller.abort(new LimitReached(message));
      else this.#idle?.refresh();
    }, limitMs);
  }

  /** Ends everything once: timers, the client's stream, the ledger. */
  #settle(ending: Pick<Ending, "status" | "error">, why?: Failure): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#keepAlive);
    clearTimeout(this.#idle);
    const { input } = this.#exchange;
    const serving = this.#serving;
    let servedBy: string | undefined;
    if (serving !== undefined) {
      const { target, attemptStartedAt, ticket } = serving;
      this.#tell(ticket, why);
      servedBy = renderModelReference({ provider: target.provider.id, model: target.model });
      recordAttempt(this.#exchange, target, attemptStartedAt, this.#deps.now() - attemptStartedAt, why);
      if (this.#usage !== undefined) this.#deps.onUsage(servedBy, this.#usage);
    }
    const { error, status } = ending;
    input.entry.finish({
      status,
      error,
      httpStatus: 200,
      servedBy,
      usage: this.#usage,
      firstTokenMs: this.#firstTokenMs,
    });
    this.#close();
    this.#wakeWhenServing?.();
    this.#deps.onEnd();
  }

  /** Success is known at the end of the stream, and no client that leaves says anything of it. */
  #tell(ticket: Ticket, why: Failure | undefined): void {
    const isOurs = why?.kind === "aborted" || why?.kind === "stopped";
    if (isOurs) ticket.unknown();
    else if (why !== undefined) ticket.failed(why);
    else {
      const flaw = this.#judge.flaw(this.#serving?.answer.forcesTool === true);
      if (flaw === undefined) ticket.served();
      else ticket.servedBadly(flaw);
    }
  }

  #close(): void {
    try {
      this.#client?.close();
    } catch {
      // Closed already: the client cancelled it.
    }
  }
}

function isFailure(broken: StreamError | Failure): broken is Failure {
  return "scope" in broken;
}
