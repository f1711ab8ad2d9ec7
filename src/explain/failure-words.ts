/** What a recorded failure means, in words for somebody who has never seen a status code. Pure. */

import { catalog, type ProviderRow } from "../../providers/catalog.ts";
import type { Failure, FailureKind } from "../../providers/failure.ts";
import { poolOf } from "../../providers/registry.ts";
import { renderClock, renderSpan } from "./clock.ts";

/** A failed attempt as the ledger has it. */
export interface RecordedFailure {
  kind: FailureKind;
  scope: Failure["scope"] | null;
  provider: string;
  model: string;
  status: number | null;
  /** The upstream's own words. */
  message: string;
  retryAfterMs: number | null;
  /** Milliseconds since 1970. */
  endedAt: number;
  durationMs: number;
}

/** Said of a hedged attempt whose rival answered first; the cascade writes it. */
export const fasterRival = "another candidate was faster";
/** Said of one whose request ended otherwise: the client left, or its rival was told that the request itself is wrong. */
export const overBefore = "the request was over before it answered";

/** `429: the account's free models are used up until 00:00 UTC`. */
export function explainFailure(why: RecordedFailure): string {
  const status = why.status === null ? "" : `${why.status}: `;
  return `${status}${words[why.kind]?.(why) ?? why.kind}${renderUntil(why)}`;
}

const limitOwners = {
  account: "the account's",
  key: "this key's",
  provider: "the provider's",
  model: "the model's",
  request: "a",
} as const satisfies Record<Failure["scope"], string>;

/** A rate limit is over in minutes, a quota is not. */
function explainLimit({ kind, scope, provider, model }: RecordedFailure): string {
  const pool = scope === "account" ? findPool(provider, model) : undefined;
  const isForLong = kind === "quota";
  if (pool !== undefined) {
    return `the account's ${pool} models ${isForLong ? "are used up" : "have had their requests of this minute"}`;
  }
  return `${limitOwners[scope ?? "model"]} ${isForLong ? "quota is used up" : "limit is reached"}`;
}

/** Models that share a limit, as the catalogue has them. */
function findPool(provider: string, model: string): string | undefined {
  const row: ProviderRow | undefined = Object.hasOwn(catalog, provider)
    ? catalog[provider as keyof typeof catalog]
    : undefined;
  return poolOf({ pools: row?.pools ?? [] }, model);
}

/** THE table of meanings, for each kind that `providers/failure.ts` tells apart. */
const words: Readonly<Record<FailureKind, (why: RecordedFailure) => string>> = {
  network: () => "the provider could not be reached, or the connection broke",
  timeout: ({ status, durationMs }) =>
    status === null ? `nothing came for ${renderSpan(durationMs)}` : "the provider ran out of time itself",
  "rate-limit": explainLimit,
  quota: explainLimit,
  "ramp-up": () => "the provider wants its traffic to grow more slowly",
  overloaded: () => "the model has too much to do at the moment",
  upstream: () => "the provider failed",
  malformed: () => "the answer was not in the form that its protocol asks for",
  empty: () => "the answer had nothing in it",
  truncated: () => "the answer was cut off at the output limit",
  "no-tool-call": () => "a tool had to be called, and none was",
  "bad-tool-call": () => "it called a tool with broken arguments",
  auth: () => "the provider does not accept the key",
  billing: () => "the account has to be paid first",
  permission: () => "the key may not use this model",
  "not-found": () => "the provider does not have this model",
  "context-overflow": () => "the conversation does not fit into the model's window",
  "bad-request": () => "the request itself was refused, as every model would have to",
  moderation: () => "it was refused for what it says",
  "too-large": () => "the request is too large, for every model alike",
  "no-key": () => "there is no key for this provider",
  unsupported: () => "the model cannot do what the request needs",
  untranslatable: () => "the request cannot be said in the provider's protocol",
  stopped: () => "the gateway was stopped",
  aborted: ({ message }) => (message === fasterRival || message === overBefore ? message : "the client left"),
};

const noticedHere: ReadonlySet<FailureKind> = new Set([
  "network",
  "timeout",
  "malformed",
  "empty",
  "truncated",
  "no-tool-call",
  "bad-tool-call",
  "no-key",
  "unsupported",
  "untranslatable",
  "stopped",
  "aborted",
]);

/** Whether a failure's message is the upstream's own; otherwise the gateway has noticed something by itself. */
export function isUpstreamsWord({ kind, status }: { kind: FailureKind; status: number | null }): boolean {
  return !noticedHere.has(kind) || (kind === "timeout" && status !== null);
}

function renderUntil({ retryAfterMs, endedAt }: RecordedFailure): string {
  return retryAfterMs === null || retryAfterMs <= 0 ? "" : ` until ${renderClock(endedAt + retryAfterMs, endedAt)}`;
}
