/** A clock that goes on like the machine's and can be set forward, for cool-downs that nobody would wait for. */

export interface Clock {
  now(): number;
  forward(ms: number): void;
}

export function startClock(): Clock {
  let aheadMs = 0;
  return {
    now: () => Date.now() + aheadMs,
    forward(ms) {
      aheadMs += ms;
    },
  };
}
