/** Which variables a config takes its keys from, by name: a login service has none of the shell's. Pure. */

import { findRow } from "../../../providers/catalog.ts";
import type { Config } from "../../config/schema.ts";
import type { LoginKind } from "./definition.ts";

/** In the order in which the config names them; of the default provider, where it has no key in the config, the usual one. */
export function namedVariables(config: Config, kind: LoginKind): string[] {
  const specs: string[] = [];
  for (const { api_key, api_keys, headers } of Object.values(config.providers)) {
    specs.push(...(api_keys ?? []), ...(api_key === undefined ? [] : [api_key]), ...Object.values(headers));
  }
  const own = config.providers[config.default_provider];
  const [usual] = findRow(config.default_provider)?.keyEnv ?? [];
  if (own?.api_key === undefined && own?.api_keys === undefined && usual !== undefined) specs.push(`env:${usual}`);
  if (kind === "chain") {
    for (const service of config.chain.services) specs.push(...Object.values(service.env ?? {}));
  }
  return [...new Set(specs.filter((spec) => spec.startsWith("env:")).map((spec) => spec.slice(4)))];
}
