import { describe, expect, test } from "bun:test";
import { renderElapsed } from "../../src/lifecycle/elapsed.ts";
import { chooseOuterTerm, choosePaneTerm, isDescribed } from "../../src/lifecycle/terminal.ts";

describe("isDescribed()", () => {
  const files = [
    "/usr/share/terminfo/x/xterm",
    "/usr/share/terminfo/73/screen-256color",
    "/h/.terminfo/x/xterm-kitty",
    "/own/g/ghost",
    "/dirs/f/foot",
  ];
  const exists = (path: string) => files.includes(path);
  const env = { HOME: "/h", TERMINFO: "/own", TERMINFO_DIRS: ":/dirs:relative" };
  test.each([
    ["xterm", true],
    ["screen-256color", true],
    ["xterm-kitty", true],
    ["ghost", true],
    ["foot", true],
    ["xterm-ghostty", false],
    ["", false],
    ["../x/xterm", false],
  ])("%p: %p", (term, expected) => {
    expect(isDescribed(term, env, exists)).toBe(expected);
  });
});

test.each([
  ["xterm-kitty", ["xterm-kitty", "xterm-256color"], "xterm-kitty"],
  ["xterm-ghostty", ["xterm-256color"], "xterm-256color"],
  ["xterm-ghostty", [], "xterm-ghostty"],
])("chooseOuterTerm() for %p, with %p described", (term, described, expected) => {
  expect(chooseOuterTerm({ TERM: term }, (name) => described.includes(name))).toBe(expected);
});

test("choosePaneTerm() goes by what is described", () => {
  expect(choosePaneTerm(() => true)).toBe("tmux-256color");
  expect(choosePaneTerm((name) => name === "screen-256color")).toBe("screen-256color");
});

test.each([
  [-5, "0 seconds"],
  [999, "0 seconds"],
  [1000, "1 second"],
  [59_999, "59 seconds"],
  [60_000, "1 minute"],
  [2 * 3_600_000, "2 hours"],
  [86_400_000, "1 day"],
  [40 * 86_400_000, "40 days"],
])("renderElapsed(%p) is %p", (ms, expected) => {
  expect(renderElapsed(ms)).toBe(expected);
});
