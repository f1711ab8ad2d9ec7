import { describe, expect, test } from "bun:test";
import { parseLaunchCode } from "../../launcher/code.ts";
import { ClutchError } from "../../src/errors.ts";
import { renderLaunchCode } from "../../src/launch-code.ts";

describe("parseLaunchCode()", () => {
  test.each([
    ["cip", "cip"],
    ["ci", "cip"],
    ["ccf", "ccpf"],
    ["ccpf", "ccpf"],
    ["xnb", "xnb"],
    ["csd", "csd"],
    ["cid", "cid"], // the route, not DeepSeek
    ["cipd", "cipd"],
    ["hibk", "hibk"],
    ["gr0", "grp0"],
    ["ai9", "aip9"],
    ["oiq", "oipq"],
    ["pim", "pipm"],
    ["qin", "qipn"],
  ])("reads %s as %s", (typed, full) => {
    expect(renderLaunchCode(parseLaunchCode(typed))).toBe(full);
  });

  test.each([
    ["", '"" is too short, position 1 is missing', "agents are c Claude Code, h Hermes, x Codex"],
    ["c", '"c" is too short, position 2 is missing', "modes are i new session"],
    ["zip", '"z" at position 1 of "zip" is no agent', "x Codex, q Qwen Code, p Pi, o OpenCode, a Ante, g Antigravity"],
    ["CIP", '"C" at position 1 of "CIP" is no agent', "agents are c Claude Code"],
    ["cxp", '"x" at position 2 of "cxp" is no mode', "n non-interactive, s session by id, r resume picker"],
    [
      "ciz",
      '"z" at position 3 of "ciz" is neither route nor tier',
      "routes are p, b, d; tiers are d, n, k, q, m, f, 0-9",
    ],
    ["cipz", '"z" at position 4 of "cipz" is no tier', "tiers are d, n, k, q, m, f, 0-9"],
    ["cifp", '"p" at position 4 of "cifp" follows the tier "f"', "the tier comes last"],
    ["cipff", '"f" at position 5 of "cipff" is too much', "at most four letters"],
    [
      "cidf",
      '"f" at position 4 of "cidf" is a tier, but route d has no gateway',
      "leave it out (cid), or take route p (cipf)",
    ],
  ])("refuses %p", (typed, message, hint) => {
    const error = catchClutchError(() => parseLaunchCode(typed));
    expect(error.code).toBe("usage");
    expect(error.exitStatus).toBe(2);
    expect(error.message).toStartWith(message);
    expect(error.hint).toContain(hint);
  });
});

function catchClutchError(act: () => unknown): ClutchError {
  try {
    act();
  } catch (error) {
    if (error instanceof ClutchError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
