/**
 * What requests and left answers add to the sums by day and by session. Pure; whoever writes rows adds these in the same
 * transaction, so that a row that is there is in the sums, once.
 */

import type { AttemptRow, RequestRow } from "./schema.ts";

const dayMs = 86_400_000;

/** Days since 1970, UTC. */
export function dayOf(ms: number): number {
  return Math.floor(ms / dayMs);
}

/** As the columns of both rollups are named. */
export const noSums = {
  requests: 0,
  completed: 0,
  errors: 0,
  aborted: 0,
  inputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
  estimated: 0,
  costUsd: 0,
  leftUsd: 0,
  unpriced: 0,
  free: 0,
  plan: 0,
  moved: 0,
  movedUnknown: 0,
  cascadeSavedUsd: 0,
  freeSavedUsd: 0,
  tokensBefore: 0,
  tokensAfter: 0,
  compressed: 0,
  compressedUnknown: 0,
  compressionSavedUsd: 0,
};
export type Sums = typeof noSums;
export const sumNames = Object.keys(noSums) as (keyof Sums)[];

/** Whose sums they are; unknown is the empty text. */
export interface UsageKey {
  day: number;
  agent: string;
  provider: string;
  model: string;
  folder: string;
  tier: string;
}

export interface SessionKey {
  day: number;
  session: string;
  agent: string;
  folder: string;
  launchId: string;
  firstAt: number;
  lastAt: number;
}

/** What rows of one batch add, put together by key so that each key is written once. */
export class Additions {
  readonly #usage = new Map<string, UsageKey & Sums>();
  readonly #sessions = new Map<string, SessionKey & Sums>();

  get usage(): Iterable<UsageKey & Sums> {
    return this.#usage.values();
  }

  get sessions(): Iterable<SessionKey & Sums> {
    return this.#sessions.values();
  }

  /** A request that has ended. */
  add(row: RequestRow): void {
    this.#addAs(row, row.servedBy ?? "", sumsOf(row));
  }

  /** The same request, whose cost has become known. */
  replace(before: RequestRow, after: RequestRow): void {
    const [was, is] = [sumsOf(before), sumsOf(after)];
    const more = Object.fromEntries(sumNames.map((name) => [name, is[name] - was[name]])) as Sums;
    this.#addAs(after, after.servedBy ?? "", more);
  }

  /** An answer that was left, and that its upstream has counted all the same. */
  addLeft(row: RequestRow, attempt: AttemptRow): void {
    if (attempt.outputTokens === null || attempt.outputTokens === undefined) return;
    this.#addAs(row, `${attempt.provider}:${attempt.model}`, {
      ...noSums,
      inputTokens: attempt.inputTokens ?? 0,
      cacheReadTokens: attempt.cacheReadTokens ?? 0,
      cacheWriteTokens: attempt.cacheWriteTokens ?? 0,
      outputTokens: attempt.outputTokens,
      reasoningTokens: attempt.reasoningTokens ?? 0,
      costUsd: attempt.costUsd ?? 0,
      leftUsd: attempt.costUsd ?? 0,
      unpriced: isKnown(attempt.costUsd) ? 0 : 1,
    });
  }

  #addAs(row: RequestRow, by: string, sums: Sums): void {
    const colon = by.indexOf(":");
    const { agent, folder, launchId, startedAt } = row;
    const usage: UsageKey = {
      day: dayOf(startedAt),
      agent: agent ?? "",
      provider: by.slice(0, Math.max(0, colon)),
      model: by.slice(colon + 1),
      folder: folder ?? "",
      tier: row.tier ?? "",
    };
    const id = `${usage.day}\0${usage.agent}\0${by}\0${usage.folder}\0${usage.tier}`;
    merge(this.#usage, id, usage, sums);
    const session: SessionKey = {
      day: usage.day,
      session: row.session ?? launchId ?? "",
      agent: usage.agent,
      folder: usage.folder,
      launchId: launchId ?? "",
      firstAt: startedAt,
      lastAt: startedAt,
    };
    const whole = merge(this.#sessions, `${session.day} ${session.session}`, session, sums);
    whole.firstAt = Math.min(whole.firstAt, startedAt);
    whole.lastAt = Math.max(whole.lastAt, startedAt);
  }
}

function merge<Key extends object>(into: Map<string, Key & Sums>, id: string, key: Key, sums: Sums): Key & Sums {
  const known = into.get(id);
  if (known === undefined) {
    const fresh = { ...key, ...sums };
    into.set(id, fresh);
    return fresh;
  }
  const totals: Sums = known;
  for (const name of sumNames) totals[name] += sums[name];
  return known;
}

function sumsOf(row: RequestRow): Sums {
  const { status, costUsd, pricing, servedBy, firstChoice, firstChoiceUsd } = row;
  const isServed = typeof servedBy === "string" && !servedBy.startsWith("clutch:");
  const isMoved = isServed && typeof firstChoice === "string";
  const savedUsd = isMoved && isKnown(costUsd) && isKnown(firstChoiceUsd) ? firstChoiceUsd - costUsd : undefined;
  const isCompressed = (row.tokensBefore ?? 0) > (row.tokensAfter ?? 0);
  return {
    requests: 1,
    completed: status === "completed" ? 1 : 0,
    errors: status === "error" ? 1 : 0,
    aborted: status === "aborted" ? 1 : 0,
    inputTokens: row.inputTokens ?? 0,
    cacheReadTokens: row.cacheReadTokens ?? 0,
    cacheWriteTokens: row.cacheWriteTokens ?? 0,
    outputTokens: row.outputTokens ?? 0,
    reasoningTokens: row.reasoningTokens ?? 0,
    estimated: row.usageEstimated === true ? 1 : 0,
    costUsd: costUsd ?? 0,
    leftUsd: 0,
    unpriced: isServed && !isKnown(costUsd) ? 1 : 0,
    free: pricing === "free" ? 1 : 0,
    plan: pricing === "plan" ? 1 : 0,
    moved: isMoved ? 1 : 0,
    movedUnknown: isMoved && savedUsd === undefined ? 1 : 0,
    cascadeSavedUsd: pricing === "free" ? 0 : (savedUsd ?? 0),
    freeSavedUsd: pricing === "free" ? (savedUsd ?? 0) : 0,
    tokensBefore: row.tokensBefore ?? 0,
    tokensAfter: row.tokensAfter ?? 0,
    compressed: isCompressed ? 1 : 0,
    compressedUnknown: isCompressed && !isKnown(row.compressionUsd) ? 1 : 0,
    compressionSavedUsd: row.compressionUsd ?? 0,
  };
}

function isKnown(value: number | null | undefined): value is number {
  return value !== null && value !== undefined;
}
