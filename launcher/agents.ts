/**
 * THE table: one row per agent says all that the launcher knows about it. Flags and variables were measured with
 * Claude Code 2.1.328, Hermes 0.19.0, Codex 0.169.0, Qwen Code 0.24.4, Pi 0.87.1 and OpenCode 1.18.33. Those of Ante and
 * Antigravity are taken from their documentation and from reports: neither program was at hand.
 */

import { type AgentLetter, agentNames, type Mode, type Route } from "../src/launch-code.ts";
import { launchHeader } from "../src/launch-token.ts";
import type { TierName } from "../src/model-tiers.ts";
import { assumedLimits, type Limits } from "./limits.ts";

/** The five modes, and mode n on an earlier session: the last one, or one by id. */
export type LaunchKind = Mode | "n+c" | "n+s";

/**
 * Places in an argv that a launch fills with no, one or several arguments. `<trust>` is what spares a bypassed session the
 * question whether the folder is trusted; `<new session>` gives a session the id that Clutch will find it by; `<route>` is
 * the wiring's own argv; `<words>` is the prompt, one argument a word.
 * A word such as `-q <prompt>` is a flag that takes the prompt for its value, and goes with it.
 */
export type Slot =
  | "<bypass>"
  | "<trust>"
  | "<session>"
  | "<new session>"
  | "<prompt>"
  | "<words>"
  | "<model>"
  | "<route>";

/** What the agent cannot do, after its name, and the nearest thing that works; there `{i}` is this launch's code in mode i. */
export interface Refusal {
  cannot: string;
  instead: string;
}

/** What one launch tells a wiring. */
export interface LaunchFacts {
  /** Without a trailing slash and without `/v1`. */
  gateway: string;
  /** The launch token. */
  token: string;
  /** The model that is asked for by name, if any. */
  model: string | undefined;
  /** What titles and other chores are asked of; undefined where the agent's own names say it. */
  smallModel: string | undefined;
  /** The smallest of the models that may answer; undefined where they are the agent's own, which it knows. */
  limits: Limits | undefined;
  /** The model that is asked first is one of Anthropic's, at Anthropic. */
  isAnthropic: boolean;
  /** What the installed program said when it was asked as its row wants, if it was. */
  learnt: string | undefined;
  isBypassed: boolean;
  /** Where a generated file of this launch will stand. */
  pathOf(name: string): string;
}

/** How one route reaches its models, for this process only. */
export interface Wiring {
  set: Readonly<Record<string, string>>;
  /** Names to remove; `*` stands for any characters. `set` wins over it. */
  unset: readonly string[];
  argv: readonly string[];
  /** Written with mode 0600; `name` as given to `pathOf`. */
  files: readonly { name: string; text: string }[];
  /** What the agent calls the model, if that is not the name that was asked for. */
  model?: string;
  /** One line each, for the person. */
  notes?: readonly string[];
}

export interface AgentRow {
  name: string;
  binary: string;
  install: string;
  /** The user's own arguments behind `--` always follow at the end. */
  modes: Readonly<Record<LaunchKind, readonly (Slot | (string & {}))[] | Refusal>>;
  routes: Readonly<Record<Route, ((facts: LaunchFacts) => Wiring) | Refusal>> & {
    /** Route b for someone who is logged in to the vendor and stays so. */
    "b+login"?: (facts: LaunchFacts) => Wiring;
  };
  modelFlag: string;
  /** Asked for on route p when neither a tier nor `-m` names a model; without it the agent's own names map to tiers. */
  defaultModel?: string;
  /** The tiers that its own names for its main models map to. */
  ownTiers: readonly TierName[];
  /** Flags without which a launch still means the same, should a version drop them. */
  spareFlags: readonly string[];
  /** Takes the id (a UUID) for a new session. */
  newSessionFlag?: string;
  /** Asked once per version; `keep` picks what wirings need of what the program then prints. */
  question?: { argv: readonly string[]; keep(answer: string): string | undefined };
  bypass: {
    /** Empty for an agent that never asks. */
    argv: readonly string[];
    /** Where nothing makes the agent ask. */
    neverAsks?: readonly LaunchKind[];
    trust?: (cwd: string) => readonly string[];
    /** As root the agent refuses the flag unless this variable is `1`. */
    rootNeeds?: string;
  };
  /** First words that the agent's command line would not take for a prompt; such a prompt goes behind `--`. */
  reservedPrompts: readonly string[];
  /** A flag that takes such a prompt for its value, where `--` does not help. */
  oddPromptFlag?: string;
  /** Where a login of the agent's own shows; without it the agent never brings one to the gateway. */
  login?: LoginProbe;
  /** Files of the user's that win over what a launch sets; all that can be done is to say so. */
  rivals?: RivalProbe;
}

/** The folder is HOME's unless the variable names another. */
export interface HomeFile {
  homeVariable: string;
  defaultFolder: string;
  name: string;
}

export interface RivalProbe {
  /** Where these files win. */
  routes: readonly Route[];
  /** They do not, where the launch names a model. */
  unlessModel?: true;
  homeFiles: readonly HomeFile[];
  /** Below the current folder. */
  projectFiles: readonly string[];
  /** Finds every setting that wins; its first group is the setting's name. */
  settings: RegExp;
}

export interface LoginProbe {
  /** Any of these non-empty is a login. */
  variables: readonly string[];
  file: HomeFile;
  /** Platforms where the login may sit in a keychain, which cannot be looked into: taken as logged in. */
  keychainPlatforms: readonly NodeJS.Platform[];
}

const nothing: Wiring = { set: {}, unset: [], argv: [], files: [] };

/** The gateway's names for its tiers. */
const bigModel = "clutch-big";
const middleModel = "clutch-middle";
export const smallModel = "clutch-small";

/** What launches tell Claude Code and Hermes of models; an agent that runs `xx` hands it down. */
export const modelVariables = [
  "CLAUDE_CODE_MAX_CONTEXT_TOKENS",
  "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
  "CLAUDE_CODE_DISABLE_1M_CONTEXT",
  "CLAUDE_CODE_ATTRIBUTION_HEADER",
  "HERMES_MAX_TOKENS",
  "KILOCODE_BASE_URL",
] as const;

function limitsOf(facts: LaunchFacts): Limits {
  return facts.limits ?? assumedLimits;
}

/** Each of them makes Claude Code ignore ANTHROPIC_BASE_URL. */
export const claudeOtherBackends = [
  "CLAUDE_CODE_USE_BEDROCK",
  "CLAUDE_CODE_USE_VERTEX",
  "CLAUDE_CODE_USE_FOUNDRY",
  "CLAUDE_CODE_USE_MANTLE",
  "CLAUDE_CODE_USE_GATEWAY",
  "CLAUDE_CODE_USE_ANTHROPIC_AWS",
  "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
  "ANTHROPIC_UNIX_SOCKET",
];

/**
 * `env` in the user's own settings.json beats the process environment, and an `env` passed with --settings beats both, so
 * every variable goes both ways. A file keeps the token out of the process list.
 */
function claudeWiring(facts: LaunchFacts, env: Record<string, string>, unset: readonly string[]): Wiring {
  const name = "claude-settings.json";
  return {
    set: Object.fromEntries(Object.entries(env).filter(([, value]) => value !== "")),
    unset: [...unset, ...claudeOtherBackends],
    argv: ["--settings", facts.pathOf(name)],
    files: [
      { name, text: JSON.stringify({ ...(facts.isBypassed ? { skipDangerousModePermissionPrompt: true } : {}), env }) },
    ],
  };
}

/** With ANTHROPIC_API_KEY set as well, both credentials go out; empty, it silences one in the user's settings. */
function claudeByToken(facts: LaunchFacts): Wiring {
  const env = {
    ANTHROPIC_BASE_URL: facts.gateway,
    ANTHROPIC_AUTH_TOKEN: facts.token,
    ANTHROPIC_API_KEY: "",
    ...claudeModels(facts),
  };
  return claudeWiring(facts, env, ["ANTHROPIC_API_KEY", "ANTHROPIC_CUSTOM_HEADERS"]);
}

/**
 * Of its own models Claude Code believes what it knows (a million tokens), of others what it is told, and it shortens a
 * conversation in time only then; so its families get the names of tiers, or that of the one model. DISABLE_1M keeps it
 * from adding `[1m]`. The attribution line changes with every request, which spoils the prompt cache of other vendors.
 */
function claudeModels({ model, smallModel: small, limits, isAnthropic }: LaunchFacts): Record<string, string> {
  const named: Record<string, string> = model === undefined ? {} : { ANTHROPIC_MODEL: model };
  const chores: Record<string, string> = small === undefined ? {} : { ANTHROPIC_DEFAULT_HAIKU_MODEL: small };
  if (limits === undefined || isAnthropic) return { ...named, ...chores };
  return {
    ...named,
    ANTHROPIC_DEFAULT_FABLE_MODEL: model ?? bigModel,
    ANTHROPIC_DEFAULT_OPUS_MODEL: model ?? bigModel,
    ANTHROPIC_DEFAULT_SONNET_MODEL: model ?? middleModel,
    ANTHROPIC_DEFAULT_HAIKU_MODEL: small ?? smallModel,
    CLAUDE_CODE_MAX_CONTEXT_TOKENS: String(limits.contextTokens),
    CLAUDE_CODE_MAX_OUTPUT_TOKENS: String(limits.outputTokens),
    CLAUDE_CODE_DISABLE_1M_CONTEXT: "1",
    CLAUDE_CODE_ATTRIBUTION_HEADER: "0",
  };
}

function claudeByOwnLogin(facts: LaunchFacts): Wiring {
  const env = {
    ANTHROPIC_BASE_URL: facts.gateway,
    ANTHROPIC_CUSTOM_HEADERS: `${launchHeader}: ${facts.token}`,
    ...claudeModels(facts),
  };
  return claudeWiring(facts, env, ["ANTHROPIC_AUTH_TOKEN"]);
}

/**
 * Values are TOML, hence the inner quotes. A provider with `env_key` uses that key alone, not the login of auth.json. For a
 * model that Codex does not know it assumes a window of 272,000 tokens and offers no apply_patch: an entry in a catalogue
 * of its own, made from one that the installed Codex brings, says both.
 */
function codexByToken(facts: LaunchFacts): Wiring {
  const config: Record<string, string | number> = {
    model_provider: "clutch",
    "model_providers.clutch.name": "clutch",
    "model_providers.clutch.base_url": `${facts.gateway}/v1`,
    "model_providers.clutch.env_key": "CLUTCH_KEY",
    "model_providers.clutch.wire_api": "responses",
  };
  const name = "codex-models.json";
  const catalogue = codexCatalogue(facts);
  if (catalogue !== undefined) config["model_catalog_json"] = facts.pathOf(name);
  if (facts.limits !== undefined) config["model_context_window"] = facts.limits.contextTokens;
  return {
    ...nothing,
    set: { CLUTCH_KEY: facts.token },
    argv: Object.entries(config).flatMap(([key, value]) => [
      "-c",
      `${key}=${typeof value === "string" ? renderToml(value) : value}`,
    ]),
    files: catalogue === undefined ? [] : [{ name, text: catalogue }],
  };
}

/** The catalogue replaces Codex's own for this process, so it is only for a launch that names its model. */
function codexCatalogue({ model, limits, learnt }: LaunchFacts): string | undefined {
  if (model === undefined || limits === undefined || learnt === undefined) return undefined;
  const entry = {
    ...JSON.parse(learnt),
    slug: model,
    display_name: model,
    context_window: limits.contextTokens,
    max_context_window: limits.contextTokens,
    // With it, MCP tools hide behind a search that only OpenAI models are trained for.
    supports_search_tool: false,
    default_reasoning_summary: "auto",
    upgrade: null,
  };
  return JSON.stringify({ models: [entry] });
}

/** One that has its tools in plain sight and takes patches, with the prompt that belongs to it. */
function pickCodexModel(answer: string): string | undefined {
  interface CodexModel {
    apply_patch_tool_type?: string | null;
    use_responses_lite?: boolean;
  }
  const { models } = JSON.parse(answer) as { models: CodexModel[] };
  const found = models.find((model) => model.apply_patch_tool_type === "freeform" && model.use_responses_lite !== true);
  return found === undefined ? undefined : JSON.stringify(found);
}

/** A TOML basic string: JSON's escapes, and DEL, which JSON leaves as it is. */
function renderToml(text: string): string {
  return JSON.stringify(text).replaceAll("\x7f", "\\u007f");
}

/**
 * A provider of Hermes' own that takes address and key from the environment wherever it is used. With `openrouter` the
 * calls beside the conversation (titles, compression) go to openrouter.ai all the same, with our token and the person's
 * words, and with `custom` no key is sent. Nobody's ~/.hermes/.env has these two names by chance. Seen with 0.19.0.
 */
function hermesByToken(facts: LaunchFacts): Wiring {
  // Its window it asks the gateway for (context_length in /v1/models); there is no other way to tell it.
  const output: Record<string, string> =
    facts.limits === undefined ? {} : { HERMES_MAX_TOKENS: String(facts.limits.outputTokens) };
  return {
    ...nothing,
    set: { KILOCODE_BASE_URL: `${facts.gateway}/v1`, KILOCODE_API_KEY: facts.token, ...output },
    argv: ["--provider", "kilocode"],
  };
}

/**
 * The system's settings beat the user's own, whose `env` and `modelProviders` would beat flags and environment, and
 * `envKey` keeps the token out of argv. The model has to be named: a `model.name` of the user's would win over its absence.
 * The fast model is for what it does after each turn, such as the extraction of memories.
 */
function qwenByToken(facts: LaunchFacts, model: string): Wiring {
  const name = "qwen-settings.json";
  const { limits, smallModel: small } = facts;
  const provider = (id: string) => ({
    id,
    name: id,
    baseUrl: `${facts.gateway}/v1`,
    envKey: "CLUTCH_KEY",
    generationConfig: {
      ...(limits && { contextWindowSize: limits.contextTokens, samplingParams: { max_tokens: limits.outputTokens } }),
      modalities: { image: true },
    },
  });
  const settings = {
    security: { auth: { selectedType: "openai" } },
    modelProviders: { openai: [...new Set([model, small ?? model])].map(provider) },
    model: { name: model },
    ...(small !== undefined && { fastModel: small }),
  };
  return {
    set: { CLUTCH_KEY: facts.token, QWEN_CODE_SYSTEM_SETTINGS_PATH: facts.pathOf(name) },
    unset: ["OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL", "QWEN_MODEL"],
    argv: ["--auth-type", "openai"],
    files: [{ name, text: JSON.stringify(settings) }],
    model,
  };
}

/** Qwen Code's own default; what the user's settings name cannot be kept beside ours. */
function qwenOwnModel(facts: LaunchFacts): Wiring {
  if (facts.model !== undefined) return qwenByToken(facts, facts.model);
  const own = "qwen3.7-max";
  const note = `Qwen Code has to be given a model: ${own}, its own default; -m names another`;
  return { ...qwenByToken(facts, own), notes: [note] };
}

/** `source` is the body of a function of the extension interface `pi`, which may read the environment. */
function piExtension(facts: LaunchFacts, source: string): Wiring {
  const name = "pi-extension.ts";
  return {
    ...nothing,
    set: { CLUTCH_KEY: facts.token },
    argv: ["-e", facts.pathOf(name)],
    files: [{ name, text: `export default (pi) => {\n${source}\n};` }],
  };
}

function piByToken(facts: LaunchFacts, model: string): Wiring {
  const provider = {
    name: "Clutch",
    baseUrl: `${facts.gateway}/v1`,
    apiKey: "$CLUTCH_KEY",
    api: "openai-completions",
    models: [...new Set([model, facts.smallModel ?? model])].map((id) => ({
      id,
      name: id,
      reasoning: true,
      input: ["text", "image"],
      cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
      contextWindow: limitsOf(facts).contextTokens,
      maxTokens: limitsOf(facts).outputTokens,
    })),
  };
  const wiring = piExtension(facts, `  pi.registerProvider("clutch", ${JSON.stringify(provider)});`);
  return { ...wiring, model: `clutch/${model}` };
}

/**
 * The built-in providers with another address keep their models. A login stored with Pi beats `apiKey`, and a key in the
 * environment is left to win here, so the token has a header too.
 */
function piOwnModel(facts: LaunchFacts): Wiring {
  if (facts.model !== undefined) return piByToken(facts, facts.model);
  const lines = [
    ["anthropic", facts.gateway, "ANTHROPIC_API_KEY"],
    ["openai", `${facts.gateway}/v1`, "OPENAI_API_KEY"],
  ].map(([id, baseUrl, variable]) => {
    const overrides = JSON.stringify({ baseUrl, headers: { [launchHeader]: "$CLUTCH_KEY" } });
    const key = `process.env.${variable} ? {} : { apiKey: "$CLUTCH_KEY" }`;
    return `  pi.registerProvider("${id}", { ...${overrides}, ...(${key}) });`;
  });
  return piExtension(facts, lines.join("\n"));
}

/** Beats the configuration of the user and of the project. Built-in providers would obey the variables that go. */
function opencodeWiring(config: object): Wiring {
  return {
    ...nothing,
    set: { OPENCODE_CONFIG_CONTENT: JSON.stringify(config) },
    unset: ["ANTHROPIC_BASE_URL", "OPENAI_BASE_URL"],
  };
}

/** Without a small model, titles are asked of a small one of Anthropic's or OpenAI's. */
function opencodeByToken(facts: LaunchFacts, model: string): Wiring {
  const small = facts.smallModel ?? model;
  const facets = {
    attachment: true,
    reasoning: true,
    tool_call: true,
    modalities: { input: ["text", "image"], output: ["text"] },
    limit: { context: limitsOf(facts).contextTokens, output: limitsOf(facts).outputTokens },
  };
  const provider = {
    npm: "@ai-sdk/openai-compatible",
    name: "Clutch",
    options: { baseURL: `${facts.gateway}/v1`, apiKey: facts.token },
    models: { [model]: facets, [small]: facets },
  };
  const config = { model: `clutch/${model}`, small_model: `clutch/${small}`, provider: { clutch: provider } };
  return { ...opencodeWiring(config), model: `clutch/${model}` };
}

function opencodeOwnModel(facts: LaunchFacts): Wiring {
  if (facts.model !== undefined) return opencodeByToken(facts, facts.model);
  const options = { baseURL: `${facts.gateway}/v1`, apiKey: facts.token };
  return opencodeWiring({ provider: { anthropic: { options }, openai: { options } } });
}

function anteByToken(facts: LaunchFacts): Wiring {
  return {
    ...nothing,
    set: { OPENAI_COMPATIBLE_BASE_URL: `${facts.gateway}/v1`, OPENAI_COMPATIBLE_API_KEY: facts.token },
    unset: ["MODEL_BASE_URL", "MODEL_TEMPERATURE", "MODEL_TOP_P", "MODEL_MAX_TOKENS"],
    argv: ["--provider", "openai-compatible"],
  };
}

/** The picker is a command inside the agent. */
const noPickerFlag = (command: string): Refusal => ({
  cannot: "has no flag for its picker",
  instead: `xx {i}, then type ${command}`,
});

const anteNoLast: Refusal = {
  cannot: "has no flag for the last session",
  instead: "xx {s} -s <id> with the id that it prints at its end, or xx {i}, then type /resume",
};

/** Its gateway setting is in a file of the user's, and it would speak Gemini's own protocol. */
const antigravityDirectOnly: Refusal = {
  cannot: "cannot be sent through a gateway for one launch alone",
  instead: "xx {d} starts it without",
};

const everyKind: readonly LaunchKind[] = ["i", "c", "n", "n+c", "n+s", "s", "r"];

export const agents = {
  c: {
    name: agentNames.c,
    binary: "claude",
    install: "npm install -g @anthropic-ai/claude-code",
    modes: {
      i: ["<bypass>", "<new session>", "<prompt>", "<route>", "<model>"],
      c: ["<bypass>", "--continue", "<prompt>", "<route>", "<model>"],
      n: ["<bypass>", "-p", "<prompt>", "<route>", "<model>"],
      "n+c": ["<bypass>", "--continue", "-p", "<prompt>", "<route>", "<model>"],
      "n+s": ["<bypass>", "--resume", "<session>", "-p", "<prompt>", "<route>", "<model>"],
      s: ["<bypass>", "--resume", "<session>", "<prompt>", "<route>", "<model>"],
      r: ["<bypass>", "--resume", "<route>", "<model>"],
    },
    routes: {
      p: claudeByToken,
      b: claudeByToken,
      "b+login": claudeByOwnLogin,
      d: () => ({
        ...nothing,
        unset: [
          "ANTHROPIC_BASE_URL",
          "ANTHROPIC_AUTH_TOKEN",
          "ANTHROPIC_MODEL",
          "ANTHROPIC_DEFAULT_OPUS_MODEL",
          "ANTHROPIC_DEFAULT_SONNET_MODEL",
          "ANTHROPIC_DEFAULT_HAIKU_MODEL",
          "ANTHROPIC_DEFAULT_FABLE_MODEL",
          "ANTHROPIC_DEFAULT_*_MODEL*",
          "ANTHROPIC_SMALL_FAST_MODEL",
          "CLAUDE_CODE_SUBAGENT_MODEL",
          "ANTHROPIC_CUSTOM_HEADERS",
          "ANTHROPIC_CUSTOM_*",
        ],
      }),
    },
    modelFlag: "--model",
    ownTiers: ["BIG", "MIDDLE"],
    spareFlags: ["--session-id"],
    newSessionFlag: "--session-id",
    bypass: { argv: ["--dangerously-skip-permissions"], rootNeeds: "IS_SANDBOX" },
    reservedPrompts: [],
    login: {
      variables: ["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"],
      file: { homeVariable: "CLAUDE_CONFIG_DIR", defaultFolder: ".claude", name: ".credentials.json" },
      keychainPlatforms: ["darwin"],
    },
    // On p and b our --settings beats them all.
    rivals: {
      routes: ["d"],
      homeFiles: [{ homeVariable: "CLAUDE_CONFIG_DIR", defaultFolder: ".claude", name: "settings.json" }],
      projectFiles: [".claude/settings.json", ".claude/settings.local.json"],
      settings: /"(ANTHROPIC_BASE_URL)"\s*:\s*"[^"]/g,
    },
  },
  h: {
    name: agentNames.h,
    binary: "hermes",
    install: "pipx install hermes-agent",
    modes: {
      i: ["<bypass>", "<route>", "<model>"],
      c: ["<bypass>", "<route>", "<model>", "--continue"],
      n: ["chat", "<bypass>", "<route>", "<model>", "-Q", "-q <prompt>"],
      "n+c": ["chat", "<bypass>", "<route>", "<model>", "--continue", "-Q", "-q <prompt>"],
      "n+s": ["chat", "<bypass>", "<route>", "<model>", "--resume", "<session>", "-Q", "-q <prompt>"],
      s: ["<bypass>", "<route>", "<model>", "--resume", "<session>"],
      // It starts itself anew with the session that was picked, and carries flags over (source of 0.18.2, relaunch.py).
      r: ["<bypass>", "<route>", "<model>", "sessions", "browse"],
    },
    routes: {
      p: hermesByToken,
      b: hermesByToken,
      d: () => ({
        ...nothing,
        unset: [
          "OPENROUTER_BASE_URL",
          "CUSTOM_BASE_URL",
          "KILOCODE_BASE_URL",
          "OPENAI_BASE_URL",
          "ANTHROPIC_BASE_URL",
          "HERMES_INFERENCE_MODEL",
        ],
      }),
    },
    modelFlag: "-m",
    defaultModel: bigModel,
    ownTiers: ["BIG"],
    spareFlags: ["-Q"],
    bypass: { argv: ["--yolo"] },
    reservedPrompts: [],
    // Only another HERMES_HOME would get round it, and that would move sessions and login too.
    rivals: {
      routes: ["p", "b"],
      homeFiles: [{ homeVariable: "HERMES_HOME", defaultFolder: ".hermes", name: ".env" }],
      projectFiles: [],
      settings: /^[ \t]*(?:export[ \t]+)?(KILOCODE_BASE_URL|KILOCODE_API_KEY)[ \t]*=[ \t]*["']?[^\s"'#]/gm,
    },
  },
  x: {
    name: agentNames.x,
    binary: "codex",
    install: "npm install -g @openai/codex",
    // A shared daemon would keep another launch's environment, so the interactive modes go without one; exec has none.
    modes: {
      i: ["<bypass>", "--no-daemon", "<model>", "<route>", "<trust>", "<prompt>"],
      c: ["resume", "--last", "<bypass>", "--no-daemon", "<model>", "<route>", "<trust>", "<prompt>"],
      n: ["exec", "<bypass>", "--skip-git-repo-check", "<model>", "<route>", "<prompt>"],
      "n+c": ["exec", "resume", "--last", "<bypass>", "--skip-git-repo-check", "<model>", "<route>", "<prompt>"],
      "n+s": ["exec", "resume", "<session>", "<bypass>", "--skip-git-repo-check", "<model>", "<route>", "<prompt>"],
      s: ["resume", "<session>", "<bypass>", "--no-daemon", "<model>", "<route>", "<trust>", "<prompt>"],
      r: ["resume", "<bypass>", "--no-daemon", "<model>", "<route>", "<trust>"],
    },
    routes: { p: codexByToken, b: codexByToken, d: () => ({ ...nothing, unset: ["CLUTCH_KEY"] }) },
    modelFlag: "-m",
    // A model that Codex does not know makes it send the plain tools array; its own default sends none at all.
    defaultModel: bigModel,
    ownTiers: ["BIG"],
    spareFlags: ["--no-daemon", "--skip-git-repo-check"],
    question: { argv: ["debug", "models", "--bundled"], keep: pickCodexModel },
    bypass: {
      argv: ["--dangerously-bypass-approvals-and-sandbox"],
      trust: (cwd) => ["-c", `projects={${renderToml(cwd)}={trust_level="trusted"}}`],
    },
    // From --help of codex and codex exec; a lone `-` would mean stdin.
    reservedPrompts: (
      "a agents app-server apply archive cloud completion debug delete doctor e exec exec-server features fork help login " +
      "logout mcp migrate-nfs-db migrate-rollouts plugin queue remote-control resume review sandbox unarchive update"
    ).split(" "),
  },
  q: {
    name: agentNames.q,
    binary: "qwen",
    install: "npm install -g @qwen-code/qwen-code",
    modes: {
      i: ["<bypass>", "<new session>", "<route>", "<model>", "-i <prompt>"],
      c: ["<bypass>", "<route>", "<model>", "--continue", "-i <prompt>"],
      n: ["<bypass>", "<route>", "<model>", "<prompt>"],
      "n+c": ["<bypass>", "<route>", "<model>", "--continue", "<prompt>"],
      "n+s": ["<bypass>", "<route>", "<model>", "--resume", "<session>", "<prompt>"],
      s: ["<bypass>", "<route>", "<model>", "--resume", "<session>", "-i <prompt>"],
      r: ["<bypass>", "<route>", "<model>", "--resume"],
    },
    routes: {
      p: (facts) => qwenByToken(facts, facts.model ?? bigModel),
      b: qwenOwnModel,
      d: () => ({
        ...nothing,
        unset: [
          "OPENAI_BASE_URL",
          "OPENAI_API_KEY",
          "OPENAI_MODEL",
          "QWEN_MODEL",
          "ANTHROPIC_BASE_URL",
          "QWEN_CODE_SYSTEM_SETTINGS_PATH",
        ],
      }),
    },
    modelFlag: "--model",
    defaultModel: bigModel,
    ownTiers: ["BIG"],
    spareFlags: ["--session-id"],
    newSessionFlag: "--session-id",
    bypass: { argv: ["--yolo"] },
    // From --help. What follows `--` it does not read at all; -p is deprecated, so only for these.
    reservedPrompts: "auth board channel extensions hooks mcp review sandbox serve sessions update".split(" "),
    oddPromptFlag: "-p",
  },
  p: {
    name: agentNames.p,
    binary: "pi",
    install: "npm install -g @earendil-works/pi-coding-agent",
    modes: {
      i: ["<new session>", "<route>", "<model>", "<prompt>"],
      c: ["<route>", "<model>", "--continue", "<prompt>"],
      n: ["<route>", "<model>", "-p", "<prompt>"],
      "n+c": ["<route>", "<model>", "--continue", "-p", "<prompt>"],
      "n+s": ["<route>", "<model>", "--session", "<session>", "-p", "<prompt>"],
      s: ["<route>", "<model>", "--session", "<session>", "<prompt>"],
      r: ["<route>", "<model>", "--resume"],
    },
    routes: { p: (facts) => piByToken(facts, facts.model ?? bigModel), b: piOwnModel, d: () => nothing },
    modelFlag: "--model",
    defaultModel: bigModel,
    ownTiers: ["BIG"],
    spareFlags: ["--session-id"],
    newSessionFlag: "--session-id",
    // --approve is no bypass: it trusts extensions that the project brings along.
    bypass: { argv: [], neverAsks: everyKind },
    reservedPrompts: "auth config install list remove uninstall update".split(" "),
    // Route b leads the models of two vendors to the gateway; Pi may have been told to use another's.
    rivals: {
      routes: ["b"],
      unlessModel: true,
      homeFiles: [{ homeVariable: "PI_CODING_AGENT_DIR", defaultFolder: ".pi/agent", name: "settings.json" }],
      projectFiles: [".pi/settings.json"],
      settings: /"(defaultProvider)"\s*:\s*"(?!anthropic"|openai")[^"]/g,
    },
  },
  o: {
    name: agentNames.o,
    binary: "opencode",
    install: "npm install -g opencode-ai",
    // `run` puts a prompt with spaces in literal quotes, and joins several words with spaces as they are.
    modes: {
      i: ["<bypass>", "<route>", "<model>", "--prompt <prompt>"],
      c: ["<bypass>", "<route>", "<model>", "--continue", "--prompt <prompt>"],
      n: ["run", "<bypass>", "<route>", "<model>", "<words>"],
      "n+c": ["run", "<bypass>", "<route>", "<model>", "--continue", "<words>"],
      "n+s": ["run", "<bypass>", "<route>", "<model>", "-s", "<session>", "<words>"],
      s: ["<bypass>", "<route>", "<model>", "-s", "<session>", "--prompt <prompt>"],
      r: noPickerFlag("/sessions"),
    },
    routes: {
      p: (facts) => opencodeByToken(facts, facts.model ?? bigModel),
      b: opencodeOwnModel,
      d: () => ({
        ...nothing,
        unset: ["OPENCODE_CONFIG_CONTENT", "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "OPENCODE_PERMISSION"],
      }),
    },
    modelFlag: "-m",
    defaultModel: bigModel,
    ownTiers: ["BIG"],
    spareFlags: [],
    // A `deny` of the user's stays: to override it is not for a default.
    bypass: { argv: ["--auto"] },
    reservedPrompts: [],
    // As with Pi.
    rivals: {
      routes: ["b"],
      unlessModel: true,
      homeFiles: ["opencode.json", "opencode.jsonc", "config.json"].map((name) => ({
        homeVariable: "XDG_CONFIG_HOME",
        defaultFolder: ".config",
        name: `opencode/${name}`,
      })),
      projectFiles: ["opencode.json", "opencode.jsonc"],
      settings: /"(model)"\s*:\s*"(?!anthropic\/|openai\/)[^"]/g,
    },
  },
  a: {
    name: agentNames.a,
    binary: "ante",
    install: "curl -fsSL https://ante.run/install.sh | bash",
    modes: {
      i: ["<bypass>", "<route>", "<model>"],
      c: anteNoLast,
      n: ["<bypass>", "<route>", "<model>", "-p <prompt>"],
      "n+c": anteNoLast,
      "n+s": ["<bypass>", "<route>", "<model>", "--resume", "<session>", "-p <prompt>"],
      s: ["<bypass>", "<route>", "<model>", "--resume", "<session>"],
      r: noPickerFlag("/resume"),
    },
    routes: {
      p: anteByToken,
      b: anteByToken,
      d: () => ({
        ...nothing,
        unset: [
          "MODEL_BASE_URL",
          "ANTHROPIC_BASE_URL",
          "OPENAI_BASE_URL",
          "OPENAI_COMPATIBLE_BASE_URL",
          "OPENROUTER_BASE_URL",
          "DEEPSEEK_BASE_URL",
          "ANTIX_BASE_URL",
        ],
      }),
    },
    modelFlag: "-m",
    defaultModel: bigModel,
    ownTiers: ["BIG"],
    spareFlags: [],
    bypass: { argv: ["--yolo"], neverAsks: ["n", "n+s"] },
    reservedPrompts: [],
  },
  g: {
    name: agentNames.g,
    binary: "agy",
    install: "curl -fsSL https://antigravity.google/cli/install.sh | bash",
    modes: {
      i: ["<bypass>", "<model>", "-i <prompt>"],
      c: ["<bypass>", "<model>", "--continue"],
      n: ["<bypass>", "<model>", "-p <prompt>"],
      "n+c": ["<bypass>", "<model>", "--continue", "-p <prompt>"],
      "n+s": ["<bypass>", "<model>", "--conversation", "<session>", "-p <prompt>"],
      s: ["<bypass>", "<model>", "--conversation", "<session>"],
      r: noPickerFlag("/resume"),
    },
    routes: {
      p: antigravityDirectOnly,
      b: antigravityDirectOnly,
      d: () => ({ ...nothing, unset: ["GOOGLE_GEMINI_BASE_URL", "CLOUD_CODE_URL"] }),
    },
    modelFlag: "--model",
    ownTiers: [],
    spareFlags: [],
    bypass: { argv: ["--dangerously-skip-permissions"] },
    reservedPrompts: [],
  },
} satisfies Record<AgentLetter, AgentRow>;

export function findAgentRow(letter: AgentLetter): AgentRow {
  return agents[letter];
}
