/** `clutch status` for people: one screen. Pure. */

import type { DayTotals } from "../gateway/day-totals.ts";
import type { TierReport } from "../gateway/tier-status.ts";
import { isTroubled, type MemberState } from "../lifecycle/chain/member.ts";
import { renderBreakerTable } from "./breakers.ts";
import { renderClock, renderIn, renderSpan } from "./clock.ts";
import { renderCount, renderNumber, renderUsd } from "./counts.ts";
import { asPlainLine, cutLine } from "./cut-line.ts";
import type { LaunchReport, ServiceReport, StatusReport } from "./status.ts";
import { type Paint, renderColumns } from "./table.ts";

export interface StatusView {
  /** Milliseconds since 1970. */
  now: number;
  /** Longer lines are cut. */
  columns: number;
  paint: Paint;
  /** Written as `~` in folders. */
  home: string | undefined;
}

export function renderStatus(report: StatusReport, view: StatusView): string {
  const sections = [
    [renderHeadline(report, view)],
    renderServices(report.services, view),
    renderTiers(report, view),
    renderOutOfOrder(report, view),
    renderLaunches(report.launches, view),
    renderToday(report, view),
    [...report.notes, ...report.gateway.problems].map((problem) => view.paint.warn(`! ${asPlainLine(problem)}`)),
  ].filter((lines) => lines.length > 0);
  return sections.map((lines) => lines.map((line) => cutLine(line, view.columns)).join("\n")).join("\n\n");
}

function renderHeadline({ healthy, gateway, services }: StatusReport, { now, paint }: StatusView): string {
  const troubled = services.filter(({ state }) => isTroubled({ state }));
  const verdict = healthy
    ? paint.good("all is well")
    : paint.bad(`${renderNumber(troubled.length, "service")} not well: ${troubled.map(({ id }) => id).join(", ")}`);
  if (!gateway.answers) return `${paint.bold("Clutch")}: ${verdict}`;
  const parts = [
    `${paint.bold(`Clutch ${gateway.version}`)} on ${gateway.url}`,
    ...(gateway.started_at === null ? [] : [`up ${renderSpan(Math.max(0, now - Date.parse(gateway.started_at)))}`]),
    ...(gateway.draining === true ? [paint.warn("shutting down")] : []),
    `${renderNumber(gateway.in_flight ?? 0, "request")} under way`,
    verdict,
  ];
  return parts.join(" · ");
}

/** How a state looks at a glance. */
export const stateTone = {
  ready: "good",
  starting: "warn",
  restarting: "warn",
  unhealthy: "bad",
  failed: "bad",
  stopped: "bad",
  foreign: "bad",
  absent: "dim",
  off: "dim",
  passive: "dim",
} as const satisfies Record<MemberState, keyof Paint>;

export function renderServices(services: readonly ServiceReport[], { paint }: Pick<StatusView, "paint">): string[] {
  const rows = services.map((service) => [
    `  ${service.id}`,
    service.state,
    service.port === null ? "-" : String(service.port),
    service.uptime_seconds === null ? "-" : renderSpan(service.uptime_seconds * 1000),
    service.version ?? "-",
    describeService(service),
  ]);
  return renderColumns(
    [["services", "state", "port", "up", "version", ""], ...rows],
    [
      (text, row) => (row === 0 ? paint.bold(text) : text),
      (text, row) => (row === 0 ? paint.dim(text) : paint[stateTone[services[row - 1]?.state ?? "off"]](text)),
      dimHeader(paint),
      dimHeader(paint),
      dimHeader(paint),
    ],
  );
}

function dimHeader(paint: Paint): (text: string, row: number) => string {
  return (text, row) => (row === 0 ? paint.dim(text) : text);
}

function describeService({ front, restarts, detail, hint }: ServiceReport): string {
  const facts = [
    ...(front ? ["front"] : []),
    ...(restarts > 0 ? [`started again ${restarts === 1 ? "once" : `${restarts} times`}`] : []),
    ...(detail === "" ? [] : [detail]),
  ].join(", ");
  if (hint === null) return facts;
  return facts === "" ? hint : `${facts}: ${hint}`;
}

function renderTiers({ tiers, gateway }: StatusReport, { now, paint }: StatusView): string[] {
  if (tiers === null)
    return [`${paint.bold("tiers")}  ${paint.dim(`not known: ${asPlainLine(gateway.reason ?? "")}`)}`];
  const rows = [...tiers.filter(({ kind }) => kind === "tier").map((tier) => [tier] as const), ...groupLetters(tiers)];
  return renderColumns(
    [["tiers", "served by", ""], ...rows.map((row) => describeRow(row, now))],
    [
      (text, row) => (row === 0 ? paint.bold(text) : text),
      (text, row) => {
        const tier = rows[row - 1]?.[0];
        if (tier === undefined) return paint.dim(text);
        return tier.serves === null ? paint.bad(text) : tier.serves === tier.first ? text : paint.warn(text);
      },
    ],
  );
}

type TierRow = readonly [TierReport, ...TierReport[]];

/** Letters of the same fate share a row: those served by their own models, those by the same other one. */
function groupLetters(tiers: readonly TierReport[]): TierRow[] {
  const groups = new Map<string, [TierReport, ...TierReport[]]>();
  for (const tier of tiers.filter(({ kind }) => kind === "letter")) {
    const { first, serves, candidates } = tier;
    const fate = serves === first ? "own" : JSON.stringify([serves, candidates[0]?.reason, candidates[0]?.back_at]);
    const group = groups.get(fate);
    if (group === undefined) groups.set(fate, [tier]);
    else group.push(tier);
  }
  return [...groups.values()];
}

function describeRow(row: TierRow, now: number): string[] {
  const [tier] = row;
  const names = `  ${row.map((one) => one.tier).join(" ")}`;
  if (tier.kind === "letter" && tier.serves !== null && tier.serves === tier.first) return [names, "their own", ""];
  return [names, tier.serves ?? "nobody", describeTier(tier, now, row.length > 1 ? "their own" : tier.first)];
}

/** Why it is not the first, and until when. @param name what the first is called */
export function describeTier({ first, serves, candidates }: TierReport, now: number, name = first): string {
  if (first === null) return "the config names no model";
  if (serves === first) return "";
  const [candidate] = candidates;
  const back = candidate?.back_at ?? null;
  // Before the reason, since long lines are cut at their end.
  const until =
    back === null ? "" : ` (back ${renderClock(Date.parse(back), now)}, ${renderIn(Date.parse(back), now)})`;
  const why = `${name}${until}: ${candidate?.reason ?? "not asked"}`;
  return serves === null ? why : `instead of ${why}`;
}

function renderOutOfOrder({ domains, breakers, source }: StatusReport, { now, paint }: StatusView): string[] {
  const out = [...domains, ...breakers].filter(({ state }) => state !== "counting");
  const counting = domains.length + breakers.length - out.length;
  const from = source === "ledger" ? paint.dim(" (from the ledger)") : "";
  if (source === "nowhere") return [];
  const title = `${paint.bold("out of order")}${from}`;
  const failing = counting === 0 ? [] : [paint.dim(`  ${counting} more failing now and then: clutch breakers`)];
  if (out.length === 0) return counting === 0 ? [`${title}  nothing`] : [title, ...failing];
  return [title, ...renderBreakerTable(out, now, paint, "  "), ...failing];
}

function renderLaunches(launches: readonly LaunchReport[], { now, paint, home }: StatusView): string[] {
  if (launches.length === 0) return [`${paint.bold("agents")}  none runs in the crash guard`];
  const rows = launches.map((launch) => [
    `  ${launch.id}`,
    launch.agent_name ?? launch.command.join(" "),
    launch.code ?? "-",
    renderFolder(launch.folder, home),
    renderSpan(Math.max(0, now - Date.parse(launch.started_at))),
    launch.attached ? "" : "no terminal shows it",
  ]);
  return renderColumns(
    [["agents", "", "code", "folder", "up", ""], ...rows],
    [
      (text, row) => (row === 0 ? paint.bold(text) : text),
      undefined,
      dimHeader(paint),
      dimHeader(paint),
      dimHeader(paint),
      paint.dim,
    ],
  );
}

function renderFolder(folder: string, home: string | undefined): string {
  const isBelow = home !== undefined && home !== "/" && (folder === home || folder.startsWith(`${home}/`));
  return isBelow ? `~${folder.slice(home.length)}` : folder;
}

function renderToday({ today, source }: StatusReport, { paint }: StatusView): string[] {
  if (today === null) return [];
  const from = source === "ledger" ? paint.dim(" (from the ledger)") : "";
  return [`${paint.bold("today")}${from}  ${describeDay(today)}`];
}

/** One sentence. */
export function describeDay(today: DayTotals): string {
  if (today.requests === 0) return "no requests yet (days are UTC)";
  const endings = [
    renderNumber(today.requests, "request"),
    ...(today.errors > 0 ? [`${renderCount(today.errors)} failed`] : []),
    ...(today.aborted > 0 ? [`${renderCount(today.aborted)} broken off`] : []),
  ].join(", ");
  const input = today.input_tokens + today.cache_read_tokens + today.cache_write_tokens;
  const cached = input === 0 ? 0 : Math.round((today.cache_read_tokens / input) * 100);
  const tokens = `${renderCount(input)} tokens in${cached === 0 ? "" : ` (${cached} % cached)`}, ${renderCount(today.output_tokens)} out`;
  return [endings, tokens, describeCost(today), ...describeSavings(today)].join(" · ");
}

export function describeCost({ cost_usd, unpriced_requests }: DayTotals): string {
  if (cost_usd === null) return "cost unknown: nobody told a price";
  if (unpriced_requests === 0) return `cost ${renderUsd(cost_usd)}`;
  return `cost ${renderUsd(cost_usd)} and what ${renderNumber(unpriced_requests, "request")} without a price cost`;
}

function describeSavings({ savings }: DayTotals): string[] {
  if (savings === null || savings.tokens_before === 0) return [];
  const saved = savings.tokens_before - savings.tokens_after;
  return [`compression saved ${renderCount(saved)} tokens (${Math.round((saved / savings.tokens_before) * 100)} %)`];
}
