/**
 * The ledger's tables, clustered by their keys (WITHOUT ROWID, which only the migration's SQL can say): one tree to write
 * to for a row instead of three. A request's id begins with its start time, so a span of ids is a span of time. Times are
 * milliseconds since 1970 (UTC), durations milliseconds, tokens counts, costs US dollars.
 */

import { sql } from "drizzle-orm";
import { index, integer, primaryKey, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { FailureKind } from "../../providers/failure.ts";

const requestStatuses = ["pending", "completed", "error", "aborted"] as const;

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
    /** The id of the key that opened the gateway to it, where that was one of `keys`. */
    keyId: text("key_id"),
    modelRequested: text("model_requested").notNull(),
    /** Why these candidates: the name of the routing rule. */
    rule: text(),
    /** JSON for `clutch why`: which rules did not apply, which candidates were not asked, and the reasons. */
    trail: text(),
    /** `provider:model` that answered. */
    servedBy: text("served_by"),
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
  ],
);

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
  },
  (table) => [primaryKey({ columns: [table.requestId, table.number] })],
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

export type KeyRow = typeof keys.$inferSelect;
export type CircuitRow = typeof circuits.$inferInsert;
export type RequestRow = typeof requests.$inferInsert;
export type AttemptRow = typeof attempts.$inferInsert;
