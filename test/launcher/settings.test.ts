import { describe, expect, test } from "bun:test";
import {
  readChosenTiers,
  readLauncherSettings,
  readPinnedLetters,
  readTierLetters,
  resolveTier,
} from "../../launcher/settings.ts";
import { ClutchError } from "../../src/errors.ts";
import type { LetterModels } from "../../src/models/launch-models.ts";
import type { Json } from "../../src/protocols/chat.ts";

const read = (config: Json, env: Record<string, string> = {}) => readLauncherSettings(config, "config.json", env);

describe("readLauncherSettings()", () => {
  const cases: [why: string, config: Json, env: Record<string, string>, url: string][] = [
    ["by default", {}, {}, "http://127.0.0.1:8082"],
    ["from server", { server: { host: "10.0.0.5", port: 9000 } }, {}, "http://10.0.0.5:9000"],
    ["from server.port alone", { server: { port: 9000 } }, {}, "http://127.0.0.1:9000"],
    [
      "from the environment first",
      { server: { port: 9000 } },
      { CLUTCH_HOST: "gw", CLUTCH_PORT: "9001" },
      "http://gw:9001",
    ],
    ["ignoring empty variables", {}, { CLUTCH_HOST: "", CLUTCH_PORT: "" }, "http://127.0.0.1:8082"],
    ["through loopback when it listens everywhere", { server: { host: "0.0.0.0" } }, {}, "http://127.0.0.1:8082"],
    ["with brackets for IPv6", { server: { host: "::1" } }, {}, "http://[::1]:8082"],
    ["from the predecessor's key", { proxy: { base_url: "http://127.0.0.1:8099/v1/" } }, {}, "http://127.0.0.1:8099"],
    [
      "from server before that key",
      { server: { port: 1 }, proxy: { base_url: "http://a:2" } },
      {},
      "http://127.0.0.1:1",
    ],
    ["keeping a path", { proxy: { base_url: "https://gw.example/clutch" } }, {}, "https://gw.example/clutch"],
  ];
  test.each(cases)("finds the gateway %s", (_why, config, env, url) => {
    expect(read(config, env).gatewayUrl).toBe(url);
  });

  const tiers: [why: string, config: Json, tier: "d" | "f" | "m" | "3", expected: object][] = [
    ["the built-in model", {}, "d", { model: "deepseek/deepseek-v4-flash:free" }],
    ["the config's model", { launcher: { tiers: { d: "ollama:qwen3" } } }, "d", { model: "ollama:qwen3" }],
    [
      "BIG, before a gateway has chosen",
      {},
      "m",
      { model: "clutch-big", reason: expect.stringContaining("no gateway has looked") },
    ],
    ["the config's best, without a reason", { launcher: { tiers: { m: "a/b" } } }, "m", { model: "a/b" }],
    [
      "tier d's model",
      {},
      "f",
      { model: "deepseek/deepseek-v4-flash:free", reason: expect.stringContaining("tier d") },
    ],
    [
      "BIG's default, if free",
      { model_tiers: { BIG: { default: "k/k:free" } } },
      "f",
      { model: "k/k:free", reason: expect.stringContaining("BIG's default") },
    ],
    [
      "the first free model of BIG's cascade",
      { model_tiers: { BIG: { default: "k/k", cascade: ["a/a", "b/b:free"] } } },
      "f",
      { model: "b/b:free", reason: expect.stringContaining("cascade") },
    ],
    ["a profile's model", { launcher: { profiles: { "3": { model: "a/b", colour: 1 } } } }, "3", { model: "a/b" }],
    ["nothing for an empty profile", { launcher: { profiles: { "3": {} } } }, "3", {}],
  ];
  test.each(tiers)("a tier stands for %s", (_why, config, tier, expected) => {
    expect(resolveTier(tier, read(config))).toEqual(expected);
  });

  const chosen = {
    m: { model: "v/m", reason: "best" },
    f: { model: "v/f:free", reason: "free", former: ["v/e:free"] },
  };
  test("m and f stand for what a gateway has chosen, unless the config says otherwise", () => {
    const tiers = (config: Json, letters?: LetterModels) => {
      const { m, f } = readLauncherSettings(config, "config.json", {}, letters).tiers;
      expect(readTierLetters(config, "config.json", letters)).toMatchObject({ m: m.model, f: f.model });
      expect(readChosenTiers(config, "config.json", letters)).toEqual({ m, f });
      return [m, f];
    };
    const { m, f } = chosen;
    expect(tiers({}, chosen)).toEqual([m, { model: f.model, reason: f.reason }]);
    expect(tiers({ launcher: { tiers: { m: "a/b", f: "c/d" } } }, chosen)).toEqual([
      { model: "a/b" },
      { model: "c/d" },
    ]);
    expect(tiers({}, {})).toEqual([
      { model: "clutch-big", reason: "no list with benchmarks is at hand, so the gateway's BIG tier" },
      {
        model: "deepseek/deepseek-v4-flash:free",
        reason: "no list has a free model with tools that the config's providers serve, so tier d",
      },
    ]);
  });

  test("what Clutch chooses is not pinned, what the config names is", () => {
    const config = { launcher: { tiers: { f: "a/b" }, profiles: { "3": { model: "c/d" }, "4": {} } } };
    expect(Object.keys(readPinnedLetters({}, "config.json"))).toEqual(["d", "n", "k", "q"]);
    expect(readPinnedLetters(config, "config.json")).toMatchObject({ f: "a/b", "3": "c/d" });
    expect(readPinnedLetters(config, "config.json")).not.toHaveProperty("m");
  });

  const mistakes: [config: Json, message: string][] = [
    [[], 'config.json: "" is [], not an object'],
    [{ server: 5 }, 'config.json: "server" is 5, not an object'],
    [{ server: { port: "8082" } }, 'config.json: "server.port" is "8082", not a port number'],
    [{ server: { host: 1 } }, 'config.json: "server.host" is 1, not a text'],
    [{ server: { require_key: "yes" } }, 'config.json: "server.require_key" is "yes", not true or false'],
    [
      { proxy: { base_url: "127.0.0.1:8082" } },
      'config.json: "proxy.base_url" is "127.0.0.1:8082", not a http(s) address',
    ],
    [{ launcher: { tiers: { d: null } } }, 'config.json: "launcher.tiers.d" is null, not a text'],
    [{ launcher: { profiles: { "0": "x" } } }, 'config.json: "launcher.profiles.0" is "x", not an object'],
    [{ model_tiers: { BIG: { cascade: "a" } } }, 'config.json: "model_tiers.BIG.cascade" is "a", not a list of texts'],
  ];
  test.each(mistakes)("refuses %j", (config, message) => {
    expect(() => read(config)).toThrow(new ClutchError("config-invalid", message));
  });

  test("refuses a port that nobody can know, and a profile that is not there", () => {
    expect(() => read({}, { CLUTCH_PORT: "x" })).toThrow('CLUTCH_PORT is "x"');
    expect(() => read({ server: { port: 0 } })).toThrow("server.port is 0");
    expect(() => resolveTier("7", read({}))).toThrow("tier 7 is profile 7, which the config does not have");
  });
});
