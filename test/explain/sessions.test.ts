import { expect, test } from "bun:test";
import { reportSession } from "../../src/explain/sessions.ts";
import { reportUsage } from "../../src/explain/usage.ts";
import { noSums, type Sums } from "../../src/store/rollup.ts";

const of = (sums: Partial<Sums>) => ({ ...noSums, ...sums });

/** What a person paid is the same whether it is told by session or by day. */
const costs: [name: string, sums: Sums, expected: number | null][] = [
  ["nobody was asked", of({}), 0],
  ["nobody has answered", of({ requests: 2, errors: 2 }), 0],
  ["an answer without a price", of({ requests: 1, completed: 1, unpriced: 1 }), null],
  ["one without a price beside requests that nobody answered", of({ requests: 4, errors: 3, unpriced: 1 }), null],
  ["an answer and one that was left, both without a price", of({ requests: 1, unpriced: 2 }), null],
  ["one without a price beside a free one", of({ requests: 2, unpriced: 1, free: 1 }), 0],
  ["one without a price beside one of a plan", of({ requests: 2, unpriced: 1, plan: 1 }), 0],
  ["one without a price beside a paid one", of({ requests: 2, unpriced: 1, costUsd: 0.25 }), 0.25],
  ["what adding up leaves behind", of({ requests: 2, costUsd: 0.1 + 0.2 }), 0.3],
];

for (const [name, sums, expected] of costs) {
  test(`a session's cost and a day's: ${name}`, () => {
    const session = { session: "s", agent: "c", folder: "", launchId: "", firstAt: 0, lastAt: 0, ...sums };
    expect(reportSession(session).cost_usd).toBe(expected);
    const day = reportUsage([{ key: "s", ...sums }], { fromDay: 1, toDay: 1 }, "session");
    expect([day.totals.cost_usd, day.rows[0]?.cost_usd]).toEqual([expected, expected]);
  });
}
