/** The providers of one config: built-in rows merged with the user's, keys looked up, URLs complete. */

import type { Config, ProviderConfig } from "../src/config/schema.ts";
import { ClutchError } from "../src/errors.ts";
import type { Protocol } from "../src/protocols/chat.ts";
import { plainQuirks, type Quirks } from "../src/protocols/codec.ts";
import {
  catalog,
  findRow,
  type KeyHeader,
  type LocalKind,
  type ModelPool,
  type ModelProtocol,
  type ProviderRow,
  type RateLimitScope,
} from "./catalog.ts";
import { keyId, type ProviderKey, type ReadKey, readKeys } from "./key-pool.ts";

export { keyReader, type ReadKey } from "./key-pool.ts";

export interface Provider {
  id: string;
  name: string;
  /** Complete URLs to POST to, for the protocols it may be called in; without a query. */
  urls: Partial<Record<Protocol, string>>;
  /** Appended to every URL, such as "?api-version=2024-10-21"; mostly empty. */
  query: string;
  /** Where the key goes. */
  auth: Readonly<Record<Protocol, KeyHeader>>;
  /** All that were found, those of the pool before the single one; a local server needs none. */
  keys: readonly ProviderKey[];
  /** The first of them. */
  key: string | undefined;
  /** Where a missing key would have to be put; undefined when none is needed. */
  keySource: string | undefined;
  /** Where the catalogue says it is, not where a config has moved it. */
  isBuiltIn: boolean;
  /** Anthropic itself: the only one that is meant to read Claude Code's attribution block. */
  isAnthropic: boolean;
  /** A server of this kind, to be chosen only if a probe has found it; undefined for all others. */
  local: LocalKind | undefined;
  /** Sent with every request, over Clutch's own. */
  headers: Readonly<Record<string, string>>;
  /** Takes the session's id; undefined where none does. */
  sessionHeader: string | undefined;
  /** What shares a limit that a refusal says no more about. */
  rateLimitScope: RateLimitScope;
  /** Groups of models with one limit for the whole account. */
  pools: readonly ModelPool[];
  /** Empty when every model speaks every protocol of `urls`. */
  modelProtocols: readonly ModelProtocol[];
  quirks: Quirks;
}

export type Providers = ReadonlyMap<string, Provider>;

const paths = { chat: "/chat/completions", messages: "/messages", responses: "/responses" } as const satisfies Record<
  Protocol,
  string
>;

const usualAuth = { chat: "bearer", messages: "x-api-key", responses: "bearer" } as const satisfies Record<
  Protocol,
  KeyHeader
>;

/**
 * Providers named nowhere in the config are there too when they need no key or theirs is in the environment; one whose
 * address only the user knows is there once the config has it.
 * @throws {ClutchError} `config-invalid` for a provider whose `base_url` is missing, or an unknown `default_provider`
 */
export function buildProviders(config: Config, readKey: ReadKey): Providers {
  const providers = new Map<string, Provider>();
  for (const id of new Set([...Object.keys(catalog), ...Object.keys(config.providers)])) {
    const row = findRow(id);
    const own = config.providers[id];
    if (own === undefined && row !== undefined && isTemplate(row)) continue;
    providers.set(id, buildProvider(id, row, own, readKey));
  }
  if (!providers.has(config.default_provider)) {
    throw new ClutchError(
      "unknown-provider",
      `default_provider is "${config.default_provider}", which is not configured`,
      {
        hint: `add providers.${config.default_provider} with a base_url, or name one of ${[...providers.keys()].join(", ")}`,
      },
    );
  }
  return providers;
}

/** Whether this model of the provider may be called in this protocol; some models speak one alone. */
export function speaks(provider: Provider, model: string, protocol: Protocol): boolean {
  if (provider.urls[protocol] === undefined) return false;
  if (provider.modelProtocols.length === 0) return true;
  const own = provider.modelProtocols.find(({ startsWith }) => startsWith.some((start) => model.startsWith(start)));
  return own === undefined || own.protocol === protocol;
}

/** Names of headers and of parts of a query that hold what is nobody else's business. */
export const secretName = /auth|key|token|secret|passw|credential|cookie/i;

/** Nobody is paid there: it asks for no key, neither by that name nor in a header or the query. */
export function isUnpaid({ keySource, headers, query }: Pick<Provider, "keySource" | "headers" | "query">): boolean {
  if (keySource !== undefined) return false;
  const names = [...Object.keys(headers), ...new URLSearchParams(query).keys()];
  return !names.some((name) => secretName.test(name));
}

/** The group of models whose limit this one shares, if any. */
export function poolOf(provider: Pick<Provider, "pools">, model: string): string | undefined {
  return provider.pools.find(({ endsWith }) => endsWith.some((end) => model.endsWith(end)))?.name;
}

function isTemplate(row: ProviderRow): boolean {
  return Object.values(row.bases).some((base) => base.includes("<"));
}

function buildProvider(
  id: string,
  row: ProviderRow | undefined,
  own: ProviderConfig | undefined,
  readKey: ReadKey,
): Provider {
  const base = own?.base_url;
  if (base === undefined && row === undefined) {
    throw new ClutchError("config-invalid", `providers.${id} has no base_url`, {
      hint: `"${id}" is no built-in provider, so say where it is: "base_url": "http://host:port/v1"`,
    });
  }
  if (base === undefined && row !== undefined && isTemplate(row)) {
    const [example] = Object.values(row.bases);
    throw new ClutchError("config-invalid", `providers.${id} has no base_url`, {
      hint: `only you know where it is: "base_url": "${example}"`,
    });
  }
  const urls = buildUrls(id, row, own);
  const named = [...(own?.api_keys ?? []), ...(own?.api_key === undefined ? [] : [own.api_key])];
  const variables = (row?.keyEnv ?? []).map((name) => `env:${name}`);
  const keys = named.length > 0 ? readKeys(named, readKey) : readKeys(variables, readKey).slice(0, 1);
  const specs = named.length > 0 ? named : variables;
  // Told of is the one that is used, or the first where none was found.
  const spec = specs.find((_, index) => keyId(index) === keys[0]?.id) ?? specs[0];
  return {
    id,
    name: row?.name ?? id,
    urls,
    query: renderQuery(own?.query ?? {}),
    auth: { ...usualAuth, ...row?.auth },
    keys,
    key: keys[0]?.value,
    keySource: spec === undefined ? undefined : describeKeySource(id, spec),
    isBuiltIn: row !== undefined && base === undefined,
    isAnthropic: urls.messages !== undefined && /(^|\.)anthropic\.com$/.test(new URL(urls.messages).hostname),
    local: row?.local,
    headers: buildHeaders(row?.headers ?? {}, own?.headers ?? {}, readKey),
    sessionHeader: row?.sessionHeader,
    rateLimitScope: row?.rateLimitScope ?? "model",
    // A custom provider may be OpenRouter under another name.
    pools: row === undefined ? [{ name: "free", endsWith: [":free"] }] : (row.pools ?? []),
    modelProtocols: row?.modelProtocols ?? [],
    quirks: { ...plainQuirks, ...row?.quirks },
  };
}

function buildUrls(id: string, row: ProviderRow | undefined, own: ProviderConfig | undefined): Provider["urls"] {
  const base = own?.base_url;
  const spoken: Protocol[] = own?.protocol
    ? [own.protocol]
    : row === undefined
      ? ["chat"]
      : (Object.keys(row.bases) as Protocol[]);
  const urls: Provider["urls"] = {};
  for (const protocol of spoken) {
    const from = base === undefined ? row?.bases[protocol] : completeBase(base, row?.basePath ?? "/v1");
    if (from === undefined) {
      throw new ClutchError(
        "config-invalid",
        `providers.${id}.protocol is "${protocol}", which ${row?.name ?? id} does not speak`,
        {
          hint: `use ${Object.keys(row?.bases ?? {}).join(" or ")}`,
        },
      );
    }
    urls[protocol] = from + paths[protocol];
  }
  return urls;
}

/**
 * `http://host:8000` and `http://host/api` get `/v1`, or the path that the provider's own base has; one that ends in a
 * version, in that path's last part, or names a deployment of Azure's is left as it is.
 */
function completeBase(base: string, path: string): string {
  const trimmed = base.replace(/\/+$/, "");
  const has = new URL(trimmed).pathname;
  const last = path.slice(path.lastIndexOf("/"));
  if (has.endsWith(last) || /\/deployments\/[^/]+$/.test(has)) return trimmed;
  const [first = "", ...rest] = path.slice(1).split("/");
  // `https://resource.openai.azure.com/openai`, and Gemini's `.../v1beta`: half of it is there already.
  if (rest.length > 0 && has.endsWith(`/${first}`)) return `${trimmed}/${rest.join("/")}`;
  return /\/v\d[^/]*$/.test(has) ? trimmed : trimmed + path;
}

function renderQuery(query: Readonly<Record<string, string>>): string {
  const text = new URLSearchParams(query).toString();
  return text === "" ? "" : `?${text}`;
}

/** A header that the config names stands over the catalogue's; empty, or from a variable that is not set, it is left out. */
function buildHeaders(
  usual: Readonly<Record<string, string>>,
  own: Readonly<Record<string, string>>,
  readKey: ReadKey,
): Record<string, string> {
  const headers: Record<string, string> = { ...usual };
  for (const [name, spec] of Object.entries(own)) {
    for (const given of Object.keys(usual)) if (given === name.toLowerCase()) delete headers[given];
    const value = spec.startsWith("env:") ? readKey(spec) : spec;
    if (value !== undefined && value !== "") headers[name] = value;
  }
  return headers;
}

function describeKeySource(id: string, spec: string): string {
  if (spec.startsWith("env:")) return `set ${spec.slice(4)} or providers.${id}.api_key`;
  if (spec.startsWith("cmd:")) return `providers.${id}.api_key is a command that printed no key`;
  return `set providers.${id}.api_key`;
}
