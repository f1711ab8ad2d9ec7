/** The order of the chain: who waits for whom. Pure. */

import { nearest } from "../../nearest.ts";
import { invalid, type Service } from "./services.ts";

/**
 * The enabled services that have a process, each behind all that it needs; equals go by their order.
 * @throws {ClutchError} `config-invalid`: an unknown need, a cycle with its members, two fronts, or a port given twice
 */
export function planStart(services: readonly Service[]): Service[] {
  checkGraph(services);
  const started = services.filter(({ type, enabled }) => type === "http" && enabled);
  const ordered: Service[] = [];
  const add = (service: Service): void => {
    if (ordered.includes(service)) return;
    for (const need of service.needs) {
      const needed = started.find(({ id }) => id === need);
      if (needed !== undefined) add(needed);
    }
    ordered.push(service);
  };
  for (const service of started) add(service);
  return ordered;
}

/** Also of what is switched off, so that switching it on later holds no surprise. @throws like `planStart` */
export function checkGraph(services: readonly Service[]): void {
  const ids = services.map(({ id }) => id);
  for (const { id, needs } of services) {
    for (const need of needs) {
      if (ids.includes(need)) continue;
      const near = nearest(need, ids);
      throw invalid(
        `"${id}" needs "${need}", which is no service`,
        near === undefined ? `known are ${ids.join(", ")}` : `did you mean "${near}"?`,
      );
    }
  }
  const cycle = findCycle(services);
  if (cycle !== undefined) {
    throw invalid(`a cycle: ${cycle.join(" needs ")}`, 'take one of them out of "needs": a chain has a beginning');
  }
  const enabled = services.filter((service) => service.enabled);
  const fronts = enabled.filter(({ isFront }) => isFront).map(({ id }) => id);
  if (fronts.length > 1) {
    throw invalid(`${fronts.join(" and ")} are both the front`, 'one alone can be: give the others "front": false');
  }
  for (const [index, { id, port }] of enabled.entries()) {
    const twin = enabled.slice(0, index).find((other) => port !== undefined && other.port === port);
    if (twin !== undefined) throw invalid(`${twin.id} and ${id} both have port ${port}`, "give one of them another");
  }
}

/** Its members in order, the first again at the end. */
function findCycle(services: readonly Service[]): string[] | undefined {
  const byId = new Map(services.map((service) => [service.id, service]));
  const done = new Set<string>();
  const walk = (id: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(id)) return [...path.slice(path.indexOf(id)), id];
    if (done.has(id)) return undefined;
    for (const need of byId.get(id)?.needs ?? []) {
      const cycle = walk(need, [...path, id]);
      if (cycle !== undefined) return cycle;
    }
    done.add(id);
    return undefined;
  };
  for (const { id } of services) {
    const cycle = walk(id, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
