import { describe, expect, test } from "bun:test";
import { renderUsage } from "../../src/explain/render-usage.ts";
import { plainPaint } from "../../src/explain/table.ts";
import { reportUsage, tabulateUsage } from "../../src/explain/usage.ts";
import { noSums } from "../../src/store/rollup.ts";
import type { GroupedSums } from "../../src/store/usage.ts";

const day = Date.parse("2026-11-20T00:00:00Z") / 86_400_000;
const span = { fromDay: day - 6, toDay: day };

const group = (key: string | number, changes: Partial<GroupedSums>): GroupedSums => ({ ...noSums, key, ...changes });

const groups = [
  group("openrouter:v/free:free", {
    requests: 900,
    completed: 890,
    errors: 4,
    aborted: 6,
    inputTokens: 9_000_000,
    outputTokens: 300_000,
    free: 900,
    moved: 500,
    movedUnknown: 20,
    freeSavedUsd: 12.5,
  }),
  group("", { requests: 3, errors: 3 }),
  group("anthropic:claude-x", {
    requests: 123,
    completed: 123,
    inputTokens: 200_000,
    cacheReadTokens: 1_000_000,
    cacheWriteTokens: 50_000,
    outputTokens: 40_000,
    reasoningTokens: 9_000,
    costUsd: 10.123456789,
    leftUsd: 0.25,
    cascadeSavedUsd: -1,
    tokensBefore: 500_000,
    tokensAfter: 400_000,
    compressed: 5,
    compressionSavedUsd: 0.3,
  }),
  group('mybox:=evil,"model"\u001b[31m', {
    requests: 2,
    completed: 2,
    inputTokens: 10,
    outputTokens: 5,
    unpriced: 2,
    estimated: 1,
  }),
];

describe("reportUsage()", () => {
  test("has the shape that programs rely on", () => {
    const report = reportUsage(groups, span, "model");
    expect(report).toEqual({
      from: "2026-11-14",
      to: "2026-11-20",
      by: "model",
      totals: {
        requests: 1028,
        input_tokens: 9_200_010,
        cache_read_tokens: 1_000_000,
        cache_write_tokens: 50_000,
        output_tokens: 340_005,
        reasoning_tokens: 9000,
        cost_usd: 10.123456789,
        unpriced_requests: 2,
      },
      rows: [
        {
          model: "anthropic:claude-x",
          requests: 123,
          input_tokens: 200_000,
          cache_read_tokens: 1_000_000,
          cache_write_tokens: 50_000,
          output_tokens: 40_000,
          reasoning_tokens: 9000,
          cost_usd: 10.123456789,
          unpriced_requests: 0,
        },
        {
          model: "openrouter:v/free:free",
          requests: 900,
          input_tokens: 9_000_000,
          cache_read_tokens: 0,
          cache_write_tokens: 0,
          output_tokens: 300_000,
          reasoning_tokens: 0,
          cost_usd: 0,
          unpriced_requests: 0,
        },
        {
          model: 'mybox:=evil,"model"\u001b[31m',
          requests: 2,
          input_tokens: 10,
          cache_read_tokens: 0,
          cache_write_tokens: 0,
          output_tokens: 5,
          reasoning_tokens: 0,
          cost_usd: null,
          unpriced_requests: 2,
        },
        {
          model: null,
          requests: 3,
          input_tokens: 0,
          cache_read_tokens: 0,
          cache_write_tokens: 0,
          output_tokens: 0,
          reasoning_tokens: 0,
          cost_usd: 0,
          unpriced_requests: 0,
        },
      ],
      outcomes: {
        completed: 1015,
        errors: 7,
        aborted: 6,
        free_requests: 900,
        plan_requests: 0,
        estimated_requests: 1,
        left_usd: 0.25,
      },
      savings: {
        cascade_usd: -1.25,
        free_usd: 12.5,
        moved_requests: 500,
        unknown_requests: 20,
        compression_usd: 0.3,
        compression_tokens: 100_000,
        compression_share: 0.2,
      },
    });
  });

  test("what nobody can compare is unknown, not zero", () => {
    const { savings, totals } = reportUsage(
      [
        group("p:m", {
          requests: 2,
          unpriced: 2,
          moved: 2,
          movedUnknown: 2,
          compressed: 1,
          compressedUnknown: 1,
          tokensBefore: 10,
          tokensAfter: 5,
        }),
      ],
      span,
      "model",
    );
    expect([totals.cost_usd, savings.cascade_usd, savings.free_usd, savings.compression_usd]).toEqual([
      null,
      null,
      null,
      null,
    ]);
    const nothing = reportUsage([], span, "model");
    expect([nothing.totals.cost_usd, nothing.savings.cascade_usd, nothing.savings.compression_share]).toEqual([
      0,
      0,
      null,
    ]);
  });

  test("days stand in their order", () => {
    const days = [group(day, { requests: 1 }), group(day - 2, { requests: 5, costUsd: 1 })];
    expect(reportUsage(days, span, "day").rows.map((row) => row.day)).toEqual(["2026-11-18", "2026-11-20"]);
  });
});

test("tabulateUsage() has a row for each group, and an empty cell for an unknown cost", () => {
  const [head, ...rows] = tabulateUsage(reportUsage(groups, span, "model"));
  expect(head).toEqual([
    "model",
    "requests",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_usd",
    "unpriced_requests",
  ]);
  expect(rows.map((row) => [row[0], row[7]])).toEqual([
    ["anthropic:claude-x", 10.123456789],
    ["openrouter:v/free:free", 0],
    ['mybox:=evil,"model"\u001b[31m', null],
    [null, 0],
  ]);
});

describe("renderUsage()", () => {
  test("on a terminal, with bars for what it cost", () => {
    expect(renderUsage(reportUsage(groups, span, "model"), 100, plainPaint)).toMatchInlineSnapshot(`
      "2026-11-14 to 2026-11-20 (UTC), by model

      model                     requests  input  cached  output     cost
      anthropic:claude-x             123  1.3 M   1.0 M  40.0 k   $10.12  ████████████████████████
      openrouter:v/free:free         900  9.0 M       0   300 k    $0.00
      mybox:=evil,"model" [31m         2     10       0       5  unknown
      nobody answered                  3      0       0       0    $0.00

      1.0 k requests (7 failed, 6 aborted), 10.3 M tokens in (1.0 M from caches), 340 k out (9.0 k of them reasoning)
      cost $10.12; 900 free, 2 answers without a known price, $0.25 of it for answers that were left
      the tokens of 1 request are estimates
      against the first choice, 500 requests elsewhere: the cascade cost $1.25 more, free models saved $12.50; of 20 requests nobody can tell
      compression took out about 100 k tokens (20 %), worth about $0.30"
    `);
  });

  test("elsewhere without them, and by tokens where nothing costs anything", () => {
    const free = [
      group("c", { requests: 4, inputTokens: 3000, free: 4 }),
      group("", { requests: 1, inputTokens: 1000, free: 1 }),
    ];
    const report = reportUsage(free, span, "agent");
    expect(renderUsage(report, undefined, plainPaint)).not.toContain("█");
    expect(renderUsage(report, 90, plainPaint)).toMatchInlineSnapshot(`
      "2026-11-14 to 2026-11-20 (UTC), by agent

      agent        requests  input  cached  output   cost
      Claude Code         4  3.0 k       0       0  $0.00  ████████████████████████
      unknown             1  1.0 k       0       0  $0.00  ████████

      5 requests, 4.0 k tokens in (0 from caches), 0 out
      cost $0.00; 5 free"
    `);
  });

  test("nothing at all", () => {
    expect(renderUsage(reportUsage([], { fromDay: day, toDay: day }, "folder"), 80, plainPaint)).toBe(
      "2026-11-20 (UTC), by folder\nno requests",
    );
  });

  test("no line is wider than the terminal, and a long list is cut", () => {
    const many = Array.from({ length: 200 }, (_, at) =>
      group(`provider:${"long-name-".repeat(9)}${at}`, { requests: 1, costUsd: at + 1 }),
    );
    const text = renderUsage(reportUsage(many, span, "model"), 80, plainPaint);
    expect(Math.max(...text.split("\n").map((line) => Bun.stringWidth(line)))).toBeLessThanOrEqual(80);
    expect(text).toContain("and 170 more: --csv and --json have all of them");
  });
});
