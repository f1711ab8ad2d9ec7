/** Decides whether a launch goes through Headroom, which stands in front of the gateway where it is there. */

import { getJson, probeLimitMs } from "./gateway-probe.ts";

/** Where Headroom listens unless it is told otherwise. */
export const headroomUrl = "http://127.0.0.1:8787";

export interface Front {
  /** What the agent is pointed at. */
  url: string;
  /** Why not through Headroom, when that is a surprise. */
  note?: string;
}

/** @param isInstalled asked only where nothing answers: without the program, nothing is missing */
export async function chooseFront(gatewayUrl: string, isInstalled: () => boolean): Promise<Front> {
  const answer = await getJson(`${headroomUrl}/health`, probeLimitMs);
  if (answer === undefined) {
    return isInstalled()
      ? { url: gatewayUrl, note: "Headroom does not answer, so straight to the gateway: clutch up starts it" }
      : { url: gatewayUrl };
  }
  return judgeFront(gatewayUrl, answer.body);
}

/** By what Headroom's `/health` says of itself; it answers 200 whatever its state. */
export function judgeFront(gatewayUrl: string, health: unknown): Front {
  const body = asObject(health);
  if (body["service"] !== "headroom-proxy") {
    return { url: gatewayUrl, note: `what answers at ${headroomUrl} is not Headroom, so straight to the gateway` };
  }
  const config = asObject(body["config"]);
  const targets = [config["anthropic_api_url"], config["openai_api_url"]];
  const elsewhere = targets.find((target) => typeof target === "string" && !isSame(target, gatewayUrl));
  if (elsewhere !== undefined) {
    return { url: gatewayUrl, note: `Headroom sends to ${elsewhere}, not to the gateway, so straight to the gateway` };
  }
  if (!targets.every((target) => typeof target === "string")) {
    return { url: gatewayUrl, note: "Headroom does not say where it sends to, so straight to the gateway" };
  }
  if (body["status"] !== "healthy") {
    return { url: gatewayUrl, note: `Headroom is ${body["status"]}, so straight to the gateway` };
  }
  return { url: headroomUrl };
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** `localhost` and a trailing `/v1` make no difference. */
function isSame(one: string, other: string): boolean {
  const plain = (url: string) => url.replace(/(\/v1)?\/*$/, "").replace("://localhost", "://127.0.0.1");
  return plain(one) === plain(other);
}
