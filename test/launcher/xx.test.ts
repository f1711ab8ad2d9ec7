import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLaunchNote } from "../../src/lifecycle/launch-notes.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-xx-"));
const home = join(root, "home");
const project = join(root, "project");
const bin = join(root, "bin");
const log = join(root, "agent.log");
const program = join(import.meta.dir, "../support/run-xx.ts");

beforeAll(() => {
  for (const folder of [home, project, bin]) mkdirSync(folder, { recursive: true });
  for (const name of ["claude", "codex", "hermes", "qwen", "pi", "opencode", "ante", "agy"])
    symlinkSync(join(import.meta.dir, "../support/fake-agent.sh"), join(bin, name));
});

/** Stands in for a gateway, of which a launch asks no more than whether it is there. */
const gateway = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: () => Response.json({ status: "ok", in_flight: 0, draining: false }),
});

afterAll(() => gateway.stop(true));
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

async function xx(
  args: string[],
  extra: { env?: Record<string, string>; stdin?: string; path?: string } = {},
): Promise<Outcome> {
  rmSync(log, { force: true });
  const child = Bun.spawn([process.execPath, program, ...args], {
    cwd: project,
    env: {
      PATH: extra.path ?? `${bin}:/usr/bin:/bin`,
      CLUTCH_HOME: home,
      HOME: home,
      IS_SANDBOX: "1",
      FAKE_LOG: log,
      // Dry runs and the cheat sheet show the default.
      ...(args.includes("-n") || args.length === 0 ? {} : { CLUTCH_PORT: String(gateway.port) }),
      ...extra.env,
    },
    stdin: extra.stdin === undefined ? "ignore" : new Blob([extra.stdin]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { status, stdout, stderr };
}

/** What the fake agent wrote down. */
function started(): { cwd: string; argv: string[]; env: Record<string, string>; ignoredSignals: string | undefined } {
  const lines = readFileSync(log, "utf8").split("\n");
  const values = (prefix: string) =>
    lines.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length));
  return {
    cwd: values("cwd=")[0] ?? "",
    argv: values("argv="),
    env: Object.fromEntries(values("env:").map((pair) => pair.split(/=(.*)/s).slice(0, 2))),
    ignoredSignals: values("SigIgn:")[0]?.trim(),
  };
}

describe("xx launches", () => {
  test("Claude Code with its settings in a private file", async () => {
    const { status, stdout, stderr } = await xx(["cip", "--", "--add-dir", "a b"], {
      env: { FAKE_EXIT: "7", ANTHROPIC_API_KEY: "k" },
    });
    expect({ status, stdout, stderr }).toEqual({ status: 7, stdout: "", stderr: "" });
    const { argv, env, cwd } = started();
    const [, , settings = ""] = argv;
    expect(cwd).toEndWith("/project");
    expect(argv).toEqual(["--dangerously-skip-permissions", "--settings", settings, "--add-dir", "a b"]);
    expect(env["ANTHROPIC_API_KEY"]).toBeUndefined();
    expect(env["ANTHROPIC_AUTH_TOKEN"]).toMatch(/^xx-cip-[a-z0-9]{8}$/);
    expect(JSON.parse(readFileSync(settings, "utf8")).env.ANTHROPIC_AUTH_TOKEN).toBe(env["ANTHROPIC_AUTH_TOKEN"]);
    expect(statSync(settings).mode & 0o777).toBe(0o600);
    for (const folder of [join(settings, ".."), join(settings, "../..")])
      expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  test("Codex with the prompt from words or stdin", async () => {
    await xx(["xnp", "say", "hi"]);
    expect(started().argv.slice(-1)).toEqual(["say hi"]);
    await xx(["xnp"], { stdin: "from stdin\n" });
    expect(started().argv.slice(-1)).toEqual(["from stdin"]);
    expect(started().env["CLUTCH_KEY"]).toMatch(/^xx-xnp-/);
  });

  test("Qwen Code and Pi with a private file and the token in the environment alone", async () => {
    for (const [code, variable] of [
      ["qip", "QWEN_CODE_SYSTEM_SETTINGS_PATH"],
      ["pip", undefined],
    ] as const) {
      expect((await xx([code])).stderr).toBe("");
      const { argv, env } = started();
      const path = (variable === undefined ? argv[argv.indexOf("-e") + 1] : env[variable]) ?? "";
      expect(env["CLUTCH_KEY"]).toMatch(new RegExp(`^xx-${code}-[a-z0-9]{8}$`));
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(readFileSync(path, "utf8") + argv.join(" ")).not.toContain(env["CLUTCH_KEY"] ?? "");
    }
  });

  test("and says which file of the user's wins over the launch", async () => {
    mkdirSync(join(home, ".hermes"), { recursive: true });
    writeFileSync(
      join(home, ".hermes/.env"),
      "# KILOCODE_API_KEY=x\nKILOCODE_API_KEY=\nexport KILOCODE_BASE_URL='y'\n",
    );
    mkdirSync(join(project, ".claude"), { recursive: true });
    writeFileSync(join(project, ".claude/settings.local.json"), '{ "env": { "ANTHROPIC_BASE_URL": "http://x" } }');
    const told = async (code: string) => (await xx([code])).stderr.replaceAll(root, "").replaceAll("/private", "");
    const ends = "which wins over this launch: take it out of that file\n";
    expect(await told("hip")).toBe(`xx: /home/.hermes/.env sets KILOCODE_BASE_URL, ${ends}`);
    expect(await told("hid")).toBe("");
    expect(await told("cid")).toBe(`xx: /project/.claude/settings.local.json sets ANTHROPIC_BASE_URL, ${ends}`);
    expect(await told("cip")).toBe("");
    for (const folder of [join(home, ".hermes"), join(project, ".claude")]) rmSync(folder, { recursive: true });
  });

  test.if(process.platform === "linux")("with no signal left ignored", async () => {
    await xx(["cid"]);
    expect(started().ignoredSignals).toBe("0000000000000000");
  });

  test("with the gateway of the config, and a secret when it requires keys", async () => {
    writeFileSync(
      join(home, "config.json"),
      `{ "server": { "port": ${gateway.port}, "require_key": true }, /* note */ }`,
    );
    await xx(["xip"], { env: { CLUTCH_PORT: "" } });
    const first = started();
    await xx(["xip"], { env: { CLUTCH_PORT: "" } });
    rmSync(join(home, "config.json"));
    expect(first.argv).toContain(`model_providers.clutch.base_url="http://127.0.0.1:${gateway.port}/v1"`);
    const secret = readFileSync(join(home, "state/launch.key"), "utf8");
    expect(statSync(join(home, "state/launch.key")).mode & 0o777).toBe(0o600);
    expect(first.env["CLUTCH_KEY"]).toEndWith(`-${secret}`);
    expect(started().env["CLUTCH_KEY"]).toEndWith(`-${secret}`);
  });

  test("on route b with the login of ~/.claude", async () => {
    const login = join(root, "login");
    mkdirSync(login, { recursive: true });
    writeFileSync(join(login, ".credentials.json"), "{}");
    await xx(["cib"], { env: { CLAUDE_CONFIG_DIR: login } });
    expect(started().env["ANTHROPIC_CUSTOM_HEADERS"]).toMatch(/^x-clutch-launch: xx-cib-[a-z0-9]+$/);
    expect(started().env["ANTHROPIC_AUTH_TOKEN"]).toBeUndefined();
  });

  test("and leaves a note for the ledger, unless it goes past the gateway; where it cannot, the agent starts all the same", async () => {
    await xx(["ccpf"]);
    const id = /^xx-ccpf-(\w+)$/.exec(started().env["ANTHROPIC_AUTH_TOKEN"] ?? "")?.[1] ?? "";
    const note = readLaunchNote(join(home, "state"), id);
    expect(note).toEqual({
      folder: started().cwd,
      agent: "c",
      code: "ccpf",
      session: null,
      started_at: expect.any(Number),
    });
    const [day = ""] = readdirSync(join(home, "state/launch")).sort().reverse();
    const folder = join(home, "state/launch", day);
    const path = join(folder, `${id}-launch.json`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const notes = () => readdirSync(folder).filter((name) => name.endsWith("-launch.json")).length;
    const before = notes();
    await xx(["cid"], { env: { ANTHROPIC_API_KEY: "k" } });
    expect(notes()).toBe(before);
    // A file in the place of the folder stands for every reason why it cannot be written.
    const elsewhere = join(root, "elsewhere");
    mkdirSync(elsewhere, { recursive: true });
    writeFileSync(join(elsewhere, "state"), "");
    const { status } = await xx(["xip"], { env: { CLUTCH_HOME: elsewhere } });
    expect([status, started().env["CLUTCH_KEY"]]).toEqual([0, expect.stringMatching(/^xx-xip-/)]);
  });

  test("and drops settings of more than a week ago", async () => {
    const launches = join(home, "state/launch");
    rmSync(launches, { recursive: true, force: true });
    const day = (ago: number) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
    for (const name of [day(9), day(5), "other"]) mkdirSync(join(launches, name), { recursive: true });
    await xx(["cip"]);
    expect(readdirSync(launches).sort()).toEqual([day(5), day(0), "other"]);
  });
});

describe("xx takes from the gateway's file", () => {
  const file = join(home, "cache/launch-models.json");
  const write = (letters: object, schema = 1) => {
    const models = { openrouter: { "v/best": { context: 77_000, output: 20_000 } } };
    mkdirSync(join(home, "cache"), { recursive: true });
    writeFileSync(file, JSON.stringify({ schema, letters, models }));
  };
  const chosen = { m: { model: "v/best", reason: "best of a list" }, f: { model: "v/free:free", reason: "free" } };
  const config = { model_tiers: { BIG: { default: "v/best" } } };

  test("what m and f stand for, and the windows", async () => {
    writeFileSync(join(home, "config.json"), JSON.stringify({ server: { port: gateway.port }, ...config }));
    write(chosen);
    const launched = await xx(["xipm"]);
    const { argv } = started();
    const sheet = await xx([]);
    write(chosen, 2);
    const unread = await xx(["xipm", "-n"]);
    for (const path of [file, join(home, "config.json")]) rmSync(path);
    expect(launched.stderr).toBe("xx: tier m is v/best: best of a list\n");
    expect(argv[argv.indexOf("-m") + 1]).toBe("v/best");
    expect(argv).toContain("model_context_window=77000");
    expect(sheet.stdout).toContain("f    best free               v/free:free (free)\n");
    // A file of another schema is none.
    expect(unread.stdout).toContain("clutch-big");
  });

  test("anew once the gateway answers, since it may just have chosen", async () => {
    const late = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch() {
        write(chosen);
        return Response.json({ status: "ok", in_flight: 0, draining: false });
      },
    });
    const { stderr } = await xx(["xipf"], { env: { CLUTCH_PORT: String(late.port) } });
    await late.stop(true);
    rmSync(file);
    expect(stderr).toBe("xx: tier f is v/free:free: free\n");
    expect(started().argv).toContain("v/free:free");
  });
});

describe("xx refuses", () => {
  test.each([
    [["czp"], 2, 'xx: "z" at position 2 of "czp" is no mode: modes are i new session'],
    [["cidf"], 2, 'xx: "f" at position 4 of "cidf" is a tier'],
    [["gip"], 2, "xx: Antigravity cannot be sent through a gateway for one launch alone: xx gid starts it without\n"],
    [["grp"], 2, "xx: Antigravity cannot be sent through a gateway for one launch alone: xx grd starts it without\n"],
    [["orp"], 2, "xx: OpenCode has no flag for its picker: xx oip, then type /sessions\n"],
    [["cnp"], 2, 'xx: "cnp" needs a prompt'],
    [["cs"], 2, 'xx: "csp" needs the id of a session'],
    [["cip", "fix", "it"], 2, 'xx: unexpected "fix": a first message goes behind -p'],
    [["cip", "--frob"], 2, 'xx: unknown option "--frob"'],
    [["-n"], 2, "xx: a launch code is missing"],
  ])("%j with status %d", async (args, status, line) => {
    const outcome = await xx(args);
    expect(outcome.status).toBe(status);
    expect(outcome.stderr).toStartWith(line);
    expect(outcome.stderr.trimEnd().split("\n").length).toBe(1);
    expect(outcome.stdout).toBe("");
    expect(existsSync(log)).toBe(false);
  });

  test("an agent that is not installed, even if the project holds a program of that name", async () => {
    writeFileSync(join(project, "claude"), "#!/bin/sh\n", { mode: 0o755 });
    const untouched = join(root, "untouched");
    const outcome = await xx(["cip"], { path: `:.:${root}/none:/usr/bin:/bin`, env: { CLUTCH_HOME: untouched } });
    rmSync(join(project, "claude"));
    expect(outcome).toEqual({
      status: 127,
      stdout: "",
      stderr: "xx: claude is not on PATH: install it with npm install -g @anthropic-ai/claude-code\n",
    });
    expect(existsSync(untouched)).toBe(false);
  });

  test("a broken config on route p, but not on route d", async () => {
    writeFileSync(join(home, "config.json"), '{ "server": 5 }');
    const [gateway, direct] = [await xx(["cip"]), await xx(["cid"])];
    rmSync(join(home, "config.json"));
    expect(gateway.stderr).toBe(`xx: ${home}/config.json: "server" is 5, not an object: correct it in the file\n`);
    expect([gateway.status, direct.status]).toEqual([2, 0]);
  });

  test("a prompt on stdin that no argument can hold", async () => {
    const outcome = await xx(["cnp"], { stdin: "x".repeat(200_000) });
    expect(outcome.status).toBe(2);
    expect(outcome.stderr).toStartWith("xx: the prompt on stdin has 200000 bytes, more than an argument can hold");
  });
});

describe("xx shows", () => {
  test("a dry run as JSON, the token masked everywhere, with nothing written or started", async () => {
    const fresh = join(root, "fresh");
    const { status, stdout } = await xx(["cipk", "-n", "--json"], {
      env: { CLUTCH_HOME: fresh },
      path: "/usr/bin:/bin",
    });
    const plan = JSON.parse(stdout);
    expect(status).toBe(0);
    expect(Object.keys(plan)).toEqual(["cwd", "file", "argv", "env", "files", "notes"]);
    expect(plan.file).toBe("claude");
    expect(plan.env.set).toEqual({
      ANTHROPIC_BASE_URL: "http://127.0.0.1:8082",
      ANTHROPIC_AUTH_TOKEN: "xx-cipk-…",
      ANTHROPIC_MODEL: "moonshotai/kimi-k2.6:free",
      ANTHROPIC_DEFAULT_FABLE_MODEL: "moonshotai/kimi-k2.6:free",
      ANTHROPIC_DEFAULT_OPUS_MODEL: "moonshotai/kimi-k2.6:free",
      ANTHROPIC_DEFAULT_SONNET_MODEL: "moonshotai/kimi-k2.6:free",
      ANTHROPIC_DEFAULT_HAIKU_MODEL: "clutch-small",
      CLAUDE_CODE_MAX_CONTEXT_TOKENS: "131072",
      CLAUDE_CODE_MAX_OUTPUT_TOKENS: "16384",
      CLAUDE_CODE_DISABLE_1M_CONTEXT: "1",
      CLAUDE_CODE_ATTRIBUTION_HEADER: "0",
    });
    expect(plan.files[0].mode).toBe("0600");
    expect(JSON.parse(plan.files[0].content).env.ANTHROPIC_AUTH_TOKEN).toBe("xx-cipk-…");
    expect(existsSync(fresh)).toBe(false);
    expect(existsSync(log)).toBe(false);
  });

  test("a dry run as text that can be pasted", async () => {
    const { stdout } = await xx(["xnp", "-n", "-p", "it's done"]);
    expect(stdout.replaceAll(root, "/ROOT").replaceAll("/private/ROOT", "/ROOT")).toMatchInlineSnapshot(`
      "cwd    /ROOT/project
      set    CLUTCH_KEY='xx-xnp-…'
      run    /ROOT/bin/codex exec --dangerously-bypass-approvals-and-sandbox --skip-git-repo-check -m clutch-big -c 'model_provider="clutch"' -c 'model_providers.clutch.name="clutch"' -c 'model_providers.clutch.base_url="http://127.0.0.1:8082/v1"' -c 'model_providers.clutch.env_key="CLUTCH_KEY"' -c 'model_providers.clutch.wire_api="responses"' -c model_context_window=131072 'it'\\''s done'
      "
    `);
  });

  test("the cheat sheet, the usage and the version", async () => {
    expect((await xx([])).stdout).toMatchInlineSnapshot(`
      "xx <agent><mode>[<route>][<tier>]

      agent    c  Claude Code
               h  Hermes
               x  Codex
               q  Qwen Code
               p  Pi
               o  OpenCode (not r)
               a  Ante (not c, r)
               g  Antigravity (not r, p, b)

      mode     i  new session
               c  continue the last
               n  non-interactive
               s  session by id
               r  resume picker

      route    p  through the gateway, with routing and fail-over
               b  through the gateway, the agent's own model kept
               d  direct to the provider, no gateway

      tier     d    DeepSeek V4 Flash       deepseek/deepseek-v4-flash:free
               n    Nemotron 3 Super 120B   nvidia/nemotron-3-super-120b-a12b:free
               k    Kimi K2.6               moonshotai/kimi-k2.6:free
               q    Qwen3 Next 80B          qwen/qwen3-next-80b-a3b-thinking
               m    best by model-scan      clutch-big (no gateway has looked at the lists of models here yet, so the gateway's BIG tier)
               f    best free               deepseek/deepseek-v4-flash:free (no gateway has looked at the lists of models here yet, so tier d)
               0-9  profiles of the config (launcher.profiles)

      such as  xx cip   new Claude Code session
               xx ccf   continue it on a free model
               xx xnpk  one Codex task on Kimi: xx xnpk -p '...'
               xx crd   pick an old session, no gateway

      Gateway: http://127.0.0.1:8082. Options: xx --help
      "
    `);
    expect((await xx(["--help"])).stdout).toStartWith("Usage: xx <agent><mode>[<route>][<tier>]");
    expect((await xx(["--version"])).stdout).toMatch(/^clutch \d+\.\d+\.\d+\n$/);
  });
});
