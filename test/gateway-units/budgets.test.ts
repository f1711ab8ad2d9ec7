import { describe, expect, test } from "bun:test";
import { parseConfig } from "../../src/config/schema.ts";
import { Budgets, maxSessions } from "../../src/gateway/budgets.ts";
import type { Key } from "../../src/gateway/keyring.ts";
import type { Caller } from "../../src/gateway/recognise.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";
import type { AttemptRow, RequestRow } from "../../src/store/schema.ts";

const midnight = Date.UTC(2026, 10, 20);
const tomorrow = "2026-11-21 00:00 UTC";
const key: Key = {
  id: "k3j9wq2m",
  name: "laptop",
  budget: { hard_requests: 2 },
  createdAt: 0,
  admitsModel: () => true,
};

function setUp(limits: JsonObject) {
  const clock = { now: midnight + 1000 };
  const lines: string[] = [];
  const { budgets: config } = parseConfig({ budgets: limits }, "test");
  const budgets = new Budgets({
    now: () => clock.now,
    limits: () => config,
    keyOf: (id) => (id === key.id ? key : undefined),
    log: (line) => lines.push(line),
  });
  const end = (row: Partial<RequestRow> = {}) =>
    budgets.ended({
      id: "r",
      startedAt: clock.now,
      status: "completed",
      protocol: "chat",
      streamed: false,
      modelRequested: "m",
      attempts: 1,
      ...row,
    });
  return { clock, lines, budgets, end };
}

function callerOf(details: Partial<Caller> = {}): Caller {
  return { launch: undefined, keepsOwnLogin: false, key: undefined, agent: undefined, session: undefined, ...details };
}

const anybody = callerOf();
const claude = callerOf({ agent: "c", session: "s1" });
const codex = callerOf({ agent: "x", session: "s2" });

describe("Budgets", () => {
  test("without a limit nothing is looked at", () => {
    for (const limits of [{}, { per_day: { hard_usd: 0 } }, { per_agent: { claude: {} } }]) {
      const { budgets, end } = setUp(limits);
      end({ costUsd: 1000 });
      expect(budgets.limits(claude)).toBe(false);
      expect([budgets.judge(claude).refusal, budgets.judge(claude).spent, budgets.judge(claude).note]).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
      expect([budgets.problems(), budgets.list()]).toEqual([[], []]);
    }
  });

  const cases: [
    name: string,
    limits: JsonObject,
    row: Partial<RequestRow>,
    who: Caller,
    message: string | undefined,
  ][] = [
    [
      "a day's money",
      { per_day: { hard_usd: 1 } },
      { costUsd: 1.25 },
      anybody,
      `today's budget is used up: $1.25 of $1 (budgets.per_day.hard_usd). It begins anew at ${tomorrow}; until then, raise the limit`,
    ],
    ["less than that", { per_day: { hard_usd: 1 } }, { costUsd: 0.999 }, anybody, undefined],
    [
      "a day's tokens, from caches or not, reasoning among the output",
      { per_day: { hard_tokens: 15 } },
      { inputTokens: 1, cacheReadTokens: 2, cacheWriteTokens: 4, outputTokens: 8, reasoningTokens: 8 },
      anybody,
      `today's budget is used up: 15 of 15 tokens (budgets.per_day.hard_tokens). It begins anew at ${tomorrow}; until then, raise the limit`,
    ],
    [
      "an agent's requests",
      { per_agent: { claude: { hard_requests: 1 } } },
      { agent: "c" },
      claude,
      `today's budget of Claude Code is used up: 1 of 1 requests (budgets.per_agent.claude.hard_requests). It begins anew at ${tomorrow}; until then, raise the limit`,
    ],
    ["another agent's", { per_agent: { claude: { hard_requests: 1 } } }, { agent: "x" }, claude, undefined],
    [
      "those of every agent that has no row",
      { per_agent: { claude: { hard_requests: 9 }, others: { hard_requests: 1 } } },
      { agent: "x" },
      codex,
      `today's budget of Codex is used up: 1 of 1 requests (budgets.per_agent.codex.hard_requests). It begins anew at ${tomorrow}; until then, raise the limit`,
    ],
    ["each of them by itself", { per_agent: { others: { hard_requests: 1 } } }, { agent: "x" }, claude, undefined],
    [
      "an agent that nobody recognises",
      { per_agent: { others: { hard_requests: 1 } } },
      { agent: null },
      anybody,
      `today's budget of agents that are not recognised is used up: 1 of 1 requests (budgets.per_agent.others.hard_requests). It begins anew at ${tomorrow}; until then, raise the limit`,
    ],
    [
      "a session",
      { per_session: { hard_usd: 2 } },
      { session: "s1", costUsd: 2 },
      claude,
      "this session's budget is used up: $2.00 of $2 (budgets.per_session.hard_usd). It does not begin anew: start another session, or raise the limit",
    ],
    ["another session", { per_session: { hard_usd: 2 } }, { session: "s2", costUsd: 2 }, claude, undefined],
    ["a request that asked nobody", { per_day: { hard_requests: 1 } }, { attempts: 0 }, anybody, undefined],
    ["an unknown price", { per_day: { hard_usd: 0.01 } }, { costUsd: null }, anybody, undefined],
    ["one that failed", { per_day: { hard_requests: 1 } }, { status: "error" }, anybody, "1 of 1 requests"],
  ];
  test.each(cases)("hard: %s", (_name, limits, row, who, message) => {
    const { budgets, end } = setUp(limits);
    expect(budgets.judge(who).refusal).toBeUndefined();
    end(row);
    const refusal = budgets.judge(who).refusal;
    expect(refusal?.kind).toBe(message === undefined ? undefined : "billing");
    expect(refusal?.message ?? "").toContain(message ?? "");
  });

  test("hard: a key's own, where the config has none", () => {
    const { budgets, end } = setUp({});
    const holder = callerOf({ grant: key });
    expect(budgets.limits(holder)).toBe(true);
    for (let request = 0; request < 2; request++) {
      expect(budgets.judge(holder).refusal).toBeUndefined();
      end({ keyId: key.id });
    }
    expect(budgets.judge(holder).note).toBe("hard; requests 2 of 2; per key; resets 2026-11-21T00:00:00.000Z");
    expect(budgets.judge(holder).refusal).toEqual({
      kind: "billing",
      message: `today's budget of the key laptop (k3j9wq2m) is used up: 2 of 2 requests (the key's hard_requests). It begins anew at ${tomorrow}; until then, ask whoever made the key.`,
    });
    expect(budgets.judge(anybody).refusal).toBeUndefined();
  });

  test("soft: only what is free, told once in the log and for as long as it lasts in status", () => {
    const { budgets, end, lines, clock } = setUp({ daily_usd: 3, per_day: { soft_usd: 1, hard_usd: 2 } });
    end({ costUsd: 0.6 });
    expect(budgets.judge(anybody).spent).toBeUndefined();
    end({ costUsd: 0.6 });
    expect(budgets.judge(anybody).spent).toEqual({
      reason: "today's budget for paid models is used up ($1.20 of $1)",
      backAt: midnight + 86_400_000,
    });
    expect(budgets.judge(undefined).spent?.reason).toBe("today's budget for paid models is used up ($1.20 of $1)");
    expect(budgets.judge(anybody).note).toBe("soft; usd 1.2 of 1; per day; resets 2026-11-21T00:00:00.000Z");
    expect(budgets.judge(anybody).refusal).toBeUndefined();
    end({ costUsd: 0.1 });
    const soft = (used: string) =>
      `today's budget: $${used} of $1 (budgets.per_day.soft_usd), so only free models are asked until ${tomorrow}`;
    expect(lines).toEqual([soft("1.20")]);
    expect(budgets.problems()).toEqual([soft("1.30")]);
    end({ costUsd: 1 });
    const hard = `today's budget: $2.30 of $2 (budgets.per_day.hard_usd), so requests are refused until ${tomorrow}`;
    expect(lines).toEqual([soft("1.20"), hard]);
    expect(budgets.problems()).toEqual([hard]);
    clock.now += 86_400_000;
    expect([budgets.problems(), budgets.judge(anybody).spent, budgets.judge(anybody).refusal]).toEqual([
      [],
      undefined,
      undefined,
    ]);
  });

  test("daily_usd is the day's soft limit by its old name", () => {
    const { budgets, end } = setUp({ daily_usd: 1 });
    end({ costUsd: 1 });
    expect(budgets.judge(anybody).spent?.reason).toBe("today's budget for paid models is used up ($1.00 of $1)");
    expect(budgets.judge(anybody).refusal).toBeUndefined();
  });

  test("what is under way counts as a request at once", () => {
    const { budgets, end } = setUp({ per_day: { hard_requests: 2 } });
    const ended = [budgets.enter(anybody), budgets.enter(anybody)];
    expect(budgets.judge(anybody).refusal?.message).toContain("2 of 2 requests");
    // One came to nothing, the other asked a model.
    ended[0]?.();
    ended[0]?.();
    end();
    ended[1]?.();
    expect(budgets.judge(anybody).refusal).toBeUndefined();
    expect(budgets.list()).toMatchObject([{ used: { requests: 1 } }]);
  });

  test("a stream that began yesterday is yesterday's, and a clock that jumps there and back forgets nothing", () => {
    const { budgets, end, clock } = setUp({ per_day: { hard_usd: 1 } });
    end({ startedAt: midnight - 1, costUsd: 9 });
    expect(budgets.judge(anybody).refusal).toBeUndefined();
    end({ costUsd: 1 });
    expect(budgets.judge(anybody).refusal).toBeDefined();
    clock.now += 3 * 86_400_000;
    expect(budgets.judge(anybody).refusal).toBeUndefined();
    clock.now -= 3 * 86_400_000;
    expect(budgets.judge(anybody).refusal).toBeDefined();
  });

  test("an answer that was left and is billed counts, and a cost that is found out later", () => {
    const { budgets, clock } = setUp({ per_day: { soft_tokens: 3, hard_usd: 1 } });
    const row: RequestRow = {
      id: "r",
      startedAt: clock.now,
      status: "pending",
      protocol: "chat",
      streamed: false,
      modelRequested: "m",
      attempts: 2,
    };
    const attempt: AttemptRow = {
      requestId: "r",
      number: 1,
      provider: "p",
      model: "m",
      protocol: "chat",
      startedAt: 0,
      durationMs: 1,
    };
    budgets.attempted(attempt, row);
    budgets.attempted({ ...attempt, inputTokens: 1, outputTokens: 2, costUsd: 0.25 }, row);
    expect(budgets.list()).toMatchObject([{ used: { usd: 0.25, tokens: 3, requests: 0 } }]);
    expect(budgets.judge(anybody).note).toMatch(/^soft; tokens 3 of 3; /);
    row.status = "completed";
    budgets.ended(row);
    budgets.priced({ ...row, costUsd: 0.75, inputTokens: 9 });
    expect(budgets.list()).toMatchObject([{ used: { usd: 1, tokens: 3, requests: 1 } }]);
    expect(budgets.judge(anybody).refusal?.message).toContain("$1.00 of $1");
  });

  test("a request counts whose client left while the first model was being asked", () => {
    const { budgets } = setUp({ per_day: { hard_requests: 1 } });
    const row: RequestRow = {
      id: "r",
      startedAt: midnight,
      status: "aborted",
      protocol: "chat",
      streamed: true,
      modelRequested: "m",
      attempts: 0,
    };
    const attempt: AttemptRow = {
      requestId: "r",
      number: 1,
      provider: "p",
      model: "m",
      protocol: "chat",
      startedAt: midnight,
      durationMs: 1,
      failureKind: "aborted",
    };
    const used = () => budgets.list()[0]?.used.requests;
    budgets.ended(row);
    expect(used()).toBe(0);
    row.attempts = 1;
    budgets.attempted(attempt, row);
    // A second one of the same request, and what the first has cost, are no other requests.
    budgets.attempted({ ...attempt, number: 2 }, row);
    budgets.attempted({ ...attempt, outputTokens: 1 }, row);
    expect(used()).toBe(1);
  });

  test("goes on from what the ledger says", () => {
    const { budgets } = setUp({
      per_day: { hard_requests: 3 },
      per_agent: { codex: { hard_usd: 1 } },
      per_session: { hard_tokens: 5 },
    });
    const spent = { agent: null, keyId: null, usd: 0, tokens: 0, requests: 0, lastAt: midnight };
    budgets.restoreDay([
      { ...spent, agent: "x", usd: 1, requests: 1 },
      { ...spent, agent: "x", keyId: key.id, usd: 0, requests: 1 },
    ]);
    budgets.restoreSessions([{ ...spent, session: "s1", tokens: 5 }]);
    expect(budgets.judge(callerOf({ agent: "q" })).refusal).toBeUndefined();
    expect(budgets.judge(codex).refusal?.message).toContain("Codex is used up: $1.00 of $1");
    expect(budgets.judge(claude).refusal?.message).toContain("this session's budget is used up: 5 of 5 tokens");
    expect(budgets.list().map(({ scope, used }) => [scope.kind, scope.name, used.requests])).toEqual([
      ["day", "", 2],
      ["agent", "x", 2],
      ["key", key.id, 1],
      ["session", "s1", 0],
    ]);
  });

  test("remembers no more sessions than it should, the last of them", () => {
    const { budgets, end, clock } = setUp({ per_session: { hard_requests: 1 } });
    for (let session = 0; session <= maxSessions; session++) end({ session: `s${session}` });
    expect(budgets.list()).toHaveLength(maxSessions);
    expect(budgets.judge(callerOf({ session: "s0" })).refusal).toBeUndefined();
    expect(budgets.judge(callerOf({ session: `s${maxSessions}` })).refusal).toBeDefined();
    expect(budgets.problems()).toHaveLength(5);
    clock.now += 3_600_001;
    expect(budgets.problems()).toEqual([]);
  });

  test.each<[limits: JsonObject, says: string]>([
    [{ per_day: { hard_usd: -1 } }, '"budgets.per_day.hard_usd" is -1'],
    [{ per_day: { hard_tokens: 1.5 } }, '"budgets.per_day.hard_tokens" is 1.5'],
    [{ per_day: { hard_eur: 1 } }, 'unknown key "budgets.per_day.hard_eur"'],
    [{ per_agent: { claud: {} } }, 'unknown key "budgets.per_agent.claud"'],
  ])("%j is refused", (limits, says) => {
    expect(() => parseConfig({ budgets: limits }, "test")).toThrow(says);
  });
});
