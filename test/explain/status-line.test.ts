import { describe, expect, test } from "bun:test";
import { type LineInput, renderLine } from "../../src/explain/status-line.ts";
import { plainPaint } from "../../src/explain/table.ts";
import type { LineStatus } from "../../src/gateway/status-report.ts";

const quiet: LineStatus = {
  database: "/home/x/clutch.db",
  draining: false,
  problems: 0,
  in_flight: 0,
  tier: { tier: "BIG", first: "openrouter:vendor/one:free", serves: "openrouter:vendor/one:free", back_at: null },
  out: 0,
  today: { requests: 0, cost_usd: 0, unpriced_requests: 0 },
  launch: null,
};
const instead = { ...quiet.tier, tier: "BIG", first: "openrouter:vendor/one:free", serves: "other:two", back_at: null };
const served = (by: string) => ({ served_by: by, model_requested: "x", at: "2026-11-20T10:00:00.000Z" });
const up = (line: Partial<LineStatus>): LineInput => ({ kind: "up", line: { ...quiet, ...line } });

describe("renderLine()", () => {
  const cases: [name: string, input: LineInput, line: string][] = [
    ["a quiet gateway", up({}), "openrouter:vendor/one:free · 0 today"],
    [
      "everything at once",
      up({
        draining: true,
        problems: 2,
        in_flight: 3,
        out: 4,
        tier: instead,
        today: { requests: 12_345, cost_usd: 1.5, unpriced_requests: 1 },
      }),
      "shutting down · other:two instead of one:free · 3 under way · 4 out of order · 2 problems · 12.3 k today · $1.50",
    ],
    ["nobody left", up({ tier: { ...instead, serves: null } }), "nobody serves BIG · 0 today"],
    [
      "a launch that was answered by another",
      up({ launch: served("other:two") }),
      "other:two instead of one:free · 0 today",
    ],
    [
      "a launch that was answered by its own",
      up({ tier: instead, launch: served("openrouter:vendor/one:free") }),
      "openrouter:vendor/one:free · 0 today",
    ],
    ["route b before an answer", up({ tier: null }), "clutch · 0 today"],
    ["route b after one", up({ tier: null, launch: served("anthropic:opus") }), "anthropic:opus · 0 today"],
    [
      "an unknown cost",
      up({ today: { requests: 1, cost_usd: null, unpriced_requests: 1 } }),
      "openrouter:vendor/one:free · 1 today",
    ],
    [
      "a model with a terminal's commands in its name",
      up({ tier: { ...instead, first: null, serves: "x:a\x1b]0;b\x07c\n" } }),
      "x:a ]0;b c  · 0 today",
    ],
    [
      "one with the command that clears a screen",
      up({ launch: served("x:a\x1b[2Jb\x9b2Jc"), tier: { ...instead, first: "y:\x1b[2Jd" } }),
      "x:a [2Jb 2Jc instead of  [2Jd · 0 today",
    ],
    ["no gateway", { kind: "down" }, "clutch: the gateway is down (clutch up)"],
    ["a gateway that hangs", { kind: "slow" }, "clutch: the gateway is slow to answer"],
    [
      "somebody else",
      { kind: "foreign", url: "http://127.0.0.1:8082" },
      "clutch: http://127.0.0.1:8082 is not this home's gateway (clutch status)",
    ],
  ];
  test.each(cases)("%s", (_name, input, line) => {
    expect(renderLine(input, plainPaint)).toBe(line);
  });
});
