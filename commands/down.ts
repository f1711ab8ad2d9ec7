/** `clutch down`: ends what `clutch up` started. */

import { type Env, resolveHomes } from "../src/config/paths.ts";
import { type DownEvent, takeDown, takeSomeDown } from "../src/lifecycle/chain/down.ts";
import { paint } from "./paint.ts";

export async function down(services: string[], env: Env): Promise<number> {
  const deps = { place: { stateDir: resolveHomes(env).stateDir, env }, tell: tellDown };
  const count = services.length === 0 ? await takeDown(deps) : await takeSomeDown(services, deps, true);
  if (count === 0) console.log(services.length === 0 ? "nothing was up" : `not up: ${services.join(", ")}`);
  return 0;
}

export function tellDown(event: DownEvent): void {
  if (event.kind === "note") {
    console.log(event.line);
    return;
  }
  const name = event.id.padEnd(12);
  if (event.kind === "stopping") console.log(`${name} ${paint.dim("ending what is under way")}`);
  else if (event.kind === "left") console.log(`${name} ${paint.dim(event.why)}`);
  else if (event.how === "killed") console.log(`${name} ${paint.warn("killed: it did not end when it was asked to")}`);
  else console.log(`${name} stopped`);
}
