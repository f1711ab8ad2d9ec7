/** What cannot run here is a skipped test that says why, and a failed one in CI, where everything has to be there. */

import { test } from "bun:test";

export function skipAloud(name: string, reason: string): void {
  console.error(`agent tests: ${reason}`);
  test.skipIf(process.env.CI !== "true")(name, () => {
    throw new Error(reason);
  });
}
