/** Whether Headroom can be counted on at the moment: a breaker of its own, and one notice per outage. */

import type { FailureKind } from "../../providers/failure.ts";
import {
  beginProbe,
  type Circuit,
  type CircuitPolicy,
  closed,
  endProbe,
  isPassable,
  recordFailure,
  recordShut,
  recordSuccess,
  stateOf,
} from "./circuit.ts";

/** What it costs to ask is seconds where it is slow and nothing where nobody listens; what is lost is only compression. */
const policy: CircuitPolicy = { failures: 2, cooldownMs: 5_000, maxCooldownMs: 60_000 };

/** An outage that nobody has met again for so long is no news any more (ms). */
const forgottenAfterMs = 10 * 60_000;

/** One that comes and goes is told of once in this time (ms). */
const noticeEveryMs = 60_000;

/** One request's dealings with Headroom; exactly one of these is told. */
export interface Visit {
  worked(): void;
  /** @param reason what it did, as in "Headroom <reason>" */
  failed(kind: FailureKind, reason: string): void;
  /** It proved nothing, as when the client left. */
  unknown(): void;
}

export interface HeadroomReport {
  state: "up" | "down" | "unknown";
  /** Since when it is down (ms since 1970), and why. */
  since: number | null;
  reason: string | null;
  /** When it is tried again; null while it is tried with every request. */
  retryAt: number | null;
  /** Requests since the gateway's start: compressed by it, and answered without it because of it. */
  compressed: number;
  missed: number;
}

export class HeadroomWatch {
  readonly #now: () => number;
  readonly #log: (line: string) => void;
  #circuit: Circuit = closed;
  #outage: { since: number; lastAt: number; reason: string } | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;
  #compressed = 0;
  #missed = 0;

  constructor(now: () => number, log: (line: string) => void) {
    this.#now = now;
    this.#log = log;
  }

  /** Undefined while it is known to be down, but for one request that finds out. */
  enter(): Visit | undefined {
    const startedAt = this.#now();
    if (!isPassable(this.#circuit, startedAt)) {
      this.#missed += 1;
      return undefined;
    }
    const isProbe = stateOf(this.#circuit, startedAt) === "half-open";
    this.#circuit = beginProbe(this.#circuit, startedAt);
    let isTold = false;
    const once = (tell: () => void) => {
      if (!isTold) tell();
      isTold = true;
    };
    return {
      worked: () => once(() => this.#worked(startedAt)),
      failed: (kind, reason) => once(() => this.#failed(kind, reason)),
      unknown: () =>
        once(() => {
          if (isProbe) this.#circuit = endProbe(this.#circuit);
        }),
    };
  }

  report(): HeadroomReport {
    const outage = this.#outage;
    const { until } = this.#circuit;
    return {
      state: outage !== undefined ? "down" : this.#compressed > 0 ? "up" : "unknown",
      since: outage?.since ?? null,
      reason: outage?.reason ?? null,
      retryAt: until > this.#now() ? until : null,
      compressed: this.#compressed,
      missed: this.#missed,
    };
  }

  /** For /health. */
  problems(): string[] {
    const outage = this.#outage;
    if (outage === undefined || this.#now() - outage.lastAt > forgottenAfterMs) return [];
    const since = new Date(outage.since).toISOString().slice(11, 19);
    return [`Headroom ${outage.reason} (since ${since} UTC): requests go on without it`];
  }

  #worked(startedAt: number): void {
    this.#compressed += 1;
    this.#circuit = recordSuccess(this.#circuit, startedAt);
    if (this.#outage === undefined) return;
    const seconds = Math.round((this.#now() - this.#outage.since) / 1000);
    this.#outage = undefined;
    if (this.#toldAt !== Number.NEGATIVE_INFINITY) this.#log(`Headroom compresses again, after ${seconds} s`);
  }

  #failed(kind: FailureKind, reason: string): void {
    const now = this.#now();
    this.#missed += 1;
    const blow = { weight: 1, kind, reason };
    // Where nobody listens, one request tells as much as many.
    this.#circuit =
      kind === "network"
        ? recordShut(this.#circuit, blow, now, policy)
        : recordFailure(this.#circuit, blow, now, policy);
    const isNew = this.#outage === undefined;
    this.#outage = { since: this.#outage?.since ?? now, lastAt: now, reason };
    if (!isNew || now - this.#toldAt < noticeEveryMs) return;
    this.#toldAt = now;
    this.#log(`Headroom ${reason}: requests go on without it (clutch status shows it, clutch restart headroom helps)`);
  }
}
