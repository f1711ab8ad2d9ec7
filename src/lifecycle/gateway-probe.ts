/** Asks whether a gateway answers at an address. Nothing here loads the gateway itself. */

import { fetchDirectly } from "../loopback-direct.ts";

export type GatewayState =
  | { kind: "up" }
  /** Nothing listens, or nothing answers in time. */
  | { kind: "down" }
  /** It is ending its last streams and takes no new requests. */
  | { kind: "draining" }
  /** Something else holds the address. */
  | { kind: "foreign"; answer: string };

/** How long an agent's start may wait for an answer (ms). */
export const probeLimitMs = 300;

/** @param url without a trailing slash and without `/v1` */
export async function probeGateway(url: string): Promise<GatewayState> {
  const answer = await getJson(`${url}/livez`, probeLimitMs);
  if (answer === undefined) return { kind: "down" };
  const { status, body } = answer;
  if (status !== 200 || typeof body !== "object" || body === null || !("in_flight" in body)) {
    return { kind: "foreign", answer: `HTTP ${status}` };
  }
  return "draining" in body && body.draining === true ? { kind: "draining" } : { kind: "up" };
}

/** Undefined when nothing answered in time; `body` is undefined for what is no JSON. Never asks through the user's proxy. */
export async function getJson(url: string, limitMs: number): Promise<{ status: number; body: unknown } | undefined> {
  try {
    const response = await fetchDirectly(url, { signal: AbortSignal.timeout(limitMs), redirect: "manual" });
    return { status: response.status, body: await response.json().catch(() => undefined) };
  } catch {
    return undefined;
  }
}
