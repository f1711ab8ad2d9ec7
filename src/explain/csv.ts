/** Tables as RFC 4180 has them, and as no spreadsheet runs them. Pure. */

/**
 * A text that a spreadsheet would take for a formula gets an apostrophe before it. Numbers are ours and stay numbers.
 * @see https://owasp.org/www-community/attacks/CSV_Injection
 */
export function renderCsv(rows: readonly (readonly (string | number | null)[])[]): string {
  return rows.map((row) => `${row.map(renderCell).join(",")}\r\n`).join("");
}

function renderCell(value: string | number | null): string {
  if (value === null) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
