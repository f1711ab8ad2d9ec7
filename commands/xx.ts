/** `xx <code>`: reads the arguments, has the launch planned, then shows it (dry run) or becomes the agent. */

import { findAgentRow } from "../launcher/agents.ts";
import { parseLaunchCode } from "../launcher/code.ts";
import {
  becomeAgent,
  detectOwnLogin,
  findBinary,
  findRivals,
  launchDirectory,
  newLaunchId,
  readLaunchSecret,
  requireInstalled,
  writeLaunchFiles,
} from "../launcher/exec.ts";
import { parseXxOptions, type XxOptions } from "../launcher/options.ts";
import { buildLaunch } from "../launcher/plan.ts";
import { type LauncherSettings, readLauncherSettings } from "../launcher/settings.ts";
import { readConfigFile } from "../src/config/file.ts";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { ClutchError, renderError } from "../src/errors.ts";
import { type LaunchCode, renderLaunchCode } from "../src/launch-code.ts";

/** The system gives one argument 128 KiB; a prompt from stdin becomes one. */
const maxPromptBytes = 128_000;

/**
 * Returns only when no agent was started.
 * @param args without the program's name
 * @returns the exit status: 0 after help and dry runs, else that of the mistake, which is told on stderr
 */
export async function runXx(args: string[], env: Env): Promise<number> {
  try {
    await run(parseXxOptions(args), env);
    return 0;
  } catch (error) {
    console.error(`xx: ${renderError(error)}`);
    return error instanceof ClutchError ? error.exitStatus : 1;
  }
}

async function run(options: XxOptions, env: Env): Promise<void> {
  const homes = resolveHomes(env);
  const [typed, ...words] = options.words;
  if (options.wantsVersion) return console.log(`clutch ${(await import("../package.json")).version}`);
  if (options.wantsHelp) return console.log((await import("../launcher/help.ts")).usage);
  if (typed === undefined) {
    if (options.isDryRun || options.rest.length > 0) {
      throw new ClutchError("usage", "a launch code is missing", {
        hint: "such as xx cip; xx alone explains the letters",
      });
    }
    const settings = await readSettings(homes, env);
    return console.log((await import("../launcher/help.ts")).renderCheatSheet(settings));
  }

  const code = parseLaunchCode(typed);
  const row = findAgentRow(code.agent);
  const now = new Date();
  const cwd = currentFolder();
  // Route d has nothing to do with the gateway, so a broken config does not stand in its way.
  const settings = code.route === "d" ? readLauncherSettings({}, "", {}) : await readSettings(homes, env);
  const launchId = newLaunchId();
  const plan = buildLaunch(
    {
      code,
      session: options.session,
      model: options.model,
      prompt: await findPrompt(options, code, words),
      isSafe: options.isSafe,
      rest: options.rest,
    },
    settings,
    {
      env,
      cwd,
      file: findBinary(row.binary, env),
      launchId,
      secret: settings.requireKey ? (options.isDryRun ? "masked" : readLaunchSecret(homes.stateDir)) : undefined,
      launchDir: launchDirectory(homes.stateDir, now),
      isRoot: process.getuid?.() === 0,
      // Only a prompt makes it matter, and asking costs over a millisecond.
      hasTerminal: options.prompt === undefined || ((await isTerminal(0)) && (await isTerminal(1))),
      hasOwnLogin: row.login !== undefined && detectOwnLogin(row.login, env, process.platform),
      rivals: row.rivals?.routes.includes(code.route) ? findRivals(row.rivals, env, cwd) : [],
    },
  );
  if (options.isDryRun) {
    const { renderPlanJson, renderPlanText } = await import("../launcher/dry-run.ts");
    return console.log(options.isJson ? renderPlanJson(plan) : renderPlanText(plan));
  }
  requireInstalled(plan, row);
  writeLaunchFiles(plan.files, now);
  for (const note of plan.notes) console.error(`xx: ${note}`);
  const { CLUTCH_GUARD: guardId, ...agentEnv } = env;
  if (guardId !== undefined) {
    const { noteLaunch } = await import("../src/lifecycle/launches.ts");
    noteLaunch(homes.stateDir, guardId, {
      launchId,
      agent: code.agent,
      code: renderLaunchCode(code),
      ...(options.session === undefined ? {} : { session: options.session }),
    });
  }
  await becomeAgent(plan, row, agentEnv);
}

async function readSettings(homes: Homes, env: Env): Promise<LauncherSettings> {
  const { path, value } = await readConfigFile(homes);
  return readLauncherSettings(value, path ?? homes.configFile, env);
}

/** From `-p`, else in mode n the words behind the code, else in mode n stdin. */
async function findPrompt(options: XxOptions, code: LaunchCode, words: string[]): Promise<string | undefined> {
  const [first] = words;
  if (first !== undefined && (code.mode !== "n" || options.prompt !== undefined)) {
    throw new ClutchError("usage", `unexpected "${first}"`, {
      hint:
        options.prompt === undefined ? 'a first message goes behind -p, as in -p "..."' : "-p gives a prompt already",
    });
  }
  if (options.prompt !== undefined) return options.prompt;
  if (code.mode !== "n") return undefined;
  if (words.length > 0) return words.join(" ");
  return (await isTerminal(0)) ? undefined : readPromptFromStdin();
}

async function isTerminal(descriptor: number): Promise<boolean> {
  return (await import("node:tty")).isatty(descriptor);
}

async function readPromptFromStdin(): Promise<string | undefined> {
  const text = (await Bun.stdin.text()).trimEnd();
  const bytes = Buffer.byteLength(text);
  if (bytes > maxPromptBytes) {
    throw new ClutchError("usage", `the prompt on stdin has ${bytes} bytes, more than an argument can hold`, {
      hint: 'give a short one with -p "..." and the agent reads stdin itself',
    });
  }
  return text === "" ? undefined : text;
}

function currentFolder(): string {
  try {
    return process.cwd();
  } catch (cause) {
    throw new ClutchError("failed", "the current folder is gone", { hint: "cd to one that exists", cause });
  }
}
