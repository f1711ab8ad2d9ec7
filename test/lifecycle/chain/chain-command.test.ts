/** `clutch chain` as a program of its own, with its config in a temporary folder. */

import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runClutch } from "../../support/run-clutch.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-chain-"));
afterAll(() => rmSync(root, { recursive: true }));

function newHome(config?: unknown): {
  home: string;
  file: string;
  chain: (...args: string[]) => ReturnType<typeof runClutch>;
} {
  const home = mkdtempSync(join(root, "home-"));
  const file = join(home, "config.json");
  if (config !== undefined) writeFileSync(file, typeof config === "string" ? config : `${JSON.stringify(config)}\n`);
  mkdirSync(join(home, "bin"));
  return { home, file, chain: (...args) => runClutch(home, ["chain", ...args], { PATH: join(home, "bin") }) };
}

function program(home: string, name: string): string {
  const file = join(home, "bin", name);
  writeFileSync(file, "#!/bin/sh\n");
  chmodSync(file, 0o755);
  return file;
}

describe("clutch chain", () => {
  test("lists what starts in its order, who needs whom, and why the rest does not", async () => {
    const { home, chain } = newHome({
      headroom: { mode: "off" },
      chain: { services: [{ id: "db", port: 9000, command: ["my-db", "-q"], order: -1, needs: ["gateway"] }] },
    });
    program(home, "my-db");
    const { code, stdout, stderr } = await chain();
    expect(`${stdout}${stderr}`).toBe(
      [
        "   service      port  needs    needed by",
        "1  gateway      8082           db, headroom",
        "2  db           9000  gateway                my-db -q",
        '-  headroom     8787  gateway                headroom.mode is "off"',
        "-  cliproxyapi  8317                         off unless the config says otherwise: clutch chain enable cliproxyapi",
        "-  rtk                                       passive: it has no process",
        "",
      ].join("\n"),
    );
    expect(code).toBe(0);
    const { services } = JSON.parse((await chain("list", "--json")).stdout);
    expect(services[1]).toEqual({
      id: "db",
      name: "db",
      type: "http",
      built_in: false,
      enabled: true,
      place: 2,
      order: -1,
      front: false,
      port: 9000,
      needs: ["gateway"],
      needed_by: [],
      command: ["my-db", "-q"],
      env: [],
      health_path: "/health",
      ready_seconds: 30,
      reason: null,
    });
  });

  test("edits a file that it makes, shows how, and does nothing twice", async () => {
    const { file, chain } = newHome();
    const tried = await chain(
      "add",
      "db",
      "--port",
      "9000",
      "--env",
      "KEY=env:DB_KEY",
      "--dry-run",
      "--",
      "my-db",
      "--port",
      "9000",
    );
    expect(tried.stdout).toContain('+        "command": ["my-db", "--port", "9000"],\n');
    expect(tried.stdout).toEndWith("would be done: added db\n");
    expect(existsSync(file)).toBe(false);
    const added = await chain(
      "add",
      "db",
      "--port",
      "9000",
      "--env",
      "KEY=env:DB_KEY",
      "--",
      "my-db",
      "--port",
      "9000",
    );
    expect(added.stdout).toEndWith("added db\nin force from the next clutch up\n");
    expect(added.stderr).toBe("clutch: my-db is not on PATH here\n");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const text = readFileSync(file, "utf8");
    const again = await chain(
      "add",
      "db",
      "--port",
      "9000",
      "--env",
      "KEY=env:DB_KEY",
      "--",
      "my-db",
      "--port",
      "9000",
    );
    expect([again.code, again.stdout]).toEqual([0, "db is there already: nothing to do\n"]);
    expect(readFileSync(file, "utf8")).toBe(text);
    expect((await chain("remove", "db")).code).toBe(0);
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ chain: { services: [] } });
  });

  test("tells an edit as JSON, its difference included", async () => {
    const { file, chain } = newHome("{}\n");
    const { code, stdout } = await chain("disable", "headroom", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      action: "disable",
      service: "headroom",
      changed: true,
      dry_run: false,
      created: false,
      path: file,
      summary: 'disabled headroom: headroom.mode is "off"',
      notes: [],
      diff: `--- ${file}\n+++ ${file}\n@@ -1 +1,3 @@\n-{}\n+{\n+  "headroom": { "mode": "off" }\n+}`,
    });
    expect(JSON.parse((await chain("disable", "headroom", "--json")).stdout)).toMatchObject({
      changed: false,
      diff: "",
    });
  });

  test("moves and sets", async () => {
    const { file, chain } = newHome({ chain: { services: [{ id: "db", port: 9000, command: ["my-db"] }] } });
    expect((await chain("move", "db", "--after", "gateway")).stdout).toContain("moved db after gateway\n");
    expect((await chain("set", "db", "port=9001", "env.A=1")).code).toBe(0);
    expect((await chain("set", "db", "--unset", "order")).code).toBe(0);
    expect(JSON.parse(readFileSync(file, "utf8")).chain.services).toEqual([
      { id: "db", port: 9001, command: ["my-db"], env: { A: "1" } },
    ]);
  });

  const refused: [args: string[], code: number, message: string][] = [
    [["lst"], 2, "clutch: there is no clutch chain lst: did you mean list?\n"],
    [["enable", "headrom"], 2, 'clutch: there is no service "headrom": did you mean "headroom"?\n'],
    [
      ["move", "rtk"],
      2,
      "clutch: where is rtk to go: give one of --before <service>, --after <service>, or a position from 1 on\n",
    ],
    [
      ["move", "rtk", "1", "--after", "gateway"],
      2,
      "clutch: rtk can go to one place: give one of --before <service>, --after <service>, or a position from 1 on\n",
    ],
    [
      ["add", "DB", "--port", "1", "--", "x"],
      2,
      'clutch: "DB" is no id: use lower-case letters, digits and hyphens, up to 32\n',
    ],
    [["add", "db", "--", "x"], 2, "clutch: db has no port: clutch chain add db --port 9000 -- my-server --port 9000\n"],
    [
      ["add", "db", "--port", "1"],
      2,
      "clutch: db has no command: clutch chain add db --port 9000 -- my-server --port 9000\n",
    ],
    [
      ["add", "db", "--port", "1", "--", "./x"],
      2,
      'clutch: command begins with "./x": give its absolute path: services have no current folder\n',
    ],
    [
      ["set", "cliproxyapi", "needs=cliproxyapi"],
      2,
      'clutch: nothing was written, for the config would not hold: chain.services: a cycle: cliproxyapi needs cliproxyapi: take one of them out of "needs": a chain has a beginning\n',
    ],
  ];
  test.each(refused)("refuses %p with status %d", async (args, code, message) => {
    const { file, chain } = newHome();
    const done = await chain(...args);
    expect([done.code, done.stderr]).toEqual([code, message]);
    expect(existsSync(file)).toBe(false);
  });

  test("refuses to touch a file that is broken", async () => {
    const { file, chain } = newHome('{\n  "chain": {,}\n}\n');
    const { code, stderr } = await chain("enable", "cliproxyapi");
    expect([code, stderr]).toEqual([2, `clutch: ${file}:2:13 is not valid JSON (value expected): mend that line\n`]);
  });

  test("twelve edits at the same time all arrive", async () => {
    const { home, file, chain } = newHome("{\n  // mine\n}\n");
    const ids = Array.from({ length: 12 }, (_, at) => `s${at}`);
    const done = await Promise.all(ids.map((id, at) => chain("add", id, "--port", String(9000 + at), "--", "/opt/x")));
    expect(done.map(({ code, stderr }) => [code, stderr.replace(/^.* not on PATH here\n/, "")])).toEqual(
      ids.map(() => [0, ""]),
    );
    const text = readFileSync(file, "utf8");
    expect(text).toStartWith("{\n  // mine\n");
    const after = await chain("list", "--json");
    const listed = JSON.parse(after.stdout).services.map(({ id }: { id: string }) => id);
    expect(listed).toEqual(expect.arrayContaining(ids));
    // Bun itself keeps a folder in HOME.
    expect(
      readdirSync(home)
        .filter((name) => name !== ".bun")
        .sort(),
    ).toEqual(["bin", "config.json"]);
  }, 60_000);
});

describe("clutch chain validate", () => {
  test("finds what is in the way, and by whom", async () => {
    const other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("no", { status: 404 }) });
    const well = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("ok") });
    const { home, chain } = newHome({
      server: { port: well.port },
      chain: {
        services: [
          {
            id: "a",
            port: other.port,
            command: ["nowhere"],
            env: { KEY: "env:CLUTCH_TEST_KEY" },
            needs: ["cliproxyapi"],
          },
        ],
      },
    });
    try {
      const { code, stdout } = await chain("validate");
      expect(stdout.split("\n")).toEqual([
        "note     headroom: headroom is not on PATH",
        "problem  a: nowhere is not on PATH (install it, or clutch chain set a command=/its/path)",
        "note     a: KEY is env:CLUTCH_TEST_KEY, which is not set here (export CLUTCH_TEST_KEY before clutch up)",
        "note     a: it needs cliproxyapi, which is off: it starts without it",
        expect.stringMatching(
          /^problem {2}a: port \d+ is taken by .*\(pid \d+\), which answers 404 on \/health \(stop it, or clutch chain set a port=\.\.\.\)$/,
        ),
        "the chain cannot be started as a whole",
        "",
      ]);
      expect(code).toBe(3);
      program(home, "nowhere");
      await other.stop(true);
      const mended = await chain("validate", "--json");
      expect(mended.code).toBe(0);
      const { valid, findings } = JSON.parse(mended.stdout);
      expect(valid).toBe(true);
      expect(findings.map(({ kind }: { kind: string }) => kind)).toEqual(["note", "note", "note"]);
    } finally {
      await other.stop(true);
      await well.stop(true);
    }
  });

  test("a chain that no machine could start is a mistake in the config", async () => {
    const { chain } = newHome({ chain: { services: [{ id: "headroom", needs: ["headroom"] }] } });
    const { code, stderr } = await chain("validate");
    expect(code).toBe(2);
    expect(stderr).toContain("a cycle: headroom needs headroom");
  });
});
