import { describe, expect, test } from "bun:test";
import { namesRoute, parseLaunchCode } from "../../launcher/code.ts";
import { applyEnvDelta, buildLaunch, type LaunchRequest, type LaunchWorld } from "../../launcher/plan.ts";
import { readLauncherSettings } from "../../launcher/settings.ts";
import { ClutchError } from "../../src/errors.ts";
import { plainWorld } from "../support/launch-world.ts";

const config = { launcher: { profiles: { "0": { model: "mybox:m" }, "1": {} } } };
const settings = readLauncherSettings(config, "config.json", {});

const world: LaunchWorld = { ...plainWorld, env: { HOME: "/home/me", PATH: "/usr/bin" } };

function launch(code: string, request: Partial<LaunchRequest> = {}, changed: Partial<LaunchWorld> = {}) {
  const whole = { code: parseLaunchCode(code), namesRoute: namesRoute(code), isSafe: false, rest: [], ...request };
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
  SESSION: "--session-id UUID",
  YOLO: "--dangerously-bypass-approvals-and-sandbox",
  SETTINGS: "--settings /state/launch/2026-11-20/id42-claude-settings.json",
  PROVIDER: [
    '-c model_provider="clutch"',
    '-c model_providers.clutch.name="clutch"',
    '-c model_providers.clutch.base_url="http://127.0.0.1:8082/v1"',
    '-c model_providers.clutch.env_key="CLUTCH_KEY"',
    '-c model_providers.clutch.wire_api="responses"',
  ].join(" "),
  EXTENSION: "-e /state/launch/2026-11-20/id42-pi-extension.ts",
  WINDOW: "-c model_context_window=131072",
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

/** The window is the smallest of the built-in cascades. */
function opencodeConfig(model: string, small: string): string {
  const facets = {
    attachment: true,
    reasoning: true,
    tool_call: true,
    modalities: { input: ["text", "image"], output: ["text"] },
    limit: { context: 131_072, output: 32_768 },
  };
  return JSON.stringify({
    model: `clutch/${model}`,
    small_model: `clutch/${small}`,
    provider: {
      clutch: {
        npm: "@ai-sdk/openai-compatible",
        name: "Clutch",
        options: { baseURL: "http://127.0.0.1:8082/v1", apiKey: "TOKEN" },
        models: { [model]: facets, [small]: facets },
      },
    },
  });
}

/** What each agent's routes do to the environment; TOKEN stands for `xx-<code>-id42`. */
const environments: Record<string, { set: Record<string, string>; unset: string[] }> = {
  "claude with tiers": {
    set: {
      ANTHROPIC_BASE_URL: "http://127.0.0.1:8082",
      ANTHROPIC_AUTH_TOKEN: "TOKEN",
      ...claudeModels(),
    },
    unset: ["ANTHROPIC_API_KEY", "ANTHROPIC_CUSTOM_HEADERS", ...backends],
  },
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
  "hermes with tiers": {
    set: {
      KILOCODE_BASE_URL: "http://127.0.0.1:8082/v1",
      KILOCODE_API_KEY: "TOKEN",
      HERMES_MAX_TOKENS: "32768",
    },
    unset: [],
  },
  "hermes by token": {
    set: { KILOCODE_BASE_URL: "http://127.0.0.1:8082/v1", KILOCODE_API_KEY: "TOKEN" },
    unset: [],
  },
  "hermes direct": {
    set: {},
    unset: [
      "OPENROUTER_BASE_URL",
      "CUSTOM_BASE_URL",
      "KILOCODE_BASE_URL",
      "OPENAI_BASE_URL",
      "ANTHROPIC_BASE_URL",
      "HERMES_INFERENCE_MODEL",
    ],
  },
  "qwen by token": {
    set: {
      CLUTCH_KEY: "TOKEN",
      QWEN_CODE_SYSTEM_SETTINGS_PATH: "/state/launch/2026-11-20/id42-qwen-settings.json",
    },
    unset: ["OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL", "QWEN_MODEL"],
  },
  "qwen direct": {
    set: {},
    unset: [
      "OPENAI_BASE_URL",
      "OPENAI_API_KEY",
      "OPENAI_MODEL",
      "QWEN_MODEL",
      "ANTHROPIC_BASE_URL",
      "QWEN_CODE_SYSTEM_SETTINGS_PATH",
    ],
  },
  "pi by token": { set: { CLUTCH_KEY: "TOKEN" }, unset: [] },
  "pi direct": { set: {}, unset: [] },
  "opencode by token": {
    set: { OPENCODE_CONFIG_CONTENT: opencodeConfig("clutch-big", "clutch-small") },
    unset: ["ANTHROPIC_BASE_URL", "OPENAI_BASE_URL"],
  },
  "opencode own models": {
    set: {
      OPENCODE_CONFIG_CONTENT: JSON.stringify({
        provider: {
          anthropic: { options: { baseURL: "http://127.0.0.1:8082/v1", apiKey: "TOKEN" } },
          openai: { options: { baseURL: "http://127.0.0.1:8082/v1", apiKey: "TOKEN" } },
        },
      }),
    },
    unset: ["ANTHROPIC_BASE_URL", "OPENAI_BASE_URL"],
  },
  "opencode direct": {
    set: {},
    unset: ["OPENCODE_CONFIG_CONTENT", "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "OPENCODE_PERMISSION"],
  },
  "ante by token": {
    set: { OPENAI_COMPATIBLE_BASE_URL: "http://127.0.0.1:8082/v1", OPENAI_COMPATIBLE_API_KEY: "TOKEN" },
    unset: ["MODEL_BASE_URL", "MODEL_TEMPERATURE", "MODEL_TOP_P", "MODEL_MAX_TOKENS"],
  },
  "ante direct": {
    set: {},
    unset: [
      "MODEL_BASE_URL",
      "ANTHROPIC_BASE_URL",
      "OPENAI_BASE_URL",
      "OPENAI_COMPATIBLE_BASE_URL",
      "OPENROUTER_BASE_URL",
      "DEEPSEEK_BASE_URL",
      "ANTIX_BASE_URL",
    ],
  },
  "antigravity direct": { set: {}, unset: ["GOOGLE_GEMINI_BASE_URL", "CLOUD_CODE_URL"] },
};

describe("buildLaunch(), agent x mode x route", () => {
  test.each([
    ["cip", "BYPASS SESSION SETTINGS", "claude with tiers"],
    ["ccp", "BYPASS --continue SETTINGS", "claude with tiers"],
    ["cnp", "BYPASS -p P SETTINGS", "claude with tiers"],
    ["csp", "BYPASS --resume ID SETTINGS", "claude with tiers"],
    ["crp", "BYPASS --resume SETTINGS", "claude with tiers"],

    ["cib", "BYPASS SESSION SETTINGS", "claude by token"],
    ["ccb", "BYPASS --continue SETTINGS", "claude by token"],
    ["cnb", "BYPASS -p P SETTINGS", "claude by token"],
    ["csb", "BYPASS --resume ID SETTINGS", "claude by token"],
    ["crb", "BYPASS --resume SETTINGS", "claude by token"],

    ["cid", "BYPASS SESSION", "claude direct"],
    ["ccd", "BYPASS --continue", "claude direct"],
    ["cnd", "BYPASS -p P", "claude direct"],
    ["csd", "BYPASS --resume ID", "claude direct"],
    ["crd", "BYPASS --resume", "claude direct"],

    ["xip", "YOLO --no-daemon -m clutch-big PROVIDER WINDOW TRUST", "codex by token"],
    ["xcp", "resume --last YOLO --no-daemon -m clutch-big PROVIDER WINDOW TRUST", "codex by token"],
    ["xnp", "exec YOLO --skip-git-repo-check -m clutch-big PROVIDER WINDOW P", "codex by token"],
    ["xsp", "resume ID YOLO --no-daemon -m clutch-big PROVIDER WINDOW TRUST", "codex by token"],
    ["xrp", "resume YOLO --no-daemon -m clutch-big PROVIDER WINDOW TRUST", "codex by token"],

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

    ["hip", "--yolo --provider kilocode -m clutch-big", "hermes with tiers"],
    ["hcp", "--yolo --provider kilocode -m clutch-big --continue", "hermes with tiers"],
    ["hnp", "chat --yolo --provider kilocode -m clutch-big -Q -q P", "hermes with tiers"],
    ["hsp", "--yolo --provider kilocode -m clutch-big --resume ID", "hermes with tiers"],
    ["hrp", "--yolo --provider kilocode -m clutch-big sessions browse", "hermes with tiers"],

    ["hib", "--yolo --provider kilocode", "hermes by token"],
    ["hcb", "--yolo --provider kilocode --continue", "hermes by token"],
    ["hnb", "chat --yolo --provider kilocode -Q -q P", "hermes by token"],
    ["hsb", "--yolo --provider kilocode --resume ID", "hermes by token"],
    ["hrb", "--yolo --provider kilocode sessions browse", "hermes by token"],

    ["hid", "--yolo", "hermes direct"],
    ["hcd", "--yolo --continue", "hermes direct"],
    ["hnd", "chat --yolo -Q -q P", "hermes direct"],
    ["hsd", "--yolo --resume ID", "hermes direct"],
    ["hrd", "--yolo sessions browse", "hermes direct"],

    ["qip", "--yolo SESSION --auth-type openai --model clutch-big", "qwen by token"],
    ["qcp", "--yolo --auth-type openai --model clutch-big --continue", "qwen by token"],
    ["qnp", "--yolo --auth-type openai --model clutch-big P", "qwen by token"],
    ["qsp", "--yolo --auth-type openai --model clutch-big --resume ID", "qwen by token"],
    ["qrp", "--yolo --auth-type openai --model clutch-big --resume", "qwen by token"],

    ["qib", "--yolo SESSION --auth-type openai --model qwen3.7-max", "qwen by token"],
    ["qcb", "--yolo --auth-type openai --model qwen3.7-max --continue", "qwen by token"],
    ["qnb", "--yolo --auth-type openai --model qwen3.7-max P", "qwen by token"],
    ["qsb", "--yolo --auth-type openai --model qwen3.7-max --resume ID", "qwen by token"],
    ["qrb", "--yolo --auth-type openai --model qwen3.7-max --resume", "qwen by token"],

    ["qid", "--yolo SESSION", "qwen direct"],
    ["qcd", "--yolo --continue", "qwen direct"],
    ["qnd", "--yolo P", "qwen direct"],
    ["qsd", "--yolo --resume ID", "qwen direct"],
    ["qrd", "--yolo --resume", "qwen direct"],

    ["pip", "SESSION EXTENSION --model clutch/clutch-big", "pi by token"],
    ["pcp", "EXTENSION --model clutch/clutch-big --continue", "pi by token"],
    ["pnp", "EXTENSION --model clutch/clutch-big -p P", "pi by token"],
    ["psp", "EXTENSION --model clutch/clutch-big --session ID", "pi by token"],
    ["prp", "EXTENSION --model clutch/clutch-big --resume", "pi by token"],

    ["pib", "SESSION EXTENSION", "pi by token"],
    ["pcb", "EXTENSION --continue", "pi by token"],
    ["pnb", "EXTENSION -p P", "pi by token"],
    ["psb", "EXTENSION --session ID", "pi by token"],
    ["prb", "EXTENSION --resume", "pi by token"],

    ["pid", "SESSION", "pi direct"],
    ["pcd", "--continue", "pi direct"],
    ["pnd", "-p P", "pi direct"],
    ["psd", "--session ID", "pi direct"],
    ["prd", "--resume", "pi direct"],

    ["oip", "--auto -m clutch/clutch-big", "opencode by token"],
    ["ocp", "--auto -m clutch/clutch-big --continue", "opencode by token"],
    ["onp", "run --auto -m clutch/clutch-big -- P", "opencode by token"],
    ["osp", "--auto -m clutch/clutch-big -s ID", "opencode by token"],

    ["oib", "--auto", "opencode own models"],
    ["ocb", "--auto --continue", "opencode own models"],
    ["onb", "run --auto -- P", "opencode own models"],
    ["osb", "--auto -s ID", "opencode own models"],

    ["oid", "--auto", "opencode direct"],
    ["ocd", "--auto --continue", "opencode direct"],
    ["ond", "run --auto -- P", "opencode direct"],
    ["osd", "--auto -s ID", "opencode direct"],

    ["aip", "--yolo --provider openai-compatible -m clutch-big", "ante by token"],
    ["anp", "--yolo --provider openai-compatible -m clutch-big -p P", "ante by token"],
    ["asp", "--yolo --provider openai-compatible -m clutch-big --resume ID", "ante by token"],

    ["aib", "--yolo --provider openai-compatible", "ante by token"],
    ["anb", "--yolo --provider openai-compatible -p P", "ante by token"],
    ["asb", "--yolo --provider openai-compatible --resume ID", "ante by token"],

    ["aid", "--yolo", "ante direct"],
    ["and", "--yolo -p P", "ante direct"],
    ["asd", "--yolo --resume ID", "ante direct"],

    ["gid", "BYPASS", "antigravity direct"],
    ["gcd", "BYPASS --continue", "antigravity direct"],
    ["gnd", "BYPASS -p P", "antigravity direct"],
    ["gsd", "BYPASS --conversation ID", "antigravity direct"],
  ])("%s runs %s", (code, argv, environment) => {
    const plan = launch(code, needs(code));
    expect(shorten(plan.argv)).toBe(argv);
    const told = JSON.stringify(plan.env).replaceAll(`xx-${code}-id42`, "TOKEN");
    expect(JSON.parse(told)).toEqual(environments[environment]);
    const claude = { "claude by token": "claude-settings.json", "claude with tiers": "claude-settings.json" };
    const written = { ...claude, "qwen by token": "qwen-settings.json" };
    const names: Record<string, string> = { ...written, "pi by token": "pi-extension.ts" };
    const name = names[environment];
    expect(plan.files.map(({ path }) => path)).toEqual(name === undefined ? [] : [`${world.launchDir}/id42-${name}`]);
    expect(plan.files.map(({ mode }) => mode)).toEqual(name === undefined ? [] : [0o600]);
    expect(plan.argv.join(" ")).not.toContain(`xx-${code}`);
    const qwenNote = "Qwen Code has to be given a model: qwen3.7-max, its own default; -m names another";
    expect(plan.notes).toEqual(code.startsWith("q") && code.endsWith("b") ? [qwenNote] : []);
  });

  test.each([
    ["orp", "OpenCode has no flag for its picker", "xx oip, then type /sessions"],
    ["orbk", "OpenCode has no flag for its picker", "xx oibk, then type /sessions"],
    ["ord", "OpenCode has no flag for its picker", "xx oid, then type /sessions"],
    [
      "acp",
      "Ante has no flag for the last session",
      "xx asp -s <id> with the id that it prints at its end, or xx aip, then type /resume",
    ],
    [
      "acb",
      "Ante has no flag for the last session",
      "xx asb -s <id> with the id that it prints at its end, or xx aib, then type /resume",
    ],
    [
      "acd",
      "Ante has no flag for the last session",
      "xx asd -s <id> with the id that it prints at its end, or xx aid, then type /resume",
    ],
    ["arp", "Ante has no flag for its picker", "xx aip, then type /resume"],
    ["arb", "Ante has no flag for its picker", "xx aib, then type /resume"],
    ["ard", "Ante has no flag for its picker", "xx aid, then type /resume"],
    ["grd", "Antigravity has no flag for its picker", "xx gid, then type /resume"],
    ...["gip", "gcp", "gnp", "gsp", "grp", "gipk", "gib", "gcb", "gnb", "gsb", "grb"].map((code) => [
      code,
      "Antigravity cannot be sent through a gateway for one launch alone",
      `xx ${code.slice(0, 2)}d starts it without`,
    ]),
  ])("%s is refused: %s", (code, message, hint) => {
    const error = catchClutchError(() => launch(code, needs(code)));
    expect(error).toMatchObject({ code: "not-supported", exitStatus: 2, message, hint });
  });
});

function catchClutchError(act: () => unknown): ClutchError {
  try {
    act();
  } catch (error) {
    if (error instanceof ClutchError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** Neither the model nor, for Codex, its window: on route b only a model that was named has one that we know. */
function withoutModel(argv: string[], flag: string): string[] {
  const window = argv.findIndex((word) => word.startsWith("model_context_window="));
  const rest = window === -1 ? argv : argv.toSpliced(window - 1, 2);
  const at = rest.indexOf(flag);
  return at === -1 ? rest : rest.toSpliced(at, 2);
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

  test("a tier whose model Clutch chose is told, and only then", () => {
    expect(launch("cif").notes).toEqual([
      "tier f is deepseek/deepseek-v4-flash:free: no gateway has looked at the lists of models here yet, so tier d",
    ]);
    expect(launch("cik").notes).toEqual([]);
  });

  test("-m wins over the tier, which then leaves the token too", () => {
    const plan = launch("cipk", { model: "openai:gpt-5" });
    expect(shorten(plan.argv)).toBe("BYPASS SESSION SETTINGS --model openai:gpt-5");
    expect(plan.env.set["ANTHROPIC_AUTH_TOKEN"]).toBe("xx-cip-id42");
    expect(plan.notes).toEqual(["-m openai:gpt-5 is used, tier k is not"]);
    expect(shorten(launch("cid", { model: "opus" }).argv)).toBe("BYPASS SESSION --model opus");
  });
});

describe("buildLaunch(), tiers of the agents with names of their own for models", () => {
  const kimi = "moonshotai/kimi-k2.6:free";
  test.each([
    ["hipk", `--yolo --provider kilocode -m ${kimi}`],
    ["hcbk", `--yolo --provider kilocode -m ${kimi} --continue`],
    ["hrpk", `--yolo --provider kilocode -m ${kimi} sessions browse`],
    ["qipk", `--yolo SESSION --auth-type openai --model ${kimi}`],
    ["qnbk", `--yolo --auth-type openai --model ${kimi} P`],
    ["qip1", "--yolo SESSION --auth-type openai --model clutch-big"],
    ["pipk", `SESSION EXTENSION --model clutch/${kimi}`],
    ["pnbk", `EXTENSION --model clutch/${kimi} -p P`],
    ["pip1", "SESSION EXTENSION --model clutch/clutch-big"],
    ["oipk", `--auto -m clutch/${kimi}`],
    ["osbk", `--auto -m clutch/${kimi} -s ID`],
    ["oip1", "--auto -m clutch/clutch-big"],
    ["aipk", `--yolo --provider openai-compatible -m ${kimi}`],
    ["anbk", `--yolo --provider openai-compatible -m ${kimi} -p P`],
  ])("%s runs %s", (code, argv) => {
    const plan = launch(code, needs(code));
    expect(shorten(plan.argv)).toBe(argv);
    expect(JSON.stringify(plan.env.set)).toContain(`xx-${code}-id42`);
    expect(plan.notes).toEqual([]);
  });

  test.each([
    ["pid", { model: "anthropic/opus" }, "SESSION --model anthropic/opus"],
    ["oid", { model: "anthropic/opus" }, "--auto -m anthropic/opus"],
    ["qid", { model: "coder" }, "--yolo SESSION --model coder"],
    ["gid", { model: "gemini-pro" }, "BYPASS --model gemini-pro"],
  ])("%s %j leaves the name as it is: %s", (code, request, argv) => {
    expect(shorten(launch(code, request).argv)).toBe(argv);
  });

  test("OpenCode asks for titles from the small tier, on route b from the model that was named", () => {
    const config = (code: string) =>
      launch(code).env.set["OPENCODE_CONFIG_CONTENT"]?.replace(`xx-${code}-id42`, "TOKEN");
    expect(config("oipk")).toBe(opencodeConfig(kimi, "clutch-small"));
    expect(config("oibk")).toBe(opencodeConfig(kimi, kimi));
  });
});

describe("buildLaunch(), generated files of the other agents", () => {
  const limits = { contextWindowSize: 131_072, samplingParams: { max_tokens: 32_768 } };
  test.each([
    ["qip", ["clutch-big", "clutch-small"], limits, { fastModel: "clutch-small" }],
    ["qipk", ["moonshotai/kimi-k2.6:free", "clutch-small"], limits, { fastModel: "clutch-small" }],
    ["qibk", ["moonshotai/kimi-k2.6:free"], limits, { fastModel: "moonshotai/kimi-k2.6:free" }],
    ["qib", ["qwen3.7-max"], {}, {}],
  ])("Qwen Code's settings for %s", (code, models, window, fast) => {
    expect(JSON.parse(launch(code).files[0]?.content ?? "")).toEqual({
      security: { auth: { selectedType: "openai" } },
      modelProviders: {
        openai: models.map((model) => ({
          id: model,
          name: model,
          baseUrl: "http://127.0.0.1:8082/v1",
          envKey: "CLUTCH_KEY",
          generationConfig: { ...window, modalities: { image: true } },
        })),
      },
      model: { name: models[0] },
      ...fast,
    });
  });

  /** What Pi's extension registers when it is loaded. */
  function registered(code: string, env: Record<string, string>): unknown[][] {
    const source = (launch(code).files[0]?.content ?? "").replace("export default", "return");
    const calls: unknown[][] = [];
    const load = new Function("process", source)({ env });
    load({ registerProvider: (...call: unknown[]) => calls.push(call) });
    return calls;
  }

  test("Pi's extension registers the gateway with the model and the small tier", () => {
    const model = {
      reasoning: true,
      input: ["text", "image"],
      cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
      contextWindow: 131_072,
      maxTokens: 32_768,
    };
    const provider = {
      name: "Clutch",
      baseUrl: "http://127.0.0.1:8082/v1",
      apiKey: "$CLUTCH_KEY",
      api: "openai-completions",
      models: ["clutch-big", "clutch-small"].map((id) => ({ id, name: id, ...model })),
    };
    expect(registered("pip", {})).toEqual([["clutch", provider]]);
  });

  test("Pi's extension keeps the built-in models on route b, and a key of the user's", () => {
    const headers = { "x-clutch-launch": "$CLUTCH_KEY" };
    expect(registered("pib", { OPENAI_API_KEY: "sk-mine" })).toEqual([
      ["anthropic", { baseUrl: "http://127.0.0.1:8082", headers, apiKey: "$CLUTCH_KEY" }],
      ["openai", { baseUrl: "http://127.0.0.1:8082/v1", headers }],
    ]);
  });
});

/** What Claude Code is told of models on route p; the one model that was named, or the tiers. */
function claudeModels(model?: string): Record<string, string> {
  return {
    ...(model === undefined ? {} : { ANTHROPIC_MODEL: model }),
    ANTHROPIC_DEFAULT_FABLE_MODEL: model ?? "clutch-big",
    ANTHROPIC_DEFAULT_OPUS_MODEL: model ?? "clutch-big",
    ANTHROPIC_DEFAULT_SONNET_MODEL: model ?? "clutch-middle",
    ANTHROPIC_DEFAULT_HAIKU_MODEL: "clutch-small",
    CLAUDE_CODE_MAX_CONTEXT_TOKENS: "131072",
    CLAUDE_CODE_MAX_OUTPUT_TOKENS: "32768",
    CLAUDE_CODE_DISABLE_1M_CONTEXT: "1",
    CLAUDE_CODE_ATTRIBUTION_HEADER: "0",
  };
}

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
          ...claudeModels(),
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
          ...claudeModels("moonshotai/kimi-k2.6:free"),
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
          ...claudeModels(),
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
      ...claudeModels(),
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

  test("the token of a launch that this one is started from is dropped on every route", () => {
    const env = { OPENROUTER_API_KEY: "xx-hip-outer", OPENAI_API_KEY: "sk-mine", HOME: "/home/me" };
    for (const code of ["hid", "oid", "pid", "gid"]) {
      const left = applyEnvDelta(env, launch(code, {}, { env }).env);
      expect(left).toEqual({ OPENAI_API_KEY: "sk-mine", HOME: "/home/me" });
    }
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
  type Case = [why: string, code: string, request: Partial<LaunchRequest>, world: Partial<LaunchWorld>, argv: string];
  const cases: Case[] = [
    ["-s resumes in mode i", "cid", { session: "S" }, {}, "BYPASS --resume S"],
    ["-s resumes in mode c", "xcd", { session: "S" }, {}, "resume S YOLO --no-daemon TRUST"],
    ["-s resumes in mode r", "crd", { session: "S" }, {}, "BYPASS --resume S"],
    ["-s in mode n", "cnd", { session: "S", prompt: "P" }, {}, "BYPASS --resume S -p P"],
    ["-s in mode n", "xnd", { session: "S", prompt: "P" }, {}, "exec resume S YOLO --skip-git-repo-check P"],
    ["a first message", "cid", { prompt: "hi" }, {}, "BYPASS SESSION hi"],
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
    ["--safe", "cip", { isSafe: true }, {}, "SESSION SETTINGS"],
    ["--safe", "xip", { isSafe: true }, {}, "--no-daemon -m clutch-big PROVIDER WINDOW"],
    ["root in a sandbox", "cid", {}, { isRoot: true, env: { IS_SANDBOX: "1" } }, "BYPASS SESSION"],
    ["root", "cid", {}, { isRoot: true }, "SESSION"],
    ["root", "xid", {}, { isRoot: true }, "YOLO --no-daemon TRUST"],

    ["-s in mode n", "hnd", { session: "S", prompt: "P" }, {}, "chat --yolo --resume S -Q -q P"],
    ["-s in mode n", "qnd", { session: "S", prompt: "P" }, {}, "--yolo --resume S P"],
    ["-s in mode n", "pnd", { session: "S", prompt: "P" }, {}, "--session S -p P"],
    ["-s in mode n", "ond", { session: "S", prompt: "P" }, {}, "run --auto -s S -- P"],
    ["-s in mode n", "and", { session: "S", prompt: "P" }, {}, "--yolo --resume S -p P"],
    ["-s in mode n", "gnd", { session: "S", prompt: "P" }, {}, "BYPASS --conversation S -p P"],
    ["-s where c and r do not exist", "acd", { session: "S" }, {}, "--yolo --resume S"],
    ["-s where c and r do not exist", "ord", { session: "S" }, {}, "--auto -s S"],
    ["a first message", "qid", { prompt: "hi" }, {}, "--yolo SESSION -i hi"],
    ["a first message", "qcd", { prompt: "hi" }, {}, "--yolo --continue -i hi"],
    ["a first message", "pid", { prompt: "hi" }, {}, "SESSION hi"],
    ["a first message", "oid", { prompt: "hi" }, {}, "--auto --prompt hi"],
    ["a first message", "gid", { prompt: "hi" }, {}, "BYPASS -i hi"],
    ["c without a terminal", "hcd", { prompt: "hi" }, { hasTerminal: false }, "chat --yolo --continue -Q -q hi"],
    ["c without a terminal", "qcd", { prompt: "hi" }, { hasTerminal: false }, "--yolo --continue hi"],
    ["c without a terminal", "pcd", { prompt: "hi" }, { hasTerminal: false }, "--continue -p hi"],
    ["c without a terminal", "ocd", { prompt: "hi" }, { hasTerminal: false }, "run --auto --continue -- hi"],
    ["c without a terminal", "gcd", { prompt: "hi" }, { hasTerminal: false }, "BYPASS --continue -p hi"],
    ["a prompt with a dash", "hnd", { prompt: "-x" }, {}, "chat --yolo -Q -q=-x"],
    ["a prompt with a dash", "qnd", { prompt: "-x" }, {}, "--yolo -p=-x"],
    ["a prompt with a dash", "pnd", { prompt: "-x" }, {}, "-p -- -x"],
    ["a prompt with a dash", "oid", { prompt: "-x" }, {}, "--auto --prompt=-x"],
    ["a prompt with a dash", "and", { prompt: "-x" }, {}, "--yolo -p=-x"],
    ["a prompt with a dash", "gnd", { prompt: "-x" }, {}, "BYPASS -p=-x"],
    ["a prompt that is a subcommand", "qnd", { prompt: "review" }, {}, "--yolo -p=review"],
    ["a prompt that is a subcommand", "pid", { prompt: "update" }, {}, "SESSION -- update"],
    ["the user's own arguments", "ond", { prompt: "a  b", rest: ["-f", "x"] }, {}, "run --auto -f x -- a  b"],
    ...["hid", "oid", "aid", "gid"].map((code): Case => ["--safe", code, { isSafe: true }, {}, ""]),
    ...["qid", "pid"].map((code): Case => ["--safe", code, { isSafe: true }, {}, "SESSION"]),
    ["no session id beside the user's own arguments", "cid", { rest: ["--fork-session"] }, {}, "BYPASS --fork-session"],
  ];
  test.each(cases)("%s: %s %j %j", (_why, code, request, changed, argv) => {
    expect(shorten(launch(code, request, changed).argv)).toBe(argv);
  });

  test("OpenCode gets every word of a prompt by itself, as it would quote one with spaces", () => {
    expect(launch("ond", { prompt: "a  b\nc" }).argv).toEqual(["run", "--auto", "--", "a", "", "b\nc"]);
  });

  test.each([
    ["pip", {}, ["Pi never asks in this mode, so --safe changes nothing"]],
    ["anp", { prompt: "P" }, ["Ante never asks in this mode, so --safe changes nothing"]],
    ["aip", {}, []],
  ])("%s with --safe says where nothing makes the agent ask", (code, request, notes) => {
    expect(launch(code, { ...request, isSafe: true }).notes).toEqual(notes);
  });

  test("says which file of the user's wins", () => {
    const rivals = [{ path: "/home/me/.hermes/.env", names: ["KILOCODE_BASE_URL", "KILOCODE_API_KEY"] }];
    expect(launch("hip", {}, { rivals }).notes).toEqual([
      "/home/me/.hermes/.env sets KILOCODE_BASE_URL and KILOCODE_API_KEY, which wins over this launch: take it out of that file",
    ]);
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
    ["hip", { prompt: "hi" }, "mode i of Hermes takes no first message"],
    ["aip", { prompt: "hi" }, "mode i of Ante takes no first message"],
    ["gcd", { prompt: "hi" }, "mode c of Antigravity takes no first message"],
  ])("%s %j is refused", (code, request, message) => {
    expect(() => launch(code, request)).toThrow(message);
  });
});
