/** `clutch status` as a program: beside a gateway, without one, and as the line that prompts show. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import type { StatusReport } from "../../src/explain/status.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";
import { installRtk } from "../lifecycle/chain/rtk-stand-ins.ts";
import { whole } from "../support/answers.ts";
import { type FakeUpstream, json, startFakeUpstream } from "../support/fake-upstream.ts";
import {
  ask,
  buildConfig,
  makeHome,
  programs,
  type ServeProcess,
  startServe,
  writeConfig,
} from "../support/gateway.ts";

let upstream: FakeUpstream;
const cleanUps: (() => unknown)[] = [];

beforeAll(async () => {
  const limited = json({ error: { message: "slow down" } }, 429, { "retry-after": "300" });
  upstream = await startFakeUpstream({ limited, good: json(whole.chat) });
});

afterAll(() => upstream.stop());

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function newHome(more: JsonObject = {}): string {
  const home = makeHome();
  cleanUps.push(() => rmSync(home, { recursive: true, force: true }));
  const config = { headroom: { mode: "off" }, server: {}, ...more };
  writeConfig(home, buildConfig(upstream.port, { cascade: ["chat:limited", "other:good"], config }));
  return home;
}

async function serve(home: string, argv: readonly string[]): Promise<ServeProcess> {
  const server = await startServe({ home, argv, args: ["--port", "0"] });
  cleanUps.push(async () => {
    server.kill("SIGKILL");
    await server.exited;
  });
  return server;
}

/** Takes connections and says nothing. */
async function listenMutely(): Promise<number> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanUps.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as { port: number }).port;
}

const wiredSettings = JSON.stringify({
  hooks: { PreToolUse: [{ matcher: "Bash", hooks: [{ type: "command", command: "rtk hook claude" }] }] },
});

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
  tookMs: number;
}

describe.each(programs.map(({ name, argv }) => [name, argv] as const))("clutch status, %s", (_name, argv) => {
  async function run(home: string, args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
    const startedAt = performance.now();
    const child = Bun.spawn([...argv, "status", ...args], {
      cwd: home,
      env: { PATH: "", HOME: home, CLUTCH_HOME: home, ...env },
      stdin: new Blob(['{"session_id":"x","model":{"id":"opus"}}']),
      stdout: "pipe",
      stderr: "pipe",
      timeout: 20_000,
    });
    const [code, stdout, stderr] = await Promise.all([
      child.exited,
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { code, stdout, stderr, tookMs: performance.now() - startedAt };
  }

  const portOf = (server: ServeProcess) => ({ CLUTCH_PORT: new URL(server.url).port });

  test("with a gateway: what it serves, what is out of order and what today came to, and exit 0", async () => {
    const home = newHome();
    const server = await serve(home, argv);
    await (await ask(server.url, "chat", "clutch-big", false)).text();
    const { code, stdout, stderr } = await run(home, [], portOf(server));
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain(`on ${server.url} · up `);
    expect(stdout).toMatch(/^ {2}gateway {5,}ready +\d+ /m);
    expect(stdout).toMatch(/^ {2}BIG +other:good +instead of chat:limited \(back .*\): limited is resting: slow down/m);
    expect(stdout).toMatch(/^ {2}chat:limited +open /m);
    expect(stdout).toContain("1 request · 150 tokens in (20 % cached), 50 out · cost unknown: nobody told a price");
    const asJson = await run(home, ["--json"], portOf(server));
    const report = JSON.parse(asJson.stdout) as StatusReport;
    expect(asJson.code).toBe(0);
    expect(Object.keys(report)).toEqual([
      "healthy",
      "services",
      "notes",
      "gateway",
      "tiers",
      "breakers",
      "domains",
      "launches",
      "today",
      "source",
    ]);
    expect(report).toMatchObject({
      healthy: true,
      services: [
        { id: "gateway", type: "http", state: "ready", port: Number(new URL(server.url).port), pid: server.pid },
        { id: "headroom", state: "off" },
        { id: "cliproxyapi", state: "off" },
        { id: "rtk", type: "cli_wrapper", state: "passive", port: null },
      ],
      gateway: { answers: true, reason: null, pid: server.pid, in_flight: 0 },
      breakers: [{ what: "chat:limited", state: "open" }],
      domains: [],
      launches: [],
      today: { requests: 1, completed: 1, cost_usd: null, unpriced_requests: 1, savings: null },
      source: "gateway",
    });
    expect(report.tiers?.map(({ tier, serves }) => [tier, serves]).slice(0, 1)).toEqual([["BIG", "other:good"]]);
  });

  test("without one: what the ledger remembers, why the rest is not known, and exit 3", async () => {
    const home = newHome();
    const server = await serve(home, argv);
    const port = portOf(server);
    await (await ask(server.url, "chat", "clutch-big", false)).text();
    server.kill("SIGTERM");
    await server.exited;
    const { code, stdout } = await run(home, [], port);
    expect(code).toBe(3);
    expect(stdout).toContain("1 service not well: gateway");
    expect(stdout).toContain(`tiers  not known: no gateway answers at ${server.url}`);
    expect(stdout).toContain("out of order (from the ledger)");
    expect(stdout).toMatch(/^ {2}chat:limited +open /m);
    expect(stdout).toContain("today (from the ledger)  1 request");
    const report = JSON.parse((await run(home, ["--json"], port)).stdout) as StatusReport;
    expect(report).toMatchObject({
      healthy: false,
      services: [{ id: "gateway", state: "stopped" }, {}, {}, {}],
      gateway: { answers: false, reason: `no gateway answers at ${server.url}`, pid: null },
      tiers: null,
      breakers: [{ what: "chat:limited" }],
      today: { requests: 1, cost_usd: null },
      source: "ledger",
    });
  });

  test("where nothing ever ran there is nothing to tell, and a broken config is told of", async () => {
    const home = newHome();
    const { code, stdout } = await run(home, ["--json"], { CLUTCH_PORT: "1" });
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ tiers: null, breakers: [], today: null, source: "nowhere" });
    writeConfig(home, "{ no json");
    const broken = await run(home, []);
    expect([broken.code, broken.stdout]).toEqual([2, ""]);
    expect(broken.stderr).toContain("is not valid JSON");
  });

  test("beside another home's gateway on its port it is told apart, and exit 3", async () => {
    const other = await serve(newHome(), argv);
    const { code, stdout } = await run(newHome(), [], portOf(other));
    expect(code).toBe(3);
    expect(stdout).toMatch(/^ {2}gateway +foreign .* another home's .*: give this home another server\.port$/m);
  });

  test("with members that take connections and say nothing it is done all the same", async () => {
    const [gateway, headroom, proxy] = [await listenMutely(), await listenMutely(), await listenMutely()];
    const home = newHome({
      headroom: { mode: "front" },
      chain: {
        services: [
          { id: "headroom", port: headroom },
          { id: "cliproxyapi", enabled: true, port: proxy },
        ],
      },
    });
    const { code, stdout, tookMs } = await run(home, ["--json"], { CLUTCH_PORT: String(gateway) });
    const { services } = JSON.parse(stdout) as StatusReport;
    expect([code, ...services.map(({ state }) => state)]).toEqual([
      3,
      "unhealthy",
      "unhealthy",
      "unhealthy",
      "passive",
    ]);
    // The aim is 1.2 s (bench/status.ts measures it); a machine that is busy with tests gets more.
    expect(tookMs).toBeLessThan(3_000);
  });

  // Each beside a gateway that is well, and without one: RTK has no say in the exit code in either case.
  const states: [
    state: string,
    kind: Parameters<typeof installRtk>[1] | undefined,
    seen: { version: string | null; detail: string; hint: string | null },
  ][] = [
    [
      "not installed",
      undefined,
      { version: null, detail: "not installed", hint: expect.stringContaining("brew install rtk-ai/tap/rtk") },
    ],
    ["installed", "real", { version: "1.0.0", detail: "wired into Claude Code, 1.2M tokens saved", hint: null }],
    [
      "an impostor: npm's",
      "releaseTool",
      {
        version: null,
        detail: expect.stringMatching(
          /rtk is another tool of that name: .*, and hooks that call it are in Claude Code$/,
        ),
        hint: expect.stringContaining("npm and crates.io have other tools of that name"),
      },
    ],
    [
      "an impostor: crates.io's",
      "typeKit",
      { version: null, detail: expect.stringContaining('"rtk gain" ends with 2'), hint: expect.any(String) },
    ],
    [
      "installed and hanging",
      "hanging",
      { version: null, detail: expect.stringContaining("gave no answer within 1 s"), hint: expect.any(String) },
    ],
  ];
  test.each(states)("RTK %s: a passive row that fails nothing", async (_state, kind, seen) => {
    const home = newHome();
    const folders = [...(kind === undefined ? [] : [installRtk(`${home}/bin`, kind)]), "/usr/bin", "/bin"];
    if (kind !== undefined) await Bun.write(`${home}/.claude/settings.json`, wiredSettings);
    const env = { PATH: folders.join(":") };
    const server = await serve(home, argv);
    for (const [code, place] of [
      [0, portOf(server)],
      [3, { CLUTCH_PORT: "1" }],
    ] as const) {
      const asJson = await run(home, ["--json"], { ...env, ...place });
      const { services, healthy } = JSON.parse(asJson.stdout) as StatusReport;
      expect([asJson.code, healthy]).toEqual([code, code === 0]);
      expect(services.find(({ id }) => id === "rtk")).toEqual({
        id: "rtk",
        name: "RTK",
        type: "cli_wrapper",
        state: "passive",
        front: false,
        port: null,
        pid: null,
        started_at: null,
        uptime_seconds: null,
        restarts: 0,
        ...seen,
      });
    }
    expect((await run(home, [], { ...env, ...portOf(server) })).stdout).toMatch(/^ {2}rtk +passive /m);
  });

  describe("--line", () => {
    test("one line, whatever stands on stdin: the model first", async () => {
      const home = newHome();
      const server = await serve(home, argv);
      const line = async (env: Record<string, string> = {}) => {
        const { code, stdout, stderr } = await run(home, ["--line"], { ...portOf(server), ...env });
        expect([code, stderr]).toEqual([0, ""]);
        return stdout;
      };
      expect(await line()).toBe("chat:limited · 0 today\n");
      const headers = { authorization: "Bearer xx-cip-abc123" };
      await (await ask(server.url, "chat", "clutch-big", false, { headers })).text();
      expect(await line()).toBe("other:good instead of limited · 1 out of order · 1 today\n");
      await Bun.sleep(100);
      // As Claude Code hands it on: its own launch's token, and colours unless they are unwanted.
      expect(await line({ ANTHROPIC_AUTH_TOKEN: "xx-cip-abc123" })).toBe(
        "\x1b[33mother:good\x1b[0m instead of limited · \x1b[33m1 out of order\x1b[0m · 1 today\n",
      );
      expect(await line({ ANTHROPIC_AUTH_TOKEN: "xx-cip-abc123", NO_COLOR: "1" })).toBe(
        "other:good instead of limited · 1 out of order · 1 today\n",
      );
      // Route b: whoever answered, and no tier.
      expect(await line({ ANTHROPIC_CUSTOM_HEADERS: "x-clutch-launch: xx-cib-abc123", NO_COLOR: "1" })).toBe(
        "other:good · 1 out of order · 1 today\n",
      );
    });

    test("and something of use when there is no gateway, another home's, or one that hangs", async () => {
      const home = newHome();
      expect(await run(home, ["--line"], { CLUTCH_PORT: "1" })).toMatchObject({
        code: 0,
        stdout: "clutch: the gateway is down (clutch up)\n",
        stderr: "",
      });
      const other = await serve(newHome(), argv);
      expect(await run(home, ["--line"], portOf(other))).toMatchObject({
        code: 0,
        stdout: `clutch: ${other.url} is not this home's gateway (clutch status)\n`,
      });
      expect(await run(home, ["--line"], { CLUTCH_PORT: String(await listenMutely()) })).toMatchObject({
        code: 0,
        stdout: "clutch: the gateway is slow to answer\n",
      });
    });

    test("with a key required, by the secret of this home", async () => {
      const home = newHome({ server: { require_key: true } });
      const server = await serve(home, argv);
      await Bun.write(`${home}/state/launch.key`, "the-secret\n");
      expect((await run(home, ["--line"], portOf(server))).stdout).toBe("chat:limited · 0 today\n");
      expect((await run(home, ["--json"], portOf(server))).stdout).toContain('"answers": true');
    });
  });
});
