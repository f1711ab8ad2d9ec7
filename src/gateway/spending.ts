/** What was paid today, and what was paid where nothing should have cost anything. Days are UTC, as those of free quotas are. */

const dayMs = 86_400_000;

export class Spending {
  readonly #now: () => number;
  #day: number;
  #totalUsd: number;
  readonly #surprises = new Set<string>();

  /** @param paidUsd what the ledger says of today so far */
  constructor(now: () => number, paidUsd: number) {
    this.#now = now;
    this.#day = dayOf(now());
    this.#totalUsd = paidUsd;
  }

  /** @returns a sentence when this model was to be free and is not, the first time that it shows */
  paid(servedBy: string, costUsd: number): string | undefined {
    this.#turnPage();
    this.#totalUsd += costUsd;
    if (costUsd <= 0 || !servedBy.endsWith(":free") || this.#surprises.has(servedBy)) return undefined;
    this.#surprises.add(servedBy);
    return `${servedBy} is no longer free: a request has cost $${costUsd}`;
  }

  /** Why nothing more may be paid today; undefined while the budget lasts, or where there is none (0). */
  spent(dailyUsd: number): { reason: string; backAt: number } | undefined {
    this.#turnPage();
    if (dailyUsd === 0 || this.#totalUsd < dailyUsd) return undefined;
    const reason = `today's budget of $${dailyUsd} is spent ($${this.#totalUsd.toFixed(2)})`;
    return { reason, backAt: (this.#day + 1) * dayMs };
  }

  #turnPage(): void {
    const day = dayOf(this.#now());
    if (day === this.#day) return;
    this.#day = day;
    this.#totalUsd = 0;
  }
}

function dayOf(ms: number): number {
  return Math.floor(ms / dayMs);
}

/** The start of the day (ms since 1970). */
export function startOfDay(now: number): number {
  return dayOf(now) * dayMs;
}
