/**
 * `/metrics`. Every label has a closed set of values: protocols, kinds of failures, agents, HTTP statuses that are known.
 * Models, sessions, folders and keys are none of them; those are for `clutch usage`. What is counted is a few additions
 * when a request has ended.
 */

import { agentIds } from "../agent-roles.ts";
import type { GatewayError } from "../protocols/codec.ts";
import type { AttemptRow, RequestRow } from "../store/schema.ts";
import type { BudgetState } from "./budgets.ts";
import { Counter, type Family, Histogram, renderFamilies, type Sample } from "./exposition.ts";

/** How the gateway stands when it is asked. */
export interface Standing {
  version: string;
  /** Milliseconds since 1970. */
  now: number;
  startedAt: number;
  inFlight: number;
  isDraining: boolean;
  circuits: readonly { scope: string | null; state: string }[];
  ledger: { waiting: number; lost: number };
  budgets: readonly BudgetState[];
  keys: readonly { state: string }[];
  problems: number;
}

const durationBounds = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const firstTokenBounds = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What the gateway answers by itself, and what upstreams are known to. Any other is told by its hundred. */
const knownStatuses = new Set([
  200, 400, 401, 402, 403, 404, 408, 409, 413, 415, 422, 424, 426, 429, 499, 500, 501, 502, 503, 504, 529,
]);

const agentOf = new Map<string, string>(Object.entries(agentIds).map(([id, letter]) => [letter, id]));

export class Metrics {
  readonly #requests = new Counter("protocol", "status", "code");
  readonly #byAgent = new Counter("agent");
  readonly #refused = new Counter("kind");
  readonly #attempts = new Counter("outcome");
  /** What the last request was counted as: most of a moment are alike. */
  #last = { protocol: "", status: "", httpStatus: undefined as number | null | undefined, cell: { value: 0 } };
  readonly #tokens = new Counter("kind");
  readonly #tokenCells = {
    input: this.#tokens.cell("input"),
    cacheRead: this.#tokens.cell("cache_read"),
    cacheWrite: this.#tokens.cell("cache_write"),
    output: this.#tokens.cell("output"),
    reasoning: this.#tokens.cell("reasoning"),
  };
  readonly #cost = new Counter();
  readonly #unpriced = new Counter();
  readonly #durations = new Histogram("protocol", durationBounds);
  readonly #firstTokens = new Histogram("protocol", firstTokenBounds);

  /** To be told of each request once, as it ends. */
  ended(row: RequestRow): void {
    const { protocol, status, httpStatus } = row;
    const last = this.#last;
    if (last.protocol !== protocol || last.status !== status || last.httpStatus !== httpStatus) {
      const cell = this.#requests.cell(protocol, status, codeOf(httpStatus));
      this.#last = { protocol, status, httpStatus, cell };
    }
    this.#last.cell.value++;
    this.#byAgent.add(1, agentOf.get(row.agent ?? "") ?? "unknown");
    if (row.durationMs != null) this.#durations.observe(protocol, row.durationMs / 1000);
    if (row.firstTokenMs != null) this.#firstTokens.observe(protocol, row.firstTokenMs / 1000);
    this.#used(row);
    if (row.costUsd == null && row.servedBy?.startsWith("clutch:") === false) this.#unpriced.add(1);
  }

  #used(row: RequestRow | AttemptRow): void {
    if (row.costUsd != null) this.#cost.add(row.costUsd);
    if (row.outputTokens == null) return;
    const { input, cacheRead, cacheWrite, output, reasoning } = this.#tokenCells;
    input.value += row.inputTokens ?? 0;
    cacheRead.value += row.cacheReadTokens ?? 0;
    cacheWrite.value += row.cacheWriteTokens ?? 0;
    output.value += row.outputTokens;
    reasoning.value += row.reasoningTokens ?? 0;
  }

  /** Told a second time, it is one that was left and is billed all the same. */
  attempted(attempt: AttemptRow): void {
    if (attempt.outputTokens == null) this.#attempts.add(1, attempt.failureKind ?? "answered");
    else this.#used(attempt);
  }

  /** A request that is in no ledger, since it got no further than the door. */
  refused(kind: GatewayError["kind"]): void {
    this.#refused.add(1, kind);
  }

  render(standing: Standing): string {
    return renderFamilies([...this.#counted(), ...describe(standing)]);
  }

  #counted(): Family[] {
    return [
      counter(
        "clutch_requests_total",
        "Requests that have ended, by the client's protocol, how they ended, and the HTTP status.",
        this.#requests.samples(),
      ),
      counter("clutch_agent_requests_total", "Requests that have ended, by agent.", this.#byAgent.samples()),
      counter(
        "clutch_refused_requests_total",
        "Requests that no model was looked for, by the kind of error they were told.",
        this.#refused.samples(),
      ),
      counter(
        "clutch_attempts_total",
        "Calls of upstreams, by what came of them: answered, or the kind of failure.",
        this.#attempts.samples(),
      ),
      counter(
        "clutch_tokens_total",
        "Tokens as upstreams count them; reasoning is among output too.",
        this.#tokens.samples(),
      ),
      counter("clutch_cost_usd_total", "Cost as far as prices are known, in US dollars.", this.#cost.samples()),
      counter("clutch_unpriced_requests_total", "Answers whose price nobody told.", this.#unpriced.samples()),
      histogram(
        "clutch_request_duration_seconds",
        "From a request's arrival to its answer's end.",
        this.#durations.samples(),
      ),
      histogram(
        "clutch_first_token_seconds",
        "From a request's arrival to the first content of its answer.",
        this.#firstTokens.samples(),
      ),
    ];
  }
}

function describe({
  version,
  now,
  startedAt,
  inFlight,
  isDraining,
  circuits,
  ledger,
  budgets,
  keys,
  problems,
}: Standing): Family[] {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  const breakers = circuits.filter(({ scope }) => scope === "model");
  const domains = circuits.filter(({ scope }) => scope !== "model");
  return [
    gauge("clutch_build_info", "The version; always 1.", [{ labels: { version }, value: 1 }]),
    gauge("clutch_uptime_seconds", "Since the start.", one(Math.max(0, (now - startedAt) / 1000))),
    gauge("clutch_in_flight_requests", "Requests with a body that are under way.", one(inFlight)),
    gauge(
      "clutch_draining",
      "1 while the gateway ends its last answers and takes no new requests.",
      one(isDraining ? 1 : 0),
    ),
    gauge(
      "clutch_breakers",
      "Circuit breakers of models, by state; those that are closed and count nothing are not told.",
      states.map((state) => ({ labels: { state }, value: count(breakers, ({ state: its }) => its === state) })),
    ),
    gauge(
      "clutch_domains",
      "What several models share and is out of order or used up, by what it is and by state.",
      domainScopes.flatMap((scope) =>
        states.map((state) => ({
          labels: { scope, state },
          value: count(domains, (circuit) => (circuit.scope ?? "pool") === scope && circuit.state === state),
        })),
      ),
    ),
    gauge("clutch_ledger_waiting_rows", "Rows that are not on disk yet.", one(ledger.waiting)),
    counter(
      "clutch_ledger_lost_rows_total",
      "Rows that were given up because the disk refused them.",
      one(ledger.lost),
    ),
    gauge(
      "clutch_budget_used_ratio",
      "Used share of the day's limits: 1 is all of it. Sessions and keys are told in clutch_budgets_reached.",
      budgets.flatMap(ratiosOf),
    ),
    gauge(
      "clutch_budgets_reached",
      "Budgets that are used up, by whose they are and by level.",
      (["day", "agent", "session", "key"] as const).flatMap((scope) =>
        (["soft", "hard"] as const).map((level) => ({
          labels: { scope, level },
          value: count(
            budgets,
            (state) => state.scope.kind === scope && state.breaches.some((breach) => breach.level === level),
          ),
        })),
      ),
    ),
    gauge(
      "clutch_keys",
      "Keys, by state.",
      ["valid", "expired", "revoked"].map((state) => ({
        labels: { state },
        value: count(keys, (key) => key.state === state),
      })),
    ),
    gauge("clutch_problems", "Things a person should know: they stand in clutch status.", one(problems)),
    counter(
      "process_cpu_seconds_total",
      "Total user and system CPU time spent in seconds.",
      one((user + system) / 1e6),
    ),
    gauge("process_resident_memory_bytes", "Resident memory size in bytes.", one(rss)),
    gauge("clutch_heap_bytes", "Memory that the program's objects take.", one(heapUsed)),
    gauge(
      "process_start_time_seconds",
      "Start time of the process since unix epoch in seconds.",
      one(startedAt / 1000),
    ),
  ];
}

const states = ["open", "half-open", "counting"] as const;
const domainScopes = ["key", "account", "provider", "pool"] as const;

/** Of the day and of agents, whose number is bounded. */
function ratiosOf({ scope, allowance, used }: BudgetState): Sample[] {
  if (scope.kind !== "day" && scope.kind !== "agent") return [];
  const agent = scope.kind === "day" ? "all" : (agentOf.get(scope.name) ?? "unknown");
  return (["soft", "hard"] as const).flatMap((level) =>
    (["usd", "tokens", "requests"] as const).flatMap((unit) => {
      const limit = allowance[`${level}_${unit}`] ?? 0;
      return limit === 0 ? [] : [{ labels: { agent, level, unit }, value: used[unit] / limit }];
    }),
  );
}

function codeOf(status: number | null | undefined): string {
  if (status == null) return "none";
  return knownStatuses.has(status) ? String(status) : `${Math.floor(status / 100)}xx`;
}

function count<Item>(items: readonly Item[], is: (item: Item) => boolean): number {
  return items.reduce((sum, item) => sum + (is(item) ? 1 : 0), 0);
}

function one(value: number): Sample[] {
  return [{ value }];
}

function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: "counter", samples };
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: "gauge", samples };
}

function histogram(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: "histogram", samples };
}
