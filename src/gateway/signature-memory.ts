/** Thought signatures by tool call id, in memory: enough for every conversation that is under way. */

import type { CallSignatures } from "../protocols/codec.ts";

/** A signature has 1 to 4 KB, so this stays below 20 MB. */
const maxSignatures = 4_000;

export class SignatureMemory implements CallSignatures {
  #byCall = new Map<string, string>();

  keep(callId: string, signature: string): void {
    this.#byCall.delete(callId);
    this.#byCall.set(callId, signature);
    const [oldest] = this.#byCall.keys();
    if (this.#byCall.size > maxSignatures && oldest !== undefined) this.#byCall.delete(oldest);
  }

  find(callId: string): string | undefined {
    return this.#byCall.get(callId);
  }
}
