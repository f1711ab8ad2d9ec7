/** The commander program: one line of wiring per command; each command is loaded when it is called. */

import { Argument, Command, CommanderError, Option } from "commander";
import type { AliasFlags } from "../commands/aliases.ts";
import type { LogFlags } from "../commands/logs.ts";
import type { ResumeFlags } from "../commands/resume.ts";
import type { StatusFlags } from "../commands/status.ts";
import type { UpFlags } from "../commands/up.ts";
import { shells } from "../launcher/shells.ts";
import { type Env, resolveHomes } from "./config/paths.ts";
import { ClutchError } from "./errors.ts";
import { templateNames } from "./modes/names.ts";
import { nearest } from "./nearest.ts";
import { usageGroups } from "./usage-groups.ts";
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
      const { up } = await import("../commands/up.ts");
      status = await up(services, flags, env);
    });

  program
    .command("down")
    .description("end the services that clutch up started, the last one first")
    .argument("[services...]", "these alone")
    .addHelpText("after", "\nExample:\n  clutch down")
    .action(async (services: string[]) => {
      const { down } = await import("../commands/down.ts");
      status = await down(services, env);
    });

  program
    .command("restart")
    .description("end services and start them afresh, with the config as it is now")
    .argument("[services...]", "these alone (default: all that are up)")
    .option("--json", "tell the outcome as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch restart headroom")
    .action(async (services: string[], flags: { json?: boolean }) => {
      const { restart } = await import("../commands/up.ts");
      status = await restart(services, flags, env);
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
      const { logs } = await import("../commands/logs.ts");
      status = await logs(service, flags, env);
    });

  program
    .command("attach")
    .description("look at the services at this terminal; Ctrl-b d leaves them running")
    .argument("[service]", "begin with this one")
    .addHelpText("after", "\nExample:\n  clutch attach headroom")
    .action(async (service: string | undefined) => {
      const { attach } = await import("../commands/logs.ts");
      status = await attach(service, env);
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
      const { status: showStatus } = await import("../commands/status.ts");
      status = await showStatus(flags, env);
    });

  program
    .command("watch")
    .description("the same live: requests under way and the last ones, with their cascades; ? for its keys")
    .addHelpText("after", "\nExample:\n  clutch watch")
    .action(async () => {
      const { watch } = await import("../commands/watch.ts");
      status = await watch(env);
    });

  program
    .command("doctor")
    .description("find out what is wrong here, and how to put it right")
    .argument("[agents...]", "with --agents: these alone, by program or letter")
    .option("--agents", "launch each installed agent against a canary and tell where it really talks to")
    .option("--rtk", "run failing commands through RTK and compare how they end")
    .option("--fix", "put right what can be put right without harm, and say what was done")
    .option("--json", "print the results as JSON")
    .addHelpText(
      "after",
      "\nWithout --agents and --rtk everything is looked at, in some seconds; status 3 if something is broken.\n\n" +
        "Examples:\n  clutch doctor\n  clutch doctor --fix\n  clutch doctor --agents claude hermes",
    )
    .action(async (names: string[], flags: import("../commands/doctor.ts").DoctorFlags) => {
      const { doctor } = await import("../commands/doctor.ts");
      status = await doctor(names, flags, env);
    });

  program
    .command("why")
    .description("tell what became of a request: which rule, which candidates, what each answered")
    .argument("[id]", "as x-clutch-request-id has it, or its beginning; last is the newest", "last")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch why last")
    .action(async (id: string, flags: { json?: boolean }) => {
      const { why } = await import("../commands/why.ts");
      status = await why(id, flags, env);
    });

  const requests = program
    .command("requests")
    .description("what was asked, of whom, and what came of it: from the ledger, with or without a gateway")
    .addHelpText(
      "after",
      "\nExamples:\n  clutch requests\n  clutch requests tail --agent claude\n  clutch requests export --since 7d --output week.csv",
    );
  const filtered = (command: Command, example: string) =>
    command
      .option("--agent <names>", "of these agents: letters or programs, with commas between them")
      .option("--model <part>", "whose model asked for has this in its name")
      .option("--served-by <part>", "answered by a provider:model with this in its name")
      .option("--status <words>", "completed, error, aborted, pending, with commas between them")
      .option("--errors", "only what nobody answered, or what broke off")
      .option("--session <id>", "of the agent's session with this id, or whose id begins so")
      .option("--launch <id>", "of this launch")
      .option("--since <moment>", "from then on: 2h, 7d, today, 2026-11-20, 2026-11-20T14:30 (UTC)")
      .addHelpText("after", `\nExample:\n  clutch requests ${example}`);
  filtered(
    requests.command("list", { isDefault: true }).description("the newest first").allowExcessArguments(),
    "list --errors --since today",
  )
    .option("--until <moment>", "up to then")
    .option("--limit <n>", "so many rows (default: 50)")
    .option("--json", "as one JSON object")
    .action(async (flags: import("../commands/requests.ts").FilterFlags, { args: [word] }: Command) => {
      if (word !== undefined) throw noCommand("requests", word, requests.commands);
      const { listRequests } = await import("../commands/requests.ts");
      status = await listRequests(flags, env);
    });
  filtered(requests.command("tail").description("each as it ends, until Ctrl-C"), "tail --agent claude")
    .option("-n, --lines <n>", "so many of the last ones first (default: 10)")
    .option("--json", "as lines of JSON")
    .action(async (flags: import("../commands/requests.ts").TailFlags) => {
      const { tailRequests } = await import("../commands/requests.ts");
      status = await tailRequests(flags, env);
    });
  requests
    .command("show")
    .description("the figures of one; clutch why tells why it went so")
    .argument("[id]", "as x-clutch-request-id has it, or its beginning; last is the newest", "last")
    .option("--bodies", "what was asked and answered, word for word, where it was captured")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch requests show last")
    .action(async (id: string, flags: import("../commands/requests.ts").ShowFlags) => {
      const { showRequest } = await import("../commands/requests.ts");
      status = await showRequest(id, flags, env);
    });
  requests
    .command("capture")
    .description("keep the bodies of requests and answers for a while, without keys; off by default")
    .addArgument(new Argument("[switch]", "on, off or status").choices(["on", "off", "status"]).default("status"))
    .option("--for <span>", "so long: 30m, 2h, at most 7d (default: 1h)")
    .option("--errors", "only of requests that nobody answers, or whose answer breaks off")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch requests capture on --for 2h --errors")
    .action(async (word: string, flags: import("../commands/requests.ts").CaptureFlags) => {
      const { switchCapture } = await import("../commands/requests.ts");
      status = await switchCapture(word, flags, env);
    });
  filtered(
    requests.command("export").description("as lines of JSON or as CSV, the oldest first"),
    "export --since 7d --output week.csv",
  )
    .option("--until <moment>", "up to then")
    .option("--limit <n>", "so many rows (default: all)")
    .addOption(new Option("--format <format>", "jsonl, or csv (default: by the file's name)").choices(["jsonl", "csv"]))
    .option("--output <file>", "into this file (default: print)")
    .action(async (flags: import("../commands/requests.ts").ExportFlags) => {
      const { exportRequests } = await import("../commands/requests.ts");
      status = await exportRequests(flags, env);
    });

  program
    .command("replay")
    .description("ask other models the same as a captured request did, and compare tool calls, time, tokens and cost")
    .argument("<id>", "a request's id, its beginning, or last, the newest captured; or a file of --save")
    .option("--against <models>", "provider:model, with commas between them (default: the one that answered)")
    .option("--save <case>", "keep the request and what it called, to be asked again later")
    .option("--json", "as one JSON object")
    .addHelpText(
      "after",
      "\nBodies are kept only on demand: clutch requests capture on --for 1h. Status 1 if a run fails, or a saved case is\n" +
        "answered with other tools.\n\nExample:\n  clutch replay last --against openrouter:moonshotai/kimi-k2.6:free,ollama:qwen3:8b",
    )
    .action(async (id: string, flags: import("../commands/replay.ts").ReplayFlags) => {
      const { replay } = await import("../commands/replay.ts");
      status = await replay(id, flags, env);
    });

  const sessions = program
    .command("sessions")
    .description("conversations: whose, in which folder, how many turns, what they cost")
    .addHelpText("after", "\nExamples:\n  clutch sessions\n  clutch sessions show last");
  sessions
    .command("list", { isDefault: true })
    .description("the newest first")
    .allowExcessArguments()
    .option("--agent <names>", "of these agents: letters or programs, with commas between them")
    .option("--folder <part>", "begun in a folder with this in its name")
    .option("--since <moment>", "with requests since that day: 7d, today, 2026-11-20")
    .option("--limit <n>", "so many rows (default: 30)")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch sessions list --agent claude --since 7d")
    .action(async (flags: import("../commands/sessions.ts").SessionFlags, { args: [word] }: Command) => {
      if (word !== undefined) throw noCommand("sessions", word, sessions.commands);
      const { listConversations } = await import("../commands/sessions.ts");
      status = await listConversations(flags, env);
    });
  sessions
    .command("show")
    .description("one of them: its models, its retries, and whether compression paid")
    .argument("[id]", "the session's id, or its beginning; last is the newest", "last")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch sessions show last")
    .action(async (id: string, flags: { json?: boolean }) => {
      const { showConversation } = await import("../commands/sessions.ts");
      status = await showConversation(id, flags, env);
    });

  const breakers = program
    .command("breakers")
    .description("what is out of order, since when and until when: models, keys, accounts, providers")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch breakers")
    .action(async (flags: { json?: boolean }) => {
      const { breakers } = await import("../commands/breakers.ts");
      status = await breakers(flags, env);
    });
  breakers
    .command("reset")
    .description("have what is out of order tried again at once")
    .argument("[what]", "a model, a provider with all that is its, an id from --json, or all", "all")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch breakers reset moonshotai/kimi-k2.6:free")
    .action(async (what: string, flags: { json?: boolean }) => {
      const { resetBreakers } = await import("../commands/breakers.ts");
      status = await resetBreakers(what, flags, env);
    });

  program
    .command("quota")
    .description("how much of each limit is left, and until when: the config's own, OpenRouter's free models")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch quota")
    .action(async (flags: { json?: boolean }) => {
      const { quota } = await import("../commands/quota.ts");
      status = await quota(flags, env);
    });

  program
    .command("usage")
    .description("what was used and what it cost, by day (UTC), model, agent, session, folder or tier")
    .argument("[period]", "today, yesterday, 7d, 30d, month, a month, a day, or two days with .. between", "today")
    .addOption(new Option("--by <group>", "what it is added up by").choices(usageGroups).default("model"))
    .option("--json", "as one JSON object")
    .option("--csv", "as a table for spreadsheets")
    .addHelpText(
      "after",
      "\nExamples:\n  clutch usage 7d --by agent\n  clutch usage 2026-11-01..2026-11-20 --by day --csv",
    )
    .action(async (period: string, flags: import("../commands/usage.ts").UsageFlags) => {
      const { usage } = await import("../commands/usage.ts");
      status = await usage(period, flags, env);
    });

  program
    .command("budgets")
    .description("what is limited, and how much of it is used: the day, agents, sessions, keys")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch budgets")
    .action(async (flags: { json?: boolean }) => {
      const { showBudgets } = await import("../commands/budgets.ts");
      status = await showBudgets(flags, env);
    });

  const keys = program
    .command("keys")
    .description("keys for whoever uses the gateway: from other machines, or within limits")
    .option("--json", "as one JSON object")
    .addHelpText(
      "after",
      "\nExamples:\n  clutch keys create laptop --agents claude,codex --budget usd=5\n  clutch keys revoke laptop",
    )
    .allowExcessArguments()
    .action(async (flags: { json?: boolean }, { args, commands }: Command) => {
      const [word] = args;
      if (word !== undefined) throw noCommand("keys", word, commands);
      const { listKeys } = await import("../commands/keys.ts");
      status = await listKeys(flags, env);
    });
  keys
    .command("create")
    .description("make a key, and show it this once")
    .argument("<name>", "for people: who or what uses it")
    .option("--agents <names...>", "only for these agents: claude, codex, ...")
    .option("--models <patterns...>", "only these models: 'openrouter:*:free', 'anthropic:*', ...")
    .option("--budget <limits...>", "refuse more in a day: usd=5, tokens=2000000, requests=100")
    .option("--soft-budget <limits...>", "from there on only free models: usd=4, ...")
    .option("--expires <when>", "30d, 12h, or a day such as 2027-01-31")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch keys create ci --models 'openrouter:*:free' --expires 30d")
    .action(async (name: string, flags: import("../commands/keys.ts").CreateKeyFlags) => {
      const { createKey } = await import("../commands/keys.ts");
      status = await createKey(name, flags, env);
    });
  keys
    .command("list")
    .description("which there are, what each is good for, and when it was used last")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch keys list")
    .action(async (flags: { json?: boolean }) => {
      const { listKeys } = await import("../commands/keys.ts");
      status = await listKeys(flags, env);
    });
  keys
    .command("revoke")
    .description("end a key, at once")
    .argument("<key>", "its id, the beginning of it, or its name")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch keys revoke ci")
    .action(async (name: string, flags: { json?: boolean }) => {
      const { revokeKey } = await import("../commands/keys.ts");
      status = await revokeKey(name, flags, env);
    });
  keys
    .command("rotate")
    .description("a new key in place of one, on the same terms")
    .argument("<key>", "its id, the beginning of it, or its name")
    .option("--grace <span>", "how long the old one is still good: 24h (default: not at all)")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch keys rotate ci --grace 24h")
    .action(async (name: string, flags: import("../commands/keys.ts").RotateKeyFlags) => {
      const { rotateKey } = await import("../commands/keys.ts");
      status = await rotateKey(name, flags, env);
    });

  const db = program
    .command("db")
    .description("the ledger's file: where it is, copies of it, whether it is sound, and less of it")
    .addHelpText("after", "\nExamples:\n  clutch db backup\n  clutch db prune --older-than 30d")
    .allowExcessArguments()
    .action(async (_flags: unknown, { args, commands }: Command) => {
      const [word] = args;
      if (word !== undefined) throw noCommand("db", word, commands);
      db.outputHelp();
    });
  db.command("path")
    .description("where it is")
    .option("--json", "as one JSON object")
    .action(async (flags: { json?: boolean }) => {
      const { dbPath } = await import("../commands/db.ts");
      status = dbPath(flags, env);
    });
  db.command("backup")
    .description("copy it as it is at this moment, while a gateway writes to it or not")
    .argument("[file]", "where to; there must be none yet (default: beside it, named by the moment)")
    .option("--json", "as one JSON object")
    .action(async (file: string | undefined, flags: { json?: boolean }) => {
      const { dbBackup } = await import("../commands/db.ts");
      status = await dbBackup(file, flags, env);
    });
  db.command("restore")
    .description("put a backup in its place, while no gateway serves; what was there is moved aside")
    .argument("<file>", "the backup")
    .option("--json", "as one JSON object")
    .action(async (file: string, flags: { json?: boolean }) => {
      const { dbRestore } = await import("../commands/db.ts");
      status = dbRestore(file, flags, env);
    });
  db.command("check")
    .description("read all of it: whether it is sound, and whether its sums are those of its requests")
    .option("--json", "as one JSON object")
    .action(async (flags: { json?: boolean }) => {
      const { dbCheck } = await import("../commands/db.ts");
      status = await dbCheck(flags, env);
    });
  db.command("prune")
    .description("delete requests that are too old; sums by day stay")
    .option("--older-than <days>", "such as 30d (default: ledger.retention_days)")
    .option("--json", "as one JSON object")
    .action(async (flags: { json?: boolean; olderThan?: string }) => {
      const { dbPrune } = await import("../commands/db.ts");
      status = await dbPrune(flags, env);
    });

  const chain = program
    .command("chain")
    .description("the services around the gateway: which there are, in which order, how each is started")
    .addHelpText("after", "\nExamples:\n  clutch chain list\n  clutch chain disable headroom --dry-run")
    .allowExcessArguments()
    .action(async (_flags: unknown, { args, commands }: Command) => {
      const [word] = args;
      if (word !== undefined) throw noCommand("chain", word, commands);
      const { listServicesOf } = await import("../commands/chain.ts");
      status = await listServicesOf({}, env);
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
      const { listServicesOf } = await import("../commands/chain.ts");
      status = await listServicesOf(flags, env);
    });
  chain
    .command("validate")
    .description("whether it could be started here: order, programs, ports; status 3 if not")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch chain validate")
    .action(async (flags: { json?: boolean }) => {
      const { validateServices } = await import("../commands/chain.ts");
      status = await validateServices(flags, env);
    });
  for (const [name, description] of [
    ["enable", "switch a service on"],
    ["disable", "switch a service off; headroom by headroom.mode"],
  ] as const) {
    const command = chain.command(name).description(description).argument("<service>", "its id");
    edits(command, `${name} cliproxyapi`).action(
      async (id: string, flags: import("../commands/chain.ts").EditFlags) => {
        const { switchService } = await import("../commands/chain.ts");
        status = await switchService(id, name === "enable", flags, env);
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
  ).action(async (id: string, position: string | undefined, flags: import("../commands/chain.ts").MoveFlags) => {
    const { moveService } = await import("../commands/chain.ts");
    status = await moveService(id, position, flags, env);
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
  ).action(async (id: string, assignments: string[], flags: import("../commands/chain.ts").SetFlags) => {
    const { setService } = await import("../commands/chain.ts");
    status = await setService(id, assignments, flags, env);
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
  ).action(async (id: string, command: string[], flags: import("../commands/chain.ts").AddFlags) => {
    const { addService } = await import("../commands/chain.ts");
    status = await addService(id, command, flags, env);
  });
  edits(
    chain.command("remove").description("take out a service of your own").argument("<service>", "its id"),
    "remove db",
  ).action(async (id: string, flags: import("../commands/chain.ts").EditFlags) => {
    const { removeService } = await import("../commands/chain.ts");
    status = await removeService(id, flags, env);
  });

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
    .action(async (flags: import("../commands/init.ts").InitFlags) => {
      const { init } = await import("../commands/init.ts");
      status = await init(flags, env);
    });

  const config = program
    .command("config")
    .description("the config: what is in force and who said so; change it, check it")
    .addHelpText("after", "\nExamples:\n  clutch config show\n  clutch config set server.port 8090")
    .allowExcessArguments()
    .action(async (_flags: unknown, { args, commands }: Command) => {
      const [word] = args;
      if (word !== undefined) throw noCommand("config", word, commands);
      const { showConfig } = await import("../commands/config.ts");
      status = await showConfig({}, env);
    });
  config
    .command("show")
    .description("every value in force, and where it comes from; keys are hidden")
    .option("--changed", "leave out the defaults")
    .option("--host <host>", "as clutch serve would be called")
    .option("--port <port>", "as clutch serve would be called")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch config show --changed")
    .action(async (flags: import("../commands/config.ts").ShowFlags) => {
      const { showConfig } = await import("../commands/config.ts");
      status = await showConfig(flags, env);
    });
  config
    .command("get")
    .description("one value, or the part of the config below a setting; status 1 if nothing is set")
    .argument("<setting>", "such as server.port, fallbacks[0], model_tiers.BIG")
    .option("--json", "with where it comes from")
    .addHelpText("after", "\nExample:\n  clutch config get model_tiers.BIG")
    .action(async (setting: string, flags: { json?: boolean }) => {
      const { getSetting } = await import("../commands/config.ts");
      status = await getSetting(setting, flags, env);
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
  ).action(async (setting: string, words: string[], flags: import("../commands/config.ts").EditFlags) => {
    const { setSetting } = await import("../commands/config.ts");
    status = await setSetting(setting, words, flags, env);
  });
  configEdits(
    config
      .command("unset")
      .description("take a setting out of the file: the default is in force again")
      .argument("<setting>", "such as server.port"),
    "unset server.port",
  ).action(async (setting: string, flags: import("../commands/config.ts").EditFlags) => {
    const { unsetSetting } = await import("../commands/config.ts");
    status = await unsetSetting(setting, flags, env);
  });
  config
    .command("edit")
    .description("open a copy in VISUAL or EDITOR; it takes the file's place once it holds")
    .addHelpText("after", "\nExample:\n  EDITOR=nano clutch config edit")
    .action(async () => {
      const { editByHand } = await import("../commands/config-edit.ts");
      status = await editByHand(env);
    });
  config
    .command("check")
    .description("tell what is wrong with a config, with line and column; status 1 if anything")
    .argument("[file]", "this one (default: the one in force)")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch config check")
    .action(async (file: string | undefined, flags: { json?: boolean }) => {
      const { checkConfig } = await import("../commands/config-check.ts");
      status = checkConfig(file, flags, env);
    });
  config
    .command("path")
    .description("print where the config file is, or will be made")
    .addHelpText("after", "\nExample:\n  clutch config path")
    .action(async () => {
      const { showPath } = await import("../commands/config.ts");
      status = showPath(env);
    });
  config
    .command("schema")
    .description("print a JSON Schema of the config, for editors and validators")
    .addHelpText("after", "\nExample:\n  clutch config schema > config.schema.json")
    .action(async () => {
      const { showSchema } = await import("../commands/config.ts");
      status = showSchema();
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
    command.action(async (flags: import("../commands/service.ts").ServiceFlags) => {
      const { installService, showService, uninstallService } = await import("../commands/service.ts");
      status = await { install: installService, uninstall: uninstallService, status: showService }[name](flags, env);
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
    .action(async (flags: import("../commands/service.ts").LogFlags) => {
      const { showServiceLogs } = await import("../commands/service.ts");
      status = await showServiceLogs(flags, env);
    });

  program
    .command("demo")
    .description("watch a cascade fail over, without keys or network")
    .addHelpText("after", "\nExample:\n  clutch demo")
    .action(async () => {
      const { demo } = await import("../commands/demo.ts");
      status = await demo(env);
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
      const { listModes } = await import("../commands/mode.ts");
      status = await listModes({}, env);
    });
  mode
    .command("list")
    .description("those that there are; * is in force")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch mode list")
    .action(async (flags: import("../commands/mode.ts").ModeFlags) => {
      const { listModes } = await import("../commands/mode.ts");
      status = await listModes(flags, env);
    });
  mode
    .command("show")
    .description("what is in one, as it would stand in the config")
    .argument("<mode>", "a saved one, or one of Clutch's own")
    .addHelpText("after", "\nExample:\n  clutch mode show premium")
    .action(async (name: string) => {
      const { showMode } = await import("../commands/mode.ts");
      status = await showMode(name, env);
    });
  mode
    .command("save")
    .description("keep the routing that is in force under a name; keys are no part of it")
    .argument("<mode>", "lower-case letters, digits and hyphens")
    .option("--force", "write over one of that name")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch mode save work")
    .action(async (name: string, flags: import("../commands/mode.ts").ModeFlags) => {
      const { saveMode } = await import("../commands/mode.ts");
      status = await saveMode(name, flags, env);
    });
  mode
    .command("load")
    .description("put one in force: writes it into the config, which a running gateway follows")
    .argument("<mode>", "a saved one, one of Clutch's own, or previous")
    .option("--dry-run", "show the difference, and write nothing")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch mode load free")
    .action(async (name: string, flags: import("../commands/mode.ts").ModeFlags) => {
      const { loadMode } = await import("../commands/mode.ts");
      status = await loadMode(name, flags, env);
    });
  mode
    .command("delete")
    .description("delete a saved one; the config stays as it is")
    .argument("<mode>", "a saved one")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch mode delete work")
    .action(async (name: string, flags: import("../commands/mode.ts").ModeFlags) => {
      const { dropMode } = await import("../commands/mode.ts");
      status = dropMode(name, flags, env);
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

  program
    .command("agents")
    .description("which agents are installed, and in which version; the same as xx agents")
    .option("--json", "as JSON")
    .addHelpText("after", "\nExample:\n  clutch agents --json")
    .action(async (flags: { json?: boolean }) => {
      const { showAgents } = await import("../commands/agents.ts");
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
      const { installAliases, printAliases, uninstallAliases } = await import("../commands/aliases.ts");
      status = { print: printAliases, install: installAliases, uninstall: uninstallAliases }[name](flags, env);
    });
  }

  program
    .command("completion")
    .description("print a script that completes xx and clutch; its first lines say how to install it")
    .addArgument(new Argument("[shell]", "for which shell (default: by SHELL)").choices(shells))
    .addHelpText("after", "\nExample:\n  source <(clutch completion zsh)")
    .action(async (shell: string | undefined) => {
      const { printCompletion } = await import("../commands/completion.ts");
      status = printCompletion(shell, env);
    });

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

/** A group that does something by itself takes a mistyped command for an argument. */
function noCommand(group: string, word: string, commands: readonly Command[]): ClutchError {
  const names = commands.map((command) => command.name());
  const near = nearest(word, names);
  return new ClutchError("usage", `there is no clutch ${group} ${word}`, {
    hint: near === undefined ? `use one of ${names.join(", ")}` : `did you mean ${near}?`,
  });
}
