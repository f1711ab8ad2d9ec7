/** Keeps a small secret that stands in a file in memory, so that requests are judged without the disk. */

/** How long a secret that was replaced is still taken (ms). */
export const secretMemoryMs = 1_000;

export class SecretMemory {
  readonly #read: () => string | undefined;
  readonly #timer: ReturnType<typeof setInterval>;
  #known: string | undefined;

  constructor(read: () => string | undefined) {
    this.#read = read;
    this.#known = read();
    this.#timer = setInterval(() => this.fresh(), secretMemoryMs);
    this.#timer.unref();
  }

  known(): string | undefined {
    return this.#known;
  }

  /** From the file, for whoever would be refused otherwise: it may have been made a moment ago. */
  fresh(): string | undefined {
    this.#known = this.#read();
    return this.#known;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
