/** A machine on which nothing stands in a launch's way, for tests to change what matters to them. */

import type { LaunchWorld } from "../../launcher/plan.ts";

export const plainWorld: LaunchWorld = {
  env: {},
  cwd: "/work",
  file: "/usr/bin/agent",
  launchId: "id42",
  launchDir: "/state/launch/2026-11-20",
  isRoot: false,
  hasTerminal: true,
  hasOwnLogin: false,
  rivals: [],
  catalogue: {},
  newSession: "UUID",
};
