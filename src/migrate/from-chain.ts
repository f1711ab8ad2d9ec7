/** The predecessor's `proxy_chain.json`: its services, routes, assignments and mappings. Pure. */

import { findRow } from "../../providers/catalog.ts";
import { type TierName, tierNames } from "../model-tiers.ts";
import type { Json, JsonObject } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";
import { type Draft, takeLiteral } from "./draft.ts";
import { readRouteModel, scriptReason } from "./from-env.ts";
import { splitCommand } from "./shell-words.ts";

export function migrateChain(file: Json, draft: Draft): void {
  draft.begin("proxy_chain.json");
  if (!isObject(file)) {
    draft.leave("the file", "it is no object");
    return;
  }
  const { entries, router, assignments, identifier_mappings, model_scan, schema_version, version, ...rest } = file;
  for (const entry of objects(entries)) takeEntry(entry, draft);
  const known = takeAssignments(objects(assignments), draft);
  takeRouter(isObject(router) ? router : {}, known, draft);
  takeMappings(objects(identifier_mappings), known, draft);
  if (model_scan !== undefined) {
    draft.leave("model_scan", "Clutch reads model-scan's snapshot where it usually is, by itself (tiers m and f)");
  }
  for (const key of Object.keys(rest)) draft.leave(key, "no setting of Clutch's corresponds to it");
}

function objects(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function text(value: Json | undefined): string | undefined {
  return typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;
}

// ---- services

type Member = "gateway" | "headroom" | "cliproxyapi" | "rtk";

const members: readonly { id: Member; names: RegExp; port?: number }[] = [
  { id: "headroom", names: /headroom/i, port: 8787 },
  { id: "cliproxyapi", names: /cli-?proxy/i, port: 8317 },
  { id: "rtk", names: /^rtk\b/i },
  { id: "gateway", names: /gateway|clutch|claude-code-proxy|^proxy$/i, port: 8082 },
];

function memberOf(entry: JsonObject): Member | undefined {
  const names = [text(entry["id"]), text(entry["name"])].filter((name) => name !== undefined);
  const byName = members.find((member) => names.some((name) => member.names.test(name)));
  return (byName ?? members.find(({ port }) => port !== undefined && port === entry["port"]))?.id;
}

/** What Clutch cannot do with an entry of any kind. */
const idle: Readonly<Record<string, string>> = {
  service_stop_cmd: "a service is ended by signals",
  auth_key: "services of the chain are not asked with a key",
  model_prefixes: "routes name the provider themselves",
  extra_headers: "headers belong to providers.<id>.headers",
};

function takeEntry(entry: JsonObject, draft: Draft): void {
  const member = memberOf(entry);
  const from = `entries.${text(entry["id"]) ?? text(entry["name"]) ?? "?"}`;
  const command = text(entry["service_cmd"]);
  const isUpstream =
    member === undefined && command === undefined && entry["type"] !== "cli_wrapper" && isRemote(entry);
  if (isUpstream) {
    takeUpstream(entry, from, draft);
    return;
  }
  for (const [key, reason] of Object.entries(idle)) {
    if (!isNothing(entry[key])) draft.leave(`${from}.${key}`, reason);
  }
  if (member === "gateway") {
    const port = portOf(entry);
    if (port !== undefined) draft.set(["server", "port"], port, `${from}.port`);
    if (command !== undefined) draft.leave(`${from}.service_cmd`, "the gateway is Clutch's own now");
    return;
  }
  if (member === "headroom" && entry["enabled"] === false) {
    draft.set(["headroom", "mode"], "off", `${from}.enabled`);
    return;
  }
  const service =
    member === undefined ? readService(entry, command, from, draft) : readMember(member, entry, from, draft);
  if (service === undefined) return;
  const { chain } = draft.config;
  const before = isObject(chain) && Array.isArray(chain["services"]) ? chain["services"] : [];
  draft.set(["chain", "services"], [...before, service], from);
}

function isNothing(value: Json | undefined): boolean {
  return (
    value === undefined ||
    value === null ||
    value === "" ||
    (typeof value === "object" && Object.keys(value).length === 0)
  );
}

function portOf(entry: JsonObject): number | undefined {
  const port = Number(
    entry["port"] ?? (URL.canParse(text(entry["url"]) ?? "") ? new URL(text(entry["url"]) ?? "").port : ""),
  );
  return Number.isInteger(port) && port >= 1 && port <= 65535 ? port : undefined;
}

function isRemote(entry: JsonObject): boolean {
  const url = text(entry["url"]);
  return (
    url !== undefined &&
    URL.canParse(url) &&
    (text(entry["auth_key"]) !== undefined || !/^(127\.|localhost$|\[::1\])/.test(new URL(url).hostname))
  );
}

/** An entry that Clutch could only ask, never start, is a provider. */
function takeUpstream(entry: JsonObject, from: string, draft: Draft): void {
  const key = takeLiteral(text(entry["auth_key"]), `${from}.auth_key`, draft);
  const id = draft.provider({ baseUrl: text(entry["url"]), key, hint: text(entry["id"]) ?? "upstream" }, from);
  const headers = isObject(entry["extra_headers"]) ? Object.entries(entry["extra_headers"]) : [];
  for (const [name, given] of headers) {
    const at = `${from}.extra_headers`;
    const value = typeof given === "string" ? takeLiteral(given, at, draft) : undefined;
    if (value !== undefined) draft.set(["providers", id, "headers", name], value, at);
  }
  if (!isNothing(entry["model_prefixes"])) draft.leave(`${from}.model_prefixes`, `name its models as ${id}:<model>`);
  if (entry["enabled"] === false) draft.leave(`${from}.enabled`, "a provider that no route names is not asked");
}

/** Only what differs from the built-in service. */
function readMember(member: Member, entry: JsonObject, from: string, draft: Draft): JsonObject | undefined {
  const usual = members.find(({ id }) => id === member)?.port;
  const port = portOf(entry);
  const isOn = entry["enabled"] !== false;
  const isUsuallyOn = member !== "cliproxyapi";
  const command = text(entry["service_cmd"]);
  if (command !== undefined)
    draft.leave(`${from}.service_cmd`, `Clutch starts ${member} itself, in the way that its version wants`);
  const service: JsonObject = {
    id: member,
    ...(isOn !== isUsuallyOn && { enabled: isOn }),
    ...(port !== undefined && port !== usual && member !== "rtk" && { port }),
  };
  if (Object.keys(service).length > 1) return service;
  draft.carry(from, `the built-in service ${member}`);
  return undefined;
}

function readService(
  entry: JsonObject,
  command: string | undefined,
  from: string,
  draft: Draft,
): JsonObject | undefined {
  const name = text(entry["name"]);
  const id = (text(entry["id"]) ?? name ?? "service")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 32);
  const isWrapper = entry["type"] === "cli_wrapper";
  const words = command === undefined ? undefined : splitCommand(command);
  if (command !== undefined && words === undefined) {
    draft.leave(from, "its command needs a shell: put it into a script, and clutch chain add it");
    return undefined;
  }
  const port = portOf(entry);
  if (id === "" || (!isWrapper && (words === undefined || port === undefined))) {
    draft.leave(from, words === undefined ? "it has no command to start it by" : "it has no port to ask it at");
    return undefined;
  }
  const healthPath = text(entry["health_path"]);
  const timeout = entry["timeout"];
  return {
    id,
    ...(name !== undefined && name !== id && { name }),
    ...(isWrapper && { type: "cli_wrapper" }),
    ...(entry["enabled"] === false && { enabled: false }),
    ...(typeof entry["order"] === "number" && Number.isInteger(entry["order"]) && { order: entry["order"] }),
    ...(!isWrapper && words !== undefined && { command: words }),
    ...(!isWrapper && port !== undefined && { port }),
    ...(!isWrapper &&
      healthPath !== undefined && { health_path: healthPath.startsWith("/") ? healthPath : `/${healthPath}` }),
    ...(!isWrapper && typeof timeout === "number" && timeout > 0 && timeout <= 3600 && { ready_seconds: timeout }),
  };
}

// ---- assignments, routes, mappings

interface Assignment {
  tier: TierName | undefined;
  /** A reference of ours. */
  model: string;
}

type Assignments = ReadonlyMap<string, Assignment>;

function takeAssignments(rows: readonly JsonObject[], draft: Draft): Assignments {
  const known = new Map<string, Assignment>();
  for (const row of rows) {
    const id = text(row["id"]);
    const model = text(row["model"]);
    const from = `assignments.${id ?? "?"}`;
    if (id === undefined || model === undefined) {
      draft.leave(from, id === undefined ? "it has no id" : "it names no model");
      continue;
    }
    if (row["enabled"] === false) {
      draft.leave(from, "it was switched off");
      continue;
    }
    const reference = referenceOf(row, model, id, from, draft);
    const cascade = (Array.isArray(row["cascade"]) ? row["cascade"] : []).flatMap((member): string[] => {
      if (typeof member === "string") return [member];
      const named = isObject(member) ? text(member["model"]) : undefined;
      return isObject(member) && named !== undefined ? [referenceOf(member, named, id, from, draft)] : [];
    });
    const tier =
      row["kind"] === "slot"
        ? undefined
        : tierNames.find((name) => new RegExp(`(^|[^a-z])${name}([^a-z]|$)`, "i").test(id));
    known.set(id, { tier, model: reference });
    if (tier === undefined) {
      if (row["kind"] === "tier") draft.leave(from, "its id names none of the tiers big, middle, small");
      else if (cascade.length > 0) draft.leave(`${from}.cascade`, "a slot is one model here; fallbacks follow it");
      continue;
    }
    draft.set(["model_tiers", tier, "default"], reference, from);
    if (cascade.length > 0) draft.set(["model_tiers", tier, "cascade"], cascade, `${from}.cascade`);
  }
  return known;
}

/** With its own provider, where it has one. */
function referenceOf(row: JsonObject, model: string, hint: string, from: string, draft: Draft): string {
  const [baseUrl, provider] = [text(row["base_url"]), text(row["provider"])];
  const key = takeLiteral(text(row["api_key"]), `${from}.api_key`, draft);
  if (baseUrl === undefined && key === undefined && provider === undefined) return readRouteModel(model);
  if (baseUrl === undefined && provider !== undefined && findRow(provider.toLowerCase()) === undefined) {
    draft.leave(
      `${from}.provider`,
      `no address is known of ${provider}: its model is asked of ${draft.defaultProvider}`,
    );
  }
  return draft.reference(draft.provider({ baseUrl, key, provider, usual: draft.defaultProvider, hint }, from), model);
}

const routes = [
  ["default", ["default"]],
  ["background", ["background"]],
  ["think", ["think"]],
  ["long_context", ["long_context", "model"]],
  ["web_search", ["web_search"]],
  ["image", ["image"]],
] as const;

function takeRouter(router: JsonObject, known: Assignments, draft: Draft): void {
  const isOff = router["disabled"] === true || router["passthrough"] === true;
  for (const [name, path] of routes) {
    const from = `router.${name}`;
    const route = router[name];
    const row = isObject(route) ? route : { model: route };
    const id = text(row["assignment_id"]);
    const assigned = id === undefined ? undefined : known.get(id);
    const model = text(row["model"]);
    if (model === undefined && id === undefined) continue;
    if (isOff)
      draft.leave(from, `the router was switched off (${router["disabled"] === true ? "disabled" : "passthrough"})`);
    else if (model !== undefined) draft.set(["routes", ...path], referenceOf(row, model, name, from, draft), from);
    else if (assigned !== undefined) draft.set(["routes", ...path], assigned.tier ?? assigned.model, from);
    else draft.leave(from, `there is no assignment ${id}`);
  }
  const threshold = router["long_context_threshold"];
  if (typeof threshold === "number" && Number.isInteger(threshold) && threshold > 0 && !isOff) {
    draft.set(["routes", "long_context", "threshold"], threshold, "router.long_context_threshold");
  }
  if (text(router["custom_router_path"]) !== undefined) draft.leave("router.custom_router_path", scriptReason);
}

/** The first of a name counts, by priority. */
function takeMappings(rows: readonly JsonObject[], known: Assignments, draft: Draft): void {
  const priority = (row: JsonObject) => (typeof row["priority"] === "number" ? row["priority"] : 0);
  const taken = new Set<string>();
  for (const row of rows.toSorted((a, b) => priority(b) - priority(a))) {
    const name = text(row["incoming_identifier"]);
    const id = text(row["assignment_id"]) ?? "";
    const from = `identifier_mappings.${name ?? "?"}`;
    const assigned = known.get(id);
    if (name === undefined) draft.leave(from, "it names no model");
    else if (row["enabled"] === false) draft.leave(from, "it was switched off");
    else if (assigned === undefined) draft.leave(from, `there is no assignment ${id === "" ? "in it" : id}`);
    else if (taken.has(name)) draft.leave(from, "another of a higher priority counts");
    else draft.set(["mappings", name], assigned.tier ?? assigned.model, from);
    if (name !== undefined && assigned !== undefined && row["enabled"] !== false) taken.add(name);
  }
}
