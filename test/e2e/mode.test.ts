/** `clutch mode` as a program, and a running gateway that follows it. */

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { whole } from "../support/answers.ts";
import { json, startFakeUpstream } from "../support/fake-upstream.ts";
import { ask, eventually, startServe } from "../support/gateway.ts";
import { nobodyHere, ollama, serveLocal } from "../support/local-servers.ts";
import { runClutch } from "../support/run-clutch.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-mode-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const quiet = { BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0" };
const mode = (home: string, args: readonly string[], env: Record<string, string> = {}) =>
  runClutch(home, ["mode", ...args], { ...quiet, ...env });

function homeWith(text: string): { home: string; file: string } {
  const home = mkdtempSync(join(root, "home-"));
  const file = join(home, "config.json");
  writeFileSync(file, text, { mode: 0o600 });
  return { home, file };
}

const work = `{
  // for work
  "server": { "port": 8090 },
  "providers": { "openrouter": { "api_key": "sk-or-v1-0123456789" } },
  "model_tiers": {
    "BIG": { "default": "a/work", "cascade": ["a/second"] } // the best
  },
  "mappings": { "coder-model": "BIG" }
}
`;

describe("clutch mode", () => {
  test("saves the routing without keys, loads another, goes back, and deletes", async () => {
    const { home, file } = homeWith(work);
    expect((await mode(home, ["save", "work"])).stdout).toBe("work is saved: a/work, then 1 more\n");
    const saved = join(home, "modes/work.json");
    expect(JSON.parse(readFileSync(saved, "utf8"))).toEqual({
      model_tiers: { BIG: { default: "a/work", cascade: ["a/second"] } },
      mappings: { "coder-model": "BIG" },
    });
    expect(statSync(saved).mode & 0o777).toBe(0o600);
    expect((await mode(home, ["save", "work"])).stderr).toBe(
      "clutch: there is a mode work already: give --force to write over it\n",
    );

    writeFileSync(
      join(home, "modes/play.json"),
      '{ "model_tiers": { "BIG": { "default": "b/play" } }, "fallbacks": ["b/last"] }',
    );
    const loaded = await mode(home, ["load", "play"]);
    expect(loaded.code).toBe(0);
    expect(loaded.stdout).toContain("in force: play: b/play\n");
    expect(loaded.stdout).not.toContain("sk-or-v1");
    expect(readFileSync(file, "utf8")).toBe(`{
  // for work
  "server": { "port": 8090 },
  "providers": { "openrouter": { "api_key": "sk-or-v1-0123456789" } },
  "model_tiers": {
    "BIG": { "default": "b/play" } // the best
  },
  "fallbacks": ["b/last"]
}
`);
    expect(readFileSync(`${file}.bak-mode`, "utf8")).toBe(work);
    expect(statSync(`${file}.bak-mode`).mode & 0o777).toBe(0o600);

    const { modes } = JSON.parse((await mode(home, ["list", "--json"])).stdout);
    expect(modes.filter(({ kind }: { kind: string }) => kind === "saved")).toEqual([
      { name: "play", kind: "saved", about: "b/play", active: true },
      { name: "previous", kind: "saved", about: "a/work, then 1 more", active: false },
      { name: "work", kind: "saved", about: "a/work, then 1 more", active: false },
    ]);
    expect((await mode(home, ["load", "play"])).stdout).toBe("play is in force already\n");

    expect((await mode(home, ["load", "previous"])).code).toBe(0);
    expect(JSON.parse((await mode(home, ["show", "previous"])).stdout).model_tiers.BIG.default).toBe("b/play");
    expect((await runClutch(home, ["config", "get", "model_tiers.BIG.default"], quiet)).stdout).toBe("a/work\n");
    expect((await mode(home, ["delete", "play"])).stdout).toBe("play is deleted\n");
    expect(readdirSync(join(home, "modes")).sort()).toEqual(["previous.json", "work.json"]);
  });

  test("--dry-run shows the difference and writes nothing", async () => {
    const { home, file } = homeWith(work);
    const done = await mode(home, ["load", "free", "--dry-run"]);
    expect(done.code).toBe(0);
    expect(done.stdout).toContain('-    "BIG": { "default": "a/work", "cascade": ["a/second"] } // the best');
    expect(done.stdout).toContain("would be in force: free: ");
    expect(readFileSync(file, "utf8")).toBe(work);
    expect(existsSync(join(home, "modes"))).toBe(false);
  });

  const templates: [name: string, env: Record<string, string>, isSo: (config: never) => boolean][] = [
    ["free", { OPENROUTER_API_KEY: "k" }, everyModel((model) => model.endsWith(":free"))],
    ["premium", { ANTHROPIC_API_KEY: "k" }, everyModel((model) => model.startsWith("anthropic:claude-"))],
    ["budget", { OPENAI_API_KEY: "k" }, everyModel((model) => model.startsWith("openai:gpt-"))],
    [
      "reasoning",
      { OPENROUTER_API_KEY: "k" },
      (config: { model_tiers: { BIG: { reasoning: { effort: string } } } }) =>
        config.model_tiers.BIG.reasoning.effort === "high",
    ],
    ["vision", { OPENROUTER_API_KEY: "k" }, (config: { routes: { image: string } }) => config.routes.image !== ""],
  ] as never;
  test.each(templates)("%s is put together of models that can be asked", async (name, env, isSo) => {
    const { home, file } = homeWith("{}\n");
    const done = await mode(home, ["load", name], env);
    expect({ code: done.code, stderr: done.stderr }).toEqual({ code: 0, stderr: "" });
    expect(isSo(JSON.parse(readFileSync(file, "utf8")) as never)).toBe(true);
    expect((await runClutch(home, ["config", "check"], quiet)).code).toBe(0);
  });

  test("local is put together of what the servers on this machine have", async () => {
    const server = serveLocal(ollama);
    const { home, file } = homeWith(
      JSON.stringify({ providers: { ...nobodyHere, ollama: { base_url: server.root } } }),
    );
    try {
      const done = await mode(home, ["load", "local"]);
      expect({ code: done.code, stderr: done.stderr }).toEqual({ code: 0, stderr: "" });
      const { budgets, model_tiers } = JSON.parse(readFileSync(file, "utf8"));
      expect(budgets).toEqual({ allow_paid: false });
      expect(model_tiers.BIG.default).toBe("ollama:qwen3:8b");
      const { home: other } = homeWith(JSON.stringify({ providers: nobodyHere }));
      expect((await mode(other, ["load", "local"])).stderr).toBe(
        "clutch: local cannot be put together: no server on this machine has a model: start Ollama or LM Studio, and pull one\n",
      );
    } finally {
      await server.server.stop(true);
    }
  });

  const mistakes: [args: string[], stderr: string][] = [
    [["load", "wrok"], 'clutch: there is no mode "wrok": there are free, local, budget, premium, reasoning, vision\n'],
    [["load", "fre"], 'clutch: there is no mode "fre": did you mean free?\n'],
    [
      ["load", "../config"],
      'clutch: there is no mode "../config": there are free, local, budget, premium, reasoning, vision\n',
    ],
    [["save", "free"], "clutch: free is one of Clutch's own modes: save yours under another name\n"],
    [["save", "../x"], 'clutch: "../x" is no name for a mode: use lower-case letters, digits and hyphens, up to 32\n'],
    [
      ["delete", "gone"],
      'clutch: there is no mode "gone": there are free, local, budget, premium, reasoning, vision\n',
    ],
    [["sav"], "clutch: there is no clutch mode sav: did you mean save?\n"],
  ];
  test.each(mistakes)("%j is refused", async (args, stderr) => {
    const { home, file } = homeWith(work);
    const done = await mode(home, args);
    expect({ code: done.code, stderr: done.stderr }).toEqual({ code: 2, stderr });
    expect(readFileSync(file, "utf8")).toBe(work);
    expect(existsSync(join(root, "x.json"))).toBe(false);
  });

  test("a mode that does not hold, or asks a provider that is not there, is not put in force", async () => {
    const { home, file } = homeWith(work);
    await mode(home, ["save", "x"]);
    writeFileSync(join(home, "modes/x.json"), '{ "model_tiers": { "HUGE": {} } }');
    expect((await mode(home, ["load", "x"])).stderr).toContain('unknown key "model_tiers.HUGE"');
    writeFileSync(join(home, "modes/x.json"), '{ "default_provider": "gone" }');
    expect((await mode(home, ["load", "x"])).stderr).toContain('default_provider is "gone"');
    expect(readFileSync(file, "utf8")).toBe(work);
  });

  test("a running gateway follows", async () => {
    const upstream = await startFakeUpstream({ day: json(whole.chat), night: json(whole.chat) });
    const config = (model: string) => ({
      default_provider: "box",
      providers: { box: { base_url: `http://127.0.0.1:${upstream.port}/v1`, api_key: "k" } },
      model_tiers: { BIG: { default: model } },
    });
    const { home } = homeWith("{}");
    const gateway = await startServe({ home, config: config("day"), args: ["--port", "0"] });
    try {
      const served = async () =>
        (await ask(gateway.url, "chat", "clutch-big", false)).headers.get("x-clutch-served-by");
      expect(await served()).toBe("box:day");
      await mode(home, ["save", "day"]);
      writeFileSync(
        join(home, "modes/night.json"),
        JSON.stringify({ default_provider: "box", model_tiers: { BIG: { default: "night" } } }),
      );
      expect((await mode(home, ["load", "night"])).code).toBe(0);
      await eventually("the gateway to follow", async () => (await served()) === "box:night", 5000);
      expect((await mode(home, ["load", "day"])).code).toBe(0);
      await eventually("the gateway to go back", async () => (await served()) === "box:day", 5000);
    } finally {
      gateway.kill("SIGTERM");
      await gateway.exited;
      await upstream.stop();
    }
  }, 20_000);
});

function everyModel(isSo: (model: string) => boolean) {
  return ({ model_tiers }: { model_tiers: Record<string, { default: string; cascade: string[] }> }) =>
    Object.values(model_tiers).every(({ default: first, cascade }) => [first, ...cascade].every(isSo));
}
