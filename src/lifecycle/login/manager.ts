/**
 * Installs a login service with the system's own manager: a systemd user unit, or a launchd agent. What is done is a list of steps,
 * so that it can be shown, and shown without being done.
 */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import type { Env } from "../../config/paths.ts";
import { ClutchError } from "../../errors.ts";
import type { BriefEnd, BriefRun } from "../brief-run.ts";
import { type LoginKind, type LoginService, renderPlist, renderUnit } from "./definition.ts";

export interface LoginWorld {
  env: Env;
  home: string;
  uid: number;
  userName: string;
  /** The absolute path of a program; undefined when it is not on PATH. */
  find(program: string): string | undefined;
  run(run: BriefRun): Promise<BriefEnd>;
}

export type Step =
  | { do: "write"; path: string; content: string }
  | { do: "remove"; path: string }
  /** `isOptional`: it may fail, and nothing is lost. */
  | { do: "run"; argv: readonly string[]; limitMs: number; isOptional?: boolean };

export interface LoginStatus {
  /** The definition is there. */
  isInstalled: boolean;
  /** It is what would be written now. */
  isCurrent: boolean;
  isEnabled: boolean;
  isActive: boolean;
  /** The manager's own words. */
  detail: string;
}

export interface Manager {
  name: "systemd" | "launchd";
  /** The definition. */
  file: string;
  render(): string;
  /** Undefined when it can be spoken to; otherwise why not. */
  unreachable(): Promise<string | undefined>;
  status(): Promise<LoginStatus>;
  installSteps(status: LoginStatus): Step[];
  uninstallSteps(isReachable: boolean): Step[];
  /** For the person to type. */
  startCommand: string;
  restartCommand: string;
  /** The argv that shows its log. */
  logCommand(lines: number, isFollowed: boolean): string[];
  /** What else the person may want to do once it is installed. */
  hints(): string[];
}

const quickMs = 10_000;
/** Starting the chain waits for all of it. */
const startMs = 610_000;
const stopMs = 120_000;

/** @throws {ClutchError} `not-supported` on a system with neither */
export function findManager(service: LoginService, platform: NodeJS.Platform, world: LoginWorld): Manager {
  if (platform === "darwin") return launchd(service, world);
  if (platform === "linux" && world.find("systemctl") !== undefined) return systemd(service, world);
  throw new ClutchError("not-supported", `there is no systemd and no launchd here (${platform})`, {
    hint: `have "${[...service.command, "up"].join(" ")}" run at login by whatever this system has, such as cron's @reboot`,
  });
}

// ---- systemd

function systemd(service: LoginService, world: LoginWorld): Manager {
  const config = world.env["XDG_CONFIG_HOME"];
  const folder = `${config?.startsWith("/") ? config : `${world.home}/.config`}/systemd/user`;
  const unit = `${service.name}.service`;
  const file = `${folder}/${unit}`;
  const systemctl = (...words: string[]) => ["systemctl", "--user", ...words];
  const step = (argv: string[], limitMs = quickMs, isOptional = false): Step => ({
    do: "run",
    argv,
    limitMs,
    ...(isOptional && { isOptional }),
  });
  return {
    name: "systemd",
    file,
    render: () => renderUnit(service),
    startCommand: `systemctl --user daemon-reload && systemctl --user enable --now ${service.name}`,
    restartCommand: `systemctl --user restart ${service.name}`,
    async unreachable() {
      const end = await call(world, systemctl("show", "--property=Version"), quickMs);
      return end.exitCode === 0 ? undefined : firstLine(end.stderr) || "systemctl --user does not answer";
    },
    async status() {
      const known = readFile(file);
      const properties = "ActiveState,SubState,UnitFileState,MainPID,ActiveEnterTimestamp,Result,NRestarts";
      const end = await call(world, systemctl("show", unit, `--property=${properties}`), quickMs);
      const facts = new Map(end.stdout.split("\n").map((line) => splitAt(line, line.indexOf("="))));
      const say = (name: string) => facts.get(name) ?? "";
      const isEnabled = say("UnitFileState") === "enabled";
      const isActive = say("ActiveState") === "active";
      const failed = say("Result") === "success" || say("Result") === "" ? "" : ` (${say("Result")})`;
      const pid = Number(say("MainPID")) > 0 ? `, pid ${say("MainPID")}` : "";
      const since = isActive && say("ActiveEnterTimestamp") !== "" ? ` since ${say("ActiveEnterTimestamp")}` : "";
      const detail =
        end.exitCode === 0 ? `${say("ActiveState")} ${say("SubState")}${failed}${since}${pid}` : firstLine(end.stderr);
      return {
        isInstalled: known !== undefined,
        isCurrent: known === renderUnit(service),
        isEnabled,
        isActive,
        detail,
      };
    },
    installSteps: ({ isCurrent, isEnabled, isActive }) => [
      ...(isCurrent ? [] : [{ do: "write", path: file, content: renderUnit(service) } as const]),
      ...(isCurrent ? [] : [step(systemctl("daemon-reload"))]),
      ...(isEnabled ? [] : [step(systemctl("enable", unit))]),
      ...(isActive ? [] : [step(systemctl("start", unit), startMs)]),
    ],
    uninstallSteps: (isReachable) => [
      ...(isReachable ? [step(systemctl("disable", "--now", unit), stopMs)] : []),
      { do: "remove", path: `${folder}/default.target.wants/${unit}` },
      { do: "remove", path: file },
      ...(isReachable ? [step(systemctl("daemon-reload")), step(systemctl("reset-failed", unit), quickMs, true)] : []),
    ],
    logCommand: (lines, isFollowed) => [
      "journalctl",
      "--user",
      `--user-unit=${unit}`,
      "--no-pager",
      `--lines=${lines}`,
      ...(isFollowed ? ["--follow"] : []),
    ],
    hints() {
      if (existsSync(`/var/lib/systemd/linger/${world.userName}`)) return [];
      return [
        `it starts at login and ends at logout; to have it from boot on: loginctl enable-linger ${world.userName}`,
      ];
    },
  };
}

// ---- launchd

function launchd(service: LoginService, world: LoginWorld): Manager {
  const file = `${world.home}/Library/LaunchAgents/${service.name}.plist`;
  const domain = `gui/${world.uid}`;
  const label = `${domain}/${service.name}`;
  const step = (argv: string[], limitMs = quickMs, isOptional = false): Step => ({
    do: "run",
    argv,
    limitMs,
    ...(isOptional && { isOptional }),
  });
  return {
    name: "launchd",
    file,
    render: () => renderPlist(service),
    startCommand: `launchctl bootstrap ${domain} ${file}`,
    restartCommand: `launchctl bootout ${label}; launchctl bootstrap ${domain} ${file}`,
    async unreachable() {
      const end = await call(world, ["launchctl", "print", domain], quickMs);
      return end.exitCode === 0 ? undefined : firstLine(end.stderr) || `launchctl knows no ${domain}`;
    },
    async status() {
      const known = readFile(file);
      const end = await call(world, ["launchctl", "print", label], quickMs);
      const isLoaded = end.exitCode === 0;
      const state = /^\s*state = (.+)$/m.exec(end.stdout)?.[1] ?? "";
      const pid = /^\s*pid = (\d+)$/m.exec(end.stdout)?.[1];
      const code = /^\s*last exit code = (\d+)/m.exec(end.stdout)?.[1];
      // The chain's own job is done once it is up.
      const isActive =
        isLoaded && (service.kind === "chain" ? code === undefined || code === "0" : state === "running");
      const detail = isLoaded
        ? `${state || "loaded"}${pid === undefined ? "" : `, pid ${pid}`}${code === undefined ? "" : `, last exit ${code}`}`
        : "not loaded";
      return {
        isInstalled: known !== undefined,
        isCurrent: known === renderPlist(service),
        isEnabled: isLoaded,
        isActive,
        detail,
      };
    },
    installSteps: ({ isCurrent, isEnabled }) => [
      ...(isCurrent ? [] : [{ do: "write", path: file, content: renderPlist(service) } as const]),
      ...(isEnabled
        ? []
        : [
            step(["launchctl", "enable", label], quickMs, true),
            step(["launchctl", "bootstrap", domain, file], quickMs),
          ]),
    ],
    uninstallSteps: (isReachable) => [
      // Unlike systemd, launchd has no command for the end of what it abandoned.
      ...(service.kind === "chain" ? [step([...service.command, "down"], stopMs, true)] : []),
      ...(isReachable ? [step(["launchctl", "bootout", label], stopMs, true)] : []),
      { do: "remove", path: file },
      { do: "remove", path: service.logFile },
    ],
    logCommand: (lines, isFollowed) => ["tail", ...(isFollowed ? ["-F"] : []), "-n", String(lines), service.logFile],
    hints: () => [],
  };
}

// ---- doing

export interface DoneStep {
  step: Step;
  /** Why it failed; undefined for one that went well. */
  fault: string | undefined;
}

/** launchd needs some seconds between the end of a job and its next start, and answers 5 or 37 until then. */
const retry = { codes: [5, 37], everyMs: 1_000, times: 15 };

/** In their order, up to the first that fails. A file that is gone already is no step worth telling. */
export async function doSteps(steps: readonly Step[], world: LoginWorld): Promise<DoneStep[]> {
  const done: DoneStep[] = [];
  for (const step of steps) {
    const isGone = step.do === "remove" && !existsSync(step.path);
    const fault = await doStep(step, world);
    if (isGone && fault === undefined) continue;
    const isFine = fault === undefined || (step.do === "run" && step.isOptional === true);
    done.push({ step, fault: isFine ? undefined : fault });
    if (!isFine) break;
  }
  return done;
}

async function doStep(step: Step, world: LoginWorld): Promise<string | undefined> {
  if (step.do !== "run") {
    try {
      if (step.do === "write") writeDefinition(step.path, step.content);
      else removeDefinition(step.path);
      return undefined;
    } catch (cause) {
      return `${step.path} cannot be ${step.do === "write" ? "written" : "removed"} (${(cause as NodeJS.ErrnoException).code})`;
    }
  }
  for (let attempt = 0; ; attempt++) {
    const end = await call(world, step.argv, step.limitMs);
    if (end.exitCode === 0) return undefined;
    const isBusy = step.argv.includes("bootstrap") && end.exitCode !== null && retry.codes.includes(end.exitCode);
    if (isBusy && attempt < retry.times) {
      await Bun.sleep(retry.everyMs);
      continue;
    }
    const how = end.isOverdue
      ? `took more than ${step.limitMs / 1000} s`
      : `ended with ${end.exitCode ?? end.fault ?? "a signal"}`;
    const said = firstLine(end.stderr) || firstLine(end.stdout);
    return `${step.argv.join(" ")} ${how}${said === "" ? "" : `: ${said}`}`;
  }
}

/** Readable for all, as systemd and launchd expect; it holds no secret. */
function writeDefinition(path: string, content: string): void {
  const draft = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true });
  try {
    writeFileSync(draft, content, { flag: "wx" });
    chmodSync(draft, 0o644);
    renameSync(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** With the folders of systemd's that it was alone in. */
function removeDefinition(path: string): void {
  rmSync(path, { force: true });
  for (let folder = dirname(path); ownFolder.test(folder); folder = dirname(folder)) {
    if (!existsSync(folder)) continue;
    if (readdirSync(folder).length > 0) return;
    rmdirSync(folder);
  }
}

const ownFolder = /\/systemd(\/user(\/default\.target\.wants)?)?$/;

export async function call(world: LoginWorld, argv: readonly string[], limitMs: number): Promise<BriefEnd> {
  const [program = "", ...words] = argv;
  const file = program.startsWith("/") ? program : world.find(program);
  if (file === undefined) {
    return { exitCode: null, stdout: "", stderr: `${program} is not on PATH`, isOverdue: false, fault: "ENOENT" };
  }
  return world.run({ argv: [file, ...words], cwd: world.home, env: world.env, limitMs });
}

function readFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0] ?? "";
}

function splitAt(line: string, at: number): [string, string] {
  return [line.slice(0, at), line.slice(at + 1)];
}

/** The other kind, which would hold the same port. */
export function otherKind(kind: LoginKind): LoginKind {
  return kind === "chain" ? "gateway" : "chain";
}
