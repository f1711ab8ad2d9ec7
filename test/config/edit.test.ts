import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConfigEdit, editConfig } from "../../src/config/edit.ts";
import type { Change } from "../../src/config/jsonc-edit.ts";
import { type Homes, resolveHomes } from "../../src/config/paths.ts";
import { renderUnifiedDiff } from "../../src/config/unified-diff.ts";
import { ClutchError, renderError } from "../../src/errors.ts";
import { findBinary } from "../../src/find-binary.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-edit-"));
afterAll(() => rmSync(root, { recursive: true }));

const toPort = (value: number): Change => ({ kind: "set", path: ["server", "port"], value });

/** A home with this config file, if any. */
function home(text?: string): { homes: Homes; file: string } {
  const folder = mkdtempSync(join(root, "home-"));
  const homes = resolveHomes({ CLUTCH_HOME: folder });
  if (text !== undefined) writeFileSync(homes.configFile, text);
  return { homes, file: homes.configFile };
}

const edit = (homes: Homes, changes: Change[], more: Partial<Parameters<typeof editConfig>[0]> = {}) =>
  editConfig({ homes, plan: () => changes, ...more });

async function refusal(work: Promise<ConfigEdit>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ClutchError) return renderError(error);
    throw error;
  }
  return "was done";
}

describe("editConfig()", () => {
  test("writes the file with its mode, and shows the difference", async () => {
    const { homes, file } = home('{\n  // mine\n  "server": { "port": 8082 },\n}\n');
    chmodSync(file, 0o640);
    const done = await edit(homes, [toPort(9000)]);
    expect(done).toEqual({
      path: file,
      isLegacy: false,
      isChanged: true,
      isNew: false,
      diff: [
        `--- ${file}`,
        `+++ ${file}`,
        "@@ -1,4 +1,4 @@",
        " {",
        "   // mine",
        '-  "server": { "port": 8082 },',
        '+  "server": { "port": 9000 },',
        " }",
      ].join("\n"),
    });
    expect(readFileSync(file, "utf8")).toBe('{\n  // mine\n  "server": { "port": 9000 },\n}\n');
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(readdirSync(homes.configFile.slice(0, -"/config.json".length))).toEqual(["config.json"]);
  });

  test("makes a file where there is none, closed to others, and its folder", async () => {
    const base = mkdtempSync(join(root, "xdg-"));
    const homes = resolveHomes({ HOME: base });
    const done = await edit(homes, [toPort(9000)]);
    expect(done).toMatchObject({ isNew: true, isChanged: true, path: join(base, ".config/clutch/config.json") });
    expect(done.diff).toStartWith("--- /dev/null\n");
    expect(readFileSync(done.path, "utf8")).toBe('{\n  "server": { "port": 9000 }\n}\n');
    expect(statSync(done.path).mode & 0o777).toBe(0o600);
    expect(statSync(join(base, ".config/clutch")).mode & 0o777).toBe(0o700);
  });

  test("writes nothing, makes nothing and locks nothing for what makes no difference, or is only tried", async () => {
    const base = mkdtempSync(join(root, "xdg-"));
    const homes = resolveHomes({ HOME: base });
    expect(await edit(homes, [])).toMatchObject({ isChanged: false, isNew: true, diff: "" });
    expect(await edit(homes, [toPort(9000)], { isDryRun: true })).toMatchObject({ isChanged: true });
    expect(readdirSync(base)).toEqual([]);
    const { homes: own, file } = home('{ "server": { "port": 9000 } }');
    const before = statSync(file);
    expect(await edit(own, [toPort(9000)])).toMatchObject({ isChanged: false, diff: "" });
    expect(await edit(own, [toPort(9001)], { isDryRun: true })).toMatchObject({ isChanged: true });
    expect(statSync(file)).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
  });

  test("writes through a symbolic link, which stays one", async () => {
    const { homes, file } = home();
    mkdirSync(join(root, "dotfiles"), { recursive: true });
    const real = join(root, "dotfiles/clutch.json");
    writeFileSync(real, "{}\n");
    symlinkSync(real, file);
    await edit(homes, [toPort(9000)]);
    expect(lstatSync(file).isSymbolicLink()).toBe(true);
    expect(readFileSync(real, "utf8")).toContain("9000");
    expect(readdirSync(join(root, "dotfiles"))).toEqual(["clutch.json"]);
  });

  test("refuses a link to nothing, a folder, and a file of the wrong name", async () => {
    const { homes, file } = home();
    symlinkSync(join(root, "nowhere"), file);
    expect(await refusal(edit(homes, [toPort(1)]))).toContain("cannot be read (it is a link to nothing)");
    rmSync(file);
    mkdirSync(file);
    expect(await refusal(edit(homes, [toPort(1)]))).toContain("cannot be read (EISDIR)");
    const named = resolveHomes({ CLUTCH_HOME: root, CLUTCH_CONFIG: join(root, "typo.json") });
    expect(await refusal(edit(named, [toPort(1)]))).toContain("which is not there: correct the path");
  });

  test("refuses a file that is broken already, with line and column", async () => {
    const text = '{\n  "server": { "port": 1 }\n  "fallbacks": []\n}\n';
    const { homes, file } = home(text);
    expect(await refusal(edit(homes, [toPort(1)]))).toBe(
      `${file}:3:3 is not valid JSON (comma expected): mend that line`,
    );
    expect(readFileSync(file, "utf8")).toBe(text);
  });

  test("refuses what the schema or the caller has something against, and writes nothing", async () => {
    const { homes, file } = home("{}\n");
    expect(await refusal(edit(homes, [toPort(99999)]))).toMatch(
      /^nothing was written, for the config would not hold: .*"server\.port" is 99999: too big/,
    );
    const unknown: Change = { kind: "set", path: ["sever"], value: {} };
    expect(await refusal(edit(homes, [unknown]))).toContain('unknown key "sever": did you mean "server"?');
    const check = () => {
      throw new ClutchError("config-invalid", "a cycle");
    };
    expect(await refusal(edit(homes, [toPort(1)], { check }))).toEndWith("would not hold: a cycle");
    expect(readFileSync(file, "utf8")).toBe("{}\n");
  });

  test("edits the predecessor's file where that one is in force, whose other keys are no fault", async () => {
    const base = mkdtempSync(join(root, "legacy-"));
    mkdirSync(join(base, ".xx"));
    writeFileSync(join(base, ".xx/config.json"), '{\n  "old": true\n}\n');
    const done = await edit(resolveHomes({ HOME: base }), [toPort(9000)]);
    expect(done).toMatchObject({ isLegacy: true, path: join(base, ".xx/config.json") });
    expect(existsSync(join(base, ".config"))).toBe(false);
  });

  test("shows no login of an address, but that one changed", async () => {
    const { homes } = home(
      '{\n  "providers": {\n    "a": { "base_url": "https://me:pw-one@a.example/v1" }, // "https://me:pw-old@a.example"\n    "b": { "base_url": "HTTP://pw-two@b.example:8000/v1" }\n  }\n}\n',
    );
    const path = ["providers", "b", "base_url"];
    const { diff } = await edit(homes, [{ kind: "set", path, value: "http://me:pw@three@b.example:8000/v1" }]);
    expect(diff).not.toMatch(/pw|three/);
    expect(diff).toContain(
      [
        '     "a": { "base_url": "https://(hidden)@a.example/v1" }, // "https://(hidden)@a.example"',
        '-    "b": { "base_url": "HTTP://(hidden)@b.example:8000/v1" }',
        '+    "b": { "base_url": "http://(hidden, new)@b.example:8000/v1" }',
      ].join("\n"),
    );
  });

  test("shows no key of the user's, but that one changed", async () => {
    const { homes } = home(
      '{\n  "providers": {\n    "a": { "api_key": "sk-one" }, // "api_key": "sk-old"\n    "b": { "headers": { "x-id": "sk-two" } },\n    "c": { "api_key": "env:C" }\n  }\n}\n',
    );
    const { diff } = await edit(homes, [
      { kind: "set", path: ["providers", "b", "headers", "x-id"], value: "sk-three" },
    ]);
    expect(diff).not.toMatch(/sk-/);
    expect(diff).toContain(
      '-    "b": { "headers": { "x-id": "(hidden)" } },\n+    "b": { "headers": { "x-id": "(hidden, new)" } },',
    );
    expect(diff).toContain('    "a": { "api_key": "(hidden)" }, // "api_key": "(hidden)"\n');
    expect(diff).toContain('"api_key": "env:C"');
  });

  test("waits for another edit, and tells whose it is when that takes too long", async () => {
    const { homes, file } = home("{}\n");
    const lock = `${file}.lock`;
    writeFileSync(lock, `${process.pid}\n`);
    const waiting = edit(homes, [toPort(9000)]);
    await Bun.sleep(150);
    expect(readFileSync(file, "utf8")).toBe("{}\n");
    rmSync(lock);
    expect(await waiting).toMatchObject({ isChanged: true });
    writeFileSync(lock, `${process.pid}\n`);
    expect(await refusal(edit(homes, [toPort(9001)]))).toBe(
      `${file} is being edited by another clutch (pid ${process.pid}): let it finish, or remove ${lock} if there is none`,
    );
    rmSync(lock);
  }, 10_000);

  test("takes over the lock of a process that is gone, and one that is too old to be true", async () => {
    const { homes, file } = home("{}\n");
    const gone = Bun.spawn(["true"]);
    await gone.exited;
    writeFileSync(`${file}.lock`, `${gone.pid}\n`);
    expect(await edit(homes, [toPort(9000)])).toMatchObject({ isChanged: true });
    writeFileSync(`${file}.lock`, `${process.pid}\n`);
    utimesSync(`${file}.lock`, new Date(0), new Date(0));
    expect(await edit(homes, [toPort(9001)])).toMatchObject({ isChanged: true });
    expect(existsSync(`${file}.lock`)).toBe(false);
  });

  test("plans anew on what somebody without a lock wrote meanwhile", async () => {
    const { homes, file } = home("{}\n");
    let plans = 0;
    const plan = () => {
      plans += 1;
      // The third look is the one under the lock's second attempt.
      if (plans === 2) writeFileSync(file, '{ "fallbacks": ["m"] }\n');
      return [toPort(9000)];
    };
    expect(await editConfig({ homes, plan })).toMatchObject({ isChanged: true });
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ fallbacks: ["m"], server: { port: 9000 } });
  });

  test("leaves nothing behind where the folder cannot be written", async () => {
    const { homes } = home();
    writeFileSync(join(homes.stateDir.replace(/\/state$/, ""), "file"), "");
    const inFile = resolveHomes({ CLUTCH_HOME: join(homes.stateDir.replace(/\/state$/, ""), "file") });
    expect(await refusal(edit(inFile, [toPort(9000)]))).toMatch(/cannot be (read|locked) \(\w+\): check its owner/);
  });
});

describe("renderUnifiedDiff()", () => {
  const names = { before: "a", after: "b" };
  const texts: [name: string, before: string, after: string][] = [
    ["a change", "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n"],
    [
      "two changes far apart",
      `${"x\n".repeat(3)}a\n${"y\n".repeat(12)}b\nz\n`,
      `${"x\n".repeat(3)}A\n${"y\n".repeat(12)}B\nz\n`,
    ],
    ["two changes close together", "a\n1\n2\n3\nb\n", "A\n1\n2\n3\nB\n"],
    ["lines moved", "a\nb\nc\nd\n", "b\nc\na\nd\n"],
    ["from nothing", "", "a\nb\n"],
    ["to nothing", "a\nb\n", ""],
    ["the last line end", "a\nb", "a\nb\n"],
    ["a line behind one without an end", "a", "a\nb"],
  ];
  const patch = findBinary("patch", process.env);
  const diff = findBinary("diff", process.env);

  test.each(texts)("says of %s what diff -u says", async (_name, before, after) => {
    if (diff === undefined) throw new Error("diff is not on PATH");
    const folder = mkdtempSync(join(root, "diff-"));
    writeFileSync(join(folder, "a"), before);
    writeFileSync(join(folder, "b"), after);
    const theirs = Bun.spawnSync([diff, "-u", "a", "b"], { cwd: folder }).stdout.toString().trimEnd().split("\n");
    const ours = renderUnifiedDiff(before, after, names).split("\n");
    expect(ours.slice(2)).toEqual(theirs.slice(2));
    if (patch === undefined) return;
    writeFileSync(join(folder, "c.patch"), `${ours.join("\n")}\n`);
    Bun.spawnSync([patch, "-s", "a", "c.patch"], { cwd: folder });
    expect(existsSync(join(folder, "a")) ? readFileSync(join(folder, "a"), "utf8") : "").toBe(after);
  });

  test("says nothing of equal texts, and shows no carriage returns", () => {
    expect(renderUnifiedDiff("a\r\n", "a\r\n", names)).toBe("");
    expect(renderUnifiedDiff("a\r\n", "b\r\n", names)).toBe("--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b");
  });
});
