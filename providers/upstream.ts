/** Sends one attempt. The only place that talks to an upstream; `fetch` and the timers are handed in. */

import { type Failure, failure } from "./failure.ts";
import type { Patched, UpstreamRequest } from "./request.ts";

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export type Sent = { ok: true; response: Response } | { ok: false; failure: Failure };

/** Answers once the headers are there. `signal` ends the attempt at any time. */
export async function sendUpstream(fetch: Fetch, request: UpstreamRequest, signal: AbortSignal): Promise<Sent> {
  const { url, headers, body } = request;
  const send = (bytes: string | Buffer) =>
    fetch(url, {
      method: "POST",
      headers,
      body: bytes,
      signal,
      redirect: "manual",
      // Bun gives up after 5 minutes of silence by default; a thinking model may take longer, so the limits are ours.
      timeout: false,
    } as RequestInit);
  try {
    const response = await (typeof body === "string" || Buffer.isBuffer(body) ? send(body) : sendPatched(body, send));
    return { ok: true, response };
  } catch (cause) {
    return { ok: false, failure: classifyThrown(cause, signal) };
  }
}

/**
 * Sends the bytes as they are to be, and leaves them as they were: `fetch` copies a body before it returns (Fetch standard,
 * "extract a body"; tried on Bun 1.4). An agent's body is large, each copy of it counts, and nearly all name their model
 * first: where the new name is no longer, what stands before it moves up, and the rest stays in place.
 */
function sendPatched<Sent>({ bytes, patches }: Patched, send: (bytes: Buffer) => Sent): Sent {
  const [patch] = patches;
  const spare = patch === undefined ? -1 : patch.end - patch.start - patch.put.length;
  if (patch === undefined || patches.length !== 1 || spare < 0 || patch.end > maxHeadBytes) {
    return send(joinPatched({ bytes, patches }));
  }
  const head = Buffer.from(bytes.subarray(0, patch.end));
  try {
    head.copy(bytes, spare, 0, patch.start);
    patch.put.copy(bytes, spare + patch.start);
    return send(bytes.subarray(spare));
  } finally {
    head.copy(bytes);
  }
}

/** More is not moved (bytes). */
const maxHeadBytes = 1024;

/** Reused, since a fresh buffer of an agent's body size costs more in page faults than all other work on the request. */
let scratch = Buffer.alloc(0);

/** Bodies above this are joined in memory of their own, so that one giant request does not hold its memory for ever. */
const maxScratchBytes = 4 * 1024 * 1024;

/** Valid until the next call. */
function joinPatched({ bytes, patches }: Patched): Buffer {
  const length = patches.reduce((sum, { start, end, put }) => sum + put.length - (end - start), bytes.length);
  if (scratch.length < length && length <= maxScratchBytes)
    scratch = Buffer.allocUnsafeSlow(Math.min(length * 2, maxScratchBytes));
  const joined = length > maxScratchBytes ? Buffer.allocUnsafeSlow(length) : scratch;
  let from = 0;
  let to = 0;
  for (const { start, end, put } of patches) {
    to += bytes.copy(joined, to, from, start);
    to += put.copy(joined, to);
    from = end;
  }
  bytes.copy(joined, to, from);
  return joined.subarray(0, length);
}

/** What `fetch` or a body reader threw. An abort carries its own reason: the client left, or one of our limits ran out. */
export function classifyThrown(cause: unknown, signal: AbortSignal): Failure {
  if (signal.aborted) {
    const reason: unknown = signal.reason;
    if (reason instanceof LimitReached) return failure("timeout", reason.message);
    return reason instanceof GatewayStopped
      ? failure("stopped", reason.message)
      : failure("aborted", new ClientLeft().message);
  }
  const error = cause as { code?: string; message?: string };
  const words = thrownWords[error.code ?? ""] ?? error.message ?? String(cause);
  return failure("network", words, error.code === undefined ? {} : { code: error.code });
}

/** Bun's error codes, in words a person can act on. */
const thrownWords: Readonly<Record<string, string>> = {
  ConnectionRefused: "connection refused: nothing listens there",
  ECONNREFUSED: "connection refused: nothing listens there",
  ECONNRESET: "connection lost: the upstream reset it",
  ConnectionClosed: "connection lost: the upstream closed it before answering",
  FailedToOpenSocket: "cannot connect: the host was not found or is unreachable",
  ENOTFOUND: "cannot connect: the host was not found",
};

/** The reason of an abort because the client went away. */
export class ClientLeft extends Error {
  override name = "ClientLeft";
  constructor() {
    super("the client closed the connection");
  }
}

/** The reason of an abort because the gateway is about to end. */
export class GatewayStopped extends Error {
  override name = "GatewayStopped";
}

/** The reason of an abort by one of our own limits. */
export class LimitReached extends Error {
  override name = "LimitReached";
}

/** What is read of an error's body: at most this much, for at most this long (bytes, ms). */
const maxErrorBytes = 64 * 1024;
const errorBodyMs = 1_000;

/** The start of an error's body, as text; never throws, and does not wait for a body that stalls. */
export async function readStart(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return "";
  const timer = setTimeout(() => reader.cancel().catch(ignoreRejection), errorBodyMs);
  const chunks: Uint8Array[] = [];
  let total = 0;
  try {
    while (total < maxErrorBytes) {
      const { value, done } = await reader.read();
      if (done) break;
      chunks.push(value);
      total += value.length;
    }
  } catch {
    // What has come so far is still the best account of the error.
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(ignoreRejection);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** How long an upstream may take to end a body whose last event has been read (ms). */
const readOutMs = 1_000;

/**
 * Reads what little follows an answer's last event, so that the connection can be used again; one that is kept open is
 * given up. Never throws.
 */
export async function readOut(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  const timer = setTimeout(() => reader.cancel().catch(ignoreRejection), readOutMs);
  try {
    while (!(await reader.read()).done);
  } catch {
    // The answer is complete; how its connection ends changes nothing.
  } finally {
    clearTimeout(timer);
  }
}

function ignoreRejection(): void {
  // Cancelling rejects when the body was aborted first; both mean the same.
}
