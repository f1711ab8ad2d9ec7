/** How much of each limit is left, for people and for programs. Pure. */

import type { z } from "zod";
import { type FailureKind, reactions } from "../../providers/failure.ts";
import type { quotaReport } from "../gateway/admin-schemas.ts";
import type { AccountView } from "../gateway/openrouter-account.ts";
import type { QuotaRules } from "../gateway/quota-windows.ts";
import { asPlainLine } from "../plain-line.ts";
import type { AttemptCount } from "../store/lookups.ts";
import { type KnownCircuit, renderBreakerTable, reportBreakers } from "./breakers.ts";
import { asIso, nextMidnight, renderClock, renderIn, renderSpan } from "./clock.ts";
import { type Paint, renderColumns } from "./table.ts";

/** `clutch quota --json`. */
export type QuotaReport = z.infer<typeof quotaReport>;

export type LimitReport = QuotaReport["limits"][number];

/** All of OpenRouter's free models draw on it. */
export type FreePoolReport = NonNullable<QuotaReport["openrouter"]>;

export interface QuotaFacts {
  limits: readonly { model: string; limit: number; used: number; restsUntil: number }[];
  circuits: readonly KnownCircuit[];
  /** Undefined where there is no key for OpenRouter. */
  account: AccountView | undefined;
  sentLastHour: number;
  sentToday: number;
  now: number;
}

export function reportQuota({ limits, circuits, account, sentLastHour, sentToday, now }: QuotaFacts): QuotaReport {
  const closed = reportBreakers(circuits, now, null);
  return {
    limits: limits.map(({ model, limit, used, restsUntil }) => ({
      model,
      requests_per_minute: limit,
      used,
      back_at: restsUntil > now ? asIso(restsUntil) : null,
    })),
    closed: closed.filter(({ scope, state }) => scope !== "model" && state !== "counting"),
    openrouter: account === undefined ? null : reportFreePool(account, sentLastHour, sentToday, now),
  };
}

function reportFreePool(
  { askedAt, facts, error }: AccountView,
  sentLastHour: number,
  sentToday: number,
  now: number,
): FreePoolReport {
  const { limit = null, used = null, remaining = null } = facts?.free ?? {};
  return {
    asked_at: asIso(askedAt),
    error: error ?? null,
    limit,
    used,
    remaining,
    resets_at: new Date(nextMidnight(now)).toISOString(),
    credit_usd: facts?.credit ?? null,
    sent_last_hour: sentLastHour,
    sent_today: sentToday,
    ends_at: asIso(forecastEnd(remaining, sentLastHour, now)),
  };
}

/** When what is left is used up at the last hour's rate; undefined when that is not before it is filled up again. */
export function forecastEnd(remaining: number | null, sentLastHour: number, now: number): number | undefined {
  if (remaining === null || remaining === 0 || sentLastHour === 0) return undefined;
  const endsAt = now + (remaining / sentLastHour) * 3_600_000;
  return endsAt < nextMidnight(now) ? Math.round(endsAt) : undefined;
}

/** How many of the ledger's attempts drew on the free pool. */
export function countFree(counts: readonly AttemptCount[]): number {
  return counts
    .filter(({ provider, model }) => provider === "openrouter" && model.endsWith(":free"))
    .filter(({ failureKind }) => failureKind === null || spendsQuota(failureKind))
    .reduce((sum, { count }) => sum + count, 0);
}

function spendsQuota(kind: string): boolean {
  return Object.hasOwn(reactions, kind) && reactions[kind as FailureKind].spendsQuota;
}

/** The config's limits without a gateway to ask: as much as the ledger's last minute tells. */
export function limitsFromLedger(rules: QuotaRules, lastMinute: readonly AttemptCount[]): QuotaFacts["limits"] {
  return [...rules].flatMap(([model, { max_requests_per_minute: limit }]) => {
    if (limit === undefined) return [];
    const asked = lastMinute.filter((row) => `${row.provider}:${row.model}` === model);
    const used = asked
      .filter(({ failureKind }) => failureKind === null || spendsQuota(failureKind))
      .reduce((sum, { count }) => sum + count, 0);
    return [{ model, limit, used, restsUntil: 0 }];
  });
}

/** @param source where it comes from, when no gateway was asked */
export function renderQuota(report: QuotaReport, now: number, paint: Paint, source?: string | undefined): string {
  const sections = [
    ["limits of the config", ...renderLimits(report.limits, now, paint)],
    ...(report.closed.length === 0 ? [] : [["closed", ...renderBreakerTable(report.closed, now, paint, "  ")]]),
    ["OpenRouter's free models, all together", ...renderFreePool(report.openrouter, now, paint)],
    ...(source === undefined ? [] : [[paint.dim(source)]]),
  ];
  return sections.map((lines) => lines.join("\n")).join("\n\n");
}

function renderLimits(limits: readonly LimitReport[], now: number, paint: Paint): string[] {
  if (limits.length === 0) return ["  none: set quotas to stay below what a provider allows"];
  const rows = limits.map(({ model, requests_per_minute: limit, used, back_at }) => {
    const rest = back_at === null ? "" : `rests until ${renderClock(Date.parse(back_at), now)}`;
    return [`  ${model}`, `${used} of ${limit} requests of this minute`, rest];
  });
  return renderColumns(rows, [
    undefined,
    (text, row) => {
      const { used = 0, requests_per_minute: limit = 1 } = limits[row] ?? {};
      return used >= limit ? paint.bad(text) : text;
    },
    paint.warn,
  ]);
}

function renderFreePool(pool: FreePoolReport | null, now: number, paint: Paint): string[] {
  if (pool === null) return ["  not in use: there is no key for openrouter"];
  const { asked_at, error, limit, used, remaining, credit_usd: credit, sent_last_hour, sent_today } = pool;
  const age = asked_at === null ? "" : ` (asked ${renderSpan(now - Date.parse(asked_at))} ago)`;
  const left = `${used} of ${limit} requests of today are used, ${remaining} left${age}`;
  return [
    ...(remaining === null ? ["  what is left is not known"] : [`  ${remaining === 0 ? paint.bad(left) : left}`]),
    ...(error === null ? [] : [`  ${paint.warn(`OpenRouter was asked, but ${asPlainLine(error)}`)}`]),
    `  Clutch has sent ${sent_today} today, ${sent_last_hour} in the last hour`,
    `  ${renderForecast(pool, now)}`,
    ...(credit === null ? [] : [`  the key may still spend $${credit.toFixed(2)}`]),
  ];
}

/** `at this rate the free pool ends 16:40 UTC; it resets 00:00 UTC, in 13 h`. */
export function renderForecast({ remaining, ends_at, resets_at, sent_last_hour }: FreePoolReport, now: number): string {
  const resetsAt = Date.parse(resets_at);
  const reset = `it resets ${renderClock(resetsAt, now)}, ${renderIn(resetsAt, now)}`;
  if (remaining === 0) return `the free pool is used up; ${reset}`;
  if (remaining === null || sent_last_hour === 0) return reset;
  if (ends_at === null) return `at this rate the free pool lasts until then: ${reset}`;
  return `at this rate the free pool ends ${renderClock(Date.parse(ends_at), now)}; ${reset}`;
}
