/** Requests under way as a person would want to see them. Read when somebody asks; a request itself does nothing for it. */

import type { z } from "zod";
import type { flightReport } from "./admin-schemas.ts";
import type { UnderWay } from "./conversation.ts";

/** One of `requests` in `/admin/status`; spans are milliseconds. */
export type FlightReport = z.infer<typeof flightReport>;

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
