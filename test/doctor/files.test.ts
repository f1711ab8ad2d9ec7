import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { checkFiles, type FilePlace } from "../../src/doctor/files.ts";
import { type Finding, mendAll } from "../../src/doctor/finding.ts";
import { makeHome } from "../support/gateway.ts";

let home = "";
let stateDir = "";
const now = Date.now();

beforeEach(() => {
  home = makeHome();
  stateDir = join(home, "state");
  mkdirSync(stateDir, { mode: 0o700 });
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

async function look(changes: Partial<FilePlace> = {}): Promise<Finding[]> {
  const place = { stateDir, database: join(home, "clutch.db"), configPath: undefined, holdsKey: false, now };
  return checkFiles({ ...place, uid: process.getuid?.() ?? 0, ...changes }).look();
}

function write(name: string, mode: number, ageMs = 0): string {
  const path = join(home, name);
  writeFileSync(path, "", { mode });
  chmodSync(path, mode);
  const then = new Date(now - ageMs);
  utimesSync(path, then, then);
  return path;
}

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe("checkFiles()", () => {
  test("says so when there is nothing, and when all is well", async () => {
    write("state/launch.key", 0o600);
    expect(await look()).toMatchObject([{ level: "ok", text: "2 files and folders of Clutch's are closed to others" }]);
    rmSync(stateDir, { recursive: true });
    expect(await look()).toMatchObject([{ level: "ok", text: "there are none yet" }]);
  });

  test.each([
    [0o644, "others can read", "600"],
    [0o640, "others can read", "600"],
    [0o666, "others can change", "600"],
    [0o755, "others can read", "700"],
    [0o444, "others can read", "400"],
  ])("a file of mode %p", async (mode, words, mended) => {
    const path = write("state/some.json", mode);
    const found = await look();
    expect(found).toMatchObject([{ level: "warn", text: expect.stringContaining(`${words} ${path}`) }]);
    expect(mendAll(found)[0]?.mended).toBe(`chmod ${mended} ${path}`);
    expect(modeOf(path)).toBe(mended);
  });

  test("judges the config, and what it is a link to: by its keys, and by who can name commands in it", async () => {
    const config = write("config.json", 0o644);
    const configPath = join(home, "link.json");
    symlinkSync(config, configPath);
    expect(await look({ configPath })).toMatchObject([{ level: "ok" }]);
    const withKey = await look({ configPath, holdsKey: true });
    expect(withKey).toMatchObject([{ level: "warn", text: `others can read ${config} (mode 644)` }]);
    chmodSync(config, 0o606);
    const open = await look({ configPath });
    expect(open).toMatchObject([{ level: "warn", text: `others can change ${config} (mode 606)` }]);
    expect([mendAll(open)[0]?.mended, modeOf(config)]).toEqual([`chmod 600 ${config}`, "600"]);
  });

  test("mends no file that has taken another's place, and follows no link", async () => {
    const secret = write("elsewhere", 0o644);
    symlinkSync(secret, join(stateDir, "linked.json"));
    symlinkSync(home, join(stateDir, "linked-folder"));
    expect(await look()).toMatchObject([{ level: "ok" }]);
    const path = write("state/some.json", 0o644);
    const found = await look();
    rmSync(path);
    symlinkSync(secret, path);
    expect(mendAll(found)).toMatchObject([{ unmended: "ELOOP" }]);
    rmSync(path);
    write("another", 0o644);
    writeFileSync(path, "", { mode: 0o644 });
    chmodSync(path, 0o644);
    mendAll(found);
    expect([modeOf(secret), modeOf(join(home, "another"))]).toEqual(["644", "644"]);
  });

  test("what belongs to another user is a fault that its owner has to mend", async () => {
    const path = write("state/some.json", 0o600);
    const found = await look({ uid: 54321 });
    expect(found).toMatchObject([{ level: "fail" }, { level: "fail", fix: `sudo chown 54321 ${path}` }]);
    expect(found.every((finding) => finding.mend === undefined)).toBe(true);
  });

  test("a config is looked at only where a key stands in it", async () => {
    const configPath = write("config.json", 0o644);
    expect(await look({ configPath })).toMatchObject([{ level: "ok" }]);
    expect(await look({ configPath, holdsKey: true })).toMatchObject([{ level: "warn" }]);
  });

  test("a database's files are looked at, whatever they are called behind its name", async () => {
    for (const end of ["", "-wal", "-serve", ".broken-2026"]) write(`clutch.db${end}`, 0o644);
    write("clutch-backup.db", 0o644);
    expect((await look()).map(({ text }) => text.replace(/.*clutch/, "clutch"))).toEqual([
      "clutch.db (mode 644)",
      "clutch.db-serve (mode 644)",
      "clutch.db-wal (mode 644)",
      "clutch.db.broken-2026 (mode 644)",
    ]);
  });

  const hour = 3_600_000;
  test.each([
    ["an environment that has just been left", "state/launches/abc.env", 0, false],
    ["one that nobody fetched", "state/launches/abc.env", 2 * hour, true],
    ["a draft of a process that lives", `state/models.json.${process.pid}`, 2 * hour, false],
    ["a fresh draft of one that is gone", "state/models.json.99999999", 0, false],
    ["an old draft of one that is gone", "state/models.json.99999999", 2 * hour, true],
    ["a log with a number", "state/gateway.log.3", 200 * hour, false],
  ])("%s", async (_name, name, ageMs, isStale) => {
    mkdirSync(join(stateDir, "launches"), { mode: 0o700 });
    const path = write(name, 0o600, ageMs);
    const found = await look();
    expect(found.map(({ level }) => level)).toEqual([isStale ? "warn" : "ok"]);
    if (isStale) expect(mendAll(found)[0]?.mended).toBe(`removed ${path}`);
  });

  test("a socket that somebody answers on is left alone", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(stateDir, "chain.sock"), resolve));
    expect(await look()).toMatchObject([{ level: "ok" }]);
    await new Promise((resolve) => server.close(resolve));
  });
});
