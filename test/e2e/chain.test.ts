/** The chain with real processes: tmux, the gateway, and services that misbehave in every way that can be had. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChainRecord, Run } from "../../src/lifecycle/chain/record.ts";
import { eventually } from "../support/gateway.ts";
import { startTerminal } from "../support/terminal.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-chain-"));
const entry = join(import.meta.dir, "../../src/main.ts");
const fakeService = join(import.meta.dir, "../support/fake-service.ts");
const tmuxFile = Bun.which("tmux");
if (tmuxFile === null && process.env["CI"] === "true") throw new Error("tmux is missing, and CI must have it");
if (tmuxFile === null) console.warn("tmux is not installed: the tests of the chain in tmux are left out");

const homes: Home[] = [];
afterEach(async () => {
  for (const home of homes.splice(0)) {
    await clutch(home, ["down"]);
    // Bun keeps what it has transpiled in HOME: all homes together take seconds to remove on a busy disk.
    rmSync(home.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}, 60_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Home {
  path: string;
  gatewayPort: number;
  dbPort: number;
}

interface Service {
  id: string;
  command: string[];
  port: number;
  [key: string]: unknown;
}

function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** A chain of the gateway and, if flags are given, a service of the user's own. */
function newHome(dbFlags?: string[], more: Record<string, unknown> = {}): Home {
  const path = mkdtempSync(join(root, "home-"));
  const home = { path, gatewayPort: freePort(), dbPort: freePort() };
  const db: Service = {
    id: "db",
    command: [process.execPath, fakeService, `--port=${home.dbPort}`, ...(dbFlags ?? [])],
    port: home.dbPort,
    ...more,
  };
  writeConfig(home, dbFlags === undefined ? [] : [db]);
  homes.push(home);
  return home;
}

function writeConfig(home: Home, services: Service[]): void {
  const config = { server: { port: home.gatewayPort }, headroom: { mode: "off" }, chain: { services } };
  writeFileSync(join(home.path, "config.json"), JSON.stringify(config));
}

interface Done {
  code: number;
  stdout: string;
  stderr: string;
}

function clutch(home: Home, args: string[], env: Record<string, string> = {}): Promise<Done> {
  return runToEnd([process.execPath, entry, ...args], home, env);
}

async function runToEnd(argv: string[], home: Home, env: Record<string, string> = {}): Promise<Done> {
  const child = Bun.spawn(argv, {
    cwd: home.path,
    env: { PATH: process.env["PATH"] ?? "", HOME: home.path, CLUTCH_HOME: home.path, TERM: "xterm", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 60_000,
  });
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, stdout, stderr };
}

function record(home: Home): ChainRecord {
  return JSON.parse(readFileSync(join(home.path, "state/chain/record.json"), "utf8")) as ChainRecord;
}

function run(home: Home, id: string): Run {
  const found = record(home).runs.find((known) => known.id === id);
  if (found === undefined) throw new Error(`no run of ${id}`);
  return found;
}

function pidOf(home: Home, id: string): number {
  return run(home, id).pid as number;
}

function hasCome({ pid, readyAtMs }: Run, before: number): boolean {
  return readyAtMs !== undefined && pid !== undefined && pid !== before;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

async function answers(port: number, path = "/health"): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined);
  return response?.ok === true;
}

function tmux(home: Home, ...args: string[]): string {
  const done = Bun.spawnSync([tmuxFile ?? "tmux", "-S", join(home.path, "state/chain.sock"), "-u", ...args], {
    env: { PATH: process.env["PATH"] ?? "", TERM: "xterm-256color" },
    stderr: "pipe",
  });
  return done.stdout.toString() + done.stderr.toString();
}

const nothingLeft = async (home: Home, pids: number[]) => {
  expect(pids.filter(isAlive)).toEqual([]);
  expect(existsSync(join(home.path, "state/chain.sock"))).toBe(false);
  expect([await answers(home.gatewayPort, "/livez"), await answers(home.dbPort)]).toEqual([false, false]);
};

for (const stage of ["tmux", "detached"] as const) {
  const upArgs = stage === "tmux" ? ["up"] : ["up", "--detach"];
  describe.skipIf(stage === "tmux" && tmuxFile === null)(`the chain (${stage})`, () => {
    test("comes up in order, is left alone by a second up, comes back when killed, and goes without a trace", async () => {
      const home = newHome([], { needs: ["gateway"] });
      const first = await clutch(home, upArgs);
      expect(first).toMatchObject({ code: 0, stderr: "" });
      expect(first.stdout).toMatch(/^gateway {6}ready after \d\.\d s\ndb {11}ready after \d\.\d s\n$/);
      const [gateway, db] = [pidOf(home, "gateway"), pidOf(home, "db")];
      expect(run(home, "db").startedAtMs).toBeGreaterThanOrEqual(run(home, "gateway").readyAtMs as number);

      const second = await clutch(home, upArgs);
      expect(second).toEqual({
        code: 0,
        stderr: "",
        stdout: "gateway      ready (was up)\ndb           ready (was up)\n",
      });
      expect([pidOf(home, "gateway"), pidOf(home, "db")]).toEqual([gateway, db]);

      for (const id of ["gateway", "db"]) {
        const before = pidOf(home, id);
        process.kill(before, "SIGKILL");
        await eventually(`${id} to come back`, () => hasCome(run(home, id), before), 10_000);
        expect(run(home, id)).toMatchObject({ restarts: 1, lastEnd: { signal: "KILL" } });
      }

      const kept = pidOf(home, "gateway");
      const restarted = await clutch(home, ["restart", "db"]);
      expect(restarted.stdout).toMatch(/^db {11}stopped\ndb {11}ready after \d\.\d s\n$/);
      expect(pidOf(home, "gateway")).toBe(kept);

      const logs = await clutch(home, ["logs", "db", "-n", "1"]);
      expect(logs.stdout).toBe(`fake service ${pidOf(home, "db")} on ${home.dbPort}\n`);
      const pids = [...record(home).runs.map(({ pid }) => pid as number), record(home).supervisor.pid];
      const down = await clutch(home, ["down"]);
      expect(down).toEqual({ code: 0, stderr: "", stdout: "db           stopped\ngateway      stopped\n" });
      await nothingLeft(home, pids);
      expect((await clutch(home, ["down"])).stdout).toBe("nothing was up\n");
    }, 60_000);

    test("goes on without its supervisor, and up gives it a new one", async () => {
      const home = newHome([]);
      await clutch(home, upArgs);
      const gateway = pidOf(home, "gateway");
      const former = record(home).supervisor.pid;
      process.kill(former, "SIGKILL");
      if (stage === "detached") {
        expect((await clutch(home, upArgs)).code).toBe(0);
      } else await eventually("a new supervisor", () => record(home).supervisor.pid !== former, 5_000);
      expect(pidOf(home, "gateway")).toBe(gateway);
      const db = pidOf(home, "db");
      process.kill(db, "SIGKILL");
      await eventually("db to come back", () => hasCome(run(home, "db"), db), 10_000);
    }, 60_000);

    test("says of a service that ends at once how, and what it said last", async () => {
      const home = newHome(["--exit=3"]);
      const { code, stdout } = await clutch(home, upArgs);
      expect(code).toBe(1);
      expect(stdout).toMatch(/^gateway {6}ready after/m);
      expect(stdout).toContain("db           ended (exit 3), trying again\n");
      expect(stdout).toContain("db           failed: it ended (exit 3), 3 times\n");
      expect(stdout).toContain("  | cannot go on: the flux is missing\n");
      expect(stdout).toContain("             clutch logs db has the rest\n");
      // What failed is tried again when somebody asks for it.
      writeConfig(home, [
        { id: "db", command: [process.execPath, fakeService, `--port=${home.dbPort}`], port: home.dbPort },
      ]);
      expect((await clutch(home, upArgs)).stdout).toMatch(/^gateway {6}ready \(was up\)\ndb {11}ready after/);
    }, 60_000);

    test("says of one that never becomes ready what it answers, and lets it go on", async () => {
      const home = newHome(["--never-ready"], { ready_seconds: 1 });
      const { code, stdout } = await clutch(home, upArgs);
      expect(code).toBe(1);
      expect(stdout).toContain("db           failed: it is not ready after 1 s (HTTP 503)\n");
      expect(stdout).toContain("clutch logs db has the rest; it goes on starting\n");
      expect(isAlive(pidOf(home, "db"))).toBe(true);
    }, 60_000);

    test("kills what does not end when asked to", async () => {
      const home = newHome(["--deaf"]);
      await clutch(home, upArgs);
      const pid = pidOf(home, "db");
      const { stdout } = await clutch(home, ["down"]);
      expect(stdout).toContain("db           ending what is under way\n");
      expect(stdout).toContain("db           killed: it did not end when it was asked to\n");
      expect(isAlive(pid)).toBe(false);
    }, 60_000);

    test("names who holds a busy port, starts the others, and takes it for the service only when told to", async () => {
      const home = newHome([]);
      const squatter = Bun.serve({ hostname: "127.0.0.1", port: home.dbPort, fetch: () => new Response("{}") });
      try {
        const { code, stdout } = await clutch(home, upArgs);
        expect(code).toBe(1);
        expect(stdout).toContain(`db           failed: port ${home.dbPort} is held by bun (pid ${process.pid})\n`);
        expect(stdout).toContain("give db another port; if it is the one that is meant: clutch up --adopt\n");
        expect(stdout).toMatch(/^gateway {6}ready after/m);
        const adopted = await clutch(home, [...upArgs, "--adopt"]);
        expect(adopted.code).toBe(0);
        expect(adopted.stdout).toContain("db           ready (was running; left as it is)\n");
        const down = await clutch(home, ["down"]);
        expect(down.stdout).toBe("gateway      stopped\ndb           it was running before clutch up, so it goes on\n");
        expect(await answers(home.dbPort)).toBe(true);
      } finally {
        await squatter.stop(true);
      }
    }, 60_000);

    test("gives each service a clean environment, with its keys from a file that is the owner's alone", async () => {
      const home = newHome(["--tell-env=env.json"], { env: { LEVEL: "a 'quoted' $value", TOKEN: "env:MY_TOKEN" } });
      await clutch(home, upArgs, { MY_TOKEN: "sk-token-1", SECRET_OF_MINE: "sk-other", TZ: "UTC" });
      const told = JSON.parse(readFileSync(join(home.path, "state/env.json"), "utf8")) as Record<string, string>;
      expect(told).toMatchObject({
        LEVEL: "a 'quoted' $value",
        TOKEN: "sk-token-1",
        TZ: "UTC",
        CLUTCH_HOME: home.path,
      });
      expect(told["SECRET_OF_MINE"]).toBeUndefined();
      for (const file of ["env/db.sh", "keys.json"]) {
        expect(statSync(join(home.path, "state/chain", file)).mode & 0o777).toBe(0o600);
      }
      const argvs = record(home).runs.map(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, "utf8"));
      expect(argvs.join()).not.toContain("sk-");
      // A start without the shell's environment, as at login, still has the key.
      rmSync(join(home.path, "state/env.json"));
      await clutch(home, ["down"]);
      await clutch(home, upArgs);
      expect(JSON.parse(readFileSync(join(home.path, "state/env.json"), "utf8")).TOKEN).toBe("sk-token-1");
    }, 60_000);

    test("twenty at once make one chain", async () => {
      const home = newHome([]);
      const all = await Promise.all(Array.from({ length: 20 }, () => clutch(home, upArgs)));
      expect(all.filter(({ code }) => code !== 0)).toEqual([]);
      expect(all.map(({ code }) => code)).toEqual(Array.from({ length: 20 }, () => 0));
      expect(all.every(({ stdout }) => /^gateway {6}ready/m.test(stdout) && /^db {11}ready/m.test(stdout))).toBe(true);
      expect(record(home).runs.map(({ id, restarts }) => [id, restarts])).toEqual([
        ["gateway", 0],
        ["db", 0],
      ]);
      const said = readFileSync(join(home.path, "state/logs/db.log"), "utf8").match(/fake service/g);
      expect(said).toHaveLength(1);
    }, 120_000);

    test("comes up after the machine went down in the middle of it", async () => {
      const home = newHome([], { needs: ["gateway"] });
      await clutch(home, upArgs);
      const { supervisor, runs, tmuxServer } = record(home);
      for (const pid of [supervisor.pid, tmuxServer?.pid, ...runs.map((known) => known.pid)]) {
        if (pid !== undefined) process.kill(pid, "SIGKILL");
      }
      await eventually("all to be gone", () => !isAlive(runs[0]?.pid as number) && !isAlive(supervisor.pid));
      if (stage === "tmux") expect(existsSync(join(home.path, "state/chain.sock"))).toBe(true);
      const planFile = join(home.path, "state/chain/plan.json");
      writeFileSync(planFile, readFileSync(planFile, "utf8").replace(/"bootId":"[^"]*"/, '"bootId":"before"'));
      const { code, stdout } = await clutch(home, upArgs);
      expect(stdout).toMatch(/^gateway {6}ready after \d\.\d s\ndb {11}ready after \d\.\d s\n$/);
      expect(code).toBe(0);
    }, 60_000);
  });
}

describe("a chain that is up", () => {
  test("says when the config has changed since, takes one service down alone, and tells all as JSON", async () => {
    const home = newHome([]);
    await clutch(home, ["up", "--detach"]);
    const gateway = pidOf(home, "gateway");
    const command = [process.execPath, fakeService, `--port=${home.dbPort}`, "--chatty=20"];
    writeConfig(home, [{ id: "db", command, port: home.dbPort }]);
    const again = await clutch(home, ["up", "--json"]);
    expect(JSON.parse(again.stdout)).toEqual({
      services: [
        { id: "gateway", state: "ready", how: "already", took_ms: 0 },
        { id: "db", state: "ready", how: "already", took_ms: 0 },
      ],
      notes: ["db runs with its former settings: clutch restart db"],
    });
    expect((await clutch(home, ["restart", "db"])).code).toBe(0);
    await eventually("the new settings", () =>
      readFileSync(join(home.path, "state/logs/db.log"), "utf8").includes("still"),
    );
    expect((await clutch(home, ["down", "db"])).stdout).toBe("db           stopped\n");
    expect((await clutch(home, ["down", "db"])).stdout).toBe("not up: db\n");
    expect([pidOf(home, "gateway"), await answers(home.dbPort)]).toEqual([gateway, false]);
    const { stdout } = await clutch(home, ["up"]);
    expect(stdout).toMatch(/^gateway {6}ready \(was up\)\ndb {11}ready after/);
  }, 60_000);

  test("shows what its services said, since when, and what they go on saying", async () => {
    const home = newHome(["--chatty=50"]);
    await clutch(home, ["up", "--detach"]);
    await Bun.sleep(1_500);
    const all = await clutch(home, ["logs", "-n", "2"]);
    expect(all.stdout).toMatch(
      /^gateway {6}\| .*\ngateway {6}\| .*\ndb {11}\| still here at \d+\ndb {11}\| still here at \d+\n$/,
    );
    const since = (await clutch(home, ["logs", "db", "--since", "1s"])).stdout.match(/\d{13}/g)?.map(Number) ?? [];
    expect(since.length).toBeGreaterThan(5);
    // The index is written once a second.
    expect(Math.min(...since)).toBeGreaterThan(Date.now() - 4_000);
    const child = Bun.spawn([process.execPath, entry, "logs", "db", "-f", "-n", "0"], {
      env: { PATH: process.env["PATH"] ?? "", CLUTCH_HOME: home.path },
      stdout: "pipe",
    });
    let said = "";
    for await (const chunk of child.stdout) {
      said += new TextDecoder().decode(chunk);
      if (said.split("\n").length > 5) break;
    }
    child.kill("SIGINT");
    expect(said.split("\n").slice(0, 5)).toEqual(
      Array.from({ length: 5 }, () => expect.stringMatching(/^still here at \d+$/)),
    );
    const wrong: [string[], string][] = [
      [["logs", "dv"], '2 clutch: there is no service "dv": did you mean db?'],
      [["logs", "rtk"], "1 clutch: rtk has no log: it was not started here: clutch status tells how it is"],
      [["logs", "--since", "soon"], '2 clutch: --since is "soon", which is no span of time: as in 90s, 10m, 2h or 1d'],
      [["logs", "-n", "few"], '2 clutch: -n is "few", which is no number of lines: as in -n 200'],
    ];
    for (const [args, told] of wrong) {
      const { code, stderr } = await clutch(home, args);
      expect(`${code} ${stderr.trim()}`).toBe(told);
    }
  }, 60_000);
});

describe("clutch up refuses", () => {
  test("what is no chain, and says why", async () => {
    const home = newHome([]);
    const refusal = async (services: Service[], args = ["up"]) => {
      writeConfig(home, services);
      const { code, stderr } = await clutch(home, args);
      return `${code} ${stderr.trim()}`;
    };
    const db = { id: "db", command: ["/bin/true"], port: 9 };
    expect(
      await refusal([
        { ...db, needs: ["web"] },
        { ...db, id: "web", port: 10, needs: ["db"] },
      ]),
    ).toBe(
      '2 clutch: chain.services: a cycle: db needs web needs db: take one of them out of "needs": a chain has a beginning',
    );
    expect(await refusal([db], ["up", "bd"])).toBe('2 clutch: there is no service "bd": did you mean db?');
    expect(await refusal([{ ...db, enabled: false }], ["up", "db"])).toBe(
      "2 clutch: db is switched off in the config: clutch chain enable db",
    );
    expect(await refusal([db], ["up", "rtk"])).toBe(
      "2 clutch: RTK has nothing to start: clutch status tells how it is",
    );
    expect(existsSync(join(home.path, "state/chain/plan.json"))).toBe(false);
  });

  test("nothing because of a lock whose holder was killed, and waits for one who lives", async () => {
    const home = newHome();
    mkdirSync(join(home.path, "state/chain"), { recursive: true });
    const lock = join(import.meta.dir, "../../src/lifecycle/chain/lock.ts");
    const hold = `import { withChainLock } from "${lock}";
      await withChainLock("${home.path}/state", () => {}, async () => { console.log("held"); await Bun.sleep(60_000); });`;
    const holder = Bun.spawn([process.execPath, "-e", hold], { stdout: "pipe" });
    for await (const chunk of holder.stdout) if (new TextDecoder().decode(chunk).includes("held")) break;
    const waiting = clutch(home, ["up", "--detach"]);
    await Bun.sleep(500);
    expect(existsSync(join(home.path, "state/chain/plan.json"))).toBe(false);
    holder.kill("SIGKILL");
    const { code, stdout } = await waiting;
    expect(stdout).toMatch(/^another clutch up or down is at work: waiting for it\ngateway {6}ready after/);
    expect(code).toBe(0);
  }, 30_000);

  test("a program that is not there, and starts the rest", async () => {
    const home = newHome([]);
    writeConfig(home, [{ id: "db", command: ["no-such-program"], port: home.dbPort }]);
    const { code, stdout } = await clutch(home, ["up", "--detach"]);
    expect(code).toBe(1);
    expect(stdout).toContain('db           failed: its program "no-such-program" is not there\n');
    expect(stdout).toContain("gateway      ready after");
  });

  test("a version of Headroom that does harm, says which, and lets nobody wait for it", async () => {
    const home = newHome();
    const headroom = join(home.path, "bin/headroom");
    mkdirSync(join(home.path, "bin"));
    const says = (version: string) =>
      writeFileSync(
        headroom,
        `#!/bin/sh\nsleep 2; echo "$@" >> "$0.calls"\necho "headroom, version ${version}\n  --port INTEGER"\n`,
      );
    says("0.37.0");
    chmodSync(headroom, 0o755);
    const headroomPort = freePort();
    writeFileSync(
      join(home.path, "config.json"),
      JSON.stringify({
        server: { port: home.gatewayPort },
        chain: { services: [{ id: "headroom", port: headroomPort }] },
      }),
    );
    const env = { PATH: `${join(home.path, "bin")}:${process.env["PATH"]}` };
    const up = await clutch(home, ["up", "--detach"], env);
    expect(up).toMatchObject({ code: 0, stderr: "" });
    expect(up.stdout).toMatch(
      /^headroom {5}left out: version 0\.37\.0 changes earlier turns, so that prompt caches are lost\n {13}uv tool upgrade .*\ngateway {6}ready after \d\.\d s\n$/,
    );
    // Its gateway was there before Headroom had said its version.
    expect(run(home, "gateway").readyAtMs).toBeLessThan(statSync(`${headroom}.calls`).mtimeMs);
    const calls = readFileSync(`${headroom}.calls`, "utf8").trim().split("\n").sort();
    expect(calls).toEqual(["--version", "proxy --help"]);
    const { code, stdout } = await clutch(home, ["status", "--json"], env);
    const report = JSON.parse(stdout) as { services: { id: string }[] };
    expect([code, report.services.find(({ id }) => id === "headroom")]).toEqual([
      3,
      expect.objectContaining({
        state: "stopped",
        detail: "not started: version 0.37.0 changes earlier turns, so that prompt caches are lost",
        hint: expect.stringContaining("uv tool upgrade headroom-ai"),
      }),
    ]);
    expect(JSON.parse((await clutch(home, ["up", "--json"], env)).stdout).services).toEqual([
      expect.objectContaining({ id: "headroom", state: "left-out" }),
      expect.objectContaining({ id: "gateway", how: "already" }),
    ]);
  }, 30_000);

  test("to go without tmux unless it is told to, or with one that is too old", async () => {
    const home = newHome();
    const bin = join(home.path, "bin");
    mkdirSync(bin);
    const none = await clutch(home, ["up"], { PATH: bin });
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(
      /^clutch: tmux is not on PATH, and the services run in it: .*install.* tmux; or start without it: clutch up --detach\n$/,
    );
    writeFileSync(join(bin, "tmux"), "#!/bin/sh\necho tmux 2.9a\n");
    chmodSync(join(bin, "tmux"), 0o755);
    expect((await clutch(home, ["up"], { PATH: bin })).stderr).toMatch(
      /^clutch: tmux 2\.9a is older than 3\.0: .*--detach\n$/,
    );
    expect((await clutch(home, ["up", "--detach"], { PATH: `${bin}:/usr/bin:/bin` })).code).toBe(0);
  });

  const writeHint = "check the owner and the space of that folder, or choose another with CLUTCH_HOME";

  test.each([
    ["CLUTCH_HOME", (blocked: string) => ({ CLUTCH_HOME: blocked }), "state/chain"],
    ["HOME", (blocked: string) => ({ HOME: blocked, CLUTCH_HOME: "" }), ".local/state/clutch/chain"],
  ] as const)("a state folder that cannot be written, by %s", async (_name, place, below) => {
    const home = newHome();
    const blocked = join(home.path, "file");
    writeFileSync(blocked, "");
    const env = { ...place(join(blocked, "home")), CLUTCH_CONFIG: join(home.path, "config.json") };
    const { code, stderr } = await clutch(home, ["up"], env);
    expect([code, stderr]).toEqual([1, `clutch: cannot write in ${blocked}/home/${below} (ENOTDIR): ${writeHint}\n`]);
  });

  test("a full disk, on which down needs no space", async () => {
    const home = newHome();
    // No file may grow, which to a program is the same.
    const onFullDisk = (args: string[]) =>
      runToEnd(["/bin/sh", "-c", 'trap "" XFSZ; ulimit -f 0; exec "$@"', "sh", process.execPath, entry, ...args], home);
    const up = await onFullDisk(["up", "--detach"]);
    expect(up.code).toBe(1);
    expect(up.stderr).toMatch(/^clutch: cannot write \S+\/state\/chain\/env\/gateway\.sh \(E\w+\): check the owner/);
    expect(readdirSync(join(home.path, "state/chain/env"))).toEqual([]);
    expect((await clutch(home, ["up", "--detach"])).code).toBe(0);
    const restart = await onFullDisk(["restart"]);
    expect([restart.code, restart.stderr.includes(`cannot write ${home.path}/state/chain/plan.json`)]).toEqual([
      1,
      true,
    ]);
    expect(await answers(home.gatewayPort, "/livez")).toBe(true);
    expect(await onFullDisk(["down"])).toEqual({ code: 0, stderr: "", stdout: "gateway      stopped\n" });
  }, 30_000);

  test("a lock that is none, and says which file is in the way", async () => {
    const home = newHome();
    const lock = join(home.path, "state/chain/lock.db");
    mkdirSync(join(lock, ".."), { recursive: true });
    writeFileSync(lock, "not what it was before the machine went down ".repeat(100));
    for (const args of [["up", "--detach"], ["down"]]) {
      expect(await clutch(home, args)).toEqual({
        code: 1,
        stdout: "",
        stderr: `clutch: ${lock} cannot be used as a lock (file is not a database): it holds nothing: remove it and try again\n`,
      });
    }
    rmSync(lock);
    expect((await clutch(home, ["up", "--detach"])).code).toBe(0);
  });
});

describe.skipIf(tmuxFile === null)("the tmux session", () => {
  let home: Home;
  beforeAll(() => {
    home = { path: "", gatewayPort: 0, dbPort: 0 };
  });

  test("has the mouse on, a long memory, a window for each service, and keeps the dead", async () => {
    home = newHome([]);
    await clutch(home, ["up"]);
    expect(tmux(home, "show-options", "-g", "mouse").trim()).toBe("mouse on");
    expect(tmux(home, "show-options", "-g", "history-limit").trim()).toBe("history-limit 50000");
    expect(tmux(home, "show-options", "-gw", "remain-on-exit").trim()).toBe("remain-on-exit on");
    expect(tmux(home, "list-windows", "-F", "#{window_name}").trim().split("\n")).toEqual([
      "supervisor",
      "gateway",
      "db",
    ]);
    expect(statSync(join(home.path, "state/chain.sock")).mode & 0o077).toBe(0);
    const seen = tmux(home, "show-environment", "-g");
    expect(seen).not.toContain("CLUTCH_HOME");
  }, 30_000);

  test("is found again when its socket was deleted", async () => {
    home = newHome([]);
    await clutch(home, ["up"]);
    const pids = record(home).runs.map(({ pid }) => pid);
    rmSync(join(home.path, "state/chain.sock"));
    const { code, stdout } = await clutch(home, ["up"]);
    expect([code, stdout]).toEqual([
      0,
      "the tmux socket had been deleted: it is back\ngateway      ready (was up)\ndb           ready (was up)\n",
    ]);
    expect(record(home).runs.map(({ pid }) => pid)).toEqual(pids);
    rmSync(join(home.path, "state/chain.sock"));
    expect((await clutch(home, ["down"])).stdout).toBe("db           stopped\ngateway      stopped\n");
    await nothingLeft(home, pids as number[]);
  }, 30_000);

  test("is shown at a terminal, scrolls with the mouse wheel, and stays when it is left", async () => {
    home = newHome(["--chatty=10"]);
    await clutch(home, ["up"]);
    const env = { PATH: process.env["PATH"] ?? "", HOME: home.path, CLUTCH_HOME: home.path, SHELL: "/bin/sh" };
    const shell = ["sh", "-c", `'${process.execPath}' '${entry}' attach db; echo "[left with $?]"; read -r _`];
    const terminal = startTerminal(shell, env, home.path);
    try {
      await terminal.shows(/clutch .*2:db\*.*leave: Ctrl-b d/);
      const newest = () =>
        Number(
          terminal
            .screen()
            .match(/still here at \d+/g)
            ?.at(-1)
            ?.slice(14),
        );
      await eventually("more than a screen of lines", () => (terminal.screen().match(/still here/g)?.length ?? 0) > 40);
      await Bun.sleep(500);
      // What a terminal sends for the wheel at column 10, row 10 (SGR mouse reporting).
      for (let turn = 0; turn < 3; turn++) terminal.type("\x1b[<64;10;10M");
      await terminal.shows(/\[\d+\/\d+\]/);
      // What is looked at stays while the service goes on.
      const [scrolledBack, atMs] = [newest(), Date.now()];
      await Bun.sleep(500);
      expect(newest()).toBe(scrolledBack);
      terminal.type("\x1b[<64;10;10M");
      await eventually("older lines", () => newest() < scrolledBack);
      for (let turn = 0; turn < 9; turn++) terminal.type("\x1b[<65;10;10M");
      await eventually("the newest lines again", () => newest() > atMs);
      expect(terminal.screen()).not.toMatch(/\[\d+\/\d+\]/);
      terminal.press("C-b");
      terminal.type("d");
      await terminal.shows(/\[left with 0\]/);
      expect(isAlive(pidOf(home, "db"))).toBe(true);
    } finally {
      terminal.stop();
    }
    const { code, stderr } = await clutch(home, ["attach"]);
    expect([code, stderr]).toEqual([1, "clutch: attach needs a terminal: clutch logs shows what the services said\n"]);
  }, 30_000);

  test("lets a service go on whose log cannot be written, and says so", async () => {
    home = newHome(["--chatty"]);
    mkdirSync(join(home.path, "state/logs"), { recursive: true });
    symlinkSync("/dev/full", join(home.path, "state/logs/db.log"));
    expect((await clutch(home, ["up"])).code).toBe(0);
    await eventually("the problem to be noted", () => record(home).logProblem !== undefined, 5_000);
    expect(record(home).logProblem).toContain("the output of db could not be written");
    expect(await answers(home.dbPort)).toBe(true);
  }, 30_000);
});
