/** Where this home's gateway should be, for commands that ask it before they look into the ledger. */

import { readLauncherSettings } from "../launcher/settings.ts";
import { readConfigFile } from "../src/config/file.ts";
import type { Env, Homes } from "../src/config/paths.ts";
import { renderError } from "../src/errors.ts";
import { type AdminAnswer, askAdmin } from "../src/lifecycle/gateway-admin.ts";
import type { Json } from "../src/protocols/chat.ts";

/** A config that cannot be read is a reason like others: what a person wants to know then is in the ledger. */
export async function askGateway(homes: Homes, env: Env, path: string, body?: Json): Promise<AdminAnswer> {
  try {
    const raw = await readConfigFile(homes);
    const { gatewayUrl: url, requireKey } = readLauncherSettings(raw.value, raw.path ?? homes.configFile, env);
    const { database, stateDir } = homes;
    return await askAdmin({ url, database, stateDir, requireKey }, path, body);
  } catch (error) {
    return { ok: false, reason: renderError(error) };
  }
}

/** Says below a command's output that it comes from the ledger alone. */
export function describeSource(reason: string): string {
  return `from the ledger, since ${reason}`;
}
