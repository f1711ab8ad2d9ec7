/** Which sessions the gateway's ledger has seen. Asynchronous, so that a server database fits later. */

import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { and, desc, eq, isNotNull } from "drizzle-orm";
import { drizzle } from "drizzle-orm/bun-sqlite";
import { requests } from "./schema.ts";

/**
 * The session of a launch's newest request, in the agent's own words. Reads beside a gateway that is writing.
 * @param database need not be there: a gateway that never ran has seen nothing
 */
export async function findLastSession(database: string, launchId: string): Promise<string | undefined> {
  if (!existsSync(database)) return undefined;
  const client = new Database(database, { readonly: true });
  try {
    const row = drizzle({ client })
      .select({ session: requests.session })
      .from(requests)
      .where(and(eq(requests.launchId, launchId), isNotNull(requests.session)))
      .orderBy(desc(requests.id))
      .limit(1)
      .get();
    return row?.session ?? undefined;
  } finally {
    client.close();
  }
}
