/** The ids of what can be out of order, as people call them and as people name them. Pure. */

import { renderModelReference } from "../../providers/model-reference.ts";

export type CircuitKind = "provider" | "account" | "key" | "pool" | "model";

export interface CircuitId {
  kind: CircuitKind;
  provider: string;
  /** Of a model or a pool. */
  name?: string;
  /** Such as `#2`; of a model that has several, each with a limit of its own. */
  key?: string;
}

/** Undefined for a text that is none. */
export function parseCircuitId(id: string): CircuitId | undefined {
  const [, kind = "", rest = ""] = /^([a-z][a-z-]*):(.+)$/s.exec(id) ?? [];
  switch (kind) {
    case "":
      return undefined;
    case "provider":
    case "account":
      return { kind, provider: rest };
    case "key": {
      const [, provider = rest, key = ""] = keyed.exec(rest) ?? [];
      return { kind, provider, key };
    }
    case "model": {
      const [provider = "", ...parts] = rest.split(":");
      const [, name = parts.join(":"), key] = keyed.exec(parts.join(":")) ?? [];
      return { kind, provider, name, ...(key !== undefined && { key }) };
    }
    default:
      return { kind: "pool", provider: rest, name: kind };
  }
}

const keyed = /^(.*)(#\d+)$/s;

/** `the free models of openrouter`, `key #2 of openai`, or a model's own reference. */
export function nameCircuit(id: string): string {
  const parsed = parseCircuitId(id);
  if (parsed === undefined) return id;
  const { kind, provider, name = "", key } = parsed;
  switch (kind) {
    case "provider":
      return provider;
    case "account":
      return `the account at ${provider}`;
    case "pool":
      return `the ${name} models of ${provider}`;
    case "key":
      return `key ${key} of ${provider}`;
    case "model":
      return `${renderModelReference({ provider, model: name })}${key === undefined ? "" : ` with key ${key}`}`;
    default:
      return kind satisfies never;
  }
}

/**
 * Which ids a person means: `all` or nothing, an id, a model by its reference or bare name, or a provider with everything
 * that belongs to it.
 */
export function matchCircuits(wanted: string): (id: string) => boolean {
  const text = wanted.trim();
  if (text === "" || text === "all") return () => true;
  return (id) => {
    if (id === text) return true;
    const parsed = parseCircuitId(id);
    if (parsed === undefined) return false;
    const { kind, provider, name = "" } = parsed;
    if (provider === text) return true;
    return kind === "model" && (name === text || renderModelReference({ provider, model: name }) === text);
  };
}
