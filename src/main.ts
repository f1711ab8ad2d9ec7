/** The entry: the name it was called by decides between `xx` and `clutch`, and only that half is loaded. */

import { basename } from "node:path";
import { ClutchError, renderError } from "./errors.ts";

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  if (basename(process.argv0) === "xx") {
    const { runXx } = await import("../commands/xx.ts");
    return runXx(args, process.env);
  }
  if (args.length === 1 && (args[0] === "--version" || args[0] === "-V")) {
    const { version } = await import("./version.ts");
    console.log(version);
    return 0;
  }
  const { runClutch } = await import("./cli.ts");
  return runClutch(args.length === 0 ? ["--help"] : args, process.env);
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof ClutchError ? `clutch: ${renderError(error)}` : error);
  process.exitCode = error instanceof ClutchError ? error.exitStatus : 1;
}
