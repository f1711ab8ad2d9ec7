import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ledger } from "../../src/gateway/ledger.ts";
import { openStore, type Store } from "../../src/store/open.ts";
import { type RequestQueries, requestQueries } from "../../src/store/requests.ts";
import type { AttemptRow, RequestRow } from "../../src/store/schema.ts";

const folder = mkdtempSync(join(tmpdir(), "clutch-requests-"));
const stores: Store[] = [];
afterAll(() => {
  for (const store of stores) store.close();
  rmSync(folder, { recursive: true });
});

function freshQueries(): RequestQueries {
  const store = openStore(join(folder, `${stores.length}.db`));
  stores.push(store);
  return requestQueries(store.db);
}

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
  failureKind: null,
  failureScope: null,
  httpStatus: null,
  message: null,
  retryAfterMs: null,
  inputTokens: null,
  cacheReadTokens: null,
  cacheWriteTokens: null,
  outputTokens: null,
  reasoningTokens: null,
  costUsd: null,
  pricing: null,
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
    const { requestId: _, number: __, ...made } = attempt(1);
    entry.attempt(made);
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
      attempts: [attempt(1, { requestId: "a" })],
    });
    expect(failures).toEqual([]);
  });
});
