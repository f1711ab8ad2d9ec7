/** One request's story as text, for a reader who knows nothing of Clutch. Pure. */

import { renderClock, renderMoment, renderSpan } from "./clock.ts";
import { isUpstreamsWord } from "./failure-words.ts";
import { clip, type Paint, renderColumns } from "./table.ts";
import { type AttemptStory, type CandidateStory, isLostRace, type RequestStory, type WhyReport } from "./why.ts";

export function renderWhy(report: WhyReport, paint: Paint): string {
  const { request, candidates, attempts } = report;
  return [
    `${paint.bold(`request ${request.id}`)} ${renderHeadline(report, paint)}`,
    ...renderFacts(report, paint),
    ...(candidates.length === 0 ? [] : ["", "candidates, in the order they stood", ...renderCandidates(report, paint)]),
    ...(attempts.length === 0 ? [] : ["", "attempts", ...renderAttempts(report, paint)]),
  ].join("\n");
}

function renderHeadline({ request, served_by, attempts }: WhyReport, paint: Paint): string {
  const span = request.duration_ms === null ? "" : renderSpan(request.duration_ms);
  switch (request.status) {
    case "pending":
      return paint.warn(`is under way${span === "" ? "" : ` for ${span}`}`);
    case "completed":
      return paint.good(
        `was answered by ${clip(served_by ?? "the gateway itself", messageWidth)} in ${span}${countAttempts(attempts)}`,
      );
    case "aborted":
      return paint.warn(
        `was broken off${span === "" ? "" : ` after ${span}`}: ${clip(request.error ?? "the client left", messageWidth)}`,
      );
    case "error":
      return served_by === null
        ? paint.bad(`was answered by nobody (${span})`)
        : paint.bad(`broke off while ${clip(served_by, messageWidth)} was answering (${span})`);
    default:
      return request.status satisfies never;
  }
}

function countAttempts(attempts: readonly AttemptStory[]): string {
  const failed = attempts.filter((attempt) => attempt.kind !== null && !isLostRace(attempt)).length;
  if (failed === 0) return "";
  return failed === 1 ? ", after 1 failed attempt" : `, after ${failed} failed attempts`;
}

/** Label and value; rows without a value are left out. */
function renderFacts(report: WhyReport, paint: Paint): string[] {
  const { request, rule, rules_passed } = report;
  const rows: [label: string, value: string | undefined][] = [
    ["asked by", renderAsker(request)],
    ["at", request.started_at === null ? undefined : renderMoment(Date.parse(request.started_at))],
    ["asked for", `${request.model_requested} (${request.protocol}, ${request.streamed ? "streamed" : "whole"})`],
    ["rule", rule ?? undefined],
    ...rules_passed.map((step, at): [string, string] => [at === 0 ? "not by" : "", `${step.rule}: ${step.outcome}`]),
    ["waited", request.waited_ms === 0 ? undefined : `${renderSpan(request.waited_ms)} for a limit that was soon over`],
    ["opened", renderOpening(request)],
    ["first token", request.first_token_ms === null ? undefined : `after ${renderSpan(request.first_token_ms)}`],
    ["tokens", renderTokens(request)],
    ["cost", renderCost(request)],
    ["error", request.status === "error" && request.error !== null ? request.error : undefined],
  ];
  const present = rows.flatMap(([label, value]) => (value === undefined ? [] : [[`  ${label}`, value]]));
  return renderColumns(present, [paint.dim]);
}

function renderAsker({ agent, agent_name, code, launch_id, session, folder }: RequestStory): string {
  const name = agent_name ?? agent ?? "a client that did not say who it is";
  const launch = code === null ? "" : ` (xx ${code}${launch_id === null ? "" : `, launch ${launch_id}`})`;
  const place = folder === null ? "" : ` in ${folder}`;
  return `${name}${launch}${place}${session === null ? "" : `, session ${session}`}`;
}

function renderOpening({ opened_early_ms: openedMs, status }: RequestStory): string | undefined {
  if (openedMs === null) return undefined;
  const meaning = status === "pending" ? "so that the agent keeps waiting" : "so that the agent kept waiting";
  return `the stream after ${renderSpan(openedMs)}, before anybody had answered, ${meaning}`;
}

function renderTokens(request: RequestStory): string | undefined {
  const { input_tokens: input, output_tokens: output, cache_read_tokens: read, cache_write_tokens: written } = request;
  if (input === null && output === null) return undefined;
  const parts = [
    `${count(input)} in`,
    ...(read ? [`${count(read)} from the prompt cache`] : []),
    ...(written ? [`${count(written)} written to it`] : []),
    `${count(output)} out${request.reasoning_tokens ? ` (${count(request.reasoning_tokens)} of them reasoning)` : ""}`,
  ];
  return `${parts.join(", ")}${request.usage_estimated === true ? " (estimated: the upstream did not say)" : ""}`;
}

function renderCost({ cost_usd: cost, output_tokens: output }: RequestStory): string | undefined {
  if (cost === null) return output === null ? undefined : "unknown";
  return cost === 0 ? "nothing" : `$${cost < 0.01 ? cost.toFixed(5) : cost.toFixed(2)}`;
}

function count(tokens: number | null): string {
  return tokens === null ? "?" : tokens.toLocaleString("en-US");
}

const outcomeWords = {
  served: "answered",
  failed: "failed",
  skipped: "not asked",
  asking: "asked now",
  "not-needed": "not needed",
  "not-reached": "not asked",
} as const satisfies Record<CandidateStory["outcome"], string>;

function renderCandidates({ candidates, attempts }: WhyReport, paint: Paint): string[] {
  const colours = {
    served: paint.good,
    failed: paint.bad,
    skipped: paint.warn,
    asking: paint.warn,
    "not-needed": paint.dim,
    "not-reached": paint.dim,
  };
  const rows = candidates.map((candidate, at) => [
    `  ${at + 1}`,
    candidate.target,
    outcomeWords[candidate.outcome],
    renderReason(candidate, attempts),
  ]);
  return renderColumns(rows, [
    undefined,
    undefined,
    (text, row) => colours[candidates[row]?.outcome ?? "failed"](text),
  ]);
}

function renderReason(candidate: CandidateStory, attempts: readonly AttemptStory[]): string {
  const names = [candidate.target, ...candidate.others];
  const numbers = attempts.filter(({ target }) => names.includes(target)).map(({ number }) => number);
  const which = numbers.length === 0 ? "" : `attempt${numbers.length > 1 ? "s" : ""} ${numbers.join(", ")}`;
  const isTold = candidate.outcome === "failed" || (candidate.outcome === "served" && candidate.kind === null);
  // What an attempt was like is told below, once.
  const reason = isTold && which !== "" ? `in ${which}` : candidate.reason;
  const notes = [
    reason,
    ...(candidate.moved_forward ? ["asked first, since this session's prompt cache is there"] : []),
    ...(candidate.others.length > 0 ? [`OpenRouter itself could turn to ${candidate.others.join(", ")}`] : []),
  ];
  return notes.join("; ");
}

/** As much as a terminal can show of an upstream's words. */
const messageWidth = 200;

/** A line each with where and when, and below it what came of it. */
function renderAttempts({ request, attempts }: WhyReport, paint: Paint): string[] {
  const heads = renderColumns(
    attempts.map(({ number, target, key, offset_ms, duration_ms }) => [
      `  ${number}`,
      key === null ? target : `${target} with key ${key}`,
      `after ${renderSpan(offset_ms)}`,
      `took ${renderSpan(duration_ms)}`,
    ]),
  );
  return attempts.flatMap((attempt, at) => [heads[at] ?? "", ...renderEnd(request, attempt, paint)]);
}

function renderEnd(request: RequestStory, attempt: AttemptStory, paint: Paint): string[] {
  const { kind, http_status: status, meaning, message, hedged, repairs, closed } = attempt;
  const end = kind === null ? paint.good(renderSuccess(attempt)) : paint.bad(meaning);
  const hasMore = kind !== null && message !== null && message !== "" && !isLostRace(attempt);
  const startedAt = request.started_at === null ? 0 : Date.parse(request.started_at);
  const until =
    closed === null || closed.until === null ? "" : ` until ${renderClock(Date.parse(closed.until), startedAt)}`;
  const details = [
    ...(hedged ? ["begun because the one before had said nothing yet"] : []),
    ...repairs,
    ...(hasMore
      ? [`${isUpstreamsWord({ kind, status }) ? "it said" : "in detail"}: ${clip(message, messageWidth)}`]
      : []),
    ...(closed === null ? [] : [`that closed ${closed.what}${until}`]),
  ];
  return [`     ${end}`, ...details.map((line) => paint.dim(`     ${line}`))];
}

function renderSuccess({ http_status: status, meaning }: AttemptStory): string {
  return status === null ? meaning : `${status}: ${meaning}`;
}

/** Several requests whose ids begin alike, newest first. */
export function renderMatches(requests: readonly RequestStory[], paint: Paint): string {
  const rows = requests.map((request) => [
    request.id,
    request.started_at === null ? "" : renderMoment(Date.parse(request.started_at)),
    request.agent_name ?? request.agent ?? "-",
    request.model_requested,
    request.status,
  ]);
  return renderColumns(
    [["id", "at", "agent", "asked for", "status"], ...rows],
    [(text, row) => (row === 0 ? text : paint.bold(text))],
  ).join("\n");
}
