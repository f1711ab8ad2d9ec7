/** The predecessor's `~/.xx/config.json`: what has the same name means the same; selectors and profiles are the launcher's here. Pure. */

import { configSchema } from "../config/schema.ts";
import { namedTiers } from "../launch-code.ts";
import type { Json, JsonObject } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";
import type { Draft } from "./draft.ts";

/** Its selectors' names, and the letters they have here. */
const selectorLetters: Readonly<Record<string, string>> = { best: "m", free: "f" };

export function migrateXx(file: Json, draft: Draft): void {
  draft.begin("config.json");
  if (!isObject(file)) {
    draft.leave("the file", "it is no object");
    return;
  }
  const { proxy, selectors, profiles, auto_start, default_provider, $schema, ...rest } = file;
  if (typeof default_provider === "string") draft.setDefaultProvider(default_provider, "default_provider");
  takeProxy(isObject(proxy) ? proxy : {}, auto_start, draft);
  takeSelectors(isObject(selectors) ? selectors : {}, draft);
  takeProfiles(isObject(profiles) ? profiles : {}, draft);
  for (const [key, value] of Object.entries(rest)) if (value !== undefined) takeAsItIs(key, value, draft);
}

function takeProxy(
  { base_url, health_url, auto_start, ...rest }: JsonObject,
  outer: Json | undefined,
  draft: Draft,
): void {
  const start = auto_start ?? outer;
  const from = auto_start === undefined ? "auto_start" : "proxy.auto_start";
  if (typeof start === "boolean") draft.set(["proxy", "auto_start"], start, from);
  if (typeof base_url === "string" && URL.canParse(base_url)) {
    const { hostname, port } = new URL(base_url);
    const isHere = /^(127\.0\.0\.1|localhost|\[::1\])$/.test(hostname);
    if (!isHere) draft.set(["proxy", "base_url"], base_url, "proxy.base_url");
    else if (port !== "" && port !== "8082") draft.set(["server", "port"], Number(port), "proxy.base_url");
    else draft.carry("proxy.base_url", "the default address");
  } else if (base_url !== undefined) {
    draft.leave("proxy.base_url", "it is no address");
  }
  if (health_url !== undefined) draft.leave("proxy.health_url", "the gateway is asked where it is");
  for (const key of Object.keys(rest))
    draft.leave(`proxy.${key}`, "Clutch finds Headroom and the rest by the chain's services");
}

/** Which model a letter of the launch code means. */
function takeSelectors(selectors: JsonObject, draft: Draft): void {
  for (const [name, value] of Object.entries(selectors)) {
    const from = `selectors.${name}`;
    const model = typeof value === "string" ? value : isObject(value) ? value["model"] : undefined;
    const letter = selectorLetters[name] ?? name;
    if (typeof model !== "string" || model === "" || model === "auto") {
      draft.leave(from, "it names no model: Clutch chooses one by its own list");
    } else if (Object.hasOwn(namedTiers, letter)) {
      draft.set(["launcher", "tiers", letter], model, from);
    } else {
      draft.leave(from, `there is no such letter here: give ${model} a digit in launcher.profiles`);
    }
  }
}

function takeProfiles(profiles: JsonObject, draft: Draft): void {
  for (const [digit, value] of Object.entries(profiles)) {
    const from = `profiles.${digit}`;
    if (!/^[0-9]$/.test(digit)) {
      draft.leave(from, "a profile has a digit here");
      continue;
    }
    const profile = typeof value === "string" && /[/:]/.test(value) ? { model: value } : value;
    if (!isObject(profile)) {
      draft.leave(from, "it is the name of a profile of the old gateway: name its model in launcher.profiles");
      continue;
    }
    takeAsItIs("profiles", { [digit]: profile }, draft, ["launcher"]);
  }
}

/** Member by member, so that one that does not hold leaves the others in force. */
function takeAsItIs(key: string, value: Json, draft: Draft, under: readonly string[] = []): void {
  const wanted = under.reduceRight<JsonObject>((inner, name) => ({ [name]: inner }), { [key]: structuredClone(value) });
  for (let guard = 0; guard < 100; guard++) {
    const result = configSchema.safeParse(wanted);
    if (result.success) break;
    const [issue] = result.error.issues;
    if (issue === undefined) break;
    const path = issue.path.map(String);
    const bad = issue.code === "unrecognized_keys" ? issue.keys.map((name) => [...path, name]) : [path];
    for (const at of bad) {
      const reason =
        issue.code === "unrecognized_keys" ? "no setting of Clutch's corresponds to it" : issue.message.toLowerCase();
      draft.leave(at.slice(under.length).join("."), reason);
      removeAt(wanted, at);
    }
  }
  let here: Json | undefined = wanted;
  for (const name of [...under, key]) here = isObject(here) ? here[name] : undefined;
  if (here === undefined) return;
  draft.set([...under, key], here, key);
}

function removeAt(holder: JsonObject, path: readonly string[]): void {
  let here: Json | undefined = holder;
  for (const key of path.slice(0, -1)) {
    here = Array.isArray(here) ? here[Number(key)] : isObject(here) ? here[key] : undefined;
  }
  const last = path.at(-1) ?? "";
  if (Array.isArray(here)) here.splice(Number(last), 1);
  else if (isObject(here)) delete here[last];
}
