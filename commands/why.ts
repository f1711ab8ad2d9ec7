/** `clutch why`: what became of a request, from the ledger; works beside a running gateway and without one. */

import { type Env, resolveHomes } from "../src/config/paths.ts";
import { renderMatches, renderWhy } from "../src/explain/render-why.ts";
import { explainRequest } from "../src/explain/why.ts";
import { withLedger } from "../src/store/lookups.ts";
import { paint } from "./paint.ts";
import { findWanted } from "./wanted-request.ts";

/** @param wanted an id, its beginning, or `last`. @returns 1 when several requests are meant */
export async function why(wanted: string, flags: { json?: boolean }, env: Env): Promise<number> {
  const isJson = flags.json === true;
  return withLedger(resolveHomes(env).database, async (ledger) => {
    const found = await findWanted(wanted, ledger);
    const [only] = found;
    if (only !== undefined && found.length === 1) {
      const report = explainRequest({ request: only, attempts: await ledger.attemptsOf(only.id) }, Date.now());
      console.log(isJson ? JSON.stringify(report, null, 2) : renderWhy(report, paint));
      return 0;
    }
    const stories = found.map((request) => explainRequest({ request, attempts: [] }, Date.now()).request);
    if (isJson) console.log(JSON.stringify({ matches: stories }, null, 2));
    else console.log(`${renderMatches(stories, paint)}\n\nseveral begin with ${wanted}: give more of the id`);
    return 1;
  });
}
