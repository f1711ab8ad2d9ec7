/**
 * Keeps the ledger small while it is written to: rows that are too old go a few at a time, space is given back a few pages
 * at a time, and the write-ahead log is copied back from another thread, so that no stream waits for any of it.
 */

import type { Database } from "bun:sqlite";
import { pruneSlice, vacuumSlice } from "../store/upkeep.ts";

export interface HousekeepingDeps {
  client: Database;
  /** Milliseconds since 1970, which somebody may set. */
  now(): number;
  /** Milliseconds since whenever, which nobody can. */
  elapsed(): number;
  /** How long requests are kept; 0 is for ever. Read anew each time. */
  retentionDays(): number;
  /** The same of captured bodies, which never outlive their requests. */
  bodyDays(): number;
  /** When the newest request began (ms since 1970); undefined without any. */
  newest(): number | undefined;
  /** Copies the write-ahead log back, beside this thread. */
  checkpoint(): Promise<boolean>;
  log(line: string): void;
}

const dayMs = 86_400_000;
/** How often the clock is looked at, and the log (ms). */
const lookMs = 30_000;
/** How often old rows are looked for (ms). */
const pruneMs = 3_600_000;
/** Between two slices (ms). */
const restMs = 50;
/** Rows after which the write-ahead log is worth copying back and a thread for it worth starting: about 10 MB. */
const checkpointRows = 40_000;
/** Under load it waits, since it takes a share of the machine, for so long or so many rows: about 50 MB (ms, rows). */
const checkpointMs = 30_000;
const mostRows = 200_000;
/** A clock that is ahead by more than this has been set, or the machine has slept for longer than a weekend (ms). */
const jumpMs = 3 * dayMs;
/** How long nothing is deleted then: whoever has set it wrongly has time to notice. */
const waryMs = dayMs;

export class Housekeeping {
  readonly #deps: HousekeepingDeps;
  #timer: ReturnType<typeof setInterval> | undefined;
  #rows = 0;
  #isCheckpointing = false;
  #checkpointedAt = Number.NEGATIVE_INFINITY;
  #isPruning = false;
  #isStopped = false;
  /** By the clock that nobody can set. */
  #pruneAt: number;
  /** What both clocks differ by while nobody sets one. */
  #offset: number;

  constructor(deps: HousekeepingDeps) {
    this.#deps = deps;
    const [now, elapsed] = [deps.now(), deps.elapsed()];
    this.#offset = now - elapsed;
    this.#pruneAt = elapsed;
  }

  start(): void {
    const { now, newest, retentionDays, log } = this.#deps;
    const last = newest();
    const days = retentionDays();
    // After a long rest everything may be old; after a wrong start of the clock it only seems so.
    if (days > 0 && last !== undefined && now() - last > days * dayMs) {
      log(`the newest request of the ledger is older than ${days} days: nothing is deleted before tomorrow`);
      this.#beWary();
    }
    this.#timer = setInterval(() => this.look(), lookMs);
    this.#timer.unref();
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  /** So many rows were written. */
  wrote(rows: number): void {
    this.#rows += rows;
    if (this.#rows < checkpointRows) return;
    const isDue = this.#rows >= mostRows || this.#deps.elapsed() - this.#checkpointedAt >= checkpointMs;
    if (isDue) void this.#checkpoint();
  }

  /** Does what is due. */
  look(): void {
    const { now, elapsed, log } = this.#deps;
    const ahead = now() - elapsed() - this.#offset;
    // One that was set back makes nothing older than it is.
    if (ahead > jumpMs) {
      this.#beWary();
      log("the clock is days ahead of what it was: nothing of the ledger is deleted before tomorrow");
    }
    this.#offset += ahead;
    if (elapsed() >= this.#pruneAt) void this.prune();
  }

  /** Deletes what is too old, with pauses. @returns how many rows */
  async prune(): Promise<number> {
    const { client, now, elapsed, retentionDays, bodyDays, log } = this.#deps;
    const days = retentionDays();
    const daysOfBodies = bodyDays();
    if (this.#isPruning || (days === 0 && daysOfBodies === 0)) return 0;
    this.#isPruning = true;
    let count = 0;
    try {
      this.#pruneAt = elapsed() + pruneMs;
      const before = days === 0 ? 0 : now() - days * dayMs;
      const bodiesBefore = Math.max(before, daysOfBodies === 0 ? 0 : now() - daysOfBodies * dayMs);
      const slice = () => pruneSlice(client, before, bodiesBefore);
      for (let rows = slice(); rows > 0; rows = slice()) {
        count += rows;
        this.wrote(rows);
        await Bun.sleep(restMs);
        if (this.#isStopped) return count;
      }
      while (count > 0 && vacuumSlice(client)) {
        await Bun.sleep(restMs);
        if (this.#isStopped) return count;
      }
    } catch (cause) {
      log(`old requests cannot be deleted now (${cause instanceof Error ? cause.message : cause})`);
    } finally {
      this.#isPruning = false;
    }
    if (count > 0) log(`${count} rows that were too old were deleted from the ledger`);
    return count;
  }

  #beWary(): void {
    this.#pruneAt = this.#deps.elapsed() + waryMs;
  }

  async #checkpoint(): Promise<void> {
    if (this.#isCheckpointing || this.#isStopped) return;
    this.#isCheckpointing = true;
    this.#rows = 0;
    this.#checkpointedAt = this.#deps.elapsed();
    try {
      await this.#deps.checkpoint();
    } catch {
      // SQLite does it itself when the log has become long.
    } finally {
      this.#isCheckpointing = false;
    }
  }
}
