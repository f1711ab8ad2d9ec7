/** What became of requests, what they cost, who may ask, and what is wrong. */

import { Argument, type Command, Option } from "commander";
import type { Env } from "../config/paths.ts";
import { usageGroups } from "../usage-groups.ts";
import { noCommand } from "./no-command.ts";

/** @param done told the exit status of the command that was run */
export function addLedger(program: Command, env: Env, done: (status: number) => void): void {
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
    .action(async (names: string[], flags: import("../../commands/doctor.ts").DoctorFlags) => {
      const { doctor } = await import("../../commands/doctor.ts");
      done(await doctor(names, flags, env));
    });

  program
    .command("why")
    .description("tell what became of a request: which rule, which candidates, what each answered")
    .argument("[id]", "as x-clutch-request-id has it, or its beginning; last is the newest", "last")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch why last")
    .action(async (id: string, flags: { json?: boolean }) => {
      const { why } = await import("../../commands/why.ts");
      done(await why(id, flags, env));
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
    .action(async (flags: import("../../commands/requests.ts").FilterFlags, { args: [word] }: Command) => {
      if (word !== undefined) throw noCommand("requests", word, requests.commands);
      const { listRequests } = await import("../../commands/requests.ts");
      done(await listRequests(flags, env));
    });
  filtered(requests.command("tail").description("each as it ends, until Ctrl-C"), "tail --agent claude")
    .option("-n, --lines <n>", "so many of the last ones first (default: 10)")
    .option("--json", "as lines of JSON")
    .action(async (flags: import("../../commands/requests.ts").TailFlags) => {
      const { tailRequests } = await import("../../commands/requests.ts");
      done(await tailRequests(flags, env));
    });
  requests
    .command("show")
    .description("the figures of one; clutch why tells why it went so")
    .argument("[id]", "as x-clutch-request-id has it, or its beginning; last is the newest", "last")
    .option("--bodies", "what was asked and answered, word for word, where it was captured")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch requests show last")
    .action(async (id: string, flags: import("../../commands/requests.ts").ShowFlags) => {
      const { showRequest } = await import("../../commands/requests.ts");
      done(await showRequest(id, flags, env));
    });
  requests
    .command("capture")
    .description("keep the bodies of requests and answers for a while, without keys; off by default")
    .addArgument(new Argument("[switch]", "on, off or status").choices(["on", "off", "status"]).default("status"))
    .option("--for <span>", "so long: 30m, 2h, at most 7d (default: 1h)")
    .option("--errors", "only of requests that nobody answers, or whose answer breaks off")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch requests capture on --for 2h --errors")
    .action(async (word: string, flags: import("../../commands/requests.ts").CaptureFlags) => {
      const { switchCapture } = await import("../../commands/requests.ts");
      done(await switchCapture(word, flags, env));
    });
  filtered(
    requests.command("export").description("as lines of JSON or as CSV, the oldest first"),
    "export --since 7d --output week.csv",
  )
    .option("--until <moment>", "up to then")
    .option("--limit <n>", "so many rows (default: all)")
    .addOption(new Option("--format <format>", "jsonl, or csv (default: by the file's name)").choices(["jsonl", "csv"]))
    .option("--output <file>", "into this file (default: print)")
    .action(async (flags: import("../../commands/requests.ts").ExportFlags) => {
      const { exportRequests } = await import("../../commands/requests.ts");
      done(await exportRequests(flags, env));
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
    .action(async (id: string, flags: import("../../commands/replay.ts").ReplayFlags) => {
      const { replay } = await import("../../commands/replay.ts");
      done(await replay(id, flags, env));
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
    .action(async (flags: import("../../commands/sessions.ts").SessionFlags, { args: [word] }: Command) => {
      if (word !== undefined) throw noCommand("sessions", word, sessions.commands);
      const { listConversations } = await import("../../commands/sessions.ts");
      done(await listConversations(flags, env));
    });
  sessions
    .command("show")
    .description("one of them: its models, its retries, and whether compression paid")
    .argument("[id]", "the session's id, or its beginning; last is the newest", "last")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch sessions show last")
    .action(async (id: string, flags: { json?: boolean }) => {
      const { showConversation } = await import("../../commands/sessions.ts");
      done(await showConversation(id, flags, env));
    });

  const breakers = program
    .command("breakers")
    .description("what is out of order, since when and until when: models, keys, accounts, providers")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch breakers")
    .action(async (flags: { json?: boolean }) => {
      const { breakers } = await import("../../commands/breakers.ts");
      done(await breakers(flags, env));
    });
  breakers
    .command("reset")
    .description("have what is out of order tried again at once")
    .argument("[what]", "a model, a provider with all that is its, an id from --json, or all", "all")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch breakers reset moonshotai/kimi-k2.6:free")
    .action(async (what: string, flags: { json?: boolean }) => {
      const { resetBreakers } = await import("../../commands/breakers.ts");
      done(await resetBreakers(what, flags, env));
    });

  program
    .command("quota")
    .description("how much of each limit is left, and until when: the config's own, OpenRouter's free models")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch quota")
    .action(async (flags: { json?: boolean }) => {
      const { quota } = await import("../../commands/quota.ts");
      done(await quota(flags, env));
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
    .action(async (period: string, flags: import("../../commands/usage.ts").UsageFlags) => {
      const { usage } = await import("../../commands/usage.ts");
      done(await usage(period, flags, env));
    });

  program
    .command("budgets")
    .description("what is limited, and how much of it is used: the day, agents, sessions, keys")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch budgets")
    .action(async (flags: { json?: boolean }) => {
      const { showBudgets } = await import("../../commands/budgets.ts");
      done(await showBudgets(flags, env));
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
      const { listKeys } = await import("../../commands/keys.ts");
      done(await listKeys(flags, env));
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
    .action(async (name: string, flags: import("../../commands/keys.ts").CreateKeyFlags) => {
      const { createKey } = await import("../../commands/keys.ts");
      done(await createKey(name, flags, env));
    });
  keys
    .command("list")
    .description("which there are, what each is good for, and when it was used last")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch keys list")
    .action(async (flags: { json?: boolean }) => {
      const { listKeys } = await import("../../commands/keys.ts");
      done(await listKeys(flags, env));
    });
  keys
    .command("revoke")
    .description("end a key, at once")
    .argument("<key>", "its id, the beginning of it, or its name")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch keys revoke ci")
    .action(async (name: string, flags: { json?: boolean }) => {
      const { revokeKey } = await import("../../commands/keys.ts");
      done(await revokeKey(name, flags, env));
    });
  keys
    .command("rotate")
    .description("a new key in place of one, on the same terms")
    .argument("<key>", "its id, the beginning of it, or its name")
    .option("--grace <span>", "how long the old one is still good: 24h (default: not at all)")
    .option("--json", "as one JSON object")
    .addHelpText("after", "\nExample:\n  clutch keys rotate ci --grace 24h")
    .action(async (name: string, flags: import("../../commands/keys.ts").RotateKeyFlags) => {
      const { rotateKey } = await import("../../commands/keys.ts");
      done(await rotateKey(name, flags, env));
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
      const { dbPath } = await import("../../commands/db.ts");
      done(dbPath(flags, env));
    });
  db.command("backup")
    .description("copy it as it is at this moment, while a gateway writes to it or not")
    .argument("[file]", "where to; there must be none yet (default: beside it, named by the moment)")
    .option("--json", "as one JSON object")
    .action(async (file: string | undefined, flags: { json?: boolean }) => {
      const { dbBackup } = await import("../../commands/db.ts");
      done(await dbBackup(file, flags, env));
    });
  db.command("restore")
    .description("put a backup in its place, while no gateway serves; what was there is moved aside")
    .argument("<file>", "the backup")
    .option("--json", "as one JSON object")
    .action(async (file: string, flags: { json?: boolean }) => {
      const { dbRestore } = await import("../../commands/db.ts");
      done(dbRestore(file, flags, env));
    });
  db.command("check")
    .description("read all of it: whether it is sound, and whether its sums are those of its requests")
    .option("--json", "as one JSON object")
    .action(async (flags: { json?: boolean }) => {
      const { dbCheck } = await import("../../commands/db.ts");
      done(await dbCheck(flags, env));
    });
  db.command("prune")
    .description("delete requests that are too old; sums by day stay")
    .option("--older-than <days>", "such as 30d (default: ledger.retention_days)")
    .option("--json", "as one JSON object")
    .action(async (flags: { json?: boolean; olderThan?: string }) => {
      const { dbPrune } = await import("../../commands/db.ts");
      done(await dbPrune(flags, env));
    });
}
