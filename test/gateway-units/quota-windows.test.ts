import { expect, test } from "bun:test";
import type { Candidate } from "../../src/gateway/health.ts";
import { type QuotaRule, QuotaWindows } from "../../src/gateway/quota-windows.ts";

const start = 1_000_000;
const candidate: Candidate = { provider: "p", model: "m", keyId: undefined, hasOtherKeys: false, pool: undefined };

/** Asks at each time (s), and tells who was let through, or in how many seconds it may come back. */
function play(rule: QuotaRule, atSeconds: readonly number[]): (number | "sent")[] {
  const windows = new QuotaWindows(() => new Map([["p:m", rule]]));
  return atSeconds.map((seconds) => {
    const now = start + seconds * 1000;
    const refusal = windows.refusal(candidate, now);
    if (refusal !== undefined) return (refusal.backAt - now) / 1000;
    windows.spend(candidate, now);
    return "sent";
  });
}

test.each<[name: string, rule: QuotaRule, at: number[], expected: (number | "sent")[]]>([
  ["no limit", { cooldown_seconds: 10 }, [0, 0, 0], ["sent", "sent", "sent"]],
  [
    "two a minute",
    { max_requests_per_minute: 2 },
    [0, 10, 20, 59.9, 60, 61],
    ["sent", "sent", 40, expect.closeTo(0.1), "sent", 9],
  ],
  ["the window slides", { max_requests_per_minute: 2 }, [0, 30, 60, 61, 90], ["sent", "sent", "sent", 29, "sent"]],
  [
    "a rest that is shorter than the window",
    { max_requests_per_minute: 2, cooldown_seconds: 10 },
    [0, 0, 1, 11, 60],
    ["sent", "sent", 59, 49, "sent"],
  ],
  [
    "a rest that is longer",
    { max_requests_per_minute: 2, cooldown_seconds: 90 },
    [0, 0, 1, 61, 90],
    ["sent", "sent", 89, 29, "sent"],
  ],
])("%s", (_name, rule, at, expected) => {
  expect(play(rule, at)).toEqual(expected);
});

test("a request that cost nothing is taken back, with the rest that it began", () => {
  const windows = new QuotaWindows(() => new Map([["p:m", { max_requests_per_minute: 2, cooldown_seconds: 600 }]]));
  windows.spend(candidate, start);
  const refund = windows.spend(candidate, start + 1);
  expect(windows.refusal(candidate, start + 2)?.backAt).toBe(start + 1 + 600_000);
  refund();
  expect(windows.refusal(candidate, start + 2)).toBeUndefined();
  expect(windows.list(start + 2)).toEqual([{ model: "p:m", limit: 2, used: 1, restsUntil: 0 }]);
});

test("each model counts for itself, and only those that the config names", () => {
  const windows = new QuotaWindows(
    () =>
      new Map([
        ["p:m", { max_requests_per_minute: 1 }],
        ["nobody:knows", {}],
      ]),
  );
  windows.spend(candidate, start);
  expect(windows.refusal(candidate, start)).toEqual({
    reason: "m has had its 1 requests of this minute (quotas in the config)",
    kind: "rate-limit",
    backAt: start + 60_000,
  });
  expect(windows.refusal({ ...candidate, model: "other" }, start)).toBeUndefined();
  expect(windows.refusal({ ...candidate, provider: "other" }, start)).toBeUndefined();
  expect(windows.list(start).map(({ model }) => model)).toEqual(["p:m"]);
});

test("a changed config counts at once", () => {
  let limit = 1;
  const windows = new QuotaWindows(() => new Map([["p:m", { max_requests_per_minute: limit }]]));
  windows.spend(candidate, start);
  expect(windows.refusal(candidate, start)).toBeDefined();
  limit = 2;
  expect(windows.refusal(candidate, start)).toBeUndefined();
});
