/** `clutch init`: the first config, of what is on this machine and what the predecessors left. Nothing is written before the end. */

import { type AgentRow, agents } from "../launcher/agents.ts";
import { buildProviders } from "../providers/registry.ts";
import { type Env, resolveHomes } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { findBinary } from "../src/find-binary.ts";
import { type Asker, Cancelled, silentAsker, terminalAsker } from "../src/init/ask.ts";
import { describeAsJson, describeOutcome, type Told } from "../src/init/report.ts";
import { prepareSetUp, type SetUpFlags } from "../src/init/set-up.ts";
import { planSetUpEdit } from "../src/init/write.ts";
import { checkChain } from "../src/lifecycle/chain/change.ts";
import { exemptLoopback, fetchDirectly } from "../src/loopback-direct.ts";
import { isTemplate, templateNames } from "../src/modes/names.ts";
import { knownModels } from "./known-models.ts";
import { paint } from "./paint.ts";
import { renderDiff } from "./render-diff.ts";

export interface InitFlags extends SetUpFlags {
  yes?: boolean;
  json?: boolean;
  dryRun?: boolean;
}

/** As a shell reports a program that Ctrl-C has ended. */
const cancelledStatus = 130;

/** @returns the exit status */
export async function init(flags: InitFlags, env: Env): Promise<number> {
  // Read by Bun at every fetch, so it must stand before the first one.
  Object.assign(process.env, exemptLoopback(process.env));
  const isAsked = !flags.yes && !flags.json && !flags.dryRun && process.stdin.isTTY && process.stdout.isTTY;
  if (!isAsked && !flags.yes && !flags.dryRun) {
    throw new ClutchError("usage", "clutch init asks questions, and there is nobody to answer", {
      hint: "call it at a terminal, or with --yes for the usual answers (--dry-run shows them)",
    });
  }
  if (flags.mode !== undefined && !isTemplate(flags.mode)) {
    throw new ClutchError("usage", `there is no template "${flags.mode}"`, {
      hint: `use one of ${templateNames.join(", ")}`,
    });
  }
  const asker = isAsked ? await terminalAsker() : silentAsker;
  try {
    const told = await setUp(flags, env, asker);
    if (flags.json) console.log(JSON.stringify(describeAsJson(told)));
    else if (asker.isSilent) tell(told, flags);
    return 0;
  } catch (error) {
    if (!(error instanceof Cancelled)) throw error;
    asker.outro("nothing was written");
    return cancelledStatus;
  }
}

async function setUp(flags: InitFlags, env: Env, asker: Asker): Promise<Told> {
  const homes = resolveHomes(env);
  const path = homes.configFile;
  const prepared = await prepareSetUp(flags, {
    env,
    homes,
    asker,
    agents: Object.values<AgentRow>(agents),
    find: (program) => findBinary(program, env),
    fetch,
    fetchDirectly,
    async modelsOf(config, raw) {
      const { known, world } = await knownModels(config, raw, homes, env);
      return { ranked: known.ranked, reference: world.reference, defaultProvider: world.defaultProvider };
    },
  });
  const edit = await planSetUpEdit(prepared, homes, (config) => {
    checkChain(config);
    buildProviders(config, () => undefined);
  });
  const { kept, diff, isChanged } = edit;
  if (!asker.isSilent && isChanged) {
    asker.note(prepared.isThere ? "The change" : "The config", [renderDiff(diff)]);
    if (kept.length > 0) asker.say("warn", `kept as they are: ${kept.join(", ")}`);
    if (!(await asker.confirm(`Write ${path}?`, true))) throw new Cancelled();
  }
  const isWritten = isChanged && !flags.dryRun;
  const backup = isWritten ? await edit.write() : undefined;
  if (backup !== undefined) asker.say("plain", `the config as it was: ${backup}`);
  asker.outro(
    isWritten
      ? `${path} is written. Next: xx cip starts Claude Code, xx shows the rest, clutch doctor looks it all over`
      : "nothing had to be changed",
  );
  return { ...prepared, path, kept, diff, isWritten, backup };
}

function tell(told: Told, flags: InitFlags): void {
  const { path, diff, backup, isWritten } = told;
  for (const line of describeOutcome(told, paint)) console.log(line);
  if (diff !== "") console.log(`\n${renderDiff(diff)}`);
  if (backup !== undefined) console.log(`the config as it was: ${backup}`);
  const nothing = flags.dryRun && diff !== "" ? "nothing was written" : "nothing had to be changed";
  console.log(paint.bold(isWritten ? `${path} is written` : nothing));
}
