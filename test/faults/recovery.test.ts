/** What is out of order stays so for as long as it was told, through a restart too, and comes back by one probe. */

import { afterEach, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { whole } from "../support/answers.ts";
import { json, type Reply, reset, type Script } from "../support/fake-upstream.ts";
import { makeHome, startTestGateway, type TestGateway } from "../support/gateway.ts";
import { startClock } from "./clock.ts";

const broken = json({ error: { message: "oops" } }, 500);
const good = json(whole.chat);
const limited = (seconds: number) => json({ error: { message: "slow down" } }, 429, { "retry-after": String(seconds) });

const homes: string[] = [];

afterEach(() => {
  for (const home of homes.splice(0)) rmSync(home, { recursive: true, force: true });
});

async function askTimes(gateway: TestGateway, times: number, model = "any-model"): Promise<Response[]> {
  const responses: Response[] = [];
  for (let count = 0; count < times; count++) {
    const response = await gateway.ask("chat", model, false);
    await response.arrayBuffer();
    responses.push(response);
  }
  return responses;
}

const servedBy = (response: Response | undefined) => response?.headers.get("x-clutch-served-by");
const secondsOf = (response: Response | undefined) => Number(response?.headers.get("retry-after"));

describe("a breaker", () => {
  test("opens at the third failure in a row, for a minute, then two, then is closed by a success", async () => {
    const clock = startClock();
    await using gateway = await startTestGateway({
      replies: { bad: [broken, broken, broken, broken, good], spare: good },
      cascade: ["chat:bad", "other:spare"],
      now: clock.now,
    });
    const calls = () => gateway.upstream.models().filter((model) => model === "bad").length;
    await askTimes(gateway, 5);
    expect(calls()).toBe(3);
    clock.forward(59_000);
    await askTimes(gateway, 1);
    expect(calls()).toBe(3);
    clock.forward(1_100);
    await askTimes(gateway, 2); // the probe fails
    expect(calls()).toBe(4);
    clock.forward(119_000);
    await askTimes(gateway, 1);
    expect(calls()).toBe(4);
    clock.forward(1_100);
    const [probe, after] = await askTimes(gateway, 2);
    expect([servedBy(probe), servedBy(after)]).toEqual(["chat:bad", "chat:bad"]);
    await gateway.stop(0);
    expect(gateway.circuits()).toEqual({});
  });

  test("is not opened by what is nobody's fault, or by failures with a success between", async () => {
    const wrong = json({ error: { message: "messages: roles must alternate" } }, 400);
    await using gateway = await startTestGateway({
      replies: { bad: [broken, broken, good, broken, broken, good, wrong, wrong, wrong, wrong, good], spare: good },
      cascade: ["chat:bad", "other:spare"],
    });
    const responses = await askTimes(gateway, 11);
    expect(gateway.upstream.models().filter((model) => model === "bad")).toHaveLength(11);
    expect(servedBy(responses.at(-1))).toBe("chat:bad");
  });

  test("of a provider is opened by a network that fails, whichever model is asked", async () => {
    await using gateway = await startTestGateway({
      replies: { one: reset, two: reset, three: reset, four: good, spare: good },
      cascade: ["chat:one", "chat:two", "chat:three", "chat:four", "other:spare"],
    });
    const [response] = await askTimes(gateway, 1);
    expect(servedBy(response)).toBe("other:spare");
    expect(gateway.upstream.models()).toEqual(["one", "two", "three", "spare"]);
  });

  test.each([
    ["0: nothing is ever shut", 0, 6],
    ["1: the first failure opens", 1, 1],
  ])("with breaker.failures %s", async (_name, failures, calls) => {
    await using gateway = await startTestGateway({
      replies: { bad: broken, spare: good },
      cascade: ["chat:bad", "other:spare"],
      config: { breaker: { failures } },
    });
    await askTimes(gateway, 6);
    expect(gateway.upstream.models().filter((model) => model === "bad")).toHaveLength(calls);
  });
});

describe("after a restart", () => {
  /** Fails until it is shut, stops, moves the clock, and starts again on the same database. */
  async function restarted(bad: Script[string], awayMs: number, run: (gateway: TestGateway) => Promise<void>) {
    const home = makeHome();
    homes.push(home);
    const clock = startClock();
    const setup = { cascade: ["chat:bad"], home, now: clock.now, timeouts: { patience_ms: 0 } };
    {
      await using first = await startTestGateway({ ...setup, replies: { bad } });
      await askTimes(first, 3);
    }
    clock.forward(awayMs);
    await using second = await startTestGateway({ ...setup, replies: { bad: good } });
    await run(second);
  }

  const cases: readonly [name: string, bad: Reply, shutMs: number][] = [
    ["an open breaker", broken, 60_000],
    ["a limit with a time of its own", limited(600), 600_000],
    ["an account without money", json({ error: { message: "Insufficient credits" } }, 402), 300_000],
  ];

  test.each(cases)("%s is as long shut as it would have been", async (_name, bad, shutMs) => {
    await restarted(bad, shutMs - 20_000, async (gateway) => {
      const [response] = await askTimes(gateway, 1);
      expect(gateway.upstream.requests).toHaveLength(0);
      expect(response?.status).not.toBe(200);
      expect(secondsOf(response)).toBeWithin(18, 21);
    });
  });

  test.each(cases)("%s is probed when its time has run out meanwhile", async (_name, bad, shutMs) => {
    await restarted(bad, shutMs + 1_000, async (gateway) => {
      const [response] = await askTimes(gateway, 1);
      expect(servedBy(response)).toBe("chat:bad");
    });
  });

  test("two failures are still two", async () => {
    const home = makeHome();
    homes.push(home);
    const setup = { replies: { bad: broken, spare: good }, cascade: ["chat:bad", "other:spare"], home };
    for (const calls of [2, 1]) {
      await using gateway = await startTestGateway(setup);
      await askTimes(gateway, calls === 2 ? 2 : 3);
      expect(gateway.upstream.models().filter((model) => model === "bad")).toHaveLength(calls);
    }
  });
});

describe("half-open, under 50 parallel requests", () => {
  async function probed(
    cascade: string[],
    probe: (gate: Promise<void>) => Reply,
    run: (gateway: TestGateway, gate: PromiseWithResolvers<void>) => Promise<void>,
  ) {
    const clock = startClock();
    const gate = Promise.withResolvers<void>();
    await using gateway = await startTestGateway({
      replies: { bad: [broken, broken, broken, probe(gate.promise), good], spare: good },
      cascade,
      now: clock.now,
      timeouts: { patience_ms: 6_000 },
    });
    await askTimes(gateway, 3);
    clock.forward(61_000);
    await run(gateway, gate);
  }

  const probesOf = (gateway: TestGateway) => gateway.upstream.models().filter((model) => model === "bad").length - 3;
  const heldGood = (gate: Promise<void>): Reply => ({ ...good, body: [gate, ...good.body] });

  test("one is the probe, and the others are served by the next candidate meanwhile", async () => {
    await probed(["chat:bad", "other:spare"], heldGood, async (gateway, gate) => {
      const asked = Array.from({ length: 50 }, () => gateway.ask("chat", "any-model", false));
      await gateway.upstream.received(3 + 3 + 50);
      expect(probesOf(gateway)).toBe(1);
      gate.resolve();
      const by = (await Promise.all(asked)).map(servedBy);
      expect(by.filter((name) => name === "chat:bad")).toHaveLength(1);
      expect(by.filter((name) => name === "other:spare")).toHaveLength(49);
      await askTimes(gateway, 1);
      expect(probesOf(gateway)).toBe(2); // closed again: no probe any more
    });
  });

  test("without another candidate the others wait for what the probe tells", async () => {
    await probed(["chat:bad"], heldGood, async (gateway, gate) => {
      const asked = Array.from({ length: 50 }, () => gateway.ask("chat", "any-model", false));
      await gateway.upstream.received(3 + 1);
      await Bun.sleep(200);
      expect(probesOf(gateway)).toBe(1);
      gate.resolve();
      const statuses = (await Promise.all(asked)).map(({ status }) => status);
      expect(new Set(statuses)).toEqual(new Set([200]));
    });
  });

  test("a probe whose client leaves tells nothing, and the next request is one", async () => {
    await probed(["chat:bad", "other:spare"], heldGood, async (gateway) => {
      const leaving = new AbortController();
      const asked = gateway.ask("chat", "any-model", false, { signal: leaving.signal });
      await gateway.upstream.received(3 + 3 + 1);
      leaving.abort();
      await asked.catch(() => {});
      await gateway.upstream.quiet();
      const [response] = await askTimes(gateway, 1);
      expect(servedBy(response)).toBe("chat:bad");
    });
  });

  test("a probe that hangs is left in time for another model of the same provider", async () => {
    const clock = startClock();
    await using gateway = await startTestGateway({
      replies: { one: [reset, reset, reset, { body: [], end: "open" }], two: good },
      cascade: ["chat:one", "chat:two"],
      now: clock.now,
      timeouts: { first_token_ms: 150, idle_ms: 150, patience_ms: 5_000 },
      config: { breaker: { failures: 3 }, mappings: { only: "chat:one" } },
    });
    await askTimes(gateway, 3, "only"); // the provider is shut
    clock.forward(61_000);
    const [response] = await askTimes(gateway, 1);
    expect(servedBy(response)).toBe("chat:two");
  });
});

describe("a limit that is soon over", () => {
  test.each([
    ["that says so", [limited(1), good], 1],
    ["that says nothing of its length", [json({ error: { message: "slow down" } }, 429), good], 1],
  ])("is waited for when nobody else is left, one %s", async (_name, bad, seconds) => {
    await using gateway = await startTestGateway({ replies: { bad }, cascade: ["chat:bad"] });
    const startedAt = performance.now();
    const [response] = await askTimes(gateway, 1);
    const tookMs = performance.now() - startedAt;
    expect(response?.status).toBe(200);
    expect(response?.headers.get("x-clutch-attempts")).toBe("2");
    expect(tookMs).toBeWithin(seconds * 1000, seconds * 1000 + 700);
  });

  test("is not waited for while another candidate is left", async () => {
    await using gateway = await startTestGateway({
      replies: { bad: limited(1), spare: good },
      cascade: ["chat:bad", "other:spare"],
    });
    const startedAt = performance.now();
    expect(servedBy((await askTimes(gateway, 1))[0])).toBe("other:spare");
    expect(performance.now() - startedAt).toBeLessThan(700);
  });

  test("is not waited for when it is longer than the patience", async () => {
    await using gateway = await startTestGateway({ replies: { bad: limited(9) }, cascade: ["chat:bad"] });
    const startedAt = performance.now();
    const [response] = await askTimes(gateway, 1);
    expect(performance.now() - startedAt).toBeLessThan(700);
    expect([response?.status, secondsOf(response)]).toEqual([429, 9]);
    expect(gateway.upstream.requests).toHaveLength(1);
  });

  test("is honoured where breakers are off, too", async () => {
    await using gateway = await startTestGateway({
      replies: { bad: limited(40), worse: limited(1) },
      cascade: ["chat:bad", "other:worse"],
      config: { breaker: { failures: 0 } },
      timeouts: { patience_ms: 1_500 },
    });
    const [response] = await askTimes(gateway, 1);
    expect(response?.status).toBe(429);
    expect(gateway.upstream.models()).toEqual(["bad", "worse", "worse"]);
  });

  test("is left when the client leaves", async () => {
    await using gateway = await startTestGateway({ replies: { bad: [limited(5), good] }, cascade: ["chat:bad"] });
    const leaving = new AbortController();
    const asked = gateway.ask("chat", "any-model", false, { signal: leaving.signal });
    await gateway.upstream.received(1);
    await Bun.sleep(60);
    leaving.abort();
    await asked.catch(() => {});
    expect(await gateway.onlyRequest()).toMatchObject({ status: "aborted", attempts: 1 });
    expect(gateway.gateway.inFlight()).toBe(0);
  });
});
