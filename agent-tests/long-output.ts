/** What makes a tool's output long, and smaller when somebody compresses it. */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Three files in a deep folder, so that a search prints long paths again and again. */
export async function writeSources(project: string): Promise<void> {
  const folder = join(project, "source", "a-folder-with-a-long-name", "and-another-one-inside");
  await mkdir(folder, { recursive: true });
  for (const name of ["first", "second", "third"]) {
    const lines = Array.from({ length: 80 }, (_, index) => `${name} value ${index} stands here`);
    await writeFile(join(folder, `${name}.txt`), `${lines.join("\n")}\n`);
  }
}

/** Prints all of it. */
export const searchCommand = "grep -rn value source";
