/**
 * A circuit breaker as a value: something that may be out of order for a while, be it a model at a provider, a key, an
 * account or a whole provider. Pure transitions; time is an argument, so a restart and a test see the same clock.
 *
 *     closed --failures add up--> open --its time is over--> half-open --success--> closed
 *                                  ^-------- the probe fails, twice as long ---------'
 *
 * In half-open one request is let through as the probe; all others are turned away until it has told.
 */

import type { FailureKind } from "../../providers/failure.ts";

export interface CircuitPolicy {
  /** Weight of failures that opens a circuit; 0 = it never opens. */
  failures: number;
  cooldownMs: number;
  maxCooldownMs: number;
}

export interface Circuit {
  /** Of the failures since the last success: a hard one weighs 1, a soft one 1/2. */
  weight: number;
  /** How often in a row it has opened. */
  openings: number;
  /** Since when it is open, and when that is over (ms since 1970); both 0 while it is closed. */
  openedAt: number;
  until: number;
  /** What opened it: the kind of failure, and the upstream's own words where it had any. */
  kind: FailureKind | "";
  reason: string;
  /** The upstream itself said when it will be back. */
  isTold: boolean;
  /** Since when a probe is under way (ms since 1970); 0 for none. */
  probingSince: number;
}

export const closed: Circuit = {
  weight: 0,
  openings: 0,
  openedAt: 0,
  until: 0,
  kind: "",
  reason: "",
  isTold: false,
  probingSince: 0,
};

/** A probe that has not told by then is taken for lost (ms): its request may have hung for ever. */
const probeLimitMs = 5 * 60_000;

export type CircuitState = "closed" | "open" | "half-open";

export function stateOf(circuit: Circuit, now: number): CircuitState {
  if (circuit.until === 0) return "closed";
  return now < circuit.until ? "open" : "half-open";
}

/** Whether a request may pass now. Half-open lets one pass, and that one must be begun with `beginProbe`. */
export function isPassable(circuit: Circuit, now: number): boolean {
  if (circuit.until === 0) return true;
  return now >= circuit.until && (circuit.probingSince === 0 || now - circuit.probingSince > probeLimitMs);
}

export function beginProbe(circuit: Circuit, now: number): Circuit {
  return stateOf(circuit, now) === "half-open" ? { ...circuit, probingSince: now } : circuit;
}

/** The probe has ended without telling anything, such as by the client's leaving: the next request may probe. */
export function endProbe(circuit: Circuit): Circuit {
  return circuit.probingSince === 0 ? circuit : { ...circuit, probingSince: 0 };
}

export interface Blow {
  weight: number;
  kind: FailureKind;
  reason: string;
  /** When the upstream said that it will be back (ms from now). */
  retryAfterMs?: number | undefined;
}

/** A request that was begun before the circuit opened proves nothing about it. */
export function recordSuccess(circuit: Circuit, startedAt: number): Circuit {
  return startedAt < circuit.openedAt ? circuit : closed;
}

/** A failure of something that counts failures, such as a model. */
export function recordFailure(circuit: Circuit, blow: Blow, now: number, policy: CircuitPolicy): Circuit {
  if (policy.failures === 0) return closed;
  const weight = circuit.weight + blow.weight;
  // A probe's failure is proof enough.
  const isBack = circuit.until !== 0;
  if (!isBack && weight < policy.failures) return { ...circuit, weight };
  return open(circuit, blow, now, policy, weight);
}

/** A failure that says by itself that everything behind the circuit is shut, such as an account's limit. */
export function recordShut(circuit: Circuit, blow: Blow, now: number, policy: CircuitPolicy): Circuit {
  if (policy.failures === 0) return closed;
  // Requests that were under way when it shut tell the same again; that is one closing, not several.
  const isSameClosing = now < circuit.until && blow.retryAfterMs === undefined;
  return isSameClosing ? circuit : open(circuit, blow, now, policy, circuit.weight + blow.weight);
}

function open(circuit: Circuit, blow: Blow, now: number, policy: CircuitPolicy, weight: number): Circuit {
  const openings = circuit.openings + 1;
  const guessMs = Math.min(policy.cooldownMs * 2 ** Math.min(circuit.openings, 20), policy.maxCooldownMs);
  const isTold = blow.retryAfterMs !== undefined;
  return {
    weight,
    openings,
    openedAt: now,
    until: now + (blow.retryAfterMs ?? guessMs),
    kind: blow.kind,
    reason: blow.reason,
    isTold,
    probingSince: 0,
  };
}
