import { describe, expect, test } from "bun:test";
import {
  buildAttach,
  decideRun,
  explainDirect,
  hintTmuxInstall,
  judgeAftermath,
  nameSession,
  type RunFacts,
} from "../../src/lifecycle/guard.ts";

const good: RunFacts = {
  isWorthGuarding: true,
  hasTerminal: true,
  isInsideTmux: false,
  tmuxVersion: "tmux 3.3a",
  socket: "/home/someone/.local/state/clutch/xx.sock",
};

describe("decideRun()", () => {
  test.each<[string, Partial<RunFacts>, ReturnType<typeof decideRun>]>([
    ["guards what has a terminal and a tmux", {}, { isGuarded: true }],
    ["takes 3.2 as new enough", { tmuxVersion: "tmux 3.2" }, { isGuarded: true }],
    ["takes a later major version", { tmuxVersion: "tmux 4.0" }, { isGuarded: true }],
    ["takes a development version", { tmuxVersion: "tmux master" }, { isGuarded: true }],
    ["takes the next version", { tmuxVersion: "tmux next-3.7" }, { isGuarded: true }],
    ["refuses 3.1c", { tmuxVersion: "tmux 3.1c" }, { isGuarded: false, because: "old tmux" }],
    ["refuses 2.9", { tmuxVersion: "tmux 2.9" }, { isGuarded: false, because: "old tmux" }],
    ["goes without tmux", { tmuxVersion: undefined }, { isGuarded: false, because: "no tmux" }],
    ["goes without a terminal", { hasTerminal: false }, { isGuarded: false, because: "no terminal" }],
    ["does not nest", { isInsideTmux: true }, { isGuarded: false, because: "inside tmux" }],
    [
      "goes where the socket's path fits no socket",
      { socket: `/${"long/".repeat(20)}xx.sock` },
      { isGuarded: false, because: "long path" },
    ],
    ["says nothing of what nobody would guard", { isWorthGuarding: false, hasTerminal: false }, { isGuarded: false }],
    [
      "names the first reason of several",
      { isInsideTmux: true, hasTerminal: false, tmuxVersion: undefined },
      {
        isGuarded: false,
        because: "no terminal",
      },
    ],
  ])("%s", (_, facts, expected) => {
    expect(decideRun({ ...good, ...facts })).toEqual(expected);
  });
});

test("explainDirect() gives the cause and the next step", () => {
  expect(explainDirect("no tmux", good, "brew install tmux")).toBe(
    "tmux is not on PATH, so this runs without the crash guard and ends with its terminal: brew install tmux (this is said once)",
  );
  expect(explainDirect("old tmux", { ...good, tmuxVersion: "tmux 3.0a" }, "brew install tmux")).toStartWith(
    "tmux 3.0a is older than 3.2",
  );
});

test.each([
  ["darwin", [], "brew install tmux"],
  ["linux", ["/usr/bin/apt-get"], "sudo apt-get install tmux"],
  ["linux", ["/usr/bin/pacman"], "sudo pacman -S tmux"],
  ["linux", [], "install tmux with the system's package manager"],
] as const)("hintTmuxInstall() on %s with %p", (platform, programs, expected) => {
  expect(hintTmuxInstall(platform, (path) => programs.some((program) => program === path))).toBe(expected);
});

test.each([
  [["xx", "ccf"], "c", "xx-c-abc123"],
  [["/opt/bin/my tool.sh", "x"], undefined, "xx-mytoolsh-abc123"],
  [["./#{x}:y;"], undefined, "xx-xy-abc123"],
  [["..."], undefined, "xx-command-abc123"],
])("nameSession() of %p", (command, agent, expected) => {
  expect(nameSession(command, agent, "abc123")).toBe(expected);
});

test.each([
  [false, ["attach-session", "-t", "=xx-c-abc123"]],
  [true, ["attach-session", "-d", "-t", "=xx-c-abc123"]],
])("buildAttach() that takes over: %p", (takesOver, expected) => {
  expect(buildAttach("xx-c-abc123", takesOver)).toEqual(expected);
});

test.each<[Parameters<typeof judgeAftermath>[0], ReturnType<typeof judgeAftermath>]>([
  [
    { exitCode: 0, isWaiting: false, isAlive: false },
    { kind: "ended", exitCode: 0 },
  ],
  [
    { exitCode: 137, isWaiting: false, isAlive: true },
    { kind: "ended", exitCode: 137 },
  ],
  [{ exitCode: undefined, isWaiting: false, isAlive: true }, { kind: "detached" }],
  [{ exitCode: undefined, isWaiting: false, isAlive: false }, { kind: "died" }],
  [{ exitCode: undefined, isWaiting: true, isAlive: false }, { kind: "never started" }],
])("judgeAftermath(%p)", (facts, expected) => {
  expect(judgeAftermath(facts)).toEqual(expected);
});
