/** Which models may answer a request, in which order, and why. Pure. */

import { parseModelReference } from "../../providers/model-reference.ts";
import type { Provider, ProviderKey, Providers } from "../../providers/registry.ts";
import type { Config } from "../config/schema.ts";
import type { AgentLetter } from "../launch-code.ts";
import type { LaunchToken } from "../launch-token.ts";
import { hasNoTiers, letterModels, ownNames, type TierName, tierModels, tierNames } from "../model-tiers.ts";
import type { Protocol } from "../protocols/chat.ts";
import type { QuotaRules } from "./quota-windows.ts";

export interface Target {
  provider: Provider;
  /** The provider's own name of the model. */
  model: string;
  /** The protocol it is called in. */
  protocol: Protocol;
  /** Which of the provider's keys; decided when it is asked. */
  key?: ProviderKey;
  /** `client`: the client's own login is passed to its own vendor. */
  credential: "ours" | "client";
}

export interface RoutePlan {
  /** The rule that decided, as the ledger and messages name it. */
  rule: string;
  targets: Target[];
  /** The rules that were asked before it, each with a few words on why it did not apply. */
  steps?: RouteStep[];
}

export interface RouteStep {
  rule: string;
  outcome: string;
}

export interface RouteRequest {
  protocol: Protocol;
  /** As the client named it. */
  model: string;
  hasTools: boolean;
  launch: LaunchToken | undefined;
  /** The launch token came in its own header: the agent keeps its own login. */
  keepsOwnLogin: boolean;
}

export interface Routing {
  config: Config;
  providers: Providers;
  /** Launch letters and the models they mean. */
  tierLetters: Readonly<Record<string, string>>;
  /** How often models may be asked, by `provider:model`. */
  quotas: QuotaRules;
}

/** Model families of the agents' own vendors, largest first. */
const families: readonly (readonly [RegExp, TierName])[] = [
  [/haiku|\bmini\b|\bnano\b|flash-lite/, "SMALL"],
  [/sonnet/, "MIDDLE"],
  [/opus|fable/, "BIG"],
];

/** For agents that bring several vendors' models: each is asked in its own protocol. */
const vendorOfProtocol = { messages: "anthropic", responses: "openai", chat: "openrouter" } as const;

/** The vendor behind an agent's own login and models, for route b. */
const vendors: Readonly<Partial<Record<AgentLetter, string | Readonly<Record<Protocol, string>>>>> = {
  c: "anthropic",
  h: "openrouter",
  x: "openai",
  p: vendorOfProtocol,
  o: vendorOfProtocol,
};

export function planRoute(request: RouteRequest, routing: Routing): RoutePlan {
  const { launch } = request;
  if (launch?.route === "b") return bypass(request, launch, routing);

  const tierModel = launch?.tier === undefined ? undefined : lookUp(routing.tierLetters, launch.tier);
  const reference = readReference(request.model, routing);
  // A letter is for the work itself; what an agent asks of the smallest tier are titles and the like.
  const isChore = lookUp(ownNames, request.model) === "SMALL";
  if (tierModel !== undefined && !isChore && (request.model === tierModel || !reference.isReference)) {
    const named = lookUp(ownNames, tierModel);
    if (named !== undefined) return planTier(`launch tier ${launch?.tier}`, named, request, routing);
    return plan(
      `launch tier ${launch?.tier}`,
      letterModels(tierModel, request.hasTools, routing.config),
      request,
      routing,
    );
  }
  if (reference.isReference) return plan("reference", [request.model], request, routing);

  const mapped = lookUp(routing.config.mappings, request.model);
  if (mapped !== undefined) return planNamed(`mapping ${request.model}`, mapped, request, routing);

  const own = lookUp(ownNames, request.model);
  const family = families.find(([pattern]) => pattern.test(request.model.toLowerCase()));
  const fallback = routing.config.routes.default;
  if (own !== undefined) return planTier(`tier ${own}`, own, request, routing);
  if (fallback === "" && hasNoTiers(routing.config))
    return plan("no tiers configured", [request.model], request, routing);
  if (family !== undefined) return planTier(`tier ${family[1]} by family`, family[1], request, routing);
  return fallback === ""
    ? planTier("tier BIG by default", "BIG", request, routing)
    : planNamed("default", fallback, request, routing);
}

/** Every model that a request without an explicit reference could be sent to, largest tier first. */
export function routableModels(routing: Routing): string[] {
  const { config } = routing;
  const named = tierNames.flatMap((tier) => tierModels(tier, true, routing.config));
  const letters = Object.values(routing.tierLetters).filter((model) => !Object.hasOwn(ownNames, model));
  const models = [
    ...named,
    ...letters,
    ...config.toolcall_models,
    ...Object.keys(config.mappings),
    config.routes.default,
  ];
  return [...new Set([...Object.keys(ownNames), ...models.filter((model) => model !== "")])];
}

/** The targets that a name may be sent to, tools in the request or not; empty for a name that means nothing by itself. */
export function targetsOf(model: string, routing: Routing): Target[] {
  const request: RouteRequest = { protocol: "chat", model, hasTools: true, launch: undefined, keepsOwnLogin: false };
  return planRoute(request, routing).targets;
}

/** The vendor's provider if the agent's login or a key of ours opens it, else the default provider; one candidate. */
function bypass(request: RouteRequest, launch: LaunchToken, routing: Routing): RoutePlan {
  const known = vendors[launch.agent] ?? "";
  const vendor = routing.providers.get(typeof known === "string" ? known : known[request.protocol]);
  // An agent's own login is for its vendor's own address, not for whatever the config has put in its place.
  if (request.keepsOwnLogin && vendor?.isBuiltIn === true) {
    const target = buildTarget(vendor, request.model, request.protocol, "client");
    return { rule: "bypass with the agent's own login", targets: target === undefined ? [] : [target] };
  }
  const reference = readReference(request.model, routing);
  if (!reference.isExplicit && vendor?.key !== undefined) {
    const target = buildTarget(vendor, request.model, request.protocol, "ours");
    return { rule: `bypass to ${vendor.name}`, targets: target === undefined ? [] : [target] };
  }
  return plan("bypass", [request.model], request, routing);
}

/** A mapping or route may name a tier or a model. */
function planNamed(rule: string, name: string, request: RouteRequest, routing: Routing): RoutePlan {
  const tier = tierNames.find((known) => known === name) ?? lookUp(ownNames, name);
  return tier === undefined
    ? plan(rule, [name, ...routing.config.fallbacks], request, routing)
    : planTier(rule, tier, request, routing);
}

function planTier(rule: string, tier: TierName, request: RouteRequest, routing: Routing): RoutePlan {
  return plan(rule, tierModels(tier, request.hasTools, routing.config), request, routing);
}

function plan(rule: string, names: readonly string[], request: RouteRequest, routing: Routing): RoutePlan {
  const targets: Target[] = [];
  const seen = new Set<string>();
  for (const name of names) {
    if (name === "") continue;
    const { provider: id, model } = readReference(name, routing);
    const provider = routing.providers.get(id);
    if (provider === undefined || seen.has(`${id}:${model}`)) continue;
    seen.add(`${id}:${model}`);
    const target = buildTarget(provider, model, request.protocol, "ours");
    if (target !== undefined) targets.push(target);
  }
  return { rule, targets };
}

/** The client's own protocol where the provider speaks it, otherwise the one that needs the least translation. */
const preferred = {
  messages: ["messages", "chat", "responses"],
  chat: ["chat", "messages", "responses"],
  responses: ["responses", "chat", "messages"],
} as const satisfies Record<Protocol, readonly Protocol[]>;

function buildTarget(
  provider: Provider,
  model: string,
  client: Protocol,
  credential: Target["credential"],
): Target | undefined {
  const protocol = preferred[client].find((candidate) => provider.urls[candidate] !== undefined);
  return protocol === undefined ? undefined : { provider, model, protocol, credential };
}

/** A name from outside may be that of something every object has, such as `constructor`. */
function lookUp<Value>(table: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function readReference(name: string, routing: Routing) {
  const reference = parseModelReference(name, (id) => routing.providers.has(id), routing.config.default_provider);
  return { ...reference, isReference: reference.isExplicit || name.includes("/") };
}
