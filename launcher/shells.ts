/** The shells that aliases and completion are written for. Pure. */

import type { Env } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";

export const shells = ["zsh", "bash", "fish"] as const;

export type Shell = (typeof shells)[number];

/**
 * @param name as given with --shell; without it SHELL decides
 * @throws {ClutchError} `usage`
 */
export function chooseShell(name: string | undefined, env: Env): Shell {
  const wanted = name ?? env["SHELL"] ?? "";
  const base = wanted.slice(wanted.lastIndexOf("/") + 1);
  const shell = shells.find((known) => known === (name === undefined ? base : name));
  if (shell !== undefined) return shell;
  const what = name === undefined ? `SHELL is "${wanted}"` : `--shell is "${name}"`;
  throw new ClutchError("usage", `${what}, which is none of ${shells.join(", ")}`, {
    hint: `name one, as in --shell ${shells[0]}`,
  });
}
