/** Prices as requests end: looked up once for each model, until the lists or the config are others. */

import { isUnpaid, type Providers } from "../../providers/registry.ts";
import type { ModelBook } from "../models/catalogue.ts";
import { findPrice, type Price, type PriceOverride } from "../models/prices.ts";

/** Each part another object as soon as anything in it is another. */
export interface PriceSources {
  book: ModelBook;
  overrides: Readonly<Record<string, PriceOverride>>;
  providers: Providers;
}

const maxKnown = 2_000;

export class PriceTags {
  readonly #read: () => PriceSources;
  #sources: PriceSources | undefined;
  #known = new Map<string, Price | undefined>();

  constructor(read: () => PriceSources) {
    this.#read = read;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#known.size;
  }

  /** @param reference `provider:model`. @returns undefined where nobody says what it costs */
  find(reference: string): Price | undefined {
    this.#lookAgain();
    if (this.#known.has(reference)) return this.#known.get(reference);
    const { book, overrides, providers } = this.#sources as PriceSources;
    const isLocal = (id: string) => {
      const provider = providers.get(id);
      return provider !== undefined && isUnpaid(provider);
    };
    const price = findPrice(reference, { book, overrides, isLocal });
    // Clients name models, and may make names up.
    const [oldest] = this.#known.size < maxKnown ? [] : this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(reference, price);
    return price;
  }

  /** Another object as soon as a price may be another. */
  edition(): object {
    this.#lookAgain();
    return this.#known;
  }

  #lookAgain(): void {
    const now = this.#read();
    const was = this.#sources;
    const isSame = was?.book === now.book && was.overrides === now.overrides && was.providers === now.providers;
    if (isSame) return;
    this.#sources = now;
    this.#known = new Map();
  }
}
