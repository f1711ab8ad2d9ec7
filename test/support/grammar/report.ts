/** What a strict client makes of one stream: the rules it saw broken, and what it would show its user. */

import type { JsonObject } from "../../../src/protocols/chat.ts";
import type { SseMessage } from "../../../src/protocols/codec.ts";

export interface HeardCall {
  id: string;
  name: string;
  /** A custom tool's raw text, or the JSON text of the arguments; empty for none. */
  arguments: string;
  /** The Responses namespace that the name belongs to. */
  namespace?: string;
  /** The item's or call's own type on the wire. */
  type: string;
}

export interface StreamReport {
  /** Empty when the stream keeps every rule. */
  violations: string[];
  /** `none`: it stops without any terminal event, which a client must take for a lost connection. */
  ending: "success" | "error" | "none";
  text: string;
  reasoning: string;
  /** Signatures, encrypted contents and details, in order. */
  replays: string[];
  calls: HeardCall[];
  /** In the protocol's own word. */
  stop: string | undefined;
  /** The last usage object. */
  usage: JsonObject | undefined;
  error: { message: string; code: string } | undefined;
}

/** Collects violations; each reader of a protocol extends it. */
export class Listener {
  readonly report: StreamReport = {
    violations: [],
    ending: "none",
    text: "",
    reasoning: "",
    replays: [],
    calls: [],
    stop: undefined,
    usage: undefined,
    error: undefined,
  };

  /** Notes the rule unless it holds. */
  demand(holds: boolean, rule: string): void {
    if (!holds && this.report.violations.length < 20) this.report.violations.push(rule);
  }

  /** The JSON object of a message, or undefined with a violation noted. */
  parse({ data }: SseMessage): JsonObject | undefined {
    this.demand(!/[\r\n]/.test(data), "a data line holds a line break");
    let value: unknown;
    try {
      value = JSON.parse(data);
    } catch {
      this.demand(false, `data is not JSON: ${data.slice(0, 80)}`);
      return undefined;
    }
    if (isRecord(value)) return value;
    this.demand(false, "data is not a JSON object");
    return undefined;
  }
}

export function isRecord(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function record(value: unknown): JsonObject {
  return isRecord(value) ? value : {};
}

export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

export function isFilled(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0;
}
