/** `xx <code>`: reads the arguments, has the launch planned, then shows it (dry run) or becomes the agent. */

import { type AgentRow, findAgentRow } from "../launcher/agents.ts";
import { namesRoute, parseLaunchCode } from "../launcher/code.ts";
import {
  becomeAgent,
  detectOwnLogin,
  findRivals,
  launchDirectory,
  newLaunchId,
  notInstalled,
  readLaunchSecret,
  writeLaunchFiles,
} from "../launcher/exec.ts";
import { parseXxOptions, type XxOptions } from "../launcher/options.ts";
import {
  buildLaunch,
  goesToAnthropic,
  helpCommands,
  type LaunchRequest,
  type LaunchWorld,
  settledCode,
} from "../launcher/plan.ts";
import { type LauncherSettings, readLauncherSettings } from "../launcher/settings.ts";
import { readConfigFile } from "../src/config/file.ts";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { ClutchError, renderError } from "../src/errors.ts";
import { findBinary } from "../src/find-binary.ts";
import { askInstalled, flagsOf, type Inquiry, type Installed, isAnswered, recallInstalled } from "../src/installed.ts";
import { type LaunchCode, type Route, renderLaunchCode } from "../src/launch-code.ts";
import { ensureGateway } from "../src/lifecycle/auto-start.ts";
import { chooseFront, type Front } from "../src/lifecycle/front.ts";
import { type LaunchNote, launchNotePath } from "../src/lifecycle/launch-notes.ts";
import { isStrangersPort } from "../src/lifecycle/port-owner.ts";
import { type LaunchModels, readLaunchModels } from "../src/models/launch-models.ts";
import { asPlainLine } from "../src/plain-line.ts";

/** The system gives one argument 128 KiB; a prompt from stdin becomes one. */
const maxPromptBytes = 128_000;

/** A first look at an agent that takes longer is worth a word (ms). */
const askNoticeMs = 300;

/**
 * Returns only when no agent was started.
 * @param args without the program's name
 * @returns the exit status: 0 after help and dry runs, else that of the mistake, which is told on stderr
 */
export async function runXx(args: string[], env: Env): Promise<number> {
  if (args[0] === "--complete") return (await import("./complete-xx.ts")).answerXxCompletion(args.slice(1), env);
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
    const settings = await readSettings(homes, env, readLaunchModels(homes.cacheDir));
    return console.log((await import("../launcher/help.ts")).renderCheatSheet(settings));
  }
  if (typed === "agents") return (await import("./agents.ts")).showAgents(options, homes, env);
  await launch(parseLaunchCode(typed), typed, words, options, homes, env);
}

async function launch(
  code: LaunchCode,
  typed: string,
  words: string[],
  options: XxOptions,
  homes: Homes,
  env: Env,
): Promise<void> {
  const row = findAgentRow(code.agent);
  const now = new Date();
  const cwd = currentFolder();
  const file = findBinary(row.binary, env);
  // Route d has nothing to do with the gateway, so a broken config does not stand in its way.
  const known = code.route === "d" ? undefined : readLaunchModels(homes.cacheDir);
  const settings = code.route === "d" ? readLauncherSettings({}, "", {}) : await readSettings(homes, env, known);
  const request: LaunchRequest = {
    code,
    namesRoute: namesRoute(typed),
    session: options.session,
    model: options.model,
    prompt: await findPrompt(options, code, words),
    isSafe: options.isSafe,
    rest: options.rest,
  };
  const { route } = settledCode(request, settings);
  const world: LaunchWorld = {
    env,
    cwd,
    file,
    launchId: newLaunchId(),
    newSession: crypto.randomUUID(),
    secret: settings.requireKey ? (options.isDryRun ? "masked" : readLaunchSecret(homes.stateDir)) : undefined,
    launchDir: launchDirectory(homes.stateDir, now),
    isRoot: process.getuid?.() === 0,
    // Only a prompt makes it matter, and asking costs over a millisecond.
    hasTerminal: options.prompt === undefined || ((await isTerminal(0)) && (await isTerminal(1))),
    hasOwnLogin: row.login !== undefined && detectOwnLogin(row.login, env, process.platform),
    rivals: canHaveRivals(row, route, request) ? findRivals(row.rivals, env, cwd) : [],
    ...(await lastSession(row, code, cwd, homes)),
    catalogue:
      route === "d" ? {} : (known?.catalogue ?? (await import("../providers/model-snapshot.ts")).readModelSnapshot()),
  };
  const inquiry = { subcommands: helpCommands(request, settings, world), question: row.question };
  if (options.isDryRun) {
    const front = await chooseWay(request, settings, options, world);
    const reached = { ...settings, gatewayUrl: front.url };
    const plan = buildLaunch(request, reached, withInstalled(world, recall(file, homes), inquiry));
    if (front.note !== undefined) plan.notes.push(front.note);
    const { renderPlanJson, renderPlanText } = await import("../launcher/dry-run.ts");
    return console.log(options.isJson ? renderPlanJson(plan) : renderPlanText(plan));
  }
  // What is wrong with the request itself is told before anything is started for it.
  buildLaunch(request, settings, world);
  if (file === undefined) throw notInstalled(row);
  const [installed, reached] = await Promise.all([
    inquire(file, row, inquiry, homes, env),
    route === "d" ? settings : reachGateway(request, settings, options, world, homes),
  ]);
  const plan = buildLaunch(
    request,
    await chosenTiers(reached, code, homes, env),
    withInstalled(world, installed, inquiry),
  );
  writeLaunchFiles(plan.files, now);
  const settled = settledCode(request, settings);
  if (settled.route !== "d") noteForLedger(world, settled, plan.session, now);
  for (const note of plan.notes) tell(note);
  const { CLUTCH_GUARD: guardId, ...agentEnv } = env;
  if (guardId !== undefined) {
    const { noteLaunch } = await import("../src/lifecycle/launches.ts");
    noteLaunch(homes.stateDir, guardId, {
      launchId: world.launchId,
      agent: code.agent,
      code: renderLaunchCode(settled),
      ...(plan.session === undefined ? {} : { session: plan.session }),
    });
  }
  await becomeAgent(plan, row, agentEnv);
}

/** Where its requests come from, as the gateway will tell of them. What cannot be noted stops no agent. */
function noteForLedger(
  { launchDir, launchId, cwd }: LaunchWorld,
  code: LaunchCode,
  session: string | undefined,
  now: Date,
): void {
  const note: LaunchNote = {
    folder: cwd,
    agent: code.agent,
    code: renderLaunchCode(code),
    session: session ?? null,
    started_at: now.getTime(),
  };
  try {
    const path = launchNotePath(launchDir, launchId);
    writeLaunchFiles([{ path, content: JSON.stringify(note), mode: 0o600 }], now);
  } catch {
    // As above.
  }
}

/** For an agent that cannot continue by itself: the newest session that Clutch knows of this folder. */
async function lastSession(
  row: AgentRow,
  { agent, mode }: LaunchCode,
  cwd: string,
  homes: Homes,
): Promise<Pick<LaunchWorld, "lastSession">> {
  if (mode !== "c" || !("cannot" in row.modes.c)) return {};
  const { listLaunches } = await import("../src/lifecycle/launches.ts");
  const sessions = listLaunches(homes.stateDir)
    .map(({ record }) => record)
    .filter((record) => record.agent === agent && record.cwd === cwd && record.session !== undefined)
    .sort((a, b) => b.startedAtMs - a.startedAtMs);
  const [newest] = sessions;
  return newest?.session === undefined ? {} : { lastSession: newest.session };
}

type RowWithRivals = AgentRow & Required<Pick<AgentRow, "rivals">>;

function canHaveRivals(row: AgentRow, route: Route, request: LaunchRequest): row is RowWithRivals {
  const { rivals } = row;
  const isNamed = request.model !== undefined || request.code.tier !== undefined;
  return rivals?.routes.includes(route) === true && !(rivals.unlessModel === true && isNamed);
}

/** A gateway that was started for this launch has just chosen what these two letters stand for. */
async function chosenTiers(
  settings: LauncherSettings,
  { tier }: LaunchCode,
  homes: Homes,
  env: Env,
): Promise<LauncherSettings> {
  if (tier !== "m" && tier !== "f") return settings;
  const { tiers } = await readSettings(homes, env, readLaunchModels(homes.cacheDir));
  return { ...settings, tiers };
}

function recall(file: string | undefined, homes: Homes): Installed | undefined {
  return file === undefined ? undefined : recallInstalled(file, homes.cacheDir);
}

/** Starts the program only the first time, and when it has changed. */
async function inquire(file: string, row: AgentRow, inquiry: Inquiry, homes: Homes, env: Env): Promise<Installed> {
  const known = recallInstalled(file, homes.cacheDir);
  if (isAnswered(known, inquiry)) return known;
  const notice = setTimeout(tell, askNoticeMs, `${row.name} is new here or has changed: reading which flags it has`);
  try {
    return await askInstalled(file, inquiry, homes.cacheDir, env);
  } finally {
    clearTimeout(notice);
  }
}

function withInstalled(world: LaunchWorld, installed: Installed | undefined, inquiry: Inquiry): LaunchWorld {
  const knownFlags = flagsOf(installed, inquiry.subcommands);
  const learnt = installed?.learnt ?? undefined;
  return { ...world, ...(knownFlags !== undefined && { knownFlags }), ...(learnt !== undefined && { learnt }) };
}

/** The settings with the address that the agent is to be pointed at: the gateway's own, or its way through Headroom. */
async function reachGateway(
  request: LaunchRequest,
  settings: LauncherSettings,
  options: XxOptions,
  world: LaunchWorld,
  homes: Homes,
): Promise<LauncherSettings> {
  const { gatewayUrl: url, autoStart: mayStart } = settings;
  const [way, how] = await Promise.all([
    chooseWay(request, settings, options, world),
    ensureGateway({ url, mayStart, startChain: () => startChain(url, homes, world.env), tell }),
  ]);
  if (how === "running" && settings.requireKey && isStrangersPort(url)) {
    throw new ClutchError("gateway-down", `what answers at ${url} is a program of another user, not your gateway`, {
      hint: "give the gateway another port: server.port in the config, or CLUTCH_PORT",
    });
  }
  // Headroom is just being started with the chain: until it answers, the gateway goes on without it by itself.
  const front = how === "started" && way.isComing === true ? { url: `${url}/front` } : way;
  if (front.note !== undefined) tell(front.note);
  return { ...settings, gatewayUrl: front.url };
}

/** Asks Headroom, where the launch may go through it. */
async function chooseWay(
  request: LaunchRequest,
  settings: LauncherSettings,
  options: XxOptions,
  world: LaunchWorld,
): Promise<Front> {
  const { gatewayUrl, frontPort: port } = settings;
  const { route } = settledCode(request, settings);
  // An agent's own login goes to its own vendor and nowhere else, and the prompt cache of Anthropic's own models is worth
  // more than what compression saves.
  const isVendors = (route === "b" && world.hasOwnLogin) || (route !== "d" && goesToAnthropic(request, settings));
  if (route === "d" || port === undefined || options.skipsFront || isVendors) return { url: gatewayUrl };
  const isInstalled = () => findBinary("headroom", world.env) !== undefined;
  return chooseFront({ gatewayUrl, port, isInstalled });
}

/** Loaded when no gateway answers, and not before. */
async function startChain(url: string, homes: Homes, env: Env): Promise<void> {
  const { startChainFor } = await import("./chain-place.ts");
  await startChainFor(url, homes, env, tell);
}

/** To stderr: stdout is the agent's. */
function tell(line: string): void {
  console.error(`xx: ${asPlainLine(line)}`);
}

async function readSettings(homes: Homes, env: Env, known: LaunchModels | undefined): Promise<LauncherSettings> {
  const { path, value } = await readConfigFile(homes);
  return readLauncherSettings(value, path ?? homes.configFile, env, known?.letters);
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
