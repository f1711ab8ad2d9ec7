import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig, type ServerFlags } from "../../src/config/load.ts";
import { type Env, resolveHomes } from "../../src/config/paths.ts";
import { parseConfig } from "../../src/config/schema.ts";
import { changedKeys } from "../../src/config/watch.ts";
import { renderError } from "../../src/errors.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";

const folder = mkdtempSync(join(tmpdir(), "clutch-config-load-"));
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;

function homeWith(config: JsonObject | undefined, mode = 0o600): string {
  const home = join(folder, String(count++));
  mkdirSync(home);
  if (config !== undefined) {
    writeFileSync(join(home, "config.json"), JSON.stringify(config));
    chmodSync(join(home, "config.json"), mode);
  }
  return home;
}

const load = (home: string, env: Env = {}, flags?: ServerFlags) =>
  loadConfig(resolveHomes({ CLUTCH_HOME: home }), env, flags);

describe("loadConfig() takes host and port from", () => {
  const file = { server: { host: "::1", port: 1 } };
  const env = { CLUTCH_HOST: "localhost", CLUTCH_PORT: "2" };
  const cases: [name: string, file: JsonObject | undefined, env: Env, flags: ServerFlags, server: [string, number]][] =
    [
      ["the defaults", undefined, {}, {}, ["127.0.0.1", 8082]],
      ["the file before the defaults", file, {}, {}, ["::1", 1]],
      ["the environment before the file", file, env, {}, ["localhost", 2]],
      ["the flags before the environment", file, env, { host: "127.0.0.2", port: "0" }, ["127.0.0.2", 0]],
      ["each place for its own value", file, { CLUTCH_PORT: "2" }, { host: "127.0.0.2" }, ["127.0.0.2", 2]],
      ["the file where a variable is empty", file, { CLUTCH_HOST: "", CLUTCH_PORT: "" }, {}, ["::1", 1]],
    ];
  test.each(cases)("%s", async (_name, config, variables, flags, [host, port]) => {
    const { config: loaded } = await load(homeWith(config), variables, flags);
    expect(loaded.server).toEqual({ host, port, require_key: false });
  });

  const noPorts: [flags: ServerFlags, env: Env, line: string][] = [
    [{ port: "80a" }, {}, '--port is "80a", which is no port'],
    [{ port: "65536" }, {}, '--port is "65536", which is no port'],
    [{ port: "-1" }, {}, '--port is "-1", which is no port'],
    [{ port: "" }, {}, '--port is "", which is no port'],
    [{}, { CLUTCH_PORT: "1.5" }, 'CLUTCH_PORT is "1.5", which is no port'],
    [{}, { CLUTCH_PORT: "http" }, 'CLUTCH_PORT is "http", which is no port'],
  ];
  test.each(noPorts)("no port in %j %j", async (flags, env, line) => {
    const error = await load(homeWith({}), env, flags).catch((thrown: unknown) => thrown);
    expect((error as { code?: unknown }).code).toBe("usage");
    expect(renderError(error)).toBe(`${line}: give a number from 0 (any free one) to 65535`);
  });
});

describe("loadConfig() notices", () => {
  const keys = (api_key: string) => ({ providers: { openrouter: { api_key } } });
  const idle = "accepted but not in force in this version";
  const cases: [name: string, config: JsonObject | undefined, mode: number, notices: (path: string) => string[]][] = [
    ["nothing without a file", undefined, 0o600, () => []],
    [
      "a key that others can read",
      keys("sk-1"),
      0o644,
      (path) => [`${path} holds a key and others can read it: chmod 600 ${path}`],
    ],
    [
      "a pool of keys that the group can read",
      { providers: { openrouter: { api_keys: ["env:A", "sk-2"] } } },
      0o640,
      (path) => [`${path} holds a key and others can read it: chmod 600 ${path}`],
    ],
    [
      "a key in a header",
      { providers: { own: { base_url: "http://127.0.0.1:1/v1", headers: { "x-Auth-Token": "t" } } } },
      0o644,
      (path) => [`${path} holds a key and others can read it: chmod 600 ${path}`],
    ],
    [
      "a key in an address",
      { providers: { own: { base_url: "http://me:pw@127.0.0.1:1/v1" } } },
      0o604,
      (path) => [`${path} holds a key and others can read it: chmod 600 ${path}`],
    ],
    [
      "a header that is no key",
      { providers: { openai: { headers: { "x-team": "a", authorization: "" } } } },
      0o644,
      () => [],
    ],
    [
      "a file that everybody may change",
      keys("env:A"),
      0o606,
      (path) => [`${path} can be changed by everybody, who could name commands in it: chmod o-w ${path}`],
    ],
    ["no file that the group may change", keys("env:A"), 0o664, () => []],
    ["no key that only the owner can read", keys("sk-1"), 0o600, () => []],
    ["no key that is a variable's name", keys("env:A"), 0o644, () => []],
    ["no key that a command prints", keys("cmd:pass show a"), 0o644, () => []],
    [
      "keys without effect",
      { chain: {}, headroom: { mode: "sidecar" }, timeouts: { connect_ms: 1 } },
      0o600,
      (path) => [`${path}: ${idle}: timeouts.connect_ms`],
    ],
    [
      "roles without effect, all but those that are seen",
      { agents: { hermes: { roles: { mcp: "SMALL", vision: "a/b" } } } },
      0o600,
      (path) => [`${path}: ${idle}: agents.hermes.roles.mcp`],
    ],
  ];
  test.each(cases)("%s", async (_name, config, mode, notices) => {
    const home = homeWith(config, mode);
    const loaded = await load(home);
    expect(loaded.notices).toEqual(notices(join(home, "config.json")));
    expect(loaded.path).toBe(config === undefined ? undefined : join(home, "config.json"));
  });
});

describe("changedKeys()", () => {
  const config = (value: JsonObject) => parseConfig(value, "c.json");
  const cases: [name: string, before: JsonObject, after: JsonObject, keys: string[]][] = [
    [
      "none for the same values in another order",
      { fallbacks: ["a"], mappings: { x: "a", y: "b" } },
      { mappings: { y: "b", x: "a" }, fallbacks: ["a"] },
      [],
    ],
    ["none for a default written out", {}, { server: { port: 8082 }, timeouts: {} }, []],
    ["those that differ, sorted", { timeouts: { idle_ms: 1 } }, { fallbacks: ["a"] }, ["fallbacks", "timeouts"]],
    ["one that appears", {}, { model_tiers: {} }, ["model_tiers"]],
    ["one that goes", { model_tiers: {} }, {}, ["model_tiers"]],
    ["one whose list is in another order", { fallbacks: ["a", "b"] }, { fallbacks: ["b", "a"] }, ["fallbacks"]],
  ];
  test.each(cases)("names %s", (_name, before, after, keys) => {
    expect(changedKeys(config(before), config(after))).toEqual(keys);
  });
});
