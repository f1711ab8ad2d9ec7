/** Sessions that are kept in a SQLite database of the agent's. In a file of its own, so that SQLite is loaded for these alone. */

import { constants, Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import type { AgentSession } from "./sessions.ts";

/** A SELECT of `id`, `updated_at_ms` and `title` with the parameters `$folder` and `$limit`. */
type SessionQuery = string;

/** `parent_id` marks the sessions of sub-agents. */
export const opencodeSessions: SessionQuery = `
  SELECT id, time_updated AS updated_at_ms, title
  FROM session
  WHERE directory = $folder AND parent_id IS NULL AND time_archived IS NULL
  ORDER BY time_updated DESC
  LIMIT $limit`;

/**
 * A session that was compressed goes on in another, which is the one to resume; what Hermes delegated is marked in its
 * configuration. Times are in seconds.
 */
export const hermesSessions: SessionQuery = `
  SELECT id, updated_at_ms, coalesce(nullif(title, ''), first_prompt) AS title
  FROM (
    SELECT id, title,
      1000 * coalesce((SELECT max(timestamp) FROM messages WHERE session_id = sessions.id), started_at) AS updated_at_ms,
      (SELECT substr(content, 1, 200) FROM messages
        WHERE session_id = sessions.id AND role = 'user' ORDER BY id LIMIT 1) AS first_prompt
    FROM sessions
    WHERE cwd = $folder AND archived = 0 AND message_count > 0
      AND coalesce(end_reason, '') <> 'compression'
      AND instr(coalesce(model_config, ''), '"_delegate_from"') = 0
  )
  ORDER BY updated_at_ms DESC
  LIMIT $limit`;

/** Throws for a database that is not there, is in use, or has other tables and columns. */
export function queryReadOnly(file: string, query: SessionQuery, cwd: string, limit: number): AgentSession[] {
  const database = openUntouched(file);
  try {
    const rows = database.query(query).all({ $folder: cwd, $limit: limit }) as Row[];
    return rows.map(({ id, updated_at_ms, title }) => ({
      id,
      updatedAtMs: Math.round(updated_at_ms),
      ...(title === null ? {} : { title }),
    }));
  } finally {
    database.close();
  }
}

interface Row {
  id: string;
  updated_at_ms: number;
  title: string | null;
}

/**
 * Even a reader leaves `-wal` and `-shm` behind in the agent's folder (measured), unless it declares that nobody writes.
 * That is so where no `-wal` lies beside the database; where one does, newer rows may be in it.
 */
function openUntouched(file: string): Database {
  if (existsSync(`${file}-wal`)) return new Database(file, { readonly: true });
  return new Database(
    `${pathToFileURL(file).href}?immutable=1`,
    constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI,
  );
}
