/** Turns what was asked for, an agent's row and the settings into the exact process to become. Pure: all I/O is exec.ts's. */

import type { Env } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { type LaunchCode, renderLaunchCode } from "../src/launch-code.ts";
import { buildLaunchToken } from "../src/launch-token.ts";
import { exemptLoopback } from "../src/loopback-direct.ts";
import { type AgentRow, findAgentRow, type LaunchKind, type Slot, type Wiring } from "./agents.ts";
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

/** @throws {ClutchError} `not-supported` for an agent without a row, `usage` for a mode that lacks its prompt or session */
export function buildLaunch(request: LaunchRequest, settings: LauncherSettings, world: LaunchWorld): LaunchPlan {
  const row = findAgentRow(request.code.agent);
  const kind = launchKind(request, world);
  const model = chooseModel(request, row, settings);
  const bypass = chooseBypass(request, row, world);
  const code = renderLaunchCode(model.isTier ? request.code : { ...request.code, tier: undefined });
  const token = buildLaunchToken({ code, launchId: world.launchId, secret: world.secret });
  const pathOf = (name: string) => `${world.launchDir}/${world.launchId}-${name}`;
  const isDirect = request.code.route === "d";
  const wire = world.hasOwnLogin && request.code.route === "b" ? row.routes["b+login"] : undefined;
  const wiring = (wire ?? row.routes[request.code.route])({
    gateway: settings.gatewayUrl,
    token,
    model: model.name,
    isBypassed: bypass.isOn,
    pathOf,
  });
  return {
    cwd: world.cwd,
    file: world.file ?? row.binary,
    argv: fillArgv(row, kind, request, {
      "<bypass>": bypass.isOn ? row.bypass.argv : [],
      "<trust>": bypass.isOn ? (row.bypass.trust?.(world.cwd) ?? []) : [],
      "<session>": request.session === undefined ? [] : [request.session],
      "<model>": model.name === undefined ? [] : [row.modelFlag, model.name],
      "<route>": wiring.argv,
    }),
    env: buildEnvDelta(wiring, isDirect ? {} : proxyExceptions(world.env), world.env),
    files: wiring.files.map(({ name, content }) => ({
      path: pathOf(name),
      mode: 0o600,
      content: `${JSON.stringify(content)}\n`,
    })),
    notes: [
      ...(world.file === undefined ? [`${row.binary} is not on PATH: install it with ${row.install}`] : []),
      ...model.notes,
      ...bypass.notes,
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

function launchKind(request: LaunchRequest, world: LaunchWorld): LaunchKind {
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
      hint: `xx ${typed} -s <id>, or xx ${renderLaunchCode({ ...code, mode: "r" })} to pick one`,
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

function chooseBypass(request: LaunchRequest, row: AgentRow, world: LaunchWorld): { isOn: boolean; notes: string[] } {
  const { rootNeeds, argv } = row.bypass;
  if (request.isSafe) return { isOn: false, notes: [] };
  if (!world.isRoot || rootNeeds === undefined || world.env[rootNeeds] === "1") return { isOn: true, notes: [] };
  return {
    isOn: false,
    notes: [`${row.name} refuses ${argv.join(" ")} as root, so it will ask: set ${rootNeeds}=1 if this is a sandbox`],
  };
}

function fillArgv(
  row: AgentRow,
  kind: LaunchKind,
  request: LaunchRequest,
  slots: Record<Exclude<Slot, "<prompt>">, readonly string[]>,
): string[] {
  const template = row.modes[kind];
  const { prompt, rest } = request;
  if (prompt !== undefined && !template.includes("<prompt>")) {
    throw new ClutchError("usage", `mode ${kind} of ${row.name} takes no first message`, { hint: "leave -p out" });
  }
  const isOdd = prompt !== undefined && (prompt.startsWith("-") || row.reservedPrompts.includes(prompt));
  const all: Record<Slot, readonly string[]> = { ...slots, "<prompt>": prompt === undefined || isOdd ? [] : [prompt] };
  const isSlot = (word: string): word is Slot => Object.hasOwn(all, word);
  const argv = template.flatMap((word) => (isSlot(word) ? all[word] : [word]));
  return [...argv, ...rest, ...(isOdd ? ["--", prompt] : [])];
}

function buildEnvDelta(wiring: Wiring, more: Record<string, string>, parent: Env): EnvDelta {
  const set = { ...more, ...wiring.set };
  const names = wiring.unset.flatMap((name) => (name.includes("*") ? matchNames(name, parent) : [name]));
  return { set, unset: [...new Set(names)].filter((name) => !Object.hasOwn(set, name)) };
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
