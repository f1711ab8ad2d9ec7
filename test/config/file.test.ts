import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfigFile } from "../../src/config/file.ts";
import type { Homes } from "../../src/config/paths.ts";
import { renderError } from "../../src/errors.ts";
import type { Json } from "../../src/protocols/chat.ts";

const folder = mkdtempSync(join(tmpdir(), "clutch-config-file-"));
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;

/** Homes of their own, with these files in them. */
function homesWith(files: { own?: string; legacy?: string }): Homes {
  const home = join(folder, String(count++));
  mkdirSync(home);
  const homes: Homes = {
    configFile: join(home, "config.json"),
    isConfigNamed: false,
    legacyConfigFile: join(home, "legacy.json"),
    stateDir: home,
    database: join(home, "clutch.db"),
    cacheDir: home,
  };
  if (files.own !== undefined) writeFileSync(homes.configFile, files.own);
  if (files.legacy !== undefined) writeFileSync(join(home, "legacy.json"), files.legacy);
  return homes;
}

async function failureOf(homes: Homes): Promise<[code: unknown, line: string]> {
  try {
    await readConfigFile(homes);
  } catch (error) {
    return [(error as { code?: unknown }).code, renderError(error)];
  }
  throw new Error("nothing was thrown");
}

describe("readConfigFile()", () => {
  const readable: [name: string, text: string, value: Json][] = [
    ["plain JSON", '{"server":{"port":1}}', { server: { port: 1 } }],
    ["line comments", '{\n  // the port\n  "server": { "port": 1 } // mine\n}', { server: { port: 1 } }],
    ["block comments", '/* Clutch */ {"a": /* one */ 1}', { a: 1 }],
    ["trailing commas", '{"a": [1, 2,], "b": {"c": 3,},}', { a: [1, 2], b: { c: 3 } }],
    ["slashes inside strings", '{"u": "http://x//y", /* and */ "v": "/* no */"}', { u: "http://x//y", v: "/* no */" }],
  ];
  test.each(readable)("reads %s", async (_name, text, value) => {
    const homes = homesWith({ own: text });
    expect(await readConfigFile(homes)).toEqual({ path: homes.configFile, legacy: false, value });
  });

  const broken: [name: string, text: string, place: string, what: string][] = [
    ["a missing comma", '{\n  "a": 1\n  "b": 2\n}', "3:3", "comma expected"],
    ["a missing value", '{"a": }', "1:7", "value expected"],
    ["a word that is no JSON", '{\n"a": yes}', "2:6", "invalid symbol"],
    ["an open object", '{"a": 1', "1:8", "close brace expected"],
    ["a comment that never ends", '{"a": 1} /* and', "1:10", "unexpected end of comment"],
    ["an empty file", "", "1:1", "value expected"],
    ["a second value", "{} {}", "1:4", "end of file expected"],
    ["lines that end in CR LF", '{\r\n  "a" 1\r\n}', "2:7", "colon expected"],
  ];
  test.each(broken)("says where %s is", async (_name, text, place, what) => {
    const homes = homesWith({ own: text });
    expect(await failureOf(homes)).toEqual([
      "config-invalid",
      `${homes.configFile}:${place} is not valid JSON (${what}): mend that line`,
    ]);
  });

  test("refuses a file that was named and is not there", async () => {
    const homes = { ...homesWith({}), isConfigNamed: true };
    const error: unknown = await readConfigFile(homes).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "config-unreadable",
      message: `CLUTCH_CONFIG is ${homes.configFile}, which is not there`,
    });
  });

  test("falls back to the predecessor's file when ours is absent", async () => {
    const homes = homesWith({ legacy: '{"fallbacks":["m"]}' });
    expect(await readConfigFile(homes)).toEqual({
      path: homes.legacyConfigFile,
      legacy: true,
      value: { fallbacks: ["m"] },
    });
  });

  test("leaves the predecessor's file alone when ours is there, even an empty object", async () => {
    const homes = homesWith({ own: "{}", legacy: "{broken" });
    expect(await readConfigFile(homes)).toEqual({ path: homes.configFile, legacy: false, value: {} });
  });

  test("takes no file at all for no settings", async () => {
    expect(await readConfigFile(homesWith({}))).toEqual({ path: undefined, legacy: false, value: {} });
  });

  test("takes a folder of the path that is a file for no file", async () => {
    const homes = homesWith({ own: "{}" });
    const below = { ...homes, configFile: join(homes.configFile, "config.json") };
    expect(await readConfigFile(below)).toEqual({ path: undefined, legacy: false, value: {} });
  });

  test("says which file cannot be read, and why", async () => {
    const homes = homesWith({});
    mkdirSync(homes.configFile);
    expect(await failureOf(homes)).toEqual([
      "config-unreadable",
      `cannot read ${homes.configFile} (EISDIR): check its owner and mode`,
    ]);
  });
});
