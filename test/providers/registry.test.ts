import { describe, expect, test } from "bun:test";
import { catalog } from "../../providers/catalog.ts";
import { buildProviders, keyReader, type Provider, poolOf, type ReadKey, speaks } from "../../providers/registry.ts";
import { parseConfig } from "../../src/config/schema.ts";
import { renderError } from "../../src/errors.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";
import { plainQuirks } from "../../src/protocols/codec.ts";

const noKeys: ReadKey = () => undefined;
const environment = keyReader({ OPENAI_API_KEY: "sk-env", MINE: "sk-mine" }, () => undefined);

function build(providers: JsonObject, readKey = noKeys, more: JsonObject = {}) {
  return buildProviders(parseConfig({ providers, ...more }, "c.json"), readKey);
}

function provider(id: string, own: JsonObject, readKey = noKeys): Provider {
  const found = build({ [id]: own }, readKey).get(id);
  if (found === undefined) throw new Error(`no ${id}`);
  return found;
}

const knownIds = Object.keys(catalog).filter((id) => id !== "azure");

describe("buildProviders()", () => {
  test("has all built-in ones without a config, in the catalogue's order, but Azure, whose address nobody knows", () => {
    expect([...build({}).keys()]).toEqual(knownIds);
  });

  test("completes a built-in row", () => {
    expect(build({}, environment).get("openai")).toEqual({
      id: "openai",
      name: "OpenAI",
      urls: {
        chat: "https://api.openai.com/v1/chat/completions",
        responses: "https://api.openai.com/v1/responses",
      },
      query: "",
      auth: { chat: "bearer", messages: "x-api-key", responses: "bearer" },
      keys: [{ id: "#1", value: "sk-env" }],
      key: "sk-env",
      keySource: "set OPENAI_API_KEY or providers.openai.api_key",
      headers: {},
      isAnthropic: false,
      isBuiltIn: true,
      local: undefined,
      sessionHeader: undefined,
      rateLimitScope: "model",
      pools: [],
      modelProtocols: [],
      quirks: { ...plainQuirks, ...catalog.openai.quirks },
    });
  });

  test("completes a custom provider: Chat unless it says otherwise", () => {
    const own = { base_url: "http://10.0.0.5:8000/v1", api_key: "x", headers: { "X-Team": "a" } };
    expect(provider("mybox", own, environment)).toEqual({
      id: "mybox",
      name: "mybox",
      urls: { chat: "http://10.0.0.5:8000/v1/chat/completions" },
      query: "",
      auth: { chat: "bearer", messages: "x-api-key", responses: "bearer" },
      keys: [{ id: "#1", value: "x" }],
      key: "x",
      keySource: "set providers.mybox.api_key",
      headers: { "X-Team": "a" },
      isAnthropic: false,
      isBuiltIn: false,
      local: undefined,
      sessionHeader: undefined,
      rateLimitScope: "model",
      pools: [{ name: "free", endsWith: [":free"] }],
      modelProtocols: [],
      quirks: plainQuirks,
    });
  });

  test("needs no key for a local server", () => {
    const { key, keySource } = provider("ollama", {});
    expect([key, keySource]).toEqual([undefined, undefined]);
  });

  test("pins a built-in provider to the protocol that the config names", () => {
    expect(provider("openrouter", { protocol: "chat" }).urls).toEqual({
      chat: "https://openrouter.ai/api/v1/chat/completions",
    });
    expect(provider("deepseek", { protocol: "messages" }).urls).toEqual({
      messages: "https://api.deepseek.com/anthropic/v1/messages",
    });
  });

  test("puts every protocol of a built-in provider at the config's base URL", () => {
    expect(provider("ollama", { base_url: "http://box:11434" }).urls).toEqual({
      chat: "http://box:11434/v1/chat/completions",
      messages: "http://box:11434/v1/messages",
      responses: "http://box:11434/v1/responses",
    });
  });

  const vendors: [name: string, id: string, own: JsonObject, isAnthropic: boolean][] = [
    ["the built-in row", "anthropic", {}, true],
    ["a custom row at its address", "mine", { base_url: "https://api.anthropic.com", protocol: "messages" }, true],
    ["its row moved to another server", "anthropic", { base_url: "http://127.0.0.1:9/v1" }, false],
    ["another vendor with Messages", "deepseek", {}, false],
    ["a name that only looks like it", "mine", { base_url: "https://notanthropic.com", protocol: "messages" }, false],
  ];
  test.each(vendors)("knows Anthropic itself by its host: %s", (_name, id, own, isAnthropic) => {
    expect(provider(id, own).isAnthropic).toBe(isAnthropic);
  });

  const versions: [base: string, url: string][] = [
    ["http://h:1", "http://h:1/v1/responses"],
    ["http://h:1/", "http://h:1/v1/responses"],
    ["http://h:1//", "http://h:1/v1/responses"],
    ["http://h:1/v1", "http://h:1/v1/responses"],
    ["http://h:1/v1/", "http://h:1/v1/responses"],
    ["http://h:1/api", "http://h:1/api/v1/responses"],
    ["https://api.z.ai/api/paas/v4", "https://api.z.ai/api/paas/v4/responses"],
    ["http://h:1/v1beta", "http://h:1/v1beta/responses"],
    ["http://h:1/v1beta/openai", "http://h:1/v1beta/openai/v1/responses"],
    ["http://h:1/version", "http://h:1/version/v1/responses"],
    ["http://v1.example.com", "http://v1.example.com/v1/responses"],
  ];
  test.each(versions)("makes of base %s the URL %s", (base_url, url) => {
    expect(provider("mybox", { base_url, protocol: "responses" }).urls).toEqual({ responses: url });
  });

  const moved: [id: string, base: string, url: string][] = [
    ["gemini", "http://h:1", "http://h:1/v1beta/openai/chat/completions"],
    ["gemini", "http://h:1/v1beta", "http://h:1/v1beta/openai/chat/completions"],
    ["gemini", "http://h:1/v1beta/openai/", "http://h:1/v1beta/openai/chat/completions"],
    ["gemini", "http://h:1/google/openai", "http://h:1/google/openai/chat/completions"],
    ["zai", "https://open.bigmodel.cn/api/paas/v4", "https://open.bigmodel.cn/api/paas/v4/chat/completions"],
    ["github", "http://h:1", "http://h:1/inference/chat/completions"],
    ["github", "http://h:1/orgs/acme/inference", "http://h:1/orgs/acme/inference/chat/completions"],
    ["azure", "https://acme.openai.azure.com", "https://acme.openai.azure.com/openai/v1/chat/completions"],
    ["azure", "https://acme.openai.azure.com/openai", "https://acme.openai.azure.com/openai/v1/chat/completions"],
    ["azure", "https://acme.openai.azure.com/openai/v1/", "https://acme.openai.azure.com/openai/v1/chat/completions"],
    ["azure", "https://a.azure.com/openai/deployments/d", "https://a.azure.com/openai/deployments/d/chat/completions"],
  ];
  test.each(moved)("moves %s to %s as %s", (id, base_url, url) => {
    expect(provider(id, { base_url, protocol: "chat" }).urls).toEqual({ chat: url });
  });

  test("sends Azure its key in a header of its own, and the query that an older API wants", () => {
    const base_url = "https://acme.openai.azure.com";
    const own = { base_url, api_key: "k", query: { "api-version": "2024-10-21" } };
    const { auth, query, keys } = provider("azure", own, environment);
    expect({ auth, query, keys }).toEqual({
      auth: { chat: "api-key", messages: "x-api-key", responses: "api-key" },
      query: "?api-version=2024-10-21",
      keys: [{ id: "#1", value: "k" }],
    });
  });

  const pools: [name: string, own: JsonObject, keys: [id: string, value: string][]][] = [
    [
      "the pool, then the single key",
      { api_keys: ["sk-1", "sk-2"], api_key: "sk-3" },
      [
        ["#1", "sk-1"],
        ["#2", "sk-2"],
        ["#3", "sk-3"],
      ],
    ],
    [
      "only those that are there, each by its place",
      { api_keys: ["env:NONE", "sk-2", "", "cmd:false", "env:MINE"] },
      [
        ["#2", "sk-2"],
        ["#5", "sk-mine"],
      ],
    ],
    ["one that is named twice, once", { api_keys: ["sk-mine", "env:MINE"] }, [["#1", "sk-mine"]]],
    ["none where none is found", { api_keys: ["env:NONE"] }, []],
    ["the variable's without a config", {}, [["#1", "sk-env"]]],
  ];
  test.each(pools)("has as keys %s", (_name, own, keys) => {
    expect(provider("openai", own, environment).keys).toEqual(keys.map(([id, value]) => ({ id, value })));
  });

  test("takes the first variable that is set, not all of them", () => {
    const readKey = keyReader({ GOOGLE_API_KEY: "g2", GOOGLE_GENERATIVE_AI_API_KEY: "g3" }, () => undefined);
    const { keys, keySource } = provider("gemini", {}, readKey);
    expect([keys, keySource]).toEqual([[{ id: "#2", value: "g2" }], "set GOOGLE_API_KEY or providers.gemini.api_key"]);
  });

  test("runs a command for a key once", () => {
    let runs = 0;
    const readKey = keyReader({}, () => `sk-${++runs}`);
    expect([provider("openai", { api_key: "cmd:pass show x" }, readKey).key, runs]).toEqual(["sk-1", 1]);
  });

  const headers: [name: string, own: Record<string, string>, sent: Record<string, string>][] = [
    ["the catalogue's", {}, { "x-openrouter-title": "Clutch", "x-openrouter-categories": "cli-agent" }],
    ["none of them that the config empties", { "X-OpenRouter-Title": "", "x-openrouter-categories": "" }, {}],
    [
      "the config's over them",
      { "X-OpenRouter-Title": "Mine" },
      { "X-OpenRouter-Title": "Mine", "x-openrouter-categories": "cli-agent" },
    ],
    [
      "values of variables, and none that is not set",
      { "x-a": "env:MINE", "x-b": "env:NONE", "x-openrouter-title": "", "x-openrouter-categories": "" },
      { "x-a": "sk-mine" },
    ],
  ];
  test.each(headers)("sends as headers %s", (_name, own, sent) => {
    expect(provider("openrouter", { headers: own }, environment).headers).toEqual(sent);
  });

  const keys: [name: string, own: JsonObject, key: string | undefined, source: string][] = [
    ["its own variable by default", {}, "sk-env", "set OPENAI_API_KEY or providers.openai.api_key"],
    ["another variable", { api_key: "env:MINE" }, "sk-mine", "set MINE or providers.openai.api_key"],
    ["a variable that is not set", { api_key: "env:NONE" }, undefined, "set NONE or providers.openai.api_key"],
    ["the key itself", { api_key: "sk-file" }, "sk-file", "set providers.openai.api_key"],
    ["an empty key, which is none", { api_key: "" }, undefined, "set providers.openai.api_key"],
    [
      "a command that fails",
      { api_key: "cmd:false" },
      undefined,
      "providers.openai.api_key is a command that printed no key",
    ],
    ["the first of a pool", { api_keys: ["env:MINE", "sk-2"] }, "sk-mine", "set MINE or providers.openai.api_key"],
    ["a pool before a single key", { api_key: "sk-1", api_keys: ["sk-2"] }, "sk-2", "set providers.openai.api_key"],
    [
      "the first of a pool that can be found",
      { api_keys: ["env:NONE", "sk-2"] },
      "sk-2",
      "set providers.openai.api_key",
    ],
    ["the single key beside an empty pool", { api_key: "sk-1", api_keys: [] }, "sk-1", "set providers.openai.api_key"],
  ];
  test.each(keys)("takes as key %s", (_name, own, key, keySource) => {
    const found = provider("openai", own, environment);
    expect([found.key, found.keySource]).toEqual([key, keySource]);
  });

  const mistakes: [name: string, config: JsonObject, code: string, line: string][] = [
    [
      "a custom provider without a base URL",
      { providers: { opnai: { api_key: "k" } } },
      "config-invalid",
      'providers.opnai has no base_url: "opnai" is no built-in provider, so say where it is: "base_url": "http://host:port/v1"',
    ],
    [
      "Azure without its address",
      { providers: { azure: { api_key: "k" } } },
      "config-invalid",
      'providers.azure has no base_url: only you know where it is: "base_url": "https://<resource>.openai.azure.com/openai/v1"',
    ],
    [
      "a protocol that a built-in provider does not speak",
      { providers: { anthropic: { protocol: "responses" } } },
      "config-invalid",
      'providers.anthropic.protocol is "responses", which Anthropic does not speak: use messages',
    ],
    [
      "a default provider that nobody knows",
      { default_provider: "grok" },
      "unknown-provider",
      `default_provider is "grok", which is not configured: add providers.grok with a base_url, or name one of ${knownIds.join(", ")}`,
    ],
    [
      "a default provider by the name of something every object has",
      { default_provider: "constructor" },
      "unknown-provider",
      `default_provider is "constructor", which is not configured: add providers.constructor with a base_url, or name one of ${knownIds.join(", ")}`,
    ],
  ];
  test.each(mistakes)("refuses %s", (_name, config, code, line) => {
    try {
      build({}, noKeys, config);
    } catch (error) {
      expect([(error as { code?: unknown }).code, renderError(error)]).toEqual([code, line]);
      return;
    }
    throw new Error("nothing was thrown");
  });

  test("takes a custom provider as the default one", () => {
    const providers = build({ mybox: { base_url: "http://h:1" } }, noKeys, { default_provider: "mybox" });
    expect(providers.has("mybox")).toBe(true);
  });
});

describe("speaks()", () => {
  const spokenBy = (of: Provider, model: string): string[] =>
    (["messages", "chat", "responses"] as const).filter((protocol) => speaks(of, model, protocol));

  const cases: [id: string, model: string, protocols: string[]][] = [
    ["openrouter", "anthropic/claude-opus-5", ["messages", "chat", "responses"]],
    ["zen", "claude-opus-5", ["messages"]],
    ["zen", "qwen3.6-plus", ["messages"]],
    ["zen", "gpt-6.1-sol", ["responses"]],
    ["zen", "glm-5.3", ["chat"]],
    ["zen", "qwen3.8-max", ["chat"]],
  ];
  test.each(cases)("at %s, %s speaks %j", (id, model, protocols) => {
    expect(spokenBy(provider(id, {}), model)).toEqual(protocols);
  });

  test("has none for a model whose only protocol the config rules out", () => {
    expect(spokenBy(provider("zen", { protocol: "chat" }), "claude-opus-5")).toEqual([]);
  });
});

describe("poolOf()", () => {
  const cases: [id: string, model: string, pool: string | undefined][] = [
    ["openrouter", "moonshotai/kimi-k2.6:free", "free"],
    ["openrouter", "moonshotai/kimi-k2.6", undefined],
    ["zen", "big-pickle", "free"],
    ["zen", "glm-5.3-flash-free", "free"],
    ["zen", "glm-5.3-flash", undefined],
    ["ollama", "gpt-oss:120b-cloud", "cloud"],
    ["ollama", "glm-5:cloud", "cloud"],
    ["ollama", "qwen3:8b", undefined],
  ];
  test.each(cases)("at %s, %s is of %p", (id, model, pool) => {
    expect(poolOf(provider(id, {}), model)).toBe(pool as string);
  });
});

describe("keyReader()", () => {
  const commands: string[] = [];
  const read = keyReader({ SET: " sk-1\n", EMPTY: "", BLANK: " \n" }, (command) => {
    commands.push(command);
    return command === "pass show a:b" ? "sk-2\n" : undefined;
  });
  const cases: [spec: string, key: string | undefined][] = [
    ["env:SET", "sk-1"],
    ["env:EMPTY", undefined],
    ["env:BLANK", undefined],
    ["env:UNSET", undefined],
    ["cmd:pass show a:b", "sk-2"],
    ["cmd:false", undefined],
    ["sk-3", "sk-3"],
    ["ENV:SET", "ENV:SET"],
    ["", undefined],
  ];
  test.each(cases)("finds for %p: %p", (spec, key) => {
    expect(read(spec)).toBe(key as string);
  });

  test("runs commands only for specs that are commands", () => {
    expect(commands).toEqual(["pass show a:b", "false"]);
  });
});
