/** Fail-over that OpenRouter does itself (`fallback_method`): up to three of its models in one request. Pure. */

import type { Config } from "../config/schema.ts";
import type { JsonObject } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";
import type { Target } from "./router.ts";

/** More are refused: "'models' array must have 3 items or fewer." */
const maxModels = 3;

/**
 * Neighbours at OpenRouter become one target. `both` goes on with the next three; `openrouter_native` leaves it at the first,
 * unless it has none of OpenRouter's to begin with.
 * @param isOpen whether the model may be asked now: one that is resting would only use up a place
 */
export function groupForOpenRouter(
  targets: readonly Target[],
  method: Config["fallback_method"],
  isOpen: (target: Target) => boolean,
): readonly Target[] {
  if (method === "cascade") return targets;
  const groups: Target[][] = [];
  for (const target of targets) {
    const last = groups.at(-1);
    const joins = canJoin(target) && isOpen(target);
    if (
      joins &&
      last !== undefined &&
      last.length < maxModels &&
      last.every((member) => canJoin(member) && isOpen(member))
    )
      last.push(target);
    else groups.push([target]);
  }
  const grouped = groups.map(([first, ...others]) => (others.length === 0 ? first : { ...first, others })) as Target[];
  const [first] = grouped;
  return method === "openrouter_native" && first !== undefined && canJoin(first) ? [first] : grouped;
}

function canJoin({ provider, credential }: Target): boolean {
  return provider.id === "openrouter" && credential === "ours";
}

/** @see https://openrouter.ai/docs/features/model-routing, and provider-routing; the same fields in all three protocols */
export function addFallbacks(
  body: JsonObject,
  { model, others = [] }: Target,
  { hasTools, session }: { hasTools: boolean; session: string | undefined },
): JsonObject {
  const own = isObject(body["provider"]) ? body["provider"] : {};
  const provider = { sort: "throughput", ...(hasTools && { require_parameters: true }), ...own };
  return {
    ...body,
    models: [model, ...others.map((other) => other.model)],
    provider,
    // Keeps the session at one provider, whose prompt cache it has filled.
    ...(session !== undefined && body["session_id"] === undefined && { session_id: session.slice(0, 256) }),
  };
}
