/** Asks one candidate after another until one answers: the only loop of its kind. */

import { type Failure, reactions } from "../../providers/failure.ts";
import { renderModelReference } from "../../providers/model-reference.ts";
import type { GatewayError } from "../protocols/codec.ts";
import { type AttemptDeps, attemptTarget, type LiveAnswer, type WholeAnswer } from "./attempt.ts";
import type { Exchange } from "./exchange.ts";
import type { Target } from "./router.ts";

/** A candidate that was left, as it is told to the client, the log and whoever watches. */
export interface LeftCandidate {
  target: Target;
  failure: Failure;
  durationMs: number;
}

export type CascadeResult =
  | { ok: true; target: Target; answer: WholeAnswer | LiveAnswer; attemptStartedAt: number; left: LeftCandidate[] }
  | {
      ok: false;
      error: GatewayError;
      left: LeftCandidate[];
      /** The upstream's own, when its error is passed on as its own. */
      headers: Readonly<Record<string, string>>;
    };

export interface CascadeDeps extends AttemptDeps {
  /** How long nothing is written to a streaming client, so that a quick failure is a plain HTTP error. */
  patienceMs: number;
  /** Told as each candidate is left. */
  onLeft(exchange: Exchange, candidate: LeftCandidate): void;
}

/** Attempts that failed are on the exchange's ledger entry when this resolves; the one that serves is not yet. */
export async function runCascade(
  exchange: Exchange,
  targets: readonly Target[],
  deps: CascadeDeps,
): Promise<CascadeResult> {
  const left: LeftCandidate[] = [];
  for (const [index, target] of targets.entries()) {
    const startedAt = deps.now();
    const outcome = await attemptTarget(exchange, target, index === targets.length - 1, deps);
    if (outcome.ok) return { ok: true, target, answer: outcome.answer, attemptStartedAt: startedAt, left };
    const candidate = { target, failure: outcome.failure, durationMs: deps.now() - startedAt };
    left.push(candidate);
    recordAttempt(exchange, target, startedAt, candidate.durationMs, outcome.failure);
    deps.onLeft(exchange, candidate);
    if (exchange.isCancelled || !reactions[outcome.failure.kind].failsOver) break;
  }
  const last = left.at(-1)?.failure;
  const isPassedOn = last !== undefined && speaksAlone(last, targets.length);
  const headers = (isPassedOn ? last.headers : undefined) ?? {};
  return { ok: false, error: explain(exchange.input.id, targets.length, left), left, headers };
}

export function recordAttempt(
  exchange: Exchange,
  target: Target,
  startedAt: number,
  durationMs: number,
  why: Failure | undefined,
): void {
  exchange.input.entry.attempt({
    provider: target.provider.id,
    model: target.model,
    protocol: target.protocol,
    startedAt,
    durationMs,
    failureKind: why?.kind ?? null,
    failureScope: why?.scope ?? null,
    httpStatus: why?.status ?? null,
    message: why?.message.slice(0, 500) ?? null,
    retryAfterMs: why?.retryAfterMs ?? null,
  });
}

/** The error of a request that nobody answered. One candidate's error is passed on as its own; several are told together. */
function explain(requestId: string, candidates: number, left: readonly LeftCandidate[]): GatewayError {
  const last = left.at(-1);
  if (last === undefined) {
    return {
      kind: "upstream",
      message: "no model is configured for this request: set model_tiers.BIG.default",
      requestId,
    };
  }
  if (speaksAlone(last.failure, candidates)) {
    const error = toGatewayError(last.failure, requestId);
    // "Incorrect API key" alone would read as if the agent's own login had failed.
    const message = last.failure.kind === "auth" ? `${last.target.provider.name}: ${error.message}` : error.message;
    return { ...error, message };
  }
  const waits = left.flatMap(({ failure: { retryAfterMs } }) => retryAfterMs ?? []);
  const soonest = waits.length === 0 ? {} : { retryAfterMs: Math.min(...waits) };
  const reasons = left.map(({ target, failure: why }, index) => {
    return `${index + 1}. ${renderModelReference({ provider: target.provider.id, model: target.model })}: ${describeFailure(why)}`;
  });
  const tokens = left.findLast(({ failure: why }) => why.kind === "context-overflow")?.failure.tokens;
  return {
    kind: sharedKind(left),
    message: `no model answered. ${reasons.join("; ")}`,
    requestId,
    ...soonest,
    ...(tokens === undefined ? {} : { tokens }),
  };
}

/** One candidate's error is passed on as its own, and so is one that no other candidate would have been spared. */
function speaksAlone(last: Failure, candidates: number): boolean {
  return candidates === 1 || !reactions[last.kind].failsOver;
}

/** What all failures have in common; else something worth a retry if any of them was. */
function sharedKind(left: readonly LeftCandidate[]): GatewayError["kind"] {
  const kinds = new Set(left.map(({ failure: why }) => reactions[why.kind].tells));
  const [only] = kinds;
  if (only !== undefined && kinds.size === 1) return only;
  if (kinds.has("context-overflow")) return "context-overflow";
  return kinds.has("rate-limit") || kinds.has("overloaded") || kinds.has("timeout") ? "overloaded" : "upstream";
}

export function toGatewayError(why: Failure, requestId: string): GatewayError {
  return {
    kind: reactions[why.kind].tells,
    message: why.message,
    requestId,
    ...(why.retryAfterMs === undefined ? {} : { retryAfterMs: why.retryAfterMs }),
    ...(why.code === undefined ? {} : { code: why.code }),
    ...(why.tokens === undefined ? {} : { tokens: why.tokens }),
  };
}

/** `429 rate-limit (back in 12 s): the upstream's words`. */
export function describeFailure(why: Failure): string {
  const status = why.status === undefined || why.status < 300 ? "" : `${why.status} `;
  const back = why.retryAfterMs === undefined ? "" : ` (back in ${renderWait(why.retryAfterMs)})`;
  return `${status}${why.kind}${back}: ${why.message}`;
}

function renderWait(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
