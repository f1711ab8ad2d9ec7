/**
 * What `xx` notes of each launch for the gateway's ledger: `<launch id>-launch.json` beside the launch's other files, which
 * are kept for a week. `node:fs` alone, as all that `xx` loads.
 */

import { readdirSync, readFileSync } from "node:fs";

/** By its launch id, which stands in the file's name. */
export interface LaunchNote {
  folder: string;
  /** The agent's letter. */
  agent: string;
  code: string;
  /** The agent's own session id, where the launch knows it. */
  session: string | null;
  started_at: number;
}

/** As a launch's other files are named. */
const suffix = "-launch.json";

const idPattern = /^[a-z0-9]{4,32}$/;

/** Of the file, in the launch's own folder. */
export function launchNotePath(launchDir: string, launchId: string): string {
  return `${launchDir}/${launchId}${suffix}`;
}

/** Undefined for launches of others, of more than a week ago, and for ids that are none. */
export function readLaunchNote(stateDir: string, launchId: string): LaunchNote | undefined {
  if (!idPattern.test(launchId)) return undefined;
  const root = `${stateDir}/launch`;
  for (const day of daysIn(root)) {
    try {
      const note = JSON.parse(readFileSync(launchNotePath(`${root}/${day}`, launchId), "utf8")) as LaunchNote;
      return isNote(note) ? note : undefined;
    } catch {
      // Not of this day, or cut short.
    }
  }
  return undefined;
}

/** The newest first. */
function daysIn(root: string): string[] {
  try {
    return readdirSync(root).sort().reverse();
  } catch {
    return [];
  }
}

function isNote(note: LaunchNote | null): note is LaunchNote {
  return (
    typeof note?.folder === "string" &&
    typeof note.agent === "string" &&
    typeof note.code === "string" &&
    typeof note.started_at === "number" &&
    (note.session === null || typeof note.session === "string")
  );
}
