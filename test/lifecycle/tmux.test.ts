import { describe, expect, test } from "bun:test";
import { buildFormat, buildTmuxArgv, parseRows } from "../../src/lifecycle/tmux.ts";

const tmux = { file: "/usr/bin/tmux", socket: "/state/xx.sock" };

describe("buildTmuxArgv()", () => {
  test("names our own server and joins commands", () => {
    expect(buildTmuxArgv(tmux, [["start-server"], ["set-option", "-g", "mouse", "on"]])).toEqual(
      "/usr/bin/tmux -u -S /state/xx.sock -f /dev/null start-server ; set-option -g mouse on".split(" "),
    );
  });

  test("tells features of the terminal before everything else", () => {
    expect(buildTmuxArgv(tmux, [["attach-session"]], ["extkeys", "RGB"])).toEqual(
      "/usr/bin/tmux -u -T extkeys,RGB -S /state/xx.sock -f /dev/null attach-session".split(" "),
    );
  });
});

describe("parseRows()", () => {
  const fields = ["window_name", "pane_pid", "pane_dead_status"] as const;

  test("takes apart what buildFormat() asks for", () => {
    expect(buildFormat(fields)).toBe("#{window_name}\t#{pane_pid}\t#{pane_dead_status}");
    expect(parseRows("a gateway\t12\t\nheadroom | x\t13\t7\n", fields)).toEqual([
      { window_name: "a gateway", pane_pid: "12", pane_dead_status: "" },
      { window_name: "headroom | x", pane_pid: "13", pane_dead_status: "7" },
    ]);
  });

  test("leaves out lines of another shape", () => {
    expect(parseRows("", fields)).toEqual([]);
    expect(parseRows("no server running on /state/xx.sock\n\na\t1\t2\t3\n", fields)).toEqual([]);
  });
});
