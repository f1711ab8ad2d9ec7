import { describe, expect, test } from "bun:test";
import {
  type Blow,
  beginProbe,
  type Circuit,
  type CircuitPolicy,
  closed,
  endProbe,
  isPassable,
  recordFailure,
  recordShut,
  stateOf,
} from "../../src/gateway/circuit.ts";

const policy: CircuitPolicy = { failures: 3, cooldownMs: 60_000, maxCooldownMs: 3_600_000 };
const start = 1_000_000;
const hard = { weight: 1, kind: "upstream", reason: "500" } as const;
const soft = { weight: 0.5, kind: "empty", reason: "empty" } as const;

function fail(times: number, blow: Blow = hard, from: Circuit = closed, now = start): Circuit {
  let circuit = from;
  for (let count = 0; count < times; count++) circuit = recordFailure(circuit, blow, now, policy);
  return circuit;
}

/** Open, its time over, its probe failed: once more, that many times. */
function reopened(times: number): { circuit: Circuit; now: number } {
  let circuit = fail(3);
  let now = start;
  for (let count = 0; count < times; count++) {
    now = circuit.until;
    circuit = recordFailure(beginProbe(circuit, now), hard, now, policy);
  }
  return { circuit, now };
}

describe("a circuit", () => {
  test.each([
    [2, hard, "closed"],
    [3, hard, "open"],
    [5, soft, "closed"],
    [6, soft, "open"],
  ] as const)("%i failures %j: %s", (times, blow, state) => {
    expect(stateOf(fail(times, blow), start)).toBe(state);
  });

  test.each([
    [0, 60],
    [1, 120],
    [2, 240],
    [5, 1920],
    [6, 3600],
    [40, 3600],
  ])("whose probe has failed %i times is open for %i s", (times, seconds) => {
    const { circuit, now } = reopened(times);
    expect((circuit.until - now) / 1000).toBe(seconds);
  });

  test("believes the upstream's own time, shorter or longer", () => {
    expect(fail(1, { ...hard, retryAfterMs: 5000 }, fail(2)).until).toBe(start + 5000);
    expect(fail(1, { ...hard, retryAfterMs: 9e6 }, fail(2)).until).toBe(start + 9e6);
  });

  test("lets one request through when its time is over, and no other until that one has told", () => {
    const open = fail(3);
    expect(isPassable(open, open.until - 1)).toBe(false);
    expect(stateOf(open, open.until)).toBe("half-open");
    expect(isPassable(open, open.until)).toBe(true);
    const probing = beginProbe(open, open.until);
    expect(isPassable(probing, open.until + 1)).toBe(false);
    expect(isPassable(endProbe(probing), open.until + 1)).toBe(true);
    expect(isPassable(probing, open.until + 400_000)).toBe(true); // lost
  });

  test("never opens where failures is 0", () => {
    const off = { ...policy, failures: 0 };
    expect(recordFailure(fail(2), hard, start, off)).toEqual(closed);
    expect(recordShut(closed, hard, start, off)).toEqual(closed);
  });

  test("that is shut at once is not shut longer by those who were under way", () => {
    const shut = recordShut(closed, hard, start, policy);
    expect(shut.until).toBe(start + 60_000);
    expect(recordShut(shut, hard, start + 10, policy)).toEqual(shut);
    expect(recordShut(shut, { ...hard, retryAfterMs: 1000 }, start + 10, policy).until).toBe(start + 1010);
    expect(recordShut(shut, hard, shut.until, policy).until).toBe(shut.until + 120_000);
  });
});
