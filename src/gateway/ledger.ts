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
  /** Rows that were given up because the disk refused them for too long. */
  lostRows = 0;

  constructor(deps: LedgerDeps) {
    this.#deps = deps;
  }

  begin(row: RequestRow): LedgerEntry {
    this.#note(row);
    return new LedgerEntry(row, this.#deps.now, (attempt) => {
      if (attempt !== undefined) this.#attempts.push(attempt);
      else this.#deps.onFinish(row);
      this.#note(row);
    });
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
    try {
      await this.#deps.queries.save([...rows.values()], attempts);
      this.#isFailing = false;
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
  readonly #now: () => number;
  readonly #changed: (attempt?: AttemptRow) => void;
  #isFinished = false;

  constructor(row: RequestRow, now: () => number, changed: (attempt?: AttemptRow) => void) {
    this.row = row;
    this.#now = now;
    this.#changed = changed;
  }

  attempt(attempt: Omit<AttemptRow, "requestId" | "number">): void {
    this.row.attempts += 1;
    this.#changed({ ...attempt, requestId: this.row.id, number: this.row.attempts });
  }

  /** Only the first call counts: a stream can end in several ways at once. */
  finish(ending: Ending): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    const { row } = this;
    row.status = ending.status;
    row.durationMs = this.#now() - row.startedAt;
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
      Object.assign(row, { compression: way, ...estimateTokens(bytesBefore, body.size, counted) });
    }
    this.#changed();
  }
}
