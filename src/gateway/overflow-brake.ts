/**
 * Slows a session down that keeps sending what no candidate can hold. An agent whose compaction does not help repeats it
 * without end (OpenCode: 491 requests in 90 s); with the brake it is the same answers, but a few a minute.
 */

/** Overflows in a row that are answered at once: one for the request, one or two for its compaction. */
const freeOverflows = 4;

const longestWaitMs = 15_000;

/** A session that has been quiet for this long starts anew (ms). */
const forgottenAfterMs = 10 * 60_000;

const maxSessions = 1_000;

export class OverflowBrake {
  readonly #now: () => number;
  #sessions = new Map<string, { overflows: number; at: number }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** @returns how long the answer to this overflow should be held back, in ms */
  overflowed(session: string): number {
    const known = this.#sessions.get(session);
    const isRecent = known !== undefined && this.#now() - known.at < forgottenAfterMs;
    const overflows = (isRecent ? known.overflows : 0) + 1;
    this.#sessions.delete(session);
    this.#sessions.set(session, { overflows, at: this.#now() });
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > maxSessions && oldest !== undefined) this.#sessions.delete(oldest);
    if (overflows <= freeOverflows) return 0;
    return Math.min(longestWaitMs, 1000 * 2 ** (overflows - freeOverflows - 1));
  }

  answered(session: string): void {
    this.#sessions.delete(session);
  }
}
