import { describe, expect, test } from "bun:test";
import { type Env, type Homes, resolveHomes } from "../../src/config/paths.ts";

const here = process.cwd();

const plain: Homes = {
  configFile: "/home/ann/.config/clutch/config.json",
  isConfigNamed: false,
  legacyConfigFile: "/home/ann/.xx/config.json",
  stateDir: "/home/ann/.local/state/clutch",
  database: "/home/ann/.local/share/clutch/clutch.db",
  cacheDir: "/home/ann/.cache/clutch",
};

const own = (dir: string): Homes => ({
  configFile: `${dir}/config.json`,
  isConfigNamed: false,
  legacyConfigFile: undefined,
  stateDir: `${dir}/state`,
  database: `${dir}/clutch.db`,
  cacheDir: `${dir}/cache`,
});

describe("resolveHomes()", () => {
  const cases: [name: string, env: Env, homes: Homes][] = [
    ["keeps to the XDG defaults below HOME", {}, plain],
    [
      "follows each XDG variable",
      { XDG_CONFIG_HOME: "/c", XDG_STATE_HOME: "/s/", XDG_DATA_HOME: "/d", XDG_CACHE_HOME: "/k" },
      {
        configFile: "/c/clutch/config.json",
        isConfigNamed: false,
        legacyConfigFile: "/home/ann/.xx/config.json",
        stateDir: "/s/clutch",
        database: "/d/clutch/clutch.db",
        cacheDir: "/k/clutch",
      },
    ],
    ["ignores relative and empty XDG variables", { XDG_CONFIG_HOME: "conf", XDG_STATE_HOME: "" }, plain],
    ["puts all of it into CLUTCH_HOME, without the predecessor's file", { CLUTCH_HOME: "/box" }, own("/box")],
    ["lets CLUTCH_HOME beat XDG", { CLUTCH_HOME: "/box/", XDG_CONFIG_HOME: "/c", XDG_DATA_HOME: "/d" }, own("/box")],
    ["takes a relative CLUTCH_HOME from the current folder", { CLUTCH_HOME: "box/" }, own(`${here}/box`)],
    ["treats an empty CLUTCH_HOME as none", { CLUTCH_HOME: "", CLUTCH_CONFIG: "" }, plain],
    [
      "reads the file that CLUTCH_CONFIG names and no predecessor's",
      { CLUTCH_CONFIG: "/etc/clutch.json" },
      { ...plain, configFile: "/etc/clutch.json", isConfigNamed: true, legacyConfigFile: undefined },
    ],
    [
      "takes a relative CLUTCH_CONFIG from the current folder",
      { CLUTCH_CONFIG: "my.json", CLUTCH_HOME: "/box" },
      { ...own("/box"), configFile: `${here}/my.json`, isConfigNamed: true },
    ],
  ];
  test.each(cases)("%s", (_name, env, homes) => {
    expect(resolveHomes({ HOME: "/home/ann", ...env })).toEqual(homes);
  });

  test("without HOME there is no place, unless each is named", () => {
    expect(() => resolveHomes({})).toThrow("neither HOME nor XDG_CONFIG_HOME is set");
    expect(() => resolveHomes({ HOME: "", XDG_CONFIG_HOME: "/c" })).toThrow("neither HOME nor XDG_STATE_HOME is set");
    const all = { XDG_CONFIG_HOME: "/c", XDG_STATE_HOME: "/s", XDG_DATA_HOME: "/d", XDG_CACHE_HOME: "/k" };
    expect(resolveHomes(all)).toMatchObject({ stateDir: "/s/clutch", legacyConfigFile: undefined });
  });

  test("needs no HOME beside CLUTCH_HOME", () => {
    expect(resolveHomes({ CLUTCH_HOME: "/box" })).toEqual(own("/box"));
  });
});
