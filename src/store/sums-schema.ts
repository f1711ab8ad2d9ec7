/**
 * The ledger's tables that are written beside requests: sums, prices and launches. Apart from `schema.ts`, since drizzle
 * takes some milliseconds to build them, and a gateway that starts needs none.
 */

import { integer, primaryKey, real, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** What `xx` has noted of the launches that requests came from. */
export const launches = sqliteTable("launches", {
  /** As the launch token has it. */
  id: text().primaryKey(),
  /** Without symbolic links where the crash guard started it. */
  folder: text(),
  /** The agent's letter. */
  agent: text(),
  code: text(),
  /** The agent's own session id, as far as the launch knew it. */
  session: text(),
  startedAt: integer("started_at").notNull(),
});

/** The prices that costs were counted from, each from the day it was first used: in US dollars per million tokens. */
export const prices = sqliteTable(
  "prices",
  {
    provider: text().notNull(),
    model: text().notNull(),
    /** When its source said so. */
    at: integer().notNull(),
    source: text().notNull(),
    input: real().notNull(),
    output: real().notNull(),
    /** Null where the source names none: then it costs what other input costs. */
    cacheRead: real("cache_read"),
    cacheWrite: real("cache_write"),
  },
  (table) => [primaryKey({ columns: [table.provider, table.model, table.at] })],
);

/** What a rollup adds up. A request counts once, where it ended; tokens and costs of answers that were left count at those who gave them. */
function sums() {
  const count = (name: string) => integer(name).notNull().default(0);
  const dollars = (name: string) => real(name).notNull().default(0);
  return {
    requests: count("requests"),
    completed: count("completed"),
    errors: count("errors"),
    aborted: count("aborted"),
    inputTokens: count("input_tokens"),
    cacheReadTokens: count("cache_read_tokens"),
    cacheWriteTokens: count("cache_write_tokens"),
    outputTokens: count("output_tokens"),
    reasoningTokens: count("reasoning_tokens"),
    /** Requests whose tokens are guessed. */
    estimated: count("estimated"),
    /** As far as it is known. */
    costUsd: dollars("cost_usd"),
    /** Of it, what answers cost that were left for another candidate. */
    leftUsd: dollars("left_usd"),
    /** Answers that somebody gave and whose price nobody tells. */
    unpriced: count("unpriced"),
    /** Requests that a free model answered, and those that a plan paid for. */
    free: count("free"),
    plan: count("plan"),
    /** Requests that another than the first choice answered, and of these, how many cannot be compared. */
    moved: count("moved"),
    movedUnknown: count("moved_unknown"),
    /** What that saved against the first choice, negative where it cost more: answered for money, and for nothing. */
    cascadeSavedUsd: dollars("cascade_saved_usd"),
    freeSavedUsd: dollars("free_saved_usd"),
    /** Input of requests that compression was tried on, without and with it. */
    tokensBefore: count("tokens_before"),
    tokensAfter: count("tokens_after"),
    compressed: count("compressed"),
    /** Compressed requests of which nobody knows what the tokens would have cost. */
    compressedUnknown: count("compressed_unknown"),
    compressionSavedUsd: dollars("compression_saved_usd"),
  };
}

/** Requests that have ended, by the day (days since 1970, UTC) they began; unknown is the empty text. */
export const usageDays = sqliteTable(
  "usage_days",
  {
    day: integer().notNull(),
    agent: text().notNull(),
    /** Of what answered; both empty where nobody did. */
    provider: text().notNull(),
    model: text().notNull(),
    folder: text().notNull(),
    tier: text().notNull(),
    ...sums(),
  },
  (table) => [primaryKey({ columns: [table.day, table.agent, table.provider, table.model, table.folder, table.tier] })],
);

/** The same by conversation: the agent's own session id, else its launch. */
export const sessionDays = sqliteTable(
  "session_days",
  {
    day: integer().notNull(),
    session: text().notNull(),
    agent: text().notNull(),
    folder: text().notNull(),
    launchId: text("launch_id").notNull(),
    /** When its first and its last request of the day began. */
    firstAt: integer("first_at").notNull(),
    lastAt: integer("last_at").notNull(),
    ...sums(),
  },
  (table) => [primaryKey({ columns: [table.day, table.session] })],
);

export type LaunchRow = typeof launches.$inferInsert;
export type PriceRow = typeof prices.$inferInsert;
