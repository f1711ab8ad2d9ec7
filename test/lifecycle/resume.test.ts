import { describe, expect, test } from "bun:test";
import { ClutchError, renderError } from "../../src/errors.ts";
import type { LaunchRecord, LaunchState } from "../../src/lifecycle/launches.ts";
import {
  findById,
  type JudgedLaunch,
  planAll,
  planOne,
  type ResumeWorld,
  renderLaunches,
  renderLaunchesJson,
} from "../../src/lifecycle/resume.ts";

const nowMs = 1_800_000_000_000;
const died: LaunchState = { kind: "died", how: "reboot" };

function judged(id: string, state: LaunchState, more: Partial<LaunchRecord> = {}): JudgedLaunch {
  const record: LaunchRecord = {
    id,
    command: ["xx", "cif"],
    cwd: "/home/someone/project",
    env: {},
    bootId: "b",
    startedAtMs: nowMs - 2 * 3_600_000,
    tmuxSession: `xx-c-${id}`,
    agent: "c",
    ...more,
  };
  return { record, state };
}

const world: ResumeWorld = {
  findSession: async ({ launchId }) => (launchId === undefined ? undefined : `session of ${launchId}`),
  planReturn(command, session) {
    if (command[0] === "ante") throw new ClutchError("not-supported", "Ante cannot", { hint: "do this" });
    return [...command, session ?? "last"];
  },
  isFolder: (path) => !path.includes("gone"),
};

describe("findById()", () => {
  const launches = [judged("abc123", died), judged("abd456", died)];

  test("takes the beginning of an id", () => {
    expect(findById(launches, "abc").record.id).toBe("abc123");
    expect(findById(launches, "abd456").record.id).toBe("abd456");
  });

  test.each([
    ["ab", '"ab" is the beginning of abc123, abd456: give one letter more'],
    ["x", 'no launch begins with "x": clutch resume lists them'],
  ])("refuses %p", (typed, line) => {
    expect(() => findById(launches, typed)).toThrow(ClutchError);
    try {
      findById(launches, typed);
    } catch (error) {
      expect(renderError(error)).toBe(line);
    }
  });
});

describe("planOne()", () => {
  test.each([
    ["the one the gateway saw last", { launchId: "l1", session: "typed" }, "session of l1"],
    ["the one it was started with", { session: "typed" }, "typed"],
    ["none", {}, undefined],
  ])("comes back in %s", async (_, more, session) => {
    const { record } = judged("abc123", died, more);
    expect(await planOne(record, world)).toEqual({ record, session, runs: ["xx", "cif", session ?? "last"] });
  });
});

test("planAll() keeps the order, and tells what cannot come back", async () => {
  const launches = [
    judged("aaaaaa", died),
    judged("bbbbbb", { kind: "running", isAttached: false }),
    judged("cccccc", died, { cwd: "/gone" }),
    judged("dddddd", { kind: "closed", exitCode: 0, atMs: 1 }),
    judged("eeeeee", died, { command: ["ante"], agent: "a" }),
    judged("ffffff", { kind: "resumed", by: "bbbbbb" }),
    judged("gggggg", { kind: "died", how: "tmux ended" }),
  ];
  const { returns, obstacles } = await planAll(launches, world);
  expect(returns.map(({ record }) => record.id)).toEqual(["aaaaaa", "gggggg"]);
  expect(obstacles).toEqual([
    "cccccc Claude Code in /gone: the folder /gone is gone: restore it, or clutch resume --forget cccccc",
    "eeeeee Ante in /home/someone/project: Ante cannot: do this",
  ]);
});

describe("renderLaunches()", () => {
  test("shows what died, then what runs", () => {
    const launches = [
      judged("aaaaaa", { kind: "running", isAttached: false }, { command: ["xx", "xip", "-p", "a b\nc"], agent: "x" }),
      judged("bbbbbb", died, { session: "0f3a" }),
      judged("cccccc", { kind: "closed", exitCode: 0, atMs: 1 }),
      judged(
        "dddddd",
        { kind: "died", how: "tmux ended" },
        { command: ["make", "x".repeat(80)], agent: undefined, cwd: "/w\x1b[2J" },
      ),
    ];
    expect(`\n${renderLaunches(launches, nowMs, "/home/someone")}\n`).toBe(`
id      state                    started      agent        folder     session  command
bbbbbb  died, machine restarted  2 hours ago  Claude Code  ~/project  0f3a     xx cif
dddddd  died, tmux ended         2 hours ago  make         /w [2J     -        make ${"x".repeat(54)}…
aaaaaa  without a terminal       2 hours ago  Codex        ~/project  -        xx xip -p a b c

clutch resume --all brings back what died; clutch resume <id> one of them
clutch resume <id> shows one that runs in this terminal
`);
  });

  test("says so when there is nothing", () => {
    expect(renderLaunches([judged("cccccc", { kind: "closed", exitCode: 0, atMs: 1 })], nowMs, undefined)).toBe(
      "no launch died, none is running",
    );
  });
});

test("renderLaunchesJson() is one stable object", () => {
  const launch = judged("bbbbbb", died, { session: "0f3a", launchId: "l1", code: "cipf", pid: 7 });
  expect(JSON.parse(renderLaunchesJson([launch, judged("cccccc", { kind: "closed", exitCode: 3, atMs: 0 })]))).toEqual({
    launches: [
      {
        id: "bbbbbb",
        state: "died",
        how: "reboot",
        attached: null,
        exit_code: null,
        ended_at: null,
        resumed_by: null,
        started_at: "2027-01-15T06:00:00.000Z",
        agent: "c",
        code: "cipf",
        launch_id: "l1",
        session: "0f3a",
        folder: "/home/someone/project",
        command: ["xx", "cif"],
        pid: 7,
      },
      {
        id: "cccccc",
        state: "closed",
        how: null,
        attached: null,
        exit_code: 3,
        ended_at: "1970-01-01T00:00:00.000Z",
        resumed_by: null,
        started_at: "2027-01-15T06:00:00.000Z",
        agent: "c",
        code: null,
        launch_id: null,
        session: null,
        folder: "/home/someone/project",
        command: ["xx", "cif"],
        pid: null,
      },
    ],
  });
});
