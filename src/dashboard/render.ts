/** The dashboard as lines of a terminal: never more than it has rows, none wider than it has columns. Pure. */

import { renderClock, renderSpan } from "../explain/clock.ts";
import { renderCount, renderNumber, renderUsd } from "../explain/counts.ts";
import { asPlainLine, cutLine, fitCell, widthOf } from "../explain/cut-line.ts";
import { describeTier, stateTone } from "../explain/render-status.ts";
import type { Paint } from "../explain/table.ts";
import type { FlightReport } from "../gateway/flights.ts";
import type { EndedRequest } from "../gateway/status-report.ts";
import type { View } from "./keys.ts";
import { type DashboardModel, type Flight, filterRequests, totalSpeed } from "./model.ts";

export interface Size {
  columns: number;
  rows: number;
}

/** Below it there is no room for anything but saying so. */
export const leastSize: Size = { columns: 50, rows: 12 };

export function renderDashboard(model: DashboardModel, view: View, size: Size, paint: Paint): string[] {
  const { columns, rows } = size;
  if (columns < leastSize.columns || rows < leastSize.rows) return renderTooSmall(size);
  const lines = renderPage(model, view, size, paint);
  return lines.slice(0, rows).map((line) => cutLine(line, columns));
}

function renderTooSmall({ columns, rows }: Size): string[] {
  const words = [
    `clutch watch needs ${leastSize.columns} columns`,
    `and ${leastSize.rows} rows; here are ${columns}x${rows}.`,
    "Enlarge the window, or q to quit.",
  ];
  return words.slice(0, Math.max(0, rows)).map((line) => cutLine(line, columns));
}

function renderPage(model: DashboardModel, view: View, size: Size, paint: Paint): string[] {
  switch (view.page.kind) {
    case "help":
      return withFooter(renderHelp(paint), "any key goes back", size, paint);
    case "why":
      return renderWhyPage(view.page, size, paint);
    case "requests":
    case "filter":
      return renderRequests(model, view, size, paint);
    default:
      return view.page satisfies never;
  }
}

/** The last row of the screen, whatever stands above it. */
function withFooter(lines: readonly string[], footer: string, { rows }: Size, paint: Paint): string[] {
  const shown = lines.slice(0, rows - 1);
  return [...shown, ...Array.from({ length: rows - 1 - shown.length }, () => ""), paint.dim(footer)];
}

const keysHelp: readonly (readonly [keys: string, does: string])[] = [
  ["up down, k j", "select a request"],
  ["enter", "why it went as it did"],
  ["/", "show only what holds these words: a model, an agent, a code, failed, ..."],
  ["p, space", "hold the screen still, and go on"],
  ["d", "dense or sparse: one line for a request, or two"],
  ["escape", "nothing selected; once more: no filter"],
  ["g G, page up page down", "first, last, a page on"],
  ["ctrl-l, ctrl-z", "draw anew, suspend"],
  ["q, ctrl-c", "quit"],
];

function renderHelp(paint: Paint): string[] {
  return [
    paint.bold("clutch watch"),
    "",
    ...keysHelp.map(([keys, does]) => `  ${fitCell(keys, 24)}${does}`),
    "",
    "tok/s and tokens of a request under way are estimates, four characters to a token.",
  ];
}

function renderWhyPage(page: Extract<View["page"], { kind: "why" }>, size: Size, paint: Paint): string[] {
  const lines = page.lines ?? [`asking about ${page.id} ...`];
  const shown = lines.slice(page.top, page.top + size.rows - 1);
  const isMore = page.top + shown.length < lines.length;
  const footer = `${isMore ? "down for more · " : ""}r asks again · escape goes back`;
  return withFooter(shown, footer, size, paint);
}

/** How many lines of a story are seen at once. */
export function pageRows({ rows }: Size): number {
  return Math.max(1, rows - 1);
}

function renderRequests(model: DashboardModel, view: View, size: Size, paint: Paint): string[] {
  const isSparse = view.layout === "sparse";
  const gap = isSparse ? [""] : [];
  const top = [
    renderHeadline(model, view, paint),
    ...gap,
    ...renderChain(model, size, paint),
    ...renderTiers(model, view, paint),
    ...renderOut(model, view, paint),
    ...gap,
  ];
  const shown = filterRequests(model, view.filter);
  const each = isSparse ? 2 : 1;
  // Two titles and the footer stand besides.
  const room = Math.max(2, Math.floor((size.rows - top.length - 3 - gap.length) / each));
  const wanted = shown.flights.length;
  const forEnded = Math.min(shown.ended.length, Math.max(Math.floor(room / 3), room - Math.max(1, wanted)));
  const forFlights = Math.max(1, Math.min(wanted, room - forEnded));
  const columns = planColumns(size.columns, model);
  const flights = windowOn(shown.flights, forFlights, ({ report }) => report.id === view.selected);
  const ended = windowOn(shown.ended, Math.max(0, room - forFlights), ({ id }) => id === view.selected);
  const isFiltered = view.filter !== "";
  const count = (seen: number, all: number) => (isFiltered ? `${seen} of ${all}` : String(all));
  const body = [
    title(
      "under way",
      count(shown.flights.length, model.flights.length),
      headings(columns, "for", "tok/s"),
      size,
      paint,
    ),
    ...(flights.length === 0 ? [paint.dim(`  ${describeNoFlights(model, isFiltered)}`)] : []),
    ...flights.flatMap((flight) => renderFlight(flight, view, columns, paint)),
    ...gap,
    title("last ones", count(shown.ended.length, model.ended.length), headings(columns, "took", "tokens"), size, paint),
    ...ended.flatMap((request) => renderEnded(request, model, view, columns, paint)),
  ];
  return withFooter([...top, ...body], renderFooter(view), size, paint);
}

function describeNoFlights({ gateway, flights }: DashboardModel, isFiltered: boolean): string {
  if (gateway.kind === "unknown") return "asking the gateway ...";
  if (gateway.kind === "gone") return "nobody knows: the gateway is looked for again and again";
  return isFiltered && flights.length > 0 ? "none that the filter lets through" : "nothing";
}

function renderFooter(view: View): string {
  if (view.page.kind === "filter") return `/${asPlainLine(view.filter)}_  enter keeps it, escape goes back`;
  const filter = view.filter === "" ? "/ filter" : `/ filter: ${asPlainLine(view.filter)}`;
  return `${filter} · ${view.isPaused ? "p goes on" : "p pause"} · enter why · d ${view.layout === "dense" ? "sparse" : "dense"} · ? help · q quit`;
}

function renderHeadline(model: DashboardModel, view: View, paint: Paint): string {
  const { gateway, flights, today, now } = model;
  const speed = totalSpeed(flights);
  const state =
    gateway.kind === "up"
      ? [`${paint.bold(`Clutch ${gateway.version}`)} up ${renderSpan(Math.max(0, now - gateway.startedAtMs))}`]
      : [gateway.kind === "gone" ? paint.bad(asPlainLine(gateway.reason)) : paint.bold("Clutch")];
  return [
    ...(view.isPaused ? [paint.warn("PAUSED")] : []),
    ...state,
    ...(gateway.kind === "up" && gateway.isDraining ? [paint.warn("shutting down")] : []),
    ...(gateway.kind === "up"
      ? [`${flights.length} under way`, `${speed === null ? "-" : Math.round(speed)} tok/s`]
      : []),
    ...(today === null
      ? []
      : [[`today ${renderCount(today.requests)}`, ...describeFailed(today.errors, paint), costOf(today)].join(", ")]),
  ].join(" · ");
}

function describeFailed(errors: number, paint: Paint): string[] {
  return errors === 0 ? [] : [paint.bad(`${renderCount(errors)} failed`)];
}

function costOf({ cost_usd, unpriced_requests }: NonNullable<DashboardModel["today"]>): string {
  if (cost_usd === null) return "cost unknown";
  return unpriced_requests === 0
    ? renderUsd(cost_usd)
    : `${renderUsd(cost_usd)} + ${renderCount(unpriced_requests)} unpriced`;
}

function renderChain({ members, gateway }: DashboardModel, { columns }: Size, paint: Paint): string[] {
  const problems = gateway.kind === "up" ? gateway.problems : [];
  const chain = members.map(({ id, state }) => `${id} ${paint[stateTone[state]](state)}`).join(" · ");
  return [
    ...(members.length === 0 ? [] : [`${paint.dim("chain")}  ${chain}`]),
    ...problems.slice(0, 1).map((problem) => paint.warn(cutLine(`! ${asPlainLine(problem)}`, columns))),
  ];
}

function renderTiers({ tiers, now }: DashboardModel, view: View, paint: Paint): string[] {
  const main = tiers.filter(({ kind }) => kind === "tier");
  if (main.length === 0) return [];
  const serving = ({ serves, first }: (typeof main)[number]) =>
    serves === null ? paint.bad("nobody") : serves === first ? asPlainLine(serves) : paint.warn(asPlainLine(serves));
  if (view.layout === "dense") {
    const parts = main.map((tier) => `${paint.dim(tier.tier)} ${serving(tier)}`);
    return [parts.join("  ")];
  }
  return main.map((tier) => {
    const why = asPlainLine(describeTier(tier, now));
    return `${paint.dim(fitCell(tier.tier, 8))}${serving(tier)}${why === "" ? "" : paint.dim(`  ${why}`)}`;
  });
}

function renderOut({ out, now }: DashboardModel, view: View, paint: Paint): string[] {
  if (out.length === 0) return [];
  const parts = out.map(({ what, back_at, state }) => {
    const until =
      back_at === null || state === "half-open" ? "tried next" : `until ${renderClock(Date.parse(back_at), now)}`;
    return `${asPlainLine(what)} (${until})`;
  });
  const most = view.layout === "dense" ? 3 : 6;
  const rest = parts.length > most ? ` and ${parts.length - most} more` : "";
  return [`${paint.bad("out")}  ${parts.slice(0, most).join(", ")}${rest}`];
}

interface Columns {
  /** Of the line without its mark. */
  agent: number;
  asked: number;
  main: number;
  time: number;
  tokens: number;
  /** 0: no room, or nothing to show. */
  cost: number;
  /** 0 likewise. */
  id: number;
}

/** The middle column takes what the others leave. */
function planColumns(columns: number, { ended }: DashboardModel): Columns {
  const isWide = columns >= 110;
  const fixed = {
    agent: 5,
    asked: Math.min(28, Math.max(12, Math.floor(columns / 5))),
    time: 7,
    tokens: 7,
    cost: columns >= 90 && ended.some(({ cost_usd }) => cost_usd !== null) ? 8 : 0,
    id: isWide ? 14 : 0,
  };
  const used = Object.values(fixed).reduce((sum, width) => sum + (width === 0 ? 0 : width + 1), 2);
  return { ...fixed, main: Math.max(8, columns - used - 1) };
}

function row(mark: string, cells: Record<keyof Columns, string>, columns: Columns): string {
  const texts = [
    ...(columns.id === 0 ? [] : [fitCell(asPlainLine(cells.id), columns.id)]),
    fitCell(asPlainLine(cells.agent), columns.agent),
    fitCell(asPlainLine(cells.asked), columns.asked),
    fitCell(asPlainLine(cells.main), columns.main),
    fitCell(cells.time, columns.time, "right"),
    fitCell(cells.tokens, columns.tokens, "right"),
    ...(columns.cost === 0 ? [] : [fitCell(cells.cost, columns.cost, "right")]),
  ];
  return `${mark} ${texts.join(" ")}`;
}

function headings(columns: Columns, time: string, tokens: string): string {
  const { time: timeWidth, tokens: tokensWidth, cost } = columns;
  const texts = [fitCell(time, timeWidth, "right"), fitCell(tokens, tokensWidth, "right")];
  return [...texts, ...(cost === 0 ? [] : [fitCell("cost", cost, "right")])].join(" ");
}

function title(name: string, count: string, right: string, { columns }: Size, paint: Paint): string {
  const left = `${name} (${count}) `;
  // Where rows end, not where the screen does.
  const line = "─".repeat(Math.max(0, columns - 1 - widthOf(left) - widthOf(right) - 1));
  return `${paint.bold(name)} (${count}) ${paint.dim(`${line} ${right}`)}`;
}

/** As many as there is room for, the chosen one among them. */
function windowOn<Item>(items: readonly Item[], room: number, isChosen: (item: Item) => boolean): readonly Item[] {
  const at = items.findIndex(isChosen);
  const from = Math.max(0, Math.min(at - room + 1, items.length - room));
  return items.slice(from, from + room);
}

function renderFlight(flight: Flight, view: View, columns: Columns, paint: Paint): string[] {
  const { report, tokensPerSecond } = flight;
  const isSelected = report.id === view.selected;
  const cells = {
    id: report.id,
    agent: nameAgent(report),
    asked: report.model_requested,
    main: describeFlight(report, view.layout === "dense"),
    time: renderSpan(report.age_ms),
    tokens: tokensPerSecond === null ? "-" : String(Math.round(tokensPerSecond)),
    cost: "",
  };
  const tone = report.phase === "answering" ? paint.good : report.phase === "pausing" ? paint.warn : plain;
  const line = row(isSelected ? ">" : " ", cells, columns);
  const painted = isSelected ? paint.bold(line) : tone(line);
  if (view.layout === "dense") return [painted];
  const tokens = report.output_tokens_estimate;
  const details = [
    describeLeft(report.left),
    ...(tokens === null ? [] : [`${renderNumber(tokens, "token")} so far`]),
    ...(report.rule === null ? [] : [report.rule]),
    report.id,
  ].filter((part) => part !== "");
  return [painted, paint.dim(`    ${asPlainLine(details.join(" · "))}`)];
}

function plain(text: string): string {
  return text;
}

/** `xx cip` as `cip`; an agent that was started by hand by its letter. */
function nameAgent({ agent, code }: Pick<FlightReport, "agent" | "code">): string {
  return code ?? agent ?? "-";
}

/** What goes on at this moment. */
export function describeFlight(report: FlightReport, withLeft: boolean): string {
  const { phase, targets, left, streamed } = report;
  const names = targets.join(" and ");
  const before = withLeft && left.length > 0 ? `, left ${describeEach(left)}` : "";
  switch (phase) {
    case "routing":
      return "routing";
    case "waiting":
      return `waiting for ${names}${before}`;
    case "pausing":
      return `pausing for a limit${before}`;
    case "answering":
      return `${streamed ? "streaming from" : "answered by"} ${names}${before}`;
    default:
      return phase satisfies never;
  }
}

function describeLeft(left: FlightReport["left"]): string {
  return left.length === 0 ? "" : `left ${describeEach(left)}`;
}

function describeEach(left: FlightReport["left"]): string {
  return left.map(({ target, kind }) => `${target} (${kind})`).join(", ");
}

function renderEnded(
  request: EndedRequest,
  { now }: DashboardModel,
  view: View,
  columns: Columns,
  paint: Paint,
): string[] {
  const isSelected = request.id === view.selected;
  const isDense = view.layout === "dense";
  const cells = {
    id: request.id,
    agent: nameAgent(request),
    asked: request.model_requested,
    main: describeEnding(request, isDense),
    time: renderSpan(request.duration_ms),
    tokens: request.output_tokens === null ? "-" : renderCount(request.output_tokens),
    cost: request.cost_usd === null ? "?" : renderUsd(request.cost_usd),
  };
  const line = row(isSelected ? ">" : " ", cells, columns);
  const tone = request.status === "error" ? paint.bad : request.status === "aborted" ? paint.dim : plain;
  const painted = isSelected ? paint.bold(line) : tone(line);
  if (isDense) return [painted];
  const speed = speedOf(request);
  const details = [
    `${renderSpan(Math.max(0, now - Date.parse(request.ended_at)))} ago`,
    describeLeft(request.left),
    ...(request.first_token_ms === null ? [] : [`first token after ${renderSpan(request.first_token_ms)}`]),
    ...(request.input_tokens === null ? [] : [`${renderCount(request.input_tokens)} tokens in`]),
    ...(speed === null ? [] : [`${Math.round(speed)} tok/s`]),
    request.id,
  ].filter((part) => part !== "");
  return [painted, paint.dim(`    ${asPlainLine(details.join(" · "))}`)];
}

function describeEnding({ status, served_by, left, error, http_status }: EndedRequest, withLeft: boolean): string {
  const after = withLeft && left.length > 0 ? `, left ${describeEach(left)}` : "";
  switch (status) {
    case "completed":
      return `${served_by ?? "the gateway"}${after}`;
    case "aborted":
      return `broken off${served_by === null ? "" : ` while ${served_by} answered`}${after}`;
    case "error":
      return served_by === null
        ? `failed (${http_status ?? "-"}): ${left.length > 0 ? describeEach(left) : (error ?? "")}`
        : `failed while ${served_by} answered: ${error ?? ""}`;
    case "pending":
      return "";
    default:
      return status satisfies never;
  }
}

/** Of a stream, from its first token on; null where that says nothing. */
function speedOf({ streamed, output_tokens, duration_ms, first_token_ms }: EndedRequest): number | null {
  if (!streamed || output_tokens === null || first_token_ms === null) return null;
  const spanMs = duration_ms - first_token_ms;
  return spanMs < 50 ? null : (output_tokens / spanMs) * 1000;
}
