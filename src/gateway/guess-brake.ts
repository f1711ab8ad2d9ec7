/**
 * Slows down whoever tries keys. Counted by network address, of IPv6 by the /64 that one customer has; who has failed too
 * often is not even looked at for a while. Nobody who works is disturbed by it: a key that an address has shown before goes
 * on opening, and on this machine every right one does, since all agents here have the same address.
 */

import { isLoopbackPeer } from "./guard.ts";

/** Wrong keys that are nothing but wrong: an agent may send some at once before it reads an answer. */
export const freeFailures = 10;

/** The first wait, which doubles with each further wrong key (ms). */
const firstWaitMs = 1_000;

/** The longest wait (ms). */
export const longestWaitMs = 60_000;

/** After this long without a wrong key all is forgotten (ms). */
const forgetMs = 10 * 60_000;

/** Addresses that are remembered, the last that failed; beyond it the oldest is forgotten. */
export const maxAddresses = 4_096;

/** Keys that are remembered of an address. */
const maxTrusted = 32;

interface Visitor {
  failures: number;
  lastAt: number;
  lockedUntil: number;
}

export class GuessBrake {
  readonly #now: () => number;
  readonly #log: (line: string) => void;
  /** Those who have failed, the last of them last. */
  readonly #visitors = new Map<string, Visitor>();
  /** Those who have come in, the last of them last, with what they came in by. */
  readonly #trusted = new Map<string, Set<string>>();

  constructor(now: () => number, log: (line: string) => void) {
    this.#now = now;
    this.#log = log;
  }

  /** How long this address is not looked at (ms); 0 when it is. */
  waitMs(address: string): number {
    if (this.#visitors.size === 0) return 0;
    const visitor = this.#visitors.get(networkOf(address));
    return visitor === undefined ? 0 : Math.max(0, visitor.lockedUntil - this.#now());
  }

  /** Whether a key is looked at even while the address has to wait. @param name such as the key's id */
  isExempt(address: string, name: string): boolean {
    return isLoopbackPeer(address) || this.#trusted.get(networkOf(address))?.has(name) === true;
  }

  /** @returns how long it has to wait from now on (ms) */
  failed(address: string): number {
    const network = networkOf(address);
    const now = this.#now();
    const known = this.#visitors.get(network);
    const isOld = known === undefined || now - known.lastAt > forgetMs || now < known.lastAt;
    const visitor = isOld ? { failures: 0, lastAt: now, lockedUntil: 0 } : known;
    visitor.failures++;
    visitor.lastAt = now;
    const beyond = visitor.failures - freeFailures;
    const waitMs = beyond < 0 ? 0 : Math.min(firstWaitMs * 2 ** beyond, longestWaitMs);
    visitor.lockedUntil = now + waitMs;
    keepLast(this.#visitors, network, visitor);
    if (beyond === 0) this.#log(`${network} has sent ${visitor.failures} wrong keys: it has to wait between them`);
    return waitMs;
  }

  /** It has come in by this key. */
  succeeded(address: string, name: string): void {
    // Whatever comes in from here is never kept waiting.
    if (isLoopbackPeer(address)) return;
    const network = networkOf(address);
    const trusted = this.#trusted.get(network);
    if (trusted?.has(name) === true) return;
    const names = trusted ?? new Set();
    names.add(name);
    if (names.size > maxTrusted) names.delete(names.values().next().value as string);
    keepLast(this.#trusted, network, names);
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#visitors.size;
  }
}

function keepLast<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > maxAddresses) map.delete(map.keys().next().value as string);
}

/** `2001:db8:1:2:3::4` -> `2001:db8:1:2::/64`; an IPv4 address is its own. */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
  if (!plain.includes(":")) return plain;
  const [before = "", after] = plain.replace(/%.*$/, "").toLowerCase().split("::");
  const head = before === "" ? [] : before.split(":");
  const tail = after === undefined || after === "" ? [] : after.split(":");
  const zeros = after === undefined ? 0 : Math.max(0, 8 - head.length - tail.length);
  const groups = [...head, ...Array<string>(zeros).fill("0"), ...tail].slice(0, 4);
  return `${groups.map((group) => group.replace(/^0+(?=.)/, "")).join(":")}::/64`;
}
