import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { openStore } from "../../src/store/open.ts";
import { requestQueries } from "../../src/store/requests.ts";
import type { AttemptRow, RequestRow } from "../../src/store/schema.ts";
import { sessionsSince, spentSince } from "../../src/store/spent.ts";
import { makeHome } from "../support/gateway.ts";

const day = Date.UTC(2026, 10, 20);

function request(number: number, startedAt: number, details: Partial<RequestRow>): RequestRow {
  const id = startedAt.toString(36) + String(number).padStart(6, "0");
  return {
    id,
    startedAt,
    status: "completed",
    protocol: "chat",
    streamed: false,
    modelRequested: "m",
    attempts: 1,
    ...details,
  };
}

test("adds up what was used, by agent and key and by session, with what was left and is billed all the same", async () => {
  const home = makeHome();
  const { db, close } = openStore(`${home}/clutch.db`);
  const tokens = { inputTokens: 1, cacheReadTokens: 2, cacheWriteTokens: 4, outputTokens: 8, reasoningTokens: 8 };
  const first = request(1, day + 1, { agent: "c", session: "s1", keyId: "k1", costUsd: 0.5, attempts: 2, ...tokens });
  const rows = [
    request(0, day - 1, { agent: "c", session: "s1", costUsd: 9, ...tokens }),
    first,
    request(2, day + 2, { agent: "c", session: "s1", keyId: "k1", costUsd: null, ...tokens }),
    request(3, day + 3, { agent: "x", launchId: "l1", costUsd: 0.25, status: "aborted" }),
    // Nobody was asked; not ended yet; neither session nor launch.
    request(4, day + 4, { agent: "x", attempts: 0, status: "error" }),
    request(5, day + 5, { agent: "x", status: "pending" }),
    request(6, day + 6, {}),
  ];
  const attempt = { provider: "p", model: "m", protocol: "chat", startedAt: day, durationMs: 1 } as const;
  const attempts: AttemptRow[] = [
    {
      ...attempt,
      requestId: first.id,
      number: 1,
      failureKind: "empty",
      costUsd: 0.125,
      inputTokens: 3,
      outputTokens: 0,
    },
    { ...attempt, requestId: first.id, number: 2 },
  ];
  const underWay = request(5, day + 5, { agent: "x", status: "pending" });
  attempts.push({ ...attempt, requestId: underWay.id, number: 1, failureKind: "empty", costUsd: 1, outputTokens: 7 });
  await requestQueries(db).save(rows, attempts);
  const none = { usd: 0, tokens: 0, requests: 0 };
  expect(await spentSince(db, day)).toEqual([
    { ...none, agent: "c", keyId: "k1", usd: 0.125, tokens: 3, lastAt: day + 1 },
    { ...none, agent: "x", keyId: null, usd: 1, tokens: 7, lastAt: day + 5 },
    { agent: null, keyId: null, usd: 0, tokens: 0, requests: 1, lastAt: day + 6 },
    { agent: "c", keyId: "k1", usd: 0.5, tokens: 30, requests: 2, lastAt: day + 2 },
    { agent: "x", keyId: null, usd: 0.25, tokens: 0, requests: 1, lastAt: day + 3 },
  ]);
  const nobody = { agent: null, keyId: null };
  expect(await sessionsSince(db, day - 10, 10)).toEqual([
    { ...nobody, session: "s1", usd: 9.5, tokens: 45, requests: 3, lastAt: day + 2 },
    { ...nobody, session: "l1", usd: 0.25, tokens: 0, requests: 1, lastAt: day + 3 },
    { ...nobody, ...none, session: "s1", usd: 0.125, tokens: 3, lastAt: day + 1 },
  ]);
  // The last active, and what was left of any.
  expect((await sessionsSince(db, day, 2)).map(({ session }) => session)).toEqual(["s1", "l1", "s1"]);
  close();
  rmSync(home, { recursive: true });
});
