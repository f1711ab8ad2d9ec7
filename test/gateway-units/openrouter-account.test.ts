import { describe, expect, test } from "bun:test";
import { buildProviders } from "../../providers/registry.ts";
import { parseConfig } from "../../src/config/schema.ts";
import { type Circuit, closed } from "../../src/gateway/circuit.ts";
import { freePool, Health } from "../../src/gateway/health.ts";
import {
  type AccountFacts,
  judge,
  lookEveryMs,
  OpenRouterAccount,
  parseAccount,
} from "../../src/gateway/openrouter-account.ts";
import type { Json } from "../../src/protocols/chat.ts";

const noon = Date.parse("2026-11-20T12:00:00Z");
const midnight = Date.parse("2026-11-21T00:00:00Z");

describe("parseAccount()", () => {
  const daily = { limit: 50, used: 12, remaining: 38 };
  const cases: [body: Json | undefined, facts: AccountFacts | undefined][] = [
    [
      { data: { limit_remaining: 3.2, is_free_tier: false, free_model_daily_requests: daily } },
      { free: daily, credit: 3.2, isFreeTier: false },
    ],
    [
      { data: { limit_remaining: null, is_free_tier: true, free_model_daily_requests: { limit: 50, used: 60 } } },
      { free: { limit: 50, used: 60, remaining: 0 }, credit: null, isFreeTier: true },
    ],
    [
      { data: { free_model_daily_requests: { limit: 1000, remaining: 990 } } },
      { free: { limit: 1000, used: 10, remaining: 990 }, credit: null, isFreeTier: false },
    ],
    [{ data: { free_model_daily_requests: { limit: "50" } } }, { credit: null, isFreeTier: false }],
    [{ data: { free_model_daily_requests: null, limit_remaining: "3" } }, { credit: null, isFreeTier: false }],
    [{ error: "no" }, undefined],
    [[], undefined],
    [undefined, undefined],
  ];
  test.each(cases)("%o", (body, facts) => {
    expect(parseAccount(body)).toEqual(facts);
  });
});

describe("judge()", () => {
  const facts = (remaining: number | undefined, more: Partial<AccountFacts> = {}): AccountFacts => ({
    ...(remaining !== undefined && { free: { limit: 50, used: 50 - remaining, remaining } }),
    credit: 0,
    isFreeTier: true,
    ...more,
  });
  const shut = (more: Partial<Circuit>): Circuit => ({
    ...closed,
    openings: 1,
    openedAt: noon - 120_000,
    until: midnight,
    kind: "quota",
    reason: "Rate limit exceeded: free-models-per-day",
    ...more,
  });
  const unpaid = (more: Partial<Circuit> = {}) => shut({ kind: "billing", reason: "no credits", ...more });
  const left = { id: freePool, why: "38 of today's free requests are left" };
  const paid = { id: "account:openrouter", why: "the account has more to spend than before" };

  interface Case {
    name: string;
    before?: AccountFacts;
    after: AccountFacts;
    free?: Circuit;
    account?: Circuit;
    shut?: string;
    open?: { id: string; why: string }[];
  }
  const cases: Case[] = [
    { name: "all is well", after: facts(38) },
    { name: "nothing is left", after: facts(0), shut: "50 of today's 50 free requests are used" },
    { name: "nothing is left, and that is known", after: facts(0), free: shut({}) },
    {
      name: "nothing is left, and it is shut for a moment only",
      after: facts(0),
      free: shut({ until: noon + 1000 }),
      shut: "50 of today's 50 free requests are used",
    },
    { name: "it is not told what is left", after: facts(undefined), free: shut({}) },
    { name: "some are left again", after: facts(38), free: shut({}), open: [left] },
    {
      name: "some are left again of what Clutch itself has shut",
      after: facts(38),
      free: shut({ reason: "50 of today's 50 free requests are used" }),
      open: [left],
    },
    {
      name: "some are left, but OpenRouter has just said otherwise",
      after: facts(38),
      free: shut({ openedAt: noon - 59_000 }),
    },
    {
      name: "some of the day are left, none of the minute",
      after: facts(38),
      free: shut({ kind: "rate-limit", reason: "Rate limit exceeded: free-models-per-min" }),
    },
    { name: "unpaid, and nothing is known of before", after: facts(38, { credit: 5 }), account: unpaid() },
    { name: "unpaid as before", before: facts(38), after: facts(38), account: unpaid() },
    {
      name: "money is there",
      before: facts(38),
      after: facts(38, { credit: 5 }),
      account: unpaid(),
      open: [paid],
    },
    {
      name: "a debt has become smaller",
      before: facts(38, { credit: -5 }),
      after: facts(38, { credit: -1 }),
      account: unpaid(),
    },
    {
      name: "the key's limit was lifted",
      before: facts(38),
      after: facts(38, { credit: null }),
      account: unpaid(),
      open: [paid],
    },
    {
      name: "money was paid in for the first time",
      before: facts(38, { credit: null }),
      after: facts(38, { credit: null, isFreeTier: false }),
      account: unpaid(),
      open: [paid],
    },
    {
      name: "money is there, but it was another thing that shut the account",
      before: facts(38),
      after: facts(38, { credit: 5 }),
      account: shut({}),
    },
  ];
  test.each(cases.map((row) => [row.name, row] as const))("%s", (_name, row) => {
    const { before, after, free, account } = row;
    expect(judge(before, after, { free, account }, noon)).toEqual({ shut: row.shut, open: row.open ?? [] });
  });
});

describe("the account at OpenRouter", () => {
  const key = (remaining: number, credit: number | null = null) => ({
    data: {
      limit_remaining: credit,
      is_free_tier: false,
      free_model_daily_requests: { limit: 50, used: 50 - remaining, remaining },
    },
  });

  function scene(more: { keys?: string[]; url?: string; used?: boolean } = {}) {
    let now = noon;
    let used = more.used ?? true;
    let answers: (Json | number)[] = [key(38)];
    const asked: string[] = [];
    const lines: string[] = [];
    const own = { api_keys: more.keys ?? ["k1"], headers: { "x-team": "a" }, ...(more.url && { base_url: more.url }) };
    const providers = buildProviders(parseConfig({ providers: { openrouter: own } }, "test"), (spec) =>
      spec.startsWith("env:") ? undefined : spec,
    );
    const health = new Health({
      now: () => now,
      policy: () => ({ failures: 3, cooldownMs: 60_000, maxCooldownMs: 3_600_000 }),
      quotas: () => new Map(),
      onChange() {},
    });
    const account = new OpenRouterAccount({
      async fetch(url, init) {
        const headers = new Headers(init?.headers);
        asked.push(`${url} ${headers.get("authorization")} ${headers.get("x-team")}`);
        const answer = answers.length > 1 ? answers.shift() : answers[0];
        if (typeof answer === "number") return new Response("<html>", { status: answer });
        return Response.json(answer);
      },
      now: () => now,
      provider: () => providers.get("openrouter"),
      health,
      wasUsed: async () => used,
      log: (line) => lines.push(line),
    });
    return {
      account,
      health,
      asked,
      lines,
      state: () => health.list().map(({ id, circuit }) => [id, circuit.until]),
      pass(ms: number) {
        now += ms;
      },
      answer(...next: (Json | number)[]) {
        answers = next;
      },
      use(isUsed: boolean) {
        used = isUsed;
      },
    };
  }

  test("is asked beside the models' endpoint, at most every five minutes, and only while it is in use", async () => {
    const { account, asked, pass, use } = scene();
    await account.tick();
    await account.tick();
    pass(lookEveryMs - 1);
    await account.look();
    expect(asked).toEqual(["https://openrouter.ai/api/v1/key Bearer k1 a"]);
    expect(account.view()).toEqual({
      askedAt: noon,
      facts: { free: { limit: 50, used: 12, remaining: 38 }, credit: null, isFreeTier: false },
      error: undefined,
    });
    pass(1);
    use(false);
    await account.tick();
    expect(asked).toHaveLength(1);
    use(true);
    await account.tick();
    expect(asked).toHaveLength(2);
  });

  test("is not asked without a key", async () => {
    const { account, asked } = scene({ keys: [] });
    await account.tick();
    await account.look();
    expect(asked).toEqual([]);
  });

  test("shuts the free models for the rest of the day, and opens them when there are more", async () => {
    const { account, health, answer, pass, state, lines, use } = scene();
    const candidate = { provider: "openrouter", keyId: "#1", hasOtherKeys: false };
    answer(key(0));
    await account.tick();
    expect(state()).toEqual([[freePool, midnight]]);
    expect(health.refusal({ ...candidate, model: "a:free", pool: "free" })).toMatchObject({
      reason: "the free models of openrouter are resting: 50 of today's 50 free requests are used",
      backAt: midnight,
    });
    expect(health.refusal({ ...candidate, model: "a", pool: undefined })).toBeUndefined();
    // Nobody asks OpenRouter now, which is why it has to be looked at.
    use(false);
    pass(lookEveryMs);
    await account.tick();
    expect(health.list()[0]?.circuit).toMatchObject({ openings: 1, openedAt: noon });
    answer(key(950));
    pass(lookEveryMs);
    await account.tick();
    expect(state()).toEqual([]);
    expect(lines).toEqual([
      "the free models of openrouter are closed until 00:00 UTC: 50 of today's 50 free requests are used",
      "free:openrouter is open again: 950 of today's free requests are left",
    ]);
  });

  test("shuts nothing while one of several keys has some left, or has not told", async () => {
    const { account, answer, asked, pass, state } = scene({ keys: ["k1", "k2"] });
    answer(key(0), key(3));
    await account.tick();
    expect(asked).toHaveLength(2);
    expect(state()).toEqual([]);
    expect(account.view().facts?.free?.remaining).toBe(3);
    pass(lookEveryMs);
    answer(key(0), 500);
    await account.tick();
    expect(state()).toEqual([]);
    expect(account.view()).toMatchObject({ error: "it answered 500", facts: { free: { remaining: 0 } } });
    pass(lookEveryMs);
    answer(key(0));
    await account.tick();
    expect(state()).toEqual([[freePool, midnight]]);
  });

  test("is left alone for an hour where it cannot be asked", async () => {
    const { account, answer, asked, pass } = scene({ url: "http://127.0.0.1:1/proxy" });
    answer(404);
    await account.tick();
    expect(account.view()).toEqual({ askedAt: noon, facts: undefined, error: "it answered 404" });
    pass(3_599_000);
    await account.tick();
    expect(asked).toEqual(["http://127.0.0.1:1/proxy/v1/key Bearer k1 a"]);
    pass(1_000);
    await account.tick();
    expect(asked).toHaveLength(2);
  });

  test("tells what was wrong with an answer", async () => {
    const { account, answer, pass } = scene();
    answer({ nothing: true });
    await account.tick();
    expect(account.view().error).toBe("its answer was not understood");
    pass(lookEveryMs);
    answer(401);
    await account.tick();
    expect(account.view().error).toBe("it answered 401");
  });
});
