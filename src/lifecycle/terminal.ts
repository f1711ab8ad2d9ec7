/** Terminal descriptions: without one for its terminal tmux does not attach, without one for the pane programs complain. */

import { existsSync } from "node:fs";
import type { Env } from "../config/paths.ts";

const systemFolders = [
  "/etc/terminfo",
  "/lib/terminfo",
  "/usr/share/terminfo",
  "/usr/lib/terminfo",
  "/usr/local/share/terminfo",
  "/opt/homebrew/share/terminfo",
];

/** Whether this machine describes a terminal of that name. macOS names the folders by the letter's code, Linux by the letter. */
export function isDescribed(term: string, env: Env, exists: (path: string) => boolean = existsSync): boolean {
  const first = term.charAt(0);
  if (first === "" || term.includes("/")) return false;
  const code = first.charCodeAt(0).toString(16);
  return terminfoFolders(env).some(
    (folder) => exists(`${folder}/${first}/${term}`) || exists(`${folder}/${code}/${term}`),
  );
}

function terminfoFolders(env: Env): string[] {
  const own = [env["TERMINFO"], env["HOME"] === undefined ? undefined : `${env["HOME"]}/.terminfo`];
  const listed = (env["TERMINFO_DIRS"] ?? "").split(":");
  return [...own, ...listed, ...systemFolders].filter((folder): folder is string => folder?.startsWith("/") ?? false);
}

/**
 * What tmux is told of the person's terminal. A name that only the terminal's own package describes (Ghostty, kitty,
 * WezTerm) does for xterm, which they all behave like.
 */
export function chooseOuterTerm(env: Env, described: (term: string) => boolean): string {
  const term = env["TERM"] ?? "";
  return described(term) || !described("xterm-256color") ? term : "xterm-256color";
}

/** What programs in a pane are told; macOS before 14 has no `tmux-256color`. */
export function choosePaneTerm(described: (term: string) => boolean): string {
  return described("tmux-256color") ? "tmux-256color" : "screen-256color";
}
