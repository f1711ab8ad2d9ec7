/** Where a program is. */

import type { Env } from "./config/paths.ts";

/** Only absolute folders of PATH count: a program that lies in the current project is never started. */
export function findBinary(name: string, env: Env): string | undefined {
  const folders = (env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(":").filter((folder) => folder.startsWith("/"));
  return Bun.which(name, { PATH: folders.join(":") }) ?? undefined;
}
