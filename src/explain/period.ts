/** Spans of whole days as people write them, in UTC, since that is what the ledger's days are. Pure. */

import { ClutchError } from "../errors.ts";
import type { UsageSpan } from "../store/usage.ts";

const dayMs = 86_400_000;

/** Longer ones are a slip of the finger. */
const maxDays = 3660;

const examples = "today, yesterday, 7d, 30d, month, 2026-11, 2026-11-20, or 2026-11-01..2026-11-20";

/**
 * `today`, `yesterday`, `7d` (today and the six days before it), `month` (this one), a month, a day, or two days with `..`
 * between, of which one may be left out: then it is today.
 * @param now ms since 1970
 * @throws {ClutchError} `usage`
 */
export function parsePeriod(text: string, now: number): UsageSpan {
  const today = Math.floor(now / dayMs);
  if (text === "today") return { fromDay: today, toDay: today };
  if (text === "yesterday") return { fromDay: today - 1, toDay: today - 1 };
  const days = /^([1-9]\d{0,3})d$/.exec(text)?.[1];
  if (days !== undefined && Number(days) <= maxDays) return { fromDay: today - Number(days) + 1, toDay: today };
  if (text === "month") return { ...monthOf(new Date(now).toISOString().slice(0, 7)), toDay: today };
  if (/^\d{4}-(0[1-9]|1[0-2])$/.test(text)) return monthOf(text);
  const [from = "", to = from] = text.split("..");
  const span = { fromDay: parseDay(from, text, today), toDay: parseDay(to, text, today) };
  if (text === ".." || span.fromDay > span.toDay) throw unknown(text, "it ends before it begins");
  return span;
}

function monthOf(month: string): UsageSpan {
  const first = new Date(`${month}-01T00:00:00Z`);
  const next = Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 1);
  return { fromDay: first.getTime() / dayMs, toDay: next / dayMs - 1 };
}

function parseDay(text: string, whole: string, today: number): number {
  if (text === "" || text === "today") {
    if (whole.includes("..")) return today;
    throw unknown(whole, "it names no day");
  }
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  // The 30th of February is the 1st or 2nd of March to some parsers.
  if (Number.isNaN(ms) || renderDay(ms / dayMs) !== text) throw unknown(whole, `${JSON.stringify(text)} is no day`);
  return ms / dayMs;
}

function unknown(text: string, reason: string): ClutchError {
  return new ClutchError("usage", `cannot read the period ${JSON.stringify(text)}: ${reason}`, {
    hint: `write ${examples}`,
  });
}

/** `2026-11-20`. @param day since 1970 */
export function renderDay(day: number): string {
  return new Date(day * dayMs).toISOString().slice(0, 10);
}
