/**
 * Whether compression pays for a session: what it saved, against what it cost in prompt cache and refused requests. A
 * compressor that rewrites what a provider had cached makes the whole conversation be read anew at ten times the price
 * (headroomlabs-ai/headroom#2438: 2-7 times the cost), and its own figures do not show it.
 */

import type { RequestRow } from "../store/schema.ts";

/** Of one session, as its requests end. All in tokens, but for the counts. */
export interface SessionFigures {
  requests: number;
  compressed: number;
  /** What compression took out of the requests, summed up. */
  saved: number;
  /** The same at what it would have cost: what the provider would have had in its cache counts a tenth. */
  savedWorth: number;
  /** What the provider had cached and had to read anew behind a compressed request. */
  cacheLost: number;
  /** Compressed requests that the upstream refused as wrong, so that they had to be made again. */
  refused: number;
  refusedTokens: number;
  /** The last whole prompt, by model: what the next can be expected to find in the cache. */
  last: { servedBy: string; prompt: number; endedAt: number; saved: number } | undefined;
  /** The provider of this session has a prompt cache and tells of it. */
  hasCache: boolean;
}

export const noFigures: SessionFigures = {
  requests: 0,
  compressed: 0,
  saved: 0,
  savedWorth: 0,
  cacheLost: 0,
  refused: 0,
  refusedTokens: 0,
  last: undefined,
  hasCache: false,
};

/** A cached token's price, as a share of a fresh one's: a tenth at Anthropic, DeepSeek and OpenAI's newest. */
const cachedPrice = 0.1;

/** A provider forgets what nobody asks for: Anthropic after 5 minutes (ms). */
const cacheLivesMs = 4 * 60_000;

/** Statuses that say that the request itself was wrong. */
const refusals: readonly (number | null | undefined)[] = [400, 413, 422];

/** The figures with one more request that has ended. */
export function addRequest(figures: SessionFigures, row: RequestRow): SessionFigures {
  const { tokensBefore, tokensAfter, servedBy } = row;
  const isCompressed =
    typeof tokensBefore === "number" && typeof tokensAfter === "number" && tokensBefore > tokensAfter;
  const saved = isCompressed ? tokensBefore - tokensAfter : 0;
  const isRefused = isCompressed && refusals.includes(row.httpStatus);
  const next = {
    ...figures,
    requests: figures.requests + 1,
    compressed: figures.compressed + (isCompressed ? 1 : 0),
    saved: figures.saved + saved,
    refused: figures.refused + (isRefused ? 1 : 0),
    refusedTokens: figures.refusedTokens + (isRefused ? tokensBefore : 0),
  };
  if (row.status !== "completed" || row.usageEstimated === true || typeof servedBy !== "string") return next;
  const cacheRead = row.cacheReadTokens ?? 0;
  const prompt = (row.inputTokens ?? 0) + cacheRead + (row.cacheWriteTokens ?? 0);
  const hasCache = figures.hasCache || cacheRead + (row.cacheWriteTokens ?? 0) > 0;
  const endedAt = row.startedAt + (row.durationMs ?? 0);
  const { last } = figures;
  // A smaller prompt is another conversation (a title, a sub-agent), or one that was compacted: nothing can be cached of it.
  const follows =
    last !== undefined &&
    last.servedBy === servedBy &&
    prompt >= last.prompt &&
    row.startedAt - last.endedAt < cacheLivesMs;
  const wasSaved = follows ? Math.min(saved, last.saved) : 0;
  return {
    ...next,
    hasCache,
    savedWorth: figures.savedWorth + (saved - wasSaved) + wasSaved * (hasCache ? cachedPrice : 1),
    cacheLost: figures.cacheLost + (isCompressed && hasCache && follows ? Math.max(0, last.prompt - cacheRead) : 0),
    last:
      last === undefined || follows || last.servedBy !== servedBy || prompt > last.prompt / 2
        ? { servedBy, prompt, endedAt, saved }
        : last,
  };
}

/** So many compressed requests before anything is said of a session: the first ones fill a cache. */
const enough = 4;

/** Less is noise (tokens). */
const leastHarm = 2_000;

/** Why compression harms the session; undefined where it does not, or where it is too early to say. */
export function findHarm(figures: SessionFigures): string | undefined {
  const { compressed, saved, savedWorth, cacheLost, refused, refusedTokens } = figures;
  if (refused >= 2) return `${refused} compressed requests were refused as wrong`;
  if (compressed < enough) return undefined;
  const cost = cacheLost * (1 - cachedPrice) + refusedTokens;
  if (cost < savedWorth + leastHarm) return undefined;
  const again = refused === 0 ? "" : ` and ${inThousands(refusedTokens)} tokens were sent again`;
  return `${inThousands(cacheLost)} tokens of prompt cache were lost${again}, for ${inThousands(saved)} saved`;
}

function inThousands(tokens: number): string {
  return tokens < 1000 ? String(Math.round(tokens)) : `${(tokens / 1000).toFixed(1)}k`;
}

export interface SessionReport {
  session: string;
  requests: number;
  compressed: number;
  tokens_saved: number;
  cache_tokens_lost: number;
  /** Since then its requests go on as they come; null while compression pays. */
  harmful: string | null;
}

/** Sessions remembered; the one that was quiet for longest goes first. */
const maxSessions = 500;

/** The sessions of this gateway's life. */
export class SessionSavings {
  readonly #log: (line: string) => void;
  #sessions = new Map<string, SessionFigures>();
  #harmful = new Map<string, string>();

  constructor(log: (line: string) => void) {
    this.#log = log;
  }

  note(row: RequestRow): void {
    const session = row.session ?? row.launchId;
    if (session === null || session === undefined) return;
    const known = this.#sessions.get(session);
    // Most sessions have never met a compressor.
    if (known === undefined && row.compression == null) return;
    this.#sessions.delete(session);
    const figures = addRequest(known ?? noFigures, row);
    this.#sessions.set(session, figures);
    trim(this.#sessions);
    if (this.#harmful.has(session)) return;
    const harm = findHarm(figures);
    if (harm === undefined) return;
    this.#harmful.set(session, harm);
    trim(this.#harmful);
    this.#log(`compression harms session ${session}: ${harm}; from now on it goes on without`);
  }

  isHarmful(session: string): boolean {
    return this.#harmful.has(session);
  }

  report(): SessionReport[] {
    return [...this.#sessions].map(([session, { requests, compressed, saved, cacheLost }]) => ({
      session,
      requests,
      compressed,
      tokens_saved: saved,
      cache_tokens_lost: cacheLost,
      harmful: this.#harmful.get(session) ?? null,
    }));
  }
}

function trim(map: Map<string, unknown>): void {
  const [oldest] = map.keys();
  if (map.size > maxSessions && oldest !== undefined) map.delete(oldest);
}
