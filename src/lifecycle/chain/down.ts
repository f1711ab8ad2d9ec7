/** Takes services down, the last started first; what Clutch did not start is left alone. */

import { existsSync, rmSync } from "node:fs";
import { findBinary } from "../../find-binary.ts";
import { withChainLock } from "./lock.ts";
import { isSupervised } from "./observe.ts";
import { markOf } from "./processes.ts";
import {
  type ChainPlan,
  type ChainRecord,
  chainDir,
  forgetChain,
  makeChainDirs,
  readPlan,
  readRecord,
  writePlan,
} from "./record.ts";
import type { StartPlace } from "./starts.ts";
import { type Running, type StopEnd, stopProcess } from "./stop.ts";
import {
  bringBackSocket,
  chainSocket,
  closeSession,
  closeWindow,
  listWindows,
  supervisorWindow,
  type TmuxPlace,
} from "./tmux-stage.ts";

export type DownEvent =
  | { kind: "note"; line: string }
  /** It takes a while. */
  | { kind: "stopping"; id: string }
  | { kind: "stopped"; id: string; how: StopEnd }
  | { kind: "left"; id: string; why: string };

export interface DownDeps {
  place: Pick<StartPlace, "stateDir" | "env">;
  tell(event: DownEvent): void;
}

/** @returns how many processes were ended */
export async function takeDown(deps: DownDeps): Promise<number> {
  const { stateDir } = deps.place;
  if (!existsSync(chainDir(stateDir))) return 0;
  makeChainDirs(stateDir);
  return withChainLock(stateDir, waiting(deps), () => takeAllDown(deps));
}

function waiting({ tell }: DownDeps): () => void {
  return () => tell({ kind: "note", line: "another clutch up or down is at work: waiting for it" });
}

async function takeAllDown(deps: DownDeps): Promise<number> {
  const { place, tell } = deps;
  const { stateDir } = place;
  const plan = readPlan(stateDir);
  const record = plan === undefined ? undefined : readRecord(stateDir);
  const tmux = tmuxPlace(place);
  if (tmux !== undefined && plan?.stage === "tmux") await reachServer(record, tmux);
  // First whoever would start them again.
  if (record !== undefined && isSupervised(record)) {
    await stopProcess({ id: supervisorWindow, pid: record.supervisor.pid, pidMark: record.supervisor.mark }, 5_000);
  }
  let count = 0;
  for (const running of listRunning(plan, record, tmux)) {
    const how = await stopProcess(running, undefined, () => tell({ kind: "stopping", id: running.id }));
    if (how !== "was not running") {
      tell({ kind: "stopped", id: running.id, how });
      count++;
    }
  }
  for (const { id } of plan?.services.filter(({ isAdopted }) => isAdopted) ?? []) {
    if (record?.runs.find((run) => run.id === id)?.state !== "adopted") continue;
    tell({ kind: "left", id, why: "it was running before clutch up, so it goes on" });
  }
  if (tmux !== undefined && existsSync(tmux.tmux.socket)) closeSession(tmux);
  rmSync(chainSocket(stateDir), { force: true });
  forgetChain(stateDir);
  return count;
}

/** Ends these alone; the supervisor starts them again only when they are asked for. */
export async function takeSomeDown(ids: readonly string[], deps: DownDeps, forGood: boolean): Promise<number> {
  const { place, tell } = deps;
  const { stateDir } = place;
  if (readPlan(stateDir) === undefined) return 0;
  return withChainLock(stateDir, waiting(deps), async () => {
    const plan = readPlan(stateDir);
    if (plan === undefined) return 0;
    const hold = (service: ChainPlan["services"][number]) =>
      ids.includes(service.id) ? { ...service, isHeld: true } : service;
    writePlan(stateDir, { ...plan, services: plan.services.map(hold) });
    const tmux = tmuxPlace(place);
    let count = 0;
    for (const running of listRunning(plan, readRecord(stateDir), tmux).filter(({ id }) => ids.includes(id))) {
      const how = await stopProcess(running, undefined, () => tell({ kind: "stopping", id: running.id }));
      if (how === "was not running") continue;
      tell({ kind: "stopped", id: running.id, how });
      count++;
    }
    if (forGood) {
      writePlan(stateDir, { ...plan, services: plan.services.filter(({ id }) => !ids.includes(id)) });
      if (tmux !== undefined && plan.stage === "tmux") for (const id of ids) closeWindow(tmux, id);
    }
    return count;
  });
}

/** The last started first. What tmux knows counts too: a supervisor may have died before it wrote down what it started. */
function listRunning(
  plan: ChainPlan | undefined,
  record: ChainRecord | undefined,
  tmux: TmuxPlace | undefined,
): Running[] {
  const recorded = (record?.runs ?? []).flatMap(({ id, pid, pidMark }) =>
    pid === undefined ? [] : [{ id, pid, pidMark }],
  );
  const windows =
    plan?.stage !== "detached" && tmux !== undefined && existsSync(tmux.tmux.socket) ? listWindows(tmux) : [];
  const shown = windows
    .filter(({ id, isDead }) => !isDead && id !== supervisorWindow)
    .map(({ id, pid }) => ({ id, pid, pidMark: markOf(pid) }));
  const all = [...recorded, ...shown.filter(({ pid }) => !recorded.some((run) => run.pid === pid))];
  const order = plan?.services.map(({ id }) => id) ?? [];
  return all.sort((one, other) => order.indexOf(other.id) - order.indexOf(one.id));
}

function tmuxPlace({ stateDir, env }: DownDeps["place"]): TmuxPlace | undefined {
  const file = findBinary("tmux", env);
  return file === undefined ? undefined : { tmux: { file, socket: chainSocket(stateDir) }, stateDir, env };
}

async function reachServer(record: ChainRecord | undefined, { tmux }: TmuxPlace): Promise<void> {
  if (!existsSync(tmux.socket)) await bringBackSocket(() => existsSync(tmux.socket), record?.tmuxServer);
}
