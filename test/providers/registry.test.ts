import { describe, expect, test } from "bun:test";
import { catalog } from "../../providers/catalog.ts";
import { buildProviders, keyReader, type Provider, type ReadKey } from "../../providers/registry.ts";
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

describe("buildProviders()", () => {
  test("has all built-in ones without a config, in the catalogue's order", () => {
    expect([...build({}).keys()]).toEqual(Object.keys(catalog));
  });

  test("completes a built-in row", () => {
    expect(build({}, environment).get("openai")).toEqual({
      id: "openai",
      name: "OpenAI",
      urls: {
        chat: "https://api.openai.com/v1/chat/completions",
        responses: "https://api.openai.com/v1/responses",
      },
      messagesAuth: "bearer",
      key: "sk-env",
      keySource: "set OPENAI_API_KEY or providers.openai.api_key",
      headers: {},
      isAnthropic: false,
      isBuiltIn: true,
      quirks: { ...plainQuirks, ...catalog.openai.quirks },
    });
  });

  test("completes a custom provider: Chat unless it says otherwise", () => {
    const own = { base_url: "http://10.0.0.5:8000/v1", api_key: "x", headers: { "X-Team": "a" } };
    expect(provider("mybox", own, environment)).toEqual({
      id: "mybox",
      name: "mybox",
      urls: { chat: "http://10.0.0.5:8000/v1/chat/completions" },
      messagesAuth: "x-api-key",
      key: "x",
      keySource: "set providers.mybox.api_key",
      headers: { "X-Team": "a" },
      isAnthropic: false,
      isBuiltIn: false,
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
      "a protocol that a built-in provider does not speak",
      { providers: { anthropic: { protocol: "responses" } } },
      "config-invalid",
      'providers.anthropic.protocol is "responses", which Anthropic does not speak: use messages',
    ],
    [
      "a default provider that nobody knows",
      { default_provider: "groq" },
      "unknown-provider",
      `default_provider is "groq", which is not configured: add providers.groq with a base_url, or name one of ${Object.keys(catalog).join(", ")}`,
    ],
    [
      "a default provider by the name of something every object has",
      { default_provider: "constructor" },
      "unknown-provider",
      `default_provider is "constructor", which is not configured: add providers.constructor with a base_url, or name one of ${Object.keys(catalog).join(", ")}`,
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
