/** Mistakes that a person can act on. Thrown where they are found, turned into an exit status or an HTTP body once, at the edge. */

import { asPlainLine } from "./plain-line.ts";

export type ErrorCode =
  | "usage"
  | "config-invalid"
  | "config-unreadable"
  | "port-busy"
  | "database-busy"
  | "database-broken"
  | "unsafe-bind"
  | "unknown-provider"
  | "not-supported"
  | "agent-not-found"
  | "gateway-down"
  | "failed";

/** 0 done, 1 the thing failed, 2 wrong use, 127 agent not found (design: commands). */
const exitStatus: Partial<Record<ErrorCode, number>> = {
  usage: 2,
  "not-supported": 2,
  "config-invalid": 2,
  "agent-not-found": 127,
};

export class ClutchError extends Error {
  override name = "ClutchError";
  readonly code: ErrorCode;
  /** The next step, as a sentence fragment: "install it with ...". */
  readonly hint: string | undefined;

  /** @param message shows the value received and the cause, in one line */
  constructor(code: ErrorCode, message: string, details: { hint?: string; cause?: unknown } = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
  }

  get exitStatus(): number {
    return exitStatus[this.code] ?? 1;
  }
}

/** One line for a terminal: what, why, and what to do. What others say in it, such as a server's refusal, stays in that line. */
export function renderError(error: unknown): string {
  return asPlainLine(describe(error));
}

function describe(error: unknown): string {
  if (error instanceof ClutchError) return error.hint === undefined ? error.message : `${error.message}: ${error.hint}`;
  return error instanceof Error ? error.message : String(error);
}
