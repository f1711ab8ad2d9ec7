import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { networkInterfaces } from "node:os";
import type { BreakerReport } from "../../src/explain/breakers.ts";
import type { QuotaReport } from "../../src/explain/quota.ts";
import { createAdmin } from "../../src/gateway/admin.ts";
import { reportTotals } from "../../src/gateway/day-totals.ts";
import { Health } from "../../src/gateway/health.ts";
import { Keyring } from "../../src/gateway/keyring.ts";
import type { Json, JsonObject } from "../../src/protocols/chat.ts";
import { keyQueries } from "../../src/store/keys.ts";
import { lookups } from "../../src/store/lookups.ts";
import { openStore } from "../../src/store/open.ts";
import { noSums } from "../../src/store/rollup.ts";
import { at, whole } from "../support/answers.ts";
import { json } from "../support/fake-upstream.ts";
import { type GatewaySetup, makeHome, startServe, startTestGateway, type TestGateway } from "../support/gateway.ts";
import { runClutch } from "../support/run-clutch.ts";

const slowDown = json({ error: { message: "slow down" } }, 429, { "retry-after": "120" });
const secret = "launch-secret";

const setup: GatewaySetup = {
  replies: { limited: slowDown, good: json(whole.chat) },
  cascade: ["chat:limited", "other:good"],
  config: { quotas: { "other:good": { max_requests_per_minute: 10 } }, providers: { openrouter: {} } },
};

/** A request as any program may send it: every header, the Host too, is the caller's choice. */
function send(
  url: string,
  path: string,
  headers: Record<string, string> = {},
  body?: string,
): Promise<{ status: number; body: Json | undefined }> {
  return new Promise((resolve, reject) => {
    const call = httpRequest(url + path, { method: body === undefined ? "GET" : "POST", headers }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () => {
        let parsed: Json | undefined;
        try {
          parsed = JSON.parse(text) as Json;
        } catch {}
        resolve({ status: response.statusCode ?? 0, body: parsed });
      });
    });
    call.on("error", reject);
    call.end(body);
  });
}

const asJson = { "content-type": "application/json" };

async function breakersOf(gateway: TestGateway): Promise<BreakerReport[]> {
  const { body } = await send(gateway.url, "/admin/breakers");
  return (body as unknown as { breakers: BreakerReport[] }).breakers;
}

/** One model is shut after it. */
async function askOnce(gateway: TestGateway): Promise<string> {
  const response = await gateway.ask("chat", "anything", false);
  expect(response.headers.get("x-clutch-served-by")).toBe("other:good");
  return response.headers.get("x-clutch-request-id") ?? "";
}

describe("who may use /admin", () => {
  const json415 = "send content-type: application/json";
  const onlyHere = "/admin answers programs on this machine only";
  const cases: [
    name: string,
    headers: Record<string, string>,
    body: string | undefined,
    status: number,
    says: string | undefined,
  ][] = [
    ["a program on this machine", {}, undefined, 200, undefined],
    ["the gateway's own page", { origin: "SAME" }, undefined, 200, undefined],
    ["a page of another site", { origin: "https://evil.example" }, undefined, 403, "requests from web pages of"],
    ["a page after DNS rebinding", { host: "evil.example" }, undefined, 403, "does not answer to the host name"],
    ["a proxy", { "x-forwarded-for": "127.0.0.1" }, undefined, 403, onlyHere],
    ["another proxy", { via: "1.1 front" }, undefined, 403, onlyHere],
    ["a program that posts JSON", asJson, '{"match":"all"}', 200, undefined],
    ["with a charset", { "content-type": "Application/JSON; charset=utf-8" }, '{"match":"all"}', 200, undefined],
    ["a form", { "content-type": "application/x-www-form-urlencoded" }, '{"match":"all"}', 415, json415],
    ["plain text", { "content-type": "text/plain" }, '{"match":"all"}', 415, json415],
    ["something like JSON", { "content-type": "application/json-seq" }, '{"match":"all"}', 415, json415],
    ["a body without a type", {}, '{"match":"all"}', 415, json415],
    ["no JSON", asJson, "match all", 400, 'send JSON such as {"match":"all"}: '],
    ["JSON without a match", asJson, "[]", 400, 'send JSON such as {"match":"all"}: '],
    ["a novel", asJson, `{"match":"${"x".repeat(20_000)}"}`, 413, "send at most 10000 bytes"],
  ];
  test("over real sockets", async () => {
    await using gateway = await startTestGateway(setup);
    for (const [name, headers, body, status, says] of cases) {
      const own = headers["origin"] === "SAME" ? { ...headers, origin: gateway.url } : headers;
      const answer = await send(
        gateway.url,
        body === undefined ? "/admin/breakers" : "/admin/breakers/reset",
        own,
        body,
      );
      expect([name, answer.status]).toEqual([name, status]);
      if (says !== undefined) expect(at(answer.body, "error", "message")).toContain(says);
    }
  });

  test("with require_key: whoever has the launch secret", async () => {
    await using gateway = await startTestGateway({
      ...setup,
      config: { ...setup.config, server: { port: 0, require_key: true } },
      launchSecret: secret,
    });
    const keys: [authorization: string | undefined, status: number][] = [
      [undefined, 401],
      ["Bearer wrong", 401],
      ["Bearer xx-cip-k3j9", 401],
      ["Bearer xx-cip-k3j9-wrong", 401],
      [`Bearer ${secret}`, 200],
      [`Bearer xx-cip-k3j9-${secret}`, 200],
    ];
    for (const [authorization, status] of keys) {
      const answer = await send(gateway.url, "/admin/breakers", authorization === undefined ? {} : { authorization });
      expect([authorization, answer.status]).toEqual([authorization, status]);
    }
  });

  const outside = Object.values(networkInterfaces())
    .flat()
    .find((known) => known?.internal === false && known.family === "IPv4")?.address;
  if (outside === undefined) console.log("not tested over a real socket: this machine has no address but loopback");
  test.skipIf(outside === undefined)("nobody from another address, secret or not", async () => {
    await using gateway = await startTestGateway({
      ...setup,
      config: { ...setup.config, server: { host: "0.0.0.0", port: 0, require_key: true } },
      launchSecret: secret,
    });
    const authorization = `Bearer ${secret}`;
    const there = `http://${outside}:${gateway.gateway.port}`;
    const foreign = await send(there, "/admin/breakers", { authorization, host: "127.0.0.1" });
    expect([foreign.status, at(foreign.body, "error", "message")]).toEqual([403, onlyHere]);
    const own = await send(`http://127.0.0.1:${gateway.gateway.port}`, "/admin/breakers", { authorization });
    expect(own.status).toBe(200);
  });

  test("by the socket's address alone", async () => {
    const home = makeHome();
    const store = openStore(`${home}/clutch.db`);
    const admin = createAdmin({
      captures: { report: async () => ({ mode: "off", until: null, captured: 0, stored_bytes: 0 }), set() {} },
      now: Date.now,
      admit: () => ({ ok: true, grant: undefined }),
      health: new Health({
        now: Date.now,
        policy: () => ({ failures: 3, cooldownMs: 1, maxCooldownMs: 1 }),
        quotas: () => new Map(),
        onChange() {},
      }),
      failuresLimit: () => 3,
      account: () => undefined,
      ledger: lookups(store.db),
      keyring: new Keyring({ queries: keyQueries(store.db), now: Date.now }),
      flush: async () => {},
      database: store.path,
      ruleHits: () => [{ rule: "default", hits: 3, last_hit_at: null, since: 0 }],
      headroom: () => ({
        mode: "off",
        url: "",
        state: "unknown",
        since: null,
        reason: null,
        retryAt: null,
        compressed: 0,
        missed: 0,
        sessions: [],
      }),
      budgets: () => [],
      listRequests: async () => [],
      readUsage: () => [],
      reload: undefined,
      startedAt: 0,
      isDraining: () => false,
      inFlight: () => 0,
      flights: () => [],
      problems: () => [],
      tiers: () => [],
      today: () => reportTotals(noSums, 0),
    });
    const peers: [address: string | undefined, status: number][] = [
      ["127.0.0.1", 200],
      ["127.8.8.8", 200],
      ["::1", 200],
      ["::ffff:127.0.0.1", 200],
      ["::ffff:10.0.0.7", 403],
      ["10.0.0.7", 403],
      ["fe80::1", 403],
      [undefined, 403],
    ];
    for (const [address, status] of peers) {
      const peer = { requestIP: () => (address === undefined ? null : { address }) };
      expect([address, (await admin.request("/breakers", {}, peer)).status]).toEqual([address, status]);
    }
    expect((await admin.request("/breakers")).status).toBe(403);
    const routing = await admin.request("/routing", {}, { requestIP: () => ({ address: "::1" }) });
    expect(await routing.json()).toEqual({ rules: [{ rule: "default", hits: 3, last_hit_at: null, since: 0 }] });
    store.close();
    rmSync(home, { recursive: true });
  });
});

test("/admin tells what is out of order, why a request went as it did, and what is left", async () => {
  await using gateway = await startTestGateway(setup);
  expect(await breakersOf(gateway)).toEqual([]);
  const id = await askOnce(gateway);
  expect(await breakersOf(gateway)).toMatchObject([
    { id: "model:chat:limited", what: "chat:limited", state: "open", told_by: "upstream", failures_limit: 3 },
  ]);
  // Asked at once, before the row is written by itself.
  const { body: story } = await send(gateway.url, `/admin/why/${id}`);
  expect(story).toMatchObject({ request: { id, status: "completed" }, served_by: "other:good" });
  expect((await send(gateway.url, `/admin/why/${id.slice(0, 12)}`)).body).toEqual(story as JsonObject);
  expect((await send(gateway.url, "/admin/why/last")).body).toEqual(story as JsonObject);
  expect((await send(gateway.url, "/admin/why/nope")).status).toBe(404);
  expect((await send(gateway.url, "/admin/quota")).body).toEqual({
    limits: [{ model: "other:good", requests_per_minute: 10, used: 1, back_at: null }],
    closed: [],
    openrouter: null,
  });
  const { body: routing } = await send(gateway.url, "/admin/routing");
  expect(routing).toMatchObject({ rules: [{ rule: "default", hits: 1 }] });
  expect((await send(gateway.url, "/admin/elsewhere")).status).toBe(404);
  const { body: about } = await send(gateway.url, "/admin");
  expect(about).toMatchObject({ service: "clutch", pid: process.pid, database: `${gateway.home}/clutch.db` });
  const missed = await send(gateway.url, "/admin/breakers/reset", asJson, '{"match":"other"}');
  expect(missed.body).toMatchObject({ reset: [], breakers: [{ id: "model:chat:limited" }] });
  const done = await send(gateway.url, "/admin/breakers/reset", asJson, '{"match":"chat:limited"}');
  expect(done.body).toEqual({ reset: ["model:chat:limited"], breakers: [] });
  await askOnce(gateway);
  expect(gateway.upstream.models()).toEqual(["limited", "good", "limited", "good"]);
});

test("OpenRouter's word closes its free models: the next request is spared every one of them", async () => {
  let remaining = 0;
  const looks: (string | null)[] = [];
  await using upstream = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      looks.push(request.headers.get("authorization"));
      if (new URL(request.url).pathname !== "/api/v1/key") return new Response("not scripted", { status: 418 });
      const daily = { limit: 50, used: 50 - remaining, remaining };
      return Response.json({ data: { limit_remaining: 2.5, is_free_tier: false, free_model_daily_requests: daily } });
    },
  });
  const base_url = `http://127.0.0.1:${upstream.port}/api/v1`;
  await using gateway = await startTestGateway({
    more: ["openrouter"],
    replies: { good: json(whole.chat) },
    cascade: ["openrouter:a:free", "openrouter:b:free", "other:good"],
    config: { providers: { openrouter: { base_url, api_key: "sk-or" } } },
  });
  const { body } = await send(gateway.url, "/admin/quota");
  const { closed, openrouter } = body as unknown as QuotaReport;
  expect(openrouter).toMatchObject({ limit: 50, used: 50, remaining: 0, credit_usd: 2.5, error: null });
  expect(closed).toMatchObject([{ id: "free:openrouter", state: "open", told_by: "upstream" }]);
  // Two readings of the clock.
  expect(closed[0]?.back_at?.slice(0, 19)).toBe(openrouter?.resets_at.slice(0, 19) ?? "?");
  remaining = 10;
  const response = await gateway.ask("chat", "anything", false);
  expect(response.headers.get("x-clutch-served-by")).toBe("other:good");
  expect(response.headers.get("x-clutch-attempts")).toBe("1");
  // A second look within five minutes is not taken.
  await send(gateway.url, "/admin/quota");
  expect(looks).toEqual(["Bearer sk-or"]);
});

describe("clutch breakers and clutch quota", () => {
  const port = (url: string) => ({ CLUTCH_PORT: new URL(url).port });

  test("ask the running gateway, which forgets what it is told to", async () => {
    await using gateway = await startTestGateway(setup);
    await askOnce(gateway);
    const env = port(gateway.url);
    const listed = await runClutch(gateway.home, ["breakers"], env);
    expect([listed.code, listed.stderr]).toEqual([0, ""]);
    expect(listed.stdout).toMatch(/^what {10}state/);
    expect(listed.stdout).toMatch(
      /\nchat:limited {2}open .* in (?:2 min|1\d\d s) \(the upstream says\) {2}rate-limit: slow down\n/,
    );
    const known = JSON.parse((await runClutch(gateway.home, ["breakers", "--json"], env)).stdout);
    expect(known).toMatchObject({ source: "gateway", breakers: [{ id: "model:chat:limited", state: "open" }] });
    const quota = await runClutch(gateway.home, ["quota"], env);
    expect(quota.stdout).toContain("  other:good  1 of 10 requests of this minute\n");
    expect(JSON.parse((await runClutch(gateway.home, ["quota", "--json"], env)).stdout)).toMatchObject({
      source: "gateway",
      limits: [{ model: "other:good", used: 1 }],
    });
    const missed = await runClutch(gateway.home, ["breakers", "reset", "nobody"], env);
    expect([missed.code, missed.stderr]).toEqual([
      1,
      'clutch: nothing that is out of order matches "nobody": name one of these, or all: chat:limited\n',
    ]);
    const reset = await runClutch(gateway.home, ["breakers", "reset", "limited"], env);
    expect([reset.code, reset.stdout]).toEqual([0, "will be tried again: chat:limited\n"]);
    expect(await breakersOf(gateway)).toEqual([]);
    expect((await runClutch(gateway.home, ["breakers"], env)).stdout).toBe("nothing is out of order\n");
  });

  test("show the launch secret where the gateway wants it", async () => {
    await using gateway = await startTestGateway({
      ...setup,
      config: { ...setup.config, server: { port: 0, require_key: true } },
      launchSecret: secret,
    });
    await Bun.write(`${gateway.home}/config.json`, JSON.stringify({ server: { require_key: true } }));
    const env = port(gateway.url);
    const without = await runClutch(gateway.home, ["breakers"], env);
    expect(without.stdout).toContain("refused (HTTP 401: this gateway requires its key here too)");
    await Bun.write(`${gateway.home}/state/launch.key`, `${secret}\n`);
    expect((await runClutch(gateway.home, ["breakers"], env)).stdout).toBe("nothing is out of order\n");
  });

  test("read the ledger without a gateway, and what is reset there is gone at the next start", async () => {
    const home = makeHome();
    const nobody = { CLUTCH_PORT: "1" };
    expect((await runClutch(home, ["breakers", "reset"], nobody)).stdout).toBe("nothing is out of order\n");
    rmSync(home, { recursive: true });
    await using gateway = await startTestGateway(setup);
    await askOnce(gateway);
    await gateway.stop(0);
    const listed = await runClutch(gateway.home, ["breakers"], nobody);
    expect(listed.stdout).toContain("chat:limited");
    expect(listed.stdout).toEndWith("from the ledger, since no gateway answers at http://127.0.0.1:1\n");
    const config = {
      providers: { openrouter: { api_key: "k" } },
      quotas: { "openrouter:m": { max_requests_per_minute: 2 } },
    };
    await Bun.write(`${gateway.home}/config.json`, JSON.stringify(config));
    const quota = await runClutch(gateway.home, ["quota"], nobody);
    expect([quota.code, quota.stderr]).toEqual([0, ""]);
    expect(quota.stdout).toContain("  openrouter:m  0 of 2 requests of this minute\n");
    expect(quota.stdout).toContain("  what is left is not known\n");
    const reset = await runClutch(gateway.home, ["breakers", "reset", "all", "--json"], nobody);
    expect(JSON.parse(reset.stdout)).toEqual({ reset: ["model:chat:limited"], breakers: [] });
    const server = await startServe({ home: gateway.home, args: ["--port", "0"] });
    const after = await runClutch(gateway.home, ["breakers", "--json"], port(server.url));
    server.kill("SIGTERM");
    await server.exited;
    expect(JSON.parse(after.stdout)).toEqual({ breakers: [], source: "gateway" });
  });

  test("leave another home's gateway alone, and do not write beside one that cannot be asked", async () => {
    await using gateway = await startTestGateway(setup);
    await using other = await startTestGateway(setup);
    await askOnce(gateway);
    await askOnce(other);
    const env = port(other.url);
    const listed = await runClutch(gateway.home, ["breakers"], env);
    expect(listed.stdout).toContain(`the gateway at ${other.url} is another home's (${other.home}/clutch.db)`);
    const reset = await runClutch(gateway.home, ["breakers", "reset"], env);
    expect(reset.code).toBe(1);
    expect(reset.stderr).toContain("a gateway runs, but cannot be asked: ");
    expect(reset.stderr).toContain("set CLUTCH_PORT to the port that clutch serve printed");
    expect(await breakersOf(gateway)).toHaveLength(1);
    expect(await breakersOf(other)).toHaveLength(1);
  });
});
