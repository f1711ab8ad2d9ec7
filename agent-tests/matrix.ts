/** The outcome of a matrix as a table: a line per agent and variant, a column per scenario, the gaps explained below. */

export type Result =
  /** `limit`: what this agent could not show. */
  { kind: "pass"; seconds: number; limit?: string } | { kind: "FAIL" } | { kind: "n/a"; reason: string };

export interface Outcome {
  agent: string;
  /** What the agent was tried with: an upstream's protocol, a route. */
  variant: string;
  scenario: string;
  result: Result;
}

export interface Line {
  agent: string;
  variant: string;
}

/** In the order of `lines` and `scenarios`; a scenario that is not for a line leaves a gap, a line without any is left out. */
export function renderMatrix(
  outcomes: readonly Outcome[],
  lines: readonly Line[],
  scenarios: readonly string[],
  variantTitle: string,
): string {
  const notes = [...new Set(outcomes.flatMap(({ result }) => noteOf(result) ?? []))];
  const rows = lines.flatMap(({ agent, variant }) => {
    const own = outcomes.filter((outcome) => outcome.agent === agent && outcome.variant === variant);
    if (own.length === 0) return [];
    const cells = scenarios.map((scenario) => own.find((outcome) => outcome.scenario === scenario));
    return [[agent, variant, ...cells.map((cell) => (cell === undefined ? "" : renderResult(cell.result, notes)))]];
  });
  const table = alignColumns([["agent", variantTitle, ...scenarios], ...rows]);
  return [...table, "", ...notes.map((note, index) => `(${index + 1}) ${note}`)].join("\n");
}

function noteOf(result: Result): string | undefined {
  if (result.kind === "FAIL") return undefined;
  return result.kind === "n/a" ? result.reason : result.limit;
}

function renderResult(result: Result, notes: readonly string[]): string {
  const note = noteOf(result);
  const mark = note === undefined ? "" : ` (${notes.indexOf(note) + 1})`;
  return result.kind === "pass" ? `pass ${result.seconds.toFixed(1)}s${mark}` : `${result.kind}${mark}`;
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
