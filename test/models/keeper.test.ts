import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ModelCatalogue } from "../../providers/model-facts.ts";
import { parseConfig } from "../../src/config/schema.ts";
import { ModelKeeper } from "../../src/models/keeper.ts";
import { readLaunchModels } from "../../src/models/launch-models.ts";
import { describeWorld } from "../../src/models/world.ts";
import type { Json } from "../../src/protocols/chat.ts";
import { eventually } from "../support/gateway.ts";
import { free, openRouterList, openRouterModel, scanCandidate, scanSnapshot } from "./samples.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-keeper-"));
let list: object = {};
let status = 200;
let asked = 0;
/** What the servers on this machine have. */
let local: ModelCatalogue = {};
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request) {
    asked += 1;
    if (new URL(request.url).pathname !== "/v1/models") return new Response(null, { status: 404 });
    return status === 200 ? Response.json(list) : new Response(null, { status });
  },
});
const running = new Set<ModelKeeper>();
afterEach(() => {
  for (const keeper of running) keeper.stop();
  running.clear();
  status = 200;
  local = {};
});
afterAll(async () => {
  await server.stop(true);
  rmSync(root, { recursive: true, force: true });
});

const startMs = Date.parse("2026-11-20T12:00:00Z");
const hour = 3_600_000;
const usual = openRouterList(
  openRouterModel("v/best", { scores: { coding_index: 60, agentic_index: 60, intelligence_index: null } }),
  openRouterModel("v/free:free", { price: free }),
  openRouterModel("v/pinned:free", { price: free, context: 64_000 }),
);

function world(config: Json = {}) {
  const base_url = `http://127.0.0.1:${server.port}`;
  const whole = { providers: { openrouter: { base_url, api_key: "k" } }, ...(config as object) };
  return describeWorld(parseConfig({ model_tiers: { BIG: { default: "v/pinned:free" } }, ...whole }, "test"), {}, {});
}

let count = 0;
function newKeeper(config: Json = {}, home = join(root, String(count++))) {
  const lines: string[] = [];
  const clock = { nowMs: startMs };
  let changes = 0;
  const place = { cacheDir: `${home}/cache`, stateDir: `${home}/state`, scanFile: `${home}/scan.json` };
  const keeper = new ModelKeeper(world(config), {
    place,
    fetch,
    now: () => clock.nowMs,
    random: () => 0.5,
    measured: () => new Map(),
    lookAround: async () => local,
    log: (line) => lines.push(line),
    onChange: () => {
      changes += 1;
    },
  });
  running.add(keeper);
  const changed = async (times = 1) => {
    const until = changes + times;
    await eventually("a change", () => changes >= until, 6000);
  };
  return { keeper, lines, clock, place, home, changed };
}

const letters = (keeper: ModelKeeper) => [keeper.letters().m?.model, keeper.letters().f?.model];

describe("ModelKeeper", () => {
  test("writes the launcher's file from the snapshot, before anything was fetched", () => {
    asked = 0;
    const { keeper, place, lines } = newKeeper();
    const told = keeper.letters();
    const written = readLaunchModels(place.cacheDir);
    expect(written?.letters).toEqual(told);
    expect(written?.letters.f?.model).toEndWith(":free");
    expect(written?.letters.f?.reason).toStartWith("best free one of the list that came with this version, 20");
    expect(Object.values(written?.catalogue["openrouter"] ?? {})[0]).toEqual({
      context: expect.any(Number),
      output: expect.any(Number),
    });
    expect(statSync(`${place.cacheDir}/launch-models.json`).mode & 0o777).toBe(0o600);
    expect([asked, lines, keeper.problems()]).toEqual([0, [], []]);
  });

  test("fetches when it starts, tells once what has become of pinned models, and asks again only after six hours", async () => {
    list = openRouterList(...(usual as { data: object[] }).data.slice(0, 2));
    asked = 0;
    const { keeper, lines, home, place, changed } = newKeeper();
    keeper.start();
    await changed();
    expect(letters(keeper)).toEqual(["v/best", "v/free:free"]);
    expect(readLaunchModels(place.cacheDir)?.letters).toEqual(keeper.letters());
    expect(Object.keys(keeper.catalogue()["openrouter"] ?? {})).toEqual(["v/best", "v/free:free"]);
    const gone = "v/pinned:free (model_tiers.BIG.default) is not in OpenRouter's list any more";
    expect(lines).toEqual([`model data: ${gone}; v/free:free could take its place`]);
    expect(keeper.problems()).toEqual([`${gone}; v/free:free could take its place`]);
    keeper.stop();

    // The next gateway of this home knows all of it, and has nothing new to tell.
    const next = newKeeper({}, home);
    next.clock.nowMs += 5 * hour;
    next.keeper.start();
    await Bun.sleep(30);
    expect([next.lines, asked, next.keeper.problems().length]).toEqual([[], 1, 1]);
    list = usual;
    next.clock.nowMs += 1.2 * hour;
    await next.changed();
    expect([next.lines, asked, next.keeper.problems()]).toEqual([[], 2, []]);
  }, 10_000);

  test("a list that cannot be had leaves the last good one; it is a problem only when that is old", async () => {
    list = usual;
    const { keeper, lines, clock, home, changed } = newKeeper();
    keeper.start();
    await changed();
    keeper.stop();
    status = 500;
    const next = newKeeper({}, home);
    next.clock.nowMs += 7 * hour;
    next.keeper.start();
    await next.changed();
    const told = `cannot reach 127.0.0.1:${server.port} (it answered 500): using OpenRouter's list of 2026-11-20 12:00 UTC`;
    expect(next.lines).toEqual([told]);
    expect(next.keeper.problems()).toEqual([]);
    expect(letters(next.keeper)).toEqual(["v/best", "v/free:free"]);
    next.clock.nowMs += 20 * hour;
    await next.changed();
    expect(next.keeper.problems()).toEqual([told]);
    expect(next.lines).toEqual([told]);
    expect([lines, clock.nowMs]).toEqual([[], startMs]);
  }, 15_000);

  test("model-scan's choice is taken over while it is fresh, kept when the file breaks, and told when it is refused", async () => {
    list = usual;
    const { keeper, lines, place, clock, changed } = newKeeper();
    keeper.start();
    await changed();
    const write = (file: object | string) =>
      writeFileSync(place.scanFile, typeof file === "string" ? file : JSON.stringify(file));
    write(scanSnapshot([scanCandidate("v/scanned"), scanCandidate("v/zero", { price_blended: 0 })]));
    await changed();
    expect(letters(keeper)).toEqual(["v/scanned", "v/zero"]);
    expect(readLaunchModels(place.cacheDir)?.letters.m?.former).toEqual(["v/best"]);
    write('{"schema_version": ');
    await changed();
    expect(letters(keeper)).toEqual(["v/scanned", "v/zero"]);
    const invalid = `model-scan's snapshot ${place.scanFile} is not valid (no JSON): not used`;
    expect([lines, keeper.problems()]).toEqual([[invalid], [invalid]]);
    write(scanSnapshot([], { schema_version: "2.0.0" }));
    await changed();
    expect(letters(keeper)).toEqual(["v/best", "v/free:free"]);
    expect(keeper.problems()[0]).toEndWith("has schema 2.0.0: this Clutch reads 1.x: not used");
    write(scanSnapshot([scanCandidate("v/scanned")]));
    await changed();
    expect(letters(keeper)[0]).toBe("v/scanned");
    clock.nowMs += 24 * hour;
    await changed();
    expect(letters(keeper)[0]).toBe("v/best");
  }, 20_000);

  test("what another process has fetched is read, and what it has chosen gives way to what the gateway can use", async () => {
    list = usual;
    const { keeper, place, changed } = newKeeper();
    keeper.start();
    await changed();
    const launch = `${place.cacheDir}/launch-models.json`;
    const file = JSON.parse(readFileSync(launch, "utf8"));
    writeFileSync(launch, JSON.stringify({ ...file, letters: { m: { model: "v/other", reason: "theirs" } } }));
    const lists = `${place.cacheDir}/models.json`;
    const fetched = JSON.parse(readFileSync(lists, "utf8"));
    fetched.lists.openrouter.providers.openrouter["v/better"] = {
      ...keeper.catalogue()["openrouter"]?.["v/best"],
      scores: { coding: 80 },
    };
    writeFileSync(lists, JSON.stringify(fetched));
    await changed();
    expect(letters(keeper)).toEqual(["v/better", "v/free:free"]);
    expect(readLaunchModels(place.cacheDir)?.letters.m).toMatchObject({ model: "v/better", former: ["v/other"] });
  }, 10_000);

  test("fetches nothing for a config without a provider that has a list, until it gets one", async () => {
    asked = 0;
    list = usual;
    const own = { default_provider: "box", providers: { box: { base_url: "http://127.0.0.1:1" } } };
    const { keeper, changed } = newKeeper(own);
    keeper.start();
    await Bun.sleep(50);
    expect([asked, letters(keeper)]).toEqual([0, [undefined, undefined]]);
    keeper.configure(world());
    await changed();
    await eventually("the list", () => asked === 1, 5000);
    await eventually("the letters", () => letters(keeper)[0] === "v/best");
  }, 10_000);

  test("what runs on this machine is there for as long as it runs, and looked for every minute and after an edit", async () => {
    list = usual;
    const { keeper, place, clock, lines, changed } = newKeeper();
    const rows = { "qwen3:8b": { context: 32_768, output: 32_768, tools: true, isFree: true, list: "local" } } as const;
    const told = () => [
      keeper.catalogue()["ollama"],
      readLaunchModels(place.cacheDir)?.catalogue["ollama"],
      keeper.localModel(),
    ];
    local = { ollama: rows };
    await keeper.lookAround();
    keeper.start();
    const written = { "qwen3:8b": { context: 32_768, output: 32_768 } };
    expect(told()).toEqual([rows, written, "ollama:qwen3:8b"]);
    await changed();
    expect(told()).toEqual([rows, written, "ollama:qwen3:8b"]);
    expect(letters(keeper)).toEqual(["v/best", "v/free:free"]);

    local = {};
    keeper.configure(world());
    await changed();
    expect(told()).toEqual([undefined, undefined, undefined]);

    local = { ollama: rows };
    clock.nowMs += 60_000;
    await changed();
    expect(told()).toEqual([rows, written, "ollama:qwen3:8b"]);
    expect([lines, keeper.problems()]).toEqual([[], []]);
  }, 10_000);

  test("a pinned model of this machine that is away is nobody's notice", async () => {
    list = usual;
    const { keeper, lines, changed } = newKeeper({ routes: { background: "ollama:gone" } });
    local = { ollama: { here: { isFree: true, list: "local" } } };
    await keeper.lookAround();
    keeper.start();
    await changed();
    expect([lines, keeper.problems()]).toEqual([[], []]);
  });

  test("a folder that cannot be written is told once and stops nothing", () => {
    const home = join(root, "blocked");
    mkdirSync(home);
    writeFileSync(join(home, "cache"), "");
    const { keeper, lines } = newKeeper({}, home);
    expect(letters(keeper)[1]).toEndWith(":free");
    expect(lines.length).toBe(1);
    expect(lines[0]).toStartWith("what is known of models cannot be written (");
  });
});

describe("describeWorld()", () => {
  const wanted = (config: Json, env: Record<string, string> = {}) =>
    describeWorld(parseConfig(config, "test"), {}, env).wanted;
  test.each([
    ["no key, no list", {}, {}, {}],
    [
      "a key in the environment",
      {},
      { OPENROUTER_API_KEY: "k" },
      { openrouter: "https://openrouter.ai/api/v1/models", "models.dev": "https://models.dev/api.json" },
    ],
    [
      "its own address",
      { providers: { openrouter: { base_url: "http://127.0.0.1:9/api/v1/", api_key: "k" } } },
      {},
      { openrouter: "http://127.0.0.1:9/api/v1/models" },
    ],
    ["another public provider", {}, { ANTHROPIC_API_KEY: "k" }, { "models.dev": "https://models.dev/api.json" }],
    ["a machine of one's own", { providers: { box: { base_url: "http://box:1", api_key: "k" } } }, {}, {}],
  ])("wants lists by what can be used: %s", (_why, config, env, expected) => {
    expect(wanted(config, env as Record<string, string>)).toEqual(expected);
  });

  test("takes no public list for what a local server has", () => {
    const providers = { box: { base_url: "http://box:1" }, hired: { base_url: "https://hired.example", api_key: "k" } };
    const { listed } = describeWorld(parseConfig({ providers }, "test"), {}, {});
    const ids = ["openrouter", "anthropic", "hired", "ollama", "lmstudio", "box"];
    expect(ids.filter((id) => listed.has(id))).toEqual(["openrouter", "anthropic", "hired"]);
  });
});
