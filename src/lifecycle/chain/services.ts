/**
 * The services of the chain as data: the built-in rows, and what the config's `chain.services` makes of them. Pure; who
 * starts, probes or shows them is elsewhere.
 */

import type { Config } from "../../config/schema.ts";
import { ClutchError } from "../../errors.ts";

/** `http` listens on a port and is supervised; `cli_wrapper` has neither port nor process and is only shown. */
export type ServiceType = "http" | "cli_wrapper";

export interface Service {
  id: string;
  /** For people. */
  name: string;
  type: ServiceType;
  enabled: boolean;
  /** Rows and starts of equal standing go by it, the least first. */
  order: number;
  /** Ids that must be ready before this one starts, where they are enabled. */
  needs: readonly string[];
  /** Stands between the agents and the gateway. At most one enabled service does. */
  isFront: boolean;
  /** Its argv; empty where Clutch itself knows how to start it (gateway, headroom), and for a `cli_wrapper`. */
  command: readonly string[];
  /** Added to its environment. `env:NAME` takes the value from the environment that `clutch up` is called in. */
  env: Readonly<Record<string, string>>;
  /** Undefined for a `cli_wrapper`. Always on 127.0.0.1, but for the gateway's own host. */
  port: number | undefined;
  /** Answers 2xx once the service is ready. */
  healthPath: string;
  /** How long it may take until it is ready (ms). */
  readyLimitMs: number;
}

/** An entry of `chain.services`: only what is to differ from the built-in row of that id, or the whole of a new service. */
export interface ServiceConfig {
  id: string;
  name?: string | undefined;
  type?: ServiceType | undefined;
  enabled?: boolean | undefined;
  order?: number | undefined;
  needs?: string[] | undefined;
  front?: boolean | undefined;
  command?: string[] | undefined;
  env?: Record<string, string> | undefined;
  port?: number | undefined;
  health_path?: string | undefined;
  ready_seconds?: number | undefined;
}

/** What the rest of the config says of the chain. */
export interface ChainSettings {
  gatewayPort: number;
  /** `headroom.mode`; Headroom stands in front of the gateway in mode front, beside it in sidecar, and nowhere when off. */
  headroomMode: "front" | "sidecar" | "off";
  services: readonly ServiceConfig[];
}

export function readChainSettings({ server, headroom, chain }: Config): ChainSettings {
  return { gatewayPort: server.port, headroomMode: headroom.mode, services: chain.services };
}

/** Ports and paths as `docs/chain.md` has them from the members' own documents. */
const builtIn = [
  {
    id: "gateway",
    name: "Clutch gateway",
    type: "http",
    enabled: true,
    order: 0,
    needs: [],
    isFront: false,
    command: [],
    env: {},
    port: 8082,
    healthPath: "/livez",
    readyLimitMs: 20_000,
  },
  {
    id: "headroom",
    name: "Headroom",
    type: "http",
    enabled: true,
    order: 1,
    // Its readiness probe asks the gateway.
    needs: ["gateway"],
    isFront: true,
    command: [],
    env: {},
    port: 8787,
    healthPath: "/health",
    // Python and its native parts: some seconds warm, more the first time.
    readyLimitMs: 120_000,
  },
  {
    id: "cliproxyapi",
    name: "CLIProxyAPI",
    type: "http",
    enabled: false,
    order: 2,
    needs: [],
    isFront: false,
    command: [],
    env: {},
    port: 8317,
    healthPath: "/healthz",
    readyLimitMs: 30_000,
  },
  {
    id: "rtk",
    name: "RTK",
    type: "cli_wrapper",
    enabled: true,
    order: 3,
    needs: [],
    isFront: false,
    command: [],
    env: {},
    port: undefined,
    healthPath: "",
    readyLimitMs: 0,
  },
] as const satisfies readonly Service[];

export const builtInServices: readonly Service[] = builtIn;

/** The ids that Clutch knows how to start by itself. */
export const builtInIds: readonly string[] = builtIn.map((service) => service.id);

/**
 * Every service in the order in which it is shown.
 * @throws {ClutchError} `config-invalid`: an entry that is no service, with its id and what it lacks
 */
export function listServices(settings: ChainSettings): Service[] {
  const services = new Map<string, Service>(builtInServices.map((service) => [service.id, { ...service }]));
  const gateway = services.get("gateway") as Service;
  services.set("gateway", { ...gateway, port: settings.gatewayPort });
  const headroom = services.get("headroom") as Service;
  const { headroomMode } = settings;
  services.set("headroom", { ...headroom, enabled: headroomMode !== "off", isFront: headroomMode === "front" });
  const seen = new Set<string>();
  for (const entry of settings.services) {
    if (seen.has(entry.id)) throw invalid(`"${entry.id}" stands in it twice`, "merge the two entries");
    seen.add(entry.id);
    const known = services.get(entry.id);
    services.set(entry.id, known === undefined ? buildOwn(entry) : { ...known, ...overrides(entry, known) });
  }
  return [...services.values()].sort((one, other) => one.order - other.order || one.id.localeCompare(other.id));
}

/** A service of the user's. It has nothing to be started by but its command. */
function buildOwn(entry: ServiceConfig): Service {
  const { id, type = "http", command = [], port } = entry;
  if (type === "http" && command.length === 0) {
    throw invalid(`"${id}" has no command`, `give one as a list of words: "command": ["my-server", "--port", "9000"]`);
  }
  if (type === "http" && port === undefined) throw invalid(`"${id}" has no port`, "give the one that it listens on");
  const plain: Service = {
    id,
    name: id,
    type,
    enabled: true,
    order: 10,
    needs: [],
    isFront: false,
    command,
    env: {},
    port,
    healthPath: "/health",
    readyLimitMs: 30_000,
  };
  return { ...plain, ...overrides(entry, plain) };
}

function overrides(entry: ServiceConfig, known: Service): Partial<Service> {
  if (entry.type !== undefined && entry.type !== known.type) {
    throw invalid(`"${entry.id}" is a ${known.type}, not a ${entry.type}`, "give a service of yours another id");
  }
  if (entry.id === "gateway" && entry.port !== undefined && entry.port !== known.port) {
    throw invalid(`"gateway" has port ${entry.port}`, "the gateway's port is server.port");
  }
  return {
    ...(entry.name !== undefined && { name: entry.name }),
    ...(entry.enabled !== undefined && { enabled: entry.enabled }),
    ...(entry.order !== undefined && { order: entry.order }),
    ...(entry.needs !== undefined && { needs: entry.needs }),
    ...(entry.front !== undefined && { isFront: entry.front }),
    ...(entry.command !== undefined && { command: entry.command }),
    ...(entry.env !== undefined && { env: { ...known.env, ...entry.env } }),
    ...(entry.port !== undefined && { port: entry.port }),
    ...(entry.health_path !== undefined && { healthPath: entry.health_path }),
    ...(entry.ready_seconds !== undefined && { readyLimitMs: entry.ready_seconds * 1000 }),
  };
}

export function invalid(what: string, hint: string): ClutchError {
  return new ClutchError("config-invalid", `chain.services: ${what}`, { hint });
}
