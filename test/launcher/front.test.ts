import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = mkdtempSync(join(tmpdir(), "clutch-front-"));
const home = join(root, "home");
const plainBin = join(root, "bin");
const headroomBin = join(root, "with-headroom");
for (const folder of [home, plainBin, headroomBin]) mkdirSync(folder, { recursive: true });
for (const [folder, name] of [
  [plainBin, "claude"],
  [plainBin, "qwen"],
  [plainBin, "codex"],
  [headroomBin, "headroom"],
] as const) {
  symlinkSync(join(import.meta.dir, "../support/fake-agent.sh"), join(folder, name));
}
const program = join(import.meta.dir, "../support/run-xx.ts");

const gateway = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: () => Response.json({ status: "ok", in_flight: 0, draining: false }),
});
const url = `http://127.0.0.1:${gateway.port}`;

/** What stands for Headroom says of itself. */
let health: object = {};
let asked = 0;
const headroom = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: () => {
    asked += 1;
    return Response.json(health);
  },
});

afterAll(async () => {
  await Promise.all([gateway.stop(true), headroom.stop(true)]);
  rmSync(root, { recursive: true, force: true });
});

beforeEach(() => {
  asked = 0;
  health = {
    service: "headroom-proxy",
    status: "healthy",
    version: "0.42.0",
    config: { anthropic_api_url: url, openai_api_url: url, cache: false, rate_limit: false },
  };
});

interface Options {
  config?: object;
  port?: number;
  hasHeadroom?: boolean;
  env?: Record<string, string>;
}

/** @returns the address that the agent was given, and what the person was told */
async function launch(words: string[], { config = {}, port = headroom.port, hasHeadroom, env }: Options = {}) {
  const services = [{ id: "headroom", port }];
  writeFileSync(join(home, "config.json"), JSON.stringify({ chain: { services }, ...config }));
  const log = join(root, "agent.log");
  rmSync(log, { force: true });
  const child = Bun.spawn([process.execPath, program, ...words], {
    cwd: root,
    env: {
      PATH: `${plainBin}:${hasHeadroom === true ? `${headroomBin}:` : ""}/usr/bin:/bin`,
      HOME: home,
      CLUTCH_HOME: home,
      IS_SANDBOX: "1",
      FAKE_LOG: log,
      CLUTCH_PORT: String(gateway.port),
      ...env,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const shown = words.includes("-n") ? stdout : await Bun.file(log).text();
  const base = /env:ANTHROPIC_BASE_URL=(.*)/.exec(shown)?.[1] ?? /https?:\/\/[^\s'"]*/.exec(shown)?.[0];
  return { base, stderr: stderr.trim(), stdout };
}

describe("a launch goes through Headroom", () => {
  test("by the gateway's /front, where Headroom answers and sends to this gateway", async () => {
    expect(await launch(["cip"])).toMatchObject({ base: `${url}/front`, stderr: "" });
    expect((await launch(["xnp", "hi"])).stderr).toBe("");
  });

  test("and the dry run shows it, without a gateway", async () => {
    health = {
      service: "headroom-proxy",
      status: "healthy",
      config: { anthropic_api_url: "http://127.0.0.1:1", openai_api_url: "http://127.0.0.1:1" },
    };
    const { stdout } = await launch(["xnp", "-n", "hi"], { env: { CLUTCH_PORT: "1" } });
    expect(stdout).toContain('base_url="http://127.0.0.1:1/front/v1"');
  });
});

describe("a launch goes straight to the gateway", () => {
  test.each<[why: string, words: string[], options: Options]>([
    ["with --no-front", ["cip", "--no-front"], {}],
    ["in mode sidecar", ["cip"], { config: { headroom: { mode: "sidecar" } } }],
    ["in mode off", ["cip"], { config: { headroom: { mode: "off" } } }],
    [
      "where its service is switched off",
      ["cip"],
      { config: { chain: { services: [{ id: "headroom", enabled: false }] } } },
    ],
    ["to Anthropic's own models", ["cip", "-m", "anthropic:claude-opus-5-5"], {}],
    ["with a login of the agent's own", ["cib"], { env: { ANTHROPIC_API_KEY: "sk-ant-own" } }],
  ])("%s, and asks nobody", async (_why, words, options) => {
    expect(await launch(words, options)).toMatchObject({ base: url });
    expect(asked).toBe(0);
  });

  test("where Headroom is not installed and nothing answers, without a word", async () => {
    expect(await launch(["cip"], { port: 1 })).toMatchObject({ base: url, stderr: "" });
  });

  test.each<[what: string, health: object, note: string]>([
    [
      "sends elsewhere",
      { service: "headroom-proxy", status: "healthy", config: { anthropic_api_url: "https://api.anthropic.com" } },
      "it sends to https://api.anthropic.com, not to the gateway",
    ],
    ["is something else", { status: "ok" }, "what answers is not Headroom"],
  ])("where what answers %s, and says so", async (_what, answer, note) => {
    health = answer;
    const { base, stderr } = await launch(["cip"]);
    expect(base).toBe(url);
    expect(stderr).toBe(`xx: straight to the gateway, without Headroom (port ${headroom.port}): ${note}`);
  });

  test("where Headroom is installed and does not answer, and says how to start it", async () => {
    expect(await launch(["cip"], { port: 1, hasHeadroom: true })).toMatchObject({
      base: url,
      stderr: "xx: Headroom does not answer, so straight to the gateway: clutch up starts it",
    });
  });
});
