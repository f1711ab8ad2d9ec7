/** Prints how many MB of resident memory 10,000 sessions with an endpoint of their own and 5,000 open breakers take. */

import { failure } from "../providers/failure.ts";
import { buildProviders } from "../providers/registry.ts";
import { parseConfig } from "../src/config/schema.ts";
import { Affinity } from "../src/gateway/affinity.ts";
import { Health } from "../src/gateway/health.ts";
import type { Target } from "../src/gateway/router.ts";

const sessions = 10_000;
const breakers = 5_000;

const providers = buildProviders(
  parseConfig({ providers: { box: { base_url: "http://127.0.0.1:1" } } }, "bench"),
  () => undefined,
);
const provider = providers.get("box");
if (provider === undefined) throw new Error("the provider is not there");

const residentMb = () => {
  Bun.gc(true);
  return process.memoryUsage.rss() / 1024 / 1024;
};

const before = residentMb();
const affinity = new Affinity();
const planned: Target[] = ["first/model", "second/model"].map((model) => ({
  provider,
  model,
  protocol: "chat",
  credential: "ours",
}));
for (let index = 0; index < sessions; index++) {
  affinity.served(crypto.randomUUID(), planned[1] as Target, planned, index);
}
const health = new Health({
  now: Date.now,
  policy: () => ({ failures: 3, cooldownMs: 60_000, maxCooldownMs: 3_600_000 }),
  quotas: () => new Map(),
  onChange() {},
});
for (let index = 0; index < breakers; index++) {
  const candidate = {
    provider: "box",
    model: `vendor/model-${index}:free`,
    keyId: "#1",
    hasOtherKeys: false,
    pool: undefined,
  };
  for (let count = 0; count < 3; count++) {
    const admission = health.admit(candidate);
    if (admission.ok)
      admission.ticket.failed(failure("upstream", `The upstream answered 500 for model ${index}`, { status: 500 }));
  }
}
const after = residentMb();
if (affinity.arrange("nobody", planned, 0).length !== 2 || health.list().length !== breakers)
  throw new Error("it is not there");
console.log((after - before).toFixed(1));
