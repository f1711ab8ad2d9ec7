/** Says what went wrong with one attempt, before anything reacts to it. Pure. */

import type { Json, StreamError } from "../src/protocols/chat.ts";
import type { GatewayError } from "../src/protocols/codec.ts";
import { isObject } from "../src/protocols/json.ts";

export type FailureKind =
  | "network"
  | "timeout"
  | "rate-limit"
  | "ramp-up"
  | "overloaded"
  | "upstream"
  | "malformed"
  | "empty"
  | "truncated"
  | "tool-not-called"
  | "bad-tool-call"
  | "auth"
  | "billing"
  | "permission"
  | "not-found"
  | "context-overflow"
  | "bad-request"
  | "too-large"
  | "no-key"
  | "unsupported"
  | "untranslatable"
  | "stopped"
  | "aborted";

export interface Failure {
  kind: FailureKind;
  /** What the failure is a property of: everything that shares it would fail alike. */
  scope: "request" | "key" | "account" | "provider" | "model";
  /** The upstream's own words where it had any. */
  message: string;
  /** Whether it speaks against what it is a property of: fully, half, or not at all. */
  countsForBreaker: "hard" | "soft" | "no";
  /** Whether the request has used up some of a limit. */
  spendsQuota: boolean;
  /** The upstream's HTTP status, if it got as far as answering. */
  status?: number;
  retryAfterMs?: number;
  /** The upstream's own error code or type. */
  code?: string;
  tokens?: GatewayError["tokens"];
  /** The upstream's headers that its own client knows how to read, for when its error is passed on as its own. */
  headers?: Readonly<Record<string, string>>;
}

interface Reaction {
  /** Whether another model may be asked: not when every one would be asked the same wrong thing. */
  failsOver: boolean;
  scope: Failure["scope"];
  countsForBreaker: Failure["countsForBreaker"];
  spendsQuota: boolean;
  /** What the client is told when this is the last word. */
  tells: GatewayError["kind"];
}

/** THE table of reactions: the cascade and the final message read nothing else. */
export const reactions = {
  network: { failsOver: true, scope: "provider", countsForBreaker: "hard", spendsQuota: false, tells: "upstream" },
  timeout: { failsOver: true, scope: "model", countsForBreaker: "hard", spendsQuota: true, tells: "timeout" },
  "ramp-up": { failsOver: true, scope: "provider", countsForBreaker: "hard", spendsQuota: true, tells: "rate-limit" },
  "rate-limit": { failsOver: true, scope: "model", countsForBreaker: "hard", spendsQuota: true, tells: "rate-limit" },
  overloaded: { failsOver: true, scope: "model", countsForBreaker: "hard", spendsQuota: true, tells: "overloaded" },
  upstream: { failsOver: true, scope: "model", countsForBreaker: "hard", spendsQuota: true, tells: "upstream" },
  malformed: { failsOver: true, scope: "model", countsForBreaker: "hard", spendsQuota: true, tells: "upstream" },
  empty: { failsOver: true, scope: "model", countsForBreaker: "soft", spendsQuota: true, tells: "upstream" },
  truncated: { failsOver: true, scope: "model", countsForBreaker: "soft", spendsQuota: true, tells: "upstream" },
  "tool-not-called": {
    failsOver: true,
    scope: "model",
    countsForBreaker: "soft",
    spendsQuota: true,
    tells: "upstream",
  },
  "bad-tool-call": { failsOver: true, scope: "model", countsForBreaker: "soft", spendsQuota: true, tells: "upstream" },
  auth: { failsOver: true, scope: "key", countsForBreaker: "hard", spendsQuota: false, tells: "authentication" },
  billing: { failsOver: true, scope: "account", countsForBreaker: "hard", spendsQuota: false, tells: "billing" },
  permission: { failsOver: true, scope: "key", countsForBreaker: "hard", spendsQuota: false, tells: "permission" },
  "not-found": { failsOver: true, scope: "model", countsForBreaker: "hard", spendsQuota: true, tells: "not-found" },
  "context-overflow": {
    failsOver: true,
    scope: "model",
    countsForBreaker: "no",
    spendsQuota: true,
    tells: "context-overflow",
  },
  "bad-request": {
    failsOver: false,
    scope: "request",
    countsForBreaker: "no",
    spendsQuota: true,
    tells: "invalid-request",
  },
  "too-large": { failsOver: false, scope: "request", countsForBreaker: "no", spendsQuota: true, tells: "too-large" },
  "no-key": { failsOver: true, scope: "key", countsForBreaker: "no", spendsQuota: false, tells: "authentication" },
  unsupported: {
    failsOver: true,
    scope: "model",
    countsForBreaker: "no",
    spendsQuota: false,
    tells: "not-implemented",
  },
  untranslatable: {
    failsOver: true,
    scope: "request",
    countsForBreaker: "no",
    spendsQuota: false,
    tells: "invalid-request",
  },
  stopped: { failsOver: false, scope: "request", countsForBreaker: "no", spendsQuota: true, tells: "overloaded" },
  aborted: { failsOver: false, scope: "request", countsForBreaker: "no", spendsQuota: true, tells: "upstream" },
} as const satisfies Record<FailureKind, Reaction>;

export function failure(
  kind: FailureKind,
  message: string,
  details: Omit<Failure, "kind" | "message" | "scope" | "countsForBreaker" | "spendsQuota"> = {},
): Failure {
  const scope = kind === "rate-limit" && accountLimit.test(message) ? "account" : reactions[kind].scope;
  const { countsForBreaker, spendsQuota } = reactions[kind];
  return { kind, scope, countsForBreaker, spendsQuota, message: asOneLine(message), ...details };
}

/** OpenRouter: "Rate limit exceeded: free-models-per-day", also -per-min and -per-day-high-balance: all free models share it. */
const accountLimit = /free-models-per-/;

/** An upstream's words end up in terminals and logs: no control characters, no novels. */
function asOneLine(text: string): string {
  return text.slice(0, maxMessageCharacters).replace(/\p{Cc}+/gu, " ");
}

const maxMessageCharacters = 2_000;

const relayed: ReadonlySet<string> = new Set([
  "request-id",
  "x-request-id",
  "x-should-retry",
  "retry-after",
  "x-generation-id",
  "openai-processing-ms",
  "openai-version",
]);

/** The headers of an upstream's answer that its own client knows how to read. */
export function relayedHeaders(headers: Headers): Record<string, string> {
  const kept: Record<string, string> = {};
  // Bun's own way to read all at once, a fraction of the iterator's cost.
  const all = headers.toJSON();
  for (const name in all) if (relayed.has(name) || name.includes("ratelimit-")) kept[name] = all[name] ?? "";
  return kept;
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
  const kind = kindOf(status, said.code, message);
  const retryAfterMs = asksToWait.has(kind) ? readRetryAfter(headers, parsed, now) : undefined;
  return failure(kind, message === "" ? `the upstream answered ${status}` : message, {
    status,
    headers: relayedHeaders(headers),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(said.code === undefined ? {} : { code: said.code }),
    ...(kind === "context-overflow" ? { tokens: readTokenCounts(message, parsed) } : {}),
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
  /maximum context length|context window|context length exceeded|exceed context limit|prompt is too long|too many tokens|exceeds? the (?:available )?(?:limit of \d|context size)|input token count .*exceeds/i;
const overflowCodes = new Set([
  "context_length_exceeded",
  "model_max_prompt_tokens_exceeded",
  "exceed_context_size_error",
]);

function kindOf(status: number, code: string | undefined, message: string): FailureKind {
  const isClientError = status === 400 || status === 413 || status === 422 || status === 500;
  if (isClientError && ((code !== undefined && overflowCodes.has(code)) || overflowWords.test(message)))
    return "context-overflow";
  // Groq says 413 with the code of a rate limit: such a request never fits, however long one waits.
  if (status === 413) return "too-large";
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
    case 429:
      return "rate-limit";
    case 503:
    case 529:
      return "overloaded";
  }
  if (status >= 500 && /\boverloaded\b/i.test(message)) return "overloaded";
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
  const outer = Array.isArray(body) ? body[0] : body;
  if (!isObject(outer)) return {};
  const inner = isObject(outer["error"]) ? outer["error"] : undefined;
  const message =
    asText(inner?.["message"]) ?? asText(outer["error"]) ?? asText(outer["message"]) ?? asText(outer["detail"]);
  const metadata = isObject(inner?.["metadata"]) ? inner["metadata"] : undefined;
  const code =
    asText(metadata?.["error_type"]) ??
    asText(inner?.["code"]) ??
    asText(inner?.["type"]) ??
    asText(outer["code"]) ??
    undefined;
  return { ...(message === undefined ? {} : { message }), ...(code === undefined ? {} : { code }) };
}

/** Every answer of OpenAI's carries reset times; only these failures are about them. */
const asksToWait: ReadonlySet<FailureKind> = new Set(["rate-limit", "overloaded", "billing", "upstream"]);

/**
 * The wait a server asks for, in ms: Retry-After, then the reset of the limit that is used up. Where several are told and
 * none is marked as used up, the longest counts. OpenRouter repeats its headers inside the body.
 */
function readRetryAfter(headers: Headers, body: Json | undefined, now: number): number | undefined {
  const direct = headers.get("retry-after-ms");
  if (direct !== null && Number.isFinite(Number(direct))) return Math.max(0, Number(direct));
  const after = headers.get("retry-after")?.trim() ?? "";
  if (after !== "") {
    const seconds = Number(after);
    const wait = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(after) - now;
    if (Number.isFinite(wait)) return Math.max(0, wait);
  }
  const error = isObject(body) && isObject(body["error"]) ? body["error"] : {};
  const metadata = isObject(error["metadata"]) ? error["metadata"] : {};
  const inBody = isObject(metadata["headers"]) ? metadata["headers"] : {};
  const told = (name: string): string | undefined => {
    const key = Object.keys(inBody).find((candidate) => candidate.toLowerCase() === name);
    return headers.get(name) ?? (key === undefined ? undefined : asText(inBody[key]));
  };
  const limits = limitNames.flatMap(({ reset, remaining }) => {
    const waitMs = readReset(told(reset) ?? "", now);
    return waitMs === undefined ? [] : [{ waitMs, isUsedUp: Number(told(remaining) ?? Number.NaN) === 0 }];
  });
  const usedUp = limits.filter((limit) => limit.isUsedUp);
  const counted = (usedUp.length > 0 ? usedUp : limits).map((limit) => limit.waitMs);
  return counted.length === 0 ? undefined : Math.max(...counted);
}

const limitNames = [
  { reset: "x-ratelimit-reset", remaining: "x-ratelimit-remaining" },
  { reset: "x-ratelimit-reset-requests", remaining: "x-ratelimit-remaining-requests" },
  { reset: "x-ratelimit-reset-tokens", remaining: "x-ratelimit-remaining-tokens" },
  { reset: "anthropic-ratelimit-requests-reset", remaining: "anthropic-ratelimit-requests-remaining" },
  { reset: "anthropic-ratelimit-tokens-reset", remaining: "anthropic-ratelimit-tokens-remaining" },
] as const;

/** `1763600000` or `1763600000000` (since 1970), `30` (seconds from now), `1m26.4s`, `547ms`, or an ISO date. */
export function readReset(text: string, now: number): number | undefined {
  if (text.trim() === "") return undefined;
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

/**
 * How real servers tell the figures: "prompt is too long: 210000 tokens > 200000 maximum"; "input length and `max_tokens`
 * exceed context limit: 188240 + 21333 > 200000"; "The input token count (1196265) exceeds the maximum number of tokens
 * allowed (1048575)"; "maximum context length is 8192 tokens. However, you requested 9000 tokens"; llama.cpp's "request
 * (12001 tokens) exceeds the available context size (8192 tokens)" and its fields n_prompt_tokens and n_ctx.
 */
function readTokenCounts(text: string, body?: Json): NonNullable<GatewayError["tokens"]> {
  const error = isObject(body) && isObject(body["error"]) ? body["error"] : {};
  const { n_prompt_tokens: prompt, n_ctx: context } = error;
  if (typeof prompt === "number" && typeof context === "number") return { input: prompt, limit: context };
  const message = text.replace(/(\d),(?=\d{3}\b)/g, "$1");
  const sum = /(\d{3,}) \+ (\d+) > (\d{3,})/.exec(message);
  if (sum) return { input: Number(sum[1]), maxOutput: Number(sum[2]), limit: Number(sum[3]) };
  const both = /(\d{3,}) tokens > (\d{3,})/.exec(message);
  if (both) return { input: Number(both[1]), limit: Number(both[2]) };
  const limit = firstNumber(limitWords.exec(message));
  const maxOutput = firstNumber(outputWords.exec(message));
  const total = firstNumber(totalWords.exec(message));
  const input = firstNumber(inputWords.exec(message)) ?? (total === undefined ? undefined : total - (maxOutput ?? 0));
  return {
    ...(input === undefined ? {} : { input }),
    ...(maxOutput === undefined ? {} : { maxOutput }),
    ...(limit === undefined ? {} : { limit }),
  };
}

const limitWords =
  /(?:maximum context length is|context window of|limit of|available context size \(|number of tokens allowed \()\s*(\d{3,})|(\d{3,}) maximum context length/i;
const outputWords = /(\d+) in the (?:completion|output)|requested (\d+) output tokens|too large: (\d+)/i;
const totalWords = /requested (?:about )?(\d{3,})(?! output)/i;
const inputWords =
  /(\d+) (?:in the messages|input tokens)|(?:token count of|token count \(|prompt contains(?: at least)?|resulted in|input of|request \() ?(\d{3,})/i;

function firstNumber(match: RegExpExecArray | null): number | undefined {
  const digits = match?.slice(1).find((group) => group !== undefined);
  return digits === undefined ? undefined : Number(digits);
}

function asText(value: Json | undefined): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}
