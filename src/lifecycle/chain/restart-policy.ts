/** Whether and when a service that ended by itself is started again. Pure. */

/** Whoever has run for so long is no beginner: its earlier ends are forgotten. */
const settledMs = 60_000;
const firstDelayMs = 500;
const maxDelayMs = 30_000;
/** Ends within a minute of the start, one after the other. */
const mostEnds = 6;
/** The same of one that never answered: what is wrong with it will hardly go away. */
const mostEndsUnready = 3;

export interface Ended {
  ranMs: number;
  /** It has answered as it should at least once since it was asked for. */
  wasReady: boolean;
  /** Quick ends before this one. */
  quickEnds: number;
}

export type RestartDecision =
  | { kind: "again"; delayMs: number; quickEnds: number }
  | { kind: "failed"; quickEnds: number };

/** 0.5 s, 1 s, 2 s ... up to 30 s; after the sixth quick end (the third, if it never answered) nobody tries again. */
export function decideRestart({ ranMs, wasReady, quickEnds }: Ended): RestartDecision {
  const ends = ranMs >= settledMs ? 1 : quickEnds + 1;
  if (ends >= (wasReady ? mostEnds : mostEndsUnready)) return { kind: "failed", quickEnds: ends };
  return { kind: "again", delayMs: Math.min(maxDelayMs, firstDelayMs * 2 ** (ends - 1)), quickEnds: ends };
}
