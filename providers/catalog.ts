/** THE table of built-in providers: which protocols each speaks and where, how it takes a key, and its oddities. */

import type { Protocol } from "../src/protocols/chat.ts";
import type { Quirks } from "../src/protocols/codec.ts";

export interface ProviderRow {
  /** As people write it in messages. */
  name: string;
  /** Base URLs with their version segment; the path of the protocol is appended. */
  bases: Partial<Record<Protocol, string>>;
  /** The environment variable that holds the key when the config names none; absent when no key is needed. */
  keyEnv?: string;
  /** How the Messages endpoint takes the key; Chat and Responses always take a bearer. */
  messagesAuth: "x-api-key" | "bearer";
  quirks: Partial<Quirks>;
}

export const catalog = {
  // https://openrouter.ai/docs: the three protocols at one base, bearer everywhere
  openrouter: {
    name: "OpenRouter",
    bases: {
      chat: "https://openrouter.ai/api/v1",
      messages: "https://openrouter.ai/api/v1",
      responses: "https://openrouter.ai/api/v1",
    },
    keyEnv: "OPENROUTER_API_KEY",
    messagesAuth: "bearer",
    quirks: { systemFirstOnly: false, reasoningParam: "reasoning" },
  },
  // https://docs.claude.com/en/api
  anthropic: {
    name: "Anthropic",
    bases: { messages: "https://api.anthropic.com/v1" },
    keyEnv: "ANTHROPIC_API_KEY",
    messagesAuth: "x-api-key",
    quirks: { midSystem: true, webSearch: true, autoCache: true },
  },
  // https://platform.openai.com/docs/api-reference
  openai: {
    name: "OpenAI",
    bases: { chat: "https://api.openai.com/v1", responses: "https://api.openai.com/v1" },
    keyEnv: "OPENAI_API_KEY",
    messagesAuth: "bearer",
    quirks: {
      maxTokensField: "max_completion_tokens",
      developerRole: true,
      systemFirstOnly: false,
      promptCacheKey: true,
      verbosity: true,
      webSearch: true,
    },
  },
  // https://api-docs.deepseek.com
  deepseek: {
    name: "DeepSeek",
    bases: { chat: "https://api.deepseek.com/v1", messages: "https://api.deepseek.com/anthropic/v1" },
    keyEnv: "DEEPSEEK_API_KEY",
    messagesAuth: "x-api-key",
    quirks: { reasoningParam: "none" },
  },
  // https://docs.z.ai; its Chat base ends in a version of its own
  zai: {
    name: "Z.ai",
    bases: { chat: "https://api.z.ai/api/paas/v4", messages: "https://api.z.ai/api/anthropic/v1" },
    keyEnv: "ZAI_API_KEY",
    messagesAuth: "x-api-key",
    quirks: { reasoningParam: "none" },
  },
  // https://platform.moonshot.ai/docs
  moonshot: {
    name: "Moonshot",
    bases: { chat: "https://api.moonshot.ai/v1", messages: "https://api.moonshot.ai/anthropic/v1" },
    keyEnv: "MOONSHOT_API_KEY",
    messagesAuth: "x-api-key",
    quirks: { reasoningParam: "none" },
  },
  // https://ai.google.dev/gemini-api/docs/openai; its base ends in a path of its own
  gemini: {
    name: "Gemini",
    bases: { chat: "https://generativelanguage.googleapis.com/v1beta/openai" },
    keyEnv: "GEMINI_API_KEY",
    messagesAuth: "bearer",
    quirks: { thoughtSignatures: true },
  },
  // https://docs.ollama.com: Messages since 0.14; no key
  ollama: {
    name: "Ollama",
    bases: {
      chat: "http://127.0.0.1:11434/v1",
      messages: "http://127.0.0.1:11434/v1",
      responses: "http://127.0.0.1:11434/v1",
    },
    messagesAuth: "x-api-key",
    quirks: {},
  },
  // https://lmstudio.ai/docs: no key
  lmstudio: {
    name: "LM Studio",
    bases: {
      chat: "http://127.0.0.1:1234/v1",
      messages: "http://127.0.0.1:1234/v1",
      responses: "http://127.0.0.1:1234/v1",
    },
    messagesAuth: "x-api-key",
    quirks: {},
  },
} as const satisfies Record<string, ProviderRow>;
