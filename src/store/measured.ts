/** How the ledger's models have done of late, read beside the gateway that writes it. */

import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";

/** The client's own mistakes, what was never asked, and endings that nobody upstream is to blame for. */
const nobodysFault = ["aborted", "stopped", "bad-request", "too-large", "no-key", "untranslatable", "unsupported"];

/** More attempts than these in a week are not counted: the newest tell enough. */
const mostRows = 100_000;

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
    const rows = db
      .query(
        `SELECT provider, model, sum(failure_kind IS NULL) AS served, sum(failure_kind IS NOT NULL) AS failed
         FROM (SELECT provider, model, failure_kind FROM every_attempt
               WHERE request_id >= ? AND (failure_kind IS NULL OR failure_kind NOT IN (${marks}))
               ORDER BY request_id DESC LIMIT ?)
         GROUP BY provider, model`,
      )
      // A request's id begins with its start time, so a span of ids is a span of time.
      .all(sinceMs.toString(36), ...nobodysFault, mostRows) as {
      provider: string;
      model: string;
      served: number;
      failed: number;
    }[];
    return new Map(rows.map(({ provider, model, served, failed }) => [`${provider}:${model}`, { served, failed }]));
  } catch {
    // A ranking without what was measured is still a ranking.
    return new Map();
  } finally {
    db?.close();
  }
}
