/** The models that a config names, and where: what somebody would want to hear of when it changes. Pure. */

import { parseModelReference } from "../../providers/model-reference.ts";
import type { Config } from "../config/schema.ts";
import { hasNoTiers, ownNames, tierModels, tierNames } from "../model-tiers.ts";

export interface Pin {
  /** As the config writes it. */
  reference: string;
  provider: string;
  model: string;
  /** `model_tiers.BIG.default`, `tier letter d`. */
  places: string[];
}

/**
 * @param letters what the launch letters stand for, without those that Clutch itself chooses
 * @param isProvider whether an id before a colon names a provider
 */
export function pinnedModels(
  config: Config,
  letters: Readonly<Record<string, string>>,
  isProvider: (id: string) => boolean,
): Pin[] {
  const pins = new Map<string, Pin>();
  for (const [place, name] of namedModels(config, letters)) {
    const isTier = tierNames.some((tier) => tier === name) || Object.hasOwn(ownNames, name);
    if (name === "" || isTier) continue;
    const { provider, model } = parseModelReference(name, isProvider, config.default_provider);
    const key = `${provider}:${model}`;
    const pin = pins.get(key) ?? { reference: name, provider, model, places: [] };
    if (!pin.places.includes(place)) pin.places.push(place);
    pins.set(key, pin);
  }
  return [...pins.values()];
}

function namedModels(config: Config, letters: Readonly<Record<string, string>>): [place: string, name: string][] {
  const { model_tiers: tiers, routes } = config;
  const builtIn = hasNoTiers(config) || tiers !== undefined ? [] : tierNames;
  return [
    ...tierNames.flatMap((tier): [string, string][] => [
      [`model_tiers.${tier}.default`, tiers?.[tier].default ?? ""],
      ...(tiers?.[tier].cascade ?? []).map((name): [string, string] => [`model_tiers.${tier}.cascade`, name]),
    ]),
    ...builtIn.flatMap((tier) =>
      tierModels(tier, false, { ...config, fallbacks: [] }).map((name): [string, string] => [
        `tier ${tier} (built in)`,
        name,
      ]),
    ),
    ...config.toolcall_models.map((name): [string, string] => ["toolcall_models", name]),
    ...config.fallbacks.map((name): [string, string] => ["fallbacks", name]),
    ...(["image", "web_search", "think", "background", "default"] as const).map((route): [string, string] => [
      `routes.${route}`,
      routes[route],
    ]),
    ["routes.long_context", routes.long_context.model],
    ...Object.entries(config.mappings).map(([from, name]): [string, string] => [`mappings.${from}`, name]),
    ...Object.entries(letters).map(([letter, name]): [string, string] => [`tier letter ${letter}`, name]),
    ...Object.entries(config.agents).flatMap(([agent, groups]) =>
      Object.entries(groups).flatMap(([group, names]) =>
        Object.entries(names).map(([role, name = ""]): [string, string] => [`agents.${agent}.${group}.${role}`, name]),
      ),
    ),
  ];
}
