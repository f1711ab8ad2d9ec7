/**
 * What happened to every request, kept in memory and written behind: a pending row as soon as the request is accepted,
 * its attempts, and its end exactly once. Rows reach the disk within `flushMs`, many in one transaction.
 */

import { type Price, splitReference } from "../models/prices.ts";
import type { Usage } from "../protocols/chat.ts";
import type { RequestQueries } from "../store/requests.ts";
import type { AttemptRow, LaunchRow, PriceRow, RequestRow } from "../store/schema.ts";
import { type Compressed, estimateTokens } from "./compression.ts";
import { compareCosts, costOfAnswer, isOwnAnswer, ownLogin, type PriceOf } from "./costing.ts";
import { startOfDay } from "./spending.ts";

/** Longest time a row waits in memory, in ms. */
export const flushMs = 25;

/** Rows kept while the disk refuses them; beyond it the oldest are lost and counted. */
const maxWaitingRows = 20_000;

/** Launches and prices that are remembered as written (counts); beyond it they are written again, which changes nothing. */
const maxKnown = 10_000;

export interface LedgerDeps {
  queries: Pick<RequestQueries, "save">;
  /** What is known of a launch; may read the disk. Nothing when left out. */
  launchOf?(id: string): LaunchRow | undefined;
  /** Every price is unknown when left out. */
  priceOf?: PriceOf;
  /** Milliseconds since 1970. */
  now(): number;
  /** Told of each request as it ends, with its whole row. */
  onFinish(row: RequestRow): void;
  /** Told once per run of failures, with how many rows wait. */
  onWriteError(error: unknown, waiting: number): void;
}

/** How a request ended. */
export interface Ending {
  status: "completed" | "error" | "aborted";
  httpStatus?: number;
  servedBy?: string;
  error?: string;
  usage?: Usage;
  firstTokenMs?: number;
}

export class Ledger {
  readonly #deps: LedgerDeps;
  #dirty = new Map<string, RequestRow>();
  #attempts: AttemptRow[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isFailing = false;
  /** List prices that costs were counted from, by model and date, and those of them that are on disk. */
  readonly #prices = new Map<string, PriceRow>();
  readonly #written = new Set<string>();
  /** Rows that were given up because the disk refused them for too long. */
  lostRows = 0;

  constructor(deps: LedgerDeps) {
    this.#deps = deps;
  }

  begin(row: RequestRow): LedgerEntry {
    this.#note(row);
    const priceOf = (reference: string) => this.#priceOf(reference);
    return new LedgerEntry(row, { now: this.#deps.now, priceOf }, (attempt) => {
      if (attempt !== undefined && this.#attempts.at(-1) !== attempt) this.#attempts.push(attempt);
      else this.#deps.onFinish(row);
      this.#note(row);
    });
  }

  /** What is counted from a list is on record with the day of its price. */
  #priceOf(reference: string): Price | undefined {
    const price = this.#deps.priceOf?.(reference);
    if (price?.kind !== "list") return price;
    const key = `${reference} ${price.source} ${price.at}`;
    if (!this.#written.has(key) && !this.#prices.has(key)) {
      const [provider, model] = splitReference(reference);
      const at = price.at ?? startOfDay(this.#deps.now());
      this.#prices.set(key, { provider, model, at, source: price.source, ...price.rates });
    }
    return price;
  }

  /** Writes everything that waits; resolves when it is on disk or has been refused. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#dirty.size === 0 && this.#attempts.length === 0) return;
    const rows = this.#dirty;
    const attempts = this.#attempts;
    this.#dirty = new Map();
    this.#attempts = [];
    const launches = this.#newLaunches(rows.values());
    const prices = [...this.#prices];
    try {
      await this.#deps.queries.save([...rows.values()], attempts, {
        launches: [...launches.values()].filter((launch) => launch !== undefined),
        prices: prices.map(([, price]) => price),
      });
      this.#isFailing = false;
      if (this.#written.size > maxKnown) this.#written.clear();
      for (const id of launches.keys()) this.#written.add(id);
      for (const [key] of prices) {
        this.#prices.delete(key);
        this.#written.add(key);
      }
    } catch (error) {
      this.#keep(rows, attempts);
      if (!this.#isFailing) this.#deps.onWriteError(error, this.#dirty.size);
      this.#isFailing = true;
      this.#schedule(1000);
    }
  }

  /** The last flush. @returns how many rows the disk has refused, now or before */
  async close(): Promise<number> {
    await this.flush();
    clearTimeout(this.#timer);
    return this.lostRows + this.#dirty.size;
  }

  /** By id, those that no row has come from yet; undefined where nothing is known of it. */
  #newLaunches(rows: Iterable<RequestRow>): Map<string, LaunchRow | undefined> {
    const found = new Map<string, LaunchRow | undefined>();
    for (const { launchId } of rows) {
      if (launchId == null || this.#written.has(launchId) || found.has(launchId)) continue;
      found.set(launchId, this.#deps.launchOf?.(launchId));
    }
    return found;
  }

  #note(row: RequestRow): void {
    this.#dirty.set(row.id, row);
    this.#schedule(flushMs);
  }

  #schedule(ms: number): void {
    this.#timer ??= setTimeout(() => void this.flush(), this.#isFailing ? Math.max(ms, 1000) : ms);
  }

  #keep(rows: Map<string, RequestRow>, attempts: AttemptRow[]): void {
    for (const [id, row] of rows) if (!this.#dirty.has(id)) this.#dirty.set(id, row);
    const kept = [...attempts, ...this.#attempts];
    this.#attempts = kept.slice(-maxWaitingRows);
    this.lostRows += kept.length - this.#attempts.length;
    for (const id of this.#dirty.keys()) {
      if (this.#dirty.size <= maxWaitingRows) break;
      this.#dirty.delete(id);
      this.lostRows++;
    }
  }
}

/** One request's row while it is under way. */
export class LedgerEntry {
  readonly row: RequestRow;
  /** Set before the answer begins, if the request has been made smaller. */
  compressed: Compressed | undefined;
  /** The agent's own login pays. */
  isOwnLogin = false;
  readonly #deps: { now(): number; priceOf: PriceOf };
  readonly #changed: (attempt?: AttemptRow) => void;
  #isFinished = false;

  constructor(row: RequestRow, deps: { now(): number; priceOf: PriceOf }, changed: (attempt?: AttemptRow) => void) {
    this.row = row;
    this.#deps = deps;
    this.#changed = changed;
  }

  attempt(attempt: Omit<AttemptRow, "requestId" | "number">): AttemptRow {
    this.row.attempts += 1;
    const made: AttemptRow = { ...attempt, requestId: this.row.id, number: this.row.attempts };
    this.#changed(made);
    return made;
  }

  /** What the upstream counted of an answer that was left: it is billed all the same. A guess is not. */
  countLeft(attempt: AttemptRow, usage: Usage): void {
    if (usage.estimated === true) return;
    const { costUsd, pricing } = this.#cost(`${attempt.provider}:${attempt.model}`, usage).cost;
    Object.assign(attempt, tokensOf(usage), { costUsd, pricing });
    // The attempt may have been written, or be written now.
    this.#changed(attempt);
  }

  /** Only the first call counts: a stream can end in several ways at once. */
  finish(ending: Ending): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    const { row } = this;
    row.status = ending.status;
    row.durationMs = this.#deps.now() - row.startedAt;
    row.httpStatus = ending.httpStatus ?? null;
    row.servedBy = ending.servedBy ?? null;
    row.error = ending.error ?? null;
    row.firstTokenMs = ending.firstTokenMs ?? null;
    const { usage, servedBy } = ending;
    if (usage !== undefined) {
      Object.assign(row, tokensOf(usage));
      row.usageEstimated = usage.estimated ?? false;
    }
    if (this.compressed !== undefined) {
      const { way, bytesBefore, body } = this.compressed;
      const isCounted = usage !== undefined && usage.estimated !== true;
      const counted = isCounted ? usage.input + usage.cacheRead + usage.cacheWrite : undefined;
      Object.assign(row, { compression: way, ...estimateTokens(bytesBefore, body.size, counted) });
    }
    const isAsked = servedBy !== undefined && !isOwnAnswer(servedBy);
    if (!isAsked || row.firstChoice === undefined || row.firstChoice === servedBy) row.firstChoice = null;
    if (isAsked) {
      const { price, cost } = this.#cost(servedBy, usage);
      Object.assign(row, cost);
      if (row.firstChoice != null || row.compression != null) {
        Object.assign(row, compareCosts(row, price, usage, this.#deps.priceOf));
      }
    }
    this.#changed();
  }

  #cost(reference: string, usage: Usage | undefined) {
    const price = this.isOwnLogin ? ownLogin : this.#deps.priceOf(reference);
    return { price, cost: costOfAnswer(price, usage, this.row.startedAt) };
  }
}

function tokensOf(usage: Usage) {
  return {
    inputTokens: usage.input,
    cacheReadTokens: usage.cacheRead,
    cacheWriteTokens: usage.cacheWrite,
    outputTokens: usage.output,
    reasoningTokens: usage.reasoning,
  };
}
