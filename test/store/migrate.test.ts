/** What an older version's ledger holds is there in this one's tables. */

import { Database } from "bun:sqlite";
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import journal from "../../migrations/meta/_journal.json";
import { openStore } from "../../src/store/open.ts";

const folder = mkdtempSync(join(tmpdir(), "clutch-migrate-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A database as the version had it whose newest migration is this one. */
function databaseAt(tag: string): { path: string; client: Database } {
  const path = join(folder, `${tag}.db`);
  const client = new Database(path, { create: true });
  client.run("CREATE TABLE __drizzle_migrations (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at numeric)");
  const newest = journal.entries.findIndex((entry) => entry.tag === tag);
  for (const entry of journal.entries.slice(0, newest + 1)) {
    const text = readFileSync(join(import.meta.dir, `../../migrations/${entry.tag}.sql`), "utf8");
    for (const statement of text.split("--> statement-breakpoint")) client.run(statement);
    client.run("INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('', ?)", [entry.when]);
  }
  return { path, client };
}

const noon = Date.parse("2026-11-20T12:00:00Z");
const day = Math.floor(noon / 86_400_000);

test("the rollups begin with what the ledger knew before there were any", () => {
  const { path, client } = databaseAt("0002_compression");
  const insert = client.query(
    `INSERT INTO requests (id, started_at, status, protocol, streamed, agent, code, launch_id, session, model_requested,
       served_by, attempts, input_tokens, output_tokens, cost_usd, tokens_before, tokens_after)
     VALUES (?, ?, ?, 'chat', 0, ?, ?, ?, ?, 'm', ?, 1, ?, ?, ?, ?, ?)`,
  );
  insert.run("a", noon, "completed", "c", "cipf", "l1", "s1", "openrouter:a/b:free", 10, 2, 0, null, null);
  insert.run("b", noon + 5, "completed", "c", "cipf", "l1", "s1", "openrouter:a/b:free", 20, 3, 0.5, 900, 600);
  insert.run("c", noon + 9, "error", "x", "xip", "l2", null, null, null, null, null, null, null);
  insert.run("d", noon + 9, "pending", "x", "xip", "l2", null, null, null, null, null, null, null);
  insert.run("e", noon - 86_400_000, "aborted", null, null, null, null, "p:m", 7, 1, null, null, null);
  client.close();
  openStore(path).close();
  const after = new Database(path, { readonly: true });
  const values = (sql: string) => after.query(sql).values();
  expect(
    values(`SELECT day, agent, provider, model, folder, tier, requests, completed, errors, aborted, input_tokens, output_tokens,
      cost_usd, unpriced, tokens_before, tokens_after, compressed, compressed_unknown FROM usage_days`),
  ).toEqual([
    [day - 1, "", "p", "m", "", "", 1, 0, 0, 1, 7, 1, 0, 1, 0, 0, 0, 0],
    [day, "c", "openrouter", "a/b:free", "", "f", 2, 2, 0, 0, 30, 5, 0.5, 0, 900, 600, 1, 1],
    [day, "x", "", "", "", "", 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  ]);
  expect(values("SELECT day, session, agent, launch_id, first_at, last_at, requests FROM session_days")).toEqual([
    [day - 1, "", "", "", noon - 86_400_000, noon - 86_400_000, 1],
    [day, "l2", "x", "l2", noon + 9, noon + 9, 1],
    [day, "s1", "c", "l1", noon, noon + 5, 2],
  ]);
  expect(values("SELECT id, tier, pricing, price_source FROM requests")).toEqual([
    ["a", "f", "billed", "upstream"],
    ["b", "f", "billed", "upstream"],
    ["c", null, null, null],
    ["d", null, null, null],
    ["e", null, null, null],
  ]);
  after.close();
});
