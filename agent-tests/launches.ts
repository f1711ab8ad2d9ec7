/**
 * THE table of launches under test: what each agent's own settings look like when they point somewhere, what another tool
 * may have left in the environment, and how a person gets through its screens. How it is started is the launcher's
 * business alone: not one argument of an agent stands here.
 */

import type { AgentLetter, Route } from "../src/launch-code.ts";
import type { JsonObject, Protocol } from "../src/protocols/chat.ts";
import { cascadeModels } from "./gateway.ts";

/** Where a person's own settings lead: a server without a version segment. */
export interface OwnSettings {
  url: string;
  /** Absolute path of the project. */
  project: string;
}

/** Keys as tmux names them, or a text that is typed and sent. */
/** With `until`, the keys are pressed again while it is not shown: a program that has just drawn may not listen yet. */
export type Step = { press: readonly string[]; until?: RegExp } | { say: string };

export interface Question {
  shows: RegExp;
  answer: readonly Step[];
}

export interface LaunchedAgent {
  name: string;
  program: string;
  letter: AgentLetter;
  /** Keeps it off the network and silent about itself; nothing that changes what it sends. */
  env: Readonly<Record<string, string>>;
  speaks: Readonly<Record<Route, Protocol>>;
  /** What the upstream is asked for. Route p: by the gateway's tiers. Routes b and d: what the person's settings name. */
  models: Readonly<Record<Route, string>>;
  /** The person's own files, by their path below HOME, or below the project behind `project/`. */
  files(settings: OwnSettings): Readonly<Record<string, string | JsonObject>>;
  /** Variables that another tool has left behind, all of them for the gateway at this address. */
  leftovers(gateway: string): Readonly<Record<string, string>>;
  /** The file that `leftovers` name, if they name one. */
  leftoverFile?(gateway: string): string;
  /** Calls that belong to no turn of ours, besides those without tools. */
  sideCalls?: RegExp;
  /** In a terminal it asks a model for the session's title, and that too has to go where the launch goes. */
  asksForTitle?: true;
  /** What it asks before it starts, each at most once. */
  questions: readonly Question[];
  /** Its first screen. */
  ready: RegExp;
  leave: readonly Step[];
  /** The screen of its picker, or why it has none. */
  picker: RegExp | { reason: string };
}

/** Settings that no launch can get round: then it says which file wins. */
export interface Unbeatable {
  agent: LaunchedAgent;
  route: Route;
  /** Below HOME. */
  file: string;
  /** What the launch says of it, after the file's path. */
  says: string;
}

/** The person's own key, wherever they keep one: it must never reach the gateway. */
export const ownKey = "own-key-of-the-person";

const viaTiers = cascadeModels[0];

const house = "house-model";

/** Route d has no gateway that could be named, so what names one has to be gone. */
const vendorLeftovers = (gateway: string) => ({
  ANTHROPIC_BASE_URL: gateway,
  OPENAI_BASE_URL: `${gateway}/v1`,
});

const claude: LaunchedAgent = {
  name: "Claude Code",
  program: "claude",
  letter: "c",
  env: { IS_SANDBOX: "1", DISABLE_AUTOUPDATER: "1", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" },
  speaks: { p: "messages", b: "messages", d: "messages" },
  models: { p: viaTiers, b: "claude-sonnet-5", d: "claude-sonnet-5" },
  files({ url }) {
    const env = { ANTHROPIC_BASE_URL: url, ANTHROPIC_AUTH_TOKEN: ownKey };
    return {
      ".claude/settings.json": { model: "claude-sonnet-5", env },
      "project/.claude/settings.local.json": { env },
    };
  },
  leftovers: (gateway) => ({
    ...vendorLeftovers(gateway),
    ANTHROPIC_AUTH_TOKEN: "left-behind",
    ANTHROPIC_MODEL: "left-behind",
    ANTHROPIC_DEFAULT_SONNET_MODEL: "left-behind",
    ANTHROPIC_SMALL_FAST_MODEL: "left-behind",
    ANTHROPIC_CUSTOM_HEADERS: "x-clutch-launch: left-behind",
  }),
  questions: [
    { shows: /Choose the text style/, answer: [{ press: ["Enter"] }] },
    { shows: /Press Enter to continue/, answer: [{ press: ["Enter"] }] },
    { shows: /Yes, I trust this folder/, answer: [{ press: ["Down"], until: /❯ Yes, I trust/ }, { press: ["Enter"] }] },
    // on route d only: elsewhere a launch answers it
    { shows: /Yes, I accept/, answer: [{ press: ["Down"], until: /❯ .*Yes, I accept/ }, { press: ["Enter"] }] },
  ],
  ready: /bypass permissions on/,
  leave: [{ say: "/exit" }],
  picker: /Resume/,
};

const codex: LaunchedAgent = {
  name: "Codex",
  program: "codex",
  letter: "x",
  env: {},
  speaks: { p: "responses", b: "responses", d: "responses" },
  models: { p: viaTiers, b: house, d: house },
  files: ({ url }) => ({
    ".codex/config.toml": [
      `model = "${house}"`,
      'model_provider = "mine"',
      "[model_providers.mine]",
      'name = "mine"',
      `base_url = "${url}/v1"`,
      `experimental_bearer_token = "${ownKey}"`,
      'wire_api = "responses"',
      "",
    ].join("\n"),
  }),
  leftovers: (gateway) => ({ ...vendorLeftovers(gateway), CLUTCH_KEY: "left-behind" }),
  // its titles: with a model that takes patches it offers that tool even there
  sideCalls: /"codex_output_schema"/,
  asksForTitle: true,
  questions: [{ shows: /trust/i, answer: [{ press: ["Enter"] }] }],
  ready: /for shortcuts/,
  leave: [{ say: "/quit" }],
  picker: /Resume a previous session/,
};

const qwen: LaunchedAgent = {
  name: "Qwen Code",
  program: "qwen",
  letter: "q",
  env: { QWEN_CODE_SUPPRESS_YOLO_WARNING: "1" },
  speaks: { p: "chat", b: "chat", d: "chat" },
  // route b has to name one: the person's settings cannot be kept beside ours
  models: { p: viaTiers, b: "qwen3.7-max", d: "coder-model" },
  files: ({ url }) => ({
    ".qwen/settings.json": {
      security: { auth: { selectedType: "openai" } },
      env: { OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: ownKey, MINE_KEY: ownKey },
      modelProviders: {
        openai: ["coder-model", "clutch-big", "qwen3.7-max"].map((id) => ({
          id,
          name: id,
          baseUrl: `${url}/v1`,
          envKey: "MINE_KEY",
        })),
      },
      model: { name: "coder-model" },
      general: { enableAutoUpdate: false },
      privacy: { usageStatisticsEnabled: false },
    },
  }),
  leftovers: (gateway) => ({
    ...vendorLeftovers(gateway),
    OPENAI_API_KEY: "left-behind",
    OPENAI_MODEL: "left-behind",
    QWEN_MODEL: "left-behind",
    QWEN_CODE_SYSTEM_SETTINGS_PATH: "LEFTOVER_FILE",
  }),
  leftoverFile: (gateway) =>
    JSON.stringify({
      security: { auth: { selectedType: "openai" } },
      env: { LEFT_KEY: "left-behind" },
      modelProviders: { openai: [{ id: "left", name: "left", baseUrl: `${gateway}/v1`, envKey: "LEFT_KEY" }] },
      model: { name: "left" },
    }),
  sideCalls: /managed memory extraction subagent/,
  questions: [{ shows: /trust this folder/i, answer: [{ press: ["Enter"] }] }],
  ready: /Type your message/,
  leave: [{ say: "/quit" }],
  picker: /Resume Session/,
};

const pi: LaunchedAgent = {
  name: "Pi",
  program: "pi",
  letter: "p",
  env: { PI_OFFLINE: "1" },
  speaks: { p: "chat", b: "messages", d: "messages" },
  models: { p: viaTiers, b: "claude-sonnet-4-5", d: "claude-sonnet-4-5" },
  files: ({ url }) => ({
    ".pi/agent/models.json": { providers: { anthropic: { baseUrl: url, apiKey: ownKey } } },
    ".pi/agent/settings.json": { defaultProvider: "anthropic", defaultModel: "claude-sonnet-4-5" },
  }),
  leftovers: (gateway) => ({ ...vendorLeftovers(gateway), CLUTCH_KEY: "left-behind", CLUTCH_BASE: gateway }),
  questions: [],
  ready: /\(auto\)/,
  leave: [{ say: "/quit" }],
  picker: /Resume Session/,
};

const opencode: LaunchedAgent = {
  name: "OpenCode",
  program: "opencode",
  letter: "o",
  env: { OPENCODE_DISABLE_AUTOUPDATE: "1", OPENCODE_DISABLE_MODELS_FETCH: "1", OPENCODE_DISABLE_LSP_DOWNLOAD: "1" },
  speaks: { p: "chat", b: "messages", d: "messages" },
  models: { p: viaTiers, b: "claude-sonnet-4-6", d: "claude-sonnet-4-6" },
  files({ url }) {
    const provider = { anthropic: { options: { baseURL: `${url}/v1`, apiKey: ownKey } } };
    const model = "anthropic/claude-sonnet-4-6";
    return {
      ".config/opencode/opencode.json": { model, provider },
      "project/opencode.json": { model, provider },
    };
  },
  leftovers: (gateway) => ({
    ANTHROPIC_BASE_URL: `${gateway}/v1`,
    OPENAI_BASE_URL: `${gateway}/v1`,
    OPENCODE_CONFIG_CONTENT: JSON.stringify({
      model: "clutch/left-behind",
      provider: {
        clutch: {
          npm: "@ai-sdk/openai-compatible",
          options: { baseURL: `${gateway}/v1`, apiKey: "left-behind" },
          models: { "left-behind": {} },
        },
      },
    }),
  }),
  asksForTitle: true,
  questions: [],
  ready: /ctrl\+p commands/,
  leave: [{ say: "/exit" }],
  picker: { reason: "OpenCode has no flag for its picker" },
};

const hermes: LaunchedAgent = {
  name: "Hermes",
  program: "hermes",
  letter: "h",
  env: {},
  speaks: { p: "chat", b: "chat", d: "chat" },
  models: { p: viaTiers, b: house, d: house },
  files: ({ url }) => ({
    // JSON is YAML
    ".hermes/config.yaml": JSON.stringify({
      model: { default: house, provider: "custom", base_url: `${url}/v1`, api_key: ownKey },
      security: { tirith_enabled: false },
    }),
    ".hermes/.env": `OPENROUTER_BASE_URL=${url}/v1\nOPENROUTER_API_KEY=${ownKey}\nCUSTOM_BASE_URL=${url}/v1\n`,
  }),
  leftovers: (gateway) => ({
    ...vendorLeftovers(gateway),
    CUSTOM_BASE_URL: `${gateway}/v1`,
    OPENROUTER_BASE_URL: `${gateway}/v1`,
    HERMES_INFERENCE_MODEL: "left-behind",
  }),
  asksForTitle: true,
  questions: [],
  ready: /Welcome to Hermes Agent[\s\S]*❯/,
  leave: [{ say: "/exit" }],
  picker: /Browse sessions/,
};

export const launchedAgents: readonly LaunchedAgent[] = [claude, codex, qwen, pi, opencode, hermes];

/** A copy whose person has more files. */
function withFiles(agent: LaunchedAgent, model: string, more: LaunchedAgent["files"]): LaunchedAgent {
  const models = { p: model, b: model, d: model };
  return { ...agent, models, files: (settings) => ({ ...agent.files(settings), ...more(settings) }) };
}

const chatOnly = { p: "chat", b: "chat", d: "chat" } as const;

export const unbeatable: readonly Unbeatable[] = [
  ...(["p", "b"] as const).map((route) => ({
    agent: withFiles(hermes, route === "p" ? "clutch-big" : house, ({ url }) => ({
      ".hermes/.env": `KILOCODE_BASE_URL=${url}/v1\nKILOCODE_API_KEY=${ownKey}\n`,
    })),
    route,
    file: ".hermes/.env",
    says: "sets KILOCODE_BASE_URL and KILOCODE_API_KEY",
  })),
  {
    agent: {
      ...withFiles(pi, house, ({ url }) => ({
        ".pi/agent/models.json": {
          providers: {
            mine: {
              baseUrl: `${url}/v1`,
              api: "openai-completions",
              apiKey: ownKey,
              models: [{ id: house, name: house }],
            },
          },
        },
        ".pi/agent/settings.json": { defaultProvider: "mine", defaultModel: house },
      })),
      speaks: chatOnly,
    },
    route: "b",
    file: ".pi/agent/settings.json",
    says: "sets defaultProvider",
  },
  {
    agent: {
      ...withFiles(opencode, house, ({ url }) => {
        const mine = {
          npm: "@ai-sdk/openai-compatible",
          options: { baseURL: `${url}/v1`, apiKey: ownKey },
          models: { [house]: {} },
        };
        const config = { model: `mine/${house}`, provider: { mine } };
        return { ".config/opencode/opencode.json": config, "project/opencode.json": {} };
      }),
      speaks: chatOnly,
    },
    route: "b",
    file: ".config/opencode/opencode.json",
    says: "sets model",
  },
];
