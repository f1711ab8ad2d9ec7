/** What the ledger says a request cost, where it came from, and what all of it adds up to. */

import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ModelFacts } from "../../providers/model-facts.ts";
import type { ModelBook } from "../../src/models/catalogue.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";
import { ledgerUsage, whole, wireUsage } from "../support/answers.ts";
import { json, type Reply, startFakeUpstream } from "../support/fake-upstream.ts";
import { eventually, type Row, startTestGateway } from "../support/gateway.ts";

const at = Date.parse("2026-11-20T10:00:00Z");

function bookOf(providers: Record<string, Record<string, Partial<ModelFacts>>>): ModelBook {
  const age = { list: "models.dev", name: "models.dev", checkedAt: at, models: 1 } as const;
  return {
    catalogue: providers as ModelBook["catalogue"],
    lists: Object.fromEntries(Object.keys(providers).map((id) => [id, age])),
  };
}

const priced = (...usd: number[]): Partial<ModelFacts> => ({ usd, list: "models.dev" });

/** 100 input, 30 from and 20 to the cache, 50 output, at the prices below. */
const cost = (input: number, output: number, read: number, write: number) =>
  (100 * input + 30 * read + 20 * write + 50 * output) / 1e6;

const good = json(whole.chat);
const empty = (usage: JsonObject): Reply =>
  json({
    ...whole.chat,
    choices: [{ index: 0, message: { role: "assistant", content: "" }, finish_reason: "stop" }],
    usage,
  });

function look(home: string, sql: string): Row[] {
  const db = new Database(join(home, "clutch.db"), { readonly: true });
  try {
    return db.query(sql).all() as Row[];
  } finally {
    db.close();
  }
}

const costColumns = ({ cost_usd, pricing, price_source, price_at, first_choice, first_choice_usd }: Row) => ({
  cost_usd,
  pricing,
  price_source,
  price_at,
  first_choice,
  first_choice_usd,
});

const none = { first_choice: null, first_choice_usd: null };

test("a list's price is put on what the upstream counted, with its source and date; free, planned and unknown stay what they are", async () => {
  const book = bookOf({
    chat: { listed: priced(3, 15, 0.3, 3.75), "silent-cache": priced(3, 15, 0, 0), planned: { isPlan: true } },
  });
  await using gateway = await startTestGateway({
    replies: { listed: good, "silent-cache": good, planned: good, gift: good, nobody: good, billed: billed(0.125) },
    modelBook: () => book,
    config: { prices: { "chat:gift": { pays: "free" } } },
  });
  const expected = {
    listed: { cost_usd: cost(3, 15, 0.3, 3.75), pricing: "list", price_source: "models.dev", price_at: at },
    "silent-cache": { cost_usd: cost(3, 15, 3, 3), pricing: "list", price_source: "models.dev", price_at: at },
    planned: { cost_usd: 0, pricing: "plan", price_source: "models.dev", price_at: at },
    gift: { cost_usd: 0, pricing: "free", price_source: "config", price_at: null },
    nobody: { cost_usd: null, pricing: null, price_source: null, price_at: null },
  };
  for (const [model, columns] of Object.entries(expected)) {
    const response = await gateway.ask("chat", `chat:${model}`, false);
    const row = await gateway.request(response.headers.get("x-clutch-request-id"));
    expect(costColumns(row)).toEqual({ ...columns, ...none });
    expect(row).toMatchObject(ledgerUsage);
  }
  const response = await gateway.ask("chat", "chat:billed", false);
  const row = await gateway.request(response.headers.get("x-clutch-request-id"));
  expect(row).toMatchObject({
    cost_usd: 0.125,
    pricing: "billed",
    price_source: "upstream",
    price_at: row["started_at"],
  });
  const [sums] = look(
    gateway.home,
    "SELECT sum(requests) AS n, sum(cost_usd) AS usd, sum(unpriced) AS unpriced, sum(free) AS free, sum(plan) AS plan FROM usage_days",
  );
  expect(sums).toEqual({
    n: 6,
    usd: expect.closeTo(cost(3, 15, 0.3, 3.75) + cost(3, 15, 3, 3) + 0.125, 9),
    unpriced: 1,
    free: 1,
    plan: 1,
  });
  expect(
    look(
      gateway.home,
      "SELECT provider, model, source, at, input, output, cache_read, cache_write FROM prices ORDER BY model",
    ),
  ).toEqual([
    {
      provider: "chat",
      model: "listed",
      source: "models.dev",
      at,
      input: 3,
      output: 15,
      cache_read: 0.3,
      cache_write: 3.75,
    },
    {
      provider: "chat",
      model: "silent-cache",
      source: "models.dev",
      at,
      input: 3,
      output: 15,
      cache_read: null,
      cache_write: null,
    },
  ]);
});

function billed(costUsd: number): Reply {
  const answer = whole.chat as JsonObject;
  return json({ ...answer, usage: { ...(answer["usage"] as JsonObject), cost: costUsd } });
}

test("an answer that is left is billed to whom gave it, and what the cascade saved is told against the first choice", async () => {
  const book = bookOf({
    chat: { dear: priced(10, 50, 1, 12.5), cheap: priced(1, 5, 0.1, 1.25) },
    other: { "v:free": { isFree: true } },
  });
  await using gateway = await startTestGateway({
    replies: {
      dear: empty({ prompt_tokens: 40, completion_tokens: 2, total_tokens: 42 }),
      cheap: [good, json({ error: { message: "busy" } }, 503)],
      "v:free": good,
    },
    modelBook: () => book,
    cascade: ["chat:dear", "chat:cheap", "other:v:free"],
    config: { breaker: { failures: 0 } },
  });
  const first = await gateway.ask("chat", "any-model", false);
  const row = await gateway.request(first.headers.get("x-clutch-request-id"));
  expect(costColumns(row)).toEqual({
    cost_usd: cost(1, 5, 0.1, 1.25),
    pricing: "list",
    price_source: "models.dev",
    price_at: at,
    first_choice: "chat:dear",
    first_choice_usd: cost(10, 50, 1, 12.5),
  });
  expect(row["tier"]).toBe("BIG");
  const leftUsd = (40 * 10 + 2 * 50) / 1e6;
  const [left, served] = await gateway.attempts(String(row["id"]));
  expect(left).toMatchObject({
    model: "dear",
    failure_kind: "empty",
    input_tokens: 40,
    output_tokens: 2,
    cost_usd: leftUsd,
  });
  expect(served).toMatchObject({ model: "cheap", failure_kind: null, output_tokens: null, cost_usd: null });

  const second = await gateway.ask("chat", "any-model", false);
  await gateway.request(second.headers.get("x-clutch-request-id"));
  const sums = look(
    gateway.home,
    "SELECT model, requests, input_tokens, output_tokens, cost_usd, left_usd, moved, moved_unknown, cascade_saved_usd, free_saved_usd FROM usage_days ORDER BY model",
  );
  const near = (value: number) => expect.closeTo(value, 9);
  expect(sums).toEqual([
    {
      model: "cheap",
      requests: 1,
      input_tokens: 100,
      output_tokens: 50,
      cost_usd: near(cost(1, 5, 0.1, 1.25)),
      left_usd: 0,
      moved: 1,
      moved_unknown: 0,
      cascade_saved_usd: near(cost(10, 50, 1, 12.5) - cost(1, 5, 0.1, 1.25)),
      free_saved_usd: 0,
    },
    {
      model: "dear",
      requests: 0,
      input_tokens: 80,
      output_tokens: 4,
      cost_usd: near(2 * leftUsd),
      left_usd: near(2 * leftUsd),
      moved: 0,
      moved_unknown: 0,
      cascade_saved_usd: 0,
      free_saved_usd: 0,
    },
    {
      model: "v:free",
      requests: 1,
      input_tokens: 100,
      output_tokens: 50,
      cost_usd: 0,
      left_usd: 0,
      moved: 1,
      moved_unknown: 0,
      cascade_saved_usd: 0,
      free_saved_usd: near(cost(10, 50, 1, 12.5)),
    },
  ]);
});

test("a price that appears later is put on what was answered before, in the rows, the sums and today's totals", async () => {
  const unknown = bookOf({});
  const known = bookOf({ chat: { m: priced(3, 15, 0.3, 3.75) } });
  let book = unknown;
  await using gateway = await startTestGateway({ replies: { m: good }, modelBook: () => book });
  const ids: (string | null)[] = [];
  for (let request = 0; request < 3; request++) {
    ids.push((await gateway.ask("chat", "chat:m", false)).headers.get("x-clutch-request-id"));
  }
  for (const id of ids) expect((await gateway.request(id))["cost_usd"]).toBeNull();
  const [before] = look(gateway.home, "SELECT requests, unpriced, cost_usd FROM usage_days");
  expect(before).toEqual({ requests: 3, unpriced: 3, cost_usd: 0 });
  book = known;
  await eventually("a cost", async () => (await gateway.request(ids[0] ?? ""))["cost_usd"] !== null, 9000);
  for (const id of ids) {
    expect(await gateway.request(id)).toMatchObject({
      cost_usd: cost(3, 15, 0.3, 3.75),
      pricing: "list",
      price_at: at,
    });
  }
  const total = expect.closeTo(3 * cost(3, 15, 0.3, 3.75), 9);
  for (const table of ["usage_days", "session_days"]) {
    expect(look(gateway.home, `SELECT requests, unpriced, cost_usd FROM ${table}`)).toEqual([
      { requests: 3, unpriced: 0, cost_usd: total },
    ]);
  }
  const status = (await (await fetch(`${gateway.url}/admin/status`)).json()) as { today: JsonObject };
  expect(status.today).toMatchObject({ requests: 3, cost_usd: total, unpriced_requests: 0 });
  await eventually("a word", () => gateway.lines.includes("3 answers without a price have one now"));
}, 15_000);

test("a launch tells where its requests come from, and its tier", async () => {
  await using gateway = await startTestGateway({ replies: { m: good }, cascade: ["chat:m"], hasState: true });
  const day = join(gateway.home, "state/launch/2026-11-20");
  mkdirSync(day, { recursive: true });
  const note = { folder: '/home/me/shop, the "new" one', agent: "c", code: "cipf", session: null, started_at: at };
  writeFileSync(join(day, "abcd1234-launch.json"), JSON.stringify(note));
  const ask = async (token: string, session: string) => {
    const headers = { authorization: `Bearer ${token}`, "x-session-id": session };
    const response = await gateway.ask("chat", "clutch-big", false, { headers });
    return gateway.request(response.headers.get("x-clutch-request-id"));
  };
  const known = await ask("xx-cipf-abcd1234", "s1");
  expect(known).toMatchObject({ agent: "c", folder: note.folder, tier: "f", session: "s1" });
  expect(await ask("xx-xip-stranger", "s2")).toMatchObject({ agent: "x", folder: null, tier: "BIG" });
  expect(await ask("xx-cipf-abcd1234", "s1")).toMatchObject({ folder: note.folder });
  expect(look(gateway.home, "SELECT * FROM launches")).toEqual([
    { id: "abcd1234", folder: note.folder, agent: "c", code: "cipf", session: null, started_at: at },
  ]);
  expect(
    look(gateway.home, "SELECT session, agent, folder, launch_id, requests FROM session_days ORDER BY session"),
  ).toEqual([
    { session: "s1", agent: "c", folder: note.folder, launch_id: "abcd1234", requests: 2 },
    { session: "s2", agent: "x", folder: "", launch_id: "stranger", requests: 1 },
  ]);
  expect(look(gateway.home, "SELECT agent, folder, tier, requests FROM usage_days ORDER BY agent")).toEqual([
    { agent: "c", folder: note.folder, tier: "f", requests: 2 },
    { agent: "x", folder: "", tier: "BIG", requests: 1 },
  ]);
});

test("a compaction names whoever made it, whatever the name is written in", async () => {
  await using gateway = await startTestGateway({
    replies: { 模型: json({ object: "response.compaction", output: [] }) },
    cascade: ["responses:模型"],
  });
  const response = await fetch(`${gateway.url}/v1/responses/compact`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "gpt-5.5", input: [] }),
    keepalive: false,
  });
  expect([response.status, decodeURIComponent(response.headers.get("x-clutch-served-by") ?? "")]).toEqual([
    200,
    "responses:模型",
  ]);
});

test("a compaction is on record with what it cost, and so is one that failed", async () => {
  const book = bookOf({ responses: { m: priced(3, 15, 0.3, 3.75) } });
  const compacted = { object: "response.compaction", output: [], usage: wireUsage.responses };
  await using gateway = await startTestGateway({
    replies: { m: [json(compacted), json({ error: { message: "busy" } }, 503)] },
    modelBook: () => book,
    cascade: ["responses:m"],
  });
  const compact = () =>
    fetch(`${gateway.url}/v1/responses/compact`, {
      method: "POST",
      headers: { "content-type": "application/json", "session-id": "s1" },
      body: JSON.stringify({ model: "gpt-5.5", input: [] }),
      keepalive: false,
    });
  const first = await compact();
  expect([first.status, await first.json()]).toEqual([200, compacted]);
  expect(await gateway.request(first.headers.get("x-clutch-request-id"))).toMatchObject({
    ...ledgerUsage,
    status: "completed",
    rule: "compaction",
    session: "s1",
    model_requested: "gpt-5.5",
    served_by: "responses:m",
    attempts: 1,
    cost_usd: cost(3, 15, 0.3, 3.75),
    pricing: "list",
  });
  const second = await compact();
  expect([second.status, (await second.json())["error"]["message"]]).toEqual([503, "busy"]);
  await eventually(
    "both rows",
    () => look(gateway.home, "SELECT 1 FROM requests WHERE status <> 'pending'").length === 2,
  );
  expect(
    look(
      gateway.home,
      "SELECT status, requests, completed, errors FROM requests, usage_days WHERE served_by IS NULL AND provider = ''",
    ),
  ).toEqual([{ status: "error", requests: 1, completed: 0, errors: 1 }]);
});

test.each([
  [
    "the login of a plan",
    { authorization: "Bearer sk-ant-oat01-own" },
    { cost_usd: 0, pricing: "plan", price_source: "own login" },
  ],
  [
    "a key of the platform",
    { "x-api-key": "sk-ant-api03-own" },
    { cost_usd: cost(3, 15, 0.3, 3.75), pricing: "list", price_source: "models.dev" },
  ],
])("on route b %s says who pays", async (_, login, expected) => {
  const book = bookOf({ anthropic: { "claude-x": priced(3, 15, 0.3, 3.75) } });
  await using vendor = await startVendor();
  await using gateway = await startTestGateway({
    replies: {},
    modelBook: () => book,
    fetch: (url, init) => fetch(url.replace("https://api.anthropic.com", vendor.url), init),
  });
  const headers = { ...login, "x-clutch-launch": "xx-cib-launch1" };
  const response = await gateway.ask("messages", "claude-x", false, { headers });
  expect(response.status).toBe(200);
  expect(await gateway.request(response.headers.get("x-clutch-request-id"))).toMatchObject({
    ...expected,
    served_by: "anthropic:claude-x",
    code: "cib",
    tier: null,
  });
});

async function startVendor(): Promise<AsyncDisposable & { url: string }> {
  const vendor = await startFakeUpstream({ "claude-x": json(whole.messages) });
  return { url: `http://127.0.0.1:${vendor.port}`, [Symbol.asyncDispose]: () => vendor.stop() };
}
