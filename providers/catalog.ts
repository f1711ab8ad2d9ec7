/**
 * THE table of built-in providers: which protocols each speaks and where, how it takes a key, what a refusal for quota is
 * shared by, and its oddities. Facts that the vendors' own pages do not tell are from the catalogues of models.dev
 * (providers/<id>/provider.toml, 2026-07-02) and of the npm package @earendil-works/pi-ai 1.5.2 (2026-11-10), each
 * marked so. The Messages bases are those of shared notes "chain.md" part 5, read on 2026-11-20.
 */

import type { Protocol } from "../src/protocols/chat.ts";
import type { Quirks } from "../src/protocols/codec.ts";

/** `authorization: Bearer <key>`, or a header of that name with the bare key. */
export type KeyHeader = "bearer" | "x-api-key" | "api-key";

/**
 * What shares the limit that a 429 without further words is about: every model of the account, whatever key is used;
 * everything asked with that key; or that one model. Where the vendor does not say, the narrowest: one call too many
 * does less harm than a model skipped that would have answered.
 */
export type RateLimitScope = "account" | "key" | "model";

/** Models that share one limit of the whole account, whatever the provider's other limits are shared by. */
export interface ModelPool {
  name: string;
  /** Any of these at the end of a model's name puts it into the pool. */
  endsWith: readonly string[];
}

/** One protocol for the models whose names begin so; "" is every other model. */
export interface ModelProtocol {
  startsWith: readonly string[];
  protocol: Protocol;
}

/** How a server on this machine tells that it is there, and what it has. */
export type LocalKind = "ollama" | "lmstudio" | "vllm" | "llamacpp";

export interface ProviderRow {
  /** As people write it in messages. */
  name: string;
  /**
   * Base URLs with their version segment; the path of the protocol is appended. One that holds a part in angle brackets
   * needs the config's `base_url` in its place.
   */
  bases: Partial<Record<Protocol, string>>;
  /** What completes a `base_url` of the config that has no version of its own; "/v1" when left out. */
  basePath?: string;
  /** Where the key goes when not, as usual, into `x-api-key` for Messages and a bearer for the others. */
  auth?: Partial<Record<Protocol, KeyHeader>>;
  /** The environment variables that may hold the key when the config names none, first found wins; absent when no key is needed. */
  keyEnv?: readonly string[];
  rateLimitScope: RateLimitScope;
  pools?: readonly ModelPool[];
  /** Where each model speaks one protocol only. */
  modelProtocols?: readonly ModelProtocol[];
  /** Sent with every request; the config's own win, and an empty one there leaves it out. */
  headers?: Readonly<Record<string, string>>;
  /** Takes the session's id, so that one session stays where its prompt is cached. */
  sessionHeader?: string;
  /** A server on this machine, to be chosen only if a probe has found it. */
  local?: LocalKind;
  quirks: Partial<Quirks>;
}

/** Everything of OpenAI's dialect that others who serve OpenAI's models take too. */
const openaiQuirks = {
  maxTokensField: "max_completion_tokens",
  developerRole: true,
  systemFirstOnly: false,
  promptCacheKey: true,
  verbosity: true,
  webSearch: true,
} as const satisfies Partial<Quirks>;

// https://platform.moonshot.ai/docs; limits of requests and tokens count over all models of the organisation:
// https://platform.kimi.ai/docs/pricing/limits. `thinking` differs by model (models.dev), so none is asked for.
const moonshot = {
  name: "Moonshot",
  bases: { chat: "https://api.moonshot.ai/v1", messages: "https://api.moonshot.ai/anthropic/v1" },
  keyEnv: ["MOONSHOT_API_KEY"],
  rateLimitScope: "account",
  quirks: { reasoningParam: "none" },
} as const satisfies ProviderRow;

// Chat base: https://platform.minimax.io/docs; limits are told per model there
const minimax = {
  name: "MiniMax",
  bases: { chat: "https://api.minimax.io/v1", messages: "https://api.minimax.io/anthropic/v1" },
  keyEnv: ["MINIMAX_API_KEY"],
  rateLimitScope: "model",
  quirks: { reasoningParam: "none" },
} as const satisfies ProviderRow;

// https://www.alibabacloud.com/help/en/model-studio/base-url; limits count over all keys of the account, for each model
// by itself (.../model-studio/rate-limit); `enable_thinking` is a top-level field (models.dev)
const dashscope = {
  name: "Qwen (Model Studio, Singapore)",
  bases: {
    chat: "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    messages: "https://dashscope-intl.aliyuncs.com/apps/anthropic/v1",
  },
  keyEnv: ["DASHSCOPE_API_KEY"],
  rateLimitScope: "model",
  quirks: { reasoningParam: "enable_thinking" },
} as const satisfies ProviderRow;

// The key of a coding plan is not that of the platform, and a wrong pair is a 401:
// https://www.alibabacloud.com/help/en/model-studio/coding-plan-faq. One quota for all models of the plan.
const qwenCoding = {
  ...dashscope,
  name: "Qwen Coding Plan",
  bases: {
    chat: "https://coding-intl.dashscope.aliyuncs.com/v1",
    messages: "https://coding-intl.dashscope.aliyuncs.com/apps/anthropic/v1",
  },
  keyEnv: ["ALIBABA_CODING_PLAN_API_KEY"],
  rateLimitScope: "account",
} as const satisfies ProviderRow;

// https://docs.z.ai; its Chat base ends in a version of its own. Concurrency is allowed per model (zai-org/GLM-5#83).
const zai = {
  name: "Z.ai",
  bases: { chat: "https://api.z.ai/api/paas/v4", messages: "https://api.z.ai/api/anthropic/v1" },
  keyEnv: ["ZAI_API_KEY", "ZHIPU_API_KEY"],
  rateLimitScope: "model",
  quirks: { reasoningParam: "none" },
} as const satisfies ProviderRow;

export const catalog = {
  // https://openrouter.ai/docs: the three protocols at one base, bearer everywhere. Paid models are limited upstream, model
  // by model; all `:free` ones share 20 requests a minute and 50 or 1000 a day: https://openrouter.ai/docs/api/reference/limits.
  // Attribution: https://openrouter.ai/docs/app-attribution; x-session-id keeps a session with one upstream.
  openrouter: {
    name: "OpenRouter",
    bases: {
      chat: "https://openrouter.ai/api/v1",
      messages: "https://openrouter.ai/api/v1",
      responses: "https://openrouter.ai/api/v1",
    },
    auth: { messages: "bearer" },
    keyEnv: ["OPENROUTER_API_KEY"],
    rateLimitScope: "model",
    pools: [{ name: "free", endsWith: [":free"] }],
    headers: { "x-openrouter-title": "Clutch", "x-openrouter-categories": "cli-agent" },
    sessionHeader: "x-session-id",
    quirks: { systemFirstOnly: false, reasoningParam: "reasoning" },
  },
  // https://docs.claude.com/en/api; limits are the organisation's, for each class of models by itself (.../api/rate-limits)
  anthropic: {
    name: "Anthropic",
    bases: { messages: "https://api.anthropic.com/v1" },
    keyEnv: ["ANTHROPIC_API_KEY"],
    rateLimitScope: "model",
    quirks: { midSystem: true, webSearch: true, autoCache: true },
  },
  // https://platform.openai.com/docs/api-reference; limits per model: https://platform.openai.com/docs/guides/rate-limits
  openai: {
    name: "OpenAI",
    bases: { chat: "https://api.openai.com/v1", responses: "https://api.openai.com/v1" },
    keyEnv: ["OPENAI_API_KEY"],
    rateLimitScope: "model",
    quirks: openaiQuirks,
  },
  // https://ai.google.dev/gemini-api/docs/openai; its base ends in a path of its own. Quotas are named
  // "...PerProjectPerModel" (google-gemini/gemini-cli#8437). Variables: models.dev.
  gemini: {
    name: "Gemini",
    bases: { chat: "https://generativelanguage.googleapis.com/v1beta/openai" },
    basePath: "/v1beta/openai",
    keyEnv: ["GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"],
    rateLimitScope: "model",
    quirks: { thoughtSignatures: true },
  },
  // https://api-docs.deepseek.com; a limit on concurrent requests of the account (.../quick_start/rate_limit)
  deepseek: {
    name: "DeepSeek",
    bases: { chat: "https://api.deepseek.com/v1", messages: "https://api.deepseek.com/anthropic/v1" },
    keyEnv: ["DEEPSEEK_API_KEY"],
    rateLimitScope: "account",
    quirks: { reasoningParam: "none" },
  },
  zai,
  // The coding plan's Chat base is another (models.dev zai-coding-plan); its Messages base is the same, chain.md part 5
  "zai-coding": {
    ...zai,
    name: "Z.ai Coding Plan",
    bases: { ...zai.bases, chat: "https://api.z.ai/api/coding/paas/v4" },
  },
  moonshot,
  "moonshot-cn": {
    ...moonshot,
    name: "Moonshot (China)",
    bases: { chat: "https://api.moonshot.cn/v1", messages: "https://api.moonshot.cn/anthropic/v1" },
  },
  // The membership's own endpoint and keys: https://www.kimi.com/code/docs/en
  "kimi-code": {
    name: "Kimi Code",
    bases: { chat: "https://api.kimi.com/coding/v1", messages: "https://api.kimi.com/coding/v1" },
    keyEnv: ["KIMI_API_KEY"],
    rateLimitScope: "account",
    quirks: { reasoningParam: "none" },
  },
  minimax,
  "minimax-cn": {
    ...minimax,
    name: "MiniMax (China)",
    bases: { chat: "https://api.minimaxi.com/v1", messages: "https://api.minimaxi.com/anthropic/v1" },
    keyEnv: ["MINIMAX_CN_API_KEY", "MINIMAX_API_KEY"],
  },
  dashscope,
  "dashscope-cn": {
    ...dashscope,
    name: "Qwen (Model Studio, Beijing)",
    bases: {
      chat: "https://dashscope.aliyuncs.com/compatible-mode/v1",
      messages: "https://dashscope.aliyuncs.com/apps/anthropic/v1",
    },
  },
  "dashscope-us": {
    ...dashscope,
    name: "Qwen (Model Studio, Virginia)",
    bases: {
      chat: "https://dashscope-us.aliyuncs.com/compatible-mode/v1",
      messages: "https://dashscope-us.aliyuncs.com/apps/anthropic/v1",
    },
  },
  "qwen-coding": qwenCoding,
  "qwen-coding-cn": {
    ...qwenCoding,
    name: "Qwen Coding Plan (China)",
    bases: {
      chat: "https://coding.dashscope.aliyuncs.com/v1",
      messages: "https://coding.dashscope.aliyuncs.com/apps/anthropic/v1",
    },
  },
  // https://console.groq.com/docs/openai; a message names the model and the organisation (continuedev/continue#10920)
  groq: {
    name: "Groq",
    bases: { chat: "https://api.groq.com/openai/v1" },
    basePath: "/openai/v1",
    keyEnv: ["GROQ_API_KEY"],
    rateLimitScope: "model",
    quirks: {},
  },
  // https://inference-docs.cerebras.ai/support/rate-limits: per model
  cerebras: {
    name: "Cerebras",
    bases: { chat: "https://api.cerebras.ai/v1" },
    keyEnv: ["CEREBRAS_API_KEY"],
    rateLimitScope: "model",
    quirks: {},
  },
  // https://docs.mistral.ai/api; usage comes without being asked for, and the option is refused (dnakov/anon-kode#53)
  mistral: {
    name: "Mistral",
    bases: { chat: "https://api.mistral.ai/v1" },
    keyEnv: ["MISTRAL_API_KEY"],
    rateLimitScope: "model",
    sessionHeader: "x-affinity", // pi-ai
    quirks: { streamOptions: false, reasoningParam: "none" },
  },
  // https://docs.x.ai; its Messages layer is deprecated (chain.md part 5)
  xai: {
    name: "xAI",
    bases: { chat: "https://api.x.ai/v1", responses: "https://api.x.ai/v1" },
    keyEnv: ["XAI_API_KEY"],
    rateLimitScope: "model",
    quirks: {},
  },
  // https://docs.api.nvidia.com/nim; without the header a long answer becomes a 202 to be polled (pi-ai). A crowded model
  // is refused while others answer (Alishahryar1/free-claude-code#1485).
  nvidia: {
    name: "NVIDIA NIM",
    bases: { chat: "https://integrate.api.nvidia.com/v1" },
    keyEnv: ["NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"],
    rateLimitScope: "model",
    headers: { "nvcf-poll-seconds": "3600" },
    quirks: { reasoningParam: "none" },
  },
  // https://docs.together.ai/reference/chat-completions; "the rate limit specific to this model" (xtekky/gpt4free#3032)
  together: {
    name: "Together",
    bases: { chat: "https://api.together.ai/v1" },
    keyEnv: ["TOGETHER_API_KEY"],
    rateLimitScope: "model",
    quirks: { reasoningParam: "none" },
  },
  // https://docs.fireworks.ai; Messages at the same base, and the header for affinity: pi-ai
  fireworks: {
    name: "Fireworks",
    bases: {
      chat: "https://api.fireworks.ai/inference/v1",
      messages: "https://api.fireworks.ai/inference/v1",
    },
    basePath: "/inference/v1",
    keyEnv: ["FIREWORKS_API_KEY"],
    rateLimitScope: "model",
    sessionHeader: "x-session-affinity",
    quirks: {},
  },
  // https://docs.github.com/en/rest/models/inference; a base without a version. No reasoning field (models.dev). Refusals
  // name a limit "UserByModelByDay".
  github: {
    name: "GitHub Models",
    bases: { chat: "https://models.github.ai/inference" },
    basePath: "/inference",
    keyEnv: ["GITHUB_TOKEN"],
    rateLimitScope: "model",
    quirks: { reasoningParam: "none" },
  },
  // https://learn.microsoft.com/en-us/azure/foundry/openai/api-version-lifecycle: the v1 API needs no `api-version`; one
  // deployment of the older API is named as base ".../openai/deployments/<name>" with `query: {"api-version": ...}`.
  // Limits are those of a deployment.
  azure: {
    name: "Azure OpenAI",
    bases: {
      chat: "https://<resource>.openai.azure.com/openai/v1",
      responses: "https://<resource>.openai.azure.com/openai/v1",
    },
    basePath: "/openai/v1",
    auth: { chat: "api-key", responses: "api-key" },
    keyEnv: ["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"],
    rateLimitScope: "model",
    quirks: openaiQuirks,
  },
  // Bases and which model speaks what: pi-ai (https://opencode.ai/docs/zen#endpoints names them .../zen/v1/...). Gemini
  // models speak a protocol that we do not. Free models share a limit that paid ones do not (anomalyco/opencode#45324).
  zen: {
    name: "OpenCode Zen",
    bases: {
      chat: "https://opencode.ai/inference/openai/v1",
      messages: "https://opencode.ai/inference/anthropic/v1",
      responses: "https://opencode.ai/inference/openai/v1",
    },
    keyEnv: ["OPENCODE_API_KEY", "OPENCODE_ZEN_API_KEY"],
    rateLimitScope: "model",
    pools: [{ name: "free", endsWith: ["-free", "big-pickle"] }],
    modelProtocols: [
      { startsWith: ["claude-", "qwen3.5-", "qwen3.6-", "qwen3.8-flash"], protocol: "messages" },
      { startsWith: ["gpt-", "grok-", "muse-"], protocol: "responses" },
      { startsWith: [""], protocol: "chat" },
    ],
    sessionHeader: "x-opencode-session",
    quirks: {},
  },
  // https://help.router-for.me: translates between the three itself, so it is called in the client's protocol; its keys are
  // those that its own config lists (chain.md part 3)
  cliproxy: {
    name: "CLIProxyAPI",
    bases: {
      chat: "http://127.0.0.1:8317/v1",
      messages: "http://127.0.0.1:8317/v1",
      responses: "http://127.0.0.1:8317/v1",
    },
    rateLimitScope: "model",
    quirks: {},
  },
  // https://docs.ollama.com: Messages since 0.14; no key. Its cloud models have one limit for the account
  // (continuedev/continue#9233), which those on this machine do not share.
  ollama: {
    name: "Ollama",
    bases: {
      chat: "http://127.0.0.1:11434/v1",
      messages: "http://127.0.0.1:11434/v1",
      responses: "http://127.0.0.1:11434/v1",
    },
    rateLimitScope: "model",
    pools: [{ name: "cloud", endsWith: ["-cloud", ":cloud"] }],
    local: "ollama",
    quirks: {},
  },
  // https://lmstudio.ai/docs/developer/rest: Messages since 0.4.1, Responses since 0.3.29; no key
  lmstudio: {
    name: "LM Studio",
    bases: {
      chat: "http://127.0.0.1:1234/v1",
      messages: "http://127.0.0.1:1234/v1",
      responses: "http://127.0.0.1:1234/v1",
    },
    rateLimitScope: "model",
    local: "lmstudio",
    quirks: {},
  },
  // https://docs.vllm.ai/en/latest/serving/openai_compatible_server; no key unless it was started with one
  vllm: {
    name: "vLLM",
    bases: {
      chat: "http://127.0.0.1:8000/v1",
      messages: "http://127.0.0.1:8000/v1",
      responses: "http://127.0.0.1:8000/v1",
    },
    rateLimitScope: "model",
    local: "vllm",
    quirks: {},
  },
  // ggml-org/llama.cpp tools/server/README.md; no key unless it was started with one
  llamacpp: {
    name: "llama.cpp",
    bases: { chat: "http://127.0.0.1:8080/v1", messages: "http://127.0.0.1:8080/v1" },
    rateLimitScope: "model",
    local: "llamacpp",
    quirks: {},
  },
} as const satisfies Record<string, ProviderRow>;

/** Undefined for a custom provider, and for names that every object has. */
export function findRow(id: string): ProviderRow | undefined {
  return Object.hasOwn(catalog, id) ? catalog[id as keyof typeof catalog] : undefined;
}
