/** Whether the providers that this config can ask are there and take their keys; and, by their clocks, whether ours is right. */

import { checkKey, type KeyCheck, type KeyCheckDeps } from "../../providers/key-check.ts";
import { parseModelReference } from "../../providers/model-reference.ts";
import type { Provider, Providers } from "../../providers/registry.ts";
import type { Config } from "../config/schema.ts";
import { renderSpan } from "../explain/clock.ts";
import { tierModels, tierNames } from "../model-tiers.ts";
import { type Check, type Finding, fail, ok, warn } from "./finding.ts";

export interface ProviderPlace {
  config: Config;
  providers: Providers;
  deps: KeyCheckDeps;
}

/** Keys of one pool that are tried; more say nothing new and cost calls. */
const maxKeys = 8;

/** Both areas hang on the same calls. */
export function checkProviders(place: ProviderPlace): Check {
  return { area: "providers", look: () => lookAtProviders(place) };
}

async function lookAtProviders({ config, providers, deps }: ProviderPlace): Promise<Finding[]> {
  const needed = neededProviders(config, providers);
  const used = [...providers.values()].filter(
    ({ id, key, isBuiltIn, local }) =>
      needed.has(id) || config.providers[id] !== undefined || (isBuiltIn && key !== undefined && local === undefined),
  );
  const looks = await Promise.all(
    used.map(async (provider) => {
      const { id, keys, keySource, local } = provider;
      const isNeeded = needed.get(id);
      if (keys.length === 0 && keySource !== undefined) {
        return { findings: [describeMissing(provider, isNeeded)], checks: [] };
      }
      const asked = keys.length === 0 ? [undefined] : keys.slice(0, maxKeys).map(({ value }) => value);
      const checks = await Promise.all(asked.map((key) => checkKey(provider, key, deps)));
      const findings = checks.map((check, at) => {
        const which = keys.length > 1 ? ` key ${keys[at]?.id}` : "";
        return describeCheck(`${id}${which}`, provider, check, isNeeded, local !== undefined);
      });
      return { findings, checks };
    }),
  );
  const findings = looks.flatMap((look) => look.findings);
  const clock = judgeClock(looks.flatMap(({ checks }, at) => checks.map((check) => ({ check, provider: used[at] }))));
  const none = fail("providers", "no provider can be asked: none has a key", "clutch init, or set OPENROUTER_API_KEY");
  return [...(used.length === 0 ? [none] : findings), clock];
}

/** Those that a tier names, with the first setting that does. */
export function neededProviders(config: Config, providers: Providers): Map<string, string> {
  const needed = new Map<string, string>();
  for (const tier of tierNames) {
    for (const [at, name] of tierModels(tier, true, config).entries()) {
      if (name === "") continue;
      const { provider } = parseModelReference(name, (id) => providers.has(id), config.default_provider);
      if (!needed.has(provider)) needed.set(provider, at === 0 ? `${tier}'s first model` : `${tier}'s cascade`);
    }
  }
  return needed;
}

function describeMissing({ id, keySource }: Provider, isNeeded: string | undefined): Finding {
  const text = `${id} has no key${isNeeded === undefined ? "" : `, and ${isNeeded} is asked of it`}`;
  return isNeeded === undefined ? warn("providers", text, keySource) : fail("providers", text, keySource);
}

function describeCheck(
  name: string,
  { id, urls, keySource }: Provider,
  check: KeyCheck,
  isNeeded: string | undefined,
  isLocal: boolean,
): Finding {
  const { verdict, detail, durationMs } = check;
  const where = Object.values(urls)[0]?.replace(/^(https?:\/\/[^/]+).*$/, "$1") ?? "";
  // What no tier needs keeps nobody from working.
  const bad = isNeeded === undefined ? warn : fail;
  switch (verdict) {
    case "accepted":
      return ok("providers", `${name} ${keySource === undefined ? "answers" : "takes its key"} (${durationMs} ms)`);
    case "unproven":
      return ok("providers", `${name} answers (${durationMs} ms), which says nothing of its key: ${detail}`);
    case "limited":
      return warn("providers", `${name} takes its key, and is limited for now (${detail})`, "clutch quota tells more");
    case "unpaid":
      return bad(
        "providers",
        `${name} wants money first (${detail})`,
        `add credit at ${id}'s site, or use another key`,
      );
    case "refused":
      return bad(
        "providers",
        `${name} refuses its key (${detail})`,
        keySource ?? `give it a key: providers.${id}.api_key`,
      );
    case "failing":
      return bad(
        "providers",
        `${name} answers with an error (${detail})`,
        "try again later; the cascade passes it over",
      );
    case "unreachable": {
      const fix = isLocal || /127\.0\.0\.1|localhost/.test(where) ? "start it" : "check the network and its base_url";
      return bad("providers", `${name} is not to be reached at ${where}: ${detail}`, fix);
    }
    default:
      return verdict satisfies never;
  }
}

/** What a wrong clock begins to break: free quotas' days, waits that a provider tells as a time, signed requests (ms). */
const skewLimits = { warn: 30_000, fail: 300_000 };

/** By the provider that agrees best, since one of them may be wrong itself; those elsewhere before those on this machine. */
export function judgeClock(
  answers: readonly { check: Pick<KeyCheck, "clock" | "durationMs">; provider: Pick<Provider, "urls"> | undefined }[],
): Finding {
  const told = answers.flatMap(({ check: { clock, durationMs }, provider }) => {
    if (clock === undefined) return [];
    const isHere = Object.values(provider?.urls ?? {}).some((url) => /\/\/(?:127\.|localhost|\[::1\])/.test(url));
    // The header has whole seconds, and was made at some moment of the call.
    return [{ skewMs: clock.theirs + 500 - (clock.ours - durationMs / 2), isHere }];
  });
  const elsewhere = told.filter(({ isHere }) => !isHere);
  const skews = (elsewhere.length > 0 ? elsewhere : told).map(({ skewMs }) => skewMs);
  const [least] = skews.sort((a, b) => Math.abs(a) - Math.abs(b));
  if (least === undefined) return ok("clock", "no provider told the time");
  const off = Math.abs(least);
  if (off < skewLimits.warn) return ok("clock", "agrees with the providers'");
  const text = `this machine's clock is ${renderSpan(off)} ${least > 0 ? "behind" : "ahead"} by the providers' clocks`;
  const fix = process.platform === "linux" ? "timedatectl set-ntp true" : "set the time automatically in the settings";
  return off < skewLimits.fail ? warn("clock", text, fix) : fail("clock", text, fix);
}
