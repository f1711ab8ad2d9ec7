import { describe, expect, test } from "bun:test";
import type { BreakerReport } from "../../src/explain/breakers.ts";
import { renderStatus } from "../../src/explain/render-status.ts";
import { buildStatus, type RunningLaunch, type StatusInput } from "../../src/explain/status.ts";
import { plainPaint } from "../../src/explain/table.ts";
import { reportTotals } from "../../src/gateway/day-totals.ts";
import type { GatewayStatus } from "../../src/gateway/status-report.ts";
import type { TierReport } from "../../src/gateway/tier-status.ts";
import { isTroubled, type Member, type MemberState } from "../../src/lifecycle/chain/member.ts";
import { noSums } from "../../src/store/rollup.ts";

const now = Date.parse("2026-11-20T12:00:00Z");
const url = "http://127.0.0.1:8082";

const ready: Member = {
  id: "gateway",
  name: "Clutch gateway",
  type: "http",
  state: "ready",
  isFront: false,
  port: 8082,
  version: "0.1.0",
  pid: 4242,
  startedAtMs: now - 3 * 3_600_000,
  restarts: 0,
  detail: "",
  hint: undefined,
};

const nothing = { version: undefined, pid: undefined, startedAtMs: undefined };

/** One of each state, as the chain may report it. */
const members: Record<MemberState, Member> = {
  ready,
  starting: { ...ready, id: "headroom", state: "starting", isFront: true, port: 8787, detail: "no answer yet" },
  unhealthy: {
    ...ready,
    id: "two",
    state: "unhealthy",
    port: 2,
    version: "0.35.0",
    detail: "says 503",
    hint: "clutch restart two",
  },
  restarting: {
    ...ready,
    ...nothing,
    id: "three",
    state: "restarting",
    port: 3,
    restarts: 2,
    detail: "ended with 1, again in 4 s",
  },
  failed: {
    ...ready,
    ...nothing,
    id: "four",
    state: "failed",
    port: 4,
    restarts: 5,
    detail: "ended with 1",
    hint: "clutch logs four",
  },
  stopped: { ...ready, ...nothing, id: "five", state: "stopped", port: 5, hint: "clutch up" },
  foreign: {
    ...ready,
    ...nothing,
    id: "six",
    state: "foreign",
    port: 6,
    detail: "python3 (17) holds port 6",
    hint: "stop it",
  },
  absent: { ...ready, ...nothing, id: "seven", state: "absent", port: 7, detail: "not installed" },
  off: { ...ready, ...nothing, id: "eight", state: "off", port: 8 },
  passive: {
    ...ready,
    ...nothing,
    id: "rtk",
    type: "cli_wrapper",
    state: "passive",
    port: undefined,
    version: "0.20.1",
    detail: "Claude Code",
  },
};

function breaker(id: string, over: Partial<BreakerReport>): BreakerReport {
  return {
    id,
    what: id.replace(/^[a-z]+:/, ""),
    scope: "model",
    state: "open",
    kind: "upstream",
    reason: "503",
    since: "2026-11-20T11:59:00.000Z",
    back_at: "2026-11-20T12:01:00.000Z",
    told_by: "guess",
    probing: false,
    failures: 3,
    failures_limit: 3,
    openings: 1,
    ...over,
  };
}

function letter(name: string, own: string): TierReport {
  const candidates = [{ target: own, state: "ready", reason: null, back_at: null } as const];
  return { tier: name, kind: "letter", first: own, serves: own, candidates };
}

function closedLetter(name: string, own: string): TierReport {
  const reason = "the free models of openrouter are resting: limit of the day";
  const closed = { target: own, state: "closed", reason, back_at: "2026-11-21T00:00:00.000Z" } as const;
  return { tier: name, kind: "letter", first: own, serves: "groq:two", candidates: [closed] };
}

const gatewayStatus: GatewayStatus = {
  service: "clutch",
  version: "0.1.0",
  pid: 4242,
  database: "/home/somebody/clutch.db",
  started_at: "2026-11-20T09:00:00.000Z",
  draining: false,
  problems: ["3 ledger rows were lost"],
  in_flight: 2,
  requests: [],
  tiers: [
    {
      tier: "BIG",
      kind: "tier",
      first: "openrouter:vendor/one:free",
      serves: "groq:two",
      candidates: [
        {
          target: "openrouter:vendor/one:free",
          state: "closed",
          reason: "the free models of openrouter are resting: limit of the day",
          back_at: "2026-11-21T00:00:00.000Z",
        },
        { target: "groq:two", state: "ready", reason: null, back_at: null },
      ],
    },
    {
      tier: "MIDDLE",
      kind: "tier",
      first: "groq:two",
      serves: "groq:two",
      candidates: [{ target: "groq:two", state: "ready", reason: null, back_at: null }],
    },
    {
      tier: "SMALL",
      kind: "tier",
      first: "mistral:three",
      serves: null,
      candidates: [
        { target: "mistral:three", state: "unsuited", reason: "no key: env MISTRAL_API_KEY", back_at: null },
      ],
    },
    letter("k", "groq:kimi"),
    closedLetter("d", "openrouter:vendor/one:free"),
    closedLetter("f", "openrouter:vendor/other:free"),
    letter("q", "groq:qwen"),
  ],
  breakers: [
    breaker("model:groq:four", {}),
    breaker("model:groq:five", { state: "counting", since: null, back_at: null, told_by: null, failures: 1 }),
  ],
  domains: [
    breaker("free:openrouter", {
      what: "the free models of openrouter",
      scope: "pool",
      kind: "quota",
      reason: "limit of the day",
      back_at: "2026-11-21T00:00:00.000Z",
      told_by: "upstream",
    }),
  ],
  today: reportTotals(
    {
      ...noSums,
      requests: 142,
      completed: 137,
      errors: 3,
      aborted: 2,
      inputTokens: 200_000,
      cacheReadTokens: 1_000_000,
      outputTokens: 45_300,
      unpriced: 137,
    },
    Date.parse("2026-11-20T00:00:00Z"),
  ),
};

const launch: RunningLaunch = {
  isAttached: false,
  record: {
    id: "abc123",
    command: ["xx", "cip"],
    cwd: "/home/somebody/work",
    env: {},
    bootId: "b",
    startedAtMs: now - 600_000,
    tmuxSession: "xx-c-abc123",
    pid: 77,
    agent: "c",
    code: "cip",
    launchId: "k3j9",
  },
};

const well: StatusInput = {
  members: [ready, members.off, members.passive],
  notes: ["nobody watches over the services"],
  gatewayUrl: url,
  gateway: { ok: true, status: gatewayStatus },
  launches: [launch],
  now,
};

const view = { now, columns: 200, paint: plainPaint, home: "/home/somebody" };

test("renderStatus() puts all that goes on onto one screen", () => {
  expect(renderStatus(buildStatus(well), view).split("\n")).toEqual([
    "Clutch 0.1.0 on http://127.0.0.1:8082 · up 3 h · 2 requests under way · all is well",
    "",
    "services   state    port  up   version",
    "  gateway  ready    8082  3 h  0.1.0",
    "  eight    off      8     -    -",
    "  rtk      passive  -     -    0.20.1   Claude Code",
    "",
    "tiers     served by",
    "  BIG     groq:two   instead of openrouter:vendor/one:free (back 00:00 UTC, in 12 h): the free models of openrouter are resting: limit of the day",
    "  MIDDLE  groq:two",
    "  SMALL   nobody     mistral:three: no key: env MISTRAL_API_KEY",
    "  k q     their own",
    "  d f     groq:two   instead of their own (back 00:00 UTC, in 12 h): the free models of openrouter are resting: limit of the day",
    "",
    "out of order",
    "  what                           state  since         back                                    why",
    "  the free models of openrouter  open   11:59:00 UTC  00:00 UTC, in 12 h (the upstream says)  quota: limit of the day",
    "  groq:four                      open   11:59:00 UTC  12:01:00 UTC, in 60 s (a guess)         upstream: 503",
    "  1 more failing now and then: clutch breakers",
    "",
    "agents                 code  folder  up",
    "  abc123  Claude Code  cip   ~/work  10 min  no terminal shows it",
    "",
    "today  142 requests, 3 failed, 2 broken off · 1.2 M tokens in (83 % cached), 45.3 k out · cost unknown: nobody told a price",
    "",
    "! nobody watches over the services",
    "! 3 ledger rows were lost",
  ]);
});

describe("every state of a service", () => {
  const lines: Record<MemberState, string> = {
    ready: "  gateway  ready  8082  3 h  0.1.0",
    starting: "  headroom  starting  8787  3 h  0.1.0    front, no answer yet",
    unhealthy: "  two     unhealthy  2     3 h  0.35.0   says 503: clutch restart two",
    restarting: "  three   restarting  3     -   -        started again 2 times, ended with 1, again in 4 s",
    failed: "  four    failed  4     -   -        started again 5 times, ended with 1: clutch logs four",
    stopped: "  five    stopped  5     -   -        clutch up",
    foreign: "  six     foreign  6     -   -        python3 (17) holds port 6: stop it",
    absent: "  seven   absent  7     -   -        not installed",
    off: "  eight   off    8     -   -",
    passive: "  rtk     passive  -     -   0.20.1   Claude Code",
  };
  test.each(Object.keys(members) as MemberState[])("%s", (state) => {
    const member = members[state];
    const report = buildStatus({ ...well, members: [member] });
    const row = renderStatus(report, view).split("\n")[3] ?? "";
    expect(row.replace(/ {2,}/g, "  ")).toBe(`  ${lines[state].trim().replace(/ {2,}/g, "  ")}`);
    expect(report.healthy).toBe(!isTroubled(member));
    expect(renderStatus(report, view).split("\n")[0]?.endsWith("all is well")).toBe(report.healthy);
  });

  test("only what is enabled and not as it should be makes the whole unhealthy", () => {
    const troubled = Object.values(members).filter((member) => !buildStatus({ ...well, members: [member] }).healthy);
    expect(troubled.map(({ state }) => state)).toEqual([
      "starting",
      "unhealthy",
      "restarting",
      "failed",
      "stopped",
      "foreign",
    ]);
    expect(renderStatus(buildStatus({ ...well, members: Object.values(members) }), view)).toContain(
      "6 services not well: headroom, two, three, four, five, six",
    );
  });
});

test("buildStatus() is what --json prints, whole", () => {
  const report = buildStatus({ ...well, members: [members.restarting] });
  expect(report).toEqual({
    healthy: false,
    services: [
      {
        id: "three",
        name: "Clutch gateway",
        type: "http",
        state: "restarting",
        front: false,
        port: 3,
        version: null,
        pid: null,
        started_at: null,
        uptime_seconds: null,
        restarts: 2,
        detail: "ended with 1, again in 4 s",
        hint: null,
      },
    ],
    notes: ["nobody watches over the services"],
    gateway: {
      url,
      answers: true,
      reason: null,
      version: "0.1.0",
      pid: 4242,
      started_at: "2026-11-20T09:00:00.000Z",
      draining: false,
      in_flight: 2,
      problems: ["3 ledger rows were lost"],
    },
    tiers: gatewayStatus.tiers,
    breakers: gatewayStatus.breakers,
    domains: gatewayStatus.domains,
    launches: [
      {
        id: "abc123",
        agent: "c",
        agent_name: "Claude Code",
        code: "cip",
        command: ["xx", "cip"],
        folder: "/home/somebody/work",
        pid: 77,
        started_at: "2026-11-20T11:50:00.000Z",
        attached: false,
        launch_id: "k3j9",
        session: null,
      },
    ],
    today: gatewayStatus.today,
    source: "gateway",
  });
  expect(JSON.parse(JSON.stringify(report))).toEqual(report);
});

test("a gateway that nobody of ours has started tells its version, process and start by itself", () => {
  const member = { ...ready, ...nothing };
  expect(buildStatus({ ...well, members: [member] }).services).toMatchObject([
    { id: "gateway", version: "0.1.0", pid: 4242, started_at: "2026-11-20T09:00:00.000Z", uptime_seconds: 10_800 },
  ]);
  expect(buildStatus({ ...well, members: [members.restarting] }).services).toMatchObject([
    { version: null, pid: null },
  ]);
});

describe("without a gateway", () => {
  const reason = "no gateway answers at http://127.0.0.1:8082";
  test("the ledger tells what it can, and the rest has a reason", () => {
    const { breakers, domains, today } = gatewayStatus;
    const gateway: StatusInput["gateway"] = { ok: false, reason, ledger: { breakers: [], domains, today } };
    const report = buildStatus({
      ...well,
      members: [{ ...ready, ...nothing, state: "stopped" }],
      gateway,
      launches: [],
    });
    expect(report).toMatchObject({
      healthy: false,
      gateway: { answers: false, reason, version: null, pid: null, in_flight: null, problems: [] },
      tiers: null,
      domains,
      source: "ledger",
    });
    expect(renderStatus(report, view).split("\n")).toEqual([
      "Clutch: 1 service not well: gateway",
      "",
      "services   state    port  up  version",
      "  gateway  stopped  8082  -   -",
      "",
      `tiers  not known: ${reason}`,
      "",
      "out of order (from the ledger)",
      "  what                           state  since         back                                    why",
      "  the free models of openrouter  open   11:59:00 UTC  00:00 UTC, in 12 h (the upstream says)  quota: limit of the day",
      "",
      "agents  none runs in the crash guard",
      "",
      "today (from the ledger)  142 requests, 3 failed, 2 broken off · 1.2 M tokens in (83 % cached), 45.3 k out · cost unknown: nobody told a price",
      "",
      "! nobody watches over the services",
    ]);
    expect(breakers.length).toBeGreaterThan(0);
  });

  test("and without a ledger there is less to tell", () => {
    const report = buildStatus({
      ...well,
      members: [],
      launches: [],
      gateway: { ok: false, reason, ledger: undefined },
    });
    expect(report).toMatchObject({ tiers: null, breakers: [], domains: [], today: null, source: "nowhere" });
    expect(renderStatus(report, view)).toContain(`tiers  not known: ${reason}`);
  });
});

test("no line is longer than the terminal is wide, and none holds what a terminal obeys", () => {
  const evil = { ...ready, detail: "a\x1b[2Jb\nc 日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語" };
  for (const columns of [20, 40, 80]) {
    const lines = renderStatus(buildStatus({ ...well, members: [evil] }), { ...view, columns }).split("\n");
    expect(Math.max(...lines.map((line) => Bun.stringWidth(line)))).toBeLessThanOrEqual(columns);
    expect(lines.join("")).not.toContain("\x1b");
  }
});

test.each([
  [{ unpriced: 0, costUsd: 0.5 }, 0.5, "cost $0.50"],
  [{ unpriced: 1, costUsd: 0.0042 }, 0.0042, "cost $0.0042 and what 1 request without a price cost"],
  [{ unpriced: 3, costUsd: 0 }, null, "cost unknown: nobody told a price"],
  [{ free: 3, unpriced: 0, costUsd: 0 }, 0, "cost $0.00"],
])("a day's cost of %p", (totals, cost_usd, words) => {
  const today = reportTotals({ ...noSums, requests: 3, completed: 3, ...totals }, now);
  expect(today.cost_usd).toBe(cost_usd);
  const gateway = { ok: true, status: { ...gatewayStatus, today } } as const;
  expect(renderStatus(buildStatus({ ...well, gateway }), view)).toContain(words);
});

test("what compression saved stands beside the tokens", () => {
  const today = { ...gatewayStatus.today, savings: { tokens_before: 1_000_000, tokens_after: 600_000 } };
  const gateway = { ok: true, status: { ...gatewayStatus, today } } as const;
  expect(renderStatus(buildStatus({ ...well, gateway }), view)).toContain("compression saved 400 k tokens (40 %)");
});
