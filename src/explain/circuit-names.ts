/** The ids of what can be out of order, as people call them and as people name them. Pure. */

import { renderModelReference } from "../../providers/model-reference.ts";

export type CircuitKind = "provider" | "account" | "key" | "free" | "model";

export interface CircuitId {
  kind: CircuitKind;
  provider: string;
  /** Of a model or a key. */
  name?: string;
}

/** Undefined for a text that is none. */
export function parseCircuitId(id: string): CircuitId | undefined {
  const [, kind, rest = ""] = /^(provider|account|key|free|model):(.*)$/s.exec(id) ?? [];
  switch (kind) {
    case "provider":
    case "account":
    case "free":
      return { kind, provider: rest };
    case "key": {
      const [provider = "", ...name] = rest.split("#");
      return { kind, provider, name: name.join("#") };
    }
    case "model": {
      const [provider = "", ...name] = rest.split(":");
      return { kind, provider, name: name.join(":") };
    }
    default:
      return undefined;
  }
}

/** `the free models of openrouter`, `key #2 of openai`, or a model's own reference. */
export function nameCircuit(id: string): string {
  const parsed = parseCircuitId(id);
  if (parsed === undefined) return id;
  const { kind, provider, name = "" } = parsed;
  switch (kind) {
    case "provider":
      return provider;
    case "account":
      return `the account at ${provider}`;
    case "free":
      return `the free models of ${provider}`;
    case "key":
      return `key ${name} of ${provider}`;
    case "model":
      return renderModelReference({ provider, model: name });
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
