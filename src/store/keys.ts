/** The queries on keys; there is no SQL elsewhere. */

import { eq, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import { type KeyRow, keys } from "./schema.ts";

export interface KeyQueries {
  load(): Promise<KeyRow[]>;
  /** Rows as they now are, new or known, in one transaction: of a rotation both keys are written or neither. */
  save(rows: readonly KeyRow[]): Promise<void>;
  /** When each was used last (ms since 1970), by id. */
  noteUses(uses: ReadonlyMap<string, number>): Promise<void>;
}

export function keyQueries(db: BunSQLiteDatabase): KeyQueries {
  return {
    async load() {
      // A ledger that no gateway of this version has opened yet is only read.
      const isThere = db.all(sql`SELECT 1 FROM sqlite_master WHERE name = 'keys'`).length > 0;
      return isThere ? db.select().from(keys).orderBy(keys.createdAt, keys.id).all() : [];
    },
    async save(rows) {
      db.transaction((transaction) => {
        for (const row of rows)
          transaction.insert(keys).values(row).onConflictDoUpdate({ target: keys.id, set: row }).run();
      });
    },
    async noteUses(uses) {
      db.transaction((transaction) => {
        for (const [id, lastUsedAt] of uses) transaction.update(keys).set({ lastUsedAt }).where(eq(keys.id, id)).run();
      });
    },
  };
}
