/** Launches of agents, and what makes them short to type. */

import { Argument, type Command, Option } from "commander";
import type { AliasFlags } from "../../commands/aliases.ts";
import type { ResumeFlags } from "../../commands/resume.ts";
import { shells } from "../../launcher/shells.ts";
import { type Env, resolveHomes } from "../config/paths.ts";

/** @param done told the exit status of the command that was run */
export function addLaunch(program: Command, env: Env, done: (status: number) => void): void {
  program
    .command("xx")
    .description("start an agent; the same as calling xx")
    .argument("[words...]", "a launch code and its options: see clutch xx --help")
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .addHelpText("after", "\nExample:\n  clutch xx cip")
    .action(async (words: string[]) => {
      const { runXx } = await import("../../commands/xx.ts");
      done(await runXx(words, env));
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
      const { runGuarded } = await import("../../commands/run.ts");
      done(await runGuarded(command, env));
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
      const { resume } = await import("../../commands/resume.ts");
      done(await resume(id, flags, env));
    });

  program
    .command("agents")
    .description("which agents are installed, and in which version; the same as xx agents")
    .option("--json", "as JSON")
    .addHelpText("after", "\nExample:\n  clutch agents --json")
    .action(async (flags: { json?: boolean }) => {
      const { showAgents } = await import("../../commands/agents.ts");
      await showAgents({ isJson: flags.json === true }, resolveHomes(env), env);
    });

  const aliases = program
    .command("aliases")
    .description("short names for launches (ccc for xx ccf), in your shell's start-up file")
    .addHelpText("after", "\nExample:\n  clutch aliases install --dry-run");
  for (const [name, description] of [
    ["print", "show the block that install would write"],
    ["install", "write the block, or bring it up to date"],
    ["uninstall", "take the block out: the file is as it was"],
  ] as const) {
    const command = aliases
      .command(name)
      .description(description)
      .addOption(new Option("--shell <shell>", "whose start-up file (default: by SHELL)").choices(shells))
      .option("--json", "as JSON")
      .addHelpText("after", `\nExample:\n  clutch aliases ${name} --shell zsh`);
    if (name !== "uninstall") command.option("--force", "also take names that mean something already");
    if (name !== "print") command.option("--dry-run", "say what would be done, and write nothing");
    command.action(async (flags: AliasFlags) => {
      const { installAliases, printAliases, uninstallAliases } = await import("../../commands/aliases.ts");
      done({ print: printAliases, install: installAliases, uninstall: uninstallAliases }[name](flags, env));
    });
  }

  program
    .command("completion")
    .description("print a script that completes xx and clutch; its first lines say how to install it")
    .addArgument(new Argument("[shell]", "for which shell (default: by SHELL)").choices(shells))
    .addHelpText("after", "\nExample:\n  source <(clutch completion zsh)")
    .action(async (shell: string | undefined) => {
      const { printCompletion } = await import("../../commands/completion.ts");
      done(printCompletion(shell, env));
    });
}
