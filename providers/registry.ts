/** The providers of one config: built-in rows merged with the user's, keys looked up, URLs complete. */

import type { Config, ProviderConfig } from "../src/config/schema.ts";
import { ClutchError } from "../src/errors.ts";
import type { Protocol } from "../src/protocols/chat.ts";
import { plainQuirks, type Quirks } from "../src/protocols/codec.ts";
import { catalog, type ProviderRow } from "./catalog.ts";

export interface ProviderKey {
  /** Tells the keys of a provider apart without giving one away, such as `#1`. */
  id: string;
  value: string;
}

export interface Provider {
  id: string;
  name: string;
  /** Complete URLs to POST to, for the protocols it may be called in. */
  urls: Partial<Record<Protocol, string>>;
  messagesAuth: "x-api-key" | "bearer";
  /** What a rate limit is shared by, where the upstream's words do not say. */
  rateLimitScope: "model" | "key" | "account";
  /** Those that were found, in the order of the config. */
  keys: readonly ProviderKey[];
  /** The first key that was found, those of a pool before the single one; a local server needs none. */
  key: string | undefined;
  /** Where a missing key would have to be put; undefined when none is needed. */
  keySource: string | undefined;
  /** Where the catalogue says it is, not where a config has moved it. */
  isBuiltIn: boolean;
  /** Anthropic itself: the only one that is meant to read Claude Code's attribution block. */
  isAnthropic: boolean;
  /** Sent with every request, over Clutch's own. */
  headers: Readonly<Record<string, string>>;
  quirks: Quirks;
}

export type Providers = ReadonlyMap<string, Provider>;

/** Looks a key up: `env:NAME`, `cmd:...`, or the text itself. Undefined when the variable is unset or the command fails. */
export type ReadKey = (spec: string) => string | undefined;

const paths = { chat: "/chat/completions", messages: "/messages", responses: "/responses" } as const satisfies Record<
  Protocol,
  string
>;

/**
 * Providers named nowhere in the config are there too when they need no key or theirs is in the environment.
 * @throws {ClutchError} `config-invalid` for a custom provider without `base_url`, or an unknown `default_provider`
 */
export function buildProviders(config: Config, readKey: ReadKey): Providers {
  const providers = new Map<string, Provider>();
  for (const id of new Set([...Object.keys(catalog), ...Object.keys(config.providers)])) {
    const row: ProviderRow | undefined = Object.hasOwn(catalog, id) ? catalog[id as keyof typeof catalog] : undefined;
    providers.set(id, buildProvider(id, row, config.providers[id], readKey));
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

function buildProvider(
  id: string,
  row: ProviderRow | undefined,
  own: ProviderConfig | undefined,
  readKey: ReadKey,
): Provider {
  const base = own?.base_url;
  if (row === undefined && base === undefined) {
    throw new ClutchError("config-invalid", `providers.${id} has no base_url`, {
      hint: `"${id}" is no built-in provider, so say where it is: "base_url": "http://host:port/v1"`,
    });
  }
  const spoken: Protocol[] = own?.protocol
    ? [own.protocol]
    : row === undefined
      ? ["chat"]
      : (Object.keys(row.bases) as Protocol[]);
  const urls: Partial<Record<Protocol, string>> = {};
  for (const protocol of spoken) {
    const from = base === undefined ? row?.bases[protocol] : withVersion(base);
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
  const named = [...(own?.api_keys ?? []), ...(own?.api_key === undefined ? [] : [own.api_key])];
  const specs = named.length > 0 || row?.keyEnv === undefined ? named : [`env:${row.keyEnv}`];
  const found = specs.find((spec) => readKey(spec) !== undefined);
  const spec = found ?? specs[0];
  return {
    id,
    name: row?.name ?? id,
    urls,
    messagesAuth: row?.messagesAuth ?? "x-api-key",
    rateLimitScope: "model",
    keys: specs.flatMap((candidate, index) => {
      const value = readKey(candidate);
      return value === undefined ? [] : [{ id: `#${index + 1}`, value }];
    }),
    key: found === undefined ? undefined : readKey(found),
    keySource: spec === undefined ? undefined : describeKeySource(id, spec),
    isBuiltIn: row !== undefined && base === undefined,
    isAnthropic: urls.messages !== undefined && /(^|\.)anthropic\.com$/.test(new URL(urls.messages).hostname),
    headers: own?.headers ?? {},
    quirks: { ...plainQuirks, ...row?.quirks },
  };
}

/** `http://host:8000` and `http://host/api` get `/v1`; a base that ends in a version of its own is left as it is. */
function withVersion(base: string): string {
  const trimmed = base.replace(/\/+$/, "");
  return /\/v\d[^/]*$/.test(new URL(trimmed).pathname) ? trimmed : `${trimmed}/v1`;
}

function describeKeySource(id: string, spec: string): string {
  if (spec.startsWith("env:")) return `set ${spec.slice(4)} or providers.${id}.api_key`;
  if (spec.startsWith("cmd:")) return `providers.${id}.api_key is a command that printed no key`;
  return `set providers.${id}.api_key`;
}

/** @param run runs a shell command and returns what it printed, or undefined when it failed */
export function keyReader(
  env: Readonly<Record<string, string | undefined>>,
  run: (command: string) => string | undefined,
): ReadKey {
  return (spec) => {
    const found = spec.startsWith("env:") ? env[spec.slice(4)] : spec.startsWith("cmd:") ? run(spec.slice(4)) : spec;
    const key = found?.trim();
    return key === "" ? undefined : key;
  };
}
