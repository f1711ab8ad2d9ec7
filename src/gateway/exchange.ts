/** One client request on its way through the gateway: what came in, and what its answers need to know of it. */

import type { ChatRequest, Protocol } from "../protocols/chat.ts";
import type { ReplyContext } from "../protocols/codec.ts";
import { codecs } from "../protocols/index.ts";
import { settleTurns } from "../protocols/turns.ts";
import type { RequestBody } from "./body.ts";
import type { Capture } from "./capture.ts";
import type { LedgerEntry } from "./ledger.ts";
import type { TrailNotes } from "./trail.ts";

export interface ExchangeInput {
  id: string;
  protocol: Protocol;
  body: RequestBody;
  stream: boolean;
  headers: Headers;
  /** `?beta=true`, or empty. */
  query: string;
  /** Milliseconds since 1970. */
  startedAt: number;
  entry: LedgerEntry;
  /** What becomes of its candidates. */
  trail: TrailNotes;
  /** The agent's own session id; undefined when it has none, or does not tell. */
  session: string | undefined;
}

export class Exchange {
  readonly input: ExchangeInput;
  /** Set while somebody wants bodies to be kept. */
  capture: Capture | undefined;
  #decoded: ChatRequest | undefined;
  /** Those under way: two at most, where a second candidate was started beside a slow first. */
  #attempts: AbortController[] = [];
  #cancelled: Error | undefined;

  constructor(input: ExchangeInput) {
    this.input = input;
  }

  /** The request in Clutch's own terms, decoded on first use. @throws {ProtocolError} */
  get decoded(): ChatRequest {
    if (this.#decoded !== undefined) return this.#decoded;
    const request = codecs[this.input.protocol].decodeRequest(this.input.body.json());
    request.turns = settleTurns(request.turns);
    this.#decoded = request;
    return request;
  }

  /** @throws {ProtocolError} like `decoded` */
  get replyContext(): ReplyContext {
    return {
      request: this.decoded,
      id: this.input.id,
      createdAt: Math.floor(this.input.startedAt / 1000),
      estimatedInputTokens: Math.ceil(this.input.body.size / 4),
    };
  }

  /** False when the request does not decode: then only an upstream of its own protocol can say what is wrong. */
  get isDecodable(): boolean {
    try {
      return this.decoded !== undefined;
    } catch {
      return false;
    }
  }

  /** Lets go of the conversation's text once a candidate serves; a stream may last for minutes. */
  release(): void {
    this.input.body.release();
    if (this.#decoded !== undefined) {
      this.#decoded.turns = [];
      this.#decoded.system = [];
    }
  }

  /** The controller of a new attempt; already aborted when the exchange is. Its end is for `endAttempt`. */
  startAttempt(): AbortController {
    const controller = new AbortController();
    if (this.#cancelled !== undefined) controller.abort(this.#cancelled);
    this.#attempts.push(controller);
    return controller;
  }

  /** The attempt has failed, or was left for another. One that serves stays until the client's answer has ended. */
  endAttempt(controller: AbortController): void {
    this.#attempts = this.#attempts.filter((attempt) => attempt !== controller);
  }

  /** Ends the attempts under way and every later one: the client has left, or the gateway must stop. */
  cancel(reason: Error): void {
    this.#cancelled ??= reason;
    for (const attempt of this.#attempts) attempt.abort(reason);
  }

  get isCancelled(): boolean {
    return this.#cancelled !== undefined;
  }
}
