/** Rows as spreadsheets read them. Pure. */

/** What a spreadsheet takes for the beginning of a formula, its full-width forms too, or skips before one. */
const formula = /^[\s\u200b\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20|]|^[\t\r\n]/u;

/**
 * One line with its end (RFC 4180). Names come from outside, so a text that a spreadsheet would run as a formula gets an
 * apostrophe before it; numbers stay numbers.
 */
export function renderCsvRow(cells: readonly (string | number | boolean | null)[]): string {
  return `${cells.map(renderCell).join(",")}\r\n`;
}

function renderCell(cell: string | number | boolean | null): string {
  if (cell === null) return "";
  if (typeof cell !== "string") return String(cell);
  const text = formula.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
