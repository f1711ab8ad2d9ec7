/** What was used, as a person reads it. Pure. */

import { agentNames } from "../launch-code.ts";
import type { UsageGroup } from "../usage-groups.ts";
import { renderCount, renderNumber, renderUsd } from "./counts.ts";
import { asPlainLine, cutLine, widthOf } from "./cut-line.ts";
import { type Paint, renderColumns } from "./table.ts";
import type { UsageReport, UsageRow, UsageSavings } from "./usage.ts";

/** More groups are a list for a program. */
const maxRows = 30;

/** Columns of a bar, where there is room for one. */
const maxBar = 24;
const minBar = 6;

/** @param columns of the terminal; undefined where it is none, and then there are no bars */
export function renderUsage(report: UsageReport, columns: number | undefined, paint: Paint): string {
  const { totals, rows } = report;
  const head = `${renderSpan(report)} ${paint.dim(`(UTC), by ${report.by}`)}`;
  if (totals.requests === 0 && rows.length === 0) return `${head}\nno requests`;
  const hidden = rows.length - maxRows;
  return [
    head,
    "",
    ...renderTable(report, columns, paint),
    ...(hidden > 0 ? [paint.dim(`and ${hidden} more: --csv and --json have all of them`)] : []),
    "",
    renderTotals(report),
    ...renderSavings(report.savings),
  ].join("\n");
}

function renderSpan({ from, to }: UsageReport): string {
  return from === to ? from : `${from} to ${to}`;
}

function renderTable(report: UsageReport, columns: number | undefined, paint: Paint): string[] {
  const { by } = report;
  const rows = report.rows.slice(0, maxRows);
  const nameWidth = Math.max(16, Math.min(60, (columns ?? 120) - 48));
  const names = rows.map((row) => cutLine(asPlainLine(nameOf(row, by)), nameWidth));
  const cells = rows.map((row, at) => [
    names[at] ?? "",
    renderCount(row.requests),
    renderCount(row.input_tokens + row.cache_read_tokens + row.cache_write_tokens),
    renderCount(row.cache_read_tokens),
    renderCount(row.output_tokens),
    renderCost(row),
  ]);
  const head = [by, "requests", "input", "cached", "output", "cost"];
  const lines = renderColumns(alignRight([head, ...cells]), [
    (text, row) => (row === 0 ? paint.dim(text) : text),
    ...Array(4).fill((text: string, row: number) => (row === 0 ? paint.dim(text) : text)),
    (text, row) => (row === 0 ? paint.dim(text) : text.includes("unknown") ? paint.warn(text) : text),
  ]);
  const widest = Math.max(...lines.map(widthOf));
  const room = Math.min(maxBar, (columns ?? 0) - widest - 2);
  if (room < minBar) return lines;
  const shares = sharesOf(rows);
  return lines.map((line, at) => {
    const bar = at === 0 ? "" : renderBar(shares[at - 1] ?? 0, room);
    return bar === "" ? line : `${line}${" ".repeat(widest - widthOf(line) + 2)}${paint.good(bar)}`;
  });
}

/** Numbers stand below each other by their last digit. */
function alignRight(cells: readonly string[][]): string[][] {
  const widths = cells[0]?.map((_, at) => Math.max(...cells.map((row) => widthOf(row[at] ?? "")))) ?? [];
  return cells.map((row) => row.map((cell, at) => (at === 0 ? cell : cell.padStart(widths[at] ?? 0))));
}

/** Of the largest: by cost, and by tokens where nothing costs anything. */
function sharesOf(rows: readonly UsageRow[]): number[] {
  const isPaid = rows.some(({ cost_usd }) => (cost_usd ?? 0) > 0);
  const sizes = rows.map((row) =>
    isPaid
      ? (row.cost_usd ?? 0)
      : row.input_tokens + row.cache_read_tokens + row.cache_write_tokens + row.output_tokens,
  );
  const largest = Math.max(...sizes);
  return sizes.map((size) => (largest <= 0 ? 0 : Math.max(0, size) / largest));
}

const eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** What is more than nothing is seen. */
function renderBar(share: number, width: number): string {
  const parts = share <= 0 ? 0 : Math.max(1, Math.round(share * width * 8));
  return "█".repeat(parts >> 3) + (eighths[parts & 7] ?? "");
}

function nameOf(row: UsageRow, by: UsageGroup): string {
  const name = row[by] ?? null;
  if (by === "agent") return name === null ? "unknown" : ((agentNames as Record<string, string>)[name] ?? name);
  if (name !== null) return name;
  return by === "model" || by === "provider" ? "nobody answered" : by === "tier" ? "none" : "unknown";
}

function renderCost({ cost_usd: usd, unpriced_requests: unpriced }: UsageRow): string {
  return usd === null ? "unknown" : unpriced > 0 ? `${renderUsd(usd)} +?` : renderUsd(usd);
}

function renderTotals({ totals, outcomes }: UsageReport): string {
  const { input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens } = totals;
  const input = input_tokens + cache_read_tokens + cache_write_tokens;
  const { errors, aborted, free_requests, plan_requests, estimated_requests, left_usd } = outcomes;
  const ended = [errors > 0 ? `${errors} failed` : "", aborted > 0 ? `${aborted} aborted` : ""].filter(Boolean);
  const thought = reasoning_tokens > 0 ? ` (${renderCount(reasoning_tokens)} of them reasoning)` : "";
  const paid = [
    free_requests > 0 ? `${renderCount(free_requests)} free` : "",
    plan_requests > 0 ? `${renderCount(plan_requests)} by a plan` : "",
    totals.unpriced_requests > 0 ? `${renderNumber(totals.unpriced_requests, "answer")} without a known price` : "",
    left_usd > 0 ? `${renderUsd(left_usd)} of it for answers that were left` : "",
  ].filter(Boolean);
  return [
    `${renderNumber(totals.requests, "request")}${ended.length === 0 ? "" : ` (${ended.join(", ")})`}, ` +
      `${renderCount(input)} tokens in (${renderCount(cache_read_tokens)} from caches), ` +
      `${renderCount(output_tokens)} out${thought}`,
    `cost ${renderUsd(totals.cost_usd)}${paid.length === 0 ? "" : `; ${paid.join(", ")}`}`,
    ...(estimated_requests > 0 ? [`the tokens of ${renderNumber(estimated_requests, "request")} are estimates`] : []),
  ].join("\n");
}

function renderSavings(savings: UsageSavings): string[] {
  const { cascade_usd, free_usd, moved_requests, unknown_requests } = savings;
  const unknown = unknown_requests === 0 ? "" : `; of ${renderNumber(unknown_requests, "request")} nobody can tell`;
  const moved =
    moved_requests === 0
      ? []
      : cascade_usd === null || free_usd === null
        ? [
            `${renderNumber(moved_requests, "request")} went to another than the first choice: what that saved is unknown`,
          ]
        : [
            `against the first choice, ${renderNumber(moved_requests, "request")} elsewhere: ` +
              `the cascade ${saved(cascade_usd)}, free models ${saved(free_usd)}${unknown}`,
          ];
  const { compression_tokens: tokens, compression_share: share, compression_usd: usd } = savings;
  const compressed =
    share === null
      ? []
      : [
          `compression took out about ${renderCount(tokens)} tokens (${Math.round(100 * share)} %)` +
            `${usd === null ? "; their price is unknown" : `, worth about ${renderUsd(usd)}`}`,
        ];
  return [...moved, ...compressed];
}

function saved(usd: number): string {
  return usd < 0 ? `cost ${renderUsd(-usd)} more` : `saved ${renderUsd(usd)}`;
}
