import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Piece } from "../../src/gateway/request-outline.ts";
import { matchDefinition, parseDefinition, SubagentFinder, workingFolder } from "../../src/gateway/subagents.ts";

const note = (text: string): Piece => ({ role: "note", text });

describe("parseDefinition()", () => {
  const rows: [name: string, text: string, found: unknown][] = [
    [
      "reads name and prompt",
      "---\nname: a-b\ndescription: x\n---\n\nBe strict.\n\nAlways.  \n",
      { name: "a-b", prompt: "Be strict.\n\nAlways." },
    ],
    [
      "reads a name in quotes, and Windows' line ends",
      '---\r\nname: "a"\r\n---\r\nBe\r\nstrict.',
      { name: "a", prompt: "Be\nstrict." },
    ],
    [
      "takes the file's name without one",
      "---\ndescription: x\n---\nBe strict.",
      { name: "file", prompt: "Be strict." },
    ],
    ["keeps lines in the prompt", "---\nname: a\n---\none\n---\nname: b", { name: "a", prompt: "one\n---\nname: b" }],
    ["wants a prompt", "---\nname: a\n---\n", undefined],
    ["wants a header", "name: a\n\nBe strict.", undefined],
    ["wants anything", "", undefined],
  ];
  test.each(rows)("%s", (_name, text, found) => {
    expect(parseDefinition(text, "/p/.claude/agents/file.md")).toEqual(found as never);
  });
});

describe("matchDefinition()", () => {
  const definitions = [
    { name: "short", prompt: "You review." },
    { name: "long", prompt: "You review.\n\nIn detail." },
    { name: "user's twin", prompt: "You review." },
  ];
  const rows: [name: string, notes: string[], found: string | undefined][] = [
    ["looks at every block", ["billing", "You are a Claude agent.", "You review.\n\nNotes:"], "short"],
    ["takes the longest", ["You review.\n\nIn detail.\n\nNotes:"], "long"],
    ["wants the beginning", ["Before: You review."], undefined],
    ["knows Claude Code's own", ["You are a file search specialist for Claude Code, Anthropic's"], "Explore"],
    ["finds nothing in nothing", [], undefined],
  ];
  test.each(rows)("%s", (_name, notes, found) => {
    expect(matchDefinition(notes, definitions)).toBe(found);
  });
});

describe("workingFolder()", () => {
  const rows: [name: string, pieces: Piece[], folder: string | undefined][] = [
    [
      "reads Claude Code's environment",
      [note("# Environment\nYou: \n - Primary working directory: /a b/c\n - Platform: linux")],
      "/a b/c",
    ],
    ["reads the older form", [note("<env>\nWorking directory: /a/c\nPlatform")], "/a/c"],
    ["reads no person's words", [{ role: "user", text: "Working directory: /a" }], undefined],
    ["takes no relative one", [note("Working directory: ../a")], undefined],
  ];
  test.each(rows)("%s", (_name, pieces, folder) => {
    expect(workingFolder(pieces)).toBe(folder);
  });
});

describe("SubagentFinder", () => {
  const root = mkdtempSync(join(tmpdir(), "clutch-subagents-"));
  const write = (path: string, prompt: string, name = "") => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `---\n${name === "" ? "description: x" : `name: ${name}`}\n---\n${prompt}\n`);
  };
  const asked = (prompt: string, folder = "repo/src/deep") => [
    note(`${prompt}\n\nNotes:`),
    note(` - Primary working directory: ${join(root, folder)}`),
  ];
  let nowMs = 0;
  const finder = () =>
    new SubagentFinder({ home: join(root, "home"), userFolder: join(root, "home/.claude"), now: () => nowMs });

  beforeAll(() => {
    mkdirSync(join(root, "repo/.git"), { recursive: true });
    mkdirSync(join(root, "home/work"), { recursive: true });
    write("repo/.claude/agents/reviewer.md", "You review.");
    write("repo/.claude/agents/deep/other.md", "You nest.", "nested-one");
    write("repo/src/.claude/agents/near.md", "You are near.");
    write(".claude/agents/above.md", "You are above the repository.");
    write("home/.claude/agents/docs.md", "You document.");
    write("home/.claude/agents/twin.md", "You review.");
    writeFileSync(join(root, "repo/.claude/agents/notes.txt"), "---\nname: no\n---\nNo definition.");
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const rows: [name: string, prompt: string, found: string | undefined][] = [
    ["the project's, from a folder within, before the user's", "You review.", "reviewer"],
    ["one in a folder of its own", "You nest.", "nested-one"],
    ["one nearer than the repository's root", "You are near.", "near"],
    ["the user's", "You document.", "docs"],
    ["none from above the repository", "You are above the repository.", undefined],
    ["none in another kind of file", "No definition.", undefined],
    ["none for a prompt that nobody wrote", "You improvise.", undefined],
  ];
  test.each(rows)("finds %s", (_name, prompt, found) => {
    expect(finder().find(asked(prompt))).toBe(found);
  });

  test("takes the launch's folder where it is known, and does without any", () => {
    expect(finder().find([note("You are near.")], join(root, "repo/src"))).toBe("near");
    expect(finder().find([note("You are near.")])).toBeUndefined();
    expect(finder().find([note("You document.")])).toBe("docs");
    expect(finder().find(asked("You document.", "gone"))).toBe("docs");
  });

  test("reads a file again when it has changed", () => {
    const one = finder();
    write("repo/.claude/agents/changing.md", "First words.");
    expect(one.find(asked("First words."))).toBe("changing");
    write("repo/.claude/agents/changing.md", "Other words.");
    utimesSync(join(root, "repo/.claude/agents/changing.md"), 1, 1);
    nowMs += 10_000;
    expect(one.find(asked("First words."))).toBeUndefined();
    expect(one.find(asked("Other words."))).toBe("changing");
  });
});
