/**
 * THE table of agents under test: how each is started for one task without a terminal, what its shell tool is called, and
 * what it cannot do. Claude Code and Codex are started by `xx`; the others get the flags, variables and files here that
 * point them at the gateway.
 */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { JsonObject, Protocol } from "../src/protocols/chat.ts";
import { cascadeModels, executables } from "./gateway.ts";
import type { ToolCall } from "./wire-answers.ts";

/** Where one run takes place. */
export interface Place {
  home: string;
  project: string;
  /** For files of ours that the agent is pointed at. */
  root: string;
  /** `http://127.0.0.1:<port>` */
  gatewayUrl: string;
}

export interface Task {
  prompt: string;
  /** More of the prompt, for what an argument cannot hold. */
  stdin?: string;
  /** Path of a PNG to attach to the prompt. */
  image?: string;
  /** The agent's own arguments, at the end. */
  options?: readonly string[];
}

export interface Command {
  argv: readonly string[];
  env?: Readonly<Record<string, string>>;
  stdin?: string;
}

/** What the matrix asks of an agent and an agent may be unable to do. */
export type Ability = "parallel" | "reasoning" | "image";

/** What an agent does when the upstream says that its context is too long. */
export type OverflowReaction =
  /** It stops and says so. */
  | { kind: "says so"; words: RegExp }
  /** It makes its context smaller, or tries once more, and goes on with what it then gets. */
  | { kind: "goes on" }
  /** It stops and prints nothing at all. */
  | { kind: "silent" };

export interface Agent {
  name: string;
  program: string;
  /** In front of the gateway. */
  speaks: Protocol;
  /** What the upstream is asked for, in the order of the cascade. */
  upstreamModels: readonly string[];
  /** Set when `xx` starts it: the first letter of its launch codes, and where it keeps sessions below HOME. */
  launcher?: { letter: string; sessionFiles: string };
  /** Keeps it off the network and silent about itself; nothing that changes what it sends. */
  env: Readonly<Record<string, string>>;
  /** Writes what it reads at start. */
  prepare?(place: Place): Promise<void>;
  command(place: Place, task: Task): Command;
  shell(command: string, upstream: Protocol): ToolCall;
  /** It wants no reasoning text shown, so none comes back where the proof alone is enough. */
  hidesReasoning?: true;
  /** What stderr must not hold: the agent has noticed trouble. */
  troubleSigns: RegExp;
  /** Calls that belong to no turn of ours, besides those without tools. */
  sideCalls?: RegExp;
  /** How 300 KB come into its context. */
  longContextBy: "stdin" | "tool results";
  /** How an image comes into its context without a terminal: with the prompt, or by a tool of its own. */
  image: { by: "prompt" } | { by: "tool"; call(path: string): ToolCall };
  /** It does not send the bytes of the file but a picture of its own. */
  reencodesImages?: true;
  onOverflow: OverflowReaction;
  /** A longer session that has become too long it makes shorter by itself, without a terminal too. */
  compacts?: true;
  /** The reason why not, by upstream protocol. */
  cannot?: Partial<Readonly<Record<Ability, Partial<Readonly<Record<Protocol, string>>>>>>;
  /** With an MCP server `demo` and its tool `add`. */
  mcp?: {
    options(server: readonly [string, ...string[]]): string[];
    add(a: number, b: number, upstream: Protocol): ToolCall;
  };
}

/** What agents that are not started by `xx` are given for a key; it must not travel on. */
export const agentKey = "agent-key-of-the-tests";

/** The model that agents without tiers of their own ask for. */
export const agentModel = "clutch-big";

const noProof = {
  messages: "it brings no signature back: Chat has no field of its own for one",
  responses: "it brings no encrypted content back: Chat has no field for it",
};

function tool(name: string, input: JsonObject): ToolCall {
  return { kind: "tool", name, input };
}

const claude: Agent = {
  name: "Claude Code",
  program: "claude",
  speaks: "messages",
  upstreamModels: cascadeModels,
  launcher: { letter: "c", sessionFiles: ".claude/projects" },
  env: { IS_SANDBOX: "1", DISABLE_AUTOUPDATER: "1", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" },
  shell: (command) => tool("Bash", { command, description: "Run the test command" }),
  command: (_place, task) => ({
    argv: [executables.xx, "cnp", "-p", task.prompt, "--", ...(task.options ?? [])],
    ...(task.stdin !== undefined && { stdin: task.stdin }),
  }),
  troubleSigns: /error|retry/i,
  longContextBy: "stdin",
  image: { by: "tool", call: (path) => tool("Read", { file_path: path }) },
  onOverflow: { kind: "says so", words: /prompt is too long/i },
  compacts: true,
  hidesReasoning: true,
};

const codex: Agent = {
  name: "Codex",
  program: "codex",
  speaks: "responses",
  upstreamModels: cascadeModels,
  launcher: { letter: "x", sessionFiles: ".codex/sessions" },
  env: {},
  shell: (command) => tool("exec_command", { cmd: command }),
  command: (_place, task) => codexCommand("xnp", task),
  troubleSigns: /ERROR|Reconnecting|stream disconnected/,
  longContextBy: "stdin",
  image: { by: "prompt" },
  onOverflow: { kind: "says so", words: /ran out of room in the model's context window/ },
  mcp: {
    options: ([command, ...args]) => [
      ...["-c", `mcp_servers.demo.command=${JSON.stringify(command)}`],
      ...["-c", `mcp_servers.demo.args=${JSON.stringify(args)}`],
    ],
    add: (a, b, upstream) =>
      upstream === "responses"
        ? { ...tool("add", { a, b }), namespace: "mcp__demo" }
        : tool("mcp__demo__add", { a, b }),
  },
};

function codexCommand(code: string, task: Task): Command {
  const image = task.image === undefined ? [] : ["-i", task.image];
  return {
    argv: [executables.xx, code, "-p", task.prompt, "--", ...(task.options ?? []), ...image],
    ...(task.stdin !== undefined && { stdin: task.stdin }),
  };
}

/** With a model that it knows it declares its tools in the input, in namespaces, and its shell is a JavaScript tool. */
const codexDefault: Agent = {
  ...codex,
  name: "Codex, own model",
  // route b leaves the agent its own model, and a model of its own has no cascade
  upstreamModels: ["gpt-6.1-sol"],
  command: (_place, task) => codexCommand("xnb", task),
  shell: (command, upstream) => script(`tools.exec_command({cmd: ${JSON.stringify(command)}})`, upstream),
  cannot: { parallel: onEvery("it forbids parallel calls in this dialect") },
  mcp: {
    options: (server) => codex.mcp?.options(server) ?? [],
    add: (a, b, upstream) => script(`tools.mcp__demo__add({a: ${a}, b: ${b}})`, upstream),
  },
};

/** A call of `exec`, whose input is JavaScript: raw text where it is a custom tool, else the one string of a function. */
function script(expression: string, upstream: Protocol): ToolCall {
  const raw = `const r = await ${expression}; text(JSON.stringify(r));`;
  return upstream === "responses" ? { ...tool("exec", {}), namespace: "functions", raw } : tool("exec", { input: raw });
}

function onEvery(reason: string): Readonly<Record<Protocol, string>> {
  return { messages: reason, chat: reason, responses: reason };
}

const qwen: Agent = {
  name: "Qwen Code",
  program: "qwen",
  speaks: "chat",
  upstreamModels: cascadeModels,
  env: { QWEN_CODE_SUPPRESS_YOLO_WARNING: "1", CLUTCH_TEST_KEY: agentKey },
  // it reports nothing of a command that ends at once
  shell: (command) => {
    const slow = `${command}; sleep 0.3`;
    return tool("run_shell_command", { command: slow, is_background: false, description: "Run the test command" });
  },
  async prepare(place) {
    const settings = {
      security: { auth: { selectedType: "openai" } },
      modelProviders: {
        openai: [
          {
            id: agentModel,
            name: agentModel,
            baseUrl: `${place.gatewayUrl}/v1`,
            envKey: "CLUTCH_TEST_KEY",
            generationConfig: { modalities: { image: true } },
          },
        ],
      },
      model: { name: agentModel },
      general: { enableAutoUpdate: false },
      privacy: { usageStatisticsEnabled: false },
    };
    await writeFile(qwenSettings(place), JSON.stringify(settings));
  },
  command: (place, task) => ({
    argv: ["qwen", "--yolo", "--auth-type", "openai", "--model", agentModel, withImage(task)],
    env: { QWEN_CODE_SYSTEM_SETTINGS_PATH: qwenSettings(place) },
    ...(task.stdin !== undefined && { stdin: task.stdin }),
  }),
  troubleSigns: /error|retry/i,
  // its memory extraction after every turn
  sideCalls: /managed memory extraction subagent/,
  longContextBy: "stdin",
  image: { by: "prompt" },
  reencodesImages: true,
  onOverflow: { kind: "says so", words: /context-overflow/ },
  cannot: { reasoning: noProof },
};

function qwenSettings(place: Place): string {
  return join(place.root, "qwen-settings.json");
}

function withImage(task: Task): string {
  return task.image === undefined ? task.prompt : `${task.prompt} @${task.image}`;
}

const pi: Agent = {
  name: "Pi",
  program: "pi",
  speaks: "chat",
  upstreamModels: cascadeModels,
  env: { PI_OFFLINE: "1", CLUTCH_KEY: agentKey },
  shell: (command) => tool("bash", { command }),
  prepare: (place) => writePiExtension(place, "openai-completions", `${place.gatewayUrl}/v1`),
  command: (place, task) => ({
    argv: [
      ...["pi", "-e", piExtension(place), "--model", `clutch/${agentModel}`],
      ...["-p", ...(task.image === undefined ? [] : [`@${task.image}`]), task.prompt],
    ],
    ...(task.stdin !== undefined && { stdin: task.stdin }),
  }),
  troubleSigns: /error|retry/i,
  longContextBy: "stdin",
  image: { by: "prompt" },
  onOverflow: { kind: "silent" },
  // it does echo reasoning_details, in which a signature travels
  cannot: { reasoning: { responses: noProof.responses } },
};

/** A second client of this protocol beside Claude Code, by Anthropic's SDK. */
const piMessages: Agent = {
  ...pi,
  name: "Pi, Messages",
  speaks: "messages",
  prepare: (place) => writePiExtension(place, "anthropic-messages", place.gatewayUrl),
  cannot: {},
};

/** A second client of this protocol beside Codex, by OpenAI's SDK. */
const piResponses: Agent = {
  ...pi,
  name: "Pi, Responses",
  speaks: "responses",
  prepare: (place) => writePiExtension(place, "openai-responses", `${place.gatewayUrl}/v1`),
  cannot: {},
};

async function writePiExtension(place: Place, api: string, baseUrl: string): Promise<void> {
  const model = {
    id: agentModel,
    name: agentModel,
    reasoning: true,
    input: ["text", "image"],
    cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
    contextWindow: 1_000_000,
    maxTokens: 32_000,
  };
  const provider = { name: "Clutch", baseUrl, apiKey: "$CLUTCH_KEY", api, models: [model] };
  const source = `export default (pi) => pi.registerProvider("clutch", ${JSON.stringify(provider)});\n`;
  await writeFile(piExtension(place), source);
}

function piExtension(place: Place): string {
  return join(place.root, "pi-extension.ts");
}

const opencode: Agent = {
  name: "OpenCode",
  program: "opencode",
  speaks: "chat",
  upstreamModels: cascadeModels,
  env: { OPENCODE_DISABLE_AUTOUPDATE: "1", OPENCODE_DISABLE_MODELS_FETCH: "1", OPENCODE_DISABLE_LSP_DOWNLOAD: "1" },
  shell: (command) => tool("bash", { command, description: "Run the test command" }),
  command(place, task) {
    const model = {
      attachment: true,
      reasoning: true,
      tool_call: true,
      modalities: { input: ["text", "image"], output: ["text"] },
      limit: { context: 1_000_000, output: 32_000 },
    };
    const config = {
      model: `clutch/${agentModel}`,
      small_model: "clutch/clutch-small",
      provider: {
        clutch: {
          npm: "@ai-sdk/openai-compatible",
          name: "Clutch",
          options: { baseURL: `${place.gatewayUrl}/v1`, apiKey: agentKey },
          models: { [agentModel]: model, "clutch-small": {} },
        },
      },
    };
    const image = task.image === undefined ? [] : ["-f", task.image];
    return {
      argv: ["opencode", "run", "--auto", "-m", `clutch/${agentModel}`, task.prompt, ...image],
      env: { OPENCODE_CONFIG_CONTENT: JSON.stringify(config) },
      ...(task.stdin !== undefined && { stdin: task.stdin }),
    };
  },
  troubleSigns: /error|retry/i,
  longContextBy: "stdin",
  image: { by: "prompt" },
  onOverflow: { kind: "goes on" },
  cannot: { reasoning: noProof },
};

const hermes: Agent = {
  name: "Hermes",
  program: "hermes",
  speaks: "chat",
  upstreamModels: cascadeModels,
  env: { OPENROUTER_API_KEY: agentKey },
  shell: (command) => tool("terminal", { command }),
  async prepare(place) {
    const config = {
      agent: { image_input_mode: "native" },
      model: { supports_vision: true },
      display: { show_reasoning: false },
      security: { tirith_enabled: false },
    };
    const folder = join(place.home, ".hermes");
    await mkdir(folder);
    // JSON is YAML
    await writeFile(join(folder, "config.yaml"), JSON.stringify(config));
  },
  command: (place, task) => ({
    argv: [
      ...["hermes", "chat", "--yolo", "--provider", "openrouter", "-m", agentModel, "-Q", "-q", task.prompt],
      ...(task.image === undefined ? [] : ["--image", task.image]),
    ],
    env: { OPENROUTER_BASE_URL: `${place.gatewayUrl}/v1` },
  }),
  troubleSigns: /API call failed|retry/i,
  longContextBy: "tool results",
  image: { by: "prompt" },
  onOverflow: { kind: "goes on" },
  cannot: { reasoning: onEvery("it brings no reasoning back, whatever its form") },
};

export const agents: readonly Agent[] = [
  claude,
  codex,
  codexDefault,
  qwen,
  pi,
  piMessages,
  piResponses,
  opencode,
  hermes,
];
