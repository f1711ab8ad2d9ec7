/**
 * Aliases and completion in the real zsh, bash and fish, in a terminal. `clutch run` is a stand-in that notes that it was
 * called and becomes what follows `run --`; all else of `clutch` and `xx` is real, run from source.
 */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
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
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Shell } from "../../launcher/shells.ts";
import { eventually } from "../support/gateway.ts";
import { startTerminal, type Terminal } from "../support/terminal.ts";

const tree = join(import.meta.dir, "../..");
const root = realpathSync(mkdtempSync(join(tmpdir(), "clutch-shells-")));
const bin = join(root, "bin");
const home = join(root, "home");
const project = join(root, "project");
const agentLog = join(root, "agent.log");
const runLog = join(root, "run.log");
const session = "5939fbc5-b77d-43d3-98e5-28945274b058";

const gateway = Bun.spawn([process.execPath, join(tree, "test/support/gateway-stub.ts")], {
  stdin: "ignore",
  stdout: "pipe",
});
const gatewayPort = new TextDecoder().decode((await gateway.stdout.getReader().read()).value).trim();

const env = {
  HOME: home,
  ZDOTDIR: home,
  PATH: `${bin}:/usr/bin:/bin`,
  LANG: "C.UTF-8",
  CLUTCH_HOME: join(home, "clutch"),
  CLUTCH_PORT: gatewayPort,
  IS_SANDBOX: "1",
  FAKE_LOG: agentLog,
  // Bun would keep what it has transpiled in the home.
  BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0",
};

interface ShellCase {
  shell: Shell;
  argv: string[];
  /** The file that the user has, and what makes a prompt and completion in it. */
  rc: string;
  setup: string;
  /** The file that the block goes to. */
  file: string;
  setPath(path: string): string;
  /** Completes the arguments of aliases by what they stand for. */
  completesAliases: boolean;
}

const cases: ShellCase[] = [
  {
    shell: "zsh",
    argv: ["zsh", "-i"],
    rc: ".zshrc",
    setup: "PS1='ready> '\nsource <(clutch completion zsh)\nalias oc='echo mine'\n",
    file: ".zshrc",
    setPath: (path) => `PATH=${path}`,
    completesAliases: true,
  },
  {
    shell: "bash",
    argv: ["bash", "-i"],
    rc: ".bashrc",
    setup:
      "PS1='ready> '\nbind 'set show-all-if-ambiguous on'\neval \"$(clutch completion bash)\"\noc() { echo mine; }\n",
    file: ".bashrc",
    setPath: (path) => `PATH=${path}`,
    completesAliases: false,
  },
  {
    shell: "fish",
    argv: ["fish", "-i"],
    rc: ".config/fish/config.fish",
    setup:
      "set fish_greeting\nset -g fish_autosuggestion_enabled 0\nfunction fish_prompt; echo -n 'ready> '; end\n" +
      "clutch completion fish | source\nfunction oc; echo mine; end\n",
    file: ".config/fish/conf.d/clutch.fish",
    setPath: (path) => `set PATH ${path.replaceAll(":", " ")}`,
    completesAliases: true,
  },
];

beforeAll(() => {
  mkdirSync(bin, { recursive: true });
  const program = (name: string, lines: string) =>
    writeFileSync(join(bin, name), `#!/bin/sh\n${lines}\n`, { mode: 0o755 });
  program(
    "clutch",
    `if [ "$1" = run ] && [ "$2" = -- ]; then shift 2; echo "$*" >>'${runLog}'; exec "$@"; fi\n` +
      `exec '${process.execPath}' '${tree}/src/main.ts' "$@"`,
  );
  program("xx", `exec '${process.execPath}' '${tree}/test/support/run-xx.ts' "$@"`);
  program("cc", "exit 0");
  symlinkSync(join(tree, "test/support/fake-agent.sh"), join(bin, "claude"));
  mkdirSync(project, { recursive: true });
});

afterAll(() => {
  gateway.kill();
  rmSync(root, { recursive: true, force: true });
});

beforeEach(() => {
  for (const path of [home, agentLog, runLog]) rmSync(path, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  const store = join(home, ".claude/projects", project.replace(/[^a-zA-Z0-9]/g, "-"));
  mkdirSync(store, { recursive: true });
  const said = { type: "user", cwd: project, message: { role: "user", content: "fix the failing test" } };
  writeFileSync(join(store, `${session}.jsonl`), `${JSON.stringify(said)}\n`);
});

let terminal: Terminal | undefined;

afterEach(() => {
  terminal?.stop();
  terminal = undefined;
});

function clutch(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const done = Bun.spawnSync([join(bin, "clutch"), ...args], { env, cwd: project, timeout: 10_000 });
  return { status: done.exitCode, stdout: done.stdout.toString(), stderr: done.stderr.toString() };
}

async function openShell({ argv }: ShellCase): Promise<Terminal> {
  terminal = startTerminal(argv, env, project);
  await terminal.shows(/ready>$/);
  return terminal;
}

/** Enters the command, and gives what the agent wrote down. */
async function agentRunBy(command: string, shell: Terminal): Promise<string[]> {
  rmSync(agentLog, { force: true });
  shell.type(command);
  shell.press("Enter");
  await eventually(`an agent started by ${command}`, () => existsSync(agentLog), 8000).catch((error: Error) => {
    throw new Error(`${error.message}; the screen shows:\n${shell.screen()}`);
  });
  // The log is whole once the shell is back.
  await shell.shows(/ready>$/);
  const lines = readFileSync(agentLog, "utf8").split("\n");
  return lines.filter((line) => line.startsWith("argv=")).map((line) => line.slice("argv=".length));
}

/** Types on an empty line, presses Tab, and waits for what the screen then has. */
async function complete(shell: Terminal, typed: string, expected: RegExp): Promise<void> {
  shell.press("C-u");
  shell.press("C-l");
  await shell.shows(/^ready>$/);
  shell.type(typed);
  await shell.shows(new RegExp(`ready> ${typed.replace(/[.*+?^$()|[\]\\]/g, "\\$&").trimEnd()}`));
  shell.press("Tab");
  await shell.shows(expected);
}

/** Tells a space behind the cursor's word from none. */
async function thenTyped(shell: Terminal, more: string, line: RegExp): Promise<void> {
  shell.type(more);
  await shell.shows(line);
}

/** Mode 0640, through a link, and its last line has no end: nothing that a careless writer would keep. */
function writeRc({ rc, setup }: ShellCase): { path: string; bytes: string } {
  const target = join(home, "dotfiles/rc");
  for (const folder of [dirname(target), dirname(join(home, rc))]) mkdirSync(folder, { recursive: true });
  const bytes = `${setup}# Gr\xfc\xdfe, without an end`;
  writeFileSync(target, bytes, "latin1");
  chmodSync(target, 0o640);
  symlinkSync(target, join(home, rc));
  return { path: join(home, rc), bytes };
}

/** Every file below the home but Clutch's own and what the shells keep for themselves. */
function userFiles(): Record<string, string> {
  const files = readdirSync(home, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !/\/clutch\/|history|\.zcompdump|fish_variables|\/\.local\/|\/\.cache\//.test(path));
  return Object.fromEntries(files.sort().map((path) => [path.slice(home.length + 1), readFileSync(path, "hex")]));
}

for (const shellCase of cases) {
  const { shell } = shellCase;
  const missing = [shell, "tmux"].filter((name) => Bun.which(name) === null);
  if (missing.length > 0) skipAloud(shell, `${missing.join(" and ")} not on PATH`);
  else
    describe(shell, () => {
      test("aliases: installed, used, gone without a trace", async () => {
        const { path, bytes } = writeRc(shellCase);
        const before = userFiles();

        const installed = clutch("aliases", "install", "--shell", shell);
        const shown = `~/${shellCase.file}`;
        expect(installed.status).toBe(0);
        expect(installed.stdout).toStartWith(`wrote 14 aliases and cg_run to ${shown}`);
        expect(installed.stdout).toEndWith(`open a new shell or: source ${shown}\n`);
        expect(installed.stderr.split("\n").slice(0, -1)).toEqual([
          `clutch: cc is left out: it would shadow ${bin}/cc (--force puts it in)`,
          expect.stringMatching(/^clutch: oc is left out: it would shadow ~\/.*:\d \(--force puts it in\)$/),
        ]);
        expect(lstatSync(path).isSymbolicLink()).toBe(true);
        expect(statSync(path).mode & 0o777).toBe(0o640);
        const after = userFiles();
        expect(clutch("aliases", "install", "--shell", shell).stdout).toStartWith(`${shown} has them already`);
        expect(userFiles()).toEqual(after);
        const printed = clutch("aliases", "print", "--shell", shell).stdout;
        expect(readFileSync(join(home, shellCase.file), "latin1")).toEndWith(printed);

        const open = await openShell(shellCase);
        const argv = await agentRunBy("ccc -- --probe 'a b'", open);
        expect(argv.slice(0, 2)).toEqual(["--dangerously-skip-permissions", "--continue"]);
        expect(argv.slice(-2)).toEqual(["--probe", "a b"]);
        expect(readFileSync(runLog, "utf8")).toBe("xx ccf -- --probe a b\n");
        open.press("C-l");
        open.type("oc");
        open.press("Enter");
        await open.shows(/^mine$/m);

        // Without clutch, cg_run runs what it is given.
        const alone = join(root, "alone");
        mkdirSync(alone, { recursive: true });
        for (const name of ["xx", "claude"])
          if (!existsSync(join(alone, name))) symlinkSync(join(bin, name), join(alone, name));
        open.press("C-l");
        open.type(shellCase.setPath(`${alone}:/usr/bin:/bin`));
        open.press("Enter");
        expect((await agentRunBy("ccc -- --again", open)).at(-1)).toBe("--again");
        expect(readFileSync(runLog, "utf8").split("\n").length).toBe(2);

        const removed = clutch("aliases", "uninstall", "--shell", shell);
        expect(removed).toMatchObject({ status: 0, stderr: "" });
        expect(userFiles()).toEqual(before);
        expect(readFileSync(path, "latin1")).toBe(bytes);
        expect(lstatSync(path).isSymbolicLink()).toBe(true);
        expect(statSync(path).mode & 0o777).toBe(0o640);
      }, 60_000);

      test("completion: codes, options, sessions, models and clutch's own", async () => {
        writeRc(shellCase);
        clutch("aliases", "install", "--shell", shell);
        const open = await openShell(shellCase);
        const told = (value: string, description: string) =>
          new RegExp(`(^|  )${value}${shell === "bash" ? "\\b" : ` +\\(?${description}`}`, "m");

        await complete(open, "xx c", shell === "bash" ? /^ci +cc +cn +cs +cr$/m : told("cc", "continue the last"));
        if (shell !== "bash") expect(open.screen()).toMatch(told("ci", "new session"));
        await thenTyped(open, "i", /^ready> xx ci$/m);
        if (shell === "zsh") {
          // The second Tab takes the first of the list, and a letter goes on from there.
          await complete(open, "xx c", told("cc", "continue the last"));
          open.press("Tab");
          await open.shows(/^ready> xx ci$/m);
          await thenTyped(open, "f", /^ready> xx cif$/m);
        }

        await complete(open, "xx ci", shell === "bash" ? /cip/ : told("cik", "Kimi K2.6: moonshotai/kimi-k2.6:free"));
        await thenTyped(open, "f", /^ready> xx cif$/m);

        // One that nothing can follow is closed; Antigravity has this route alone.
        await complete(open, "xx gi", /^ready> xx gid/m);
        await thenTyped(open, "#", /^ready> xx gid #/m);

        await complete(open, "xx csp -s ", new RegExp(`^ready> xx csp -s ${session}`, "m"));
        await thenTyped(open, "#", new RegExp(`^ready> xx csp -s ${session} #`, "m"));

        await complete(open, "xx cip -m moonshotai/kimi-k2.6:f", /^ready> xx cip -m moonshotai\/kimi-k2.6:free/m);
        await thenTyped(open, "#", /kimi-k2.6:free #/);
        await complete(open, "xx cip --model=clutch-m", /^ready> xx cip --model=clutch-middle/m);
        await complete(open, "xx cip --saf", /^ready> xx cip --safe/m);

        await complete(open, "clutch ali", /^ready> clutch aliases/m);
        await complete(open, "clutch aliases install --sh", /^ready> clutch aliases install --shell/m);
        await complete(open, "clutch aliases install --shell fi", /^ready> clutch aliases install --shell fish/m);
        await complete(open, "clutch xx gi", /^ready> clutch xx gid/m);

        // What follows -- is the agent's: names of files.
        writeFileSync(join(project, "a-file-of-mine"), "");
        await complete(open, "xx cip -- --add-dir a-fi", /^ready> xx cip -- --add-dir a-file-of-mine/m);

        if (shellCase.completesAliases) await complete(open, "ccc --saf", /^ready> ccc --safe/m);
      }, 60_000);
    });
}

function skipAloud(name: string, reason: string): void {
  console.error(`shells: ${name} cannot be tested: ${reason}`);
  test.skipIf(process.env["CI"] !== "true")(`${name} is there`, () => {
    throw new Error(reason);
  });
}
