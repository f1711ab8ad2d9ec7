/** `clutch supervise`: what `clutch up` leaves running; not for people. */

import type { Env } from "../src/config/paths.ts";
import { supervise } from "../src/lifecycle/chain/supervisor.ts";

export async function runSupervisor(args: readonly string[], env: Env): Promise<number> {
  const [stateDir, tmuxFile] = args;
  if (stateDir === undefined) return 2;
  await supervise({ stateDir, tmuxFile, env });
  return 0;
}
