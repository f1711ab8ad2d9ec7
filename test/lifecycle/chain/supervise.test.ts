import { describe, expect, test } from "bun:test";
import type { PlannedService, Run } from "../../../src/lifecycle/chain/record.ts";
import { decideRestart } from "../../../src/lifecycle/chain/restart-policy.ts";
import { advance, newRun, type Sight } from "../../../src/lifecycle/chain/supervise.ts";

const service: PlannedService = {
  id: "db",
  name: "db",
  argv: ["/bin/db"],
  port: 9000,
  healthPath: "/health",
  needs: ["gateway"],
  readyLimitMs: 30_000,
  isAdopted: false,
  isHeld: false,
  epoch: 1,
  fingerprint: "x",
};
const gateway: Run = { ...newRun({ ...service, id: "gateway" }), state: "running", readyAtMs: 1 };
const running: Run = {
  ...newRun(service),
  state: "running",
  pid: 7,
  startedAtMs: 1_000,
  readyAtMs: 1_100,
  wasReady: true,
};

function sight(more: Partial<Sight> = {}): Sight {
  return {
    nowMs: 10_000,
    isAlive: () => true,
    endOf: () => ({ code: 1, signal: undefined }),
    isReady: () => undefined,
    ...more,
  };
}

describe("advance()", () => {
  const step = (run: Run, more: Partial<Sight> = {}, planned: Partial<PlannedService> = {}, needs: Run[] = [gateway]) =>
    advance({ ...service, ...planned }, run, needs, sight(more));

  test("starts what waits once all that it needs is ready, failed for good, or is not ours", () => {
    const waiting = newRun(service);
    const startsWith = (...needs: Run[]) => step(waiting, {}, {}, needs).isStart;
    expect(startsWith()).toBe(true);
    expect(startsWith(gateway)).toBe(true);
    expect(startsWith({ ...gateway, readyAtMs: undefined })).toBe(false);
    expect(startsWith({ ...gateway, state: "backoff" })).toBe(false);
    expect(startsWith({ ...gateway, state: "failed" })).toBe(true);
    expect(startsWith({ ...gateway, state: "adopted" })).toBe(true);
    expect(startsWith(gateway, { ...gateway, state: "waiting" })).toBe(false);
  });

  test("notes when a process first answers, and not for one that does not", () => {
    const young = { ...running, readyAtMs: undefined, wasReady: false };
    expect(step(young, { isReady: () => true }).run).toMatchObject({ readyAtMs: 10_000, wasReady: true });
    expect(step(young, { isReady: () => false }).run).toEqual(young);
    expect(step(young).run).toEqual(young);
  });

  test("waits longer after each quick end, and gives up after the sixth", () => {
    let run = running;
    let nowMs = 1_200;
    const delays: number[] = [];
    while (run.state !== "failed") {
      run = step(run, { nowMs, isAlive: () => false }).run;
      if (run.state === "backoff") {
        const nextMs = run.nextStartMs ?? 0;
        delays.push(nextMs - nowMs);
        expect(step(run, { nowMs: nextMs - 1 }).isStart).toBe(false);
        const begun = step(run, { nowMs: nextMs });
        expect(begun.isStart).toBe(true);
        run = { ...begun.run, state: "running", pid: 8, startedAtMs: nextMs };
        nowMs = nextMs + 100;
      }
    }
    expect(delays).toEqual([500, 1_000, 2_000, 4_000, 8_000]);
    expect(run).toMatchObject({
      state: "failed",
      restarts: 5,
      lastEnd: { code: 1, signal: undefined },
      pid: undefined,
    });
    expect(step(run, { isAlive: () => false })).toEqual({ run, isStart: false });
  });

  test("gives up sooner on one that never answered", () => {
    const decide = (quickEnds: number) => decideRestart({ ranMs: 100, wasReady: false, quickEnds });
    expect([decide(0), decide(1), decide(2)]).toEqual([
      { kind: "again", delayMs: 500, quickEnds: 1 },
      { kind: "again", delayMs: 1_000, quickEnds: 2 },
      { kind: "failed", quickEnds: 3 },
    ]);
  });

  test("forgets earlier ends of one that ran for a minute", () => {
    expect(decideRestart({ ranMs: 60_000, wasReady: true, quickEnds: 5 })).toEqual({
      kind: "again",
      delayMs: 500,
      quickEnds: 1,
    });
    expect(decideRestart({ ranMs: 59_999, wasReady: true, quickEnds: 5 })).toEqual({ kind: "failed", quickEnds: 6 });
  });

  test("waits for the stage to tell how a process ended, but not for ever", () => {
    const ended = step(running, { isAlive: () => false, endOf: () => undefined }).run;
    expect(ended).toMatchObject({ state: "running", lastEnd: { atMs: 10_000 } });
    expect(step(ended, { nowMs: 11_999, isAlive: () => false, endOf: () => undefined }).run.state).toBe("running");
    expect(step(ended, { nowMs: 12_000, isAlive: () => false, endOf: () => undefined }).run).toMatchObject({
      state: "backoff",
      lastEnd: { code: undefined, signal: undefined },
    });
    const signal = { code: undefined, signal: "KILL" };
    expect(step(ended, { nowMs: 10_100, isAlive: () => false, endOf: () => signal }).run).toMatchObject({
      state: "backoff",
      lastEnd: { atMs: 10_100, signal: "KILL" },
    });
  });

  test("leaves alone what somebody is stopping, and starts it afresh when that is over", () => {
    const held = step(running, { isAlive: () => false }, { isHeld: true });
    expect(held).toMatchObject({ run: { state: "held" }, isStart: false });
    expect(step(held.run, {}, { isHeld: true }).run).toBe(held.run);
    expect(step(held.run, {}, { epoch: 2 })).toMatchObject({ run: { epoch: 2, restarts: 0 }, isStart: true });
    expect(step({ ...running, state: "failed", quickEnds: 6 }, {}, { epoch: 2 })).toMatchObject({
      run: { quickEnds: 0 },
      isStart: true,
    });
  });

  test("starts a service of its own in the place of an adopted one that is gone", () => {
    const adopted = newRun({ ...service, isAdopted: true });
    expect(adopted.state).toBe("adopted");
    expect(step(adopted, { isReady: () => true }, { isAdopted: true }).run).toBe(adopted);
    expect(step(adopted, {}, { isAdopted: true }).run).toBe(adopted);
    const gone = step(adopted, { isReady: () => false }, { isAdopted: true });
    expect(gone.run.state).toBe("waiting");
    expect(step(gone.run, {}, { isAdopted: true }).isStart).toBe(true);
  });
});
