/** Turns what was asked for, an agent's row and the settings into the exact process to become. Pure: all I/O is exec.ts's. */

import { catalog } from "../providers/catalog.ts";
import type { ModelCatalogue } from "../providers/model-facts.ts";
import { parseModelReference } from "../providers/model-reference.ts";
import type { Env } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { isMode, isNamedTier, isRoute, type LaunchCode, renderLaunchCode } from "../src/launch-code.ts";
import { buildLaunchToken, parseLaunchToken } from "../src/launch-token.ts";
import { exemptLoopback } from "../src/loopback-direct.ts";
import { letterModels, ownNames, type TierConfig, tierModels, tierNames } from "../src/model-tiers.ts";
import {
  type AgentRow,
  findAgentRow,
  type LaunchKind,
  modelVariables,
  type Refusal,
  type Slot,
  smallModel,
  type Wiring,
} from "./agents.ts";
import { type ModelNames, smallestLimits } from "./limits.ts";
import { findProfile, type LauncherSettings, resolveTier } from "./settings.ts";

export interface LaunchRequest {
  code: LaunchCode;
  /** False where the code left the route out: a profile may then decide it. */
  namesRoute: boolean;
  /** Resumes this session whatever the mode. */
  session?: string;
  /** A model reference; wins over the code's tier. */
  model?: string;
  /** Mode n: the task. Other modes: the first message. */
  prompt?: string;
  /** Leaves the agent's approvals on. */
  isSafe: boolean;
  /** For the agent as it is, at the end of its argv. */
  rest: readonly string[];
}

/** What the plan has to know of the machine. */
export interface LaunchWorld {
  env: Env;
  cwd: string;
  /** The agent's program; undefined when it is not installed. */
  file: string | undefined;
  launchId: string;
  /** Part of the token when the gateway requires keys. */
  secret?: string;
  /** Folder for generated files. */
  launchDir: string;
  isRoot: boolean;
  /** Both stdin and stdout are a terminal. */
  hasTerminal: boolean;
  /** The agent has a login of its own, by its row's probe. */
  hasOwnLogin: boolean;
  /** Files of the user's that win over this launch, by its row's probe. */
  rivals: readonly RivalFile[];
  /** What is known of models; empty where it does not matter (route d). */
  catalogue: ModelCatalogue;
  /** The flags that the installed program lists for this launch's subcommand; absent when that is not known. */
  knownFlags?: ReadonlySet<string>;
  /** What the program said when it was asked as its row wants. */
  learnt?: string;
  /** For the session that this launch begins; a UUID. */
  newSession: string;
  /** The newest session of this agent that Clutch launched in this folder, where it knows one. */
  lastSession?: string;
}

export interface RivalFile {
  path: string;
  /** The settings that win. */
  names: readonly string[];
}

export interface LaunchPlan {
  /** The agent's own id of the session, where the launch decides it. */
  session: string | undefined;
  cwd: string;
  /** An absolute path, or the bare name of an agent that is not installed. */
  file: string;
  /** Without the program's own name. */
  argv: string[];
  env: EnvDelta;
  files: LaunchFile[];
  /** One line each, for the person. */
  notes: string[];
  /** What a display must mask wherever it occurs; undefined on route d. */
  token: string | undefined;
}

export interface EnvDelta {
  set: Record<string, string>;
  /** Disjoint from `set`; may name variables that are not there. */
  unset: string[];
}

export interface LaunchFile {
  path: string;
  mode: 0o600;
  content: string;
}

/**
 * @throws {ClutchError} `not-supported` for what the agent cannot do, or can no longer do in the installed version, `usage`
 *   for a mode that lacks its prompt or session, and for a profile that is not there or not for this agent
 */
export function buildLaunch(typed: LaunchRequest, settings: LauncherSettings, world: LaunchWorld): LaunchPlan {
  const row = findAgentRow(typed.code.agent);
  const profile = readProfile(typed, row, settings);
  const request = profile.request;
  const connect = supported(row.routes[request.code.route], row, request.code);
  const { kind, session, notes: kindNotes } = launchKind(request, row, world);
  const template = supported(row.modes[kind], row, request.code);
  const model = chooseModel(request, row, settings);
  const bypass = chooseBypass(request, row, kind, world);
  const code = renderLaunchCode(model.isTier ? request.code : { ...request.code, tier: undefined });
  const token = buildLaunchToken({ code, launchId: world.launchId, secret: world.secret });
  const pathOf = (name: string) => `${world.launchDir}/${world.launchId}-${name}`;
  const isDirect = request.code.route === "d";
  const connectLogin = world.hasOwnLogin && request.code.route === "b" ? row.routes["b+login"] : undefined;
  const names = modelNames(settings);
  const reachable = isDirect ? [] : reachableModels(request, model, row, settings.models);
  const wiring = (connectLogin ?? connect)({
    gateway: settings.gatewayUrl,
    token,
    model: model.name,
    smallModel: chooseSmallModel(request, model),
    limits: reachable.length === 0 ? undefined : smallestLimits(reachable, names, world.catalogue),
    isAnthropic: firstProviderOf(reachable, names) === "anthropic",
    learnt: world.learnt,
    isBypassed: bypass.isOn,
    pathOf,
  });
  const named = wiring.model ?? model.name;
  // What follows `--` may name a session of its own.
  const newSession =
    kind === "i" && row.newSessionFlag !== undefined && request.rest.length === 0 ? world.newSession : undefined;
  const slots = {
    "<bypass>": bypass.isOn ? row.bypass.argv : [],
    "<trust>": bypass.isOn ? (row.bypass.trust?.(world.cwd) ?? []) : [],
    "<session>": session === undefined ? [] : [session],
    "<new session>": newSession === undefined ? [] : [row.newSessionFlag ?? "", newSession],
    "<model>": named === undefined ? [] : [row.modelFlag, named],
    "<route>": wiring.argv,
  };
  const flags = checkFlags(template, slots, row, world);
  return {
    session: session ?? (flags.template.includes("<new session>") ? newSession : undefined),
    cwd: world.cwd,
    file: world.file ?? row.binary,
    argv: fillArgv(flags.template, row, request, slots),
    env: buildEnvDelta(wiring, { ...profile.env, ...(isDirect ? {} : proxyExceptions(world.env)) }, world.env),
    files: wiring.files.map(({ name, text }) => ({ path: pathOf(name), mode: 0o600, content: `${text}\n` })),
    notes: [
      ...(world.file === undefined ? [`${row.binary} is not on PATH: install it with ${row.install}`] : []),
      ...kindNotes,
      ...model.notes,
      ...(wiring.notes ?? []),
      ...bypass.notes,
      ...flags.notes,
      ...world.rivals.map(
        ({ path, names }) =>
          `${path} sets ${names.join(" and ")}, which wins over this launch: take it out of that file`,
      ),
    ],
    token: isDirect ? undefined : token,
  };
}

/** Which helps of the program a launch has to know: that of its subcommand, and of what stands before it. */
export function helpCommands(typed: LaunchRequest, settings: LauncherSettings, world: LaunchWorld): string[][] {
  const row = findAgentRow(typed.code.agent);
  const { request } = readProfile(typed, row, settings);
  // of two refusals the one that no other mode gets round
  supported(row.routes[request.code.route], row, request.code);
  const words = subcommandOf(supported(row.modes[launchKind(request, row, world).kind], row, request.code));
  return [[], ...words.map((_, index) => words.slice(0, index + 1))];
}

/** Whether the model that is asked first is Anthropic's own, at Anthropic. */
export function goesToAnthropic(typed: LaunchRequest, settings: LauncherSettings): boolean {
  const row = findAgentRow(typed.code.agent);
  const { request } = readProfile(typed, row, settings);
  const reachable = reachableModels(request, chooseModel(request, row, settings), row, settings.models);
  if (reachable.length === 0) return request.code.agent === "c";
  return firstProviderOf(reachable, modelNames(settings)) === "anthropic";
}

/** The code with which a launch is made: a profile may decide its route. */
export function settledCode(typed: LaunchRequest, settings: LauncherSettings): LaunchCode {
  return readProfile(typed, findAgentRow(typed.code.agent), settings).request.code;
}

function firstProviderOf(models: readonly string[], { isProvider, defaultProvider }: ModelNames): string | undefined {
  const [first = ""] = models;
  return first === "" ? undefined : parseModelReference(first, isProvider, defaultProvider).provider;
}

/** What the profile behind a digit adds to what was typed. */
function readProfile(
  typed: LaunchRequest,
  row: AgentRow,
  settings: LauncherSettings,
): { request: LaunchRequest; env: Readonly<Record<string, string>> } {
  const { tier } = typed.code;
  if (tier === undefined || isNamedTier(tier)) return { request: typed, env: {} };
  const { agent, model, route, args, env } = findProfile(tier, settings);
  if (agent !== undefined && agent !== typed.code.agent) {
    throw new ClutchError("usage", `profile ${tier} is for ${findAgentRow(agent).name}, not for ${row.name}`, {
      hint: `xx ${renderLaunchCode({ ...typed.code, agent })}`,
    });
  }
  const rest = [...args, ...typed.rest];
  if (typed.namesRoute || route === undefined) return { request: { ...typed, rest }, env };
  // Without a gateway the model is the agent's to know, and a code of route d has no tier.
  const isDirect = route === "d";
  const code = { ...typed.code, route, ...(isDirect && { tier: undefined }) };
  const own = isDirect ? (typed.model ?? model) : typed.model;
  return { request: { ...typed, code, rest, ...(own !== undefined && { model: own }) }, env };
}

/** Every model that the launch's main conversation may be answered by. */
function reachableModels(
  request: LaunchRequest,
  model: ChosenModel,
  row: AgentRow,
  config: TierConfig,
): readonly string[] {
  if (request.code.route === "b") return model.name === undefined ? [] : [model.name];
  const tier = model.name === undefined ? undefined : ownNames[model.name];
  if (model.name !== undefined && tier === undefined) {
    return model.isTier ? letterModels(model.name, true, config) : [model.name];
  }
  return (tier === undefined ? row.ownTiers : [tier]).flatMap((name) => tierModels(name, true, config));
}

function modelNames({ models, ownProviders }: Pick<LauncherSettings, "models" | "ownProviders">): ModelNames {
  return {
    isProvider: (id) => Object.hasOwn(catalog, id) || ownProviders.includes(id),
    defaultProvider: models.default_provider,
  };
}

/** The environment of the agent. */
export function applyEnvDelta(parent: Env, delta: EnvDelta): Record<string, string> {
  const gone = new Set(delta.unset);
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(parent)) {
    if (value !== undefined && !gone.has(name)) env[name] = value;
  }
  return { ...env, ...delta.set };
}

/**
 * What stands in a cell of the row.
 * @throws {ClutchError} `not-supported` when that is a refusal
 */
export function supported<Cell extends object>(cell: Cell | Refusal, row: AgentRow, code: LaunchCode): Cell {
  if (!isRefusal(cell)) return cell;
  const hint = cell.instead.replace(/\{(.)\}/g, (_, letter: string) => {
    if (isRoute(letter)) return renderLaunchCode({ ...code, route: letter, tier: undefined });
    return isMode(letter) ? renderLaunchCode({ ...code, mode: letter }) : letter;
  });
  throw new ClutchError("not-supported", `${row.name} ${cell.cannot}`, { hint });
}

function isRefusal(cell: object): cell is Refusal {
  return Object.hasOwn(cell, "cannot");
}

interface KindOfLaunch {
  kind: LaunchKind;
  session: string | undefined;
  notes: string[];
}

function launchKind(request: LaunchRequest, row: AgentRow, world: LaunchWorld): KindOfLaunch {
  const { code, session, prompt } = request;
  const typed = renderLaunchCode(code);
  if (code.mode === "n" && prompt === undefined) {
    throw new ClutchError("usage", `"${typed}" needs a prompt`, {
      hint: `xx ${typed} -p "..." or echo "..." | xx ${typed}`,
    });
  }
  if (session !== undefined) return { kind: code.mode === "n" ? "n+s" : "s", session, notes: [] };
  if (code.mode === "s") {
    throw new ClutchError("usage", `"${typed}" needs the id of a session`, {
      hint: `xx ${typed} -s <id>${isRefusal(row.modes.r) ? "" : `, or xx ${renderLaunchCode({ ...code, mode: "r" })} to pick one`}`,
    });
  }
  if (code.mode === "c" && isRefusal(row.modes.c) && world.lastSession !== undefined) {
    const notes = [
      `${row.name} ${row.modes.c.cannot}: ${world.lastSession} is the last that Clutch knows of this folder`,
    ];
    return { kind: "s", session: world.lastSession, notes };
  }
  // Without a terminal only the headless form can run, and it knows "the last session" too.
  const isHeadless = code.mode === "c" && prompt !== undefined && !world.hasTerminal;
  return { kind: isHeadless ? "n+c" : code.mode, session, notes: [] };
}

/** Plain words at the start of a template: the subcommand that it calls. */
function subcommandOf(template: readonly string[]): readonly string[] {
  const end = template.findIndex((word) => /^[-<]/.test(word));
  return end === -1 ? template : template.slice(0, end);
}

/** Every flag that launches of this agent can use, by the subcommand that takes it (words joined by a space). */
export function flagsUsed(row: AgentRow): ReadonlyMap<string, readonly string[]> {
  const used = new Map<string, string[]>();
  for (const template of Object.values(row.modes)) {
    if (isRefusal(template)) continue;
    const filled: Readonly<Record<string, readonly string[]>> = {
      "<bypass>": row.bypass.argv,
      "<model>": [row.modelFlag],
      "<new session>": row.newSessionFlag === undefined ? [] : [row.newSessionFlag],
    };
    const flags = template.flatMap((word) => filled[word] ?? [word]).filter(isFlag);
    const command = subcommandOf(template).join(" ");
    used.set(command, [...new Set([...(used.get(command) ?? []), ...flags.map(flagOf)])]);
  }
  return used;
}

function isFlag(word: string): boolean {
  return /^--?[a-z]/i.test(word);
}

/** `-q <prompt>` and `--name=value` are the flags `-q` and `--name`. */
function flagOf(word: string): string {
  return word.replace(/[ =].*/s, "");
}

/**
 * Flags come and go with an agent's versions. One that is gone is left out where the launch means the same without it;
 * otherwise the launch stops: it would start another session, reach another place, or ask where it should not.
 */
function checkFlags(
  template: readonly string[],
  slots: Readonly<Record<string, readonly string[]>>,
  row: AgentRow,
  world: LaunchWorld,
): { template: readonly string[]; notes: string[] } {
  const known = world.knownFlags;
  if (known === undefined) return { template, notes: [] };
  const isGone = (word: string) => isFlag(word) && !known.has(flagOf(word));
  const gone = template.flatMap((word) => slots[word] ?? [word]).filter(isGone);
  const [needed] = gone.filter((flag) => !row.spareFlags.includes(flag));
  if (needed !== undefined) {
    const isBypass = row.bypass.argv.includes(needed);
    throw new ClutchError("not-supported", `the installed ${row.name} has no ${flagOf(needed)} any more`, {
      hint: isBypass ? "--safe starts it with its approvals on" : `what ${row.binary} --help lists can follow --`,
    });
  }
  return {
    // A slot goes with its flag.
    template: template.filter((word) => !(slots[word] ?? [word]).some((filled) => gone.includes(filled))),
    notes: gone.map((flag) => `the installed ${row.name} has no ${flag} any more: started without`),
  };
}

interface ChosenModel {
  name: string | undefined;
  /** The tier letter decides, so it belongs into the token. */
  isTier: boolean;
  notes: string[];
}

function chooseModel(request: LaunchRequest, row: AgentRow, settings: LauncherSettings): ChosenModel {
  const { tier, route } = request.code;
  if (request.model !== undefined) {
    const notes = tier === undefined ? [] : [`-m ${request.model} is used, tier ${tier} is not`];
    return { name: route === "p" ? readModel(request.model, settings) : request.model, isTier: false, notes };
  }
  const ownName = route === "p" ? row.defaultModel : undefined;
  if (tier === undefined) return { name: ownName, isTier: false, notes: [] };
  const { model, reason } = resolveTier(tier, settings);
  return {
    name: model ?? ownName,
    isTier: true,
    notes: reason === undefined ? [] : [`tier ${tier} is ${model}: ${reason}`],
  };
}

/** The families of Claude's that the gateway maps to tiers, as Claude Code's users type them. */
const families = ["opus", "sonnet", "haiku", "fable"];

/** `-m` with a bare name means a model of the default provider; the gateway would take such a name for the agent's own. */
function readModel(text: string, { models, ownProviders, mapped }: LauncherSettings): string {
  const tier = tierNames.find((name) => name === text);
  if (tier !== undefined) return `clutch-${tier.toLowerCase()}`;
  const isKnown = Object.hasOwn(ownNames, text) || mapped.includes(text) || families.includes(text);
  const names = modelNames({ models, ownProviders });
  if (isKnown || text.includes("/") || parseModelReference(text, names.isProvider, "").isExplicit) return text;
  // All of OpenRouter's names are vendor/model.
  if (models.default_provider !== "openrouter") return `${models.default_provider}:${text}`;
  throw new ClutchError("usage", `unknown model "${text}": it names no provider, and OpenRouter's are vendor/model`, {
    hint: "such as -m openai/gpt-oss-120b:free, -m openai:gpt-5 or -m ollama:qwen3:8b",
  });
}

/** `-m` means that model alone, and route b knows no tiers. */
function chooseSmallModel(request: LaunchRequest, model: ChosenModel): string | undefined {
  if (request.model !== undefined || request.code.route !== "p") return model.name;
  return model.name === undefined ? undefined : smallModel;
}

function chooseBypass(
  request: LaunchRequest,
  row: AgentRow,
  kind: LaunchKind,
  world: LaunchWorld,
): { isOn: boolean; notes: string[] } {
  const { rootNeeds, argv, neverAsks = [] } = row.bypass;
  if (request.isSafe) {
    const notes = neverAsks.includes(kind) ? [`${row.name} never asks in this mode, so --safe changes nothing`] : [];
    return { isOn: false, notes };
  }
  if (!world.isRoot || rootNeeds === undefined || world.env[rootNeeds] === "1") return { isOn: true, notes: [] };
  return {
    isOn: false,
    notes: [`${row.name} refuses ${argv.join(" ")} as root, so it will ask: set ${rootNeeds}=1 if this is a sandbox`],
  };
}

function fillArgv(
  template: readonly string[],
  row: AgentRow,
  request: LaunchRequest,
  slots: Record<Exclude<Slot, "<prompt>" | "<words>">, readonly string[]>,
): string[] {
  const { prompt, rest } = request;
  if (prompt !== undefined && !template.some((word) => word === "<words>" || word.endsWith("<prompt>"))) {
    throw new ClutchError("usage", `mode ${request.code.mode} of ${row.name} takes no first message`, {
      hint: `leave -p out, or xx ${renderLaunchCode({ ...request.code, mode: "n" })} for one task`,
    });
  }
  // What the agent would not take for a prompt goes to the very end, behind `--`.
  let behindDashes: string[] = [];
  const all: Record<Slot, () => readonly string[]> = {
    "<bypass>": () => slots["<bypass>"],
    "<trust>": () => slots["<trust>"],
    "<session>": () => slots["<session>"],
    "<new session>": () => slots["<new session>"],
    "<model>": () => slots["<model>"],
    "<route>": () => slots["<route>"],
    "<prompt>": () => {
      if (prompt === undefined) return [];
      if (!prompt.startsWith("-") && !row.reservedPrompts.includes(prompt)) return [prompt];
      if (row.oddPromptFlag !== undefined) return [`${row.oddPromptFlag}=${prompt}`];
      behindDashes = ["--", prompt];
      return [];
    },
    "<words>": () => {
      behindDashes = prompt === undefined ? [] : ["--", ...prompt.split(" ")];
      return [];
    },
  };
  const isSlot = (word: string): word is Slot => Object.hasOwn(all, word);
  const argv = template.flatMap((word) => (isSlot(word) ? all[word]() : fillFlag(word, prompt)));
  return [...argv, ...rest, ...behindDashes];
}

/** `-q <prompt>` is two arguments, or one where a prompt with a dash would be taken for an option. */
function fillFlag(word: string, prompt: string | undefined): string[] {
  if (!word.endsWith(" <prompt>")) return [word];
  if (prompt === undefined) return [];
  const flag = word.slice(0, -" <prompt>".length);
  return prompt.startsWith("-") ? [`${flag}=${prompt}`] : [flag, prompt];
}

/** What the wiring removes stays away, whoever sets it. */
function buildEnvDelta(wiring: Wiring, more: Record<string, string>, parent: Env): EnvDelta {
  const isRemoved = (name: string) => wiring.unset.some((pattern) => patternOf(pattern).test(name));
  const kept = Object.entries(more).filter(([name]) => !isRemoved(name));
  const set = { ...Object.fromEntries(kept), ...wiring.set };
  const names = [
    ...wiring.unset.flatMap((name) => (name.includes("*") ? matchNames(name, parent) : [name])),
    ...leftovers(parent),
  ];
  return { set, unset: [...new Set(names)].filter((name) => !Object.hasOwn(set, name)) };
}

/**
 * An agent that runs `xx` hands its own launch token down, which is nobody's key on any route, and what its launch told it
 * of models.
 */
function leftovers(env: Env): string[] {
  const tokens = Object.keys(env).filter((name) => parseLaunchToken(env[name] ?? "") !== undefined);
  return tokens.length === 0 ? [] : [...tokens, ...modelVariables.filter((name) => Object.hasOwn(env, name))];
}

function matchNames(pattern: string, env: Env): string[] {
  return Object.keys(env)
    .filter((name) => patternOf(pattern).test(name))
    .sort();
}

function patternOf(name: string): RegExp {
  return new RegExp(`^${name.replaceAll("*", ".*")}$`);
}

/** A proxy of the user's must not see what goes to the gateway on this machine. Programs differ in the case they read. */
function proxyExceptions(env: Env): Record<string, string> {
  const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].flatMap((name) => [env[name], env[name.toLowerCase()]]);
  return proxies.some(Boolean) ? { ...exemptLoopback(env) } : {};
}
