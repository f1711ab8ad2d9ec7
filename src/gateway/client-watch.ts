/** Whether clients are still there. */

import { ClientLeft } from "../../providers/upstream.ts";
import type { Exchange } from "./exchange.ts";

/** How long nobody looks whether a client has left (ms). Its signal remembers. */
const unwatchedMs = 20;

/**
 * Asking Bun for a request's signal costs as much as routing it, and an answer that comes at once needs none. One timer for
 * all: each of its own would cost as much again.
 */
export class ClientWatch {
  #young: Watched[] = [];

  /** From a moment later on, a client that leaves cancels its exchange. */
  watch(raw: Request, exchange: Exchange): Watched {
    const watched = new Watched(raw, exchange);
    if (this.#young.push(watched) === 1) setTimeout(() => this.#look(), unwatchedMs);
    return watched;
  }

  #look(): void {
    const due = this.#young;
    this.#young = [];
    for (const watched of due) watched.begin();
  }
}

class Watched {
  #raw: Request | undefined;
  #exchange: Exchange | undefined;

  constructor(raw: Request, exchange: Exchange) {
    this.#raw = raw;
    this.#exchange = exchange;
  }

  begin(): void {
    const [signal, exchange] = [this.#raw?.signal, this.#exchange];
    this.end();
    if (signal === undefined) return;
    const onAbort = () => exchange?.cancel(new ClientLeft());
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort);
  }

  /** The answer is there: nobody has to look any more. */
  end(): void {
    this.#raw = undefined;
    this.#exchange = undefined;
  }
}
