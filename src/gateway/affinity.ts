/**
 * Which way of asking for a model a session was served by, so that the prompt cache it has built there is used: among keys
 * and endpoints of the same model, and for the life of that cache only.
 */

import type { Target } from "./router.ts";

/** How long a session may stay on another endpoint than the first (ms): what a prompt cache lives. */
const stayMs = 5 * 60_000;

const maxSessions = 10_000;

interface Stay {
  provider: string;
  model: string;
  keyId: string | undefined;
  /** Since when the session has been away from the first endpoint (ms since 1970). */
  since: number;
}

export class Affinity {
  readonly #stays = new Map<string, Stay>();

  /** The candidates with the session's endpoint before the others of its model; the order of models stays. */
  arrange(session: string | undefined, targets: readonly Target[], now: number): readonly Target[] {
    const stay = this.#stay(session, now);
    if (stay === undefined || session === undefined) return targets;
    const at = targets.findIndex((target) => target.provider.id === stay.provider && target.model === stay.model);
    const held = targets[at];
    if (held === undefined) return targets;
    const first = targets.findIndex((target) => isSameModel(target, held));
    if (first === at) return targets;
    return [...targets.slice(0, first), held, ...targets.slice(first, at), ...targets.slice(at + 1)];
  }

  /** The key that the session was served with at this provider; undefined when any will do. */
  keyFor(session: string | undefined, { provider }: Target, now: number): string | undefined {
    const stay = this.#stay(session, now);
    return stay?.provider === provider.id ? stay.keyId : undefined;
  }

  /** @param isFirst the request was served by the endpoint and key that it would have been served by without any trouble */
  served(session: string | undefined, target: Target, keyId: string | undefined, isFirst: boolean, now: number): void {
    if (session === undefined) return;
    const known = this.#stays.get(session);
    this.#stays.delete(session);
    if (isFirst) return;
    const isSameStay = known?.provider === target.provider.id && known.keyId === keyId && known.model === target.model;
    const since = isSameStay ? known.since : now;
    this.#stays.set(session, { provider: target.provider.id, model: target.model, keyId, since });
    const [oldest] = this.#stays.keys();
    if (this.#stays.size > maxSessions && oldest !== undefined) this.#stays.delete(oldest);
  }

  #stay(session: string | undefined, now: number): Stay | undefined {
    const stay = session === undefined ? undefined : this.#stays.get(session);
    return stay === undefined || now - stay.since > stayMs ? undefined : stay;
  }
}

/** `moonshotai/kimi-k2.6:free` and `kimi-k2.6` are one model at two endpoints. */
function isSameModel(one: Target, other: Target): boolean {
  return plainName(one.model) === plainName(other.model);
}

function plainName(model: string): string {
  return model
    .slice(model.lastIndexOf("/") + 1)
    .replace(/:[a-z]+$/, "")
    .toLowerCase();
}
