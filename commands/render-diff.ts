/** A unified difference on a terminal. */

import { asPlainLine } from "../src/plain-line.ts";
import { paint } from "./paint.ts";

/** Its lines in colours, where there are colours. */
export function renderDiff(diff: string): string {
  const lines = diff.split("\n").map((raw) => {
    // What JSON lets stand in a text, terminals may obey.
    const line = raw.split("\t").map(asPlainLine).join("\t");
    if (/^(---|\+\+\+) /.test(line)) return paint.bold(line);
    if (line.startsWith("@@")) return paint.dim(line);
    if (line.startsWith("+")) return paint.good(line);
    return line.startsWith("-") ? paint.bad(line) : line;
  });
  return lines.join("\n");
}
