/** Turns what was asked for, an agent's row and the settings into the exact process to become. Pure: all I/O is exec.ts's. */

import type { Env } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { isMode, isRoute, type LaunchCode, renderLaunchCode } from "../src/launch-code.ts";
import { buildLaunchToken, parseLaunchToken } from "../src/launch-token.ts";
import { exemptLoopback } from "../src/loopback-direct.ts";
import { type AgentRow, findAgentRow, type LaunchKind, type Refusal, type Slot, type Wiring } from "./agents.ts";
import { type LauncherSettings, resolveTier } from "./settings.ts";

export interface LaunchRequest {
  code: LaunchCode;
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
}

export interface RivalFile {
  path: string;
  /** The settings that win. */
  names: readonly string[];
}

export interface LaunchPlan {
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

/** @throws {ClutchError} `not-supported` for what the agent cannot do, `usage` for a mode that lacks its prompt or session */
export function buildLaunch(request: LaunchRequest, settings: LauncherSettings, world: LaunchWorld): LaunchPlan {
  const row = findAgentRow(request.code.agent);
  const connect = supported(row.routes[request.code.route], row, request.code);
  const kind = launchKind(request, row, world);
  const template = supported(row.modes[kind], row, request.code);
  const model = chooseModel(request, row, settings);
  const bypass = chooseBypass(request, row, kind, world);
  const code = renderLaunchCode(model.isTier ? request.code : { ...request.code, tier: undefined });
  const token = buildLaunchToken({ code, launchId: world.launchId, secret: world.secret });
  const pathOf = (name: string) => `${world.launchDir}/${world.launchId}-${name}`;
  const isDirect = request.code.route === "d";
  const connectLogin = world.hasOwnLogin && request.code.route === "b" ? row.routes["b+login"] : undefined;
  const wiring = (connectLogin ?? connect)({
    gateway: settings.gatewayUrl,
    token,
    model: model.name,
    isBypassed: bypass.isOn,
    pathOf,
  });
  const named = wiring.model ?? model.name;
  return {
    cwd: world.cwd,
    file: world.file ?? row.binary,
    argv: fillArgv(template, row, request, {
      "<bypass>": bypass.isOn ? row.bypass.argv : [],
      "<trust>": bypass.isOn ? (row.bypass.trust?.(world.cwd) ?? []) : [],
      "<session>": request.session === undefined ? [] : [request.session],
      "<model>": named === undefined ? [] : [row.modelFlag, named],
      "<route>": wiring.argv,
    }),
    env: buildEnvDelta(wiring, isDirect ? {} : proxyExceptions(world.env), world.env),
    files: wiring.files.map(({ name, text }) => ({ path: pathOf(name), mode: 0o600, content: `${text}\n` })),
    notes: [
      ...(world.file === undefined ? [`${row.binary} is not on PATH: install it with ${row.install}`] : []),
      ...model.notes,
      ...(wiring.notes ?? []),
      ...bypass.notes,
      ...world.rivals.map(
        ({ path, names }) =>
          `${path} sets ${names.join(" and ")}, which wins over this launch: take it out of that file`,
      ),
    ],
    token: isDirect ? undefined : token,
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

function launchKind(request: LaunchRequest, row: AgentRow, world: LaunchWorld): LaunchKind {
  const { code, session, prompt } = request;
  const typed = renderLaunchCode(code);
  if (code.mode === "n" && prompt === undefined) {
    throw new ClutchError("usage", `"${typed}" needs a prompt`, {
      hint: `xx ${typed} -p "..." or echo "..." | xx ${typed}`,
    });
  }
  if (session !== undefined) return code.mode === "n" ? "n+s" : "s";
  if (code.mode === "s") {
    throw new ClutchError("usage", `"${typed}" needs the id of a session`, {
      hint: `xx ${typed} -s <id>${isRefusal(row.modes.r) ? "" : `, or xx ${renderLaunchCode({ ...code, mode: "r" })} to pick one`}`,
    });
  }
  // Without a terminal only the headless form can run, and it knows "the last session" too.
  if (code.mode === "c" && prompt !== undefined && !world.hasTerminal) return "n+c";
  return code.mode;
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
    return { name: request.model, isTier: false, notes };
  }
  const ownName = route === "p" ? row.defaultModel : undefined;
  if (tier === undefined) return { name: ownName, isTier: false, notes: [] };
  const { model, guess } = resolveTier(tier, settings);
  return {
    name: model ?? ownName,
    isTier: true,
    notes: guess === undefined ? [] : [`tier ${tier} is ${model}: ${guess}`],
  };
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

function buildEnvDelta(wiring: Wiring, more: Record<string, string>, parent: Env): EnvDelta {
  const set = { ...more, ...wiring.set };
  const names = [
    ...wiring.unset.flatMap((name) => (name.includes("*") ? matchNames(name, parent) : [name])),
    ...leftoverTokens(parent),
  ];
  return { set, unset: [...new Set(names)].filter((name) => !Object.hasOwn(set, name)) };
}

/** An agent that runs `xx` hands its own launch token down, which is nobody's key on any route. */
function leftoverTokens(env: Env): string[] {
  return Object.keys(env).filter((name) => parseLaunchToken(env[name] ?? "") !== undefined);
}

function matchNames(pattern: string, env: Env): string[] {
  const expression = new RegExp(`^${pattern.replaceAll("*", ".*")}$`);
  return Object.keys(env)
    .filter((name) => expression.test(name))
    .sort();
}

/** A proxy of the user's must not see what goes to the gateway on this machine. Programs differ in the case they read. */
function proxyExceptions(env: Env): Record<string, string> {
  const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].flatMap((name) => [env[name], env[name.toLowerCase()]]);
  return proxies.some(Boolean) ? { ...exemptLoopback(env) } : {};
}
