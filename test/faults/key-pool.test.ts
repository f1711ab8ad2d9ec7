import { expect, test } from "bun:test";
import { whole } from "../support/answers.ts";
import { json, type Reply } from "../support/fake-upstream.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { startClock } from "./clock.ts";

const minuteMs = 60_000;

/** What the upstream says to one of the two keys; the other is welcome. */
function refusesKey(refused: string, refusal: Reply) {
  return (request: { headers: Record<string, string> }): Reply =>
    request.headers["authorization"] === `Bearer ${refused}` ? refusal : json(whole.chat);
}

const limited = json({ error: { message: "slow down" } }, 429, { "retry-after": "20" });
const revoked = json({ error: { message: "this key is no more" } }, 401);

/** A provider with two keys, and one more model behind them that must not be needed. */
function pool(refusal: Reply, now?: () => number) {
  return startTestGateway({
    replies: { big: refusesKey("sk-one", refusal), spare: json(whole.chat) },
    cascade: ["pooled:big", "other:spare"],
    config: (base_url) => ({ providers: { pooled: { base_url, api_keys: ["sk-one", "sk-two"] } } }),
    ...(now === undefined ? {} : { now }),
  });
}

function keysUsed({ upstream }: TestGateway): string[] {
  return upstream.requests.map(({ headers }) => headers["authorization"]?.replace("Bearer sk-", "") ?? "none");
}

const asSession = (id: string) => ({ headers: { "x-session-id": id } });

test.each([
  ["401", revoked, "auth", "key", "key:pooled#1"],
  ["429", limited, "rate-limit", "model", "model:pooled:big#1"],
] as const)(
  "a %s on one key is answered with the next, and the client sees nothing of it",
  async (_name, refusal, kind, scope, circuit) => {
    await using gateway = await pool(refusal);
    const response = await gateway.ask("chat", "any-model", false);
    expect(response.status).toBe(200);
    expect(response.headers.get("x-clutch-served-by")).toBe("pooled:big");
    expect(keysUsed(gateway)).toEqual(["one", "two"]);
    expect(await gateway.attempts(response.headers.get("x-clutch-request-id"))).toMatchObject([
      { model: "big", failure_kind: kind, failure_scope: scope },
      { model: "big", failure_kind: null },
    ]);
    // The next request does not knock at a door that is known to be shut.
    await gateway.ask("chat", "any-model", false);
    expect(keysUsed(gateway)).toEqual(["one", "two", "two"]);
    await gateway.stop(0);
    expect(Object.keys(gateway.circuits())).toEqual([circuit]);
  },
);

test("a session stays with the key that served it while its cache lives, and goes back afterwards", async () => {
  const clock = startClock();
  await using gateway = await pool(limited, clock.now);
  const ask = async (session: string) => {
    const before = gateway.upstream.requests.length;
    await (await gateway.ask("chat", "any-model", false, asSession(session))).text();
    return keysUsed(gateway).slice(before).join(" ");
  };
  expect(await ask("a")).toBe("one two");
  clock.forward(minuteMs); // the limit is over, the cache is not
  expect(await ask("a")).toBe("two");
  expect(await ask("a")).toBe("two");
  clock.forward(3 * minuteMs);
  expect(await ask("a")).toBe("two");
  clock.forward(1.5 * minuteMs);
  expect(await ask("a")).toBe("one two"); // tried again, and refused again
});

test("a session without an id is bound to nothing", async () => {
  const clock = startClock();
  await using gateway = await pool(limited, clock.now);
  await gateway.ask("chat", "any-model", false);
  clock.forward(minuteMs);
  await gateway.ask("chat", "any-model", false);
  expect(keysUsed(gateway)).toEqual(["one", "two", "one", "two"]);
});

test("when every key is refused the next candidate is asked, and each key is told of", async () => {
  await using gateway = await startTestGateway({
    replies: { big: revoked },
    cascade: ["pooled:big"],
    config: (base_url) => ({ providers: { pooled: { base_url, api_keys: ["sk-one", "sk-two"] } } }),
  });
  const response = await gateway.ask("chat", "any-model", false);
  expect(response.status).toBe(401);
  expect(keysUsed(gateway)).toEqual(["one", "two"]);
  await gateway.stop(0);
  expect(Object.keys(gateway.circuits()).toSorted()).toEqual(["key:pooled#1", "key:pooled#2"]);
});
