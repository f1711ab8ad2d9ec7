/** The commander program: one line of wiring per command; each command is loaded when it is called. */

import { Command, CommanderError } from "commander";
import type { ResumeFlags } from "../commands/resume.ts";
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

  program
    .command("run")
    .description("run a command so that it outlives its terminal")
    .argument("<command...>", "the command and its arguments")
    .passThroughOptions()
    .addHelpText(
      "after",
      "\nThe command runs in a tmux of Clutch's own. Ctrl-\\ or closing the terminal leaves it running; the same command in\n" +
        "the same folder shows it again, and clutch resume lists what runs or died.\n\nExample:\n  clutch run -- xx cip",
    )
    .action(async (command: string[]) => {
      const { runGuarded } = await import("../commands/run.ts");
      status = await runGuarded(command, env);
    });

  program
    .command("resume")
    .description("bring back agents whose terminal or machine went down")
    .argument("[id]", "the launch, or the beginning of its id")
    .option("--all", "bring back all that died, in the order of their start")
    .option("--list", "only list (the default without an id)")
    .option("--forget", "drop the launch from the list")
    .option("--json", "list as JSON")
    .addHelpText("after", "\nExample:\n  clutch resume --all")
    .action(async (id: string | undefined, flags: ResumeFlags) => {
      const { resume } = await import("../commands/resume.ts");
      status = await resume(id, flags, env);
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
