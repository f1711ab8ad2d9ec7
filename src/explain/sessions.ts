/** Conversations: `clutch sessions`. Pure. */

import { addRequest, findHarm, noFigures } from "../gateway/session-savings.ts";
import { agentNames, isAgentLetter } from "../launch-code.ts";
import type { RequestRow } from "../store/schema.ts";
import type { SessionRequest, SessionSums } from "../store/session-list.ts";
import { asIso, renderMoment, renderSpan } from "./clock.ts";
import { renderCount, renderNumber, renderUsd } from "./counts.ts";
import { asPlainLine, cutLine } from "./cut-line.ts";
import { clip, type Paint, renderColumns } from "./table.ts";
import { knownCost, money } from "./usage.ts";

/** An entry of `clutch sessions list --json`; times are ISO 8601 in UTC. */
export interface SessionReport {
  /** The agent's own id, or its launch's where it has none. */
  session: string;
  agent: string | null;
  launch_id: string | null;
  folder: string | null;
  first_at: string;
  /** When its last request began. */
  last_at: string;
  /** Requests to models: an agent makes several for one task. */
  turns: number;
  completed: number;
  errors: number;
  aborted: number;
  input_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
  output_tokens: number;
  reasoning_tokens: number;
  /** As far as it is known; null when nothing is. */
  cost_usd: number | null;
  unpriced_requests: number;
  compression: {
    /** Requests that were made smaller. */
    requests: number;
    /** Input of those that it was tried on: estimates. */
    tokens_before: number;
    tokens_after: number;
    saved_usd: number | null;
  };
}

export function reportSession(sums: SessionSums): SessionReport {
  const { unpriced, requests, compressed, compressedUnknown } = sums;
  return {
    session: sums.session,
    agent: sums.agent === "" ? null : sums.agent,
    launch_id: sums.launchId === "" ? null : sums.launchId,
    folder: sums.folder === "" ? null : sums.folder,
    first_at: asIso(sums.firstAt) ?? "",
    last_at: asIso(sums.lastAt) ?? "",
    turns: requests,
    completed: sums.completed,
    errors: sums.errors,
    aborted: sums.aborted,
    input_tokens: sums.inputTokens,
    cache_read_tokens: sums.cacheReadTokens,
    cache_write_tokens: sums.cacheWriteTokens,
    output_tokens: sums.outputTokens,
    reasoning_tokens: sums.reasoningTokens,
    cost_usd: knownCost(sums),
    unpriced_requests: unpriced,
    compression: {
      requests: compressed,
      tokens_before: sums.tokensBefore,
      tokens_after: sums.tokensAfter,
      saved_usd: compressed > 0 && compressedUnknown < compressed ? money(sums.compressionSavedUsd) : null,
    },
  };
}

/** `clutch sessions show --json`. */
export interface SessionStory {
  session: SessionReport;
  /** Attempts beyond the first of each request. */
  retries: number;
  models: { served_by: string; turns: number; input_tokens: number; output_tokens: number; cost_usd: number | null }[];
  /** Whether compression paid. */
  compression: CompressionStory;
}

export interface CompressionStory {
  turns: number;
  tokens_before: number;
  tokens_after: number;
  tokens_saved: number;
  /** Share of the input that came from the prompt cache: of compressed requests, and of the others. */
  cache_share: number | null;
  cache_share_without: number | null;
  /** What the provider had cached and had to read anew behind a compressed request. */
  cache_tokens_lost: number;
  /** Compressed requests that were refused as wrong, and had to be made again. */
  refused: number;
  /** What compression cost more than it saved, in words; null where it did not. */
  harmful: string | null;
}

export function tellSession(sums: SessionSums, requests: readonly SessionRequest[]): SessionStory {
  return {
    session: reportSession(sums),
    retries: requests.reduce((count, { attempts }) => count + Math.max(0, attempts - 1), 0),
    models: listModels(requests),
    compression: tellCompression(requests),
  };
}

function listModels(requests: readonly SessionRequest[]): SessionStory["models"] {
  const answered = requests.filter(({ servedBy }) => servedBy !== null);
  const groups = Object.entries(Object.groupBy(answered, ({ servedBy }) => servedBy ?? ""));
  return groups
    .map(([served_by, group = []]) => ({
      served_by,
      turns: group.length,
      input_tokens: group.reduce((sum, request) => sum + inputOf(request), 0),
      output_tokens: group.reduce((sum, { outputTokens }) => sum + (outputTokens ?? 0), 0),
      cost_usd: group.every(({ costUsd }) => costUsd === null)
        ? null
        : money(group.reduce((sum, { costUsd }) => sum + (costUsd ?? 0), 0)),
    }))
    .sort((one, other) => other.turns - one.turns || one.served_by.localeCompare(other.served_by));
}

function tellCompression(requests: readonly SessionRequest[]): CompressionStory {
  const tried = requests.filter(({ tokensBefore }) => tokensBefore !== null);
  const others = requests.filter(({ tokensBefore }) => tokensBefore === null);
  const figures = requests.reduce((sofar, request) => addRequest(sofar, rowOf(request)), noFigures);
  return {
    turns: figures.compressed,
    tokens_before: tried.reduce((sum, { tokensBefore }) => sum + (tokensBefore ?? 0), 0),
    tokens_after: tried.reduce((sum, { tokensAfter }) => sum + (tokensAfter ?? 0), 0),
    tokens_saved: figures.saved,
    cache_share: cacheShare(tried),
    cache_share_without: cacheShare(others),
    cache_tokens_lost: figures.cacheLost,
    refused: figures.refused,
    harmful: findHarm(figures) ?? null,
  };
}

function cacheShare(requests: readonly SessionRequest[]): number | null {
  const input = requests.reduce((sum, request) => sum + inputOf(request), 0);
  const read = requests.reduce((sum, { cacheReadTokens }) => sum + (cacheReadTokens ?? 0), 0);
  return input === 0 ? null : Math.round((read / input) * 1000) / 1000;
}

function inputOf({ inputTokens, cacheReadTokens, cacheWriteTokens }: SessionRequest): number {
  return (inputTokens ?? 0) + (cacheReadTokens ?? 0) + (cacheWriteTokens ?? 0);
}

/** As much of a row as the accounting looks at. */
function rowOf(request: SessionRequest): RequestRow {
  const { usageEstimated, ...row } = request;
  return {
    ...row,
    usageEstimated: usageEstimated === 1,
    protocol: "messages",
    streamed: true,
    modelRequested: "",
  };
}

export interface SessionView {
  paint: Paint;
  /** Written as `~` in folders. */
  home: string | undefined;
  /** Of the terminal. */
  columns: number;
}

const heads = ["session", "agent", "folder", "last", "turns", "in", "cached", "out", "cost", "compressed"] as const;

export function renderSessions(reports: readonly SessionReport[], { paint, home, columns }: SessionView): string {
  const rows = reports.map((report) => [
    clip(report.session, 14),
    nameAgent(report.agent),
    clip(shorten(report.folder, home), 40),
    report.last_at.slice(0, 16).replace("T", " "),
    String(report.turns),
    renderCount(report.input_tokens + report.cache_read_tokens + report.cache_write_tokens),
    renderShare(report.cache_read_tokens, report.input_tokens + report.cache_read_tokens + report.cache_write_tokens),
    renderCount(report.output_tokens),
    renderCost(report),
    renderSaved(report.compression),
  ]);
  return renderColumns(
    [[...heads], ...rows],
    heads.map(
      (_, column) => (text: string, row: number) =>
        row === 0 ? paint.dim(text) : column === 0 ? paint.bold(text) : text,
    ),
  )
    .map((line) => cutLine(line, columns))
    .join("\n");
}

function renderSaved({ tokens_before: before, tokens_after: after }: SessionReport["compression"]): string {
  return before === 0 ? "-" : `-${renderShare(before - after, before)}`;
}

function renderCost({ cost_usd: cost, unpriced_requests: unpriced }: SessionReport): string {
  return `${renderUsd(cost)}${cost === null || unpriced === 0 ? "" : ` + ${unpriced} unknown`}`;
}

function renderShare(part: number, whole: number): string {
  return whole === 0 ? "-" : `${Math.round((part / whole) * 100)} %`;
}

function nameAgent(agent: string | null): string {
  return agent === null ? "-" : isAgentLetter(agent) ? agentNames[agent] : agent;
}

function shorten(folder: string | null, home: string | undefined): string {
  if (folder === null) return "-";
  if (home === undefined || home === "") return folder;
  return folder === home || folder.startsWith(`${home}/`) ? `~${folder.slice(home.length)}` : folder;
}

export function renderSession(story: SessionStory, { paint, home }: Pick<SessionView, "paint" | "home">): string {
  const { session, retries, models, compression } = story;
  const input = session.input_tokens + session.cache_read_tokens + session.cache_write_tokens;
  const lasted = Date.parse(session.last_at) - Date.parse(session.first_at);
  const facts: [string, string][] = [
    ["agent", nameAgent(session.agent)],
    ["folder", shorten(session.folder, home)],
    ...(session.launch_id === null ? [] : [["launch", session.launch_id] as [string, string]]),
    ["began", renderMoment(Date.parse(session.first_at))],
    ["last", `${renderMoment(Date.parse(session.last_at))}${lasted > 0 ? `, ${renderSpan(lasted)} later` : ""}`],
    ["turns", renderTurns(session, retries)],
    ["input", `${renderCount(input)} tokens, ${renderShare(session.cache_read_tokens, input)} from the prompt cache`],
    ["output", `${renderCount(session.output_tokens)} tokens`],
    ["cost", renderCost(session)],
    ["compression", describeCompression(compression)],
  ];
  const rows = models.map((model) => [
    `  ${model.served_by}`,
    renderNumber(model.turns, "turn"),
    `${renderCount(model.input_tokens)} in`,
    `${renderCount(model.output_tokens)} out`,
    renderUsd(model.cost_usd),
  ]);
  return [
    paint.bold(`session ${asPlainLine(session.session)}`),
    ...renderColumns(
      facts.map(([label, value]) => [`  ${label}`, value]),
      [paint.dim],
    ),
    ...(compression.harmful === null ? [] : [paint.bad(`  compression did harm: ${compression.harmful}`)]),
    ...(rows.length === 0 ? [] : ["", "answered by", ...renderColumns(rows)]),
    "",
    paint.dim(`clutch requests ${filterOf(session)} lists its requests`),
  ].join("\n");
}

/** A conversation of an agent without ids of its own goes by its launch's. */
function filterOf({ session, launch_id: launchId }: SessionReport): string {
  return session === launchId ? `--launch ${asPlainLine(session)}` : `--session ${asPlainLine(session)}`;
}

function renderTurns({ turns, errors, aborted }: SessionReport, retries: number): string {
  const notes = [
    ...(errors === 0 ? [] : [`${errors} failed`]),
    ...(aborted === 0 ? [] : [`${aborted} broken off`]),
    ...(retries === 0 ? [] : [renderNumber(retries, "retry", "retries")]),
  ];
  return notes.length === 0 ? String(turns) : `${turns} (${notes.join(", ")})`;
}

function describeCompression(story: CompressionStory): string {
  const { turns, tokens_before: before, tokens_after: after, cache_tokens_lost: lost, refused } = story;
  if (before === 0) return "none";
  const parts = [
    `${renderNumber(turns, "turn")}, about ${renderCount(before)} -> ${renderCount(after)} tokens`,
    ...(story.cache_share === null ? [] : [`${Math.round(story.cache_share * 100)} % from the prompt cache`]),
    ...(lost === 0 ? [] : [`${renderCount(lost)} cached tokens lost`]),
    ...(refused === 0 ? [] : [`${refused} refused`]),
  ];
  return parts.join(", ");
}
