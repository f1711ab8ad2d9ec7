/** Moments as people type them behind --since and --until. Pure. */

import { ClutchError } from "../errors.ts";

const unitMs: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

const examples = "as in 90s, 10m, 2h, 1d, today, yesterday, 2026-11-20 or 2026-11-20T14:30";

/**
 * `2h` is two hours before now; a day is its beginning; without a zone, times are UTC, as Clutch prints them.
 * @param option as it is called, for the message
 * @returns milliseconds since 1970
 * @throws {ClutchError} `usage`
 */
export function parseMoment(text: string, option: string, now: number): number {
  const typed = text.trim();
  const today = now - (now % 86_400_000);
  if (typed === "now") return now;
  if (typed === "today") return today;
  if (typed === "yesterday") return today - 86_400_000;
  const span = parseSpan(typed);
  if (span !== undefined) return now - span;
  // `2026-11-20 14:30` is what this program prints.
  const [, date, time, zone] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(Z|UTC|[+-]\d\d:?\d\d)?)?$/.exec(typed) ?? [];
  const at =
    date === undefined ? Number.NaN : Date.parse(`${date}T${time ?? "00:00"}${(zone ?? "Z").replace("UTC", "Z")}`);
  if (!Number.isNaN(at)) return at;
  throw new ClutchError("usage", `${option} is "${text}", which is no moment`, { hint: examples });
}

/** `90s`, `10m`, `2h`, `1d`, `1w` as milliseconds; undefined for anything else. */
export function parseSpan(text: string): number | undefined {
  const [, count, unit = ""] = /^(\d{1,6})([smhdw])$/.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * (unitMs[unit] ?? 0);
}
