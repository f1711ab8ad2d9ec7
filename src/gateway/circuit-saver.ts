/** Writes circuits behind the requests that change them, so that a restart finds what was out of order. */

import type { CircuitQueries } from "../store/circuits.ts";
import type { CircuitRow } from "../store/schema.ts";
import type { Circuit } from "./circuit.ts";

/** Longest time a change waits in memory (ms). */
const saveMs = 200;

const retryMs = 5_000;

export interface CircuitSaverDeps {
  queries: CircuitQueries;
  /** Milliseconds since 1970. */
  now(): number;
  /** Told once per run of failures. */
  onError(reason: string): void;
}

export class CircuitSaver {
  readonly #deps: CircuitSaverDeps;
  #changed = new Map<string, Circuit | undefined>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isFailing = false;

  constructor(deps: CircuitSaverDeps) {
    this.#deps = deps;
  }

  /** @param circuit undefined when it is closed again */
  note(id: string, circuit: Circuit | undefined): void {
    this.#changed.set(id, circuit);
    this.#timer ??= setTimeout(() => void this.save(), this.#isFailing ? retryMs : saveMs);
  }

  async save(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#changed.size === 0) return;
    const changed = this.#changed;
    this.#changed = new Map();
    const now = this.#deps.now();
    const open = [...changed].flatMap(([id, circuit]) => (circuit === undefined ? [] : [toRow(id, circuit, now)]));
    const closed = [...changed].flatMap(([id, circuit]) => (circuit === undefined ? [id] : []));
    try {
      await this.#deps.queries.save(open, closed);
      this.#isFailing = false;
    } catch (error) {
      for (const [id, circuit] of changed) if (!this.#changed.has(id)) this.#changed.set(id, circuit);
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#isFailing) this.#deps.onError(`breakers cannot be written (${reason}): a restart would forget them`);
      this.#isFailing = true;
      this.#timer ??= setTimeout(() => void this.save(), retryMs);
    }
  }

  async close(): Promise<void> {
    await this.save();
    clearTimeout(this.#timer);
  }
}

function toRow(id: string, { probingSince: _, ...circuit }: Circuit, updatedAt: number): CircuitRow {
  return { id, ...circuit, updatedAt };
}

export function fromRow({ id, updatedAt: _, ...circuit }: CircuitRow): readonly [string, Circuit] {
  return [id, { ...circuit, probingSince: 0 }];
}
