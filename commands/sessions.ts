/** `clutch sessions`: conversations by the ledger: whose, where, how long, and what they came to. */

import { type Env, resolveHomes } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { parseMoment } from "../src/explain/moment.ts";
import { renderSession, renderSessions, reportSession, tellSession } from "../src/explain/sessions.ts";
import { readBeside } from "../src/store/beside.ts";
import { findSessions, listSessions, requestsOfSession } from "../src/store/session-list.ts";
import { hasRollups } from "../src/store/usage.ts";
import { paint, terminalColumns } from "./paint.ts";
import { readAgents, readCount } from "./row-filters.ts";

export interface SessionFlags {
  agent?: string;
  folder?: string;
  since?: string;
  limit?: string;
  json?: boolean;
}

/** Rows of a list without --limit. */
const usualLimit = 30;

export async function listConversations(flags: SessionFlags, env: Env): Promise<number> {
  const { agent, folder, since } = flags;
  const filter = {
    ...(agent !== undefined && { agents: readAgents(agent) }),
    ...(folder !== undefined && { folder }),
    ...(since !== undefined && { since: parseMoment(since, "--since", Date.now()) }),
  };
  const limit = readCount(flags.limit, "--limit") ?? usualLimit;
  const { database } = resolveHomes(env);
  const rows = await readBeside(database, async ({ $client: client }) => {
    needSums(client, database);
    return listSessions(client, filter, limit);
  });
  const sessions = rows.map(reportSession);
  if (flags.json === true) console.log(JSON.stringify({ sessions }, null, 2));
  else if (sessions.length > 0)
    console.log(renderSessions(sessions, { paint, home: env["HOME"], columns: terminalColumns() }));
  else console.log(Object.keys(filter).length > 0 ? "no conversation is like that" : "there is no conversation yet");
  return 0;
}

/** @param wanted a session's id, or its beginning */
export async function showConversation(wanted: string, flags: { json?: boolean }, env: Env): Promise<number> {
  const { database } = resolveHomes(env);
  const story = await readBeside(database, async ({ $client: client }) => {
    needSums(client, database);
    const [found, ...more] = wanted === "last" ? listSessions(client, {}, 1) : findSessions(client, wanted, 5);
    if (found === undefined) {
      throw new ClutchError("failed", `the ledger knows no session ${JSON.stringify(wanted)}`, {
        hint: "clutch sessions lists them",
      });
    }
    if (more.length > 0) {
      const names = [found, ...more].map(({ session }) => session);
      throw new ClutchError("failed", `several sessions begin with ${wanted}: ${names.join(", ")}`, {
        hint: "give more of the id",
      });
    }
    return tellSession(found, requestsOfSession(client, found));
  });
  console.log(
    flags.json === true ? JSON.stringify(story, null, 2) : renderSession(story, { paint, home: env["HOME"] }),
  );
  return 0;
}

function needSums(client: Parameters<typeof hasRollups>[0], database: string): void {
  if (hasRollups(client)) return;
  throw new ClutchError("failed", `${database} is of an older version and has no sums yet`, {
    hint: "start the gateway once with clutch serve, which brings it up to date",
  });
}
