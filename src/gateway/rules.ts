/**
 * The routing rules, one row each in the order they are asked: when a rule applies and which models it names. The first
 * that names a model decides; each earlier one leaves a word on why it did not. Pure.
 */

import { type AgentId, agentIdOf, agentIds, roleAliases } from "../agent-roles.ts";
import type { Config } from "../config/schema.ts";
import { hasNoTiers, letterModels, ownNames, type TierName, tierModels, tierNames } from "../model-tiers.ts";
import type { RouteRequest, Routing } from "./router.ts";

/** What a rule has decided. */
export interface Choice {
  /** As the ledger and messages name it. */
  rule: string;
  /** The config key that said so, such as `routes.image`, or the rule's own name: what its hits are counted under. */
  key: string;
  /** Models to try, in order; with duplicates and empty names. */
  names: readonly string[];
  /** Whose models these are; undefined where the rule names models of its own. */
  tier?: TierName;
}

/** A rule that does not apply says why, in a few words. */
export type Outcome = Choice | string;

interface Rule {
  name: string;
  /** Asked before the user's script, which is not run when one of these decides. */
  isBeforeScript?: true;
  decide(request: RouteRequest, routing: Routing): Outcome;
}

export const rules: readonly Rule[] = [
  // Roles and sub-agents come first: they name one kind of call, a launch's tier is for the work as a whole.
  { name: "role", isBeforeScript: true, decide: byRole },
  { name: "sub-agent", isBeforeScript: true, decide: bySubagent },
  { name: "launch tier", isBeforeScript: true, decide: byLaunchTier },
  { name: "mapping", isBeforeScript: true, decide: byMapping },
  { name: "script", decide: byScript },
  { name: "image", decide: byImage },
  { name: "web search", decide: byWebSearch },
  { name: "long context", decide: byLongContext },
  { name: "think", decide: byThinking },
  { name: "background", decide: byBackground },
  { name: "own name", decide: byOwnName },
  { name: "no tiers", decide: byNoTiers },
  { name: "family", decide: byFamily },
  { name: "default", decide: byDefault },
];

/** Asked of every request, whatever the config says. */
export const builtInRules: ReadonlySet<string> = new Set(["launch tier", "own name", "no tiers", "family", "default"]);

/** Model families of the agents' own vendors, largest first. */
const families: readonly (readonly [RegExp, TierName])[] = [
  [/haiku|\bmini\b|\bnano\b|flash-lite/, "SMALL"],
  [/sonnet/, "MIDDLE"],
  [/opus|fable/, "BIG"],
];

export function familyTier(model: string): TierName | undefined {
  return families.find(([pattern]) => pattern.test(model.toLowerCase()))?.[1];
}

/** The outcome of a rule that the config does not turn on. */
export const notConfigured = "not configured";

function byRole(request: RouteRequest, routing: Routing): Outcome {
  // Hermes started by hand is known by its side calls alone.
  const id = agentIdOf(request.agent) ?? (hasRoles("hermes", routing.config) ? request.facts.call?.agent : undefined);
  const named = id === undefined ? undefined : configuredRoles(id, routing.config);
  if (id === undefined || named === undefined) return notConfigured;
  const role = request.facts.call?.role ?? (request.agent === agentIds.hermes ? "primary" : undefined);
  if (role === undefined) return "none of the agent's side calls";
  const key = Object.keys(named).find((name) => (roleAliases[name] ?? name) === role && named[name] !== "");
  if (key === undefined) return `nothing configured for its role ${role}`;
  return takeNamed(`role ${role}`, `agents.${id}.roles.${key}`, named[key] ?? "", request, routing);
}

function hasRoles(id: AgentId, config: Config): boolean {
  return configuredRoles(id, config) !== undefined;
}

function configuredRoles(id: AgentId, config: Config): Readonly<Record<string, string | undefined>> | undefined {
  const named = config.agents[id]?.roles;
  return named === undefined || Object.keys(named).length === 0 ? undefined : named;
}

function bySubagent(request: RouteRequest, routing: Routing): Outcome {
  const named = routing.config.agents.claude?.subagents ?? {};
  const { subagent } = request;
  if (Object.keys(named).length === 0) return notConfigured;
  if (subagent === undefined) return "from no sub-agent that is known";
  const target = lookUp(named, subagent);
  if (target === undefined || target === "") return `nothing configured for ${subagent}`;
  return takeNamed(`sub-agent ${subagent}`, `agents.claude.subagents.${subagent}`, target, request, routing);
}

function byLaunchTier(request: RouteRequest, routing: Routing): Outcome {
  const tier = request.launch?.tier;
  if (tier === undefined) return "none in the launch code";
  const model = lookUp(routing.tierLetters, tier);
  if (model === undefined) return `tier ${tier} names no model`;
  // A letter is for the work itself; what an agent asks of the smallest tier are titles and the like.
  if (lookUp(ownNames, request.model) === "SMALL") return "not for the smallest tier's chores";
  const named = lookUp(ownNames, model);
  const names =
    named === undefined
      ? letterModels(model, wantsToolModels(request, routing), routing.config)
      : tierModels(named, wantsToolModels(request, routing), routing.config);
  return { rule: `launch tier ${tier}`, key: "launch tier", names, tier: named ?? "BIG" };
}

function byMapping(request: RouteRequest, routing: Routing): Outcome {
  const { mappings } = routing.config;
  const mapped = lookUp(mappings, request.model);
  if (mapped === undefined) return Object.keys(mappings).length === 0 ? notConfigured : "none for this name";
  return takeNamed(`mapping ${request.model}`, `mappings.${request.model}`, mapped, request, routing);
}

function byScript({ script, ...request }: RouteRequest, routing: Routing): Outcome {
  if (routing.config.routes.custom === "") return notConfigured;
  if (script === undefined) return "not asked";
  if (script.answer === undefined) return script.reason;
  return takeNamed("script", "routes.custom", script.answer, request, routing);
}

function byImage(request: RouteRequest, routing: Routing): Outcome {
  const { image } = routing.config.routes;
  if (image === "") return notConfigured;
  if (!request.facts.hasImage) return "no image in the newest turn";
  return takeNamed("image", "routes.image", image, request, routing);
}

function byWebSearch(request: RouteRequest, routing: Routing): Outcome {
  const route = routing.config.routes.web_search;
  if (route === "") return notConfigured;
  const asked = request.facts.webSearch;
  if (asked === undefined) return "search is neither the sole tool nor forced";
  return takeNamed(
    `web search (${asked === "sole" ? "the sole tool" : "forced"})`,
    "routes.web_search",
    route,
    request,
    routing,
  );
}

function byLongContext(request: RouteRequest, routing: Routing): Outcome {
  const { model, threshold } = routing.config.routes.long_context;
  if (model === "") return notConfigured;
  if (!request.facts.exceeds(threshold)) return `not over ${threshold} tokens`;
  const rule = `long context (about ${request.facts.tokens} tokens)`;
  return takeNamed(rule, "routes.long_context", model, request, routing);
}

function byThinking(request: RouteRequest, routing: Routing): Outcome {
  const { think } = routing.config.routes;
  if (think === "") return notConfigured;
  const reason = request.facts.thinks;
  if (reason === undefined) return "thinking is not asked for";
  return takeNamed(`think (${reason})`, "routes.think", think, request, routing);
}

function byBackground(request: RouteRequest, routing: Routing): Outcome {
  const { background } = routing.config.routes;
  if (background === "") {
    // Titles are worth the smallest model without being asked to, as long as nothing must be read for it.
    const call = request.facts.callAtNoCost;
    if (call?.isChatter !== true || hasNoTiers(routing.config)) return notConfigured;
    return tier(`background (${call.role})`, "background", "SMALL", request, routing);
  }
  const isSmall = lookUp(ownNames, request.model) === "SMALL" || familyTier(request.model) === "SMALL";
  const call = isSmall ? undefined : request.facts.call;
  if (!isSmall && call?.isChatter !== true) return "neither a small model's name nor an agent's chatter";
  return takeNamed(`background (${call?.role ?? "small model"})`, "routes.background", background, request, routing);
}

function byOwnName(request: RouteRequest, routing: Routing): Outcome {
  const own = lookUp(ownNames, request.model);
  return own === undefined ? "none of ours" : tier(`tier ${own}`, "own name", own, request, routing);
}

function byNoTiers({ model }: RouteRequest, { config }: Routing): Outcome {
  if (config.routes.default !== "" || !hasNoTiers(config)) return "there are tiers";
  return { rule: "no tiers configured", key: "no tiers", names: [model] };
}

function byFamily(request: RouteRequest, routing: Routing): Outcome {
  const found = familyTier(request.model);
  if (found === undefined) return "no known family";
  return tier(`tier ${found} by family`, "family", found, request, routing);
}

function byDefault(request: RouteRequest, routing: Routing): Outcome {
  const route = routing.config.routes.default;
  if (route === "") return tier("tier BIG by default", "default", "BIG", request, routing);
  return takeNamed("default", "routes.default", route, request, routing);
}

function tier(rule: string, key: string, name: TierName, request: RouteRequest, routing: Routing): Choice {
  return { rule, key, names: tierModels(name, wantsToolModels(request, routing), routing.config), tier: name };
}

/** Only a config with tool-call models makes it worth looking for tools in the body. */
function wantsToolModels(request: RouteRequest, routing: Routing): boolean {
  return routing.config.toolcall_models.length > 0 && request.facts.hasTools;
}

/** What the config names for a rule: a tier, a route, another mapping, or a model. */
function takeNamed(rule: string, key: string, name: string, request: RouteRequest, routing: Routing): Outcome {
  const found = resolveName(name, key, routing);
  if ("problem" in found) return found.problem;
  return "tier" in found
    ? tier(rule, key, found.tier, request, routing)
    : { rule, key, names: [found.model, ...routing.config.fallbacks] };
}

type Resolved = { tier: TierName } | { model: string } | { problem: string };

/**
 * @param key where the name stands, such as `mappings.coder-model`; only a mapping may lead on, to another or to a route
 */
export function resolveName(name: string, key: string, routing: Routing): Resolved {
  const mapped = key.startsWith("mappings.") ? key.slice("mappings.".length) : undefined;
  const way = mapped === undefined ? [] : [mapped];
  let here = name;
  while (mapped !== undefined && !isTierName(here)) {
    if (way.includes(here)) return { problem: `${key} goes in a circle: ${[...way, here].join(" -> ")}` };
    const next = lookUp(routing.config.mappings, here) ?? routeTarget(here, routing.config);
    if (next === undefined) break;
    way.push(here);
    here = next;
  }
  if (here === "") return { problem: `${[key, ...way.slice(1)].join(" -> ")} names no model` };
  const own = isTierName(here) ? here : lookUp(ownNames, here);
  if (own !== undefined) return { tier: own };
  const unknown = unknownProvider(here, routing);
  return unknown === undefined ? { model: here } : { problem: `${key} names ${here}: there is no provider ${unknown}` };
}

function isTierName(name: string): name is TierName {
  return (tierNames as readonly string[]).includes(name);
}

/** The routes that a mapping may name. */
function routeTarget(name: string, { routes }: Config): string | undefined {
  if (name === "long_context") return routes.long_context.model;
  const known = ["image", "web_search", "think", "background", "default"] as const;
  const route = known.find((candidate) => candidate === name);
  return route === undefined ? undefined : routes[route];
}

/**
 * The part before the colon where it must be meant for a provider: names of OpenRouter's models have a slash, so one
 * without is none of them; other default providers (`qwen3:8b`) have names of any shape.
 */
export function unknownProvider(name: string, { config, providers }: Routing): string | undefined {
  const colon = name.indexOf(":");
  const head = name.slice(0, Math.max(0, colon));
  if (colon < 1 || head.includes("/") || providers.has(head) || config.default_provider !== "openrouter")
    return undefined;
  return head;
}

/** A name from outside may be that of something every object has, such as `constructor`. */
export function lookUp<Value>(table: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
