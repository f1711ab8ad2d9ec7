/** `clutch status --line`: one line for prompts and for agents' status lines. Pure, and loads next to nothing. */

import type { LineStatus } from "../gateway/status-report.ts";
import { asPlainLine } from "../plain-line.ts";
import { renderCount, renderUsd } from "./counts.ts";
import type { Paint } from "./table.ts";

export type LineInput =
  | { kind: "up"; line: LineStatus }
  /** Nothing listens. */
  | { kind: "down" }
  /** It has not answered in time. */
  | { kind: "slow" }
  /** Something else listens there. */
  | { kind: "foreign"; url: string };

/** The model first: whom one talks to is what one wants to know. */
export function renderLine(input: LineInput, paint: Paint): string {
  switch (input.kind) {
    case "up":
      return renderUp(input.line, paint);
    case "down":
      return paint.bad("clutch: the gateway is down (clutch up)");
    case "slow":
      return paint.warn("clutch: the gateway is slow to answer");
    case "foreign":
      return paint.bad(`clutch: ${input.url} is not this home's gateway (clutch status)`);
    default:
      return input satisfies never;
  }
}

function renderUp(line: LineStatus, paint: Paint): string {
  const { in_flight, out, problems, draining, today } = line;
  return [
    ...(draining ? [paint.warn("shutting down")] : []),
    renderModel(line, paint),
    ...(in_flight > 0 ? [`${in_flight} under way`] : []),
    ...(out > 0 ? [paint.warn(`${out} out of order`)] : []),
    ...(problems > 0 ? [paint.bad(problems === 1 ? "1 problem" : `${problems} problems`)] : []),
    `${renderCount(today.requests)} today`,
    ...(today.cost_usd === null || today.cost_usd === 0 ? [] : [renderUsd(today.cost_usd)]),
  ].join(" · ");
}

/** Of a launch that has had an answer, whom it came from; otherwise whom the next one would come from. */
function renderModel({ launch, tier }: LineStatus, paint: Paint): string {
  const answered = launch === null ? null : asPlainLine(launch.served_by);
  if (tier === null) return answered ?? "clutch";
  const serving = answered ?? (tier.serves === null ? null : asPlainLine(tier.serves));
  if (serving === null) return paint.bad(`nobody serves ${asPlainLine(tier.tier)}`);
  if (tier.first === null || serving === asPlainLine(tier.first)) return paint.good(serving);
  return `${paint.warn(serving)} instead of ${shorten(asPlainLine(tier.first))}`;
}

/** Without provider and vendor. */
function shorten(reference: string): string {
  return reference.replace(/^[^:/]*:/, "").replace(/^.*\//, "");
}
