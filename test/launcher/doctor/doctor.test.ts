import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { agents } from "../../../launcher/agents.ts";
import type { RouteCheck } from "../../../launcher/doctor/agent-check.ts";
import { probeRoute } from "../../../launcher/doctor/probe.ts";
import { findAgentCheck, mergeChecks, readAgentChecks } from "../../../launcher/doctor/results.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-doctor-test-"));
const bin = join(root, "bin");
const temp = join(root, "tmp");
const stateHome = join(root, "clutch");
const log = join(root, "agent.log");
const program = join(bin, "claude");
const clutch = join(import.meta.dir, "../../../src/main.ts");

beforeAll(() => {
  for (const folder of [bin, temp]) mkdirSync(folder, { recursive: true });
  const fake = join(import.meta.dir, "fake-agent.ts");
  writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${fake}" "$@"\n`);
  chmodSync(program, 0o755);
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

beforeEach(() => {
  rmSync(log, { force: true });
  rmSync(stateHome, { recursive: true, force: true });
});

function buildEnv(behaviour: string): Record<string, string> {
  return {
    PATH: `${bin}:/usr/bin:/bin`,
    HOME: join(root, "home"),
    TMPDIR: temp,
    CLUTCH_HOME: stateHome,
    FAKE_BEHAVIOUR: behaviour,
    FAKE_LOG: log,
  };
}

function start(args: string[], behaviour: string) {
  return Bun.spawn([process.execPath, clutch, "doctor", ...args], {
    cwd: root,
    env: buildEnv(behaviour),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function run(args: string[], behaviour = "well"): Promise<{ status: number; stdout: string; stderr: string }> {
  const child = start(args, behaviour);
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { status, stdout, stderr };
}

const well: RouteCheck = {
  route: "p",
  verdict: "ok",
  destination: "canary",
  protocol: "messages",
  model: "claude-opus-5-5",
  key: "launch token",
  calls: 1,
  extra_calls: 0,
  extras: [],
  elsewhere: [],
  tool_dialect: "plain",
  duration_ms: expect.any(Number),
  fix: null,
};

/** Processes of the fake agent that are still there. */
function survivors(): string[] {
  const started = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
  return started.filter((line) => {
    try {
      process.kill(Number(line.split(" ")[0]), 0);
      return true;
    } catch {
      return false;
    }
  });
}

describe("clutch doctor --agents", () => {
  test("tells and keeps what it found, and leaves nothing else", async () => {
    const { status, stdout, stderr } = await run(["--agents", "--json", "claude"]);
    const routes = [well, { ...well, route: "b" as const }];
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual({
      agents: [{ agent: "c", name: "Claude Code", version: "9.8.7", path: program, shows: "anywhere", routes }],
    });

    const kept = readAgentChecks(join(stateHome, "state"));
    const checked_at = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/);
    expect(kept).toEqual([{ agent: "c", path: program, version: "9.8.7", checked_at, routes }] as never);
    expect(findAgentCheck(kept, { agent: "c", path: program, version: "9.8.7" })).toBe(kept[0]);
    expect(findAgentCheck(kept, { agent: "c", path: program, version: "9.9.0" })).toBeUndefined();
    expect(statSync(join(stateHome, "state/agent-checks.json")).mode & 0o777).toBe(0o600);
    expect(readdirSync(temp)).toEqual([]);
    const folders = readFileSync(log, "utf8").trim().split("\n");
    expect(folders).toHaveLength(2);
  });

  test("shows people a table, absent agents included", async () => {
    const { status, stdout } = await run(["--agents", "claude", "agy"]);
    expect(status).toBe(0);
    expect(stdout).toBe(`\
agent        version  route  destination  protocol  model            key           calls  tools  verdict
Claude Code  9.8.7    p      canary       messages  claude-opus-5-5  launch token  1      plain  ok
                      b      canary       messages  claude-opus-5-5  launch token  1      plain  ok
Antigravity  -        p      -            -         -                -             -      -      not-installed
                      b      -            -         -                -             -      -      not-installed

Antigravity p+b: agy is not on PATH: install it with ${agents.g.install}
`);
  });

  test("ends with 3 when something is wrong, and says what", async () => {
    const { status, stdout } = await run(["--agents", "c"], "own key");
    expect(status).toBe(3);
    expect(stdout).toContain("launch token + own x-api-key sk-an…");
    expect(stdout).toContain(
      "Claude Code p: Claude Code sent a key of yours (x-api-key sk-an…) in place of the launch's",
    );
    expect(stdout + readFileSync(join(stateHome, "state/agent-checks.json"), "utf8")).not.toContain("abcdefgh");
  });

  test.each([
    [["--agents", "foo"], 'there is no agent "foo"'],
    [
      ["claude"],
      'clutch doctor looks at everything, not at "claude" alone: clutch doctor --agents claude launches agents',
    ],
  ])("wrong use: doctor %j", async (args, message) => {
    const { status, stdout, stderr } = await run(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  test("Ctrl-C ends the agents, also one that ignores it, and leaves nothing", async () => {
    const child = start(["--agents", "--json", "claude"], "hangs");
    for (let waits = 0; !existsSync(log) && waits < 500; waits++) await Bun.sleep(20);
    expect(survivors()).toHaveLength(1);
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect(await new Response(child.stdout).text()).toBe("");
    expect(survivors()).toEqual([]);
    expect(readdirSync(temp)).toEqual([]);
    expect(readAgentChecks(join(stateHome, "state"))).toEqual([]);
  }, 20_000);
});

describe("probeRoute() tells the truth of an agent that", () => {
  const probe = (behaviour: string, limitMs = 10_000) =>
    probeRoute({
      installed: { version: undefined, flags: {} },
      letter: "c",
      row: agents.c,
      route: "p",
      file: program,
      env: buildEnv(behaviour),
      limitMs,
      signal: new AbortController().signal,
    });
  const unseen = { destination: null, protocol: null, model: null, key: null, calls: 0, tool_dialect: null };

  test("does as it should", async () => expect(await probe("well")).toEqual(well));

  test("talks to its vendor", async () => {
    expect(await probe("vendor")).toEqual({
      ...well,
      ...unseen,
      verdict: "wrong-destination",
      destination: "api.anthropic.com",
      fix: "Claude Code still talks to api.anthropic.com; no file that Clutch knows explains it: compare xx cnp -n with Claude Code's own settings",
    });
  });

  test.skipIf(process.platform !== "linux")("talks to another server of this machine", async () => {
    const check = await probe("this machine");
    expect({ verdict: check.verdict, destination: check.destination }).toEqual({
      verdict: "wrong-destination",
      destination: "127.0.0.1:9",
    });
  });

  test("asks nobody", async () => {
    expect(await probe("silent")).toEqual({
      ...well,
      ...unseen,
      verdict: "nothing-seen",
      fix: "nothing seen (a call to another server would have shown); Claude Code failed with status 4 and said: Error: not logged in with sk-ant…",
    });
  });

  test("does not know the option that keeps sessions out of its lists", async () =>
    expect(await probe("old version")).toEqual(well));

  test("leaves a process behind, which goes with it", async () => {
    expect(await probe("leaves a child")).toEqual(well);
    expect(readFileSync(log, "utf8").trim().split("\n")).toHaveLength(2);
    expect(survivors()).toEqual([]);
  }, 20_000);

  test("does not end", async () => {
    const check = await probe("hangs", 1000);
    expect(check.verdict).toBe("nothing-seen");
    expect(check.fix).toContain("Claude Code did not end within 1 s and printed nothing");
    expect(survivors()).toEqual([]);
  }, 20_000);

  test("cannot be sent through the gateway", async () => {
    const check = await probeRoute({
      installed: { version: undefined, flags: {} },
      letter: "g",
      row: agents.g,
      route: "p",
      file: program,
      env: buildEnv("well"),
      limitMs: 1000,
      signal: new AbortController().signal,
    });
    expect({ verdict: check.verdict, fix: check.fix }).toEqual({
      verdict: "refused",
      fix: "Antigravity cannot be sent through a gateway for one launch alone: xx gnd starts it without",
    });
    expect(existsSync(log)).toBe(false);
  });
});

test("mergeChecks() replaces the same program's and keeps ten versions of an agent", () => {
  const check = (version: string, checked_at = "") =>
    ({ agent: "c", path: "/bin/claude", version, checked_at, routes: [] }) as const;
  const many = Array.from({ length: 12 }, (_, at) => ({ ...check(`1.${at}`), routes: [] }));
  expect(
    mergeChecks(many, [{ ...check("1.3", "new"), routes: [] }]).map(({ version, checked_at }) => version + checked_at),
  ).toEqual(["1.3new", "1.0", "1.1", "1.2", "1.4", "1.5", "1.6", "1.7", "1.8", "1.9"]);
});

test("readAgentChecks() makes nothing of a broken file", () => {
  const folder = join(root, "broken");
  mkdirSync(folder);
  expect(readAgentChecks(folder)).toEqual([]);
  for (const text of ["", "[]", "null", '{"checks":[1,null,{"agent":"z","path":"","checked_at":"","routes":[]}]}']) {
    writeFileSync(join(folder, "agent-checks.json"), text);
    expect(readAgentChecks(folder)).toEqual([]);
  }
});
