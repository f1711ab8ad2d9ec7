import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readMeasured } from "../../src/store/measured.ts";
import { openStore } from "../../src/store/open.ts";
import { requestQueries } from "../../src/store/requests.ts";
import type { AttemptRow } from "../../src/store/schema.ts";
import { madeRow } from "../support/ledger-rows.ts";

const folder = mkdtempSync(join(tmpdir(), "clutch-measured-"));
afterAll(() => rmSync(folder, { recursive: true }));

const day = 86_400_000;
const nowMs = Date.parse("2026-11-20T12:00:00Z");
/** As the gateway makes them. */
const id = (atMs: number, tail: string) => atMs.toString(36) + tail.padEnd(6, "0");

const attempt = (atMs: number, tail: string, model: string, failureKind: string | null): AttemptRow => ({
  requestId: id(atMs, tail),
  number: 1,
  provider: "p",
  model,
  protocol: "chat",
  startedAt: atMs,
  durationMs: 1,
  failureKind,
});

describe("readMeasured()", () => {
  test("counts what was served and what failed by the upstream's fault, of the last days, while the ledger is written", async () => {
    const path = join(folder, "clutch.db");
    const store = openStore(path);
    const rows = [
      attempt(nowMs, "a", "m", null),
      attempt(nowMs, "b", "m", null),
      attempt(nowMs, "c", "m", "rate-limit"),
      attempt(nowMs, "d", "m", "aborted"),
      attempt(nowMs, "e", "m", "bad-request"),
      attempt(nowMs, "f", "n", "empty"),
      attempt(nowMs, "g", "asked-wrongly", "too-large"),
      attempt(nowMs - 8 * day, "h", "old", null),
    ];
    await requestQueries(store.db).save([], rows);
    const expected = { "p:m": { served: 2, failed: 1 }, "p:n": { served: 0, failed: 1 } };
    expect(Object.fromEntries(readMeasured(path, nowMs - 7 * day))).toEqual(expected);
    store.close();
    expect(Object.fromEntries(readMeasured(path, nowMs - 7 * day))).toEqual(expected);
  });

  test("of many requests counts the newest alone, those that failed as those that were served", async () => {
    const path = join(folder, "many.db");
    const store = openStore(path);
    const alone = { servedBy: "p:m", servedProtocol: "chat" } as const;
    // The first five lie beyond the span that is counted.
    const requests = Array.from({ length: 20_005 }, (_, at) => madeRow(nowMs + at, "a", at % 10 === 0 ? {} : alone));
    const failed = requests.flatMap((_, at) => (at % 10 === 0 ? [attempt(nowMs + at, "a", "m", "upstream")] : []));
    await requestQueries(store.db).save(requests, failed);
    expect(Object.fromEntries(readMeasured(path, nowMs))).toEqual({ "p:m": { served: 18_000, failed: 2_000 } });
    store.close();
  });

  test("nothing from a file that is not there, is no database, or has no such table", () => {
    writeFileSync(join(folder, "text"), "no database");
    writeFileSync(join(folder, "empty"), "");
    for (const name of ["none", "text", "empty"]) expect(readMeasured(join(folder, name), 0).size).toBe(0);
  });
});
