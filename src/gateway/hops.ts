/**
 * Loops through other gateways. A request to a server that could be this one, or lead back to it, carries this gateway's
 * name; one that arrives with it has come round. Providers of the catalogue are told nothing.
 */

import type { Provider, Providers } from "../../providers/registry.ts";
import { hopHeader } from "../../providers/request.ts";
import type { GatewayError } from "../protocols/codec.ts";

/** The same providers; those that could lead back to this gateway are sent its name with every request. */
export function markHops(providers: Providers, instance: string): Providers {
  const mark = (provider: Provider): Provider =>
    mayLeadBack(provider) ? { ...provider, headers: { ...provider.headers, [hopHeader]: instance } } : provider;
  return new Map([...providers].map(([id, provider]) => [id, mark(provider)]));
}

/** Where the config has moved it, or where it runs on this machine. */
function mayLeadBack({ isBuiltIn, local }: Provider): boolean {
  return !isBuiltIn || local !== undefined;
}

export function comesFromUs(headers: Headers, instance: string): boolean {
  const hops = headers.get(hopHeader);
  return hops?.split(/\s*,\s*/).includes(instance) === true;
}

/** What is said to a request that has come round. */
export const loop: GatewayError = {
  kind: "invalid-request",
  message:
    "a loop: a provider of this gateway's config leads back to it; see which base_url is the gateway's own address",
};
