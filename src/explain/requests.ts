/** Requests as lists and files have them: `clutch requests`. Pure. */

import type { z } from "zod";
import { renderModelReference } from "../../providers/model-reference.ts";
import type { attemptReport, requestReport } from "../gateway/admin-schemas.ts";
import { agentNames, isAgentLetter } from "../launch-code.ts";
import type { ListedRequest } from "../store/request-list.ts";
import type { AttemptRow } from "../store/schema.ts";
import { asIso, renderMoment, renderSpan } from "./clock.ts";
import { renderCount, renderUsd } from "./counts.ts";
import { renderCsvRow } from "./csv.ts";
import { asPlainLine, cutLine } from "./cut-line.ts";
import { clip, type Paint, renderColumns } from "./table.ts";

/** An entry of `clutch requests list --json`, and a line of an export; the time is ISO 8601 in UTC, spans are milliseconds. */
export type RequestReport = z.infer<typeof requestReport>;

/** @param folder of its launch, where the row does not tell */
export function reportRequest(row: ListedRequest, folder: string | undefined): RequestReport {
  return {
    id: row.id,
    started_at: asIso(row.startedAt) ?? "",
    agent: row.agent ?? null,
    code: row.code ?? null,
    launch_id: row.launchId ?? null,
    session: row.session ?? null,
    folder: row.folder ?? folder ?? null,
    model_requested: row.modelRequested,
    served_by: row.servedBy ?? null,
    status: row.status,
    attempts: row.attempts,
    input_tokens: row.inputTokens ?? null,
    cache_read_tokens: row.cacheReadTokens ?? null,
    cache_write_tokens: row.cacheWriteTokens ?? null,
    output_tokens: row.outputTokens ?? null,
    reasoning_tokens: row.reasoningTokens ?? null,
    usage_estimated: row.usageEstimated ?? null,
    cost_usd: row.costUsd ?? null,
    pricing: row.pricing ?? null,
    price_source: row.priceSource ?? null,
    duration_ms: row.durationMs ?? null,
    first_token_ms: row.firstTokenMs ?? null,
    http_status: row.httpStatus ?? null,
    error: row.error ?? null,
    rule: row.rule ?? null,
    tier: row.tier ?? null,
    protocol: row.protocol,
    streamed: row.streamed,
    compression: row.compression ?? null,
    tokens_before: row.tokensBefore ?? null,
    tokens_after: row.tokensAfter ?? null,
  };
}

/** One try at one model, for `clutch requests show --json`. */
export type AttemptReport = z.infer<typeof attemptReport>;

export function reportAttempt(row: AttemptRow): AttemptReport {
  return {
    number: row.number,
    target: renderModelReference(row),
    protocol: row.protocol,
    started_at: asIso(row.startedAt) ?? "",
    duration_ms: row.durationMs,
    failure_kind: row.failureKind ?? null,
    failure_scope: row.failureScope ?? null,
    http_status: row.httpStatus ?? null,
    message: row.message ?? null,
    retry_after_ms: row.retryAfterMs ?? null,
    input_tokens: row.inputTokens ?? null,
    cache_read_tokens: row.cacheReadTokens ?? null,
    cache_write_tokens: row.cacheWriteTokens ?? null,
    output_tokens: row.outputTokens ?? null,
    reasoning_tokens: row.reasoningTokens ?? null,
    cost_usd: row.costUsd ?? null,
  };
}

/** The columns of an export, in their order. */
export const exportColumns = [
  "id",
  "started_at",
  "agent",
  "code",
  "launch_id",
  "session",
  "folder",
  "model_requested",
  "served_by",
  "status",
  "attempts",
  "input_tokens",
  "cache_read_tokens",
  "cache_write_tokens",
  "output_tokens",
  "reasoning_tokens",
  "usage_estimated",
  "cost_usd",
  "pricing",
  "price_source",
  "duration_ms",
  "first_token_ms",
  "http_status",
  "error",
  "rule",
  "tier",
  "protocol",
  "streamed",
  "compression",
  "tokens_before",
  "tokens_after",
] as const satisfies readonly (keyof RequestReport)[];

export function renderCsvHead(): string {
  return renderCsvRow(exportColumns);
}

export function renderRequestAsCsv(report: RequestReport): string {
  return renderCsvRow(exportColumns.map((column) => report[column]));
}

const heads = ["id", "at", "agent", "asked for", "served by", "status", "in", "out", "cost", "took"] as const;

/** The columns of names, which give way where a terminal is narrow. */
const asked = heads.indexOf("asked for");
const served = heads.indexOf("served by");

/** Of the lines that `tail` prints one by one; a table that is known whole has the widths it needs. */
const tailWidths: readonly number[] = [14, 8, 11, 40, 46, 13, 7, 7, 9, 8];

const leastNameWidth = 10;

export interface RequestView {
  paint: Paint;
  /** Milliseconds since 1970. */
  now: number;
  /** Of the terminal. */
  columns: number;
}

/** The newest first; with the day where it is not today. */
export function renderRequests(reports: readonly RequestReport[], { paint, now, columns }: RequestView): string {
  const rows = [[...heads], ...reports.map((report) => cellsOf(report, now))];
  const needed = heads.map((_, column) => Math.max(...rows.map((row) => Bun.stringWidth(row[column] ?? ""))));
  const widths = fitNames(needed, columns);
  const lines = renderColumns(
    rows.map((row) =>
      row.map((cell, column) => (column === asked || column === served ? fitName(cell, widths[column] ?? 0) : cell)),
    ),
    heads.map((_, column) => (text: string, row: number) => {
      const report = reports[row - 1];
      return report === undefined ? paint.dim(text) : paintCell(text, column, report, paint);
    }),
  );
  return lines.map((line) => cutLine(line, columns)).join("\n");
}

/** What the names have to give for everything to stand in a line: the longer gives first. */
function fitNames(widths: readonly number[], columns: number): number[] {
  const over = widths.reduce((sum, width) => sum + width + 2, -2) - columns;
  if (over <= 0) return [...widths];
  const [one, other] = [widths[asked] ?? 0, widths[served] ?? 0];
  const room = one + other - over;
  const share = Math.max(leastNameWidth, Math.min(one, Math.max(Math.floor(room / 2), room - other)));
  const rest = Math.max(leastNameWidth, Math.min(other, room - share));
  return widths.map((width, column) => (column === asked ? share : column === served ? rest : width));
}

/** The model says more than its provider. */
function fitName(name: string, width: number): string {
  return name.length <= width ? name : clip(name.replace(/^[\w-]+:(?=[^:]*\/)/, ""), width);
}

export function renderTailHead({ paint, columns }: Pick<RequestView, "paint" | "columns">): string {
  return cutLine(paint.dim(padCells(heads, columns).join("  ").trimEnd()), columns);
}

export function renderTailLine(report: RequestReport, { paint, now, columns }: RequestView): string {
  const cells = padCells(cellsOf(report, now), columns);
  const line = cells.map((cell, column) => paintCell(cell, column, report, paint)).join("  ");
  const trouble = report.status === "error" && report.error !== null ? `\n  ${paint.bad(clip(report.error, 200))}` : "";
  return cutLine(line.trimEnd(), columns) + trouble;
}

function padCells(cells: readonly string[], columns: number): string[] {
  const widths = fitNames(tailWidths, columns);
  return cells.map((cell, column) => {
    const width = widths[column] ?? 0;
    const cut = column === asked || column === served ? fitName(cell, width) : clip(cell, width);
    return cut + " ".repeat(Math.max(0, width - Bun.stringWidth(cut)));
  });
}

function cellsOf(report: RequestReport, now: number): string[] {
  const at = Date.parse(report.started_at);
  const isToday = Math.floor(at / 86_400_000) === Math.floor(now / 86_400_000);
  const { agent } = report;
  return [
    report.id,
    isToday ? report.started_at.slice(11, 19) : report.started_at.slice(0, 16).replace("T", " "),
    agent === null ? "-" : isAgentLetter(agent) ? agentNames[agent] : agent,
    report.model_requested,
    report.served_by ?? "-",
    report.attempts > 1 ? `${report.status} (${report.attempts})` : report.status,
    renderTokens(countInput(report), report.usage_estimated),
    renderTokens(report.output_tokens, report.usage_estimated),
    report.output_tokens === null ? "-" : renderUsd(report.cost_usd),
    report.duration_ms === null ? "-" : renderSpan(report.duration_ms),
  ];
}

function paintCell(text: string, column: number, { status, cost_usd: cost }: RequestReport, paint: Paint): string {
  if (heads[column] === "id") return paint.bold(text);
  if (heads[column] === "cost" && cost === null) return paint.dim(text);
  if (heads[column] !== "status") return text;
  return { completed: paint.good, error: paint.bad, aborted: paint.warn, pending: paint.warn }[status](text);
}

/** `~` before what is estimated. */
function renderTokens(tokens: number | null, isEstimated: boolean | null): string {
  return tokens === null ? "-" : `${isEstimated === true ? "~" : ""}${renderCount(tokens)}`;
}

/** All of it, from a cache or not. */
function countInput({ input_tokens: plain, cache_read_tokens: read, cache_write_tokens: written }: RequestReport) {
  return plain === null ? null : plain + (read ?? 0) + (written ?? 0);
}

/** One request with its figures, label by label. */
export function renderRequest(
  report: RequestReport,
  attempts: readonly AttemptReport[],
  paint: Paint,
  isCaptured: boolean,
): string {
  const { status, agent } = report;
  const tone = { completed: paint.good, error: paint.bad, aborted: paint.warn, pending: paint.warn }[status];
  const facts: [string, string | null][] = [
    ["started", renderMoment(Date.parse(report.started_at))],
    ["agent", agent === null ? null : isAgentLetter(agent) ? agentNames[agent] : agent],
    ["launch", [report.code === null ? "" : `xx ${report.code}`, report.launch_id ?? ""].join(" ").trim() || null],
    ["session", report.session],
    ["folder", report.folder],
    ["asked for", `${report.model_requested} (${report.protocol}, ${report.streamed ? "streamed" : "whole"})`],
    ["served by", report.served_by],
    ["rule", report.rule],
    ["HTTP status", report.http_status === null ? null : String(report.http_status)],
    ["error", report.error],
    ["took", report.duration_ms === null ? null : renderSpan(report.duration_ms)],
    ["first token", report.first_token_ms === null ? null : renderSpan(report.first_token_ms)],
    ["input", renderAmount(report.input_tokens)],
    ["cache read", renderAmount(report.cache_read_tokens)],
    ["cache written", renderAmount(report.cache_write_tokens)],
    ["output", renderAmount(report.output_tokens)],
    ["reasoning", renderAmount(report.reasoning_tokens)],
    ["counts", report.usage_estimated === true ? "estimated: the upstream did not say" : null],
    ["cost", report.output_tokens === null ? null : renderCost(report)],
    [
      "compression",
      report.compression === null
        ? null
        : `${report.compression}: about ${renderAmount(report.tokens_before)} -> ${renderAmount(report.tokens_after)}`,
    ],
    ["body", isCaptured ? `kept: clutch replay ${report.id} asks other models the same` : null],
  ];
  const rows = facts.flatMap(([label, value]) => (value === null ? [] : [[`  ${label}`, asPlainLine(value)]]));
  return [
    `${paint.bold(`request ${report.id}`)} ${tone(status)}`,
    ...renderColumns(rows, [paint.dim]),
    ...(attempts.length === 0 ? [] : ["", "attempts", ...renderAttempts(attempts, paint)]),
    "",
    paint.dim(`clutch why ${report.id} tells why it went so`),
  ].join("\n");
}

const pricingWords = { billed: "billed", list: "by the list", free: "free", plan: "paid for by a plan" } as const;

function renderCost({ cost_usd: cost, pricing, price_source: source }: RequestReport): string {
  if (cost === null || pricing === null) return renderUsd(cost);
  const from = source === null || pricing === "free" || pricing === "plan" ? "" : ` (${source})`;
  return `${renderUsd(cost)}, ${pricingWords[pricing]}${from}`;
}

function renderAmount(tokens: number | null): string | null {
  return tokens === null ? null : `${tokens.toLocaleString("en-US")} tokens`;
}

function renderAttempts(attempts: readonly AttemptReport[], paint: Paint): string[] {
  const rows = attempts.map((attempt) => [
    `  ${attempt.number}`,
    attempt.target,
    renderSpan(attempt.duration_ms),
    attempt.http_status === null ? "-" : String(attempt.http_status),
    attempt.failure_kind ?? "answered",
    attempt.output_tokens === null ? "" : `${renderUsd(attempt.cost_usd)} more`,
    clip(attempt.message ?? "", 120),
  ]);
  return renderColumns(rows, [
    undefined,
    undefined,
    undefined,
    undefined,
    (text, row) => (attempts[row]?.failure_kind === null ? paint.good(text) : paint.bad(text)),
  ]);
}
