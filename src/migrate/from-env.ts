/** The predecessors' `.env`: models, cascades, routes, endpoints, headers. Old and new names of a variable mean the same. Pure. */

import { catalog, findRow } from "../../providers/catalog.ts";
import { type TierName, tierNames } from "../model-tiers.ts";
import { efforts } from "../protocols/chat.ts";
import { type Draft, takeLiteral } from "./draft.ts";

export interface EnvSources {
  /** Of the file. */
  variables: ReadonlyMap<string, string>;
  /** Of this shell: a key that is here too is left here, and named. */
  env: Readonly<Record<string, string | undefined>>;
}

/** Variables that mark a `.env` as a predecessor's. */
const marks = ["BIG_MODEL", "MIDDLE_MODEL", "SMALL_MODEL", "PROVIDER_BASE_URL", "PROVIDER_API_KEY", "PROXY_AUTH_KEY"];

export function isPredecessorsEnv(variables: ReadonlyMap<string, string>): boolean {
  return marks.some((name) => variables.has(name));
}

export function migrateEnv({ variables, env }: EnvSources, draft: Draft): void {
  draft.begin(".env");
  const reader = new Reader(variables, env, draft);
  takeProvider(draft, reader);
  takeOtherKeys(draft, reader);
  for (const tier of tierNames) takeTier(tier, draft, reader);
  takeThinking(draft, reader);
  takeLists(draft, reader);
  takeRoutes(draft, reader);
  takeHeaders(draft, reader);
  takeServer(draft, reader);
  for (const name of reader.rest()) draft.leave(name, reasons[name] ?? "no setting of Clutch's corresponds to it");
}

const reasons: Readonly<Record<string, string>> = {
  LOG_LEVEL: "it is no part of the config: CLUTCH_LOG sets it for one run",
  AZURE_API_VERSION: "it belongs to an endpoint: give it as providers.<id>.query",
};

/** Remembers what was looked at. */
class Reader {
  readonly #variables: ReadonlyMap<string, string>;
  readonly #env: EnvSources["env"];
  readonly #draft: Draft;
  readonly #seen = new Set<string>();
  readonly #keys = new Map<string, string | undefined>();

  constructor(variables: ReadonlyMap<string, string>, env: EnvSources["env"], draft: Draft) {
    this.#variables = variables;
    this.#env = env;
    this.#draft = draft;
  }

  text(name: string): string | undefined {
    this.#seen.add(name);
    return this.#variables.get(name);
  }

  has(name: string): boolean {
    return this.#variables.has(name);
  }

  /** Undefined also where it is neither. */
  flag(name: string): boolean | undefined {
    const text = this.text(name)?.toLowerCase();
    if (text === undefined) return undefined;
    return ["true", "1", "yes", "on"].includes(text);
  }

  list(name: string): string[] | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    try {
      const value: unknown = text.startsWith("[") ? JSON.parse(text) : undefined;
      if (Array.isArray(value)) return value.map(String).filter((item) => item !== "");
    } catch {
      // Brackets of some other notation.
    }
    return text
      .split(/[,\s]+/)
      .map((item) => item.replace(/^["'[]+|["'\]]+$/g, ""))
      .filter((item) => item !== "");
  }

  /** Named, where this shell has the same; otherwise as it is. */
  key(name: string): string | undefined {
    if (this.#keys.has(name)) return this.#keys.get(name);
    const value = takeLiteral(this.text(name), name, this.#draft);
    const key = value !== undefined && this.#env[name] === value ? `env:${name}` : value;
    this.#keys.set(name, key);
    return key;
  }

  names(): string[] {
    return [...this.#variables.keys()];
  }

  rest(): string[] {
    return this.names().filter((name) => !this.#seen.has(name));
  }
}

/** What most placeholders of the predecessors' own documents look like. */
const placeholder = /^(x+|dummy|placeholder|pass|your[-_ ].*|sk-your.*|changeme|none|.*\.\.\.)$/i;

function takeProvider(draft: Draft, read: Reader): void {
  const [keyName, key] = firstKey(read, ["PROVIDER_API_KEY", "OPENAI_API_KEY"]);
  const baseName = read.has("PROVIDER_BASE_URL") ? "PROVIDER_BASE_URL" : "OPENAI_BASE_URL";
  const baseUrl = read.text(baseName);
  const isLegacy = keyName === "OPENAI_API_KEY" || (baseName === "OPENAI_BASE_URL" && baseUrl !== undefined);
  if (key === undefined && baseUrl === undefined) {
    // One of several vendors' own keys may be all there is.
    const id = ["openrouter", ...Object.keys(catalog)].find((row) =>
      (findRow(row)?.keyEnv ?? []).some((name) => read.has(name) && name !== "ANTHROPIC_API_KEY"),
    );
    if (id !== undefined && id !== "openrouter") draft.setDefaultProvider(id, findRow(id)?.keyEnv?.[0] ?? id);
    return;
  }
  if (baseUrl !== undefined && !isHttp(baseUrl)) {
    draft.leave(baseName, "it is no http(s) address");
    return;
  }
  const isOpenRouters = key?.startsWith("sk-or-") === true;
  const usual = isOpenRouters ? "openrouter" : isLegacy ? "openai" : "openrouter";
  const from = [keyName, baseUrl === undefined ? undefined : baseName].filter((name) => name !== undefined).join(", ");
  const id = draft.provider({ baseUrl, key, usual, hint: hostOf(baseUrl) }, from);
  draft.setDefaultProvider(id, from);
}

function firstKey(read: Reader, names: readonly string[]): [name: string | undefined, key: string | undefined] {
  const name = names.find((candidate) => read.has(candidate));
  if (name === undefined) return [undefined, undefined];
  const key = read.key(name);
  return key === undefined || placeholder.test(key) ? [undefined, undefined] : [name, key];
}

function hostOf(url: string | undefined): string {
  const host = url === undefined || !URL.canParse(url) ? "" : new URL(url).hostname;
  // An address is no name.
  return /[a-z]/.test(host) && host !== "localhost" ? host : "own";
}

function isHttp(url: string): boolean {
  return /^https?:\/\//.test(url) && URL.canParse(url);
}

/** Every provider's own variable; ANTHROPIC_API_KEY once meant the key that agents had to show. */
function takeOtherKeys(draft: Draft, read: Reader): void {
  for (const id of Object.keys(catalog)) {
    for (const name of findRow(id)?.keyEnv ?? []) {
      if (!read.has(name) || name === "GITHUB_TOKEN" || (name === "OPENAI_API_KEY" && !read.has("PROVIDER_API_KEY")))
        continue;
      const key = read.key(name);
      if (key === undefined) break;
      const isProxyKey = name === "ANTHROPIC_API_KEY" && !/^(sk-ant-|env:)/.test(key);
      if (isProxyKey) {
        draft.leave(
          name,
          "it was the key that agents had to show; on this machine alone none is needed (server.require_key)",
        );
      } else if (placeholder.test(key)) {
        draft.leave(name, "it is a placeholder");
      } else if (draft.provider({ baseUrl: undefined, key, provider: id, hint: "second" }, name) !== id) {
        draft.leave(name, `${id} has another key already; this one is a provider of its own now`);
      }
      break;
    }
  }
}

function takeTier(tier: TierName, draft: Draft, read: Reader): void {
  const model = read.text(`${tier}_MODEL`);
  const provider = tierProvider(tier, model, draft, read);
  if (model !== undefined)
    draft.set(["model_tiers", tier, "default"], draft.reference(provider, model), `${tier}_MODEL`);
  const cascade = read.list(`${tier}_CASCADE`);
  if (cascade !== undefined) draft.set(["model_tiers", tier, "cascade"], cascade, `${tier}_CASCADE`);
}

/** The tier's own endpoint, where it is switched on. */
function tierProvider(tier: TierName, model: string | undefined, draft: Draft, read: Reader): string {
  const names = [`${tier}_ENDPOINT`, `${tier}_API_KEY`, `${tier}_AZURE_API_VERSION`] as const;
  const isOn = read.flag(`ENABLE_${tier}_ENDPOINT`);
  const given = names.filter((name) => read.has(name));
  const [baseUrl, key, apiVersion] = [read.text(names[0]), read.key(names[1]), read.text(names[2])];
  if (given.length === 0) return draft.defaultProvider;
  if (isOn !== true) {
    for (const name of given) draft.leave(name, `ENABLE_${tier}_ENDPOINT is not true`);
    return draft.defaultProvider;
  }
  if (baseUrl !== undefined && !isHttp(baseUrl)) {
    draft.leave(names[0], "it is no http(s) address");
    return draft.defaultProvider;
  }
  const isDated = apiVersion !== undefined && baseUrl !== undefined;
  if (apiVersion !== undefined && !isDated) draft.leave(names[2], `there is no ${names[0]}`);
  const base =
    isDated && !/\/deployments\//.test(baseUrl)
      ? `${baseUrl.replace(/\/+$/, "").replace(/\/openai$/, "")}/openai/deployments/${model ?? ""}`
      : baseUrl;
  const named = baseUrl === undefined ? draft.defaultProvider : undefined;
  const endpoint = { baseUrl: base, key, provider: named, hint: tier.toLowerCase() };
  return draft.provider(
    { ...endpoint, usual: draft.defaultProvider, ...(isDated && { apiVersion }) },
    given.join(", "),
  );
}

function takeThinking(draft: Draft, read: Reader): void {
  for (const prefix of ["", ...tierNames.map((tier) => `${tier}_`)]) {
    const tiers = prefix === "" ? tierNames : tierNames.filter((tier) => prefix === `${tier}_`);
    const setAll = (path: readonly string[], value: string | number | boolean, name: string) => {
      for (const tier of tiers) draft.set(["model_tiers", tier, ...path], value, name);
    };
    const [effortName, budgetName, excludeName, verbosityName] = [
      `${prefix}REASONING_EFFORT`,
      `${prefix}REASONING_MAX_TOKENS`,
      `${prefix}REASONING_EXCLUDE`,
      `${prefix}VERBOSITY`,
    ];
    const effort = read.text(effortName)?.toLowerCase();
    if (effort !== undefined) {
      if ((efforts as readonly string[]).includes(effort)) setAll(["reasoning", "effort"], effort, effortName);
      else draft.leave(effortName, `"${effort}" is none of ${efforts.join(", ")}`);
    }
    const budget = read.text(budgetName);
    if (budget !== undefined) {
      if (/^[1-9]\d*$/.test(budget)) setAll(["reasoning", "max_tokens"], Number(budget), budgetName);
      else draft.leave(budgetName, `"${budget}" is no number of tokens`);
    }
    const isExcluded = read.flag(excludeName);
    if (isExcluded === true) setAll(["reasoning", "exclude"], true, excludeName);
    const verbosity = read.text(verbosityName)?.toLowerCase();
    if (verbosity === "default") continue;
    if (verbosity !== undefined) {
      if (["low", "medium", "high"].includes(verbosity)) setAll(["verbosity"], verbosity, verbosityName);
      else draft.leave(verbosityName, `"${verbosity}" is none of low, medium, high`);
    }
  }
}

function takeLists(draft: Draft, read: Reader): void {
  for (const [name, key] of [
    ["TOOLCALL_MODELS", "toolcall_models"],
    ["OPENROUTER_FALLBACK_MODELS", "fallbacks"],
  ] as const) {
    const models = read.list(name);
    if (models !== undefined) draft.set([key], models, name);
  }
  const method = read.text("FALLBACK_METHOD")?.toLowerCase();
  if (method === undefined) return;
  if (["cascade", "openrouter_native", "both"].includes(method))
    draft.set(["fallback_method"], method, "FALLBACK_METHOD");
  else draft.leave("FALLBACK_METHOD", `"${method}" is none of cascade, openrouter_native, both`);
}

const routes = [
  ["ROUTER_DEFAULT", ["default"]],
  ["ROUTER_BACKGROUND", ["background"]],
  ["ROUTER_THINK", ["think"]],
  ["ROUTER_LONG_CONTEXT", ["long_context", "model"]],
  ["ROUTER_WEB_SEARCH", ["web_search"]],
  ["ROUTER_IMAGE", ["image"]],
] as const;

function takeRoutes(draft: Draft, read: Reader): void {
  for (const [name, path] of routes) {
    const model = read.text(name);
    if (model !== undefined) draft.set(["routes", ...path], readRouteModel(model), name);
  }
  const threshold = read.text("ROUTER_LONG_CONTEXT_THRESHOLD");
  if (threshold !== undefined) {
    const name = "ROUTER_LONG_CONTEXT_THRESHOLD";
    if (/^[1-9]\d*$/.test(threshold)) draft.set(["routes", "long_context", "threshold"], Number(threshold), name);
    else draft.leave(name, `"${threshold}" is no number of tokens`);
  }
  const hasRoutes = routes.some(([name]) => read.has(name));
  if (hasRoutes && read.has("BIG_CASCADE") && !read.has("OPENROUTER_FALLBACK_MODELS")) {
    draft.leave(
      "BIG_CASCADE",
      "behind the models of routes: here fallbacks stand behind those, so name it there if it shall",
    );
  }
  if (read.text("ROUTER_CUSTOM_PATH") !== undefined) draft.leave("ROUTER_CUSTOM_PATH", scriptReason);
}

/** Why no script is taken over. */
export const scriptReason =
  "its script is asked in another way: write route(request, config) in a file beside the config, and name it in routes.custom";

/** claude-code-router's `provider,model`, which the predecessor took too. */
export function readRouteModel(text: string): string {
  const [provider, model] = /^([a-z0-9-]+),(.+)$/i.exec(text)?.slice(1) ?? [];
  return provider === undefined || model === undefined || findRow(provider.toLowerCase()) === undefined
    ? text
    : `${provider.toLowerCase()}:${model}`;
}

/** They went to every upstream. */
function takeHeaders(draft: Draft, read: Reader): void {
  const prefix = "CUSTOM_HEADER_";
  const ids = new Set([draft.defaultProvider, ...Object.keys((draft.config["providers"] ?? {}) as object)]);
  for (const name of read.names().filter((candidate) => candidate.startsWith(prefix))) {
    const header = name.slice(prefix.length).replaceAll("_", "-").toLowerCase();
    if (header === "") draft.leave(name, "it names no header");
    const value = takeLiteral(read.text(name), name, draft);
    if (header === "" || value === undefined) continue;
    for (const id of ids) draft.set(["providers", id, "headers", header], value, name);
  }
}

function takeServer(draft: Draft, read: Reader): void {
  const host = read.text("HOST");
  const port = read.text("PORT");
  if (host !== undefined) draft.set(["server", "host"], host, "HOST");
  const isOpen = host !== undefined && !/^(127\.|localhost$|::1$|\[::1\]$)/.test(host);
  if (port !== undefined) {
    if (/^\d+$/.test(port) && Number(port) > 0 && Number(port) <= 65535)
      draft.set(["server", "port"], Number(port), "PORT");
    else draft.leave("PORT", `"${port}" is no port`);
  }
  const isGuarded = read.text("PROXY_AUTH_KEY") !== undefined;
  if (isOpen) draft.set(["server", "require_key"], true, isGuarded ? "PROXY_AUTH_KEY" : "HOST");
  if (isGuarded) {
    draft.leave(
      "PROXY_AUTH_KEY",
      isOpen
        ? "keys are made anew, and only their hashes kept: clutch keys create"
        : "on this machine alone none is needed; server.require_key and clutch keys create if you want one",
    );
  }
}
