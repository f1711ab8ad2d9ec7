/** A program in a terminal of its own: tmux with a socket in a temporary folder, driven by keys and read from its screen. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./gateway.ts";

export interface Terminal {
  /** Types the text as it is, without Enter. */
  type(text: string): void;
  /** By tmux's names: `Enter`, `Tab`, `C-u`. */
  press(...keys: string[]): void;
  /** What is shown, lines without trailing spaces. */
  screen(): string;
  /** Waits until the screen matches. @throws {Error} with what was shown instead */
  shows(expected: RegExp, limitMs?: number): Promise<void>;
  /** Ends this tmux server with all in it. */
  stop(): void;
}

/** @param env the whole environment of the program */
export function startTerminal(argv: readonly string[], env: Readonly<Record<string, string>>, cwd: string): Terminal {
  const folder = mkdtempSync(join(tmpdir(), "clutch-terminal-"));
  const tmux = (...args: string[]) => {
    // Locale and terminal type are tmux's own business; the rest is only what the program gets.
    const done = Bun.spawnSync(["tmux", "-S", join(folder, "socket"), "-f", "/dev/null", "-u", ...args], {
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: folder, TERM: "xterm-256color", SHELL: "/bin/sh" },
      timeout: 10_000,
    });
    if (done.exitCode !== 0) throw new Error(`tmux ${args[0]} failed: ${done.stderr.toString()}`);
    return done.stdout.toString();
  };
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  tmux(
    "new-session",
    "-d",
    "-x",
    "160",
    "-y",
    "50",
    "-c",
    cwd,
    "env",
    "-i",
    "TERM=screen-256color",
    ...variables,
    ...argv,
  );
  const screen = () =>
    tmux("capture-pane", "-p")
      .split("\n")
      .map((line) => line.trimEnd())
      .join("\n")
      .trimEnd();
  return {
    type: (text) => void tmux("send-keys", "-l", text),
    press: (...keys) => void tmux("send-keys", ...keys),
    screen,
    async shows(expected, limitMs = 8000) {
      await eventually(`${expected} on the screen`, () => expected.test(screen()), limitMs).catch((error: Error) => {
        throw new Error(`${error.message}; it shows:\n${screen()}`);
      });
    },
    stop() {
      try {
        tmux("kill-server");
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}
