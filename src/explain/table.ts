/** Columns that stand below each other. Pure. */

import { asPlainLine } from "../plain-line.ts";

/** How parts of a text are set apart on a terminal; elsewhere each is the text itself. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
}

export const plainPaint: Paint = {
  bold: (text) => text,
  dim: (text) => text,
  good: (text) => text,
  bad: (text) => text,
  warn: (text) => text,
};

/** @param paints by column, applied after the widths are known */
export function renderColumns(
  cells: readonly (readonly string[])[],
  paints: readonly (((text: string, row: number) => string) | undefined)[] = [],
): string[] {
  const rows = cells.map((row) => row.map(asPlainLine));
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, at) =>
    Math.max(...rows.map((row) => Bun.stringWidth(row[at] ?? ""))),
  );
  return rows.map((row, index) => {
    const last = row.findLastIndex((cell) => cell !== "");
    return row
      .slice(0, last + 1)
      .map((cell, at) => {
        const painted = paints[at]?.(cell, index) ?? cell;
        return at === last ? painted : painted + " ".repeat((widths[at] ?? 0) - Bun.stringWidth(cell));
      })
      .join("  ");
  });
}

/** One line of at most `width` columns; what is cut off is marked. */
export function clip(text: string, width: number): string {
  const line = asPlainLine(text).replace(/ +/g, " ").trim();
  return line.length <= width ? line : `${line.slice(0, width - 1).toWellFormed()}…`;
}
