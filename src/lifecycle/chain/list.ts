/** The chain as the config has it: who starts when, who needs whom, why something is off. Pure; what runs is for `status`. */

import type { Config } from "../../config/schema.ts";
import { type Paint, renderColumns } from "../../explain/table.ts";
import { whyOff } from "./change.ts";
import { cliProxyProgram } from "./cliproxyapi.ts";
import { planStart } from "./graph.ts";
import { builtInIds, listServices, readChainSettings, type Service } from "./services.ts";

export interface ChainRow {
  service: Service;
  /** From 1 on, in the order of the start; undefined for what is not started. */
  place: number | undefined;
  neededBy: string[];
  isBuiltIn: boolean;
  /** Why it is not started, or would not be now. */
  reason: string | undefined;
}

/** What each is started by, where that is no `command` of the config and not this program. */
const builtInPrograms: Record<string, string> = { headroom: "headroom", cliproxyapi: cliProxyProgram };

/** The name or path of the program, undefined for this one and for what is not started. */
export function programOf({ id, type, command }: Service): string | undefined {
  return type === "http" ? (command[0] ?? builtInPrograms[id]) : undefined;
}

/**
 * Those that start first, in their order, then the others.
 * @param isFound whether a program is on this machine
 * @throws {ClutchError} `config-invalid` for a chain that cannot be started
 */
export function listChain(config: Config, isFound: (program: string) => boolean): ChainRow[] {
  const services = listServices(readChainSettings(config));
  const started = planStart(services);
  const rest = services.filter((service) => !started.includes(service));
  return [...started, ...rest].map((service) => {
    const place = started.indexOf(service);
    return {
      service,
      place: place === -1 ? undefined : place + 1,
      neededBy: services.filter(({ needs }) => needs.includes(service.id)).map(({ id }) => id),
      isBuiltIn: builtInIds.includes(service.id),
      reason: whyNot(config, service, isFound),
    };
  });
}

function whyNot(config: Config, service: Service, isFound: (program: string) => boolean): string | undefined {
  const off = whyOff(config, service);
  if (off !== undefined) return off;
  if (service.type === "cli_wrapper") return "passive: it has no process";
  const program = programOf(service);
  if (program === undefined || isFound(program)) return undefined;
  return builtInIds.includes(service.id) ? `absent: ${program} is not installed` : `${program} is not on PATH`;
}

export function renderChain(rows: readonly ChainRow[], paint: Paint): string {
  const head = ["", "service", "port", "needs", "needed by", ""];
  const cells = rows.map(({ service, place, neededBy, reason }) => [
    place === undefined ? "-" : String(place),
    service.id + (service.enabled && service.isFront ? " (front)" : ""),
    service.port === undefined ? "" : String(service.port),
    service.needs.join(", "),
    neededBy.join(", "),
    reason ?? service.command.join(" "),
  ]);
  const dimmed = (text: string, row: number) => (row === 0 || rows[row - 1]?.reason ? paint.dim(text) : text);
  return renderColumns([head, ...cells], Array(head.length).fill(dimmed)).join("\n");
}

/** As `clutch chain list --json` has it; of the environment only the names, whose values may be secrets. */
export function describeRow({ service, place, neededBy, isBuiltIn, reason }: ChainRow): Record<string, unknown> {
  return {
    id: service.id,
    name: service.name,
    type: service.type,
    built_in: isBuiltIn,
    enabled: service.enabled,
    place: place ?? null,
    order: service.order,
    front: service.isFront,
    port: service.port ?? null,
    needs: service.needs,
    needed_by: neededBy,
    command: service.command,
    env: Object.keys(service.env),
    health_path: service.healthPath || null,
    ready_seconds: service.readyLimitMs / 1000,
    reason: reason ?? null,
  };
}
