/** Asks one candidate after another until one answers: the only loop of its kind. */

import { type Failure, failure, reactions } from "../../providers/failure.ts";
import { largestWindow, type ModelFacts } from "../../providers/model-facts.ts";
import { renderModelReference } from "../../providers/model-reference.ts";
import { poolOf } from "../../providers/registry.ts";
import type { Config } from "../config/schema.ts";
import type { Usage } from "../protocols/chat.ts";
import type { GatewayError } from "../protocols/codec.ts";
import type { AttemptRow } from "../store/schema.ts";
import type { Affinity } from "./affinity.ts";
import {
  type AttemptDeps,
  attemptTarget,
  type LiveAnswer,
  type Outcome,
  usageIn,
  type WholeAnswer,
} from "./attempt.ts";
import type { Exchange } from "./exchange.ts";
import type { Candidate, Health, Refusal, Ticket } from "./health.ts";
import { hideKeysOf } from "./hide-keys.ts";
import { needsOf } from "./needs.ts";
import { groupForOpenRouter } from "./openrouter-native.ts";
import type { Target } from "./router.ts";
import { type Purse, type Skip, screen } from "./screen.ts";
import type { TrailNotes } from "./trail.ts";

/** A candidate that was left, as it is told to the client, the log and whoever watches. */
export interface LeftCandidate {
  target: Target;
  failure: Failure;
  durationMs: number;
}

export type CascadeResult =
  | {
      ok: true;
      target: Target;
      answer: WholeAnswer | LiveAnswer;
      attemptStartedAt: number;
      /** To be told how the answer ended. */
      ticket: Ticket;
      left: LeftCandidate[];
      skipped: Skip[];
    }
  | {
      ok: false;
      error: GatewayError;
      left: LeftCandidate[];
      skipped: Skip[];
      /** The upstream's own, when its error is passed on as its own. */
      headers: Readonly<Record<string, string>>;
    };

export interface CascadeDeps extends AttemptDeps {
  /** How long nothing is written to a streaming client, so that a quick failure is a plain HTTP error. */
  patienceMs: number;
  /** Who does the falling back among OpenRouter's models. */
  fallbackMethod: Config["fallback_method"];
  /** A second candidate is started beside one that has said nothing for this long; 0 = never. */
  hedgeMs: number;
  health: Health;
  affinity: Affinity;
  /** What is known of a target's model, learnt limits included. */
  factsOf(target: Target): ModelFacts | undefined;
  purse(): Purse;
  /** The best model that runs on this machine, as a reference; undefined where none is known. */
  localModel(): string | undefined;
  /** Told as each candidate is left. */
  onLeft(exchange: Exchange, candidate: LeftCandidate): void;
}

/** Attempts that failed are on the exchange's ledger entry when this resolves; the one that serves is not yet. */
export async function runCascade(
  exchange: Exchange,
  targets: readonly Target[],
  deps: CascadeDeps,
): Promise<CascadeResult> {
  const course = new Course(exchange, targets, deps);
  for (;;) {
    for (let choice = course.next(); choice !== undefined; choice = course.next()) {
      // Without a hedge there is nothing to race.
      const served = deps.hedgeMs === 0 ? course.judge(choice, await course.ask(choice)) : await hedge(course, choice);
      if (served !== undefined) return served;
      if (course.isOver) break;
    }
    const waitMs = course.isOver ? undefined : course.shortWait();
    if (waitMs === undefined || !(await pause(waitMs, exchange))) break;
    exchange.input.trail.waited(waitMs);
    course.begin();
  }
  return course.exhausted();
}

/** False when the client has left meanwhile. */
async function pause(ms: number, exchange: Exchange): Promise<boolean> {
  const endsAt = performance.now() + ms;
  while (!exchange.isCancelled && performance.now() < endsAt) {
    await Bun.sleep(Math.min(100, endsAt - performance.now()));
  }
  return !exchange.isCancelled;
}

/** One attempt that may be made: everything it depends on has let it pass. */
interface Choice {
  target: Target;
  ticket: Ticket;
  startedAt: number;
  controller: AbortController;
  /** Nobody else is left to ask: it may take its time, and its answer is handed on whatever it is like. */
  isLast: boolean;
}

interface Ended {
  choice: Choice;
  outcome: Outcome;
}

/** Asks one candidate, and a second beside it if the first says nothing for too long; the first valid content wins. */
async function hedge(course: Course, first: Choice): Promise<CascadeResult | undefined> {
  const running = new Map([[first, course.attempt(first)]]);
  if (course.hasMore()) {
    const early = await Promise.race([...running.values(), Bun.sleep(course.deps.hedgeMs)]);
    const second = early === undefined ? course.next(true) : undefined;
    if (second !== undefined) {
      course.trail.askedBeside(second.target);
      running.set(second, course.attempt(second));
    }
  }
  while (running.size > 0) {
    const { choice, outcome } = await Promise.race(running.values());
    running.delete(choice);
    const served = course.judge(choice, outcome);
    if (served === undefined && !course.isOver) continue;
    for (const [loser, ending] of running) course.abandon(loser, ending);
    return served;
  }
  return undefined;
}

/** Rounds of waiting for limits that are soon over. */
const maxRounds = 5;

/** The way of one request through its candidates. */
class Course {
  readonly deps: CascadeDeps;
  readonly trail: TrailNotes;
  readonly #exchange: Exchange;
  readonly #targets: readonly Target[];
  readonly #left: LeftCandidate[] = [];
  /** By target: the last word on why it was not asked. */
  readonly #skips = new Map<Target, Skip>();
  /** Will not answer this request, however often they are asked: a target, or a target with one of its keys. */
  readonly #spent = new Set<Target>();
  /** By target with its key: until when this request leaves it alone (ms since 1970), breakers or not. */
  readonly #restsUntil = new Map<Target, number>();
  readonly #planned: readonly Target[];
  /** Those that suit the request, the session's own endpoints first. */
  readonly #suited: readonly Target[];
  #round = 0;
  #at = 0;
  #keysTried = 0;
  /** The largest window that was too small. */
  #overflowed = 0;
  isOver = false;

  constructor(exchange: Exchange, targets: readonly Target[], deps: CascadeDeps) {
    this.deps = deps;
    this.#exchange = exchange;
    this.trail = exchange.input.trail;
    this.#planned = targets;
    const { session } = exchange.input;
    const arranged = deps.affinity.arrange(session, targets, deps.now());
    const { asked, skipped } = screen(arranged, needsOf(exchange), deps.factsOf, deps.purse());
    this.#suited = asked;
    this.#targets = groupForOpenRouter(asked, deps.fallbackMethod, (target) =>
      this.#keysFor(target).some((keyed) => deps.health.refusal(candidateOf(keyed)) === undefined),
    );
    for (const skip of skipped) this.#skips.set(skip.target, skip);
    const moved = arranged === targets ? undefined : arranged.find((target, at) => target !== targets[at]);
    const shown = this.#targets === asked ? arranged : withGroups(arranged, this.#targets);
    this.trail.arranged(shown, this.#skips, moved);
  }

  /** Starts anew with those that may answer after all. */
  begin(): void {
    this.#round++;
    this.#at = 0;
    this.#keysTried = 0;
  }

  /**
   * The next attempt that may be made, its place in every queue taken.
   * @param hasRival another attempt is under way, so that this one is not the last hope
   */
  next(hasRival = false): Choice | undefined {
    if (this.#exchange.isCancelled) {
      this.isOver = true;
      return undefined;
    }
    for (; this.#at < this.#targets.length; this.#at++, this.#keysTried = 0) {
      const target = this.#targets[this.#at] as Target;
      if (!this.#isOpen(target)) continue;
      const keys = this.#keysFor(target);
      // What was said of it in an earlier round is over.
      if (this.#keysTried === 0 && this.#skips.size > 0) this.#skips.delete(target);
      while (this.#keysTried < keys.length) {
        const keyed = keys[this.#keysTried++] as Target;
        if (this.#isResting(keyed)) continue;
        // Looked up before it is admitted: what it probes itself would be shut to all others.
        const isLast = !hasRival && !this.hasMore();
        const admission = this.deps.health.admit(candidateOf(keyed));
        if (admission.ok) {
          if (this.#skips.size > 0) this.#skips.delete(target);
          const controller = this.#exchange.startAttempt();
          const startedAt = this.deps.now();
          this.trail.asked(keyed, startedAt);
          return { target: keyed, ticket: admission.ticket, startedAt, controller, isLast };
        }
        this.#noteSkip({ target, ...admission.refusal });
      }
    }
    return undefined;
  }

  /** Whether anybody is left to ask, as things stand. */
  hasMore(): boolean {
    for (let at = this.#at; at < this.#targets.length; at++) {
      const target = this.#targets[at] as Target;
      if (!this.#isOpen(target)) continue;
      const keys = this.#keysFor(target);
      for (let key = at === this.#at ? this.#keysTried : 0; key < keys.length; key++) {
        if (this.#isAskable(keys[key] as Target)) return true;
      }
    }
    return false;
  }

  #isAskable(keyed: Target): boolean {
    return !this.#isResting(keyed) && this.deps.health.refusal(candidateOf(keyed)) === undefined;
  }

  #isResting(keyed: Target): boolean {
    if (this.#spent.has(keyed)) return true;
    const until = this.#restsUntil.get(keyed);
    return until !== undefined && this.deps.now() < until;
  }

  /** Of a target with several keys, what counts is the one that is back first. */
  #noteSkip(skip: Skip): void {
    const known = this.#skips.get(skip.target);
    if (known?.backAt === undefined || (skip.backAt ?? 0) < known.backAt) this.#skips.set(skip.target, skip);
  }

  /** @throws {ProtocolError} like `attemptTarget`; it speaks against nobody, and nobody else will be asked */
  async ask({ target, controller, isLast, ticket }: Choice): Promise<Outcome> {
    try {
      return await attemptTarget(this.#exchange, target, isLast, controller, this.deps);
    } catch (cause) {
      ticket.unknown();
      throw cause;
    }
  }

  async attempt(choice: Choice): Promise<Ended> {
    return { choice, outcome: await this.ask(choice) };
  }

  /** What is to be made of an attempt's end: an answer to hand on, or one candidate less. */
  judge(choice: Choice, outcome: Outcome): CascadeResult | undefined {
    if (outcome.ok) return this.served(choice, outcome.answer);
    this.leave(choice, outcome.failure, outcome.usage);
    return undefined;
  }

  leave({ target, ticket, startedAt, controller }: Choice, told: Failure, usage?: Usage): void {
    const why = hideKeysOf(told, target, this.#exchange.input.headers);
    this.#exchange.endAttempt(controller);
    ticket.failed(why);
    this.trail.left(target, why.kind, whatIsShut(this.deps.health.refusal(candidateOf(target))));
    const candidate = { target, failure: why, durationMs: this.deps.now() - startedAt };
    this.#left.push(candidate);
    recordAttempt(this.#exchange, target, startedAt, candidate.durationMs, why, usage);
    this.deps.onLeft(this.#exchange, candidate);
    if (this.#exchange.isCancelled || !reactions[why.kind].failsOver) this.isOver = true;
    const plain = this.#plain(target);
    // Another key of the same model is worth a try only where the key was the trouble, or a limit that each key has.
    const isOfKey =
      why.scope === "key" || (why.scope === "model" && (why.kind === "rate-limit" || why.kind === "quota"));
    if (!isOfKey && this.#targets[this.#at] === plain) this.#keysTried = Number.POSITIVE_INFINITY;
    if (mayRecover.has(why.kind)) this.#rest(target, why.retryAfterMs);
    else this.#spent.add(isOfKey ? target : plain);
    if (why.kind === "context-overflow") {
      const limit = why.tokens?.limit ?? this.deps.factsOf(target)?.context ?? 0;
      this.#overflowed = Math.max(this.#overflowed, limit);
    }
  }

  /** Where breakers are off, nothing else remembers that it asked for time. */
  #rest(keyed: Target, retryAfterMs: number | undefined): void {
    const known = this.deps.health.refusal(candidateOf(keyed))?.backAt;
    const guessMs = Math.min(1000 * 2 ** this.#round, 30_000);
    const now = this.deps.now();
    this.#restsUntil.set(keyed, retryAfterMs === undefined ? (known ?? now + guessMs) : now + retryAfterMs);
  }

  /** A hedged candidate whose rival was faster, or whose request is over. */
  abandon({ target, ticket, startedAt, controller }: Choice, ending: Promise<Ended>): void {
    ticket.unknown();
    const message = this.isOver ? "the request was over before it answered" : "another candidate was faster";
    controller.abort(new Error(message));
    this.#exchange.endAttempt(controller);
    const why = failure("aborted", message);
    const attempt = recordAttempt(this.#exchange, target, startedAt, this.deps.now() - startedAt, why);
    void ending.then(({ outcome }) => {
      if (outcome.ok && outcome.answer.kind === "live") void outcome.answer.reader?.cancel().catch(() => {});
      // What its upstream has counted until now is billed.
      const usage = usageOf(outcome);
      if (usage !== undefined) this.#exchange.input.entry.countLeft(attempt, usage);
    }, ignore);
  }

  served({ target: asked, ticket, startedAt }: Choice, answer: WholeAnswer | LiveAnswer): CascadeResult {
    const target = asked.others === undefined ? asked : findServing(asked, answer);
    this.trail.served(asked);
    const { affinity, now } = this.deps;
    const { session } = this.#exchange.input;
    if (session !== undefined) affinity.served(session, target, this.#inOrder(), now());
    return {
      ok: true,
      target,
      answer,
      attemptStartedAt: startedAt,
      ticket,
      left: this.#left,
      skipped: this.#skipped(),
    };
  }

  /**
   * How long to wait for a limit that is soon over, when nobody is left to ask: only while the client has been shown nothing
   * yet, so that it costs no more than patience. Undefined when waiting would not help.
   */
  shortWait(): number | undefined {
    if (this.#round >= maxRounds) return undefined;
    const now = this.deps.now();
    const candidates = this.#targets.filter((target) => this.#isOpen(target));
    const backAt = candidates
      .flatMap((target) => this.#keysFor(target))
      .filter((keyed) => !this.#spent.has(keyed))
      .map((keyed) => this.#backAt(keyed) ?? now);
    if (backAt.length === 0) return undefined;
    const jitter = 1 + Math.random() / 10;
    const waitMs = Math.max(minWaitMs, (Math.min(...backAt) - now) * jitter);
    const patienceLeft = this.#exchange.input.startedAt + this.deps.patienceMs - now;
    return waitMs <= patienceLeft ? waitMs : undefined;
  }

  /** When it may be asked again (ms since 1970), as far as anything tells. */
  #backAt(keyed: Target): number | undefined {
    const times = [this.#restsUntil.get(keyed), this.deps.health.refusal(candidateOf(keyed))?.backAt];
    const known = times.filter((time) => time !== undefined);
    return known.length === 0 ? undefined : Math.max(...known);
  }

  exhausted(): CascadeResult {
    const left = this.#lastWords();
    const skipped = this.#skipped();
    const last = left.at(-1)?.failure;
    const isPassedOn = last !== undefined && speaksAlone(last, this.#planned.length);
    const headers = (isPassedOn ? last.headers : undefined) ?? {};
    const told = explain(this.#exchange.input.id, this.#planned.length, left, skipped, this.deps.now());
    const error = left.length > 0 && isForWantOfKeys(left, skipped) ? this.#withHint(told) : told;
    return { ok: false, error, left: this.#left, skipped, headers };
  }

  /** Whoever has no key has not chosen between models yet. */
  #withHint(error: GatewayError): GatewayError {
    const local = this.deps.localModel();
    if (local === undefined) return error;
    return { ...error, message: `${error.message}. A model on this machine could answer: -m ${local}` };
  }

  /** Who was asked several times is told of once, and of a limit how long it lasts from now on. */
  #lastWords(): LeftCandidate[] {
    const now = this.deps.now();
    const last = new Map<Target, LeftCandidate>();
    for (const candidate of this.#left) {
      last.delete(candidate.target);
      last.set(candidate.target, candidate);
    }
    return [...last.values()].map((candidate) => {
      const backAt = mayRecover.has(candidate.failure.kind) ? this.#backAt(candidate.target) : undefined;
      if (backAt === undefined) return candidate;
      return { ...candidate, failure: { ...candidate.failure, retryAfterMs: Math.max(0, backAt - now) } };
    });
  }

  #isOpen(target: Target): boolean {
    if (this.#spent.has(target)) return false;
    if (this.#overflowed === 0) return true;
    const window = largestWindow(this.deps.factsOf(target));
    if (window === undefined || window > this.#overflowed) return true;
    const reason = `its window of ${window} tokens is no larger than the one that was too small`;
    if (!this.#left.some((candidate) => this.#plain(candidate.target) === target))
      this.#skips.set(target, { target, reason, kind: "context-overflow" });
    this.#spent.add(target);
    return false;
  }

  /** The target with each of its keys, the session's own first. */
  #keysFor(target: Target): readonly Target[] {
    const { keys } = target.provider;
    if (target.credential === "client" || keys.length === 0) return [target];
    const known = this.#withKeys.find((entry) => entry.target === target);
    if (known !== undefined) return known.keyed;
    const keyed = this.#orderKeys(target).map((key): Target => ({ ...target, key }));
    this.#withKeys.push({ target, keyed });
    return keyed;
  }

  #orderKeys(target: Target): readonly NonNullable<Target["key"]>[] {
    const { keys } = target.provider;
    if (keys.length === 1) return keys;
    const { session } = this.#exchange.input;
    const kept = this.deps.affinity.keyFor(session, target, this.deps.now());
    const at = keys.findIndex((key) => key.id === kept);
    return at <= 0 ? keys : [...keys.slice(at), ...keys.slice(0, at)];
  }

  /** One object for each target and key, which is what notes are kept by. */
  readonly #withKeys: { target: Target; keyed: Target[] }[] = [];

  /** The target as it was planned, whichever key it was asked with. */
  #plain(keyed: Target): Target {
    return this.#targets.find(
      (target) =>
        target.provider === keyed.provider && target.model === keyed.model && target.protocol === keyed.protocol,
    ) as Target;
  }

  /** Those that suit the request, as planned. */
  #inOrder(): Target[] {
    return this.#planned.filter((target) => this.#suited.includes(target));
  }

  #skipped(): Skip[] {
    return this.#skips.size === 0 ? [] : [...this.#skips.values()];
  }
}

/** Every candidate in its place, those that OpenRouter chooses among as the one target they have become. */
function withGroups(arranged: readonly Target[], targets: readonly Target[]): readonly Target[] {
  const groups = targets.filter((target) => target.others !== undefined);
  if (groups.length === 0) return arranged;
  const inside = new Set(groups.flatMap(({ others = [] }) => others));
  return arranged.flatMap((target) => {
    if (inside.has(target)) return [];
    return groups.find(({ provider, model }) => provider === target.provider && model === target.model) ?? target;
  });
}

/** Which of several models has answered, by its own word; the first where it does not say. */
function findServing({ others: _, ...first }: Target, answer: WholeAnswer | LiveAnswer): Target {
  const start = answer.kind === "live" ? answer.events.find((event) => event.type === "start") : undefined;
  const model = answer.kind === "whole" ? answer.model : start?.model;
  return model === undefined || model === "" ? first : { ...first, model };
}

const minWaitMs = 50;

/** What a second try a moment later may mend. */
const mayRecover: ReadonlySet<Failure["kind"]> = new Set(["rate-limit", "ramp-up"]);

/** What may be another time at any moment, and nobody can tell when. */
const mayPass: ReadonlySet<Failure["kind"]> = new Set([
  "network",
  "timeout",
  "overloaded",
  "upstream",
  "malformed",
  "empty",
  "truncated",
  "no-tool-call",
  "bad-tool-call",
]);

/**
 * How long a client is told to wait at most (ms) where a candidate has only failed: Codex 0.169 and OpenCode 1.18 sleep for as
 * long as they are told, minutes for an account without credits.
 */
const longestPauseMs = 10_000;

/** What its health is looked up by. */
export function candidateOf({ provider, model, key }: Target): Candidate {
  return {
    provider: provider.id,
    model,
    keyId: key?.id,
    hasOtherKeys: provider.keys.length > 1,
    pool: poolOf(provider, model),
  };
}

/** What a failure has just shut, if it has. */
function whatIsShut(refusal: Refusal | undefined): { id: string; until: number } | undefined {
  return refusal?.circuit === undefined ? undefined : { id: refusal.circuit, until: Math.round(refusal.backAt) };
}

function ignore(): void {
  // It was left: how it ended tells nothing.
}

/** @param usage what the upstream counted of an answer that is left */
export function recordAttempt(
  exchange: Exchange,
  target: Target,
  startedAt: number,
  durationMs: number,
  why: Failure | undefined,
  usage?: Usage,
): AttemptRow {
  const { entry } = exchange.input;
  const { provider, model, protocol } = target;
  const attempt = entry.attempt({ provider: provider.id, model, protocol, startedAt, durationMs }, why);
  if (usage !== undefined) entry.countLeft(attempt, usage);
  return attempt;
}

/** The error of a request that nobody answered. One candidate's error is passed on as its own; several are told together. */
function explain(
  requestId: string,
  candidates: number,
  left: readonly LeftCandidate[],
  skipped: readonly Skip[],
  now: number,
): GatewayError {
  const last = left.at(-1);
  if (last === undefined && skipped.length === 0) {
    return {
      kind: "upstream",
      message: "no model is configured for this request: set model_tiers.BIG.default",
      requestId,
    };
  }
  if (last !== undefined && speaksAlone(last.failure, candidates)) {
    const error = toGatewayError(last.failure, requestId);
    // "Incorrect API key" alone would read as if the agent's own login had failed.
    const message = last.failure.kind === "auth" ? `${last.target.provider.name}: ${error.message}` : error.message;
    return { ...error, message };
  }
  const waits = [
    ...left.flatMap(({ failure: { retryAfterMs } }) => retryAfterMs ?? []),
    // A budget begins anew at midnight.
    ...skipped.flatMap(({ backAt, isBudget }) =>
      backAt === undefined || isBudget === true ? [] : [Math.max(0, backAt - now)],
    ),
  ];
  const hasOnlyFailed = left.some(({ failure: why }) => mayPass.has(why.kind) && why.retryAfterMs === undefined);
  if (hasOnlyFailed && waits.length > 0) waits.push(longestPauseMs);
  const soonest = waits.length === 0 ? {} : { retryAfterMs: Math.min(...waits) };
  const reasons = [
    ...left.map(({ target, failure: why }) => `${nameOf(target)}: ${describeFailure(why)}`),
    ...skipped.map((skip) => `${nameOf(skip.target)}: not asked, ${describeSkip(skip, now)}`),
  ];
  const tokens = left.findLast(({ failure: why }) => why.kind === "context-overflow")?.failure.tokens;
  return {
    kind: sharedKind([...left.map((candidate) => candidate.failure.kind), ...skipped.map((skip) => skip.kind)]),
    message: `no model answered. ${reasons.map((reason, index) => `${index + 1}. ${reason}`).join("; ")} (clutch why ${requestId})`,
    requestId,
    ...soonest,
    ...(tokens === undefined ? {} : { tokens }),
  };
}

function usageOf(outcome: Outcome): Usage | undefined {
  if (!outcome.ok) return outcome.usage;
  return outcome.answer.kind === "whole" ? outcome.answer.usage : usageIn(outcome.answer.events);
}

export function nameOf({ provider, model }: Target): string {
  return renderModelReference({ provider: provider.id, model });
}

/** Why a candidate was not asked, and when it will be again. */
export function describeSkip({ reason, backAt }: Skip, now: number): string {
  return backAt === undefined ? reason : `${reason} (back in ${renderWait(Math.max(0, backAt - now))})`;
}

function isForWantOfKeys(left: readonly LeftCandidate[], skipped: readonly Skip[]): boolean {
  return [...left.map(({ failure: why }) => why), ...skipped].every(({ kind }) => kind === "no-key");
}

/** One candidate's error is passed on as its own, and so is one that no other candidate would have been spared. */
function speaksAlone(last: Failure, candidates: number): boolean {
  return candidates === 1 || !reactions[last.kind].failsOver;
}

/** What all reasons have in common; else something worth a retry if any of them was. */
function sharedKind(reasons: readonly Failure["kind"][]): GatewayError["kind"] {
  const kinds = new Set(reasons.map((kind) => reactions[kind].tells));
  const [only] = kinds;
  if (only !== undefined && kinds.size === 1) return only;
  if (kinds.has("context-overflow")) return "context-overflow";
  return kinds.has("rate-limit") || kinds.has("overloaded") || kinds.has("timeout") ? "overloaded" : "upstream";
}

export function toGatewayError(why: Failure, requestId: string): GatewayError {
  return {
    kind: reactions[why.kind].tells,
    message: why.message,
    requestId,
    ...(why.retryAfterMs === undefined ? {} : { retryAfterMs: why.retryAfterMs }),
    ...(why.code === undefined ? {} : { code: why.code }),
    ...(why.tokens === undefined ? {} : { tokens: why.tokens }),
  };
}

/** `429 rate-limit (back in 12 s): the upstream's words`. */
export function describeFailure(why: Failure): string {
  const status = why.status === undefined || why.status < 300 ? "" : `${why.status} `;
  const back = why.retryAfterMs === undefined ? "" : ` (back in ${renderWait(why.retryAfterMs)})`;
  return `${status}${why.kind}${back}: ${why.message}`;
}

function renderWait(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
