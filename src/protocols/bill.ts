/** What an upstream itself says that an answer has cost: OpenRouter's `usage.cost`, in each of its three protocols. */

import type { JsonObject } from "./chat.ts";
import { isObject } from "./json.ts";

/**
 * In US dollars. Where the user's own key for the model's vendor stands in his account there (`is_byok`), `cost` is the fee
 * alone, often 0, and the vendor's bill stands beside it; elsewhere that is a part of `cost`.
 */
export function readBill(usage: JsonObject): number | undefined {
  const cost = readDollars(usage["cost"]);
  if (usage["is_byok"] !== true) return cost;
  const details = usage["cost_details"];
  const vendors = isObject(details) ? readDollars(details["upstream_inference_cost"]) : undefined;
  // A fee without the bill that it belongs to says less than the list does.
  return vendors === undefined ? undefined : (cost ?? 0) + vendors;
}

function readDollars(value: JsonObject[string] | undefined): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}
