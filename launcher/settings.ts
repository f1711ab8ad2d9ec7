/**
 * The few values of the config that a launch needs, read from the raw JSON: the whole schema would cost the launcher more
 * time than everything else it does. Unknown keys are the gateway's business.
 */

import type { Env } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import {
  type AgentLetter,
  agentNames,
  isAgentLetter,
  isNamedTier,
  isRoute,
  type NamedTier,
  namedTiers,
  type ProfileDigit,
  profileDigits,
  type Route,
  type Tier,
} from "../src/launch-code.ts";
import { headroomPort } from "../src/lifecycle/chain/headroom.ts";
import { type TierConfig, tierNames } from "../src/model-tiers.ts";
import type { LetterModels } from "../src/models/launch-models.ts";
import type { Json, JsonObject } from "../src/protocols/chat.ts";
import { isObject } from "../src/protocols/json.ts";

export interface LauncherSettings {
  /** Without a trailing slash and without `/v1`. */
  gatewayUrl: string;
  requireKey: boolean;
  /** Whether `xx` starts a gateway that does not answer. */
  autoStart: boolean;
  /** Headroom's port, where the config wants it in front of the gateway. */
  frontPort: number | undefined;
  /** The models behind the gateway's tiers. */
  models: TierConfig;
  /** Names of models that the config maps to others. */
  mapped: readonly string[];
  /** Provider ids that the config adds to the built-in ones. */
  ownProviders: readonly string[];
  tiers: Record<NamedTier, TierModel>;
  profiles: Partial<Record<ProfileDigit, Profile>>;
}

export interface TierModel {
  /** A model reference. */
  model: string;
  /** Why this model, when it was Clutch that chose. */
  reason?: string;
}

/** A launch under a digit of its own. */
export interface Profile {
  /** What it is for, for the cheat sheet. */
  name?: string;
  /** The one agent it is made for; without it any. */
  agent?: AgentLetter;
  /** A model reference; without it the profile changes no model. */
  model?: string;
  /** Where the code names no route. */
  route?: Route;
  /** The agent's own options. */
  args: readonly string[];
  env: Readonly<Record<string, string>>;
}

const defaultModels = {
  d: "deepseek/deepseek-v4-flash:free",
  n: "nvidia/nemotron-3-super-120b-a12b:free",
  k: "moonshotai/kimi-k2.6:free",
  q: "qwen/qwen3-next-80b-a3b-thinking",
} as const;

/**
 * CLUTCH_HOST and CLUTCH_PORT beat `server.host` and `server.port`, which beat the predecessor's `proxy.base_url`.
 * @param source the config file's path, for messages
 * @param chosen what a gateway has chosen for tiers `m` and `f`; undefined where none has yet
 * @throws {ClutchError} `config-invalid` for a value of the wrong type, `usage` for a CLUTCH_PORT that is no port
 */
export function readLauncherSettings(config: Json, source: string, env: Env, chosen?: LetterModels): LauncherSettings {
  const read = configReader(config, source);
  return {
    gatewayUrl: gatewayUrl(read, env),
    requireKey: read.boolean("server.require_key") ?? false,
    autoStart: read.boolean("proxy.auto_start") ?? true,
    frontPort: readFrontPort(read),
    models: readModels(read),
    mapped: Object.keys(read.object("mappings") ?? {}),
    ownProviders: Object.keys(read.object("providers") ?? {}),
    tiers: readTiers(read, chosen),
    profiles: readProfiles(read),
  };
}

/** What each tier letter and profile digit stands for, for the gateway; letters that stand for no model are absent. */
export function readTierLetters(config: Json, source: string, chosen?: LetterModels): Record<string, string> {
  const read = configReader(config, source);
  return modelsOf({ ...readTiers(read, chosen), ...readProfiles(read) });
}

/** The two letters that Clutch chooses a model for where the config does not. */
export function readChosenTiers(
  config: Json,
  source: string,
  chosen: LetterModels | undefined,
): Pick<LauncherSettings["tiers"], "m" | "f"> {
  const { m, f } = readTiers(configReader(config, source), chosen);
  return { m, f };
}

/** What letters stand for without those whose model Clutch chooses: what somebody has pinned. */
export function readPinnedLetters(config: Json, source: string): Record<string, string> {
  const read = configReader(config, source);
  const { m, f, ...fixed } = readTiers(read, undefined);
  const own = tierOverrides(read);
  return modelsOf({
    ...fixed,
    ...(own.m !== undefined && { m }),
    ...(own.f !== undefined && { f }),
    ...readProfiles(read),
  });
}

function modelsOf(all: Readonly<Record<string, { model?: string }>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(all).flatMap(([letter, { model }]) => (model === undefined ? [] : [[letter, model]])),
  );
}

function readTiers(read: ConfigReader, chosen: LetterModels | undefined): LauncherSettings["tiers"] {
  const models = { ...defaultModels, ...tierOverrides(read) };
  return {
    d: { model: models.d },
    n: { model: models.n },
    k: { model: models.k },
    q: { model: models.q },
    m: models.m === undefined ? (pick(chosen?.m) ?? guessBest(chosen)) : { model: models.m },
    f: models.f === undefined ? (pick(chosen?.f) ?? guessFree(read, models.d, chosen)) : { model: models.f },
  };
}

function pick(letter: LetterModels["m"]): TierModel | undefined {
  return letter === undefined ? undefined : { model: letter.model, reason: letter.reason };
}

function guessBest(chosen: LetterModels | undefined): TierModel {
  const why = chosen === undefined ? notChosen : "no list with benchmarks is at hand";
  return { model: "clutch-big", reason: `${why}, so the gateway's BIG tier` };
}

/**
 * What a tier letter stands for; no model for a profile that names none.
 * @throws {ClutchError} `usage` for a profile that the config lacks
 */
export function resolveTier(tier: Tier, settings: LauncherSettings): Partial<TierModel> {
  if (isNamedTier(tier)) return settings.tiers[tier];
  const { model } = findProfile(tier, settings);
  return model === undefined ? {} : { model };
}

/** @throws {ClutchError} `usage` for a profile that the config lacks */
export function findProfile(digit: ProfileDigit, settings: LauncherSettings): Profile {
  const profile = settings.profiles[digit];
  if (profile !== undefined) return profile;
  throw new ClutchError("usage", `tier ${digit} is profile ${digit}, which the config does not have`, {
    hint: `add "launcher": { "profiles": { "${digit}": { "model": "..." } } }`,
  });
}

function tierOverrides(read: ConfigReader): Partial<Record<NamedTier, string>> {
  const entries = Object.keys(namedTiers).map((letter) => [letter, read.string(`launcher.tiers.${letter}`)] as const);
  return Object.fromEntries(entries.filter(([, model]) => model !== undefined && model !== ""));
}

const notChosen = "no gateway has looked at the lists of models here yet";

function guessFree(read: ConfigReader, fallback: string, chosen: LetterModels | undefined): TierModel {
  const why =
    chosen === undefined ? notChosen : "no list has a free model with tools that the config's providers serve";
  const bigModel = read.string("model_tiers.BIG.default") ?? "";
  if (bigModel.endsWith(":free")) return { model: bigModel, reason: `${why}, so BIG's default` };
  const cascadeModel = read.strings("model_tiers.BIG.cascade").find((model) => model.endsWith(":free"));
  return cascadeModel === undefined
    ? { model: fallback, reason: `${why}, so tier d` }
    : { model: cascadeModel, reason: `${why}, so the first free one of BIG's cascade` };
}

function readProfiles(read: ConfigReader): LauncherSettings["profiles"] {
  const profiles: LauncherSettings["profiles"] = {};
  for (const digit of profileDigits) {
    const path = `launcher.profiles.${digit}`;
    if (read.object(path) !== undefined) profiles[digit] = readProfile(read, path);
  }
  return profiles;
}

function readProfile(read: ConfigReader, path: string): Profile {
  const name = nonEmpty(read.string(`${path}.name`));
  const agent = nonEmpty(read.string(`${path}.agent`));
  const model = nonEmpty(read.string(`${path}.model`));
  const route = nonEmpty(read.string(`${path}.route`));
  const letter = agent === undefined ? undefined : agentLetter(agent);
  if (agent !== undefined && letter === undefined) {
    throw read.wrong(`${path}.agent`, agent, `an agent (${Object.keys(agentNames).join(", ")} or its name)`);
  }
  if (route !== undefined && !isRoute(route)) throw read.wrong(`${path}.route`, route, "p, b or d");
  return {
    ...(name !== undefined && { name }),
    ...(letter !== undefined && { agent: letter }),
    ...(model !== undefined && { model }),
    ...(route !== undefined && { route }),
    args: read.strings(`${path}.args`),
    env: read.texts(`${path}.env`),
  };
}

/** By letter, by name as people write it, or by the program's. */
function agentLetter(text: string): AgentLetter | undefined {
  if (isAgentLetter(text)) return text;
  const plain = (name: string) => name.toLowerCase().replace(/[ -]|code$/g, "");
  const found = Object.entries(agentNames).find(([, name]) => plain(name) === plain(text));
  return found?.[0] as AgentLetter | undefined;
}

/** What `listServices` makes of Headroom, as far as a launch needs it; the gateway reports what is wrong with the rest. */
function readFrontPort(read: ConfigReader): number | undefined {
  if ((read.string("headroom.mode") ?? "front") !== "front") return undefined;
  const services = read.value("chain.services");
  const entry = (Array.isArray(services) ? services : []).find(
    (service) => isObject(service) && service["id"] === "headroom",
  );
  const { enabled, front, port } = isObject(entry) ? entry : {};
  if (enabled === false || front === false) return undefined;
  return typeof port === "number" && isPort(port) ? port : headroomPort;
}

function readModels(read: ConfigReader): TierConfig {
  const tier = (name: string) => ({
    default: read.string(`model_tiers.${name}.default`) ?? "",
    cascade: read.strings(`model_tiers.${name}.cascade`),
    // That they are there is what counts here: tiers that only say how to think have the built-in models.
    reasoning: read.object(`model_tiers.${name}.reasoning`),
    verbosity: read.string(`model_tiers.${name}.verbosity`),
  });
  const [big, middle, small] = tierNames;
  return {
    default_provider: read.string("default_provider") ?? "openrouter",
    model_tiers:
      read.object("model_tiers") === undefined
        ? undefined
        : { BIG: tier(big), MIDDLE: tier(middle), SMALL: tier(small) },
    toolcall_models: read.strings("toolcall_models"),
    fallbacks: read.strings("fallbacks"),
  };
}

function gatewayUrl(read: ConfigReader, env: Env): string {
  const host = nonEmpty(env["CLUTCH_HOST"]) ?? nonEmpty(read.string("server.host"));
  const port = environmentPort(env) ?? configPort(read);
  const base = nonEmpty(read.string("proxy.base_url"));
  if (host !== undefined || port !== undefined || base === undefined) {
    return `http://${reachableHost(host ?? "127.0.0.1")}:${port ?? 8082}`;
  }
  if (!/^https?:/.test(base) || !URL.canParse(base)) throw read.wrong("proxy.base_url", base, "a http(s) address");
  return new URL(base).href.replace(/(\/v1)?\/*$/, "");
}

function environmentPort(env: Env): number | undefined {
  const text = nonEmpty(env["CLUTCH_PORT"]);
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text) && isPort(Number(text))) return Number(text);
  throw new ClutchError("usage", `CLUTCH_PORT is "${text}", which is no port`, {
    hint: "give a number from 1 to 65535",
  });
}

function configPort(read: ConfigReader): number | undefined {
  const port = read.value("server.port");
  if (port === undefined || (typeof port === "number" && isPort(port))) return port;
  if (port === 0) {
    throw new ClutchError("usage", "server.port is 0 (any free port), so xx cannot know it", {
      hint: "set CLUTCH_PORT to the one that clutch serve printed",
    });
  }
  throw read.wrong("server.port", port, "a port number");
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65535;
}

/** A gateway that listens everywhere is reached through loopback. */
function reachableHost(host: string): string {
  if (host === "0.0.0.0" || host === "*") return "127.0.0.1";
  if (host === "::" || host === "[::]") return "[::1]";
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

interface ConfigReader {
  value(path: string): Json | undefined;
  string(path: string): string | undefined;
  boolean(path: string): boolean | undefined;
  /** Empty when absent. */
  strings(path: string): string[];
  /** An object of texts; empty when absent. */
  texts(path: string): Record<string, string>;
  object(path: string): JsonObject | undefined;
  wrong(path: string, received: Json, expected: string): ClutchError;
}

/** Paths are dotted. Each method throws `config-invalid` when the value, or an object on the way to it, has another type. */
function configReader(config: Json, source: string): ConfigReader {
  const wrong = (path: string, received: Json, expected: string) =>
    new ClutchError("config-invalid", `${source}: "${path}" is ${shorten(JSON.stringify(received))}, not ${expected}`, {
      hint: "correct it in the file",
    });
  const asObject = (value: Json, path: string): JsonObject => {
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return value;
    throw wrong(path, value, "an object");
  };
  const value = (path: string): Json | undefined => {
    let here: Json | undefined = config;
    let walked = "";
    for (const key of path.split(".")) {
      if (here === undefined) return undefined;
      here = asObject(here, walked)[key];
      walked = walked === "" ? key : `${walked}.${key}`;
    }
    return here;
  };
  return {
    value,
    wrong,
    string(path) {
      const found = value(path);
      if (found === undefined || typeof found === "string") return found;
      throw wrong(path, found, "a text");
    },
    boolean(path) {
      const found = value(path);
      if (found === undefined || typeof found === "boolean") return found;
      throw wrong(path, found, "true or false");
    },
    strings(path) {
      const found = value(path) ?? [];
      if (Array.isArray(found) && found.every((item) => typeof item === "string")) return found;
      throw wrong(path, found, "a list of texts");
    },
    texts(path) {
      const found = value(path);
      const entries = found === undefined ? [] : Object.entries(asObject(found, path));
      return Object.fromEntries(
        entries.map(([key, text = null]) => {
          if (typeof text !== "string") throw wrong(`${path}.${key}`, text, "a text");
          return [key, text];
        }),
      );
    },
    object(path) {
      const found = value(path);
      return found === undefined ? undefined : asObject(found, path);
    },
  };
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
