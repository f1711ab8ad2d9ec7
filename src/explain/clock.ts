/** Times and spans as sentences have them. Always UTC, since that is what providers' limits are reset by. Pure. */

const dayMs = 24 * 3_600_000;

/** `2026-11-20 10:42:07 UTC`. */
export function renderMoment(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** `00:00 UTC`, with seconds while it is a matter of minutes and with its date when it is more than a day from `now`. */
export function renderClock(ms: number, now: number): string {
  const [date = "", time = ""] = new Date(ms).toISOString().split("T");
  const distance = Math.abs(ms - now);
  if (distance > dayMs) return `${date} ${time.slice(0, 5)} UTC`;
  return `${time.slice(0, distance < 10 * 60_000 ? 8 : 5)} UTC`;
}

/** `in 3 min`, or `now` for what is past. */
export function renderIn(ms: number, now: number): string {
  return ms <= now ? "now" : `in ${renderSpan(ms - now)}`;
}

/** `312 ms`, `2.1 s`, `42 s`, `3 min`, `5 h`, `2 days`. */
export function renderSpan(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 2 * 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 2 * dayMs ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / dayMs)} days`;
}

/** The end of the UTC day, when free requests are counted anew. */
export function nextMidnight(now: number): number {
  return (Math.floor(now / dayMs) + 1) * dayMs;
}

/** Null stays null. */
export function asIso(ms: number | null | undefined): string | null {
  return ms === null || ms === undefined ? null : new Date(ms).toISOString();
}
