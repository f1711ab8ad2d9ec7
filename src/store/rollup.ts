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
  /** Most requests of a moment are of few kinds: what the last one was added to. */
  #lastUsage: (UsageKey & Sums) | undefined;
  #lastBy = "";
  #lastSession: (SessionKey & Sums) | undefined;

  get usage(): Iterable<UsageKey & Sums> {
    return this.#usage.values();
  }

  get sessions(): Iterable<SessionKey & Sums> {
    return this.#sessions.values();
  }

  /** A request that has ended. */
  add(row: RequestRow): void {
    const by = row.servedBy ?? "";
    addRequest(this.#usageOf(row, by), row, 1);
    addRequest(this.#sessionOf(row), row, 1);
  }

  /** The same request, whose cost has become known. */
  replace(before: RequestRow, after: RequestRow): void {
    for (const sums of [this.#usageOf(after, after.servedBy ?? ""), this.#sessionOf(after)]) {
      addRequest(sums, before, -1);
      addRequest(sums, after, 1);
    }
  }

  /** An answer that was left, and that its upstream has counted all the same. */
  addLeft(row: RequestRow, attempt: AttemptRow): void {
    if (!isKnown(attempt.outputTokens)) return;
    for (const sums of [this.#usageOf(row, `${attempt.provider}:${attempt.model}`), this.#sessionOf(row)]) {
      addAttempt(sums, attempt, 1);
    }
  }

  /** The same answer, whose cost has become known. */
  replaceLeft(row: RequestRow, before: AttemptRow, after: AttemptRow): void {
    for (const sums of [this.#usageOf(row, `${after.provider}:${after.model}`), this.#sessionOf(row)]) {
      addAttempt(sums, before, -1);
      addAttempt(sums, after, 1);
    }
  }

  #usageOf({ startedAt, agent, folder, tier }: RequestRow, by: string): UsageKey & Sums {
    const day = dayOf(startedAt);
    const last = this.#lastUsage;
    const isLast =
      last !== undefined &&
      last.day === day &&
      last.agent === (agent ?? "") &&
      last.folder === (folder ?? "") &&
      last.tier === (tier ?? "") &&
      this.#lastBy === by;
    if (isLast) return last;
    const id = `${day}\0${agent ?? ""}\0${by}\0${folder ?? ""}\0${tier ?? ""}`;
    let sums = this.#usage.get(id);
    if (sums === undefined) {
      const colon = by.indexOf(":");
      const [provider, model] = [by.slice(0, Math.max(0, colon)), by.slice(colon + 1)];
      sums = { day, agent: agent ?? "", provider, model, folder: folder ?? "", tier: tier ?? "", ...noSums };
      this.#usage.set(id, sums);
    }
    this.#lastUsage = sums;
    this.#lastBy = by;
    return sums;
  }

  #sessionOf(row: RequestRow): SessionKey & Sums {
    const { startedAt } = row;
    const day = dayOf(startedAt);
    const session = row.session ?? row.launchId ?? "";
    let sums = this.#lastSession;
    if (sums === undefined || sums.day !== day || sums.session !== session) {
      const id = `${day} ${session}`;
      sums = this.#sessions.get(id);
      if (sums === undefined) {
        const { agent, folder, launchId } = row;
        const facts = { agent: agent ?? "", folder: folder ?? "", launchId: launchId ?? "" };
        sums = { day, session, ...facts, firstAt: startedAt, lastAt: startedAt, ...noSums };
        this.#sessions.set(id, sums);
      }
      this.#lastSession = sums;
    }
    if (startedAt < sums.firstAt) sums.firstAt = startedAt;
    if (startedAt > sums.lastAt) sums.lastAt = startedAt;
    return sums;
  }
}

/** An attempt whose answer was left, if its upstream has counted it. @param sign -1 takes it away again */
export function addAttempt(sums: Sums, attempt: AttemptRow, sign: 1 | -1): void {
  if (!isKnown(attempt.outputTokens)) return;
  addTokens(sums, attempt, sign);
  if (isKnown(attempt.costUsd)) {
    sums.costUsd += sign * attempt.costUsd;
    sums.leftUsd += sign * attempt.costUsd;
  } else sums.unpriced += sign;
}

/** Spelt out, since it is done several times for every request. @param sign -1 takes it away again */
export function addRequest(sums: Sums, row: RequestRow, sign: 1 | -1): void {
  const { status, costUsd, pricing, servedBy } = row;
  sums.requests += sign;
  if (status === "completed") sums.completed += sign;
  else if (status === "error") sums.errors += sign;
  else if (status === "aborted") sums.aborted += sign;
  addTokens(sums, row, sign);
  if (row.usageEstimated === true) sums.estimated += sign;
  if (isKnown(costUsd)) sums.costUsd += sign * costUsd;
  if (pricing === "free") sums.free += sign;
  else if (pricing === "plan") sums.plan += sign;
  const isServed = isKnown(servedBy) && !servedBy.startsWith("clutch:");
  if (isServed && !isKnown(costUsd)) sums.unpriced += sign;
  if (isServed && isKnown(row.firstChoice)) addMoved(sums, row, sign);
  if (isKnown(row.tokensBefore)) addCompressed(sums, row, sign);
}

function addTokens(sums: Sums, row: RequestRow | AttemptRow, sign: 1 | -1): void {
  sums.inputTokens += sign * (row.inputTokens ?? 0);
  sums.cacheReadTokens += sign * (row.cacheReadTokens ?? 0);
  sums.cacheWriteTokens += sign * (row.cacheWriteTokens ?? 0);
  sums.outputTokens += sign * (row.outputTokens ?? 0);
  sums.reasoningTokens += sign * (row.reasoningTokens ?? 0);
}

/** Answered by another than the first choice. */
function addMoved(sums: Sums, { costUsd, firstChoiceUsd, pricing }: RequestRow, sign: 1 | -1): void {
  sums.moved += sign;
  if (!isKnown(costUsd) || !isKnown(firstChoiceUsd)) sums.movedUnknown += sign;
  else if (pricing === "free") sums.freeSavedUsd += sign * (firstChoiceUsd - costUsd);
  else sums.cascadeSavedUsd += sign * (firstChoiceUsd - costUsd);
}

function addCompressed(sums: Sums, { tokensBefore, tokensAfter, compressionUsd }: RequestRow, sign: 1 | -1): void {
  sums.tokensBefore += sign * (tokensBefore ?? 0);
  sums.tokensAfter += sign * (tokensAfter ?? 0);
  if ((tokensBefore ?? 0) <= (tokensAfter ?? 0)) return;
  sums.compressed += sign;
  if (isKnown(compressionUsd)) sums.compressionSavedUsd += sign * compressionUsd;
  else sums.compressedUnknown += sign;
}

function isKnown<Value>(value: Value | null | undefined): value is Value {
  return value !== null && value !== undefined;
}
