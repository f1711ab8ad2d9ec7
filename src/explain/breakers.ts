/** What is out of order, for people and for programs. Pure. */

import type { z } from "zod";
import type { breakerReport } from "../gateway/admin-schemas.ts";
import { type Circuit, stateOf } from "../gateway/circuit.ts";
import { nameCircuit, parseCircuitId } from "./circuit-names.ts";
import { asIso, renderClock, renderIn } from "./clock.ts";
import { clip, type Paint, renderColumns } from "./table.ts";

/** One row of `clutch breakers --json`. */
export type BreakerReport = z.infer<typeof breakerReport>;

export interface KnownCircuit {
  id: string;
  circuit: Circuit;
}

/** Open ones first, the longest away first; then those that may be tried, then those that count. */
export function reportBreakers(known: readonly KnownCircuit[], now: number, limit: number | null): BreakerReport[] {
  const rank = { open: 0, "half-open": 1, counting: 2 };
  return known
    .map(({ id, circuit }) => reportBreaker(id, circuit, now, limit))
    .sort(
      (one, other) =>
        rank[one.state] - rank[other.state] ||
        (other.back_at ?? "").localeCompare(one.back_at ?? "") ||
        one.id.localeCompare(other.id),
    );
}

function reportBreaker(id: string, circuit: Circuit, now: number, limit: number | null): BreakerReport {
  const state = stateOf(circuit, now);
  const isOut = state !== "closed";
  return {
    id,
    what: nameCircuit(id),
    scope: parseCircuitId(id)?.kind ?? null,
    state: state === "closed" ? "counting" : state,
    kind: isOut && circuit.kind !== "" ? circuit.kind : null,
    reason: isOut && circuit.reason !== "" ? circuit.reason : null,
    since: isOut ? asIso(circuit.openedAt) : null,
    back_at: isOut ? asIso(circuit.until) : null,
    told_by: isOut ? (circuit.isTold ? "upstream" : "guess") : null,
    probing: state === "half-open" && circuit.probingSince !== 0,
    failures: circuit.weight,
    failures_limit: limit,
    openings: circuit.openings,
  };
}

const reasonWidth = 110;

/** @param source where it comes from, when no gateway was asked */
export function renderBreakers(
  breakers: readonly BreakerReport[],
  now: number,
  paint: Paint,
  source?: string | undefined,
): string {
  const note = source === undefined ? [] : [paint.dim(source)];
  if (breakers.length === 0) return ["nothing is out of order", ...note].join("\n");
  const reset = "clutch breakers reset NAME has it tried again at once, clutch breakers reset all of them";
  return [...renderBreakerTable(breakers, now, paint), "", paint.dim(reset), ...note].join("\n");
}

/** @param indent before each line */
export function renderBreakerTable(
  breakers: readonly BreakerReport[],
  now: number,
  paint: Paint,
  indent = "",
): string[] {
  const rows = breakers.map((breaker) => [
    `${indent}${breaker.what}`,
    breaker.state,
    breaker.since === null ? "-" : renderClock(Date.parse(breaker.since), now),
    renderBack(breaker, now),
    renderReason(breaker),
  ]);
  const colours = { open: paint.bad, "half-open": paint.warn, counting: paint.dim };
  return renderColumns(
    [[`${indent}what`, "state", "since", "back", "why"], ...rows],
    [undefined, (text, row) => (row === 0 ? text : colours[breakers[row - 1]?.state ?? "counting"](text))],
  );
}

/** `00:00 UTC, in 13 h (told)`. */
function renderBack({ state, back_at, told_by, probing }: BreakerReport, now: number): string {
  if (state === "counting" || back_at === null) return "-";
  if (state === "half-open") return probing ? "being tried now" : "the next request tries it";
  const at = Date.parse(back_at);
  const source = told_by === "upstream" ? "the upstream says" : "a guess";
  return `${renderClock(at, now)}, ${renderIn(at, now)} (${source})`;
}

function renderReason({ state, kind, reason, failures, failures_limit, openings }: BreakerReport): string {
  if (state === "counting") return `${failures} of ${failures_limit ?? "?"} failures`;
  const again = openings > 1 ? ` (the ${ordinal(openings)} time in a row)` : "";
  return clip(`${kind ?? "failure"}${again}${reason === null ? "" : `: ${reason}`}`, reasonWidth);
}

/** `1st`, `2nd`, `11th`. */
export function ordinal(count: number): string {
  const isTeen = count % 100 >= 11 && count % 100 <= 13;
  return `${count}${isTeen ? "th" : (["th", "st", "nd", "rd"][count % 10] ?? "th")}`;
}
