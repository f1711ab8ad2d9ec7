/** What a recorded failure means, in words for somebody who has never seen a status code. Pure. */

import type { Failure, FailureKind } from "../../providers/failure.ts";
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

/** `429: the account's free models are used up until 00:00 UTC`. */
export function explainFailure(why: RecordedFailure): string {
  const status = why.status === null ? "" : `${why.status}: `;
  return `${status}${words[why.kind]?.(why) ?? why.kind}${renderUntil(why)}`;
}

const limitOwners = {
  account: "the account's limit is reached",
  key: "this key's limit is reached",
  provider: "the provider's limit is reached",
  model: "the model's limit is reached",
  request: "a limit is reached",
} as const satisfies Record<Failure["scope"], string>;

function explainLimit({ scope, provider, model, message }: RecordedFailure): string {
  const isFreePool = scope === "account" && provider === "openrouter" && model.endsWith(":free");
  if (!isFreePool) return limitOwners[scope ?? "model"];
  return /per-min/.test(message)
    ? "the account's free models have had their requests of this minute"
    : "the account's free models are used up";
}

/** THE table of meanings, for each kind that `providers/failure.ts` tells apart. */
const words: Readonly<Record<FailureKind, (why: RecordedFailure) => string>> = {
  network: () => "the provider could not be reached, or the connection broke",
  timeout: ({ status, durationMs }) =>
    status === null ? `nothing came for ${renderSpan(durationMs)}` : "the provider ran out of time itself",
  "rate-limit": explainLimit,
  quota: (why) => `${explainLimit(why)}, for a day or longer`,
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
  moderation: () => "the provider refuses what the request says",
  "bad-request": () => "the request itself was refused, as every model would have to",
  "too-large": () => "the request is too large for this server",
  "no-key": () => "there is no key for this provider",
  unsupported: () => "the model cannot do what the request needs",
  untranslatable: () => "the request cannot be said in the provider's protocol",
  stopped: () => "the gateway was stopped",
  aborted: ({ message }) => (message === fasterRival ? "another candidate was faster" : "the client left"),
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
