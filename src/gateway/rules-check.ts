/** What can be said of a config's rules before any request: names that lead nowhere. Each is told once, at the config's load. Pure. */

import { type AgentId, agentIds } from "../agent-roles.ts";
import { tierNames } from "../model-tiers.ts";
import { type Routing, routableModels } from "./router.ts";
import { resolveName, unknownProvider } from "./rules.ts";

/** One line per mistake; the rules they stand in are passed over, or the model is left out of its list. */
export function ruleProblems(routing: Routing): string[] {
  const { config } = routing;
  const { routes } = config;
  const single: Record<string, string | undefined> = {
    "routes.image": routes.image,
    "routes.web_search": routes.web_search,
    "routes.long_context": routes.long_context.model,
    "routes.think": routes.think,
    "routes.background": routes.background,
    "routes.default": routes.default,
  };
  for (const id of Object.keys(agentIds) as AgentId[]) {
    const roles: Readonly<Record<string, string | undefined>> = config.agents[id]?.roles ?? {};
    for (const [role, name] of Object.entries(roles)) single[`agents.${id}.roles.${role}`] = name;
  }
  for (const [name, target] of Object.entries(config.agents.claude?.subagents ?? {})) {
    single[`agents.claude.subagents.${name}`] = target;
  }
  const named = Object.entries(single).filter(([, name]) => name !== undefined && name !== "");
  const mapped = Object.entries(config.mappings).map(([name, target]) => [`mappings.${name}`, target] as const);
  const lists: [string, readonly string[]][] = [
    ["fallbacks", config.fallbacks],
    ["toolcall_models", config.toolcall_models],
    ...tierNames.flatMap((tier): [string, readonly string[]][] => [
      [`model_tiers.${tier}.default`, [config.model_tiers?.[tier].default ?? ""]],
      [`model_tiers.${tier}.cascade`, config.model_tiers?.[tier].cascade ?? []],
    ]),
  ];
  const askable = new Set(routableModels(routing));
  return [
    ...Object.keys(config.quotas).flatMap((name) => {
      const unknown = unknownProvider(name, routing);
      if (unknown !== undefined) return `quotas names ${name}: there is no provider ${unknown}`;
      const isName = name.includes("/") || name.includes(":") || askable.has(name);
      return isName ? [] : `quotas names ${name}, which is no model that this config can ask for`;
    }),
    ...withoutEchoes([...named, ...mapped].flatMap(([key, name]) => problemOf(key, name ?? "", routing))),
    ...lists.flatMap(([key, names]) =>
      names.flatMap((name) => {
        const unknown = unknownProvider(name, routing);
        return unknown === undefined ? [] : `${key} names ${name}: there is no provider ${unknown}`;
      }),
    ),
  ];
}

function problemOf(key: string, name: string, routing: Routing): string[] {
  const found = resolveName(name, key, routing);
  return "problem" in found ? [found.problem] : [];
}

/** Every member of a circle finds the same circle: one line is enough. */
function withoutEchoes(lines: readonly string[]): string[] {
  const seen = new Set<string>();
  return lines.filter((line) => {
    const [, circle] = line.split(" goes in a circle: ");
    const key = circle === undefined ? line : [...new Set(circle.split(" -> "))].sort().join(" ");
    return !seen.has(key) && seen.add(key);
  });
}
