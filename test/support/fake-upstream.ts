/**
 * An upstream that plays a script: below HTTP, on bare sockets, since half of what real ones do wrong happens there. It
 * keeps every request, and knows which of its replies are still open, so that an abort can be asserted.
 */

import { type AddressInfo, createServer, type Socket } from "node:net";
import type { Json, JsonObject } from "../../src/protocols/chat.ts";

export interface Reply {
  /** Without a head not one byte is sent. */
  head?: { status: number; headers: Readonly<Record<string, string>> };
  /** Each piece is a write of its own; a promise is waited for before the next. */
  body: readonly (string | Uint8Array | Promise<unknown>)[];
  /**
   * What becomes of the connection then: `complete` ends the body properly, `cut` closes it without its end, `reset`
   * breaks it, `open` leaves it as it is until the other side closes it.
   */
  end: "complete" | "cut" | "reset" | "open";
}

/** A whole JSON answer. */
export function json(value: Json, status = 200, headers: Readonly<Record<string, string>> = {}): Reply {
  return text(JSON.stringify(value), "application/json", status, headers);
}

export function text(
  body: string,
  contentType: string,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  const bytes = Buffer.from(body);
  return {
    head: { status, headers: { "content-type": contentType, "content-length": String(bytes.length), ...headers } },
    body: [bytes],
    end: "complete",
  };
}

/** A stream of events, or of any pieces of them. */
export function sse(
  pieces: Reply["body"],
  end: Reply["end"] = "complete",
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return { head: { status: 200, headers: { "content-type": "text/event-stream", ...headers } }, body: pieces, end };
}

export const html = text("<!doctype html><title>502 Bad Gateway</title>", "text/html");
/** Accepts the request and says nothing. */
export const silent: Reply = { body: [], end: "open" };
/** Breaks the connection instead of answering. */
export const reset: Reply = { body: [], end: "reset" };

export interface UpstreamRequest {
  method: string;
  /** With its query. */
  path: string;
  /** Names in lower case. */
  headers: Record<string, string>;
  /** As it came. */
  text: string;
  body: JsonObject;
}

/** By model; the last of a list repeats. A function decides by the request, such as by its key. */
export type Script = Readonly<Record<string, Reply | readonly Reply[] | ((request: UpstreamRequest) => Reply)>>;

export interface FakeUpstream {
  port: number;
  requests: UpstreamRequest[];
  /** The models that were asked, in order. */
  models(): string[];
  /** Replies that have begun and neither ended nor lost their connection. */
  unfinished(): number;
  /** Resolves when `count` requests have arrived since the start. */
  received(count: number): Promise<void>;
  /** Resolves when no reply is unfinished. */
  quiet(): Promise<void>;
  stop(): Promise<void>;
}

export async function startFakeUpstream(script: Script): Promise<FakeUpstream> {
  const requests: UpstreamRequest[] = [];
  const sockets = new Set<Socket>();
  const asked = new Map<string, number>();
  let unfinished = 0;
  let watchers: (() => void)[] = [];
  const changed = () => {
    const waiting = watchers;
    watchers = [];
    for (const look of waiting) look();
  };
  const until = async (isSo: () => boolean) => {
    while (!isSo()) await new Promise<void>((resolve) => watchers.push(resolve));
  };

  const pick = (request: UpstreamRequest): Reply => {
    const model = String(request.body["model"]);
    const replies = script[model];
    if (typeof replies === "function") return replies(request);
    const turn = asked.get(model) ?? 0;
    asked.set(model, turn + 1);
    const reply = isList(replies) ? replies[Math.min(turn, replies.length - 1)] : replies;
    return reply ?? json({ error: { message: `no script for ${model}`, code: "unscripted" } }, 418);
  };

  const answer = async (socket: Socket, request: UpstreamRequest) => {
    requests.push(request);
    unfinished += 1;
    let isCounted = true;
    const done = () => {
      if (isCounted) unfinished -= 1;
      isCounted = false;
      socket.off("close", done);
      changed();
    };
    socket.once("close", done);
    changed();
    const reply = pick(request);
    await play(socket, reply);
    if (reply.end !== "open") done();
  };

  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    // Resets by the other side are what many tests are about.
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    let received = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const request = takeRequest(received);
      if (request === undefined) return;
      received = received.subarray(request.length);
      void answer(socket, request.request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    port: (server.address() as AddressInfo).port,
    requests,
    models: () => requests.map(({ body }) => String(body["model"])),
    unfinished: () => unfinished,
    received: (count) => until(() => requests.length >= count),
    quiet: () => until(() => unfinished === 0),
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // One that waited in line arrives after this, and would keep the server open.
      server.on("connection", (socket) => socket.destroy());
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function isList(replies: Script[string] | undefined): replies is readonly Reply[] {
  return Array.isArray(replies);
}

/** The first request of what has arrived, once it is whole; the gateway always sends a content-length. */
function takeRequest(received: Buffer): { request: UpstreamRequest; length: number } | undefined {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const [first = "", ...lines] = received.toString("latin1", 0, headEnd).split("\r\n");
  const [method = "", path = ""] = first.split(" ");
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const length = headEnd + 4 + Number(headers["content-length"] ?? 0);
  if (received.length < length) return undefined;
  const sent = received.toString("utf8", headEnd + 4, length);
  return { request: { method, path, headers, text: sent, body: parseObject(sent) }, length };
}

function parseObject(sent: string): JsonObject {
  try {
    return JSON.parse(sent) as JsonObject;
  } catch {
    return {};
  }
}

async function play(socket: Socket, reply: Reply): Promise<void> {
  const { head } = reply;
  const isChunked = head !== undefined && head.headers["content-length"] === undefined;
  if (head !== undefined) {
    const headers = { ...head.headers, ...(isChunked ? { "transfer-encoding": "chunked" } : {}) };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    await write(socket, `HTTP/1.1 ${head.status} Scripted\r\n${lines.join("")}\r\n`);
  }
  for (const piece of reply.body) {
    if (piece instanceof Promise) {
      await piece;
      continue;
    }
    const bytes = Buffer.from(piece);
    if (bytes.length === 0) continue;
    await write(
      socket,
      isChunked ? Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]) : bytes,
    );
  }
  if (reply.end === "complete" && isChunked) await write(socket, "0\r\n\r\n");
  if (reply.end === "cut") socket.destroy();
  if (reply.end === "reset") socket.resetAndDestroy();
}

/** Resolves when the bytes are with the kernel, or will never be. */
function write(socket: Socket, bytes: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    else socket.write(bytes, () => resolve());
  });
}
