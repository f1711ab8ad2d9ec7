/** A person's terminal: a tmux server of the test's own whose panes believe that they are plain terminals. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./gateway.ts";

export interface Terminal {
  /** Types the text and Enter. */
  type(line: string): void;
  /** Presses keys by tmux's names, such as `C-c` and `Up`. */
  press(...keys: string[]): void;
  /** What it shows now, without empty lines. */
  screen(): string;
  /** Waits until the text is on the screen. */
  sees(text: string | RegExp, limitMs?: number): Promise<void>;
  /** What tmux knows of it by a variable of its formats, such as `alternate_on`. */
  mode(variable: string): string;
  /** As closing the window does: its programs get a SIGHUP. */
  close(): void;
}

export interface Terminals {
  open(env: Record<string, string>, cwd: string): Terminal;
  /** Ends the server, and with it every terminal. */
  end(): void;
}

export function startTerminals(tmux: string): Terminals {
  const folder = mkdtempSync(join(tmpdir(), "clutch-term-"));
  const socket = join(folder, "outer.sock");
  let count = 0;

  function run(...args: string[]): string {
    const child = Bun.spawnSync([tmux, "-u", "-S", socket, "-f", "/dev/null", ...args], {
      env: { PATH: process.env["PATH"] ?? "", TERM: "xterm-256color", LANG: "C.UTF-8" },
      stderr: "pipe",
    });
    if (child.exitCode !== 0) throw new Error(`tmux ${args.join(" ")}: ${child.stderr.toString()}`);
    return child.stdout.toString();
  }

  return {
    open(env, cwd) {
      const name = `t${count++}`;
      const pairs = Object.entries({ PS1: "$ ", TERM: "xterm-256color", ...env }).map(
        ([key, value]) => `${key}=${value}`,
      );
      run(
        "new-session",
        "-d",
        "-s",
        name,
        "-x",
        "120",
        "-y",
        "30",
        "-c",
        cwd,
        "--",
        "env",
        "-i",
        ...pairs,
        "/bin/sh",
        "-i",
      );
      const target = `=${name}:`;
      const screen = () =>
        run("capture-pane", "-p", "-t", target)
          .replace(/\n\s*(?=\n)/g, "")
          .trim();
      const terminal: Terminal = {
        type(line) {
          run("send-keys", "-t", target, "-l", "--", line);
          run("send-keys", "-t", target, "Enter");
        },
        press(...keys) {
          run("send-keys", "-t", target, "--", ...keys);
        },
        screen,
        async sees(text, limitMs = 8000) {
          const isThere = () => (typeof text === "string" ? screen().includes(text) : text.test(screen()));
          await eventually(`${text} on a screen`, isThere, limitMs).catch((error: Error) => {
            throw new Error(`${error.message}, which shows:\n${screen()}`);
          });
        },
        mode(variable) {
          return run("display-message", "-p", "-t", target, `#{${variable}}`).trim();
        },
        close() {
          run("kill-session", "-t", `=${name}`);
        },
      };
      return terminal;
    },
    end() {
      // A terminal of its own is not needed to end it, and no server is no mistake.
      Bun.spawnSync([tmux, "-S", socket, "kill-server"], { stderr: "ignore" });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
