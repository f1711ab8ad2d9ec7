/** `clutch service install | uninstall | status | logs`: has the chain, or the gateway alone, started at login. */

import { existsSync, mkdirSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { readConfigFile } from "../src/config/file.ts";
import { loadConfig } from "../src/config/load.ts";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { type Config, parseConfig } from "../src/config/schema.ts";
import { ClutchError, renderError } from "../src/errors.ts";
import { findBinary } from "../src/find-binary.ts";
import { runBriefly } from "../src/lifecycle/brief-run.ts";
import { gatherKeys, readKept } from "../src/lifecycle/chain/keys.ts";
import { makeChainDirs } from "../src/lifecycle/chain/record.ts";
import { keyNames } from "../src/lifecycle/chain/starts.ts";
import { probeGateway } from "../src/lifecycle/gateway-probe.ts";
import {
  carryEnv,
  isTemporary,
  type LoginKind,
  type LoginService,
  nameService,
} from "../src/lifecycle/login/definition.ts";
import {
  type DoneStep,
  doSteps,
  findManager,
  type LoginWorld,
  type Manager,
  otherKind,
  type Step,
} from "../src/lifecycle/login/manager.ts";
import { namedVariables } from "../src/lifecycle/login/variables.ts";
import { ownCommand } from "../src/own-command.ts";
import { paint } from "./paint.ts";

export interface ServiceFlags {
  gatewayOnly?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

/** What differs from one machine to another; handed in by tests. */
export interface ServicePlace {
  platform: NodeJS.Platform;
  command: readonly string[];
}

const here = (): ServicePlace => ({ platform: process.platform, command: ownCommand() });

/** @returns 0 when it starts at login from now on, 1 when it is only written down */
export async function installService(flags: ServiceFlags, env: Env, place = here()): Promise<number> {
  const { service, manager, world, homes } = prepare(flags, env, place);
  const other = prepare({ gatewayOnly: otherKind(service.kind) === "gateway" }, env, place);
  if (existsSync(other.manager.file)) {
    throw new ClutchError(
      "failed",
      `the ${other.service.kind} starts at login already (${other.manager.file}), on the same port`,
      {
        hint: `clutch service uninstall${other.service.kind === "gateway" ? " --gateway-only" : ""} first`,
      },
    );
  }
  const unreachable = await manager.unreachable();
  const before = await manager.status();
  const all = manager.installSteps(before);
  // Without its manager a unit can be written, and no more.
  const reachable = unreachable === undefined ? all : all.filter((step) => step.do === "write");
  const rival = service.kind === "gateway" && !before.isActive ? await findRival(homes, env) : undefined;
  const steps = rival === undefined ? reachable : reachable.filter((step) => !isStart(step));
  const notes = [...warnings(service), ...(await provideKeys(service.kind, homes, env, flags.dryRun === true))];
  const state = before.isCurrent
    ? steps.length === 0
      ? "unchanged"
      : "started"
    : before.isInstalled
      ? "updated"
      : "installed";
  if (rival !== undefined) {
    notes.push(`${rival} answers already: end that one (clutch down), then: ${manager.restartCommand}`);
  }
  const isKeptRunning = before.isActive && !before.isCurrent && before.isInstalled;
  if (isKeptRunning) notes.push(`what runs goes on as it was started; to start it anew: ${manager.restartCommand}`);
  if (!flags.dryRun && manager.name === "launchd")
    mkdirSync(`${homes.stateDir}/logs`, { recursive: true, mode: 0o700 });
  if (!flags.dryRun && !flags.json && steps.some(isSlow))
    console.error("clutch: starting it, which takes as long as clutch up");
  const done = flags.dryRun ? [] : await doSteps(steps, world);
  const fault = done.find((step) => step.fault !== undefined)?.fault;
  const next = unreachable === undefined ? [] : [manager.startCommand];
  if (fault === undefined && unreachable === undefined) notes.push(...manager.hints());
  const report: Report = { action: "install", state, service, manager, steps, done, notes, next, fault, unreachable };
  print(report, flags, env);
  if (fault !== undefined) return 1;
  return unreachable === undefined || flags.dryRun ? 0 : 1;
}

/** @returns the exit status, 0 where there was nothing to take away too */
export async function uninstallService(flags: ServiceFlags, env: Env, place = here()): Promise<number> {
  const { service, manager, world } = prepare(flags, env, place);
  const isThere = existsSync(manager.file);
  const unreachable = isThere ? await manager.unreachable() : undefined;
  const steps = isThere ? manager.uninstallSteps(unreachable === undefined) : [];
  const done = flags.dryRun ? [] : await doSteps(steps, world);
  const fault = done.find((step) => step.fault !== undefined)?.fault;
  const notes =
    isThere && unreachable !== undefined ? [`what it started goes on (${unreachable}): clutch down ends it`] : [];
  const state = isThere ? "removed" : "absent";
  print({ action: "uninstall", state, service, manager, steps, done, notes, next: [], fault, unreachable }, flags, env);
  return fault === undefined ? 0 : 1;
}

/** @returns 0 when it is installed and well, 3 when not */
export async function showService(flags: ServiceFlags, env: Env, place = here()): Promise<number> {
  const { service, manager } = prepare(flags, env, place);
  const status = await manager.status();
  const isWell = status.isInstalled && status.isEnabled && status.isActive;
  if (flags.json) {
    const { isInstalled, isCurrent, isEnabled, isActive, detail } = status;
    console.log(
      JSON.stringify({
        kind: service.kind,
        manager: manager.name,
        name: service.name,
        file: manager.file,
        installed: isInstalled,
        up_to_date: isInstalled && isCurrent,
        enabled: isEnabled,
        active: isActive,
        detail,
      }),
    );
    return isWell ? 0 : 3;
  }
  const flag = service.kind === "gateway" ? " --gateway-only" : "";
  if (!status.isInstalled) {
    console.log(`${service.name} is not installed: clutch service install${flag}`);
    return 3;
  }
  const word = isWell ? paint.good("well") : paint.bad("not well");
  console.log(`${paint.bold(service.name)} (${tilde(manager.file, env)}): ${word}, ${status.detail}`);
  if (!status.isEnabled) console.log(`  it does not start at login: clutch service install${flag}`);
  if (!status.isCurrent)
    console.log(`  it is not what this clutch would write: clutch service install${flag} brings it up to date`);
  return isWell ? 0 : 3;
}

export interface LogFlags extends ServiceFlags {
  follow?: boolean;
  lines?: string;
}

/** @returns the exit status of the program that shows them */
export async function showServiceLogs(flags: LogFlags, env: Env, place = here()): Promise<number> {
  const { service, manager, world } = prepare(flags, env, place);
  const lines = flags.lines ?? "50";
  if (!/^\d{1,6}$/.test(lines)) throw new ClutchError("usage", `--lines is "${lines}"`, { hint: "give a number" });
  if (flags.json && flags.follow)
    throw new ClutchError("usage", "--follow has no end, and JSON needs one", { hint: "leave one out" });
  if (manager.name === "launchd" && !existsSync(service.logFile)) {
    throw new ClutchError("failed", `${service.name} has printed nothing yet`, { hint: "clutch service status" });
  }
  const [program = "", ...words] = manager.logCommand(Number(lines), flags.follow === true);
  const file = world.find(program);
  if (file === undefined)
    throw new ClutchError("failed", `${program} is not on PATH`, { hint: "the services' own logs: clutch logs" });
  if (flags.json) {
    const end = await runBriefly({ argv: [file, ...words], cwd: world.home, env, limitMs: 10_000 });
    const shown = end.stdout.split("\n").filter((line) => line !== "");
    console.log(
      JSON.stringify({ name: service.name, lines: shown, error: end.exitCode === 0 ? null : end.stderr.trim() }),
    );
    return end.exitCode ?? 1;
  }
  const child = Bun.spawn([file, ...words], { cwd: world.home, env, stdio: ["ignore", "inherit", "inherit"] });
  // Ctrl-C ends the one that follows, and then this.
  const ignore = () => {};
  process.on("SIGINT", ignore);
  const code = await child.exited;
  process.off("SIGINT", ignore);
  return code;
}

function prepare(
  flags: ServiceFlags,
  env: Env,
  { platform, command }: ServicePlace,
): { service: LoginService; manager: Manager; world: LoginWorld; homes: Homes } {
  const homes = resolveHomes(env);
  const home = env["HOME"];
  if (home === undefined || !home.startsWith("/")) {
    throw new ClutchError("failed", `HOME is ${home === undefined ? "not set" : `"${home}"`}`, {
      hint: "set it to your home folder",
    });
  }
  const { uid, username } = userInfo();
  const world: LoginWorld = {
    env,
    home,
    uid,
    userName: username,
    find: (name) => findBinary(name, env),
    run: runBriefly,
  };
  const kind: LoginKind = flags.gatewayOnly ? "gateway" : "chain";
  const name = nameService(kind, platform === "darwin" ? "launchd" : "systemd", env);
  const logFile = `${homes.stateDir}/logs/login-${kind}.log`;
  const isDetached = kind === "chain" && world.find("tmux") === undefined;
  const service = { kind, name, command, env: carryEnv(env, process.cwd(), isFolder), isDetached, logFile };
  return { service, manager: findManager(service, platform, world), world, homes };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function warnings({ command, env, isDetached }: LoginService): string[] {
  const notes: string[] = [];
  const gone = command.find(isTemporary);
  if (gone !== undefined) {
    notes.push(`${gone} is in a temporary folder, and may be gone after a restart: install clutch first, then again`);
  }
  if (command.length > 1) {
    notes.push("it runs from source: the checkout and its Bun have to stay where they are");
  }
  if (isDetached) notes.push("tmux is not on PATH: the services run without it, and clutch attach has nothing to show");
  const home = env["CLUTCH_HOME"];
  if (home !== undefined && isTemporary(home)) notes.push(`CLUTCH_HOME (${home}) is in a temporary folder`);
  return notes;
}

/** A config that cannot be read is no reason not to write a unit, and worth a line. */
async function provideKeys(kind: LoginKind, homes: Homes, env: Env, isDryRun: boolean): Promise<string[]> {
  try {
    const { value, path, legacy } = await readConfigFile(homes);
    const config = parseConfig(value, path ?? homes.configFile, legacy);
    const names = namedVariables(config, kind);
    if (names.length === 0) return [];
    if (kind === "gateway") {
      return [
        `the config takes ${names.join(", ")} from the environment, where a login service has none: use "cmd:..." for keys, or the chain`,
      ];
    }
    const kept = isDryRun ? { ...env, ...readKept(homes.stateDir) } : keepKeys(config, homes, env);
    const has = (name: string) => (kept[name] ?? "") !== "";
    const there = names.filter(has).join(", ");
    const missing = names.filter((name) => !has(name)).join(", ");
    return [
      ...(there === ""
        ? []
        : [`the unit holds no keys; kept for it in ${keptIn(homes)}, for you alone to read: ${there}`]),
      ...(missing === ""
        ? []
        : [`not set here: ${missing}; clutch up keeps what it can see when it is called by hand`]),
    ];
  } catch (error) {
    return [`the config cannot be read, and nothing will start before it can: ${renderError(error)}`];
  }
}

/** As `clutch up` does, which has no shell's environment at login. */
function keepKeys(config: Config, { stateDir }: Homes, env: Env): Record<string, string> {
  makeChainDirs(stateDir);
  return gatherKeys(keyNames(config), env, stateDir);
}

function keptIn({ stateDir }: Homes): string {
  return `${stateDir}/chain/keys.json`;
}

/** A second gateway on the same port would only end again. */
async function findRival(homes: Homes, env: Env): Promise<string | undefined> {
  try {
    const { server } = (await loadConfig(homes, env)).config;
    const host = ["0.0.0.0", "::"].includes(server.host) ? "127.0.0.1" : server.host;
    const url = `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`;
    return (await probeGateway(url)).kind === "up" ? `a gateway at ${url}` : undefined;
  } catch {
    // A config that cannot be read is told elsewhere.
    return undefined;
  }
}

function isStart(step: Step): boolean {
  return step.do === "run" && step.argv.includes("start");
}

function isSlow(step: Step): boolean {
  return step.do === "run" && step.limitMs > 60_000;
}

interface Report {
  action: "install" | "uninstall";
  state: "installed" | "updated" | "started" | "unchanged" | "removed" | "absent";
  service: LoginService;
  manager: Manager;
  steps: readonly Step[];
  done: readonly DoneStep[];
  notes: readonly string[];
  next: readonly string[];
  fault: string | undefined;
  unreachable: string | undefined;
}

const verbs = {
  write: ["would write", "wrote"],
  remove: ["would remove", "removed"],
  run: ["would run", "ran"],
} as const;

function print(report: Report, flags: ServiceFlags, env: Env): void {
  const { action, state, service, manager, steps, done, notes, next, fault, unreachable } = report;
  if (flags.json) {
    const shown = flags.dryRun ? steps.map((step) => ({ step, fault: undefined })) : done;
    console.log(
      JSON.stringify({
        action,
        kind: service.kind,
        manager: manager.name,
        name: service.name,
        file: manager.file,
        state,
        dry_run: flags.dryRun === true,
        steps: shown.map(({ step, fault: reason }) => ({
          do: step.do,
          ...(step.do === "run" ? { argv: step.argv } : { path: step.path }),
          error: reason ?? null,
        })),
        error: fault ?? unreachable ?? null,
        notes,
        next,
        ...(action === "install" && { definition: manager.render() }),
      }),
    );
    return;
  }
  for (const step of flags.dryRun ? steps : done.filter((one) => one.fault === undefined).map((one) => one.step)) {
    const what = step.do === "run" ? step.argv.join(" ") : tilde(step.path, env);
    console.log(`${verbs[step.do][flags.dryRun ? 0 : 1]} ${what}`);
  }
  if (flags.dryRun && steps.some((step) => step.do === "write")) console.log(`\n${manager.render().trimEnd()}\n`);
  if (state === "unchanged") console.log(`${service.name} is installed already, and up to date`);
  if (state === "absent") console.log(`${service.name} is not installed: nothing to do`);
  for (const note of notes) console.error(`clutch: ${note}`);
  if (fault !== undefined) console.error(`clutch: ${fault}`);
  if (unreachable !== undefined && action === "install") {
    console.error(
      `clutch: it does not start at login yet, for ${manager.name} cannot be reached from here (${unreachable})`,
    );
    console.error(`clutch: in a login session of yours: ${next.join("; ")}`);
  }
}

function tilde(path: string, env: Env): string {
  const home = env["HOME"];
  return home && path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
}
