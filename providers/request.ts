/** What one attempt sends: the URL, the headers and the credential. Pure. */

import type { Protocol } from "../src/protocols/chat.ts";
import type { Provider } from "./registry.ts";

export interface UpstreamRequest {
  url: string;
  headers: Record<string, string>;
  body: string | Buffer | Patched;
}

/** Bytes of which some ranges are sent as others. */
export interface Patched {
  bytes: Buffer;
  /** In their order; none overlaps another. */
  patches: readonly Patch[];
}

export interface Patch {
  start: number;
  end: number;
  put: Buffer;
}

/** The client's headers that an upstream of the same protocol may see; everything else stays here. */
const forwarded = [
  "anthropic-beta",
  "anthropic-version",
  "openai-beta",
  "x-codex-beta-features",
  "user-agent",
] as const;

/** Connection-bound headers, ours, and credentials: never forwarded, not even to the client's own vendor. */
export const neverForwarded = new Set([
  "host",
  "connection",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "content-length",
  "content-encoding",
  "accept-encoding",
  "cookie",
]);

/** The gateways that a request has been through, first to last; sent to providers that could lead back to one. */
export const hopHeader = "x-clutch-hop";

/** What may stand in a header; 256 characters are OpenRouter's limit. */
const sessionIdForm = /^[\x21-\x7e]{1,256}$/;

export interface UpstreamHeadersInput {
  provider: Provider;
  protocol: Protocol;
  /** True when the client speaks this protocol too. */
  sameProtocol: boolean;
  client: Headers;
  /**
   * `ours`: the provider's configured key. `client`: the client keeps its own login with its own vendor, so its
   * credential and headers go there as they came.
   */
  credential: "ours" | "client";
  stream: boolean;
  /** The key to use, one of the provider's; its first when left out. */
  key?: string | undefined;
  /** Keeps the session where its prompt is cached, at a provider that takes one. */
  sessionId?: string | undefined;
  /** Values of the client's `anthropic-beta` that this upstream is known to refuse. */
  refusedBetas: readonly string[];
}

export function buildUpstreamHeaders(input: UpstreamHeadersInput): Record<string, string> {
  const headers: Record<string, string> = {};
  if (input.credential === "client") {
    for (const [name, value] of input.client) {
      if (!neverForwarded.has(name) && !name.startsWith("x-clutch-")) headers[name] = value;
    }
  } else {
    if (input.sameProtocol) {
      for (const name of forwarded) {
        const value = input.client.get(name);
        if (value !== null) headers[name] = value;
      }
      dropBetas(headers, input.refusedBetas);
    }
    const { auth, sessionHeader, key: first } = input.provider;
    const key = input.key ?? first;
    if (input.protocol === "messages") headers["anthropic-version"] ??= "2023-06-01";
    if (key !== undefined) {
      const keyHeader = auth[input.protocol];
      if (keyHeader === "bearer") headers["authorization"] = `Bearer ${key}`;
      else headers[keyHeader] = key;
    }
    if (sessionHeader !== undefined && sessionIdForm.test(input.sessionId ?? "")) {
      headers[sessionHeader] = input.sessionId ?? "";
    }
  }
  headers["content-type"] = "application/json";
  headers["accept"] = input.stream ? "text/event-stream" : "application/json";
  // An upstream that compresses a stream holds its events back; bodies this small gain nothing.
  headers["accept-encoding"] = "identity";
  for (const name in input.provider.headers) headers[name.toLowerCase()] = input.provider.headers[name] ?? "";
  if (headers[hopHeader] !== undefined) {
    const before = input.client.get(hopHeader);
    if (before !== null) headers[hopHeader] = `${before}, ${headers[hopHeader]}`;
  }
  return headers;
}

function dropBetas(headers: Record<string, string>, refused: readonly string[]): void {
  const sent = headers["anthropic-beta"];
  if (sent === undefined || refused.length === 0) return;
  const kept = sent.split(",").filter((beta) => !refused.includes(beta.trim()));
  if (kept.length === 0) delete headers["anthropic-beta"];
  else headers["anthropic-beta"] = kept.join(",");
}

/** The provider's own query, if it has one, and the client's (`?beta=true`) where the protocol is the same. */
export function buildUpstreamUrl(
  provider: Provider,
  protocol: Protocol,
  sameProtocol: boolean,
  query: string,
): string | undefined {
  const url = provider.urls[protocol];
  if (url === undefined) return undefined;
  const asked = sameProtocol ? query : "";
  return url + (provider.query === "" ? asked : provider.query + asked.replace(/^\?/, "&"));
}
