import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  aliasCodes,
  aliasNames,
  findDefinition,
  insertBlock,
  removeBlock,
  renderBlock,
} from "../../launcher/aliases.ts";
import { parseLaunchCode } from "../../launcher/code.ts";
import { chooseShell } from "../../launcher/shells.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-aliases-"));
const home = join(root, "home");
const bin = join(root, "bin");

afterAll(() => rmSync(root, { recursive: true, force: true }));

beforeEach(() => {
  for (const folder of [home, bin]) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  }
});

describe("the block", () => {
  test("holds the function and the sixteen aliases", () => {
    expect(renderBlock("zsh", { names: aliasNames, definesGuard: true })).toMatchInlineSnapshot(`
      "# >>> clutch aliases >>>
      # Written by clutch aliases install; clutch aliases uninstall takes it out again.
      function cg_run {
        if command -v clutch >/dev/null 2>&1; then command clutch run -- "$@"; else "$@"; fi
      }
      alias cc='cg_run xx cip'
      alias ccc='cg_run xx ccf'
      alias cc-debug='cg_run xx cid'
      alias cc-ds='cg_run xx cipd'
      alias hsi='cg_run xx hip'
      alias hsr='cg_run xx hcf'
      alias hsi-bp='cg_run xx hib'
      alias psi='cg_run xx pip'
      alias psi-c='cg_run xx pcf'
      alias psi-ds='cg_run xx pipd'
      alias codex-run='cg_run xx xip'
      alias codex-res='cg_run xx xcf'
      alias qw='cg_run xx qip'
      alias antigravity='cg_run xx gid'
      alias ante='cg_run xx aip'
      alias oc='cg_run xx oip'
      # <<< clutch aliases <<<
      "
    `);
    expect(renderBlock("fish", { names: ["ccc"], definesGuard: true })).toMatchInlineSnapshot(`
      "# >>> clutch aliases >>>
      # Written by clutch aliases install; clutch aliases uninstall takes it out again.
      function cg_run
        if command -q clutch
          command clutch run -- $argv
        else
          $argv
        end
      end
      alias ccc='cg_run xx ccf'
      # <<< clutch aliases <<<
      "
    `);
    expect(renderBlock("bash", { names: [], definesGuard: false })).toMatchInlineSnapshot(`
      "# >>> clutch aliases >>>
      # Written by clutch aliases install; clutch aliases uninstall takes it out again.
      # <<< clutch aliases <<<
      "
    `);
  });

  test("has codes that exist", () => {
    for (const code of Object.values(aliasCodes)) expect(() => parseLaunchCode(code)).not.toThrow();
  });

  const block = renderBlock("zsh", { names: ["ccc"], definesGuard: true });

  test.each([
    ["nothing", ""],
    ["lines", "export A=1\nalias x=y\n"],
    ["a last line without an end", "export A=1\nalias x=y"],
    ["lines of DOS", "export A=1\r\nalias x=y\r\n"],
    ["a last line of DOS without an end", "export A=1\r\nalias x=y"],
    ["only line ends", "\n\n\n"],
    ["bytes of no encoding", "# Gr\xfc\xdfe \xff\xfe\x00\n"],
    ["a line that resembles a marker", "# >>> clutch aliases >>> and so on\n"],
  ])("goes behind %s and out again without a trace", (_, text) => {
    const inserted = insertBlock(text, block);
    expect(inserted.text.startsWith(text)).toBe(true);
    expect(inserted.text.endsWith(inserted.block)).toBe(true);
    expect(insertBlock(inserted.text, block)).toEqual(inserted);
    expect(removeBlock(inserted.text)).toBe(text);
  });

  test("makes a file where there was none, and takes it away again", () => {
    const { text } = insertBlock(undefined, block);
    expect(insertBlock(text, block).text).toBe(text);
    expect(removeBlock(text)).toBe(null);
    expect(removeBlock(`${text}export A=1\n`)).toBe("export A=1\n");
  });

  test("is replaced where it stands, and what came behind it stays", () => {
    const { text } = insertBlock("before", renderBlock("zsh", { names: ["cc"], definesGuard: false }));
    const grown = `${text}after\n`;
    const updated = insertBlock(grown, block).text;
    expect(updated).toContain("alias ccc=");
    expect(updated).not.toContain("alias cc=");
    expect(updated.endsWith("after\n")).toBe(true);
    // On the open line "after" would join "before".
    expect(removeBlock(updated)).toBe("before\nafter\n");
  });

  test("is found after an editor has changed its line ends", () => {
    const { text } = insertBlock("export A=1\n", block);
    expect(removeBlock(text.replaceAll("\n", "\r\n"))).toBe("export A=1\r\n");
  });

  test.each([
    ["its end", (text: string) => text.replace("# <<< clutch aliases <<<\n", "")],
    ["its beginning", (text: string) => text.replace("# >>> clutch aliases >>>\n", "")],
    ["its order", (text: string) => text.split("\n").reverse().join("\n")],
    ["being alone", (text: string) => text + text],
  ])("that has lost %s is not touched", (_, damage) => {
    const text = damage(insertBlock("x\n", block).text);
    expect(() => insertBlock(text, block)).toThrow("do not stand there once each");
    expect(() => removeBlock(text)).toThrow("do not stand there once each");
  });

  test("is not there", () => {
    expect(removeBlock("export A=1\n")).toBe(undefined);
  });
});

test.each([
  ["alias cc=x", "cc", 1],
  ["alias cc='x y'", "cc", 1],
  ["  alias -g cc=x", "cc", 1],
  ["alias 'cc'=x", "cc", 1],
  ["alias a=b cc=d", "cc", 1],
  ["true\nif x; then alias cc=x; fi", "cc", 2],
  ["cc() { x; }", "cc", 1],
  ["cc () {", "cc", 1],
  ["function cc {", "cc", 1],
  ["function cc", "cc", 1],
  ["function cc() {", "cc", 1],
  ["alias cc 'x y'", "cc", 1],
  ["alias --save cc='x y'", "cc", 1],
  ["abbr -a cc x", "cc", 1],
  ["abbr --add cc x", "cc", 1],
  ["cg_run() {", "cg_run", 1],
  ["# alias cc=x", "cc", undefined],
  ["x # alias cc=x", "cc", undefined],
  ["alias ccc=x", "cc", undefined],
  ["alias cc-ds=x", "cc", undefined],
  ["alias x-cc=x", "cc", undefined],
  ["alias x='cc y'", "cc", undefined],
  ["alias x=cc", "cc", undefined],
  ["function ccc {", "cc", undefined],
  ["function cc-ds {", "cc", undefined],
  ["my_cc() {", "cc", undefined],
  ["cc main.c", "cc", undefined],
  ["export CC=cc", "cc", undefined],
])("findDefinition(): %j defines %s on line %p", (text, name, line) => {
  expect(findDefinition(name, text)).toBe(line);
});

describe("chooseShell()", () => {
  test.each([
    [undefined, "/usr/bin/zsh", "zsh"],
    [undefined, "fish", "fish"],
    ["bash", "/usr/bin/zsh", "bash"],
  ])("%p with SHELL=%s is %s", (name, shell, expected) => {
    expect(chooseShell(name, { SHELL: shell })).toBe(expected as "zsh");
  });

  test.each([
    [undefined, "/bin/tcsh", 'SHELL is "/bin/tcsh", which is none of zsh, bash, fish'],
    [undefined, undefined, 'SHELL is "", which is none of zsh, bash, fish'],
    ["/bin/zsh", "/bin/zsh", '--shell is "/bin/zsh", which is none of zsh, bash, fish'],
  ])("%p with SHELL=%p is wrong use", (name, shell, message) => {
    expect(() => chooseShell(name, { SHELL: shell })).toThrow(message);
  });
});

// ---- the command

const program = join(import.meta.dir, "../../src/main.ts");

function aliases(args: string[], env: Record<string, string> = {}) {
  const done = Bun.spawnSync([process.execPath, program, "aliases", ...args], {
    env: { HOME: home, PATH: bin, SHELL: "/bin/zsh", BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0", ...env },
    timeout: 20_000,
  });
  const text = (bytes: Buffer) => bytes.toString().replaceAll(root, "/ROOT");
  return { status: done.exitCode, stdout: text(done.stdout), stderr: text(done.stderr) };
}

function write(path: string, text: string, mode = 0o644): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, "latin1");
  chmodSync(path, mode);
  return path;
}

const read = (path: string) => readFileSync(path, "latin1");

describe("clutch aliases", () => {
  test.each([
    ["zsh", {}, ".zshrc"],
    ["zsh", { ZDOTDIR: `${home}/zsh` }, "zsh/.zshrc"],
    ["bash", {}, ".bashrc"],
    ["fish", {}, ".config/fish/conf.d/clutch.fish"],
    ["fish", { XDG_CONFIG_HOME: `${home}/xdg` }, "xdg/fish/conf.d/clutch.fish"],
  ])("makes the file of %s %j and takes it away", (shell, env, file) => {
    const path = join(home, file);
    const installed = aliases(["install", "--shell", shell], env);
    expect(installed).toEqual({
      status: 0,
      stdout: `wrote 16 aliases and cg_run to ~/${file}\nopen a new shell or: source ~/${file}\n`,
      stderr: "",
    });
    expect(aliases(["print", "--shell", shell], env).stdout).toBe(read(path));
    expect(aliases(["uninstall", "--shell", shell], env).stdout).toBe(
      `took the aliases out of ~/${file}, which is gone: it was made for them\nopen a new shell: those that are open keep them\n`,
    );
    expect(existsSync(path)).toBe(false);
    expect(aliases(["uninstall", "--shell", shell], env)).toEqual({
      status: 0,
      stdout: `~/${file} has no aliases of Clutch's: nothing to do\n`,
      stderr: "",
    });
  });

  test("keeps a copy beside the file, with its mode, until the file is as it was", () => {
    const path = write(join(home, ".zshrc"), "export A=1", 0o600);
    expect(aliases(["install"]).stdout).toContain("~/.zshrc (as it was: ~/.zshrc.before-clutch)\n");
    const copy = `${path}.before-clutch`;
    expect([read(copy), statSync(copy).mode & 0o777, statSync(path).mode & 0o777]).toEqual([
      "export A=1",
      0o600,
      0o600,
    ]);
    // The copy is of the time before the first change, not before the second.
    write(join(bin, "cc"), "#!/bin/sh\n", 0o755);
    expect(aliases(["install"]).stdout).toStartWith("wrote 15 aliases");
    expect(read(copy)).toBe("export A=1");
    aliases(["uninstall"]);
    expect(read(path)).toBe("export A=1");
    expect(readdirSync(home)).toEqual([".zshrc"]);
  });

  test("keeps the copy of a file that has changed since", () => {
    const path = write(join(home, ".zshrc"), "export A=1\n");
    aliases(["install"]);
    writeFileSync(path, `${read(path)}export B=2\n`);
    aliases(["uninstall"]);
    expect(read(path)).toBe("export A=1\nexport B=2\n");
    expect(read(`${path}.before-clutch`)).toBe("export A=1\n");
  });

  test("writes through a link and leaves it one", () => {
    const target = write(join(home, "dotfiles/zshrc"), "export A=1\n", 0o640);
    const path = join(home, ".zshrc");
    symlinkSync("dotfiles/zshrc", path);
    aliases(["install"]);
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
    expect(read(target)).toContain("alias ccc=");
    expect(statSync(target).mode & 0o777).toBe(0o640);
    aliases(["uninstall"]);
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
    expect(read(target)).toBe("export A=1\n");
    expect(readdirSync(join(home, "dotfiles"))).toEqual(["zshrc"]);
  });

  test("leaves out what has a meaning, names it, and takes it with --force", () => {
    write(join(bin, "cc"), "#!/bin/sh\n", 0o755);
    write(join(bin, "oc"), "not executable");
    write(join(home, ".zshrc"), "\nalias qw=exit\n");
    write(join(home, ".zshenv"), "cg_run() { true; }\n");
    const { stdout, stderr } = aliases(["install"]);
    expect(stdout).toStartWith("wrote 14 aliases to ~/.zshrc");
    expect(stderr).toBe(
      "clutch: cc is left out: it would shadow /ROOT/bin/cc (--force puts it in)\n" +
        "clutch: qw is left out: it would shadow ~/.zshrc:2 (--force puts it in)\n" +
        "clutch: cg_run is there already (~/.zshenv:1), so the aliases use that one (--force puts ours in)\n",
    );
    expect(read(join(home, ".zshrc"))).not.toMatch(/alias (cc|qw)='|function cg_run/);
    expect(aliases(["install", "--force"])).toMatchObject({
      stdout: expect.stringMatching(/^wrote 16 aliases and cg_run/),
      stderr: "",
    });
    // What --force wrote is ours and shadows nothing of itself.
    expect(aliases(["install"]).stderr.split("\n").length).toBe(4);
  });

  test("sees fish's functions and config", () => {
    write(join(home, ".config/fish/functions/psi.fish"), "function psi; end\n");
    write(join(home, ".config/fish/config.fish"), "abbr -a oc open\n");
    expect(aliases(["print", "--shell", "fish"]).stderr).toBe(
      "clutch: psi is left out: it would shadow ~/.config/fish/functions/psi.fish (--force puts it in)\n" +
        "clutch: oc is left out: it would shadow ~/.config/fish/config.fish:1 (--force puts it in)\n",
    );
  });

  test("writes nothing with --dry-run", () => {
    const path = write(join(home, ".zshrc"), "export A=1\n");
    const { stdout } = aliases(["install", "--dry-run"]);
    expect(stdout).toStartWith("would write 16 aliases and cg_run to ~/.zshrc:\n\n# >>> clutch aliases >>>\n");
    expect([read(path), readdirSync(home)]).toEqual(["export A=1\n", [".zshrc"]]);
    aliases(["install"]);
    const installed = read(path);
    expect(aliases(["uninstall", "--dry-run"]).stdout).toBe("would take the aliases out of ~/.zshrc\n");
    expect(read(path)).toBe(installed);
  });

  test("tells it as JSON", () => {
    write(join(bin, "cc"), "#!/bin/sh\n", 0o755);
    write(join(home, ".zshrc"), "");
    const { stdout, stderr } = aliases(["install", "--json"]);
    const told = JSON.parse(stdout);
    expect(stderr).toBe("");
    expect(Object.keys(told)).toEqual(["shell", "file", "state", "dry_run", "backup", "aliases", "skipped", "block"]);
    expect(told).toMatchObject({ shell: "zsh", file: "/ROOT/home/.zshrc", state: "installed", dry_run: false });
    expect(told.aliases[0]).toEqual({ name: "ccc", code: "ccf" });
    expect(told.skipped).toEqual([{ name: "cc", shadows: "/ROOT/bin/cc" }]);
    expect(JSON.parse(aliases(["install", "--json"]).stdout).state).toBe("unchanged");
    expect(JSON.parse(aliases(["uninstall", "--json"]).stdout)).toEqual({
      shell: "zsh",
      file: "/ROOT/home/.zshrc",
      state: "removed",
      dry_run: false,
    });
  });

  test("refuses what it cannot do, in one line", () => {
    expect(aliases(["install"], { SHELL: "/bin/tcsh" })).toEqual({
      status: 2,
      stdout: "",
      stderr: 'clutch: SHELL is "/bin/tcsh", which is none of zsh, bash, fish: name one, as in --shell zsh\n',
    });
    expect(aliases(["install", "--shell", "tcsh"]).status).toBe(2);
    const path = write(join(home, ".zshrc"), "# >>> clutch aliases >>>\nalias x=y\n");
    for (const action of ["install", "uninstall"]) {
      expect(aliases([action])).toEqual({
        status: 1,
        stdout: "",
        stderr:
          'clutch: /ROOT/home/.zshrc: the lines "# >>> clutch aliases >>>" and "# <<< clutch aliases <<<" do not stand ' +
          "there once each, in this order: delete what is left of the block by hand\n",
      });
    }
    expect(read(path)).toBe("# >>> clutch aliases >>>\nalias x=y\n");
    rmSync(path);
    symlinkSync("nowhere", path);
    expect(aliases(["install"])).toEqual({
      status: 1,
      stdout: "",
      stderr: "clutch: /ROOT/home/.zshrc cannot be read (it is a link to nothing): check the file and its folder\n",
    });
    rmSync(path);
    mkdirSync(path);
    expect(aliases(["install"]).stderr).toBe(
      "clutch: /ROOT/home/.zshrc cannot be read (EISDIR): check the file and its folder\n",
    );
  });
});
