/** `xx --complete <shell> -- words...`: asked by the completion scripts at every TAB, so it loads little and never complains. */

import { type Candidate, type CompletionWorld, completeXx, listModels } from "../launcher/completion.ts";
import { renderCandidates } from "../launcher/completion-scripts.ts";
import { type LauncherSettings, readLauncherSettings } from "../launcher/settings.ts";
import { shells } from "../launcher/shells.ts";
import { readConfigFile } from "../src/config/file.ts";
import { type Env, resolveHomes } from "../src/config/paths.ts";
import { builtInIds } from "../src/lifecycle/chain/services.ts";
import { templateNames } from "../src/modes/names.ts";
import type { Json } from "../src/protocols/chat.ts";
import { isObject } from "../src/protocols/json.ts";

/** @param args the shell, `--`, then the words behind the program's name; the last one is under the cursor */
export async function answerCompletion(
  args: readonly string[],
  complete: (before: readonly string[], word: string, world: CompletionWorld) => Promise<Candidate[]>,
  env: Env,
): Promise<number> {
  const [shellName, , ...words] = args;
  const shell = shells.find((known) => known === shellName);
  if (shell === undefined) return 2;
  const word = words.at(-1) ?? "";
  try {
    const world = await readWorld(env, shell === "fish");
    process.stdout.write(renderCandidates(await complete(words.slice(0, -1), word, world), shell));
    return 0;
  } catch {
    // There is no place to tell it: the person is in the middle of a line.
    return 1;
  }
}

export function answerXxCompletion(args: readonly string[], env: Env): Promise<number> {
  return answerCompletion(args, completeXx, env);
}

async function readWorld(env: Env, closesEveryWord: boolean): Promise<CompletionWorld> {
  const { settings, config } = await readSettings(env);
  return {
    settings,
    nowMs: Date.now(),
    closesEveryWord,
    models: () => listModels(settings, config),
    services: () => listServiceIds(config),
    async named(argument) {
      if (argument === "setting") return (await import("../src/config/setting-path.ts")).listSettings(config);
      if (argument !== "mode") return [];
      const { modesFolder, savedModes } = await import("../src/modes/store.ts");
      return [...templateNames, ...savedModes(modesFolder(resolveHomes(env).configFile))];
    },
    async sessions(agent) {
      const { listSessions } = await import("../launcher/sessions.ts");
      return listSessions(agent, process.cwd(), env);
    },
  };
}

function listServiceIds(config: Json): string[] {
  const chain = isObject(config) ? config["chain"] : undefined;
  const entries = isObject(chain) ? chain["services"] : undefined;
  const own = Array.isArray(entries) ? entries.map((entry) => (isObject(entry) ? entry["id"] : undefined)) : [];
  return [...new Set([...builtInIds, ...own.filter((id) => typeof id === "string")])];
}

/** The defaults in place of a config that is broken. */
async function readSettings(env: Env): Promise<{ settings: LauncherSettings; config: Json }> {
  try {
    const homes = resolveHomes(env);
    const { path, value } = await readConfigFile(homes);
    return { settings: readLauncherSettings(value, path ?? homes.configFile, env), config: value };
  } catch {
    return { settings: readLauncherSettings({}, "", {}), config: {} };
  }
}
