import { describe, expect, test } from "bun:test";
import { ClutchError, type ErrorCode, renderError } from "../src/errors.ts";

describe("a ClutchError", () => {
  const statuses: [ErrorCode, number][] = [
    ["usage", 2],
    ["not-supported", 2],
    ["config-invalid", 2],
    ["agent-not-found", 127],
    ["config-unreadable", 1],
    ["port-busy", 1],
    ["database-busy", 1],
    ["database-broken", 1],
    ["unsafe-bind", 1],
    ["unknown-provider", 1],
    ["failed", 1],
  ];
  test.each(statuses)("with code %s ends the program with %d", (code, status) => {
    expect(new ClutchError(code, "x").exitStatus).toBe(status);
  });

  test("keeps its cause and is an Error by its own name", () => {
    const cause = new Error("disk full");
    const error = new ClutchError("failed", "cannot write", { cause });
    expect(error).toBeInstanceOf(Error);
    expect([error.name, error.cause, error.hint]).toEqual(["ClutchError", cause, undefined]);
    expect("cause" in new ClutchError("failed", "x")).toBe(false);
  });
});

describe("renderError()", () => {
  const cases: [name: string, error: unknown, line: string][] = [
    [
      "a mistake with its next step",
      new ClutchError("usage", "no such mode", { hint: "use i" }),
      "no such mode: use i",
    ],
    ["a mistake without one", new ClutchError("usage", "no such mode"), "no such mode"],
    ["any other error, without its stack", new TypeError("x is not a function"), "x is not a function"],
    [
      "the words of a server, which stay in their line",
      new ClutchError("failed", "it said \x1b[2J\x1b]0;x\x07no\nclutch: \u202eall is well\x9b1m", { hint: "a\rb" }),
      "it said  [2J ]0;x no clutch:  all is well 1m: a b",
    ],
    ["something thrown that is no error", "plain words", "plain words"],
    ["nothing at all", undefined, "undefined"],
  ];
  test.each(cases)("writes %s in one line", (_name, error, line) => {
    expect(renderError(error)).toBe(line);
  });
});
