/** How old is what Clutch knows of models and their prices. */

import { readWholeSnapshot } from "../../providers/model-snapshot.ts";
import { renderSpan } from "../explain/clock.ts";
import { type FetchedList, listTitles } from "../models/catalogue.ts";
import { readLists } from "../models/files.ts";
import { type Check, type Finding, ok, warn } from "./finding.ts";

/** The gateway fetches daily; a week without means that it could not. */
const oldMs = 7 * 86_400_000;

const refresh = "clutch models --refresh";

/** @param wanted the lists that this config has a use for */
export function checkPrices(cacheDir: string, wanted: readonly FetchedList[], now: number): Check {
  return { area: "prices", look: () => lookAtPrices(cacheDir, wanted, now) };
}

function lookAtPrices(cacheDir: string, wanted: readonly FetchedList[], now: number): Finding[] {
  const lists = readLists(cacheDir);
  const { takenAt } = readWholeSnapshot();
  if (wanted.length === 0) return [ok("prices", `nothing is fetched for this config; known are those of ${takenAt}`)];
  return wanted.map((list) => {
    const copy = lists[list];
    const name = listTitles[list];
    if (copy === undefined) {
      return warn("prices", `${name} was never fetched: prices and models are those of ${takenAt}`, refresh);
    }
    const age = now - copy.checkedAt;
    if (age < oldMs) return ok("prices", `${name} was fetched ${renderSpan(Math.max(0, age))} ago`);
    return warn("prices", `${name} is ${renderSpan(age)} old: prices may have changed, models may be gone`, refresh);
  });
}
