/** Requests under way as a person would want to see them. Read when somebody asks; a request itself does nothing for it. */

import type { FailureKind } from "../../providers/failure.ts";
import type { Protocol } from "../protocols/chat.ts";
import type { UnderWay } from "./conversation.ts";
import type { Progress } from "./trail.ts";

/** One of `requests` in `/admin/status`; spans are milliseconds. */
export interface FlightReport {
  id: string;
  started_at: string;
  age_ms: number;
  /** The agent's letter in launch codes. */
  agent: string | null;
  code: string | null;
  launch_id: string | null;
  session: string | null;
  protocol: Protocol;
  streamed: boolean;
  model_requested: string;
  rule: string | null;
  phase: Progress["phase"];
  /** Who is asked or answers now. Two where a second was asked beside a slow first. */
  targets: string[];
  /** How long they have been asked. */
  phase_ms: number | null;
  /** Who was asked before, and why they were left. */
  left: { target: string; kind: FailureKind }[];
  candidates: number;
  first_token_ms: number | null;
  /** So far, at four characters to a token; null until there is some. */
  output_tokens_estimate: number | null;
}

const charactersPerToken = 4;

export function reportFlights(underWay: readonly UnderWay[], now: number): FlightReport[] {
  return underWay
    .flatMap((request) => reportFlight(request, now) ?? [])
    .sort((one, other) => (one.id < other.id ? -1 : 1));
}

function reportFlight({ exchange, reply }: UnderWay, now: number): FlightReport | undefined {
  if (exchange === undefined) return undefined;
  const { id, startedAt, entry, protocol, stream, trail } = exchange.input;
  const { row } = entry;
  const { phase, targets, since, left, candidates } = trail.progress();
  const { characters = 0, firstTokenMs } = reply?.progress ?? {};
  return {
    id,
    started_at: new Date(startedAt).toISOString(),
    age_ms: now - startedAt,
    agent: row.agent ?? null,
    code: row.code ?? null,
    launch_id: row.launchId ?? null,
    session: row.session ?? null,
    protocol,
    streamed: stream,
    model_requested: row.modelRequested,
    rule: row.rule ?? null,
    phase,
    targets,
    phase_ms: since === undefined ? null : now - since,
    left,
    candidates,
    first_token_ms: firstTokenMs ?? null,
    output_tokens_estimate: characters === 0 ? null : Math.ceil(characters / charactersPerToken),
  };
}
