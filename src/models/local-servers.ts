/**
 * What the model servers on this machine have, as rows of the catalogue: there while their server is. Asking them costs
 * nothing where nothing listens, and leaves other programs at their usual ports alone.
 */

import { type FoundServer, type LocalModel, localServers, probeLocal, rootOf } from "../../providers/local-probe.ts";
import type { ModelCatalogue, ModelFacts } from "../../providers/model-facts.ts";
import { type Provider, type Providers, poolOf } from "../../providers/registry.ts";
import type { Fetch } from "../../providers/upstream.ts";

export interface LocalLookDeps {
  /** As they are now. */
  providers(): Providers;
  /** One that keeps away from the user's proxy. */
  fetch: Fetch;
  now(): number;
}

/**
 * By provider; only those whose server is there. Never throws.
 * @param isAnew asks at every address, whatever was found there before
 */
export type LocalLook = (isAnew?: boolean) => Promise<ModelCatalogue>;

/** Whatever else listens at a usual port, such as a web server under development, need not find us in its log every minute. */
const strangerMs = 10 * 60_000;

/** One that can be asked again and again, and remembers: what is told of a model only while it is in memory stays known. */
export function localLook({ providers, fetch, now }: LocalLookDeps): LocalLook {
  const strangers = new Map<string, number>();
  const known = new Map<string, LocalModel>();
  return async (isAnew = false) => {
    const all = providers();
    if (isAnew) strangers.clear();
    const servers = localServers(all.values()).filter(({ id, root }) => {
      const isMoved = all.get(id)?.isBuiltIn !== true;
      return isMoved || now() >= (strangers.get(root) ?? 0);
    });
    const found = await probeLocal(servers, {
      fetch,
      onStranger: ({ root }) => strangers.set(root, now() + strangerMs),
    });
    const recalled = found.map(({ id, models }) => ({
      id,
      models: models.map((model) => {
        const whole = { ...known.get(`${id}:${model.id}`), ...model };
        known.set(`${id}:${model.id}`, whole);
        return whole;
      }),
    }));
    return localRows(recalled, all);
  };
}

/** Pure. A provider of the user's own at the address of a server that was found has the same models. */
export function localRows(found: readonly FoundServer[], providers: Providers): ModelCatalogue {
  const modelsAt = new Map(found.map(({ id, models }) => [rootOf(providers.get(id)), models]));
  const here = [...providers.values()].flatMap((provider): [Provider, LocalModel[]][] => {
    const models = found.find(({ id }) => id === provider.id)?.models;
    const same = provider.local === undefined ? modelsAt.get(rootOf(provider)) : undefined;
    const either = models ?? same;
    return either === undefined ? [] : [[provider, either]];
  });
  return Object.fromEntries(
    here.map(([provider, models]) => [
      provider.id,
      Object.fromEntries(models.map((model) => [model.id, factsOf(provider, model)])),
    ]),
  );
}

function factsOf(provider: Provider, { id, context, maxContext, image, tools }: LocalModel): ModelFacts {
  return {
    // No server of these kinds limits an answer otherwise.
    ...(context !== undefined && { context, output: context }),
    ...(maxContext !== undefined && { maxContext }),
    ...(image !== undefined && { image }),
    ...(tools !== undefined && { tools }),
    // Ollama lists models of its cloud beside those of the machine.
    ...(poolOf(provider, id) === undefined ? { isFree: true } : { isPlan: true }),
    list: "local",
  };
}
