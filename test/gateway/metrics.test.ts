import { describe, expect, test } from "bun:test";
import { skipAloud } from "../../agent-tests/skip-aloud.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";
import { whole } from "../support/answers.ts";
import { json } from "../support/fake-upstream.ts";
import { eventually, type GatewaySetup, startTestGateway, type TestGateway } from "../support/gateway.ts";

const answer = whole.chat as JsonObject;
const setup: GatewaySetup = {
  replies: {
    limited: json({ error: { message: "slow down" } }, 429, { "retry-after": "120" }),
    good: json({ ...answer, usage: { ...(answer["usage"] as JsonObject), cost: 0.25 } }),
    broken: json({ error: { message: "broken" } }, 500),
  },
  cascade: ["chat:limited", "other:good"],
  config: { budgets: { per_day: { hard_usd: 100 }, per_agent: { codex: { hard_requests: 1 } } } },
};

async function scrape(gateway: TestGateway, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(`${gateway.url}/metrics`, { headers });
  expect([response.status, response.headers.get("content-type")]).toEqual([
    200,
    "text/plain; version=0.0.4; charset=utf-8",
  ]);
  return response.text();
}

/** `name{labels}` -> value. */
function read(text: string): Record<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]),
  );
}

/** Traffic of every kind: answered, failed over, failed, refused, over budget. */
async function makeTraffic(gateway: TestGateway): Promise<void> {
  const codex = { headers: { "user-agent": "codex/1" } };
  for (const stream of [false, true]) await (await gateway.ask("messages", "anything", stream)).text();
  await (await gateway.ask("responses", "anything", false, codex)).text();
  expect((await gateway.ask("responses", "anything", false, codex)).status).toBe(402);
  expect((await gateway.ask("chat", "chat:broken", false)).status).toBe(502);
  expect((await fetch(`${gateway.url}/v1/chat/completions`, { method: "POST", body: "{" })).status).toBe(400);
  const forged = { authorization: `Bearer clutch-22222222-${"a".repeat(43)}` };
  expect((await gateway.ask("chat", "anything", false, { headers: forged })).status).toBe(401);
  // Rows are finished behind the answers.
  await eventually("the metrics of all", async () => read(await scrape(gateway))["clutch_in_flight_requests"] === 0);
}

describe("/metrics", () => {
  test("counts what came and what became of it", async () => {
    await using gateway = await startTestGateway(setup);
    await makeTraffic(gateway);
    const values = read(await scrape(gateway));
    expect(values).toMatchObject({
      'clutch_requests_total{protocol="messages",status="completed",code="200"}': 2,
      'clutch_requests_total{protocol="responses",status="completed",code="200"}': 1,
      'clutch_requests_total{protocol="chat",status="error",code="502"}': 1,
      'clutch_agent_requests_total{agent="codex"}': 1,
      'clutch_agent_requests_total{agent="unknown"}': 3,
      'clutch_refused_requests_total{kind="billing"}': 1,
      'clutch_refused_requests_total{kind="invalid-request"}': 1,
      'clutch_refused_requests_total{kind="authentication"}': 1,
      // Once; then its breaker is open.
      'clutch_attempts_total{outcome="rate-limit"}': 1,
      'clutch_attempts_total{outcome="answered"}': 3,
      'clutch_attempts_total{outcome="upstream"}': 1,
      'clutch_breakers{state="open"}': 1,
      'clutch_request_duration_seconds_count{protocol="messages"}': 2,
      'clutch_first_token_seconds_bucket{protocol="messages",le="+Inf"}': 2,
      'clutch_budgets_reached{scope="agent",level="hard"}': 1,
      'clutch_budget_used_ratio{agent="codex",level="hard",unit="requests"}': 1,
      clutch_ledger_lost_rows_total: 0,
      clutch_in_flight_requests: 0,
      clutch_draining: 0,
      clutch_problems: 1,
    });
    expect(values["clutch_cost_usd_total"]).toBeCloseTo(0.75);
    expect(values['clutch_tokens_total{kind="input"}']).toBeGreaterThan(0);
    expect(values["process_resident_memory_bytes"]).toBeGreaterThan(1e6);
  });

  test("has a bounded number of series, whatever the requests are called", async () => {
    await using gateway = await startTestGateway({
      ...setup,
      replies: (call: { model: string }) => (call.model.startsWith("x") ? json(answer, 200) : json({}, 404)),
    } as never);
    const before = (await scrape(gateway)).split("\n").length;
    for (let at = 0; at < 40; at++) {
      const headers = { "user-agent": `agent-${at}/1`, "x-session-id": `session-${at}` };
      await (await gateway.ask("chat", `chat:model-${at}`, false, { headers })).text();
    }
    const text = await scrape(gateway);
    expect(text.split("\n").length - before).toBeLessThan(60);
    expect(text).not.toMatch(/model-\d|session-\d|agent-\d/);
  });

  test("is for whoever may use the gateway", async () => {
    const config = { server: { port: 0, require_key: true } };
    await using gateway = await startTestGateway({ ...setup, config, launchSecret: "s3cret" });
    expect((await fetch(`${gateway.url}/metrics`)).status).toBe(401);
    const text = await scrape(gateway, { authorization: "Bearer xx-cip-k3j9-s3cret" });
    expect(text).toContain("clutch_build_info");
  });

  const promtool = Bun.which("promtool");
  if (promtool === null) skipAloud("is accepted by promtool", "promtool (Debian's prometheus) is not on PATH");
  else
    test("is accepted by promtool", async () => {
      await using gateway = await startTestGateway(setup);
      const texts = [await scrape(gateway)];
      await makeTraffic(gateway);
      texts.push(await scrape(gateway));
      for (const text of texts) {
        const checked = Bun.spawnSync([promtool, "check", "metrics"], { stdin: Buffer.from(text) });
        expect([checked.exitCode, checked.stdout.toString() + checked.stderr.toString()]).toEqual([0, ""]);
      }
    });
});
