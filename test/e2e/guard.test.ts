/** The crash guard with a real tmux: one tmux plays the person's terminals, the other is the guard's own. */

import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore } from "../../src/store/open.ts";
import { requestQueries } from "../../src/store/requests.ts";
import { eventually, programs } from "../support/gateway.ts";
import { startTerminal, type Terminal } from "../support/terminal.ts";

const tmux = Bun.which("tmux");
const mustRun = process.env["CI"] === "true";
if (tmux === null) {
  console.error("crash guard tests: there is no tmux");
  test.skipIf(!mustRun)("tmux is there", () => {
    throw new Error("there is no tmux");
  });
}

const agentScript = join(import.meta.dir, "../support/chatty-agent.sh");
const key = "sk-only-in-the-environment";
const slow = 30_000;
const roots: string[] = [];
const gateway = Bun.spawn([process.execPath, join(import.meta.dir, "../support/gateway-stub.ts")], {
  stdin: "ignore",
  stdout: "pipe",
});
const gatewayPort = new TextDecoder().decode((await gateway.stdout.getReader().read()).value).trim();
afterAll(() => {
  gateway.kill();
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});

/** A person's machine: a home, agents on PATH, projects, terminals. */
interface Desk {
  home: string;
  log: string;
  env: Record<string, string>;
  project(name: string): string;
  /** A shell in a new terminal. */
  open(cwd: string, more?: Record<string, string>): Terminal;
  /** Asks the guard's own tmux. */
  guardTmux(...args: string[]): { ok: boolean; text: string };
  /** Runs clutch without a terminal. */
  clutch(args: readonly string[], env?: Record<string, string>): Outcome;
  /** Kills the guard's server as a crash does. */
  crash(): Promise<void>;
  end(): void;
}

interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

function setDesk(argv: readonly string[]): Desk {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "clutch-guard-")));
  roots.push(root);
  const home = join(root, "h");
  const bin = join(root, "bin");
  const log = join(root, "agent.log");
  for (const folder of [home, bin]) mkdirSync(folder);
  for (const name of ["claude", "codex", "ante", "agent"]) symlinkSync(agentScript, join(bin, name));
  const words = argv.map((word) => `'${word}'`).join(" ");
  for (const [name, more] of [
    ["clutch", ""],
    ["xx", " xx"],
  ] as const)
    writeFileSync(join(bin, name), `#!/bin/sh\nexec ${words}${more} "$@"\n`, { mode: 0o755 });
  const socket = join(home, "state/xx.sock");
  const env = {
    PATH: `${bin}:/usr/bin:/bin`,
    HOME: root,
    CLUTCH_HOME: home,
    CLUTCH_PORT: gatewayPort,
    IS_SANDBOX: "1",
    FAKE_LOG: log,
    LANG: "C.UTF-8",
    COLORTERM: "truecolor",
  };
  const terminals: Terminal[] = [];
  const run = (command: readonly string[], more: Record<string, string> = {}): Outcome => {
    const child = Bun.spawnSync([...command], {
      cwd: root,
      env: { ...env, ...more },
      stdin: "ignore",
      stderr: "pipe",
      timeout: 20_000,
    });
    return { status: child.exitCode, stdout: child.stdout.toString(), stderr: child.stderr.toString() };
  };
  const guardTmux = (...args: string[]) => {
    const { status, stdout } = run([tmux ?? "", "-u", "-S", socket, ...args]);
    return { ok: status === 0, text: stdout.trim() };
  };
  return {
    home,
    log,
    env,
    open(cwd, more) {
      const shell = { PS1: "$ ", TERM: "xterm-256color", ...env, ...more };
      const terminal = startTerminal(["/bin/sh", "-i"], shell, cwd, { columns: 120, rows: 30, tmux: tmux ?? "tmux" });
      terminals.push(terminal);
      return terminal;
    },
    guardTmux,
    project(name) {
      const folder = join(root, name);
      mkdirSync(folder, { recursive: true });
      return folder;
    },
    clutch: (args, more) => run([...argv, ...args], more),
    async crash() {
      const pid = Number(guardTmux("display-message", "-p", "#{pid}").text);
      expect(pid).toBeGreaterThan(1);
      process.kill(pid, "SIGKILL");
      await eventually("the end of the guard's tmux", () => !guardTmux("list-sessions").ok);
    },
    end() {
      guardTmux("kill-server");
      for (const terminal of terminals) terminal.stop();
    },
  };
}

interface Start {
  cwd: string;
  pid: number;
  argv: string[];
  env: Record<string, string>;
}

/** What each start of the fake agent wrote down, once it is all there. */
function startsIn(log: string): Start[] {
  if (!existsSync(log)) return [];
  const blocks = readFileSync(log, "utf8").split("start\ncwd=").slice(1);
  const whole = blocks.filter((block) => block.endsWith("\nwritten\n"));
  return whole.map((block) => {
    const lines = block.split("\n");
    const values = (prefix: string) =>
      lines.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length));
    return {
      cwd: lines[0] ?? "",
      pid: Number(values("pid=")[0]),
      argv: values("argv="),
      env: Object.fromEntries(values("env:").map((pair) => pair.split(/=(.*)/s).slice(0, 2))),
    };
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The command lines of every process that this user may see. */
function allCommandLines(): string {
  const { stdout } = Bun.spawnSync(["ps", "-axww", "-o", "args="]);
  return stdout.toString();
}

describe.skipIf(tmux === null).each(programs.map(({ name, argv }) => [name, argv] as const))(
  "clutch run, %s",
  (_, argv) => {
    let desk: Desk;
    beforeEach(() => {
      desk = setDesk(argv);
    });
    afterEach(() => desk.end());

    const starts = () => startsIn(desk.log);
    const open = (cwd: string, more?: Record<string, string>) => desk.open(cwd, more);
    const listed = () =>
      JSON.parse(desk.clutch(["resume", "--json"]).stdout).launches as {
        id: string;
        state: string;
        how: string | null;
        attached: boolean | null;
        exit_code: number | null;
        session: string | null;
        launch_id: string | null;
        folder: string;
        resumed_by: string | null;
        pid: number;
      }[];

    test(
      "keeps an agent alive when its terminal closes, and shows it again to the same command in the same folder",
      async () => {
        const project = desk.project("one project");
        const first = open(project);
        first.enter("clutch run -- xx cip; echo status=$?");
        await first.shows("agent ready");
        first.enter("remember the word plum");
        await first.shows("said remember the word plum");
        const [{ pid = 0 } = {}] = starts();
        first.stop();
        await eventually("a session without terminal", () => desk.guardTmux("list-clients").text === "");
        expect(isAlive(pid)).toBe(true);

        const elsewhere = open(desk.project("another"));
        elsewhere.enter("clutch run -- xx cip");
        await elsewhere.shows("agent ready");
        expect(elsewhere.screen()).not.toContain("plum");

        const second = open(project);
        second.enter("clutch run -- xx cip; echo status=$?");
        await second.shows("said remember the word plum");
        second.enter("and pear");
        await second.shows("said and pear");
        expect(starts()).toHaveLength(2);

        const third = open(project);
        third.enter("clutch run -- xx cip");
        await third.shows("agent ready");
        expect(third.screen()).not.toContain("plum");
        expect(starts()).toHaveLength(3);

        second.enter("quit7");
        await second.shows("status=7");
        expect(second.screen()).toMatch(/back in the launch of \d+ seconds? ago/);
        // The last screen stays, as it would in a terminal without tmux.
        expect(second.screen()).toContain("said and pear");
        expect(second.screen()).toContain("goodbye");
        expect(second.screen()).not.toContain("[exited]");
      },
      slow,
    );

    test(
      "hands over what is typed, and the agent's own end",
      async () => {
        const terminal = open(desk.project("p"));
        terminal.enter("clutch run -- agent; echo status=$?");
        await terminal.shows("agent ready");
        terminal.press("C-c");
        await terminal.shows("caught Ctrl-C");
        terminal.press("Up", "Enter");
        await terminal.shows("said ^[[A");
        terminal.press("C-b", "Enter");
        await terminal.shows("said ^B");
        terminal.enter("suspend");
        await terminal.shows("back from suspension");
        terminal.press("C-d");
        await terminal.shows("status=0");
        expect(terminal.screen()).toContain("end of input");

        terminal.enter("clear; clutch run -- agent; echo status=$?");
        await terminal.shows("agent ready");
        terminal.enter("crash");
        await terminal.shows("status=137");

        terminal.enter("clear; clutch run -- sh -c 'echo cannot start >&2; exit 9'; echo status=$?");
        await terminal.shows("status=9");
        expect(terminal.screen()).toContain("cannot start");
        terminal.enter("clear; clutch run -- nonesuch; echo status=$?");
        await terminal.shows("status=127");
        expect(terminal.screen()).toContain("there is no program nonesuch on PATH: install it");

        expect(listed().map(({ state, exit_code }) => [state, exit_code])).toEqual([
          ["closed", 0],
          ["closed", 137],
          ["closed", 9],
        ]);
      },
      slow,
    );

    test(
      "leaves the agent on Ctrl-\\ and says how to come back",
      async () => {
        const terminal = open(desk.project("p"));
        terminal.enter("clutch run -- agent; echo status=$?");
        await terminal.shows("agent ready");
        terminal.press("C-\\");
        await terminal.shows("status=0");
        const [{ id = "" } = {}] = listed();
        expect(terminal.screen()).toContain(`clutch resume ${id} shows it again`);
        expect(terminal.screen()).not.toContain("[detached");
        terminal.enter(`clear; clutch resume ${id.slice(0, 4)}; echo status=$?`);
        await terminal.shows("agent ready");
        terminal.enter("quit3");
        await terminal.shows("status=3");
      },
      slow,
    );

    test(
      "gives each launch its own environment, of which nothing is in a command line or stays on disk",
      async () => {
        const project = desk.project("p");
        const first = open(project, { MY_API_KEY: key, ODD_VALUE: "a 'b' \"c\" $d; e" });
        first.enter("umask 027; clutch run -- xx cip");
        await first.shows("agent ready");
        const second = open(project, { OTHER: "2" });
        second.enter("clutch run -- xx cip -m x/y");
        await second.shows("agent ready");

        const [one, two] = starts();
        expect(one?.env).toMatchObject({
          MY_API_KEY: key,
          ODD_VALUE: "a 'b' \"c\" $d; e",
          CLAUDE_CODE_TMUX_TRUECOLOR: "1",
        });
        expect(one?.env).toMatchObject({ TERM: "tmux-256color", TERM_PROGRAM: "tmux", COLORTERM: "truecolor" });
        expect(two?.env).toMatchObject({ OTHER: "2" });
        for (const name of ["MY_API_KEY", "CLUTCH_GUARD", "CLUTCH_LAUNCHES"]) expect(two?.env).not.toHaveProperty(name);
        expect(one?.env).not.toHaveProperty("CLUTCH_GUARD");
        expect(one?.cwd).toBe(project);
        if (existsSync(`/proc/${one?.pid}/status`))
          expect(readFileSync(`/proc/${one?.pid}/status`, "utf8")).toContain("Umask:\t0027");

        const server = desk.guardTmux("display-message", "-p", "#{pid}").text;
        if (existsSync(`/proc/${server}/environ`)) {
          expect(readFileSync(`/proc/${server}/environ`, "utf8")).not.toContain(key);
          expect(readFileSync(`/proc/${server}/cmdline`, "utf8")).not.toContain(key);
        }
        expect(desk.guardTmux("show-environment", "-g").text).not.toContain(key);
        const folder = join(desk.home, "state/launches");
        for (const name of readdirSync(folder)) {
          expect(name).toEndWith(".json");
          expect(readFileSync(join(folder, name), "utf8")).not.toContain(key);
          expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
        }
        expect(statSync(folder).mode & 0o777).toBe(0o700);
      },
      slow,
    );

    test(
      "shows no key in any command line while it starts",
      async () => {
        // Straight from this process, so that no command line of the test's own carries the key.
        const secret = `sk-${crypto.randomUUID()}`;
        const isShown = () => allCommandLines().includes(secret);
        const child = Bun.spawn([...argv, "run", "--", "agent"], {
          cwd: desk.project("p"),
          env: { ...desk.env, TERM: "xterm-256color", MY_API_KEY: secret },
          terminal: { cols: 80, rows: 24, data: () => {} },
        });
        try {
          const looks: boolean[] = [];
          const hasStarted = () => {
            looks.push(isShown());
            return starts()[0]?.env["MY_API_KEY"] === secret;
          };
          await eventually("the agent with its key", hasStarted, 8000);
          expect(looks).not.toContain(true);
          expect(isShown()).toBe(false);
        } finally {
          child.kill("SIGHUP");
          await child.exited;
        }
      },
      slow,
    );

    test(
      "sets what agents need of a terminal",
      async () => {
        const terminal = open(desk.project("p"));
        terminal.enter("clutch run -- agent");
        await terminal.shows("agent ready");
        const shown = (scope: string, name: string) => desk.guardTmux("show-options", scope, name).text;
        expect(["mouse", "history-limit", "status", "prefix", "set-titles"].map((name) => shown("-gv", name))).toEqual([
          "on",
          "50000",
          "off",
          "None",
          "on",
        ]);
        expect(
          ["escape-time", "focus-events", "extended-keys", "set-clipboard", "default-terminal"].map((name) =>
            shown("-sv", name),
          ),
        ).toEqual(["10", "on", "on", "on", "tmux-256color"]);
        expect(shown("-gwv", "allow-passthrough")).toBe("on");
        const features = desk.guardTmux("list-clients", "-F", "#{client_termfeatures}").text.split(",");
        expect(features).toEqual(expect.arrayContaining(["RGB", "extkeys", "mouse", "focus", "clipboard"]));
        // No key of tmux's own is left that an agent would miss, and no menu.
        expect(desk.guardTmux("list-keys", "-T", "prefix").text).toBe("");
        expect(desk.guardTmux("list-keys", "-T", "root").text).not.toMatch(/MouseDown3Pane|C-b/);
      },
      slow,
    );

    test(
      "lets three start at once",
      async () => {
        const project = desk.project("p");
        const terminals = [1, 2, 3].map(() => open(project));
        for (const terminal of terminals) terminal.enter("clutch run -- agent; echo status=$?");
        for (const terminal of terminals) await terminal.shows("agent ready");
        expect(new Set(starts().map(({ pid }) => pid)).size).toBe(3);
        for (const [index, terminal] of terminals.entries()) terminal.enter(`quit${index + 4}`);
        for (const [index, terminal] of terminals.entries()) await terminal.shows(`status=${index + 4}`);
      },
      slow,
    );

    test(
      "starts over a socket that a server left behind, and again right after the last session ended",
      async () => {
        const socket = join(desk.home, "state/xx.sock");
        mkdirSync(join(desk.home, "state"), { recursive: true });
        const stale = createServer().listen(`${socket}.old`);
        await new Promise((resolve) => stale.once("listening", resolve));
        Bun.spawnSync(["ln", `${socket}.old`, socket]);
        await new Promise((resolve) => stale.close(resolve));
        expect(existsSync(socket)).toBe(true);
        const terminal = open(desk.project("p"));
        for (let round = 1; round <= 5; round++) {
          terminal.enter(`clutch run -- sh -c 'exit ${round}'; echo status=$?`);
          await terminal.shows(`status=${round}`);
        }
        expect(terminal.screen()).not.toContain("without the crash guard");
      },
      slow,
    );

    test(
      "runs directly where tmux is no use, and says why once",
      async () => {
        const direct = () => desk.clutch(["run", "--", "sh", "-c", "echo out; exit 5"]);
        const told = "clutch: no terminal to guard, so commands run directly (this is said once)\n";
        expect(direct()).toEqual({ status: 5, stdout: "out\n", stderr: told });
        expect(direct()).toEqual({ status: 5, stdout: "out\n", stderr: "" });
        expect(desk.clutch(["run", "xx", "cip", "-n"]).stderr).toBe("");
        expect(desk.clutch(["run", "--", "xx", "zip"])).toMatchObject({ status: 2, stdout: "" });
        expect(desk.clutch(["run", "--"]).status).toBe(2);

        const inTmux = open(desk.project("p"), { TMUX: "/somewhere,1,0" });
        inTmux.enter("clutch run -- agent; echo status=$?");
        await inTmux.shows("agent ready");
        expect(inTmux.screen()).toContain("inside tmux already");
        inTmux.enter("quit6");
        await inTmux.shows("status=6");
        inTmux.enter("clear; clutch run -- sh -c 'kill -TERM $$'; echo status=$?");
        await inTmux.shows("status=143");
        expect(inTmux.screen()).not.toContain("inside tmux");

        const bin = join(desk.home, "bin");
        mkdirSync(bin);
        for (const name of ["sh", "env", "cat", "sed"]) symlinkSync(Bun.which(name) ?? "", join(bin, name));
        symlinkSync(agentScript, join(bin, "agent"));
        const without = open(desk.project("p"), { PATH: bin });
        without.enter(`${argv.join(" ")} run -- agent; echo status=$?`);
        await without.shows("agent ready");
        expect(without.screen()).toContain("tmux is not on PATH, so this runs without the crash guard");
        without.enter("quit8");
        await without.shows("status=8");
        expect(desk.guardTmux("list-sessions").ok).toBe(false);
      },
      slow,
    );

    test(
      "runs an agent without the guard when tmux fails to start",
      async () => {
        const broken = join(desk.home, "broken");
        mkdirSync(broken);
        writeFileSync(
          join(broken, "tmux"),
          '#!/bin/sh\n[ "$1" = -V ] && echo "tmux 3.3a" && exit\necho no luck >&2\nexit 1\n',
          { mode: 0o755 },
        );
        const terminal = open(desk.project("p"), { PATH: `${broken}:${desk.env["PATH"]}`, MY_API_KEY: key });
        terminal.enter("clutch run -- xx cip; echo status=$?");
        await terminal.shows("agent ready");
        expect(terminal.screen()).toContain("no luck");
        expect(terminal.screen()).toContain("tmux did not start (exit status 1), so this runs without the crash guard");
        expect(starts()[0]?.env["MY_API_KEY"]).toBe(key);
        terminal.enter("quit2");
        await terminal.shows("status=2");
        expect(readdirSync(join(desk.home, "state/launches"))).toEqual([]);
      },
      slow,
    );

    test("brings back agents in their folders and sessions after a kill -9", async () => {
      const [one, two, three] = [desk.project("one"), desk.project("two"), desk.project("three")];
      const terminals = [
        ["clutch run -- xx cif -p hello -- --add-dir 'x y'", one, { MY_API_KEY: "of-the-first-day" }],
        ["clutch run -- xx xid", two, {}],
        ["clutch run -- xx aip", three, {}],
        ["clutch run -- agent stays", two, {}],
      ] as const;
      for (const [line, folder, more] of terminals) {
        const terminal = open(folder, more);
        terminal.enter(`${line}; echo status=$?`);
        await terminal.shows("agent ready");
        if (line.endsWith("stays")) {
          terminal.enter("quit0");
          await terminal.shows("status=0");
        }
      }
      const launchId = listed()[0]?.launch_id ?? "";
      expect(launchId).toMatch(/^[a-z0-9]{8}$/);
      expect(starts()[0]?.argv).toContain("hello");
      // What the gateway would have written down of the first one's requests.
      const store = openStore(join(desk.home, "clutch.db"));
      await requestQueries(store.db).save(
        [
          {
            id: "r1",
            startedAt: 1,
            status: "completed",
            protocol: "messages",
            streamed: true,
            launchId,
            session: "0f3a-session",
            modelRequested: "m",
            attempts: 1,
          },
        ],
        [],
      );
      store.close();

      await desk.crash();
      await eventually("the end of the agents", () => starts().every(({ pid }) => !isAlive(pid)));
      expect(listed().map(({ state, how }) => [state, how])).toEqual([
        ["died", "tmux ended"],
        ["died", "tmux ended"],
        ["died", "tmux ended"],
        ["closed", null],
      ]);
      const list = desk.clutch(["resume"]).stdout;
      for (const word of ["Claude Code", "Codex", "Ante", "xx cif -p hello", "clutch resume --all"])
        expect(list).toContain(word);
      expect(list).not.toContain("agent stays");

      const before = starts().length;
      const terminal = open(desk.project("elsewhere"), { MY_API_KEY: "of-the-second-day" });
      terminal.enter("clutch resume --all; echo status=$?");
      await terminal.shows("agent ready");
      await eventually("both agents", () => starts().length === before + 2);
      // They start in order, but not one after the other.
      const back = starts().findLast(({ cwd }) => cwd === one);
      const next = starts().findLast(({ cwd }) => cwd === two);
      expect(back?.argv.slice(0, 3)).toEqual(["--dangerously-skip-permissions", "--resume", "0f3a-session"]);
      expect(back?.argv.slice(-2)).toEqual(["--add-dir", "x y"]);
      expect(back?.argv).not.toContain("hello");
      expect(back?.env["MY_API_KEY"]).toBe("of-the-second-day");
      expect(next?.argv.slice(0, 2)).toEqual(["resume", "--last"]);

      // The terminal shows the first; leaving it tells of all.
      terminal.press("C-\\");
      await terminal.shows("status=0");
      expect(terminal.screen()).toContain("Ante has no flag for the last session");
      expect(terminal.screen()).toContain(`Claude Code in ${one}: xx cspf -s 0f3a-session -- --add-dir x y`);
      expect(listed().map(({ state, attached }) => [state, attached])).toEqual([
        ["resumed", null],
        ["resumed", null],
        ["died", null],
        ["closed", null],
        ["running", false],
        ["running", false],
      ]);

      // The words of the first day still find it, and a second crash loses nothing.
      const again = open(one);
      again.enter("clutch run -- xx cif -p hello -- --add-dir 'x y'");
      await again.shows("agent ready");
      expect(starts()).toHaveLength(before + 2);
      await desk.crash();
      expect(desk.clutch(["resume", "--all"]).stdout).toContain("xx cspf -s 0f3a-session -- --add-dir x y");
      expect(starts()).toHaveLength(before + 4);
    }, 60_000);

    test(
      "brings back one, forgets one, and refuses what makes no sense",
      async () => {
        const project = desk.project("p");
        const terminal = open(project);
        terminal.enter("clutch run -- agent a");
        await terminal.shows("agent ready: a");
        await desk.crash();
        await terminal.shows("tmux ended and took this launch along");
        for (const left of ["alternate_on", "mouse_any_flag", "keypad_flag"])
          expect([left, terminal.mode(left)]).toEqual([left, "0"]);
        expect(terminal.mode("cursor_flag")).toBe("1");
        const [{ id = "" } = {}] = listed();
        terminal.enter(`cd /; clear; clutch resume ${id.slice(0, 5)}; echo status=$?`);
        await terminal.shows("agent ready: a");
        expect(starts()[1]?.cwd).toBe(project);
        const [dead, running] = listed();
        expect([dead?.state, dead?.resumed_by]).toEqual(["resumed", running?.id]);

        const other = running?.id ?? "";
        expect(desk.clutch(["resume", id]).stderr).toContain(`clutch resume ${other} shows it`);
        expect(desk.clutch(["resume", "--forget", other])).toMatchObject({ status: 2 });
        expect(desk.clutch(["resume", other]).stderr).toContain("cannot be shown here");
        const second = open(project);
        second.enter(`clutch resume ${other}; echo status=$?`);
        await second.shows("agent ready: a");
        await terminal.shows("status=0");
        second.enter("quit0");
        await second.shows("status=0");
        expect(desk.clutch(["resume", other]).stderr).toContain("came to its own end, with exit status 0");
        for (const gone of [id, other]) expect(desk.clutch(["resume", "--forget", gone]).status).toBe(0);
        expect(desk.clutch(["resume"]).stdout).toBe("no launch died, none is running\n");
        expect(readdirSync(join(desk.home, "state/launches"))).toEqual([]);
        for (const args of [["zzz"], ["--forget"], ["x", "--all"]])
          expect(desk.clutch(["resume", ...args]).status).toBe(2);
        expect(desk.clutch(["resume", "--all"])).toEqual({ status: 0, stdout: "nothing died\n", stderr: "" });
      },
      slow,
    );

    test(
      "keeps on offer what ends at once when it comes back",
      async () => {
        const project = desk.project("p");
        writeFileSync(
          join(project, "run.sh"),
          "[ -e broken ] && echo nothing to continue && exit 1\necho agent ready\nread line\n",
        );
        const terminal = open(project);
        terminal.enter("clutch run -- sh run.sh");
        await terminal.shows("agent ready");
        await desk.crash();
        writeFileSync(join(project, "broken"), "");
        const failed = desk.clutch(["resume", "--all"]);
        expect(failed.status).toBe(1);
        expect(failed.stderr).toContain("ended at once with exit status 1: nothing to continue");
        expect(failed.stderr).toMatch(/launch [a-z0-9]{6} is still on offer/);
        expect(listed().map(({ state }) => state)).toEqual(["died"]);
        terminal.enter(`clear; clutch resume ${listed()[0]?.id}; echo status=$?`);
        await terminal.shows("status=1");
        expect(terminal.screen()).toContain("nothing to continue");
        expect(terminal.screen()).toContain("is still on offer");
        expect(listed().map(({ state }) => state)).toEqual(["died"]);
        rmSync(join(project, "broken"));
        expect(desk.clutch(["resume", "--all"])).toMatchObject({ status: 0, stderr: "" });
        expect(listed().map(({ state }) => state)).toEqual(["resumed", "running"]);
      },
      slow,
    );
  },
);
