/** Follows the config file while a gateway runs. Polling, since editors replace files in ways that watchers miss. */

import { statSync } from "node:fs";
import type { Homes } from "./paths.ts";
import type { Config } from "./schema.ts";

const pollMs = 1000;

/** Calls back after the file was changed, appeared or went; returns how to stop. */
export function watchConfigFile(homes: Homes, onChange: () => void): () => void {
  let seen = fingerprint(homes);
  const timer = setInterval(() => {
    const now = fingerprint(homes);
    if (now === seen) return;
    seen = now;
    onChange();
  }, pollMs);
  timer.unref();
  return () => clearInterval(timer);
}

function fingerprint(homes: Homes): string {
  return [homes.configFile, homes.legacyConfigFile]
    .map((path) => {
      if (path === undefined) return "-";
      try {
        const { mtimeMs, size, ino } = statSync(path);
        return `${mtimeMs}/${size}/${ino}`;
      } catch (cause) {
        return String((cause as NodeJS.ErrnoException).code);
      }
    })
    .join(" ");
}

/** The top-level keys that differ. */
export function changedKeys(before: Config, after: Config): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)] as (keyof Config)[]);
  return [...keys].filter((key) => !Bun.deepEquals(before[key], after[key])).sort();
}
