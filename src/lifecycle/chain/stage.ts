/** Where the services' processes live. The supervisor decides; a stage starts and tells. */

import type { PlannedService, RunEnd } from "./record.ts";

export interface Stage {
  /** Starts the service's process; its output is added to its log. @returns its pid */
  start(service: PlannedService): number;
  /** How a process ended that is no longer alive; undefined where that cannot be told, or not yet. */
  endOf(id: string, pid: number): Omit<RunEnd, "atMs"> | undefined;
  /** Looks after what goes on beside the processes. @returns what is wrong with the logs */
  tend(): string | undefined;
}

/**
 * What a service's process is started by: a shell that takes the environment from its file and becomes the service, so that
 * no key stands in an argv and the pid is the service's own.
 */
export function buildStart(envFile: string, argv: readonly string[]): string[] {
  return ["/bin/sh", "-c", 'set -a; . "$1"; set +a; shift; exec "$@"', "sh", envFile, ...argv];
}

/** An environment as `buildStart` reads it. */
export function renderEnvFile(env: Readonly<Record<string, string>>): string {
  return Object.entries(env)
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    .map(([name, value]) => `${name}='${value.replaceAll("'", "'\\''")}'\n`)
    .join("");
}
