import { describe, expect, test } from "bun:test";
import { failure } from "../../providers/failure.ts";
import type { Circuit } from "../../src/gateway/circuit.ts";
import { type Candidate, Health, maxCircuits } from "../../src/gateway/health.ts";
import type { QuotaRules } from "../../src/gateway/quota-windows.ts";

const start = 1_000_000;
const minuteMs = 60_000;

function candidate(more: Partial<Candidate> = {}): Candidate {
  return { provider: "p", model: "m", keyId: "#1", hasOtherKeys: false, pool: undefined, ...more };
}

function setup({ failures = 3, quotas = new Map() as QuotaRules } = {}) {
  let now = start;
  const changes = new Map<string, Circuit | undefined>();
  const health = new Health({
    now: () => now,
    policy: () => ({ failures, cooldownMs: minuteMs, maxCooldownMs: 60 * minuteMs }),
    quotas: () => quotas,
    onChange: (id, circuit) => changes.set(id, circuit),
  });
  const admit = (one: Candidate) => {
    const admission = health.admit(one);
    if (!admission.ok) throw new Error(`refused: ${admission.refusal.reason}`);
    return admission.ticket;
  };
  return {
    health,
    changes,
    admit,
    fail: (why: ReturnType<typeof failure>, one = candidate()) => admit(one).failed(why),
    forward: (ms: number) => {
      now += ms;
    },
    /** What is shut, and for how many seconds from now. */
    shut: () =>
      Object.fromEntries(
        health.list().flatMap(({ id, circuit: { until } }) => (until === 0 ? [] : [[id, (until - now) / 1000]])),
      ),
    isOpen: (one: Candidate) => health.refusal(one) === undefined,
  };
}

const said = (kind: Parameters<typeof failure>[0], more: Parameters<typeof failure>[2] = {}) =>
  failure(kind, `it was ${kind}`, more);

describe("one failure shuts", () => {
  const free = candidate({ pool: "free" });
  const pooled = candidate({ hasOtherKeys: true });
  const keyless = candidate({ keyId: undefined });

  test.each<[name: string, why: ReturnType<typeof failure>, of: Candidate, shut: Record<string, number>]>([
    ["nothing: 500", said("upstream"), candidate(), {}],
    ["nothing: a client's mistake", said("bad-request"), candidate(), {}],
    ["nothing: an overflow", said("context-overflow"), candidate(), {}],
    ["nothing: a client that left", said("aborted"), candidate(), {}],
    ["nothing: a key that was never there", said("no-key"), keyless, {}],
    ["nothing: what it cannot do", said("unsupported"), candidate(), {}],
    ["nothing: a balance too small for this request", said("billing", { scope: "request" }), candidate(), {}],
    ["a key: 401", said("auth"), candidate(), { "key:p#1": 60 }],
    ["a key: 403", said("permission"), candidate(), { "key:p#1": 60 }],
    ["an account: 401 where no key is known", said("auth"), keyless, { "account:p": 60 }],
    ["an account: 402", said("billing"), candidate(), { "account:p": 300 }],
    ["an account: 402, free models too", said("billing"), free, { "account:p": 300 }],
    ["an account: its limit", said("rate-limit", { scope: "account" }), candidate(), { "account:p": 1 }],
    ["a pool: its limit", said("quota", { scope: "account", retryAfterMs: 7_200_000 }), free, { "free:p": 7_200 }],
    ["a model: its limit", said("rate-limit"), candidate(), { "model:p:m": 1 }],
    ["a model: its limit, as told", said("rate-limit", { retryAfterMs: 30_000 }), candidate(), { "model:p:m": 30 }],
    ["a model: its limit of the day", said("quota"), candidate(), { "model:p:m": 900 }],
    ["a model with one of several keys: its limit", said("rate-limit"), pooled, { "model:p:m#1": 1 }],
    ["a key: its limit", said("rate-limit", { scope: "key" }), candidate(), { "key:p#1": 1 }],
    ["a provider: ramp-up", said("ramp-up"), candidate(), { "provider:p": 15 }],
    ["a model: ramp-up of one behind it", said("ramp-up", { scope: "model" }), candidate(), { "model:p:m": 15 }],
  ])("%s", (_name, why, of, shut) => {
    const { fail, shut: found } = setup();
    fail(why, of);
    expect(found()).toEqual(shut);
  });
});

describe("failures add up", () => {
  test.each<[name: string, why: ReturnType<typeof failure>, times: number, id: string]>([
    ["500", said("upstream"), 3, "model:p:m"],
    ["404", said("not-found"), 3, "model:p:m"],
    ["timeouts", said("timeout"), 3, "model:p:m"],
    ["garbage", said("malformed"), 3, "model:p:m"],
    ["empty answers", said("empty"), 6, "model:p:m"],
    ["a network that fails", said("network"), 3, "provider:p"],
  ])("%s open after %s", (_name, why, times, id) => {
    const { fail, shut } = setup();
    for (let count = 1; count < times; count++) fail(why);
    expect(shut()).toEqual({});
    fail(why);
    expect(shut()).toEqual({ [id]: 60 });
  });

  test("until a success between them", () => {
    const { fail, admit, shut, health } = setup();
    for (let round = 0; round < 3; round++) {
      fail(said("upstream"));
      fail(said("upstream"));
      admit(candidate()).served();
    }
    expect(shut()).toEqual({});
    expect(health.list()).toEqual([]);
  });

  test("a success that is only half of one counts half against it", () => {
    const { admit, shut } = setup();
    for (let count = 0; count < 6; count++) admit(candidate()).servedBadly({ kind: "truncated", message: "cut" });
    expect(shut()).toEqual({ "model:p:m": 60 });
  });

  test("never, where breakers are off", () => {
    const { fail, health } = setup({ failures: 0 });
    for (const kind of ["upstream", "network", "auth", "billing", "rate-limit", "ramp-up"] as const) fail(said(kind));
    expect(health.list()).toEqual([]);
  });
});

describe("what is shut", () => {
  const neighbours = {
    "same model": candidate(),
    "same model, other key": candidate({ keyId: "#2", hasOtherKeys: true }),
    "free model": candidate({ model: "x", pool: "free" }),
    "other model": candidate({ model: "n" }),
    "other provider": candidate({ provider: "q" }),
  };

  test.each<[name: string, why: ReturnType<typeof failure>, of: Candidate, closed: (keyof typeof neighbours)[]]>([
    ["a model's limit", said("rate-limit"), candidate(), ["same model", "same model, other key"]],
    ["a key", said("auth"), candidate(), ["same model", "free model", "other model"]],
    ["an account", said("billing"), candidate(), ["same model", "same model, other key", "free model", "other model"]],
    ["a pool", said("quota", { scope: "account" }), neighbours["free model"], ["free model"]],
    ["a provider", said("ramp-up"), candidate(), ["same model", "same model, other key", "free model", "other model"]],
  ])("by %s is what depends on it", (_name, why, of, closed) => {
    const { fail, isOpen } = setup();
    fail(why, of);
    const found = Object.entries(neighbours).flatMap(([name, one]) => (isOpen(one) ? [] : [name]));
    expect(found).toEqual(closed);
  });

  test("is told with what is shut, why, and until when; the last to be back counts", () => {
    const { fail, admit, health } = setup();
    const running = admit(candidate());
    fail(said("rate-limit", { retryAfterMs: 30_000 }));
    running.failed(failure("auth", "Incorrect API key provided"));
    expect(health.refusal(candidate())).toEqual({
      reason: "key #1 of p is resting: Incorrect API key provided",
      kind: "auth",
      circuit: "key:p#1",
      backAt: start + 60_000,
    });
  });

  test("is told as being tried while a probe is under way", () => {
    const { fail, admit, forward, health } = setup();
    fail(said("rate-limit", { retryAfterMs: 30_000 }));
    forward(30_000);
    admit(candidate());
    expect(health.refusal(candidate())).toMatchObject({
      reason: "m is being tried by another request",
      backAt: start + 32_000,
    });
  });
});

describe("a probe", () => {
  function halfOpen() {
    const made = setup();
    for (let count = 0; count < 3; count++) made.fail(said("upstream"));
    made.forward(minuteMs);
    return made;
  }

  test("that works closes the circuit, and what is written says so", () => {
    const { admit, health, changes } = halfOpen();
    admit(candidate()).served();
    expect(health.list()).toEqual([]);
    expect([...changes]).toEqual([["model:p:m", undefined]]);
  });

  test("that fails opens it for twice as long", () => {
    const { fail, shut } = halfOpen();
    fail(said("upstream"));
    expect(shut()).toEqual({ "model:p:m": 120 });
  });

  test.each([
    ["leaves", "unknown"],
    ["turns out to be wrong itself", "wrong"],
  ])("whose client %s lets the next one try", (_name, how) => {
    const { admit, isOpen } = halfOpen();
    const ticket = admit(candidate());
    expect(isOpen(candidate())).toBe(false);
    if (how === "unknown") ticket.unknown();
    else ticket.failed(said("bad-request"));
    expect(isOpen(candidate())).toBe(true);
  });

  test("that is never heard of again is given up after five minutes", () => {
    const { admit, isOpen, forward } = halfOpen();
    admit(candidate());
    forward(5 * minuteMs);
    expect(isOpen(candidate())).toBe(false);
    forward(1);
    expect(isOpen(candidate())).toBe(true);
  });

  test("is not ended by a request that was under way before, however that one ends", () => {
    const { admit, fail, isOpen, forward } = setup();
    const [left, wrong] = [admit(candidate()), admit(candidate())];
    for (let count = 0; count < 3; count++) fail(said("upstream"));
    forward(minuteMs);
    admit(candidate());
    left.unknown();
    wrong.failed(said("bad-request"));
    expect(isOpen(candidate())).toBe(false);
  });

  test("of one model leaves the others of its provider alone", () => {
    const { admit, isOpen } = halfOpen();
    admit(candidate());
    expect(isOpen(candidate({ model: "n" }))).toBe(true);
  });

  test("is one, of a provider, whichever model it is asked for", () => {
    const { fail, admit, isOpen, forward } = setup();
    for (const model of ["a", "b", "c"]) fail(said("network"), candidate({ model }));
    forward(minuteMs);
    admit(candidate({ model: "a" }));
    expect(isOpen(candidate({ model: "b" }))).toBe(false);
  });
});

describe("requests that were under way", () => {
  test("when a circuit opened do not close it by succeeding, nor open it wider by failing", () => {
    const { admit, fail, shut, forward } = setup();
    const [early, late] = [admit(candidate()), admit(candidate())];
    forward(10);
    fail(said("rate-limit", { retryAfterMs: 30_000 }));
    forward(10);
    early.served();
    late.failed(said("rate-limit"));
    expect(shut()).toEqual({ "model:p:m": 29.99 });
  });

  test("tell once: what comes after that is nothing", () => {
    const { admit, shut, health } = setup();
    const ticket = admit(candidate());
    ticket.served();
    ticket.failed(said("auth"));
    ticket.unknown();
    expect([shut(), health.list()]).toEqual([{}, []]);
  });
});

describe("quotas of the config", () => {
  const quotas: QuotaRules = new Map([["p:m", { max_requests_per_minute: 1 }]]);

  test("are spent by asking, and refunded where the upstream has counted nothing", () => {
    for (const [kind, isFreeAgain] of [
      ["network", true],
      ["rate-limit", true],
      ["upstream", false],
    ] as const) {
      const { fail, health, forward } = setup({ quotas, failures: 0 });
      fail(said(kind));
      forward(1);
      expect([kind, health.refusal(candidate()) === undefined]).toEqual([kind, isFreeAgain]);
    }
  });
});

describe("what is known", () => {
  test("is taken over by the next gateway, without the probes of the last", () => {
    const before = setup();
    for (let count = 0; count < 3; count++) before.fail(said("upstream"));
    before.forward(minuteMs);
    before.admit(candidate());
    const after = setup();
    after.health.restore(before.health.list().map(({ id, circuit }) => [id, circuit] as const));
    expect(after.isOpen(candidate())).toBe(false);
    after.forward(minuteMs);
    expect(after.isOpen(candidate())).toBe(true);
  });

  test("can be reset, by id or all of it", () => {
    const { fail, health, isOpen, changes } = setup();
    fail(said("auth"));
    fail(said("billing"), candidate({ provider: "q" }));
    expect(health.reset((id) => id === "key:p#1")).toEqual(["key:p#1"]);
    expect(isOpen(candidate())).toBe(true);
    expect(health.reset(() => true)).toEqual(["account:q"]);
    expect([...changes.values()]).toEqual([undefined, undefined]);
  });

  test("can be told by an upstream's own word about an account", () => {
    const { health, shut, isOpen } = setup();
    health.shut("free:p", "50 of 50 used", 3_600_000);
    expect(shut()).toEqual({ "free:p": 3_600 });
    expect(isOpen(candidate({ pool: "free" }))).toBe(false);
  });
});

test("a client that makes up names of models fills no memory, and opens nothing that others share", () => {
  const { health, fail, changes, isOpen } = setup({ failures: 1 });
  fail(said("billing", { scope: "account" }), candidate({ provider: "broke", model: "x" }));
  for (let at = 0; at < maxCircuits + 100; at++) fail(said("upstream"), candidate({ model: `made-up-${at}` }));
  expect(health.list().length).toBe(maxCircuits);
  expect([isOpen(candidate({ provider: "broke" })), isOpen(candidate({ model: "made-up-0" }))]).toEqual([false, true]);
  expect(isOpen(candidate({ model: `made-up-${maxCircuits}` }))).toBe(false);
  // What is forgotten goes from the ledger too.
  expect([...changes.values()].filter((circuit) => circuit === undefined).length).toBe(101);
});
