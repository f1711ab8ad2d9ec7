import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { SessionReport, SessionStory } from "../../src/explain/sessions.ts";
import type { RequestRow } from "../../src/store/schema.ts";
import { streamed } from "../support/answers.ts";
import { json, sse } from "../support/fake-upstream.ts";
import { eventually, makeHome, startTestGateway } from "../support/gateway.ts";
import { madeRow, writeLedger } from "../support/ledger-rows.ts";
import { runClutch } from "../support/run-clutch.ts";

const noon = Date.parse("2026-11-20T12:00:00Z");
const minute = 60_000;
const home = makeHome();

const mine: Partial<RequestRow> = { agent: "c", launchId: "launch01", session: "1f3a-main", folder: "/srv/project" };

/** A turn of a conversation whose prompt grows, and of which nothing but the new part has to be read. */
function turn(at: number, fields: Partial<RequestRow>): RequestRow {
  return madeRow(noon + at * minute, String(at), {
    ...mine,
    servedBy: "anthropic:claude-opus-5-5",
    inputTokens: 1_000,
    cacheReadTokens: 10_000 * at,
    cacheWriteTokens: 1_000,
    outputTokens: 100,
    durationMs: 2_000,
    costUsd: 0.01,
    pricing: "list",
    ...fields,
  });
}

beforeAll(async () => {
  const compressed = { compression: "front", tokensBefore: 30_000, tokensAfter: 20_000 } as const;
  await writeLedger(home, [
    turn(0, {}),
    turn(1, { attempts: 3 }),
    turn(2, { ...compressed }),
    turn(3, {
      status: "error",
      servedBy: null,
      httpStatus: 502,
      error: "x",
      costUsd: null,
      pricing: null,
      attempts: 2,
      inputTokens: null,
      cacheReadTokens: null,
      cacheWriteTokens: null,
      outputTokens: null,
    }),
    turn(4, { servedBy: "openrouter:a/b:free", costUsd: 0, pricing: "free", cacheReadTokens: 0, cacheWriteTokens: 0 }),
    // Another agent, without an id of its own, on the day before.
    madeRow(noon - 86_400_000, "z", {
      agent: "h",
      launchId: "launch02",
      folder: "/srv/it's 100%",
      inputTokens: 5,
      outputTokens: 1,
    }),
    // Nobody's.
    madeRow(noon, "n", {}),
  ]);
});

afterAll(() => rmSync(home, { recursive: true }));

async function listed(...args: string[]): Promise<SessionReport[]> {
  const { code, stdout, stderr } = await runClutch(home, ["sessions", "list", "--json", ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return (JSON.parse(stdout) as { sessions: SessionReport[] }).sessions;
}

test("list adds up each conversation, the newest first, and leaves out what is none", async () => {
  const [first, second, ...more] = await listed();
  expect(more).toEqual([]);
  expect(first).toEqual({
    session: "1f3a-main",
    agent: "c",
    launch_id: "launch01",
    folder: "/srv/project",
    first_at: "2026-11-20T12:00:00.000Z",
    last_at: "2026-11-20T12:04:00.000Z",
    turns: 5,
    completed: 4,
    errors: 1,
    aborted: 0,
    input_tokens: 4_000,
    cache_read_tokens: 30_000,
    cache_write_tokens: 3_000,
    output_tokens: 400,
    reasoning_tokens: 0,
    cost_usd: expect.closeTo(0.03, 6),
    unpriced_requests: 0,
    compression: { requests: 1, tokens_before: 30_000, tokens_after: 20_000, saved_usd: null },
  });
  expect(second).toMatchObject({ session: "launch02", agent: "h", folder: "/srv/it's 100%", turns: 1, cost_usd: null });
});

test.each([
  [["--agent", "claude"], ["1f3a-main"]],
  [["--agent", "hermes,x"], ["launch02"]],
  [["--folder", "PROJECT"], ["1f3a-main"]],
  [["--folder", "100%"], ["launch02"]],
  [["--folder", "' OR 1=1 --"], []],
  [["--since", "2026-11-20"], ["1f3a-main"]],
  [["--limit", "1"], ["1f3a-main"]],
])("list %p", async (args, sessions) => {
  expect((await listed(...args)).map(({ session }) => session)).toEqual(sessions);
});

test("list is a table for people", async () => {
  const { stdout } = await runClutch(home, ["sessions"], { HOME: "/srv" });
  const rows = stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.split(/ {2,}/));
  expect(rows).toEqual([
    ["session", "agent", "folder", "last", "turns", "in", "cached", "out", "cost", "compressed"],
    ["1f3a-main", "Claude Code", "~/project", "2026-11-20 12:04", "5", "37.0 k", "81 %", "400", "$0.03", "-33 %"],
    ["launch02", "Hermes", "~/it's 100%", "2026-11-19 12:00", "1", "5", "0 %", "1", "unknown", "-"],
  ]);
});

describe("show", () => {
  test("tells of retries, of who answered, and of compression", async () => {
    const { stdout } = await runClutch(home, ["sessions", "show", "1f3", "--json"]);
    const story = JSON.parse(stdout) as SessionStory;
    expect(story.session).toEqual((await listed("--agent", "c"))[0] as SessionReport);
    expect(story.retries).toBe(3);
    expect(story.models).toEqual([
      {
        served_by: "anthropic:claude-opus-5-5",
        turns: 3,
        input_tokens: 36_000,
        output_tokens: 300,
        cost_usd: expect.closeTo(0.03, 6),
      },
      { served_by: "openrouter:a/b:free", turns: 1, input_tokens: 1_000, output_tokens: 100, cost_usd: 0 },
    ]);
    expect(story.compression).toEqual({
      turns: 1,
      tokens_before: 30_000,
      tokens_after: 20_000,
      tokens_saved: 10_000,
      cache_share: 0.909,
      cache_share_without: 0.667,
      cache_tokens_lost: 0,
      refused: 0,
      harmful: null,
    });
  });

  test("says it when compression has cost more than it saved", async () => {
    const harmed = makeHome();
    const compressed = { compression: "front", tokensBefore: 31_000, tokensAfter: 30_000 } as const;
    // Each time the whole prompt is read anew.
    const rows = Array.from({ length: 8 }, (_, at) =>
      turn(at, { ...compressed, inputTokens: 20_000 + at * 1_000, cacheReadTokens: 0, cacheWriteTokens: 10_000 }),
    );
    await writeLedger(harmed, rows);
    const { stdout } = await runClutch(harmed, ["sessions", "show"]);
    expect(stdout).toMatch(/compression did harm: [\d.]+k tokens of prompt cache were lost, for 8\.0k saved/);
    rmSync(harmed, { recursive: true });
  });

  test("is for people too, and leads to the requests", async () => {
    const { stdout } = await runClutch(home, ["sessions", "show", "launch02"]);
    expect(stdout).toMatch(/^session launch02\n {2}agent +Hermes\n {2}folder +\/srv\/it's 100%/);
    expect(stdout).toEndWith("clutch requests --launch launch02 lists its requests\n");
  });

  test.each([
    [["show", "nobody"], 1, 'the ledger knows no session "nobody": clutch sessions lists them'],
    [["lst"], 2, "there is no clutch sessions lst: did you mean list?"],
    [["--agent", "cloud"], 2, '--agent is "cloud", which is none: did you mean claude?'],
  ])("%p", async (args, status, message) => {
    const { code, stderr } = await runClutch(home, ["sessions", ...args]);
    expect([code, stderr]).toEqual([status, `clutch: ${message}\n`]);
  });
});

test("a conversation appears as the gateway serves it", async () => {
  await using gateway = await startTestGateway({
    replies: { broken: json({ error: { message: "out of order" } }, 500), good: sse([streamed("chat")]) },
    cascade: ["chat:broken", "other:good"],
  });
  const headers = { authorization: "Bearer xx-cip-k3j9aa11", "x-claude-code-session-id": "live-1" };
  await (await gateway.ask("messages", "claude-opus-5-5", true, { headers })).text();
  await gateway.onlyRequest();
  await eventually("its sums", () => {
    const db = new Database(join(gateway.home, "clutch.db"), { readonly: true });
    const found = db.query("SELECT 1 FROM session_days").get();
    db.close();
    return found !== null;
  });
  const { stdout } = await runClutch(gateway.home, ["sessions", "show", "live-1", "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({
    session: { turns: 1, agent: "c", launch_id: "k3j9aa11", cache_read_tokens: 30 },
    retries: 1,
    models: [{ served_by: "other:good", turns: 1 }],
  });
});
