import { afterAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { isTroubled } from "../../../src/lifecycle/chain/member.ts";
import { observeRtk, type RtkPlace, toMember } from "../../../src/lifecycle/chain/rtk.ts";
import { checkRtkExitCodes } from "../../../src/lifecycle/chain/rtk-exit-codes.ts";
import { findWiredAgents } from "../../../src/lifecycle/chain/rtk-wiring.ts";
import { builtInServices, type Service } from "../../../src/lifecycle/chain/services.ts";
import { installRtk, readCalls } from "./rtk-stand-ins.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-rtk-test-"));
afterAll(() => rmSync(root, { recursive: true }));

let count = 0;
/** A place of its own, with these folders before the system's on PATH. */
function place(...folders: string[]): RtkPlace & { own: string } {
  const own = join(root, `place${++count}`);
  mkdirSync(join(own, "home"), { recursive: true });
  const path = [...folders, "/usr/bin", "/bin"].join(":");
  return { own, env: { PATH: path }, home: join(own, "home"), cacheDir: join(own, "cache") };
}

const installed = (kind: Parameters<typeof installRtk>[1], name?: string) =>
  installRtk(join(root, `bin${++count}`), kind, name);

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

const hook = (command: string) =>
  JSON.stringify({ hooks: { PreToolUse: [{ matcher: "Bash", hooks: [{ type: "command", command }] }] } });

const service = builtInServices.find(({ id }) => id === "rtk") as Service;

describe("observeRtk()", () => {
  test("names the real one, its version, what it saved, and the agents that it is wired into", async () => {
    const folder = installed("real");
    const here = place(folder);
    write(join(here.home, ".claude/settings.json"), hook("/usr/local/bin/rtk hook claude"));
    expect(await observeRtk(here)).toEqual({
      state: "installed",
      path: join(folder, "rtk"),
      version: "1.0.0",
      wiredAgents: [{ agent: "c", by: "hook", file: join(here.home, ".claude/settings.json") }],
      tokensSaved: 1220217,
      detail: "wired into Claude Code, 1.2M tokens saved",
      hint: undefined,
    });
  });

  const states: [name: string, folders: () => string[], state: string, detail: RegExp, hint: RegExp][] = [
    ["nothing", () => [], "missing", /^not installed$/, /^brew install rtk-ai\/tap\/rtk, or cargo install --git/],
    ["the real one", () => [installed("real")], "installed", /^wired into no agent, 1.2M tokens/, /^rtk init -g/],
    ["rtk-oss", () => [installed("real", "rtk-oss")], "installed", /^wired into no agent/, /^rtk init -g/],
    [
      "npm's",
      () => [installed("releaseTool")],
      "impostor",
      /another tool .* does not answer as RTK does$/,
      /npm and crates/,
    ],
    [
      "crates.io's",
      () => [installed("typeKit")],
      "impostor",
      /another tool .*: "rtk gain" ends with 2$/,
      /npm and crates/,
    ],
    ["some JSON", () => [installed("jsonOfAnother")], "impostor", /does not answer as RTK does$/, /npm and crates/],
    ["one in its way", () => [installed("typeKit"), installed("real")], "impostor", /before the real one/, /^remove /],
    [
      "one behind it",
      () => [installed("real"), installed("typeKit")],
      "installed",
      /^wired into no agent/,
      /^rtk init/,
    ],
    [
      "an impostor beside rtk-oss",
      () => [installed("typeKit"), installed("real", "rtk-oss")],
      "installed",
      /^wired into no agent/,
      /^rtk init -g/,
    ],
  ];
  test.each(states)("with %s on PATH", async (_name, folders, state, detail, hint) => {
    const seen = await observeRtk(place(...folders()));
    expect(seen.state).toBe(state as typeof seen.state);
    expect(seen.detail).toMatch(detail);
    expect(seen.hint ?? "").toMatch(hint);
    const member = toMember(service, seen);
    expect(member).toMatchObject({ id: "rtk", type: "cli_wrapper", state: "passive", detail: seen.detail });
    expect(isTroubled(member)).toBe(false);
  });

  test("switched off, it is a row that says how to switch it on", async () => {
    const off = toMember({ ...service, enabled: false }, await observeRtk(place()));
    expect(off).toMatchObject({ state: "off", detail: "switched off in the config", hint: "clutch chain enable rtk" });
  });

  test("waits for no more than the limit, and leaves no process behind", async () => {
    const folder = installed("hanging");
    const startedAt = performance.now();
    const seen = await observeRtk(place(folder));
    expect(performance.now() - startedAt).toBeLessThan(3000);
    expect(seen).toMatchObject({ state: "impostor" });
    expect(seen.detail).toEndWith('"rtk gain" gave no answer within 1 s');
    if (process.platform !== "linux") return;
    const left = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && cwdOf(pid).startsWith(root));
    expect(left).toEqual([]);
  });

  test("asks once in ten seconds, and again at once when the program is another", async () => {
    const folder = installed("real");
    const here = place(folder);
    let nowMs = 1_000_000;
    const look = () => observeRtk(here, () => nowMs);
    await look();
    nowMs += 9_999;
    await look();
    expect(readCalls(folder)).toEqual(["--version", "gain --format json"]);
    expect(statSync(join(here.cacheDir, "chain/rtk.json")).mode & 0o777).toBe(0o600);
    nowMs += 1;
    await look();
    expect(readCalls(folder)).toHaveLength(4);
    installRtk(folder, "typeKit");
    expect(await look()).toMatchObject({ state: "impostor" });
    nowMs -= 60_000;
    await look();
    expect(readCalls(folder)).toHaveLength(8);
  });

  test("never runs init, nor anything of a folder that is not absolute", async () => {
    const folder = installed("real");
    const here = place(folder);
    await observeRtk(here);
    expect(readCalls(folder).some((call) => call.includes("init"))).toBe(false);
    const relative = { ...here, env: { PATH: "bin:." } };
    expect(await observeRtk(relative)).toMatchObject({ state: "missing" });
  });

  test("a cache that cannot be written is no fault", async () => {
    const here = place(installed("real"));
    writeFileSync(join(here.own, "file"), "");
    const seen = await observeRtk({ ...here, cacheDir: join(here.own, "file/cache") });
    expect(seen).toMatchObject({ state: "installed", tokensSaved: 1220217 });
  });

  test("hooks that call what is not there are told", async () => {
    const here = place();
    write(join(here.home, ".codex/hooks.json"), hook("rtk hook codex"));
    expect((await observeRtk(here)).detail).toBe("not installed, and hooks that call it are in Codex");
  });
});

function cwdOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "";
  }
}

describe("findWiredAgents()", () => {
  const wirings: [name: string, files: Record<string, string>, wired: [agent: string, by: string][]][] = [
    ["nothing", {}, []],
    [
      "Claude Code's older script",
      { ".claude/settings.json": hook("~/.claude/hooks/rtk-rewrite.sh") },
      [["c", "hook"]],
    ],
    ["a permission alone", { ".claude/settings.json": '{"permissions":{"allow":["Bash(rtk hook claude)"]}}' }, []],
    ["another hook", { ".claude/settings.json": hook("prettier --write") }, []],
    ["broken settings", { ".claude/settings.json": "{ rtk hook claude" }, []],
    ["Codex's hook", { ".codex/hooks.json": hook("rtk hook codex"), ".codex/AGENTS.md": "@RTK.md\n" }, [["x", "hook"]]],
    ["Codex's text", { ".codex/AGENTS.md": "# Rules\n@RTK.md\n" }, [["x", "text"]]],
    ["RTK.md that nothing includes", { ".codex/RTK.md": "", ".codex/AGENTS.md": "see RTK.md\n" }, []],
    ["OpenCode's plugin", { ".config/opencode/plugins/rtk.ts": "" }, [["o", "plugin"]]],
    ["Pi's extension", { ".pi/agent/extensions/rtk.ts": "" }, [["p", "plugin"]]],
    [
      "Hermes' plugin, enabled",
      {
        ".hermes/plugins/rtk-rewrite/__init__.py": "",
        ".hermes/config.yaml": "plugins:\n  enabled:\n    - rtk-rewrite\n",
      },
      [["h", "plugin"]],
    ],
    [
      "Hermes' plugin, not enabled",
      {
        ".hermes/plugins/rtk-rewrite/__init__.py": "",
        ".hermes/config.yaml": "# rtk-rewrite\nplugins:\n  enabled: []\n",
      },
      [],
    ],
    ["Hermes' plugin, gone", { ".hermes/config.yaml": "plugins:\n  enabled: [rtk-rewrite]\n" }, []],
  ];
  test.each(wirings)("%s", (_name, files, wired) => {
    const { home } = place();
    for (const [file, text] of Object.entries(files)) write(join(home, file), text);
    expect(findWiredAgents({}, home).map(({ agent, by }) => [agent, by] as [string, string])).toEqual(wired);
  });

  test("looks where the agents themselves look", () => {
    const { home, own } = place();
    write(join(own, "claude/settings.json"), hook("rtk hook claude"));
    write(join(own, "codex/hooks.json"), hook("rtk hook codex"));
    write(join(own, "config/opencode/plugins/rtk.ts"), "");
    write(join(own, "pi/extensions/rtk.ts"), "");
    write(join(own, "hermes/config.yaml"), "plugins: {enabled: [rtk-rewrite]}");
    mkdirSync(join(own, "hermes/plugins/rtk-rewrite"), { recursive: true });
    const env = {
      CLAUDE_CONFIG_DIR: join(own, "claude"),
      CODEX_HOME: join(own, "codex"),
      XDG_CONFIG_HOME: join(own, "config"),
      PI_CODING_AGENT_DIR: join(own, "pi"),
      HERMES_HOME: join(own, "hermes"),
    };
    expect(findWiredAgents(env, home).map(({ agent }) => agent)).toEqual(["c", "h", "x", "p", "o"]);
    expect(existsSync(join(home, ".claude"))).toBe(false);
  });
});

describe("checkRtkExitCodes()", () => {
  test("finds every code told as it is", async () => {
    const { rtk, checks } = await checkRtkExitCodes(place(installed("real")));
    expect(rtk.state).toBe("installed");
    expect(checks.map(({ command, direct, through }) => [command, direct, through])).toEqual([
      ["rtk git status", 128, 128],
      ["rtk ls no-such-file", 2, 2],
      ["rtk grep no-such-word file", 1, 1],
      ["rtk sh -c exit 7", 7, 7],
      ["rtk bypass sh -c exit 9", 9, 9],
    ]);
    expect(new Set(checks.map(({ verdict }) => verdict))).toEqual(new Set(["same"]));
  });

  test("finds the one that swallows them, in its raw mode too", async () => {
    const { checks } = await checkRtkExitCodes(place(installed("swallowing")));
    expect(checks.map(({ through, verdict }) => [through, verdict])).toEqual(Array(5).fill([0, "differs"]));
  });

  test("asks a version before 1.0.0 by the name that its raw mode had", async () => {
    const { checks } = await checkRtkExitCodes(place(installed("old")));
    expect(checks.at(-1)).toEqual({ command: "rtk proxy sh -c exit 9", direct: 9, through: 9, verdict: "same" });
  });

  test("runs nothing through an impostor, and skips what this machine lacks", async () => {
    const folder = installed("typeKit");
    expect((await checkRtkExitCodes(place(folder))).checks).toEqual([]);
    expect(readCalls(folder)).toEqual(["--version", "gain --format json"]);
    const bare = installed("real");
    const here = place(bare);
    const only = join(here.own, "only");
    mkdirSync(only);
    for (const name of ["sh", "ls", "dirname"]) symlinkSync(`/bin/${name}`, join(only, name));
    const { checks } = await checkRtkExitCodes({ ...here, env: { PATH: `${bare}:${only}` } });
    expect(checks.map(({ verdict }) => verdict)).toEqual(["not-run", "same", "not-run", "same", "same"]);
  });
});
