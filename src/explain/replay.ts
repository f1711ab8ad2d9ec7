/** The same request on several models: what each made of it, side by side. `clutch replay`. Pure. */

import { foldEvents } from "../gateway/fold.ts";
import { asPlainLine } from "../plain-line.ts";
import type { ChatResponse, Json, Protocol } from "../protocols/chat.ts";
import { type DecodeContext, plainQuirks } from "../protocols/codec.ts";
import { codecs } from "../protocols/index.ts";
import { SseReader } from "../protocols/sse.ts";
import type { ListedRequest } from "../store/request-list.ts";
import { renderSpan } from "./clock.ts";
import { renderCount, renderUsd } from "./counts.ts";
import { clip, type Paint, renderColumns } from "./table.ts";

export interface ReplayedCall {
  name: string;
  /** Parsed; as text where it is no JSON. */
  arguments: Json;
}

/** What a client can make of an answer. */
export interface ReplayedAnswer {
  tool_calls: ReplayedCall[];
  text: string;
  finish: string | null;
  /** Null for a whole answer. */
  error: string | null;
}

/**
 * same          the same tools, called with the same arguments, in the same order; without any, none either
 * same-tools    the same tools in the same order, with other arguments
 * other-tools   other tools, or another number of calls
 * no-tools      tools were called, and this one called none
 * failed        there is no whole answer
 */
export type ReplayVerdict = "same" | "same-tools" | "other-tools" | "no-tools" | "failed";

/** One run; spans are milliseconds, the cost US dollars; null is unknown. */
export interface ReplayRun extends ReplayedAnswer {
  /** `provider:model` that was asked. */
  target: string;
  served_by: string | null;
  request_id: string | null;
  http_status: number | null;
  duration_ms: number | null;
  first_token_ms: number | null;
  input_tokens: number | null;
  cache_read_tokens: number | null;
  cache_write_tokens: number | null;
  output_tokens: number | null;
  reasoning_tokens: number | null;
  cost_usd: number | null;
  /** Against what is expected; null where nothing is known of that. */
  verdict: ReplayVerdict | null;
}

export interface ReplayReport {
  request: { id: string; protocol: Protocol; model_requested: string; streamed: boolean };
  /** As it went at the time; null where its answer was not kept. */
  original: ReplayRun | null;
  runs: ReplayRun[];
}

const plain: DecodeContext = { quirks: plainQuirks, toolNames: new Map() };

/** What the client of this protocol was answered, whole or in events. */
export function readAnswer(protocol: Protocol, body: string): ReplayedAnswer {
  const codec = codecs[protocol];
  const isStream = !body.trimStart().startsWith("{");
  try {
    if (!isStream) return describe(codec.decodeResponse(JSON.parse(body) as Json, plain));
    const reader = new SseReader();
    const decoder = codec.streamDecoder(plain);
    const messages = [...reader.push(Buffer.from(body)), ...reader.end()];
    const events = [...messages.flatMap((message) => decoder.push(message)), ...decoder.end()];
    const folded = foldEvents(events);
    if (folded.ok) return describe(folded.response);
    // What came before it broke off is worth a look.
    const partial = foldEvents([...events.filter(({ type }) => type !== "error"), { type: "finish", reason: "stop" }]);
    const begun = partial.ok ? describe(partial.response) : nothing;
    return { ...begun, finish: null, error: folded.error.message };
  } catch (cause) {
    return { ...nothing, error: readError(body) ?? (cause instanceof Error ? cause.message : String(cause)) };
  }
}

const nothing: ReplayedAnswer = { tool_calls: [], text: "", finish: null, error: null };

function describe({ parts, finish }: ChatResponse): ReplayedAnswer {
  return {
    tool_calls: parts.flatMap((part) =>
      part.type === "tool-call" ? [{ name: part.name, arguments: parseArguments(part.arguments) }] : [],
    ),
    text: parts.flatMap((part) => (part.type === "text" || part.type === "refusal" ? [part.text] : [])).join(""),
    finish,
    error: null,
  };
}

function parseArguments(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

/** Every protocol's error has a message below `error`. */
function readError(body: string): string | undefined {
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown } };
    return typeof error?.message === "string" ? error.message : undefined;
  } catch {
    return undefined;
  }
}

export function compareCalls(
  expected: readonly ReplayedCall[],
  answer: Pick<ReplayedAnswer, "tool_calls" | "error">,
): ReplayVerdict {
  const calls = answer.tool_calls;
  if (answer.error !== null) return "failed";
  if (expected.length > 0 && calls.length === 0) return "no-tools";
  const isSameOrder = calls.length === expected.length && calls.every(({ name }, at) => name === expected[at]?.name);
  if (!isSameOrder) return "other-tools";
  return calls.every((call, at) => Bun.deepEquals(call.arguments, expected[at]?.arguments)) ? "same" : "same-tools";
}

/** @param row of the run, once it has ended; undefined where the ledger does not tell */
export function reportRun(
  target: string,
  answer: ReplayedAnswer,
  row: ListedRequest | undefined,
  expected: readonly ReplayedCall[] | undefined,
): ReplayRun {
  return {
    target,
    served_by: row?.servedBy ?? null,
    request_id: row?.id ?? null,
    http_status: row?.httpStatus ?? null,
    duration_ms: row?.durationMs ?? null,
    first_token_ms: row?.firstTokenMs ?? null,
    input_tokens: row?.inputTokens ?? null,
    cache_read_tokens: row?.cacheReadTokens ?? null,
    cache_write_tokens: row?.cacheWriteTokens ?? null,
    output_tokens: row?.outputTokens ?? null,
    reasoning_tokens: row?.reasoningTokens ?? null,
    cost_usd: row?.costUsd ?? null,
    verdict: expected === undefined ? null : compareCalls(expected, answer),
    ...answer,
  };
}

/** A request that is to be asked again and again: `--save`. */
export interface ReplayCase {
  clutch_case: 1;
  id: string;
  protocol: Protocol;
  query: string;
  headers: Readonly<Record<string, string>>;
  model_requested: string;
  request: Json;
  /** What is expected; null where no whole answer was kept. */
  tool_calls: ReplayedCall[] | null;
}

/** Undefined for what is none. */
export function parseCase(text: string): ReplayCase | undefined {
  try {
    const value = JSON.parse(text) as Partial<ReplayCase> | null;
    const isCase =
      value?.clutch_case === 1 &&
      typeof value.protocol === "string" &&
      Object.hasOwn(codecs, value.protocol) &&
      typeof value.request === "object" &&
      value.request !== null;
    if (!isCase) return undefined;
    return {
      clutch_case: 1,
      id: String(value.id ?? "case"),
      protocol: value.protocol as Protocol,
      query: typeof value.query === "string" ? value.query : "",
      headers: value.headers ?? {},
      model_requested: String(value.model_requested ?? ""),
      request: value.request as Json,
      tool_calls: Array.isArray(value.tool_calls) ? value.tool_calls : null,
    };
  } catch {
    return undefined;
  }
}

const verdictWords: Readonly<Record<ReplayVerdict, string>> = {
  same: "the same",
  "same-tools": "same tools, other arguments",
  "other-tools": "other tools",
  "no-tools": "no tool called",
  failed: "failed",
};

const heads = ["", "tool calls", "", "text", "took", "first", "in", "out", "cost"] as const;

/** A row each, the original first; below it what each called with what, and what went wrong. */
export function renderReplay({ request, original, runs }: ReplayReport, paint: Paint): string {
  const all = [...(original === null ? [] : [original]), ...runs];
  const rows = all.map((run) => [
    run === original ? `${run.target} (then)` : run.target,
    run.tool_calls.length === 0 ? "-" : clip(run.tool_calls.map(({ name }) => name).join(", "), 40),
    run === original || run.verdict === null ? "" : verdictWords[run.verdict],
    run.text === "" ? "-" : `${renderCount(run.text.length)} chars`,
    run.duration_ms === null ? "-" : renderSpan(run.duration_ms),
    run.first_token_ms === null ? "-" : renderSpan(run.first_token_ms),
    run.input_tokens === null ? "-" : renderCount(inputOf(run)),
    run.output_tokens === null ? "-" : renderCount(run.output_tokens),
    run.output_tokens === null ? "-" : renderUsd(run.cost_usd),
  ]);
  const paintVerdict = (text: string, row: number) => {
    const verdict = all[row - 1]?.verdict;
    if (verdict === "same") return paint.good(text);
    return verdict === "failed" || verdict === "no-tools" ? paint.bad(text) : paint.warn(text);
  };
  const dimHead = (text: string, row: number) => (row === 0 ? paint.dim(text) : text);
  const table = renderColumns(
    [[...heads], ...rows],
    heads.map((_, column) => (column === 2 ? paintVerdict : dimHead)),
  );
  const told = all.filter(({ tool_calls, error }) => tool_calls.length > 0 || error !== null);
  return [
    `${paint.bold(`request ${asPlainLine(request.id)}`)}, asked for ${asPlainLine(request.model_requested)} (${request.protocol}, ${request.streamed ? "streamed" : "whole"})`,
    "",
    ...table,
    ...told.flatMap((run) => ["", ...renderRun(run, run === original, paint)]),
  ].join("\n");
}

function renderRun(run: ReplayRun, isOriginal: boolean, paint: Paint): string[] {
  return [
    paint.bold(asPlainLine(isOriginal ? `${run.target} (then)` : run.target)),
    ...run.tool_calls.map((call) => `  ${clip(call.name, 80)} ${clip(JSON.stringify(call.arguments), 160)}`),
    ...(run.error === null ? [] : [paint.bad(`  ${clip(run.error, 200)}`)]),
  ];
}

function inputOf({
  input_tokens: plainTokens,
  cache_read_tokens: read,
  cache_write_tokens: written,
}: ReplayRun): number {
  return (plainTokens ?? 0) + (read ?? 0) + (written ?? 0);
}
