/** Brings a database to this version's schema, from the SQL that is embedded in the binary. */

import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import type { MigrationMeta } from "drizzle-orm/migrator";
import ledger from "../../migrations/0000_ledger.sql" with { type: "text" };
import circuits from "../../migrations/0001_circuits.sql" with { type: "text" };
import compression from "../../migrations/0002_compression.sql" with { type: "text" };
import usage from "../../migrations/0003_usage.sql" with { type: "text" };
import keys from "../../migrations/0004_keys.sql" with { type: "text" };
import captures from "../../migrations/0005_captures.sql" with { type: "text" };
import left from "../../migrations/0006_left.sql" with { type: "text" };
import served from "../../migrations/0007_served.sql" with { type: "text" };
import journal from "../../migrations/meta/_journal.json";

/** The text of each migration by its tag in drizzle-kit's journal. */
const texts: Readonly<Record<string, string>> = {
  "0000_ledger": ledger,
  "0001_circuits": circuits,
  "0002_compression": compression,
  "0003_usage": usage,
  "0004_keys": keys,
  "0005_captures": captures,
  "0006_left": left,
  "0007_served": served,
};

function embeddedMigrations(): MigrationMeta[] {
  return journal.entries.map((entry) => {
    const text = texts[entry.tag];
    if (text === undefined) throw new Error(`migration ${entry.tag} is not embedded: import it in migrate.ts`);
    return {
      sql: text.split("--> statement-breakpoint"),
      bps: entry.breakpoints,
      folderMillis: entry.when,
      hash: new Bun.CryptoHasher("sha256").update(text).digest("hex"),
    };
  });
}

/** Drizzle's own migrator reads a folder; its dialect takes the statements, and a compiled binary has no folder. */
interface Migrator {
  dialect: { migrate(migrations: MigrationMeta[], session: unknown): void };
  session: unknown;
}

export function migrate(db: BunSQLiteDatabase): void {
  const { dialect, session } = db as unknown as Migrator;
  dialect.migrate(embeddedMigrations(), session);
}

/** When the newest embedded migration was made (ms since 1970): a database that saw a later one is of a newer Clutch. */
export const newestMigrationMs = Math.max(...journal.entries.map((entry) => entry.when));
