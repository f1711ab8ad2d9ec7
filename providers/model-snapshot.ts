/** The snapshot of model data that `scripts/model-snapshot.ts` makes: what is known before anybody was asked. */

import type { ModelCatalogue } from "./model-facts.ts";
import snapshot from "./model-snapshot.json" with { type: "text" };

/** As text until it is wanted: evaluated as code it costs a launch 2 ms, parsed 0.5. */
export function readModelSnapshot(): ModelCatalogue {
  return JSON.parse(snapshot as unknown as string).providers;
}
