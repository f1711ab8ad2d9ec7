/** Which models may answer a request, in which order, and why. Pure. */

import type { ProviderKey } from "../../providers/key-pool.ts";
import { parseModelReference } from "../../providers/model-reference.ts";
import { type Provider, type Providers, speaks } from "../../providers/registry.ts";
import type { Config } from "../config/schema.ts";
import type { AgentLetter } from "../launch-code.ts";
import type { LaunchToken } from "../launch-token.ts";
import { ownNames, type TierName, type TierStyle, tierModels, tierNames, tierStyle } from "../model-tiers.ts";
import type { Protocol } from "../protocols/chat.ts";
import type { QuotaRules } from "./quota-windows.ts";
import type { RequestFacts } from "./request-facts.ts";
import { type Choice, lookUp, rules, unknownProvider } from "./rules.ts";

export interface Target {
  provider: Provider;
  /** The provider's own name of the model. */
  model: string;
  /** The protocol it is called in. */
  protocol: Protocol;
  /** Models that the provider itself falls back on, in one request. */
  others?: readonly Target[];
  /** Which of the provider's keys; decided when it is asked. */
  key?: ProviderKey;
  /** `client`: the client's own login is passed to its own vendor. */
  credential: "ours" | "client";
  /** How much it is to think, where its tier says. */
  style?: TierStyle;
}

export interface RoutePlan {
  /** The rule that decided, as the ledger and messages name it. */
  rule: string;
  /** What its hits are counted under: the config key that named the models, or the rule's own name. */
  key: string;
  /** The tier of the config that it has chosen, if it was one. */
  tier?: TierName;
  targets: Target[];
  /** The rules that were asked before it, each with a few words on why it did not apply. */
  steps: RouteStep[];
  /** Names that the rule gave and that are no target. */
  unusable: { name: string; reason: string }[];
}

export interface RouteStep {
  rule: string;
  outcome: string;
}

export interface RouteRequest {
  protocol: Protocol;
  /** As the client named it. */
  model: string;
  launch: LaunchToken | undefined;
  /** The launch token came in its own header: the agent keeps its own login. */
  keepsOwnLogin: boolean;
  /** By its launch or its headers; undefined when nothing tells. */
  agent: string | undefined;
  facts: RequestFacts;
  /** The sub-agent that sends it, where the config names any and this one is known. */
  subagent?: string | undefined;
  /** What the user's script said; undefined when it was not asked. */
  script?: ScriptAnswer | undefined;
}

/** A script without an answer has a reason: it declined, failed, or took too long. */
export type ScriptAnswer = { answer: string } | { answer?: undefined; reason: string };

export interface Routing {
  config: Config;
  providers: Providers;
  /** Launch letters and the models they mean. */
  tierLetters: Readonly<Record<string, string>>;
  /** What letters meant before: a session that began then still asks for it by name. */
  formerLetters?: Readonly<Record<string, readonly string[]>>;
  /** How often models may be asked, by `provider:model`. */
  quotas: QuotaRules;
}

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
  if (isPinned(request, routing)) return plan("reference", [request.model], request, routing);
  const steps: RouteStep[] = [];
  for (const rule of rules) {
    const outcome = rule.decide(request, routing);
    const decided = typeof outcome === "string" ? outcome : planChoice(outcome, steps, request, routing);
    if (typeof decided !== "string") return decided;
    steps.push({ rule: rule.name, outcome: decided });
  }
  return { ...plan("no rule", [], request, routing), steps };
}

/** Whether the user's script has a say in this request: no rule before it decides. */
export function asksScript(request: RouteRequest, routing: Routing): boolean {
  if (routing.config.routes.custom === "" || hasNoRules(request, routing)) return false;
  return rules.every((rule) => {
    if (rule.isBeforeScript !== true) return true;
    const outcome = rule.decide(request, routing);
    return typeof outcome === "string" || typeof planChoice(outcome, [], request, routing) === "string";
  });
}

/** Route b and references go where they say. */
export function hasNoRules(request: Pick<RouteRequest, "launch" | "model">, routing: Routing): boolean {
  return request.launch?.route === "b" || isPinned(request, routing);
}

/** A reference is one candidate; that of the launch's tier, which some agents repeat, stands for the tier. */
function isPinned({ launch, model }: Pick<RouteRequest, "launch" | "model">, routing: Routing): boolean {
  const { tierLetters, formerLetters = {} } = routing;
  const isTiers =
    launch?.tier !== undefined &&
    (model === lookUp(tierLetters, launch.tier) || lookUp(formerLetters, launch.tier)?.includes(model) === true);
  return !isTiers && (model.includes("/") || readReference(model, routing).isExplicit);
}

/** A rule whose models cannot be asked at all leaves the request to the next one; the last has none after it. */
function planChoice(
  { rule, key, names, tier }: Choice,
  steps: RouteStep[],
  request: RouteRequest,
  routing: Routing,
): RoutePlan | string {
  const found = plan(rule, names, request, routing, key !== "no tiers");
  const style = tier === undefined ? undefined : tierStyle(tier, routing.config);
  const targets = style === undefined ? found.targets : found.targets.map((target) => ({ ...target, style }));
  const planned = { ...found, targets, key, ...(tier !== undefined && { tier }), steps };
  const [first] = planned.unusable;
  if (planned.targets.length > 0 || key === "default" || first === undefined) return planned;
  return `${key} names ${first.name}: ${first.reason}`;
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
  const known = { protocol: "chat", model, launch: undefined, keepsOwnLogin: false, agent: undefined } as const;
  return planRoute({ ...known, facts: toolsAlone }, routing).targets;
}

/** What is known of a request that has not been made: agents' requests have tools. */
const toolsAlone: RequestFacts = {
  hasTools: true,
  hasImage: false,
  webSearch: undefined,
  tokens: 0,
  exceeds: () => false,
  thinks: undefined,
  call: undefined,
  callAtNoCost: undefined,
};

/** The vendor's provider if the agent's login or a key of ours opens it, else the default provider; one candidate. */
function bypass(request: RouteRequest, launch: LaunchToken, routing: Routing): RoutePlan {
  const known = vendors[launch.agent] ?? "";
  const vendor = routing.providers.get(typeof known === "string" ? known : known[request.protocol]);
  // An agent's own login is for its vendor's own address, not for whatever the config has put in its place.
  if (request.keepsOwnLogin && vendor?.isBuiltIn === true) {
    const target = buildTarget(vendor, request.model, request.protocol, "client");
    return {
      ...plan("bypass with the agent's own login", [], request, routing),
      targets: target === undefined ? [] : [target],
    };
  }
  const reference = readReference(request.model, routing);
  if (!reference.isExplicit && vendor?.key !== undefined) {
    const target = buildTarget(vendor, request.model, request.protocol, "ours");
    return { ...plan(`bypass to ${vendor.name}`, [], request, routing), targets: target === undefined ? [] : [target] };
  }
  return plan("bypass", [request.model], request, routing);
}

/** @param isChecked for names of the config, whose prefix must be a provider; what a client asks for goes as it is */
function plan(
  rule: string,
  names: readonly string[],
  request: RouteRequest,
  routing: Routing,
  isChecked = false,
): RoutePlan {
  const targets: Target[] = [];
  const unusable: RoutePlan["unusable"] = [];
  for (const [at, name] of names.entries()) {
    if (name === "" || names.indexOf(name) < at) continue;
    const unknown = isChecked ? unknownProvider(name, routing) : undefined;
    const found = unknown === undefined ? findTarget(name, request, routing) : `there is no provider ${unknown}`;
    if (typeof found === "string") unusable.push({ name, reason: found });
    else if (!targets.some(({ provider, model }) => provider === found.provider && model === found.model)) {
      targets.push(found);
    }
  }
  return { rule, key: rule, targets, steps: [], unusable };
}

/** @returns the reason, when it is none */
function findTarget(name: string, request: RouteRequest, routing: Routing): Target | string {
  const { provider: id, model } = readReference(name, routing);
  const provider = routing.providers.get(id);
  if (provider === undefined) return `there is no provider ${id}`;
  return buildTarget(provider, model, request.protocol, "ours") ?? `${provider.name} has no address`;
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
  const protocol = preferred[client].find((candidate) => speaks(provider, model, candidate));
  return protocol === undefined ? undefined : { provider, model, protocol, credential };
}

function readReference(name: string, routing: Routing) {
  return parseModelReference(name, (id) => routing.providers.has(id), routing.config.default_provider);
}
