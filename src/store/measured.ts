/** How the ledger's models have done of late, read beside the gateway that writes it. */

import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";

/** The client's own mistakes, what was never asked, and endings that nobody upstream is to blame for. */
const nobodysFault = ["aborted", "stopped", "bad-request", "too-large", "no-key", "untranslatable", "unsupported"];

/** Of more requests in a week only the newest count: they tell enough, and streams wait meanwhile (20,000 take 5 ms). */
const mostRequests = 20_000;

/**
 * @param sinceMs milliseconds since 1970
 * @returns by `provider:model`; empty where there is no ledger yet or it cannot be read
 */
export function readMeasured(path: string, sinceMs: number): Map<string, { served: number; failed: number }> {
  if (!existsSync(path)) return new Map();
  let db: Database | undefined;
  try {
    db = new Database(path, { readonly: true });
    db.run("PRAGMA busy_timeout = 200");
    const marks = nobodysFault.map(() => "?").join(", ");
    // A request's id begins with its start time, so a span of ids is a span of time: the same one for what failed and what served.
    const sinceId = sinceMs.toString(36);
    const oldest = db.query("SELECT id FROM requests WHERE id >= ? ORDER BY id DESC LIMIT 1 OFFSET ?");
    const since = (oldest.values(sinceId, mostRequests - 1)[0]?.[0] as string | undefined) ?? sinceId;
    const measured = new Map<string, { served: number; failed: number }>();
    const add = (reference: string, served: number, failed: number) => {
      const known = measured.get(reference) ?? { served: 0, failed: 0 };
      measured.set(reference, { served: known.served + served, failed: known.failed + failed });
    };
    const made = db.query(
      `SELECT provider || ':' || model, sum(failure_kind IS NULL), sum(failure_kind IS NOT NULL)
       FROM attempts
       WHERE request_id >= ? AND (failure_kind IS NULL OR failure_kind NOT IN (${marks}))
       GROUP BY provider, model`,
    );
    for (const row of made.values(since, ...nobodysFault)) add(...(row as [string, number, number]));
    // Each table by itself: the view on all attempts would have to be sorted to be read by time.
    const alone = db.query(
      `SELECT served_by, count(*) FROM requests WHERE id >= ? AND served_protocol IS NOT NULL GROUP BY served_by`,
    );
    for (const row of alone.values(since)) add(...(row as [string, number]), 0);
    return measured;
  } catch {
    // A ranking without what was measured is still a ranking.
    return new Map();
  } finally {
    db?.close();
  }
}
