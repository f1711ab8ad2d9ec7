/**
 * What the supervisor does next with each service. Pure: the clock, the processes and the probes are handed in.
 *
 * waiting -> running -> backoff -> running ... -> failed
 * A service waits until all that it needs is ready; one that ended by itself is started again after a while, a few times.
 * `held` means that somebody is stopping it; `adopted`, that it runs and is not ours.
 */

import type { PlannedService, Run, RunEnd } from "./record.ts";
import { decideRestart } from "./restart-policy.ts";

export interface Sight {
  nowMs: number;
  /** Whether this run's process lives. */
  isAlive(run: Run): boolean;
  /** How it ended; undefined while the stage cannot say yet. */
  endOf(run: Run): Omit<RunEnd, "atMs"> | undefined;
  /** Whether it answers as it should; undefined while nobody has asked. */
  isReady(id: string): boolean | undefined;
}

/** An end that nobody can tell is waited for so long (ms). */
const unknownEndMs = 2_000;

export function newRun(service: PlannedService): Run {
  return {
    id: service.id,
    state: service.isHeld ? "held" : service.isAdopted ? "adopted" : "waiting",
    epoch: service.epoch,
    pid: undefined,
    pidMark: undefined,
    startedAtMs: undefined,
    readyAtMs: undefined,
    wasReady: false,
    restarts: 0,
    quickEnds: 0,
    lastEnd: undefined,
    nextStartMs: undefined,
  };
}

/** @returns the run as it is now, and whether its process is to be started */
export function advance(
  service: PlannedService,
  run: Run,
  needs: readonly Run[],
  sight: Sight,
): { run: Run; isStart: boolean } {
  const stay = (next: Run = run) => ({ run: next, isStart: false });
  const begin = (next: Run = run) => ({ run: next, isStart: true });
  if (service.isHeld) return stay(run.state === "held" ? run : { ...run, state: "held" });
  if (run.epoch !== service.epoch) {
    // A fresh start is asked for; the process of the former one has been stopped by whoever asked.
    const fresh = newRun(service);
    return advance(service, { ...fresh, lastEnd: run.lastEnd }, needs, sight);
  }
  switch (run.state) {
    case "held":
      return advance(service, { ...newRun(service), lastEnd: run.lastEnd }, needs, sight);
    case "adopted": {
      if (sight.isReady(service.id) !== false) return stay();
      return stay({ ...run, state: "waiting" });
    }
    case "waiting":
      return needs.every(isReadyRun) ? begin() : stay();
    case "running": {
      if (!sight.isAlive(run)) return stay(end(run, sight));
      if (run.readyAtMs === undefined && sight.isReady(service.id) === true) {
        return stay({ ...run, readyAtMs: sight.nowMs, wasReady: true });
      }
      return stay();
    }
    case "backoff":
      if (sight.nowMs < (run.nextStartMs ?? 0)) return stay();
      return needs.every(isReadyRun) ? begin({ ...run, restarts: run.restarts + 1, nextStartMs: undefined }) : stay();
    case "failed":
      return stay();
  }
}

/** A need that failed, or is not ours, holds nobody up. */
function isReadyRun(run: Run): boolean {
  return run.state === "adopted" || run.state === "failed" || (run.state === "running" && run.readyAtMs !== undefined);
}

function end(run: Run, sight: Sight): Run {
  const known = sight.endOf(run);
  if (known === undefined) {
    const since = run.lastEnd?.atMs ?? sight.nowMs;
    if (run.lastEnd === undefined || since < (run.startedAtMs ?? 0)) {
      return { ...run, lastEnd: { atMs: sight.nowMs, code: undefined, signal: undefined } };
    }
    if (sight.nowMs - since < unknownEndMs) return run;
  }
  const lastEnd: RunEnd = { atMs: sight.nowMs, code: known?.code, signal: known?.signal };
  const ranMs = sight.nowMs - (run.startedAtMs ?? sight.nowMs);
  const decision = decideRestart({ ranMs, wasReady: run.wasReady, quickEnds: run.quickEnds });
  const ended = {
    ...run,
    pid: undefined,
    pidMark: undefined,
    readyAtMs: undefined,
    lastEnd,
    quickEnds: decision.quickEnds,
  };
  if (decision.kind === "failed") return { ...ended, state: "failed" };
  return { ...ended, state: "backoff", nextStartMs: sight.nowMs + decision.delayMs };
}
