/** The services as children of the supervisor, without a terminal: where there is no tmux. */

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { envFile, logFile, type PlannedService, type RunEnd } from "./record.ts";
import { buildStart, type Stage } from "./stage.ts";

export class DetachedStage implements Stage {
  readonly #stateDir: string;
  readonly #children = new Map<string, ChildProcess>();

  constructor(stateDir: string) {
    this.#stateDir = stateDir;
  }

  start({ id, argv }: PlannedService): number {
    const log = openSync(logFile(this.#stateDir, id), "a", 0o600);
    const [file = "", ...args] = buildStart(envFile(this.#stateDir, id), argv);
    try {
      // In a process group of its own, so that Ctrl-C at the terminal of whoever called `up` does not reach it.
      const child = spawn(file, args, {
        cwd: this.#stateDir,
        env: {},
        detached: true,
        stdio: ["ignore", log, log],
      });
      // They outlive a supervisor that is told to end.
      child.unref();
      this.#children.set(id, child);
      if (child.pid === undefined) throw new Error(`${file} did not start`);
      return child.pid;
    } finally {
      closeSync(log);
    }
  }

  /** Of a process that an earlier supervisor started nobody can tell. */
  endOf(id: string, pid: number): Omit<RunEnd, "atMs"> | undefined {
    const child = this.#children.get(id);
    if (child?.pid !== pid) return { code: undefined, signal: undefined };
    if (child.exitCode === null && child.signalCode === null) return undefined;
    return { code: child.exitCode ?? undefined, signal: child.signalCode?.replace(/^SIG/, "") };
  }

  tend(): undefined {
    return undefined;
  }
}
