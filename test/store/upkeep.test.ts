/** `clutch db`, and what it rests on: copies under load, restoring, checking, deleting what is old. */

import { Database } from "bun:sqlite";
import { afterAll, describe, expect, test } from "bun:test";
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
import { newestMigrationMs } from "../../src/store/migrate.ts";
import { openStore } from "../../src/store/open.ts";
import { requestQueries } from "../../src/store/requests.ts";
import type { RequestRow } from "../../src/store/schema.ts";
import { pruneSlice } from "../../src/store/upkeep.ts";
import { runClutch } from "../support/run-clutch.ts";

const folder = mkdtempSync(join(tmpdir(), "clutch-upkeep-"));
afterAll(() => rmSync(folder, { recursive: true }));

const dayMs = 86_400_000;
const now = Date.now();
let homes = 0;

function makeHome(): { home: string; database: string } {
  const home = join(folder, `home-${homes++}`);
  mkdirSync(home);
  return { home, database: join(home, "clutch.db") };
}

let count = 0;
const rowOf = (daysAgo: number, changes: Partial<RequestRow> = {}): RequestRow => {
  const startedAt = now - daysAgo * dayMs;
  return {
    id: startedAt.toString(36) + (count++).toString(36).padStart(6, "0"),
    startedAt,
    status: "completed",
    protocol: "chat",
    streamed: false,
    modelRequested: "m",
    attempts: 1,
    session: `s${daysAgo}`,
    servedBy: "p:m",
    inputTokens: 10,
    outputTokens: 2,
    costUsd: 0.5,
    error: "x".repeat(300),
    ...changes,
  };
};

async function fill(database: string, rows: readonly RequestRow[]): Promise<void> {
  const store = openStore(database);
  const attempts = rows.map(({ id, startedAt }) => ({
    requestId: id,
    number: 1,
    provider: "p",
    model: "m",
    protocol: "chat" as const,
    startedAt,
    durationMs: 1,
  }));
  await requestQueries(store.db).save(rows, attempts);
  store.close();
}

function look(path: string, sql: string): unknown[][] {
  const client = new Database(path);
  try {
    return client.query(sql).values();
  } finally {
    client.close();
  }
}

const counts = (path: string) => {
  const of = (table: string) => look(path, `SELECT count(*) FROM ${table}`)[0]?.[0];
  return ["requests", "attempts", "session_days", "usage_days"].map(of);
};

describe("pruning", () => {
  test("takes what is too old, a slice at a time; sums by day and what is under way stay", async () => {
    const { database } = makeHome();
    const old = Array.from({ length: 500 }, () => rowOf(91));
    await fill(database, [...old, rowOf(95, { status: "pending", servedBy: null }), rowOf(89), rowOf(0)]);
    const store = openStore(database);
    const slices: number[] = [];
    while (slices.at(-1) !== 0) slices.push(pruneSlice(store.db.$client, now - 90 * dayMs));
    store.close();
    expect(slices.length).toBe(12);
    expect(Math.max(...slices)).toBeLessThan(200);
    expect(counts(database)).toEqual([3, 2, 2, 3]);
    expect(look(database, "SELECT sum(requests), sum(cost_usd) FROM usage_days")).toEqual([[502, 251]]);
  });

  test("by hand gives the space back, beside a gateway that writes", async () => {
    const { home, database } = makeHome();
    await fill(
      database,
      Array.from({ length: 4000 }, (_, at) => rowOf(at < 3500 ? 40 : 1)),
    );
    const before = statSync(database).size;
    const serving = openStore(database);
    const { stdout, stderr, code } = await runClutch(home, ["db", "prune", "--older-than", "30d", "--json"]);
    expect([code, stderr]).toEqual([0, ""]);
    await requestQueries(serving.db).save([rowOf(0)], []);
    serving.close();
    const { rows, older_than_days } = JSON.parse(stdout);
    expect([rows, older_than_days]).toEqual([7001, 30]);
    expect(counts(database)).toEqual([501, 500, 2, 3]);
    expect(statSync(database).size).toBeLessThan(before / 2);
  });

  test("a ledger of a first version, which gives no space back by itself, is rebuilt", async () => {
    const { home, database } = makeHome();
    const client = new Database(database, { create: true });
    client.run("CREATE TABLE first (a)");
    client.close();
    await fill(
      database,
      Array.from({ length: 3000 }, () => rowOf(40)),
    );
    expect(look(database, "PRAGMA auto_vacuum")).toEqual([[0]]);
    const before = statSync(database).size;
    expect((await runClutch(home, ["db", "prune", "--older-than", "30"])).code).toBe(0);
    expect(look(database, "PRAGMA auto_vacuum")).toEqual([[2]]);
    expect(statSync(database).size).toBeLessThan(before / 4);
  });

  test("says how old, or goes by the config", async () => {
    const { home, database } = makeHome();
    await fill(database, [rowOf(91), rowOf(89)]);
    expect((await runClutch(home, ["db", "prune", "--older-than", "a while"])).stderr).toContain(
      "is no number of days",
    );
    await runClutch(home, ["db", "prune"]);
    expect(counts(database)[0]).toBe(1);
    writeFileSync(join(home, "config.json"), JSON.stringify({ ledger: { retention_days: 0 } }));
    expect((await runClutch(home, ["db", "prune"])).code).toBe(2);
  });
});

describe("a backup", () => {
  test("taken while rows are written is whole, by sqlite3's own word", async () => {
    const { home, database } = makeHome();
    const script = `
      import { openStore } from "./src/store/open.ts";
      import { requestQueries } from "./src/store/requests.ts";
      const store = openStore(process.argv[1]);
      const queries = requestQueries(store.db);
      const at = Date.now();
      for (let batch = 0; ; batch++) {
        const rows = Array.from({ length: 50 }, (_, row) => ({
          id: at.toString(36) + (batch * 50 + row).toString(36).padStart(6, "0"), startedAt: at, status: "completed",
          protocol: "chat", streamed: false, modelRequested: "m", attempts: 1, session: "s", servedBy: "p:m",
          inputTokens: 1, outputTokens: 1, costUsd: 0.25, error: "x".repeat(300),
        }));
        await queries.save(rows, []);
        if (batch === 20) console.log("writing");
        await Bun.sleep(1);
      }
    `;
    const writer = Bun.spawn([process.execPath, "-e", script, database], {
      cwd: join(import.meta.dir, "../.."),
      stdout: "pipe",
      stderr: "inherit",
    });
    try {
      await writer.stdout.getReader().read();
      for (const name of ["one.db", "two.db"]) {
        const target = join(home, name);
        const { stdout, stderr, code } = await runClutch(home, ["db", "backup", target, "--json"]);
        expect([stderr, code]).toEqual(["", 0]);
        expect(JSON.parse(stdout)).toEqual({ backup: target });
        expect((statSync(target).mode & 0o777).toString(8)).toBe("600");
        const [[requests, cost] = []] = look(target, "SELECT count(*), sum(cost_usd) FROM requests");
        expect(Number(requests)).toBeGreaterThan(1000);
        expect(Number(requests) % 50).toBe(0);
        expect(look(target, "SELECT requests, cost_usd FROM usage_days")).toEqual([[requests, cost]]);
        expect(sqlite3(target, "PRAGMA integrity_check")).toBe("ok");
      }
    } finally {
      writer.kill("SIGKILL");
      await writer.exited;
    }
  });

  /** Another reader than the one that wrote it. */
  function sqlite3(path: string, sql: string): string {
    const program = Bun.which("sqlite3");
    if (program === null) {
      if (process.env["CI"] === "true")
        throw new Error("sqlite3 is not on the PATH: install Debian's package of that name");
      console.log("sqlite3 is not on the PATH: the backup was looked into by Bun's SQLite alone");
      return String(look(path, sql)[0]?.[0]);
    }
    return Bun.spawnSync([program, "-readonly", path, sql]).stdout.toString().trim();
  }

  test("has a name of its own, and replaces nothing", async () => {
    const { home, database } = makeHome();
    await fill(database, [rowOf(0)]);
    const { stdout } = await runClutch(home, ["db", "backup"]);
    expect(stdout).toMatch(/the ledger as it is now stands in .*\/clutch-backup-\d{4}-.*\.db\n/);
    writeFileSync(join(home, "mine"), "precious");
    const { stderr, code } = await runClutch(home, ["db", "backup", "mine"]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("it is there already")]);
    expect(readFileSync(join(home, "mine"), "utf8")).toBe("precious");
    expect((await runClutch(makeHome().home, ["db", "backup"])).stderr).toContain("there is no ledger yet");
  });
});

describe("restoring", () => {
  async function prepare() {
    const { home, database } = makeHome();
    await fill(database, [rowOf(1), rowOf(0)]);
    const backup = join(home, "backup.db");
    await runClutch(home, ["db", "backup", backup]);
    await fill(database, [rowOf(0)]);
    return { home, database, backup };
  }

  test("puts the backup in the ledger's place and keeps what was there", async () => {
    const { home, database, backup } = await prepare();
    const { stdout, stderr, code } = await runClutch(home, ["db", "restore", backup, "--json"]);
    expect([stderr, code]).toEqual(["", 0]);
    const { before } = JSON.parse(stdout);
    expect(before).toStartWith(`${database}.before-restore-`);
    expect([counts(database)[0], counts(before)[0], counts(backup)[0]]).toEqual([2, 3, 2]);
    expect((statSync(database).mode & 0o777).toString(8)).toBe("600");
    openStore(database).close();
    expect(readdirSync(home).filter((name) => name.includes("restoring"))).toEqual([]);
  });

  test("leaves keys as they are: what was revoked since opens nothing again", async () => {
    const { home, database, backup } = await prepare();
    const insert = (path: string, id: string, revoked: number | null) =>
      look(
        path,
        `INSERT INTO keys (id, name, hash, created_at, revoked_at) VALUES ('${id}', '${id}', '00', 1, ${revoked})`,
      );
    insert(backup, "revoked", null);
    insert(backup, "gone", null);
    insert(database, "revoked", 5);
    insert(database, "new", null);
    const { stderr, code } = await runClutch(home, ["db", "restore", backup]);
    expect([stderr, code]).toEqual(["", 0]);
    expect(look(database, "SELECT id, revoked_at FROM keys ORDER BY id")).toEqual([
      ["gone", null],
      ["new", null],
      ["revoked", 5],
    ]);
    // One that cannot be read has none.
    writeFileSync(database, "text ".repeat(2000));
    expect((await runClutch(home, ["db", "restore", backup])).code).toBe(0);
    expect(look(database, "SELECT id FROM keys ORDER BY id")).toEqual([["gone"], ["revoked"]]);
  });

  test("shows nothing of it to others meanwhile, whatever the backup's mode", async () => {
    const { home, database, backup } = await prepare();
    look(
      backup,
      "INSERT INTO captures (request_id, created_at, protocol, query, headers, request_bytes, response_bytes, request) VALUES ('a', 1, 'chat', '', '{}', 0, 0, randomblob(60000000))",
    );
    chmodSync(backup, 0o644);
    let isDone = false;
    const restored = runClutch(home, ["db", "restore", backup]).finally(() => {
      isDone = true;
    });
    const open = new Set<string>();
    while (!isDone) {
      for (const name of readdirSync(home).filter((entry) => entry.startsWith("clutch.db.restoring"))) {
        const facts = statSync(join(home, name), { throwIfNoEntry: false });
        if (facts !== undefined && (facts.mode & 0o077) !== 0) open.add(name);
      }
      await Bun.sleep(1);
    }
    const { stderr, code } = await restored;
    expect([stderr, code, [...open]]).toEqual(["", 0, []]);
    expect((statSync(database).mode & 0o777).toString(8)).toBe("600");
  });

  test("into a home that has no ledger", async () => {
    const { backup } = await prepare();
    const { home, database } = makeHome();
    rmSync(home, { recursive: true });
    mkdirSync(home);
    expect((await runClutch(home, ["db", "restore", backup])).code).toBe(0);
    expect(counts(database)[0]).toBe(2);
  });

  test("beside the write-ahead log of a ledger that somebody has deleted: nothing of it gets into the restored one", async () => {
    const { home, database, backup } = await prepare();
    const store = openStore(database);
    await requestQueries(store.db).save(
      Array.from({ length: 300 }, () => rowOf(0)),
      [],
    );
    const log = readFileSync(`${database}-wal`);
    store.close();
    rmSync(database);
    writeFileSync(`${database}-wal`, log);
    expect((await runClutch(home, ["db", "restore", backup])).code).toBe(0);
    const restored = openStore(database);
    const whole = restored.db.$client.query("PRAGMA integrity_check").values();
    expect([restored.movedAside, whole]).toEqual([undefined, [["ok"]]]);
    restored.close();
    expect(counts(database)[0]).toBe(2);
    // It may be all that is left of the other one.
    const kept = readdirSync(home).filter((name) => /before-restore.*-wal$/.test(name));
    expect(kept.map((name) => readFileSync(join(home, name)).equals(log))).toEqual([true]);
  });

  test("is refused while a gateway serves", async () => {
    const { home, database, backup } = await prepare();
    const store = openStore(database);
    const { stderr, code } = await runClutch(home, ["db", "restore", backup]);
    store.close();
    expect([code, stderr]).toEqual([1, expect.stringContaining("another clutch serve")]);
    expect(counts(database)[0]).toBe(3);
  });

  test.each<[string, (path: string) => void, string]>([
    ["that is no database", (path) => writeFileSync(path, "text ".repeat(2000)), "file is not a database"],
    ["that is broken", (path) => writeFileSync(path, readFileSync(path).fill(0x5a, 8192, 16_384)), "cannot restore"],
    [
      "of something else",
      (path) => {
        rmSync(path);
        look(path, "CREATE TABLE a (b)");
      },
      "it holds no ledger",
    ],
    [
      "of a newer version",
      (path) =>
        look(path, `INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('x', ${newestMigrationMs + 1})`),
      "it was made by a newer Clutch",
    ],
    ["that is not there", (path) => rmSync(path), "there is no file"],
  ])("a file %s changes nothing", async (_, spoil, words) => {
    const { home, database, backup } = await prepare();
    spoil(backup);
    const { stderr, code } = await runClutch(home, ["db", "restore", backup]);
    expect([code, stderr]).toEqual([1, expect.stringContaining(words)]);
    expect(counts(database)[0]).toBe(3);
    expect(readdirSync(home).filter((name) => /restor/.test(name))).toEqual([]);
  });
});

describe("clutch db check", () => {
  test("says that all is well, beside a gateway too", async () => {
    const { home, database } = makeHome();
    await fill(database, [rowOf(3), rowOf(1), rowOf(0), rowOf(0, { status: "pending" })]);
    const store = openStore(database);
    const { stdout, code } = await runClutch(home, ["db", "check", "--json"]);
    store.close();
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ path: database, requests: 4, pending: 1, problems: [] });
    expect((await runClutch(home, ["db", "check"])).stdout).toContain("\nok");
  });

  test("finds a cost that the sums do not have, of a left answer too", async () => {
    const { home, database } = makeHome();
    const rows = Array.from({ length: 300 }, (_, at) => rowOf(at % 3, { costUsd: 0.1 + at / 7e5 }));
    await fill(database, rows);
    const check = async () => JSON.parse((await runClutch(home, ["db", "check", "--json"])).stdout).problems;
    expect(await check()).toEqual([]);
    const left = rows.find(({ startedAt }) => startedAt > now - 1.5 * dayMs)?.id;
    look(database, `UPDATE attempts SET cost_usd = 0.01 WHERE request_id = '${left}'`);
    expect(await check()).toEqual([expect.stringMatching(/cost \$10\.\d+, but the sums say \$10\.\d+$/)]);
  });

  test("finds sums that are not those of the requests, and a file that is damaged", async () => {
    const { home, database } = makeHome();
    await fill(
      database,
      Array.from({ length: 1000 }, (_, at) => rowOf(at % 5)),
    );
    look(database, `UPDATE usage_days SET requests = requests + 1 WHERE day = ${Math.floor((now - dayMs) / dayMs)}`);
    const first = await runClutch(home, ["db", "check"]);
    expect([first.code, first.stdout]).toEqual([1, expect.stringMatching(/200 requests .* but the sums say 201/)]);
    const bytes = readFileSync(database);
    writeFileSync(database, bytes.fill(0x5a, 40_960, 49_152));
    expect((await runClutch(home, ["db", "check"])).code).toBe(1);
  });
});

test("clutch db says where the ledger is, and what else there is", async () => {
  const { home, database } = makeHome();
  expect((await runClutch(home, ["db", "path"])).stdout).toBe(`${database}\n`);
  expect(existsSync(database)).toBe(false);
  expect((await runClutch(home, ["db"])).stdout).toContain("restore");
  expect((await runClutch(home, ["db", "prone"])).stderr).toContain("did you mean prune?");
});
