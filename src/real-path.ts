/** Where a path leads, links followed. */

import { realpathSync, statSync } from "node:fs";

/** More often than this no file is replaced while one looks. */
const mostTries = 100;

/**
 * Bun says ENOENT of a file that somebody replaces by renaming another over it at that moment, although there always is one
 * (seen with 1.4.4): it is asked again then.
 * @throws {Error} what the system says of a path that leads nowhere
 */
export function realPath(path: string): string {
  for (let tries = 1; ; tries++) {
    try {
      return realpathSync(path);
    } catch (cause) {
      const isThere = statSync(path, { throwIfNoEntry: false }) !== undefined;
      if (!isThere || tries === mostTries) throw cause;
    }
  }
}
