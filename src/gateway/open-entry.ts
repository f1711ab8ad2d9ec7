/** A request's row as it begins, and who is going to pay for it. */

import { renderModelReference } from "../../providers/model-reference.ts";
import type { Protocol } from "../protocols/chat.ts";
import type { Ledger, LedgerEntry, TrailSource } from "./ledger.ts";
import type { Caller } from "./recognise.ts";
import type { RoutePlan } from "./router.ts";

export interface Opening {
  id: string;
  protocol: Protocol;
  stream: boolean;
  /** As the client named it. */
  model: string;
  caller: Caller;
  plan: Pick<RoutePlan, "rule" | "targets" | "tier">;
  /** Milliseconds since 1970. */
  now: number;
}

/** Every column stands in the row from its beginning, in one literal: a row that changes its shape is written into memory twice. */
export function openEntry(
  { id, protocol, stream, model, caller, plan, now }: Opening,
  ledger: Ledger,
  trail?: TrailSource,
): LedgerEntry {
  const { launch } = caller;
  const { rule, tier } = plan;
  const [first] = plan.targets;
  const entry = ledger.begin(
    {
      id,
      startedAt: now,
      status: "pending",
      protocol,
      streamed: stream,
      agent: caller.agent ?? null,
      code: launch?.code ?? null,
      launchId: launch?.launchId ?? null,
      session: caller.session ?? null,
      folder: null,
      tier: launch?.tier ?? tier ?? null,
      keyId: caller.grant?.id ?? null,
      modelRequested: model.slice(0, 256),
      rule,
      trail: null,
      servedBy: null,
      servedProtocol: null,
      attempts: 0,
      httpStatus: null,
      error: null,
      inputTokens: null,
      cacheReadTokens: null,
      cacheWriteTokens: null,
      outputTokens: null,
      reasoningTokens: null,
      usageEstimated: null,
      costUsd: null,
      pricing: null,
      priceSource: null,
      priceAt: null,
      firstChoice:
        first === undefined ? null : renderModelReference({ provider: first.provider.id, model: first.model }),
      firstChoiceUsd: null,
      compressionUsd: null,
      durationMs: null,
      firstTokenMs: null,
      compression: null,
      tokensBefore: null,
      tokensAfter: null,
    },
    trail,
  );
  entry.isOwnLogin = first?.credential === "client" && !isApiKey(caller.key);
  return entry;
}

/** Of Anthropic's or OpenAI's platform, where tokens are billed; `sk-ant-oat` and anything else is the login of a plan. */
export function isApiKey(key: string | undefined): boolean {
  return key?.startsWith("sk-") === true && !key.startsWith("sk-ant-oat");
}

/** Sorts by time, short enough to type: 8 characters of milliseconds and 6 random ones, base 36. */
export function makeId(now: number): string {
  // Whole numbers, since a fraction takes several times as long to write in base 36.
  return (
    now.toString(36) +
    Math.floor(Math.random() * 36 ** 6)
      .toString(36)
      .padStart(6, "0")
  );
}
