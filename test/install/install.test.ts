/** install.sh as it stands, in a folder that looks like a checkout, with npm, Node and Bun played by small scripts. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json";

const repository = join(import.meta.dir, "../..");
const bunVersion = manifest.devDependencies.bun;

/** All that the script may use of a system besides npm, Node and Bun. */
const systemTools =
  "cat chmod cksum cp date dirname grep head ln mkdir mktemp mv readlink rm sed sh tail uname wc".split(" ");

/** Says its version like Clutch, and holds the words that installed programs are recognised by. */
const clutchScript = `#!/bin/sh
# x-clutch-served-by
case "$1" in
  --version) echo ${manifest.version} ;;
  demo) echo "the demo's answer"; exit "\${FAKE_DEMO:-0}" ;;
esac
`;

/** A Bun that builds that; as a package manager it does what FAKE_BUN says. */
const bunScript = `#!/bin/sh
echo "bun $*" >>"$CALLS"
case "$1 $2" in
  "--version ") echo ${bunVersion} ;;
  "run build") [ "$FAKE_BUILD" != broken ] || { echo "error: Could not resolve hono"; exit 1; }
    mkdir -p dist; cp "$FAKES/clutch" dist/clutch ;;
  "install --frozen-lockfile") sh "$FAKES/fill" ;;
  *install.js*) cp "$FAKES/bun" node_modules/.bin/bun ;;
esac
`;

const nodeScript = `#!/bin/sh
echo "node $*" >>"$CALLS"
cp "$FAKES/bun" node_modules/.bin/bun
`;

/** Does what the line of FAKE_NPM for this call says, the last line for all later calls. */
const npmScript = `#!/bin/sh
[ "$1" = --version ] && { echo "\${FAKE_NPM_VERSION:-11.0.0}"; exit; }
echo "npm $1" >>"$CALLS"
call=$(grep -c "^npm ci" "$CALLS")
set -- \${FAKE_NPM:-good}
while [ "$call" -gt 1 ] && [ $# -gt 1 ]; do shift; call=$((call - 1)); done
case "$1" in
  good) sh "$FAKES/fill" ;;
  offline) echo "npm error code ENOTFOUND"; echo "npm error request to the registry failed"; exit 1 ;;
  unfit) echo "npm error code EUSAGE"; echo "npm error Missing: hono@ from lock file"; exit 1 ;;
  full) echo "npm error nospc ENOSPC: no space left on device"; exit 1 ;;
  odd) echo "npm error something odd"; exit 1 ;;
esac
`;

/** What an install without post-install steps leaves: a Bun that only says so. */
const fillScript = `mkdir -p node_modules/.bin node_modules/bun
rm -f node_modules/.bin/bun
printf '#!/bin/sh\\nexit 1\\n' >node_modules/.bin/bun; chmod 755 node_modules/.bin/bun
: >node_modules/bun/install.js
`;

let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "clutch-install-test-"));
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Machine {
  home: string;
  bin: string;
  temporary: string;
  checkout: string;
  /** What was called of npm, Node and Bun, apart from asking for versions. */
  calls(): string[];
  run(args?: string[], env?: Record<string, string>): { status: number; out: string; error: string };
}

/** @param programs those of npm, node and bun that the machine has */
function machine(programs: readonly ("npm" | "node" | "bun")[] = ["npm", "node"]): Machine {
  const folder = mkdtempSync(join(root, "machine "));
  const at = (name: string) => join(folder, name);
  for (const name of ["home", "fakes", "path", "tmp", "checkout", "checkout/scripts"]) mkdirSync(at(name));
  for (const tool of systemTools) symlinkSync(Bun.which(tool) ?? "/missing", at(`path/${tool}`));
  writeProgram(at("path/sleep"), "#!/bin/sh\n");
  writeProgram(at("fakes/clutch"), clutchScript);
  writeProgram(at("fakes/bun"), bunScript);
  writeProgram(at("fakes/fill"), fillScript);
  const scripts = { npm: npmScript, node: nodeScript, bun: bunScript };
  for (const program of programs) writeProgram(at(`path/${program}`), scripts[program]);
  for (const file of ["install.sh", "package.json", "package-lock.json", "scripts/build.ts"])
    copyFileSync(join(repository, file), at(`checkout/${file}`));
  writeFileSync(at("calls"), "");
  return {
    home: at("home"),
    bin: at("home/.local/bin"),
    temporary: at("tmp"),
    checkout: at("checkout"),
    calls: () => lines(readFileSync(at("calls"), "utf8")).filter((line) => line !== "bun --version"),
    run(args = [], env = {}) {
      const fakes = { FAKES: at("fakes"), CALLS: at("calls") };
      const { exitCode, stdout, stderr } = Bun.spawnSync([at("checkout/install.sh"), ...args], {
        cwd: folder,
        env: { HOME: at("home"), PATH: at("path"), TMPDIR: at("tmp"), ...fakes, ...env },
        stdin: "ignore",
      });
      return { status: exitCode, out: stdout.toString(), error: stderr.toString() };
    },
  };
}

function writeProgram(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

describe("install.sh", () => {
  test("installs clutch and xx, ends with the demo, and leaves nothing else", () => {
    const here = machine();
    const { status, out, error } = here.run();
    expect({ status, error }).toEqual({ status: 0, error: "" });
    expect(lines(out).at(-1)).toBe("the demo's answer");
    expect(readFileSync(join(here.bin, "clutch"), "utf8")).toBe(clutchScript);
    expect(readlinkSync(join(here.bin, "xx"))).toBe("clutch");
    expect(readdirSync(here.home, { recursive: true }).sort()).toEqual([
      ".local",
      ".local/bin",
      ".local/bin/clutch",
      ".local/bin/xx",
    ]);
    expect(readdirSync(here.temporary)).toEqual([]);
  });

  test("run again, it installs no package anew and gives clutch a new file", () => {
    const here = machine();
    here.run();
    const before = lstatSync(join(here.bin, "clutch")).ino;
    const { status, out } = here.run(["--no-demo"]);
    expect(status).toBe(0);
    expect(out).not.toContain("demo's answer");
    expect(here.calls()).toEqual(["npm ci", "node node_modules/bun/install.js", "bun run build", "bun run build"]);
    expect(lstatSync(join(here.bin, "clutch")).ino).not.toBe(before);
  });

  test("installs packages anew when the lock file has changed", () => {
    const here = machine();
    here.run(["--no-demo"]);
    writeFileSync(join(here.checkout, "package-lock.json"), "{}");
    here.run(["--no-demo"]);
    expect(here.calls().filter((call) => call === "npm ci")).toHaveLength(2);
  });

  test("without npm a Bun in its usual place installs from the same lock", () => {
    const here = machine([]);
    mkdirSync(join(here.home, ".bun/bin"), { recursive: true });
    writeProgram(join(here.home, ".bun/bin/bun"), bunScript);
    expect(here.run(["--no-demo"]).status).toBe(0);
    expect(here.calls()[0]).toBe("bun install --frozen-lockfile --ignore-scripts --no-progress");
  });

  test("takes Bun when npm fails for a reason of its own", () => {
    const here = machine(["npm", "node", "bun"]);
    const { status, out } = here.run(["--no-demo"], { FAKE_NPM: "unfit" });
    expect(status).toBe(0);
    expect(out).toContain("npm ci failed; trying with ");
  });

  test("tries again when the network fails", () => {
    const here = machine();
    const { status, out } = here.run(["--no-demo"], { FAKE_NPM: "offline offline good" });
    expect(status).toBe(0);
    expect(out).toContain("attempt 2 of 3 failed");
  });

  test.each([
    ["neither npm nor Bun", [], {}, "dependencies: neither npm nor Bun is here"],
    ["an npm that is too old", ["npm"], { FAKE_NPM_VERSION: "6.14.18" }, "dependencies: npm 6.14.18 is too old"],
    ["no network", ["npm", "node"], { FAKE_NPM: "offline" }, "npm ci failed, the package registry does not answer"],
    ["a full disk", ["npm", "node"], { FAKE_NPM: "full" }, "npm ci failed, the disk is full"],
    ["a lock that does not fit", ["npm", "node"], { FAKE_NPM: "unfit" }, "do not fit each other"],
    ["anything else of npm", ["npm", "node"], { FAKE_NPM: "odd" }, "  | npm error something odd"],
    ["a Bun that does not run", ["npm"], {}, `Bun ${bunVersion} came from the registry but does not run`],
    ["a build that fails", ["npm", "node"], { FAKE_BUILD: "broken" }, "compile: bun run build failed"],
    ["a PREFIX that is no folder", ["npm", "node"], { PREFIX: "/dev/null" }, "cannot create /dev/null/bin"],
    ["no HOME", ["npm", "node"], { HOME: "" }, "HOME is not set"],
    ["a demo that fails", ["npm", "node"], { FAKE_DEMO: "1" }, "clutch is installed, but its demo ended with 1"],
  ] as const)("%s: names the step and what to do next", (_name, programs, env, told) => {
    const { status, error } = machine(programs).run([], env);
    expect(status).toBe(1);
    expect(error).toContain(told);
    expect(lines(error).at(-1)).toStartWith("  next: ");
  });

  test("keeps the log of a failure, and nothing else", () => {
    const here = machine();
    const { error } = here.run([], { FAKE_NPM: "odd" });
    const kept = readdirSync(here.temporary);
    expect(kept).toHaveLength(1);
    expect(error).toContain(`the whole log: ${join(here.temporary, kept[0] ?? "")}`);
  });

  test.each(["clutch", "xx"])("never overwrites or removes a %s of somebody else's", (program) => {
    const here = machine();
    mkdirSync(here.bin, { recursive: true });
    const file = join(here.bin, program);
    writeFileSync(file, "mine");
    const { status, error } = here.run();
    expect(status).toBe(1);
    expect(error).toContain(`${file} is there and is not`);
    expect(here.calls()).toEqual([]);
    expect(here.run(["--uninstall"]).out).toContain(`left ${file}: it is not Clutch's`);
    expect(readFileSync(file, "utf8")).toBe("mine");
  });

  test("--uninstall removes both programs, with the checkout not even built", () => {
    const here = machine();
    here.run(["--no-demo"]);
    rmSync(join(here.checkout, "node_modules"), { recursive: true });
    expect(here.run(["--uninstall"]).status).toBe(0);
    expect(readdirSync(here.bin)).toEqual([]);
    expect(here.run(["--uninstall"])).toMatchObject({ status: 0, out: expect.stringContaining("nothing of Clutch") });
  });

  test.each([
    ["/bin/zsh", "~/.zshrc", 'export PATH="$HOME/.local/bin:$PATH"'],
    ["/usr/bin/fish", "~/.config/fish/config.fish", 'fish_add_path "$HOME/.local/bin"'],
    ["/bin/dash", "~/.profile", 'export PATH="$HOME/.local/bin:$PATH"'],
  ])("tells a user of %s what to add to PATH", (shell, file, line) => {
    const { out } = machine().run(["--no-demo"], { SHELL: shell });
    expect(out).toContain(`Add this line to ${file} and open a new terminal:`);
    expect(lines(out).at(-1)?.trim()).toBe(line);
  });

  test("warns of another xx that comes first in PATH", () => {
    const here = machine();
    const path = join(here.checkout, "../path");
    writeProgram(join(path, "xx"), "#!/bin/sh\n");
    const { out } = here.run(["--no-demo"], { PATH: `${path}:${here.bin}` });
    expect(out).toContain(`${join(path, "xx")} comes before ${here.bin}`);
  });

  test("takes a relative PREFIX from the current folder", () => {
    const here = machine();
    expect(here.run(["--no-demo"], { PREFIX: "my tools" }).status).toBe(0);
    expect(existsSync(join(here.checkout, "../my tools/bin/xx"))).toBe(true);
  });

  test("--help explains it; an unknown option is wrong use", () => {
    const here = machine([]);
    expect(here.run(["--help"])).toMatchObject({ status: 0, error: "", out: expect.stringContaining("--uninstall") });
    expect(here.run(["--nodemo"])).toMatchObject({
      status: 2,
      out: "",
      error: expect.stringContaining('unknown option "--nodemo"'),
    });
  });
});
