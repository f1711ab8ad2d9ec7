/** The outcome of the matrix as a table: a line per agent and upstream, a column per scenario, the gaps explained below. */

export type Result = { kind: "pass"; seconds: number } | { kind: "FAIL" } | { kind: "n/a"; reason: string };

export interface Outcome {
  agent: string;
  upstream: string;
  scenario: string;
  result: Result;
}

/** @param scenarios all columns, in order; a scenario that is not meant for a line leaves its cell empty */
export function renderMatrix(outcomes: readonly Outcome[], scenarios: readonly string[]): string {
  const reasons = [...new Set(outcomes.flatMap(({ result }) => (result.kind === "n/a" ? result.reason : [])))];
  const lines = [...new Set(outcomes.map(lineKey))];
  const rows = lines.map((line) => [
    ...line.split("\t"),
    ...scenarios.map((scenario) => {
      const outcome = outcomes.find((candidate) => lineKey(candidate) === line && candidate.scenario === scenario);
      return outcome === undefined ? "" : renderResult(outcome.result, reasons);
    }),
  ]);
  const table = alignColumns([["agent", "upstream", ...scenarios], ...rows]);
  return [...table, "", ...reasons.map((reason, index) => `n/a ${index + 1}: ${reason}`)].join("\n");
}

function lineKey({ agent, upstream }: Outcome): string {
  return `${agent}\t${upstream}`;
}

function renderResult(result: Result, reasons: readonly string[]): string {
  if (result.kind === "pass") return `pass ${result.seconds.toFixed(1)}s`;
  return result.kind === "n/a" ? `n/a ${reasons.indexOf(result.reason) + 1}` : "FAIL";
}

function alignColumns(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
