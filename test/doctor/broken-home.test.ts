/** `clutch doctor` as a program, on a home in which much is wrong at once: each fault is found and named. */

import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Area, DoctorReport, Level } from "../../src/doctor/finding.ts";
import { circuitQueries } from "../../src/store/circuits.ts";
import { openStore } from "../../src/store/open.ts";
import { version } from "../../src/version.ts";
import { makeHome, startServe, writeConfig } from "../support/gateway.ts";
import { type Finished, runClutch } from "../support/run-clutch.ts";

const literalKey = "sk-planted-literal-0123456789";
const refusedKey = "sk-planted-refused-9876543210";
const goodKey = "sk-planted-good-5555555555";
const hour = 3_600_000;

interface Provider {
  port: number;
  stop(): void;
  /** The credentials that it was shown. */
  keys: string[];
}

/** Takes one key; its clock is an hour slow. */
function startProvider(): Provider {
  const keys: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const key = request.headers.get("authorization")?.replace("Bearer ", "") ?? "";
      keys.push(key);
      const headers = { date: new Date(Date.now() - hour).toUTCString() };
      if (key === goodKey || key === literalKey) return Response.json({ data: [] }, { headers });
      return Response.json({ error: { message: `Incorrect API key provided: ${key}.` } }, { status: 401, headers });
    },
  });
  return { port: server.port ?? 0, stop: () => void server.stop(true), keys };
}

function writeProgram(path: string, body: string): void {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
}

/** A server that is killed leaves its socket. */
function leaveSocket(path: string): void {
  const code = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  Bun.spawnSync([process.execPath, "-e", code], { timeout: 10_000 });
  expect(existsSync(path)).toBe(true);
}

function makeOld(path: string): void {
  const then = new Date(Date.now() - 3 * hour);
  utimesSync(path, then, then);
}

async function breakHome(home: string, provider: Provider, gatewayPort: number): Promise<void> {
  const state = join(home, "state");
  mkdirSync(join(state, "launches"), { recursive: true });
  const base_url = `http://127.0.0.1:${provider.port}/v1`;
  const config = {
    server: { port: gatewayPort },
    default_provider: "openrouter",
    providers: {
      good: { base_url, api_key: "env:GOOD_KEY" },
      literal: { base_url, api_key: literalKey },
      refusing: { base_url, api_keys: [refusedKey, "env:GOOD_KEY"] },
      gone: { base_url: "http://127.0.0.1:1/v1", api_key: literalKey },
      keyless: { base_url, api_key: "env:NOT_SET_ANYWHERE" },
      openrouter: { base_url, api_key: "env:GOOD_KEY" },
    },
    model_tiers: {
      BIG: { default: "nowhere:m", cascade: ["gone:m", "keyless:m", "refusing:m"] },
      MIDDLE: { default: "good:m" },
      SMALL: { default: "literal:m" },
    },
  };
  writeFileSync(join(home, "config.json"), JSON.stringify(config), { mode: 0o644 });
  const store = openStore(join(home, "clutch.db"));
  const now = Date.now();
  await circuitQueries(store.db).save(
    [
      {
        id: "account:openrouter",
        weight: 3,
        openings: 1,
        openedAt: now,
        until: now + 2 * hour,
        kind: "billing",
        reason: "the account has no credit left",
        isTold: true,
        updatedAt: now,
      },
    ],
    [],
  );
  store.close();
  chmodSync(join(home, "clutch.db"), 0o644);
  // Above every pid that Linux and macOS give.
  writeFileSync(join(home, "clutch.db-serve.pid"), "99999999\n", { mode: 0o600 });
  writeFileSync(join(state, "launch.key"), "planted-launch-secret", { mode: 0o644 });
  for (const name of ["launches/abc123.env", "agent-checks.json.99999999"]) {
    writeFileSync(join(state, name), "{}", { mode: 0o600 });
    makeOld(join(state, name));
  }
  leaveSocket(join(state, "chain.sock"));
  chmodSync(join(state, "launches"), 0o700);
  chmodSync(state, 0o755);
  mkdirSync(join(home, "cache"));
  const list = { url: "https://openrouter.ai/api/v1/models", checkedAt: now - 40 * 24 * hour, providers: {} };
  writeFileSync(join(home, "cache/models.json"), JSON.stringify({ schema: 1, lists: { openrouter: list } }));
  mkdirSync(join(home, ".hermes"));
  writeFileSync(join(home, ".hermes/.env"), "KILOCODE_BASE_URL=http://127.0.0.1:9/v1\n");
  mkdirSync(join(home, ".claude"));
  const redirected = { env: { ANTHROPIC_BASE_URL: "http://127.0.0.1:8787" } };
  writeFileSync(join(home, ".claude/settings.local.json"), JSON.stringify(redirected));
  const bin = join(home, "bin");
  writeProgram(join(bin, "rtk"), `[ "$1" = --version ] && { echo 0.5.21; exit 0; }\necho "Usage: rtk <release-type>"`);
  writeProgram(join(bin, "headroom"), `[ "$1" = --version ] && { echo "headroom 0.35.0"; exit 0; }\necho "  --port N"`);
  writeProgram(join(bin, "tmux"), `echo "tmux 2.9"`);
  writeProgram(
    join(bin, "claude"),
    `[ "$1" = --version ] && { echo "9.9.9"; exit 0; }\necho "  --model <model>  a model"`,
  );
}

interface Fault {
  name: string;
  area: Area;
  level: Level;
  text: RegExp;
  mended: boolean;
}

const faults = (
  [
    ["a config with a key in it that others can read", "files", "warn", /read .*config\.json \(mode 644\)/, true],
    ["a state folder that others can look into", "files", "warn", /look into .*\/state \(mode 755\)/, true],
    ["a secret that others can read", "files", "warn", /read .*launch\.key \(mode 644\)/, true],
    ["a ledger that others can read", "files", "warn", /read .*clutch\.db \(mode 644\)/, true],
    [
      "the pid of a gateway that is gone",
      "files",
      "warn",
      /the last gateway \(pid 99999999\) did not come to its end/,
      false,
    ],
    ["an environment that waits for nobody", "files", "warn", /abc123\.env holds the environment of a launch/, true],
    ["a file that was left half written", "files", "warn", /agent-checks\.json\.99999999 was left half written/, true],
    ["the socket of a dead tmux", "files", "warn", /chain\.sock is the socket of a tmux that is gone/, true],
    [
      "a tier of a provider that there is none of",
      "config",
      "fail",
      /BIG\.default names nowhere:m.*no provider nowhere/,
      false,
    ],
    ["a key that is refused", "providers", "fail", /^refusing key #1 refuses its key \(HTTP 401: Incorrect/, false],
    [
      "a provider that nobody can reach",
      "providers",
      "fail",
      /^gone is not to be reached at .*connection refused/,
      false,
    ],
    ["a key that is not set", "providers", "fail", /^keyless has no key, and BIG's cascade is asked of it/, false],
    ["a clock that is off", "clock", "fail", /clock is 60 min ahead/, false],
    ["an open breaker", "breakers", "warn", /OpenRouter.*out of order.*no credit left, back/i, false],
    ["prices of long ago", "prices", "warn", /OpenRouter's list is 40 days old/, false],
    ["a port that another process holds", "ports", "fail", /bun.* \(pid \d+\) holds port \d+ and is no gateway/, false],
    ["another tool called rtk", "rtk", "fail", /is another tool of that name/, false],
    ["a Headroom that empties streams", "headroom", "fail", /version 0\.35\.0 answers streams with nothing/, false],
    ["a tmux of old", "tmux", "warn", /2\.9 .*older than 3\.2/, false],
    ["an agent that has lost its flags", "agents", "warn", /Claude Code 9\.9\.9 no longer has .*--/, false],
    ["Hermes led elsewhere", "leftovers", "warn", /\.hermes\/\.env sets KILOCODE_BASE_URL: Hermes follows/, false],
    ["Claude Code led elsewhere", "leftovers", "warn", /settings\.local\.json sets ANTHROPIC_BASE_URL: Claude/, false],
    ["a shell that leads agents elsewhere", "leftovers", "warn", /^OPENAI_BASE_URL is set here to http/, false],
  ] satisfies [string, Area, Level, RegExp, boolean][]
).map(([name, area, level, text, mended]): Fault => ({ name, area, level, text, mended }));

describe("a home in which much is wrong", () => {
  const home = makeHome();
  const provider = startProvider();
  const stranger = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("a printer") });
  const runs: Finished[] = [];
  const env = {
    PATH: `${join(home, "bin")}:/usr/bin:/bin`,
    GOOD_KEY: goodKey,
    OPENAI_BASE_URL: "http://user:hunter2@127.0.0.1:9/v1?key=hunter2",
  };
  const run = async (...args: string[]): Promise<Finished> => {
    const finished = await runClutch(home, ["doctor", ...args], env);
    runs.push(finished);
    return finished;
  };
  const look = async (...args: string[]): Promise<DoctorReport> => JSON.parse((await run("--json", ...args)).stdout);
  let before: DoctorReport;
  let mended: DoctorReport;
  let after: DoctorReport;

  beforeAll(async () => {
    await breakHome(home, provider, stranger.port ?? 0);
    before = await look();
    mended = await look("--fix");
    after = await look();
  }, 60_000);

  afterAll(() => {
    provider.stop();
    void stranger.stop(true);
    rmSync(home, { recursive: true });
  });

  const named = (report: DoctorReport, { area, text }: Fault) =>
    report.checks.filter((check) => check.area === area && text.test(check.text));

  test.each(faults)("$name is found, and named once, with its fix", (fault) => {
    const found = named(before, fault);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({
      level: fault.level,
      can_fix: fault.mended,
      fixed: null,
      fix: expect.stringMatching(/\S/),
    });
  });

  test("nothing else is wrong with it", () => {
    const others = before.checks.filter(
      (check) => check.level !== "ok" && !faults.some((fault) => named(before, fault).includes(check)),
    );
    expect(others).toEqual([]);
    const count = (level: Level) => faults.filter((fault) => fault.level === level).length;
    expect(before).toMatchObject({ healthy: false, faults: count("fail"), warnings: count("warn") });
    expect(runs[0]?.code).toBe(3);
  });

  test.each(faults.filter((fault) => fault.mended))("--fix mends $name, and says so", (fault) => {
    const done = named(mended, fault);
    expect(done).toHaveLength(1);
    expect(done[0]).toMatchObject({ level: "ok", fixed: expect.stringMatching(/^(chmod|removed) /) });
    expect(named(after, fault)).toEqual([]);
  });

  test.each(faults.filter((fault) => !fault.mended))("--fix leaves $name to its owner", (fault) => {
    expect(named(mended, fault)).toMatchObject([{ fixed: null }]);
    expect(named(after, fault)).toHaveLength(1);
  });

  test("--fix leaves what it mended as it should be, and everything else as it was", () => {
    const mode = (name: string) => (statSync(join(home, name)).mode & 0o777).toString(8);
    expect([mode("config.json"), mode("state"), mode("state/launch.key"), mode("clutch.db")]).toEqual([
      "600",
      "700",
      "600",
      "600",
    ]);
    // By it the next gateway knows that it has to look at the ledger.
    expect(existsSync(join(home, "clutch.db-serve.pid"))).toBe(true);
    for (const name of ["state/launches/abc123.env", "state/chain.sock"]) {
      expect([name, existsSync(join(home, name))]).toEqual([name, false]);
    }
    expect(readFileSync(join(home, "state/launch.key"), "utf8")).toBe("planted-launch-secret");
    const db = new Database(join(home, "clutch.db"), { readonly: true });
    expect(db.query("SELECT count(*) AS n FROM circuits").get()).toEqual({ n: 1 });
    db.close();
  });

  test("for people it is a line each, with the way out below it", async () => {
    const { stdout, code } = await run();
    expect(code).toBe(3);
    expect(stdout).toMatch(/^fail {2}config +model_tiers\.BIG\.default names nowhere:m.*\n +-> correct the name/m);
    expect(stdout).toMatch(/\n\n\d+ faults, \d+ warnings\n$/);
  });

  test("each key was tried once a look, at the list of models alone, and none is ever shown", () => {
    expect(provider.keys.filter((key) => key === refusedKey)).toHaveLength(runs.length);
    for (const { stdout, stderr } of runs) {
      for (const secret of [literalKey, refusedKey, goodKey, "hunter2", "planted-launch-secret"]) {
        expect(stdout + stderr).not.toContain(secret);
      }
    }
  });
});

describe("a config that cannot be read", () => {
  test("has each of its mistakes told with its place", async () => {
    const home = makeHome();
    const text = '{\n  "server": { "prot": 1 },\n  "breaker": { "failures": "many" },\n  "fallbacks": []\n}\n';
    writeFileSync(join(home, "config.json"), text, { mode: 0o600 });
    const { stdout, code } = await runClutch(home, ["doctor", "--json"], { CLUTCH_PORT: "1" });
    const { checks } = JSON.parse(stdout) as DoctorReport;
    const faults = checks.filter(({ area, level }) => area === "config" && level === "fail");
    expect([code, faults.map((fault) => fault.text)]).toEqual([
      3,
      [expect.stringMatching(/config\.json:2:\d+: .*prot/), expect.stringMatching(/config\.json:3:\d+: .*many/)],
    ]);
    expect(faults[0]?.fix).toContain("port");
    rmSync(home, { recursive: true });
  });

  test("is one fault, with its place, and hides nothing else", async () => {
    const home = makeHome();
    writeFileSync(join(home, "config.json"), '{\n  "server": { "port": 1\n', { mode: 0o600 });
    mkdirSync(join(home, "state"), { mode: 0o755 });
    chmodSync(join(home, "state"), 0o755);
    const { stdout, code } = await runClutch(home, ["doctor", "--json"], { CLUTCH_PORT: "1" });
    const { checks } = JSON.parse(stdout) as DoctorReport;
    expect(code).toBe(3);
    expect(checks[0]).toMatchObject({ area: "config", level: "fail", text: expect.stringMatching(/config\.json:3:1/) });
    expect(checks.filter(({ area }) => area === "files")).toMatchObject([{ level: "warn", can_fix: true }]);
    rmSync(home, { recursive: true });
  });
});

test("a ledger that a gateway has put aside is told of", async () => {
  const home = makeHome();
  openStore(join(home, "clutch.db")).close();
  for (const end of ["", "-wal"]) {
    writeFileSync(join(home, `clutch.db.broken-2026-11-20T12-00-00${end}`), "", { mode: 0o600 });
  }
  const { stdout } = await runClutch(home, ["doctor", "--json"], { CLUTCH_PORT: "1" });
  const { checks } = JSON.parse(stdout) as DoctorReport;
  expect(checks.filter(({ area }) => area === "database")).toMatchObject([
    { level: "ok" },
    { level: "warn", text: expect.stringMatching(/put aside: .*clutch\.db\.broken-2026-11-20T12-00-00$/) },
  ]);
  rmSync(home, { recursive: true });
});

describe("a ledger that is none", () => {
  test.each([
    [
      "no database at all",
      (path: string) => writeFileSync(path, "this is no database, whatever its name says".repeat(99)),
    ],
    [
      "one whose middle is gone",
      (path: string) => {
        openStore(path).close();
        const bytes = readFileSync(path);
        bytes.fill(0x5a, 4096, 4096 * 6);
        writeFileSync(path, bytes);
      },
    ],
    [
      "one of a newer Clutch",
      (path: string) => {
        openStore(path).close();
        const db = new Database(path);
        db.run("INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('', 9999999999999)");
        db.close();
      },
    ],
  ])("%s is a fault", async (_name, make) => {
    const home = makeHome();
    make(join(home, "clutch.db"));
    chmodSync(join(home, "clutch.db"), 0o600);
    const { stdout, code } = await runClutch(home, ["doctor", "--json"], { CLUTCH_PORT: "1" });
    const { checks } = JSON.parse(stdout) as DoctorReport;
    expect([code, checks.find(({ area }) => area === "database")]).toMatchObject([
      3,
      { level: "fail", can_fix: false },
    ]);
    rmSync(home, { recursive: true });
  });
});

test("a home where all is well has status 0", async () => {
  const home = makeHome();
  const provider = startProvider();
  const headers = { date: new Date().toUTCString() };
  const good = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json({ data: [] }, { headers }) });
  const config = {
    server: { port: 1 },
    default_provider: "good",
    providers: { good: { base_url: `http://127.0.0.1:${good.port}/v1`, api_key: "env:GOOD_KEY" } },
    model_tiers: { BIG: { default: "good:m" } },
  };
  writeFileSync(join(home, "config.json"), JSON.stringify(config), { mode: 0o600 });
  writeProgram(join(home, "bin/ante"), `[ "$1" = --version ] && { echo "1.0"; exit 0; }\nexit 0`);
  const { stdout, code } = await runClutch(home, ["doctor", "--json"], { GOOD_KEY: goodKey, PATH: "/usr/bin:/bin" });
  const { checks, faults: count } = JSON.parse(stdout) as DoctorReport;
  expect([code, count, checks.filter(({ level }) => level === "fail")]).toEqual([0, 0, []]);
  provider.stop();
  await good.stop(true);
  rmSync(home, { recursive: true });
});

test("a gateway is known by its home: its own is well, another's is in the way", async () => {
  const home = makeHome();
  const other = makeHome();
  writeConfig(home, { server: { port: 0 } });
  const serving = await startServe({ home });
  const port = { CLUTCH_PORT: new URL(serving.url).port };
  const look = async (place: string) => {
    const { checks } = JSON.parse((await runClutch(place, ["doctor", "--json"], port)).stdout) as DoctorReport;
    return checks.filter(({ area }) => area === "gateway" || area === "ports");
  };
  try {
    expect(await look(home)).toMatchObject([
      { area: "gateway", level: "ok", text: `version ${version} serves on ${serving.url}` },
    ]);
    expect(await look(other)).toMatchObject([
      { area: "ports", level: "fail", text: expect.stringContaining("is another home's") },
    ]);
  } finally {
    serving.kill("SIGTERM");
    await serving.exited;
    for (const place of [home, other]) rmSync(place, { recursive: true });
  }
});

test.each([
  [["claude"], 'clutch doctor looks at everything, not at "claude" alone'],
  [["--fix", "--rtk"], "--fix mends what clutch doctor finds by itself"],
])("%p is wrong use", async (args, message) => {
  const home = makeHome();
  const { code, stderr } = await runClutch(home, ["doctor", ...args]);
  expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  rmSync(home, { recursive: true });
});
