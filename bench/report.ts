/** Numbers and tables as the bench prints them: Markdown, padded so that a terminal shows it well too. */

/** The first column is text, the others are numbers (to the right). */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const renderRow = (cells: readonly string[]) =>
    `| ${widths.map((width, column) => pad(cells[column] ?? "", width, column)).join(" | ")} |`;
  const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [renderRow(head), `| ${rule.join(" | ")} |`, ...rows.map(renderRow)].join("\n");
}

function pad(text: string, width: number, column: number): string {
  return column === 0 ? text.padEnd(width) : text.padStart(width);
}

/** A dash for what was not measured. */
export function decimals(value: number | undefined, places: number): string {
  return value !== undefined && Number.isFinite(value) ? value.toFixed(places) : "-";
}

/** With its sign: for what a gateway adds. */
export function signed(value: number, places: number): string {
  return Number.isFinite(value) && value >= 0 ? `+${decimals(value, places)}` : decimals(value, places);
}
