/**
 * What happened to every request, kept in memory and written behind: a pending row as soon as the request is accepted,
 * its attempts, and its end exactly once. Rows reach the disk within `flushMs`, many in one transaction.
 */

import type { Usage } from "../protocols/chat.ts";
import type { RequestQueries } from "../store/requests.ts";
import type { AttemptRow, RequestRow } from "../store/schema.ts";
import { type Compressed, estimateTokens } from "./compression.ts";

/** Longest time a row waits in memory, in ms. */
export const flushMs = 25;

/** Rows kept while the disk refuses them; beyond it the oldest are lost and counted. */
const maxWaitingRows = 20_000;

export interface LedgerDeps {
  queries: RequestQueries;
  /** Milliseconds since 1970. */
  now(): number;
  /** Told of each request as it ends, with its whole row. */
  onFinish(row: RequestRow): void;
  /** Told of each call of an upstream as it ends. */
  onAttempt?(row: AttemptRow): void;
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

/** What can be said of a request's candidates, asked for while its row is still being written to. */
export interface TrailSource {
  render(): string | null;
}

export class Ledger {
  readonly #deps: LedgerDeps;
  readonly #book: Book;
  #waiting: LedgerEntry[] = [];
  #attempts: AttemptRow[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isFailing = false;
  /** Rows that were given up because the disk refused them for too long. */
  lostRows = 0;

  constructor(deps: LedgerDeps) {
    this.#deps = deps;
    this.#book = {
      now: deps.now,
      attempted: (entry, attempt) => {
        this.#attempts.push(attempt);
        deps.onAttempt?.(attempt);
        this.#note(entry);
      },
      finished: (entry) => {
        deps.onFinish(entry.row);
        this.#note(entry);
      },
    };
  }

  /** @param trail rendered whenever the row is written, for the last time at its end */
  begin(row: RequestRow, trail?: TrailSource): LedgerEntry {
    const entry = new LedgerEntry(row, this.#book, trail);
    this.#note(entry);
    return entry;
  }

  /** Rows that are not on disk, and whether it refuses them. */
  get backlog(): { waiting: number; lost: number; isFailing: boolean } {
    const waiting = this.#waiting.length + this.#attempts.length;
    return { waiting, lost: this.lostRows, isFailing: this.#isFailing };
  }

  /** Writes everything that waits; resolves when it is on disk or has been refused. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length === 0 && this.#attempts.length === 0) return;
    const entries = this.#waiting;
    const attempts = this.#attempts;
    this.#waiting = [];
    this.#attempts = [];
    try {
      await this.#deps.queries.save(
        entries.map((entry) => entry.toWrite()),
        attempts,
      );
      this.#isFailing = false;
    } catch (error) {
      this.#keep(entries, attempts);
      if (!this.#isFailing) this.#deps.onWriteError(error, this.#waiting.length);
      this.#isFailing = true;
      this.#schedule(1000);
    }
  }

  /** The last flush. @returns how many rows the disk has refused, now or before */
  async close(): Promise<number> {
    await this.flush();
    clearTimeout(this.#timer);
    return this.lostRows + this.#waiting.length;
  }

  #note(entry: LedgerEntry): void {
    if (!entry.isWaiting) {
      entry.isWaiting = true;
      this.#waiting.push(entry);
    }
    this.#schedule(flushMs);
  }

  #schedule(ms: number): void {
    this.#timer ??= setTimeout(() => void this.flush(), this.#isFailing ? Math.max(ms, 1000) : ms);
  }

  #keep(entries: LedgerEntry[], attempts: AttemptRow[]): void {
    const refused = entries.filter((entry) => !entry.isWaiting);
    for (const entry of refused) entry.isWaiting = true;
    const waiting = [...refused, ...this.#waiting];
    const lost = waiting.splice(0, Math.max(0, waiting.length - maxWaitingRows));
    for (const entry of lost) entry.isWaiting = false;
    this.#waiting = waiting;
    const kept = [...attempts, ...this.#attempts];
    this.#attempts = kept.slice(-maxWaitingRows);
    this.lostRows += lost.length + kept.length - this.#attempts.length;
  }
}

/** What entries tell their ledger: one for all of them, since there is an entry for every request. */
interface Book {
  now(): number;
  attempted(entry: LedgerEntry, attempt: AttemptRow): void;
  finished(entry: LedgerEntry): void;
}

/** One request's row while it is under way. */
export class LedgerEntry {
  readonly row: RequestRow;
  /** Set before the answer begins, if the request has been made smaller. */
  compressed: Compressed | undefined;
  /** For the ledger alone: it is among those that the next flush writes. */
  isWaiting = false;
  readonly #book: Book;
  /** Let go of at the end, so that a row that waits for the disk holds nothing of its request. */
  #trail: TrailSource | undefined;
  #isFinished = false;

  constructor(row: RequestRow, book: Book, trail: TrailSource | undefined) {
    this.row = row;
    this.#book = book;
    this.#trail = trail;
  }

  attempt(attempt: Omit<AttemptRow, "requestId" | "number">): void {
    this.row.attempts += 1;
    this.#book.attempted(this, { ...attempt, requestId: this.row.id, number: this.row.attempts });
  }

  /** Only the first call counts: a stream can end in several ways at once. */
  finish(ending: Ending): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    const { row } = this;
    row.status = ending.status;
    row.durationMs = this.#book.now() - row.startedAt;
    row.httpStatus = ending.httpStatus ?? null;
    row.servedBy = ending.servedBy ?? null;
    row.error = ending.error ?? null;
    row.firstTokenMs = ending.firstTokenMs ?? null;
    const { usage } = ending;
    if (usage !== undefined) {
      row.inputTokens = usage.input;
      row.cacheReadTokens = usage.cacheRead;
      row.cacheWriteTokens = usage.cacheWrite;
      row.outputTokens = usage.output;
      row.reasoningTokens = usage.reasoning;
      row.usageEstimated = usage.estimated ?? false;
      row.costUsd = usage.costUsd ?? null;
    }
    if (this.compressed !== undefined) {
      const { way, bytesBefore, body } = this.compressed;
      const isCounted = usage !== undefined && usage.estimated !== true;
      const counted = isCounted ? usage.input + usage.cacheRead + usage.cacheWrite : undefined;
      const { tokensBefore, tokensAfter } = estimateTokens(bytesBefore, body.size, counted);
      row.compression = way;
      row.tokensBefore = tokensBefore;
      row.tokensAfter = tokensAfter;
    }
    this.#renderTrail();
    this.#trail = undefined;
    this.#book.finished(this);
  }

  /** The row as things stand. From now on it does not wait. */
  toWrite(): RequestRow {
    this.isWaiting = false;
    this.#renderTrail();
    return this.row;
  }

  #renderTrail(): void {
    if (this.#trail !== undefined) this.row.trail = this.#trail.render();
  }
}
