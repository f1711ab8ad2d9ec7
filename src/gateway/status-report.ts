/** `/admin/status`: all that the gateway knows of itself at this moment, in one answer. */

import type { z } from "zod";
import type { FailureKind } from "../../providers/failure.ts";
import { renderModelReference } from "../../providers/model-reference.ts";
import type { BreakerReport } from "../explain/breakers.ts";
import { asIso } from "../explain/clock.ts";
import type { AttemptRow, RequestRow } from "../store/schema.ts";
import type { endedRequest, gatewayStatus, lineStatus } from "./admin-schemas.ts";

export type GatewayStatus = z.infer<typeof gatewayStatus>;

/** A request that has ended, and whom it was asked of. */
export type EndedRequest = z.infer<typeof endedRequest>;

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
export type LineStatus = z.infer<typeof lineStatus>;
