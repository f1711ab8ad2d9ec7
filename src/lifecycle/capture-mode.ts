/** What is to be captured and until when: a file in the state folder, so that a restart of the gateway changes nothing. */

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Off is no mode at all. */
export interface CaptureMode {
  /** All requests, or only those that nobody answered or whose answer broke off. */
  what: "all" | "errors";
  /** Milliseconds since 1970. */
  until: number;
}

function fileOf(stateDir: string): string {
  return `${stateDir}/capture.json`;
}

/** Undefined when nothing is to be captured, the file is none of ours, or its time is over. */
export function readCaptureMode(stateDir: string, now: number): CaptureMode | undefined {
  try {
    const mode = parseCaptureMode(JSON.parse(readFileSync(fileOf(stateDir), "utf8")));
    return mode !== undefined && mode.until > now ? mode : undefined;
  } catch {
    return undefined;
  }
}

/** @param mode undefined switches it off */
export function writeCaptureMode(stateDir: string, mode: CaptureMode | undefined): void {
  const path = fileOf(stateDir);
  if (mode === undefined) {
    rmSync(path, { force: true });
    return;
  }
  const draft = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(draft, `${JSON.stringify(mode)}\n`, { mode: 0o600 });
  renameSync(draft, path);
}

/** Undefined for what is none. */
export function parseCaptureMode(value: unknown): CaptureMode | undefined {
  const { what, until } = (value ?? {}) as Partial<CaptureMode>;
  if ((what !== "all" && what !== "errors") || typeof until !== "number" || !Number.isFinite(until)) return undefined;
  return { what, until };
}
