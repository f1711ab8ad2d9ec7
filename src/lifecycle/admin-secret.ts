/** The key of /admin where the gateway requires one. */

import { readFileSync } from "node:fs";
import { launchSecretFile } from "../launch-token.ts";

/** Undefined until a launch has made one. */
export function readAdminSecret(stateDir: string): string | undefined {
  try {
    return readFileSync(launchSecretFile(stateDir), "utf8").trim();
  } catch {
    return undefined;
  }
}
