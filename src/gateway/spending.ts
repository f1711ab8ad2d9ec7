/** What was paid where nothing should have cost anything. */

export class Spending {
  readonly #surprises = new Set<string>();

  /** @returns a sentence when this model was to be free and is not, the first time that it shows */
  paid(servedBy: string, costUsd: number): string | undefined {
    if (costUsd <= 0 || !servedBy.endsWith(":free") || this.#surprises.has(servedBy)) return undefined;
    this.#surprises.add(servedBy);
    return `${servedBy} is no longer free: a request has cost $${costUsd}`;
  }
}

const dayMs = 86_400_000;

/** The start of the day (ms since 1970), in UTC, as the days of free quotas are. */
export function startOfDay(now: number): number {
  return Math.floor(now / dayMs) * dayMs;
}
