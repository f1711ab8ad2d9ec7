import { Database } from "bun:sqlite";
import { afterAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Housekeeping, type HousekeepingDeps } from "../../src/gateway/housekeeping.ts";
import { captureQueries } from "../../src/store/captures.ts";
import { checkpointBeside } from "../../src/store/checkpoint.ts";
import { openStore, type Store } from "../../src/store/open.ts";
import { requestQueries } from "../../src/store/requests.ts";
import type { RequestRow } from "../../src/store/schema.ts";

const folder = mkdtempSync(join(tmpdir(), "clutch-housekeeping-"));
const stores: Store[] = [];
afterAll(() => {
  for (const store of stores) store.close();
  rmSync(folder, { recursive: true });
});

const dayMs = 86_400_000;
const start = Date.parse("2026-11-20T12:00:00Z");

const rowOf = (at: number, number: number): RequestRow => ({
  id: at.toString(36) + number.toString(36).padStart(6, "0"),
  startedAt: at,
  status: "completed",
  protocol: "chat",
  streamed: false,
  modelRequested: "m",
  attempts: 0,
});

/** A ledger with ten requests of each of these days ago, and clocks that stand where they are put. */
async function setUp(daysAgo: readonly number[], changes: Partial<HousekeepingDeps> = {}) {
  const store = openStore(join(folder, `${stores.length}.db`));
  stores.push(store);
  const rows = daysAgo.flatMap((days) => Array.from({ length: 10 }, (_, at) => rowOf(start - days * dayMs, at)));
  await requestQueries(store.db).save(rows, []);
  const clock = { now: start, elapsed: 5000 };
  const lines: string[] = [];
  const keeping = new Housekeeping({
    client: store.db.$client,
    now: () => clock.now,
    elapsed: () => clock.elapsed,
    retentionDays: () => 90,
    bodyDays: () => 7,
    newest: () => start - Math.min(...daysAgo) * dayMs,
    checkpoint: async () => true,
    log: (line) => lines.push(line),
    ...changes,
  });
  const left = () => store.db.$client.query("SELECT count(*) AS n FROM requests").values()[0]?.[0];
  const pass = (ms: number) => {
    clock.now += ms;
    clock.elapsed += ms;
  };
  /** What it does by itself, every half minute. */
  const look = async () => {
    keeping.look();
    await Bun.sleep(120);
  };
  return { store, keeping, clock, lines, left, pass, look };
}

describe("housekeeping", () => {
  test("deletes what is older than the config says, each hour, and says so", async () => {
    const { keeping, lines, left, pass, look } = await setUp([0, 89, 91, 200]);
    keeping.start();
    await look();
    expect([left(), lines]).toEqual([20, ["22 rows that were too old were deleted from the ledger"]]);
    pass(dayMs + 3_600_000);
    await look();
    expect(left()).toBe(10);
    keeping.stop();
  });

  test("deletes captured bodies by a term of their own, and never keeps them longer than their requests", async () => {
    for (const [retention, body, kept] of [
      [90, 7, ["d0", "d6"]],
      [0, 7, ["d0", "d6"]],
      [90, 0, ["d0", "d6", "d8", "d80"]],
      [0, 0, ["d0", "d6", "d8", "d80", "d100"]],
    ] as const) {
      const { store, look } = await setUp([0], { retentionDays: () => retention, bodyDays: () => body });
      const captured = [0, 6, 8, 80, 100].map((days) => ({
        requestId: `d${days}`,
        createdAt: start - days * dayMs,
        protocol: "chat" as const,
        query: "",
        headers: {},
        request: "{}",
        requestBytes: 2,
        response: undefined,
        responseBytes: 0,
      }));
      await captureQueries(store.db).save(captured);
      await look();
      await look();
      const left = await Promise.all(captured.map(({ requestId }) => captureQueries(store.db).find(requestId)));
      expect(left.flatMap((row) => row?.requestId ?? [])).toEqual([...kept]);
    }
  });

  test("keeps everything where the config says so", async () => {
    const { look, left } = await setUp([0, 500], { retentionDays: () => 0, bodyDays: () => 0 });
    await look();
    expect(left()).toBe(20);
  });

  test("a clock that is set forward deletes nothing before a day has passed, and nothing at all once it is set right", async () => {
    const { clock, lines, left, look, pass } = await setUp([0, 1, 2]);
    await look();
    clock.now += 365 * dayMs;
    await look();
    pass(3_600_000 * 2);
    await look();
    const word = "the clock is days ahead of what it was: nothing of the ledger is deleted before tomorrow";
    expect([left(), lines]).toEqual([30, [word]]);
    clock.now -= 365 * dayMs;
    await look();
    pass(2 * dayMs);
    await look();
    expect([left(), lines]).toEqual([30, [word]]);
  });

  test("a clock that is set back, or a machine that has slept for two days, changes nothing", async () => {
    const { clock, lines, left, look } = await setUp([0, 87, 91]);
    clock.now -= 2 * dayMs;
    await look();
    expect([left(), lines]).toEqual([30, []]);
    clock.elapsed += 3_600_000;
    clock.now += 2 * dayMs;
    await look();
    expect([left(), lines.filter((line) => line.includes("clock"))]).toEqual([20, []]);
  });

  test("a start long after the last request waits for a day, since the clock may be wrong", async () => {
    const { keeping, lines, left, look, pass } = await setUp([100, 120]);
    keeping.start();
    await look();
    expect([left(), lines]).toEqual([
      20,
      ["the newest request of the ledger is older than 90 days: nothing is deleted before tomorrow"],
    ]);
    pass(dayMs + 1000);
    await look();
    expect(left()).toBe(0);
    keeping.stop();
  });

  test("copies the log back when enough was written, one at a time and not too often, and goes on when that fails", async () => {
    let running = 0;
    const ends: (() => void)[] = [];
    const { keeping, pass } = await setUp([0], {
      checkpoint: () => {
        running++;
        return new Promise((resolve, reject) =>
          ends.push(running === 1 ? () => reject(new Error("no")) : () => resolve(true)),
        );
      },
    });
    keeping.wrote(39_999);
    expect(running).toBe(0);
    keeping.wrote(1);
    keeping.wrote(90_000);
    expect(running).toBe(1);
    ends[0]?.();
    await Bun.sleep(0);
    keeping.wrote(1);
    expect(running).toBe(1);
    pass(30_000);
    keeping.wrote(1);
    expect(running).toBe(2);
    ends[1]?.();
    await Bun.sleep(0);
    keeping.wrote(199_999);
    expect(running).toBe(2);
    keeping.wrote(1);
    expect(running).toBe(3);
    ends[2]?.();
  });
});

test("checkpointBeside() copies the log back while its owner reads and writes", async () => {
  const { store } = await setUp([0]);
  const queries = requestQueries(store.db);
  await queries.save(
    Array.from({ length: 2000 }, (_, at) => rowOf(start + 1, at)),
    [],
  );
  /** What stands in the file itself, without its log. */
  const inFile = (): unknown => {
    const copy = `${store.path}.copy`;
    copyFileSync(store.path, copy);
    const bare = new Database(copy);
    try {
      return bare.query("SELECT count(*) FROM requests").values()[0]?.[0];
    } catch {
      // Not even the tables.
      return 0;
    } finally {
      bare.close();
    }
  };
  expect(inFile()).toBe(0);
  const done = checkpointBeside(store.path);
  await queries.save([rowOf(start + 2, 1)], []);
  await done;
  expect(await checkpointBeside(store.path)).toBe(true);
  expect(inFile()).toBe(2011);
  await queries.save([rowOf(start + 3, 1)], []);
  expect(store.db.$client.query("SELECT count(*) FROM requests").values()).toEqual([[2012]]);
  expect(await checkpointBeside(join(folder, "none", "x.db"))).toBe(false);
});
