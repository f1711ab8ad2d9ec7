import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { agents } from "../launcher/agents.ts";
import { namesRoute, parseLaunchCode } from "../launcher/code.ts";
import { buildLaunch, flagsUsed, helpCommands, type LaunchRequest, type LaunchWorld } from "../launcher/plan.ts";
import { readLauncherSettings } from "../launcher/settings.ts";
import { renderError } from "../src/errors.ts";
import { askInstalled, flagsOf, isAnswered, parseFlags, parseVersion, recallInstalled } from "../src/installed.ts";
import { plainWorld } from "./support/launch-world.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-installed-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A program that answers to --version and --help and counts how often it was started. */
function makeProgram(name: string, body: string): string {
  const path = join(root, name);
  writeFileSync(path, `#!/bin/sh\necho "$*" >> '${root}/${name}.calls'\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

function calls(name: string): string[] {
  return readFileSync(join(root, `${name}.calls`), "utf8")
    .trim()
    .split("\n")
    .sort();
}

const env = { PATH: "/usr/bin:/bin" };

describe("askInstalled()", () => {
  const answers = `case "$*" in
    --version) echo 'tool 1.2.3 (Tool)' ;;
    --help) echo '  -y, --yes  no questions' ;;
    'exec --help') echo '  --quick' >&2 ;;
    list) echo '{"a":1}' ;;
  esac`;
  const question = { argv: ["list"], keep: (text: string) => text.trim() };
  const inquiry = { subcommands: [[], ["exec"]], question };

  test("asks once per version, and sees both streams", async () => {
    const cache = join(root, "cache");
    const file = makeProgram("tool", answers);
    expect(recallInstalled(file, cache)).toBeUndefined();
    const installed = await askInstalled(file, inquiry, cache, env);
    expect(installed).toEqual({
      version: "1.2.3",
      flags: { "": ["--yes", "-y"], exec: ["--quick"] },
      learnt: '{"a":1}',
    });
    expect(calls("tool")).toEqual(["--help", "--version", "exec --help", "list"]);

    expect(isAnswered(recallInstalled(file, cache), inquiry)).toBe(true);
    expect(await askInstalled(file, inquiry, cache, env)).toMatchObject(installed);
    expect(calls("tool").length).toBe(4);

    const another = { subcommands: [["other"]] };
    expect(isAnswered(recallInstalled(file, cache), another)).toBe(false);
    await askInstalled(file, another, cache, env);
    expect(calls("tool").length).toBe(5);

    utimesSync(file, new Date(), new Date(Date.now() + 5000));
    expect(recallInstalled(file, cache)).toBeUndefined();
  });

  test("keeps its cache to itself", () => {
    expect(statSync(join(root, "cache/agents")).mode & 0o777).toBe(0o700);
  });

  test("takes a program that fails, or is silent, for one that told nothing", async () => {
    const file = makeProgram("broken", "echo --yes; exit 3");
    const installed = await askInstalled(file, inquiry, join(root, "cache"), env);
    expect(installed).toEqual({ version: undefined, flags: { "": [], exec: [] }, learnt: "" });
    expect(flagsOf(installed, [[]])).toBeUndefined();
  });

  test("an answer of another kind is no answer", async () => {
    const file = makeProgram("other", "echo text");
    const parsed = { subcommands: [], question: { argv: ["list"], keep: (text: string) => JSON.parse(text) } };
    expect((await askInstalled(file, parsed, join(root, "cache"), env)).learnt).toBeNull();
  });

  test("runs nothing in the current folder", async () => {
    const file = makeProgram("where", 'pwd; echo "--$(basename "$PWD")"');
    const { flags } = await askInstalled(file, { subcommands: [[]] }, join(root, "cache"), env);
    expect(flags[""]).toContain("--agents");
  });
});

describe("what a help says", () => {
  test.each([
    ["  -c, --continue   go on", ["--continue", "-c"]],
    ["--model <id>, --model=<id>", ["--model"]],
    ["\u001b[1m--yolo\u001b[0m (see --yolo-mode)", ["--yolo", "--yolo-mode"]],
    ["a non-flag, 1--2, x--y", []],
  ])("%j lists %j", (help, flags) => expect(parseFlags(help)).toEqual(flags));

  test.each([
    ["2.1.328 (Claude Code)", "2.1.328"],
    ["codex-cli 0.169.0", "0.169.0"],
    ["Hermes Agent v0.19.0 (2026.7.20)", "0.19.0"],
    ["ante v0.preview.86", "0.preview.86"],
    ["", undefined],
  ])("%j is version %p", (text, version) => expect(parseVersion(text)).toBe(version));
});

const world: LaunchWorld = plainWorld;

function request(code: string, more: Partial<LaunchRequest> = {}): LaunchRequest {
  return { code: parseLaunchCode(code), namesRoute: namesRoute(code), isSafe: false, rest: [], ...more };
}

const settings = readLauncherSettings({}, "config.json", {});

/** Launches with a program that lists every flag but these. */
function launchWithout(code: string, gone: string[], more: Partial<LaunchRequest> = {}) {
  const row = agents[parseLaunchCode(code).agent];
  const known = new Set(
    [...flagsUsed(row).values()].flat().concat("--settings", "-c", "-e", "--provider", "--auth-type"),
  );
  for (const flag of gone) known.delete(flag);
  return buildLaunch(request(code, more), settings, { ...world, knownFlags: known });
}

describe("a flag that the installed version lacks", () => {
  test.each([
    ["xid", "--no-daemon", "--dangerously-bypass-approvals-and-sandbox -c"],
    ["cid", "--session-id", "--dangerously-skip-permissions"],
    ["pid", "--session-id", ""],
  ])("%s goes on without %s where it means the same, and says so", (code, flag, argv) => {
    const plan = launchWithout(code, [flag]);
    expect(plan.argv.join(" ").replace(/ projects=.*/, "")).toBe(argv);
    const { name } = agents[parseLaunchCode(code).agent];
    expect(plan.notes).toEqual([`the installed ${name} has no ${flag} any more: started without`]);
    expect(plan.session).toBeUndefined();
  });

  test.each([
    ["cid", "--dangerously-skip-permissions", "--safe starts it with its approvals on"],
    ["qid", "--yolo", "--safe starts it with its approvals on"],
    ["ccd", "--continue", "what claude --help lists can follow --"],
    ["cip", "--settings", "what claude --help lists can follow --"],
    ["xipk", "-m", "what codex --help lists can follow --"],
    ["hnd", "-q", "what hermes --help lists can follow --"],
  ])("%s stops without %s", (code, flag, hint) => {
    const name = agents[parseLaunchCode(code).agent].name;
    let message = "";
    try {
      launchWithout(code, [flag], { prompt: code[1] === "n" ? "P" : undefined });
    } catch (error) {
      message = renderError(error);
    }
    expect(message).toBe(`the installed ${name} has no ${flag} any more: ${hint}`);
  });

  test("--safe needs no bypass", () => {
    expect(launchWithout("cid", ["--dangerously-skip-permissions"], { isSafe: true }).notes).toEqual([]);
  });

  test("the user's own arguments are the user's business", () => {
    expect(launchWithout("cid", [], { rest: ["--no-such-flag"] }).argv).toContain("--no-such-flag");
  });
});

describe("helpCommands()", () => {
  test.each([
    ["cip", [[]]],
    ["xcp", [[], ["resume"]]],
    ["xnp", [[], ["exec"]]],
    ["hnp", [[], ["chat"]]],
    ["hrp", [[]]],
    ["onp", [[], ["run"]]],
  ])("of %s are those of %j", (code, commands) => {
    expect(helpCommands(request(code, { prompt: code[1] === "n" ? "P" : undefined }), settings, world)).toEqual(
      commands,
    );
  });
});
