/** Says what went wrong with one attempt, before anything reacts to it. Pure. */

import type { Json, JsonObject, StreamError } from "../src/protocols/chat.ts";
import type { GatewayError } from "../src/protocols/codec.ts";

export type FailureKind =
  | "network"
  | "timeout"
  | "rate-limit"
  | "overloaded"
  | "upstream"
  | "malformed"
  | "empty"
  | "auth"
  | "billing"
  | "permission"
  | "not-found"
  | "context-overflow"
  | "bad-request"
  | "too-large"
  | "no-key"
  | "unsupported"
  | "aborted";

export interface Failure {
  kind: FailureKind;
  /** What the failure is a property of: everything that shares it would fail alike. */
  scope: "request" | "key" | "account" | "provider" | "model";
  /** The upstream's own words where it had any. */
  message: string;
  /** The upstream's HTTP status, if it got as far as answering. */
  status?: number;
  retryAfterMs?: number;
  /** The upstream's own error code or type. */
  code?: string;
  tokens?: GatewayError["tokens"];
}

interface Reaction {
  /** Whether another model may be asked: not when every one would be asked the same wrong thing. */
  failsOver: boolean;
  scope: Failure["scope"];
  /** What the client is told when this is the last word. */
  tells: GatewayError["kind"];
}

/** THE table of reactions: the cascade and the final message read nothing else. */
export const reactions = {
  network: { failsOver: true, scope: "provider", tells: "upstream" },
  timeout: { failsOver: true, scope: "model", tells: "timeout" },
  "rate-limit": { failsOver: true, scope: "model", tells: "rate-limit" },
  overloaded: { failsOver: true, scope: "model", tells: "overloaded" },
  upstream: { failsOver: true, scope: "model", tells: "upstream" },
  malformed: { failsOver: true, scope: "model", tells: "upstream" },
  empty: { failsOver: true, scope: "model", tells: "upstream" },
  auth: { failsOver: true, scope: "key", tells: "authentication" },
  billing: { failsOver: true, scope: "account", tells: "billing" },
  permission: { failsOver: true, scope: "key", tells: "permission" },
  "not-found": { failsOver: true, scope: "model", tells: "not-found" },
  "context-overflow": { failsOver: true, scope: "model", tells: "context-overflow" },
  "bad-request": { failsOver: false, scope: "request", tells: "invalid-request" },
  "too-large": { failsOver: false, scope: "request", tells: "too-large" },
  "no-key": { failsOver: true, scope: "key", tells: "authentication" },
  unsupported: { failsOver: true, scope: "model", tells: "not-implemented" },
  aborted: { failsOver: false, scope: "request", tells: "upstream" },
} as const satisfies Record<FailureKind, Reaction>;

export function failure(
  kind: FailureKind,
  message: string,
  details: Omit<Failure, "kind" | "message" | "scope"> = {},
): Failure {
  return { kind, scope: reactions[kind].scope, message, ...details };
}

/**
 * An answer with an error status.
 * @param body the start of it, as text
 * @param now milliseconds since 1970, to turn reset times into waits
 */
export function classifyAnswer(status: number, headers: Headers, body: string, now: number): Failure {
  const parsed = parseJson(body);
  const said = readError(parsed);
  const message = said.message ?? (body.trimStart().startsWith("<") ? "" : body.trim().slice(0, 500));
  const retryAfterMs = readRetryAfter(headers, parsed, now);
  const kind = kindOf(status, said.code, message);
  return failure(kind, message === "" ? `the upstream answered ${status}` : message, {
    status,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(said.code === undefined ? {} : { code: said.code }),
    ...(kind === "context-overflow" ? { tokens: readTokenCounts(message) } : {}),
  });
}

/** An error inside a stream or a 200: classified by what status the upstream says it stands for, and by its words. */
export function classifyStreamError(error: StreamError): Failure {
  const code = error.code === undefined ? {} : { code: error.code };
  if (error.kind !== "reported") return failure("malformed", error.message, code);
  const kind = kindOf(error.status ?? 500, error.code, error.message);
  return failure(kind, error.message, {
    ...code,
    ...(error.status === undefined ? {} : { status: error.status }),
    ...(kind === "context-overflow" ? { tokens: readTokenCounts(error.message) } : {}),
  });
}

/** Words of real servers: OpenAI and vLLM, Anthropic, OpenRouter, llama.cpp, Gemini. */
const overflowWords =
  /maximum context length|context window|context length exceeded|prompt is too long|too many tokens|exceeds? the (?:available )?(?:limit of \d|context size)|input token count .*exceeds/i;
const overflowCodes = new Set([
  "context_length_exceeded",
  "model_max_prompt_tokens_exceeded",
  "exceed_context_size_error",
]);

function kindOf(status: number, code: string | undefined, message: string): FailureKind {
  const isClientError = status === 400 || status === 413 || status === 422 || status === 500;
  if (isClientError && ((code !== undefined && overflowCodes.has(code)) || overflowWords.test(message)))
    return "context-overflow";
  if (code === "insufficient_quota") return "billing";
  if (code === "rate_limit_exceeded" || code === "rate_limit_error") return "rate-limit";
  if (code === "overloaded_error" || code === "overloaded" || code === "provider_overloaded") return "overloaded";
  switch (status) {
    case 401:
      return "auth";
    case 402:
      return "billing";
    case 403:
      return "permission";
    case 404:
    case 405:
    case 410:
      return "not-found";
    case 408:
    case 504:
      return "timeout";
    case 413:
      return "too-large";
    case 429:
      return "rate-limit";
    case 503:
    case 529:
      return "overloaded";
  }
  return status >= 400 && status < 500 ? "bad-request" : "upstream";
}

function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** Reads the shapes that servers use: `{error:{message}}`, `{error:"..."}`, `{message}`, `{detail}`, and Gemini's array. */
function readError(body: Json | undefined): { message?: string; code?: string } {
  const outer = asObject(Array.isArray(body) ? body[0] : body);
  if (outer === undefined) return {};
  const inner = asObject(outer["error"]);
  const message =
    asText(inner?.["message"]) ?? asText(outer["error"]) ?? asText(outer["message"]) ?? asText(outer["detail"]);
  const metadata = asObject(inner?.["metadata"]);
  const code =
    asText(metadata?.["error_type"]) ??
    asText(inner?.["code"]) ??
    asText(inner?.["type"]) ??
    asText(outer["code"]) ??
    undefined;
  return { ...(message === undefined ? {} : { message }), ...(code === undefined ? {} : { code }) };
}

/** The wait a server asks for, in ms: Retry-After, then reset headers, then the ones OpenRouter puts into its body. */
function readRetryAfter(headers: Headers, body: Json | undefined, now: number): number | undefined {
  const direct = headers.get("retry-after-ms");
  if (direct !== null && Number.isFinite(Number(direct))) return Math.max(0, Number(direct));
  const after = headers.get("retry-after");
  if (after !== null) {
    const seconds = Number(after);
    const wait = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(after) - now;
    if (Number.isFinite(wait)) return Math.max(0, wait);
  }
  const error = asObject(asObject(body)?.["error"]);
  const inBody = asObject(asObject(error?.["metadata"])?.["headers"]);
  for (const name of resetHeaders) {
    const value = headers.get(name) ?? asText(inBody?.[name]) ?? asText(inBody?.["X-RateLimit-Reset"]);
    const wait = value === undefined || value === null ? undefined : readReset(value, now);
    if (wait !== undefined) return wait;
  }
  return undefined;
}

const resetHeaders = [
  "x-ratelimit-reset",
  "x-ratelimit-reset-requests",
  "x-ratelimit-reset-tokens",
  "anthropic-ratelimit-requests-reset",
  "anthropic-ratelimit-tokens-reset",
] as const;

/** `1763600000` or `1763600000000` (since 1970), `30` (seconds from now), `1m26.4s`, `547ms`, or an ISO date. */
export function readReset(text: string, now: number): number | undefined {
  const value = Number(text);
  if (Number.isFinite(value)) {
    const wait = value > 1e12 ? value - now : value > 1e9 ? value * 1000 - now : value * 1000;
    return Math.max(0, wait);
  }
  const spans = [...text.matchAll(/([\d.]+)(ms|h|m|s)/g)];
  if (spans.length > 0 && spans.map((span) => span[0]).join("") === text) {
    const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
    return spans.reduce((sum, span) => sum + Number(span[1]) * unitMs[span[2] as keyof typeof unitMs], 0);
  }
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** "prompt is too long: 210000 tokens > 200000 maximum", "maximum context length is 8192 tokens. However, you requested 9000". */
function readTokenCounts(message: string): NonNullable<GatewayError["tokens"]> {
  const both = /(\d{3,}) tokens > (\d{3,})/.exec(message);
  if (both) return { input: Number(both[1]), limit: Number(both[2]) };
  const limit = /(?:maximum context length is|context window of|limit of|available context size \()\s*(\d{3,})/i.exec(
    message,
  );
  const input = /(?:requested|resulted in|input of|prompt contains?(?: at least)?)\s+(?:about )?(\d{3,})/i.exec(
    message,
  );
  return { ...(input ? { input: Number(input[1]) } : {}), ...(limit ? { limit: Number(limit[1]) } : {}) };
}

function asObject(value: Json | undefined): JsonObject | undefined {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? value : undefined;
}

function asText(value: Json | undefined): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}
