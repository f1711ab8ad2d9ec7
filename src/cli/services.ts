/** The gateway and the services around it: run, looked at, edited, started at login. */

import type { Command } from "commander";
import type { LogFlags } from "../../commands/logs.ts";
import type { StatusFlags } from "../../commands/status.ts";
import type { UpFlags } from "../../commands/up.ts";
import type { Env } from "../config/paths.ts";
import { noCommand } from "./no-command.ts";

/** @param done told the exit status of the command that was run */
export function addServices(program: Command, env: Env, done: (status: number) => void): void {
  program
    .command("serve")
    .description("run the gateway in the foreground")
    .option("--host <host>", "address to listen on (default: server.host, 127.0.0.1)")
    .option("--port <port>", "port to listen on, 0 for any free one (default: server.port, 8082)")
    .addHelpText("after", "\nExample:\n  clutch serve --port 8090")
    .action(async (flags: { host?: string; port?: string }) => {
      const { serve } = await import("../../commands/serve.ts");
      done(await serve(flags, env));
    });

  program
    .command("up")
    .description("start the services that are not running, in their order, and keep them running")
    .argument("[services...]", "these, and what they need (default: all that are enabled)")
    .option("--only", "without what they need")
    .option("--wait", "wait as long as it takes")
    .option("--no-headroom", "without Headroom, this time")
    .option("--adopt", "take what answers on a service's port already for that service")
    .option("--detach", "without tmux")
    .option("--json", "tell the outcome as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch up")
    .action(async (services: string[], flags: UpFlags) => {
      const { up } = await import("../../commands/up.ts");
      done(await up(services, flags, env));
    });

  program
    .command("down")
    .description("end the services that clutch up started, the last one first")
    .argument("[services...]", "these alone")
    .addHelpText("after", "\nExample:\n  clutch down")
    .action(async (services: string[]) => {
      const { down } = await import("../../commands/down.ts");
      done(await down(services, env));
    });

  program
    .command("restart")
    .description("end services and start them afresh, with the config as it is now")
    .argument("[services...]", "these alone (default: all that are up)")
    .option("--json", "tell the outcome as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch restart headroom")
    .action(async (services: string[], flags: { json?: boolean }) => {
      const { restart } = await import("../../commands/up.ts");
      done(await restart(services, flags, env));
    });

  program
    .command("logs")
    .description("show what the services said")
    .argument("[service]", "this one alone")
    .option("-f, --follow", "go on as they say more")
    .option("-n, --lines <count>", "so many lines of each (default: 50)")
    .option("--since <span>", "what was said in the last 90s, 10m, 2h or 1d")
    .option("--no-color", "without colours, also on a terminal")
    .addHelpText("after", "\nExample:\n  clutch logs gateway -f")
    .action(async (service: string | undefined, flags: LogFlags) => {
      const { logs } = await import("../../commands/logs.ts");
      done(await logs(service, flags, env));
    });

  program
    .command("attach")
    .description("look at the services at this terminal; Ctrl-b d leaves them running")
    .argument("[service]", "begin with this one")
    .addHelpText("after", "\nExample:\n  clutch attach headroom")
    .action(async (service: string | undefined) => {
      const { attach } = await import("../../commands/logs.ts");
      done(await attach(service, env));
    });

  program
    .command("status")
    .description("what runs, whom the tiers are served by, what is out of order; status 3 if a service is not well")
    .option("--json", "as one JSON object")
    .option("--watch", "live, until q; the same as clutch watch")
    .option("--line", "one line, for prompts and for agents' status lines")
    .addHelpText(
      "after",
      "\nExample:\n  clutch status --json\n\nIn Claude Code's settings, to see whom the session is served by:\n" +
        '  "statusLine": { "type": "command", "command": "clutch status --line" }',
    )
    .action(async (flags: StatusFlags) => {
      const { status: showStatus } = await import("../../commands/status.ts");
      done(await showStatus(flags, env));
    });

  program
    .command("watch")
    .description("the same live: requests under way and the last ones, with their cascades; ? for its keys")
    .addHelpText("after", "\nExample:\n  clutch watch")
    .action(async () => {
      const { watch } = await import("../../commands/watch.ts");
      done(await watch(env));
    });

  const chain = program
    .command("chain")
    .description("the services around the gateway: which there are, in which order, how each is started")
    .addHelpText("after", "\nExamples:\n  clutch chain list\n  clutch chain disable headroom --dry-run")
    .allowExcessArguments()
    .action(async (_flags: unknown, { args, commands }: Command) => {
      const [word] = args;
      if (word !== undefined) throw noCommand("chain", word, commands);
      const { listServicesOf } = await import("../../commands/chain.ts");
      done(await listServicesOf({}, env));
    });
  const edits = (command: Command, example: string) =>
    command
      .option("--dry-run", "show the difference, and write nothing")
      .option("--json", "as one JSON object")
      .addHelpText("after", `\nExample:\n  clutch chain ${example}`);
  chain
    .command("list")
    .description("in the order of their start: who needs whom, and why something is off")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch chain list")
    .action(async (flags: { json?: boolean }) => {
      const { listServicesOf } = await import("../../commands/chain.ts");
      done(await listServicesOf(flags, env));
    });
  chain
    .command("validate")
    .description("whether it could be started here: order, programs, ports; status 3 if not")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch chain validate")
    .action(async (flags: { json?: boolean }) => {
      const { validateServices } = await import("../../commands/chain.ts");
      done(await validateServices(flags, env));
    });
  for (const [name, description] of [
    ["enable", "switch a service on"],
    ["disable", "switch a service off; headroom by headroom.mode"],
  ] as const) {
    const command = chain.command(name).description(description).argument("<service>", "its id");
    edits(command, `${name} cliproxyapi`).action(
      async (id: string, flags: import("../../commands/chain.ts").EditFlags) => {
        const { switchService } = await import("../../commands/chain.ts");
        done(await switchService(id, name === "enable", flags, env));
      },
    );
  }
  edits(
    chain
      .command("move")
      .description("put a service elsewhere in the order")
      .argument("<service>", "its id")
      .argument("[position]", "from 1 on")
      .option("--before <service>", "directly before this one")
      .option("--after <service>", "directly behind this one"),
    "move db --before headroom",
  ).action(async (id: string, position: string | undefined, flags: import("../../commands/chain.ts").MoveFlags) => {
    const { moveService } = await import("../../commands/chain.ts");
    done(await moveService(id, position, flags, env));
  });
  edits(
    chain
      .command("set")
      .description(
        "change values of a service: port, command, env.NAME, needs, ready_seconds, name, health_path, front, order",
      )
      .argument("<service>", "its id")
      .argument("[key=value...]", "what to change; needs= is none")
      .option("--unset <key...>", "go back to the default"),
    "set headroom port=8788 ready_seconds=60",
  ).action(async (id: string, assignments: string[], flags: import("../../commands/chain.ts").SetFlags) => {
    const { setService } = await import("../../commands/chain.ts");
    done(await setService(id, assignments, flags, env));
  });
  edits(
    chain
      .command("add")
      .description("add a service of your own")
      .argument("<service>", "an id for it")
      .argument("[command...]", "behind --: its program and arguments")
      .option("--port <port>", "the port that it listens on")
      .option("--health-path <path>", "answers 2xx once it is ready (default: /health)")
      .option("--needs <ids>", "services that must be ready before it, with commas between them")
      .option("--env <NAME=value...>", "for its environment; NAME=env:OTHER takes it from that of clutch up")
      .option("--name <name>", "for people")
      .option("--order <n>", "the least first (default: 10)")
      .option("--ready-seconds <n>", "how long it may take until it is ready (default: 30)")
      .option("--front", "it stands between the agents and the gateway")
      .option("--disabled", "do not start it yet"),
    "add db --port 9000 -- my-server --port 9000",
  ).action(async (id: string, command: string[], flags: import("../../commands/chain.ts").AddFlags) => {
    const { addService } = await import("../../commands/chain.ts");
    done(await addService(id, command, flags, env));
  });
  edits(
    chain.command("remove").description("take out a service of your own").argument("<service>", "its id"),
    "remove db",
  ).action(async (id: string, flags: import("../../commands/chain.ts").EditFlags) => {
    const { removeService } = await import("../../commands/chain.ts");
    done(await removeService(id, flags, env));
  });

  const service = program
    .command("service")
    .description("have the chain, or the gateway alone, started at login: by systemd or launchd")
    .addHelpText("after", "\nExamples:\n  clutch service install --dry-run\n  clutch service status");
  for (const [name, description, isEdit] of [
    ["install", "write the unit and start it; shows what it does", true],
    ["uninstall", "stop it and take the unit away", true],
    ["status", "whether it is installed, and how it fares; status 3 if not well", false],
  ] as const) {
    const command = service
      .command(name)
      .description(description)
      .option("--gateway-only", "the gateway alone, kept running by the system, in place of the chain")
      .option("--json", "as one JSON object")
      .addHelpText("after", `\nExample:\n  clutch service ${name} --gateway-only`);
    if (isEdit) command.option("--dry-run", "say what would be done, and do nothing");
    command.action(async (flags: import("../../commands/service.ts").ServiceFlags) => {
      const { installService, showService, uninstallService } = await import("../../commands/service.ts");
      done(await { install: installService, uninstall: uninstallService, status: showService }[name](flags, env));
    });
  }
  service
    .command("logs")
    .description("what it printed at login; the services' own logs are those of clutch logs")
    .option("--gateway-only", "of the gateway alone")
    .option("-f, --follow", "go on as it prints")
    .option("-n, --lines <n>", "so many of the last lines (default: 50)")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch service logs -n 100")
    .action(async (flags: import("../../commands/service.ts").LogFlags) => {
      const { showServiceLogs } = await import("../../commands/service.ts");
      done(await showServiceLogs(flags, env));
    });
}
