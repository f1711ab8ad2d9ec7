/** Asks the running gateway of this home under /admin. Nothing here loads the gateway itself. */

import { realpathSync } from "node:fs";
import { fetchDirectly } from "../loopback-direct.ts";
import type { Json } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";
import { readAdminSecret } from "./admin-secret.ts";
import { probeGateway } from "./gateway-probe.ts";
import { isStrangersPort } from "./port-owner.ts";

export interface GatewayPlace {
  /** Without a trailing slash and without `/v1`. */
  url: string;
  /** The ledger that the gateway of this home writes. */
  database: string;
  stateDir: string;
  requireKey: boolean;
}

/** The gateway's answer, or why there is none to be had. */
export type AdminAnswer =
  | { ok: true; body: Json }
  | {
      ok: false;
      reason: string;
      /** A gateway answers, and it is not this home's. */
      isForeign?: true;
      /** What this home's gateway says against what was asked of it. */
      refusal?: string;
    };

/** How long an answer may take (ms): `/admin/quota` may ask OpenRouter first. */
const slowLimitMs = 15_000;

/** @param path below /admin @param body makes it a POST */
export async function askAdmin(place: GatewayPlace, path: string, body?: Json): Promise<AdminAnswer> {
  const { url, database } = place;
  const none = (reason: string) => ({ ok: false, reason }) as const;
  if (place.requireKey && isStrangersPort(url)) return none(strangersPort(url));
  const state = await probeGateway(url);
  if (state.kind === "down") return none(`no gateway answers at ${url}`);
  if (state.kind !== "up" && state.kind !== "draining") return none(`${url} is no gateway (${state.answer})`);
  const about = await fetchAdmin(place, "");
  // Another home's gateway may hold the port, and nothing there is meant.
  const its = isObject(about?.body) ? about.body["database"] : undefined;
  if (about?.status !== 200 || typeof its !== "string") return none(`the gateway at ${url} ${describeRefusal(about)}`);
  if (!isSameFile(its, database)) return none(`the gateway at ${url} is another home's (${its})`);
  const answer = await fetchAdmin(place, path, body);
  if (answer?.status === 200 && answer.body !== undefined) return { ok: true, body: answer.body };
  const refusal = answer === undefined || answer.status >= 500 ? undefined : messageOf(answer.body);
  return {
    ...none(`the gateway at ${url} ${describeRefusal(answer)}`),
    ...(refusal !== undefined && { refusal }),
  };
}

/**
 * In one call: for what is asked often, or must not take long. The answer has to name its `database`.
 * @param limitMs how long it may take
 */
export async function readAdmin(place: GatewayPlace, path: string, limitMs: number): Promise<AdminAnswer> {
  const { url, database } = place;
  const none = (reason: string) => ({ ok: false, reason }) as const;
  if (place.requireKey && isStrangersPort(url)) return none(strangersPort(url));
  const answer = await fetchAdmin(place, path, undefined, limitMs);
  if (answer === undefined) return none(`no gateway answers at ${url}`);
  const its = isObject(answer.body) ? answer.body["database"] : undefined;
  // A gateway of another version has other paths, and refuses like any server that is no gateway.
  if (answer.status !== 200 || typeof its !== "string")
    return none(`what answers at ${url} ${describeRefusal(answer)}`);
  if (!isSameFile(its, database)) {
    return { ...none(`the gateway at ${url} is another home's (${its})`), isForeign: true };
  }
  return { ok: true, body: answer.body as Json };
}

/** Whoever has taken the port while the gateway was down must not be shown its key. */
function strangersPort(url: string): string {
  return `what answers at ${url} is a program of another user, to whom the gateway's key is not shown`;
}

interface Fetched {
  status: number;
  body: Json | undefined;
}

async function fetchAdmin(
  place: GatewayPlace,
  path: string,
  body?: Json,
  limitMs = slowLimitMs,
): Promise<Fetched | undefined> {
  const secret = place.requireKey ? readAdminSecret(place.stateDir) : undefined;
  try {
    const response = await fetchDirectly(`${place.url}/admin${path}`, {
      ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
      headers: {
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(secret !== undefined && { authorization: `Bearer ${secret}` }),
      },
      signal: AbortSignal.timeout(limitMs),
      redirect: "manual",
    });
    return { status: response.status, body: (await response.json().catch(() => undefined)) as Json | undefined };
  } catch {
    return undefined;
  }
}

function describeRefusal(answer: Fetched | undefined): string {
  if (answer === undefined) return "did not answer";
  const message = messageOf(answer.body);
  return `refused (HTTP ${answer.status}${message === undefined ? "" : `: ${message}`})`;
}

function messageOf(body: Json | undefined): string | undefined {
  const error = isObject(body) ? body["error"] : undefined;
  const message = isObject(error) ? error["message"] : undefined;
  return typeof message === "string" ? message : undefined;
}

/** Symbolic links aside. */
export function isSameFile(one: string, other: string): boolean {
  const real = (path: string) => {
    try {
      return realpathSync(path);
    } catch {
      return path;
    }
  };
  return real(one) === real(other);
}
