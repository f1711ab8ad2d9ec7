import { describe, expect, test } from "bun:test";
import { fitToolNames } from "../../src/protocols/tool-names.ts";

const long = "mcp__server__".padEnd(80, "x");

describe("fitToolNames()", () => {
  test.each([
    ["Bash", 64, "Bash"],
    ["mcp__demo-1__add_2", 64, "mcp__demo-1__add_2"],
    ["x".repeat(64), 64, "x".repeat(64)],
    [long, 128, long],
    ["demo.add", 64, "demo_add_ed37000a"],
    ["demo.add", 128, "demo_add_ed37000a"],
    ["größe 👋", 64, "gr__e___378a5d47"],
    ["", 64, "_e3b0c442"],
  ] as const)("sends %j (limit %d) as %j", (name, maxLength, expected) => {
    expect(fitToolNames([], maxLength).wire(name)).toBe(expected);
  });

  test("cuts a long name so that its hash still fits, different names to different ones", () => {
    const names = fitToolNames([long, `${long}y`], 64);
    expect(names.wire(long)).toMatch(/^mcp__server__x{42}_[0-9a-f]{8}$/);
    expect(names.wire(long)).not.toBe(names.wire(`${long}y`));
    expect(names.wire(long)).toHaveLength(64);
  });

  test("restore knows changed names alone, and undeclared ones once they were sent", () => {
    const names = fitToolNames(["Bash", "demo.add"], 64);
    expect([...names.restore]).toEqual([[names.wire("demo.add"), "demo.add"]]);
    const undeclared = names.wire("old.tool");
    expect(names.restore.get(undeclared)).toBe("old.tool");
    expect(names.restore.has("Bash")).toBe(false);
  });
});
