/**
 * What is out of order right now: models, keys, accounts, whole providers, and pools that several models share. A
 * candidate passes when everything it depends on does. Decides in memory; what changed is handed on to be written behind.
 */

import type { Failure, FailureKind } from "../../providers/failure.ts";
import type { Flaw } from "./answer-watch.ts";
import {
  beginProbe,
  type Circuit,
  type CircuitPolicy,
  closed,
  endProbe,
  isPassable,
  recordFailure,
  recordShut,
  recordSuccess,
  stateOf,
} from "./circuit.ts";
import { type QuotaRules, QuotaWindows } from "./quota-windows.ts";

/** One way to ask: a model at a provider with one of its keys. */
export interface Candidate {
  provider: string;
  model: string;
  /** Tells the keys of a provider apart, and is no secret; undefined where none is needed. */
  keyId: string | undefined;
  /** The provider has more than one, each perhaps of another account. */
  hasOtherKeys: boolean;
  /** Models of the provider that share one limit of their own, by its name in the catalogue. */
  pool: string | undefined;
}

export interface Refusal {
  /** For people: what is shut and why. */
  reason: string;
  /** The kind of failure that shut it. */
  kind: FailureKind;
  /** When it may be asked again (ms since 1970). */
  backAt: number;
  /** The circuit that is open; undefined for a limit of the config. */
  circuit?: string;
}

export type Admission = { ok: true; ticket: Ticket } | { ok: false; refusal: Refusal };

/** Stands for one attempt; told exactly once how it ended. */
export interface Ticket {
  served(): void;
  /** Worked, but not as it should: counts half. */
  servedBadly(flaw: Flaw): void;
  failed(failure: Failure): void;
  /** Proves nothing: the client left, or the attempt was never made. */
  unknown(): void;
}

export interface HealthDeps {
  now(): number;
  policy(): CircuitPolicy;
  quotas(): QuotaRules;
  /** Told with each circuit that has changed; undefined when it is closed again. */
  onChange(id: string, circuit: Circuit | undefined): void;
}

/** What is shut at once, and for how long the first time, where the upstream does not say. */
const shutPolicies = {
  /** min(30 s, 2^n): a limit of requests per minute is soon over. */
  rateLimit: { cooldownMs: 1_000, maxCooldownMs: 30_000 },
  /** Others have been served meanwhile: the provider wants its traffic to grow more slowly. */
  rampUp: { cooldownMs: 15_000, maxCooldownMs: 120_000 },
  /** A limit of a day or longer, when nobody says how much longer. */
  quota: { cooldownMs: 900_000, maxCooldownMs: 6 * 3_600_000 },
  key: { cooldownMs: 60_000, maxCooldownMs: 3_600_000 },
  /** Money comes back when a person has seen to it. */
  account: { cooldownMs: 300_000, maxCooldownMs: 3_600_000 },
} as const;

/** Beyond it the models that were told of first are forgotten; what several models share is not. */
export const maxCircuits = 5_000;

export class Health {
  readonly #deps: HealthDeps;
  readonly #circuits = new Map<string, Circuit>();
  readonly #quotas: QuotaWindows;

  constructor(deps: HealthDeps) {
    this.#deps = deps;
    this.#quotas = new QuotaWindows(deps.quotas);
  }

  /** Takes over what an earlier process knew. Probes of its own have died with it. */
  restore(known: Iterable<readonly [string, Circuit]>): void {
    for (const [id, circuit] of known) this.#circuits.set(id, endProbe(circuit));
  }

  /** Why the candidate cannot be asked now, if it cannot. Begins nothing. */
  refusal(candidate: Candidate): Refusal | undefined {
    const now = this.#deps.now();
    // Nearly always everything is in order.
    if (this.#circuits.size === 0) return this.#quotas.refusal(candidate, now);
    const blocking = this.#dependencies(candidate).flatMap((dependency) => {
      const circuit = this.#circuits.get(dependency.id);
      return circuit === undefined || isPassable(circuit, now) ? [] : [refuse(dependency, circuit, now)];
    });
    const quota = this.#quotas.refusal(candidate, now);
    if (quota !== undefined) blocking.push(quota);
    // It is back when the last of them is.
    return blocking.toSorted((a, b) => b.backAt - a.backAt)[0];
  }

  admit(candidate: Candidate): Admission {
    const refusal = this.refusal(candidate);
    if (refusal !== undefined) return { ok: false, refusal };
    const now = this.#deps.now();
    let probed = nothingProbed;
    for (const { id } of this.#dependencies(candidate)) {
      const circuit = this.#circuits.get(id);
      if (circuit === undefined || stateOf(circuit, now) !== "half-open") continue;
      this.#circuits.set(id, beginProbe(circuit, now));
      probed = [...probed, id];
    }
    const refund = this.#quotas.spend(candidate, now);
    return { ok: true, ticket: new Admitted(this, candidate, now, probed, refund) };
  }

  /** How an admitted attempt has ended, told by its ticket. */
  settle(attempt: Admitted, ending: Ending): void {
    const { candidate, startedAt, probed, refund } = attempt;
    if (ending.kind === "served") {
      for (const { id } of this.#dependencies(candidate))
        this.#change(id, (circuit) => recordSuccess(circuit, startedAt));
      return;
    }
    // What was half-open and did not fail itself has told nothing.
    for (const id of probed) this.#change(id, endProbe);
    switch (ending.kind) {
      case "served badly":
        this.#count(modelId(candidate), { weight: 0.5, kind: ending.flaw.kind, reason: ending.flaw.message });
        return;
      case "failed":
        if (!ending.failure.spendsQuota) refund();
        this.#blame(candidate, ending.failure);
        return;
      case "unknown":
        refund();
        return;
      default:
        ending satisfies never;
    }
  }

  /** Everything that is not closed, and what counts failures at the moment. */
  list(): { id: string; circuit: Circuit }[] {
    return [...this.#circuits].map(([id, circuit]) => ({ id, circuit }));
  }

  /** What is left of the limits that the config sets. */
  limits(): ReturnType<QuotaWindows["list"]> {
    return this.#quotas.list(this.#deps.now());
  }

  /** Closes what matches: an id, or all. @returns the ids that were closed */
  reset(matches: (id: string) => boolean): string[] {
    const ids = [...this.#circuits.keys()].filter(matches);
    for (const id of ids) this.#set(id, closed);
    return ids;
  }

  /** An upstream, or its own word about an account, says that something is used up. */
  shut(id: string, reason: string, retryAfterMs: number): void {
    this.#shut(id, { weight: 1, kind: "quota", reason, retryAfterMs }, shutPolicies.account);
  }

  /** None while everything is in order, which is nearly always. */
  #dependencies(candidate: Candidate): ReturnType<typeof dependencies> {
    return this.#circuits.size === 0 ? [] : dependencies(candidate);
  }

  #blame(candidate: Candidate, failure: Failure): void {
    const blamed = blame(candidate, failure);
    if (blamed === undefined) return;
    const { kind, message: reason, retryAfterMs } = failure;
    const blow = { weight: failure.countsForBreaker === "soft" ? 0.5 : 1, kind, reason, retryAfterMs };
    if (blamed.limits === undefined) this.#count(blamed.id, blow);
    else this.#shut(blamed.id, blow, blamed.limits);
  }

  #count(id: string, blow: Parameters<typeof recordFailure>[1]): void {
    const { now, policy } = this.#deps;
    this.#change(id, (circuit) => recordFailure(circuit, blow, now(), policy()), closed);
  }

  #shut(
    id: string,
    blow: Parameters<typeof recordShut>[1],
    limits: Pick<CircuitPolicy, "cooldownMs" | "maxCooldownMs">,
  ): void {
    const { now, policy } = this.#deps;
    const { failures } = policy();
    this.#change(id, (circuit) => recordShut(circuit, blow, now(), { failures, ...limits }), closed);
  }

  #change(id: string, step: (circuit: Circuit) => Circuit, otherwise?: Circuit): void {
    const circuit = this.#circuits.get(id) ?? otherwise;
    if (circuit === undefined) return;
    const next = step(circuit);
    if (next !== circuit) this.#set(id, next);
  }

  #set(id: string, circuit: Circuit): void {
    const isClosed = circuit.until === 0 && circuit.weight === 0;
    if (!isClosed && !this.#circuits.has(id)) this.#makeRoom();
    if (isClosed) this.#circuits.delete(id);
    else this.#circuits.set(id, circuit);
    this.#deps.onChange(id, isClosed ? undefined : circuit);
  }

  /** Clients name models: those of one that makes names up must fill neither the memory nor the ledger. */
  #makeRoom(): void {
    for (const id of this.#circuits.keys()) {
      if (this.#circuits.size < maxCircuits) return;
      if (!id.startsWith("model:")) continue;
      this.#circuits.delete(id);
      this.#deps.onChange(id, undefined);
    }
  }
}

interface Blamed {
  id: string;
  /** Shut at once, within these; without them failures add up. */
  limits?: Pick<CircuitPolicy, "cooldownMs" | "maxCooldownMs">;
}

/** What a failure is held against; undefined for what is nobody's fault but the request's. */
function blame(candidate: Candidate, { kind, scope, countsForBreaker }: Failure): Blamed | undefined {
  const limits = limitPolicies[kind];
  switch (scope) {
    case "request":
      return undefined;
    case "account":
      // A limit of the free models leaves the paid ones alone; an empty account does not.
      if (limits !== undefined) return { id: poolId(candidate) ?? accountId(candidate), limits };
      return { id: accountId(candidate), limits: shutPolicies.account };
    case "key":
      // A key that was never there is the config's affair, and may be there at the next request.
      if (kind === "no-key") return undefined;
      return { id: keyId(candidate) ?? accountId(candidate), limits: limits ?? shutPolicies.key };
    case "model":
      // Several keys have each a limit of their own.
      if (limits !== undefined) return { id: pooledModelId(candidate) ?? modelId(candidate), limits };
      return countsForBreaker === "no" ? undefined : { id: modelId(candidate) };
    case "provider":
      if (limits !== undefined) return { id: providerId(candidate), limits };
      return countsForBreaker === "no" ? undefined : { id: providerId(candidate) };
    default:
      return scope satisfies never;
  }
}

/** Limits shut what they are limits of at once; everything else has to add up. */
const limitPolicies: Partial<Record<FailureKind, Blamed["limits"]>> = {
  "rate-limit": shutPolicies.rateLimit,
  "ramp-up": shutPolicies.rampUp,
  quota: shutPolicies.quota,
};

const nothingProbed: readonly string[] = [];

type Ending =
  | { kind: "served" }
  | { kind: "served badly"; flaw: Flaw }
  | { kind: "failed"; failure: Failure }
  | { kind: "unknown" };

/** One object rather than a closure for each ending: there is one for every attempt. */
class Admitted implements Ticket {
  #isSettled = false;

  readonly health: Health;
  readonly candidate: Candidate;
  readonly startedAt: number;
  readonly probed: readonly string[];
  readonly refund: () => void;

  /** @param probed what this attempt is the probe of; another's probe is not its to end */
  constructor(health: Health, candidate: Candidate, startedAt: number, probed: readonly string[], refund: () => void) {
    this.health = health;
    this.candidate = candidate;
    this.startedAt = startedAt;
    this.probed = probed;
    this.refund = refund;
  }

  served(): void {
    this.#settle({ kind: "served" });
  }

  servedBadly(flaw: Flaw): void {
    this.#settle({ kind: "served badly", flaw });
  }

  failed(failure: Failure): void {
    this.#settle({ kind: "failed", failure });
  }

  unknown(): void {
    this.#settle({ kind: "unknown" });
  }

  #settle(ending: Ending): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.health.settle(this, ending);
  }
}

function refuse({ id, what, isMany }: Dependency, circuit: Circuit, now: number): Refusal {
  const isProbing = stateOf(circuit, now) === "half-open";
  const verb = isMany ? "are" : "is";
  const reason = isProbing
    ? `${what} ${verb} being tried by another request`
    : `${what} ${verb} resting: ${circuit.reason}`;
  const backAt = isProbing ? now + probeWaitMs : circuit.until;
  return { reason, kind: circuit.kind || "upstream", backAt, circuit: id };
}

/** What a probe takes to tell, for those who wait for it (ms). */
const probeWaitMs = 2_000;

interface Dependency {
  id: string;
  /** For people. */
  what: string;
  isMany?: true;
}

/** In the order in which a person would want to be told: the widest first. */
function dependencies(candidate: Candidate): Dependency[] {
  const { provider, model } = candidate;
  const key = keyId(candidate);
  const pool = poolId(candidate);
  const pooled = pooledModelId(candidate);
  return [
    { id: providerId(candidate), what: provider },
    { id: accountId(candidate), what: `the account at ${provider}` },
    ...(pool === undefined
      ? []
      : [{ id: pool, what: `the ${candidate.pool} models of ${provider}`, isMany: true as const }]),
    ...(key === undefined ? [] : [{ id: key, what: `key ${candidate.keyId} of ${provider}` }]),
    { id: modelId(candidate), what: model },
    ...(pooled === undefined ? [] : [{ id: pooled, what: `${model} with key ${candidate.keyId}` }]),
  ];
}

function providerId({ provider }: Candidate): string {
  return `provider:${provider}`;
}

function accountId({ provider }: Candidate): string {
  return `account:${provider}`;
}

function keyId({ provider, keyId: key }: Candidate): string | undefined {
  return key === undefined ? undefined : `key:${provider}${key}`;
}

/** A model's limit as one of several keys has it. */
function pooledModelId({ provider, model, keyId: key, hasOtherKeys }: Candidate): string | undefined {
  return key === undefined || !hasOtherKeys ? undefined : `${modelId({ provider, model })}${key}`;
}

export function modelId({ provider, model }: Pick<Candidate, "provider" | "model">): string {
  return `model:${provider}:${model}`;
}

/** All of OpenRouter's free models draw on one bucket of the account. */
export const freePool = "free:openrouter";

function poolId({ provider, pool }: Candidate): string | undefined {
  return pool === undefined ? undefined : `${pool}:${provider}`;
}
