/** Colours for what commands print: on a terminal only, and not with NO_COLOR. */

import pc from "picocolors";
import type { Paint } from "../src/explain/table.ts";

const { NO_COLOR, TERM } = process.env;
// Picocolors by itself also colours what CI collects.
const isWanted = process.stdout.isTTY === true && (NO_COLOR ?? "") === "" && TERM !== "dumb";
const { bold, dim, green: good, red: bad, yellow: warn } = pc.createColors(isWanted);

export const paint: Paint = { bold, dim, good, bad, warn };

/** For output that goes to no terminal, where nothing has to fit. */
const unlimitedColumns = 10_000;

/** As wide as what is printed may be. */
export function terminalColumns(): number {
  return process.stdout.isTTY === true ? process.stdout.columns : unlimitedColumns;
}
