/** One busy moment, as a gateway tells it. */

import type { DashboardModel } from "../../src/dashboard/model.ts";
import { emptyModel, takeMembers, takeStatus } from "../../src/dashboard/model.ts";
import { reportTotals } from "../../src/gateway/day-totals.ts";
import type { FlightReport } from "../../src/gateway/flights.ts";
import type { EndedRequest, GatewayStatus } from "../../src/gateway/status-report.ts";
import { noSums } from "../../src/store/rollup.ts";

export const now = Date.parse("2026-11-20T12:00:00Z");

export function flight(id: string, over: Partial<FlightReport> = {}): FlightReport {
  return {
    id,
    started_at: "2026-11-20T11:59:57.600Z",
    age_ms: 2_400,
    agent: "c",
    code: "cip",
    launch_id: "k3j9x2",
    session: null,
    protocol: "messages",
    streamed: true,
    model_requested: "claude-opus-4-5",
    rule: "tier BIG by family",
    phase: "waiting",
    targets: ["openrouter:vendor/one:free"],
    phase_ms: 2_000,
    left: [],
    candidates: 4,
    first_token_ms: null,
    output_tokens_estimate: null,
    ...over,
  };
}

export function ended(id: string, over: Partial<EndedRequest> = {}): EndedRequest {
  return {
    id,
    started_at: "2026-11-20T11:59:40.000Z",
    ended_at: "2026-11-20T11:59:50.000Z",
    status: "completed",
    agent: "x",
    code: "xip",
    launch_id: "aaaaaa",
    streamed: true,
    model_requested: "gpt-5.1-codex",
    served_by: "groq:two",
    http_status: 200,
    error: null,
    duration_ms: 10_000,
    first_token_ms: 1_000,
    input_tokens: 12_345,
    output_tokens: 900,
    cost_usd: null,
    left: [],
    ...over,
  };
}

const tier = (name: string, first: string, serves: string | null, kind: "tier" | "letter" = "tier") => ({
  tier: name,
  kind,
  first,
  serves,
  candidates: [
    serves === first
      ? ({ target: first, state: "ready", reason: null, back_at: null } as const)
      : ({
          target: first,
          state: "closed",
          reason: "one is resting: 429",
          back_at: "2026-11-20T12:05:00.000Z",
        } as const),
  ],
});

export const status: GatewayStatus = {
  service: "clutch",
  version: "0.1.0",
  pid: 7,
  database: "/home/somebody/clutch.db",
  started_at: "2026-11-20T09:00:00.000Z",
  draining: false,
  problems: [],
  in_flight: 4,
  requests: [
    flight("mwoy0000aaaaaa", { left: [{ target: "chat:first", kind: "overloaded" }] }),
    flight("mwoy0001bbbbbb", {
      agent: "x",
      code: "xipf",
      model_requested: "a-model-with-a-very-long-name-that-nobody-would-want-to-type-twice-0905-preview",
      phase: "answering",
      targets: ["groq:two"],
      first_token_ms: 800,
      output_tokens_estimate: 1_234,
    }),
    flight("mwoy0002cccccc", {
      agent: null,
      code: null,
      model_requested: "模型-日本語-한국어",
      phase: "routing",
      targets: [],
    }),
    flight("mwoy0003dddddd", { phase: "pausing", targets: [], left: [{ target: "groq:two", kind: "rate-limit" }] }),
  ],
  tiers: [
    tier("BIG", "openrouter:vendor/one:free", "groq:two"),
    tier("MIDDLE", "groq:two", "groq:two"),
    tier("SMALL", "mistral:three", null),
    tier("k", "groq:kimi", "groq:kimi", "letter"),
  ],
  breakers: [],
  domains: [
    {
      id: "free:openrouter",
      what: "the free models of openrouter",
      scope: "pool",
      state: "open",
      kind: "quota",
      reason: "limit of the day",
      since: "2026-11-20T11:00:00.000Z",
      back_at: "2026-11-21T00:00:00.000Z",
      told_by: "upstream",
      probing: false,
      failures: 1,
      failures_limit: 3,
      openings: 1,
    },
  ],
  today: reportTotals({ ...noSums, requests: 142, completed: 139, errors: 3, unpriced: 139 }, now),
  recent: [
    ended("mwoxzzzzeeeeee", { left: [{ target: "openrouter:vendor/one:free", kind: "rate-limit" }] }),
    ended("mwoxzzzyffffff", {
      ended_at: "2026-11-20T11:59:30.000Z",
      status: "error",
      served_by: null,
      http_status: 503,
      error: "nobody could answer",
      output_tokens: null,
      first_token_ms: null,
      left: [
        { target: "chat:first", kind: "overloaded" },
        { target: "groq:two", kind: "timeout" },
      ],
    }),
    ended("mwoxzzzxgggggg", {
      ended_at: "2026-11-20T11:59:20.000Z",
      status: "aborted",
      http_status: 200,
      cost_usd: 0.0123,
    }),
  ],
};

/** Seen twice, so that speeds are known. */
export const busy: DashboardModel = takeMembers(
  takeStatus(
    takeStatus(
      emptyModel,
      {
        ...status,
        requests: status.requests.map((one) =>
          one.phase === "answering" ? { ...one, output_tokens_estimate: 1_134 } : one,
        ),
      },
      now - 2_000,
    ),
    status,
    now,
  ),
  [
    { id: "gateway", state: "ready", detail: "" },
    { id: "headroom", state: "stopped", detail: "not running" },
    { id: "rtk", state: "passive", detail: "" },
  ],
);
