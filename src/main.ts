/** The entry: the name it was called by decides between `xx` and `clutch`, and only that half is loaded. */

import { basename } from "node:path";
import { ClutchError, renderError } from "./errors.ts";
import { isCompiled } from "./own-command.ts";

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
  // Stands before every agent that is started in the crash guard, three times: commander alone would double its time.
  if (args[0] === "run" && !["-h", "--help", undefined].includes(args[1])) {
    const { runGuarded } = await import("../commands/run.ts");
    return runGuarded(args.slice(1), process.env);
  }
  // Every prompt waits for it.
  if (args.length === 2 && args[0] === "status" && args[1] === "--line") {
    const { statusLine } = await import("../commands/status-line.ts");
    return statusLine(process.env);
  }
  if (args[0] === "supervise") {
    const { runSupervisor } = await import("../commands/supervise.ts");
    return runSupervisor(args.slice(1), process.env);
  }
  if (args[0] === "serve") {
    liftFetchLimit();
    // Every launch that finds no gateway waits for it; what commander alone can explain goes on to it.
    const flags = readServeFlags(args.slice(1));
    if (flags !== undefined) {
      const { serve } = await import("../commands/serve.ts");
      return serve(flags, process.env);
    }
  }
  const { runClutch } = await import("./cli.ts");
  return runClutch(args.length === 0 ? ["--help"] : args, process.env);
}

/** `--host <host>` and `--port <port>`, each at most once; undefined for anything else, be it `--help` or a mistake. */
function readServeFlags(args: readonly string[]): { host?: string; port?: string } | undefined {
  const flags: { host?: string; port?: string } = {};
  for (let at = 0; at < args.length; at += 2) {
    const name = args[at] === "--host" ? "host" : args[at] === "--port" ? "port" : undefined;
    const value = args[at + 1];
    if (name === undefined || name in flags || value === undefined || value.startsWith("-")) return undefined;
    flags[name] = value;
  }
  return flags;
}

/**
 * Bun runs 256 fetches at a time per process, so the 257th stream would wait for another to end; it reads the variable
 * that lifts this only at start. The executable therefore replaces itself, before anything else is loaded (4 ms). Run
 * from source, the limit stays.
 */
function liftFetchLimit(): void {
  if (!isCompiled() || process.env["BUN_CONFIG_MAX_HTTP_REQUESTS"] !== undefined || process.execve === undefined)
    return;
  const lifted = { ...process.env, BUN_CONFIG_MAX_HTTP_REQUESTS: "4096" };
  process.execve(process.execPath, [process.argv0, ...process.argv.slice(2)], lifted);
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof ClutchError ? `clutch: ${renderError(error)}` : error);
  process.exitCode = error instanceof ClutchError ? error.exitStatus : 1;
}
