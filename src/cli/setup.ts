/** The config, and what it can name. */

import { type Command, Option } from "commander";
import type { Env } from "../config/paths.ts";
import { templateNames } from "../modes/names.ts";
import { noCommand } from "./no-command.ts";

/** @param done told the exit status of the command that was run */
export function addSetup(program: Command, env: Env, done: (status: number) => void): void {
  program
    .command("init")
    .description("set Clutch up: finds keys, agents and local models, and carries a predecessor's set-up over")
    .option("--yes", "the usual answers, without questions")
    .option("--from-env <file>", "carry over this .env")
    .option("--from-xx <file>", "carry over this ~/.xx/config.json")
    .option("--from-chain <file>", "carry over this proxy_chain.json")
    .option("--no-import", "carry nothing over")
    .option("--no-test", "save keys without asking their providers about them")
    .addOption(new Option("--mode <template>", "which models shall answer").choices(templateNames))
    .option("--replace", "in place of the config that is there, of which a copy is kept")
    .option("--dry-run", "show what would be written")
    .option("--json", "tell the outcome as one JSON object")
    .addHelpText(
      "after",
      "\nExamples:\n  clutch init\n  clutch init --yes --from-env ~/claude-code-proxy/.env --dry-run",
    )
    .action(async (flags: import("../../commands/init.ts").InitFlags) => {
      const { init } = await import("../../commands/init.ts");
      done(await init(flags, env));
    });

  const config = program
    .command("config")
    .description("the config: what is in force and who said so; change it, check it")
    .addHelpText("after", "\nExamples:\n  clutch config show\n  clutch config set server.port 8090")
    .allowExcessArguments()
    .action(async (_flags: unknown, { args, commands }: Command) => {
      const [word] = args;
      if (word !== undefined) throw noCommand("config", word, commands);
      const { showConfig } = await import("../../commands/config.ts");
      done(await showConfig({}, env));
    });
  config
    .command("show")
    .description("every value in force, and where it comes from; keys are hidden")
    .option("--changed", "leave out the defaults")
    .option("--host <host>", "as clutch serve would be called")
    .option("--port <port>", "as clutch serve would be called")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch config show --changed")
    .action(async (flags: import("../../commands/config.ts").ShowFlags) => {
      const { showConfig } = await import("../../commands/config.ts");
      done(await showConfig(flags, env));
    });
  config
    .command("get")
    .description("one value, or the part of the config below a setting; status 1 if nothing is set")
    .argument("<setting>", "such as server.port, fallbacks[0], model_tiers.BIG")
    .option("--json", "with where it comes from")
    .addHelpText("after", "\nExample:\n  clutch config get model_tiers.BIG")
    .action(async (setting: string, flags: { json?: boolean }) => {
      const { getSetting } = await import("../../commands/config.ts");
      done(await getSetting(setting, flags, env));
    });
  const configEdits = (command: Command, example: string) =>
    command
      .option("--dry-run", "show the difference, and write nothing")
      .option("--json", "as one JSON object")
      .addHelpText("after", `\nExample:\n  clutch config ${example}`);
  configEdits(
    config
      .command("set")
      .description("write a value into the file; comments and layout stay")
      .argument("<setting>", "such as server.port")
      .argument("<value...>", "text or JSON as the setting takes it; several words make a list; - reads it, unseen"),
    "set fallbacks openai/gpt-oss-120b:free z-ai/glm-4.5-air:free",
  ).action(async (setting: string, words: string[], flags: import("../../commands/config.ts").EditFlags) => {
    const { setSetting } = await import("../../commands/config.ts");
    done(await setSetting(setting, words, flags, env));
  });
  configEdits(
    config
      .command("unset")
      .description("take a setting out of the file: the default is in force again")
      .argument("<setting>", "such as server.port"),
    "unset server.port",
  ).action(async (setting: string, flags: import("../../commands/config.ts").EditFlags) => {
    const { unsetSetting } = await import("../../commands/config.ts");
    done(await unsetSetting(setting, flags, env));
  });
  config
    .command("edit")
    .description("open a copy in VISUAL or EDITOR; it takes the file's place once it holds")
    .addHelpText("after", "\nExample:\n  EDITOR=nano clutch config edit")
    .action(async () => {
      const { editByHand } = await import("../../commands/config-edit.ts");
      done(await editByHand(env));
    });
  config
    .command("check")
    .description("tell what is wrong with a config, with line and column; status 1 if anything")
    .argument("[file]", "this one (default: the one in force)")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch config check")
    .action(async (file: string | undefined, flags: { json?: boolean }) => {
      const { checkConfig } = await import("../../commands/config-check.ts");
      done(checkConfig(file, flags, env));
    });
  config
    .command("path")
    .description("print where the config file is, or will be made")
    .addHelpText("after", "\nExample:\n  clutch config path")
    .action(async () => {
      const { showPath } = await import("../../commands/config.ts");
      done(showPath(env));
    });
  config
    .command("schema")
    .description("print a JSON Schema of the config, for editors and validators")
    .addHelpText("after", "\nExample:\n  clutch config schema > config.schema.json")
    .action(async () => {
      const { showSchema } = await import("../../commands/config.ts");
      done(showSchema());
    });

  const mode = program
    .command("mode")
    .description(
      "whole routing set-ups by name: tiers, routes, mappings, fallbacks; free, local, premium and more are there",
    )
    .addHelpText("after", "\nExamples:\n  clutch mode save work\n  clutch mode load free --dry-run")
    .allowExcessArguments()
    .action(async (_flags: unknown, { args, commands }: Command) => {
      const [word] = args;
      if (word !== undefined) throw noCommand("mode", word, commands);
      const { listModes } = await import("../../commands/mode.ts");
      done(await listModes({}, env));
    });
  mode
    .command("list")
    .description("those that there are; * is in force")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch mode list")
    .action(async (flags: import("../../commands/mode.ts").ModeFlags) => {
      const { listModes } = await import("../../commands/mode.ts");
      done(await listModes(flags, env));
    });
  mode
    .command("show")
    .description("what is in one, as it would stand in the config")
    .argument("<mode>", "a saved one, or one of Clutch's own")
    .addHelpText("after", "\nExample:\n  clutch mode show premium")
    .action(async (name: string) => {
      const { showMode } = await import("../../commands/mode.ts");
      done(await showMode(name, env));
    });
  mode
    .command("save")
    .description("keep the routing that is in force under a name; keys are no part of it")
    .argument("<mode>", "lower-case letters, digits and hyphens")
    .option("--force", "write over one of that name")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch mode save work")
    .action(async (name: string, flags: import("../../commands/mode.ts").ModeFlags) => {
      const { saveMode } = await import("../../commands/mode.ts");
      done(await saveMode(name, flags, env));
    });
  mode
    .command("load")
    .description("put one in force: writes it into the config, which a running gateway follows")
    .argument("<mode>", "a saved one, one of Clutch's own, or previous")
    .option("--dry-run", "show the difference, and write nothing")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch mode load free")
    .action(async (name: string, flags: import("../../commands/mode.ts").ModeFlags) => {
      const { loadMode } = await import("../../commands/mode.ts");
      done(await loadMode(name, flags, env));
    });
  mode
    .command("delete")
    .description("delete a saved one; the config stays as it is")
    .argument("<mode>", "a saved one")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch mode delete work")
    .action(async (name: string, flags: import("../../commands/mode.ts").ModeFlags) => {
      const { dropMode } = await import("../../commands/mode.ts");
      done(dropMode(name, flags, env));
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
    .action(async (flags: import("../../commands/models.ts").ModelsFlags) => {
      const { models } = await import("../../commands/models.ts");
      done(await models(flags, env));
    });

  program
    .command("demo")
    .description("watch a cascade fail over, without keys or network")
    .addHelpText("after", "\nExample:\n  clutch demo")
    .action(async () => {
      const { demo } = await import("../../commands/demo.ts");
      done(await demo(env));
    });
}
