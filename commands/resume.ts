/** `clutch resume`: lists the launches of the crash guard and brings back those whose terminal or machine went down. */

import { statSync } from "node:fs";
import { inspectCommand, planReturn } from "../launcher/relaunch.ts";
import { readLauncherSettings } from "../launcher/settings.ts";
import { readConfigFile } from "../src/config/file.ts";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { ClutchError, renderError } from "../src/errors.ts";
import { findBinary } from "../src/find-binary.ts";
import { isAgentLetter, type LaunchCode, renderLaunchCode } from "../src/launch-code.ts";
import { ensureGateway } from "../src/lifecycle/auto-start.ts";
import {
  type Guard,
  guardSocket,
  lookAround,
  openAndShow,
  openDetached,
  prepareLaunch,
  showAgain,
} from "../src/lifecycle/guard-server.ts";
import { buildResumeEnv } from "../src/lifecycle/launch-env.ts";
import {
  claimResume,
  forgetLaunch,
  type LaunchRecord,
  listLaunches,
  pruneLaunches,
  readLaunch,
  releaseResume,
  takeScreen,
  undoResume,
} from "../src/lifecycle/launches.ts";
import {
  describeAgent,
  findById,
  type JudgedLaunch,
  judgeAll,
  planAll,
  planOne,
  type ResumeWorld,
  type Return,
  renderLaunches,
  renderLaunchesJson,
} from "../src/lifecycle/resume.ts";
import { asPlainLine } from "../src/plain-line.ts";
import { becomeCommand, becomeShowing, hasTerminal, isInsideTmux } from "./run.ts";

export interface ResumeFlags {
  all?: boolean;
  list?: boolean;
  forget?: boolean;
  json?: boolean;
}

/** An agent that refuses its session or its folder says so within this time. */
const firstMomentMs = 1_000;

/** @param id the beginning of one is enough */
export async function resume(id: string | undefined, flags: ResumeFlags, env: Env): Promise<number> {
  if (id !== undefined && (flags.all || flags.list)) {
    throw new ClutchError("usage", `"${id}" stands beside ${flags.all ? "--all" : "--list"}`, {
      hint: "give only one",
    });
  }
  if (id === undefined && flags.forget) {
    throw new ClutchError("usage", "--forget needs the id of a launch", { hint: "clutch resume lists them" });
  }
  const homes = resolveHomes(env);
  const tmux = findBinary("tmux", env);
  if (tmux === undefined) {
    throw new ClutchError("not-supported", "tmux is not on PATH, so nobody can say what still runs", {
      hint: "install it: the crash guard works with it alone",
    });
  }
  const guard: Guard = { stateDir: homes.stateDir, tmux: { file: tmux, socket: guardSocket(homes.stateDir) }, env };
  const around = lookAround(guard);
  const all = listLaunches(homes.stateDir);
  pruneLaunches(homes.stateDir, all, around);
  const launches = judgeAll(all, around);
  const context: Context = {
    guard,
    env,
    world: { findSession: sessionFinder(homes.database, env), planReturn, isFolder },
    ensureGateway: gatewayStarter(homes, env),
    canShow: (await hasTerminal(env)) && !isInsideTmux(env),
  };

  if (flags.all) return bringAllBack(launches, context);
  if (id === undefined || flags.json) {
    const chosen = id === undefined ? launches : [findById(launches, id)];
    const listed = await Promise.all(chosen.map((launch) => withSession(launch, context.world)));
    console.log(flags.json ? renderLaunchesJson(listed) : renderLaunches(listed, around.nowMs, env["HOME"]));
    return 0;
  }
  const launch = findById(launches, id);
  if (flags.forget) return forget(launch, guard);
  return bringOneBack(launch, context);
}

/** What a launch would come back in. */
async function withSession({ record, state }: JudgedLaunch, world: ResumeWorld): Promise<JudgedLaunch> {
  if (state.kind !== "died" && state.kind !== "running") return { record, state };
  const session = await world.findSession(record);
  return { state, record: session === undefined ? record : { ...record, session } };
}

interface Context {
  guard: Guard;
  env: Env;
  world: ResumeWorld;
  ensureGateway(code: LaunchCode): Promise<void>;
  /** A terminal that can show an agent, and is not a tmux pane already. */
  canShow: boolean;
}

/** A gateway that is down is started, as for any launch. */
function gatewayStarter(homes: Homes, env: Env): Context["ensureGateway"] {
  return async () => {
    const { path, value } = await readConfigFile(homes);
    const { gatewayUrl: url, autoStart: mayStart } = readLauncherSettings(value, path ?? homes.configFile, env);
    const tell = (line: string) => console.error(`clutch: ${line}`);
    const startChain = async () => {
      const { startChainFor } = await import("./chain-place.ts");
      await startChainFor(url, homes, env, tell);
    };
    await ensureGateway({ url, mayStart, startChain, tell });
  };
}

/** By the gateway's ledger, which knows the launch of each request; where it knows nothing, by the agent's own store. */
function sessionFinder(database: string, env: Env): ResumeWorld["findSession"] {
  return async (record) => (await findInLedger(database, record)) ?? (await findInStore(record, env));
}

async function findInLedger(database: string, { launchId }: LaunchRecord): Promise<string | undefined> {
  if (launchId === undefined) return undefined;
  try {
    const { findLastSession } = await import("../src/store/sessions.ts");
    return await findLastSession(database, launchId);
  } catch (error) {
    console.error(`clutch: ${database} does not tell the session of launch ${launchId} (${renderError(error)})`);
    return undefined;
  }
}

/** The newest session of that folder, if it was used since the launch began. */
async function findInStore(record: LaunchRecord, env: Env): Promise<string | undefined> {
  const { agent, cwd, session, startedAtMs } = record;
  if (agent === undefined || !isAgentLetter(agent) || session !== undefined) return undefined;
  const { listSessions } = await import("../launcher/sessions.ts");
  const [newest] = await listSessions(agent, cwd, buildResumeEnv(record.env, env));
  return newest !== undefined && newest.updatedAtMs >= startedAtMs ? newest.id : undefined;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

async function bringOneBack({ record, state }: JudgedLaunch, context: Context): Promise<number> {
  const { guard, canShow, env } = context;
  switch (state.kind) {
    case "closed":
      throw new ClutchError("usage", `launch ${record.id} came to its own end, with exit status ${state.exitCode}`, {
        hint: `start it anew in ${record.cwd} with ${record.command.join(" ")}`,
      });
    case "resumed":
      throw new ClutchError("usage", `launch ${record.id} has come back already`, {
        hint: `clutch resume ${state.by} shows it`,
      });
    case "running":
      if (!canShow) {
        throw new ClutchError("not-supported", `launch ${record.id} runs, and cannot be shown here`, {
          hint: "call this in a terminal that is not inside tmux",
        });
      }
      if (state.isAttached) console.error("clutch: taken over from another terminal");
      return becomeShowing(showAgain(guard, record, state.isAttached));
    case "died": {
      const plan = await planOne(record, context.world);
      await ensureGatewayFor([plan], context);
      if (canShow) {
        const replacement = replace(plan, context);
        if (replacement === undefined) throw takenAlready(record);
        return becomeShowing(openAndShow(guard, replacement));
      }
      // A pane of the person's own tmux outlives its terminal too.
      if (isInsideTmux(env) && (await hasTerminal(env))) {
        if (!claimResume(guard.stateDir, record.id, record.id)) throw takenAlready(record);
        const fresh = buildResumeEnv(record.env, env);
        return becomeCommand({ ...record, runs: plan.runs }, fresh, fresh);
      }
      return (await startDetached([plan], context)).failed === 0 ? 0 : 1;
    }
  }
}

async function bringAllBack(launches: readonly JudgedLaunch[], context: Context): Promise<number> {
  const { returns, obstacles } = await planAll(launches, context.world);
  for (const line of obstacles) console.error(`clutch: ${asPlainLine(line)}`);
  if (returns.length === 0) {
    if (obstacles.length === 0) console.log("nothing died");
    return obstacles.length === 0 ? 0 : 1;
  }
  await ensureGatewayFor(returns, context);
  const { started, failed } = await startDetached(returns, context);
  const [first] = started;
  if (first !== undefined && context.canShow) return becomeShowing(showAgain(context.guard, first, false));
  return failed + obstacles.length === 0 ? 0 : 1;
}

/** Once for all of them: the chain is the same. */
async function ensureGatewayFor(returns: readonly Return[], context: Context): Promise<void> {
  for (const { runs } of returns) {
    const inspected = inspectCommand(runs);
    if (inspected.kind === "launch" && inspected.code.route !== "d") return context.ensureGateway(inspected.code);
  }
}

/** The record of what takes the place of a launch that died; undefined when someone else was faster. */
function replace({ record, runs, session }: Return, { guard, env }: Context): LaunchRecord | undefined {
  const inspected = inspectCommand(runs);
  const known =
    inspected.kind === "launch" ? { agent: inspected.code.agent, code: renderLaunchCode(inspected.code) } : {};
  const replacement = prepareLaunch(
    guard,
    {
      command: record.command,
      cwd: record.cwd,
      runs,
      resumes: record.id,
      ...known,
      ...(session === undefined ? {} : { session }),
    },
    buildResumeEnv(record.env, env),
  );
  if (claimResume(guard.stateDir, record.id, replacement.id)) return replacement;
  forgetLaunch(guard.stateDir, replacement.id);
  return undefined;
}

function takenAlready(record: LaunchRecord): ClutchError {
  return new ClutchError("failed", `launch ${record.id} is being brought back by someone else`, {
    hint: "clutch resume lists what runs",
  });
}

async function startDetached(
  returns: readonly Return[],
  context: Context,
): Promise<{ started: LaunchRecord[]; failed: number }> {
  const { guard } = context;
  const opened: LaunchRecord[] = [];
  for (const plan of returns) {
    const record = replace(plan, context);
    // Whoever is faster has it; there is nothing left to do.
    if (record === undefined) continue;
    try {
      openDetached(guard, record);
    } catch (error) {
      releaseResume(guard.stateDir, plan.record.id);
      throw error;
    }
    opened.push(record);
    console.log(asPlainLine(`${record.id}  ${describeAgent(record)} in ${record.cwd}: ${plan.runs.join(" ")}`));
  }
  await Bun.sleep(firstMomentMs);
  const started = opened.filter((record) => !hasFailedAtOnce(record, guard));
  return { started, failed: opened.length - started.length };
}

/** Nobody saw what it said, so its last line is told. */
function hasFailedAtOnce({ id }: LaunchRecord, { stateDir }: Guard): boolean {
  const launch = readLaunch(stateDir, id);
  const words = takeScreen(stateDir, id)?.split("\n").at(-1) ?? "";
  if (launch === undefined || !undoResume(stateDir, launch)) return false;
  console.error(`clutch: ${id} ended at once with exit status ${launch.end?.exitCode}: ${words}`);
  console.error(`clutch: launch ${launch.record.resumes} is still on offer`);
  return true;
}

function forget({ record, state }: JudgedLaunch, guard: Guard): number {
  if (state.kind === "running") {
    throw new ClutchError("usage", `launch ${record.id} is running`, { hint: `clutch resume ${record.id} shows it` });
  }
  forgetLaunch(guard.stateDir, record.id);
  console.log(`${record.id} is forgotten`);
  return 0;
}
