/** Calls that stand beside a protocol's main endpoint: counting tokens, compacting. One target, no cascade, no ledger. */

import { nothingLearnt } from "../../providers/lessons.ts";
import { buildUpstreamHeaders } from "../../providers/request.ts";
import { type Fetch, type Sent, sendUpstream } from "../../providers/upstream.ts";
import { passOn } from "./ask.ts";
import type { RequestBody } from "./body.ts";
import type { Target } from "./router.ts";

export interface SideCall {
  target: Target;
  /** Appended to the endpoint's URL, such as `/count_tokens`. */
  suffix: string;
  body: RequestBody;
  client: Headers;
  limitMs: number;
}

/** Whether there is a URL for the target's protocol, and a key if it takes one. */
export function canBeCalled({ provider, protocol, credential }: Target): boolean {
  const hasNoKey = credential === "ours" && provider.key === undefined && provider.keySource !== undefined;
  return provider.urls[protocol] !== undefined && !hasNoKey;
}

/** Undefined when the target cannot be called. */
export async function callBeside(
  { target, suffix, body, client, limitMs }: SideCall,
  fetch: Fetch,
): Promise<Sent | undefined> {
  const { provider, protocol, credential } = target;
  const url = provider.urls[protocol];
  if (url === undefined || !canBeCalled(target)) return undefined;
  const headers = buildUpstreamHeaders({
    provider,
    protocol,
    sameProtocol: true,
    client,
    credential,
    stream: false,
    refusedBetas: [],
  });
  const request = { url: url + suffix, headers, body: passOn(body, target, nothingLearnt) };
  return sendUpstream(fetch, request, AbortSignal.timeout(limitMs));
}
