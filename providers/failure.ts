/** Says what went wrong with one attempt, before anything reacts to it. Pure. */

import type { Json, StreamError } from "../src/protocols/chat.ts";
import type { GatewayError } from "../src/protocols/codec.ts";
import { isObject } from "../src/protocols/json.ts";
import type { RateLimitScope } from "./catalog.ts";
import { judge, type Said } from "./failure-rules.ts";
import { readTokenCounts } from "./overflow.ts";
import { readRetryAfter, readWaitWords } from "./retry-after.ts";

export { readReset } from "./retry-after.ts";

export type FailureKind =
  | "network"
  | "timeout"
  /** A limit of minutes. */
  | "rate-limit"
  /** A limit of a day or longer. */
  | "quota"
  /** Our requests grew too fast for the provider. */
  | "ramp-up"
  | "overloaded"
  | "upstream"
  | "malformed"
  | "empty"
  /** Ended by its length before it had said anything of use. */
  | "truncated"
  /** A forced tool was not called. */
  | "no-tool-call"
  /** A tool was called with arguments that are no JSON. */
  | "bad-tool-call"
  | "auth"
  | "billing"
  | "permission"
  | "not-found"
  | "context-overflow"
  | "bad-request"
  /** Refused for what it says; another vendor may think otherwise. */
  | "moderation"
  | "too-large"
  | "no-key"
  | "unsupported"
  | "untranslatable"
  | "stopped"
  | "aborted";

export interface Failure {
  kind: FailureKind;
  /**
   * What the failure is a property of: everything that shares it would fail alike. An `account` limit (rate-limit, quota)
   * of a model that is in one of its provider's pools is that pool's alone.
   */
  scope: "request" | "key" | "account" | "provider" | "model";
  /** The upstream's own words where it had any. */
  message: string;
  /** Against this model's breaker: not when the request, the key, or a limit beyond the model is to blame. */
  countsForBreaker: "hard" | "soft" | "no";
  /** Whether the provider counts the request against a quota all the same. */
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
  /** What the client is told when this is the last word. */
  tells: GatewayError["kind"];
  countsForBreaker: Failure["countsForBreaker"];
  spendsQuota: boolean;
}

/** THE table of reactions: the cascade and the final message read nothing else. */
export const reactions = {
  network: { failsOver: true, scope: "provider", tells: "upstream", countsForBreaker: "hard", spendsQuota: false },
  timeout: { failsOver: true, scope: "model", tells: "timeout", countsForBreaker: "hard", spendsQuota: true },
  "rate-limit": { failsOver: true, scope: "model", tells: "rate-limit", countsForBreaker: "hard", spendsQuota: false },
  quota: { failsOver: true, scope: "model", tells: "rate-limit", countsForBreaker: "hard", spendsQuota: false },
  "ramp-up": { failsOver: true, scope: "provider", tells: "rate-limit", countsForBreaker: "no", spendsQuota: false },
  overloaded: { failsOver: true, scope: "model", tells: "overloaded", countsForBreaker: "hard", spendsQuota: true },
  upstream: { failsOver: true, scope: "model", tells: "upstream", countsForBreaker: "hard", spendsQuota: true },
  malformed: { failsOver: true, scope: "model", tells: "upstream", countsForBreaker: "hard", spendsQuota: true },
  empty: { failsOver: true, scope: "model", tells: "upstream", countsForBreaker: "soft", spendsQuota: true },
  truncated: { failsOver: true, scope: "model", tells: "upstream", countsForBreaker: "soft", spendsQuota: true },
  "no-tool-call": { failsOver: true, scope: "model", tells: "upstream", countsForBreaker: "soft", spendsQuota: true },
  "bad-tool-call": { failsOver: true, scope: "model", tells: "upstream", countsForBreaker: "soft", spendsQuota: true },
  auth: { failsOver: true, scope: "key", tells: "authentication", countsForBreaker: "no", spendsQuota: false },
  billing: { failsOver: true, scope: "account", tells: "billing", countsForBreaker: "no", spendsQuota: false },
  permission: { failsOver: true, scope: "key", tells: "permission", countsForBreaker: "no", spendsQuota: false },
  "not-found": { failsOver: true, scope: "model", tells: "not-found", countsForBreaker: "hard", spendsQuota: false },
  "context-overflow": {
    failsOver: true,
    scope: "model",
    tells: "context-overflow",
    countsForBreaker: "no",
    spendsQuota: false,
  },
  "bad-request": {
    failsOver: false,
    scope: "request",
    tells: "invalid-request",
    countsForBreaker: "no",
    spendsQuota: false,
  },
  moderation: {
    failsOver: true,
    scope: "request",
    tells: "invalid-request",
    countsForBreaker: "no",
    spendsQuota: true,
  },
  // How much a server takes is its own affair: 32 MB at Anthropic, 1 MB behind an nginx that nobody set up.
  "too-large": { failsOver: true, scope: "request", tells: "too-large", countsForBreaker: "no", spendsQuota: false },
  "no-key": { failsOver: true, scope: "key", tells: "authentication", countsForBreaker: "no", spendsQuota: false },
  unsupported: {
    failsOver: true,
    scope: "model",
    tells: "not-implemented",
    countsForBreaker: "no",
    spendsQuota: false,
  },
  untranslatable: {
    failsOver: true,
    scope: "request",
    tells: "invalid-request",
    countsForBreaker: "no",
    spendsQuota: false,
  },
  stopped: { failsOver: false, scope: "request", tells: "overloaded", countsForBreaker: "no", spendsQuota: false },
  // What the client left half-way has been asked for all the same.
  aborted: { failsOver: false, scope: "request", tells: "upstream", countsForBreaker: "no", spendsQuota: true },
} as const satisfies Record<FailureKind, Reaction>;

/** What differs from the usual of a kind. */
type Details = Partial<Omit<Failure, "kind" | "message">>;

export function failure(kind: FailureKind, message: string, details: Details = {}): Failure {
  const usual: Reaction = reactions[kind];
  const scope = details.scope ?? usual.scope;
  // A limit beyond the model closes what shares it; the model itself has done nothing wrong.
  const isWide = isLimit.has(kind) && scope !== "model";
  const countsForBreaker = isWide ? "no" : usual.countsForBreaker;
  return {
    kind,
    message: asOneLine(message),
    countsForBreaker,
    spendsQuota: usual.spendsQuota,
    ...details,
    scope,
  };
}

const isLimit: ReadonlySet<FailureKind> = new Set(["rate-limit", "quota"]);

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
 * @param rateLimitScope the provider's, for a refusal that says no more
 */
export function classifyAnswer(
  status: number,
  headers: Headers,
  body: string,
  now: number,
  rateLimitScope: RateLimitScope = "model",
): Failure {
  const heard = hear(status, headers, body);
  const why = conclude(heard.said, now, rateLimitScope, heard.message, {
    status,
    headers: relayedHeaders(headers),
    ...(heard.code === undefined ? {} : { code: heard.code }),
    body: heard.body,
  });
  // The key, account and provider of which such words speak are not ours: another model is served by somebody else.
  const isTooWide = heard.isFromBehind && (why.scope === "key" || why.scope === "account" || why.scope === "provider");
  return isTooWide ? { ...why, scope: "model", countsForBreaker: "hard" } : why;
}

/** What an answer with an error status said, before it is judged. */
export function hear(status: number, headers: Headers, body: string) {
  const page = body.trimStart().startsWith("<") ? (readTitle(body) ?? "") : undefined;
  const parsed = page === undefined ? parseJson(body) : undefined;
  const told = readError(parsed);
  const message = told.message ?? (page === undefined ? body.trim().slice(0, maxPlainCharacters) : "");
  const said: Said = { status, text: `${message}\n${told.detail}`.trim(), codes: told.codes, page, headers };
  return {
    said,
    message: message === "" ? describeBare(status, page) : message,
    code: told.code,
    isFromBehind: told.isFromBehind,
    body: parsed,
  };
}

/** Of a body that is no JSON. */
const maxPlainCharacters = 500;

/**
 * An error inside a stream or a 200: classified by what status the upstream says it stands for, and by its words.
 * @param now milliseconds since 1970, where a time of day in its words is to become a wait
 */
export function classifyStreamError(
  error: StreamError,
  now?: number,
  rateLimitScope: RateLimitScope = "model",
): Failure {
  const code = error.code === undefined ? {} : { code: error.code };
  if (error.kind !== "reported") return failure("malformed", error.message, code);
  const { message, status } = error;
  const codes = error.code === undefined ? [] : [error.code];
  const said: Said = { status, text: message, codes, page: undefined, headers: new Headers() };
  return conclude(said, now, rateLimitScope, message, { ...code, ...(status === undefined ? {} : { status }) });
}

interface Told extends Details {
  body?: Json | undefined;
}

function conclude(
  said: Said,
  now: number | undefined,
  rateLimitScope: RateLimitScope,
  message: string,
  { body, ...details }: Told,
): Failure {
  const verdict = judge(said);
  const { kind, countsForBreaker, spendsQuota } = verdict;
  const scope = verdict.scope ?? (kind === "rate-limit" ? rateLimitScope : undefined);
  const retryAfterMs = asksToWait.has(kind) ? findWait(verdict, said, body, now) : undefined;
  return failure(kind, message, {
    ...details,
    ...(scope === undefined ? {} : { scope }),
    ...(countsForBreaker === undefined ? {} : { countsForBreaker }),
    ...(spendsQuota === undefined ? {} : { spendsQuota }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(kind === "context-overflow" ? { tokens: readTokenCounts(said.text, body) } : {}),
  });
}

/** Every answer of OpenAI's carries reset times; only these failures are about them. */
const asksToWait: ReadonlySet<FailureKind> = new Set([
  "rate-limit",
  "quota",
  "ramp-up",
  "overloaded",
  "billing",
  "upstream",
]);

function findWait(
  { wait, waitWins = false }: ReturnType<typeof judge>,
  { text, headers }: Said,
  body: Json | undefined,
  now: number | undefined,
): number | undefined {
  if (now === undefined) return readWaitWords(text);
  const own = wait?.(now, text);
  if (waitWins && own !== undefined) return own;
  return readRetryAfter(headers, body, text, now) ?? own;
}

function describeBare(status: number, page: string | undefined): string {
  if (page === undefined) return `the upstream answered ${status}`;
  return page === ""
    ? `the upstream answered ${status} with a web page`
    : `the upstream answered ${status} with a web page: ${page}`;
}

function readTitle(html: string): string | undefined {
  const title = /<title[^>]*>([^<]{1,200})/i.exec(html)?.[1];
  return title?.replace(/\s+/g, " ").trim();
}

function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

interface ToldError {
  message?: string;
  /** The one that is told as the upstream's own. */
  code?: string;
  codes: string[];
  /** What rules read besides: the words of whoever is behind a gateway, which quota it is. */
  detail: string;
  /** A gateway only hands on what whoever is behind it has said. */
  isFromBehind: boolean;
}

/**
 * Reads the shapes that servers use: `{error:{message}}`, `{error:"..."}`, `{message}`, `{detail}`, `{title}` (NVIDIA),
 * `{error:"code", message}` (Fireworks), Gemini's array, and an error whose message is another one as JSON.
 */
function readError(body: Json | undefined): ToldError {
  const outer = Array.isArray(body) ? body[0] : body;
  if (!isObject(outer)) return { codes: [], detail: "", isFromBehind: false };
  const inner = isObject(outer["error"]) ? outer["error"] : {};
  const metadata = isObject(inner["metadata"]) ? inner["metadata"] : {};
  const innermost = isObject(inner["innererror"]) ? inner["innererror"] : {};
  const bare = asText(outer["error"]);
  const beside = asText(outer["message"]);
  const nested = readNested(asText(inner["message"]));
  const message =
    nested?.message ??
    asText(inner["message"]) ??
    (bare !== undefined && beside !== undefined ? beside : bare) ??
    beside ??
    asText(outer["detail"]) ??
    asText(outer["title"]);
  const behind = readBehind(metadata);
  const codes = [
    metadata["error_type"],
    inner["code"],
    inner["type"],
    outer["code"],
    bare !== undefined && beside !== undefined ? bare : undefined,
    inner["status"],
    innermost["code"],
  ].flatMap((code) => asText(code) ?? []);
  const [code] = codes;
  const detail = [
    behind,
    asText(metadata["limit_source"]),
    // OpenRouter's moderation tells what was flagged: https://openrouter.ai/docs/api/reference/errors-and-debugging
    "flagged_input" in metadata ? "flagged_input" : undefined,
    bare !== message ? bare : undefined,
    inner["details"] === undefined ? undefined : JSON.stringify(inner["details"]).slice(0, maxDetailCharacters),
    nested?.detail,
  ].filter((part) => part !== undefined);
  const isFromBehind = message === "Provider returned error";
  const whole = isFromBehind ? (behind ?? message) : message;
  return {
    ...(whole === undefined ? {} : { message: whole }),
    ...(code === undefined ? {} : { code }),
    codes: [...codes, ...(nested?.codes ?? [])],
    detail: detail.join("\n"),
    isFromBehind,
  };
}

const maxDetailCharacters = 4_000;

/** OpenRouter's "Provider returned error" keeps what the provider said, as text or as its own JSON. */
function readBehind(metadata: Record<string, Json | undefined>): string | undefined {
  const raw = asText(metadata["raw"])?.trim();
  if (raw === undefined || raw === "" || raw.startsWith("<")) return undefined;
  const words = readError(parseJson(raw)).message ?? raw.slice(0, maxPlainCharacters);
  const name = asText(metadata["provider_name"]);
  return name === undefined ? words : `${name}: ${words}`;
}

/** Gemini's CLI endpoint and some gateways put one error's JSON into the message of another. */
function readNested(message: string | undefined): ToldError | undefined {
  if (message === undefined || !/^\s*[[{]/.test(message)) return undefined;
  const parsed = parseJson(message);
  return parsed === undefined ? undefined : readError(parsed);
}

function asText(value: Json | undefined): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}
