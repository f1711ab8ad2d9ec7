import { describe, expect, test } from "bun:test";
import { buildProviders } from "../../providers/registry.ts";
import { parseConfig } from "../../src/config/schema.ts";
import { planRoute, type RouteRequest, type Routing, routableModels } from "../../src/gateway/router.ts";
import { parseLaunchToken } from "../../src/launch-token.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";

const tiers = {
  BIG: { default: "vendor/big", cascade: ["vendor/big-2", "ollama:big-3"] },
  MIDDLE: { default: "vendor/middle", cascade: ["vendor/middle-2"] },
  SMALL: { default: "vendor/small", cascade: [] },
};
const tierLetters = { d: "deepseek/flash", m: "clutch-big", "0": "ollama:local" };

function routing(config: JsonObject, keys: Readonly<Record<string, string>> = {}): Routing {
  const parsed = parseConfig(config, "c.json");
  return { config: parsed, providers: buildProviders(parsed, (spec) => keys[spec]), tierLetters, quotas: new Map() };
}

interface Ask extends Partial<Omit<RouteRequest, "launch">> {
  /** A launch code such as `cipd`. */
  launch?: string;
  config?: JsonObject;
  keys?: Readonly<Record<string, string>>;
}

/** `[rule, provider:model@protocol ...]`, with `(own login)` where the client's credential goes along. */
function planned(model: string, { launch, config = { model_tiers: tiers }, keys, ...changes }: Ask): string[] {
  const request: RouteRequest = {
    protocol: "chat",
    model,
    hasTools: false,
    launch: launch === undefined ? undefined : parseLaunchToken(`xx-${launch}-launch1`),
    keepsOwnLogin: false,
    ...changes,
  };
  const { rule, targets } = planRoute(request, routing(config, keys));
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
      { config, hasTools: true },
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
      "asks the tool-call models in between",
      "gpt-5",
      { launch: "xipd", config, hasTools: true },
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
        hasTools: true,
        config: { model_tiers: tiers, mappings: { "gpt-5": "SMALL" }, fallbacks: ["a/b"], toolcall_models: ["t/t"] },
      },
      ["bypass", "openrouter:gpt-5@chat"],
    ],
  ];
  test.each(rows)("takes %s: %s", (_name, model, ask, plan) => {
    expect(planned(model, ask)).toEqual(plan);
  });
});

describe("planRoute() lists a tier's candidates:", () => {
  const tools = { hasTools: true };
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
