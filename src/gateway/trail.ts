/**
 * What became of a request's candidates, for `clutch why`. Noted while the request is under way, at the cost of a few
 * references; turned into JSON only when its row is written to the ledger.
 */

import type { FailureKind } from "../../providers/failure.ts";
import { type Lesson, nothingLearnt } from "../../providers/lessons.ts";
import { renderModelReference } from "../../providers/model-reference.ts";
import { isObject } from "../protocols/json.ts";
import { describeLesson } from "./lesson-words.ts";
import type { RouteStep, Target } from "./router.ts";
import { builtInRules, notConfigured } from "./rules.ts";
import type { Skip } from "./screen.ts";
import { describeStyle } from "./thinking.ts";

/** As it stands in `requests.trail`. Times are milliseconds; those since the request came are marked as such. */
export interface Trail {
  /** Rules that the config turns on and that did not apply, in the order they were asked. */
  steps?: RouteStep[];
  /** In the order in which they stood. */
  candidates?: TrailCandidate[];
  /** What attempts' own rows do not say, in the order the attempts were begun. */
  calls?: TrailCall[];
  /** The candidate that was moved forward, because the session's prompt cache is there. */
  kept?: string;
  /** Waited for limits that were soon over. */
  waited?: number;
  /** Since the request came: when its stream was opened before anybody had answered. */
  opened?: number;
  /** Candidates and calls that were left out for their number. */
  more?: number;
}

export interface TrailCandidate {
  target: string;
  /** What OpenRouter itself may turn to in the same request. */
  others?: string[];
  /** Why it was not asked, or not asked once more. */
  reason?: string;
  kind?: FailureKind;
  /** Since 1970: when it may be asked again. */
  back?: number;
}

export interface TrailCall {
  target: string;
  /** Since the request came. */
  at: number;
  /** Which of the provider's keys. */
  key?: string;
  /** Begun while another had been silent for too long. */
  beside?: true;
  /** How the request was changed for this target. */
  repairs?: string[];
  /** What was shut after it. */
  closed?: { id: string; until: number };
}

interface Call {
  target: Target;
  startedAt: number;
  isBeside: boolean;
  lessons: readonly { lesson: Lesson; isNew: boolean }[];
  /** Why it was left; undefined while it may still answer. */
  leftFor: FailureKind | undefined;
  closed: TrailCall["closed"] | undefined;
}

const unchanged: Call["lessons"] = [];

/**
 * How far a request has come.
 *
 * routing    nobody has been asked yet
 * waiting    one or two candidates have been asked and have not answered
 * pausing    all were left, and one of them is asked again in a moment
 * answering  an answer has been begun, or has come
 */
export interface Progress {
  phase: "routing" | "waiting" | "pausing" | "answering";
  /** Who is asked or answers now, as references. */
  targets: string[];
  /** Since when (ms since 1970); undefined while nobody is. */
  since: number | undefined;
  left: { target: string; kind: FailureKind }[];
  /** How many stood in line at the start. */
  candidates: number;
}

const noSkips: ReadonlyMap<Target, Skip> = new Map();

/** One request's notes. */
export class TrailNotes {
  readonly #steps: readonly RouteStep[];
  /** Milliseconds since 1970, like every time that is noted. */
  readonly #startedAt: number;
  #arranged: readonly Target[];
  #moved: Target | undefined;
  #skips = noSkips;
  readonly #calls: Call[] = [];
  #waitedMs = 0;
  #openedAt: number | undefined;
  #servedBy: Target | undefined;

  constructor(planned: readonly Target[], startedAt: number, steps: readonly RouteStep[] = []) {
    this.#arranged = planned;
    this.#startedAt = startedAt;
    this.#steps = steps;
  }

  /**
   * @param skips read again whenever the trail is rendered
   * @param moved stands further forward than it was planned
   */
  arranged(targets: readonly Target[], skips: ReadonlyMap<Target, Skip>, moved: Target | undefined): void {
    this.#arranged = targets;
    this.#skips = skips;
    this.#moved = moved;
  }

  asked(target: Target, startedAt: number): void {
    this.#calls.push({ target, startedAt, isBeside: false, lessons: unchanged, leftFor: undefined, closed: undefined });
  }

  askedBeside(target: Target): void {
    const call = this.#callOf(target);
    if (call !== undefined) call.isBeside = true;
  }

  /** The request goes to the target in other words than it would have. @param isNew the target has just refused it as it was */
  changed(target: Target, lesson: Lesson, isNew: boolean): void {
    const call = lesson === nothingLearnt ? undefined : this.#callOf(target);
    if (call !== undefined) call.lessons = [...call.lessons, { lesson, isNew }];
  }

  /** @param closed what its failure has shut */
  left(target: Target, kind: FailureKind, closed: TrailCall["closed"] | undefined): void {
    const call = this.#callOf(target);
    if (call === undefined) return;
    call.leftFor = kind;
    call.closed = closed;
  }

  waited(ms: number): void {
    this.#waitedMs += ms;
  }

  opened(at: number): void {
    this.#openedAt = at;
  }

  served(by: Target): void {
    this.#servedBy = by;
  }

  /** As things stand, for whoever watches. */
  progress(): Progress {
    const asked = this.#calls.filter((call) => call.leftFor === undefined);
    const now = this.#servedBy === undefined ? asked : asked.filter((call) => call.target === this.#servedBy);
    const isAnswering = this.#servedBy !== undefined;
    const phase = isAnswering
      ? "answering"
      : now.length > 0
        ? "waiting"
        : this.#calls.length > 0
          ? "pausing"
          : "routing";
    return {
      phase,
      targets: now.map((call) => nameOf(call.target)),
      since: now[0]?.startedAt,
      left: this.#calls.flatMap(({ target, leftFor: kind }) =>
        kind === undefined ? [] : [{ target: nameOf(target), kind }],
      ),
      candidates: this.#arranged.length,
    };
  }

  /** Null when the rule's name and the attempt say everything. */
  render(): string | null {
    if (this.#steps.length === 0 && this.#isPlain()) return null;
    const steps = this.#steps.filter(({ rule, outcome }) => outcome !== notConfigured && !builtInRules.has(rule));
    if (!this.#isPlain()) return fit(this.#build(steps));
    return steps.length === 0 ? null : fit({ steps });
  }

  /** The first candidate was asked once, as the client asked, and answered; or there was nobody to ask. */
  #isPlain(): boolean {
    const [call, second] = this.#calls;
    if (call === undefined) return this.#arranged.length === 0;
    return (
      this.#servedBy !== undefined &&
      call.lessons.length === 0 &&
      call.target.others === undefined &&
      second === undefined &&
      this.#skips.size === 0 &&
      this.#moved === undefined &&
      this.#openedAt === undefined &&
      this.#waitedMs === 0
    );
  }

  #build(steps: RouteStep[]): Trail {
    return {
      ...(steps.length > 0 && { steps }),
      candidates: this.#arranged.map((target) => this.#renderCandidate(target)),
      calls: this.#calls.map((call) => this.#renderCall(call)),
      ...(this.#moved !== undefined && { kept: nameOf(this.#moved) }),
      ...(this.#waitedMs > 0 && { waited: Math.round(this.#waitedMs) }),
      ...(this.#openedAt !== undefined && { opened: this.#openedAt - this.#startedAt }),
    };
  }

  #renderCandidate(target: Target): TrailCandidate {
    const skip = this.#skips.get(target);
    const named = { target: nameOf(target), ...(target.others !== undefined && { others: target.others.map(nameOf) }) };
    if (skip === undefined) return named;
    const { reason, kind, backAt } = skip;
    return { ...named, reason, kind, ...(backAt !== undefined && { back: Math.round(backAt) }) };
  }

  #renderCall({ target, startedAt, isBeside, lessons, closed }: Call): TrailCall {
    const style = target.style === undefined ? [] : [describeStyle(target.style)];
    const repairs = [...style, ...lessons.flatMap(({ lesson, isNew }) => describeLesson(lesson, isNew))];
    return {
      target: nameOf(target),
      at: startedAt - this.#startedAt,
      ...(target.key !== undefined && target.provider.keys.length > 1 && { key: target.key.id }),
      ...(isBeside && { beside: true }),
      ...(repairs.length > 0 && { repairs: [...new Set(repairs)] }),
      ...(closed !== undefined && { closed }),
    };
  }

  /** The last call of exactly this target, key included. */
  #callOf(target: Target): Call | undefined {
    return this.#calls.findLast((call) => call.target === target);
  }
}

/** Undefined for a text that is none; fields are believed, since only this file writes them. */
export function parseTrail(text: string | null | undefined): Trail | undefined {
  if (text === null || text === undefined) return undefined;
  try {
    const value = JSON.parse(text);
    return isObject(value) ? (value as Trail) : undefined;
  } catch {
    return undefined;
  }
}

export const maxTrailBytes = 4096;

/** How much is left of a trail that is too long, from the first that fits. */
const cuts = [
  { words: 240, rows: 60 },
  { words: 100, rows: 30 },
  { words: 60, rows: 16 },
  { words: 40, rows: 6 },
] as const;

function fit(trail: Trail): string {
  for (const { words, rows } of cuts) {
    const text = JSON.stringify(shorten(trail, words, rows));
    if (Buffer.byteLength(text) <= maxTrailBytes) return text;
  }
  return JSON.stringify({ more: (trail.candidates?.length ?? 0) + (trail.calls?.length ?? 0) });
}

function shorten({ steps, candidates = [], calls = [], ...rest }: Trail, words: number, rows: number): Trail {
  const cut = (text: string) => (text.length > words ? `${text.slice(0, words - 1).toWellFormed()}…` : text);
  // Names are what calls, attempts and candidates are matched by, so they keep more than their reasons.
  const cutName = (name: string) => name.slice(0, maxNameCharacters);
  const more = Math.max(0, candidates.length - rows) + Math.max(0, calls.length - rows);
  return {
    ...(steps !== undefined && {
      steps: steps.slice(0, rows).map(({ rule, outcome }) => ({ rule: cut(rule), outcome: cut(outcome) })),
    }),
    ...(candidates.length > 0 && {
      candidates: candidates.slice(0, rows).map(({ target, others, reason, ...candidate }) => ({
        target: cutName(target),
        ...(others !== undefined && { others: others.map(cutName) }),
        ...(reason !== undefined && { reason: cut(reason) }),
        ...candidate,
      })),
    }),
    ...(calls.length > 0 && {
      // The last ones tell how it ended.
      calls: calls.slice(-rows).map(({ target, repairs, ...call }) => ({
        target: cutName(target),
        ...call,
        ...(repairs !== undefined && { repairs: repairs.slice(0, rows).map(cut) }),
      })),
    }),
    ...(rest.kept === undefined ? rest : { ...rest, kept: cutName(rest.kept) }),
    ...(more > 0 && { more }),
  };
}

/** Of a target in a trail; whoever looks one up cuts its name alike. */
export const maxNameCharacters = 200;

function nameOf({ provider, model }: Target): string {
  return renderModelReference({ provider: provider.id, model });
}
