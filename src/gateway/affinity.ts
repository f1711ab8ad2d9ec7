/**
 * Which way of asking for a model a session was served by, so that the prompt cache it has built there is used: among keys
 * and endpoints of the same model, and for the life of that cache only.
 */

import type { Target } from "./router.ts";

/** How long a session may stay on another endpoint than the first (ms): what a prompt cache lives. */
const stayMs = 5 * 60_000;

/** Of sessions with each of their models. */
const maxStays = 10_000;

interface Stay {
  provider: string;
  model: string;
  keyId: string | undefined;
  /** Since when the session has been away from the first endpoint (ms since 1970). */
  since: number;
}

export class Affinity {
  /** By session and model: what an agent asks of its small model must not move it from where its large one is cached. */
  readonly #stays = new Map<string, Stay>();

  /** The candidates with the session's endpoint before the others of its model; the order of models stays. */
  arrange(session: string | undefined, targets: readonly Target[], now: number): readonly Target[] {
    if (session === undefined || this.#stays.size === 0) return targets;
    return [...new Set(targets.map(({ model }) => plainName(model)))].reduce((order, name) => {
      const stay = this.#stay(session, name, now);
      const at = order.findIndex(({ provider, model }) => provider.id === stay?.provider && model === stay.model);
      const held = order[at];
      const first = order.findIndex(({ model }) => plainName(model) === name);
      if (held === undefined || first === at) return order;
      return [...order.slice(0, first), held, ...order.slice(first, at), ...order.slice(at + 1)];
    }, targets);
  }

  /** The key that the session was served with for this model; undefined when any will do. */
  keyFor(session: string | undefined, { provider, model }: Target, now: number): string | undefined {
    if (session === undefined || this.#stays.size === 0) return undefined;
    const stay = this.#stay(session, plainName(model), now);
    return stay?.provider === provider.id ? stay.keyId : undefined;
  }

  /** @param planned all that could have served, in the order in which they are asked when there is no trouble */
  served(session: string | undefined, target: Target, planned: readonly Target[], now: number): void {
    if (session === undefined) return;
    const isFirstOf = (first: Target | undefined) =>
      first?.provider.id === target.provider.id &&
      first.model === target.model &&
      target.key?.id === target.provider.keys[0]?.id;
    // Nearly always the first of all has answered, and no session is away from it.
    if (this.#stays.size === 0 && isFirstOf(planned[0])) return;
    const name = plainName(target.model);
    const isFirst = isFirstOf(planned.find(({ model }) => plainName(model) === name));
    const id = stayId(session, name);
    const known = this.#stays.get(id);
    this.#stays.delete(id);
    if (isFirst) return;
    const { provider, model } = target;
    const keyId = target.key?.id;
    const isSameStay = known?.provider === provider.id && known.keyId === keyId && known.model === model;
    this.#stays.set(id, { provider: provider.id, model, keyId, since: isSameStay ? known.since : now });
    const [oldest] = this.#stays.keys();
    if (this.#stays.size > maxStays && oldest !== undefined) this.#stays.delete(oldest);
  }

  #stay(session: string, name: string, now: number): Stay | undefined {
    const stay = this.#stays.get(stayId(session, name));
    return stay === undefined || now - stay.since > stayMs ? undefined : stay;
  }
}

function stayId(session: string, name: string): string {
  return `${session} ${name}`;
}

/** `moonshotai/kimi-k2.6:free` and `kimi-k2.6` are one model at two endpoints. */
function plainName(model: string): string {
  return model
    .slice(model.lastIndexOf("/") + 1)
    .replace(/:[a-z]+$/, "")
    .toLowerCase();
}
