/** The supervisor: one process that keeps the services of the plan running, and writes down what it sees. */

import { statSync } from "node:fs";
import type { Env } from "../../config/paths.ts";
import { DetachedStage } from "./detached-stage.ts";
import { askHealth } from "./health.ts";
import { tendLog } from "./logs.ts";
import { isAlive, isSameProcess, markOf } from "./processes.ts";
import {
  type ChainPlan,
  type ChainRecord,
  type PlannedService,
  planFile,
  type Run,
  readPlan,
  readRecord,
  writeRecord,
} from "./record.ts";
import type { Stage } from "./stage.ts";
import { advance, newRun, type Sight } from "./supervise.ts";
import { chainSocket, TmuxStage } from "./tmux-stage.ts";

/** While something is about to become ready somebody waits for it. */
const eagerTickMs = 20;
const calmTickMs = 250;
/** What runs is asked so often whether it still answers; an adopted one has no process that we would see end. */
const adoptedProbeMs = 2_000;
const tendMs = 1_000;
const problemShownMs = 60_000;
const probeLimitMs = 2_000;

export interface SupervisorPlace {
  stateDir: string;
  /** The program; undefined where the services run without it. */
  tmuxFile: string | undefined;
  env: Env;
}

/** Runs until a signal, or until the plan is gone. */
export async function supervise(place: SupervisorPlace): Promise<void> {
  const supervisor = new Supervisor(place);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => supervisor.stop());
  await supervisor.run();
}

class Supervisor {
  readonly #place: SupervisorPlace;
  readonly #runs = new Map<string, Run>();
  readonly #ready = new Map<string, boolean>();
  readonly #asked = new Map<string, number>();
  readonly #asking = new Set<string>();
  readonly #logBytes = new Map<string, number>();
  #plan: ChainPlan | undefined;
  #planSeen = "";
  #stage: Stage | undefined;
  #logProblem: string | undefined;
  #written = "";
  #isOver = false;
  #logProblemAtMs = 0;
  #tendedAtMs = 0;
  #tmuxServer: ChainRecord["tmuxServer"];

  constructor(place: SupervisorPlace) {
    this.#place = place;
    // What an earlier supervisor started goes on: its processes are no children of a supervisor in tmux.
    for (const run of readRecord(place.stateDir)?.runs ?? []) {
      const isStranger = run.pid !== undefined && !isSameProcess(run.pid, run.pidMark);
      this.#runs.set(run.id, isStranger ? { ...run, pid: undefined, pidMark: undefined } : run);
    }
  }

  stop(): void {
    this.#isOver = true;
  }

  async run(): Promise<void> {
    while (!this.#isOver) {
      if (!this.#readPlan()) return;
      const nowMs = Date.now();
      this.#advanceAll(nowMs);
      if (nowMs - this.#tendedAtMs >= tendMs) this.#tend(nowMs);
      this.#write();
      await Bun.sleep(this.#isEager(nowMs) ? eagerTickMs : calmTickMs);
    }
  }

  /** @returns false when the chain was taken down */
  #readPlan(): boolean {
    const seen = stampOf(planFile(this.#place.stateDir));
    if (seen === undefined) return false;
    if (seen === this.#planSeen) return true;
    const plan = readPlan(this.#place.stateDir);
    if (plan === undefined) return false;
    this.#planSeen = seen;
    this.#plan = plan;
    this.#stage ??= this.#openStage(plan);
    const ids = plan.services.map(({ id }) => id);
    for (const id of [...this.#runs.keys()]) if (!ids.includes(id)) this.#runs.delete(id);
    return true;
  }

  #openStage({ stage }: ChainPlan): Stage {
    const { stateDir, tmuxFile, env } = this.#place;
    if (stage === "detached" || tmuxFile === undefined) return new DetachedStage(stateDir);
    const tmux = new TmuxStage({ tmux: { file: tmuxFile, socket: chainSocket(stateDir) }, stateDir, env });
    const pid = tmux.server;
    if (pid !== undefined) this.#tmuxServer = { pid, mark: markOf(pid) };
    return tmux;
  }

  #advanceAll(nowMs: number): void {
    const plan = this.#plan;
    if (plan === undefined) return;
    for (const service of plan.services) {
      const known = this.#runs.get(service.id) ?? newRun(service);
      const needs = service.needs.flatMap((id) => this.#runs.get(id) ?? []);
      const { run, isStart } = advance(service, known, needs, this.#sight(nowMs));
      this.#runs.set(service.id, isStart ? this.#start(service, run, nowMs) : run);
      this.#ask(service, nowMs);
    }
  }

  #sight(nowMs: number): Sight {
    return {
      nowMs,
      // Looked at four times a second, its pid cannot have come to mean another process meanwhile.
      isAlive: ({ pid }) => pid !== undefined && isAlive(pid),
      endOf: ({ id, pid }) =>
        pid === undefined ? { code: undefined, signal: undefined } : this.#stage?.endOf(id, pid),
      isReady: (id) => this.#ready.get(id),
    };
  }

  #start(service: PlannedService, run: Run, nowMs: number): Run {
    this.#ready.delete(service.id);
    const begun = { ...run, state: "running", startedAtMs: nowMs, readyAtMs: undefined } as const;
    try {
      const pid = this.#stage?.start(service);
      return { ...begun, pid, pidMark: pid === undefined ? undefined : markOf(pid) };
    } catch (cause) {
      console.error(`${new Date().toISOString()} ${service.id}: ${cause instanceof Error ? cause.message : cause}`);
      // As if it had ended at once: the restart policy bounds how often that is tried.
      return { ...begun, pid: undefined, pidMark: undefined };
    }
  }

  /** Asks beside the loop; the answer is there at one of the next turns. */
  #ask(service: PlannedService, nowMs: number): void {
    const run = this.#runs.get(service.id);
    const { id } = service;
    const isAwaited = run?.state === "running" && run.readyAtMs === undefined;
    const isWatched = run?.state === "adopted" && nowMs - (this.#asked.get(id) ?? 0) >= adoptedProbeMs;
    if ((!isAwaited && !isWatched) || this.#asking.has(id) || this.#plan === undefined) return;
    this.#asking.add(id);
    this.#asked.set(id, nowMs);
    void askHealth(service, this.#plan.gatewayUrl, probeLimitMs).then(({ state }) => {
      this.#asking.delete(id);
      this.#ready.set(id, state === "ready" || (isWatched && state === "unhealthy"));
    });
  }

  #tend(nowMs: number): void {
    this.#tendedAtMs = nowMs;
    const problems = [this.#stage?.tend()];
    for (const { id } of this.#plan?.services ?? []) {
      try {
        this.#logBytes.set(id, tendLog(this.#place.stateDir, id, this.#logBytes.get(id) ?? 0, nowMs));
      } catch (cause) {
        problems.push(`the log of ${id} could not be kept (${(cause as NodeJS.ErrnoException).code ?? cause})`);
      }
    }
    const problem = problems.find((told) => told !== undefined);
    // The next try to write shows only after the next line whether it works again.
    if (problem === undefined && nowMs - this.#logProblemAtMs < problemShownMs) return;
    this.#logProblem = problem;
    this.#logProblemAtMs = nowMs;
  }

  #isEager(nowMs: number): boolean {
    const runs = [...this.#runs.values()];
    const isBeginning = (run: Run) =>
      run.state === "waiting" ||
      (run.state === "running" && run.readyAtMs === undefined && nowMs - (run.startedAtMs ?? 0) < 5_000);
    return runs.some(isBeginning);
  }

  #write(): void {
    const record = {
      supervisor: { pid: process.pid, mark: ownMark },
      runs: [...this.#runs.values()],
      logProblem: this.#logProblem,
      tmuxServer: this.#tmuxServer,
    };
    const text = JSON.stringify(record);
    if (text === this.#written) return;
    try {
      writeRecord(this.#place.stateDir, record);
      this.#written = text;
    } catch (cause) {
      // A full disk must not end what is running.
      console.error(`${new Date().toISOString()} the record was not written: ${cause}`);
    }
  }
}

const ownMark = markOf(process.pid);

function stampOf(path: string): string | undefined {
  try {
    const { mtimeMs, ino } = statSync(path);
    return `${mtimeMs} ${ino}`;
  } catch {
    return undefined;
  }
}
