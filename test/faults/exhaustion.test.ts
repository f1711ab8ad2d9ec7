/** When nobody answers: each candidate, its reason and its time of return, in the client's protocol. And bad input that must not stop a request. */

import { describe, expect, test } from "bun:test";
import { answerText, at, protocols, streamed, summarise, whole } from "../support/answers.ts";
import { html, json, silent, sse } from "../support/fake-upstream.ts";
import { startTestGateway } from "../support/gateway.ts";
import { clientErrors } from "./fault-table.ts";

const said = (message: string) => ({ error: { message } });

describe.each(protocols)("a %s client whom nobody answers", (client) => {
  const replies = {
    limited: json(said("slow down"), 429, { "retry-after": "40" }),
    unpaid: json(said("no credits"), 402),
    gone: json(said("no such model"), 404),
    busy: json(said("Overloaded"), 503),
  };
  const cascade = ["chat:limited", "other:unpaid", "messages:gone", "responses:busy"];

  test.each([false, true])("is told of each candidate, and again of each that rests, streamed: %p", async (stream) => {
    await using gateway = await startTestGateway({ replies, cascade });
    const first = await gateway.ask(client, "any-model", stream);
    const firstMessage = at(await first.json(), "error", "message");
    expect(firstMessage).toStartWith("no model answered.");
    expect(firstMessage).toContain("1. chat:limited: 429 rate-limit (back in 40 s): slow down");
    expect(firstMessage).toContain("2. other:unpaid: 402 billing: no credits");
    expect(firstMessage).toContain("3. messages:gone: 404 not-found: no such model");
    expect(firstMessage).toContain("4. responses:busy: 503 overloaded: Overloaded");
    // Something in it is worth a retry, so the whole is.
    expect(`${first.status}`).toBe(clientErrors.overloaded[client].slice(0, 3));
    expect(first.headers.get("content-type")).toBe("application/json");
    // The last one has only failed: an agent that sleeps as long as it is told should not sleep for the others' rest.
    expect(Number(first.headers.get("retry-after"))).toBe(10);

    const second = await gateway.ask(client, "any-model", stream);
    const message = at(await second.json(), "error", "message");
    expect(message).toMatch(/chat:limited: not asked, limited is resting: slow down \(back in (40|39) s\)/);
    expect(message).toMatch(/other:unpaid: not asked, the account at other is resting: no credits \(back in 5 min\)/);
    expect(gateway.upstream.models()).toEqual(["limited", "unpaid", "gone", "busy", "gone", "busy"]);
  });

  test.each([
    ["an account without credits and one that limits", { one: replies.unpaid, two: replies.limited }, "40"],
    ["an account without credits and one that failed", { one: replies.unpaid, two: html }, "10"],
    [
      "a short limit and one that failed",
      { one: json(said("slow down"), 429, { "retry-after": "6" }), two: html },
      "6",
    ],
    ["two that failed", { one: html, two: replies.busy }, null],
    ["an account without credits and a model that is gone", { one: replies.unpaid, two: replies.gone }, "300"],
  ])("is told to wait for the first that may answer: %s", async (_name, both, wait) => {
    await using gateway = await startTestGateway({
      replies: both,
      cascade: ["chat:one", "other:two"],
      timeouts: { patience_ms: 1_000 },
    });
    // How long an account rests is known the second time.
    await (await gateway.ask(client, "any-model", false)).text();
    const response = await gateway.ask(client, "any-model", false);
    expect(at(await response.json(), "error", "message")).toStartWith("no model answered.");
    expect(response.headers.get("retry-after")).toBe(wait);
  });

  test("of one kind of reason is told that kind, so that its agent does what it should", async () => {
    const rows = [
      ["slow down", { one: replies.limited, two: replies.limited }],
      ["no money", { one: replies.unpaid, two: replies.unpaid }],
      ["no such model", { one: replies.gone, two: replies.gone }],
    ] as const;
    for (const [kind, both] of rows) {
      await using gateway = await startTestGateway({ replies: both, cascade: ["chat:one", "other:two"] });
      const response = await gateway.ask(client, "any-model", false);
      const shown = `${response.status} ${at(await response.json(), "error", "type")}`;
      expect(shown).toBe(clientErrors[kind][client]);
    }
  });

  test("and has waited meanwhile is told of each candidate once", async () => {
    await using gateway = await startTestGateway({
      replies: { one: json(said("slow down"), 429), two: json(said("slow down"), 429) },
      cascade: ["chat:one", "other:two"],
      timeouts: { patience_ms: 1_500 },
    });
    const response = await gateway.ask(client, "any-model", false);
    const message = at(await response.json(), "error", "message");
    expect(message.match(/chat:one/g)).toHaveLength(1);
    expect(message).toMatch(
      /1\. chat:one: 429 rate-limit \(back in \d s\): slow down; 2\. other:two: 429 rate-limit \(back in \d s\): slow down/,
    );
    expect(Number(response.headers.get("retry-after"))).toBeWithin(1, 4);
    expect(gateway.upstream.models()).toEqual(["one", "two", "one", "two"]);
  });

  test("behind its open stream is told the same in an error event", async () => {
    await using gateway = await startTestGateway({
      replies: { slow: silent, busy: json(said("Overloaded"), 503) },
      cascade: ["chat:slow", "other:busy"],
      timeouts: { patience_ms: 30, first_token_ms: 150 },
    });
    const response = await gateway.ask(client, "any-model", true);
    expect(response.status).toBe(200);
    const { errors, openings, successes } = summarise(client, await response.text());
    expect({ openings, successes }).toEqual({ openings: 1, successes: 0 });
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain(
      "1. chat:slow: timeout: no answer within 0.15 s; 2. other:busy: 503 overloaded: Overloaded",
    );
  });
});

describe("what is wrong in the config or at a provider does not stop a request", () => {
  test("a cascade that names an unknown provider", async () => {
    await using gateway = await startTestGateway({
      replies: { good: json(whole.chat), "nowhere:m": json(said("no such model"), 404) },
      cascade: ["nowhere:m", "other:good"],
    });
    for (let turn = 0; turn < 5; turn++) {
      const response = await gateway.ask("chat", "any-model", false);
      expect(response.headers.get("x-clutch-served-by")).toBe("other:good");
    }
    // Taken for a model of the default provider, which does not know it; after three times that is known here too.
    expect(gateway.upstream.models().filter((model) => model === "nowhere:m").length).toBeLessThanOrEqual(3);
  });

  test("a quota for a model that is nowhere used", async () => {
    await using gateway = await startTestGateway({
      replies: { good: json(whole.chat) },
      cascade: ["chat:good"],
      config: {
        quotas: { "nobody/knows-it": { max_requests_per_minute: 1 }, "nowhere:m": { max_requests_per_minute: 1 } },
      },
    });
    for (let turn = 0; turn < 3; turn++) expect((await gateway.ask("chat", "any-model", false)).status).toBe(200);
  });

  test("a provider that answers with web pages is left, unseen, and after three of them not asked", async () => {
    await using gateway = await startTestGateway({
      replies: {
        page: html,
        good: (request) => (request.body["stream"] === true ? sse([streamed("chat")]) : json(whole.chat)),
      },
      cascade: ["chat:page", "other:good"],
    });
    const ids: (string | null)[] = [];
    for (const stream of [false, true, false, true, false]) {
      const response = await gateway.ask("messages", "any-model", stream);
      expect(response.headers.get("x-clutch-served-by")).toBe("other:good");
      expect(await response.text()).toContain(stream ? "Gr" : answerText);
      ids.push(response.headers.get("x-clutch-request-id"));
    }
    expect(gateway.upstream.models().filter((model) => model === "page")).toHaveLength(3);
    const [left] = await gateway.attempts(ids[0] ?? null);
    expect(left).toMatchObject({
      failure_kind: "malformed",
      message: expect.stringContaining("expected JSON, got something else"),
    });
  });
});
