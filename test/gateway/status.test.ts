import { describe, expect, test } from "bun:test";
import type { FlightReport } from "../../src/gateway/flights.ts";
import type { GatewayStatus, LineStatus } from "../../src/gateway/status-report.ts";
import type { TierReport } from "../../src/gateway/tier-status.ts";
import { emptyWhole, ledgerUsage, pieces, whole } from "../support/answers.ts";
import { json, type Reply, silent, sse } from "../support/fake-upstream.ts";
import { eventually, startTestGateway, type TestGateway } from "../support/gateway.ts";

const down = json({ error: { message: "down for the moment" } }, 503);
const limited = json({ error: { message: "slow down" } }, 429, { "retry-after": "120" });

async function statusOf(gateway: TestGateway, query = ""): Promise<GatewayStatus> {
  return (await (await fetch(`${gateway.url}/admin/status${query}`)).json()) as GatewayStatus;
}

async function flightsOf(gateway: TestGateway): Promise<FlightReport[]> {
  return (await statusOf(gateway)).requests;
}

/** A reply that says its beginning, and the rest when it is let. */
function held(): { reply: Reply; release(): void } {
  const gate = Promise.withResolvers<void>();
  const { opening, words, ending } = pieces.chat;
  return {
    reply: sse([opening + words("twelve chars"), gate.promise, words("!") + ending]),
    release: gate.resolve,
  };
}

describe("/admin/status tells of a request under way", () => {
  test("whom it waits for, whom it has left, who answers and how far; and nothing once it has ended", async () => {
    const slow = held();
    const gate = Promise.withResolvers<void>();
    await using gateway = await startTestGateway({
      replies: { first: down, second: { ...slow.reply, body: [gate.promise, ...slow.reply.body] } },
      cascade: ["chat:first", "other:second"],
    });
    const answer = gateway.ask("chat", "anything", true, { headers: { authorization: "Bearer xx-xcpf-abc123" } });
    await gateway.upstream.received(2);
    const [waiting] = await flightsOf(gateway);
    expect(waiting).toEqual({
      id: expect.any(String),
      started_at: expect.stringMatching(/^20.*Z$/),
      age_ms: expect.any(Number),
      agent: "x",
      code: "xcpf",
      launch_id: "abc123",
      session: null,
      protocol: "chat",
      streamed: true,
      model_requested: "anything",
      rule: expect.any(String),
      phase: "waiting",
      targets: ["other:second"],
      phase_ms: expect.any(Number),
      left: [{ target: "chat:first", kind: "overloaded" }],
      candidates: 2,
      first_token_ms: null,
      output_tokens_estimate: null,
    });
    gate.resolve();
    await eventually("the beginning of the answer", async () => (await flightsOf(gateway))[0]?.phase === "answering");
    const [answering] = await flightsOf(gateway);
    expect(answering).toMatchObject({ targets: ["other:second"], first_token_ms: expect.any(Number) });
    const reading = answer.then((response) => response.text());
    await eventually("its words", async () => (await flightsOf(gateway))[0]?.output_tokens_estimate === 3);
    slow.release();
    await reading;
    await eventually("its end", async () => (await flightsOf(gateway)).length === 0);
    const { recent, in_flight } = await statusOf(gateway, "?recent=5");
    expect(in_flight).toBe(0);
    expect(recent).toMatchObject([
      {
        id: waiting?.id,
        status: "completed",
        served_by: "other:second",
        code: "xcpf",
        left: [{ target: "chat:first", kind: "overloaded" }],
      },
    ]);
  });

  test("two that are asked beside each other, and then the one that answers", async () => {
    const gate = Promise.withResolvers<void>();
    await using gateway = await startTestGateway({
      replies: { first: silent, second: { ...held().reply, body: [gate.promise, ...held().reply.body] } },
      cascade: ["chat:first", "other:second"],
      config: { hedge: { after_ms: 20 } },
    });
    const leaving = new AbortController();
    const answer = gateway.ask("chat", "anything", true, { signal: leaving.signal });
    await gateway.upstream.received(2);
    expect(await flightsOf(gateway)).toMatchObject([{ phase: "waiting", targets: ["chat:first", "other:second"] }]);
    gate.resolve();
    await answer;
    expect(await flightsOf(gateway)).toMatchObject([{ phase: "answering", targets: ["other:second"] }]);
    leaving.abort();
    await eventually("its end", async () => (await flightsOf(gateway)).length === 0);
  });

  test("that it pauses for a limit that is soon over", async () => {
    await using gateway = await startTestGateway({
      replies: { only: [json({ error: { message: "slow down" } }, 429, { "retry-after": "1" }), json(whole.chat)] },
      cascade: ["chat:only"],
    });
    const answer = gateway.ask("chat", "anything", false);
    await gateway.upstream.received(1);
    await eventually("a pause", async () => (await flightsOf(gateway))[0]?.phase === "pausing");
    expect(await flightsOf(gateway)).toMatchObject([
      { targets: [], phase_ms: null, left: [{ target: "chat:only", kind: "rate-limit" }] },
    ]);
    expect((await answer).status).toBe(200);
  });
});

test("/admin/status tells what each tier is served by, and why not by its first", async () => {
  await using gateway = await startTestGateway({
    replies: { first: limited, second: json(whole.chat) },
    config: (base_url) => ({
      providers: { locked: { protocol: "chat", base_url, api_key: "env:NOT_SET" } },
      model_tiers: {
        BIG: { default: "chat:first", cascade: ["other:second"] },
        MIDDLE: { default: "locked:model", cascade: ["chat:first"] },
        SMALL: { default: "other:second", cascade: [] },
      },
    }),
  });
  expect((await statusOf(gateway)).tiers.map(({ serves }) => serves)).toEqual([
    "chat:first",
    "chat:first",
    "other:second",
  ]);
  await gateway.ask("chat", "clutch-big", false);
  const { tiers, breakers, domains } = await statusOf(gateway);
  const closed = { target: "chat:first", state: "closed", reason: "first is resting: slow down" } as const;
  const back_at = expect.stringMatching(/^20.*Z$/) as unknown as string;
  expect(tiers).toEqual([
    {
      tier: "BIG",
      kind: "tier",
      first: "chat:first",
      serves: "other:second",
      candidates: [
        { ...closed, back_at },
        { target: "other:second", state: "ready", reason: null, back_at: null },
      ],
    },
    {
      tier: "MIDDLE",
      kind: "tier",
      first: "locked:model",
      serves: null,
      candidates: [
        {
          target: "locked:model",
          state: "unsuited",
          reason: expect.stringContaining("NOT_SET") as unknown as string,
          back_at: null,
        },
        { ...closed, back_at },
      ],
    },
    {
      tier: "SMALL",
      kind: "tier",
      first: "other:second",
      serves: "other:second",
      candidates: [{ target: "other:second", state: "ready", reason: null, back_at: null }],
    },
  ] satisfies TierReport[]);
  expect(breakers).toMatchObject([{ what: "chat:first", state: "open", told_by: "upstream" }]);
  expect(domains).toEqual([]);
  await using broke = await startTestGateway({
    replies: { first: json({ error: { message: "no credits left" } }, 402) },
    cascade: ["chat:first"],
  });
  await broke.ask("chat", "clutch-big", false);
  const out = await statusOf(broke);
  expect([out.breakers, out.domains]).toMatchObject([[], [{ id: "account:chat", state: "open" }]]);
});

test("/admin/status counts today's requests, before a restart and after it", async () => {
  const setup = { replies: { good: json(whole.chat), bad: down }, cascade: ["chat:good"] };
  await using gateway = await startTestGateway(setup);
  expect((await statusOf(gateway)).today).toMatchObject({ requests: 0, cost_usd: 0, unpriced_requests: 0 });
  await gateway.ask("chat", "clutch-big", false);
  await gateway.ask("chat", "chat:bad", false);
  const { today } = await statusOf(gateway);
  expect(today).toEqual({
    since: `${new Date().toISOString().slice(0, 10)}T00:00:00.000Z`,
    requests: 2,
    completed: 1,
    errors: 1,
    aborted: 0,
    ...ledgerUsage,
    cost_usd: null,
    unpriced_requests: 1,
    savings: null,
  });
  await gateway.stop(0);
  await using again = await startTestGateway({ ...setup, home: gateway.home });
  expect((await statusOf(again)).today).toEqual(today);
});

test("today's cost is what clutch usage says, answers that were left and are billed included, before a restart and after it", async () => {
  const usage = { prompt_tokens: 40, completion_tokens: 2, total_tokens: 42, cost: 0.25 };
  const empty = json({ ...emptyWhole.chat, usage });
  const setup = {
    replies: { empty, good: json({ ...whole.chat, usage: { ...usage, cost: 0.125 } }) },
    cascade: ["chat:empty", "other:good"],
  };
  await using gateway = await startTestGateway(setup);
  const response = await gateway.ask("chat", "clutch-big", false);
  await gateway.request(response.headers.get("x-clutch-request-id"));
  const sums = { requests: 1, input_tokens: 80, output_tokens: 4, cost_usd: 0.375, unpriced_requests: 0 };
  const usageOfToday = async () => (await (await fetch(`${gateway.url}/admin/usage?period=today`)).json()) as unknown;
  expect(await usageOfToday()).toMatchObject({ totals: sums });
  expect((await statusOf(gateway)).today).toMatchObject(sums);
  await gateway.stop(0);
  await using again = await startTestGateway({ ...setup, home: gateway.home });
  expect((await statusOf(again)).today).toMatchObject(sums);
});

test("/admin/line says what fits into a line, of one launch too", async () => {
  await using gateway = await startTestGateway({
    replies: { first: limited, second: json(whole.chat) },
    cascade: ["chat:first", "other:second"],
  });
  const line = async (query = "") => (await (await fetch(`${gateway.url}/admin/line${query}`)).json()) as LineStatus;
  expect(await line("?launch=abc123")).toEqual({
    database: `${gateway.home}/clutch.db`,
    draining: false,
    problems: 0,
    in_flight: 0,
    tier: { tier: "BIG", first: "chat:first", serves: "chat:first", back_at: null },
    out: 0,
    today: { requests: 0, cost_usd: 0, unpriced_requests: 0 },
    launch: null,
  });
  const headers = { authorization: "Bearer xx-xcpf-abc123" };
  const id = (await gateway.ask("chat", "anything", false, { headers })).headers.get("x-clutch-request-id");
  await gateway.request(id);
  expect(await line("?launch=abc123")).toMatchObject({
    tier: { tier: "BIG", first: "chat:first", serves: "other:second", back_at: expect.stringMatching(/^20/) },
    out: 1,
    today: { requests: 1, cost_usd: null, unpriced_requests: 1 },
    launch: { served_by: "other:second", model_requested: "anything" },
  });
  expect((await line("?launch=other1")).launch).toBeNull();
  expect((await line("?tier=z")).tier).toBeNull();
});
