/** `/admin/status`: all that the gateway knows of itself at this moment, in one answer. */

import type { FailureKind } from "../../providers/failure.ts";
import { renderModelReference } from "../../providers/model-reference.ts";
import type { BreakerReport } from "../explain/breakers.ts";
import { asIso } from "../explain/clock.ts";
import type { AttemptRow, RequestRow } from "../store/schema.ts";
import type { DayTotals } from "./day-totals.ts";
import type { FlightReport } from "./flights.ts";
import type { TierReport } from "./tier-status.ts";

export interface GatewayStatus {
  service: "clutch";
  version: string;
  pid: number;
  /** The ledger's file: by it a command knows the gateway of its own home. */
  database: string;
  started_at: string;
  draining: boolean;
  /** Things a person should know. */
  problems: string[];
  /** Every request with a body, also those that ask no model. */
  in_flight: number;
  requests: FlightReport[];
  tiers: TierReport[];
  /** Of models. */
  breakers: BreakerReport[];
  /** Of what several models share: providers, accounts, keys, pools. */
  domains: BreakerReport[];
  today: DayTotals;
  /** The last that have ended; only where they are asked for. */
  recent?: EndedRequest[];
}

/** A request that has ended, and whom it was asked of. */
export interface EndedRequest {
  id: string;
  started_at: string;
  ended_at: string;
  status: RequestRow["status"];
  agent: string | null;
  code: string | null;
  launch_id: string | null;
  streamed: boolean;
  model_requested: string;
  served_by: string | null;
  http_status: number | null;
  error: string | null;
  duration_ms: number;
  first_token_ms: number | null;
  input_tokens: number | null;
  output_tokens: number | null;
  cost_usd: number | null;
  /** Those that were asked and did not answer, in their order. */
  left: { target: string; kind: FailureKind }[];
}

export function splitBreakers(all: readonly BreakerReport[]): Pick<GatewayStatus, "breakers" | "domains"> {
  return {
    breakers: all.filter(({ scope }) => scope === "model"),
    domains: all.filter(({ scope }) => scope !== "model"),
  };
}

export function reportEnded(request: RequestRow, attempts: readonly AttemptRow[]): EndedRequest {
  const { startedAt } = request;
  const durationMs = request.durationMs ?? 0;
  return {
    id: request.id,
    started_at: asIso(startedAt) ?? "",
    ended_at: asIso(startedAt + durationMs) ?? "",
    status: request.status,
    agent: request.agent ?? null,
    code: request.code ?? null,
    launch_id: request.launchId ?? null,
    streamed: request.streamed,
    model_requested: request.modelRequested,
    served_by: request.servedBy ?? null,
    http_status: request.httpStatus ?? null,
    error: request.error ?? null,
    duration_ms: durationMs,
    first_token_ms: request.firstTokenMs ?? null,
    input_tokens: countInput(request),
    output_tokens: request.outputTokens ?? null,
    cost_usd: request.costUsd ?? null,
    left: attempts.flatMap((attempt) =>
      attempt.failureKind === null || attempt.failureKind === undefined
        ? []
        : [{ target: renderModelReference(attempt), kind: attempt.failureKind as FailureKind }],
    ),
  };
}

/** All of it, from a cache or not. */
function countInput({ inputTokens, cacheReadTokens, cacheWriteTokens }: RequestRow): number | null {
  if (inputTokens === null || inputTokens === undefined) return null;
  return inputTokens + (cacheReadTokens ?? 0) + (cacheWriteTokens ?? 0);
}

/** `/admin/line`: as much of it as fits into a line. */
export interface LineStatus {
  database: string;
  draining: boolean;
  problems: number;
  in_flight: number;
  /** What a launch of the tier that was asked for is served by, BIG where none was; null for a tier that is none. */
  tier: (Pick<TierReport, "tier" | "first" | "serves"> & { back_at: string | null }) | null;
  /** Models, keys, accounts and providers that are asked nothing at the moment. */
  out: number;
  today: Pick<DayTotals, "requests" | "cost_usd" | "unpriced_requests">;
  /** Of the launch that asks; null where it has had no answer yet, or there is none. */
  launch: { served_by: string; model_requested: string; at: string } | null;
}
