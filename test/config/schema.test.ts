import { describe, expect, test } from "bun:test";
import { keysWithoutEffect, parseConfig } from "../../src/config/schema.ts";
import { renderError } from "../../src/errors.ts";
import { nearest } from "../../src/nearest.ts";
import type { Json } from "../../src/protocols/chat.ts";

function lineOf(raw: Json, tolerant = false): string {
  try {
    parseConfig(raw, "c.json", tolerant);
  } catch (error) {
    expect((error as { code?: unknown }).code).toBe("config-invalid");
    return renderError(error);
  }
  throw new Error("nothing was thrown");
}

const secret = "sk-or-v1-0123456789abcdef";

describe("parseConfig()", () => {
  test("fills in every default", () => {
    expect(parseConfig({}, "c.json")).toEqual({
      server: { host: "127.0.0.1", port: 8082, require_key: false },
      proxy: { auto_start: true },
      default_provider: "openrouter",
      providers: {},
      routes: {
        image: "",
        web_search: "",
        long_context: { model: "", threshold: 60000 },
        think: "",
        background: "",
        default: "",
        custom: "",
      },
      mappings: {},
      agents: {},
      fallbacks: [],
      toolcall_models: [],
      fallback_method: "cascade",
      quotas: {},
      breaker: { failures: 3, cooldown_seconds: 60, max_cooldown_seconds: 3600 },
      timeouts: { connect_ms: 10000, first_token_ms: 60000, idle_ms: 120000, patience_ms: 8000 },
      hedge: { after_ms: 0 },
      prices: {},
      ledger: { enabled: true, retention_days: 90, body_days: 7 },
      budgets: { daily_usd: 0, allow_paid: true, per_day: {}, per_agent: {}, per_session: {} },
      launcher: { tiers: {}, profiles: {} },
      chain: { services: [] },
      headroom: { mode: "front" },
    });
  });

  test("fills in the tiers that are not named", () => {
    expect(parseConfig({ model_tiers: { BIG: { default: "a/b" } } }, "c.json").model_tiers).toEqual({
      BIG: { default: "a/b", cascade: [] },
      MIDDLE: { default: "", cascade: [] },
      SMALL: { default: "", cascade: [] },
    });
  });

  const mistakes: [name: string, raw: Json, line: string][] = [
    ["an unknown key", { sever: {} }, 'unknown key "sever": did you mean "server"?'],
    ["an unknown key of another case", { Fallbacks: [] }, 'unknown key "Fallbacks": did you mean "fallbacks"?'],
    ["an unknown key like no other", { zzzzzzzzzz: 1 }, 'unknown key "zzzzzzzzzz": remove it'],
    ["an unknown key inside", { server: { prot: 1 } }, 'unknown key "server.prot": did you mean "port"?'],
    [
      "an unknown key two deep",
      { routes: { long_context: { treshold: 1 } } },
      'unknown key "routes.long_context.treshold": did you mean "threshold"?',
    ],
    ["an agent that is none", { agents: { hermez: {} } }, 'unknown key "agents.hermez": did you mean "hermes"?'],
    [
      "a role that the agent does not have",
      { agents: { hermes: { roles: { titel_generation: "SMALL" } } } },
      'unknown key "agents.hermes.roles.titel_generation": did you mean "title_generation"?',
    ],
    ["an unknown tier", { model_tiers: { HUGE: {} } }, 'unknown key "model_tiers.HUGE": remove it'],
    [
      "an unknown key of a provider",
      { providers: { openai: { apikey: secret } } },
      'unknown key "providers.openai.apikey": did you mean "api_key"?',
    ],
    ["an unknown key of a quota", { quotas: { "a/b": { rpm: 1 } } }, 'unknown key "quotas.a/b.rpm": remove it'],
    [
      "text for a number",
      { server: { port: "8082" } },
      '"server.port" is "8082": invalid input: expected number, received string: correct it in the file',
    ],
    [
      "a port that is none",
      { server: { port: 70000 } },
      '"server.port" is 70000: too big: expected number to be <=65535: correct it in the file',
    ],
    [
      "half a port",
      { server: { port: 80.5 } },
      '"server.port" is 80.5: invalid input: expected int, received number: correct it in the file',
    ],
    [
      "a word for a switch",
      { server: { require_key: "yes" } },
      '"server.require_key" is "yes": invalid input: expected boolean, received string: correct it in the file',
    ],
    [
      "a negative time",
      { timeouts: { idle_ms: -1 } },
      '"timeouts.idle_ms" is -1: too small: expected number to be >=0: correct it in the file',
    ],
    [
      "one model for a list",
      { fallbacks: "a/b" },
      '"fallbacks" is "a/b": invalid input: expected array, received string: correct it in the file',
    ],
    [
      "a hole in a list",
      { model_tiers: { BIG: { cascade: ["a", null] } } },
      '"model_tiers.BIG.cascade.1" is null: invalid input: expected string, received null: correct it in the file',
    ],
    [
      "a model for a tier",
      { model_tiers: { BIG: "a/b" } },
      '"model_tiers.BIG" is "a/b": invalid input: expected object, received string: correct it in the file',
    ],
    [
      "an unknown protocol",
      { providers: { a: { protocol: "soap" } } },
      '"providers.a.protocol" is "soap": invalid option: expected one of "chat"|"messages"|"responses": correct it in the file',
    ],
    [
      "a base URL without its scheme",
      { providers: { a: { base_url: "10.0.0.5:8000" } } },
      '"providers.a.base_url" is "10.0.0.5:8000": invalid URL: correct it in the file',
    ],
    [
      "a base URL of another scheme",
      { providers: { a: { base_url: "ftp://a/v1" } } },
      '"providers.a.base_url" is "ftp://a/v1": invalid URL: correct it in the file',
    ],
    [
      "a service without an id",
      { chain: { services: [{}] } },
      '"chain.services.0.id" is nothing: invalid input: expected string, received undefined: correct it in the file',
    ],
    [
      "a long value, shortened",
      { default_provider: ["x".repeat(100)] },
      `"default_provider" is ["${"x".repeat(55)}...: invalid input: expected string, received array: correct it in the file`,
    ],
  ];
  test.each(mistakes)("says what is wrong with %s", (_name, raw, line) => {
    expect(lineOf(raw)).toBe(`c.json: ${line}`);
  });

  const noObjects: [name: string, raw: Json, received: string][] = [
    ["a list", [], "array"],
    ["null", null, "null"],
    ["text", "x", "string"],
  ];
  test.each(noObjects)("says that the file holds %s instead of an object", (_name, raw, received) => {
    const line = `c.json: invalid input: expected object, received ${received}: correct it in the file`;
    expect(lineOf(raw)).toBe(line);
    expect(lineOf(raw, true)).toBe(line);
  });

  const secrets: [name: string, raw: Json][] = [
    ["a key of the wrong type", { providers: { openai: { api_key: [secret] } } }],
    ["a pool that is one text", { providers: { openai: { api_keys: secret } } }],
    ["a header of the wrong type", { providers: { openai: { headers: { authorization: { bearer: secret } } } } }],
    ["headers as a list", { providers: { openai: { headers: [`Authorization: ${secret}`] } } }],
    ["a key in place of its provider", { providers: { openai: secret } }],
    ["a list of keys in place of a provider", { providers: { openai: [secret] } }],
    ["a query of the wrong type", { providers: { openai: { query: { key: [secret] } } } }],
    ["an address with a login", { providers: { openai: { base_url: `https://me:${secret}@host/v1?x` } } }],
    ["a service's environment", { chain: { services: [{ id: "a", env: { TOKEN: [secret] } }] } }],
    ["providers as a list", { providers: [{ id: "openai", api_key: secret }] }],
  ];
  test.each(secrets)("prints no secret for %s", (_name, raw) => {
    const line = lineOf(raw);
    expect(line).not.toContain("sk-or");
    expect(line).toContain("(hidden)");
  });
});

describe("the predecessor's file", () => {
  const gptOss = "openai/gpt-oss-120b:free";
  const nemotron = "nvidia/nemotron-3-super-120b-a12b:free";
  const deepseek = "deepseek/deepseek-v4-flash:free";
  const file = {
    proxy: { base_url: "http://127.0.0.1:8082", health_url: "http://127.0.0.1:8082/health", auto_start: true },
    model_tiers: {
      BIG: { default: "moonshotai/kimi-k2.6:free", cascade: [gptOss, nemotron, deepseek] },
      MIDDLE: { default: nemotron, cascade: [nemotron, gptOss] },
      SMALL: { default: "nvidia/nemotron-3-nano-omni-30b-a3b-reasoning:free", cascade: [gptOss, nemotron] },
    },
    fallbacks: [deepseek, nemotron, gptOss],
    toolcall_models: ["qwen/qwen3-next-80b-a3b-thinking", deepseek, nemotron, gptOss],
    quotas: { [deepseek]: { max_requests_per_minute: 30, cooldown_seconds: 10 } },
  };

  test("loads as it is", () => {
    const { proxy, model_tiers, fallbacks, toolcall_models, quotas } = parseConfig(file, "c.json", true);
    expect({ proxy, model_tiers, fallbacks, toolcall_models, quotas }).toEqual(file);
  });

  test("loads with things of its own in it", () => {
    const more = { selectors: { best: "a/b", free: "c/d" }, profiles: { "0": { agent: "c" } } };
    expect(parseConfig({ ...file, ...more }, "c.json", true)).toEqual(parseConfig(file, "c.json"));
  });

  test("loads with things of its own inside the parts we know", () => {
    const proxy = { ...file.proxy, headroom_health_url: "http://127.0.0.1:8787/health" };
    expect(parseConfig({ ...file, proxy }, "c.json", true)).toEqual(parseConfig(file, "c.json"));
  });

  test("is told its mistakes all the same", () => {
    expect(lineOf({ ...file, fallbacks: deepseek }, true)).toBe(
      `c.json: "fallbacks" is "${deepseek}": invalid input: expected array, received string: correct it in the file`,
    );
  });
});

describe("keysWithoutEffect()", () => {
  const cases: [name: string, raw: Json, keys: string[]][] = [
    ["names none in an empty file", {}, []],
    [
      "names those that are set alone",
      { headroom: { mode: "sidecar" }, fallbacks: [], chain: {}, timeouts: { connect_ms: 1 } },
      ["timeouts.connect_ms"],
    ],
    ["names the limit for connecting", { timeouts: { connect_ms: 10_000, idle_ms: 1 } }, ["timeouts.connect_ms"]],
    ["names no task route", { routes: { image: "a/b", default: "c/d" } }, []],
    [
      "names the roles whose calls look like any other",
      { agents: { hermes: { roles: { mcp: "SMALL", vision: "BIG", skills_hub: "SMALL" } } } },
      ["agents.hermes.roles.mcp", "agents.hermes.roles.skills_hub"],
    ],
    ["takes anything", { agents: { hermes: ["x"] } }, []],
    ["takes no object", [], []],
  ];
  test.each(cases)("%s", (_name, raw, keys) => {
    expect(keysWithoutEffect(raw)).toEqual(keys);
  });
});

describe("nearest()", () => {
  const cases: [word: string, candidates: string[], found: string | undefined][] = [
    ["prot", ["host", "port", "require_key"], "port"],
    ["PORT", ["port"], "port"],
    ["a", ["zzz"], undefined],
    ["abc", [], undefined],
    ["first_tokens_ms", ["idle_ms", "first_token_ms"], "first_token_ms"],
  ];
  test.each(cases)("finds for %s in %j: %p", (word, candidates, found) => {
    expect(nearest(word, candidates)).toBe(found);
  });
});
