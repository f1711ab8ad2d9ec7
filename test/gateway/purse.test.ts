import { expect, test } from "bun:test";
import type { JsonObject } from "../../src/protocols/chat.ts";
import { whole } from "../support/answers.ts";
import { json, startFakeUpstream } from "../support/fake-upstream.ts";
import { startTestGateway } from "../support/gateway.ts";

/** An answer that has cost this much, as OpenRouter says it. */
function paid(costUsd: number) {
  const answer = whole.chat as JsonObject;
  return json({ ...answer, usage: { ...(answer["usage"] as JsonObject), cost: costUsd } });
}

test("without leave to pay, only what is free is called, and the rest is told", async () => {
  await using gateway = await startTestGateway({
    more: ["openrouter"],
    replies: { "v/paid": paid(1), "v/free:free": json({ error: { message: "busy" } }, 503) },
    cascade: ["openrouter:v/paid", "openrouter:v/free:free"],
    config: { budgets: { allow_paid: false } },
  });
  const response = await gateway.ask("chat", "any-model", false);
  expect(gateway.upstream.models()).toEqual(["v/free:free"]);
  expect(await response.text()).toContain(
    "openrouter:v/paid: not asked, its price is unknown, and budgets.allow_paid is off",
  );
});

test("when the day's budget is spent, paid models rest until midnight, and free ones go on", async () => {
  await using gateway = await startTestGateway({
    more: ["openrouter"],
    replies: { "v/paid": paid(0.6), "v/free:free": paid(0) },
    cascade: ["openrouter:v/paid", "openrouter:v/free:free"],
    config: { budgets: { daily_usd: 1 } },
  });
  const served = [];
  for (let request = 0; request < 3; request++) {
    const response = await gateway.ask("chat", "any-model", false);
    served.push(response.headers.get("x-clutch-served-by"));
  }
  expect(served).toEqual(["openrouter:v/paid", "openrouter:v/paid", "openrouter:v/free:free"]);
});

test("a free model that costs something is told once", async () => {
  await using gateway = await startTestGateway({
    more: ["openrouter"],
    replies: { "v/free:free": paid(0.01) },
    cascade: ["openrouter:v/free:free"],
  });
  for (let request = 0; request < 2; request++) await gateway.ask("chat", "any-model", false);
  const notice = "openrouter:v/free:free is no longer free: a request has cost $0.01";
  expect(gateway.lines.filter((line) => line.includes("no longer free"))).toEqual([notice]);
  const health = (await (await fetch(`${gateway.url}/health`)).json()) as { problems: string[] };
  expect(health.problems).toEqual([notice]);
});

test("a soft limit that is reached holds for an agent's own key too, but not for its login of a plan", async () => {
  await using vendor = await startVendor();
  await using gateway = await startTestGateway({
    replies: {},
    config: {
      budgets: { per_day: { soft_usd: 1 } },
      prices: { "anthropic:claude-x": { usd_per_million: { input: 1e4, output: 1e4 } } },
    },
    fetch: (url, init) => fetch(url.replace("https://api.anthropic.com", vendor.url), init),
  });
  const ask = async (login: Record<string, string>) => {
    const headers = { ...login, "x-clutch-launch": "xx-cib-launch1" };
    return (await gateway.ask("messages", "claude-x", false, { headers })).status;
  };
  const key = { "x-api-key": "sk-ant-api03-own" };
  expect([await ask(key), await ask(key)]).toEqual([200, 402]);
  expect(await ask({ authorization: "Bearer sk-ant-oat01-own" })).toBe(200);
  expect(vendor.count()).toBe(2);
});

async function startVendor() {
  const vendor = await startFakeUpstream({ "claude-x": json(whole.messages) });
  return {
    url: `http://127.0.0.1:${vendor.port}`,
    count: () => vendor.models().length,
    [Symbol.asyncDispose]: () => vendor.stop(),
  };
}

test.each<[name: string, provider: JsonObject, isFree: boolean]>([
  ["no key", {}, true],
  ["headers that are none", { headers: { "x-title": "mine" } }, true],
  ["a key in a header", { headers: { "api-key": "azure-key-1" } }, false],
  ["a key in the query", { query: { "api-version": "1", key: "query-key-1" } }, false],
])(
  "a server that takes %s: whether it is paid is the same for the ledger and the purse",
  async (_, provider, isFree) => {
    const setup = (allow_paid: boolean) => ({
      replies: { m: json(whole.chat) },
      cascade: ["mybox:m"],
      config: (base_url: string) => ({ providers: { mybox: { base_url, ...provider } }, budgets: { allow_paid } }),
    });
    await using gateway = await startTestGateway(setup(true));
    const response = await gateway.ask("chat", "any-model", false);
    const { cost_usd, pricing } = await gateway.request(response.headers.get("x-clutch-request-id"));
    expect([cost_usd, pricing]).toEqual(isFree ? [0, "free"] : [null, null]);
    await using strict = await startTestGateway(setup(false));
    expect((await strict.ask("chat", "any-model", false)).status).toBe(isFree ? 200 : 402);
  },
);
