/** Which request a command means: by its id, the beginning of it, or `last`. */

import { ClutchError } from "../src/errors.ts";
import type { Lookups } from "../src/store/lookups.ts";
import type { RequestRow } from "../src/store/schema.ts";

/** A list of more is no help. */
const maxMatches = 20;

/** One, or several that begin so. @throws {ClutchError} `failed` when there is none */
export async function findWanted(wanted: string, ledger: Lookups): Promise<RequestRow[]> {
  const found = wanted === "last" ? await newest(ledger) : await findById(wanted, ledger);
  if (found.length === 0) throw unknownRequest(wanted);
  return found;
}

/** The only one that is meant. @throws {ClutchError} `failed` when there is none, or several begin so */
export async function findTheWanted(wanted: string, ledger: Lookups): Promise<RequestRow> {
  const [only, ...more] = await findWanted(wanted, ledger);
  if (only !== undefined && more.length === 0) return only;
  const ids = [only, ...more].slice(0, 5).map((row) => row?.id);
  throw new ClutchError("failed", `${more.length + 1} requests begin with ${wanted}: ${ids.join(", ")}`, {
    hint: "give more of the id",
  });
}

async function newest(ledger: Lookups): Promise<RequestRow[]> {
  const row = await ledger.newestRequest();
  return row === undefined ? [] : [row];
}

async function findById(wanted: string, ledger: Lookups): Promise<RequestRow[]> {
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
