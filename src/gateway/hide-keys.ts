/** Takes keys out of upstreams' words: some repeat what they were sent, and the words go to clients, logs and the ledger. Pure. */

import type { Failure } from "../../providers/failure.ts";
import { secretName } from "../../providers/registry.ts";
import type { Target } from "./router.ts";

/** Shorter ones would take words out of sentences. */
const leastLength = 6;

/** @param client the headers of the request that was answered so: its credential may have been passed on */
export function hideKeys(text: string, { provider, credential }: Target, client: Headers): string {
  let clean = text;
  const hide = (secret: string | null | undefined, name: string) => {
    if (secret && secret.length >= leastLength && clean.includes(secret)) clean = clean.replaceAll(secret, name);
  };
  for (const { id, value } of provider.keys) hide(value, `(key ${id})`);
  for (const [name, value] of Object.entries(provider.headers)) if (secretName.test(name)) hide(value, "(hidden)");
  if (credential === "client") {
    hide(client.get("authorization")?.replace(/^bearer\s+/i, ""), "(the client's key)");
    hide(client.get("x-api-key"), "(the client's key)");
  }
  return clean;
}

export function hideKeysOf(why: Failure, target: Target, client: Headers): Failure {
  const message = hideKeys(why.message, target, client);
  const code = why.code === undefined ? undefined : hideKeys(why.code, target, client);
  return message === why.message && code === why.code ? why : { ...why, message, ...(code !== undefined && { code }) };
}
