/** A program in a terminal of its own: tmux with a socket in a temporary folder, driven by keys and read from its screen. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./gateway.ts";

export interface Terminal {
  /** Types the text as it is, without Enter. */
  type(text: string): void;
  /** Types the text and Enter. */
  enter(line: string): void;
  /** By tmux's names: `Enter`, `Tab`, `C-u`. */
  press(...keys: string[]): void;
  /** What is shown, lines without trailing spaces. */
  screen(): string;
  /** Waits until the screen holds it. @throws {Error} with what was shown instead */
  shows(expected: string | RegExp, limitMs?: number): Promise<void>;
  /** What tmux knows of it by a variable of its formats, such as `alternate_on`. */
  mode(variable: string): string;
  resize(columns: number, rows: number): void;
  /** As closing the window does: its programs get a SIGHUP. Ends this tmux server with all in it; further calls do nothing. */
  stop(): void;
}

export interface TerminalOptions {
  columns?: number;
  rows?: number;
  /** The tmux program; by default that of PATH. */
  tmux?: string;
}

/** @param env the whole environment of the program */
export function startTerminal(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd: string,
  { columns = 160, rows = 50, tmux: program = "tmux" }: TerminalOptions = {},
): Terminal {
  const folder = mkdtempSync(join(tmpdir(), "clutch-terminal-"));
  const tmux = (...args: string[]) => {
    // Locale and terminal type are tmux's own business; the rest is only what the program gets.
    const done = Bun.spawnSync([program, "-S", join(folder, "socket"), "-f", "/dev/null", "-u", ...args], {
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: folder, TERM: "xterm-256color", SHELL: "/bin/sh" },
      timeout: 10_000,
    });
    if (done.exitCode !== 0) throw new Error(`tmux ${args[0]} failed: ${done.stderr.toString()}`);
    return done.stdout.toString();
  };
  const variables = Object.entries({ TERM: "screen-256color", ...env }).map(([name, value]) => `${name}=${value}`);
  const size = ["-x", String(columns), "-y", String(rows)];
  tmux("new-session", "-d", ...size, "-c", cwd, "env", "-i", ...variables, ...argv);
  const screen = () =>
    tmux("capture-pane", "-p")
      .split("\n")
      .map((line) => line.trimEnd())
      .join("\n")
      .trimEnd();
  let isStopped = false;
  return {
    type: (text) => void tmux("send-keys", "-l", "--", text),
    enter(line) {
      tmux("send-keys", "-l", "--", line);
      tmux("send-keys", "Enter");
    },
    press: (...keys) => void tmux("send-keys", "--", ...keys),
    screen,
    async shows(expected, limitMs = 8000) {
      const isThere = () => (typeof expected === "string" ? screen().includes(expected) : expected.test(screen()));
      await eventually(`${expected} on the screen`, isThere, limitMs).catch((error: Error) => {
        throw new Error(`${error.message}; it shows:\n${screen()}`);
      });
    },
    mode: (variable) => tmux("display-message", "-p", `#{${variable}}`).trim(),
    resize: (width, height) => void tmux("resize-window", "-x", String(width), "-y", String(height)),
    stop() {
      if (isStopped) return;
      isStopped = true;
      // The last program in it may have ended by itself, and its server with it.
      Bun.spawnSync([program, "-S", join(folder, "socket"), "kill-server"], { stderr: "ignore", timeout: 10_000 });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
