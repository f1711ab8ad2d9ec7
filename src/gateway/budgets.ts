/**
 * What may still be used: of a day, by an agent, by a session, by a key. Counted in memory as requests end, so that nothing
 * on a request's way reads the ledger; a start counts on from what the ledger says. Beyond a soft limit only free models are
 * asked, beyond a hard one nothing is. Days are UTC. What is under way counts as a request at once, and by its tokens and
 * its cost when it has ended, so a hard limit of those can be passed by what was under way when it was reached.
 */

import { type AgentId, agentIds } from "../agent-roles.ts";
import type { Allowance } from "../config/allowance.ts";
import type { Config } from "../config/schema.ts";
import { agentNames, isAgentLetter } from "../launch-code.ts";
import type { GatewayError } from "../protocols/codec.ts";
import type { AttemptRow, RequestRow } from "../store/schema.ts";
import type { Spent } from "../store/spent.ts";
import { describeKey, type Key } from "./keyring.ts";
import type { Caller } from "./recognise.ts";
import type { Purse } from "./screen.ts";

export type Unit = "usd" | "tokens" | "requests";
export type Level = "soft" | "hard";

export interface BudgetDeps {
  /** Milliseconds since 1970. */
  now(): number;
  limits(): Config["budgets"];
  keyOf(id: string): Key | undefined;
  log(line: string): void;
}

/** Whose requests are counted together; `name` is empty for the day. */
type Scope = { kind: "day" | "agent" | "session"; name: string } | { kind: "key"; name: string; key: Key };

/** How one limit stands. */
export interface Breach {
  scope: Scope;
  level: Level;
  unit: Unit;
  used: number;
  limit: number;
  /** Milliseconds since 1970; undefined for a session, whose budget does not begin anew. */
  resetsAt: number | undefined;
}

/** What becomes of a request. */
export interface Verdict {
  /** Why it is answered by nobody. */
  refusal: GatewayError | undefined;
  /** The header that tells of a limit that is reached. */
  note: string | undefined;
  /** Why no paid model is asked for it. */
  spent: Purse["spent"];
}

/** One line of `/admin/budgets`. */
export interface BudgetState {
  scope: Scope;
  allowance: Allowance;
  used: Record<Unit, number>;
  breaches: Breach[];
  resetsAt: number | undefined;
}

interface Counter extends Record<Unit, number> {
  /** Under way. */
  open: number;
  lastAt: number;
  /** What has been told of it. */
  said: Set<string>;
}

/** Counters of one day: `day`, `agent:c`, `key:k3j9wq2m`. */
type Page = Map<string, Counter>;

const dayMs = 86_400_000;

/** A clock that jumps there and back finds the day's counters again. */
const maxPages = 3;

/** Sessions that are remembered, the last that were active: beyond it the oldest begin anew. */
export const maxSessions = 10_000;

/** How far back the ledger is read for sessions (ms). */
export const sessionMemoryMs = 7 * dayMs;

/** How long a session that has reached its limit is told of (ms), and how many are. */
const toldMs = 3_600_000;
const maxTold = 5;

export class Budgets {
  readonly #deps: BudgetDeps;
  readonly #pages = new Map<number, Page>();
  readonly #sessions: Page = new Map();

  constructor(deps: BudgetDeps) {
    this.#deps = deps;
  }

  /** @param today what the ledger says of today, in place of what has been counted */
  restoreDay(today: readonly Spent[]): void {
    const page = this.#pageOf(this.#today());
    for (const counter of page.values()) beginAnew(counter);
    for (const spent of today) {
      add(counterIn(page, "day"), spent);
      add(counterIn(page, `agent:${spent.agent ?? ""}`), spent);
      if (spent.keyId !== null) add(counterIn(page, `key:${spent.keyId}`), spent);
    }
  }

  /** @param sessions what the ledger says of them, the last active last, in place of what has been counted */
  restoreSessions(sessions: readonly (Spent & { session: string })[]): void {
    for (const counter of this.#sessions.values()) beginAnew(counter);
    for (const { session, ...spent } of sessions) {
      const counter = this.#sessions.get(session) ?? counterIn(new Map(), "");
      add(counter, spent);
      counter.lastAt = Math.max(counter.lastAt, spent.lastAt);
      this.#keepSession(session, counter);
    }
  }

  /** How a request stands before it is counted itself. @param caller left out, what holds for everybody */
  judge(caller: Caller | undefined): Verdict {
    if (!this.limits(caller)) return within;
    const breaches: Breach[] = [];
    for (const { scope, allowance } of this.#scopes(caller)) {
      if (hasLimit(allowance)) this.#collect(scope, allowance, this.#counterOf(scope, this.#today()), breaches);
    }
    if (breaches.length === 0) return within;
    // What has to be waited for the longest.
    const worst = (level: Level) =>
      breaches.filter((breach) => breach.level === level).sort((one, other) => endOf(other) - endOf(one))[0];
    const [hard, soft] = [worst("hard"), worst("soft")];
    const note = renderNote((hard ?? soft) as Breach);
    if (hard !== undefined) {
      this.#say(hard);
      // In words alone: Codex 0.169 and OpenCode 1.18 sleep for as long as retry-after says, which is until midnight.
      const refusal = { kind: "billing", message: `${describe(hard)}. ${describeEnd(hard)}.` } as const;
      return { refusal, note, spent: undefined };
    }
    const reason = soft && `${nameOf(soft.scope)} for paid models is used up (${amounts(soft)})`;
    if (reason === undefined) return within;
    return {
      refusal: undefined,
      note,
      spent: { reason, ...(soft?.resetsAt !== undefined && { backAt: soft.resetsAt }) },
    };
  }

  /** Counts it as under way. @returns to be called when it has ended; twice is once */
  enter(caller: Caller): () => void {
    const counters = this.#scopes(caller).map(({ scope }) => this.#counterOf(scope, this.#today()));
    for (const counter of counters) counter.open++;
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      for (const counter of counters) counter.open--;
    };
  }

  /** To be told of each request once, as it ends. */
  ended(row: RequestRow): void {
    // Otherwise nobody was asked.
    if (row.attempts > 0) this.#count(row, { usd: row.costUsd ?? 0, tokens: tokensOf(row), requests: 1 });
  }

  /** To be told of each attempt: one that was left may be billed all the same. */
  attempted(attempt: AttemptRow, request: RequestRow): void {
    if (attempt.outputTokens == null) {
      // Its client has left before anybody had answered: somebody was asked all the same.
      const isLate = attempt.number === 1 && request.status !== "pending";
      if (isLate) this.#count(request, { usd: 0, tokens: 0, requests: 1 });
      return;
    }
    this.#count(request, { usd: attempt.costUsd ?? 0, tokens: tokensOf(attempt), requests: 0 });
  }

  /** To be told of a request whose cost was not known when it ended. Of another day it changes nothing that is still limited. */
  priced(row: RequestRow): void {
    this.#addCost(row, row.costUsd);
  }

  /** The same of an answer that was left. */
  pricedLeft(attempt: AttemptRow, request: RequestRow): void {
    this.#addCost(request, attempt.costUsd);
  }

  #addCost(row: RequestRow, usd: number | null | undefined): void {
    const isToday = Math.floor(row.startedAt / dayMs) === this.#today();
    if (isToday && usd != null) this.#count(row, { usd, tokens: 0, requests: 0 });
  }

  #count(row: RequestRow, spent: Record<Unit, number>): void {
    const { limits, keyOf, now } = this.#deps;
    // What nobody is limited by is looked up in the ledger when somebody is.
    if (row.keyId == null && !hasLimits(limits())) return;
    const session = row.session ?? row.launchId ?? undefined;
    const key = row.keyId == null ? undefined : keyOf(row.keyId);
    const day = Math.floor(row.startedAt / dayMs);
    const breaches: Breach[] = [];
    for (const { scope, allowance } of scopesOf(limits(), row.agent ?? undefined, session, key)) {
      const counter = this.#counterOf(scope, day);
      add(counter, spent);
      counter.lastAt = now();
      if (hasLimit(allowance) && day === this.#today()) this.#collect(scope, allowance, counter, breaches);
    }
    for (const breach of breaches) this.#say(breach);
  }

  /** Lines for status and /health: what is reached, while it is. */
  problems(): string[] {
    const breached = this.list().flatMap(({ breaches }) => {
      // What is refused is not asked of free models either.
      const hard = breaches.find(({ level }) => level === "hard");
      return hard ?? breaches[0] ?? [];
    });
    const sessions = breached.filter(({ scope }) => scope.kind === "session").slice(-maxTold);
    return [...breached.filter(({ scope }) => scope.kind !== "session"), ...sessions].map(tell);
  }

  /** Those with a limit, and how they stand: the day, agents, keys, sessions of the last hour. */
  list(): BudgetState[] {
    const limits = this.#deps.limits();
    const page = this.#pages.get(this.#today()) ?? new Map<string, Counter>();
    const since = this.#deps.now() - toldMs;
    const states: BudgetState[] = [];
    const push = ({ scope, allowance }: { scope: Scope; allowance: Allowance }, counter: Counter) => {
      if (!hasLimit(allowance)) return;
      const used = { usd: counter.usd, tokens: counter.tokens, requests: counter.requests + counter.open };
      const breaches: Breach[] = [];
      this.#collect(scope, allowance, counter, breaches);
      states.push({ scope, allowance, used, resetsAt: this.#end(scope), breaches });
    };
    push({ scope: day, allowance: dayAllowance(limits) }, page.get("day") ?? counterIn(new Map(), ""));
    for (const [name, counter] of page) {
      const [kind = "", id = ""] = name.split(":");
      if (kind === "agent") push({ scope: { kind, name: id }, allowance: agentAllowance(limits, id) }, counter);
      const key = kind === "key" ? this.#deps.keyOf(id) : undefined;
      if (key !== undefined) push({ scope: { kind: "key", name: id, key }, allowance: key.budget ?? {} }, counter);
    }
    for (const [name, counter] of this.#sessions) {
      if (counter.lastAt >= since) push({ scope: { kind: "session", name }, allowance: limits.per_session }, counter);
    }
    return states;
  }

  /** Whether any limit is there for this caller: without one there is nothing to look up. */
  limits(caller: Caller | undefined): boolean {
    return caller?.grant?.budget !== undefined || hasLimits(this.#deps.limits());
  }

  #scopes(caller: Caller | undefined) {
    const limits = this.#deps.limits();
    if (caller === undefined) return [{ scope: day, allowance: dayAllowance(limits) }];
    return scopesOf(limits, caller.agent, caller.session ?? caller.launch?.launchId, caller.grant);
  }

  /** Adds what is reached. */
  #collect(scope: Scope, allowance: Allowance, counter: Counter, into: Breach[]): void {
    for (const [level, unit, name] of limitNames) {
      const limit = allowance[name];
      if (limit === undefined || limit === 0) continue;
      const used = unit === "requests" ? counter.requests + counter.open : counter[unit];
      if (used >= limit) into.push({ scope, level, unit, used, limit, resetsAt: this.#end(scope) });
    }
  }

  #counterOf(scope: Scope, day: number): Counter {
    if (scope.kind !== "session")
      return counterIn(this.#pageOf(day), scope.kind === "day" ? "day" : `${scope.kind}:${scope.name}`);
    const counter = this.#sessions.get(scope.name) ?? counterIn(new Map(), "");
    this.#keepSession(scope.name, counter);
    return counter;
  }

  #keepSession(name: string, counter: Counter): void {
    this.#sessions.delete(name);
    this.#sessions.set(name, counter);
    if (this.#sessions.size > maxSessions) this.#sessions.delete(this.#sessions.keys().next().value as string);
  }

  #pageOf(day: number): Page {
    const known = this.#pages.get(day);
    if (known !== undefined) return known;
    const page: Page = new Map();
    this.#pages.set(day, page);
    if (this.#pages.size > maxPages) this.#pages.delete(this.#pages.keys().next().value as number);
    return page;
  }

  #say(breach: Breach): void {
    const { said } = this.#counterOf(breach.scope, this.#today());
    const what = `${breach.level} ${breach.unit} ${breach.limit}`;
    if (said.has(what)) return;
    said.add(what);
    this.#deps.log(tell(breach));
  }

  #end({ kind }: Scope): number | undefined {
    return kind === "session" ? undefined : (this.#today() + 1) * dayMs;
  }

  #today(): number {
    return Math.floor(this.#deps.now() / dayMs);
  }
}

const within: Verdict = { refusal: undefined, note: undefined, spent: undefined };
const day: Scope = { kind: "day", name: "" };

function counterIn(page: Page, name: string): Counter {
  const known = page.get(name);
  if (known !== undefined) return known;
  const counter: Counter = { usd: 0, tokens: 0, requests: 0, open: 0, lastAt: 0, said: new Set() };
  page.set(name, counter);
  return counter;
}

/** Reasoning is among the output. */
function tokensOf(row: RequestRow | AttemptRow): number {
  const { inputTokens, cacheReadTokens, cacheWriteTokens, outputTokens } = row;
  return (inputTokens ?? 0) + (cacheReadTokens ?? 0) + (cacheWriteTokens ?? 0) + (outputTokens ?? 0);
}

/** All but what is under way. */
function beginAnew(counter: Counter): void {
  counter.usd = 0;
  counter.tokens = 0;
  counter.requests = 0;
  counter.said.clear();
}

function add(counter: Counter, { usd, tokens, requests }: Pick<Spent, Unit>): void {
  counter.usd += usd;
  counter.tokens += tokens;
  counter.requests += requests;
}

function scopesOf(
  limits: Config["budgets"],
  agent: string | undefined,
  session: string | undefined,
  key: Key | undefined,
): { scope: Scope; allowance: Allowance }[] {
  const name = agent ?? "";
  const scopes: { scope: Scope; allowance: Allowance }[] = [
    { scope: day, allowance: dayAllowance(limits) },
    { scope: { kind: "agent", name }, allowance: agentAllowance(limits, name) },
  ];
  if (session !== undefined) scopes.push({ scope: { kind: "session", name: session }, allowance: limits.per_session });
  if (key !== undefined) scopes.push({ scope: { kind: "key", name: key.id, key }, allowance: key.budget ?? {} });
  return scopes;
}

/** `daily_usd` is the day's soft limit by its old name; of two the lower one holds. */
function dayAllowance({ daily_usd, per_day }: Config["budgets"]): Allowance {
  if (daily_usd === 0) return per_day;
  const soft = per_day.soft_usd ?? 0;
  return { ...per_day, soft_usd: soft === 0 ? daily_usd : Math.min(soft, daily_usd) };
}

function agentAllowance({ per_agent }: Config["budgets"], letter: string): Allowance {
  const id = agentOf.get(letter);
  return (id === undefined ? undefined : per_agent[id]) ?? per_agent.others ?? {};
}

const agentOf = new Map(Object.entries(agentIds).map(([id, letter]): [string, AgentId] => [letter, id as AgentId]));

/** Whether it limits anything: 0 does not. */
export function hasLimit(allowance: Allowance): boolean {
  for (const key in allowance) if ((allowance[key as keyof Allowance] ?? 0) > 0) return true;
  return false;
}

/** Whether anybody is under a limit of the config. */
export function hasLimits({ daily_usd, per_day, per_agent, per_session }: Config["budgets"]): boolean {
  if (daily_usd > 0 || hasLimit(per_day) || hasLimit(per_session)) return true;
  for (const agent in per_agent) if (hasLimit(per_agent[agent as keyof typeof per_agent] ?? {})) return true;
  return false;
}

const limitNames = [
  ["hard", "usd", "hard_usd"],
  ["soft", "usd", "soft_usd"],
  ["hard", "tokens", "hard_tokens"],
  ["soft", "tokens", "soft_tokens"],
  ["hard", "requests", "hard_requests"],
  ["soft", "requests", "soft_requests"],
] as const satisfies readonly (readonly [Level, Unit, keyof Allowance])[];

/** As the config or `clutch keys` names it. */
function settingOf({ scope, level, unit }: Breach): string {
  const name = `${level}_${unit}`;
  if (scope.kind === "key") return `the key's ${name}`;
  if (scope.kind !== "agent") return `budgets.per_${scope.kind}.${name}`;
  return `budgets.per_agent.${agentOf.get(scope.name) ?? "others"}.${name}`;
}

/** The longest to wait for first. */
function endOf({ resetsAt }: Breach): number {
  return resetsAt ?? Number.POSITIVE_INFINITY;
}

function nameOf(scope: Scope): string {
  switch (scope.kind) {
    case "day":
      return "today's budget";
    case "agent":
      return `today's budget of ${isAgentLetter(scope.name) ? agentNames[scope.name] : "agents that are not recognised"}`;
    case "session":
      return "this session's budget";
    case "key":
      return `today's budget of the key ${describeKey(scope.key)}`;
  }
}

/** `$1.20 of $1`. */
function amounts({ unit, used, limit }: Breach): string {
  return unit === "usd" ? `$${used.toFixed(used < 0.1 ? 4 : 2)} of $${limit}` : `${used} of ${limit} ${unit}`;
}

function describe(breach: Breach): string {
  return `${nameOf(breach.scope)} is used up: ${amounts(breach)} (${settingOf(breach)})`;
}

function describeEnd({ scope, resetsAt }: Breach): string {
  if (resetsAt === undefined) return "It does not begin anew: start another session, or raise the limit";
  const who = scope.kind === "key" ? "ask whoever made the key" : "raise the limit";
  return `It begins anew at ${asMoment(resetsAt)}; until then, ${who}`;
}

/** A line for whoever runs the gateway. */
function tell(breach: Breach): string {
  const { scope, level, resetsAt } = breach;
  const which = scope.kind === "session" ? `the budget of session ${scope.name.slice(0, 16)}` : nameOf(scope);
  const until = resetsAt === undefined ? "" : ` until ${asMoment(resetsAt)}`;
  const what = level === "hard" ? `requests are refused${until}` : `only free models are asked${until}`;
  return `${which}: ${amounts(breach)} (${settingOf(breach)}), so ${what}`;
}

/** `soft; usd 1.2 of 1; per day; resets 2026-11-21T00:00:00.000Z` */
function renderNote({ scope, level, unit, used, limit, resetsAt }: Breach): string {
  const resets = resetsAt === undefined ? "" : `; resets ${new Date(resetsAt).toISOString()}`;
  return `${level}; ${unit} ${Number(used.toFixed(6))} of ${limit}; per ${scope.kind}${resets}`;
}

function asMoment(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
