/** The agents that run in the crash guard at this moment. */

import type { Env } from "../config/paths.ts";
import { findBinary } from "../find-binary.ts";
import { readBootId } from "./guard.ts";
import { guardSocket, lookAround } from "./guard-server.ts";
import { judgeLaunch, type LaunchRecord, listLaunches } from "./launches.ts";

/** In the order of their start. The crash guard's tmux is asked only when there is something to ask about. */
export function findRunning(stateDir: string, env: Env): { record: LaunchRecord; isAttached: boolean }[] {
  const bootId = readBootId();
  const perhaps = listLaunches(stateDir).filter(
    ({ end, resumedBy, record }) => end === undefined && resumedBy === undefined && record.bootId === bootId,
  );
  const tmux = perhaps.length === 0 ? undefined : findBinary("tmux", env);
  if (tmux === undefined) return [];
  const around = lookAround({ stateDir, tmux: { file: tmux, socket: guardSocket(stateDir) }, env });
  return perhaps.flatMap((launch) => {
    const state = judgeLaunch(launch, around);
    return state.kind === "running" ? [{ record: launch.record, isAttached: state.isAttached }] : [];
  });
}
