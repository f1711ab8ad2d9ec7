/** `xx` and a gateway that is not there yet, with real processes. */

import { afterAll, afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runClutch } from "../support/run-clutch.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-auto-start-"));
const bin = join(root, "bin");
mkdirSync(bin);
symlinkSync(join(import.meta.dir, "../support/fake-agent.sh"), join(bin, "claude"));
const program = join(import.meta.dir, "../support/run-xx.ts");

const places: Place[] = [];
afterEach(async () => {
  for (const place of places.splice(0)) await runClutch(place.home, ["down"], { PATH: "/usr/bin:/bin" });
}, 60_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Place {
  home: string;
  port: number;
}

function newPlace(name: string, config: object = {}): Place {
  const home = join(root, name);
  mkdirSync(home);
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  writeFileSync(join(home, "config.json"), JSON.stringify({ server: { port }, ...config }));
  const place = { home, port };
  places.push(place);
  return place;
}

async function xx(place: Place, args: string[]) {
  const child = Bun.spawn([process.execPath, program, ...args], {
    cwd: place.home,
    env: {
      PATH: `${bin}:/usr/bin:/bin`,
      HOME: place.home,
      CLUTCH_HOME: place.home,
      IS_SANDBOX: "1",
      FAKE_LOG: join(place.home, "agent.log"),
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stderr, status] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  return { stderr: stderr.replaceAll(place.home, "HOME").replaceAll(String(place.port), "PORT"), status };
}

async function healthOf({ port }: Place): Promise<{ pid: number; service: string } | undefined> {
  const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
  return (await answer?.json()) as { pid: number; service: string } | undefined;
}

function agentWasStarted({ home }: Place): boolean {
  return existsSync(join(home, "agent.log"));
}

test("starts a gateway that outlives the launch, tells so, and finds it the next time", async () => {
  const place = newPlace("starts");
  const first = await xx(place, ["cip"]);
  const health = await healthOf(place);
  expect(first.stderr).toMatch(
    /^xx: starting the gateway on http:\/\/127\.0\.0\.1:PORT\nxx: the gateway answers \(\d\.\d s\); clutch status tells the rest\n$/,
  );
  expect([first.status, health?.service, agentWasStarted(place)]).toEqual([0, "clutch", true]);
  expect(readFileSync(join(place.home, "state/logs/gateway.log"), "utf8")).toContain("serves on");
  expect(await xx(place, ["cip"])).toEqual({ stderr: "", status: 0 });
  expect((await healthOf(place))?.pid).toBe(health?.pid as number);
});

test("three launches at once start one gateway", async () => {
  const place = newPlace("three");
  const launches = await Promise.all([xx(place, ["cip"]), xx(place, ["cip"]), xx(place, ["cip"])]);
  expect(launches.map(({ status }) => status)).toEqual([0, 0, 0]);
  expect(readFileSync(join(place.home, "state/logs/gateway.log"), "utf8").match(/serves on/g)?.length).toBe(1);
});

test("a gateway that cannot start is told of with its cause, and the agent is not started", async () => {
  const broken = newPlace("broken", { breaker: { failures: "many" } });
  expect(await xx(broken, ["cip"])).toEqual({
    stderr: `xx: starting the gateway on http://127.0.0.1:PORT
xx: HOME/config.json: "breaker.failures" is "many": invalid input: expected number, received string: correct it in the file
`,
    status: 2,
  });
  const locked = newPlace("locked");
  mkdirSync(join(locked.home, "clutch.db"));
  const { stderr, status } = await xx(locked, ["cip"]);
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /xx: the gateway did not start: it ended \(exit 1\), 3 times: .*clutch\.db.*: clutch logs gateway has the rest; route d goes without\n$/,
  );
  expect([agentWasStarted(broken), agentWasStarted(locked)]).toEqual([false, false]);
});

test("with auto_start off nothing is started, and route d needs no gateway", async () => {
  const place = newPlace("off", { proxy: { auto_start: false } });
  const { stderr, status } = await xx(place, ["cip"]);
  expect({ stderr, status }).toEqual({
    stderr:
      "xx: the gateway at http://127.0.0.1:PORT does not answer, and proxy.auto_start is off: start it with clutch serve; route d goes without\n",
    status: 1,
  });
  expect(agentWasStarted(place)).toBe(false);
  expect(await xx(place, ["cid"])).toEqual({ stderr: "", status: 0 });
  expect([agentWasStarted(place), existsSync(join(place.home, "state"))]).toEqual([true, false]);
});

test("something else on the port is no gateway", async () => {
  const other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hello", { status: 404 }) });
  const { port } = other;
  const place = newPlace("other", { server: { port } });
  const { stderr, status } = await xx(place, ["cip"]);
  await other.stop(true);
  expect(stderr).toStartWith(`xx: what answers at http://127.0.0.1:${port} is not the gateway (HTTP 404): stop it`);
  expect([status, agentWasStarted(place)]).toEqual([1, false]);
});
