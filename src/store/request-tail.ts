/** Tells of each request once, as it ends, from repeated looks at the ledger. */

import { firstIdOf, type ListedRequest, type RequestFilter, type RequestList } from "./request-list.ts";

/** By as much the gateway's clock may differ from the looker's without a request being missed (ms). */
const clockSlackMs = 60_000;

/** More than end between two looks. */
const maxRows = 10_000;

const ended = ["completed", "error", "aborted"] as const;

export class RequestTail {
  readonly #filter: RequestFilter;
  /** Those that began before the window and are still expected to end. */
  #open: string[] = [];
  readonly #told = new Set<string>();
  #lookedAt = 0;

  /** @param filter its statuses without `pending` */
  constructor(filter: RequestFilter) {
    const statuses = (filter.statuses ?? ended).filter((status) => status !== "pending");
    this.#filter = { ...filter, statuses };
  }

  /** The last ones that have ended, the oldest first; later looks tell what is new. */
  async begin(list: RequestList, count: number, now: number): Promise<ListedRequest[]> {
    await this.look(list, now);
    const rows = count === 0 ? [] : await list.newest(this.#filter, count);
    for (const { id } of rows) this.#told.add(id);
    return rows.reverse();
  }

  /** What has ended since the last look, by the start. */
  async look(list: RequestList, now: number): Promise<ListedRequest[]> {
    // Asked before the rows, so that what ends in between is found now or at the next look.
    const pending = await list.pendingIds();
    const from = firstIdOf(Math.min(now, this.#lookedAt === 0 ? now : this.#lookedAt) - clockSlackMs);
    const recent = await list.page(this.#filter, from, maxRows);
    const late = await list.byIds(
      this.#filter,
      [...new Set([...this.#open, ...pending])].filter((id) => id <= from),
    );
    const rows = [...late, ...recent].filter(({ id }) => !this.#told.has(id));
    for (const { id } of rows) this.#told.add(id);
    this.#open = pending;
    this.#lookedAt = now;
    const forgotten = firstIdOf(now - 2 * clockSlackMs);
    for (const id of this.#told) if (id < forgotten && !pending.includes(id)) this.#told.delete(id);
    return rows;
  }
}
