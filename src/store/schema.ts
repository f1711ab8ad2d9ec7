/**
 * The ledger's tables, clustered by their keys (WITHOUT ROWID, which only the migration's SQL can say): one tree to write
 * to for a row instead of three. A request's id begins with its start time, so a span of ids is a span of time. Times are
 * milliseconds since 1970 (UTC), durations milliseconds, tokens counts, costs US dollars.
 */

import { sql } from "drizzle-orm";
import { blob, index, integer, primaryKey, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { FailureKind } from "../../providers/failure.ts";

export const requestStatuses = ["pending", "completed", "error", "aborted"] as const;

/**
 * Where a cost comes from.
 *
 * billed  the upstream said what it took
 * list    counted from the prices of a list or of the config
 * free    nobody is ever billed for it: 0
 * plan    a subscription or an allowance pays for it, so that it adds nothing to a bill: 0
 */
export const pricings = ["billed", "list", "free", "plan"] as const;
export type Pricing = (typeof pricings)[number];

export const requests = sqliteTable(
  "requests",
  {
    id: text().primaryKey(),
    startedAt: integer("started_at").notNull(),
    /** `pending` from before the first call until the answer's end; finalised once. */
    status: text({ enum: requestStatuses }).notNull(),
    protocol: text({ enum: ["messages", "chat", "responses"] }).notNull(),
    streamed: integer({ mode: "boolean" }).notNull(),
    /** The agent's letter, from the launch token or its headers. */
    agent: text(),
    /** The launch code, such as `cip`. */
    code: text(),
    launchId: text("launch_id"),
    session: text(),
    /** Where its launch began; null where no launch tells. */
    folder: text(),
    /** The launch code's letter, else the tier of the config (`BIG`) that routing chose. */
    tier: text(),
    /** The id of the key that opened the gateway to it, where that was one of `keys`. */
    keyId: text("key_id"),
    modelRequested: text("model_requested").notNull(),
    /** Why these candidates: the name of the routing rule. */
    rule: text(),
    /** JSON for `clutch why`: which rules did not apply, which candidates were not asked, and the reasons. */
    trail: text(),
    /** `provider:model` that answered. */
    servedBy: text("served_by"),
    /**
     * The protocol that it was asked in, where it was the only one asked and took as long as the request: `attempts` has no
     * row of it then, which saves the ledger a third of its work. `every_attempt` tells of it like of any other.
     */
    servedProtocol: text("served_protocol", { enum: ["messages", "chat", "responses"] }),
    attempts: integer().notNull(),
    /** The HTTP status the client got. */
    httpStatus: integer("http_status"),
    error: text(),
    /** Input that was neither read from nor written to a prompt cache. */
    inputTokens: integer("input_tokens"),
    cacheReadTokens: integer("cache_read_tokens"),
    cacheWriteTokens: integer("cache_write_tokens"),
    /** Reasoning included. */
    outputTokens: integer("output_tokens"),
    reasoningTokens: integer("reasoning_tokens"),
    /** True when the upstream reported nothing and the counts are bytes/4. */
    usageEstimated: integer("usage_estimated", { mode: "boolean" }),
    /** Null is unknown, not zero. */
    costUsd: real("cost_usd"),
    /** What the cost is made of; null where it is unknown. */
    pricing: text({ enum: pricings }),
    /** Who says so: `upstream`, `config`, a list of models, `own login`. */
    priceSource: text("price_source"),
    /** When the source said so. */
    priceAt: integer("price_at"),
    /** `provider:model` that stood first, where another one answered. */
    firstChoice: text("first_choice"),
    /** What the same tokens would have cost there; null where that is unknown. */
    firstChoiceUsd: real("first_choice_usd"),
    /** What the tokens that compression took out would have cost, at the mean price of those that were left. */
    compressionUsd: real("compression_usd"),
    durationMs: integer("duration_ms"),
    firstTokenMs: integer("first_token_ms"),
    /** How Headroom came to compress it; null where it went on as it came. */
    compression: text({ enum: ["front", "sidecar"] }),
    /** Input tokens without and with it. Estimates of our own: after is what the upstream counted, or bytes/4; before goes by the bytes. */
    tokensBefore: integer("tokens_before"),
    tokensAfter: integer("tokens_after"),
  },
  (table) => [
    // Only looked for at start, so only pending rows are worth an entry.
    index("requests_pending").on(table.status).where(sql`${table.status} = 'pending'`),
    // Those that a price is waited for.
    index("requests_unpriced")
      .on(table.servedBy)
      .where(sql`${table.servedBy} is not null and ${table.costUsd} is null`),
  ],
);

/** Those that failed, were left, or served after others; `everyAttempt` has all. */
export const attempts = sqliteTable(
  "attempts",
  {
    requestId: text("request_id").notNull(),
    /** From 1, in the order they were made. */
    number: integer().notNull(),
    provider: text().notNull(),
    model: text().notNull(),
    protocol: text({ enum: ["messages", "chat", "responses"] }).notNull(),
    startedAt: integer("started_at").notNull(),
    durationMs: integer("duration_ms").notNull(),
    /** Null when the attempt served the request. */
    failureKind: text("failure_kind"),
    failureScope: text("failure_scope"),
    httpStatus: integer("http_status"),
    message: text(),
    retryAfterMs: integer("retry_after_ms"),
    /** What the upstream counted of an answer that was left, since it is billed; of one that served, the request tells. */
    inputTokens: integer("input_tokens"),
    cacheReadTokens: integer("cache_read_tokens"),
    cacheWriteTokens: integer("cache_write_tokens"),
    outputTokens: integer("output_tokens"),
    reasoningTokens: integer("reasoning_tokens"),
    costUsd: real("cost_usd"),
    pricing: text({ enum: pricings }),
  },
  (table) => [
    primaryKey({ columns: [table.requestId, table.number] }),
    // Those that a price is waited for.
    index("attempts_unpriced")
      .on(sql`("provider" || ':' || "model")`)
      .where(sql`${table.outputTokens} is not null and ${table.costUsd} is null`),
  ],
);

/** What is out of order, so that a restart changes nothing: models, keys, accounts, providers, shared pools. */
export const circuits = sqliteTable("circuits", {
  /** Such as `model:openrouter:vendor/name` or `account:openrouter`. */
  id: text().primaryKey(),
  weight: real().notNull(),
  openings: integer().notNull(),
  openedAt: integer("opened_at").notNull(),
  /** 0 while it is closed and only counts failures. */
  until: integer().notNull(),
  /** The kind of failure that opened it; empty while it only counts. */
  kind: text().$type<FailureKind | "">().notNull(),
  reason: text().notNull(),
  isTold: integer("is_told", { mode: "boolean" }).notNull(),
  updatedAt: integer("updated_at").notNull(),
});

/** Keys that people and programs open the gateway with. A key itself stands nowhere: only its hash does. */
export const keys = sqliteTable("keys", {
  /** The part of a key that may be shown, by which it is recognised. */
  id: text().primaryKey(),
  /** For people. */
  name: text().notNull(),
  /** SHA-256 of the whole key, in hexadecimal. */
  hash: text().notNull(),
  createdAt: integer("created_at").notNull(),
  /** Null never expires. */
  expiresAt: integer("expires_at"),
  /** Null while it is valid. */
  revokedAt: integer("revoked_at"),
  /** JSON: the letters of the agents that may use it; null is any. */
  agents: text(),
  /** JSON: patterns of the models that it may be served by; null is any. */
  models: text(),
  /** JSON: how much it may use in a day; null is as much as anybody. */
  budget: text(),
  /** To the minute; null where it never was. */
  lastUsedAt: integer("last_used_at"),
});

/**
 * What was asked and answered, word for word, where somebody has asked for it; without keys, and only for some days. Its rows
 * are large, so this table has row ids: a tree of large rows would be slow to search.
 */
export const captures = sqliteTable(
  "captures",
  {
    requestId: text("request_id").primaryKey(),
    createdAt: integer("created_at").notNull(),
    protocol: text({ enum: ["messages", "chat", "responses"] }).notNull(),
    /** `?beta=true`, or empty. */
    query: text().notNull(),
    /** JSON: those of the client's headers that upstreams may see; no credential is among them. */
    headers: text().notNull(),
    /** The request's body (zstd), keys in it hidden; null where it was too large to keep. */
    request: blob({ mode: "buffer" }),
    requestBytes: integer("request_bytes").notNull(),
    /** What the client got, in its own protocol (zstd); null where it was nothing, or too much. */
    response: blob({ mode: "buffer" }),
    responseBytes: integer("response_bytes").notNull(),
  },
  (table) => [index("captures_created").on(table.createdAt)],
);

export type KeyRow = typeof keys.$inferSelect;
export type CaptureRow = typeof captures.$inferSelect;
export type CircuitRow = typeof circuits.$inferInsert;
export type RequestRow = typeof requests.$inferInsert;
export type AttemptRow = typeof attempts.$inferInsert;
