/** Runs cases until told to stop by time; the main thread watches from outside, since a hang would stop any clock here. */

import type { Found } from "./kind.ts";
import { runNumbered } from "./kinds.ts";

export interface Order {
  seed: number;
  seconds: number;
  /** The first case. */
  from: number;
  /** How many at most. */
  limit: number;
  /** The number of the case under way, for the watcher. */
  progress: SharedArrayBuffer;
}

export interface Done {
  cases: number;
  found: Found | undefined;
}

declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<Order>) => {
  const { seed, seconds, from, limit, progress } = data;
  const current = new Int32Array(progress);
  const deadline = performance.now() + seconds * 1000;
  let cases = 0;
  let found: Found | undefined;
  while (found === undefined && cases < limit && performance.now() < deadline) {
    Atomics.store(current, 0, from + cases);
    found = runNumbered(seed, from + cases);
    cases++;
  }
  self.postMessage({ cases, found } satisfies Done);
};
