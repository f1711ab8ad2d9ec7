/** What is known of a service at a moment, for `status`, `up` and the dashboard. */

import type { ServiceType } from "./services.ts";

/**
 * ready      answers as it should
 * starting   its process runs and does not answer yet
 * unhealthy  it answers, and not well
 * restarting it ended by itself and is about to be started again
 * failed     it ended too often; nobody starts it again until somebody says so
 * stopped    it is not running, and should be
 * foreign    something else answers on its port
 * absent     its program is not installed
 * off        switched off in the config
 * passive    a `cli_wrapper`: nothing to run
 */
export type MemberState =
  | "ready"
  | "starting"
  | "unhealthy"
  | "restarting"
  | "failed"
  | "stopped"
  | "foreign"
  | "absent"
  | "off"
  | "passive";

export interface Member {
  id: string;
  name: string;
  type: ServiceType;
  state: MemberState;
  isFront: boolean;
  port: number | undefined;
  version: string | undefined;
  pid: number | undefined;
  /** Unix time (ms). */
  startedAtMs: number | undefined;
  /** How often it was started again since `up`. */
  restarts: number;
  /** One line: the health's own words, or why it is not well. */
  detail: string;
  /** The next step where the state calls for one. */
  hint: string | undefined;
}

/** States that make an enabled member fail `clutch status` (exit 3). */
const troubled: readonly MemberState[] = ["starting", "unhealthy", "restarting", "failed", "stopped", "foreign"];

/** What is absent, passive or switched off fails nothing. */
export function isTroubled(member: Pick<Member, "state">): boolean {
  return troubled.includes(member.state);
}
