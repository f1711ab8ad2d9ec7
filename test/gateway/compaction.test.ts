/** A compaction reads a whole conversation, for minutes: it is on record and counts from its beginning. */

import { expect, test } from "bun:test";
import { silent } from "../support/fake-upstream.ts";
import { eventually, startTestGateway } from "../support/gateway.ts";

test("a compaction under way has its row, and takes its place in a budget", async () => {
  await using gateway = await startTestGateway({
    replies: { m: silent },
    cascade: ["responses:m"],
    config: { budgets: { per_day: { hard_requests: 1 } } },
  });
  const leaving = new AbortController();
  const compact = (signal?: AbortSignal) =>
    fetch(`${gateway.url}/v1/responses/compact`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-5.5", input: [] }),
      ...(signal && { signal }),
    });
  const first = compact(leaving.signal).catch(() => undefined);
  await eventually("its row", () => gateway.requests().length === 1);
  expect(gateway.requests()[0]).toMatchObject({ status: "pending", rule: "compaction", served_by: null });
  const second = await compact();
  expect([second.status, await second.text()]).toEqual([
    402,
    expect.stringContaining("today's budget is used up: 1 of 1 requests"),
  ]);
  leaving.abort();
  await first;
});
