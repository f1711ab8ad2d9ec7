/** `clutch config` as a program: whole calls, whole answers, and the file that is left. */

import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { skipAloud } from "../../agent-tests/skip-aloud.ts";
import { findBinary } from "../../src/find-binary.ts";
import { runClutch } from "../support/run-clutch.ts";

import { startTerminal } from "../support/terminal.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-config-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const secret = "sk-or-v1-0123456789abcdef";

function home(text?: string): { home: string; file: string } {
  const folder = mkdtempSync(join(root, "home-"));
  const file = join(folder, "config.json");
  if (text !== undefined) writeFileSync(file, text, { mode: 0o600 });
  return { home: folder, file };
}

const entry = join(import.meta.dir, "../../src/main.ts");
const isWithoutTmux = findBinary("tmux", process.env) === undefined;
if (isWithoutTmux) skipAloud("clutch config at a terminal", "tmux is not on PATH");
const quiet = { BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0" };
const config = (folder: string, args: readonly string[], env: Record<string, string> = {}) =>
  runClutch(folder, ["config", ...args], { ...quiet, ...env });

const written = `{
  // the port that agents know
  "server": { "port": 8090 },
  "providers": {
    "openrouter": { "api_key": "${secret}" }, // mine
    "openai": { "api_key": "env:MY_OPENAI" }
  },
  "fallbacks": ["a/b:free", "c/d:free"]
}
`;

describe("clutch config show", () => {
  test.skipIf(isWithoutTmux)(
    "has its colours at a terminal, and not their signs",
    async () => {
      const { home: folder } = home('{ "providers": { "openai": { "api_key": "env:MY_OPENAI" } } }');
      const env = { PATH: "/usr/bin:/bin", HOME: folder, CLUTCH_HOME: folder, ...quiet };
      const command = `${process.execPath} ${entry} config show --changed; echo ended $?; exec sleep 20`;
      const terminal = startTerminal(["/bin/sh", "-c", command], env, folder);
      try {
        await terminal.shows("ended 0");
        expect(terminal.screen().split("\n")[0]).toBe("providers.openai.api_key  file  env:MY_OPENAI (not set)");
      } finally {
        terminal.stop();
      }
    },
    20_000,
  );

  test("tells of names that every object has", async () => {
    const { home: folder } = home('{ "quotas": { "constructor": { "cooldown_seconds": 5 }, "toString": {} } }');
    const { stdout } = await config(folder, ["show", "--changed", "--json"]);
    expect(JSON.parse(stdout).config).toEqual({ quotas: { constructor: { cooldown_seconds: 5 } } });
    const got = await config(folder, ["get", "quotas.constructor.cooldown_seconds"]);
    expect([got.stdout, got.code]).toEqual(["5\n", 0]);
  });

  test("tells each value and who said so: flag, environment, file, default", async () => {
    const { home: folder, file } = home(written);
    const env = { CLUTCH_HOST: "127.0.0.2", GROQ_API_KEY: "gsk_secret" };
    const shown = await config(folder, ["show", "--changed", "--port", "9100"], env);
    expect(shown.stderr).toBe("");
    expect(shown.stdout).toBe(
      [
        "server.host                   CLUTCH_HOST   127.0.0.2",
        "server.port                   --port        9100",
        "providers.openrouter.api_key  file          (hidden)",
        "providers.openai.api_key      file          env:MY_OPENAI (not set)",
        'fallbacks                     file          ["a/b:free","c/d:free"]',
        "providers.groq.api_key        GROQ_API_KEY  env:GROQ_API_KEY",
        "",
        `file: ${file}`,
        "",
      ].join("\n"),
    );
    expect(shown.code).toBe(0);
  });

  test("as JSON is the whole config, without a secret", async () => {
    const { home: folder, file } = home(written);
    const { stdout } = await config(folder, ["show", "--json"]);
    expect(stdout).not.toContain(secret);
    const { path, legacy, config: whole, origins } = JSON.parse(stdout);
    expect({ path, legacy }).toEqual({ path: file, legacy: false });
    expect(whole.server).toEqual({ host: "127.0.0.1", port: 8090, require_key: false });
    expect(whole.providers).toEqual({ openrouter: { api_key: "(hidden)" }, openai: { api_key: "env:MY_OPENAI" } });
    // What is asked where no tiers are named.
    expect(whole.model_tiers.BIG.default).toBe("moonshotai/kimi-k2.6:free");
    expect(origins["server.port"]).toBe("file");
    expect(origins["server.host"]).toBe("default");
    expect(origins["model_tiers.BIG.default"]).toBe("default");
  });

  test("without a file shows the defaults", async () => {
    const { home: folder, file } = home();
    const { stdout, code } = await config(folder, []);
    expect(stdout).toMatch(/^server\.port +default +8082$/m);
    expect(stdout).toEndWith(`\nfile: ${file} (not there)\nclutch init makes one\n`);
    expect(code).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("clutch config get", () => {
  const answers: [args: string[], stdout: string, code: number][] = [
    [["server.port"], "8090\n", 0],
    [["server.host"], "127.0.0.1\n", 0],
    [["fallbacks[1]"], "c/d:free\n", 0],
    [["fallbacks"], '[\n  "a/b:free",\n  "c/d:free"\n]\n', 0],
    [["breaker"], '{\n  "failures": 3,\n  "cooldown_seconds": 60,\n  "max_cooldown_seconds": 3600\n}\n', 0],
    [["providers.openrouter.api_key"], "(hidden)\n", 0],
    [["fallbacks[7]"], "", 1],
    [["server.port", "--json"], '{"setting":"server.port","value":8090,"origin":"file"}\n', 0],
    [["mappings.x", "--json"], '{"setting":"mappings.x","value":null,"origin":null}\n', 1],
    [["server.prot"], "", 2],
  ];
  test.each(answers)("%j", async (args, stdout, code) => {
    const got = await config(home(written).home, ["get", ...args]);
    expect({ stdout: got.stdout, code: got.code }).toEqual({ stdout, code });
  });
});

describe("clutch config set and unset", () => {
  test("change one value and nothing else, and show it", async () => {
    const { home: folder, file } = home(written);
    const done = await config(folder, ["set", "server.port", "9000"]);
    expect(done).toEqual({
      code: 0,
      stderr: "",
      stdout: [
        `--- ${file}`,
        `+++ ${file}`,
        "@@ -1,6 +1,6 @@",
        " {",
        "   // the port that agents know",
        '-  "server": { "port": 8090 },',
        '+  "server": { "port": 9000 },',
        '   "providers": {',
        '     "openrouter": { "api_key": "(hidden)" }, // mine',
        '     "openai": { "api_key": "env:MY_OPENAI" }',
        "server.port is 9000",
        "in force when the gateway starts next: clutch restart gateway",
        "",
      ].join("\n"),
    });
    expect(readFileSync(file, "utf8")).toBe(written.replace("8090", "9000"));
    expect((await config(folder, ["set", "server.port", "9000"])).stdout).toBe("server.port is 9000 already\n");
    expect((await config(folder, ["unset", "server.port"])).code).toBe(0);
    expect(readFileSync(file, "utf8")).toBe(written.replace('{ "port": 8090 }', "{}"));
    expect((await config(folder, ["unset", "server.port"])).stdout).toBe("server.port is not in the file already\n");
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test("make the file where there is none", async () => {
    const { home: folder, file } = home();
    expect((await config(folder, ["set", "mappings.gpt-6.1", "BIG"])).code).toBe(0);
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ mappings: { "gpt-6.1": "BIG" } });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  const refused: [args: string[], stderr: RegExp][] = [
    [["set", "server.prot", "1"], /^clutch: there is no setting "server\.prot": did you mean "server\.port"\?\n$/],
    [
      ["set", "server.port", "many"],
      /^clutch: nothing was written, for the config would not hold: .*"server\.port" is "many"/,
    ],
    [["set", "providers.box.headers.x", "1"], /^clutch: nothing was written, .*providers\.box has no base_url/],
    [["set", "default_provider", "nobody"], /^clutch: nothing was written, .*default_provider is "nobody"/],
  ];
  test.each(refused)("%j is refused and writes nothing", async (args, stderr) => {
    const { home: folder, file } = home(written);
    const done = await config(folder, args);
    expect(done.code).not.toBe(0);
    expect(done.stderr).toMatch(stderr);
    expect(readFileSync(file, "utf8")).toBe(written);
  });

  test("show a secret nowhere, and say where it may have been left", async () => {
    const { home: folder, file } = home("{}\n");
    const done = await config(folder, ["set", "providers.openrouter.api_key", secret]);
    expect(done.stdout + done.stderr).not.toContain(secret);
    expect(done.stderr).toBe(
      "clutch: the key may be in your shell's history now; clutch config set providers.openrouter.api_key - asks for it\n",
    );
    expect(JSON.parse(readFileSync(file, "utf8")).providers.openrouter.api_key).toBe(secret);
  });

  test("- reads the value from standard input, or asks for it unseen", async () => {
    const { home: folder, file } = home("{}\n");
    const piped = Bun.spawnSync([process.execPath, entry, "config", "set", "providers.openrouter.api_key", "-"], {
      env: { PATH: "", HOME: folder, CLUTCH_HOME: folder, ...quiet },
      stdin: Buffer.from(`${secret}\n`),
    });
    expect(piped.exitCode).toBe(0);
    expect(piped.stdout.toString() + piped.stderr.toString()).not.toContain(secret);
    expect(JSON.parse(readFileSync(file, "utf8")).providers.openrouter.api_key).toBe(secret);
    const empty = await config(folder, ["set", "providers.openrouter.api_key", "-"]);
    expect(empty.stderr).toBe(
      "clutch: nothing came from standard input: such as: pass show key | clutch config set ... -\n",
    );
  });

  test.skipIf(isWithoutTmux)(
    "- asks for it at a terminal, and shows nothing of it",
    async () => {
      const { home: folder, file } = home("{}\n");
      const env = { PATH: "/usr/bin:/bin", HOME: folder, CLUTCH_HOME: folder, NO_COLOR: "1", ...quiet };
      const command = `${process.execPath} ${entry} config set providers.openrouter.api_key -; echo ended $?; exec sleep 20`;
      const terminal = startTerminal(["/bin/sh", "-c", command], env, folder);
      try {
        await terminal.shows("providers.openrouter.api_key (not shown)");
        terminal.type(secret);
        terminal.press("Enter");
        await terminal.shows("ended 0");
        expect(terminal.screen()).not.toContain(secret);
        expect(JSON.parse(readFileSync(file, "utf8")).providers.openrouter.api_key).toBe(secret);
      } finally {
        terminal.stop();
      }
    },
    20_000,
  );

  test("--dry-run --json tells what would be, and writes nothing", async () => {
    const { home: folder, file } = home("{}\n");
    const { stdout } = await config(folder, ["set", "server.port", "9", "--dry-run", "--json"]);
    const { diff, ...rest } = JSON.parse(stdout);
    expect(rest).toEqual({
      changed: true,
      dry_run: true,
      created: false,
      path: file,
      summary: "server.port is 9",
      notes: [],
    });
    expect(diff).toEndWith('\n-{}\n+{\n+  "server": { "port": 9 }\n+}');
    expect(readFileSync(file, "utf8")).toBe("{}\n");
  });
});

describe("clutch config check", () => {
  test("tells every mistake with its place, and ends with 1", async () => {
    const { home: folder, file } = home('{\n  "sever": {},\n  "headroom": { "mode": "behind" }\n}\n');
    const checked = await config(folder, ["check"]);
    expect(checked.code).toBe(1);
    expect(checked.stdout.split("\n")).toEqual([
      `${file}:2:3: error: unknown key "sever" (did you mean "server"?)`,
      `${file}:3:17: error: "headroom.mode" is "behind": invalid option: expected one of "front"|"sidecar"|"off" (correct it in the file)`,
      "",
    ]);
  });

  test("tells what a gateway would say at its start", async () => {
    const text = `{
  "default_provider": "nobody",
  "timeouts": { "connect_ms": 5 },
  "chain": { "services": [{ "id": "a", "needs": ["b"], "command": ["x"], "port": 9 }] }
}
`;
    const { home: folder, file } = home(text);
    const { stdout, code } = await config(folder, ["check", "--json"]);
    const { problems, ...rest } = JSON.parse(stdout) as { problems: { line: number; kind: string; setting: string }[] };
    expect(rest as object).toEqual({ path: file, valid: false });
    expect(problems.map(({ line, kind, setting }) => `${line} ${kind} ${setting}`)).toEqual([
      "2 error default_provider",
      "3 warning timeouts.connect_ms",
      "4 error chain.services",
    ]);
    expect(code).toBe(1);
  });

  test("warns of names that lead nowhere and of a key that others can read, and ends with 0", async () => {
    const { home: folder, file } = home(
      `{\n  "mappings": {\n    "coder": "nobody:x"\n  },\n  "providers": { "openrouter": { "api_key": "${secret}" } }\n}\n`,
    );
    chmodSync(file, 0o644);
    const { stdout, code } = await config(folder, ["check"]);
    expect(stdout).not.toContain(secret);
    expect(stdout.split("\n")).toEqual([
      expect.stringMatching(/config\.json:3:5: warning: mappings\.coder .*nobody/),
      `${file}:1:1: warning: it holds a key, and others can read it (chmod 600 ${file})`,
      `${file} holds`,
      "",
    ]);
    expect(code).toBe(0);
  });

  test("looks at another file, which has to be there", async () => {
    const { home: folder } = home();
    const other = join(folder, "other.json");
    writeFileSync(other, "{ nonsense");
    expect((await config(folder, ["check", other])).stdout).toStartWith(`${other}:1:3: error: not valid JSON`);
    expect((await config(folder, ["check", join(folder, "none.json")])).code).toBe(1);
    expect((await config(folder, ["check"])).stdout).toBe(
      `${join(folder, "config.json")} is not there: the defaults are in force\n`,
    );
  });
});

describe("clutch config edit", () => {
  /** An editor that puts a text in place of the copy. */
  function editor(folder: string, text: string): string {
    const next = join(folder, "next.txt");
    writeFileSync(next, text);
    const script = join(folder, "editor.sh");
    writeFileSync(script, `#!/bin/sh\n/bin/cp "${next}" "$1"\n`, { mode: 0o700 });
    return script;
  }

  test("puts a valid text in place", async () => {
    const { home: folder, file } = home(written);
    const done = await config(folder, ["edit"], { EDITOR: editor(folder, written.replace("8090", "9001")) });
    expect(done.stderr).toBe("");
    expect(done.stdout).toContain('+  "server": { "port": 9001 },');
    expect(done.stdout).not.toContain(secret);
    expect(readFileSync(file, "utf8")).toBe(written.replace("8090", "9001"));
    expect(readdirSync(join(folder, "state/edit"))).toEqual([]);
  });

  test("keeps a broken text aside, and the file as it was", async () => {
    const { home: folder, file } = home(written);
    const broken = written.replace("8090", "eight");
    const done = await config(folder, ["edit"], { VISUAL: editor(folder, broken), EDITOR: "/bin/false" });
    expect(done.code).toBe(1);
    const kept = /your text is kept: (\S+)/.exec(done.stderr)?.[1] ?? "";
    expect(readFileSync(kept, "utf8")).toBe(broken);
    expect(statSync(kept).mode & 0o777).toBe(0o600);
    expect(done.stderr).toContain(`${kept}:3:23: error: not valid JSON`);
    expect(readFileSync(file, "utf8")).toBe(written);
  });

  test("writes nothing over what somebody else wrote meanwhile", async () => {
    const { home: folder, file } = home(written);
    const script = join(folder, "editor.sh");
    writeFileSync(script, `#!/bin/sh\necho '{}' > "$1"\necho '{"server":{"port":7}}' > "${file}"\n`, { mode: 0o700 });
    const done = await config(folder, ["edit"], { EDITOR: script });
    expect(done.code).toBe(1);
    expect(done.stderr).toMatch(/was changed by somebody else meanwhile: nothing was written; your text is \S+\n$/);
    expect(readFileSync(file, "utf8")).toBe('{"server":{"port":7}}\n');
  });

  test("an editor that fails changes nothing", async () => {
    const { home: folder, file } = home(written);
    const done = await config(folder, ["edit"], { EDITOR: "/bin/false" });
    expect(done.code).toBe(1);
    expect(done.stderr).toStartWith("clutch: /bin/false ended with status 1: nothing was written");
    expect(readFileSync(file, "utf8")).toBe(written);
  });

  test.skipIf(isWithoutTmux)(
    "offers to go on editing at a terminal",
    async () => {
      const { home: folder, file } = home("{}\n");
      const script = join(folder, "editor.sh");
      // Broken the first time, mended the second.
      writeFileSync(
        script,
        `#!/bin/sh\nif [ -e "${folder}/once" ]; then echo '{"server":{"port":9002}}' > "$1"; else touch "${folder}/once"; echo '{"server":' > "$1"; fi\n`,
        { mode: 0o700 },
      );
      const env = { PATH: "/usr/bin:/bin", HOME: folder, CLUTCH_HOME: folder, EDITOR: script, NO_COLOR: "1", ...quiet };
      const terminal = startTerminal(
        ["/bin/sh", "-c", `${process.execPath} ${entry} config edit; echo ended $?; sleep 20`],
        env,
        folder,
      );
      try {
        await terminal.shows("Go on editing?");
        expect(terminal.screen()).toContain("error: not valid JSON");
        terminal.press("Enter");
        await terminal.shows("ended 0");
        expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ server: { port: 9002 } });
      } finally {
        terminal.stop();
      }
    },
    20_000,
  );
});

test("clutch config path, schema and a mistyped command", async () => {
  const { home: folder, file } = home();
  expect((await config(folder, ["path"])).stdout).toBe(`${file}\n`);
  const schema = JSON.parse((await config(folder, ["schema"])).stdout);
  expect(schema.properties.server.properties.port).toEqual({
    description: "0 is any free one",
    default: 8082,
    type: "integer",
    minimum: 0,
    maximum: 65535,
  });
  const typo = await config(folder, ["shwo"]);
  expect(typo).toEqual({ code: 2, stdout: "", stderr: "clutch: there is no clutch config shwo: did you mean show?\n" });
});

test("settings and modes are completed, those of the file too", async () => {
  const { home: folder } = home('{ "providers": { "mybox": { "base_url": "http://127.0.0.1:9/v1" } } }');
  const complete = async (...words: string[]) =>
    (await runClutch(folder, ["--complete", "bash", "--", ...words], quiet)).stdout
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "");
  expect(await complete("config", "get", "server.")).toEqual(["server.host", "server.port", "server.require_key"]);
  expect(await complete("config", "set", "providers.")).toEqual([
    "providers.mybox.protocol",
    "providers.mybox.base_url",
    "providers.mybox.api_key",
    "providers.mybox.api_keys",
  ]);
  expect(await complete("config", "unset", "headroom.mode", "")).toEqual([]);
  await runClutch(folder, ["mode", "save", "freetime"], quiet);
  expect(await complete("mode", "load", "free")).toEqual(["free", "freetime"]);
  expect(await complete("mode", "save", "")).toEqual([]);
});
