/** What `clutch doctor --agents` found, kept per agent, path and version: a new version has not been checked. */

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { type AgentLetter, isAgentLetter } from "../../src/launch-code.ts";
import type { RouteCheck } from "./agent-check.ts";

export interface AgentCheck {
  agent: AgentLetter;
  /** Of the program that was launched. */
  path: string;
  /** As it calls itself, such as `2.1.328`; null when it would not say. */
  version: string | null;
  /** ISO 8601, UTC. */
  checked_at: string;
  routes: RouteCheck[];
}

/** Versions that are remembered of one agent. */
const keptPerAgent = 10;

function checksFile(stateDir: string): string {
  return `${stateDir}/agent-checks.json`;
}

/** The newest first; empty when nothing was checked or the file cannot be read. */
export function readAgentChecks(stateDir: string): AgentCheck[] {
  try {
    const stored = JSON.parse(readFileSync(checksFile(stateDir), "utf8")) as { checks?: unknown };
    return Array.isArray(stored.checks) ? stored.checks.filter(isAgentCheck) : [];
  } catch {
    return [];
  }
}

/** The check of this very program; undefined when this version of it was never checked. */
export function findAgentCheck(
  checks: readonly AgentCheck[],
  program: Pick<AgentCheck, "agent" | "path" | "version">,
): AgentCheck | undefined {
  return checks.find((check) => isSameProgram(check, program));
}

/** Replaces what was known of the same programs; the file is whole or not there, and closed to others. */
export function writeAgentChecks(stateDir: string, fresh: readonly AgentCheck[]): void {
  if (fresh.length === 0) return;
  const checks = mergeChecks(readAgentChecks(stateDir), fresh);
  const path = checksFile(stateDir);
  const draft = `${path}.${process.pid}`;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  writeFileSync(draft, `${JSON.stringify({ checks }, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, path);
}

/** Newest first, at most ten versions of an agent. */
export function mergeChecks(known: readonly AgentCheck[], fresh: readonly AgentCheck[]): AgentCheck[] {
  const kept = known.filter((old) => !fresh.some((check) => isSameProgram(check, old)));
  const count = new Map<AgentLetter, number>();
  return [...fresh, ...kept].filter(({ agent }) => {
    count.set(agent, (count.get(agent) ?? 0) + 1);
    return (count.get(agent) ?? 0) <= keptPerAgent;
  });
}

type Program = Pick<AgentCheck, "agent" | "path" | "version">;

function isSameProgram(one: Program, other: Program): boolean {
  return one.agent === other.agent && one.path === other.path && one.version === other.version;
}

/** The file is ours, so only its outline is looked at. */
function isAgentCheck(value: unknown): value is AgentCheck {
  const check = value as Partial<AgentCheck> | null;
  return (
    typeof check?.agent === "string" &&
    isAgentLetter(check.agent) &&
    typeof check.path === "string" &&
    typeof check.checked_at === "string" &&
    Array.isArray(check.routes)
  );
}
