import { describe, expect, test } from "bun:test";
import {
  countFree,
  forecastEnd,
  limitsFromLedger,
  type QuotaFacts,
  renderQuota,
  reportQuota,
} from "../../src/explain/quota.ts";
import { plainPaint } from "../../src/explain/table.ts";
import { closed } from "../../src/gateway/circuit.ts";
import type { AttemptCount } from "../../src/store/lookups.ts";

const now = Date.parse("2026-11-20T10:42:07Z");

const plain: QuotaFacts = { limits: [], circuits: [], account: undefined, sentLastHour: 0, sentToday: 0, now };

const shut = { ...closed, openings: 1, openedAt: now - 5_000, until: now + 295_000, kind: "billing" } as const;

const facts = (remaining: number) => ({
  free: { limit: 50, used: 50 - remaining, remaining },
  credit: 3.2,
  isFreeTier: false,
});

const cases: [name: string, facts: Partial<QuotaFacts>, told: string][] = [
  [
    "nothing configured",
    {},
    `
limits of the config
  none: set quotas to stay below what a provider allows

OpenRouter's free models, all together
  not in use: there is no key for openrouter`,
  ],
  [
    "limits, a closed account beside a model's own breaker, and a pool that ends before midnight",
    {
      limits: [
        { model: "chat:good", limit: 10, used: 2, restsUntil: 0 },
        { model: "openrouter:a/b:free", limit: 3, used: 3, restsUntil: now + 40_000 },
      ],
      circuits: [
        { id: "account:other", circuit: { ...shut, reason: "pay first" } },
        { id: "model:chat:m", circuit: shut },
        { id: "provider:chat", circuit: { ...closed, weight: 1 } },
      ],
      account: { askedAt: now - 120_000, facts: facts(38), error: undefined },
      sentLastHour: 8,
      sentToday: 13,
    },
    `
limits of the config
  chat:good            2 of 10 requests of this minute
  openrouter:a/b:free  3 of 3 requests of this minute   rests until 10:42:47 UTC

closed
  what                  state  since         back                              why
  the account at other  open   10:42:02 UTC  10:47:02 UTC, in 5 min (a guess)  billing: pay first

OpenRouter's free models, all together
  12 of 50 requests of today are used, 38 left (asked 2 min ago)
  Clutch has sent 13 today, 8 in the last hour
  at this rate the free pool ends 15:27 UTC; it resets 00:00 UTC, in 13 h
  the key may still spend $3.20`,
  ],
  [
    "a pool that lasts",
    { account: { askedAt: now - 500, facts: { ...facts(38), credit: null }, error: undefined }, sentLastHour: 1 },
    `
limits of the config
  none: set quotas to stay below what a provider allows

OpenRouter's free models, all together
  12 of 50 requests of today are used, 38 left (asked 500 ms ago)
  Clutch has sent 0 today, 1 in the last hour
  at this rate the free pool lasts until then: it resets 00:00 UTC, in 13 h`,
  ],
  [
    "a pool that is used up",
    { account: { askedAt: now, facts: facts(0), error: "it answered 500" }, sentLastHour: 9, sentToday: 50 },
    `
limits of the config
  none: set quotas to stay below what a provider allows

OpenRouter's free models, all together
  50 of 50 requests of today are used, 0 left (asked 0 ms ago)
  OpenRouter was asked, but it answered 500
  Clutch has sent 50 today, 9 in the last hour
  the free pool is used up; it resets 00:00 UTC, in 13 h
  the key may still spend $3.20`,
  ],
  [
    "a pool that nobody has asked about",
    { account: { askedAt: undefined, facts: undefined, error: undefined }, sentLastHour: 9, sentToday: 50 },
    `
limits of the config
  none: set quotas to stay below what a provider allows

OpenRouter's free models, all together
  what is left is not known
  Clutch has sent 50 today, 9 in the last hour
  it resets 00:00 UTC, in 13 h`,
  ],
];

describe("clutch quota shows", () => {
  test.each(cases)("%s", (_name, more, told) => {
    expect(renderQuota(reportQuota({ ...plain, ...more }), now, plainPaint)).toBe(told.trimStart());
  });

  test("the same as JSON", () => {
    const account = { askedAt: now - 120_000, facts: facts(38), error: undefined };
    const limits = [{ model: "chat:good", limit: 10, used: 2, restsUntil: now + 1000 }];
    expect(reportQuota({ ...plain, limits, account, sentLastHour: 8, sentToday: 13 })).toEqual({
      limits: [{ model: "chat:good", requests_per_minute: 10, used: 2, back_at: "2026-11-20T10:42:08.000Z" }],
      closed: [],
      openrouter: {
        asked_at: "2026-11-20T10:40:07.000Z",
        error: null,
        limit: 50,
        used: 12,
        remaining: 38,
        resets_at: "2026-11-21T00:00:00.000Z",
        credit_usd: 3.2,
        sent_last_hour: 8,
        sent_today: 13,
        ends_at: "2026-11-20T15:27:07.000Z",
      },
    });
  });
});

test.each([
  [null, 8, undefined],
  [0, 8, undefined],
  [38, 0, undefined],
  // 13.3 hours are left of the day.
  [133, 10, undefined],
  [132, 10, now + 13.2 * 3_600_000],
])("forecastEnd(%p left, %p an hour)", (remaining, sent, endsAt) => {
  expect(forecastEnd(remaining, sent, now)).toBe(endsAt);
});

const counts: AttemptCount[] = [
  { provider: "openrouter", model: "a:free", failureKind: null, count: 5 },
  { provider: "openrouter", model: "a:free", failureKind: "empty", count: 2 },
  { provider: "openrouter", model: "a:free", failureKind: "network", count: 4 },
  { provider: "openrouter", model: "a:free", failureKind: "no longer a kind", count: 8 },
  { provider: "openrouter", model: "a", failureKind: null, count: 16 },
  { provider: "other", model: "a:free", failureKind: null, count: 32 },
];

test("countFree() counts what reached a free model of OpenRouter", () => {
  expect(countFree(counts)).toBe(7);
});

test("limitsFromLedger() counts what the config limits", () => {
  const rules = new Map([
    ["openrouter:a:free", { max_requests_per_minute: 20 }],
    ["other:unasked", { max_requests_per_minute: 1 }],
    ["other:a:free", { cooldown_seconds: 5 }],
  ]);
  expect(limitsFromLedger(rules, counts)).toEqual([
    { model: "openrouter:a:free", limit: 20, used: 7, restsUntil: 0 },
    { model: "other:unasked", limit: 1, used: 0, restsUntil: 0 },
  ]);
});
