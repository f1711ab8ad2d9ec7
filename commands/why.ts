/** `clutch why`: what became of a request, from the ledger; works beside a running gateway and without one. */

import { type Env, resolveHomes } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { renderMatches, renderWhy } from "../src/explain/render-why.ts";
import { explainRequest } from "../src/explain/why.ts";
import { type Lookups, withLedger } from "../src/store/lookups.ts";
import type { RequestRow } from "../src/store/schema.ts";
import { paint } from "./paint.ts";

/** A list of more is no help. */
const maxMatches = 20;

/** @param wanted an id, its beginning, or `last`. @returns 1 when several requests are meant */
export async function why(wanted: string, flags: { json?: boolean }, env: Env): Promise<number> {
  const isJson = flags.json === true;
  return withLedger(resolveHomes(env).database, async (ledger) => {
    const found = await findRequests(wanted, ledger);
    const [only] = found;
    if (only === undefined) throw unknownRequest(wanted);
    if (found.length === 1) {
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

async function findRequests(wanted: string, ledger: Lookups): Promise<RequestRow[]> {
  if (wanted === "last") {
    const newest = await ledger.newestRequest();
    return newest === undefined ? [] : [newest];
  }
  const found = await ledger.findRequests(wanted, maxMatches);
  const exact = found.find(({ id }) => id === wanted);
  return exact === undefined ? found : [exact];
}

function unknownRequest(wanted: string): ClutchError {
  if (wanted === "last") {
    return new ClutchError("failed", "the ledger holds no request yet", {
      hint: "start an agent with xx, and ask it something",
    });
  }
  return new ClutchError("failed", `no request in the ledger has the id ${JSON.stringify(wanted)}`, {
    hint: "every answer carries its id in x-clutch-request-id; clutch why last tells of the newest",
  });
}
