/** What the predecessors' files become: whole files, whole configs, and all that stays behind. */

import { describe, expect, test } from "bun:test";
import { renderDiff } from "../../commands/render-diff.ts";
import { parseConfig } from "../../src/config/schema.ts";
import { describeLeft } from "../../src/init/report.ts";
import { parseDotenv } from "../../src/migrate/dotenv.ts";
import { Draft } from "../../src/migrate/draft.ts";
import { migrateChain } from "../../src/migrate/from-chain.ts";
import { migrateEnv } from "../../src/migrate/from-env.ts";
import { migrateXx } from "../../src/migrate/from-xx.ts";
import { splitCommand } from "../../src/migrate/shell-words.ts";
import type { Json } from "../../src/protocols/chat.ts";

const key = "sk-or-v1-0123456789abcdef";

function fromEnv(text: string, env: Record<string, string> = {}): Draft {
  const draft = new Draft();
  migrateEnv({ variables: parseDotenv(text), env }, draft);
  expect(() => parseConfig(draft.config, "the draft")).not.toThrow();
  return draft;
}

function fromChain(file: Json): Draft {
  const draft = new Draft();
  migrateChain(file, draft);
  expect(() => parseConfig(draft.config, "the draft")).not.toThrow();
  return draft;
}

function fromXx(file: Json): Draft {
  const draft = new Draft();
  migrateXx(file, draft);
  expect(() => parseConfig(draft.config, "the draft")).not.toThrow();
  return draft;
}

const left = (draft: Draft) => draft.left.map(({ from, reason }) => `${from}: ${reason}`);

describe("parseDotenv()", () => {
  test("reads what people write", () => {
    const text = [
      "\uFEFF# the proxy",
      "BIG_MODEL=moonshotai/kimi-k2.6:free   # the best",
      "  export MIDDLE_MODEL = 'a # b'  ",
      'SMALL_MODEL="with \\"quotes\\" and\\ttabs"',
      "EMPTY=",
      'ALSO_EMPTY=""',
      "HASH=a#b",
      "TWICE=1",
      "TWICE=2",
      "NOT SET=5",
      'MULTI="one',
      'two"',
      "LAST=`x`",
    ].join("\r\n");
    expect([...parseDotenv(text)]).toEqual([
      ["BIG_MODEL", "moonshotai/kimi-k2.6:free"],
      ["MIDDLE_MODEL", "a # b"],
      ["SMALL_MODEL", 'with "quotes" and\ttabs'],
      ["HASH", "a#b"],
      ["TWICE", "2"],
      ["MULTI", "one\r\ntwo"],
      ["LAST", "x"],
    ]);
  });
});

describe("a predecessor's .env", () => {
  test("keeps models, cascades, routes, limits of thought, headers and the address", () => {
    const draft = fromEnv(`
PROVIDER_API_KEY=${key}
PROVIDER_BASE_URL=https://openrouter.ai/api/v1
BIG_MODEL=moonshotai/kimi-k2.6:free
MIDDLE_MODEL=nvidia/nemotron-3-super-120b-a12b:free
SMALL_MODEL=nvidia/nemotron-3-nano-omni-30b-a3b-reasoning:free
BIG_CASCADE=openai/gpt-oss-120b:free, nvidia/nemotron-3-super-120b-a12b:free
MIDDLE_CASCADE=["a/b", "c/d"]
TOOLCALL_MODELS=qwen/qwen3-next-80b-a3b-thinking
OPENROUTER_FALLBACK_MODELS=x/y:free,x/z:free
FALLBACK_METHOD=both
ROUTER_DEFAULT=a/default
ROUTER_BACKGROUND=a/background
ROUTER_THINK=openrouter,deepseek/deepseek-r1
ROUTER_LONG_CONTEXT=a/long
ROUTER_LONG_CONTEXT_THRESHOLD=80000
ROUTER_WEB_SEARCH=a/search
ROUTER_IMAGE=a/vision
ROUTER_CUSTOM_PATH=/home/me/router.py
REASONING_EFFORT=high
REASONING_MAX_TOKENS=8192
REASONING_EXCLUDE=true
VERBOSITY=low
SMALL_REASONING_EFFORT=none
CUSTOM_HEADER_X_TEAM=agents
HOST=127.0.0.1
PORT=8083
LOG_LEVEL=DEBUG
MAX_RETRIES=2
`);
    const thinking = { effort: "high", max_tokens: 8192, exclude: true };
    expect(draft.config).toEqual({
      server: { host: "127.0.0.1", port: 8083 },
      providers: { openrouter: { api_key: key, headers: { "x-team": "agents" } } },
      model_tiers: {
        BIG: {
          default: "moonshotai/kimi-k2.6:free",
          cascade: ["openai/gpt-oss-120b:free", "nvidia/nemotron-3-super-120b-a12b:free"],
          reasoning: thinking,
          verbosity: "low",
        },
        MIDDLE: {
          default: "nvidia/nemotron-3-super-120b-a12b:free",
          cascade: ["a/b", "c/d"],
          reasoning: thinking,
          verbosity: "low",
        },
        SMALL: {
          default: "nvidia/nemotron-3-nano-omni-30b-a3b-reasoning:free",
          reasoning: { ...thinking, effort: "none" },
          verbosity: "low",
        },
      },
      toolcall_models: ["qwen/qwen3-next-80b-a3b-thinking"],
      fallbacks: ["x/y:free", "x/z:free"],
      fallback_method: "both",
      routes: {
        default: "a/default",
        background: "a/background",
        think: "openrouter:deepseek/deepseek-r1",
        long_context: { model: "a/long", threshold: 80000 },
        web_search: "a/search",
        image: "a/vision",
      },
    });
    expect(left(draft)).toEqual([
      expect.stringMatching(/^ROUTER_CUSTOM_PATH: its script is asked in another way: .*routes\.custom$/),
      "LOG_LEVEL: it is no part of the config: CLUTCH_LOG sets it for one run",
      "MAX_RETRIES: no setting of Clutch's corresponds to it",
    ]);
  });

  const endpoints: [name: string, text: string, config: Json, left: string[]][] = [
    [
      "legacy names",
      "OPENAI_API_KEY=sk-abc\nOPENAI_BASE_URL=https://api.openai.com/v1\nANTHROPIC_API_KEY=let-me-in\nBIG_MODEL=gpt-5",
      {
        default_provider: "openai",
        providers: { openai: { api_key: "sk-abc" } },
        model_tiers: { BIG: { default: "gpt-5" } },
      },
      [
        "ANTHROPIC_API_KEY: it was the key that agents had to show; on this machine alone none is needed (server.require_key)",
      ],
    ],
    [
      "an OpenRouter key under the legacy name",
      `OPENAI_API_KEY=${key}`,
      { providers: { openrouter: { api_key: key } } },
      [],
    ],
    [
      "a key of Anthropic's own",
      "ANTHROPIC_API_KEY=sk-ant-x\nOPENROUTER_API_KEY=sk-or-x",
      { providers: { openrouter: { api_key: "sk-or-x" }, anthropic: { api_key: "sk-ant-x" } } },
      [],
    ],
    [
      "a server on this machine",
      "PROVIDER_BASE_URL=http://localhost:11434/v1\nPROVIDER_API_KEY=dummy\nBIG_MODEL=qwen2.5:72b",
      { default_provider: "ollama", model_tiers: { BIG: { default: "qwen2.5:72b" } } },
      [],
    ],
    [
      "Headroom as the upstream, which would be a circle here",
      `PROVIDER_BASE_URL=http://127.0.0.1:8787/v1\nPROVIDER_API_KEY=${key}\nBIG_MODEL=a/b`,
      { providers: { openrouter: { api_key: key } }, model_tiers: { BIG: { default: "a/b" } } },
      [
        "PROVIDER_API_KEY, PROVIDER_BASE_URL: http://127.0.0.1:8787/v1 is Headroom itself, which would ask the gateway again: the provider behind it is asked",
      ],
    ],
    [
      "CLIProxyAPI as the upstream",
      "PROVIDER_BASE_URL=http://localhost:8317/v1\nPROVIDER_API_KEY=cpa\nBIG_MODEL=gpt-5",
      {
        default_provider: "cliproxy",
        providers: { cliproxy: { api_key: "cpa" } },
        model_tiers: { BIG: { default: "gpt-5" } },
      },
      [],
    ],
    [
      "an upstream of the user's own",
      "PROVIDER_BASE_URL=https://llm.example.com/v1\nPROVIDER_API_KEY=k\nBIG_MODEL=m",
      {
        default_provider: "llm-example-com",
        providers: { "llm-example-com": { base_url: "https://llm.example.com/v1", protocol: "chat", api_key: "k" } },
        model_tiers: { BIG: { default: "m" } },
      },
      [],
    ],
    [
      "tiers with endpoints of their own",
      [
        `PROVIDER_API_KEY=${key}`,
        "BIG_MODEL=gpt-5",
        "ENABLE_BIG_ENDPOINT=true",
        "BIG_ENDPOINT=https://api.openai.com/v1",
        "BIG_API_KEY=sk-big",
        "MIDDLE_MODEL=local-model",
        "ENABLE_MIDDLE_ENDPOINT=true",
        "MIDDLE_ENDPOINT=http://127.0.0.1:9999/v1",
        "SMALL_MODEL=x/small",
        "SMALL_ENDPOINT=https://elsewhere.example/v1",
        "ENABLE_SMALL_ENDPOINT=false",
      ].join("\n"),
      {
        providers: {
          openrouter: { api_key: key },
          openai: { api_key: "sk-big" },
          middle: { base_url: "http://127.0.0.1:9999/v1", protocol: "chat" },
        },
        model_tiers: {
          BIG: { default: "openai:gpt-5" },
          MIDDLE: { default: "middle:local-model" },
          SMALL: { default: "x/small" },
        },
      },
      ["SMALL_ENDPOINT: ENABLE_SMALL_ENDPOINT is not true"],
    ],
    [
      "a tier with a key of its own at the same provider",
      `PROVIDER_API_KEY=${key}\nBIG_MODEL=a/b\nENABLE_BIG_ENDPOINT=1\nBIG_API_KEY=sk-or-other`,
      {
        providers: {
          openrouter: { api_key: key },
          "openrouter-big": { base_url: "https://openrouter.ai/api/v1", api_key: "sk-or-other" },
        },
        model_tiers: { BIG: { default: "openrouter-big:a/b" } },
      },
      [],
    ],
    [
      "Azure's dated API",
      `PROVIDER_API_KEY=${key}\nBIG_MODEL=my-gpt\nENABLE_BIG_ENDPOINT=yes\nBIG_ENDPOINT=https://res.openai.azure.com/\nBIG_API_KEY=az\nBIG_AZURE_API_VERSION=2024-10-21`,
      {
        providers: {
          openrouter: { api_key: key },
          "azure-big": {
            base_url: "https://res.openai.azure.com/openai/deployments/my-gpt",
            protocol: "chat",
            query: { "api-version": "2024-10-21" },
            headers: { "api-key": "az" },
          },
        },
        model_tiers: { BIG: { default: "azure-big:my-gpt" } },
      },
      [],
    ],
    [
      "a gateway that others reach",
      `HOST=0.0.0.0\nPORT=9000\nPROXY_AUTH_KEY=secret`,
      { server: { host: "0.0.0.0", port: 9000, require_key: true } },
      ["PROXY_AUTH_KEY: keys are made anew, and only their hashes kept: clutch keys create"],
    ],
    [
      "values that mean nothing",
      "FALLBACK_METHOD=sometimes\nREASONING_EFFORT=lots\nREASONING_MAX_TOKENS=many\nVERBOSITY=chatty\nPORT=http\nROUTER_LONG_CONTEXT_THRESHOLD=big\nPROVIDER_BASE_URL=nowhere",
      {},
      [
        "PROVIDER_BASE_URL: it is no http(s) address",
        'REASONING_EFFORT: "lots" is none of none, minimal, low, medium, high, xhigh, max',
        'REASONING_MAX_TOKENS: "many" is no number of tokens',
        'VERBOSITY: "chatty" is none of low, medium, high',
        'FALLBACK_METHOD: "sometimes" is none of cascade, openrouter_native, both',
        'ROUTER_LONG_CONTEXT_THRESHOLD: "big" is no number of tokens',
        'PORT: "http" is no port',
      ],
    ],
    [
      "routes without fallbacks",
      "BIG_MODEL=a/big\nBIG_CASCADE=a/1,a/2\nROUTER_THINK=a/think",
      { model_tiers: { BIG: { default: "a/big", cascade: ["a/1", "a/2"] } }, routes: { think: "a/think" } },
      ["BIG_CASCADE: behind the models of routes: here fallbacks stand behind those, so name it there if it shall"],
    ],
    ["nothing of ours", "DATABASE_URL=x", {}, ["DATABASE_URL: no setting of Clutch's corresponds to it"]],
  ];
  test.each(endpoints)("%s", (_name, text, config, behind) => {
    const draft = fromEnv(text);
    expect(draft.config as Json).toEqual(config);
    expect(left(draft)).toEqual(behind);
  });

  test("leaves a key where the shell has it too", () => {
    expect(fromEnv(`OPENROUTER_API_KEY=${key}`, { OPENROUTER_API_KEY: key }).config).toEqual({
      providers: { openrouter: { api_key: "env:OPENROUTER_API_KEY" } },
    });
    expect(fromEnv(`OPENROUTER_API_KEY=${key}`, { OPENROUTER_API_KEY: "another" }).config).toEqual({
      providers: { openrouter: { api_key: key } },
    });
  });
});

describe("a predecessor's proxy_chain.json", () => {
  test("keeps services, routes, assignments and mappings", () => {
    const draft = fromChain({
      schema_version: "2.0.0",
      entries: [
        {
          id: "clutch",
          name: "Gateway",
          type: "http",
          port: 8082,
          health_path: "/health",
          enabled: true,
          order: 0,
          service_cmd: "python start_proxy.py",
        },
        {
          id: "headroom",
          name: "Headroom",
          type: "http",
          port: 8799,
          health_path: "/health",
          enabled: true,
          order: 1,
          service_cmd: "headroom proxy",
        },
        { id: "cliproxyapi", type: "http", port: 8317, health_path: "/v1/models", enabled: true, order: 2 },
        { id: "rtk", type: "cli_wrapper", enabled: true },
        {
          id: "My Vectors",
          type: "http",
          port: 9000,
          health_path: "ready",
          enabled: false,
          order: 4,
          service_cmd: `my-server --name "two words"`,
          timeout: 45,
        },
        { id: "piped", type: "http", port: 9001, service_cmd: "a | b" },
        { id: "portless", type: "http", service_cmd: "a" },
        {
          id: "hosted",
          type: "http",
          url: "https://llm.example.com/v1",
          auth_key: "k",
          model_prefixes: ["x/"],
          extra_headers: { "X-A": "1" },
        },
      ],
      router: {
        default: { assignment_id: "big" },
        background: { model: "a/cheap" },
        think: { model: "m", base_url: "http://127.0.0.1:9998/v1", api_key: "t" },
        long_context: { model: "a/long" },
        image: null,
        web_search: { assignment_id: "gone" },
        long_context_threshold: 50000,
        custom_router_path: "/x.py",
      },
      assignments: [
        {
          id: "big",
          kind: "tier",
          model: "moonshotai/kimi-k2.6:free",
          enabled: true,
          cascade: ["a/1", { model: "m2", provider: "openai" }],
        },
        { id: "tier-middle", kind: "tier", model: "a/middle" },
        { id: "coder", kind: "slot", model: "gpt-5", provider: "openai", api_key: "sk-x", cascade: ["z"] },
        { id: "off", kind: "slot", model: "x", enabled: false },
        { id: "huge", kind: "tier", model: "x" },
      ],
      identifier_mappings: [
        { incoming_identifier: "coder-model", assignment_id: "coder", enabled: true, priority: 1 },
        { incoming_identifier: "coder-model", assignment_id: "big", enabled: true, priority: 9 },
        { incoming_identifier: "gpt-6.1", assignment_id: "coder", enabled: true },
        { incoming_identifier: "old", assignment_id: "coder", enabled: false },
        { incoming_identifier: "lost", assignment_id: "gone" },
      ],
      model_scan: { enabled: true },
      ui: {},
    });
    expect(draft.config).toEqual({
      server: { port: 8082 },
      chain: {
        services: [
          { id: "headroom", port: 8799 },
          { id: "cliproxyapi", enabled: true },
          {
            id: "my-vectors",
            enabled: false,
            order: 4,
            command: ["my-server", "--name", "two words"],
            port: 9000,
            health_path: "/ready",
            ready_seconds: 45,
          },
        ],
      },
      providers: {
        hosted: { base_url: "https://llm.example.com/v1", protocol: "chat", api_key: "k", headers: { "X-A": "1" } },
        openai: { api_key: "sk-x" },
        think: { base_url: "http://127.0.0.1:9998/v1", protocol: "chat", api_key: "t" },
      },
      model_tiers: {
        BIG: { default: "moonshotai/kimi-k2.6:free", cascade: ["a/1", "openai:m2"] },
        MIDDLE: { default: "a/middle" },
      },
      routes: {
        default: "BIG",
        background: "a/cheap",
        think: "think:m",
        long_context: { model: "a/long", threshold: 50000 },
      },
      mappings: { "coder-model": "BIG", "gpt-6.1": "openai:gpt-5" },
    });
    expect(left(draft)).toEqual([
      "entries.clutch.service_cmd: the gateway is Clutch's own now",
      "entries.headroom.service_cmd: Clutch starts headroom itself, in the way that its version wants",
      "entries.piped: its command needs a shell: put it into a script, and clutch chain add it",
      "entries.portless: it has no port to ask it at",
      "entries.hosted.model_prefixes: name its models as hosted:<model>",
      "assignments.coder.cascade: a slot is one model here; fallbacks follow it",
      "assignments.off: it was switched off",
      "assignments.huge: its id names none of the tiers big, middle, small",
      "router.web_search: there is no assignment gone",
      expect.stringMatching(/^router\.custom_router_path: its script is asked in another way/),
      "identifier_mappings.coder-model: another of a higher priority counts",
      "identifier_mappings.old: it was switched off",
      "identifier_mappings.lost: there is no assignment gone",
      "model_scan: Clutch reads model-scan's snapshot where it usually is, by itself (tiers m and f)",
      "ui: no setting of Clutch's corresponds to it",
    ]);
  });

  test("a router that was switched off stays so, and Headroom too", () => {
    const draft = fromChain({
      entries: [{ id: "headroom", port: 8787, enabled: false }],
      router: { disabled: true, default: { model: "a/b" } },
    });
    expect(draft.config).toEqual({ headroom: { mode: "off" } });
    expect(left(draft)).toEqual(["router.default: the router was switched off (disabled)"]);
  });

  test("a provider of which no address is known is told of", () => {
    const draft = fromChain({ assignments: [{ id: "big", kind: "tier", model: "m", provider: "mybox" }] });
    expect(draft.config).toEqual({ model_tiers: { BIG: { default: "m" } } });
    expect(left(draft)).toEqual([
      "assignments.big.provider: no address is known of mybox: its model is asked of openrouter",
    ]);
  });

  test.each([[[]], [null], ["x"]])("%j is no chain", (file) => {
    expect(left(fromChain(file as Json))).toEqual(["the file: it is no object"]);
  });
});

describe("a predecessor's config.json", () => {
  test("means the same where it says the same", () => {
    const tiers = { BIG: { default: "moonshotai/kimi-k2.6:free", cascade: ["openai/gpt-oss-120b:free"] } };
    const quotas = { "deepseek/deepseek-v4-flash:free": { max_requests_per_minute: 30, cooldown_seconds: 10 } };
    const draft = fromXx({
      proxy: { base_url: "http://127.0.0.1:9000", health_url: "http://127.0.0.1:9000/health", auto_start: false },
      headroom_health_url: "http://127.0.0.1:8787/health",
      selectors: { best: "auto", free: "x/free:free", d: { model: "x/d" }, tool: "x/tool" },
      profiles: { "0": "pi", "1": "x/one", "2": { model: "x/two", agent: "codex", colour: "red" }, named: {} },
      model_tiers: { ...tiers, HUGE: { default: "x" } },
      fallbacks: ["x/y"],
      toolcall_models: ["x/tools"],
      quotas,
      breaker: { failures: "three" },
    });
    expect(draft.config).toEqual({
      server: { port: 9000 },
      proxy: { auto_start: false },
      launcher: {
        tiers: { f: "x/free:free", d: "x/d" },
        profiles: { "1": { model: "x/one" }, "2": { model: "x/two", agent: "codex" } },
      },
      model_tiers: tiers,
      fallbacks: ["x/y"],
      toolcall_models: ["x/tools"],
      quotas,
      breaker: {},
    });
    expect(left(draft)).toEqual([
      "proxy.health_url: the gateway is asked where it is",
      "selectors.best: it names no model: Clutch chooses one by its own list",
      "selectors.tool: there is no such letter here: give x/tool a digit in launcher.profiles",
      "profiles.0: it is the name of a profile of the old gateway: name its model in launcher.profiles",
      "profiles.2.colour: no setting of Clutch's corresponds to it",
      "profiles.named: a profile has a digit here",
      "headroom_health_url: no setting of Clutch's corresponds to it",
      "model_tiers.HUGE: no setting of Clutch's corresponds to it",
      "breaker.failures: invalid input: expected number, received string",
    ]);
  });
});

test("of two files that say otherwise the later one counts, and the other is told of", () => {
  const draft = new Draft();
  migrateEnv(
    {
      variables: parseDotenv("BIG_MODEL=env/big\nBIG_CASCADE=env/1\nPROVIDER_BASE_URL=http://127.0.0.1:9/v1"),
      env: {},
    },
    draft,
  );
  migrateChain({ assignments: [{ id: "big", kind: "tier", model: "chain/big", provider: "openrouter" }] }, draft);
  migrateXx({ model_tiers: { BIG: { default: "xx/big" } } }, draft);
  expect(draft.config).toEqual({
    default_provider: "own",
    providers: { own: { base_url: "http://127.0.0.1:9/v1", protocol: "chat" } },
    model_tiers: { BIG: { default: "xx/big", cascade: ["env/1"] } },
  });
  expect(draft.left).toEqual([
    { source: ".env", from: "BIG_MODEL", reason: "proxy_chain.json says otherwise, and counts" },
    { source: "proxy_chain.json", from: "assignments.big", reason: "config.json says otherwise, and counts" },
  ]);
});

describe("a file that somebody else has written", () => {
  test("has no command run and no variable looked up: in a .env", () => {
    const draft = fromEnv(`
PROVIDER_BASE_URL=https://models.example/v1
PROVIDER_API_KEY=cmd:touch /tmp/was-here
ANTHROPIC_API_KEY=env:AWS_SECRET_ACCESS_KEY
BIG_MODEL=a/b
ENABLE_SMALL_ENDPOINT=true
SMALL_ENDPOINT=https://small.example/v1
SMALL_API_KEY=cmd:id
CUSTOM_HEADER_X_TEAM=env:GITHUB_TOKEN
`);
    expect(JSON.stringify(draft.config)).not.toMatch(/(env|cmd):/);
    expect(left(draft)).toEqual([
      "PROVIDER_API_KEY: it begins with cmd:, which is a command here: if you mean that, set it yourself",
      "ANTHROPIC_API_KEY: it begins with env:, which is the name of a variable here: if you mean that, set it yourself",
      "SMALL_API_KEY: it begins with cmd:, which is a command here: if you mean that, set it yourself",
      "CUSTOM_HEADER_X_TEAM: it begins with env:, which is the name of a variable here: if you mean that, set it yourself",
    ]);
  });

  test("nor in a chain file", () => {
    const draft = fromChain({
      entries: [
        {
          id: "relay",
          type: "http",
          url: "https://relay.example/v1",
          auth_key: "cmd:id",
          extra_headers: { "x-team": "env:GITHUB_TOKEN", "x-plain": "yes" },
        },
      ],
      assignments: [
        { id: "big", kind: "tier", model: "a/b", base_url: "https://big.example/v1", api_key: "env:AWS_SECRET_KEY" },
      ],
      router: { think: { model: "a/c", base_url: "https://think.example/v1", api_key: "cmd:id" } },
    });
    expect(JSON.stringify(draft.config)).not.toMatch(/(env|cmd):/);
    expect(left(draft).map((line) => line.replace(/:.*/, ""))).toEqual([
      "entries.relay.auth_key",
      "entries.relay.extra_headers",
      "assignments.big.api_key",
      "router.think.api_key",
    ]);
  });

  test("nor moves the key of a vendor to an address without encryption", () => {
    const draft = fromEnv("PROVIDER_BASE_URL=http://openrouter.ai/api/v1\nBIG_MODEL=a/b");
    expect(draft.config["providers"]).toEqual({
      "openrouter-ai": { base_url: "http://openrouter.ai/api/v1", protocol: "chat" },
    });
  });
});

describe("splitCommand()", () => {
  const commands: [text: string, words: string[] | undefined][] = [
    ["a b  c", ["a", "b", "c"]],
    [`a "b c" 'd "e"' f\\ g`, ["a", "b c", 'd "e"', "f g"]],
    ["a --x='y z'", ["a", "--x=y z"]],
    ["a | b", undefined],
    ["a && b", undefined],
    ["a $HOME", undefined],
    ['a "$HOME"', undefined],
    ["a 'open", undefined],
    ["~/bin/a", undefined],
    ["", undefined],
  ];
  test.each(commands)("%s", (text, words) => {
    expect(splitCommand(text)).toEqual(words);
  });
});

test("what stays behind is told without what a terminal obeys", () => {
  const draft = fromEnv('REASONING_EFFORT="a\u001b]0;title\u0007\u009b2J\\nb"\nBIG_MODEL=x/y\u001b[2J');
  expect(draft.left.map(describeLeft)).toEqual([
    'REASONING_EFFORT: "a ]0;title  2j b" is none of none, minimal, low, medium, high, xhigh, max',
  ]);
  expect(renderDiff(`+${JSON.stringify(draft.config)}\n+\t"\u009b2J\u202e"`)).toEndWith('\n+\t" 2J "');
});
