import { describe, expect, test } from "bun:test";
import { parseLaunchCode } from "../../launcher/code.ts";
import { applyEnvDelta, buildLaunch, type LaunchRequest, type LaunchWorld } from "../../launcher/plan.ts";
import { readLauncherSettings } from "../../launcher/settings.ts";

const config = { launcher: { profiles: { "0": { model: "mybox:m" }, "1": {} } } };
const settings = readLauncherSettings(config, "config.json", {});

const world: LaunchWorld = {
  env: { HOME: "/home/me", PATH: "/usr/bin" },
  cwd: "/work",
  file: "/usr/bin/agent",
  launchId: "id42",
  launchDir: "/state/launch/2026-11-20",
  isRoot: false,
  hasTerminal: true,
  hasOwnLogin: false,
};

function launch(code: string, request: Partial<LaunchRequest> = {}, changed: Partial<LaunchWorld> = {}) {
  const whole = { code: parseLaunchCode(code), isSafe: false, rest: [], ...request };
  return buildLaunch(whole, settings, { ...world, ...changed });
}

/** What modes n and s cannot do without. */
function needs(code: string): Partial<LaunchRequest> {
  if (code[1] === "n") return { prompt: "P" };
  return code[1] === "s" ? { session: "ID" } : {};
}

/** Long arguments by a short name, so that a launch fits on a line. */
const short = {
  BYPASS: "--dangerously-skip-permissions",
  YOLO: "--dangerously-bypass-approvals-and-sandbox",
  SETTINGS: "--settings /state/launch/2026-11-20/id42-claude-settings.json",
  PROVIDER: [
    '-c model_provider="clutch"',
    '-c model_providers.clutch.name="clutch"',
    '-c model_providers.clutch.base_url="http://127.0.0.1:8082/v1"',
    '-c model_providers.clutch.env_key="CLUTCH_KEY"',
    '-c model_providers.clutch.wire_api="responses"',
  ].join(" "),
  TRUST: '-c projects={"/work"={trust_level="trusted"}}',
};

function shorten(argv: string[]): string {
  return Object.entries(short).reduce((line, [name, long]) => line.replace(long, name), argv.join(" "));
}

const backends = [
  "CLAUDE_CODE_USE_BEDROCK",
  "CLAUDE_CODE_USE_VERTEX",
  "CLAUDE_CODE_USE_FOUNDRY",
  "CLAUDE_CODE_USE_MANTLE",
  "CLAUDE_CODE_USE_GATEWAY",
  "CLAUDE_CODE_USE_ANTHROPIC_AWS",
  "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
  "ANTHROPIC_UNIX_SOCKET",
];

/** What each agent's routes do to the environment; TOKEN stands for `xx-<code>-id42`. */
const environments: Record<string, { set: Record<string, string>; unset: string[] }> = {
  "claude by token": {
    set: { ANTHROPIC_BASE_URL: "http://127.0.0.1:8082", ANTHROPIC_AUTH_TOKEN: "TOKEN" },
    unset: ["ANTHROPIC_API_KEY", "ANTHROPIC_CUSTOM_HEADERS", ...backends],
  },
  "claude direct": {
    set: {},
    unset: [
      "ANTHROPIC_BASE_URL",
      "ANTHROPIC_AUTH_TOKEN",
      "ANTHROPIC_MODEL",
      "ANTHROPIC_DEFAULT_OPUS_MODEL",
      "ANTHROPIC_DEFAULT_SONNET_MODEL",
      "ANTHROPIC_DEFAULT_HAIKU_MODEL",
      "ANTHROPIC_DEFAULT_FABLE_MODEL",
      "ANTHROPIC_SMALL_FAST_MODEL",
      "CLAUDE_CODE_SUBAGENT_MODEL",
      "ANTHROPIC_CUSTOM_HEADERS",
    ],
  },
  "codex by token": { set: { CLUTCH_KEY: "TOKEN" }, unset: [] },
  "codex direct": { set: {}, unset: ["CLUTCH_KEY"] },
};

describe("buildLaunch(), agent x mode x route", () => {
  test.each([
    ["cip", "BYPASS SETTINGS", "claude by token"],
    ["ccp", "BYPASS --continue SETTINGS", "claude by token"],
    ["cnp", "BYPASS -p P SETTINGS", "claude by token"],
    ["csp", "BYPASS --resume ID SETTINGS", "claude by token"],
    ["crp", "BYPASS --resume SETTINGS", "claude by token"],

    ["cib", "BYPASS SETTINGS", "claude by token"],
    ["ccb", "BYPASS --continue SETTINGS", "claude by token"],
    ["cnb", "BYPASS -p P SETTINGS", "claude by token"],
    ["csb", "BYPASS --resume ID SETTINGS", "claude by token"],
    ["crb", "BYPASS --resume SETTINGS", "claude by token"],

    ["cid", "BYPASS", "claude direct"],
    ["ccd", "BYPASS --continue", "claude direct"],
    ["cnd", "BYPASS -p P", "claude direct"],
    ["csd", "BYPASS --resume ID", "claude direct"],
    ["crd", "BYPASS --resume", "claude direct"],

    ["xip", "YOLO --no-daemon -m clutch-big PROVIDER TRUST", "codex by token"],
    ["xcp", "resume --last YOLO --no-daemon -m clutch-big PROVIDER TRUST", "codex by token"],
    ["xnp", "exec YOLO --skip-git-repo-check -m clutch-big PROVIDER P", "codex by token"],
    ["xsp", "resume ID YOLO --no-daemon -m clutch-big PROVIDER TRUST", "codex by token"],
    ["xrp", "resume YOLO --no-daemon -m clutch-big PROVIDER TRUST", "codex by token"],

    ["xib", "YOLO --no-daemon PROVIDER TRUST", "codex by token"],
    ["xcb", "resume --last YOLO --no-daemon PROVIDER TRUST", "codex by token"],
    ["xnb", "exec YOLO --skip-git-repo-check PROVIDER P", "codex by token"],
    ["xsb", "resume ID YOLO --no-daemon PROVIDER TRUST", "codex by token"],
    ["xrb", "resume YOLO --no-daemon PROVIDER TRUST", "codex by token"],

    ["xid", "YOLO --no-daemon TRUST", "codex direct"],
    ["xcd", "resume --last YOLO --no-daemon TRUST", "codex direct"],
    ["xnd", "exec YOLO --skip-git-repo-check P", "codex direct"],
    ["xsd", "resume ID YOLO --no-daemon TRUST", "codex direct"],
    ["xrd", "resume YOLO --no-daemon TRUST", "codex direct"],
  ])("%s runs %s", (code, argv, environment) => {
    const plan = launch(code, needs(code));
    expect(shorten(plan.argv)).toBe(argv);
    const told = JSON.stringify(plan.env).replaceAll(`xx-${code}-id42`, "TOKEN");
    expect(JSON.parse(told)).toEqual(environments[environment]);
    expect(plan.files.length).toBe(environment === "claude by token" ? 1 : 0);
    expect(plan.notes).toEqual([]);
  });
});

function withoutModel(argv: string[], flag: string): string[] {
  const at = argv.indexOf(flag);
  return at === -1 ? argv : argv.toSpliced(at, 2);
}

describe("buildLaunch(), tiers", () => {
  test.each([
    ["d", "deepseek/deepseek-v4-flash:free"],
    ["n", "nvidia/nemotron-3-super-120b-a12b:free"],
    ["k", "moonshotai/kimi-k2.6:free"],
    ["q", "qwen/qwen3-next-80b-a3b-thinking"],
    ["m", "clutch-big"],
    ["f", "deepseek/deepseek-v4-flash:free"],
    ["0", "mybox:m"],
    ["1", undefined], // a profile without a model changes nothing
  ])("tier %s asks for %s in every mode of routes p and b, and is in the token", (tier, model) => {
    for (const base of [
      "cip",
      "ccp",
      "cnp",
      "csp",
      "crp",
      "cib",
      "cnb",
      "xip",
      "xcp",
      "xnp",
      "xsp",
      "xrp",
      "xib",
      "xnb",
    ]) {
      const code = `${base}${tier}`;
      const plan = launch(code, needs(code));
      const plain = launch(base, needs(code)).argv;
      const flag = base.startsWith("c") ? "--model" : "-m";
      const at = plan.argv.indexOf(flag);
      if (model === undefined) expect(plan.argv).toEqual(plain);
      else expect(plan.argv.slice(at, at + 2)).toEqual([flag, model]);
      expect(withoutModel(plan.argv, flag)).toEqual(withoutModel(plain, flag));
      expect(Object.values(plan.env.set)).toContain(`xx-${code}-id42`);
    }
  });

  test("a guessed tier is told, and only then", () => {
    expect(launch("cif").notes).toEqual([
      "tier f is deepseek/deepseek-v4-flash:free: no list of free models is read yet, so tier d",
    ]);
    expect(launch("cik").notes).toEqual([]);
  });

  test("-m wins over the tier, which then leaves the token too", () => {
    const plan = launch("cipk", { model: "openai:gpt-5" });
    expect(shorten(plan.argv)).toBe("BYPASS SETTINGS --model openai:gpt-5");
    expect(plan.env.set["ANTHROPIC_AUTH_TOKEN"]).toBe("xx-cip-id42");
    expect(plan.notes).toEqual(["-m openai:gpt-5 is used, tier k is not"]);
    expect(shorten(launch("cid", { model: "opus" }).argv)).toBe("BYPASS --model opus");
  });
});

describe("buildLaunch(), Claude Code's settings file", () => {
  test.each([
    [
      "by token",
      launch("cip"),
      {
        skipDangerousModePermissionPrompt: true,
        env: {
          ANTHROPIC_BASE_URL: "http://127.0.0.1:8082",
          ANTHROPIC_AUTH_TOKEN: "xx-cip-id42",
          ANTHROPIC_API_KEY: "",
        },
      },
    ],
    [
      "with a tier",
      launch("cipk"),
      {
        skipDangerousModePermissionPrompt: true,
        env: {
          ANTHROPIC_BASE_URL: "http://127.0.0.1:8082",
          ANTHROPIC_AUTH_TOKEN: "xx-cipk-id42",
          ANTHROPIC_API_KEY: "",
          ANTHROPIC_MODEL: "moonshotai/kimi-k2.6:free",
        },
      },
    ],
    [
      "with approvals on",
      launch("cip", { isSafe: true }),
      {
        env: {
          ANTHROPIC_BASE_URL: "http://127.0.0.1:8082",
          ANTHROPIC_AUTH_TOKEN: "xx-cip-id42",
          ANTHROPIC_API_KEY: "",
        },
      },
    ],
    [
      "beside an own login",
      launch("cib", {}, { hasOwnLogin: true }),
      {
        skipDangerousModePermissionPrompt: true,
        env: {
          ANTHROPIC_BASE_URL: "http://127.0.0.1:8082",
          ANTHROPIC_CUSTOM_HEADERS: "x-clutch-launch: xx-cib-id42",
        },
      },
    ],
  ])("%s", (_why, plan, content) => {
    const [file] = plan.files;
    expect(file).toMatchObject({ path: "/state/launch/2026-11-20/id42-claude-settings.json", mode: 0o600 });
    expect(JSON.parse(file?.content ?? "")).toEqual(content);
    expect(plan.argv.join(" ")).not.toContain("xx-ci");
  });
});

describe("buildLaunch(), the environment", () => {
  test("an own login keeps its credential on route b and loses it on p", () => {
    const env = {
      ANTHROPIC_API_KEY: "sk-ant-mine",
      ANTHROPIC_AUTH_TOKEN: "xx-cip-old",
      ANTHROPIC_CUSTOM_HEADERS: "a: b",
    };
    const bypass = launch("cib", {}, { env, hasOwnLogin: true });
    expect(applyEnvDelta(env, bypass.env)).toEqual({
      ANTHROPIC_API_KEY: "sk-ant-mine",
      ANTHROPIC_BASE_URL: "http://127.0.0.1:8082",
      ANTHROPIC_CUSTOM_HEADERS: "x-clutch-launch: xx-cib-id42",
    });
    expect(applyEnvDelta(env, launch("cip", {}, { env, hasOwnLogin: true }).env)).toEqual({
      ANTHROPIC_BASE_URL: "http://127.0.0.1:8082",
      ANTHROPIC_AUTH_TOKEN: "xx-cip-id42",
    });
  });

  test("route d leaves nothing of a gateway, patterns included", () => {
    const env = {
      HOME: "/home/me",
      ANTHROPIC_API_KEY: "mine",
      ANTHROPIC_BASE_URL: "x",
      ANTHROPIC_DEFAULT_OPUS_MODEL_NAME: "x",
      ANTHROPIC_DEFAULT_NEW_MODEL: "x",
      ANTHROPIC_CUSTOM_MODEL_OPTION: "x",
    };
    expect(applyEnvDelta(env, launch("cid", {}, { env }).env)).toEqual({ HOME: "/home/me", ANTHROPIC_API_KEY: "mine" });
  });

  test("a proxy is told to leave this machine out, in both spellings, on p and b alone", () => {
    const env = { https_proxy: "http://proxy:3128", no_proxy: "corp.example, localhost" };
    const hosts = "corp.example,localhost,127.0.0.1,::1";
    expect(launch("xib", {}, { env }).env.set).toMatchObject({ NO_PROXY: hosts, no_proxy: hosts });
    expect(launch("xid", {}, { env }).env.set).toEqual({});
  });

  test("the secret is part of the token when the gateway wants keys", () => {
    expect(launch("xip", {}, { secret: "s3" }).env.set).toEqual({ CLUTCH_KEY: "xx-xip-id42-s3" });
  });
});

describe("buildLaunch(), requests", () => {
  const cases: [
    why: string,
    code: string,
    request: Partial<LaunchRequest>,
    world: Partial<LaunchWorld>,
    argv: string,
  ][] = [
    ["-s resumes in mode i", "cid", { session: "S" }, {}, "BYPASS --resume S"],
    ["-s resumes in mode c", "xcd", { session: "S" }, {}, "resume S YOLO --no-daemon TRUST"],
    ["-s resumes in mode r", "crd", { session: "S" }, {}, "BYPASS --resume S"],
    ["-s in mode n", "cnd", { session: "S", prompt: "P" }, {}, "BYPASS --resume S -p P"],
    ["-s in mode n", "xnd", { session: "S", prompt: "P" }, {}, "exec resume S YOLO --skip-git-repo-check P"],
    ["a first message", "cid", { prompt: "hi" }, {}, "BYPASS hi"],
    ["a first message", "ccd", { prompt: "hi" }, {}, "BYPASS --continue hi"],
    ["a first message", "xid", { prompt: "hi" }, {}, "YOLO --no-daemon TRUST hi"],
    ["c without a terminal", "ccd", { prompt: "hi" }, { hasTerminal: false }, "BYPASS --continue -p hi"],
    [
      "c without a terminal",
      "xcd",
      { prompt: "hi" },
      { hasTerminal: false },
      "exec resume --last YOLO --skip-git-repo-check hi",
    ],
    ["a prompt with a dash", "cnd", { prompt: "-x" }, {}, "BYPASS -p -- -x"],
    ["a prompt that is a subcommand", "xnd", { prompt: "review" }, {}, "exec YOLO --skip-git-repo-check -- review"],
    [
      "the user's own arguments, last",
      "cnd",
      { prompt: "P", rest: ["--add-dir", ".."] },
      {},
      "BYPASS -p P --add-dir ..",
    ],
    ["--safe", "cip", { isSafe: true }, {}, "SETTINGS"],
    ["--safe", "xip", { isSafe: true }, {}, "--no-daemon -m clutch-big PROVIDER"],
    ["root in a sandbox", "cid", {}, { isRoot: true, env: { IS_SANDBOX: "1" } }, "BYPASS"],
    ["root", "cid", {}, { isRoot: true }, ""],
    ["root", "xid", {}, { isRoot: true }, "YOLO --no-daemon TRUST"],
  ];
  test.each(cases)("%s: %s %j %j", (_why, code, request, changed, argv) => {
    expect(shorten(launch(code, request, changed).argv)).toBe(argv);
  });

  test("quotes the folder for TOML", () => {
    expect(launch("xid", {}, { cwd: '/a "b"\\c' }).argv.at(-1)).toBe(
      'projects={"/a \\"b\\"\\\\c"={trust_level="trusted"}}',
    );
  });

  test("says why the bypass stays out for root, and that an agent is missing", () => {
    expect(launch("cid", {}, { isRoot: true, file: undefined })).toMatchObject({
      file: "claude",
      notes: [
        "claude is not on PATH: install it with npm install -g @anthropic-ai/claude-code",
        "Claude Code refuses --dangerously-skip-permissions as root, so it will ask: set IS_SANDBOX=1 if this is a sandbox",
      ],
    });
  });

  test.each([
    ["cnp", {}, '"cnp" needs a prompt'],
    ["xspf", {}, '"xspf" needs the id of a session'],
    ["crp", { prompt: "hi" }, "mode r of Claude Code takes no first message"],
    ["cip7", {}, "tier 7 is profile 7"],
    ["hip", {}, "Hermes is not supported yet"],
    ["qip", {}, "Qwen Code is not supported yet"],
    ["pip", {}, "Pi is not supported yet"],
    ["oip", {}, "OpenCode is not supported yet"],
    ["aip", {}, "Ante is not supported yet"],
    ["gid", {}, "Antigravity is not supported yet"],
  ])("%s %j is refused", (code, request, message) => {
    expect(() => launch(code, request)).toThrow(message);
  });
});
