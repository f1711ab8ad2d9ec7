/** Efforts that a target takes. */

import { type Effort, efforts } from "./chat.ts";

/**
 * The wanted effort, or the next lower one of those the target is known to take, or its least.
 * @param known empty when nothing is known: then everything is taken
 */
export function lowerToKnown<Wanted extends Effort>(
  wanted: Wanted,
  known: readonly string[],
): Wanted | Effort | undefined {
  if (known.length === 0 || known.includes(wanted)) return wanted;
  if (wanted === "none") return undefined;
  const lower = efforts.slice(1, efforts.indexOf(wanted)).findLast((effort) => known.includes(effort));
  return lower ?? efforts.find((effort) => effort !== "none" && known.includes(effort));
}
