/** An answer that was left costs money all the same, also where its price becomes known later. */

import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import type { ModelBook } from "../../src/models/catalogue.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";
import { emptyWhole, whole } from "../support/answers.ts";
import { json } from "../support/fake-upstream.ts";
import { eventually, startTestGateway } from "../support/gateway.ts";
import { runClutch } from "../support/run-clutch.ts";

const checkedAt = Date.parse("2026-11-20T10:00:00Z");

function bookOf(models: Record<string, { usd: number[] }>): ModelBook {
  return {
    catalogue: { chat: models } as unknown as ModelBook["catalogue"],
    lists: { chat: { list: "models.dev", name: "models.dev", checkedAt, models: 1 } },
  };
}

test("a price that appears later is put on an answer that was left: in its row, the sums, today's totals and the budgets", async () => {
  const usage = { prompt_tokens: 40, completion_tokens: 2, total_tokens: 42 };
  let book = bookOf({ good: { usd: [1, 1] } });
  await using gateway = await startTestGateway({
    replies: { empty: json({ ...emptyWhole.chat, usage }), good: json({ ...whole.chat, usage }) },
    cascade: ["chat:empty", "chat:good"],
    modelBook: () => book,
    config: { budgets: { per_day: { soft_usd: 100 } } },
  });
  const response = await gateway.ask("chat", "clutch-big", false, { headers: { "session-id": "s1" } });
  const id = response.headers.get("x-clutch-request-id");
  const good = 42 / 1e6;
  expect(await gateway.request(id)).toMatchObject({ served_by: "chat:good", cost_usd: expect.closeTo(good, 12) });
  const left = async () => {
    const { cost_usd, pricing } = (await gateway.attempts(id))[0] ?? {};
    return [cost_usd, pricing];
  };
  const sumsOf = (table: string) => {
    const db = new Database(`${gateway.home}/clutch.db`, { readonly: true });
    const sql = `SELECT sum(requests), sum(cost_usd), sum(left_usd), sum(unpriced), sum(output_tokens) FROM ${table}`;
    const [row] = db.query(sql).values();
    db.close();
    return row;
  };
  const told = async () => {
    const { today } = (await (await fetch(`${gateway.url}/admin/status`)).json()) as { today: JsonObject };
    const { budgets } = (await (await fetch(`${gateway.url}/admin/budgets`)).json()) as {
      budgets: { used: JsonObject }[];
    };
    return [today["cost_usd"], today["unpriced_requests"], today["output_tokens"], budgets[0]?.used["usd"]];
  };
  expect(await left()).toEqual([null, null]);
  const near = (usd: number) => expect.closeTo(usd, 9);
  for (const table of ["usage_days", "session_days"]) expect(sumsOf(table)).toEqual([1, near(good), 0, 1, 4]);
  expect(await told()).toEqual([near(good), 1, 4, near(good)]);

  book = bookOf({ good: { usd: [1, 1] }, empty: { usd: [1e4, 1e4] } });
  const dear = 0.42;
  await eventually("a cost", async () => (await left())[0] !== null, 9000);
  expect(await left()).toEqual([near(dear), "list"]);
  for (const table of ["usage_days", "session_days"]) {
    expect(sumsOf(table)).toEqual([1, near(good + dear), near(dear), 0, 4]);
  }
  expect(await told()).toEqual([near(good + dear), 0, 4, near(good + dear)]);

  const show = async (...flags: string[]) =>
    (await runClutch(gateway.home, ["requests", "show", id ?? "", ...flags])).stdout;
  const { request, attempts } = JSON.parse(await show("--json")) as { request: JsonObject; attempts: JsonObject[] };
  expect([request["cost_usd"], ...attempts.map(({ cost_usd }) => cost_usd)]).toEqual([near(good), near(dear), null]);
  expect(attempts[0]).toMatchObject({ input_tokens: 40, cache_read_tokens: 0, output_tokens: 2 });
  const lines = (await show()).split("\n");
  expect(
    lines.filter((line) => line.includes("more")).map((line) => line.trim().replace(/ {2,}.* {2}(?=\$)/, " ")),
  ).toEqual([expect.stringMatching(/^1 \$0\.42 more/)]);
}, 15_000);
