import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { lookups } from "../../src/store/lookups.ts";
import { readMeasured } from "../../src/store/measured.ts";
import { openStore } from "../../src/store/open.ts";
import { requestQueries } from "../../src/store/requests.ts";
import type { AttemptRow, RequestRow } from "../../src/store/schema.ts";
import { makeHome } from "../support/gateway.ts";
import { nothingToTell } from "../support/ledger-rows.ts";

const startedAt = 1_763_600_000_000;
const id = (name: string) => `${startedAt.toString(36)}${name}`;

const request = (name: string, fields: Partial<RequestRow>): RequestRow => ({
  id: id(name),
  startedAt,
  status: "completed",
  protocol: "messages",
  streamed: true,
  modelRequested: "claude-opus",
  attempts: 1,
  httpStatus: 200,
  durationMs: 250,
  ...fields,
});

const attempt = (name: string, number: number, fields: Partial<AttemptRow>): AttemptRow => ({
  requestId: id(name),
  number,
  provider: "ollama",
  model: "qwen3:8b",
  protocol: "chat",
  startedAt,
  durationMs: 20,
  ...fields,
});

test("an attempt that only its request's row tells of is found like one with a row of its own", async () => {
  const home = makeHome();
  const path = join(home, "clutch.db");
  const store = openStore(path);
  try {
    const alone = { servedBy: "ollama:qwen3:8b", servedProtocol: "chat" } as const;
    const failed = attempt("b", 1, { failureKind: "rate-limit", failureScope: "model", httpStatus: 429 });
    const second = attempt("b", 2, { provider: "openrouter", model: "a/b:free", startedAt: startedAt + 20 });
    await requestQueries(store.db).save(
      [
        request("a", alone),
        request("b", { servedBy: "openrouter:a/b:free", attempts: 2 }),
        // A rival that was given up after the answer.
        request("c", alone),
        request("d", { status: "error", attempts: 0 }),
      ],
      [failed, second, attempt("c", 2, { provider: "rival", failureKind: "aborted" })],
    );
    const look = lookups(store.db);
    const told = attempt("a", 1, { ...nothingToTell, durationMs: 250 });
    expect(await look.attemptsOf(id("a"))).toEqual([told]);
    expect(await look.attemptsOf(id("b"))).toEqual([
      { ...nothingToTell, ...failed },
      { ...nothingToTell, ...second },
    ]);
    expect((await look.attemptsOf(id("c"))).map(({ number, provider }) => [number, provider])).toEqual([
      [1, "ollama"],
      [2, "rival"],
    ]);
    expect(await look.attemptsOf(id("d"))).toEqual([]);
    expect((await look.recentRequests(10)).map(({ attempts }) => attempts.length)).toEqual([0, 2, 2, 1]);
    const served = { provider: "ollama", model: "qwen3:8b", failureKind: null, count: 2 };
    expect(await look.countAttempts(startedAt, "ollama")).toEqual(
      expect.arrayContaining([served, { ...served, failureKind: "rate-limit", count: 1 }]),
    );
    expect(await look.countAttempts(startedAt + 1)).toEqual([]);
    expect(Object.fromEntries(readMeasured(path, startedAt))).toEqual({
      "ollama:qwen3:8b": { served: 2, failed: 1 },
      "openrouter:a/b:free": { served: 1, failed: 0 },
    });
  } finally {
    store.close();
    rmSync(home, { recursive: true });
  }
});
