import { expect, test } from "bun:test";
import {
  exportColumns,
  renderRequests,
  renderTailHead,
  renderTailLine,
  reportRequest,
} from "../../src/explain/requests.ts";
import { plainPaint } from "../../src/explain/table.ts";
import { madeRow } from "../support/ledger-rows.ts";

const now = Date.parse("2026-11-20T13:00:00Z");
const at = Date.parse("2026-11-20T12:00:00Z");
const rows = [
  madeRow(at, "a", {
    agent: "c",
    attempts: 2,
    inputTokens: 10,
    cacheReadTokens: 90,
    outputTokens: 5,
    costUsd: 0.25,
    durationMs: 1200,
  }),
  madeRow(at - 86_400_000, "b", {
    agent: "x",
    modelRequested: "a/very-long-name-of-a-model-that-nobody-asked-for",
    status: "error",
    servedBy: null,
    error: "nobody answered",
  }),
  madeRow(at + 1, "c", { servedBy: "ollama:qwen3:8b", status: "pending", usageEstimated: true, outputTokens: 1000 }),
].map((row) => reportRequest(row, undefined));

const view = (columns: number) => ({ paint: plainPaint, now, columns });

test("the table has the widths that it needs, where nothing is in the way", () => {
  const lines = renderRequests(rows, view(10_000)).split("\n");
  expect(lines.map((line) => line.split(/ {2,}/))).toEqual([
    ["id", "at", "agent", "asked for", "served by", "status", "in", "out", "cost", "took"],
    [
      rows[0]?.id ?? "",
      "12:00:00",
      "Claude Code",
      "clutch-big",
      "openrouter:moonshotai/kimi-k2.6:free",
      "completed (2)",
      "100",
      "5",
      "$0.25",
      "1.2 s",
    ],
    [
      rows[1]?.id ?? "",
      "2026-11-19 12:00",
      "Codex",
      "a/very-long-name-of-a-model-that-nobody-asked-for",
      "-",
      "error",
      "-",
      "-",
      "-",
      "-",
    ],
    [rows[2]?.id ?? "", "12:00:00", "-", "clutch-big", "ollama:qwen3:8b", "pending", "-", "~1.0 k", "unknown", "-"],
  ]);
});

test.each([[150], [130], [100], [60], [20]])(
  "no line is wider than %p columns, and names give way first",
  (columns) => {
    const lines = [...renderRequests(rows, view(columns)).split("\n"), renderTailHead(view(columns))];
    const tails = rows.map((row) => renderTailLine(row, view(columns)).split("\n")[0] ?? "");
    for (const line of [...lines, ...tails]) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(columns);
    if (columns >= 150) expect(lines[1]).toContain("moonshotai/kimi-k2.6:free");
    if (columns >= 130) expect(lines[1]).toEndWith("1.2 s");
  },
);

test("a line of tail says below it why nobody answered", () => {
  expect(renderTailLine(rows[1] as never, view(150)).split("\n")[1]).toBe("  nobody answered");
});

test("an export has a column for each figure", () => {
  expect([...exportColumns].sort()).toEqual(Object.keys(rows[0] ?? {}).sort() as never);
});
