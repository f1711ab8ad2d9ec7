import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { failure } from "../../providers/failure.ts";
import { flushMs, Ledger } from "../../src/gateway/ledger.ts";
import type { RequestQueries } from "../../src/store/requests.ts";
import type { AttemptRow, RequestRow } from "../../src/store/schema.ts";
import { nothingToTell } from "../support/ledger-rows.ts";

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

type Saved = { rows: RequestRow[]; attempts: AttemptRow[] };

/** A ledger on a disk that can be told to refuse, with a clock that stands still. */
function setUp() {
  const saved: Saved[] = [];
  const told: [message: string, waiting: number][] = [];
  const disk = { refuses: false, now: 1000 };
  const queries: Pick<RequestQueries, "save"> = {
    async save(rows, attempts) {
      if (disk.refuses) throw new Error("disk full");
      saved.push(structuredClone({ rows: [...rows], attempts: [...attempts] }));
    },
  };
  const ledger = new Ledger({
    queries,
    now: () => disk.now,
    onFinish: () => {},
    onWriteError: (error, waiting) => told.push([String(error), waiting]),
  });
  return { ledger, saved, told, disk };
}

const pending = (id: string): RequestRow => ({
  id,
  startedAt: 1000,
  status: "pending",
  protocol: "chat",
  streamed: true,
  modelRequested: "m",
  attempts: 0,
});

const attempt = { provider: "openai", model: "m", protocol: "chat", startedAt: 1000, durationMs: 5 } as const;

/** As a row of the first one. */
const made = { ...attempt, requestId: "a", number: 1, ...nothingToTell };

const ended = { durationMs: 0, httpStatus: null, servedBy: null, error: null, firstTokenMs: null, firstChoice: null };

/** Lets the timers run and what they started end. */
async function pass(ms: number): Promise<void> {
  jest.advanceTimersByTime(ms);
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
}

describe("the ledger", () => {
  test("writes a row while it is pending, and the same row again at its end", async () => {
    const { ledger, saved, disk } = setUp();
    const entry = ledger.begin(pending("a"));
    await ledger.flush();
    disk.now = 1250;
    entry.finish({
      status: "completed",
      httpStatus: 200,
      servedBy: "openai:m",
      firstTokenMs: 40,
      usage: { input: 1, cacheRead: 2, cacheWrite: 3, output: 4, reasoning: 1, costUsd: 0.5 },
    });
    await ledger.flush();
    expect(saved).toEqual([
      { rows: [pending("a")], attempts: [] },
      {
        rows: [
          {
            ...pending("a"),
            status: "completed",
            durationMs: 250,
            httpStatus: 200,
            servedBy: "openai:m",
            error: null,
            firstTokenMs: 40,
            inputTokens: 1,
            cacheReadTokens: 2,
            cacheWriteTokens: 3,
            outputTokens: 4,
            reasoningTokens: 1,
            usageEstimated: false,
            costUsd: 0.5,
            pricing: "billed",
            priceSource: "upstream",
            priceAt: 1000,
            firstChoice: null,
          },
        ],
        attempts: [],
      },
    ]);
  });

  test("leaves unknown usage and cost unknown, and marks what was guessed", async () => {
    const { ledger, saved } = setUp();
    ledger.begin(pending("a")).finish({ status: "aborted" });
    const guessed = { input: 1, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0, estimated: true } as const;
    ledger.begin(pending("b")).finish({ status: "error", error: "no", httpStatus: 502, usage: guessed });
    await ledger.flush();
    expect(saved[0]?.rows[0]).toEqual({ ...pending("a"), ...ended, status: "aborted" });
    expect(saved[0]?.rows[1]).toMatchObject({ error: "no", httpStatus: 502, usageEstimated: true });
    expect(saved[0]?.rows[1]?.costUsd ?? null).toBeNull();
  });

  test("numbers the attempts of each request", async () => {
    const { ledger, saved } = setUp();
    const [a, b] = [ledger.begin(pending("a")), ledger.begin(pending("b"))];
    a.attempt(attempt);
    b.attempt(attempt);
    a.attempt(attempt, failure("timeout", "no answer within 60 s"));
    await ledger.flush();
    expect(saved).toEqual([
      {
        rows: [
          { ...pending("a"), attempts: 2 },
          { ...pending("b"), attempts: 1 },
        ],
        attempts: [
          made,
          { ...made, requestId: "b" },
          { ...made, number: 2, failureKind: "timeout", failureScope: "model", message: "no answer within 60 s" },
        ],
      },
    ]);
  });

  test("ends a row once: what comes later changes nothing", async () => {
    const { ledger, saved } = setUp();
    const entry = ledger.begin(pending("a"));
    entry.finish({ status: "completed", httpStatus: 200 });
    entry.finish({ status: "error", error: "late" });
    await ledger.flush();
    entry.finish({ status: "aborted" });
    await ledger.flush();
    expect(saved).toEqual([
      { rows: [{ ...pending("a"), ...ended, status: "completed", httpStatus: 200 }], attempts: [] },
    ]);
  });

  test("writes by itself, all that happened in between at once", async () => {
    const { ledger, saved } = setUp();
    const entry = ledger.begin(pending("a"));
    await pass(flushMs - 1);
    expect(saved).toEqual([]);
    entry.attempt(attempt);
    entry.finish({ status: "completed" });
    ledger.begin(pending("b"));
    await pass(1);
    const written = () => saved.map(({ rows, attempts }) => [rows.map(({ id }) => id).join(), attempts.length]);
    expect(written()).toEqual([["a", 1]]);
    await pass(flushMs);
    // What has only just begun is passed over once.
    expect(written()).toEqual([
      ["a", 1],
      ["b", 0],
    ]);
    await pass(10 * flushMs);
    expect(saved).toHaveLength(2);
  });

  test("writes a request that goes on with the attempt that it has behind it", async () => {
    const { ledger, saved } = setUp();
    ledger.begin(pending("a")).attempt(attempt, failure("network", "connection refused"));
    ledger.begin(pending("b"));
    await pass(flushMs);
    expect(saved.map(({ rows, attempts }) => [rows.map(({ id }) => id), attempts.length])).toEqual([[["a"], 1]]);
  });

  test("writes nothing when nothing waits", async () => {
    const { ledger, saved } = setUp();
    await ledger.flush();
    expect(await ledger.close()).toBe(0);
    expect(saved).toEqual([]);
  });

  test("keeps what the disk refuses, tells it once, and writes it when the disk is back", async () => {
    const { ledger, saved, told, disk } = setUp();
    disk.refuses = true;
    const entry = ledger.begin(pending("a"));
    entry.attempt(attempt);
    await pass(flushMs);
    ledger.begin(pending("b"));
    await pass(1000);
    expect(told).toEqual([["Error: disk full", 1]]);
    entry.finish({ status: "completed" });
    disk.refuses = false;
    await pass(1000);
    const done = { ...pending("a"), ...ended, attempts: 1, status: "completed" as const };
    expect(saved).toEqual([{ rows: [done, pending("b")], attempts: [made] }]);
    disk.refuses = true;
    ledger.begin(pending("c"));
    await pass(flushMs);
    expect(told).toEqual([
      ["Error: disk full", 1],
      ["Error: disk full", 1],
    ]);
  });

  test("says at its close how many rows the disk has refused", async () => {
    const { ledger, disk } = setUp();
    disk.refuses = true;
    ledger.begin(pending("a"));
    ledger.begin(pending("b"));
    expect(await ledger.close()).toBe(2);
  });

  test("is closed only when the flush under way is on disk, and writes nothing after that", async () => {
    const { promise: reached, resolve: release } = Promise.withResolvers<void>();
    const saved: string[] = [];
    const ledger = new Ledger({
      queries: {
        async save(rows) {
          await reached;
          saved.push(...[...rows].map(({ id }) => id));
        },
      },
      now: () => 1000,
      onFinish: () => {},
      onWriteError: () => {},
    });
    ledger.begin(pending("a"));
    const flushed = ledger.flush();
    ledger.begin(pending("b"));
    let isClosed = false;
    const closed = ledger.close().then((lost) => {
      isClosed = true;
      return lost;
    });
    await pass(0);
    expect({ isClosed, saved: [...saved] }).toEqual({ isClosed: false, saved: [] });
    release();
    expect(await closed).toBe(0);
    await flushed;
    expect(saved).toEqual(["a", "b"]);
    ledger.begin(pending("c"));
    await pass(10 * flushMs);
    expect(saved).toEqual(["a", "b"]);
    expect(jest.getTimerCount()).toBe(0);
  });

  const served = { ...attempt, why: undefined };
  const failed = { ...attempt, why: failure("network", "connection refused") };

  test.each([
    ["the only one, as long as the request", [served], 1005, { attempts: 1, servedProtocol: "chat", made: [] }],
    ["one that ended before the request", [served], 1020, { attempts: 1, made: [1] }],
    ["one that began late", [{ ...served, startedAt: 1006 }], 1010, { attempts: 1, made: [1] }],
    ["one behind another", [failed, served], 1005, { attempts: 2, made: [1, 2] }],
    [
      "one that was left",
      [{ ...attempt, why: failure("aborted", "another candidate was faster") }],
      1005,
      { attempts: 1, made: [1] },
    ],
  ] as const)("an attempt has a row unless the request's tells all of it: %s", async (_name, all, now, expected) => {
    const { ledger, saved, disk } = setUp();
    const [entry, other] = [ledger.begin(pending("a")), ledger.begin(pending("b"))];
    disk.now = now;
    for (const { why, ...one } of all) entry.attempt(one, why);
    entry.finish({ status: "completed", httpStatus: 200, servedBy: "openai:m" });
    other.finish({ status: "completed", httpStatus: 200, servedBy: "clutch:gateway" });
    await ledger.flush();
    const { rows, attempts } = saved[0] ?? { rows: [], attempts: [] };
    const { made, ...row } = expected;
    expect(rows[0]).toMatchObject(row);
    expect([rows[0]?.servedProtocol, rows[1]?.servedProtocol]).toEqual([
      "servedProtocol" in expected ? "chat" : undefined,
      undefined,
    ]);
    expect(attempts.map(({ number }) => number)).toEqual([...made]);
  });

  test("an attempt whose request has a trail has a row, since the trail tells of calls by their times", async () => {
    const { ledger, saved } = setUp();
    const entry = ledger.begin(pending("a"), { render: () => '{"calls":[{"target":"openai:m","at":0}]}' });
    entry.attempt({ ...attempt, durationMs: 0 });
    entry.finish({ status: "completed", httpStatus: 200, servedBy: "openai:m" });
    await ledger.flush();
    expect([saved[0]?.rows[0]?.servedProtocol, saved[0]?.attempts.length]).toEqual([undefined, 1]);
  });

  test("writes at its close what still waits", async () => {
    const { ledger, saved } = setUp();
    ledger.begin(pending("a"));
    expect(await ledger.close()).toBe(0);
    expect(saved).toHaveLength(1);
    await pass(1000);
    expect(saved).toHaveLength(1);
  });

  test("gives up the oldest rows when the disk refuses too many, and counts them", async () => {
    const { ledger, saved, disk } = setUp();
    disk.refuses = true;
    for (let number = 0; number < 20_003; number++) ledger.begin(pending(String(number)));
    await ledger.flush();
    expect(ledger.lostRows).toBe(3);
    disk.refuses = false;
    expect(await ledger.close()).toBe(3);
    expect([saved[0]?.rows.length, saved[0]?.rows[0]?.id]).toEqual([20_000, "3"]);
  });
});
