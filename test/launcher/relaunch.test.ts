import { describe, expect, test } from "bun:test";
import { inspectCommand, planReturn } from "../../launcher/relaunch.ts";
import { type ClutchError, renderError } from "../../src/errors.ts";

const split = (line: string) => line.split(" ");

describe("inspectCommand()", () => {
  test.each([
    ["xx ccf", "launch"],
    ["clutch xx cip", "launch"],
    ["/opt/clutch/bin/xx xs -s id", "launch"],
    ["xx cip -m m --safe -- -n", "launch"],
    ["xx", "passing"],
    ["xx agents", "passing"],
    ["xx cnf", "passing"],
    ["xx cip -n", "passing"],
    ["xx --dry-run cip", "passing"],
    ["xx cip --help", "passing"],
    ["xx --version", "passing"],
    ["xx zip", "passing"],
    ["xx cip --nonsense", "passing"],
    ["clutch", "passing"],
    ["clutch status", "passing"],
    ["claude --continue", "foreign"],
    ["/usr/bin/make xx", "foreign"],
  ])("%p is %s", (line, kind) => {
    expect(inspectCommand(split(line)).kind).toBe(kind as "launch");
  });
});

describe("planReturn()", () => {
  test.each([
    ["xx cif", undefined, "xx ccpf"],
    ["xx cif", "id-1", "xx cspf -s id-1"],
    ["xx ccf", "id-1", "xx cspf -s id-1"],
    ["clutch xx xid", undefined, "xx xcd"],
    ["xx xs -s id-1", undefined, "xx xsp -s id-1"],
    ["xx xs -s id-1", "id-2", "xx xsp -s id-2"],
    ["xx cr", undefined, "xx ccp"],
    ["xx hib", undefined, "xx hcb"],
    ["xx qip7 -m p:m --safe --no-front", "id-1", "xx qsp7 -s id-1 -m p:m --safe --no-front"],
    ["xx cip -p hello -- --add-dir x", undefined, "xx ccp -- --add-dir x"],
    ["xx -p hello oip --", "ses_1", "xx osp -s ses_1"],
    ["xx aip", "id-1", "xx asp -s id-1"],
    ["xx gid", undefined, "xx gcd"],
    ["claude --continue", "id-1", "claude --continue"],
    ["python3 -m http.server", undefined, "python3 -m http.server"],
  ])("%p in session %p comes back as %p", (line, session, expected) => {
    expect(planReturn(split(line), session)).toEqual(split(expected));
  });

  test("comes back the same way a second time", () => {
    const once = planReturn(split("xx cif -m m -- --add-dir x"), "id-1");
    expect(planReturn(once, "id-1")).toEqual(once);
  });

  test("says what to do for an agent that has no last session", () => {
    let line = "";
    try {
      planReturn(split("xx aip"), undefined);
    } catch (error) {
      expect((error as ClutchError).code).toBe("not-supported");
      line = renderError(error);
    }
    expect(line).toBe(
      "Ante has no flag for the last session: xx asp -s <id> with the id that it prints at its end, or xx aip, then type /resume",
    );
  });
});
