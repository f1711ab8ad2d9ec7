/** Spans of time as people say them. Pure. */

const steps = [
  { unit: "day", ms: 24 * 60 * 60 * 1000 },
  { unit: "hour", ms: 60 * 60 * 1000 },
  { unit: "minute", ms: 60 * 1000 },
  { unit: "second", ms: 1000 },
] as const;

/** In the largest unit that fits: `3 days`, `1 minute`, `0 seconds`. */
export function renderElapsed(ms: number): string {
  const { unit, ms: size } = steps.find((step) => ms >= step.ms) ?? { unit: "second", ms: 1000 };
  const count = Math.max(0, Math.floor(ms / size));
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
