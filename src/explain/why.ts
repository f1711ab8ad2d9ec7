/** One request's story as data: what the ledger's rows and its trail say together. Pure. */

import type { z } from "zod";
import type { Failure, FailureKind } from "../../providers/failure.ts";
import { renderModelReference } from "../../providers/model-reference.ts";
import type { attemptStory, candidateStory, requestStory, whyReport } from "../gateway/admin-schemas.ts";
import { maxNameCharacters, parseTrail, type Trail, type TrailCall, type TrailCandidate } from "../gateway/trail.ts";
import { agentNames, isAgentLetter } from "../launch-code.ts";
import type { AttemptRow, RequestRow } from "../store/schema.ts";
import { nameCircuit } from "./circuit-names.ts";
import { asIso, renderClock } from "./clock.ts";
import { explainFailure, fasterRival, overBefore } from "./failure-words.ts";

/** `clutch why --json`; times are ISO 8601 in UTC, spans milliseconds. */
export type WhyReport = z.infer<typeof whyReport>;

export type RequestStory = z.infer<typeof requestStory>;

export type CandidateStory = z.infer<typeof candidateStory>;

export type AttemptStory = z.infer<typeof attemptStory>;

export interface RecordedRequest {
  request: RequestRow;
  attempts: readonly AttemptRow[];
}

/** @param now milliseconds since 1970, for a request that is still under way */
export function explainRequest({ request, attempts }: RecordedRequest, now: number): WhyReport {
  const trail = parseTrail(request.trail) ?? {};
  const calls = matchCalls(request, attempts, trail);
  const told = attempts.map((attempt, at) => explainAttempt(request, attempt, calls.byAttempt[at]));
  return {
    request: explainOrigin(request, trail, now),
    rule: request.rule ?? null,
    rules_passed: trail.steps ?? [],
    candidates: listCandidates(request, attempts, trail).map((candidate) =>
      explainCandidate(candidate, request, attempts, calls.underWay, trail),
    ),
    attempts: told,
    served_by: request.servedBy ?? null,
  };
}

function explainOrigin(request: RequestRow, trail: Trail, now: number): RequestStory {
  const agent = request.agent ?? null;
  const elapsed = request.status === "pending" ? now - request.startedAt : null;
  return {
    id: request.id,
    started_at: asIso(request.startedAt),
    status: request.status,
    agent,
    agent_name: agent !== null && isAgentLetter(agent) ? agentNames[agent] : null,
    code: request.code ?? null,
    launch_id: request.launchId ?? null,
    session: request.session ?? null,
    folder: null,
    protocol: request.protocol,
    streamed: request.streamed,
    model_requested: request.modelRequested,
    http_status: request.httpStatus ?? null,
    error: request.error ?? null,
    duration_ms: request.durationMs ?? elapsed,
    first_token_ms: request.firstTokenMs ?? null,
    opened_early_ms: trail.opened ?? null,
    waited_ms: trail.waited ?? 0,
    input_tokens: request.inputTokens ?? null,
    cache_read_tokens: request.cacheReadTokens ?? null,
    cache_write_tokens: request.cacheWriteTokens ?? null,
    output_tokens: request.outputTokens ?? null,
    reasoning_tokens: request.reasoningTokens ?? null,
    usage_estimated: request.usageEstimated ?? null,
    cost_usd: request.costUsd ?? null,
  };
}

interface MatchedCalls {
  /** In the order of the attempts. */
  byAttempt: (TrailCall | undefined)[];
  /** Those of which no attempt has been recorded yet. */
  underWay: TrailCall[];
}

/** Calls are in the order they were begun, attempts in the order they ended. */
function matchCalls({ startedAt }: RequestRow, attempts: readonly AttemptRow[], trail: Trail): MatchedCalls {
  const underWay = [...(trail.calls ?? [])];
  const others = new Map(trail.candidates?.map((candidate) => [candidate.target, namesOf(candidate)]));
  const byAttempt = attempts.map((attempt) => {
    const offset = attempt.startedAt - startedAt;
    const at = underWay.findIndex(({ target, at: begun }) => {
      const isMeant = target === shortName(attempt) || others.get(target)?.includes(shortName(attempt)) === true;
      return begun === offset && isMeant;
    });
    return at < 0 ? undefined : underWay.splice(at, 1)[0];
  });
  return { byAttempt, underWay };
}

function explainAttempt(request: RequestRow, attempt: AttemptRow, call: TrailCall | undefined): AttemptStory {
  const closed = call?.closed;
  return {
    number: attempt.number,
    target: renderModelReference(attempt),
    protocol: attempt.protocol,
    offset_ms: attempt.startedAt - request.startedAt,
    duration_ms: attempt.durationMs,
    http_status: attempt.httpStatus ?? null,
    kind: kindOf(attempt),
    scope: scopeOf(attempt),
    meaning: explainEnd(attempt),
    message: attempt.message ?? null,
    retry_after_ms: attempt.retryAfterMs ?? null,
    key: call?.key ?? null,
    hedged: call?.beside === true,
    repairs: call?.repairs ?? [],
    closed: closed === undefined ? null : { id: closed.id, what: nameCircuit(closed.id), until: asIso(closed.until) },
  };
}

function explainEnd(attempt: AttemptRow): string {
  const kind = kindOf(attempt);
  if (kind === null) return "answered";
  return explainFailure({
    kind,
    scope: scopeOf(attempt),
    provider: attempt.provider,
    model: attempt.model,
    status: attempt.httpStatus ?? null,
    message: attempt.message ?? "",
    retryAfterMs: attempt.retryAfterMs ?? null,
    endedAt: attempt.startedAt + attempt.durationMs,
    durationMs: attempt.durationMs,
  });
}

/** A request without a trail had one candidate that mattered: the one that answered. */
function listCandidates(request: RequestRow, attempts: readonly AttemptRow[], trail: Trail): TrailCandidate[] {
  if (trail.candidates !== undefined) return trail.candidates;
  const asked = attempts.map((attempt) => renderModelReference(attempt));
  const served = request.servedBy === null || request.servedBy === undefined ? [] : [request.servedBy];
  return [...new Set([...asked, ...served])].map((target) => ({ target }));
}

function explainCandidate(
  candidate: TrailCandidate,
  request: RequestRow,
  attempts: readonly AttemptRow[],
  underWay: readonly TrailCall[],
  trail: Trail,
): CandidateStory {
  const { target, reason, kind, back } = candidate;
  const names = namesOf(candidate);
  const last = attempts.findLast((attempt) => names.includes(shortName(attempt)));
  const told = (outcome: CandidateStory["outcome"], words: string, of: FailureKind | null = null): CandidateStory => ({
    target,
    outcome,
    reason: words,
    kind: of,
    back_at: asIso(back),
    moved_forward: trail.kept === target,
    others: candidate.others ?? [],
  });
  if (names.includes(request.servedBy?.slice(0, maxNameCharacters) ?? "")) {
    const broke = last === undefined ? null : kindOf(last);
    if (last === undefined || broke === null) return told("served", "answered");
    return told("served", `was answering when ${describeBreak(last, broke)}`, broke);
  }
  if (request.status === "pending" && underWay.some((call) => call.target === target)) {
    return told("asking", "is being asked");
  }
  if (last !== undefined) return told("failed", explainEnd(last), kindOf(last));
  if (reason !== undefined) return told("skipped", reason + describeBack(back, request.startedAt), kind ?? null);
  if (request.status === "pending") return told("not-reached", "its turn has not come");
  if (request.servedBy !== null && request.servedBy !== undefined) return told("not-needed", "an earlier one answered");
  return told("not-reached", describeUnreached(request, attempts));
}

function describeBreak(attempt: AttemptRow, kind: FailureKind): string {
  if (kind === "aborted") return "the client left";
  return kind === "stopped" ? "the gateway was stopped" : `it broke off (${explainEnd(attempt)})`;
}

function describeBack(back: number | undefined, now: number): string {
  return back === undefined ? "" : `; back ${renderClock(back, now)}`;
}

function describeUnreached({ status }: RequestRow, attempts: readonly AttemptRow[]): string {
  const last = attempts.at(-1);
  const kind = last === undefined ? null : kindOf(last);
  if (kind === "bad-request" || kind === "too-large") return "the request itself was refused, so nobody else was asked";
  return status === "aborted" ? "the request was over before its turn came" : "its turn did not come";
}

function kindOf({ failureKind }: AttemptRow): FailureKind | null {
  return (failureKind ?? null) as FailureKind | null;
}

function scopeOf({ failureScope }: AttemptRow): Failure["scope"] | null {
  return (failureScope ?? null) as Failure["scope"] | null;
}

/** The candidate, and whatever may have answered in its place. */
function namesOf({ target, others = [] }: TrailCandidate): string[] {
  return [target, ...others];
}

/** As trails have it. */
function shortName(attempt: Pick<AttemptRow, "provider" | "model">): string {
  return renderModelReference(attempt).slice(0, maxNameCharacters);
}

/** Left because of what came of a rival, begun to save time; no failure of its own. */
export function isLostRace({ kind, message }: Pick<AttemptStory, "kind" | "message">): boolean {
  return kind === "aborted" && (message === fasterRival || message === overBefore);
}
