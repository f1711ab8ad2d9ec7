/**
 * THE table: one row per agent says all that the launcher knows about it. Flags and variables were measured with
 * Claude Code 2.1.328 and Codex 0.169.0; a row names what was measured where it is not obvious.
 */

import { ClutchError } from "../src/errors.ts";
import { type AgentLetter, agentNames, type Mode, type Route } from "../src/launch-code.ts";
import { launchHeader } from "../src/launch-token.ts";
import type { Json } from "../src/protocols/chat.ts";

/** The five modes, and mode n on an earlier session: the last one, or one by id. */
export type LaunchKind = Mode | "n+c" | "n+s";

/**
 * Places in an argv that a launch fills with no, one or several arguments. `<trust>` is what spares a bypassed session the
 * question whether the folder is trusted; `<route>` is the wiring's own argv.
 */
export type Slot = "<bypass>" | "<trust>" | "<session>" | "<prompt>" | "<model>" | "<route>";

/** What one launch tells a wiring. */
export interface LaunchFacts {
  /** Without a trailing slash and without `/v1`. */
  gateway: string;
  /** The launch token. */
  token: string;
  /** The model that is asked for by name, if any. */
  model: string | undefined;
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
  files: readonly { name: string; content: Json }[];
}

export interface AgentRow {
  name: string;
  binary: string;
  install: string;
  /** The user's own arguments behind `--` always follow at the end. */
  modes: Readonly<Record<LaunchKind, readonly (Slot | (string & {}))[]>>;
  routes: Readonly<Record<Route, (facts: LaunchFacts) => Wiring>> & {
    /** Route b for someone who is logged in to the vendor and stays so. */
    "b+login"?: (facts: LaunchFacts) => Wiring;
  };
  modelFlag: string;
  /** Asked for on route p when neither a tier nor `-m` names a model; without it the agent's own names map to tiers. */
  defaultModel?: string;
  bypass: {
    argv: readonly string[];
    trust?: (cwd: string) => readonly string[];
    /** As root the agent refuses the flag unless this variable is `1`. */
    rootNeeds?: string;
  };
  /** First words that the agent's command line would not take for a prompt; such a prompt goes behind `--`. */
  reservedPrompts: readonly string[];
  /** Where a login of the agent's own shows; without it the agent never brings one to the gateway. */
  login?: LoginProbe;
}

export interface LoginProbe {
  /** Any of these non-empty is a login. */
  variables: readonly string[];
  /** The folder is HOME's unless the variable names another. */
  file: { homeVariable: string; defaultFolder: string; name: string };
  /** Platforms where the login may sit in a keychain, which cannot be looked into: taken as logged in. */
  keychainPlatforms: readonly NodeJS.Platform[];
}

const nothing: Wiring = { set: {}, unset: [], argv: [], files: [] };

/** Each of them makes Claude Code ignore ANTHROPIC_BASE_URL. */
const claudeOtherBackends = [
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
    files: [{ name, content: { ...(facts.isBypassed ? { skipDangerousModePermissionPrompt: true } : {}), env } }],
  };
}

/** With ANTHROPIC_API_KEY set as well, both credentials go out; empty, it silences one in the user's settings. */
function claudeByToken(facts: LaunchFacts): Wiring {
  const env = {
    ANTHROPIC_BASE_URL: facts.gateway,
    ANTHROPIC_AUTH_TOKEN: facts.token,
    ANTHROPIC_API_KEY: "",
    ...(facts.model === undefined ? {} : { ANTHROPIC_MODEL: facts.model }),
  };
  return claudeWiring(facts, env, ["ANTHROPIC_API_KEY", "ANTHROPIC_CUSTOM_HEADERS"]);
}

function claudeByOwnLogin(facts: LaunchFacts): Wiring {
  const env = {
    ANTHROPIC_BASE_URL: facts.gateway,
    ANTHROPIC_CUSTOM_HEADERS: `${launchHeader}: ${facts.token}`,
    ...(facts.model === undefined ? {} : { ANTHROPIC_MODEL: facts.model }),
  };
  return claudeWiring(facts, env, ["ANTHROPIC_AUTH_TOKEN"]);
}

/** Values are TOML, hence the inner quotes. A provider with `env_key` uses that key alone, not the login of auth.json. */
function codexByToken(facts: LaunchFacts): Wiring {
  const config = {
    model_provider: "clutch",
    "model_providers.clutch.name": "clutch",
    "model_providers.clutch.base_url": `${facts.gateway}/v1`,
    "model_providers.clutch.env_key": "CLUTCH_KEY",
    "model_providers.clutch.wire_api": "responses",
  };
  return {
    ...nothing,
    set: { CLUTCH_KEY: facts.token },
    argv: Object.entries(config).flatMap(([key, value]) => ["-c", `${key}=${renderToml(value)}`]),
  };
}

/** A TOML basic string: JSON's escapes, and DEL, which JSON leaves as it is. */
function renderToml(text: string): string {
  return JSON.stringify(text).replaceAll("\x7f", "\\u007f");
}

export const agents = {
  c: {
    name: agentNames.c,
    binary: "claude",
    install: "npm install -g @anthropic-ai/claude-code",
    modes: {
      i: ["<bypass>", "<prompt>", "<route>", "<model>"],
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
    bypass: { argv: ["--dangerously-skip-permissions"], rootNeeds: "IS_SANDBOX" },
    reservedPrompts: [],
    login: {
      variables: ["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"],
      file: { homeVariable: "CLAUDE_CONFIG_DIR", defaultFolder: ".claude", name: ".credentials.json" },
      keychainPlatforms: ["darwin"],
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
    defaultModel: "clutch-big",
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
} satisfies Partial<Record<AgentLetter, AgentRow>>;

/** @throws {ClutchError} `not-supported` for a letter of the grammar that has no row */
export function findAgentRow(letter: AgentLetter): AgentRow {
  const rows: Partial<Record<AgentLetter, AgentRow>> = agents;
  const row = rows[letter];
  if (row === undefined) throw new ClutchError("not-supported", `${agentNames[letter]} is not supported yet`);
  return row;
}
