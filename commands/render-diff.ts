/** A unified difference on a terminal. */

import { paint } from "./paint.ts";

/** Its lines in colours, where there are colours. */
export function renderDiff(diff: string): string {
  const lines = diff.split("\n").map((line) => {
    if (/^(---|\+\+\+) /.test(line)) return paint.bold(line);
    if (line.startsWith("@@")) return paint.dim(line);
    if (line.startsWith("+")) return paint.good(line);
    return line.startsWith("-") ? paint.bad(line) : line;
  });
  return lines.join("\n");
}
