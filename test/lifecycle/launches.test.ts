import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  claimId,
  claimResume,
  findDetached,
  forgetLaunch,
  judgeLaunch,
  type Launch,
  type LaunchRecord,
  type LaunchState,
  leaveStartEnv,
  listLaunches,
  noteLaunch,
  pruneLaunches,
  readLaunch,
  releaseResume,
  type Surroundings,
  takeScreen,
  takeStartEnv,
  writeRecord,
} from "../../src/lifecycle/launches.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-launches-"));
afterAll(() => rmSync(root, { recursive: true }));

const nowMs = 1_800_000_000_000;
const dayMs = 24 * 60 * 60 * 1000;

function recordOf(more: Partial<LaunchRecord> = {}): LaunchRecord {
  return {
    id: "abc123",
    command: ["xx", "ccf"],
    cwd: "/work",
    env: {},
    bootId: "boot-1",
    startedAtMs: nowMs - 60_000,
    tmuxSession: "xx-c-abc123",
    ...more,
  };
}

function launchOf(record: Partial<LaunchRecord> = {}, more: Partial<Launch> = {}): Launch {
  return { record: recordOf(record), end: undefined, resumedBy: undefined, isWaiting: false, ...more };
}

function around(sessions: Record<string, number> = {}, bootId = "boot-1"): Surroundings {
  return { bootId, sessions: new Map(Object.entries(sessions)), nowMs };
}

describe("judgeLaunch()", () => {
  const end = { exitCode: 7, atMs: nowMs - 1000 };
  test.each<[string, Launch, Surroundings, LaunchState]>([
    ["shown", launchOf(), around({ "xx-c-abc123": 1 }), { kind: "running", isAttached: true }],
    ["not shown", launchOf(), around({ "xx-c-abc123": 0 }), { kind: "running", isAttached: false }],
    ["ended", launchOf({}, { end }), around(), { kind: "closed", ...end }],
    ["ended, session just closing", launchOf({}, { end }), around({ "xx-c-abc123": 1 }), { kind: "closed", ...end }],
    ["ended before a reboot", launchOf({}, { end }), around({}, "boot-2"), { kind: "closed", ...end }],
    ["session gone", launchOf(), around({ "xx-c-abc12": 1 }), { kind: "died", how: "tmux ended" }],
    ["rebooted", launchOf(), around({}, "boot-2"), { kind: "died", how: "reboot" }],
    [
      "rebooted, and a session has its name again",
      launchOf(),
      around({ "xx-c-abc123": 1 }, "boot-2"),
      { kind: "died", how: "reboot" },
    ],
    ["brought back", launchOf({}, { resumedBy: "def456" }), around(), { kind: "resumed", by: "def456" }],
    [
      "about to start",
      launchOf({ startedAtMs: nowMs - 100 }, { isWaiting: true }),
      around(),
      { kind: "running", isAttached: true },
    ],
    ["never picked up", launchOf({}, { isWaiting: true }), around(), { kind: "died", how: "tmux ended" }],
  ])("%s", (_, launch, world, expected) => {
    expect(judgeLaunch(launch, world)).toEqual(expected);
  });
});

describe("findDetached()", () => {
  const sessions = { one: 0, two: 0, shown: 1 };
  const asked = { command: ["xx", "ccf"], cwd: "/work" };
  test("takes the newest of the same words in the same folder that no terminal shows", () => {
    const launches = [
      launchOf({ id: "aaaaaa", tmuxSession: "one" }),
      launchOf({ id: "bbbbbb", tmuxSession: "two" }),
      launchOf({ id: "cccccc", tmuxSession: "shown" }),
      launchOf({ id: "dddddd", tmuxSession: "two", cwd: "/elsewhere" }),
      launchOf({ id: "eeeeee", tmuxSession: "two", command: ["xx", "ccf", "--safe"] }),
      launchOf({ id: "ffffff", tmuxSession: "two", command: ["xx", "ccd"] }),
    ];
    expect(findDetached(launches, asked, around(sessions))?.id).toBe("bbbbbb");
  });

  test("finds nothing when each is shown, ended or gone", () => {
    const launches = [
      launchOf({ tmuxSession: "shown" }),
      launchOf({ tmuxSession: "one" }, { end: { exitCode: 0, atMs: 1 } }),
      launchOf({ tmuxSession: "gone" }),
    ];
    expect(findDetached(launches, asked, around(sessions))).toBeUndefined();
  });
});

describe("the files", () => {
  let stateDir = "";
  let count = 0;
  const fileOf = (name: string) => join(stateDir, "launches", name);

  beforeEach(() => {
    stateDir = join(root, `state-${count++}`);
  });

  function claim(id: string, more: Partial<LaunchRecord> = {}): void {
    claimId(stateDir, () => id);
    writeRecord(stateDir, recordOf({ id, ...more }));
  }

  test("are closed to others", () => {
    claim("abc123");
    leaveStartEnv(stateDir, "abc123", { env: { MY_API_KEY: "sk-1" }, umask: 0o22 });
    expect(statSync(join(stateDir, "launches")).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(join(stateDir, "launches"))) expect(statSync(fileOf(name)).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(stateDir, "launches")).sort()).toEqual(["abc123.env", "abc123.json"]);
  });

  test("give an id to one launch alone", () => {
    claim("abc123");
    const ids = ["abc123", "abc123", "def456"];
    expect(claimId(stateDir, () => ids.shift() ?? "")).toBe("def456");
  });

  test("come back in the order of their start, the end with them", () => {
    claim("bbbbbb", { startedAtMs: 2 });
    claim("aaaaaa", { startedAtMs: 3 });
    claim("cccccc", { startedAtMs: 1 });
    writeFileSync(fileOf("bbbbbb.exit"), "137\n");
    utimesSync(fileOf("bbbbbb.exit"), 5, 5);
    claimResume(stateDir, "cccccc", "aaaaaa");
    expect(listLaunches(stateDir)).toEqual([
      launchOf({ id: "cccccc", startedAtMs: 1 }, { resumedBy: "aaaaaa" }),
      launchOf({ id: "bbbbbb", startedAtMs: 2 }, { end: { exitCode: 137, atMs: 5000 } }),
      launchOf({ id: "aaaaaa", startedAtMs: 3 }),
    ]);
  });

  test("that are no records are passed over", () => {
    expect(listLaunches(stateDir)).toEqual([]);
    mkdirSync(join(stateDir, "launches"), { recursive: true });
    for (const [name, text] of Object.entries({
      "abc123.json": "",
      "abc124.json": '{"id":"abc124","comm',
      "abc125.json": "[]",
      "abc126.json": JSON.stringify(recordOf({ id: "abc127" })),
      "abc128.json": JSON.stringify({ ...recordOf({ id: "abc128" }), command: "rm" }),
      "..%2Fx.json": JSON.stringify(recordOf({ id: "..%2Fx" })),
      "abc123.json.4711": "{}",
    }))
      writeFileSync(fileOf(name), text);
    expect(listLaunches(stateDir)).toEqual([]);
  });

  test("take up what xx notes, and only in a record that is there", () => {
    claim("abc123");
    noteLaunch(stateDir, "abc123", { launchId: "l1", agent: "c", code: "ccpf", session: "s-1" });
    noteLaunch(stateDir, "abc123", { pid: 42 });
    expect(readLaunch(stateDir, "abc123")?.record).toEqual(
      recordOf({ launchId: "l1", agent: "c", code: "ccpf", session: "s-1", pid: 42 }),
    );
    for (const id of ["nobody", "../abc123", ""])
      noteLaunch(stateDir, id, { launchId: "l2", agent: "c", code: "ccpf" });
    expect(readdirSync(join(stateDir, "launches"))).toEqual(["abc123.json"]);
    expect(() => noteLaunch("/dev/null/state", "abc123", { launchId: "l", agent: "c", code: "cip" })).not.toThrow();
  });

  test("hand an environment over once", () => {
    claim("abc123");
    const start = { env: { MY_API_KEY: "sk-1", ODD: "a\nb'\"" }, umask: 0o77 };
    leaveStartEnv(stateDir, "abc123", start);
    expect(readLaunch(stateDir, "abc123")?.isWaiting).toBe(true);
    expect(takeStartEnv(stateDir, "abc123")).toEqual(start);
    expect(takeStartEnv(stateDir, "abc123")).toBeUndefined();
    expect(readLaunch(stateDir, "abc123")?.isWaiting).toBe(false);
    expect(readdirSync(join(stateDir, "launches"))).toEqual(["abc123.json"]);
  });

  test("hand a screen over once, without the empty lines at its end", () => {
    claim("abc123");
    writeFileSync(fileOf("abc123.screen"), "\n  one\n\n two \n\n\n");
    expect(takeScreen(stateDir, "abc123")).toBe("\n  one\n\n two");
    expect(takeScreen(stateDir, "abc123")).toBeUndefined();
  });

  test("let one bring a launch back, and again when that failed", () => {
    claim("abc123");
    expect(claimResume(stateDir, "abc123", "aaaaaa")).toBe(true);
    expect(claimResume(stateDir, "abc123", "bbbbbb")).toBe(false);
    releaseResume(stateDir, "abc123");
    expect(claimResume(stateDir, "abc123", "cccccc")).toBe(true);
  });

  test("go when they are forgotten, all of a launch", () => {
    claim("abc123");
    claim("abc124");
    for (const suffix of ["exit", "screen", "env", "resumed"]) writeFileSync(fileOf(`abc123.${suffix}`), "0");
    forgetLaunch(stateDir, "abc123");
    expect(readdirSync(join(stateDir, "launches"))).toEqual(["abc124.json"]);
  });

  test("are pruned a week after their end, and a month after their start when they died", () => {
    const ended = (id: string, days: number) => {
      claim(id, { startedAtMs: nowMs - 100 * dayMs });
      writeFileSync(fileOf(`${id}.exit`), "0\n");
      utimesSync(fileOf(`${id}.exit`), (nowMs - days * dayMs) / 1000, (nowMs - days * dayMs) / 1000);
    };
    ended("ended6", 6);
    ended("ended8", 8);
    claim("died29", { startedAtMs: nowMs - 29 * dayMs });
    claim("died31", { startedAtMs: nowMs - 31 * dayMs });
    claim("back08", { startedAtMs: nowMs - 8 * dayMs });
    claimResume(stateDir, "back08", "ended6");
    claim("runs99", { startedAtMs: nowMs - 99 * dayMs, tmuxSession: "runs" });
    leaveStartEnv(stateDir, "died29", { env: { MY_API_KEY: "sk-1" }, umask: 0 });
    pruneLaunches(stateDir, listLaunches(stateDir), around({ runs: 0 }));
    expect(listLaunches(stateDir).map(({ record }) => record.id)).toEqual(["ended6", "runs99", "died29"]);
    expect(existsSync(fileOf("died29.env"))).toBe(false);
  });
});
