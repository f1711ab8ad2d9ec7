/** What is known of models for a config, servers on this machine included. */

import { readPinnedLetters } from "../launcher/settings.ts";
import { buildProviders, keyReader } from "../providers/registry.ts";
import type { Env, Homes } from "../src/config/paths.ts";
import type { Config } from "../src/config/schema.ts";
import { fetchDirectly } from "../src/loopback-direct.ts";
import { gatherKnowledge, type Knowledge } from "../src/models/knowledge.ts";
import { localLook } from "../src/models/local-servers.ts";
import { measuredMs } from "../src/models/rank.ts";
import { scanPath } from "../src/models/scan.ts";
import { describeWorld, type ModelWorld } from "../src/models/world.ts";
import type { Json } from "../src/protocols/chat.ts";
import { readMeasured } from "../src/store/measured.ts";

/** @param raw the file's own values, for the launch letters */
export async function knownModels(
  config: Config,
  raw: Json,
  homes: Homes,
  env: Env,
): Promise<{ known: Knowledge; world: ModelWorld }> {
  const world = describeWorld(config, readPinnedLetters(raw, homes.configFile), env);
  const providers = buildProviders(
    config,
    keyReader(env, () => undefined),
  );
  const local = await localLook({ providers: () => providers, fetch: fetchDirectly, now: Date.now })();
  const measured = readMeasured(homes.database, Date.now() - measuredMs);
  const known = gatherKnowledge({ ...homes, scanFile: scanPath(env) }, world, measured, Date.now(), local);
  return { known, world };
}
