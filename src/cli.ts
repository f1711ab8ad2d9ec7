/** The commander program: one line of wiring per command; each command is loaded when it is called. */

import { Command, CommanderError } from "commander";
import { addLaunch } from "./cli/launch.ts";
import { addLedger } from "./cli/ledger.ts";
import { addServices } from "./cli/services.ts";
import { addSetup } from "./cli/setup.ts";
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

  const done = (code: number) => {
    status = code;
  };
  addServices(program, env, done);
  addLedger(program, env, done);
  addSetup(program, env, done);
  addLaunch(program, env, done);

  if (args[0] === "--complete") {
    const { answerClutchCompletion } = await import("../commands/completion.ts");
    return answerClutchCompletion(program, args.slice(1), env);
  }

  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has printed its message; help and version are no mistakes.
    return error.exitCode === 0 ? 0 : 2;
  }
  return status;
}
