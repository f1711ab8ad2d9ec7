/** The commander program: one line of wiring per command; each command is loaded when it is called. */

import { Command, CommanderError } from "commander";
import type { Env } from "./config/paths.ts";
import { version } from "./version.ts";

/** @returns the exit status */
export async function runClutch(args: readonly string[], env: Env): Promise<number> {
  let status = 0;
  const program = new Command("clutch")
    .description(
      "Launches coding agents, routes their requests across models, and fails over when models do not answer.",
    )
    .version(version)
    .showHelpAfterError("(see clutch --help)")
    .enablePositionalOptions()
    .exitOverride();

  program
    .command("serve")
    .description("run the gateway in the foreground")
    .option("--host <host>", "address to listen on (default: server.host, 127.0.0.1)")
    .option("--port <port>", "port to listen on, 0 for any free one (default: server.port, 8082)")
    .addHelpText("after", "\nExample:\n  clutch serve --port 8090")
    .action(async (flags: { host?: string; port?: string }) => {
      const { serve } = await import("../commands/serve.ts");
      status = await serve(flags, env);
    });

  program
    .command("demo")
    .description("watch a cascade fail over, without keys or network")
    .addHelpText("after", "\nExample:\n  clutch demo")
    .action(async () => {
      const { demo } = await import("../commands/demo.ts");
      status = await demo(env);
    });

  program
    .command("models")
    .description("list the models that can be asked, the best first")
    .option("--free", "only those that nobody is billed for")
    .option("--tools", "only those that take tools")
    .option("--vision", "only those that take images")
    .option("--provider <id>", "of this provider, even without a key for it")
    .option("--search <text>", "whose name contains these words")
    .option("--refresh", "fetch the lists first")
    .option("--limit <n>", "so many rows (default: 30 in the table, all as JSON)")
    .option("--check", "tell which models of the config are gone or have changed; status 3 if any")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch models --free --tools --refresh")
    .action(async (flags: import("../commands/models.ts").ModelsFlags) => {
      const { models } = await import("../commands/models.ts");
      status = await models(flags, env);
    });

  program
    .command("xx")
    .description("start an agent; the same as calling xx")
    .argument("[words...]", "a launch code and its options: see clutch xx --help")
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .addHelpText("after", "\nExample:\n  clutch xx cip")
    .action(async (words: string[]) => {
      const { runXx } = await import("../commands/xx.ts");
      status = await runXx(words, env);
    });

  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has printed its message; help and version are no mistakes.
    return error.exitCode === 0 ? 0 : 2;
  }
  return status;
}
