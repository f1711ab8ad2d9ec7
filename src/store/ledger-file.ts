/** The ledger's file in the hands of one command, beside the gateway or without one; nothing can be written. */

import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { ClutchError } from "../errors.ts";

/** @throws {ClutchError} `failed` when there is no ledger yet, `database-broken` when it cannot be read */
export function withLedgerFile<Result>(path: string, look: (client: Database) => Result): Result {
  if (!existsSync(path)) throw noLedger(path);
  let client: Database | undefined;
  try {
    client = new Database(path, { readonly: true });
    client.run("PRAGMA busy_timeout = 2000");
    return look(client);
  } catch (cause) {
    throw cause instanceof ClutchError ? cause : unreadable(path, cause);
  } finally {
    client?.close();
  }
}

export function noLedger(path: string): ClutchError {
  return new ClutchError("failed", `there is no ledger yet (${path})`, {
    hint: "start the gateway with clutch serve, or an agent with xx",
  });
}

export function unreadable(path: string, cause: unknown): ClutchError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ClutchError("database-broken", `cannot read ${path} (${reason})`, {
    hint: "set CLUTCH_HOME if the gateway has another home, or restart the gateway: it puts a broken ledger aside",
    cause,
  });
}
