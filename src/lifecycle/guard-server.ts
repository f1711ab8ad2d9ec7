/** The guard's tmux server and ledger on this machine: the I/O between the commands `run` and `resume` and the pure parts. */

import type { Env } from "../config/paths.ts";
import { ClutchError } from "../errors.ts";
import { ownCommand } from "../own-command.ts";
import {
  buildAttach,
  buildGuardEnv,
  buildNewSession,
  buildServerSetup,
  buildShowAndTell,
  nameSession,
  readBootId,
} from "./guard.ts";
import { buildTmuxEnv, hasTrueColour, keepHarmless } from "./launch-env.ts";
import {
  claimId,
  forgetLaunch,
  type LaunchRecord,
  launchesDir,
  leaveStartEnv,
  type Surroundings,
  writeRecord,
} from "./launches.ts";
import { chooseOuterTerm, choosePaneTerm, isDescribed } from "./terminal.ts";
import { buildTmuxArgv, listSessions, runTmux, type Tmux, type TmuxCommand } from "./tmux.ts";

export interface Guard {
  stateDir: string;
  tmux: Tmux;
  /** Of the person at the terminal. */
  env: Env;
}

export function guardSocket(stateDir: string): string {
  return `${stateDir}/xx.sock`;
}

export function lookAround(guard: Guard): Surroundings {
  return { bootId: readBootId(), sessions: listSessions(guard.tmux, clientEnv(guard)), nowMs: Date.now() };
}

export type NewLaunch = Pick<LaunchRecord, "command" | "cwd" | "runs" | "resumes" | "agent" | "code" | "session">;

/**
 * Writes down all that the pane will need.
 * @param env the one the command starts in
 * @throws {ClutchError} `failed` when the state folder cannot be written
 */
export function prepareLaunch(guard: Guard, launch: NewLaunch, env: Env): LaunchRecord {
  const { stateDir } = guard;
  try {
    const id = claimId(stateDir, newId);
    const record: LaunchRecord = {
      ...launch,
      id,
      env: keepHarmless(env),
      bootId: readBootId(),
      startedAtMs: Date.now(),
      tmuxSession: nameSession(launch.command, launch.agent, id),
    };
    leaveStartEnv(stateDir, id, { env, umask: process.umask() });
    writeRecord(stateDir, record);
    return record;
  } catch (cause) {
    throw new ClutchError("failed", `cannot write in ${launchesDir(stateDir)} (${codeOf(cause)})`, {
      hint: "check the owner and the space of that folder, or start without clutch run",
      cause,
    });
  }
}

function newId(): string {
  const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  return Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => alphabet[byte % alphabet.length]).join("");
}

function codeOf(cause: unknown): string {
  return (cause as NodeJS.ErrnoException).code ?? String(cause);
}

/** A process to become. */
export interface Showing {
  argv: [string, ...string[]];
  env: Record<string, string>;
}

/** Opens the launch's session and shows it at this terminal. */
export function openAndShow(guard: Guard, record: LaunchRecord): Showing {
  return showing(guard, record.id, newSession(record, false));
}

/** Shows a session that runs. @param takesOver ends the showing in another terminal */
export function showAgain(guard: Guard, record: LaunchRecord, takesOver: boolean): Showing {
  return showing(guard, record.id, buildAttach(record.tmuxSession, takesOver));
}

/** @throws {ClutchError} `failed`, in tmux's words; the launch is then forgotten */
export function openDetached(guard: Guard, record: LaunchRecord): void {
  const open = () => runTmux(guard.tmux, [...setup(guard), newSession(record, true)], clientEnv(guard));
  const first = open();
  // The server may just have ended with its last session.
  const { ok, stderr } = first.ok ? first : open();
  if (ok) return;
  forgetLaunch(guard.stateDir, record.id);
  throw new ClutchError("failed", `tmux did not start (${stderr})`, { hint: "check that tmux itself runs here" });
}

function newSession(record: LaunchRecord, isDetached: boolean): TmuxCommand {
  return buildNewSession(ownCommand(), record.tmuxSession, record.id, isDetached);
}

function showing(guard: Guard, id: string, command: TmuxCommand): Showing {
  const features = ["extkeys", ...(hasTrueColour(guard.env) ? ["RGB"] : [])];
  const tmux = buildTmuxArgv(guard.tmux, [...setup(guard), command], features);
  return { argv: buildShowAndTell(ownCommand(), id, tmux), env: clientEnv(guard) };
}

/** Each call begins with it: a server that an earlier version started learns what this one wants. */
function setup(guard: Guard): TmuxCommand[] {
  return buildServerSetup(choosePaneTerm((term) => isDescribed(term, guard.env)));
}

/** Of a tmux client, and of the server if this client starts it. */
function clientEnv(guard: Guard): Record<string, string> {
  const term = chooseOuterTerm(guard.env, (name) => isDescribed(name, guard.env));
  const { file, socket } = guard.tmux;
  return { ...buildTmuxEnv(guard.env, term), ...buildGuardEnv(file, socket, launchesDir(guard.stateDir)) };
}
