/**
 * What happened to every request, kept in memory and written behind: a pending row as soon as the request is accepted,
 * its attempts, and its end exactly once. Rows reach the disk within `flushMs`, many in one transaction.
 */

import type { Failure } from "../../providers/failure.ts";
import { type Price, splitReference } from "../models/prices.ts";
import type { Usage } from "../protocols/chat.ts";
import type { Besides, RequestQueries } from "../store/requests.ts";
import type { AttemptRow, RequestRow } from "../store/schema.ts";
import type { LaunchRow, PriceRow } from "../store/sums-schema.ts";
import { type Compressed, estimateTokens } from "./compression.ts";
import { compareCosts, costOfAnswer, isOwnAnswer, ownLogin, type PriceOf } from "./costing.ts";
import { startOfDay } from "./spending.ts";

/** Longest time that an end waits in memory, in ms. A request's beginning may wait twice as long: most are over by then. */
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
  /** Told of each call of an upstream as it ends, and once more, with its tokens, where it was left and is billed all the same. */
  onAttempt?(attempt: AttemptRow, request: RequestRow): void;
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
  /** List prices that costs were counted from, by model and date, and those of them that are on disk. */
  readonly #prices = new Map<string, PriceRow>();
  readonly #written = new Set<string>();
  #writing: Promise<void> | undefined;
  #isClosed = false;
  /** Rows that were given up because the disk refused them for too long. */
  lostRows = 0;

  constructor(deps: LedgerDeps) {
    this.#deps = deps;
    this.#book = {
      now: deps.now,
      priceOf: (reference) => this.#priceOf(reference),
      attempted: (entry, attempt) => {
        deps.onAttempt?.(attempt, entry.row);
        // One that is counted a moment later is written again, if it was written at all.
        if (this.#attempts.at(-1) !== attempt) this.#attempts.push(attempt);
        entry.isDue = true;
        this.#note(entry);
      },
      finished: (entry) => {
        const { row } = entry;
        const last = this.#attempts.at(-1);
        if (last !== undefined && isTheRequest(last, row)) {
          row.servedProtocol = last.protocol;
          this.#attempts.pop();
        }
        deps.onFinish(row);
        entry.isDue = true;
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
    await this.#flush(true);
  }

  /** @param isAll with what has only just begun: most of it is over before the next flush, and need not be written twice */
  async #flush(isAll: boolean): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // What the flush under way has taken is on disk only when that one is done.
    while (this.#writing !== undefined) await this.#writing;
    if (this.#waiting.length === 0 && this.#attempts.length === 0) return;
    this.#writing = this.#write(isAll).finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
  }

  async #write(isAll: boolean): Promise<void> {
    const entries: LedgerEntry[] = [];
    const begun: LedgerEntry[] = [];
    for (const entry of this.#waiting) {
      if (isAll || entry.isDue) entries.push(entry);
      else begun.push(entry);
      entry.isDue = true;
    }
    const attempts = this.#attempts;
    this.#waiting = begun;
    this.#attempts = [];
    const rows = entries.map((entry) => entry.toWrite());
    const launches = this.#newLaunches(rows);
    const prices = [...this.#prices];
    try {
      const besides = {
        launches: [...launches.values()].filter((launch) => launch !== undefined),
        prices: prices.map(([, price]) => price),
      };
      await this.#save(rows, attempts, besides);
      this.#isFailing = false;
      if (this.#written.size > maxKnown) this.#written.clear();
      for (const id of launches.keys()) this.#written.add(id);
      for (const [key] of prices) {
        this.#prices.delete(key);
        this.#written.add(key);
      }
      if (this.#waiting.length > 0) this.#schedule(flushMs);
    } catch (error) {
      this.#keep(entries, attempts);
      if (!this.#isFailing) this.#deps.onWriteError(error, this.#waiting.length);
      this.#isFailing = true;
      this.#schedule(1000);
    }
  }

  /** All at once; where one of them can never be written, each by itself, so that it alone is lost. @throws what the disk says */
  async #save(rows: readonly RequestRow[], attempts: readonly AttemptRow[], besides: Besides): Promise<void> {
    const { queries, onWriteError } = this.#deps;
    try {
      return await queries.save(rows, attempts, besides);
    } catch (error) {
      if (!isOfTheRow(error)) throw error;
      onWriteError(error, this.#waiting.length);
    }
    const saveAlone = async (row: RequestRow | undefined, own: readonly AttemptRow[], more?: Besides) => {
      try {
        await queries.save(row === undefined ? [] : [row], own, more);
      } catch (error) {
        if (!isOfTheRow(error)) throw error;
        this.lostRows += own.length + (row === undefined ? 0 : 1);
      }
    };
    await saveAlone(undefined, [], besides);
    // Rows first: an attempt goes into the sums by its request.
    for (const row of rows) await saveAlone(row, []);
    for (const attempt of attempts) await saveAlone(undefined, [attempt]);
  }

  /** Rows that the disk refuses at this moment; 0 while it takes them. */
  get refusedRows(): number {
    return this.#isFailing ? this.#waiting.length + this.#attempts.length : 0;
  }

  /** The last flush. @returns how many rows the disk has refused, now or before */
  async close(): Promise<number> {
    await this.flush();
    // From now on the database may be gone: a timer would try for ever, and keep the process from its end.
    this.#isClosed = true;
    clearTimeout(this.#timer);
    return this.lostRows + this.#waiting.length;
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

  #note(entry: LedgerEntry): void {
    if (!entry.isWaiting) {
      entry.isWaiting = true;
      this.#waiting.push(entry);
    }
    this.#schedule(flushMs);
  }

  #schedule(ms: number): void {
    if (this.#isClosed) return;
    this.#timer ??= setTimeout(() => void this.#flush(false), this.#isFailing ? Math.max(ms, 1000) : ms);
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
  priceOf: PriceOf;
  attempted(entry: LedgerEntry, attempt: AttemptRow): void;
  finished(entry: LedgerEntry): void;
}

/** A call of an upstream that is over. */
export type Asked = Pick<AttemptRow, "provider" | "model" | "protocol" | "startedAt" | "durationMs">;

/** One request's row while it is under way. */
export class LedgerEntry {
  readonly row: RequestRow;
  /** Set before the answer begins, if the request has been made smaller. */
  compressed: Compressed | undefined;
  /** The agent's own login pays. */
  isOwnLogin = false;
  /** For the ledger alone: it is among those that a flush will write. */
  isWaiting = false;
  /** For the ledger alone: more is known of it than that it has begun, or it has been passed over once. */
  isDue = false;
  readonly #book: Book;
  /** Let go of at the end, so that a row that waits for the disk holds nothing of its request. */
  #trail: TrailSource | undefined;
  #isFinished = false;

  constructor(row: RequestRow, book: Book, trail: TrailSource | undefined) {
    this.row = row;
    this.#book = book;
    this.#trail = trail;
  }

  /** @param why it failed, or was left; undefined where it served */
  attempt({ provider, model, protocol, startedAt, durationMs }: Asked, why?: Failure): AttemptRow {
    this.row.attempts += 1;
    const made: AttemptRow = {
      requestId: this.row.id,
      number: this.row.attempts,
      provider,
      model,
      protocol,
      startedAt,
      durationMs,
      failureKind: why?.kind ?? null,
      failureScope: why?.scope ?? null,
      httpStatus: why?.status ?? null,
      message: why?.message.slice(0, 500) ?? null,
      retryAfterMs: why?.retryAfterMs ?? null,
      inputTokens: null,
      cacheReadTokens: null,
      cacheWriteTokens: null,
      outputTokens: null,
      reasoningTokens: null,
      costUsd: null,
      pricing: null,
    };
    this.#book.attempted(this, made);
    return made;
  }

  /** What the upstream counted of an answer that was left: it is billed all the same. A guess is not. */
  countLeft(attempt: AttemptRow, usage: Usage): void {
    if (usage.estimated === true) return;
    putTokens(attempt, usage);
    const price = this.#priceOf(`${attempt.provider}:${attempt.model}`);
    const { costUsd, pricing } = costOfAnswer(price, usage, this.row.startedAt);
    attempt.costUsd = costUsd;
    attempt.pricing = pricing;
    this.#book.attempted(this, attempt);
  }

  /** Only the first call counts: a stream can end in several ways at once. */
  finish(ending: Ending): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    const { row } = this;
    row.status = ending.status;
    // Somebody may have set the clock back meanwhile.
    row.durationMs = Math.max(0, this.#book.now() - row.startedAt);
    row.httpStatus = ending.httpStatus ?? null;
    row.servedBy = ending.servedBy ?? null;
    row.error = ending.error ?? null;
    row.firstTokenMs = ending.firstTokenMs ?? null;
    const { usage } = ending;
    if (usage !== undefined) {
      putTokens(row, usage);
      row.usageEstimated = usage.estimated ?? false;
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
    this.#putCost(usage);
    this.#renderTrail();
    this.#trail = undefined;
    this.#book.finished(this);
  }

  #putCost(usage: Usage | undefined): void {
    const { row } = this;
    const { servedBy } = row;
    const isAsked = servedBy !== null && servedBy !== undefined && !isOwnAnswer(servedBy);
    if (!isAsked || row.firstChoice === undefined || row.firstChoice === servedBy) row.firstChoice = null;
    if (!isAsked) return;
    const price = this.#priceOf(servedBy);
    const cost = costOfAnswer(price, usage, row.startedAt);
    row.costUsd = cost.costUsd;
    row.pricing = cost.pricing;
    row.priceSource = cost.priceSource;
    row.priceAt = cost.priceAt;
    if (row.firstChoice === null && row.compression == null) return;
    const compared = compareCosts(row, price, usage, this.#book.priceOf);
    row.firstChoiceUsd = compared.firstChoiceUsd ?? null;
    row.compressionUsd = compared.compressionUsd ?? null;
  }

  #priceOf(reference: string): Price | undefined {
    return this.isOwnLogin ? ownLogin : this.#book.priceOf(reference);
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

/** By so much (ms) the times of a request and its only attempt may differ, and still be told as the same. */
const sameMs = 5;

/** It served, nobody else was asked, and it says nothing that the request's row does not say. A trail tells of calls by their times. */
function isTheRequest(attempt: AttemptRow, row: RequestRow): boolean {
  return (
    attempt.requestId === row.id &&
    row.attempts === 1 &&
    attempt.failureKind === null &&
    attempt.outputTokens === null &&
    row.servedBy !== null &&
    row.trail == null &&
    attempt.startedAt - row.startedAt <= sameMs &&
    (row.durationMs ?? 0) - attempt.durationMs <= sameMs
  );
}

/** SQLite takes the row amiss, whatever the state of the disk: it would do so for ever. */
function isOfTheRow(error: unknown): boolean {
  // A trigger is none of ours: what it refuses may be taken when whoever put it there has taken it away.
  return /^SQLITE_(CONSTRAINT(?!_TRIGGER)|MISMATCH|TOOBIG)/.test(String((error as { code?: unknown } | null)?.code));
}

/** Of a request, or of an attempt that was left. One by one, so that a row keeps its shape. */
function putTokens(row: RequestRow | AttemptRow, usage: Usage): void {
  row.inputTokens = usage.input;
  row.cacheReadTokens = usage.cacheRead;
  row.cacheWriteTokens = usage.cacheWrite;
  row.outputTokens = usage.output;
  row.reasoningTokens = usage.reasoning;
}
