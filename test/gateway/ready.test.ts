import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import type { Fetch } from "../../providers/upstream.ts";
import { readyReport } from "../../src/gateway/admin-schemas.ts";
import type { ReadyReport } from "../../src/gateway/ready.ts";
import { whole } from "../support/answers.ts";
import { json } from "../support/fake-upstream.ts";
import { type GatewaySetup, startTestGateway, type TestGateway } from "../support/gateway.ts";

const setup: GatewaySetup = {
  replies: {
    good: json(whole.chat),
    limited: json({ error: { message: "slow down" } }, 429, { "retry-after": "120" }),
  },
  cascade: ["chat:good"],
};

async function ready(gateway: TestGateway, headers: Record<string, string> = {}): Promise<[number, ReadyReport]> {
  const response = await fetch(`${gateway.url}/ready`, { headers });
  return [response.status, readyReport.parse(await response.json())];
}

describe("/ready", () => {
  test("says so while database, prices, upstreams and loops are well", async () => {
    await using gateway = await startTestGateway(setup);
    const [status, report] = await ready(gateway);
    expect([status, report.status, report.reasons]).toEqual([200, "ready", []]);
    expect(report.checks).toMatchObject({
      database: { ok: true, waiting_rows: 0, lost_rows: 0 },
      prices: { ok: true, oldest_at: null },
      upstreams: { ok: true, reached: [`127.0.0.1:${gateway.upstream.port}`], not_reached: [] },
      loops: { ok: true, late: [] },
    });
  });

  test.each<[name: string, setup: Partial<GatewaySetup>, reason: RegExp]>([
    ["no model is configured", { cascade: [] }, /^upstreams: for BIG, MIDDLE, SMALL no model is configured$/],
    [
      "nobody listens",
      { cascade: ["dead:x"] },
      /^upstreams: for BIG, MIDDLE, SMALL nobody can be reached \(127\.0\.0\.1:1: ECONNREFUSED\)$/,
    ],
    [
      "money is needed and not allowed",
      { more: ["openrouter"], cascade: ["openrouter:v/dear"], config: { budgets: { allow_paid: false } } },
      /^upstreams: for BIG, MIDDLE, SMALL nobody can be asked \(openrouter:v\/dear: its price is unknown, and budgets\.allow_paid is off\)$/,
    ],
  ])("503 when %s", async (_name, more, reason) => {
    await using gateway = await startTestGateway({ ...setup, ...more });
    const [status, report] = await ready(gateway);
    expect([status, report.status, report.checks?.upstreams.ok]).toEqual([503, "not ready", false]);
    expect(report.reasons?.[0]).toMatch(reason);
  });

  test("one provider that answers is enough, and one whose breaker is open is none", async () => {
    await using gateway = await startTestGateway({ ...setup, cascade: ["dead:x", "chat:limited"] });
    const [before, { checks }] = await ready(gateway);
    expect([before, checks?.upstreams.not_reached]).toEqual([200, ["127.0.0.1:1"]]);
    await (await gateway.ask("chat", "anything", false)).text();
    await (await gateway.ask("chat", "anything", false)).text();
    await (await gateway.ask("chat", "anything", false)).text();
    const [after, { reasons }] = await ready(gateway);
    expect([after, reasons?.join()]).toEqual([
      503,
      expect.stringContaining("upstreams: for BIG, MIDDLE, SMALL nobody can be asked ("),
    ]);
  });

  test("calls on an address at most twice a minute, without a key", async () => {
    const calls: [url: string, headers: unknown][] = [];
    const spy: Fetch = (url, init) => {
      if (init.method === "HEAD") calls.push([String(url), init.headers]);
      return fetch(url, init);
    };
    let now = Date.UTC(2026, 10, 20);
    await using gateway = await startTestGateway({ ...setup, fetch: spy, now: () => now });
    for (let at = 0; at < 3; at++) await ready(gateway);
    const origin = `http://127.0.0.1:${gateway.upstream.port}`;
    expect(calls).toEqual([[origin, undefined]]);
    now += 30_001;
    await ready(gateway);
    expect(calls).toHaveLength(2);
  });

  test("503 while the ledger is refused by the disk, although requests go on", async () => {
    await using gateway = await startTestGateway(setup);
    const other = new Database(`${gateway.home}/clutch.db`);
    other.run("BEGIN IMMEDIATE");
    expect((await gateway.ask("chat", "anything", false)).status).toBe(200);
    let report: ReadyReport | undefined;
    const deadline = Date.now() + 3000;
    while (report?.checks?.database.ok !== false && Date.now() < deadline) [, report] = await ready(gateway);
    expect(report?.reasons?.[0]).toMatch(/^database: the ledger cannot be written, \d+ rows wait$/);
    other.run("ROLLBACK");
    other.close();
    while (report?.checks?.database.ok !== true && Date.now() < deadline) [, report] = await ready(gateway);
    expect(report?.reasons).toEqual([]);
  });

  test("503 where prices are a month old, or a loop stands still", async () => {
    const now = Date.UTC(2026, 10, 20);
    await using gateway = await startTestGateway({
      ...setup,
      now: () => now,
      more: ["openrouter"],
      cascade: ["openrouter:good"],
      modelBook: () => ({
        catalogue: {},
        lists: { openrouter: { list: "openrouter", name: "a list", checkedAt: now - 31 * 86_400_000, models: 1 } },
      }),
      loops: () => [
        { name: "model lists", lastAt: now - 120_000, everyMs: 2_000 },
        { name: "another", lastAt: now - 5_000, everyMs: 2_000 },
      ],
    });
    const [status, report] = await ready(gateway);
    expect(status).toBe(503);
    expect(report.reasons).toEqual([
      "prices: those of openrouter are 31 days old, since no newer list could be fetched",
      "loops: model lists has not come round since 2026-11-19T23:58:00.000Z",
    ]);
    expect(report.checks).toMatchObject({
      prices: { oldest_at: "2026-10-20T00:00:00.000Z" },
      loops: { late: ["model lists"] },
    });
  });

  test("tells strangers no more than whether", async () => {
    const config = { server: { port: 0, require_key: true } };
    await using gateway = await startTestGateway({ ...setup, cascade: [], config, launchSecret: "s3cret" });
    expect(await ready(gateway)).toEqual([503, { status: "not ready" }]);
    const [, told] = await ready(gateway, { authorization: "Bearer xx-cip-k3j9-s3cret" });
    expect(told.reasons).toHaveLength(1);
  });
});
