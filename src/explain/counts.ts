/** Large numbers and money as people read them. Pure. */

/** `950`, `12.3 k`, `1.2 M`. */
export function renderCount(count: number): string {
  if (count < 1000) return String(count);
  const [size, unit] = count < 999_950 ? [1e3, "k"] : count < 999_950_000 ? [1e6, "M"] : [1e9, "G"];
  const scaled = count / size;
  return `${scaled < 100 ? scaled.toFixed(1) : Math.round(scaled)} ${unit}`;
}

/** `$0.0042`, `$1.25`, `<$0.0001`, since what is paid is never shown as nothing; null is unknown, not zero. */
export function renderUsd(usd: number | null): string {
  if (usd === null) return "unknown";
  if (usd > 0 && usd < 0.000_05) return "<$0.0001";
  return `$${usd > 0 && usd < 0.01 ? usd.toFixed(4) : usd.toFixed(2)}`;
}

/** `1 request`, `2 requests`. */
export function renderNumber(count: number, one: string, many = `${one}s`): string {
  return `${renderCount(count)} ${count === 1 ? one : many}`;
}
