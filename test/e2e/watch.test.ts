/** The dashboard in a real terminal: what it shows of a real gateway, and how it leaves the terminal. */

import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { pieces, whole } from "../support/answers.ts";
import { json, sse, startFakeUpstream } from "../support/fake-upstream.ts";
import { ask, buildConfig, makeHome, programs, type ServeProcess, startServe } from "../support/gateway.ts";
import { runClutch } from "../support/run-clutch.ts";
import { startTerminal, type Terminal } from "../support/terminal.ts";

const hasTmux = Bun.which("tmux") !== null;
if (!hasTmux) {
  if (process.env["CI"] === "true") throw new Error("tmux is not here, and these tests need it");
  console.log("not tested: the dashboard, since tmux is not here");
}

const limited = json({ error: { message: "slow down" } }, 429, { "retry-after": "300" });
const { opening, words, ending } = pieces.chat;

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

interface Desk {
  server: ServeProcess;
  /** A shell at whose prompt the dashboard has been started. */
  terminal: Terminal;
  /** Lets the slow answer begin, and end. */
  begin(): void;
  end(): void;
  ask(model: string, code?: string): Promise<string>;
}

async function startDesk(argv: readonly string[], size = { columns: 80, rows: 24 }): Promise<Desk> {
  const [toBegin, toEnd] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const upstream = await startFakeUpstream({
    limited,
    good: json(whole.chat),
    slow: sse([toBegin.promise, opening + words("a first word"), toEnd.promise, words("!") + ending]),
  });
  cleanUps.push(() => upstream.stop());
  const home = makeHome();
  cleanUps.push(() => rmSync(home, { recursive: true, force: true }));
  const config = buildConfig(upstream.port, {
    cascade: ["chat:limited", "other:good"],
    config: { headroom: { mode: "off" } },
  });
  const server = await startServe({ home, config, argv, args: ["--port", "0"] });
  cleanUps.push(async () => {
    server.kill("SIGKILL");
    await server.exited;
  });
  const env = {
    PATH: "/usr/bin:/bin",
    HOME: home,
    CLUTCH_HOME: home,
    CLUTCH_PORT: new URL(server.url).port,
    PS1: "$ ",
  };
  const terminal = startTerminal(["/bin/sh", "-i"], { ...env, LANG: "C.UTF-8" }, home, size);
  cleanUps.push(() => terminal.stop());
  await terminal.shows("$");
  terminal.enter("echo before the dashboard");
  await terminal.shows(/^before the dashboard$/m);
  terminal.enter(`${argv.join(" ")} watch; echo status=$?`);
  await terminal.shows("under way (0)");
  return {
    server,
    terminal,
    begin: toBegin.resolve,
    end: toEnd.resolve,
    async ask(model, code = "xip") {
      const headers = { authorization: `Bearer xx-${code}-abc123` };
      const response = await ask(server.url, "chat", model, model.includes("slow"), { headers });
      return response.text();
    },
  };
}

/** The terminal is as it was: its own screen, cursor, wrapping, and a line discipline that echoes. */
async function isAsBefore(terminal: Terminal, status: number): Promise<void> {
  await terminal.shows(`status=${status}`);
  expect(["alternate_on", "cursor_flag", "wrap_flag"].map((name) => terminal.mode(name))).toEqual(["0", "1", "1"]);
  expect(terminal.screen()).toContain("before the dashboard");
  expect(terminal.screen()).not.toContain("under way");
  terminal.enter("stty -a | tr ' ;' '\\n\\n' | grep -xE -- '-?(icanon|echo|isig|opost)' | sort | tr '\\n' ,");
  await terminal.shows("echo,icanon,isig,opost,");
}

/** The process of the dashboard: the shell's child. */
function pidOf(terminal: Terminal): number {
  const shell = terminal.mode("pane_pid");
  const pid = Number(readFileSync(`/proc/${shell}/task/${shell}/children`, "utf8").trim().split(" ")[0]);
  expect(pid).toBeGreaterThan(1);
  return pid;
}

describe.skipIf(!hasTmux).each(programs.map(({ name, argv }) => [name, argv] as const))(
  "clutch watch, %s",
  (_name, argv) => {
    test("shows a request while it is under way and how it ended; filters, pauses, tells why, and leaves the terminal as it was", async () => {
      const desk = await startDesk(argv);
      const { terminal } = desk;
      expect(terminal.mode("alternate_on")).toBe("1");
      const slow = desk.ask("chat:slow");
      await terminal.shows(/under way \(1\)[\s\S]*xip +chat:slow +waiting for chat:slow/);
      desk.begin();
      await terminal.shows(/xip +chat:slow +streaming from chat:slow/);
      await desk.ask("clutch-big", "cip");
      await terminal.shows(/last ones \(1\)[\s\S]*cip +clutch-big +other:good, left chat:limited/);
      await terminal.shows("BIG other:good");
      await terminal.shows(/out {2}chat:limited \(until \d\d:\d\d:\d\d UTC\)/);

      terminal.press("/");
      terminal.type("big");
      await terminal.shows(/under way \(0 of 1\)[\s\S]*last ones \(1 of 1\)/);
      await terminal.shows("/big_");
      terminal.press("Escape");
      await terminal.shows("under way (1)");

      terminal.press("p");
      await terminal.shows("PAUSED");
      desk.end();
      await slow;
      await Bun.sleep(600);
      expect(terminal.screen()).toContain("under way (1)");
      terminal.press("Space");
      await terminal.shows(/under way \(0\)[\s\S]*last ones \(2\)/);

      terminal.press("G", "Enter");
      await terminal.shows(/request \w+ was answered by other:good in .*, after 1 failed/);
      await terminal.shows("chat:limited");
      terminal.press("Escape", "d");
      await terminal.shows(/left chat:limited \(rate-limit\)/);
      await terminal.shows("MIDDLE");
      terminal.press("?");
      await terminal.shows("dense or sparse");
      terminal.press("x", "q");
      await isAsBefore(terminal, 0);
    }, 30_000);

    test("is gone without a trace after a signal, whichever it was", async () => {
      const { terminal } = await startDesk(argv);
      for (const [signal, status] of [
        ["SIGTERM", 143],
        ["SIGINT", 130],
        ["SIGHUP", 129],
      ] as const) {
        process.kill(pidOf(terminal), signal);
        await isAsBefore(terminal, status);
        terminal.enter(`clear; echo before the dashboard; ${argv.join(" ")} watch; echo status=$?`);
        await terminal.shows("under way (0)");
      }
      terminal.press("C-c");
      await isAsBefore(terminal, 0);
    }, 30_000);

    test("stays when the gateway goes and comes back to it, and follows the size of the terminal", async () => {
      const { terminal, server } = await startDesk(argv);
      terminal.resize(40, 10);
      await terminal.shows(/needs 50 columns\nand 12 rows; here are 40x10/);
      terminal.resize(120, 30);
      await terminal.shows(/under way \(0\) ─{70,}/);
      server.kill("SIGTERM");
      await server.exited;
      await terminal.shows(/^no gateway answers at http/m);
      expect(terminal.mode("alternate_on")).toBe("1");
      const port = new URL(server.url).port;
      const again = await startServe({ home: server.home, argv, args: ["--port", port] });
      cleanUps.push(async () => {
        again.kill("SIGKILL");
        await again.exited;
      });
      await terminal.shows(/^Clutch \d/m);
      terminal.press("q");
      await isAsBefore(terminal, 0);
    }, 30_000);

    test("suspends with Ctrl-Z and comes back", async () => {
      const { terminal } = await startDesk(argv);
      terminal.press("C-z");
      await terminal.shows("Stopped");
      expect(terminal.mode("alternate_on")).toBe("0");
      terminal.enter("fg; echo status=$?");
      await terminal.shows("under way (0)");
      terminal.press("q");
      await isAsBefore(terminal, 0);
    }, 20_000);

    test("without a terminal it says where else to look", async () => {
      const home = makeHome();
      cleanUps.push(() => rmSync(home, { recursive: true, force: true }));
      for (const args of [["watch"], ["status", "--watch"]]) {
        expect(await runClutch(home, args)).toEqual({
          code: 2,
          stdout: "",
          stderr: "clutch: clutch watch needs a terminal: clutch status --json tells the same\n",
        });
      }
    });
  },
);
