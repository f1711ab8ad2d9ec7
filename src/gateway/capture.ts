/**
 * Keeps the bodies of requests and answers while somebody has asked for it, for `clutch replay` and for looking closer at what
 * went wrong. Off, a request costs one comparison. What is kept is cleaned of keys and written behind the answer.
 */

import type { z } from "zod";
import { type CaptureMode, readCaptureMode, writeCaptureMode } from "../lifecycle/capture-mode.ts";
import type { Protocol } from "../protocols/chat.ts";
import type { CapturedBodies, CaptureQueries } from "../store/captures.ts";
import type { RequestRow } from "../store/schema.ts";
import type { captureReport } from "./admin-schemas.ts";

/** A longer body is not kept, only its length (bytes). */
const maxBodyBytes = 4 * 1024 * 1024;

/** All that is kept, on the disk (bytes): beyond it the oldest go. */
const maxStoredBytes = 256 * 1024 * 1024;

/** The disk's room is looked at once for so many. */
const tendEvery = 20;

/** Bodies that wait to be written (bytes); more than the disk takes are given up. */
const maxWaitingBytes = 64 * 1024 * 1024;

/** Headers that say how a request is to be read. Never one that could hold a credential. */
const keptHeaders = [
  "user-agent",
  "anthropic-version",
  "anthropic-beta",
  "openai-beta",
  "x-codex-beta-features",
] as const;

export interface CapturesDeps {
  queries: CaptureQueries;
  /** Milliseconds since 1970. */
  now(): number;
  /** Takes keys out of a text. */
  hide(text: string): string;
  /** Where the mode is kept; undefined keeps it in memory. */
  stateDir: string | undefined;
  onError(reason: string): void;
}

export type CaptureReport = z.infer<typeof captureReport>;

/** One request's bodies while it is under way. */
export class Capture {
  /** As it came; undefined where it is too large to keep, so that nothing holds it while an answer takes its time. */
  readonly request: Buffer | undefined;
  readonly requestBytes: number;
  readonly headers: Record<string, string>;
  readonly protocol: Protocol;
  readonly query: string;
  readonly startedAt: number;
  #response: Uint8Array[] | undefined = [];
  responseBytes = 0;

  constructor(protocol: Protocol, request: Buffer, headers: Headers, query: string, startedAt: number) {
    this.protocol = protocol;
    // The request's own bytes are let go of before it ends.
    this.request = request.length > maxBodyBytes ? undefined : Buffer.from(request);
    this.requestBytes = request.length;
    this.query = query;
    this.startedAt = startedAt;
    this.headers = Object.fromEntries(
      keptHeaders.flatMap((name) => {
        const value = headers.get(name);
        return value === null ? [] : [[name, value]];
      }),
    );
  }

  /** As the client gets it. */
  write(bytes: Uint8Array | string): void {
    const chunk = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
    this.responseBytes += chunk.length;
    if (this.responseBytes > maxBodyBytes) this.#response = undefined;
    else this.#response?.push(chunk);
  }

  /** What it keeps in memory. */
  get heldBytes(): number {
    return (this.request?.length ?? 0) + (this.#response === undefined ? 0 : this.responseBytes);
  }

  /** Undefined where there was none, or too much. */
  get response(): string | undefined {
    if (this.#response === undefined || this.responseBytes === 0) return undefined;
    return Buffer.concat(this.#response).toString("utf8");
  }
}

export class Captures {
  readonly #deps: CapturesDeps;
  #mode: CaptureMode | undefined;
  readonly #open = new Map<string, Capture>();
  #waiting: { id: string; capture: Capture }[] = [];
  #waitingBytes = 0;
  #sinceTended = 0;
  #isFailing = false;

  constructor(deps: CapturesDeps) {
    this.#deps = deps;
    this.#mode = deps.stateDir === undefined ? undefined : readCaptureMode(deps.stateDir, deps.now());
  }

  /** @param mode undefined switches it off */
  set(mode: CaptureMode | undefined): void {
    this.#mode = mode;
    const { stateDir } = this.#deps;
    if (stateDir !== undefined) writeCaptureMode(stateDir, mode);
  }

  async report(): Promise<CaptureReport> {
    await this.flush();
    const mode = this.#current(this.#deps.now());
    const { count, bytes } = await this.#deps.queries.sum();
    return {
      mode: mode?.what ?? "off",
      until: mode === undefined ? null : new Date(mode.until).toISOString(),
      captured: count,
      stored_bytes: bytes,
    };
  }

  /** Undefined while nothing is captured. @param body as it came */
  begin(
    id: string,
    protocol: Protocol,
    body: Buffer,
    headers: Headers,
    query: string,
    now: number,
  ): Capture | undefined {
    if (this.#mode === undefined || this.#current(now) === undefined) return undefined;
    const capture = new Capture(protocol, body, headers, query, now);
    this.#open.set(id, capture);
    return capture;
  }

  /** The request has ended, and its answer has been formed. */
  ended({ id, status }: Pick<RequestRow, "id" | "status">): void {
    if (this.#open.size === 0) return;
    const capture = this.#open.get(id);
    if (capture === undefined) return;
    this.#open.delete(id);
    if (this.#mode?.what !== "all" && status !== "error") return;
    if (this.#waitingBytes > maxWaitingBytes) return;
    this.#waitingBytes += capture.heldBytes;
    this.#waiting.push({ id, capture });
  }

  #current(now: number): CaptureMode | undefined {
    if (this.#mode !== undefined && this.#mode.until <= now) this.#mode = undefined;
    return this.#mode;
  }

  /** Writes what waits: ahead of the rows that tell of the requests' ends, so that who sees such a row finds the bodies. */
  async flush(): Promise<void> {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    this.#waitingBytes = 0;
    const { queries, onError } = this.#deps;
    try {
      await queries.save(waiting.map(({ id, capture }) => this.#clean(id, capture)));
      this.#sinceTended += waiting.length;
      if (this.#sinceTended >= tendEvery) {
        this.#sinceTended = 0;
        await queries.keepWithin(maxStoredBytes);
      }
      this.#isFailing = false;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#isFailing) onError(`captured bodies cannot be written (${reason}): they are lost, requests go on`);
      this.#isFailing = true;
    }
  }

  #clean(requestId: string, capture: Capture): CapturedBodies {
    const { hide } = this.#deps;
    const { protocol, query, request, startedAt, response } = capture;
    const headers = Object.entries(capture.headers).map(([name, value]) => [name, hide(value)]);
    return {
      requestId,
      createdAt: startedAt,
      protocol,
      query: hide(query),
      headers: Object.fromEntries(headers) as Record<string, string>,
      request: request === undefined ? undefined : hide(request.toString("utf8")),
      requestBytes: capture.requestBytes,
      response: response === undefined ? undefined : hide(response),
      responseBytes: capture.responseBytes,
    };
  }
}
