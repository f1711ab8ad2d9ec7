/** When an upstream that refused may be asked again, in every form that servers tell it. Pure. */

import type { Json } from "../src/protocols/chat.ts";
import { isObject } from "../src/protocols/json.ts";

/**
 * The wait that an answer asks for (whole ms): its Retry-After; a field of its body made for it; the reset of the limit
 * that is used up; its words; the longest reset of those limits that do not tell what remains of them. One of which
 * something remains is not what refused: Cerebras tells the day's reset where the minute's limit was met.
 * @param text the upstream's words
 */
export function readRetryAfter(
  headers: Headers,
  body: Json | undefined,
  text: string,
  now: number,
): number | undefined {
  const direct = headers.get("retry-after-ms");
  if (direct !== null && direct.trim() !== "" && Number.isFinite(Number(direct))) return Math.max(0, Number(direct));
  const limits = readLimits(headers, body, now);
  const wait =
    readHeader(headers.get("retry-after"), now) ??
    readFields(body, now) ??
    longest(limits, true) ??
    readWaitWords(text) ??
    longest(limits, undefined);
  return wait === undefined ? undefined : Math.round(wait);
}

/** Seconds, or an HTTP date. */
function readHeader(value: string | null, now: number): number | undefined {
  const text = value?.trim() ?? "";
  if (text === "") return undefined;
  const seconds = Number(text);
  const wait = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(text) - now;
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}

/**
 * Gemini: `error.details[].retryDelay: "37.48s"`; CLIProxyAPI: `error.reset_seconds`; Codex' backend:
 * `error.resets_in_seconds`; OpenRouter's budgets: `error.metadata.resets_at`.
 */
function readFields(body: Json | undefined, now: number): number | undefined {
  const outer = Array.isArray(body) ? body[0] : body;
  const error = isObject(outer) && isObject(outer["error"]) ? outer["error"] : {};
  const details = Array.isArray(error["details"]) ? error["details"] : [];
  const metadata = isObject(error["metadata"]) ? error["metadata"] : {};
  const told = [
    ...details.map((detail) => (isObject(detail) ? detail["retryDelay"] : undefined)),
    error["reset_seconds"],
    error["resets_in_seconds"],
    error["resets_at"],
    metadata["resets_at"],
  ];
  for (const value of told) {
    const wait = readReset(typeof value === "number" ? String(value) : typeof value === "string" ? value : "", now);
    if (wait !== undefined) return wait;
  }
  return undefined;
}

/**
 * Headers such as `x-ratelimit-reset-requests-day` and `anthropic-ratelimit-tokens-reset`, each with a sister that says
 * `remaining` in place of `reset`; Anthropic's unified ones have a `status` instead. OpenRouter repeats its own in the body.
 */
function readLimits(headers: Headers, body: Json | undefined, now: number): Limit[] {
  const error = isObject(body) && isObject(body["error"]) ? body["error"] : {};
  const metadata = isObject(error["metadata"]) ? error["metadata"] : {};
  const inBody = isObject(metadata["headers"]) ? metadata["headers"] : {};
  const told = new Map<string, string>();
  for (const [name, value] of Object.entries(inBody)) {
    if (typeof value === "string" || typeof value === "number") told.set(name.toLowerCase(), String(value));
  }
  for (const [name, value] of headers) told.set(name, value);
  return [...told].flatMap(([name, value]) => {
    const waitMs = /ratelimit.*reset/.test(name) ? readReset(value, now) : undefined;
    if (waitMs === undefined) return [];
    const status = told.get(name.replace("reset", "status"));
    if (status !== undefined) return [{ waitMs, isUsedUp: status === "rejected" }];
    const remaining = told.get(name.replace("reset", "remaining"));
    return [{ waitMs, isUsedUp: remaining === undefined ? undefined : Number(remaining) === 0 }];
  });
}

interface Limit {
  waitMs: number;
  /** Undefined when nothing is told of it. */
  isUsedUp: boolean | undefined;
}

function longest(limits: readonly Limit[], isUsedUp: true | undefined): number | undefined {
  const waits = limits.filter((limit) => limit.isUsedUp === isUsedUp).map((limit) => limit.waitMs);
  return waits.length === 0 ? undefined : Math.max(...waits);
}

/** `1763600000` or `1763600000000` (since 1970), `30` (seconds from now), `1m26.4s`, `547ms`, or an ISO date. */
export function readReset(text: string, now: number): number | undefined {
  if (text.trim() === "") return undefined;
  const value = Number(text);
  if (Number.isFinite(value)) {
    const wait = value > 1e12 ? value - now : value > 1e9 ? value * 1000 - now : value * 1000;
    return Math.max(0, wait);
  }
  const span = readSpan(text);
  if (span !== undefined) return span;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `1m26.4s`, `547ms`, `137h41m9s`, `52220 seconds`; undefined when anything else is in the text. */
function readSpan(text: string): number | undefined {
  const part =
    /([\d.]+)\s*(ms|h(?:ours?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?|d(?:ays?)?)\b\s*|([\d.]+)(ms|h|m|s|d)/gi;
  const parts = [...text.matchAll(part)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join("") !== text) return undefined;
  return parts.reduce((sum, [, amount, unit, shortAmount, shortUnit]) => {
    const word = (unit ?? shortUnit ?? "s").toLowerCase();
    const key = word === "ms" ? "ms" : (word.charAt(0) as keyof typeof unitMs);
    return sum + Number(amount ?? shortAmount) * unitMs[key];
  }, 0);
}

/**
 * "Please try again in 9m38.016s" (Groq, OpenAI), "try again after 1 seconds" (Moonshot), "Please retry after 9 seconds"
 * (Azure), "Please wait 5631 seconds before retrying" (GitHub Models), "Please retry in 37.48s" (Gemini).
 */
export function readWaitWords(text: string): number | undefined {
  const found =
    /(?:try again|retry|wait)(?: in| after| for)?\s+((?:[\d.]+\s?(?:ms|hours?|minutes?|seconds?|days?|h|m|s)\s?)+)/i.exec(
      text,
    );
  return found?.[1] === undefined ? undefined : readSpan(found[1].trim());
}

/** OpenRouter counts free requests by the day of UTC: https://openrouter.ai/docs/api/reference/limits */
export function untilMidnightUtc(now: number): number {
  return unitMs.d - (now % unitMs.d);
}

/** Gemini's daily quotas begin anew at midnight Pacific time: https://ai.google.dev/gemini-api/docs/rate-limits */
export function untilMidnightPacific(now: number): number {
  const clock = new Intl.DateTimeFormat("en-GB", {
    timeZone: "America/Los_Angeles",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  }).formatToParts(now);
  const read = (type: string) => Number(clock.find((part) => part.type === type)?.value ?? 0);
  return unitMs.d - ((read("hour") % 24) * unitMs.h + read("minute") * unitMs.m + read("second") * unitMs.s);
}

/**
 * Z.ai: "Your limit will reset at 2026-01-10 18:25:10". Its clock is taken for Beijing's; were it another, we would ask
 * some hours early, which costs one call.
 */
export function untilNamedBeijingTime(now: number, text: string): number | undefined {
  const found = /resets? at (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)/.exec(text);
  if (found === null) return undefined;
  const at = Date.parse(`${found[1]}T${found[2]}+08:00`);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
