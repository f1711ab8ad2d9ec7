import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import type { WhyReport } from "../../src/explain/why.ts";
import { answerText, at, protocols, streamed, summarise, whole } from "../support/answers.ts";
import { json, silent, sse } from "../support/fake-upstream.ts";
import {
  ask,
  buildConfig,
  eventually,
  makeHome,
  readLedger,
  startServe,
  startTestGateway,
} from "../support/gateway.ts";
import { runClutch } from "../support/run-clutch.ts";

const slowDown = json({ error: { message: "slow down" } }, 429, { "retry-after": "120" });
const noTemperature = "Unsupported parameter: 'temperature' is not supported with this model.";

async function tell(home: string, ...args: string[]): Promise<WhyReport> {
  const { code, stdout, stderr } = await runClutch(home, ["why", ...args, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as WhyReport;
}

describe("clutch why", () => {
  test("tells of a cascade while the gateway runs, and once it has ended, in any way", async () => {
    await using gateway = await startTestGateway({
      replies: {
        limited: slowDown,
        picky: [json({ error: { message: noTemperature } }, 400), sse([streamed("chat")])],
        unasked: sse([]),
      },
      cascade: ["chat:limited", "other:picky", "other:unasked"],
    });
    const askAgain = () =>
      gateway.ask("messages", "claude-opus-5-5", true, {
        body: { temperature: 0.5 },
        headers: { authorization: "Bearer xx-cip-k3j9", "x-claude-code-session-id": "1f3a" },
      });
    const first = await askAgain();
    expect(summarise("messages", await first.text())).toMatchObject({ text: answerText, successes: 1 });
    const id = first.headers.get("x-clutch-request-id") ?? "";
    await gateway.request(id);
    const { request, candidates, attempts, rule, served_by } = await tell(gateway.home, id);
    expect(request).toMatchObject({ id, status: "completed", agent: "c", code: "cip", session: "1f3a", folder: null });
    expect([rule, served_by]).toEqual(["tier BIG by family", "other:picky"]);
    expect(candidates.map(({ target, outcome }) => [target, outcome])).toEqual([
      ["chat:limited", "failed"],
      ["other:picky", "served"],
      ["other:unasked", "not-needed"],
    ]);
    expect(attempts).toMatchObject([
      {
        number: 1,
        http_status: 429,
        kind: "rate-limit",
        message: "slow down",
        closed: { id: "model:chat:limited", what: "chat:limited" },
      },
      { number: 2, kind: null, repairs: ["left out temperature: it refused the request as it was"] },
    ]);

    const second = await askAgain();
    await second.text();
    await gateway.request(second.headers.get("x-clutch-request-id"));
    const last = await tell(gateway.home, "last");
    expect(last.candidates[0]).toMatchObject({ outcome: "skipped", kind: "rate-limit" });
    expect(last.candidates[0]?.reason).toStartWith("limited is resting: slow down; back ");
    expect(last.attempts[0]?.repairs).toEqual(["left out temperature: it is known to refuse it otherwise"]);

    await gateway.stop(0);
    expect(await tell(gateway.home, id)).toEqual({ request, candidates, attempts, rule, served_by, rules_passed: [] });
    const { code, stdout } = await runClutch(gateway.home, ["why", id]);
    expect(code).toBe(0);
    expect(stdout).toStartWith(`request ${id} was answered by other:picky in `);
    expect(stdout).not.toContain("\u001b");

    // Both begin with the time they came at.
    const several = await runClutch(gateway.home, ["why", id.slice(0, 4)]);
    expect(several.code).toBe(1);
    for (const found of [first, second]) {
      expect(several.stdout).toContain(found.headers.get("x-clutch-request-id") ?? "?");
    }
  });

  test("writes no trail for a first candidate that answers", async () => {
    await using gateway = await startTestGateway({ replies: { good: json(whole.chat) }, cascade: ["good", "more"] });
    const response = await gateway.ask("chat", "anything", false);
    const row = await gateway.request(response.headers.get("x-clutch-request-id"));
    expect(row).toMatchObject({ status: "completed", trail: null });
    expect((await tell(gateway.home)).candidates).toMatchObject([{ target: "chat:good", outcome: "served" }]);
  });

  test("says who is being asked, of a request under way", async () => {
    await using gateway = await startTestGateway({ replies: { silent }, cascade: ["dead:m", "chat:silent", "more"] });
    const leaving = new AbortController();
    const asked = gateway.ask("chat", "anything", false, { signal: leaving.signal }).catch(() => undefined);
    await eventually("the first attempt in the ledger", () => gateway.requests()[0]?.["attempts"] === 1);
    const { request, candidates } = await tell(gateway.home);
    expect(request.status).toBe("pending");
    expect(candidates).toMatchObject([
      { target: "dead:m", outcome: "failed", kind: "network" },
      { target: "chat:silent", outcome: "asking" },
      { target: "chat:more", outcome: "not-reached", reason: "its turn has not come" },
    ]);
    leaving.abort();
    await asked;
    await gateway.onlyRequest();
    expect((await tell(gateway.home)).candidates[2]).toMatchObject({
      outcome: "not-reached",
      reason: "the request was over before its turn came",
    });
  });

  test("does not call a race lost that the client has ended", async () => {
    await using gateway = await startTestGateway({
      replies: { silent, also: silent },
      cascade: ["chat:silent", "other:also"],
      config: { hedge: { after_ms: 20 } },
    });
    const leaving = new AbortController();
    const asked = gateway.ask("chat", "anything", false, { signal: leaving.signal }).catch(() => undefined);
    await gateway.upstream.received(2);
    leaving.abort();
    await asked;
    await gateway.onlyRequest();
    const { attempts } = await tell(gateway.home);
    expect(attempts.map(({ target, meaning, hedged }) => [target, meaning, hedged]).toSorted()).toEqual([
      ["chat:silent", "the client left", false],
      ["other:also", "the request was over before it answered", true],
    ]);
  });

  test("tells of a gateway that was killed", async () => {
    const home = makeHome();
    const server = await startServe({
      home,
      config: { ...buildConfig(1, { cascade: ["dead:m"] }), server: {} },
      args: ["--port", "0"],
    });
    const id = (await ask(server.url, "chat", "anything", false)).headers.get("x-clutch-request-id") ?? "";
    await readLedger(`${home}/clutch.db`).request(id);
    server.kill("SIGKILL");
    await server.exited;
    expect((await tell(home, id)).candidates).toMatchObject([{ target: "dead:m", outcome: "failed", kind: "network" }]);
    rmSync(home, { recursive: true });
  });

  test.each(protocols)("is named where nobody answers a %s client, keys left out", async (protocol) => {
    await using gateway = await startTestGateway({
      replies: { one: json({ error: { message: "wrong key sk-upstream-key" } }, 401), two: slowDown },
      cascade: ["chat:one", "other:two"],
    });
    const response = await gateway.ask(protocol, "anything", false);
    const id = response.headers.get("x-clutch-request-id");
    const message = at(await response.json(), "error", "message");
    expect(message).toContain(`(clutch why ${id})`);
    expect(message).not.toContain("sk-upstream-key");
    await gateway.request(id);
    const { stdout } = await runClutch(gateway.home, ["why", id ?? "", "--json"]);
    expect(stdout).toContain("wrong key (key #1)");
    expect(stdout).not.toContain("sk-upstream-key");
  });

  test("says what to do when there is nothing to tell", async () => {
    const home = makeHome();
    const without = await runClutch(home, ["why"]);
    expect([without.code, without.stderr]).toEqual([
      1,
      `clutch: there is no ledger yet (${home}/clutch.db): start the gateway with clutch serve, or an agent with xx\n`,
    ]);
    rmSync(home, { recursive: true });
    await using gateway = await startTestGateway({ replies: {} });
    const empty = await runClutch(gateway.home, ["why"]);
    expect([empty.code, empty.stderr]).toEqual([
      1,
      "clutch: the ledger holds no request yet: start an agent with xx, and ask it something\n",
    ]);
    const unknown = await runClutch(gateway.home, ["why", "nope"]);
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toContain('no request in the ledger has the id "nope": every answer carries its id');
  });
});
