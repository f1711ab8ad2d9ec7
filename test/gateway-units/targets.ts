/** Targets for the tests of what chooses among them. */

import { buildProviders } from "../../providers/registry.ts";
import { parseConfig } from "../../src/config/schema.ts";
import type { Target } from "../../src/gateway/router.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";

const providers = buildProviders(
  parseConfig(
    {
      providers: {
        openrouter: { api_key: "sk-or" },
        openai: { api_key: "sk-oa" },
        anthropic: { api_key: "sk-an" },
        pooled: { base_url: "http://127.0.0.1:1", api_keys: ["one", "two", "three"] },
        mybox: { base_url: "http://127.0.0.1:1" },
      } satisfies JsonObject,
    },
    "test",
  ),
  (spec) => (spec.startsWith("env:") ? undefined : spec),
);

/** `provider:model`, split at the first colon. */
export function targetOf(reference: string, more: Partial<Target> = {}): Target {
  const colon = reference.indexOf(":");
  const provider = providers.get(reference.slice(0, colon));
  if (provider === undefined) throw new Error(`no provider in ${reference}`);
  return { provider, model: reference.slice(colon + 1), protocol: "chat", credential: "ours", ...more };
}

export function referenceOf({ provider, model }: Target): string {
  return `${provider.id}:${model}`;
}
