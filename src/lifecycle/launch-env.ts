/** Which part of an environment goes where: into the ledger, into the agent's terminal, to tmux itself. Pure. */

import type { Env } from "../config/paths.ts";
import { parseLaunchToken } from "../launch-token.ts";

/** They decide what a program does and hold no credential as a rule; values are looked at besides. */
const worthKeeping = [
  /^CLUTCH_/,
  /^XDG_(CONFIG|DATA|STATE|CACHE)_HOME$/,
  /^(PATH|IS_SANDBOX|LANG|LC_[A-Z]+|TZ|EDITOR|VISUAL|NO_COLOR|COLORTERM)$/,
  /_(HOME|CONFIG_DIR|CONFIG|BASE_URL|API_BASE)$/,
  /^(https?|all|no)_proxy$/i,
  /^(VIRTUAL_ENV|CONDA_PREFIX|CONDA_DEFAULT_ENV|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE)$/,
];
const namesSecrets = /KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH/i;

/** The part of an environment that may stand in the ledger, to start a launch again as it was. */
export function keepHarmless(env: Env): Record<string, string> {
  return pick(env, (name, value) => {
    if (name === guardVariable || namesSecrets.test(name)) return false;
    return worthKeeping.some((pattern) => pattern.test(name)) && !holdsCredential(value);
  });
}

/** A user name or a password before the host, parameters behind the address, or a launch token of ours. */
function holdsCredential(value: string): boolean {
  return /\/\/[^/\s]*@|^[^/\s]*:[^/\s]*@|[?#]/.test(value) || parseLaunchToken(value) !== undefined;
}

/** Tells `xx` which record of the ledger is its own. */
export const guardVariable = "CLUTCH_GUARD";

/** Made by tmux for this pane, hence the pane's own word counts. */
const paneVariables = ["TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TMUX", "TMUX_PANE"];

/**
 * The environment of a command in its pane: the one it was asked for in, on tmux's terminal.
 * @param started where the launch was asked for
 * @param pane what tmux gave to this pane
 * @param guardId for a command that is an `xx`
 */
export function buildPaneEnv(started: Env, pane: Env, guardId: string | undefined): Record<string, string> {
  const given = pick(pane, (name) => paneVariables.includes(name));
  const kept = pick(started, (name) => !paneVariables.includes(name) && name !== guardVariable);
  return {
    // Inside tmux Claude Code (2.1.328) keeps to 256 colours until it is told that true colour comes through.
    ...(hasTrueColour(started) ? { CLAUDE_CODE_TMUX_TRUECOLOR: "1" } : {}),
    ...kept,
    ...given,
    ...(guardId === undefined ? {} : { [guardVariable]: guardId }),
  };
}

/** What a launch of a later day starts with: today's environment, and the ledger's wherever it has a word. */
export function buildResumeEnv(record: Readonly<Record<string, string>>, today: Env): Record<string, string> {
  return { ...pick(today, () => true), ...record };
}

/** What terminals themselves say of 24-bit colour. */
export function hasTrueColour(env: Env): boolean {
  return /^(truecolor|24bit)$/.test(env["COLORTERM"] ?? "");
}

const tmuxNeeds = /^(PATH|HOME|USER|LOGNAME|LANG|LC_[A-Z]+|TZ|TERMINFO|TERMINFO_DIRS)$/;

/**
 * What tmux gets to see: a server keeps the environment of its first client and hands it to every later pane, so nothing
 * of one launch may be in it. TMUX is left out with the rest, or tmux would refuse to attach.
 * @param term a terminal that this machine has a description of
 */
export function buildTmuxEnv(env: Env, term: string): Record<string, string> {
  return { ...pick(env, (name) => tmuxNeeds.test(name)), TERM: term };
}

function pick(env: Env, isWanted: (name: string, value: string) => boolean): Record<string, string> {
  const entries = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && isWanted(entry[0], entry[1]),
  );
  return Object.fromEntries(entries);
}
