/** Opens a ledger that a gateway may be writing to, for one command: nothing can be written through it. */

import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { type BunSQLiteDatabase, drizzle } from "drizzle-orm/bun-sqlite";
import { ClutchError } from "../errors.ts";

/**
 * @throws {ClutchError} `failed` when there is no ledger yet, `database-broken` when it cannot be read
 */
export async function readBeside<Result>(
  path: string,
  look: (db: BunSQLiteDatabase & { $client: Database }) => Promise<Result> | Result,
): Promise<Result> {
  if (!existsSync(path)) {
    throw new ClutchError("failed", `there is no ledger yet (${path})`, {
      hint: "start the gateway with clutch serve, or an agent with xx",
    });
  }
  let client: Database | undefined;
  try {
    client = new Database(path, { readonly: true });
    client.run("PRAGMA busy_timeout = 2000");
    return await look(drizzle({ client }));
  } catch (cause) {
    if (cause instanceof ClutchError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ClutchError("database-broken", `cannot read ${path} (${reason})`, {
      hint: "set CLUTCH_HOME if the gateway has another home, or start serve again: it puts a broken file aside",
      cause,
    });
  } finally {
    client?.close();
  }
}
