/** The snapshot of model data that `scripts/model-snapshot.ts` makes: what is known before anybody was asked. */

import type { ModelCatalogue, ModelFacts } from "./model-facts.ts";
import snapshot from "./model-snapshot.json" with { type: "text" };

interface SnapshotFile {
  /** The day (YYYY-MM-DD) its source was made. */
  taken_at: string;
  providers: ModelCatalogue;
}

/** As text until it is wanted: evaluated as code it costs a launch 2 ms, parsed 0.5. Windows, output limits, prices. */
export function readModelSnapshot(): ModelCatalogue {
  return parse().providers;
}

/** The same with what its rows leave unsaid: all of them take tools, and which of them are free. */
export function readWholeSnapshot(): { takenAt: string; catalogue: ModelCatalogue } {
  const { taken_at: takenAt, providers } = parse();
  const catalogue = Object.fromEntries(
    Object.entries(providers).map(([provider, models]) => [
      provider,
      Object.fromEntries(Object.entries(models).map(([id, facts]) => [id, complete(provider, id, facts)])),
    ]),
  );
  return { takenAt, catalogue };
}

function complete(provider: string, id: string, facts: ModelFacts): ModelFacts {
  const isZero = facts.usd?.[0] === 0 && facts.usd[1] === 0;
  const isFree = isZero && provider === "openrouter" && id.endsWith(":free");
  return {
    ...facts,
    tools: true,
    ...(isFree ? { isFree } : isZero && { isPlan: true as const }),
    list: "snapshot",
  };
}

function parse(): SnapshotFile {
  return JSON.parse(snapshot as unknown as string);
}
