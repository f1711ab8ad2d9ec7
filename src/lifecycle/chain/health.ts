/** How a service says that it is well. */

import { judgeHeadroom } from "./headroom.ts";
import { isOkay, type ProbeAnswer, probe } from "./probe.ts";
import type { PlannedService } from "./record.ts";

export interface Verdict {
  state: "ready" | "starting" | "unhealthy" | "foreign" | "silent";
  version: string | undefined;
  /** One line, in the service's own words where it has any. */
  detail: string;
  hint: string | undefined;
}

export type Asked = Pick<PlannedService, "id" | "port" | "healthPath">;

/** @param gatewayUrl where a front has to send to */
export async function askHealth(service: Asked, gatewayUrl: string, limitMs: number): Promise<Verdict> {
  const base = service.id === "gateway" ? gatewayUrl : `http://127.0.0.1:${service.port}`;
  return judgeHealth(service.id, await probe(`${base}${service.healthPath}`, limitMs), gatewayUrl);
}

/** Pure. */
export function judgeHealth(id: string, answer: ProbeAnswer, gatewayUrl: string): Verdict {
  const verdict = (state: Verdict["state"], detail: string, more: Partial<Verdict> = {}): Verdict => ({
    state,
    version: undefined,
    detail,
    hint: undefined,
    ...more,
  });
  if (answer.kind === "silent") return verdict("silent", "nothing listens");
  if (answer.kind === "mute") return verdict("unhealthy", "takes connections and does not answer");
  const body = typeof answer.body === "object" && answer.body !== null ? (answer.body as Record<string, unknown>) : {};
  const version = typeof body["version"] === "string" ? { version: body["version"] } : {};
  if (id === "gateway") {
    if (!("in_flight" in body)) return verdict("foreign", `HTTP ${answer.status}, and no gateway's answer`);
    if (body["draining"] === true) return verdict("unhealthy", "ending its last streams", version);
    return verdict("ready", `${body["in_flight"]} in flight`, version);
  }
  if (id === "headroom") return judgeHeadroom(answer.body, gatewayUrl);
  return isOkay(answer)
    ? verdict("ready", `HTTP ${answer.status}`, version)
    : verdict("unhealthy", `HTTP ${answer.status}`, version);
}
