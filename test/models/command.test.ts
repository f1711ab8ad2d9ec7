/** `clutch models`, `clutch serve` and `xx` as programs of their own, with a home and an OpenRouter on this machine. */

import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLaunchModels } from "../../src/models/launch-models.ts";
import { openStore } from "../../src/store/open.ts";
import { requestQueries } from "../../src/store/requests.ts";
import { ask, eventually, type ServeProcess, startServe, within } from "../support/gateway.ts";
import { nobodyHere } from "../support/local-servers.ts";
import { free, openRouterList, openRouterModel, scanCandidate, scanSnapshot } from "./samples.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-models-"));
let list: object = {};
let isDown = false;
let isSilent = false;
let asked: string[] = [];
/** Models that a request was sent to. */
let called: string[] = [];
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    const { pathname } = new URL(request.url);
    asked.push(`${pathname} ${request.headers.get("authorization")}`);
    if (request.method === "POST") called.push(((await request.json()) as { model: string }).model);
    if (isSilent) return new Promise<Response>(() => {});
    if (isDown || request.method === "POST") return new Response("busy", { status: 503 });
    const etag = `"${Bun.hash(JSON.stringify(list))}"`;
    return request.headers.get("if-none-match") === etag
      ? new Response(null, { status: 304 })
      : Response.json(list, { headers: { etag } });
  },
});
afterAll(async () => {
  await server.stop(true);
  rmSync(root, { recursive: true, force: true });
});

const scores = (coding_index: number) => ({ coding_index, agentic_index: coding_index, intelligence_index: null });
const models = [
  openRouterModel("v/best", { scores: scores(60), context: 1_000_000 }),
  openRouterModel("v/seer", {
    scores: scores(50),
    more: { architecture: { input_modalities: ["text", "image"], output_modalities: ["text"] } },
  }),
  openRouterModel("v/mute", { scores: scores(55), tools: false }),
  openRouterModel("v/free:free", { price: free, scores: scores(30) }),
  openRouterModel("v/pinned:free", { price: free }),
];

let home = "";
let count = 0;
beforeEach(() => {
  home = join(root, String(count++));
  mkdirSync(home);
  list = openRouterList(...models);
  isDown = false;
  isSilent = false;
  asked = [];
  called = [];
  configure({});
});

function configure(more: object): void {
  const config = {
    providers: { ...nobodyHere, openrouter: { base_url: `http://127.0.0.1:${server.port}/api/v1`, api_key: "k" } },
    model_tiers: { BIG: { default: "v/pinned:free" } },
    // All other letters would be pins of their own.
    launcher: { tiers: { d: "v/best", n: "v/best", k: "v/best", q: "v/best" } },
    ...more,
  };
  writeFileSync(join(home, "config.json"), JSON.stringify(config));
}

async function run(program: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([process.execPath, ...program], {
    cwd: home,
    env: { PATH: "/usr/bin:/bin", HOME: home, CLUTCH_HOME: home, NO_COLOR: "1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const today = new Date().toISOString().slice(0, 10);
  const tidy = (text: string) =>
    text
      .replaceAll(String(server.port), "PORT")
      .replace(new RegExp(`${today} \\d\\d:\\d\\d`, "g"), "TODAY")
      .replace(/\(\d+\.\d s\)/g, "(SECONDS)");
  return { status, stdout: tidy(stdout), stderr: tidy(stderr) };
}

const clutch = (...args: string[]) => run([join(import.meta.dir, "../../src/main.ts"), "models", ...args]);
const xx = (...args: string[]) => run([join(import.meta.dir, "../support/run-xx.ts"), ...args]);

async function listed(...args: string[]): Promise<string[]> {
  const { stdout } = await clutch(...args, "--json");
  return JSON.parse(stdout).models.map(({ reference }: { reference: string }) => reference);
}

describe("clutch models", () => {
  test("fetches, ranks, shows, and leaves it all to gateway and launcher", async () => {
    const { status, stdout, stderr } = await clutch("--refresh");
    expect(status).toBe(0);
    expect(stderr).toBe("fetching http://127.0.0.1:PORT/api/v1/models ...\nOpenRouter's list: 5 models (SECONDS)\n");
    expect(stdout).toMatchInlineSnapshot(`
      "#  model          window  output  tools  vision  $ in/out per M  success  listed
      1  v/best             1M     32K  yes    no      1 / 4           -        openrouter TODAY
      2  v/mute           200K     32K  no     no      1 / 4           -        openrouter TODAY
      3  v/seer           200K     32K  yes    yes     1 / 4           -        openrouter TODAY
      4  v/free:free      200K     32K  yes    no      free            -        openrouter TODAY
      5  v/pinned:free    200K     32K  yes    no      free            -        openrouter TODAY

      tier m  v/best (best of OpenRouter's list, TODAY UTC: $1 in and $4 out per million tokens)
      tier f  v/free:free (best free one of OpenRouter's list, TODAY UTC)
      "
    `);
    // No key of the user's goes to a list that needs none.
    expect(asked).toEqual(["/api/v1/models null"]);
    for (const name of ["models.json", "launch-models.json"])
      expect(statSync(join(home, "cache", name)).mode & 0o777).toBe(0o600);
    expect(await listed("--refresh")).toHaveLength(5);
    expect(asked).toHaveLength(2);
  });

  test("shows neither what a terminal would obey in a list's names, nor the login of its address", async () => {
    const name = "v/evil\u001b]0;title\u0007\u009b2J\u202e";
    list = openRouterList(openRouterModel(name, { scores: scores(60) }));
    const base_url = `http://me:pw@127.0.0.1:${server.port}/api/v1`;
    configure({ providers: { ...nobodyHere, openrouter: { base_url, api_key: "k" } } });
    const { status, stdout, stderr } = await clutch("--refresh");
    expect(stderr).toStartWith("fetching http://(hidden)@127.0.0.1:PORT/api/v1/models ...\n");
    expect([status, stdout.includes("v/evil ]0;title  2J ")]).toEqual([0, true]);
    expect(stdout).not.toMatch(/(?!\n)[\p{Cc}\u202e]/u);
  });

  test("chooses by what is asked for", async () => {
    await clutch("--refresh");
    expect(await listed("--free")).toEqual(["v/free:free", "v/pinned:free"]);
    expect(await listed("--tools")).not.toContain("v/mute");
    expect(await listed("--vision")).toEqual(["v/seer"]);
    expect(await listed("--search", "V/B VENDOR")).toEqual(["v/best"]);
    expect(await listed("--limit", "2")).toEqual(["v/best", "v/mute"]);
    expect((await listed("--provider", "groq")).every((reference) => reference.startsWith("groq:"))).toBe(true);
    expect((await clutch("--search", "nothing like it")).stdout).toStartWith("no model fits\n");
    expect((await clutch("--limit", "2")).stdout).toContain("\n2 of 5: --limit 5 shows all\n");
  });

  test("as JSON says all of a model, and how it has done here", async () => {
    const store = openStore(join(home, "clutch.db"));
    const row = { provider: "openrouter", protocol: "chat", startedAt: Date.now(), durationMs: 1 } as const;
    await requestQueries(store.db).save(
      [],
      [
        { ...row, requestId: `${Date.now().toString(36)}aaaaaa`, number: 1, model: "v/best", failureKind: "empty" },
        { ...row, requestId: `${Date.now().toString(36)}bbbbbb`, number: 1, model: "v/best", failureKind: null },
      ],
    );
    const { stdout } = await clutch("--refresh", "--json", "--search", "best");
    store.close();
    const { total, models: rows, tiers, lists, notes } = JSON.parse(stdout);
    expect(rows[0]).toMatchObject({
      rank: 1,
      reference: "v/best",
      provider: "openrouter",
      name: "Vendor: v/best",
      context_tokens: 1_000_000,
      tools: true,
      free: false,
      input_usd_per_million: 1,
      output_usd_per_million: 4,
      benchmark: 60,
      served: 1,
      failed: 1,
      success_rate: 0.5,
      source: "openrouter",
    });
    expect([total, notes, tiers.m.model, tiers.f.model]).toEqual([1, [], "v/best", "v/free:free"]);
    expect(lists.find(({ provider }: { provider: string }) => provider === "openrouter")).toMatchObject({ models: 5 });
    expect((await clutch("--limit", "1")).stdout).toContain("50% of 2");
  });

  test("a shell without keys leaves the letters as the gateway chose them", async () => {
    await clutch("--refresh");
    configure({ providers: { openrouter: { base_url: `http://127.0.0.1:${server.port}/api/v1` } } });
    list = openRouterList(openRouterModel("v/new", { scores: scores(90) }), ...models);
    const { stdout } = await clutch("--refresh");
    expect(stdout).toMatch(/^1 +v\/new /m);
    expect(stdout).toContain("\ntier m  v/best (");
    expect(readLaunchModels(join(home, "cache"))?.catalogue["openrouter"]).toHaveProperty(["v/new"]);
  });

  test("offline says so and shows what it has", async () => {
    isDown = true;
    const note = "cannot reach 127.0.0.1:PORT (it answered 503): using";
    expect((await clutch("--refresh")).stdout).toEndWith(`\n${note} the list that came with this version\n`);
    isDown = false;
    await clutch("--refresh");
    isDown = true;
    const { status, stdout } = await clutch("--refresh");
    expect(status).toBe(0);
    expect(stdout).toContain("v/best");
    expect(stdout).toEndWith(`\n${note} OpenRouter's list of TODAY UTC\n`);
  });

  test.each([
    [["--limit", "no"], 'clutch: --limit is "no", which is no number of rows: such as --limit 50\n'],
    [["--limit", "0"], 'clutch: --limit is "0", which is no number of rows: such as --limit 50\n'],
    [["--provider", "opnrouter"], 'clutch: no list has models of "opnrouter": did you mean openrouter?\n'],
  ])("%j is wrong use", async (args, line) => {
    expect(await clutch(...args)).toEqual({ status: 2, stdout: "", stderr: line });
    expect(existsSync(join(home, "cache"))).toBe(false);
  });
});

describe("clutch models --check", () => {
  test("fetches by itself, is content, then tells what changed, with status 3 for as long as it holds", async () => {
    expect(await clutch("--check")).toMatchObject({ status: 0, stdout: "2 models of the config checked, 0 changed\n" });
    list = openRouterList(...models.slice(0, 4));
    await clutch("--refresh");
    const first = await clutch("--check");
    expect(first).toEqual({
      status: 3,
      stdout:
        "v/pinned:free (model_tiers.BIG.default) is not in OpenRouter's list any more; v/free:free could take its place\n" +
        "2 models of the config checked, 1 changed\n",
      stderr: "",
    });
    const again = await clutch("--check", "--json");
    expect([again.status, JSON.parse(again.stdout)]).toEqual([
      3,
      {
        pinned: 2,
        checked: 2,
        drifts: [
          {
            kind: "gone",
            reference: "v/pinned:free",
            places: ["model_tiers.BIG.default"],
            change: "is not in OpenRouter's list any more",
            replacement: "v/free:free",
            new: false,
          },
        ],
        notes: [],
      },
    ]);
  });

  test("without a fresh list it cannot tell, which is a failure", async () => {
    configure({ providers: { openrouter: { base_url: "http://127.0.0.1:1/v1", api_key: "k" } } });
    const { status, stderr } = await clutch("--check");
    expect(status).toBe(1);
    expect(stderr).toContain("no list of models is younger than 24 h; cannot reach 127.0.0.1:1 (connection refused)");
  });
});

describe("a running gateway", () => {
  let serving: ServeProcess | undefined;
  afterEach(async () => {
    serving?.kill("SIGKILL");
    await serving?.exited;
    serving = undefined;
  });

  test("has chosen before it answers, fetches, tells drift in /health, and agrees with xx on m and f", async () => {
    mkdirSync(join(home, ".config/model-scan"), { recursive: true });
    list = openRouterList(...models.slice(0, 4));
    configure({ model_tiers: { BIG: { default: "v/pinned:free", cascade: ["v/best"] } } });
    serving = await startServe({ home, args: ["--port", "0"] });
    const { url } = serving;
    const launch = () => readLaunchModels(join(home, "cache"))?.letters;
    expect(launch()?.f?.model).toEndWith(":free");
    await eventually("the fetched list", () => launch()?.m?.model === "v/best", 6000);
    const health = async () => (await (await fetch(`${url}/health`)).json()) as { status: string; problems: string[] };
    const gone = "v/pinned:free (model_tiers.BIG.default) is not in OpenRouter's list any more";
    expect(await health()).toMatchObject({ problems: [`${gone}; v/free:free could take its place`] });
    expect(serving.output().split(gone).length).toBe(2);
    expect((await xx("cipm", "-n")).stdout).toContain("v/best");
    expect((await xx()).stdout).toContain(
      "f    best free               v/free:free (best free one of OpenRouter's list, TODAY UTC)",
    );

    const now = new Date().toISOString();
    const scan = scanSnapshot([scanCandidate("v/seer")], { generated_at: now });
    writeFileSync(join(home, ".config/model-scan/routing_snapshot.json"), JSON.stringify(scan));
    await eventually("model-scan's choice", () => launch()?.m?.model === "v/seer", 6000);
    expect((await xx("cipm", "-n")).stdout).toContain("v/seer");
    // The gateway means the same by the letter: the model is not taken for one that was named, alone.
    await eventually("the gateway's routing", async () => {
      called = [];
      await ask(url, "chat", "v/seer", false, { headers: { authorization: "Bearer xx-cipm-abcd1234" } });
      return called.length > 1;
    });
    expect(called).toEqual(["v/seer", "v/best"]);
  }, 20_000);

  test("ends at once even while a list is on its way", async () => {
    isSilent = true;
    serving = await startServe({ home, args: ["--port", "0"] });
    await eventually("the question", () => asked.length === 1);
    serving.kill("SIGTERM");
    expect(await within(5000, "the end", serving.exited)).toBe(0);
  });
});
