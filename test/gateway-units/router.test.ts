import { describe, expect, test } from "bun:test";
import { buildProviders } from "../../providers/registry.ts";
import { parseConfig } from "../../src/config/schema.ts";
import type { AgentCall } from "../../src/gateway/agent-calls.ts";
import type { RequestFacts } from "../../src/gateway/request-facts.ts";
import {
  asksScript,
  planRoute,
  type RoutePlan,
  type RouteRequest,
  type Routing,
  routableModels,
} from "../../src/gateway/router.ts";
import { parseLaunchToken } from "../../src/launch-token.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";

const tiers = {
  BIG: { default: "vendor/big", cascade: ["vendor/big-2", "ollama:big-3"] },
  MIDDLE: { default: "vendor/middle", cascade: ["vendor/middle-2"] },
  SMALL: { default: "vendor/small", cascade: [] },
};
const tierLetters = { d: "deepseek/flash", m: "clutch-big", "0": "ollama:local" };
const formerLetters = { d: ["deepseek/old"] };

function routing(config: JsonObject, keys: Readonly<Record<string, string>> = {}): Routing {
  const parsed = parseConfig(config, "c.json");
  return {
    config: parsed,
    providers: buildProviders(parsed, (spec) => keys[spec]),
    tierLetters,
    formerLetters,
    quotas: new Map(),
  };
}

/** A request that gives no task route a reason. */
const plain: RequestFacts = {
  hasTools: false,
  hasImage: false,
  webSearch: undefined,
  tokens: 0,
  exceeds(tokens) {
    return this.tokens > tokens;
  },
  thinks: undefined,
  call: undefined,
  callAtNoCost: undefined,
};

interface Ask extends Partial<Omit<RouteRequest, "launch" | "facts">> {
  /** A launch code such as `cipd`. */
  launch?: string;
  config?: JsonObject;
  keys?: Readonly<Record<string, string>>;
  facts?: Partial<RequestFacts>;
}

function planOf(model: string, { launch, config = { model_tiers: tiers }, keys, facts, ...changes }: Ask): RoutePlan {
  const token = launch === undefined ? undefined : parseLaunchToken(`xx-${launch}-launch1`);
  const request: RouteRequest = {
    protocol: "chat",
    model,
    launch: token,
    keepsOwnLogin: false,
    agent: token?.agent,
    ...changes,
    facts: { ...plain, ...facts },
  };
  return planRoute(request, routing(config, keys));
}

/** `[rule, provider:model@protocol ...]`, with `(own login)` where the client's credential goes along. */
function planned(model: string, ask: Ask): string[] {
  const { rule, targets } = planOf(model, ask);
  return [
    rule,
    ...targets.map(({ provider, model: name, protocol, credential }) => {
      return `${provider.id}:${name}@${protocol}${credential === "client" ? " (own login)" : ""}`;
    }),
  ];
}

type Row = [name: string, model: string, ask: Ask, plan: string[]];

const big = ["openrouter:vendor/big@chat", "openrouter:vendor/big-2@chat", "ollama:big-3@chat"];
const middle = ["openrouter:vendor/middle@chat", "openrouter:vendor/middle-2@chat"];
const small = ["openrouter:vendor/small@chat"];

describe("planRoute() takes a tier", () => {
  const rows: Row[] = [
    ["by our own names", "clutch-big", {}, ["tier BIG", ...big]],
    ["by our own names", "clutch-middle", {}, ["tier MIDDLE", ...middle]],
    ["by our own names", "clutch-small", {}, ["tier SMALL", ...small]],
    ["by family", "claude-opus-4-5-20251101", {}, ["tier BIG by family", ...big]],
    ["by family", "claude-fable-1", {}, ["tier BIG by family", ...big]],
    ["by family", "claude-sonnet-4-5", {}, ["tier MIDDLE by family", ...middle]],
    ["by family", "claude-3-5-HAIKU-latest", {}, ["tier SMALL by family", ...small]],
    ["by family", "gpt-5-mini", {}, ["tier SMALL by family", ...small]],
    ["by family", "gpt-5.1-nano", {}, ["tier SMALL by family", ...small]],
    ["by family", "gemini-2.5-flash-lite", {}, ["tier SMALL by family", ...small]],
    ["by default: a family is a whole word", "gemini-3-pro", {}, ["tier BIG by default", ...big]],
    ["by default", "gpt-6.1-sol", {}, ["tier BIG by default", ...big]],
    ["by default, even for a colon that names no provider", "qwen3:8b", {}, ["tier BIG by default", ...big]],
    ["by default, for the name of something every object has", "constructor", {}, ["tier BIG by default", ...big]],
    ["by default, for the name of something every object has", "toString", {}, ["tier BIG by default", ...big]],
    [
      "from the routes' default",
      "coder-model",
      { config: { model_tiers: tiers, routes: { default: "SMALL" } } },
      ["default", ...small],
    ],
    [
      "from the routes' default, which may be our own name",
      "coder-model",
      { config: { model_tiers: tiers, routes: { default: "clutch-middle" } } },
      ["default", ...middle],
    ],
    [
      "but a model where the routes' default names one",
      "coder-model",
      { config: { model_tiers: tiers, routes: { default: "ollama:qwen" }, fallbacks: ["a/b"] } },
      ["default", "ollama:qwen@chat", "openrouter:a/b@chat"],
    ],
    [
      "from a mapping",
      "coder-model",
      { config: { model_tiers: tiers, mappings: { "coder-model": "SMALL" } } },
      ["mapping coder-model", ...small],
    ],
    [
      "from a mapping before the family",
      "claude-opus-4",
      { config: { model_tiers: tiers, mappings: { "claude-opus-4": "MIDDLE" } } },
      ["mapping claude-opus-4", ...middle],
    ],
    [
      "from a mapping before our own names",
      "clutch-big",
      { config: { model_tiers: tiers, mappings: { "clutch-big": "SMALL" } } },
      ["mapping clutch-big", ...small],
    ],
    [
      "but a model where the mapping names one",
      "gpt-5",
      { config: { model_tiers: tiers, mappings: { "gpt-5": "openai:gpt-5.1" }, fallbacks: ["a/b"] } },
      ["mapping gpt-5", "openai:gpt-5.1@chat", "openrouter:a/b@chat"],
    ],
  ];
  test.each(rows)("%s: %s", (_name, model, ask, plan) => {
    expect(planned(model, ask)).toEqual(plan);
  });
});

describe("planRoute() takes the model itself", () => {
  const config = { model_tiers: tiers, fallbacks: ["a/b"], toolcall_models: ["t/t"], mappings: { "a/opus": "SMALL" } };
  const rows: Row[] = [
    [
      "for a name with a slash",
      "anthropic/claude-opus-4",
      { config },
      ["reference", "openrouter:anthropic/claude-opus-4@chat"],
    ],
    [
      "for a name with a slash and a colon",
      "moonshotai/kimi-k2.6:free",
      { config },
      ["reference", "openrouter:moonshotai/kimi-k2.6:free@chat"],
    ],
    ["for a provider and a model", "ollama:qwen2.5:72b", { config }, ["reference", "ollama:qwen2.5:72b@chat"]],
    ["for the other spelling of local servers", "lmstudio/qwen3", { config }, ["reference", "lmstudio:qwen3@chat"]],
    [
      "without rules, though a mapping has its name",
      "a/opus",
      { config, facts: { hasTools: true } },
      ["reference", "openrouter:a/opus@chat"],
    ],
    [
      "named beside a launch without a tier",
      "openai:gpt-5",
      { config, launch: "cip" },
      ["reference", "openai:gpt-5@chat"],
    ],
    [
      "named beside a launch's tier, as -m does",
      "openai:gpt-5",
      { config, launch: "cipd" },
      ["reference", "openai:gpt-5@chat"],
    ],
  ];
  test.each(rows)("%s: %s", (_name, model, ask, plan) => {
    expect(planned(model, ask)).toEqual(plan);
  });
});

describe("planRoute() with a launch tier", () => {
  const config = { model_tiers: tiers, fallbacks: ["a/b"], toolcall_models: ["t/t"] };
  const cascade = [...big.slice(1), "openrouter:a/b@chat"];
  const rows: Row[] = [
    [
      "puts its model before BIG's cascade",
      "claude-haiku-4-5",
      { launch: "cipd", config },
      ["launch tier d", "openrouter:deepseek/flash@chat", ...cascade],
    ],
    [
      "knows its model when the agent repeats it",
      "deepseek/flash",
      { launch: "xipd", config },
      ["launch tier d", "openrouter:deepseek/flash@chat", ...cascade],
    ],
    [
      "knows the model that it meant when the session began",
      "deepseek/old",
      { launch: "xipd", config },
      ["launch tier d", "openrouter:deepseek/flash@chat", ...cascade],
    ],
    [
      "asks the tool-call models in between",
      "gpt-5",
      { launch: "xipd", config, facts: { hasTools: true } },
      ["launch tier d", "openrouter:deepseek/flash@chat", "openrouter:t/t@chat", ...cascade],
    ],
    [
      "reads a profile's reference",
      "clutch-big",
      { launch: "cip0", config },
      ["launch tier 0", "ollama:local@chat", ...cascade],
    ],
    [
      "takes a tier where the letter means one",
      "claude-haiku-4-5",
      { launch: "cipm", config },
      ["launch tier m", ...big, "openrouter:a/b@chat"],
    ],
    [
      "that nobody defined goes by the name",
      "claude-haiku-4-5",
      { launch: "cipk", config },
      ["tier SMALL by family", ...small, "openrouter:a/b@chat"],
    ],
    [
      "is nothing on the other routes",
      "claude-haiku-4-5",
      { launch: "cip", config },
      ["tier SMALL by family", ...small, "openrouter:a/b@chat"],
    ],
  ];
  test.each(rows)("%s: %s", (_name, model, ask, plan) => {
    expect(planned(model, ask)).toEqual(plan);
  });
});

describe("planRoute() on route b", () => {
  const anthropicKey = { "env:ANTHROPIC_API_KEY": "sk" };
  const openaiKey = { "env:OPENAI_API_KEY": "sk" };
  const own = { keepsOwnLogin: true };
  const rows: Row[] = [
    [
      "Claude Code's own login to Anthropic",
      "claude-opus-4-5",
      { launch: "cib", protocol: "messages", ...own },
      ["bypass with the agent's own login", "anthropic:claude-opus-4-5@messages (own login)"],
    ],
    [
      "Codex's own login to OpenAI",
      "gpt-5.1-codex",
      { launch: "xib", protocol: "responses", ...own },
      ["bypass with the agent's own login", "openai:gpt-5.1-codex@responses (own login)"],
    ],
    [
      "an own login before a key of ours",
      "claude-opus-4-5",
      { launch: "cib", protocol: "messages", keys: anthropicKey, ...own },
      ["bypass with the agent's own login", "anthropic:claude-opus-4-5@messages (own login)"],
    ],
    [
      "no own login to an agent without a vendor",
      "gpt-5",
      { launch: "qib", ...own },
      ["bypass", "openrouter:gpt-5@chat"],
    ],
    [
      "the vendor's key of ours",
      "claude-opus-4-5",
      { launch: "cib", protocol: "messages", keys: anthropicKey },
      ["bypass to Anthropic", "anthropic:claude-opus-4-5@messages"],
    ],
    [
      "the vendor's key of ours",
      "gpt-5.1",
      { launch: "xib", protocol: "responses", keys: openaiKey },
      ["bypass to OpenAI", "openai:gpt-5.1@responses"],
    ],
    [
      "the vendor's key of ours, by protocol",
      "claude-opus-4-5",
      { launch: "pib", protocol: "messages", keys: anthropicKey },
      ["bypass to Anthropic", "anthropic:claude-opus-4-5@messages"],
    ],
    [
      "an own login to the vendor of the protocol",
      "gpt-5.1",
      { launch: "pib", protocol: "responses", ...own },
      ["bypass with the agent's own login", "openai:gpt-5.1@responses (own login)"],
    ],
    [
      "no key of another vendor",
      "claude-opus-4-5",
      { launch: "cib", protocol: "messages", keys: openaiKey },
      ["bypass", "openrouter:claude-opus-4-5@messages"],
    ],
    [
      "the default provider without any key",
      "claude-opus-4-5",
      { launch: "cib", protocol: "messages" },
      ["bypass", "openrouter:claude-opus-4-5@messages"],
    ],
    [
      "a provider that is named",
      "ollama:qwen",
      { launch: "cib", protocol: "messages", keys: anthropicKey },
      ["bypass", "ollama:qwen@messages"],
    ],
    [
      "no rule: mappings, tools and fallbacks stay out",
      "gpt-5",
      {
        launch: "qib",
        facts: { hasTools: true },
        config: { model_tiers: tiers, mappings: { "gpt-5": "SMALL" }, fallbacks: ["a/b"], toolcall_models: ["t/t"] },
      },
      ["bypass", "openrouter:gpt-5@chat"],
    ],
  ];
  test.each(rows)("takes %s: %s", (_name, model, ask, plan) => {
    expect(planned(model, ask)).toEqual(plan);
  });
});

const routes = {
  image: "ollama:eyes",
  web_search: "SMALL",
  long_context: { model: "vendor/long", threshold: 1000 },
  think: "vendor/deep",
  background: "SMALL",
  default: "MIDDLE",
};
const allRoutes = { model_tiers: tiers, routes };
const title: AgentCall = { agent: "claude", role: "title", isChatter: true, sign: {} };
const approval: AgentCall = { agent: "hermes", role: "approval", sign: {} };
const eyes = ["image", "ollama:eyes@chat"];
const long = ["long context (about 1001 tokens)", "openrouter:vendor/long@chat"];
const deep = "openrouter:vendor/deep@chat";

describe("planRoute() takes a task's route", () => {
  const everything = { hasImage: true, webSearch: "sole", tokens: 1001, thinks: "plan mode", call: title } as const;
  const rows: Row[] = [
    ["for an image", "gpt-5", { config: allRoutes, facts: { hasImage: true } }, eyes],
    ["for our own name too", "clutch-big", { config: allRoutes, facts: { hasImage: true } }, eyes],
    [
      "for a sole search tool",
      "gpt-5",
      { config: allRoutes, facts: { webSearch: "sole" } },
      ["web search (the sole tool)", ...small],
    ],
    [
      "for a forced search",
      "gpt-5",
      { config: allRoutes, facts: { webSearch: "forced" } },
      ["web search (forced)", ...small],
    ],
    ["beyond the threshold", "gpt-5", { config: allRoutes, facts: { tokens: 1001 } }, long],
    ["but not at the threshold", "gpt-5", { config: allRoutes, facts: { tokens: 1000 } }, ["default", ...middle]],
    ["for thinking", "gpt-5", { config: allRoutes, facts: { thinks: "effort max" } }, ["think (effort max)", deep]],
    ["for a small family", "claude-haiku-4-5", { config: allRoutes }, ["background (small model)", ...small]],
    ["for the smallest tier's name", "clutch-small", { config: allRoutes }, ["background (small model)", ...small]],
    [
      "for an agent's chatter",
      "gpt-5",
      { config: allRoutes, facts: { call: title } },
      ["background (title)", ...small],
    ],
    [
      "not for a side call that is work",
      "gpt-5",
      { config: allRoutes, facts: { call: approval } },
      ["default", ...middle],
    ],
    ["in order: the image first", "gpt-5", { config: allRoutes, facts: everything }, eyes],
    [
      "in order: then the search",
      "gpt-5",
      { config: allRoutes, facts: { ...everything, hasImage: false } },
      ["web search (the sole tool)", ...small],
    ],
    [
      "in order: then the length",
      "gpt-5",
      { config: allRoutes, facts: { ...everything, hasImage: false, webSearch: undefined } },
      long,
    ],
    [
      "in order: then thinking",
      "gpt-5",
      { config: allRoutes, facts: { thinks: "plan mode", call: title } },
      ["think (plan mode)", deep],
    ],
    [
      "after the launch's tier",
      "gpt-5",
      { config: allRoutes, launch: "xipm", facts: everything },
      ["launch tier m", ...big],
    ],
    [
      "after a mapping",
      "gpt-5",
      { config: { ...allRoutes, mappings: { "gpt-5": "BIG" } }, facts: everything },
      ["mapping gpt-5", ...big],
    ],
    ["never for a reference", "ollama:q", { config: allRoutes, facts: everything }, ["reference", "ollama:q@chat"]],
    [
      "never on route b",
      "gpt-5",
      { config: allRoutes, launch: "qib", facts: everything },
      ["bypass", "openrouter:gpt-5@chat"],
    ],
    [
      "with the fallbacks behind a model",
      "gpt-5",
      { config: { ...allRoutes, fallbacks: ["f/f"] }, facts: { thinks: "plan mode" } },
      ["think (plan mode)", deep, "openrouter:f/f@chat"],
    ],
    [
      "with its own name of ours",
      "gpt-5",
      { config: { model_tiers: tiers, routes: { think: "clutch-middle" } }, facts: { thinks: "plan mode" } },
      ["think (plan mode)", ...middle],
    ],
    ["only where it is configured", "gpt-5", { facts: everything }, ["tier BIG by default", ...big]],
    [
      "of none, but SMALL for chatter that is known at no cost",
      "gpt-5",
      { facts: { call: title, callAtNoCost: title } },
      ["background (title)", ...small],
    ],
    [
      "of none for chatter where no tier is configured",
      "gpt-5",
      { config: { default_provider: "ollama" }, facts: { callAtNoCost: title } },
      ["no tiers configured", "ollama:gpt-5@chat"],
    ],
  ];
  test.each(rows)("%s: %s", (_name, model, ask, plan) => {
    expect(planned(model, ask)).toEqual(plan);
  });

  test("without asking for facts that no configured rule needs", () => {
    const asked: string[] = [];
    const spy = new Proxy(plain, {
      get(facts, question) {
        asked.push(String(question));
        return Reflect.get(facts, question);
      },
    });
    const request = { protocol: "chat", model: "gpt-5", launch: undefined, keepsOwnLogin: false, agent: "x" } as const;
    planRoute({ ...request, facts: spy }, routing({ model_tiers: tiers }));
    // The only one, and told from headers alone where the body is large.
    expect(asked).toEqual(["callAtNoCost"]);
    asked.length = 0;
    planRoute(
      { ...request, facts: spy },
      routing({ model_tiers: tiers, routes: { think: "a/b" }, toolcall_models: ["t/t"] }),
    );
    expect(asked).toEqual(["thinks", "callAtNoCost", "hasTools"]);
  });
});

describe("planRoute() follows roles and sub-agents", () => {
  const hermes = (roles: JsonObject) => ({ model_tiers: tiers, agents: { hermes: { roles } }, fallbacks: ["f/f"] });
  const claude = {
    model_tiers: tiers,
    agents: { claude: { subagents: { reviewer: "openai:gpt-5", docs: "SMALL", off: "" } } },
  };
  const rows: Row[] = [
    [
      "of Hermes",
      "clutch-big",
      { launch: "hip", config: hermes({ approval: "SMALL" }), facts: { call: approval } },
      ["role approval", ...small, "openrouter:f/f@chat"],
    ],
    [
      "to a model, before the launch's tier",
      "clutch-big",
      { launch: "hipd", config: hermes({ approval: "ollama:judge" }), facts: { call: approval } },
      ["role approval", "ollama:judge@chat", "openrouter:f/f@chat"],
    ],
    [
      "under the predecessor's name",
      "clutch-big",
      {
        launch: "hip",
        config: hermes({ triage: "SMALL" }),
        facts: { call: { ...approval, role: "triage_specifier" } },
      },
      ["role triage_specifier", ...small, "openrouter:f/f@chat"],
    ],
    [
      "primary, which is no side call",
      "clutch-big",
      { launch: "hip", config: hermes({ primary: "MIDDLE", approval: "SMALL" }) },
      ["role primary", ...middle, "openrouter:f/f@chat"],
    ],
    [
      "but not where the role has none",
      "clutch-big",
      { launch: "hip", config: hermes({ vision: "MIDDLE" }), facts: { call: approval } },
      ["tier BIG", ...big, "openrouter:f/f@chat"],
    ],
    [
      "of Hermes started by hand, by its side calls alone",
      "gpt-5",
      { config: hermes({ approval: "SMALL", primary: "MIDDLE" }), facts: { call: approval } },
      ["role approval", ...small, "openrouter:f/f@chat"],
    ],
    [
      "of no other agent",
      "clutch-big",
      { launch: "cip", config: hermes({ primary: "SMALL" }) },
      ["tier BIG", ...big, "openrouter:f/f@chat"],
    ],
    [
      "of Claude Code",
      "claude-sonnet-5",
      { launch: "cip", config: claude, subagent: "reviewer", protocol: "messages" },
      ["sub-agent reviewer", "openai:gpt-5@chat"],
    ],
    [
      "of Claude Code",
      "claude-sonnet-5",
      { config: claude, subagent: "docs", agent: "c" },
      ["sub-agent docs", ...small],
    ],
    ["but not one that is off", "clutch-big", { config: claude, subagent: "off", agent: "c" }, ["tier BIG", ...big]],
    ["but not an unknown one", "clutch-big", { config: claude, agent: "c" }, ["tier BIG", ...big]],
    [
      "but not for a reference",
      "ollama:q",
      { launch: "cip", config: claude, subagent: "reviewer" },
      ["reference", "ollama:q@chat"],
    ],
  ];
  test.each(rows)("%s: %s", (_name, model, ask, plan) => {
    expect(planned(model, ask)).toEqual(plan);
  });
});

describe("planRoute() goes on by the next rule", () => {
  const family = ["tier SMALL by family", ...small];
  const rows: Row[] = [
    [
      "from a mapping to a mapping",
      "gpt-5-mini",
      { config: { model_tiers: tiers, mappings: { "gpt-5-mini": "x", x: "clutch-middle" } } },
      ["mapping gpt-5-mini", ...middle],
    ],
    [
      "from a mapping to a route",
      "gpt-5-mini",
      { config: { model_tiers: tiers, mappings: { "gpt-5-mini": "think" }, routes: { think: "ollama:deep" } } },
      ["mapping gpt-5-mini", "ollama:deep@chat"],
    ],
    [
      "where mappings go in a circle",
      "gpt-5-mini",
      { config: { model_tiers: tiers, mappings: { "gpt-5-mini": "x", x: "y", y: "x" } } },
      family,
    ],
    [
      "where a mapping names itself",
      "gpt-5-mini",
      { config: { model_tiers: tiers, mappings: { "gpt-5-mini": "gpt-5-mini" } } },
      family,
    ],
    [
      "where a mapping names an empty route",
      "gpt-5-mini",
      { config: { model_tiers: tiers, mappings: { "gpt-5-mini": "think" } } },
      family,
    ],
    [
      "where a mapping names an unknown provider",
      "gpt-5-mini",
      { config: { model_tiers: tiers, mappings: { "gpt-5-mini": "opnai:gpt-5" } } },
      family,
    ],
    [
      "where a route names an unknown provider",
      "gpt-5-mini",
      { config: { model_tiers: tiers, routes: { image: "opnai:gpt-5" } }, facts: { hasImage: true } },
      family,
    ],
    [
      "but takes a bare name for the default provider's model",
      "gpt-5-mini",
      { config: { default_provider: "ollama", model_tiers: tiers, mappings: { "gpt-5-mini": "qwen3:8b" } } },
      ["mapping gpt-5-mini", "ollama:qwen3:8b@chat"],
    ],
    [
      "where a tier is left without a model",
      "gpt-5-mini",
      {
        config: {
          model_tiers: { ...tiers, MIDDLE: { default: "opnai:a", cascade: ["opnai:b"] } },
          mappings: { "gpt-5-mini": "MIDDLE" },
        },
      },
      family,
    ],
    [
      "where the script declined",
      "gpt-5-mini",
      { config: { model_tiers: tiers, routes: { custom: "./r.ts" } }, script: { reason: "the script declined" } },
      family,
    ],
    [
      "but not where the script answered",
      "gpt-5-mini",
      { config: { model_tiers: tiers, routes: { custom: "./r.ts" } }, script: { answer: "MIDDLE" } },
      ["script", ...middle],
    ],
  ];
  test.each(rows)("%s: %s", (_name, model, ask, plan) => {
    expect(planned(model, ask)).toEqual(plan);
  });

  test("and leaves out a model whose provider is unknown", () => {
    const config = { model_tiers: { BIG: { default: "opnai:a", cascade: ["a/b"] } } };
    expect(planned("clutch-big", { config })).toEqual(["tier BIG", "openrouter:a/b@chat"]);
    expect(planOf("clutch-big", { config }).unusable).toEqual([
      { name: "opnai:a", reason: "there is no provider opnai" },
    ]);
  });
});

test("planRoute() tells why each earlier rule did not apply, and which key its hits belong to", () => {
  const config = {
    ...allRoutes,
    mappings: { other: "BIG" },
    agents: { claude: { subagents: { reviewer: "BIG" } }, hermes: { roles: { approval: "BIG" } } },
    routes: { ...routes, custom: "./r.ts" },
  };
  const { steps, key } = planOf("gpt-5", { config, launch: "xip", script: { reason: "it threw: no" } });
  expect(key).toBe("routes.default");
  expect(steps).toEqual([
    { rule: "role", outcome: "not configured" },
    { rule: "sub-agent", outcome: "from no sub-agent that is known" },
    { rule: "launch tier", outcome: "none in the launch code" },
    { rule: "mapping", outcome: "none for this name" },
    { rule: "script", outcome: "it threw: no" },
    { rule: "image", outcome: "no image in the newest turn" },
    { rule: "web search", outcome: "search is neither the sole tool nor forced" },
    { rule: "long context", outcome: "not over 1000 tokens" },
    { rule: "think", outcome: "thinking is not asked for" },
    { rule: "background", outcome: "neither a small model's name nor an agent's chatter" },
    { rule: "own name", outcome: "none of ours" },
    { rule: "no tiers", outcome: "there are tiers" },
    { rule: "family", outcome: "no known family" },
  ]);
  const circle = planOf("a", { config: { model_tiers: tiers, mappings: { a: "b", b: "a" } } });
  expect(circle.steps[3]).toEqual({ rule: "mapping", outcome: "mappings.a goes in a circle: a -> b -> a" });
});

describe("asksScript()", () => {
  const custom = { model_tiers: tiers, routes: { custom: "./r.ts", image: "a/b" } };
  const rows: [name: string, model: string, ask: Ask, isAsked: boolean][] = [
    ["when no rule before it decides", "gpt-5", { config: custom, facts: { hasImage: true } }, true],
    ["but not without a script", "gpt-5", {}, false],
    ["but not for a reference", "a/b", { config: custom }, false],
    ["but not on route b", "gpt-5", { config: custom, launch: "xib" }, false],
    ["but not after a launch's tier", "gpt-5", { config: custom, launch: "xipd" }, false],
    ["but not after a mapping", "gpt-5", { config: { ...custom, mappings: { "gpt-5": "BIG" } } }, false],
    ["also after a mapping in a circle", "gpt-5", { config: { ...custom, mappings: { "gpt-5": "gpt-5" } } }, true],
  ];
  test.each(rows)("%s: %s", (_name, model, { launch, config = {}, facts }, isAsked) => {
    const token = launch === undefined ? undefined : parseLaunchToken(`xx-${launch}-launch1`);
    const request = { protocol: "chat", model, launch: token, keepsOwnLogin: false, agent: undefined } as const;
    expect(asksScript({ ...request, facts: { ...plain, ...facts } }, routing(config))).toBe(isAsked);
  });
});

describe("planRoute() lists a tier's candidates:", () => {
  const tools = { facts: { hasTools: true } };
  const rows: Row[] = [
    [
      "tool-call models after the default, if there are tools",
      "clutch-middle",
      { ...tools, config: { model_tiers: tiers, toolcall_models: ["t/t", "ollama:t2"], fallbacks: ["f/f"] } },
      [
        "tier MIDDLE",
        "openrouter:vendor/middle@chat",
        "openrouter:t/t@chat",
        "ollama:t2@chat",
        "openrouter:vendor/middle-2@chat",
        "openrouter:f/f@chat",
      ],
    ],
    [
      "none of them without tools",
      "clutch-middle",
      { config: { model_tiers: tiers, toolcall_models: ["t/t"], fallbacks: ["f/f"] } },
      ["tier MIDDLE", ...middle, "openrouter:f/f@chat"],
    ],
    [
      "each once, at its first place",
      "clutch-small",
      {
        ...tools,
        config: {
          model_tiers: { SMALL: { default: "a/a", cascade: ["b/b", "a/a", "openrouter:b/b"] } },
          toolcall_models: ["b/b"],
          fallbacks: ["a/a", "c/c"],
        },
      },
      ["tier SMALL", "openrouter:a/a@chat", "openrouter:b/b@chat", "openrouter:c/c@chat"],
    ],
    [
      "the same model at two providers twice",
      "clutch-big",
      { config: { model_tiers: { BIG: { default: "ollama:m", cascade: ["lmstudio:m"] } } } },
      ["tier BIG", "ollama:m@chat", "lmstudio:m@chat"],
    ],
    [
      "no empty names",
      "clutch-big",
      { config: { model_tiers: { BIG: { default: "a/a", cascade: ["", "b/b"] } }, fallbacks: [""] } },
      ["tier BIG", "openrouter:a/a@chat", "openrouter:b/b@chat"],
    ],
    [
      "an empty SMALL is MIDDLE",
      "clutch-small",
      { config: { model_tiers: { BIG: tiers.BIG, MIDDLE: tiers.MIDDLE } } },
      ["tier SMALL", ...middle],
    ],
    [
      "empty SMALL and MIDDLE are BIG",
      "clutch-small",
      { config: { model_tiers: { BIG: tiers.BIG } } },
      ["tier SMALL", ...big],
    ],
    [
      "a SMALL without a default takes the larger one's, and its own cascade",
      "clutch-small",
      { config: { model_tiers: { BIG: tiers.BIG, SMALL: { cascade: ["s/s"] } } } },
      ["tier SMALL", "openrouter:vendor/big@chat", "openrouter:s/s@chat"],
    ],
    [
      "an empty BIG has its cascade alone",
      "clutch-big",
      { config: { model_tiers: { BIG: { cascade: ["b/b"] }, SMALL: tiers.SMALL } } },
      ["tier BIG", "openrouter:b/b@chat"],
    ],
    ["nothing where nothing is configured", "clutch-big", { config: { model_tiers: {} } }, ["tier BIG"]],
    [
      "the built-in ones of OpenRouter without a config",
      "clutch-small",
      { config: {} },
      [
        "tier SMALL",
        "openrouter:nvidia/nemotron-3-nano-omni-30b-a3b-reasoning:free@chat",
        "openrouter:openai/gpt-oss-120b:free@chat",
        "openrouter:nvidia/nemotron-3-super-120b-a12b:free@chat",
      ],
    ],
  ];
  test.each(rows)("%s", (_name, model, ask, plan) => {
    expect(planned(model, ask)).toEqual(plan);
  });
});

describe("planRoute() without tiers asks another default provider for the model as it was named:", () => {
  const config = { default_provider: "anthropic" };
  const rows: Row[] = [
    ["a name of no family", "claude-next", { config }, ["no tiers configured", "anthropic:claude-next@messages"]],
    [
      "a name of a family, which has no tier to go to",
      "claude-sonnet-4-5",
      { config },
      ["no tiers configured", "anthropic:claude-sonnet-4-5@messages"],
    ],
    [
      "a local model of a small kind",
      "phi-4-mini",
      { config: { default_provider: "ollama" } },
      ["no tiers configured", "ollama:phi-4-mini@chat"],
    ],
    [
      "but the routes' default comes first",
      "gpt-5",
      { config: { ...config, routes: { default: "ollama:q" } } },
      ["default", "ollama:q@chat"],
    ],
    [
      "and a mapping too",
      "gpt-5",
      { config: { ...config, mappings: { "gpt-5": "ollama:q" } } },
      ["mapping gpt-5", "ollama:q@chat"],
    ],
    [
      "tiers count once one is configured",
      "claude-sonnet-4-5",
      { config: { ...config, model_tiers: tiers } },
      ["tier MIDDLE by family", "anthropic:vendor/middle@messages", "anthropic:vendor/middle-2@messages"],
    ],
  ];
  test.each(rows)("%s", (_name, model, ask, plan) => {
    expect(planned(model, ask)).toEqual(plan);
  });
});

describe("planRoute() calls a provider", () => {
  const config = {
    providers: {
      chatty: { base_url: "http://h/v1" },
      messy: { base_url: "http://h/v1", protocol: "messages" },
      answery: { base_url: "http://h/v1", protocol: "responses" },
      openrouter: { protocol: "chat" },
    },
  };
  const rows: [client: RouteRequest["protocol"], model: string, target: string][] = [
    ["messages", "anthropic:m", "anthropic:m@messages"],
    ["messages", "openai:m", "openai:m@chat"],
    ["messages", "answery:m", "answery:m@responses"],
    ["chat", "openai:m", "openai:m@chat"],
    ["chat", "anthropic:m", "anthropic:m@messages"],
    ["chat", "answery:m", "answery:m@responses"],
    ["responses", "openai:m", "openai:m@responses"],
    ["responses", "chatty:m", "chatty:m@chat"],
    ["responses", "deepseek:m", "deepseek:m@chat"],
    ["responses", "messy:m", "messy:m@messages"],
    ["messages", "openrouter:m", "openrouter:m@chat"],
  ];
  test.each(rows)("for a client of %s: %s as %s", (protocol, model, target) => {
    expect(planned(model, { protocol, config })).toEqual(["reference", target]);
  });
});

describe("routableModels()", () => {
  test("lists each name that can be asked for once, our own first", () => {
    const config = {
      model_tiers: { BIG: { default: "a/a", cascade: ["b/b"] }, SMALL: { default: "c/c", cascade: ["a/a"] } },
      toolcall_models: ["t/t"],
      fallbacks: ["f/f"],
      mappings: { "coder-model": "BIG" },
      routes: { default: "d/d" },
    };
    expect(routableModels(routing(config))).toEqual([
      "clutch-big",
      "clutch-middle",
      "clutch-small",
      "a/a",
      "t/t",
      "b/b",
      "f/f",
      "c/c",
      "ollama:local",
      "deepseek/flash",
      "coder-model",
      "d/d",
    ]);
  });
});
