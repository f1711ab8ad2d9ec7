/** What the dashboard shows, put together from what the gateway and the chain tell now and then. Pure. */

import type { BreakerReport } from "../explain/breakers.ts";
import type { DayTotals } from "../gateway/day-totals.ts";
import type { FlightReport } from "../gateway/flights.ts";
import type { EndedRequest, GatewayStatus } from "../gateway/status-report.ts";
import type { TierReport } from "../gateway/tier-status.ts";
import type { MemberState } from "../lifecycle/chain/member.ts";

export interface DashboardModel {
  /** Of the last word from the gateway, in milliseconds since 1970; spans are counted up to it. */
  now: number;
  gateway: GatewayLine;
  /** Requests under way, the oldest first. */
  flights: Flight[];
  /** Those that have ended, the last first. */
  ended: readonly EndedRequest[];
  today: DayTotals | null;
  tiers: readonly TierReport[];
  /** What is asked nothing at the moment. */
  out: readonly BreakerReport[];
  members: readonly MemberLine[];
}

export type GatewayLine =
  /** Nothing has been heard yet. */
  | { kind: "unknown" }
  | { kind: "up"; version: string; startedAtMs: number; isDraining: boolean; problems: readonly string[] }
  | { kind: "gone"; reason: string };

export interface MemberLine {
  id: string;
  state: MemberState;
  detail: string;
}

export interface Flight {
  report: FlightReport;
  /** By the last seconds; null while nothing can be said. */
  tokensPerSecond: number | null;
  /** The latest counts of tokens, by which the speed is known. */
  samples: readonly Sample[];
}

interface Sample {
  at: number;
  tokens: number;
}

export const emptyModel: DashboardModel = {
  now: 0,
  gateway: { kind: "unknown" },
  flights: [],
  ended: [],
  today: null,
  tiers: [],
  out: [],
  members: [],
};

/** A speed is that of the last so many milliseconds. */
const windowMs = 3_000;

/** @param now when it was told */
export function takeStatus(model: DashboardModel, status: GatewayStatus, now: number): DashboardModel {
  const ended = (status.recent ?? []).toSorted((one, other) => (one.ended_at < other.ended_at ? 1 : -1));
  const gone = new Set(ended.map(({ id }) => id));
  const before = new Map(model.flights.map((flight) => [flight.report.id, flight]));
  return {
    ...model,
    now,
    gateway: {
      kind: "up",
      version: status.version,
      startedAtMs: Date.parse(status.started_at),
      isDraining: status.draining,
      problems: status.problems,
    },
    // One that ended while the answer was put together is in both lists.
    flights: status.requests
      .filter(({ id }) => !gone.has(id))
      .map((report) => follow(before.get(report.id), report, now)),
    ended,
    today: status.today,
    tiers: status.tiers,
    out: [...status.domains, ...status.breakers].filter(({ state }) => state !== "counting"),
  };
}

/** What was known stands; what was under way is no longer known of. */
export function takeSilence(model: DashboardModel, reason: string, now: number): DashboardModel {
  return { ...model, now, gateway: { kind: "gone", reason }, flights: [] };
}

export function takeMembers(model: DashboardModel, members: readonly MemberLine[]): DashboardModel {
  return { ...model, members };
}

function follow(before: Flight | undefined, report: FlightReport, now: number): Flight {
  const tokens = report.output_tokens_estimate;
  if (tokens === null) return { report, tokensPerSecond: null, samples: [] };
  const samples = [...(before?.samples ?? []), { at: now, tokens }];
  // One that is older than the window is where the window begins.
  const from = samples.findLastIndex(({ at }) => at <= now - windowMs);
  const recent = samples.slice(Math.max(0, from));
  const [first] = recent;
  const spanMs = first === undefined ? 0 : now - first.at;
  const tokensPerSecond = first === undefined || spanMs < 200 ? null : ((tokens - first.tokens) / spanMs) * 1000;
  return { report, tokensPerSecond, samples: recent };
}

/** Of all that is answered now; null while nothing is. */
export function totalSpeed(flights: readonly Flight[]): number | null {
  const known = flights.flatMap(({ tokensPerSecond }) => tokensPerSecond ?? []);
  return known.length === 0 ? null : known.reduce((sum, speed) => sum + speed, 0);
}

export interface ShownRequests {
  flights: readonly Flight[];
  ended: readonly EndedRequest[];
}

/** Those that the filter lets through: each of its words stands somewhere in them. */
export function filterRequests({ flights, ended }: ShownRequests, filter: string): ShownRequests {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return { flights, ended };
  const matches = (parts: readonly (string | null)[]) => {
    const text = parts.join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  };
  return {
    flights: flights.filter(({ report: { left, ...report } }) =>
      matches([...originOf(report), report.phase, ...report.targets, ...nameLeft(left)]),
    ),
    ended: ended.filter(({ left, ...request }) =>
      matches([...originOf(request), request.status, request.served_by, request.error, ...nameLeft(left)]),
    ),
  };
}

type Origin = Pick<FlightReport, "id" | "agent" | "code" | "launch_id" | "model_requested">;

function originOf({ id, agent, code, launch_id, model_requested }: Origin): (string | null)[] {
  return [id, agent, code, launch_id, model_requested];
}

function nameLeft(left: FlightReport["left"]): string[] {
  return left.flatMap(({ target, kind }) => [target, kind]);
}

/** In the order in which they stand on the screen. */
export function listIds({ flights, ended }: ShownRequests): string[] {
  return [...flights.map(({ report }) => report.id), ...ended.map(({ id }) => id)];
}
