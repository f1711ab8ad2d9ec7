/** Shows the results of `clutch doctor --agents`: JSON for programs, a table and the fixes for people. Pure. */

import { isFault, type RouteCheck, type Verdict } from "./agent-check.ts";

export interface AgentReport {
  /** The agent's letter. */
  agent: string;
  name: string;
  version: string | null;
  /** Null when it is not installed. */
  path: string | null;
  /** Which of its calls to other servers would have shown; null where nobody has measured. */
  shows: "anywhere" | "other machines" | null;
  routes: RouteCheck[];
}

export function renderReportsJson(reports: readonly AgentReport[]): string {
  return JSON.stringify({ agents: reports }, null, 2);
}

/** How a verdict is coloured, by the caller's means. */
export type Paint = (text: string, verdict: Verdict) => string;

const columns = [
  "agent",
  "version",
  "route",
  "destination",
  "protocol",
  "model",
  "key",
  "calls",
  "tools",
  "verdict",
] as const;

/** The table, then one line for each thing to know: faults with their fix, cells that were not launched, extra calls. */
export function renderReports(reports: readonly AgentReport[], paint: Paint): string {
  const rows = reports.flatMap((report) => report.routes.map((check) => ({ report, check })));
  const cells = rows.map(({ report, check }, index) => {
    const isFirst = rows[index - 1]?.report !== report;
    return [
      isFirst ? report.name : "",
      isFirst ? (report.version ?? "-") : "",
      check.route,
      check.destination ?? "-",
      check.protocol ?? "-",
      check.model ?? "-",
      check.key ?? "-",
      renderCalls(check),
      check.tool_dialect ?? "-",
      check.verdict,
    ];
  });
  const widths = columns.map((title, at) => Math.max(title.length, ...cells.map((row) => row[at]?.length ?? 0)));
  const renderRow = (row: readonly string[]) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd();
  const lines = cells.map((row, index) => {
    const verdict = rows[index]?.check.verdict ?? "ok";
    // The verdict is the last column, so its colour changes no width.
    return `${renderRow([...row.slice(0, -1), ""]).padEnd(widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0))}${paint(verdict, verdict)}`;
  });
  const notes = [...explain(reports, (check) => isFault(check.verdict)), ...explain(reports, isUnlaunched)];
  const all = [...notes, ...renderExtras(rows)];
  return [renderRow(columns), ...lines, ...(all.length === 0 ? [] : ["", ...all])].join("\n");
}

function renderCalls(check: RouteCheck): string {
  if (check.calls === 0) return "-";
  return check.extra_calls === 0 ? "1" : `1 (+${check.extra_calls})`;
}

function isUnlaunched({ verdict }: RouteCheck): boolean {
  return verdict === "refused" || verdict === "not-installed";
}

/** A sentence that holds for both routes is said once. */
function explain(reports: readonly AgentReport[], isMeant: (check: RouteCheck) => boolean): string[] {
  return reports.flatMap(({ name, routes }) => {
    const byFix = new Map<string, RouteCheck[]>();
    for (const check of routes.filter(isMeant)) {
      const fix = check.fix ?? check.verdict;
      byFix.set(fix, [...(byFix.get(fix) ?? []), check]);
    }
    return [...byFix].map(([fix, checks]) => `${name} ${checks.map(({ route }) => route).join("+")}: ${fix}`);
  });
}

const purposes = {
  title: "a title",
  memory: "memory extraction",
  again: "the task once more",
  task: "the task",
  other: "something else",
} as const;

function renderExtras(rows: readonly { report: AgentReport; check: RouteCheck }[]): string[] {
  return rows.flatMap(({ report, check }) => {
    if (check.extras.length === 0) return [];
    const calls = check.extras.map(({ purpose, model }) => `${purposes[purpose]} on ${model || "no model"}`);
    return [`${report.name} ${check.route}: extra calls for ${calls.join(", ")}`];
  });
}
