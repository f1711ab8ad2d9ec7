/** Fetches one list of models: bounded in time and size, and only if it has changed. `fetch` is handed in. */

import type { ModelCatalogue } from "../../providers/model-facts.ts";
import type { Fetch } from "../../providers/upstream.ts";
import { version } from "../version.ts";
import type { ListCopy } from "./catalogue.ts";

export type FetchOutcome =
  | { kind: "fresh"; copy: ListCopy }
  | { kind: "unchanged"; copy: ListCopy }
  /** Why, for a sentence: "connection refused". */
  | { kind: "failed"; reason: string };

export interface ListRequest {
  url: string;
  /** What was there before: kept when the source says that nothing has changed. */
  known: ListCopy | undefined;
  /** @returns undefined for what is no list */
  parse(body: unknown): ModelCatalogue | undefined;
}

export interface FetchLimits {
  timeoutMs: number;
  maxBytes: number;
}

/** OpenRouter's list is 1 MB, models.dev's 3 MB (November 2026). */
export const defaultLimits: FetchLimits = { timeoutMs: 30_000, maxBytes: 48 * 1024 * 1024 };

/** OpenRouter sends all its models at once, and may send pages of at most 1,000 one day. */
const maxPages = 10;

/** Never throws: a list that cannot be had is no reason to stop anything. */
export async function fetchList(
  { url, known, parse }: ListRequest,
  fetch: Fetch,
  now: () => number,
  limits: FetchLimits = defaultLimits,
): Promise<FetchOutcome> {
  const signal = AbortSignal.timeout(limits.timeoutMs);
  try {
    const isSame = known?.url === url;
    const first = await get(url, isSame ? conditions(known) : {}, fetch, signal, limits);
    if (first === "unchanged") {
      return known === undefined
        ? { kind: "failed", reason: "it answered 304 to a question that was none" }
        : { kind: "unchanged", copy: { ...known, checkedAt: now() } };
    }
    const pages = [first.body];
    for (let next = nextPage(first.body, url); next !== undefined && pages.length < maxPages; ) {
      const page = await get(next, {}, fetch, signal, limits);
      if (page === "unchanged") break;
      pages.push(page.body);
      next = nextPage(page.body, url);
    }
    const providers = parse(pages.length === 1 ? first.body : { data: pages.flatMap(rowsOf) });
    if (providers === undefined) return { kind: "failed", reason: "what it sent is no list of models" };
    const copy = { url, checkedAt: now(), providers };
    // A stamp of the first page says nothing of the others.
    return { kind: "fresh", copy: pages.length > 1 ? copy : { ...copy, ...first.stamps } };
  } catch (cause) {
    return {
      kind: "failed",
      reason: signal.aborted ? `no answer within ${limits.timeoutMs / 1000} s` : reasonOf(cause),
    };
  }
}

interface Page {
  body: unknown;
  stamps: { etag?: string; lastModified?: string };
}

async function get(
  url: string,
  headers: Record<string, string>,
  fetch: Fetch,
  signal: AbortSignal,
  { maxBytes }: FetchLimits,
): Promise<Page | "unchanged"> {
  const response = await fetch(url, {
    headers: { accept: "application/json", "user-agent": `clutch/${version}`, ...headers },
    signal,
  });
  if (response.status === 304) return "unchanged";
  if (!response.ok) {
    await response.body?.cancel();
    throw new Refused(`it answered ${response.status}`);
  }
  const text = await readText(response, maxBytes);
  const [etag, lastModified] = [response.headers.get("etag"), response.headers.get("last-modified")];
  const stamps = { ...(etag !== null && { etag }), ...(lastModified !== null && { lastModified }) };
  try {
    return { body: JSON.parse(text), stamps };
  } catch {
    throw new Refused("what it sent is not JSON");
  }
}

async function readText(response: Response, maxBytes: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    bytes += piece.byteLength;
    if (bytes > maxBytes) throw new Refused(`it sent more than ${Math.round(maxBytes / 1024 / 1024)} MB`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

function conditions({ etag, lastModified }: ListCopy): Record<string, string> {
  return {
    ...(etag !== undefined && { "if-none-match": etag }),
    ...(lastModified !== undefined && { "if-modified-since": lastModified }),
  };
}

/** Only at the same place: a list is not to send Clutch elsewhere. */
function nextPage(body: unknown, url: string): string | undefined {
  const next = (body as { links?: { next?: unknown } } | null)?.links?.next;
  if (typeof next !== "string" || !URL.canParse(next, url)) return undefined;
  const page = new URL(next, url);
  return page.origin === new URL(url).origin ? page.href : undefined;
}

function rowsOf(body: unknown): unknown[] {
  const data = (body as { data?: unknown } | null)?.data;
  return Array.isArray(data) ? data : [];
}

class Refused extends Error {}

/** Bun's error codes in words; what else it says has URLs in it. */
const words: Readonly<Record<string, string>> = {
  ConnectionRefused: "connection refused",
  ECONNREFUSED: "connection refused",
  ConnectionClosed: "the connection broke",
  ECONNRESET: "the connection broke",
  FailedToOpenSocket: "no way there",
  ENOTFOUND: "its name is not known here: no network?",
};

function reasonOf(cause: unknown): string {
  if (cause instanceof Refused) return cause.message;
  const { code, message } = cause as { code?: string; message?: string };
  return words[code ?? ""] ?? code ?? message ?? String(cause);
}
