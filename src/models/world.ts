/** What a config says about whom to ask for models: which providers can be used, and where their lists are. */

import { catalog } from "../../providers/catalog.ts";
import { localServers } from "../../providers/local-probe.ts";
import { buildProviders, keyReader, type Provider } from "../../providers/registry.ts";
import type { Env } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import type { FetchedList } from "./catalogue.ts";
import { shortReference } from "./letters.ts";
import { type Pin, pinnedModels } from "./pins.ts";

export interface ModelWorld {
  defaultProvider: string;
  allowsPaid: boolean;
  isProvider(id: string): boolean;
  /** It has a key, or needs none. */
  canUse(provider: string): boolean;
  /** Whose models a public list can tell: not those of local servers, which have what their owner put there. */
  listed: ReadonlySet<string>;
  reference(provider: string, model: string): string;
  pins: Pin[];
  /** The lists that are worth fetching unasked, with their URLs: those of providers that this config can use. */
  wanted: Partial<Record<FetchedList, string>>;
  /** The address of each server on this machine that may have models, by provider, whether it is there or not. */
  localRoots: ReadonlyMap<string, string>;
  /** OpenRouter's list, when a person asks for it: no key is needed to read it. */
  openRouterUrl: string | undefined;
}

/** @see https://models.dev */
const modelsDevUrl = "https://models.dev/api.json";

/**
 * @param letters what the launch letters stand for by the config, without those that Clutch chooses
 * @throws {ClutchError} as buildProviders does
 */
export function describeWorld(config: Config, letters: Readonly<Record<string, string>>, env: Env): ModelWorld {
  // A key that a command would print counts as there: asking for it may ask its owner first.
  const providers = buildProviders(
    config,
    keyReader(env, () => "from a command"),
  );
  const canUse = (id: string) => {
    const provider = providers.get(id);
    return provider !== undefined && (provider.key !== undefined || provider.keySource === undefined);
  };
  const isProvider = (id: string) => providers.has(id);
  const openRouterUrl = listUrl(providers.get("openrouter"));
  // models.dev knows public places only, and need not hear of a machine that uses none.
  const usesPublic = [...providers.values()].some((provider) => provider.isBuiltIn && provider.key !== undefined);
  return {
    defaultProvider: config.default_provider,
    allowsPaid: config.budgets.allow_paid,
    isProvider,
    canUse,
    listed: new Set([...Object.keys(catalog), ...providers.keys()].filter((id) => !isLocal(providers.get(id)))),
    localRoots: new Map(localServers(providers.values()).map(({ id, root }) => [id, root])),
    reference: shortReference(isProvider, config.default_provider),
    pins: pinnedModels(config, letters, isProvider),
    wanted: {
      ...(canUse("openrouter") && openRouterUrl !== undefined && { openrouter: openRouterUrl }),
      ...(usesPublic && { "models.dev": modelsDevUrl }),
    },
    openRouterUrl,
  };
}

function isLocal(provider: Provider | undefined): boolean {
  return provider !== undefined && provider.keySource === undefined;
}

/** Beside the provider's own addresses, so that a config that moves it moves its list too. */
function listUrl(provider: Provider | undefined): string | undefined {
  const [url] = Object.values(provider?.urls ?? {});
  return url?.replace(/\/(chat\/completions|messages|responses)$/, "/models");
}
