/** How often models may be asked, as the config says (`quotas`): counted here, since no upstream tells before it refuses. */

import type { Candidate, Refusal } from "./health.ts";

export interface QuotaRule {
  max_requests_per_minute?: number | undefined;
  /** How long the model rests when its limit is reached. */
  cooldown_seconds?: number | undefined;
}

/** By `provider:model`. */
export type QuotaRules = ReadonlyMap<string, QuotaRule>;

const windowMs = 60_000;

interface Limited {
  name: string;
  rule: QuotaRule;
}

const unlimited: Limited = { name: "", rule: {} };

function nothingSpent(): void {
  // No limit counts it.
}

interface Window {
  /** When requests of the last minute were sent (ms since 1970), oldest first. */
  sentAt: number[];
  restsUntil: number;
}

export class QuotaWindows {
  readonly #rules: () => QuotaRules;
  readonly #windows = new Map<string, Window>();

  constructor(rules: () => QuotaRules) {
    this.#rules = rules;
  }

  refusal(candidate: Candidate, now: number): Refusal | undefined {
    const { name, rule } = this.#find(candidate) ?? unlimited;
    const limit = rule.max_requests_per_minute;
    if (limit === undefined) return undefined;
    const { restsUntil, sentAt } = this.#window(name, now);
    // The request that makes room is the oldest of the last `limit`.
    const roomAt = sentAt.length < limit ? now : (sentAt.at(-limit) ?? now) + windowMs;
    const backAt = Math.max(restsUntil, roomAt);
    if (backAt <= now) return undefined;
    const reason = `${candidate.model} has had its ${limit} requests of this minute (quotas in the config)`;
    return { reason, kind: "rate-limit", backAt };
  }

  /** @returns how to take it back, should the request have cost nothing */
  spend(candidate: Candidate, now: number): () => void {
    const { name, rule } = this.#find(candidate) ?? unlimited;
    if (rule.max_requests_per_minute === undefined) return nothingSpent;
    const window = this.#window(name, now);
    window.sentAt.push(now);
    if (window.sentAt.length >= rule.max_requests_per_minute && rule.cooldown_seconds !== undefined) {
      window.restsUntil = now + rule.cooldown_seconds * 1000;
    }
    const isLast = window.restsUntil > now;
    return () => {
      const at = window.sentAt.indexOf(now);
      if (at >= 0) window.sentAt.splice(at, 1);
      if (isLast) window.restsUntil = 0;
    };
  }

  /** What is left of each limited model's minute. */
  list(now: number): { model: string; limit: number; used: number; restsUntil: number }[] {
    return [...this.#rules()].flatMap(([model, { max_requests_per_minute: limit }]) => {
      if (limit === undefined) return [];
      const { sentAt, restsUntil } = this.#window(model, now);
      return [{ model, limit, used: sentAt.length, restsUntil }];
    });
  }

  #find({ provider, model }: Candidate): Limited | undefined {
    const rules = this.#rules();
    // Without quotas no name is made for one.
    if (rules.size === 0) return undefined;
    const name = `${provider}:${model}`;
    const rule = rules.get(name);
    return rule === undefined ? undefined : { name, rule };
  }

  #window(name: string, now: number): Window {
    const known = this.#windows.get(name);
    if (known === undefined) {
      const fresh = { sentAt: [], restsUntil: 0 };
      this.#windows.set(name, fresh);
      return fresh;
    }
    while ((known.sentAt[0] ?? now) <= now - windowMs) known.sentAt.shift();
    return known;
  }
}
