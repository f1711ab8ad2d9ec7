/** `clutch usage` as a program, on a ledger that was written as the gateway writes it. */

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "../../src/protocols/chat.ts";
import { openStore } from "../../src/store/open.ts";
import { requestQueries } from "../../src/store/requests.ts";
import type { RequestRow } from "../../src/store/schema.ts";
import { runClutch } from "../support/run-clutch.ts";

const home = mkdtempSync(join(tmpdir(), "clutch-usage-"));
afterAll(() => rmSync(home, { recursive: true }));

const noon = Date.parse("2026-11-20T12:00:00Z");
const dayMs = 86_400_000;

let count = 0;
const row = (changes: Partial<RequestRow>): RequestRow => ({
  id: `r${count++}`,
  startedAt: noon,
  status: "completed",
  protocol: "chat",
  streamed: true,
  modelRequested: "clutch-big",
  attempts: 1,
  agent: "c",
  session: "s1",
  folder: "/home/me/shop",
  tier: "BIG",
  servedBy: "p:dear",
  inputTokens: 100,
  cacheReadTokens: 10,
  cacheWriteTokens: 1,
  outputTokens: 5,
  reasoningTokens: 2,
  costUsd: 0.1,
  pricing: "list",
  ...changes,
});

const hostile = '=HYPERLINK("http://x")';

const store = openStore(join(home, "clutch.db"));
await requestQueries(store.db).save(
  [
    row({}),
    row({ startedAt: noon + dayMs - 1, agent: "x", session: "s2", folder: hostile, tier: "f" }),
    row({ startedAt: noon - dayMs, session: "s1", servedBy: "q:cheap", costUsd: 0.2 }),
    row({ startedAt: noon - 40 * dayMs, servedBy: "q:old", costUsd: 7 }),
    row({
      startedAt: noon,
      status: "error",
      servedBy: null,
      costUsd: null,
      pricing: null,
      inputTokens: null,
      cacheReadTokens: null,
      cacheWriteTokens: null,
      outputTokens: null,
      reasoningTokens: null,
    }),
    row({ startedAt: noon, status: "pending" }),
  ],
  [],
);
store.close();

async function report(
  ...args: string[]
): Promise<{ totals: JsonObject; rows: JsonObject[]; from: string; to: string }> {
  const { stdout, stderr, code } = await runClutch(home, ["usage", ...args, "--json"]);
  expect([stderr, code]).toEqual(["", 0]);
  return JSON.parse(stdout);
}

describe("clutch usage", () => {
  test("adds up the days that it is asked for", async () => {
    const { from, to, totals } = await report("2026-11-19..2026-11-21");
    expect([from, to]).toEqual(["2026-11-19", "2026-11-21"]);
    expect(totals).toEqual({
      requests: 4,
      input_tokens: 300,
      cache_read_tokens: 30,
      cache_write_tokens: 3,
      output_tokens: 15,
      reasoning_tokens: 6,
      cost_usd: 0.4,
      unpriced_requests: 0,
    });
  });

  test.each([
    ["agent", { c: 3, x: 1 }],
    ["model", { "p:dear": 2, "q:cheap": 1, null: 1 }],
    ["provider", { p: 2, q: 1, null: 1 }],
    ["session", { s1: 3, s2: 1 }],
    ["folder", { "/home/me/shop": 3, [hostile]: 1 }],
    ["tier", { BIG: 3, f: 1 }],
    ["day", { "2026-11-19": 1, "2026-11-20": 2, "2026-11-21": 1 }],
  ])("by %s", async (by, expected) => {
    const { rows, totals } = await report("2026-11-19..2026-11-21", "--by", by);
    expect(Object.fromEntries(rows.map((found) => [String(found[by]), found["requests"]]))).toEqual(expected);
    expect(totals["requests"]).toBe(4);
  });

  test("for spreadsheets, where nothing runs", async () => {
    const { stdout } = await runClutch(home, ["usage", "2026-11-21", "--by", "folder", "--csv"]);
    expect(stdout).toBe(
      "folder,requests,input_tokens,cache_read_tokens,cache_write_tokens,output_tokens,reasoning_tokens,cost_usd,unpriced_requests\r\n" +
        `"'=HYPERLINK(""http://x"")",1,100,10,1,5,2,0.1,0\r\n`,
    );
  });

  test("for people", async () => {
    const { stdout } = await runClutch(home, ["usage", "2026-11-19..2026-11-21", "--by", "day"]);
    expect(stdout).toContain("2026-11-19 to 2026-11-21 (UTC), by day");
    expect(stdout).not.toContain("\u001b");
  });

  test.each([
    [["usage", "--by", "colour"], 2, "agent, model, provider, session, folder, tier, day"],
    [["usage", "soon"], 2, 'cannot read the period "soon"'],
    [["usage", "--json", "--csv"], 2, "--json and --csv are two forms of the same"],
  ])("%p is wrong use", async (args, status, words) => {
    const { code, stderr } = await runClutch(home, args);
    expect(stderr).toContain(words);
    expect(code).toBe(status);
  });

  test("without a ledger, or with one that is none, says what to do", async () => {
    const empty = mkdtempSync(join(home, "empty-"));
    const first = await runClutch(empty, ["usage"]);
    expect([first.code, first.stderr]).toEqual([1, expect.stringContaining("there is no ledger yet")]);
    writeFileSync(join(empty, "clutch.db"), "no database ".repeat(100));
    const second = await runClutch(empty, ["usage"]);
    expect([second.code, second.stderr]).toEqual([1, expect.stringContaining("cannot read")]);
  });
});
