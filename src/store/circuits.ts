/** The queries on what is out of order; there is no SQL elsewhere. */

import { inArray, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import { type CircuitRow, circuits } from "./schema.ts";

export interface CircuitQueries {
  /** Writes rows as they now are, and removes those that are closed, in one transaction. */
  save(rows: readonly CircuitRow[], closedIds: readonly string[]): Promise<void>;
  load(): Promise<CircuitRow[]>;
}

export function circuitQueries(db: BunSQLiteDatabase): CircuitQueries {
  const columns = {
    weight: sql`excluded.weight`,
    openings: sql`excluded.openings`,
    openedAt: sql`excluded.opened_at`,
    until: sql`excluded.until`,
    kind: sql`excluded.kind`,
    reason: sql`excluded.reason`,
    isTold: sql`excluded.is_told`,
    updatedAt: sql`excluded.updated_at`,
  };
  return {
    async save(rows, closedIds) {
      db.transaction((transaction) => {
        for (const row of rows) {
          transaction.insert(circuits).values(row).onConflictDoUpdate({ target: circuits.id, set: columns }).run();
        }
        if (closedIds.length > 0)
          transaction
            .delete(circuits)
            .where(inArray(circuits.id, [...closedIds]))
            .run();
      });
    },
    async load() {
      return db.select().from(circuits).all();
    },
  };
}
