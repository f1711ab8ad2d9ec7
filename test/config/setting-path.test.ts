import { describe, expect, test } from "bun:test";
import type { Path } from "../../src/config/jsonc-edit.ts";
import { parseSettingPath, readSettingValue, renderSettingPath } from "../../src/config/setting-path.ts";
import { renderError } from "../../src/errors.ts";
import type { Json } from "../../src/protocols/chat.ts";

function lineOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    expect((error as { code?: unknown }).code).toBe("usage");
    return renderError(error);
  }
  throw new Error("nothing was thrown");
}

describe("parseSettingPath()", () => {
  const places: [text: string, path: Path, rendered: string][] = [
    ["server.port", ["server", "port"], "server.port"],
    ["fallbacks", ["fallbacks"], "fallbacks"],
    ["fallbacks[0]", ["fallbacks", 0], "fallbacks[0]"],
    ["fallbacks.2", ["fallbacks", 2], "fallbacks[2]"],
    ["model_tiers.BIG.cascade[1]", ["model_tiers", "BIG", "cascade", 1], "model_tiers.BIG.cascade[1]"],
    ["chain.services[0].env.TOKEN", ["chain", "services", 0, "env", "TOKEN"], "chain.services[0].env.TOKEN"],
    ["launcher.tiers.d", ["launcher", "tiers", "d"], "launcher.tiers.d"],
    ["launcher.profiles.2.model", ["launcher", "profiles", "2", "model"], "launcher.profiles.2.model"],
    // Names that hold dots: to the end where the value is a single one, else to the next key that the schema knows.
    ["mappings.gpt-6.1-sol", ["mappings", "gpt-6.1-sol"], 'mappings["gpt-6.1-sol"]'],
    ['mappings["gpt-6.1-sol"]', ["mappings", "gpt-6.1-sol"], 'mappings["gpt-6.1-sol"]'],
    [
      "quotas.moonshotai/kimi-k2.6:free",
      ["quotas", "moonshotai/kimi-k2.6:free"],
      'quotas["moonshotai/kimi-k2.6:free"]',
    ],
    [
      "quotas.moonshotai/kimi-k2.6:free.cooldown_seconds",
      ["quotas", "moonshotai/kimi-k2.6:free", "cooldown_seconds"],
      'quotas["moonshotai/kimi-k2.6:free"].cooldown_seconds',
    ],
    ["providers.my.box.base_url", ["providers", "my.box", "base_url"], 'providers["my.box"].base_url'],
    [
      "providers.openrouter.headers.X-Org",
      ["providers", "openrouter", "headers", "X-Org"],
      "providers.openrouter.headers.X-Org",
    ],
    ['mappings["a \\"b\\""]', ["mappings", 'a "b"'], 'mappings["a \\"b\\""]'],
  ];
  test.each(places)("%s", (text, path, rendered) => {
    expect(parseSettingPath(text).path).toEqual(path);
    expect(renderSettingPath(path)).toBe(rendered);
    expect(parseSettingPath(rendered).path).toEqual(path);
  });

  const mistakes: [text: string, line: string][] = [
    ["sever", 'there is no setting "sever": did you mean "server"?'],
    ["server.prot", 'there is no setting "server.prot": did you mean "server.port"?'],
    [
      "breaker.zzzzzzzz",
      'there is no setting "breaker.zzzzzzzz": breaker has failures, cooldown_seconds, max_cooldown_seconds',
    ],
    ["server.port.x", 'server.port is a single value, which has no "x": leave out .x'],
    [
      "fallbacks.first",
      'fallbacks is a list, which has no "first": its members are fallbacks[0], fallbacks[1] and so on',
    ],
    [
      "providers.mybox.base_ulr",
      'there is no setting "providers.mybox.base_ulr": did you mean "providers.mybox.base_url"?',
    ],
    ["mappings.__proto__", 'nothing can be named "__proto__": use another name'],
    ["", '"" is no place in the config: write it as server.port, fallbacks[0] or mappings["gpt-6.1"]'],
    [
      "server..port",
      '"server..port" is no place in the config: write it as server.port, fallbacks[0] or mappings["gpt-6.1"]',
    ],
    [".server", '".server" is no place in the config: write it as server.port, fallbacks[0] or mappings["gpt-6.1"]'],
    [
      "fallbacks[",
      '"fallbacks[" is no place in the config: write it as server.port, fallbacks[0] or mappings["gpt-6.1"]',
    ],
  ];
  test.each(mistakes)("%j is refused", (text, line) => {
    expect(lineOf(() => parseSettingPath(text))).toBe(line);
  });
});

describe("readSettingValue()", () => {
  const values: [setting: string, words: string[], value: Json][] = [
    ["server.port", ["8090"], 8090],
    ["server.require_key", ["true"], true],
    ["default_provider", ["openai"], "openai"],
    ["default_provider", ['"openai"'], "openai"],
    // A key of digits is a text, since the setting is.
    ["providers.x.api_key", ["123456"], "123456"],
    ["mappings.a", ["null"], "null"],
    ["fallbacks", ["a/b:free", "c/d"], ["a/b:free", "c/d"]],
    ["fallbacks", ["a/b:free"], ["a/b:free"]],
    ["fallbacks", ['["a", "b"]'], ["a", "b"]],
    ["fallbacks", ["[]"], []],
    ["model_tiers.BIG", ['{"default": "a/b"}'], { default: "a/b" }],
    ["headroom.mode", ["off"], "off"],
    // Refused by the schema, which says so better than the reader could.
    ["server.port", ["many"], "many"],
    ["headroom.mode", ["1"], 1],
  ];
  test.each(values)("%s from %j", (setting, words, value) => {
    expect(readSettingValue(parseSettingPath(setting), words)).toEqual(value);
  });

  test("says where JSON is broken, and that a single value is one word", () => {
    const read = (setting: string, words: string[]) => lineOf(() => readSettingValue(parseSettingPath(setting), words));
    expect(read("model_tiers.BIG", ["{default: x}"])).toMatch(
      /^the value for model_tiers.BIG is not valid JSON \(.+\): quote it for the shell in single quotes$/,
    );
    expect(read("default_provider", ["a", "b"])).toBe(
      "default_provider takes one value, and got 2: put it in quotes: clutch config set default_provider 'a b'",
    );
  });
});
