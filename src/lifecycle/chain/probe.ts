/** Asks a service how it is. Never through the user's HTTP proxy, and never for long. */

import { fetchDirectly } from "../../loopback-direct.ts";

export type ProbeAnswer =
  /** Nothing listens. */
  | { kind: "silent" }
  /** Something listens and said nothing in time. */
  | { kind: "mute" }
  | { kind: "answer"; status: number; body: unknown };

/** @param url with the path to ask for */
export async function probe(url: string, limitMs: number): Promise<ProbeAnswer> {
  const signal = AbortSignal.timeout(limitMs);
  try {
    const response = await fetchDirectly(url, { signal, redirect: "manual" });
    return { kind: "answer", status: response.status, body: await response.json().catch(() => undefined) };
  } catch (cause) {
    // Bun has two names for it.
    const isRefused = ["ECONNREFUSED", "ConnectionRefused"].includes((cause as { code?: string }).code ?? "");
    return isRefused ? { kind: "silent" } : { kind: "mute" };
  }
}

/** Whether a service's answer means that it is ready. */
export type IsReady = (answer: ProbeAnswer) => boolean;

export function isOkay(answer: ProbeAnswer): boolean {
  return answer.kind === "answer" && answer.status >= 200 && answer.status < 300;
}
