import { Database } from "bun:sqlite";
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderError } from "../../src/errors.ts";
import { newestMigrationMs } from "../../src/store/migrate.ts";
import { castDoubt, openStore } from "../../src/store/open.ts";
import { requestQueries } from "../../src/store/requests.ts";
import type { RequestRow } from "../../src/store/schema.ts";

const folder = mkdtempSync(join(tmpdir(), "clutch-store-"));
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
const freshPath = () => join(folder, `home-${count++}`, "clutch.db");

/** The path of a database whose folder is there already. */
function pathInFolder(): string {
  const path = freshPath();
  mkdirSync(join(path, ".."));
  return path;
}

function failureOf(path: string): [code: unknown, line: string] {
  try {
    openStore(path).close();
  } catch (error) {
    return [(error as { code?: unknown }).code, renderError(error)];
  }
  throw new Error("nothing was thrown");
}

function inside<Result>(path: string, look: (client: Database) => Result): Result {
  const client = new Database(path);
  try {
    return look(client);
  } finally {
    client.close();
  }
}

const pending: RequestRow = {
  id: "a",
  startedAt: 1000,
  status: "pending",
  protocol: "chat",
  streamed: true,
  modelRequested: "m",
  attempts: 0,
};

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe("openStore()", () => {
  test("makes the folder and the tables", () => {
    const path = freshPath();
    openStore(path).close();
    const tables = inside(path, (client) =>
      client.query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").values(),
    );
    expect(tables.flat()).toEqual([
      "__drizzle_migrations",
      "attempts",
      "captures",
      "circuits",
      "keys",
      "launches",
      "prices",
      "requests",
      "session_days",
      "usage_days",
    ]);
  });

  test("changes nothing in a database of this version", async () => {
    const path = freshPath();
    const first = openStore(path);
    await requestQueries(first.db).save([pending], []);
    first.close();
    const look = (client: Database) => [
      client.query("SELECT sql FROM sqlite_master ORDER BY name").values(),
      client.query("SELECT * FROM __drizzle_migrations").values(),
      client.query("SELECT * FROM requests").values(),
    ];
    const before = inside(path, look);
    openStore(path).close();
    openStore(path).close();
    expect(inside(path, look)).toEqual(before);
  });

  test("is for its owner's eyes alone, the files beside it too", async () => {
    const path = pathInFolder();
    chmodSync(join(path, ".."), 0o755);
    const store = openStore(path);
    await requestQueries(store.db).save([pending], []);
    const files = ["", "-wal", "-shm", "-serve.pid"].filter((suffix) => existsSync(path + suffix));
    const modes = files.map((suffix) => [suffix, mode(path + suffix)]);
    store.close();
    expect(modes).toEqual(files.map((suffix) => [suffix, "600"]));
    expect(mode(path)).toBe("600");
  });

  test("closes a database that others could read", () => {
    const path = pathInFolder();
    inside(path, (client) => client.run("CREATE TABLE mine (a)"));
    chmodSync(path, 0o644);
    openStore(path).close();
    expect(mode(path)).toBe("600");
  });

  test("makes folders that nobody else may enter", () => {
    const path = join(folder, "deep", "er", "clutch.db");
    openStore(path).close();
    expect([mode(join(folder, "deep")), mode(join(folder, "deep", "er"))]).toEqual(["700", "700"]);
  });

  test("refuses a second gateway while the first one serves, and names it", () => {
    const path = freshPath();
    const first = openStore(path);
    expect(failureOf(path)).toEqual([
      "database-busy",
      `another clutch serve (pid ${process.pid}) uses ${path}: stop that one, or give this one a home of its own with CLUTCH_HOME`,
    ]);
    first.close();
    openStore(path).close();
  });

  test("lets others read while it serves", async () => {
    const path = freshPath();
    const store = openStore(path);
    await requestQueries(store.db).save([pending], []);
    expect(inside(path, (client) => client.query("SELECT id FROM requests").values())).toEqual([["a"]]);
    store.close();
  });

  test("is free again however its owner ended, and what was pending is recovered", async () => {
    const path = freshPath();
    const script = `
      import { castDoubt, openStore } from "./src/store/open.ts";
      import { requestQueries } from "./src/store/requests.ts";
      const store = (globalThis.store = openStore(process.argv[1]));
      await requestQueries(store.db).save([JSON.parse(process.argv[2])], []);
      console.log("serving");
      setInterval(() => {}, 1e6);
    `;
    const owner = Bun.spawn([process.execPath, "-e", script, path, JSON.stringify(pending)], {
      cwd: join(import.meta.dir, "../.."),
      stdout: "pipe",
      stderr: "inherit",
    });
    try {
      const { value } = await owner.stdout.getReader().read();
      expect(Buffer.from(value ?? []).toString()).toBe("serving\n");
      expect(failureOf(path)[1]).toStartWith(`another clutch serve (pid ${owner.pid}) uses ${path}: `);
    } finally {
      owner.kill("SIGKILL");
      await owner.exited;
    }
    const store = openStore(path);
    const queries = requestQueries(store.db);
    expect(await queries.recoverPending()).toBe(1);
    expect((await queries.find("a"))?.request).toMatchObject({ status: "aborted", startedAt: 1000 });
    expect(readFileSync(`${path}-serve.pid`, "utf8")).toBe(`${process.pid}\n`);
    store.close();
  });

  test("stays taken while its owner lives, even if nothing there refers to it any more", async () => {
    const path = freshPath();
    const script = `
      import { castDoubt, openStore } from "./src/store/open.ts";
      openStore(process.argv[1]);
      setTimeout(() => {
        Bun.gc(true);
        console.log("serving");
      }, 1);
      setInterval(() => {}, 1e6);
    `;
    const owner = Bun.spawn([process.execPath, "-e", script, path], {
      cwd: join(import.meta.dir, "../.."),
      stdout: "pipe",
      stderr: "inherit",
    });
    try {
      await owner.stdout.getReader().read();
      expect(failureOf(path)[0]).toBe("database-busy");
    } finally {
      owner.kill("SIGKILL");
      await owner.exited;
    }
  });

  test("refuses a database of a newer version, and holds no lock afterwards", () => {
    const path = freshPath();
    openStore(path).close();
    inside(path, (client) =>
      client.run("INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('later', ?)", [newestMigrationMs + 1]),
    );
    const refusal: [string, string] = [
      "database-broken",
      `${path} was made by a newer Clutch: update Clutch, or set CLUTCH_HOME`,
    ];
    expect(failureOf(path)).toEqual(refusal);
    expect(failureOf(path)).toEqual(refusal);
  });

  describe("a broken ledger is moved aside with what belongs to it, and a new one is begun", () => {
    /** A ledger of a few thousand rows, closed. */
    async function fullLedger(): Promise<string> {
      const path = pathInFolder();
      const store = openStore(path);
      const rows = Array.from({ length: 3000 }, (_, at) => ({ ...pending, id: `r${at}`, error: "x".repeat(200) }));
      await requestQueries(store.db).save(rows, []);
      store.close();
      return path;
    }

    const overwrite = (path: string, from: number, length: number) => {
      const bytes = readFileSync(path);
      bytes.fill(0x5a, from, from + length);
      writeFileSync(path, bytes);
    };

    test.each<[string, (path: string) => void]>([
      ["a text", (path) => writeFileSync(path, "this is no database, whatever its name says\n".repeat(100))],
      ["its head overwritten", (path) => overwrite(path, 0, 4096)],
      ["its schema overwritten", (path) => overwrite(path, 100, 3900)],
      ["half of it gone", (path) => writeFileSync(path, readFileSync(path).subarray(0, 300_000))],
      [
        "pages in the middle overwritten, by a machine that went down",
        (path) => {
          overwrite(path, 409_600, 8192);
          writeFileSync(`${path}-serve.pid`, "1\n");
        },
      ],
    ])("%s", async (_, breakIt) => {
      const path = await fullLedger();
      breakIt(path);
      const broken = readFileSync(path);
      const store = openStore(path);
      expect(store.movedAside).toMatch(/\.broken-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d$/);
      expect(readFileSync(store.movedAside ?? "").equals(broken)).toBe(true);
      const queries = requestQueries(store.db);
      expect(await queries.recoverPending()).toBe(0);
      await queries.save([pending], []);
      expect((await queries.find("a"))?.request.status).toBe("pending");
      store.close();
      const again = openStore(path);
      expect(again.movedAside).toBeUndefined();
      again.close();
    });

    test("one that only a writer has noticed is looked into whole by the next start", async () => {
      const path = await fullLedger();
      const middle = Math.floor(readFileSync(path).length / 2 / 4096) * 4096;
      overwrite(path, middle, 8192);
      openStore(path).close();
      castDoubt(path);
      const store = openStore(path);
      expect(store.movedAside).toBeString();
      store.close();
    });

    test("doubt that proves wrong moves nothing", async () => {
      const path = await fullLedger();
      castDoubt(path);
      for (let start = 0; start < 2; start++) {
        const store = openStore(path);
        expect([store.movedAside, existsSync(`${path}-doubt`)]).toEqual([undefined, false]);
        store.close();
      }
    });
  });

  test("says which folder cannot be made", () => {
    const file = join(folder, "a-file");
    writeFileSync(file, "");
    const [code, line] = failureOf(join(file, "below", "clutch.db"));
    expect([code, line]).toEqual([
      "database-broken",
      `cannot create ${join(file, "below")} (ENOTDIR): check the owner of the folders above it, or set CLUTCH_HOME to a folder that can be written`,
    ]);
  });

  test("says that a folder cannot be written, not what SQLite thinks of it", () => {
    // A folder in the place of the lock stands for every reason why it cannot be made: root may write anywhere.
    const path = pathInFolder();
    mkdirSync(`${path}-serve`);
    const [code, line] = failureOf(path);
    expect(code).toBe("database-broken");
    expect(line).toContain(path);
  });

  test("does not take a broken lock for another gateway", () => {
    const path = pathInFolder();
    writeFileSync(`${path}-serve`, "this is no database, whatever its name says\n".repeat(100));
    expect(failureOf(path)[0]).toBe("database-broken");
  });
});
