/** What `clutch chain` changes in the config: from what was asked for to single values of the file. Pure. */

import type { Change } from "../../config/edit.ts";
import type { Config } from "../../config/schema.ts";
import { ClutchError } from "../../errors.ts";
import { nearest } from "../../nearest.ts";
import type { Json, JsonObject } from "../../protocols/chat.ts";
import { checkGraph, planStart } from "./graph.ts";
import { type Placed, placeAt } from "./place.ts";
import {
  builtInIds,
  builtInServices,
  listServices,
  readChainSettings,
  type Service,
  type ServiceConfig,
} from "./services.ts";
import { parseSetting, type Setting, settingNames } from "./setting.ts";

export type Target = { before: string } | { after: string } | { position: number };

export type ChainRequest =
  | { kind: "enable" | "disable" | "remove"; id: string }
  | { kind: "move"; id: string; to: Target }
  /** `assignments` as typed, such as `port=9000`; `unset` names what goes back to its default. */
  | { kind: "set"; id: string; assignments: readonly string[]; unset: readonly string[] }
  | { kind: "add"; entry: ServiceConfig };

export interface ChainPlan {
  /** None where everything is so already. */
  changes: Change[];
  /** One sentence: what is done, or that nothing has to be. */
  summary: string;
  /** What the person should know besides. */
  notes: string[];
}

/** @throws {ClutchError} `usage` for what there is not, with the nearest that there is */
export function planChainChange(config: Config, request: ChainRequest): ChainPlan {
  const chain = readChain(config);
  switch (request.kind) {
    case "enable":
    case "disable":
      return planSwitch(chain, findService(chain, request.id), request.kind === "enable");
    case "remove":
      return planRemove(chain, findService(chain, request.id));
    case "move":
      return planMove(chain, findService(chain, request.id), request.to);
    case "set":
      return planSet(chain, findService(chain, request.id), request.assignments, request.unset);
    case "add":
      return planAdd(chain, request.entry);
  }
}

/** Whether the chain of a config can be started. @throws {ClutchError} `config-invalid` */
export function checkChain(config: Config): void {
  checkGraph(listServices(readChainSettings(config)));
}

interface Chain {
  config: Config;
  entries: readonly ServiceConfig[];
  services: readonly Service[];
}

/** A chain with a fault can be edited all the same: the edit may be what mends it. */
function readChain(config: Config): Chain {
  const entries = config.chain.services;
  try {
    return { config, entries, services: listServices(readChainSettings(config)) };
  } catch {
    const known = listServices({ ...readChainSettings(config), services: [] });
    const own = entries.filter(({ id }) => !builtInIds.includes(id)).map(fillIn);
    return { config, entries, services: [...known, ...own] };
  }
}

function fillIn(entry: ServiceConfig): Service {
  return {
    id: entry.id,
    name: entry.name ?? entry.id,
    type: entry.type ?? "http",
    enabled: entry.enabled ?? true,
    order: entry.order ?? 10,
    needs: entry.needs ?? [],
    isFront: entry.front ?? false,
    command: entry.command ?? [],
    env: entry.env ?? {},
    port: entry.port,
    healthPath: entry.health_path ?? "/health",
    readyLimitMs: (entry.ready_seconds ?? 30) * 1000,
  };
}

function findService({ services }: Chain, id: string): Service {
  const found = services.find((service) => service.id === id);
  if (found !== undefined) return found;
  const ids = services.map((service) => service.id);
  const near = nearest(id, ids);
  throw new ClutchError("usage", `there is no service "${id}"`, {
    hint: near === undefined ? `known are ${ids.join(", ")}` : `did you mean "${near}"?`,
  });
}

// ---- on and off

function planSwitch(chain: Chain, service: Service, isOn: boolean): ChainPlan {
  const { id } = service;
  const word = isOn ? "enabled" : "disabled";
  if (service.enabled === isOn) return { changes: [], summary: `${id} is ${word} already`, notes: [] };
  const notes = isOn ? notesOfOn(chain, service) : notesOfOff(chain, service);
  if (id !== "headroom") return { changes: patch(chain, { [id]: { enabled: isOn } }), summary: `${word} ${id}`, notes };
  // The launcher and the gateway go by the mode too: with the service alone switched off, every launch would find it down.
  const { mode } = chain.config.headroom;
  const changes = patch(chain, { [id]: { enabled: undefined } });
  const next = isOn ? (mode === "off" ? "front" : mode) : "off";
  if (next !== mode) changes.unshift({ kind: "set", path: ["headroom", "mode"], value: next });
  return { changes, summary: `${word} ${id}: headroom.mode is ${JSON.stringify(next)}`, notes };
}

function notesOfOn({ services }: Chain, { id, needs }: Service): string[] {
  const off = services.filter((service) => needs.includes(service.id) && !service.enabled);
  const notes = off.map((service) => `${id} needs ${service.id}, which is off: it starts without it`);
  if (id === "cliproxyapi") {
    notes.push("CLIProxyAPI can pass subscription logins off as the vendors' own programs, which some of them forbid");
  }
  return notes;
}

function notesOfOff({ services }: Chain, { id }: Service): string[] {
  const notes = services
    .filter((service) => service.enabled && service.needs.includes(id))
    .map((service) => `${service.id} needs ${id}, and starts without it`);
  if (id === "gateway") notes.push("agents on routes p and b need a gateway: run clutch serve in its place");
  return notes;
}

// ---- order

function planMove(chain: Chain, service: Service, to: Target): ChainPlan {
  const { id } = service;
  const rows = chain.services.toSorted((one, other) => one.order - other.order || one.id.localeCompare(other.id));
  const others = rows.filter((row) => row.id !== id);
  const orders = placeAt(rows, id, indexOf(to, chain, id, others));
  const summary = `${id} ${describeTarget(to)}`;
  if (orders.size === 0) return { changes: [], summary: `${summary} already`, notes: [] };
  const moved = rows.map((row) => ({ ...row, order: orders.get(row.id) ?? row.order }));
  const changes = patch(chain, Object.fromEntries([...orders].map(([at, order]) => [at, { order }])));
  return { changes, summary: `moved ${summary}`, notes: notesOfMove(moved, id) };
}

function indexOf(to: Target, chain: Chain, id: string, others: readonly Placed[]): number {
  if ("position" in to) {
    if (Number.isInteger(to.position) && to.position >= 1 && to.position <= others.length + 1) return to.position - 1;
    throw new ClutchError("usage", `there is no position ${to.position}`, {
      hint: `give one from 1 to ${others.length + 1}`,
    });
  }
  const other = findService(chain, "before" in to ? to.before : to.after).id;
  if (other === id)
    throw new ClutchError("usage", `${id} cannot stand beside itself`, { hint: "name another service" });
  const index = others.findIndex((row) => row.id === other);
  return "before" in to ? index : index + 1;
}

function describeTarget(to: Target): string {
  if ("position" in to) return `to position ${to.position}`;
  return "before" in to ? `before ${to.before}` : `after ${to.after}`;
}

/** Needs go before order. */
function notesOfMove(rows: readonly Service[], id: string): string[] {
  let started: string[];
  try {
    started = planStart(rows.toSorted((one, other) => one.order - other.order || one.id.localeCompare(other.id))).map(
      (service) => service.id,
    );
  } catch {
    // The check of the whole says what is wrong.
    return [];
  }
  const orderOf = (at: string) => rows.find((row) => row.id === at) as Service;
  const own = orderOf(id);
  return started.flatMap((other) => {
    if (other === id || !started.includes(id)) return [];
    const isFirst = own.order - orderOf(other).order || id.localeCompare(other);
    const startsFirst = started.indexOf(id) - started.indexOf(other);
    if (Math.sign(isFirst) === Math.sign(startsFirst)) return [];
    const [late, early] = startsFirst > 0 ? [id, other] : [other, id];
    return orderOf(late).needs.includes(early) ? [`${late} needs ${early}, and so still starts behind it`] : [];
  });
}

// ---- single values

function planSet(chain: Chain, service: Service, assignments: readonly string[], unset: readonly string[]): ChainPlan {
  if (assignments.length + unset.length === 0) {
    throw new ClutchError("usage", "nothing to set", { hint: `say key=value, with one of ${settingNames(service)}` });
  }
  const settings = [
    ...assignments.map((text) => parseSetting(text, service)),
    ...unset.map((name) => ({ ...parseSetting(`${name}=`, service, true), value: undefined })),
  ];
  const fresh = settings.filter((setting) => !isSoAlready(chain, service, setting));
  const shown = (list: readonly Setting[]) => list.map(({ key }) => key).join(", ");
  if (fresh.length === 0)
    return { changes: [], summary: `${service.id} has this already: ${shown(settings)}`, notes: [] };
  const values: EntryPatch = {};
  const changes: Change[] = [];
  const notes: string[] = [];
  for (const setting of fresh) {
    const { key, value } = setting;
    const elsewhere = placeElsewhere(chain, service, setting);
    if (elsewhere !== undefined) {
      const { path, value: written } = elsewhere;
      changes.push(written === undefined ? { kind: "remove", path } : { kind: "set", path, value: written });
      notes.push(`the ${key} of ${service.id} is ${path.join(".")}`);
      // What the entry says would stand against it.
      if (key === "front" || key === "mode") values["front"] = undefined;
    } else values[key] = value;
    if (key.startsWith("env.") && looksSecret(key, value)) {
      notes.push(`${key} stands in the config as it is: ${key}=env:NAME takes it from the environment of clutch up`);
    }
  }
  return {
    changes: [...changes, ...patch(chain, { [service.id]: values })],
    summary: `set ${shown(fresh)} of ${service.id}`,
    notes,
  };
}

function looksSecret(key: string, value: Json | undefined): boolean {
  return /KEY|TOKEN|SECRET|PASSW|CREDENTIAL/i.test(key) && typeof value === "string" && !/^(env:|$)/.test(value);
}

function isSoAlready({ entries, config }: Chain, service: Service, { key, value }: Setting): boolean {
  const entry = entries.find(({ id }) => id === service.id) as JsonObject | undefined;
  if (key === "mode") return value !== undefined && config.headroom.mode === value;
  if (value === undefined) {
    if (service.id === "gateway" && key === "port") return false;
    if (service.id === "headroom" && key === "front") return false;
    const [head = "", name] = key.startsWith("env.") ? ["env", key.slice(4)] : [key];
    const holder = name === undefined ? entry : (entry?.[head] as JsonObject | undefined);
    return holder?.[name ?? head] === undefined;
  }
  const rows: Record<string, Json | undefined> = {
    name: service.name,
    port: service.port,
    command: [...service.command],
    needs: [...service.needs],
    front: service.isFront,
    order: service.order,
    health_path: service.healthPath,
    ready_seconds: service.readyLimitMs / 1000,
  };
  const current = key.startsWith("env.") ? service.env[key.slice(4)] : rows[key];
  return Bun.deepEquals(current, value, true);
}

/** Where a value of a built-in service is decided by another part of the config. */
function placeElsewhere(
  { config }: Chain,
  { id, enabled }: Service,
  { key, value }: Setting,
): { path: string[]; value: Json | undefined } | undefined {
  if (id === "gateway" && key === "port") return { path: ["server", "port"], value };
  if (id !== "headroom" || (key !== "front" && key !== "mode")) return undefined;
  const path = ["headroom", "mode"];
  if (key === "mode" || value === undefined) return { path, value };
  if (!enabled || config.headroom.mode === "off") {
    throw new ClutchError("usage", "headroom is off, so it stands nowhere", { hint: "clutch chain enable headroom" });
  }
  return { path, value: value === true ? "front" : "sidecar" };
}

// ---- whole services

function planAdd(chain: Chain, entry: ServiceConfig): ChainPlan {
  const { id } = entry;
  if (builtInIds.includes(id)) {
    throw new ClutchError("usage", `${id} is a service of Clutch's own`, {
      hint: `clutch chain enable ${id}, or clutch chain set ${id} command=...`,
    });
  }
  const known = chain.entries.find((other) => other.id === id);
  if (known !== undefined) {
    if (Bun.deepEquals(known, entry)) return { changes: [], summary: `${id} is there already`, notes: [] };
    throw new ClutchError("usage", `${id} is there already, and is not the same`, {
      hint: `change it with clutch chain set ${id} key=value, or remove it first`,
    });
  }
  const path = ["chain", "services", chain.entries.length];
  const value = Object.fromEntries(Object.entries(entry).filter(([, member]) => member !== undefined)) as JsonObject;
  const off = chain.services.filter((service) => entry.needs?.includes(service.id) && !service.enabled);
  const notes = off.map((service) => `${id} needs ${service.id}, which is off: it starts without it`);
  return { changes: [{ kind: "set", path, value }], summary: `added ${id}`, notes };
}

function planRemove(chain: Chain, { id }: Service): ChainPlan {
  if (builtInIds.includes(id)) {
    throw new ClutchError("usage", `${id} is a service of Clutch's own, which stays in the list`, {
      hint: `clutch chain disable ${id}`,
    });
  }
  const changes = chain.entries
    .flatMap((entry, index) => (entry.id === id ? [index] : []))
    .reverse()
    .map((index): Change => ({ kind: "remove", path: ["chain", "services", index] }));
  return { changes, summary: `removed ${id}`, notes: [] };
}

// ---- entries

/** Undefined takes a value out; `env.NAME` is a value of its own. */
type EntryPatch = Record<string, Json | undefined>;

/** An entry that is made holds only what differs; one of a built-in service that holds nothing any more goes. */
function patch({ entries }: Chain, patches: Record<string, EntryPatch>): Change[] {
  const edits: Change[] = [];
  const gone: number[] = [];
  let end = entries.length;
  for (const [id, values] of Object.entries(patches)) {
    const index = entries.findIndex((entry) => entry.id === id);
    if (index === -1) {
      const entry = newEntry(id, values);
      if (Object.keys(entry).length > 1) edits.push({ kind: "set", path: ["chain", "services", end++], value: entry });
      continue;
    }
    const left = new Set(Object.keys(entries[index] as ServiceConfig));
    for (const [key, value] of Object.entries(values)) {
      const path = ["chain", "services", index, ...(key.startsWith("env.") ? ["env", key.slice(4)] : [key])];
      if (value !== undefined) left.add(key);
      else if (!key.startsWith("env.")) left.delete(key);
      if (value !== undefined) edits.push({ kind: "set", path, value });
      else edits.push({ kind: "remove", path });
    }
    if (left.size === 1 && builtInIds.includes(id)) gone.push(index);
  }
  const kept = edits.filter(({ path }) => !gone.includes(path[2] as number));
  const removals = gone
    .sort((one, other) => other - one)
    .map((index): Change => ({ kind: "remove", path: ["chain", "services", index] }));
  return [...kept, ...removals];
}

function newEntry(id: string, values: EntryPatch): JsonObject {
  const entry: JsonObject = { id };
  for (const [key, value] of Object.entries(values)) {
    if (value === undefined) continue;
    if (key.startsWith("env.")) entry["env"] = { ...(entry["env"] as JsonObject | undefined), [key.slice(4)]: value };
    else entry[key] = value;
  }
  return entry;
}

/** Why a service is off, in one line; undefined for one that is on. */
export function whyOff(config: Config, { id, enabled }: Service): string | undefined {
  if (enabled) return undefined;
  const entry = config.chain.services.find((other) => other.id === id);
  if (entry?.enabled === false) return 'chain.services: "enabled" is false';
  if (id === "headroom") return 'headroom.mode is "off"';
  const isOffByDefault = builtInServices.some((service) => service.id === id && !service.enabled);
  return isOffByDefault ? `off unless the config says otherwise: clutch chain enable ${id}` : "switched off";
}
