/** Plain HTTP answers of the gateway: errors in the client's protocol, and the headers every answer carries. */

import { relayedHeaders } from "../../providers/failure.ts";
import { renderModelReference } from "../../providers/model-reference.ts";
import type { Protocol } from "../protocols/chat.ts";
import { type GatewayError, ProtocolError } from "../protocols/codec.ts";
import { codecs } from "../protocols/index.ts";
import { BodyTooLarge } from "./body.ts";
import type { CascadeResult } from "./cascade.ts";
import type { Exchange } from "./exchange.ts";

export const streamHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
} as const;

/** Lower-case names. */
export type ReplyHeaders = Record<string, string>;

export function sendError(protocol: Protocol, error: GatewayError, more: ReplyHeaders = {}): Response {
  const { status, body } = codecs[protocol].encodeError(error);
  const headers: ReplyHeaders = { ...more, "content-type": "application/json" };
  if (error.retryAfterMs !== undefined)
    headers["retry-after"] = String(Math.max(1, Math.ceil(error.retryAfterMs / 1000)));
  return new Response(JSON.stringify(body), { status, headers });
}

/** Undefined for anything that is not the client's mistake. */
export function describeBadRequest(cause: unknown): GatewayError | undefined {
  if (cause instanceof BodyTooLarge) return { kind: "too-large", message: cause.message };
  if (!(cause instanceof ProtocolError)) return undefined;
  const { message, code, param } = cause;
  return { kind: "invalid-request", message, code, param };
}

/**
 * @param result undefined when the stream is opened before any upstream has answered: the truth is then in the ledger
 */
export function replyHeaders(exchange: Exchange, result: CascadeResult | undefined): ReplyHeaders {
  const { id, entry } = exchange.input;
  const headers: ReplyHeaders = result?.ok === true ? relayedHeaders(result.answer.headers) : { ...result?.headers };
  headers["x-clutch-request-id"] = id;
  if (result === undefined) headers["x-clutch-served-by"] = "pending";
  if (result?.ok === true) {
    const { provider, model } = result.target;
    headers["x-clutch-served-by"] = asHeader(renderModelReference({ provider: provider.id, model }));
  }
  headers["x-clutch-attempts"] = String(entry.row.attempts + (result?.ok === true ? 1 : 0));
  return headers;
}

/** A header holds visible ASCII only; anything else in a model's name is percent-encoded. */
export function asHeader(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : encodeURIComponent(text.toWellFormed());
}
