/** The ledger on a database of its own: what SQLite does not take. */

import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { Ledger } from "../../src/gateway/ledger.ts";
import { openStore } from "../../src/store/open.ts";
import { requestQueries } from "../../src/store/requests.ts";
import { makeHome } from "../support/gateway.ts";
import { madeRow } from "../support/ledger-rows.ts";

test("a row that can never be written is lost alone, told, and counted", async () => {
  const home = makeHome();
  const store = openStore(`${home}/clutch.db`);
  const queries = requestQueries(store.db);
  const told: string[] = [];
  const ledger = new Ledger({
    queries,
    now: () => 5_000,
    onFinish: () => {},
    onWriteError: (error) => told.push(String(error)),
  });
  const attempt = { provider: "p", model: "m", protocol: "chat", startedAt: 1000, durationMs: 5 } as const;
  const pending = { status: "pending", servedBy: null, attempts: 0 } as const;
  const entries = ["a", "b", "c"].map((name) => {
    const row = madeRow(1000, name, { ...pending, ...(name === "b" && { modelRequested: null as never }) });
    return ledger.begin(row);
  });
  for (const entry of entries) {
    entry.countLeft(entry.attempt(attempt), { input: 1, cacheRead: 0, cacheWrite: 0, output: 2, reasoning: 0 });
    entry.attempt(attempt);
    entry.finish({ status: "completed", servedBy: "p:m" });
  }
  await ledger.flush();
  const values = (sql: string) => store.db.$client.query(sql).values();
  expect(values("SELECT substr(id, 3, 1), status FROM requests ORDER BY id")).toEqual([
    ["a", "completed"],
    ["c", "completed"],
  ]);
  expect(values("SELECT sum(requests), sum(output_tokens) FROM usage_days")).toEqual([[2, 4]]);
  expect(told).toEqual([expect.stringContaining("NOT NULL constraint failed: requests.model_requested")]);
  expect([ledger.lostRows, ledger.refusedRows, ledger.backlog.waiting]).toEqual([1, 0, 0]);
  ledger.begin(madeRow(2000, "d", pending)).finish({ status: "completed" });
  await ledger.flush();
  expect(values("SELECT count(*) FROM requests WHERE status = 'completed'")).toEqual([[3]]);
  await ledger.close();
  store.close();
  rmSync(home, { recursive: true });
});
