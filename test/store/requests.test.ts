import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { failure } from "../../providers/failure.ts";
import { Ledger } from "../../src/gateway/ledger.ts";
import { openStore, type Store } from "../../src/store/open.ts";
import { type RequestQueries, requestQueries } from "../../src/store/requests.ts";
import type { AttemptRow, RequestRow } from "../../src/store/schema.ts";
import { sessionDays, usageDays } from "../../src/store/sums-schema.ts";
import { nothingToTell } from "../support/ledger-rows.ts";

const folder = mkdtempSync(join(tmpdir(), "clutch-requests-"));
const stores: Store[] = [];
afterAll(() => {
  for (const store of stores) store.close();
  rmSync(folder, { recursive: true });
});

function freshStore(): { db: Store["db"]; queries: RequestQueries } {
  const store = openStore(join(folder, `${stores.length}.db`));
  stores.push(store);
  return { db: store.db, queries: requestQueries(store.db) };
}

const freshQueries = () => freshStore().queries;

const pending = (id: string): RequestRow => ({
  id,
  startedAt: 1_763_600_000_000,
  status: "pending",
  protocol: "messages",
  streamed: true,
  modelRequested: "claude-opus",
  attempts: 0,
});

const unsaid = {
  agent: null,
  code: null,
  launchId: null,
  session: null,
  folder: null,
  tier: null,
  keyId: null,
  rule: null,
  trail: null,
  servedBy: null,
  servedProtocol: null,
  httpStatus: null,
  error: null,
  inputTokens: null,
  cacheReadTokens: null,
  cacheWriteTokens: null,
  outputTokens: null,
  reasoningTokens: null,
  usageEstimated: null,
  costUsd: null,
  pricing: null,
  priceSource: null,
  priceAt: null,
  firstChoice: null,
  firstChoiceUsd: null,
  compressionUsd: null,
  durationMs: null,
  firstTokenMs: null,
  compression: null,
  tokensBefore: null,
  tokensAfter: null,
};

const full: Required<RequestRow> = {
  ...pending("full"),
  agent: "c",
  code: "cip",
  launchId: "k3j9",
  session: "s1",
  folder: "/home/me/shop",
  tier: "BIG",
  keyId: "3f9k2m7q",
  rule: "tier BIG",
  trail: null,
  servedBy: "openrouter:a/b:free",
  servedProtocol: "chat",
  attempts: 2,
  httpStatus: 200,
  error: "naïve 'quoted' 👍",
  inputTokens: 1,
  cacheReadTokens: 2,
  cacheWriteTokens: 3,
  outputTokens: 4,
  reasoningTokens: 5,
  usageEstimated: false,
  costUsd: 0.00125,
  pricing: "list",
  priceSource: "models.dev",
  priceAt: 1_763_500_000_000,
  firstChoice: "anthropic:claude",
  firstChoiceUsd: 0.5,
  compressionUsd: 0.001,
  durationMs: 250,
  firstTokenMs: 40,
  compression: "front",
  tokensBefore: 900,
  tokensAfter: 600,
};

const attempt = (number: number, changes: Partial<AttemptRow> = {}): AttemptRow => ({
  requestId: "full",
  number,
  provider: "openrouter",
  model: "a/b:free",
  protocol: "chat",
  startedAt: 1_763_600_000_001,
  durationMs: 12,
  ...nothingToTell,
  ...changes,
});

describe("requestQueries()", () => {
  test("writes and finds every column", async () => {
    const queries = freshQueries();
    const failed = attempt(1, {
      failureKind: "rate-limit",
      failureScope: "model",
      httpStatus: 429,
      message: "slow",
      retryAfterMs: 9,
      inputTokens: 1,
      cacheReadTokens: 2,
      cacheWriteTokens: 3,
      outputTokens: 4,
      reasoningTokens: 5,
      costUsd: 0.25,
      pricing: "billed",
    });
    await queries.save([full, pending("bare")], [attempt(2), failed]);
    expect(await queries.find("full")).toEqual({ request: full, attempts: [failed, attempt(2)] });
    expect(await queries.find("bare")).toEqual({ request: { ...pending("bare"), ...unsaid }, attempts: [] });
    expect(await queries.find("none")).toBeUndefined();
  });

  test("writes a known row anew, and an attempt once", async () => {
    const queries = freshQueries();
    await queries.save([pending("full")], [attempt(1)]);
    await queries.save([full], [attempt(1, { message: "again" }), attempt(2)]);
    expect(await queries.find("full")).toEqual({ request: full, attempts: [attempt(1), attempt(2)] });
  });

  test("writes all of a batch or nothing", async () => {
    const queries = freshQueries();
    const broken = { ...pending("b"), startedAt: null as unknown as number };
    expect(await queries.save([pending("a"), broken], []).catch(() => "refused")).toBe("refused");
    expect(await queries.find("a")).toBeUndefined();
    await queries.save([pending("a")], []);
    expect((await queries.find("a"))?.request.status).toBe("pending");
  });

  test("turns pending rows into aborted ones, and leaves the others", async () => {
    const queries = freshQueries();
    const done = { ...full, status: "completed" as const };
    await queries.save([pending("a"), pending("b"), done], []);
    expect(await queries.recoverPending()).toBe(2);
    expect(await queries.recoverPending()).toBe(0);
    expect((await queries.find("a"))?.request).toEqual({
      ...pending("a"),
      ...unsaid,
      status: "aborted",
      error: "the gateway ended before the answer did",
    });
    expect((await queries.find("full"))?.request).toEqual(done);
  });

  test("an end counts once, whatever is written after it and however often", async () => {
    const { db, queries } = freshStore();
    const ended = { ...full, status: "completed" as const, session: "s1" };
    const sums = () =>
      db
        .select()
        .from(usageDays)
        .all()
        .map(({ requests: count, completed, errors, aborted, costUsd }) => ({
          count,
          completed,
          errors,
          aborted,
          costUsd,
        }));
    await queries.save([pending("full")], []);
    expect(sums()).toEqual([]);
    await queries.save([ended], []);
    await queries.save([ended], []);
    await queries.save([{ ...ended, status: "error", costUsd: 5 }], []);
    await queries.save([{ ...pending("full"), attempts: 3, trail: "late" }], []);
    expect(sums()).toEqual([{ count: 1, completed: 1, errors: 0, aborted: 0, costUsd: full.costUsd ?? 0 }]);
    expect((await queries.find("full"))?.request).toEqual({ ...ended, attempts: 3, trail: "late" });
    // One that never was pending on the disk, and one that the next start has to end.
    await queries.save(
      [
        { ...ended, id: "quick" },
        { ...pending("lost"), agent: "c", tier: "BIG", folder: ended.folder },
      ],
      [],
    );
    await queries.recoverPending();
    await queries.recoverPending();
    expect(sums()).toEqual([
      { count: 1, completed: 0, errors: 0, aborted: 1, costUsd: 0 },
      { count: 2, completed: 2, errors: 0, aborted: 0, costUsd: 2 * (full.costUsd ?? 0) },
    ]);
    const sessions = db.select().from(sessionDays).all();
    expect(sessions.map(({ session, requests: count }) => [session, count])).toEqual([
      ["", 1],
      ["s1", 2],
    ]);
  });

  test("what an upstream counted of an answer that was left counts once, now or a moment later", async () => {
    const { db, queries } = freshStore();
    const row = { ...pending("full"), agent: "c" };
    const counted = { inputTokens: 10, outputTokens: 0, costUsd: 0.5, pricing: "billed" } as const;
    const left = attempt(1, { failureKind: "aborted" });
    await queries.save([row], [left]);
    await queries.save([], [{ ...left, ...counted }]);
    await queries.save(
      [row],
      [
        { ...left, ...counted },
        { ...left, ...counted, costUsd: 9 },
      ],
    );
    const [sums] = db.select().from(usageDays).all();
    expect(sums).toMatchObject({
      agent: "c",
      model: "a/b:free",
      requests: 0,
      inputTokens: 10,
      costUsd: 0.5,
      leftUsd: 0.5,
    });
    expect((await queries.find("full"))?.attempts).toEqual([{ ...left, ...counted }]);
  });

  test("costs are put into rows that have none, once, and into their sums", async () => {
    const { db, queries } = freshStore();
    const unknown = {
      ...full,
      status: "completed" as const,
      costUsd: null,
      pricing: null,
      priceSource: null,
      priceAt: null,
    };
    await queries.save(
      ["b", "a", "c"].map((id) => ({ ...unknown, id })),
      [],
    );
    await queries.save([{ ...pending("d"), servedBy: "p:later" }], []);
    expect(await queries.nextUnpriced("")).toBe("openrouter:a/b:free");
    expect(await queries.nextUnpriced("openrouter:a/b:free")).toBe("p:later");
    expect(await queries.nextUnpriced("p:later")).toBeUndefined();
    const found = await queries.unpricedOf("openrouter:a/b:free", "\u{10ffff}", 2);
    expect(found.map(({ id }) => id)).toEqual(["c", "b"]);
    expect((await queries.unpricedOf("openrouter:a/b:free", "b", 2)).map(({ id }) => id)).toEqual(["a"]);
    const cost = {
      costUsd: 0.25,
      pricing: "list",
      priceSource: "config",
      priceAt: null,
      firstChoiceUsd: 1,
      compressionUsd: null,
    } as const;
    const done = await queries.setCosts(["a", "b", "d", "nobody"].map((id) => ({ id, ...cost })));
    expect(done.map(({ id }) => id)).toEqual(["a", "b"]);
    expect(await queries.setCosts([{ id: "a", ...cost, costUsd: 7 }])).toEqual([]);
    const [sums] = db.select().from(usageDays).all();
    expect(sums).toMatchObject({
      requests: 3,
      unpriced: 1,
      costUsd: 0.5,
      moved: 3,
      movedUnknown: 1,
      cascadeSavedUsd: 1.5,
    });
  });

  test("keeps a request of the ledger in one row from its beginning to its end", async () => {
    const queries = freshQueries();
    let now = 1_763_600_000_000;
    const failures: unknown[] = [];
    const ledger = new Ledger({
      queries,
      now: () => now,
      onFinish: () => {},
      onWriteError: (error) => failures.push(error),
    });
    const entry = ledger.begin(pending("a"));
    await ledger.flush();
    expect((await queries.find("a"))?.request.status).toBe("pending");
    now += 80;
    entry.attempt(attempt(1), failure("rate-limit", "slow down", { status: 429 }));
    entry.finish({ status: "completed", httpStatus: 200, servedBy: "openrouter:a/b:free" });
    expect(await ledger.close()).toBe(0);
    expect(await queries.find("a")).toEqual({
      request: {
        ...pending("a"),
        ...unsaid,
        status: "completed",
        attempts: 1,
        durationMs: 80,
        httpStatus: 200,
        servedBy: "openrouter:a/b:free",
      },
      attempts: [
        attempt(1, {
          requestId: "a",
          failureKind: "rate-limit",
          failureScope: "model",
          httpStatus: 429,
          message: "slow down",
        }),
      ],
    });
    expect(failures).toEqual([]);
  });
});
