/**
 * Puts costs into rows that have none as soon as their model's price is known: when the lists or the config are others, a
 * few rows at a time, so that no stream waits.
 */

import type { RequestQueries } from "../store/requests.ts";
import type { AttemptRow, RequestRow } from "../store/schema.ts";
import { compareCosts, costOfAnswer, isOwnAnswer, usageOf } from "./costing.ts";
import type { PriceTags } from "./price-tags.ts";

export interface RepricingDeps {
  queries: Pick<
    RequestQueries,
    "nextUnpriced" | "unpricedOf" | "setCosts" | "nextUnpricedLeft" | "unpricedLeftOf" | "setLeftCosts"
  >;
  tags: PriceTags;
  /** Milliseconds since 1970. */
  now(): number;
  /** Writes what the ledger has in memory. */
  flush(): Promise<void>;
  /** Told of each row whose cost is known from now on. */
  onPriced(row: RequestRow): void;
  /** The same of an answer that was left. */
  onLeftPriced(attempt: AttemptRow, request: RequestRow): void;
  log(line: string): void;
}

/** How often to look whether prices are others (ms). */
const lookMs = 5_000;
/** Rows of one transaction: some milliseconds. */
const sliceRows = 100;
/** Between two of them (ms). */
const restMs = 20;

export class Repricing {
  readonly #deps: RepricingDeps;
  #timer: ReturnType<typeof setInterval> | undefined;
  #edition: object | undefined;
  #isBusy = false;
  #isStopped = false;

  constructor(deps: RepricingDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), lookMs);
    this.#timer.unref();
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  /** Does its work if prices are others than the last time. @returns how many rows have a cost now */
  async look(): Promise<number> {
    const edition = this.#deps.tags.edition();
    if (this.#isBusy || this.#isStopped || edition === this.#edition) return 0;
    this.#isBusy = true;
    try {
      const count = await this.#priceAll();
      this.#edition = edition;
      if (count > 0) this.#deps.log(`${count} answers without a price have one now`);
      return count;
    } catch {
      // A disk that refuses now is asked again with the next look.
      return 0;
    } finally {
      this.#isBusy = false;
    }
  }

  async #priceAll(): Promise<number> {
    const { queries, tags, flush } = this.#deps;
    await flush();
    let count = 0;
    for (let model = await queries.nextUnpriced(""); model !== undefined; model = await queries.nextUnpriced(model)) {
      if (this.#isStopped) break;
      if (!isOwnAnswer(model) && tags.find(model) !== undefined) count += await this.#priceModel(model);
    }
    const { nextUnpricedLeft } = queries;
    for (let model = await nextUnpricedLeft(""); model !== undefined; model = await nextUnpricedLeft(model)) {
      if (this.#isStopped) break;
      if (tags.find(model) !== undefined) count += await this.#priceLeft(model);
    }
    return count;
  }

  async #priceLeft(model: string): Promise<number> {
    const { queries, tags, now, onLeftPriced } = this.#deps;
    let count = 0;
    while (!this.#isStopped) {
      const rows = await queries.unpricedLeftOf(model, sliceRows);
      const priced = rows.map((row) => {
        const { costUsd, pricing } = costOfAnswer(tags.find(model), usageOf(row), now());
        return { requestId: row.requestId, number: row.number, costUsd, pricing };
      });
      const done = await queries.setLeftCosts(priced);
      for (const { attempt, request } of done) onLeftPriced(attempt, request);
      count += done.length;
      // Those that nothing came of would be found again.
      if (done.length < sliceRows) break;
      await Bun.sleep(restMs);
    }
    return count;
  }

  async #priceModel(model: string): Promise<number> {
    const { queries, onPriced } = this.#deps;
    let count = 0;
    let before = "\u{10ffff}";
    while (!this.#isStopped) {
      const rows = await queries.unpricedOf(model, before, sliceRows);
      const [priced, last] = [rows.flatMap((row) => this.#price(row) ?? []), rows.at(-1)];
      if (last === undefined) break;
      const done = priced.length === 0 ? [] : await queries.setCosts(priced);
      for (const row of done) onPriced(row);
      count += done.length;
      if (rows.length < sliceRows) break;
      before = last.id;
      await Bun.sleep(restMs);
    }
    return count;
  }

  #price(row: RequestRow) {
    const { tags, now } = this.#deps;
    const priceOf = (reference: string) => tags.find(reference);
    const price = priceOf(row.servedBy ?? "");
    const usage = usageOf(row);
    const cost = costOfAnswer(price, usage, now());
    if (cost.costUsd === null) return undefined;
    return { id: row.id, ...cost, ...compareCosts(row, price, usage, priceOf) };
  }
}
