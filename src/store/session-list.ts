/** Conversations by the ledger's sums, and the requests of one; there is no SQL elsewhere. What is asked for is data, never SQL. */

import type { Database } from "bun:sqlite";
import { dayOf, type Sums, sumNames } from "./rollup.ts";

export interface SessionFilter {
  /** Letters. */
  agents?: readonly string[];
  /** A part of the folder, in any case. */
  folder?: string;
  /** With requests since then (ms since 1970); its first day counts whole. */
  since?: number;
}

/** Of all its days that the ledger still has. Unknown is the empty text. */
export type SessionSums = Sums & {
  session: string;
  agent: string;
  folder: string;
  launchId: string;
  /** When its first and its last request began (ms since 1970). */
  firstAt: number;
  lastAt: number;
};

/** One request of a conversation, as far as its compression and its course are of interest. */
export interface SessionRequest {
  id: string;
  startedAt: number;
  status: "pending" | "completed" | "error" | "aborted";
  servedBy: string | null;
  attempts: number;
  httpStatus: number | null;
  inputTokens: number | null;
  cacheReadTokens: number | null;
  cacheWriteTokens: number | null;
  outputTokens: number | null;
  usageEstimated: number | null;
  costUsd: number | null;
  durationMs: number | null;
  tokensBefore: number | null;
  tokensAfter: number | null;
}

const columns = sumNames.map((name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
const sums = columns.map((column, at) => `sum(${column}) AS ${sumNames[at]}`).join(", ");
const about = "max(agent) AS agent, max(folder) AS folder, max(launch_id) AS launchId";
const span = "min(first_at) AS firstAt, max(last_at) AS lastAt";

/** The newest first. */
export function listSessions(client: Database, filter: SessionFilter, limit: number): SessionSums[] {
  const { agents, folder, since } = filter;
  const conditions = [
    "session <> ''",
    ...(agents === undefined ? [] : [`agent IN (${agents.map(() => "?").join(", ")})`]),
    ...(folder === undefined ? [] : ["instr(lower(folder), lower(?)) > 0"]),
    ...(since === undefined ? [] : ["day >= ?"]),
  ];
  const values = [
    ...(agents ?? []),
    ...(folder === undefined ? [] : [folder]),
    ...(since === undefined ? [] : [dayOf(since)]),
  ];
  return client
    .query(
      `SELECT session, ${about}, ${span}, ${sums} FROM session_days WHERE session IN
         (SELECT DISTINCT session FROM session_days WHERE ${conditions.join(" AND ")})
       GROUP BY session ORDER BY lastAt DESC, session LIMIT ?`,
    )
    .all(...values, limit) as SessionSums[];
}

/** Those whose ids begin so; one alone where it is the whole id. */
export function findSessions(client: Database, start: string, limit: number): SessionSums[] {
  const found = client
    .query(
      `SELECT session, ${about}, ${span}, ${sums} FROM session_days
       WHERE session <> '' AND substr(session, 1, length(?)) = ? GROUP BY session ORDER BY lastAt DESC LIMIT ?`,
    )
    .all(start, start, limit) as SessionSums[];
  const exact = found.find(({ session }) => session === start);
  return exact === undefined ? found : [exact];
}

/** In the order of their start. */
export function requestsOfSession(
  client: Database,
  { session, firstAt, lastAt }: Pick<SessionSums, "session" | "firstAt" | "lastAt">,
): SessionRequest[] {
  // An id begins with its request's time, so only the conversation's own span is read.
  const [from, to] = [firstAt, lastAt + 1].map((ms) => ms.toString(36).padStart(8, "0"));
  return client
    .query(
      `SELECT id, started_at AS startedAt, status, served_by AS servedBy, attempts, http_status AS httpStatus,
         input_tokens AS inputTokens, cache_read_tokens AS cacheReadTokens, cache_write_tokens AS cacheWriteTokens,
         output_tokens AS outputTokens, usage_estimated AS usageEstimated, cost_usd AS costUsd,
         duration_ms AS durationMs, tokens_before AS tokensBefore, tokens_after AS tokensAfter
       FROM requests WHERE id >= ? AND id < ? AND coalesce(session, launch_id) = ? AND status <> 'pending' ORDER BY id`,
    )
    .all(from ?? "", to ?? "", session) as SessionRequest[];
}
